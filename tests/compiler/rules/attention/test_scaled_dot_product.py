"""Scaled dot product attention in every spelling."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.attention.scaled_dot_product import SCALED_DOT_PRODUCT
from tests.support.models import clone, model, normal, random_feeds
from tests.support.rules import apply, check_miss, check_rule, check_same, check_shared, counts
from tests.support.run import run_ort

CLOSE = {"atol": 5e-6, "rtol": 5e-6}
SIZES = [{"b": 3, "s": 5, "t": 4}, {"b": 1, "s": 1, "t": 6}, {"b": 2, "s": 3, "t": 1}]
LOWEST = np.finfo(np.float32).min
NUMBERS = {
    "half": np.float32(0.5),
    "one": np.float32(1),
    "two": np.float32([2]),
    "root": np.float32(0.5**0.5),
    "zero": np.float32(0),
    "inf": np.float32(-np.inf),
    "lowest": np.float32(LOWEST),
    "billion": np.float32([[-1e9]]),
    "small": np.float32(-5),
    "cap": np.float32(3),
    "tiny": np.float32(1e-9),
}
PLAIN = ("c = MatMul(q, kt)", "s0 = Mul(c, half)", "p = Softmax<axis=-1>(s0)", "y = MatMul(p, v)")


def attention(*lines: str, inputs: str = "", **weights: np.ndarray):
    """A model of q, k and v; `kt` is the key transposed, and y the result."""
    head = """g (float[b,2,s,4] q, float[b,2,t,4] k, float[b,2,t,3] v INPUTS) =>
        (float[b,2,s,3] y) { kt = Transpose<perm=[0,1,3,2]>(k) """
    text = head.replace("INPUTS", f", {inputs}" if inputs else "") + "\n".join(lines) + " }"
    return model(text, **{**NUMBERS, **weights})


def masked(*lines: str, inputs: str = "", **weights: np.ndarray):
    """A model whose scores `c` the lines mask, which gives `s0`."""
    first, _, softmax, last = PLAIN
    return attention(first, *lines, softmax, last, inputs=inputs, **weights)


def test_the_plain_form():
    given = attention(*PLAIN)
    after = check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1}, dims=SIZES, **CLOSE)
    (node,) = after.graph
    assert [v.name for v in node.inputs] == ["q", "k", "v"]
    assert not {"scale", "softcap", "softmax_precision"} & set(node.attributes), "the defaults"
    check_shared(SCALED_DOT_PRODUCT, given, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    "lines",
    [
        ("c = MatMul(q, kt)", "s0 = Div(c, two)"),
        ("c = MatMul(q, kt)", "s0 = Mul(half, c)"),
        ("qs = Mul(q, half)", "s0 = MatMul(qs, kt)"),
        ("qs = Div(q, two)", "s0 = MatMul(qs, kt)"),
        ("ks = Mul(kt, half)", "s0 = MatMul(q, ks)"),
        ("k2 = Mul(kt, half)", "ks = Mul(k2, one)", "s0 = MatMul(q, ks)"),
        ("qs = Mul(q, root)", "ks = Mul(root, kt)", "s0 = MatMul(qs, ks)"),
        ("qs = Div(q, root)", "c = MatMul(qs, kt)", "s0 = Mul(c, root)"),
        ("s0 = MatMul(q, kt)",),
        ("c = MatMul(q, kt)", "h = Expand(half, unit)", "s0 = Mul(c, h)"),
        (
            "c = MatMul(q, kt)",
            "h = ConstantOfShape<value = float[1] {0.5}>(unit)",
            "s0 = Mul(c, h)",
        ),
    ],
)
def test_every_place_of_the_scale(lines):
    given = attention(*lines, *PLAIN[2:], unit=np.int64([1, 1]))
    check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1}, dims=SIZES, **CLOSE)
    check_shared(SCALED_DOT_PRODUCT, given, dims=SIZES, **CLOSE)


LENGTHS = """g (float[b,2,s,4] q, float[b,2,t,4] k, float[b,2,u,3] v, float[s,w] m) =>
    (float[b,2,s,3] y) { kt = Transpose<perm=[0,1,3,2]>(k) c = MatMul(q, kt) s0 = MASK
    p = Softmax<axis=-1>(s0) y = MatMul(p, v) }"""


def test_as_many_weights_as_keys_are_as_many_as_values():
    given = model(LENGTHS.replace("MASK", "Mul(c, half)"), **NUMBERS)
    sizes = [{**dims, "u": dims["t"], "w": 1} for dims in SIZES]
    check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1}, dims=sizes, **CLOSE)


def test_a_mask_may_make_more_weights_than_there_are_keys():
    given = model(LENGTHS.replace("MASK", "Add(c, m)"))
    check_miss(SCALED_DOT_PRODUCT, given, "key and value differ in length (v: ")


FIRST = (*PLAIN[:3], "vt = Transpose<perm=[0,1,3,2]>(v)")


def test_values_that_are_multiplied_by_the_probabilities():
    # So do the convolutional attentions of diffusion models.
    lines = (*FIRST, "pt = Transpose<perm=[0,1,3,2]>(p)", "o = MatMul(vt, pt)")
    given = attention(*lines, "y = Transpose<perm=[0,1,3,2]>(o)")
    expected = {"Attention": 1, "Transpose": 2}
    check_rule(SCALED_DOT_PRODUCT, given, expected, dims=SIZES, **CLOSE)
    check_shared(SCALED_DOT_PRODUCT, given, dims=SIZES, **CLOSE)


def test_attention_sinks_are_named():
    text = """g (float[b,2,s,4] q, float[b,2,4,t] k, float[b,2,t,3] v, float[b,2,s,1] sink) =>
        (float[b,2,s,3] y) { c = MatMul(q, k) j = Concat<axis = -1>(c, sink)
        p = Softmax<axis=-1>(j) w = Slice(p, start, end, axis) y = MatMul(w, v) }"""
    given = model(text, start=np.array([0]), end=np.array([-1]), axis=np.array([3]))
    why = "some probabilities are dropped after the softmax, as with attention sinks"
    check_miss(SCALED_DOT_PRODUCT, given, why)


def test_probabilities_of_other_axes_weight_no_values():
    text = """g (float[b,4,4] q, float[b,4,4] k, float[4,b,4] v) => (float[4,4,4] y) {
        s = MatMul(q, k) p = Softmax<axis=-1>(s) pt = Transpose<perm=[1,0,2]>(p)
        vt = Transpose<perm=[0,2,1]>(v) y = MatMul(vt, pt) }"""
    why = "the probabilities are transposed by (1, 0, 2)"
    check_miss(SCALED_DOT_PRODUCT, model(text), why)


def test_a_negative_scale_goes_to_the_query():
    given = attention("c = MatMul(q, kt)", "s0 = Mul(c, small)", *PLAIN[2:])
    check_rule(SCALED_DOT_PRODUCT, given, {"Mul": 1, "Attention": 1}, dims=SIZES, **CLOSE)


def test_a_scale_for_each_head():
    given = attention(*PLAIN, half=normal(2, 1, 1))
    check_rule(SCALED_DOT_PRODUCT, given, {"Mul": 1, "Attention": 1}, dims=SIZES, **CLOSE)


@pytest.mark.parametrize("scaled", ["Mul(c, f)", "Mul(f, c)"])
def test_a_scale_for_each_query(scaled):
    given = attention(PLAIN[0], f"s0 = {scaled}", *PLAIN[2:], inputs="float[b,2,s,1] f")
    left = {"Mul": 1, "Attention": 1}
    check_rule(SCALED_DOT_PRODUCT, given, left, dims=SIZES, **CLOSE)


def test_a_scaled_value():
    given = attention(*PLAIN[:3], "w = Mul(v, cap)", "y = MatMul(p, w)")
    check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1, "Mul": 1}, dims=SIZES, **CLOSE)


def test_the_axis_counted_from_the_front_and_no_number_of_it():
    given = attention(*PLAIN[:2], "p = Softmax<axis=3>(s0)", PLAIN[3])
    check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1}, dims=SIZES, **CLOSE)
    given = attention(*PLAIN[:2], "p = Softmax(s0)", PLAIN[3])
    check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1}, dims=SIZES, **CLOSE)


def test_soft_capped_scores():
    lines = ("d = Div(c, cap)", "e = Tanh(d)", "f = Mul(e, cap)")
    given = masked(*lines, "s0 = Add(f, m)", inputs="float[b,1,s,t] m")
    check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1}, dims=SIZES, **CLOSE)
    check_shared(SCALED_DOT_PRODUCT, given, dims=SIZES, **CLOSE)
    given = masked("h = Mul(c, half)", "d = Div(h, cap)", "e = Tanh(d)", "s0 = Mul(cap, e)")
    check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1}, dims=SIZES, **CLOSE)


# --- masks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "left"),
    [
        ("[b,2,s,t]", {}),
        ("[b,1,s,t]", {}),
        ("[1,2,s,t]", {}),
        ("[1,1,s,t]", {}),
        ("[2,s,t]", {}),
        ("[s,t]", {}),
        ("[b,1,1,t]", {"Shape": 2, "Concat": 1, "Expand": 1}),
        ("[2,s,1]", {"Shape": 2, "Concat": 1, "Expand": 1}),
        ("[t]", {"Shape": 2, "Concat": 1, "Expand": 1}),
    ],
)
@pytest.mark.parametrize("add", ["Add(c, m)", "Add(m, c)"])
def test_additive_masks(mask, left, add):
    given = masked(f"s0 = {add}", inputs=f"float{mask} m")
    check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1, **left}, dims=SIZES, **CLOSE)
    check_shared(SCALED_DOT_PRODUCT, given, dims=SIZES, **CLOSE)


def test_a_mask_whose_length_is_computed():
    """Only that the probabilities meet the values says that it has a column for each key."""
    lines = ("n = Compress<axis=1>(o, keep)", "s0 = Add(c, n)")
    given = masked(*lines, inputs="float[s,u] o, bool[u] keep")
    left = {"Compress": 1, "Shape": 2, "Concat": 1, "Expand": 1, "Attention": 1}
    after = clone(given)
    apply(SCALED_DOT_PRODUCT, after)
    assert counts(after) == left
    feeds = random_feeds(given, {"b": 2, "s": 3, "t": 4, "u": 6})
    feeds["keep"] = np.array([1, 0, 1, 1, 0, 1], bool)
    for wanted, got in zip(run_ort(given, feeds), run_ort(after, feeds), strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_a_mask_that_is_subtracted():
    given = masked("s0 = Sub(c, m)", inputs="float[b,1,s,t] m")
    check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1, "Mul": 1}, dims=SIZES, **CLOSE)


def test_masks_in_a_row_and_a_scale_after_them():
    lines = ("d = Add(c, m)", "e = Add(bias, d)", "s0 = Mul(e, half)")
    given = masked(*lines, inputs="float[b,1,s,t] m, float[2,s,t] bias")
    left = {"Attention": 1, "Mul": 2, "Add": 1}
    check_rule(SCALED_DOT_PRODUCT, given, left, dims=SIZES, **CLOSE)


def test_boolean_masks_stay_boolean_where_they_hide_by_infinity():
    see = "n = Not(z) m = Or(n, first)"
    inputs = "bool[b,1,s,t] z, bool[s,t] first"
    for line in ("s0 = Where(m, c, inf)", "h = Not(m) s0 = Where(h, inf, c)"):
        # A query that sees no key has NaN before, zeros after.
        given = masked(see, line, inputs=inputs)
        left = {"Attention": 1, "Not": 1, "Or": 1}
        left = left if "h =" not in line else {**left, "Not": 3}
        sizes = {"b": 2, "s": 3, "t": 40}
        after = check_rule(SCALED_DOT_PRODUCT, given, left, dims=sizes, **CLOSE)
        assert "BOOL" in str(after.graph[-1].inputs[3].dtype)


@pytest.mark.parametrize("low", ["lowest", "billion"])
@pytest.mark.parametrize("where", ["Where(m, c, LOW)", "Where(m, LOW, c)"])
@pytest.mark.parametrize("mask", ["[b,1,s,t]", "[t]"])
def test_finite_masks_give_the_mean_to_a_query_that_sees_no_key(low, where, mask):
    given = masked(f"s0 = {where.replace('LOW', low)}", inputs=f"bool{mask} m")
    left = {"Attention": 1, "Where": 1}
    if mask == "[t]":
        left |= {"Shape": 2, "Concat": 1, "Expand": 1}
    sizes = [*SIZES, {"b": 40, "s": 2, "t": 2}]
    check_rule(SCALED_DOT_PRODUCT, given, left, dims=sizes, **CLOSE)


def test_a_mask_of_infinity_and_a_finite_one_after_it():
    """A query that the second hides all keys from gets the mean of all values."""
    lines = ("m = Or(z, first) s1 = Where(m, c, inf)", "s0 = Where(n, s1, lowest)")
    given = masked(*lines, inputs="bool[b,1,s,t] z, bool[s,t] first, bool[b,1,s,1] n")
    after = clone(given)
    apply(SCALED_DOT_PRODUCT, after)
    assert counts(after)["Attention"] == 1
    check_same(given, after, dims={"b": 2, "s": 8, "t": 40}, **CLOSE)


def test_heads_whose_size_is_not_known():
    given = attention(*PLAIN)
    for value in given.graph.inputs[:2]:
        value.shape = ir.Shape([*list(value.shape)[:3], "d"])
    sizes = [{**dims, "d": 3} for dims in SIZES]
    check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1}, dims=sizes, **CLOSE)


def test_a_finite_additive_mask_made_of_a_boolean_one():
    given = masked("w = Where(m, zero, lowest)", "s0 = Add(c, w)", inputs="bool[b,1,s,t] m")
    left = {"Attention": 1, "Where": 1}
    sizes = [*SIZES, {"b": 40, "s": 2, "t": 2}]
    after = check_rule(SCALED_DOT_PRODUCT, given, left, dims=sizes, **CLOSE)
    fill = after.graph[0].inputs[2].const_value.numpy()
    assert fill > LOWEST, "ONNX Runtime's Attention treats the lowest float as minus infinity"


def test_a_finite_additive_mask_made_of_zeros_and_ones():
    lines = ("f = Cast<to=1>(m)", "g0 = Mul(f, lowest)", "u = Unsqueeze(g0, axes)")
    given = masked(*lines, "s0 = Add(c, u)", inputs="bool[b,s,t] m", axes=np.int64([1]))
    left = {"Attention": 1, "Cast": 1, "Mul": 1, "Unsqueeze": 1}
    sizes = [*SIZES, {"b": 40, "s": 2, "t": 2}]
    check_rule(SCALED_DOT_PRODUCT, given, left, dims=sizes, **CLOSE)


@pytest.mark.parametrize("clamp", ["Max(d, lowest)", "Max(lowest, d)", "Clip(d, lowest)"])
def test_scores_that_are_kept_above_the_lowest_number(clamp):
    lines = ("w = Where(m, zero, lowest)", "d = Add(c, w)", f"s0 = {clamp}")
    given = masked(*lines, inputs="bool[b,1,s,t] m")
    left = {"Attention": 1, "Where": 1, "Max": 1}
    check_rule(SCALED_DOT_PRODUCT, given, left, dims=SIZES, **CLOSE)
    if "Clip" in clamp:
        next(node for node in given.graph if node.op_type == "Clip").resize_inputs(3)
        check_rule(SCALED_DOT_PRODUCT, given, left, dims=SIZES, **CLOSE)


def test_a_bias_then_a_choice():
    lines = ("d = Add(c, bias)", "s0 = Where(m, d, billion)")
    given = masked(*lines, inputs="bool[b,1,s,t] m, float[2,s,t] bias")
    check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1, "Where": 1}, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    "lines",
    [
        ("n = IsNaN(p)", "g0 = Where(n, zero, p)", "y = MatMul(g0, v)"),
        ("o = Cast<to=1>(p)", "n = IsNaN(o)", "g0 = Where(n, zero, o)", "y = MatMul(g0, v)"),
    ],
)
def test_the_guard_against_queries_that_see_no_key(lines):
    first, _, softmax, _ = PLAIN
    given = attention(first, "s0 = Where(m, c, inf)", softmax, *lines, inputs="bool[b,1,s,t] m")
    sizes = [*SIZES, {"b": 40, "s": 2, "t": 2}]
    check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1}, dims=sizes, **CLOSE)


# --- other axes ----------------------------------------------------------------------------------


BATCHED = """g (float[b,2,s,4] q, float[b,2,t,4] k, float[b,2,t,3] v, float[b,1,s,t] m) =>
    (float[n,s,3] y) {
    qf = Reshape(q, q_shape) kf = Reshape(k, q_shape) vf = Reshape(v, v_shape)
    kt = Transpose<perm=[0,2,1]>(kf) c = MatMul(qf, kt) c4 = Reshape(c, c_shape) d = Add(c4, m)
    e = Reshape(d, e_shape) p = Softmax(e) y = MatMul(p, vf) }"""


def test_heads_folded_into_the_batch():
    """As BART, OPT and Whisper spell it: [batch * heads, length, size]."""
    text = BATCHED
    for name, size in (("b", 2), ("s", 5), ("t", 6)):
        text = text.replace(f"[{name},", f"[{size},").replace(f",{name},", f",{size},")
        text = text.replace(f",{name}]", f",{size}]")
    given = model(
        text.replace("[n,", "[4,"),
        q_shape=np.int64([4, -1, 4]),
        v_shape=np.int64([4, -1, 3]),
        c_shape=np.int64([2, 2, 5, 6]),
        e_shape=np.int64([4, 5, 6]),
    )
    check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1, "Reshape": 1}, **CLOSE)
    check_shared(SCALED_DOT_PRODUCT, given, **CLOSE)


def test_a_softmax_and_a_mask_where_heads_are_not_folded():
    """As DeBERTa spells it, with a bias where they are."""
    text = """g (float[2,3,5,4] q, float[2,3,6,4] k, float[2,3,6,3] v,
        bool[2,1,5,6] m, float[6,5,6] b) => (float[6,5,3] y) {
        qf = Reshape(q, fold) kf = Reshape(k, fold_key) vf = Reshape(v, fold_value)
        kt = Transpose<perm=[0,2,1]>(kf) c = MatMul(qf, kt) d = Add(c, b) e = Reshape(d, apart)
        f = Where(m, e, lowest) p = Softmax(f) g0 = Reshape(p, SHAPE) y = MatMul(g0, vf) }"""
    shapes = {
        "fold": np.int64([6, 5, 4]),
        "fold_key": np.int64([6, 6, 4]),
        "fold_value": np.int64([6, 6, 3]),
        "apart": np.int64([2, 3, 5, 6]),
        "together": np.int64([6, 5, 6]),
        "swapped": np.int64([5, 6, 6]),
    }
    given = model(text.replace("SHAPE", "together"), **shapes, **NUMBERS)
    left = {"Shape": 2, "Concat": 1, "Reshape": 2, "Where": 1, "Attention": 1}
    check_rule(SCALED_DOT_PRODUCT, given, left, **CLOSE)
    check_shared(SCALED_DOT_PRODUCT, given, **CLOSE)
    text = text.replace("SHAPE", "swapped").replace("float[6,5,3] y", "float[5,6,3] y")
    text = text.replace("vf = Reshape(v, fold_value)", "vf = Reshape(v, other)")
    text = text.replace("float[2,3,6,3] v", "float[5,6,3] v")
    given = model(text, other=np.int64([5, 6, 3]), **shapes, **NUMBERS)
    reason = "the probabilities are reshaped to other rows and columns"
    check_miss(SCALED_DOT_PRODUCT, given, reason)


@pytest.mark.parametrize("rows", ["1", "s"])
def test_three_axes_are_one_head(rows):
    text = f"""g (float[b,s,4] q, float[b,t,4] k, float[b,t,3] v, float[b,{rows},t] m) =>
        (float[b,s,3] y) {{
        kt = Transpose<perm=[0,2,1]>(k) c = MatMul(q, kt) d = Add(c, m) p = Softmax(d)
        y = MatMul(p, v) }}"""
    filled = {"Shape": 2, "Concat": 1, "Expand": 1} if rows == "1" else {}
    left = {"Unsqueeze": 4, "Attention": 1, "Squeeze": 1, **filled}
    check_rule(SCALED_DOT_PRODUCT, model(text), left, dims=SIZES, **CLOSE)


def test_two_axes_are_one_head_of_one():
    text = """g (float[s,4] q, float[t,4] k, float[t,3] v) => (float[s,3] y) {
        kt = Transpose<perm=[1,0]>(k) c = MatMul(q, kt) p = Softmax(c) y = MatMul(p, v) }"""
    left = {"Unsqueeze": 3, "Attention": 1, "Squeeze": 1}
    check_rule(SCALED_DOT_PRODUCT, model(text), left, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(("batch", "outer"), [(2, (1, 3, 1)), (1, (1, 3, 1)), (2, (1, 1, 1))])
def test_masks_of_windows(batch, outer):
    """As Swin spells it: the windows of an image are one axis of the batch, for a while."""
    n = 3 * batch
    text = f"""g (float[{n},2,5,4] q, float[{n},2,5,4] k, float[{n},2,5,3] v) =>
        (float[{n},2,5,3] y) {{
        kt = Transpose<perm=[0,1,3,2]>(k) c = MatMul(q, kt) d = Add(c, bias)
        w = Reshape(d, windows) e = Add(w, mask) f = Reshape(e, back) p = Softmax(f)
        y = MatMul(p, v) }}"""
    given = model(
        text,
        bias=normal(1, 2, 5, 5),
        windows=np.int64([batch, 3, 2, 5, 5]),
        mask=normal(*outer, 5, 5, seed=1),
        back=np.int64([-1, 2, 5, 5]),
    )
    tiled = {"Shape": 1, "Div": 1, "Concat": 1, "Expand": 1, "Reshape": 1}
    left = {"Attention": 1, "Add": 1, **(tiled if outer[1] > 1 else {"Squeeze": 1})}
    check_rule(SCALED_DOT_PRODUCT, given, left, **CLOSE)


def test_a_key_transposed_with_its_heads():
    text = """g (float[b,2,s,4] q, float[b,t,2,4] k, float[b,2,t,3] v) => (float[b,2,s,3] y) {
        kt = Transpose<perm=[0,2,3,1]>(k) c = MatMul(q, kt) p = Softmax(c) y = MatMul(p, v) }"""
    left = {"Transpose": 1, "Attention": 1}
    after = check_rule(SCALED_DOT_PRODUCT, model(text), left, dims=SIZES, **CLOSE)
    assert after.graph[0].attributes["perm"].as_ints() == (0, 2, 1, 3)


def test_a_key_transposed_with_its_heads_folded():
    text = """g (float[2,3,s,4] q, float[2,3,6,4] k, float[2,3,6,3] v) => (float[2,3,s,3] y) {
        kf = Reshape(k, fold) kg = Transpose<perm=[0,2,1]>(kf) kt = Reshape(kg, back)
        c = MatMul(q, kt) p = Softmax(c) y = MatMul(p, v) }"""
    given = model(text, fold=np.int64([-1, 6, 4]), back=np.int64([2, 3, 4, 6]))
    check_rule(SCALED_DOT_PRODUCT, given, {"Attention": 1}, dims=SIZES, **CLOSE)


def test_a_key_that_is_stored_transposed():
    text = """g (float[b,2,s,4] q, float[b,2,4,t] kt, float[b,2,t,3] v) => (float[b,2,s,3] y) {
        c = MatMul(q, kt) p = Softmax(c) y = MatMul(p, v) }"""
    left = {"Transpose": 1, "Attention": 1}
    check_rule(SCALED_DOT_PRODUCT, model(text), left, dims=SIZES, **CLOSE)


# --- dtypes --------------------------------------------------------------------------------------


def test_half_precision_with_a_softmax_in_single():
    text = """g (float16[b,2,s,4] q, float16[b,2,t,4] k, float16[b,2,t,3] v, float16[b,1,s,t] m) =>
        (float16[b,2,s,3] y) {
        kt = Transpose<perm=[0,1,3,2]>(k) c = MatMul(q, kt) d = Add(c, m) e = Cast<to=1>(d)
        p = Softmax(e) h = Cast<to=10>(p) y = MatMul(h, v) }"""
    after = check_rule(
        SCALED_DOT_PRODUCT, model(text), {"Attention": 1}, dims=SIZES, atol=1e-2, rtol=1e-2
    )
    assert after.graph[0].attributes["softmax_precision"].as_int() == 1


# --- near misses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "inputs", "reason"),
    [
        (("s0 = Mul(c, m)",), "float[t] m", "the scale of the scores differs from key to key (m"),
        (("s0 = Div(c, m)",), "float[1] m", "the scores are divided by what is computed (m"),
        (("s0 = Mul(c, zero)",), "", "the scores are multiplied or divided by zero (zero"),
        (("s0 = Neg(c)",), "", "the scores come from Neg, not from query times key (s0"),
        (("s0 = Identity(m)",), "float[b,2,s,t] m", "the scores come from Identity"),
        (
            ("s0 = Where(m, c, small)",),
            "bool[s,t] m",
            "masked scores become -5, which is no large negative number (small",
        ),
        (("s0 = Where(m, c, o)",), "bool[s,t] m, float[s,t] o", "masked scores become what is"),
        (
            ("d = Where(m, c, lowest)", "s0 = Mul(d, small)"),
            "bool[s,t] m",
            "masked scores become 1.70141e+39, which is no large negative number (lowest",
        ),
        (
            ("d = Where(m, c, billion)", "s0 = Mul(d, tiny)"),
            "bool[s,t] m",
            "masked scores become -1, which is no large negative number (billion",
        ),
        (
            ("d = Max(c, lowest)", "s0 = Mul(d, small)"),
            "",
            "the scores are bounded by no large negative number (lowest",
        ),
        (
            ("d = Max(c, lowest)", "e = Tanh(d)", "s0 = Mul(e, cap)"),
            "",
            "a mask is added before the soft cap (lowest",
        ),
        (("s0 = Max(c, small)",), "", "the scores are bounded by no large negative number (small"),
        (("s0 = Clip(c, lowest, cap)",), "", "the scores are bounded from above (cap"),
        (("s0 = Max(c, lowest, m)",), "float[s,t] m", "Max of the scores has 3 operands"),
        (
            ("d = Add(c, m)", "e = Tanh(d)", "s0 = Mul(e, cap)"),
            "float[s,t] m",
            "a mask is added before the soft cap (m",
        ),
        (
            ("d = Tanh(c)", "e = Tanh(d)", "s0 = Mul(e, cap)"),
            "",
            "the scores are bounded by tanh twice",
        ),
        (
            ("d = Tanh(c)", "s0 = Mul(d, small)"),
            "",
            "the tanh of the scores is multiplied by no positive number",
        ),
        (
            ("d = Tanh(c)", "s0 = Mul(d, m)"),
            "float[s,1] m",
            "the soft-capped scores are scaled row by row",
        ),
        (
            ("d = Add(c, m)", "s0 = Mul(d, o)"),
            "float[s,t] m, float[s,1] o",
            "the mask is scaled together with the scores, row by row (m",
        ),
    ],
)
def test_scores_of_another_kind(lines, inputs, reason):
    check_miss(SCALED_DOT_PRODUCT, masked(*lines, inputs=inputs), reason)


def test_probabilities_that_are_read():
    given = attention(
        *PLAIN[:3], "o = Neg(p)", "w = MatMul(o, v)", "u = MatMul(p, v)", "y = Add(u, w)"
    )
    check_miss(SCALED_DOT_PRODUCT, given, "a value in between is also read by")
    given = attention(*PLAIN, "o = Neg(s0)", "z = Sqrt(o)")
    check_miss(SCALED_DOT_PRODUCT, given, "the scores are also read by")


def test_a_softmax_over_queries():
    given = attention(*PLAIN[:2], "p = Softmax<axis=2>(s0)", PLAIN[3])
    check_miss(SCALED_DOT_PRODUCT, given, "the softmax is not over the keys (s0")


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (
            "float[b,2,t,4] k",
            "float[1,2,t,4] k",
            "the key is not known to have the batch of the query (k",
        ),
        (
            "float[b,2,t,3] v",
            "float[1,2,t,3] v",
            "the value is not known to have the batch of the query (v",
        ),
        ("float[b,2,t,3] v", "float[b,1,t,3] v", "key and value differ in their number of heads"),
        ("float[b,2,t,3] v", "float[2,t,3] v", "query, key and value differ in their number of"),
    ],
)
def test_operands_that_broadcast(before, after, reason):
    text = """g (float[b,2,s,4] q, float[b,2,t,4] k, float[b,2,t,3] v) => (float[b,2,s,3] y) {
        kt = Transpose<perm=[0,1,3,2]>(k) c = MatMul(q, kt) p = Softmax(c) y = MatMul(p, v) }"""
    check_miss(SCALED_DOT_PRODUCT, model(text.replace(before, after)), reason)


def test_double_precision():
    text = """g (double[b,2,s,4] q, double[b,2,t,4] k, double[b,2,t,3] v) => (double[b,2,s,3] y) {
        kt = Transpose<perm=[0,1,3,2]>(k) c = MatMul(q, kt) p = Softmax(c) y = MatMul(p, v) }"""
    check_miss(SCALED_DOT_PRODUCT, model(text), "there is no attention kernel of its dtype (q")


def test_a_router_is_no_attention():
    text = """g (float[s,4] q, float[t,3] v) => (float[s,3] y) {
        c = MatMul(q, w) p = Softmax(c) y = MatMul(p, e) }"""
    given = model(text.replace(", float[t,3] v", ""), w=normal(4, 6), e=normal(6, 3))
    check_miss(
        SCALED_DOT_PRODUCT, given, "the key is a weight: this is a linear layer and a softmax"
    )


@pytest.mark.parametrize("query", ["0,2,3,4", "1,2,0,4"])
def test_what_is_empty_is_no_attention(query):
    batch = query.split(",")[0]
    text = f"""g (float[{query}] q, float[{batch},2,t,4] k, float[{batch},2,t,3] v) =>
        (float[{query[:-1]}3] y) {{
        kt = Transpose<perm=[0,1,3,2]>(k) c = MatMul(q, kt) p = Softmax(c) y = MatMul(p, v) }}"""
    check_miss(SCALED_DOT_PRODUCT, model(text), "an operand is empty")
