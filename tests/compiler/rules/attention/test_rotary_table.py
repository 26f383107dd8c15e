"""Tables of angles that have each of them twice, however they are made."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.attention.rotary import ROTARY, head_axis
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule

NOISE = {"atol": 2e-6, "rtol": 1e-5}
HALVES = """a = Slice(x, zero, half, last) c = Slice(x, half, far, last)
    n = Neg(c) r = Concat<axis = -1>(n, a)"""
PAIRS = """a = Slice(x, zero, far, last, two) c = Slice(x, one, far, last, two) n = Neg(c)
    n1 = Unsqueeze(n, end) a1 = Unsqueeze(a, end) p = Concat<axis = -1>(n1, a1)
    r = Reshape(p, copied)"""
SUM = "m = Mul(x, cos) t = Mul(r, sin) y = Add(m, t)"
NUMBERS = {
    "zero": np.array([0]),
    "one": np.array([1]),
    "two": np.array([2]),
    "half": np.array([3]),
    "last": np.array([3]),
    "end": np.array([-1]),
    "far": np.array([2**62]),
    "copied": np.array([0, 0, 0, 6]),
    "ends": np.array([1, -1]),
    "twice": np.array([1, 1, 1, 1, 2]),
    "most": np.float32(0.75),
}


def rotary(table: str, inputs: str, body: str = HALVES, x: str = "2,4,5,6", **numbers: np.ndarray):
    """A rotary embedding whose cosines and sines are made alike, of `f_cos` and `f_sin`."""
    made = " ".join(table.replace("@", name) for name in ("cos", "sin"))
    given = inputs.replace("@", "cos") + ", " + inputs.replace("@", "sin")
    text = f"g (float[{x}] x, {given}) => (float[{x}] y) {{ {made} {body} {SUM} }}"
    return model(text, **{**NUMBERS, **numbers})


DOUBLED = "@2 = Concat<axis = -1>(f_@, f_@)"


@pytest.mark.parametrize(
    ("table", "inputs", "left"),
    [
        (f"{DOUBLED} @ = Clip(@2, , most)", "float[2,1,5,3] f_@", {"Clip": 2}),
        (f"{DOUBLED} @ = Squeeze(@2, zero)", "float[1,2,1,5,3] f_@", {"Squeeze": 4}),
        (f"{DOUBLED} @ = Mul(@2, g_@)", "float[2,1,5,3] f_@, float[5,1] g_@", {"Mul": 2}),
        ("@ = Concat<axis = 3>(f_@, f_@)", "float[2,1,5,3] f_@", {}),
    ],
)
def test_how_tables_of_halves_are_made(table, inputs, left):
    given = rotary(table, inputs)
    check_rule(ROTARY, given, {"RotaryEmbedding": 1, "Squeeze": 2, **left}, **NOISE)


def test_a_head_of_four():
    f = np.tile(normal(2, 1, 5, 2), 2)
    text = f"g (float[2,4,5,4] x) => (float[2,4,5,4] y) {{ {HALVES} {SUM} }}"
    given = model(text, **{**NUMBERS, "half": np.array([2])}, cos=np.cos(f), sin=np.sin(f))
    check_rule(ROTARY, given, {"RotaryEmbedding": 1, "Squeeze": 2}, **NOISE)


def test_tables_of_neighbours_that_get_two_axes():
    table = "@2 = Unsqueeze(f_@, ends) @3 = Expand(@2, twice) @ = Reshape(@3, copied)"
    given = rotary(table, "float[2,5,3] f_@", PAIRS)
    left = {"RotaryEmbedding": 1, "Unsqueeze": 2, "Squeeze": 2}
    check_rule(ROTARY, given, left, **NOISE)


@pytest.mark.parametrize(
    ("table", "inputs", "body", "x", "operator"),
    [
        ("@ = Concat<axis = -1>(f_@, g_@)", "float[5,3] f_@, float[5,3] g_@", HALVES, "", "Concat"),
        ("@ = Concat<axis = 1>(f_@, f_@, f_@)", "float[5,2] f_@", HALVES, "", "Concat"),
        ("@ = Concat<axis = 0>(f_@, f_@)", "float[3,6] f_@", HALVES, "2,4,6,6", "Concat"),
        (
            "@2 = Unsqueeze(f_@, end) @3 = Unsqueeze(g_@, end) "
            "@4 = Concat<axis = -1>(@2, @3) @ = Reshape(@4, copied)",
            "float[2,1,5,3] f_@, float[2,1,5,3] g_@",
            PAIRS,
            "",
            "Reshape",
        ),
        (
            "@2 = Unsqueeze(f_@, at_@) @3 = Expand(@2, doubled) @ = Reshape(@3, whole)",
            "float[2,1,5,3] f_@, int64[1] at_@",
            PAIRS,
            "",
            "Reshape",
        ),
    ],
)
def test_what_may_make_other_angles(table, inputs, body, x, operator):
    shapes = {"doubled": np.array([2, 1, 5, 3, 2]), "whole": np.array([2, 1, 5, 6])}
    given = rotary(table, inputs, body, x or "2,4,5,6", **shapes)
    check_miss(ROTARY, given, f"{operator} may give the two halves of a head other angles (cos")


def test_rows_that_are_cut_from_a_longer_table():
    batch, rows = ir.SymbolicDim("b"), ir.SymbolicDim("s")
    x = [batch, 4, rows, 6]
    assert head_axis(x, [ir.SymbolicDim("Min(2, s)"), 3]) == -3
    assert head_axis(x, [ir.SymbolicDim("Min(1, s)"), 3]) is None, "one row may be for all"
    assert head_axis(x, [ir.SymbolicDim("Min(2, t)"), 3]) is None
