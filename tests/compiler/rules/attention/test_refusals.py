"""What is close to an attention or a rotary embedding, and the reason why it is none."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.attention.known_mask import RULES
from sardonyx.compiler.rules.attention.packed import PART_OF_PROJECTION
from sardonyx.compiler.rules.attention.reading import is_same_dim
from sardonyx.compiler.rules.attention.rotary import ROTARY
from sardonyx.compiler.rules.attention.rotary_pairs import ROTARY_PAIRS
from sardonyx.compiler.rules.attention.scaled_dot_product import SCALED_DOT_PRODUCT
from tests.support.models import model, normal
from tests.support.rules import check_miss

*_, FILLED = RULES
NUMBERS = {
    "half": np.float32(0.5),
    "deep": np.float32([[[[[0.5]]]]]),
    "zero": np.int64([0]),
    "one": np.int64([1]),
    "two": np.int64([2]),
    "three": np.int64([3]),
    "far": np.int64([2**62]),
    "end": np.int64([-1]),
    "lead4": np.int64([1, 2, 5, 6]),
    "lead": np.int64([1, 3, 2, 5, 6]),
    "swapped": np.int64([2, 3, 5, 6]),
    "back": np.int64([3, 2, 5, 6]),
    "pairs2": np.int64([2, 2, 5, 6]),
    "single4": np.int64([4, 1, 5, 6]),
    "rows2": np.int64([2, 3, 2, 6]),
    "heads2": np.int64([3, 2, 2, 6]),
    "windows": np.int64([1, 3, 4, 4, 6]),
    "folded": np.int64([12, 4, 6]),
    "parted": np.int64([0, 0, 3, 2, 4]),
    "single": np.int64([0, 0, 1, 24]),
    "unequal": np.int64([1, 2]),
    "thirds": np.int64([8, 16]),
    "size": np.int64([0, 0, 0, 6]),
    "copied": np.int64([1, 2, 4, 5, 6]),
    "pairs": np.int64([0, 0, 0, 3, 2]),
}
SYMBOLIC = ("float[b,2,s,4] q", "float[b,2,t,4] k", "float[b,2,t,3] v", "float[b,2,s,3] y")
STATIC = ("float[3,2,5,4] q", "float[3,2,6,4] k", "float[3,2,6,3] v", "float[3,2,5,3] y")
DEEP = ("float[a,b,2,s,4] q", "float[a,b,2,t,4] k", "float[a,b,2,t,3] v", "float[a,b,2,s,3] y")
SWAP = "kt = Transpose<perm=[0,1,3,2]>(k)"
SCORES = f"{SWAP} c = MatMul(q, kt)"
LAST = "p = Softmax(s0) y = MatMul(p, v)"


def attention(types: tuple[str, str, str, str], body: str, more: str = "") -> ir.Model:
    q, k, v, y = types
    return model(f"g ({q}, {k}, {v}{more}) => ({y}) {{ {body} }}", **NUMBERS)


def result(types: tuple[str, str, str, str], y: str) -> tuple[str, str, str, str]:
    return (*types[:3], y)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            attention(
                DEEP,
                f"{SWAP.replace('0,1,3,2', '0,1,2,4,3')} s0 = MatMul(q, kt) {LAST}",
            ),
            "query times key has 5 axes (q: ",
        ),
        (
            attention(
                result(STATIC, "float[1,3,2,5,3] y"),
                f"{SCORES} p = Softmax(c) f = Reshape(p, lead) y = MatMul(f, v)",
            ),
            "the result has more axes than the query (y: float[1, 3, 2, 5, 3])",
        ),
        (
            attention(
                ("float[2,5,4] q", "float[2,6,4] k", "float[2,6,3] v", "float[1,2,5,3] y"),
                "kt = Transpose<perm=[0,2,1]>(k) c = MatMul(q, kt) p = Softmax(c) "
                "f = Reshape(p, lead4) y = MatMul(f, v)",
            ),
            "the result has more axes than the query (y: float[1, 2, 5, 3])",
        ),
        (
            attention(
                tuple(t.replace("float", "int32") for t in STATIC[:2]) + STATIC[2:],
                f"{SCORES} s0 = Cast<to=1>(c) {LAST}",
            ),
            "the scores are computed in integers (c: int32[3, 2, 5, 6])",
        ),
        (
            attention(result(SYMBOLIC, "float[1,b,2,s,3] y"), f"{SCORES} s0 = Mul(c, deep) {LAST}"),
            "the number that scales the scores has more axes than they have (deep",
        ),
        (
            attention(
                result(SYMBOLIC, "float[1,b,2,s,3] y"),
                f"{SCORES} s0 = Mul(c, f) {LAST}",
                ", float[1,1,1,1,1] f",
            ),
            "the scale of the scores has a shape that is not known (f",
        ),
        (
            attention(
                result(SYMBOLIC, "float[1,b,2,s,3] y"),
                f"{SCORES} s0 = Add(c, m) {LAST}",
                ", float[1,1,1,s,t] m",
            ),
            "the mask has more axes than the scores (m",
        ),
        (
            attention(
                STATIC,
                f"{SCORES} r = Reshape(c, swapped) d = Add(r, m) s0 = Reshape(d, back) {LAST}",
                ", float[2,1,5,6] m",
            ),
            "the mask differs along axes that are not batch and heads (m",
        ),
        (
            attention(
                tuple(t.replace("3,2,", "4,1,") for t in STATIC),
                f"{SCORES} r = Reshape(c, pairs2) d = Add(r, m) s0 = Reshape(d, single4) {LAST}",
                ", float[2,5,6] m",
            ),
            "the mask differs along axes that are not batch and heads (m",
        ),
        (
            attention(
                tuple(t.replace("5,", "2,") for t in STATIC),
                f"{SCORES} r = Reshape(c, rows2) d = Add(r, m) s0 = Reshape(d, heads2) {LAST}",
                ", float[2,3,2,6] m",
            ),
            "the mask differs along axes that are not batch and heads (m",
        ),
        (
            attention(
                ("float[12,4,3] q", "float[12,6,3] k", "float[12,6,3] v", "float[12,4,3] y"),
                f"kt = Transpose<perm=[0,2,1]>(k) c = MatMul(q, kt) r = Reshape(c, windows) "
                f"d = Add(r, m) s0 = Reshape(d, folded) {LAST}",
                ", float[1,3,4,4,6] m",
            ),
            "the mask differs along axes that are not batch and heads (m",
        ),
        (
            attention(
                ("float[b,2,s,d] q", "float[b,2,t,e] k", *SYMBOLIC[2:]),
                f"{SWAP} s0 = MatMul(q, kt) {LAST}",
            ),
            "query and key differ in the size of their heads (k",
        ),
        (
            attention(
                result(SYMBOLIC, "float[b,2,s,3] y, float[b,2,s,t] s0"),
                f"{SWAP} s0 = MatMul(q, kt) {LAST}",
            ),
            "the scores are an output of the graph (s0",
        ),
    ],
)
def test_what_is_no_attention(given: ir.Model, reason: str):
    check_miss(SCALED_DOT_PRODUCT, given, reason)


@pytest.mark.parametrize(
    ("unknown", "reason"),
    [
        ("m", "the shape of the mask is not known (m"),
        ("q", "the shapes of query and key are not known (q"),
    ],
)
def test_masks_to_fill_of_unknown_shapes(unknown: str, reason: str):
    given = attention(SYMBOLIC, "y = Attention(q, k, v, m)", ", float[b,1,1,t] m")
    forget(given, unknown)
    check_miss(FILLED, given, reason)


def forget(given: ir.Model, *names: str) -> None:
    """Leave inputs, and the outputs that then are unknown, without a shape."""
    for value in (*given.graph.inputs, *given.graph.outputs):
        if value.name in names:
            value.shape = None


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            "p, o = Split<axis=2>(r, unequal) y = Squeeze(p, two)",
            "the pieces of the Split are no single parts (p",
        ),
        (
            "e = Reshape(x, single) p = Slice(e, zero, one, three) y = Squeeze(p, two)",
            "of other axes (p",
        ),
        (
            "e = Reshape(x, single) p, o = Split<axis=3>(e, thirds) y = Squeeze(p, two)",
            "the pieces of the Split are no single parts (p",
        ),
        (
            "e = Reshape(x, single) p = Slice(e, n, far, two) y = Squeeze(p, two)",
            "the Slice takes no single part (p",
        ),
        (
            "e = Reshape(x, single) p = Slice(e, zero, far) y = Squeeze(p, two)",
            "the Slice takes no single part (p",
        ),
    ],
)
def test_what_is_no_part_of_a_projection(lines: str, reason: str):
    result = "float[b,s,1]" if "three" in lines else "float[b,s,24]"
    result = "float[b,s,2,4]" if "unequal" in lines else result
    result = "float[b,s,8]" if "thirds" in lines else result
    text = f"g (float[b,s,24] x, int64[1] n) => ({result} y) {{ r = Reshape(x, parted) {lines} }}"
    if "(r," not in lines:
        text = text.replace("r = Reshape(x, parted)", "")
    check_miss(PART_OF_PROJECTION, model(text, **NUMBERS), reason)


PAIRS = """a = Slice(x, zero, far, three, two) c = Slice(x, one, far, three, two) n = Neg(c)
    n1 = Unsqueeze(n, end) a1 = Unsqueeze(a, end) p = Concat<axis = -1>(n1, a1)
    r = Reshape(p, size) """
HALVES = """a = Slice(x, zero, three, three) c = Slice(x, three, far, three)
    n = Neg(c) r = Concat<axis = -1>(n, a) """
SUM = "m = Mul(x, cos) t = Mul(r, sin) y = Add(m, t)"


def rotary(body: str, y: str = "float[2,4,5,6] y", more: str = "") -> ir.Model:
    f = normal(5, 3, seed=7)
    f = np.repeat(f, 2, axis=-1) if body.startswith(PAIRS[:20]) else np.concatenate([f, f], -1)
    tables = {} if more else {"cos": np.cos(f), "sin": np.sin(f)}
    return model(f"g (float[2,4,5,6] x{more}) => ({y}) {{ {body} }}", **NUMBERS, **tables)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            rotary(PAIRS.replace(", end)", ", three)") + SUM),
            "the two of a pair are not put next to each other",
        ),
        (
            rotary(PAIRS.replace("(p, size)", "(p, copied)") + SUM, "float[1,2,4,5,6] y"),
            "the rotated pairs are not put back into the shape of a head (r",
        ),
        (
            rotary(HALVES + SUM, more=", float[5,h] cos, float[5,h] sin"),
            "the table of angles has no known, even length (cos",
        ),
    ],
)
def test_what_is_no_rotary_embedding(given: ir.Model, reason: str):
    check_miss(ROTARY, given, reason)


@pytest.mark.parametrize("unknown", [("cos", "sin"), ("cos",), ("sin",)])
def test_angles_of_unknown_shape(unknown):
    given = rotary(HALVES + SUM, more=", float[5,6] cos, float[5,6] sin")
    forget(given, *unknown, "y")
    check_miss(ROTARY, given, "the shape of a table of angles is not known (cos")
    turn = """a = Slice(x, zero, three, end) b = Slice(x, three, far, end)
        ac = Mul(a, cos) bs = Mul(b, sin) l = Sub(ac, bs)
        bc = Mul(cos, b) as = Mul(a, sin) m = Add(as, bc) y = Concat<axis = -1>(l, m)"""
    given = rotary(turn, more=", float[5,3] cos, float[5,3] sin")
    forget(given, *unknown, "y")
    reason = "the shape of what is turned, or of the angles, is not known (a"
    check_miss(ROTARY_PAIRS, given, reason)


def test_dimensions_without_a_name_are_not_known_to_be_equal():
    assert not is_same_dim(ir.SymbolicDim(None), ir.SymbolicDim(None))
    assert is_same_dim(ir.SymbolicDim("b"), ir.SymbolicDim("b"))
    assert is_same_dim(3, 3)
    assert not is_same_dim(3, ir.SymbolicDim("b"))
