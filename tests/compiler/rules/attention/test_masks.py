"""Masks of an attention that is spelled out: what they are made of, and several in a row."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.attention.scaled_dot_product import SCALED_DOT_PRODUCT
from tests.support.models import model, normal
from tests.support.rules import apply, check_miss, check_rule

CLOSE = {"atol": 5e-6, "rtol": 5e-6}
LOWEST = np.finfo(np.float32).min
HIDES_ALL = np.tri(4, 5, dtype=bool) & (np.arange(4) != 2)[:, None]
"""The third of four queries sees no key."""
NUMBERS = {
    "zero": np.float32(0),
    "inf": np.float32(-np.inf),
    "lowest": np.float32(LOWEST),
    "m": HIDES_ALL,
    "n": HIDES_ALL[:, None],
    "o": HIDES_ALL[None, None],
    "hidden": ~HIDES_ALL,
    "highest": np.float32(-LOWEST),
    "s00": np.int64([0, 0]),
    "s44": np.int64([4, 5]),
    "s11": np.int64([1, 1]),
    "turned": np.ascontiguousarray(HIDES_ALL.T),
    "wide": np.concatenate([HIDES_ALL, ~HIDES_ALL]),
    "d0": np.int64([0]),
    "d1": np.int64([1]),
    "d4": np.int64([4]),
    "rows": np.int64([0, 1, 2, 3]),
    "flat": np.int64([4, 5]),
    "shape": np.int64([1, 1, 4, 5]),
    "bias": normal(4, 5, seed=3),
}


def masked(*lines: str, **weights: np.ndarray):
    """An attention whose scores `c` the lines mask, which gives `s`."""
    text = """g (float[b,2,4,3] q, float[b,2,3,5] k, float[b,2,5,3] v) => (float[b,2,4,3] y) {
        c = MatMul(q, k) LINES p = Softmax<axis=-1>(s) y = MatMul(p, v) }"""
    return model(text.replace("LINES", " ".join(lines)), **{**NUMBERS, **weights})


def filled(mask: str, to: str = "w") -> str:
    return f"{to} = Where({mask}, zero, lowest)"


@pytest.mark.parametrize(
    "lines",
    [
        (filled("n"), "x = Reshape(w, flat)"),
        (filled("m"), "x = Expand(w, shape)"),
        (filled("m"), "x = Unsqueeze(w, d0)"),
        (filled("n"), "x = Squeeze(w, d1)"),
        (filled("turned"), "x = Transpose<perm=[1,0]>(w)"),
        (filled("wide"), "x = Slice(w, d0, d4, d0)"),
        (filled("wide"), "x = Slice(w, s00, s44, , s11)"),
        (filled("wide"), "x = Gather(w, rows)"),
        ("f = Cast<to=1>(hidden)", "x = Mul(f, lowest)"),
        ("f = Cast<to=1>(hidden)", "x = Mul(lowest, f)"),
        ("f = Cast<to=1>(m)", "g = Mul(f, lowest)", "x = Sub(g, lowest)"),
        ("f = Cast<to=1>(m)", "g = Mul(f, highest)", "x = Add(g, lowest)"),
        (filled("m"), "x = Add(w, bias)"),
        (filled("m"), "x = Add(bias, w)"),
        (filled("m"), "x = Sub(w, bias)"),
    ],
    ids=lambda lines: lines[-1],
)
def test_a_query_that_sees_no_key_gets_the_mean(lines):
    given = masked(*lines, "s = Add(c, x)")
    after = check_rule(SCALED_DOT_PRODUCT, given, _made(lines), dims=[{"b": 2}], **CLOSE)
    held = [v.const_value.numpy() for v in after.graph.initializers.values() if v.uses()]
    assert not any(np.any(array == LOWEST) for array in held)


def _made(lines):
    found: dict[str, int] = {"Attention": 1, "Transpose": 1}
    for line in " ".join(lines).split(" = ")[1:]:
        name = line.split("(")[0].split("<")[0]
        found[name] = found.get(name, 0) + 1
    return found


def test_several_boolean_masks_show_what_all_of_them_do():
    diagonal = np.eye(4, 5, dtype=bool)
    first, second = (normal(4, 5, seed=seed) > 0 for seed in (1, 2))
    given = masked("w = Where(f, c, inf)", "s = Where(h, w, inf)", f=first | diagonal,
        h=second | diagonal)  # fmt: skip
    left = {"And": 1, "Transpose": 1, "Attention": 1}
    check_rule(SCALED_DOT_PRODUCT, given, left, dims=[{"b": 2}], **CLOSE)


def test_a_mask_in_single_precision_of_scores_in_half():
    text = """g (float16[b,2,4,3] q, float16[b,2,3,5] k, float16[b,2,5,3] v, float[4,5] z) =>
        (float16[b,2,4,3] y) { c = MatMul(q, k) e = Cast<to=1>(c) s = Add(e, z)
        p = Softmax<axis=-1>(s) h = Cast<to=10>(p) y = MatMul(h, v) }"""
    left = {"Cast": 1, "Transpose": 1, "Attention": 1}
    half = {"atol": 1e-2, "rtol": 1e-2}
    check_rule(SCALED_DOT_PRODUCT, model(text), left, dims=[{"b": 2}], **half)


@pytest.mark.parametrize(("low", "is_low"), [(-1000.0, True), (-999.0, False)])
def test_how_low_a_score_is_that_hides_a_key(low, is_low):
    given = masked("s = Where(m, c, low)", low=np.float32(low))
    if is_low:
        left = {"Where": 1, "Transpose": 1, "Attention": 1}
        check_rule(SCALED_DOT_PRODUCT, given, left, dims=[{"b": 2}], **CLOSE)
    else:
        check_miss(SCALED_DOT_PRODUCT, given, "-999, which is no large negative number (low")
    given = masked("s = Max(c, low)", low=np.float32(low))
    if is_low:
        check_rule(SCALED_DOT_PRODUCT, given, _made([]), dims=[{"b": 2}], **CLOSE)
    else:
        check_miss(SCALED_DOT_PRODUCT, given, "no large negative number (low")


@pytest.mark.parametrize(
    ("dtype", "low"), [("float", -1e30), ("float16", -6e4), ("bfloat16", -1e30)]
)
def test_what_scores_become_that_are_hidden(dtype, low):
    """So low that what is added to it is lost, and not the lowest number."""
    text = f"""g ({dtype}[b,2,4,3] q, {dtype}[b,2,3,5] k, {dtype}[b,2,5,3] v, bool[4,5] m) =>
        ({dtype}[b,2,4,3] y) {{ c = MatMul(q, k) s = Where(m, c, fill)
        p = Softmax<axis=-1>(s) y = MatMul(p, v) }}"""
    number = ir.DataType[dtype.upper()].numpy()
    given = model(text, fill=np.array(-3e4, number))
    apply(SCALED_DOT_PRODUCT, given)
    (where,) = (node for node in given.graph if node.op_type == "Where")
    held = where.inputs[2].const_value.numpy()
    assert held.tolist() == np.array(low, number).tolist()
