"""Tensors of indices that count along one of their axes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.rules.positions import (
    Position,
    is_at_least,
    length_read,
    position,
    position_of,
)
from tests.support.models import model

NUMBERS = {
    "two": np.int64(2),
    "one": np.int64(1),
    "three": np.int64(3),
    "real": np.float32(2),
    "unit": np.float32(1),
    "last": np.int64([-1]),
    "first": np.int64([0]),
    "both": np.int64([0, -1]),
    "held": np.int64([3, 3]),
    "flat": np.int64([-1]),
}
TEXT = """g (float[b,n] x, int64 k, int64[1] at, int64[m] to, float w, int64[4] four) => (int64 y) {
    y = Squeeze(s) s = Shape<start = 1>(x) whole = Shape(x) e = Shape<start = 0, end = 1>(w)
    r = Range(two, k, one) by = Range(two, k, three) from = Range(k, k, one)
    step = Range(two, k, k) down = Cast<to = 6>(r) float = Cast<to = 1>(r) short = Cast<to = 5>(r)
    column = Unsqueeze(r, last) row = Unsqueeze(r, first) deep = Unsqueeze(column, both)
    any = Unsqueeze(r, at) same = Unsqueeze(held, at) spread = Expand(r, to)
    many = Expand(column, four) gone = Expand(held, to) f = Range(real, w, unit)
    once = Reshape(s, flat) higher = Unsqueeze(held, first) wider = Expand(three, held) }"""


@pytest.fixture(scope="module")
def found() -> dict[str, ir.Value]:
    given = model(TEXT, **NUMBERS)
    given.graph.inputs[4].shape = None
    Types.inferred(given)
    return {str(v.name): v for node in given.graph for v in node.outputs}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("r", Position(-1, 2)),
        ("by", None),
        ("from", None),
        ("step", None),
        ("down", Position(-1, 2)),
        ("float", None),
        ("short", None),
        ("column", Position(-2, 2)),
        ("row", Position(-1, 2)),
        ("deep", Position(-3, 2)),
        ("any", None),
        ("higher", Position(None, 3)),
        ("wider", Position(None, 3)),
        ("spread", None),
        ("many", None),
        ("f", None),
        ("s", None),
    ],
)
def test_how_values_count(found: dict[str, ir.Value], name: str, expected: Position | None):
    assert position(found[name]) == expected
    assert position(None) is None


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.int64([4, 5, 6]), Position(-1, 4)),
        (np.int64([[4], [5]]), Position(-2, 4)),
        (np.int64([[4, 4], [5, 5]]), Position(-2, 4)),
        (np.int64([7]), Position(None, 7)),
        (np.int64(7), Position(None, 7)),
        (np.int64([]), None),
        (np.int64([4, 6]), None),
        (np.int64([[0, 1], [1, 2]]), None),
    ],
)
def test_how_arrays_count(array: np.ndarray, expected: Position | None):
    assert position_of(array) == expected


def test_the_least_of_counting_integers(found: dict[str, ir.Value]):
    assert is_at_least(found["r"], 2)
    assert not is_at_least(found["r"], 3)
    assert not is_at_least(found["by"], 0)


def test_lengths_read_off_a_shape(found: dict[str, ir.Value]):
    assert str(length_read(found["s"])) == "n"
    assert str(length_read(found["y"])) == "n"
    assert str(length_read(found["once"])) == "n"
    assert length_read(found["whole"]) is None
    assert length_read(found["e"]) is None
    assert length_read(found["r"]) is None
