"""Attention of opset 23 in every form, written in older operators."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.lower.attention import ATTENTION
from tests.support.models import clone, model, normal
from tests.support.rules import apply, check_miss, check_neighbours, check_rule, check_same, counts
from tests.support.run import run_ort

NOISE = {"atol": 1e-5, "rtol": 1e-4}
SIZES = [
    {"b": 2, "s": 4, "t": 5, "d": 6, "e": 6},
    {"b": 1, "s": 1, "t": 3, "d": 3, "e": 3},
    {"b": 3, "s": 3, "t": 3, "d": 9, "e": 9},
]
Q, K, V = "float[b,3,s,8] q", "float[b,3,t,8] k", "float[b,3,t,6] v"
Y = "float[b,3,s,6] y"
FLAT = ("float[b,s,24] q", "float[b,t,24] k", "float[b,t,18] v", "float[b,s,18] y")
FLAT_HEADS = "q_num_heads = 3, kv_num_heads = 3"


def attention(
    q: str = Q, k: str = K, v: str = V, y: str = Y, *, more: str = "", names: str = "",
    attributes: str = "", results: str = "", outputs: str = "", **weights: np.ndarray,
) -> ir.Model:  # fmt: skip
    shown = f"<{attributes}>" if attributes else ""
    return model(
        f"g ({q}, {k}, {v}{more}) => ({y}{results}) {{"
        f" y{outputs} = Attention{shown}(q, k, v{names}) }}",
        **weights,
    )


BASE = {"Mul": 1, "Transpose": 1, "MatMul": 2, "Softmax": 1}
GUARD = {"ReduceMax": 1, "Greater": 1, "Where": 1, "CastLike": 1}
RANGES = {"Shape": 2, "Squeeze": 2, "Range": 2, "Unsqueeze": 1, "GreaterOrEqual": 1}


def total(*tables: dict[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for table in tables:
        for name, count in table.items():
            found[name] = found.get(name, 0) + count
    return found


CASES: dict[str, tuple[ir.Model, dict[str, int]]] = {
    "plain": (attention(), BASE),
    "scale": (attention(attributes="scale = 0.3"), BASE),
    "softcap": (
        attention(attributes="softcap = 2.0"),
        total(BASE, {"Tanh": 1, "Div": 1, "Mul": 1}),
    ),
    "softmax in double": (
        attention(attributes="softmax_precision = 11"),
        total(BASE, {"Cast": 2}),
    ),
    "float mask": (
        attention(more=", float[b,1,s,t] m", names=", m"),
        total(BASE, {"Add": 1}, GUARD),
    ),
    "boolean mask": (
        attention(more=", bool[s,t] m", names=", m"),
        total(BASE, {"Add": 1, "Where": 1}, GUARD),
    ),
    "mask per head": (
        attention(more=", float[3,s,t] m", names=", m"),
        total(BASE, {"Add": 1}, GUARD),
    ),
    "causal": (
        attention(attributes="is_causal = 1"),
        total(BASE, {"Add": 1, "Where": 1}, RANGES),
    ),
    "causal and boolean mask": (
        attention(attributes="is_causal = 1", more=", bool[b,1,s,t] m", names=", m"),
        total(BASE, {"Add": 1, "Where": 1, "And": 1}, RANGES, GUARD),
    ),
    "causal and float mask": (
        attention(attributes="is_causal = 1", more=", float[b,1,s,t] m", names=", m"),
        total(BASE, {"Add": 2, "Where": 1}, RANGES, GUARD),
    ),
    "flat": (
        attention(*FLAT, attributes=FLAT_HEADS),
        total(BASE, {"Reshape": 4, "Transpose": 4}),
    ),
    "flat and causal": (
        attention(*FLAT, attributes=f"{FLAT_HEADS}, is_causal = 1"),
        total(BASE, {"Reshape": 4, "Transpose": 4, "Add": 1, "Where": 1}, RANGES),
    ),
    "flat, values of unknown width": (
        attention(*FLAT[:2], "float[b,t,d] v", "float[b,s,e] y", attributes=FLAT_HEADS),
        total(BASE, {"Reshape": 4, "Transpose": 4}),
    ),
    "heads of unknown width": (
        attention("float[b,3,s,d] q", "float[b,3,t,d] k", attributes="scale = 0.3"),
        BASE,
    ),
    "grouped": (
        attention("float[b,6,s,8] q", y="float[b,6,s,6] y"),
        total(BASE, {"Reshape": 2, "Unsqueeze": 2}),
    ),
    "grouped and masked": (
        attention("float[b,6,s,8] q", y="float[b,6,s,6] y", more=", bool[b,1,s,t] m", names=", m"),
        total(BASE, {"Reshape": 2, "Unsqueeze": 3, "Add": 1, "Where": 1}, GUARD),
    ),
    "grouped, a mask per head": (
        attention("float[b,6,4,8] q", y="float[b,6,4,6] y", more=", float[1,6,4,t] m", names=", m"),
        total(BASE, {"Reshape": 3, "Unsqueeze": 2, "Add": 1}, GUARD),
    ),
    "grouped and flat": (
        attention(
            "float[b,s,48] q",
            *FLAT[1:3],
            "float[b,s,36] y",
            attributes="q_num_heads = 6, kv_num_heads = 3, is_causal = 1",
        ),
        total(BASE, {"Reshape": 4, "Transpose": 4, "Unsqueeze": 2, "Add": 1, "Where": 1}, RANGES),
    ),
}

PAST = ", float[b,3,p,8] pk, float[b,3,p,6] pv"
PRESENT = {"results": ", float[b,3,u,8] nk, float[b,3,u,6] nv", "outputs": ", nk, nv"}


@pytest.mark.parametrize("name", CASES)
def test_every_form_is_written_out(name):
    given, expected = CASES[name]
    check_rule(ATTENTION, given, expected, dims=SIZES, **NOISE)


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("is_flat", [False, True])
def test_keys_of_before_are_in_front(causal, is_flat):
    operands = FLAT if is_flat else (Q, K, V, Y)
    heads = f", {FLAT_HEADS}" if is_flat else ""
    given = attention(
        *operands,
        more=PAST,
        names=", , pk, pv",
        attributes=f"is_causal = {causal}{heads}",
        **PRESENT,
    )
    after = clone(given)
    apply(ATTENTION, after)
    assert "Attention" not in counts(after)
    assert counts(after)["Concat"] == 2
    # New queries and new keys are of the same positions.
    sizes = [{"b": 2, "s": 2, "t": 2, "p": 3}, {"b": 1, "s": 1, "t": 1, "p": 4}]
    check_same(given, after, dims=sizes, **NOISE)


@pytest.mark.parametrize("is_flat", [False, True])
@pytest.mark.parametrize("mask", ["bool[b,1,s,u]", "float[s,u]"])
def test_grouped_queries_with_keys_of_before_and_a_mask(mask, is_flat):
    grouped = ("float[b,s,48] q", *FLAT[1:3], "float[b,s,36] y") if is_flat else (
        "float[b,6,s,8] q", K, V, "float[b,6,s,6] y"
    )  # fmt: skip
    given = attention(
        *grouped,
        more=f"{PAST}, {mask} m",
        names=", m, pk, pv",
        attributes="q_num_heads = 6, kv_num_heads = 3" if is_flat else "",
        **PRESENT,
    )
    after = clone(given)
    apply(ATTENTION, after)
    assert "Attention" not in counts(after)
    assert counts(after)["Concat"] == 2
    sizes = [{"b": 2, "s": 2, "t": 2, "p": 3, "u": 5}, {"b": 1, "s": 1, "t": 1, "p": 0, "u": 1}]
    check_same(given, after, dims=sizes, **NOISE)


@pytest.mark.parametrize("attributes", ["scale = 0.4", "scale = 0.25", ""])
@pytest.mark.parametrize("size", [4, 5, 8])
def test_in_double_precision_the_scale_is_as_inexact_as_the_operators(attributes, size):
    shapes = (f"double[2,3,4,{size}] q", f"double[2,3,5,{size}] k", "double[2,3,5,6] v")
    given = attention(*shapes, "double[2,3,4,6] y", attributes=attributes)
    check_rule(ATTENTION, given, BASE, atol=1e-13, rtol=1e-13)


def test_a_causal_mask_of_known_lengths_is_a_constant():
    given = attention(
        "float[b,3,4,8] q", "float[b,3,5,8] k", "float[b,3,5,6] v", "float[b,3,4,6] y",
        attributes="is_causal = 1",
    )  # fmt: skip
    check_rule(ATTENTION, given, total(BASE, {"Where": 1, "Add": 1}), dims={"b": 2}, **NOISE)


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_query_without_keys_gives_zeros(kind):
    given = attention(more=f", {kind}[s,t] m", names=", m")
    after = clone(given)
    apply(ATTENTION, after)
    from tests.support.models import random_feeds
    from tests.support.run import run_ort

    feeds = random_feeds(given, {"b": 2, "s": 4, "t": 5})
    mask = np.ones((4, 5), bool)
    mask[2] = mask[0, 3] = False
    feeds["m"] = mask if kind == "bool" else np.where(mask, 0, -np.inf).astype(np.float32)
    (wanted,), (got,) = run_ort(given, feeds), run_ort(after, feeds)
    assert not wanted[:, :, 2].any()
    np.testing.assert_allclose(got, wanted, **NOISE)


@pytest.mark.parametrize(
    "mask",
    [
        {"m": np.tri(4, 5, 1, dtype=bool)},
        {"m": np.where(np.tri(4, 5, 1), 0, -1e9).astype(np.float32)},
    ],
    ids=["bool", "float"],
)
def test_a_constant_mask_that_leaves_each_query_a_key_needs_no_guard(mask):
    given = attention(
        "float[b,3,4,8] q", "float[b,3,5,8] k", "float[b,3,5,6] v", "float[b,3,4,6] y",
        names=", m", **mask,
    )  # fmt: skip
    is_bool = mask["m"].dtype == bool
    expected = total(BASE, {"Add": 1}, {"Where": 1} if is_bool else {})
    check_rule(ATTENTION, given, expected, dims={"b": 2}, **NOISE)


def test_a_causal_mask_of_known_lengths_lets_keys_of_before_through():
    given = attention(
        "float[b,3,4,8] q", "float[b,3,4,8] k", "float[b,3,4,6] v", "float[b,3,4,6] y",
        more=", float[b,3,2,8] pk, float[b,3,2,6] pv", names=", , pk, pv",
        attributes="is_causal = 1", results=", float[b,3,6,8] nk, float[b,3,6,6] nv",
        outputs=", nk, nv",
    )  # fmt: skip
    expected = total(BASE, {"Where": 1, "Add": 1, "Concat": 2})
    check_rule(ATTENTION, given, expected, dims={"b": 2}, **NOISE)


@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5)])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_constant_mask_that_leaves_a_query_no_key_needs_a_guard(axis, shape):
    """Only a row without any key does, no column."""
    mask = np.zeros((4, 5), np.float32)
    mask[1 if axis else slice(None), slice(None) if axis else 1] = -np.inf
    given = attention(
        "float[b,3,4,8] q", "float[b,3,5,8] k", "float[b,3,5,6] v", "float[b,3,4,6] y",
        names=", m", m=mask.reshape(shape),
    )  # fmt: skip
    expected = total(BASE, {"Add": 1}, GUARD if axis else {})
    check_rule(ATTENTION, given, expected, dims={"b": 2}, **NOISE)


@pytest.mark.parametrize("mask", ["float[3,s,t] m", "float[b,6,4,t] m", "float[1,1,s,t] m"])
def test_grouped_queries_with_a_mask_per_head(mask):
    mask = mask.replace("float[3,s", "float[6,4")
    length = "4" if "4" in mask else "s"
    given = attention(
        f"float[b,6,{length},8] q", y=f"float[b,6,{length},6] y", more=f", {mask}", names=", m"
    )
    check_neighbours(ATTENTION, given, dims=SIZES[0], **NOISE)
    after = clone(given)
    apply(ATTENTION, after)
    assert "Attention" not in counts(after)
    check_same(given, after, dims=SIZES, **NOISE)


@pytest.mark.parametrize("name", ["plain", "float mask", "causal and boolean mask"])
def test_neighbours_of_a_form(name):
    check_neighbours(ATTENTION, CASES[name][0], dims=SIZES[0], **NOISE)


@pytest.mark.parametrize("chosen", ["zero, low", "low, zero"])
def test_a_mask_that_chooses_minus_infinity_needs_a_guard(chosen):
    given = model(
        f"""g ({Q}, {K}, {V}, bool[b,1,s,t] m) => ({Y}) {{
            w = Where(m, {chosen}) y = Attention(q, k, v, w) }}""",
        zero=np.float32(0),
        low=np.float32(-np.inf),
    )
    expected = total(BASE, {"Where": 1, "Add": 1}, GUARD)
    after = clone(given)
    apply(ATTENTION, after)
    assert counts(after) == expected


def test_a_finite_mask_that_is_computed_needs_no_guard():
    given = model(
        f"""g ({Q}, {K}, {V}, bool[b,1,s,t] m) => ({Y}) {{
            w = Where(m, zero, low) y = Attention(q, k, v, w) }}""",
        zero=np.float32(0),
        low=np.float32(-3e38),
    )
    expected = total(BASE, {"Where": 1, "Add": 1})
    check_rule(ATTENTION, given, expected, dims=SIZES, **NOISE)


@pytest.mark.parametrize(
    ("lines", "needs_guard"),
    [
        ("c = Where(m, zero, low) w = Unsqueeze(c, second)", False),
        ("c = Where(m, zero, low) u = Unsqueeze(c, second) w = Identity(u)", False),
        ("c = Where(m, zero, inf) w = Unsqueeze(c, second)", True),
        ("c = Where(m, low, inf) e = Unsqueeze(c, second) w = Neg(e)", True),
        ("c = Where(m, n, zero) w = Unsqueeze(c, second)", True),
        ("c = Where(m, zero, n) w = Unsqueeze(c, second)", True),
        ("c = Where(m, zero, some) w = Unsqueeze(c, second)", True),
        ("c = Where(m, zero, low) w = Cast<to = 1>(c)", False),
        ("c = Where(m, zero, low) w = Reshape(c, all)", False),
        ("c = Where(m, zero, low) w = Expand(c, all)", False),
        ("c = Where(m, zero, low) u = Unsqueeze(c, second) w = Squeeze(u, second)", False),
        ("c = Where(m, zero, low) w = Slice(c, none, fourth, second)", False),
        ("c = Where(m, zero, low) h = Cast<to = 10>(c) w = Cast<to = 1>(h)", True),
        ("c = Where(m, one, zero) w = Cast<to = 9>(c)", True),
        ("c = Where(m, m, no) w = Unsqueeze(c, second)", True),
        ("c = Where(m, yes, no) w = Unsqueeze(c, second)", True),
    ],
)
def test_a_mask_is_as_finite_as_what_it_was_moved_from(lines, needs_guard):
    given = model(
        f"""g ({Q}, {K}, {V}, bool[b,s,t] m, float[s,t] n) => ({Y}) {{
            {lines} y = Attention(q, k, v, w) }}""",
        zero=np.float32(0),
        low=np.float32(-3e38),
        inf=np.float32(-np.inf),
        some=np.float32([[0.0], [-np.inf], [0.0], [0.0]]),
        yes=np.array(True),
        no=np.array(False),
        one=np.float32(1),
        all=np.int64([2, 3, 4, 4]),
        none=np.int64([0]),
        fourth=np.int64([4]),
        second=np.int64([1]),
    )
    apply(ATTENTION, given)
    assert "Attention" not in counts(given)
    assert ("CastLike" in counts(given)) is needs_guard


def test_one_number_of_heads_need_not_be_known():
    given = attention(
        *("float[b,h,s,8] q", "float[b,h,t,8] k", "float[b,h,t,6] v", "float[b,h,s,6] y")
    )
    sizes = [{**dims, "h": 1 + dims["s"]} for dims in SIZES]
    check_rule(ATTENTION, given, BASE, dims=sizes, **NOISE)
    given = attention(
        *("float[b,h,s,8] q", "float[b,h,t,8] k", "float[b,h,t,6] v", "float[b,h,s,6] y"),
        more=", float[b,1,s,t] m",
        names=", m",
    )
    check_rule(ATTENTION, given, total(BASE, {"Add": 1}, GUARD), dims=sizes, **NOISE)


HALF = {"q": "float16[b,3,s,8] q", "k": "float16[b,3,t,8] k", "v": "float16[b,3,t,6] v"}


def test_half_precision():
    given = attention(
        HALF["q"], HALF["k"], HALF["v"], "float16[b,3,s,6] y", attributes="softmax_precision = 1"
    )
    # One rounding of scores of size 10 and of sums of 5 products.
    check_rule(ATTENTION, given, total(BASE, {"Cast": 2}), dims=SIZES, atol=2e-2, rtol=1e-2)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            attention(
                results=", float[b,3,s,t] z",
                outputs=", , , z",
                attributes="qk_matmul_output_mode = 3",
            ),
            "its scores are an output of their own",
        ),
        (
            attention(*FLAT, attributes=FLAT_HEADS, **PRESENT),
            "its keys are an output, without any of before",
        ),
        (
            attention(results=", float[b,3,t,8] nk", outputs=", nk"),
            "its keys are an output, without any of before",
        ),
        (
            attention("float[1,b,3,s,8] q", "float[1,b,3,t,8] k", "float[1,b,3,t,6] v"),
            "the rank of query, key or value is not known",
        ),
        (
            attention("float[b,h,s,8] q", y="float[b,h,s,6] y"),
            "its number of heads is not known",
        ),
        (
            attention("float[b,h,s,8] q", "float[b,g,t,8] k", y="float[b,h,s,6] y"),
            "its number of heads is not known",
        ),
        (attention(k="float[b,h,t,8] k"), "its number of heads is not known"),
        (attention(*FLAT, attributes="q_num_heads = 3"), "its number of heads is not known"),
        (attention(*FLAT, attributes="kv_num_heads = 3"), "its number of heads is not known"),
        (attention("float[b,3,s,d] q"), "the size of its heads is not known"),
        (
            attention(
                "float[b,6,s,8] q", y="float[b,6,s,6] y", more=", float[b,6,s,t] m", names=", m"
            ),
            "the mask differs per head, and its shape is not known",
        ),
        (
            attention("float[b,6,s,8] q", v="float[b,3,t,d] v", y="float[b,6,s,d] y"),
            "the size of its heads is not known",
        ),
    ],
    ids=[
        "scores",
        "keys",
        "keys without values",
        "rank",
        "heads",
        "two",
        "keys alone",
        "of keys",
        "of queries",
        "size",
        "mask of groups",
        "size of values",
    ],
)
def test_what_is_left_to_the_function_body(given, reason):
    check_miss(ATTENTION, given, reason)


def test_the_scale_goes_into_a_linear_before_it():
    from sardonyx.compiler import compile

    given = model(
        """g (float[b,s,24] x) => (float[b,s,24] y) {
            q = MatMul(x, w) y = Attention<q_num_heads = 3, kv_num_heads = 3>(q, x, x) }""",
        w=normal(24, 24),
    )
    made = compile(given, "portable", opset=18, verify_level=2)
    assert "Mul" not in counts(made.model)
    check_same(given, made.model, dims=[{"b": 2, "s": 3}], atol=1e-4, rtol=1e-4)


def test_heads_of_no_elements():
    """A Reshape to -1 would not know what to make of them."""
    after = attention(*FLAT, attributes=FLAT_HEADS)
    apply(ATTENTION, after)
    feed = {"q": (0, 4, 24), "k": (0, 5, 24), "v": (0, 5, 18)}
    (y,) = run_ort(after, {name: np.zeros(shape, np.float32) for name, shape in feed.items()})
    assert y.shape == (0, 4, 18)
