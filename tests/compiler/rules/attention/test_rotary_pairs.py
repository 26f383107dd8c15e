"""Rotary embeddings that turn both of each pair and put them together."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.attention.rotary_pairs import ROTARY_PAIRS
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared

NOISE = {"atol": 2e-6, "rtol": 1e-5}
SIZES = [{"b": 2, "s": 5}, {"b": 1, "s": 1}]
NUMBERS = {
    "zero": np.array([0]),
    "one": np.array([1]),
    "two": np.array([2]),
    "half": np.array([3]),
    "far": np.array([2**62]),
    "end": np.array([-1]),
    "first": np.array(0),
    "second": np.array(1),
    "pairs": np.array([0, 0, 0, 3, 2]),
    "size": np.array([0, 0, 0, 6]),
}
TURN = """ac = Mul(a, cos) bs = Mul(b, sin) l = Sub(ac, bs)
    bc = Mul(cos, b) as = Mul(a, sin) m = Add(as, bc) """
CUT = "a = Slice(x, zero, half, end) b = Slice(x, half, far, end) "
EVERY_OTHER = "a = Slice(x, zero, far, end, two) b = Slice(x, one, far, end, two) "
STACK = "l1 = Unsqueeze(l, end) m1 = Unsqueeze(m, end) t = Concat<axis = -1>(l1, m1) "
FOLD = "y = Reshape(t, size)"
COMPLEX = """p = Reshape(x, pairs) a = Slice(p, zero, one, end) b = Slice(p, one, two, end) """
SQUEEZED = """p = Reshape(x, pairs) a1 = Slice(p, zero, one, end) b1 = Slice(p, one, two, end)
    a = Squeeze(a1, end) b = Squeeze(b1, end) """
PICKED = """p = Reshape(x, pairs)
    a = Gather<axis = -1>(p, first) b = Gather<axis = 4>(p, second) """
ROTATED = {"RotaryEmbedding": 1}


def angles(*shape: int) -> dict[str, np.ndarray]:
    half = normal(*shape, seed=7)
    return {"cos": np.cos(half), "sin": np.sin(half)}


def rotary(body: str, dims: str = "b,2,5,6", **weights: np.ndarray):
    out = dims.replace("5,6", "10,3") if "axis = 2" in body else dims
    text = f"g (float[{dims}] x) => (float[{out}] y) {{ {body} }}"
    return model(text, **{**NUMBERS, **weights})


@pytest.mark.parametrize("shape", [(1, 1, 5, 3), (5, 3)])
def test_halves(shape):
    given = rotary(CUT + TURN + "y = Concat<axis = -1>(l, m)", "2,4,5,6", **angles(*shape))
    check_rule(ROTARY_PAIRS, given, {**ROTATED, **_shaped(shape)}, **NOISE)
    check_shared(ROTARY_PAIRS, given, **NOISE)


def _shaped(shape):
    return {"Squeeze": 2, "Expand": 2} if len(shape) == 4 else {"Unsqueeze": 2, "Expand": 2}


@pytest.mark.parametrize("cut", [EVERY_OTHER, SQUEEZED, PICKED])
def test_neighbours(cut):
    given = rotary(cut + TURN + STACK + FOLD, "2,5,4,6", **angles(1, 5, 1, 3))
    folds = {"Reshape": 2 if cut is EVERY_OTHER else 4}
    expected = {**ROTATED, **folds, "Transpose": 2, "Squeeze": 2, "Expand": 2}
    after = check_rule(ROTARY_PAIRS, given, expected, **NOISE)
    (node,) = (node for node in after.graph if node.op_type == "RotaryEmbedding")
    assert node.attributes.get_int("interleaved") == 1
    check_shared(ROTARY_PAIRS, given, **NOISE)


def test_neighbours_that_become_halves():
    body = EVERY_OTHER + TURN + "y = Concat<axis = -1>(l, m)"
    given = rotary(body, "2,4,5,6", **angles(5, 3))
    expected = {**ROTATED, "Slice": 2, "Concat": 1, **_shaped((5, 3))}
    check_rule(ROTARY_PAIRS, given, expected, **NOISE)
    check_shared(ROTARY_PAIRS, given, **NOISE)


@pytest.mark.parametrize("order", ["z, l, m", "l, m, z"])
def test_a_part_that_is_not_turned(order):
    text = f"""g (float[2,4,5,6] x, float[2,4,5,2] z) => (float[2,4,5,8] y) {{
        {CUT} {TURN} y = Concat<axis = -1>({order}) }}"""
    given = model(text, **NUMBERS, **angles(5, 3))
    check_rule(ROTARY_PAIRS, given, {**ROTATED, "Concat": 1, **_shaped((5, 3))}, **NOISE)


def test_complex_numbers():
    body = COMPLEX + TURN + "t = Concat<axis = -1>(l, m) " + FOLD
    given = rotary(body, "b,5,4,6", **angles(1, 5, 1, 3, 1))
    expected = {**ROTATED, "Reshape": 4, "Transpose": 2, "Squeeze": 4, "Expand": 2}
    expected |= {"Shape": 2, "Concat": 2}
    check_rule(ROTARY_PAIRS, given, expected, dims=[{"b": 2}, {"b": 1}], **NOISE)


def test_a_table_that_is_cut_to_the_length():
    text = """g (float[2,4,s,6] x) => (float[2,4,s,6] y) {
        n = Shape<start = 2, end = 3>(x) cos = Slice(ct, zero, n, zero)
        sin = Slice(st, zero, n, zero)
        BODY }""".replace("BODY", CUT + TURN + "y = Concat<axis = -1>(l, m)")
    given = model(text, **NUMBERS, ct=angles(8, 3)["cos"], st=angles(8, 3)["sin"])
    expected = {**ROTATED, "Shape": 1, "Slice": 2, "Unsqueeze": 2, "Expand": 2}
    check_rule(ROTARY_PAIRS, given, expected, dims=[{"s": 5}, {"s": 1}], **NOISE)


@pytest.mark.parametrize(
    ("body", "dims", "shape", "reason"),
    [
        (
            CUT + TURN + "y = Concat<axis = 2>(l, m)",
            "2,4,5,6",
            (5, 3),
            "what is turned is not put together as it was taken apart",
        ),
        (
            CUT.replace("zero, half", "zero, one") + TURN + "y = Concat<axis = -1>(l, m)",
            "2,4,5,6",
            (5, 3),
            "what is turned is not two pieces of one size",
        ),
        (
            EVERY_OTHER
            + TURN
            + STACK.replace("(l, end)", "(l, one)").replace("(m, end)", "(m, one)")
            + "y = Reshape(t, size)",
            "2,5,4,6",
            (1, 5, 1, 3),
            "what is turned is not put together as it was taken apart",
        ),
        (
            SQUEEZED.replace("one, two, end", "zero, one, end") + TURN + STACK + FOLD,
            "2,5,4,6",
            (1, 5, 1, 3),
            "what is turned is not put together as it was taken apart",
        ),
        (
            COMPLEX + TURN + "t = Concat<axis = -1>(l, m) " + FOLD,
            "b,5,4,6",
            (1, 5, 1, 1, 1),
            "the angles are not one for each pair of a head",
        ),
        (
            CUT + TURN + "y = Concat<axis = -1>(l, m)",
            "2,4,5,6",
            (4, 5, 3),
            "the angles are not one row for each position, the same for all heads",
        ),
        (
            CUT + TURN + "y = Concat<axis = -1>(l, m)",
            "2,4,5,6",
            (5, 1),
            "the angles are not one for each pair of a head",
        ),
    ],
)
def test_refuses_with_a_reason(body, dims, shape, reason):
    given = rotary(body, dims, **angles(*shape))
    check_miss(ROTARY_PAIRS, given, reason)


def test_pieces_that_are_put_together_in_another_shape():
    stack = STACK.replace("Unsqueeze(l, end)", "Reshape(l, swapped)")
    stack = stack.replace("Unsqueeze(m, end)", "Reshape(m, swapped)")
    text = f"g (float[2,5,4,6] x) => (float[2,4,5,6] y) {{ {EVERY_OTHER} {TURN} {stack} {FOLD} }}"
    given = model(text, **NUMBERS, swapped=np.array([2, 4, 5, 3, 1]), **angles(1, 5, 1, 3))
    check_miss(ROTARY_PAIRS, given, "what is turned is not put together as it was taken apart")


def test_a_piece_of_what_has_an_unknown_rank():
    body = PICKED.replace("b = Gather<axis = 4>(p", "w = own.Other(p) b = Gather<axis = 4>(w")
    stack = STACK.replace("Unsqueeze(l, end)", "Reshape(l, column)")
    stack = stack.replace("Unsqueeze(m, end)", "Reshape(m, column)")
    shapes = {"column": np.array([2, 5, 4, 3, 1])}
    given = rotary(body + TURN + stack + FOLD, "2,5,4,6", **shapes, **angles(1, 5, 1, 3))
    check_miss(ROTARY_PAIRS, given, "what is turned is not put together as it was taken apart")


def test_pieces_that_are_made_of_nothing():
    value = "Constant<value = float[1,1,1,2] {1.0, 2.0}>()"
    text = f"""g (float[1,2] cos, float[1,2] sin) => (float[1,1,1,4] y) {{
        a = {value} b = {value.replace("1.0", "3.0")} {TURN} y = Concat<axis = -1>(l, m) }}"""
    check_rule(ROTARY_PAIRS, model(text), {**ROTATED, "Concat": 1, "Unsqueeze": 2}, **NOISE)


FOUR = {"pairs": np.array([0, 0, 0, 2, 2]), "size": np.array([0, 0, 0, 4])}


@pytest.mark.parametrize("cut", [EVERY_OTHER, PICKED])
def test_neighbours_that_are_put_together_as_halves(cut):
    stack = STACK.replace("(l, end)", "(l, three)").replace("(m, end)", "(m, three)")
    stack = stack.replace("axis = -1", "axis = 3")
    numbers = {**FOUR, "three": np.array([3]), **angles(1, 5, 1, 2)}
    given = rotary(cut + TURN + stack + FOLD, "2,5,4,4", **numbers)
    check_miss(ROTARY_PAIRS, given, "what is turned is not put together as it was taken apart")


def test_halves_that_are_put_together_as_neighbours():
    cut = PICKED.replace("<axis = -1>", "<axis = 3>").replace("<axis = 4>", "<axis = 3>")
    given = rotary(cut + TURN + STACK + FOLD, "2,5,4,4", **FOUR, **angles(1, 5, 1, 2))
    check_miss(ROTARY_PAIRS, given, "what is turned is not put together as it was taken apart")


def test_two_of_three_components():
    body = COMPLEX + "c = Slice(p, two, far, end) " + TURN + "t = Concat<axis = -1>(l, m, c) "
    numbers = {"pairs": np.array([0, 0, 0, 3, 3]), "size": np.array([0, 0, 0, 9])}
    given = rotary(body + FOLD, "2,5,4,9", **numbers, **angles(1, 5, 1, 3, 1))
    check_miss(ROTARY_PAIRS, given, "what is turned is not put together as it was taken apart")


def test_two_pieces_of_a_longer_head():
    cut = CUT.replace("x, half, far", "x, half, six")
    text = f"""g (float[2,4,5,8] x) => (float[2,4,5,6] y) {{
        {cut} {TURN} y = Concat<axis = -1>(l, m) }}"""
    given = model(text, **NUMBERS, six=np.array([6]), **angles(5, 3))
    expected = {**ROTATED, "Slice": 2, "Concat": 1, **_shaped((5, 3))}
    check_rule(ROTARY_PAIRS, given, expected, **NOISE)


def test_pieces_of_unknown_size():
    text = f"""g (float[2,4,5,h] a, float[2,4,5,h] b, float[5,h] cos, float[5,h] sin) =>
        (float[2,4,5,f] y) {{ {TURN} y = Concat<axis = -1>(l, m) }}"""
    check_miss(ROTARY_PAIRS, model(text), "the size of a head is not known (a")


def test_cosines_for_positions_and_sines_for_heads():
    body = CUT + TURN + "y = Concat<axis = -1>(l, m)"
    cos, sin = angles(1, 1, 5, 3)["cos"], angles(1, 5, 1, 3)["sin"]
    reason = "the angles are not one row for each position, the same for all heads"
    check_miss(ROTARY_PAIRS, rotary(body, "2,5,5,6", cos=cos, sin=sin), reason)


def test_double_precision_is_left_alone():
    body = CUT + TURN + "y = Concat<axis = -1>(l, m)"
    text = f"g (double[2,4,5,6] x) => (double[2,4,5,6] y) {{ {body} }}"
    given = model(text, **NUMBERS, **{k: v.astype(np.float64) for k, v in angles(5, 3).items()})
    check_miss(ROTARY_PAIRS, given, "RotaryEmbedding does not compute in its dtype")
