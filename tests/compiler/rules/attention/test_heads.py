"""Attention of three axes, where heads are parted and joined around it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.attention.heads import ATTENTION_OF_JOINED_HEADS
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared

CLOSE = {"atol": 2e-6, "rtol": 2e-6}
SIZES = [{"b": 3, "s": 5, "t": 4}, {"b": 1, "s": 1, "t": 6}]

TEXT = """g (float[b,s,12] q, float[b,t,6] k, float[b,t,8] v MASK) => (float[b,s,16] y) {
    q4 = Reshape(q, q_heads) qt = Transpose<perm=[0,2,1,3]>(q4)
    k4 = Reshape(k, kv_heads) kt = Transpose<perm=[0,2,1,3]>(k4)
    v4 = Reshape(v, kv_heads) vt = Transpose<perm=[0,2,1,3]>(v4)
    a = Attention<scale=0.4>(qt, kt, vt)
    at = Transpose<perm=[0,2,1,3]>(a) y = Reshape(at, joined) }"""
SHAPES = {
    "q_heads": np.int64([0, 0, 4, 3]),
    "kv_heads": np.int64([0, 0, 2, -1]),
    "joined": np.int64([0, 0, 16]),
}
LEFT = {"Attention": 1, "Reshape": 6}
"""The Reshapes to four axes and back to three stay for canonicalisation."""


def heads(*changes: tuple[str, str], mask: str = "", **shapes: np.ndarray):
    text = TEXT.replace("MASK", mask)
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return model(text, **{**SHAPES, **shapes})


def test_transposes_go():
    after = check_rule(ATTENTION_OF_JOINED_HEADS, heads(), LEFT, dims=SIZES, **CLOSE)
    (node,) = [n for n in after.graph if n.op_type == "Attention"]
    assert node.attributes["q_num_heads"].as_int() == 4
    assert node.attributes["kv_num_heads"].as_int() == 2
    check_shared(ATTENTION_OF_JOINED_HEADS, heads(), dims=SIZES, **CLOSE)


@pytest.mark.parametrize("mask", ["float[b,1,s,t] m", "bool[s,t] m", "float[1,4,s,t] m"])
def test_masks_stay(mask):
    given = heads(("vt)\n", "vt, m)\n"), mask=f", {mask}")
    check_rule(ATTENTION_OF_JOINED_HEADS, given, LEFT, dims=SIZES, **CLOSE)


def test_heads_joined_to_another_shape():
    given = heads(("float[b,s,16] y", "float[n,16] y"), joined=np.int64([-1, 16]))
    check_rule(ATTENTION_OF_JOINED_HEADS, given, {**LEFT, "Reshape": 7}, dims=SIZES, **CLOSE)
    given = heads(("float[b,s,16] y", "float[b,s,2,8] y"), joined=np.int64([0, 0, 2, 8]))
    check_rule(ATTENTION_OF_JOINED_HEADS, given, {**LEFT, "Reshape": 7}, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("(qt, ", "(qn, ", "the query does not come from a split of heads alone (qn: "),
        (", kt, ", ", kn, ", "the key does not come from a split of heads alone (kn: "),
        (", vt)", ", vn)", "the value does not come from a split of heads alone (vn: "),
    ],
)
def test_heads_changed_after_they_are_parted(before, after, reason):
    name = after.strip("(, )")
    change = ("a = Attention", f"{name} = Neg({name[0]}t) a = Attention")
    check_miss(ATTENTION_OF_JOINED_HEADS, heads((before, after), change), reason)


def test_unknown_number_of_heads():
    given = heads(("float[b,s,12] q", "float[b,s,c] q"), q_heads=np.int64([0, 0, -1, 3]))
    check_miss(
        ATTENTION_OF_JOINED_HEADS, given, "the heads of the query and their size are not known"
    )


@pytest.mark.parametrize("mask", ["", ", float[b,1,s,m] m"])
def test_a_cache_keeps_its_four_axes(mask):
    given = heads(
        ("a = Attention<scale=0.4>(qt, kt, vt)", f"{CACHED} {'m' if mask else ''}, k0, v0)"),
        ("float[b,s,16] y", "float[b,s,16] y, float[b,2,m,3] nk, float[b,2,m,4] nv"),
        mask=f", float[b,2,n,3] k0, float[b,2,n,4] v0{mask}",
    )
    sizes = [{**dims, "n": 3, "m": dims["t"] + 3} for dims in SIZES]
    after = check_rule(ATTENTION_OF_JOINED_HEADS, given, LEFT, dims=sizes, **CLOSE)
    (node,) = [n for n in after.graph if n.op_type == "Attention"]
    assert [value.name for value in node.inputs[4:]] == ["k0", "v0"]
    assert [value.name for value in node.outputs[1:]] == ["nk", "nv"]
    check_shared(ATTENTION_OF_JOINED_HEADS, given, dims=sizes, **CLOSE)


CACHED = "a, nk, nv = Attention<scale=0.4>(qt, kt, vt,"


@pytest.mark.parametrize("read", ["a", "at"])
def test_heads_that_others_read_too(read):
    given = heads(
        ("float[b,s,16] y", "float[b,s,16] y, float[b,d,e,4] z"),
        ("y = Reshape", f"z = Neg({read}) y = Reshape"),
    )
    reason = "the heads, before they are joined, are also read by Neg"
    check_miss(ATTENTION_OF_JOINED_HEADS, given, reason)


def test_a_reshape_whose_shape_is_computed():
    given = heads(
        ("Reshape(at, joined)", "Reshape(at, to)"),
        ("float[b,s,16] y", "float[b,n,16] y"),
        mask=", int64[3] to",
    )
    check_miss(ATTENTION_OF_JOINED_HEADS, given, "what joins the heads is no plain Reshape")


def test_a_reshape_that_copies_other_dims():
    given = heads(("float[b,s,16] y", "float[b,s,4,4] y"), joined=np.int64([0, 0, 0, 0]))
    check_miss(ATTENTION_OF_JOINED_HEADS, given, "what joins the heads is no plain Reshape")


def test_a_reshape_that_keeps_the_heads_apart():
    given = heads(("float[b,s,16] y", "float[b,s,4,4] y"), joined=np.int64([0, 0, 0, -1]))
    check_miss(ATTENTION_OF_JOINED_HEADS, given, "what joins the heads is no plain Reshape")


# --- length before batch -------------------------------------------------------------------------


def length_first(*changes: tuple[str, str], **shapes: np.ndarray):
    """As PyTorch's MultiheadAttention has it: [length, batch, hidden]."""
    text = """g (float[s,b,12] q, float[t,b,12] k, float[t,b,12] v) => (float[s,b,12] y) {
        qf = Reshape(q, folded) qs = Transpose<perm=[1,0,2]>(qf) qt = Reshape(qs, parted)
        k4 = Reshape(k, heads) kt = Transpose<perm=[1,2,0,3]>(k4)
        v4 = Reshape(v, heads) vt = Transpose<perm=[1,2,0,3]>(v4)
        a = Attention(qt, kt, vt) at = Transpose<perm=[2,0,1,3]>(a) y = Reshape(at, joined) }"""
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    known = {
        "folded": np.int64([5, -1, 3]),
        "parted": np.int64([-1, 4, 5, 3]),
        "heads": np.int64([0, 0, 4, 3]),
        "joined": np.int64([0, 0, 12]),
    }
    return model(text.replace("[s,", "[5,"), **{**known, **shapes})


