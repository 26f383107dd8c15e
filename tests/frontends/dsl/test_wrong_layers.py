"""Mistakes in training, initialisers, functions and parameters; see `test_wrong_programs.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sardonyx.frontends import dsl

SOURCE = Path(__file__).read_text(encoding="utf-8").splitlines()
f32 = dsl.f32
PROGRAMS: dict = {}


def program(what, found, **inputs):
    def register(function):
        PROGRAMS[function.__name__] = (function, inputs, what, found)
        return function

    return register


@program("The rate of dropout is not in [0, 1).", "'half'", x=f32["n"])
def dropout(x):
    return dsl.dropout(x, "half")  # dropout


@program("The deviation of noise is negative or no number.", "-1", x=f32["n"])
def noise(x):
    return dsl.gaussian_noise(x, -1)  # noise


@program("batch_norm in training needs more than one element", "x f32[1, 3]", x=f32[1, 3])
def one_element(x):
    return dsl.batch_norm(x)  # one_element


@program("is updated inside of a body or a function.", "a line inside", x=f32["n", 3])
def update_in_a_body(x):
    return dsl.cond(x.sum() > 0, lambda: dsl.batch_norm(x), lambda: x)  # update_in_a_body


@program("Only a parameter can be updated.", "Add f32[n]", x=f32["n"])
def update_of_a_tensor(x):
    y = x + 1
    dsl.update(y, x)  # update_of_a_tensor
    return y


@program("The parameter 'w' is updated twice.", "w f32[3], then", x=f32[3])
def update_twice(x):
    w = dsl.parameter("w", (3,))
    dsl.update(w, w)
    dsl.update(w, x)  # update_twice
    return x


@program("The parameter 'w' is updated by something of another type.", "x f32[4]", x=f32[4])
def update_shape(x):
    w = dsl.parameter("w", (3,))
    dsl.update(w, x)  # update_shape
    return x


@program("Random numbers are floats.", "dtype i64", x=f32[4])
def random_dtype(x):
    return x + dsl.random.normal((4,), dtype="i64")  # random_dtype


@program("A seed is a whole number.", "0.5", x=f32[4])
def random_seed(x):
    return dsl.random.normal_like(x, seed=0.5)  # random_seed


@program("bernoulli draws floats.", "x i64[n]", x=dsl.i64["n"])
def random_integers(x):
    return dsl.random.bernoulli(x)  # random_integers


@program("multinomial draws a positive number", "3 from x f32[n]", x=f32["n"])
def random_row(x):
    return dsl.random.multinomial(x, 3)  # random_row


@program("The initialiser orthogonal is for matrices.", "shape [3]", x=f32[3])
def orthogonal(x):
    return x * dsl.parameter("w", (3,), dsl.init.orthogonal())  # orthogonal


@program("The initialiser sparse is for matrices.", "[2, 3, 1, 1]", x=f32[1, 3, 4, 4])
def sparse(x):
    return dsl.conv(x, 2, 1, init=dsl.init.sparse(0.5))  # sparse


@program("The share of zeros is not in [0, 1].", "90", x=f32[1, 3])
def sparse_share(x):
    return dsl.linear(x, 2, init=dsl.init.sparse(90))  # sparse_share


@program("There is no such fan.", "'both'", x=f32[1, 3])
def fan(x):
    return dsl.linear(x, 2, init=dsl.init.he_normal(fan="both"))  # fan


@program("Nearly nothing of this normal distribution", "mean 0.0", x=f32[1, 3])
def truncated(x):
    return dsl.linear(x, 2, init=dsl.init.truncated_normal(1.0, 0.0, 9.0, 10.0))  # truncated


@program("is called with other arguments than it has.", "missing a required", x=f32["n"])
def function_arguments(x):
    return two(x)  # function_arguments


@program("The function 'two' is called without a tensor.", "int 1", x=f32["n"])
def function_without_tensor(x):
    return x + two(1, 2)  # function_without_tensor


@program("The function 'nothing' returns nothing.", "no tensors", x=f32["n"])
def function_result(x):
    return nothing(x)  # function_result


@program("A function needs a name and a domain of its own.", "com.microsoft", x=f32["n"])
def function_domain(x):
    return dsl.function(domain="com.microsoft")(lambda y: y)(x)  # function_domain


@program("Sub needs operands of one dtype.", "y f16[n]", x=f32["n"], y=dsl.f16["n"])
def half_and_float(x, y):
    return x - y  # half_and_float


@program("attention differ on axis 2.", "f32[n, 4, 7, 8]", q=f32["n", 4, 5, 8])
def attention_lengths(q):
    return dsl.attention(q, q, dsl.concat([q, q[:, :, :2]], axis=2))  # attention_lengths


@program("multi_head_attention needs a sequence.", "x f32[n, 8]", x=f32["n", 8])
def attention_of_rows(x):
    return dsl.multi_head_attention(x, 2)  # attention_of_rows


@program("resize needs one factor or size for each axis", "(2, 2, 2)", x=f32["n", 3, 8, 8])
def resize(x):
    return dsl.resize(x, (2, 2, 2))  # resize


@program("flatten ends at axis 1 before it starts at 2.", "x f32[n, 2, 3]", x=f32["n", 2, 3])
def flatten(x):
    return dsl.flatten(x, 2, 1)  # flatten


@program("expand cannot drop axes.", "[3]", x=f32[2, 3])
def expand(x):
    return x.expand(3)  # expand


@program("The count of a loop is no size.", "float 2.5", x=f32["n"])
def loop_count(x):
    return dsl.loop(2.5, lambda i, s: s, x)  # loop_count


@program("A mean needs floats.", "x i64[n]", x=dsl.i64["n"])
def mean(x):
    return x.mean()  # mean


@program("The step of a slice is a fixed number other than 0.", "0", x=f32["n"])
def step(x):
    return x[::0]  # step


@program("A size divided with / is no size.", "n / 2", x=f32["n", 2])
def size(x):
    return x.reshape(x.shape[0] / 2, -1)  # size


@dsl.function
def two(x, y):
    return x + y


@dsl.function
def nothing(x):
    return ()


@pytest.mark.parametrize("name", PROGRAMS)
def test_wrong_program(name):
    function, inputs, what, found = PROGRAMS[name]
    with pytest.raises(dsl.DslError) as caught:
        dsl.model(**inputs)(function).build(training=True).to_ir()
    error = caught.value
    assert what in error.what
    assert found in error.found
    assert error.expected
    assert error.remedy
    (line,) = [n for n, text in enumerate(SOURCE, 1) if text.rstrip().endswith(f"# {name}")]
    assert f"test_wrong_layers.py:{line}, in " in error.where


def test_numbers_of_numpy_are_as_wrong_as_python_ones():
    with pytest.raises(dsl.DslError, match="does not fit the dtype"):
        dsl.model(x=dsl.i64["n"])(lambda x: x + np.float64(0.5)).to_ir()
