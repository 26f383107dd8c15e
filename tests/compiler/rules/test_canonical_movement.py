"""Chains of data movement become one."""

import numpy as np
import pytest

from sardonyx.compiler.rules.canonical_movement import RULES
from tests.support.models import model
from tests.support.rules import apply, check_miss, check_rule, check_shared, check_stays, counts

BY_NAME = {rule.name: rule for rule in RULES}
EXACT = {"atol": 0, "rtol": 0}


def ints(*values):
    return np.array(values, dtype=np.int64)


MATCHES = [
    (
        "transpose_perm",
        "g (float[b,3,4] x) => (float[4,3,b] y) { y = Transpose(x) }",
        {},
        {"Transpose": 1},
    ),
    (
        "transpose_of_transpose",
        "g (float[b,3,4] x) => (float[3,b,4] y) "
        "{ t = Transpose<perm=[2,0,1]>(x) y = Transpose<perm=[2,1,0]>(t) }",
        {},
        {"Transpose": 1},
    ),
    (
        "reshape_of_reshape",
        "g (float[b,6] x) => (float[b,3,2] y) { r = Reshape(x, p) y = Reshape(r, q) }",
        {"p": ints(-1, 2, 3), "q": ints(-1, 3, 2)},
        {"Reshape": 1},
    ),
    (
        "reshape_of_reshape",
        "g (float[b,6] x) => (float[b,2,3] y) { r = Unsqueeze(x, p) y = Reshape(r, q) }",
        {"p": ints(2), "q": ints(0, 2, 3)},
        {"Reshape": 1},
    ),
    (
        "reshape_of_reshape",
        "g (float[b,6] x) => (float[b,3,2] y) { r = Reshape(x, p) y = Reshape(r, q) }",
        {"p": ints(0, 2, 3), "q": ints(0, 3, 2)},
        {"Reshape": 1},
    ),
    (
        "cast_of_cast",
        "g (bool[b] x) => (bool[b] y) "
        "{ a = Not(x) c = Cast<to=6>(a) d = Cast<to=9>(c) y = Not(d) }",
        {},
        {"Not": 2},
    ),
    (
        "cast_of_cast",
        "g (bool[b] x) => (float[b] y) { c = Cast<to=7>(x) y = Cast<to=1>(c) }",
        {},
        {"Cast": 1},
    ),
    (
        "reshape_of_reshape",
        "g (float[b,2,3] x) => (float[b,3,2] y) { r = Flatten(x) y = Reshape(r, q) }",
        {"q": ints(-1, 3, 2)},
        {"Reshape": 1},
    ),
    (
        "reshape_allowzero",
        "g (float[b,6] x) => (float[b,3,2] y) { y = Reshape<allowzero=1>(x, p) }",
        {"p": ints(-1, 3, 2)},
        {"Reshape": 1},
    ),
    (
        "cast_of_cast",
        "g (int32[b] x) => (int16[b] y) { c = Cast<to=7>(x) y = Cast<to=5>(c) }",
        {},
        {"Cast": 1},
    ),
    (
        "cast_of_cast",
        "g (float[b] x) => (float16[b] y) { c = Cast<to=1>(x) y = Cast<to=10>(c) }",
        {},
        {"Cast": 1},
    ),
    (
        "cast_of_cast",
        "g (float[b] x) => (float[b] y) "
        "{ a = Relu(x) c = Cast<to=11>(a) d = Cast<to=1>(c) y = Neg(d) }",
        {},
        {"Relu": 1, "Neg": 1},
    ),
    (
        "cast_like",
        "g (float[b] x, int64[b] z) => (int64[b] y) { y = CastLike(x, z) }",
        {},
        {"Cast": 1},
    ),
    (
        "concat_of_concat",
        "g (float[b,2] x) => (float[b,8] y) "
        "{ n = Neg(x) c = Concat<axis=1>(x, n) y = Concat<axis=-1>(n, c, x) }",
        {},
        {"Neg": 1, "Concat": 1},
    ),
    (
        "slice_of_slice",
        "g (float[b,5,7] x) => (float[b,3,4] y) { s = Slice(x, a, e, i) y = Slice(s, a2, e2, j) }",
        {"a": ints(1), "e": ints(4), "i": ints(1), "a2": ints(-5), "e2": ints(-1), "j": ints(-1)},
        {"Slice": 1},
    ),
    (
        "expand_before_broadcast",
        "g (float[1,4] x, float[b,4] z) => (float[b,4] y) "
        "{ s = Shape(z) e = Expand(x, s) y = Sub(z, e) }",
        {},
        {"Sub": 1},
    ),
    *(
        (
            "expand_before_broadcast",
            "g (bool[1,4] c, float[1,4] x, float[b,4] z) => (float[b,4] y) "
            f"{{ s = Shape(z) e = Expand({'c' if operands[0] == 'e' else 'x'}, s) "
            f"y = Where({', '.join(operands)}) }}",
            {},
            {"Where": 1},
        )
        for operands in ("ezx", "exz", "cez", "cze")
    ),
    *(
        (
            "reshapes_of_ones",
            f"g (float[b,1,3,1] x) => (float[{after}] y) {{ r = {first} n = Neg(x) {second} }}",
            {
                "flat": ints(-1),
                "p": ints(1),
                "q": ints(-1),
                "t": ints(1, 2),
                "k": ints(0, 1, 3, 1, 1),
            },
            {"Neg": 1, **made},
        )
        for after, first, second, made in (
            ("b,3", "Squeeze(x, p)", "y = Squeeze(r, q)", {"Squeeze": 1}),
            (
                "b,1,3",
                "Reshape(x, flat)",
                "s = Squeeze(x, q) w = Shape(s) y = Reshape(r, w)",
                {"Squeeze": 1},
            ),
            ("b,1,1,3,1", "Unsqueeze(x, p)", "y = Reshape(r, k)", {"Unsqueeze": 1}),
            ("b,1,3,1", "Unsqueeze(x, t)", "y = Squeeze(r, t)", {"Identity": 1}),
        )
    ),
]