def test_length_before_batch():
    left = {"Reshape": 4, "Transpose": 4, "Attention": 1}
    given = length_first()
    check_rule(ATTENTION_OF_JOINED_HEADS, given, left, dims=SIZES, **CLOSE)
    check_shared(ATTENTION_OF_JOINED_HEADS, given, dims=SIZES, **CLOSE)


def test_length_before_batch_and_heads_apart():
    given = length_first(("float[s,b,12] q", "float[s,b,4,3] q"))
    left = {"Reshape": 5, "Transpose": 4, "Attention": 1}
    check_rule(ATTENTION_OF_JOINED_HEADS, given, left, dims=SIZES, **CLOSE)


def test_heads_that_are_folded_otherwise():
    given = length_first(parted=np.int64([4, -1, 5, 3]))
    reason = "the query does not come from a split of heads alone"
    check_miss(ATTENTION_OF_JOINED_HEADS, _with_batch_four(given), reason)


@pytest.mark.parametrize("back", ["parted", "to"])
def test_heads_that_are_folded_to_a_shape_that_is_not_known(back):
    change = ("Reshape(qs, parted)", f"Reshape(qs, {back})")
    given = length_first(
        ("Reshape(q, folded)", "Reshape(q, to)"), ("12] q", "12] q, int64[n] to"), change
    )
    reason = "the query does not come from a split of heads alone"
    check_miss(ATTENTION_OF_JOINED_HEADS, given, reason)


