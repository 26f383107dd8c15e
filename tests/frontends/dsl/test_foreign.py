"""numpy, PyTorch and Python that ask for numbers are told what to do, at the user's line."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sardonyx.frontends import dsl
from tests.frontends.dsl.support import run
from tests.support.models import normal

SOURCE = Path(__file__).read_text(encoding="utf-8").splitlines()
NUMBERS = "needs numbers, which there are only when the model runs."
NUMBER = "Python needs a number here."
DECIDES = "Python cannot decide this while the model is being built."
FIXED = "use x.shape[0] as a size"
X = normal(3, 4)


def refusal(mistake: Callable[[Any], Any]) -> dsl.DslError:
    @dsl.model(x=dsl.f32["batch", 4])
    def net(x):
        mistake(x)
        return x

    with pytest.raises(dsl.DslError) as refused:
        net.to_ir()
    assert "test_foreign.py:" in refused.value.where
    return refused.value


def loop(x):
    for row in x:
        x = row
    return x


def assign(x):
    x[0] = 1


def add_in_place(x):
    x[0] += 1


def delete(x):
    del x[0]


def choose(x):
    return x if x > 0 else -x


def into_array(x):
    array = np.ones((3, 4), np.float32)
    array[0] = x


MISTAKES = {
    "sin": (np.sin, f"numpy.sin {NUMBERS}", "compute with dsl.sin"),
    "add": (lambda x: np.add(x, 1), f"numpy.add {NUMBERS}", "the operators and functions of dsl"),
    "sum by a ufunc": (np.add.reduce, f"numpy.add {NUMBERS}", "functions of dsl"),
    "heaviside": (lambda x: np.heaviside(X, x), f"numpy.heaviside {NUMBERS}", "functions of dsl"),
    "mean": (np.mean, f"numpy.mean {NUMBERS}", "compute with dsl.mean"),
    "concatenate": (lambda x: np.concatenate([x, x]), f"numpy.concatenate {NUMBERS}", "dsl.concat"),
    "where": (lambda x: np.where(x > 0, x, 0), f"numpy.where {NUMBERS}", "dsl.where"),
    "norm": (np.linalg.norm, f"numpy.norm {NUMBERS}", "functions of dsl"),
    "asarray": (np.asarray, f"numpy.asarray {NUMBERS}", "functions of dsl"),
    "array of rows": (lambda x: np.array([x, x]), f"numpy.asarray {NUMBERS}", "functions of dsl"),
    "index of an array": (lambda x: X[x > 0], f"numpy.asarray {NUMBERS}", "functions of dsl"),
    "into an array": (into_array, f"numpy.asarray {NUMBERS}", "functions of dsl"),
    "root of a size": (lambda x: np.sqrt(x.shape[0]), f"numpy.sqrt {NUMBERS}", "dsl.sqrt"),
    "array of a size": (lambda x: np.asarray(x.shape[0]), f"numpy.asarray {NUMBERS}", "of dsl"),
    "math": (math.sin, NUMBER, "dsl.sqrt, not math.sqrt"),
    "math of a size": (lambda x: math.sqrt(x.shape[0]), NUMBER, "fix it"),
    "float": (float, NUMBER, "dsl.where"),
    "complex": (complex, NUMBER, "dsl.where"),
    "int": (int, NUMBER, "dsl.where"),
    "round": (round, NUMBER, "dsl.where"),
    "round a size": (lambda x: round(x.shape[0]), NUMBER, "fix it"),
    "floor": (math.floor, NUMBER, "dsl.where"),
    "truncate": (math.trunc, NUMBER, "dsl.where"),
    "index": (operator.index, NUMBER, "dsl.where"),
    "range": (range, NUMBER, "dsl.where"),
    "format": ("{:.2f}".format, "The format '.2f' needs a number here.", "dsl.where"),
    "bool": (bool, DECIDES, "dsl.cond"),
    "if": (choose, DECIDES, "dsl.cond"),
    "loop": (loop, "A loop of Python needs a fixed size.", FIXED),
    "unpack": (lambda x: [*x], "A loop of Python needs a fixed size.", FIXED),
    "len": (len, "len() needs a fixed size.", FIXED),
    "assign": (assign, "A tensor does not change.", "dsl.where"),
    "add in place": (add_in_place, "A tensor does not change.", "dsl.where"),
    "delete": (delete, "A tensor does not change.", "dsl.where"),
    "method of numpy": (lambda x: x.item(), "A tensor has no attribute 'item'.", "see dir(dsl)"),
    "method of PyTorch": (lambda x: x.relu(), "A tensor has no attribute 'relu'.", "dsl.relu(...)"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_needs_numbers_is_refused(name):
    mistake, what, remedy = MISTAKES[name]
    refused = refusal(mistake)
    assert refused.what == what
    assert remedy in refused.remedy
    assert refused.found
    assert refused.expected


def test_what_pytorch_is_given_is_refused():
    torch = pytest.importorskip("torch")
    for mistake in (
        torch.sin,
        lambda x: torch.nn.functional.softmax(x, -1),
        lambda x: torch.ones(4) * x,
    ):
        refused = refusal(mistake)
        assert refused.what.startswith("torch.")
        assert refused.what.endswith(NUMBERS)


def test_the_line_is_that_of_the_user_and_not_one_of_numpy():
    @dsl.model(x=dsl.f32["batch", 4])
    def net(x):
        return x * np.mean(np.linalg.norm(x))  # line

    with pytest.raises(dsl.DslError) as refused:
        net.to_ir()
    (line,) = [n for n, text in enumerate(SOURCE, 1) if text.endswith("# line")]
    assert f"test_foreign.py:{line}, in net: return x * np.mean" in refused.value.where


LEFT = {
    "+": (operator.add, np.add),
    "-": (operator.sub, np.subtract),
    "*": (operator.mul, np.multiply),
    "/": (operator.truediv, np.true_divide),
    "%": (operator.mod, np.remainder),
    "@": (operator.matmul, np.matmul),
    "<": (operator.lt, np.less),
    ">=": (operator.ge, np.greater_equal),
    "==": (operator.eq, np.equal),
}


@pytest.mark.parametrize("name", LEFT)
def test_arrays_and_their_functions_may_stand_on_the_left(name):
    op, ufunc = LEFT[name]
    array = normal(3, 4, seed=1) if name != "@" else normal(2, 3, seed=1)

    @dsl.model(x=dsl.f32[3, 4])
    def net(x):
        return op(array, x), ufunc(array, x)

    for outputs in run(net, x=X).values():
        for made in outputs:
            np.testing.assert_allclose(made, op(array, X), rtol=1e-5, atol=1e-6)


def test_an_array_that_a_tensor_is_added_to_in_place_becomes_a_tensor():
    start = np.ones((3, 4), np.float32)

    @dsl.model(x=dsl.f32[3, 4])
    def net(x):
        total = start
        total += x
        return total

    for (made,) in run(net, x=X).values():
        np.testing.assert_allclose(made, 1 + X, rtol=1e-6)
    assert (start == 1).all()


def test_numpy_may_ask_for_shapes_and_scale_sizes():
    @dsl.model(x=dsl.f32["batch", 4])
    def net(x):
        assert np.shape(x)[1:] == (4,)
        assert np.ndim(x) == 2
        assert f"{x}" == str(x)
        assert not hasattr(x, "detach")
        return x.reshape(np.int64(2) * x.shape[0], -1)

    for (made,) in run(net, x=X).values():
        np.testing.assert_array_equal(made, X.reshape(6, 2))