@pytest.mark.parametrize(
    ("name", "text", "weights", "expected"), MATCHES, ids=lambda v: str(v)[:30]
)
def test_merges(name, text, weights, expected):
    given = model(text, **weights)
    check_rule(BY_NAME[name], given, expected, dims=[{"b": 3}, {"b": 1}], **EXACT)
    if len(given.graph) > 1:
        check_shared(BY_NAME[name], given, dims={"b": 2}, **EXACT)


MISSES = [
    (
        "concat_of_concat",
        "g (float[b,2] x) => (float[b,8] y) { c = Concat<axis=1>(x, x) y = Concat<axis=1>(c, c) }",
        {},
        "no operand is a Concat on its axis",
    ),
    (
        "cast_of_cast",
        "g (float[b] x) => (float[b] y) { c = Cast<to=7>(x) y = Cast<to=1>(c) }",
        {},
        "FLOAT to INT64 to FLOAT is not FLOAT to FLOAT",
    ),
    (
        "cast_of_cast",
        "g (float[b] x) => (bool[b] y) { c = Cast<to=7>(x) y = Cast<to=9>(c) }",
        {},
        "FLOAT to INT64 to BOOL is not FLOAT to BOOL",
    ),
    (
        "cast_of_cast",
        "g (bool[b] x) => (bool[b] y) { c = Cast<to=8>(x) y = Cast<to=9>(c) }",
        {},
        "BOOL to STRING to BOOL is not BOOL to BOOL",
    ),
    (
        "concat_of_concat",
        "g (float[b,2] x) => (float[b,4] y, float[b,4] c) "
        "{ c = Concat<axis=1>(x, x) y = Concat<axis=1>(c) }",
        {},
        "no operand is a Concat on its axis",
    ),
    (
        "concat_of_concat",
        "g (float[b,2] x) => (float[b,2] y) { c = Softmax<axis=1>(x) y = Concat<axis=1>(c) }",
        {},
        "no operand is a Concat on its axis",
    ),
    (
        "reshapes_of_ones",
        "g (float[b,1,3] x) => (float[b,3,1] y) { r = Squeeze(x, p) y = Unsqueeze(r, q) }",
        {"p": ints(1), "q": ints(2)},
        "it moves axes of length 1",
    ),
    (
        "reshapes_of_ones",
        "g (float[b,1,3] x, float[3,b] z) => (float[3,b] y) "
        "{ r = Squeeze(x, p) s = Shape(z) y = Reshape(r, s) }",
        {"p": ints(1)},
        "it changes more than axes of length 1",
    ),
    (
        "reshape_of_reshape",
        "g (float[4,6] x) => (float[2,12] y) { r = Reshape(x, p) y = Reshape(r, q) }",
        {"p": ints(2, 4, 3), "q": ints(0, 12)},
        "copies a dimension",
    ),
    (
        "reshape_of_reshape",
        "g (float[0,6] x) => (float[0,3] y) { r = Reshape(x, p) y = Reshape<allowzero=1>(r, q) }",
        {"p": ints(6, 0), "q": ints(0, 3)},
        "zero means zero",
    ),
    (
        "reshape_allowzero",
        "g (float[0,6] x) => (float[0,3] y) { y = Reshape<allowzero=1>(x, q) }",
        {"q": ints(0, 3)},
        "has a zero",
    ),
    (
        "cast_of_cast",
        "g (float[b] x) => (float[b] y) { c = Cast<to=10>(x) y = Cast<to=1>(c) }",
        {},
        "is not",
    ),
    (
        "cast_of_cast",
        "g (float[b] x) => (float[b] y) { c = Cast<to=7>(x) y = Cast<to=1>(c) }",
        {},
        "is not",
    ),
    (
        "concat_of_concat",
        "g (float[2,2] x) => (float[4,4] y) { c = Concat<axis=1>(x, x) y = Concat<axis=0>(c, c) }",
        {},
        "no operand is a Concat",
    ),
    (
        "slice_of_slice",
        "g (float[b,7] x) => (float[b,2] y) { s = Slice(x, a, e, i) y = Slice(s, a2, e2, i) }",
        {"a": ints(1), "e": ints(5), "i": ints(1), "a2": ints(0), "e2": ints(2)},
        "both slice axis 1",
    ),
    (
        "expand_before_broadcast",
        "g (float[1,4] x, float[1,4] z) => (float[3,4] y) { e = Expand(x, s) y = Add(e, z) }",
        {"s": ints(3, 1)},
        "larger than the other",
    ),
    (
        "expand_before_broadcast",
        "g (float[1,4] x) => (float[3,4] y) { e = Expand(x, s) y = Mul(e, e) }",
        {"s": ints(3, 1)},
        "both operands",
    ),
    (
        "transpose_perm",
        "g (float[b,3] x) => (float[3,b] y) { y = Transpose<perm=[1,0]>(x) }",
        {},
        "has a perm",
    ),
]