def _with_batch_four(given):
    """A batch of eight: [4, 8, ...] is not eight sequences of four heads."""
    for value in (*given.graph.inputs, *given.graph.outputs):
        value.shape = ir.Shape([8 if str(d) == "b" else d for d in value.shape])
    return given


def test_a_result_transposed_otherwise():
    given = length_first(
        ("perm=[2,0,1,3]>(a)", "perm=[0,1,3,2]>(a)"),
        ("y = Reshape(at, joined)", "n = Reshape(at, joined) y = Transpose<perm=[1,0,2]>(n)"),
        joined=np.int64([-1, 5, 12]),
    )
    check_miss(ATTENTION_OF_JOINED_HEADS, given, "the result is transposed by (0, 1, 3, 2)")


SIDE_BY_SIDE = {
    "heads": np.int64([0, 0, 4, 8]),
    "joined": np.int64([0, 0, 8]),
    "sizes": np.int64([3, 3, 2]),
    "last": np.int64([-1]),
    **{f"n{n}": np.int64([n]) for n in (0, 1, 2, 3, 4, 6, 8)},
}


@pytest.mark.parametrize(
    "cut",
    [
        "qt, kt, vt = Split<axis=-1>(pt, sizes)",
        "qt = Slice(pt, n0, n3, n3) kt = Slice(pt, n3, n6, n3) vt = Slice(pt, n6, n8, n3)",
        "qt = Slice(pt, n0, n3, last, n1) kt = Slice(pt, n3, n6, n3) vt = Slice(pt, n6, n8, n3)",
    ],
)
def test_parts_that_lie_side_by_side_in_each_head(cut):
    text = f"""g (float[b,s,32] p) => (float[b,s,8] y) {{
        p4 = Reshape(p, heads) pt = Transpose<perm=[0,2,1,3]>(p4) {cut}
        a = Attention(qt, kt, vt) at = Transpose<perm=[0,2,1,3]>(a) y = Reshape(at, joined) }}"""
    given = model(text, **SIDE_BY_SIDE)
    left = {"Reshape": 4, "Slice": 3, "Attention": 1}
    check_rule(ATTENTION_OF_JOINED_HEADS, given, left, dims=SIZES, **CLOSE)


@pytest.mark.parametrize("cut", ["Slice(pt, n0, n8, last, n4)", "Slice(pt, n0, n2, n2)"])
def test_other_pieces_of_heads(cut):
    """Every fourth element, and the first positions alone."""
    size = 2 if "last" in cut else 8
    text = f"""g (float[b,s,32] p) => (float[b,n,m] y) {{
        p4 = Reshape(p, heads) pt = Transpose<perm=[0,2,1,3]>(p4) qt = {cut}
        a = Attention(qt, qt, qt) at = Transpose<perm=[0,2,1,3]>(a) y = Reshape(at, joined) }}"""
    shapes = {**SIDE_BY_SIDE, "joined": np.int64([0, 0, 4 * size])}
    given = model(text, **shapes)
    reason = "the query does not come from a split of heads alone (qt: float[b, 4, "
    check_miss(ATTENTION_OF_JOINED_HEADS, given, reason)
