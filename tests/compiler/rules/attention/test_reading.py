"""What the readers of attention share."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.rules.attention.parts import cut_from, halved, part
from sardonyx.compiler.rules.attention.reading import number, swaps_rows
from tests.support.models import model

ENDS = {"zero": np.int64([0]), "three": np.int64([3]), "six": np.int64([6]), "two": np.int64([2])}


def values(text: str) -> dict[str, ir.Value]:
    given = model(text, **ENDS)
    Types.inferred(given)
    return {str(v.name): v for node in given.graph for v in node.outputs} | {
        str(v.name): v for v in given.graph.inputs
    }


@pytest.mark.parametrize(
    ("perm", "is_swap"),
    [
        ((0, 1, 3, 2), True),
        ((1, 0), True),
        ((0, 1, 2), False),
        ((1, 0, 3, 2), False),
        (None, False),
    ],
)
def test_a_permutation_of_rows_and_columns(perm: tuple[int, ...] | None, is_swap: bool):
    assert swaps_rows(perm) == is_swap


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.float32([2, 2]), 2),
        (np.int64(3), 3),
        (np.float32([2, 1]), None),
        (np.float32([]), None),
        (np.array([True]), None),
        (np.zeros(1025, np.float32), None),
    ],
)
def test_the_number_that_a_constant_is_filled_with(array: np.ndarray, expected: float | None):
    held = ir.tensor(array)
    assert number(ir.Value(name="v", const_value=held, type=ir.TensorType(held.dtype))) == expected
    assert number(ir.Value(name="v")) is None
    assert number(None) is None


def test_parts_of_the_last_axis():
    found = values(
        """g (float[6] x, float[4,n] u, int64[2] sizes) => (float[3] y) {
            y = Slice(x, zero, three) z = Slice(x, three, six, zero, two) w = Slice(z, zero, two)
            a, b = Split(u, sizes) c, d = Split<axis = 1>(u, sizes)
            e, f = Split<num_outputs = 2>(x) }"""
    )
    assert part(found["y"]) == part(found["x"]).cut(0, 3)
    assert part(found["z"]) == part(found["x"]).cut(3, 2, 2)
    assert part(found["w"]) == part(found["x"]).cut(3, 2, 2)
    assert part(found["f"]) == part(found["x"]).cut(3, 3)
    assert part(found["b"]) is None
    assert part(None) is None
    assert cut_from(found["f"]) is found["x"]
    assert cut_from(found["x"]) is None
    assert halved(found["e"], found["f"], interleaved=False) is found["x"]
    assert halved(found["f"], found["e"], interleaved=False) is None
    assert halved(found["e"], found["f"], interleaved=True) is None
    assert halved(found["z"], found["z"], interleaved=False) is None
    assert halved(found["c"], found["d"], interleaved=False) is None
    assert halved(found["x"], found["x"], interleaved=False) is None