@pytest.mark.parametrize(("name", "text", "weights", "reason"), MISSES, ids=lambda v: str(v)[:30])
def test_refuses_with_a_reason(name, text, weights, reason):
    check_miss(BY_NAME[name], model(text, **weights), reason)


def test_random_transposes_compose():
    rng = np.random.default_rng(7)
    for rank in (2, 3, 4, 5):
        p, q = rng.permutation(rank), rng.permutation(rank)
        dims = rng.integers(1, 5, rank)
        out = dims[p][q]
        given = model(
            f"g (float{list(map(int, dims))} x) => (float{list(map(int, out))} y) "
            f"{{ t = Transpose<perm={list(map(int, p))}>(x) "
            f"y = Transpose<perm={list(map(int, q))}>(t) }}"
        )
        check_rule(BY_NAME["transpose_of_transpose"], given, {"Transpose": 1}, **EXACT)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        (
            "concat_of_concat",
            "{ c = Concat<axis=1>(x, x) y = Concat<axis=1>(c, x) }",
            "no operand is a Concat on its axis",
        ),
        (
            "slice_of_slice",
            "{ s = Slice(x, a, e, a) y = Slice(s, a, e, e) }",
            "its rank is not known",
        ),
        ("reshape_of_reshape", "{ r = Flatten(x) y = Reshape(r, z) }", "a shape is not known"),
        ("reshape_of_reshape", "{ r = Reshape(n, t) y = Reshape(r, z) }", "a shape is not known"),
    ],
)
def test_values_of_unknown_rank(name, text, reason):
    head = "g (float[b,4] x, float[b,4] n, int64[k] t) => (float y) "
    given = model(head + text, a=ints(0), e=ints(1), z=ints(0, 4))
    given.graph.inputs[0].shape = given.graph.outputs[0].shape = None
    check_miss(BY_NAME[name], given, reason)


@pytest.mark.parametrize(
    "name",
    [
        "cast_of_cast",
        "expand_before_broadcast",
        "reshape_of_reshape",
        "reshapes_of_ones",
        "transpose_of_transpose",
    ],
)
def test_values_in_between_may_be_read(name):
    text, weights = next(m[1:3] for m in MATCHES if m[0] == name and "Relu" not in m[1])
    check_stays(BY_NAME[name], model(text, **weights))


@pytest.mark.parametrize(
    "operator", ["Add", "Sub", "Mul", "Div", "And", "Or", "Equal", "Less", "Greater", "Pow"]
)
def test_every_operator_that_broadcasts_needs_no_expand(operator):
    kind = "bool" if operator in {"And", "Or"} else "float"
    result = "bool" if operator in {"And", "Or", "Equal", "Less", "Greater"} else kind
    given = model(
        f"""g ({kind}[1,4] x, {kind}[b,4] z) => ({result}[b,4] y) {{
            s = Shape(z) e = Expand(x, s) y = {operator}(z, e) }}"""
    )
    apply(BY_NAME["expand_before_broadcast"], given)
    assert counts(given) == {operator: 1}


def test_transposes_of_other_ranks():
    """Such a model is wrong; it is left as it is."""
    given = model(
        """g (float x) => (float y) {
            t = Transpose<perm=[1,0]>(x) y = Transpose<perm=[2,1,0]>(t) }"""
    )
    for value in (*given.graph.inputs, *given.graph.outputs):
        value.shape = None
    reason = "the permutations are of other ranks"
    check_miss(BY_NAME["transpose_of_transpose"], given, reason)
