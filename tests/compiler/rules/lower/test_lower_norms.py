"""GELU, RMS norm and rotary embedding, written in older operators."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.lower.gelu import GELU
from sardonyx.compiler.rules.lower.rms_norm import RMS_NORM
from sardonyx.compiler.rules.lower.rotary import ROTARY
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule

SIZES = [{"b": 2, "s": 3}, {"b": 1, "s": 1}]
EXACT = {"atol": 1e-6, "rtol": 1e-5}
# The numbers are of size 10: half precision rounds to 2^-11 of it, several times.
HALF = {"atol": 2e-2, "rtol": 5e-3}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("", {"Div": 1, "Erf": 1, "Add": 1, "Mul": 2}),
        ('<approximate = "tanh">', {"Pow": 1, "Mul": 4, "Add": 2, "Tanh": 1}),
    ],
    ids=["erf", "tanh"],
)
@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_gelu(attributes, expected, dtype):
    given = model(f"g ({dtype}[b,s] x) => ({dtype}[b,s] y) {{ y = Gelu{attributes}(x) }}")
    check_rule(GELU, given, expected, dims=SIZES, **(EXACT if dtype == "float" else HALF))


RMS = {"Pow": 1, "ReduceMean": 1, "Add": 1, "Sqrt": 1, "Div": 1, "Mul": 1}


@pytest.mark.parametrize("axis", [-1, 1, 2])
def test_rms_norm(axis):
    scale = normal(*(3, 5)[axis % 3 - 1 :])
    given = model(
        f"g (float[b,3,5] x) => (float[b,3,5] y) {{ y = RMSNormalization<axis = {axis}>(x, w) }}",
        w=scale,
    )
    check_rule(RMS_NORM, given, RMS, dims=SIZES, **EXACT)


def test_rms_norm_of_halves_computes_in_singles():
    given = model(
        "g (float16[b,s,5] x) => (float16[b,s,5] y) { y = RMSNormalization(x, w) }",
        w=normal(5, dtype=np.float16),
    )
    check_rule(RMS_NORM, given, {**RMS, "Cast": 2}, dims=SIZES, **HALF)


def test_rms_norm_computes_in_what_it_says():
    given = model(
        "g (float[b,s,5] x) => (float[b,s,5] y) { y = RMSNormalization<stash_type = 11>(x, w) }",
        w=normal(5),
    )
    check_rule(RMS_NORM, given, {**RMS, "Cast": 2}, dims=SIZES, **EXACT)


def rotary(x: str, tables: str, attributes: str = "", positions: str = ""):
    more, name = (", int64[b,s] p", ", p") if positions else ("", "")
    shown = f"<{attributes}>" if attributes else ""
    return model(
        f"g ({x} x, {tables} c, {tables} n{more}) => ({x} y) {{"
        f" y = RotaryEmbedding{shown}(x, c, n{name}) }}"
    )


TURN = {"Split": 1, "Mul": 4, "Sub": 1, "Add": 1, "Concat": 1, "Unsqueeze": 2}
FLAT = "num_heads = 3"


@pytest.mark.parametrize(
    ("given", "more"),
    [
        (rotary("float[b,3,s,8]", "float[b,s,4]"), {}),
        (rotary("float[b,s,24]", "float[b,s,4]", FLAT), {"Reshape": 2}),
        (
            rotary("float[b,3,s,8]", "float[b,s,2]", "rotary_embedding_dim = 4"),
            {"Split": 1, "Concat": 1},
        ),
        (
            rotary("float[b,3,s,8]", "float[b,s,4]", "interleaved = 1"),
            {"Reshape": 2, "Squeeze": 2, "Unsqueeze": 2},
        ),
        (
            rotary("float[b,s,24]", "float[b,s,4]", f"{FLAT}, interleaved = 1"),
            {"Reshape": 4, "Squeeze": 2, "Unsqueeze": 2},
        ),
    ],
    ids=["halves", "flat", "partial", "interleaved", "flat and interleaved"],
)
def test_rotary_embedding(given, more):
    expected = {name: TURN.get(name, 0) + more.get(name, 0) for name in {**TURN, **more}}
    check_rule(ROTARY, given, expected, dims=SIZES, **EXACT)


def test_rotary_embedding_by_positions():
    given = model(
        """g (float[b,3,s,8] x, float[b,s] r) => (float[b,3,s,8] y) {
            a = Abs(r) t = Cast<to = 7>(a) m = Mod(t, ten)
            y = RotaryEmbedding(x, c, n, m) }""",
        ten=np.int64(10),
        c=normal(10, 4),
        n=normal(10, 4, seed=1),
    )
    kept = {"Abs": 1, "Cast": 1, "Mod": 1, "Gather": 2}
    check_rule(ROTARY, given, {**TURN, **kept}, dims=SIZES, **EXACT)


def test_heads_of_unknown_size_are_left_to_the_function_body():
    given = rotary("float[b,3,s,d]", "float[b,s,e]")
    check_miss(ROTARY, given, "the size of its heads is not known")


def test_what_recognition_can_make_is_lowered_or_as_old_as_the_oldest_opset():
    """At each opset that can be asked for, no operator is left that is newer."""
    from sardonyx.compiler.rules.lower import LOWERINGS

    roots = {since: {op for r in rules for _, op in r.roots} for since, rules in LOWERINGS.items()}
    assert roots == {
        23: {"Attention", "RMSNormalization", "RotaryEmbedding"},
        21: {"GroupNormalization"},
        20: {"Gelu"},
    }
