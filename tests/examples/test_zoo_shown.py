"""What some members of the zoo are there to show."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from examples.zoo import twins
from examples.zoo.registry import MEMBERS
from sardonyx import runtime
from sardonyx.compiler import compile

LINES = {"lenet5": 15, "resnet50": 45}
"""The most lines of members that must be short, docstrings not counted."""


def outputs(name: str, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What a member with its twin's weights computes, compiled for the CPU."""
    program = compile(twins.pair(MEMBERS[name], is_small=True).model)
    return list(runtime.load(program, threads=1).run_named(feeds).values())


def lines_of(name: str) -> int:
    """The lines of code of a member's file after its imports; docstrings, blanks left out."""
    source = inspect.getsource(inspect.getmodule(MEMBERS[name].model._function))
    code = source.split("from sardonyx.frontends import dsl\n", 1)[1]
    kept = [line for line in code.splitlines() if line.strip() and '"""' not in line]
    return len(kept)


@pytest.mark.parametrize("name", LINES)
def test_a_member_is_short(name):
    assert lines_of(name) <= LINES[name]


def test_two_layers_solve_exclusive_or():
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    (answers,) = outputs("xor", {"x": x})
    assert (answers > 0.5).ravel().tolist() == [False, True, True, False]


def test_a_neuron_fires_above_its_threshold():
    pair = twins.pair(MEMBERS["mcculloch-pitts"], is_small=True)
    state = {"weight": np.ones(8), "threshold": np.array(1.5)}
    pair.model.load(state)
    x = np.array([[1, 1, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]], np.float32)
    session = runtime.load(compile(pair.model), threads=1)
    assert session(x)[0].tolist() == [1, -1]


def test_dropout_drops_the_share_it_is_asked_for():
    from sardonyx.frontends import dsl

    @dsl.model(x=dsl.f32["n"])
    def dropped(x):
        return -dsl.dropout(-x, 0.3)

    session = runtime.load(compile(dropped.build(training=True)), threads=1)
    (y,) = session(np.ones(10_000, np.float32))
    assert np.allclose(y[y != 0], 1 / 0.7)
    # Four standard deviations of the share of 10,000 draws.
    assert abs((y == 0).mean() - 0.3) <= 4 * np.sqrt(0.3 * 0.7 / 10_000)
