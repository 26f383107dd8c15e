"""Operators that give back their operand: matches, near misses, shared values, numerics."""

import re

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.canonical_identity import RULES, has_same_dims
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared, check_stays

BY_NAME = {rule.name: rule for rule in RULES}
EXACT = {"atol": 0, "rtol": 0}
SIZES = [{"b": 3, "s": 5}, {"b": 1, "s": 1}]

I64 = {
    k: np.array(v, dtype=np.int64)
    for k, v in {
        "zeros2": [0, 0],
        "four0": [0, 0, 0, 0],
        "ones2": [1, 1],
        "neg1": [-1],
        "zero": [0],
        "big": [2**40],
        "one": [1],
        "two": [2],
        "keep": [0, 0],
        "padded": [0, 1, 0, 0],
        "swap": [-1, 4],
        "ones_two": [1, 2],
        "four": [4],
        "from_end": [0, -1],
        "far": [2**40, -(2**40)],
        "zero_one": [0, 1],
        "one_less": [1, -1],
    }.items()
}
TRUE, FALSE = np.array([True]), np.array(False)

# rule, body of `g (float[b,4] x) => (float[b,4] y)` with Relu around so that values are shareable
MATCHES = [
    ("identity", "a = Relu(x) i = Identity(a) y = Neg(i)"),
    ("dropout", "a = Relu(x) r = Constant<value = float {0.5}>() i = Dropout(a, r) y = Neg(i)"),
    ("cast_to_same", "a = Relu(x) i = Cast<to=1>(a) y = Neg(i)"),
    ("transpose_identity", "a = Relu(x) i = Transpose<perm=[0,1]>(a) y = Neg(i)"),
    ("reshape_to_same", "a = Relu(x) i = Reshape(a, keep) y = Neg(i)"),
    ("flatten_to_same", "a = Relu(x) i = Flatten(a) y = Neg(i)"),
    ("tile_once", "a = Relu(x) i = Tile(a, ones2) y = Neg(i)"),
    ("pad_nothing", "a = Relu(x) i = Pad(a, four0) y = Neg(i)"),
    ("slice_whole", "a = Relu(x) i = Slice(a, zero, big, one) y = Neg(i)"),
    ("slice_whole", "a = Relu(x) i = Slice(a, zero, big, one, one) y = Neg(i)"),
    ("reshape_back", "a = Relu(x) f = Reshape(a, neg1) s = Shape(x) i = Reshape(f, s) y = Neg(i)"),
    ("squeeze_of_unsqueeze", "a = Relu(x) u = Unsqueeze(a, one) i = Squeeze(u, one) y = Neg(i)"),
    ("concat_of_one", "a = Relu(x) i = Concat<axis=1>(a) y = Neg(i)"),
    (
        "concat_of_split",
        "a = Relu(x) p, q = Split<axis=1, num_outputs=2>(a) i = Concat<axis=-1>(p, q) y = Neg(i)",
    ),
    (
        "concat_of_split",
        "a = Relu(x) p = Split<axis=1, num_outputs=1>(a) i = Concat<axis=1>(p) y = Neg(i)",
    ),
    ("variadic_of_one", "a = Relu(x) i = Mean(a) y = Neg(i)"),
    ("clip_nothing", "a = Relu(x) i = Clip(a) y = Neg(i)"),
    ("neg_of_neg", "a = Relu(x) n = Neg(a) i = Neg(n) y = Neg(i)"),
    ("where_true", "a = Relu(x) e = Exp(x) i = Where(true, a, e) y = Neg(i)"),
    ("where_false", "a = Relu(x) e = Exp(x) i = Where(false, e, a) y = Neg(i)"),
    ("where_same", "a = Relu(x) c = Greater(x, a) i = Where(c, a, a) y = Neg(i)"),
    ("add_zero", "a = Relu(x) i = Add(f0, a) y = Neg(i)"),
    ("add_zero", "a = Relu(x) i = Sub(a, f0) y = Neg(i)"),
    ("multiply_by_one", "a = Relu(x) i = Mul(f1, a) y = Neg(i)"),
    ("multiply_by_one", "a = Relu(x) i = Div(a, f1) y = Neg(i)"),
    ("multiply_by_one", "a = Relu(x) i = Pow(a, f1) y = Neg(i)"),
]


def _model(body, signature="g (float[b,4] x) => (float[b,4] y)"):
    weights = {
        **I64,
        "true": TRUE,
        "true0": np.array(True),
        "false": FALSE,
        "mixed": np.array([True, False, True, True]),
        "f0": np.zeros((1, 1), np.float32),
        "f1": np.ones(4, np.float32),
        "wide": np.zeros((2, 1, 1), np.float32),
        "half": np.array(0.5, np.float32),
    }
    words = set(re.findall(r"\w+", body))
    used = {k: v for k, v in weights.items() if k in words}
    return model(f"{signature} {{ {body} }}", **used)


@pytest.mark.parametrize(("name", "body"), MATCHES, ids=lambda v: str(v)[:40])
def test_gives_back_its_operand(name, body):
    given = _model(body)
    after = check_rule(BY_NAME[name], given, {"Relu": 1, "Neg": 1}, dims=SIZES, **EXACT)
    assert "Neg" in {node.op_type for node in after.graph}
    check_shared(BY_NAME[name], given, dims={"b": 2, "s": 3}, **EXACT)


MISSES = [
    ("identity", "y = Identity(x)", "makes an output"),
    (
        "dropout",
        "i = Dropout(x, half, true0) y = Neg(i)",
        "training mode",
    ),
    ("cast_to_same", "c = Cast<to=11>(x) y = Cast<to=1>(c)", "changes the dtype"),
    (
        "transpose_identity",
        "t = Transpose<perm=[1,0]>(x) n = Neg(t) y = Transpose<perm=[1,0]>(n)",
        "permutes by",
    ),
    (
        "reshape_to_same",
        "r = Reshape(x, neg1) n = Neg(r) y = Reshape(n, swap)",
        "changes the shape",
    ),
    (
        "reshape_back",
        "e = Unsqueeze(x, two) f = Reshape(e, neg1) y = Reshape(f, swap)",
        "the second does not undo the first",
    ),
    (
        "slice_whole",
        "i = Slice(x, zero, big, one, two) n = Concat<axis=1>(i, i) y = Neg(n)",
        "step is not 1",
    ),
    (
        "slice_whole",
        "a = Slice(x, from_end, far, zero_one, one_less) y = Neg(a)",
        "step is not 1",
    ),
    ("where_true", "e = Exp(x) y = Where(mixed, x, e)", "is not true"),
    ("where_false", "e = Exp(x) y = Where(mixed, e, x)", "is not false"),
    (
        "concat_of_split",
        "r = Relu(x) y = Concat<axis=0>(r)",
        "its operands are not all the outputs of one Split in order",
    ),
    ("pad_nothing", "p = Pad(x, padded) y = Slice(p, one, big, one)", "it pads"),
    (
        "concat_of_one",
        "p, q = Split<axis=1, num_outputs=2>(x) y = Concat<axis=1>(p, q)",
        "2 operands",
    ),
    (
        "concat_of_split",
        "p, q = Split<axis=1, num_outputs=2>(x) y = Concat<axis=1>(q, p)",
        "in order",
    ),
    ("add_zero", "y = Add(x, half)", "is not 0"),
    ("tile_once", "t = Tile(x, ones_two) y = Slice(t, zero, four, one)", "is not all ones"),
]


@pytest.mark.parametrize(("name", "body", "reason"), MISSES, ids=lambda v: str(v)[:40])
def test_refuses_with_a_reason(name, body, reason):
    check_miss(BY_NAME[name], _model(body), reason)


def test_an_output_that_would_be_two_stays():
    given = _model(
        "a = Relu(x) y = Identity(a)", "g (float[b,4] x) => (float[b,4] y, float[b,4] a)"
    )
    check_miss(BY_NAME["identity"], given, "it makes an output of the graph")


def test_an_addend_that_broadcasts_the_result_up_stays():
    given = _model("y = Add(x, wide)", "g (float[b,4] x) => (float[2,b,4] y)")
    check_miss(BY_NAME["add_zero"], given, "changes the shape")


def test_concat_on_another_axis_than_the_split_stays():
    given = model(
        "g (float[4,4] x) => (float[8,2] y) { p, q = Split<axis=1, num_outputs=2>(x) "
        "y = Concat<axis=0>(p, q) }"
    )
    check_miss(BY_NAME["concat_of_split"], given, "different axes")


def test_logic_identities():
    for body in ("i = And(p, t)", "i = Or(f, p)", "n = Not(p) i = Not(n)"):
        weights = {"t": np.array([True])} | ({"f": np.array([False])} if "f," in body else {})
        given = model(
            f"g (bool[b,3] x) => (bool[b,3] y) {{ q = Not(x) p = Xor(q, t) {body} y = Xor(i, q) }}",
            **weights,
        )
        rules = [BY_NAME["and_true"], BY_NAME["not_of_not"]]
        check_rule(rules, given, {"Not": 1, "Xor": 2}, dims={"b": 3}, **EXACT)


def test_an_integer_constant_is_not_taken_for_a_fraction():
    given = model(
        "g (int64[b] x) => (int64[b] y) { y = Add(x, c) }", c=np.array([1], dtype=np.int64)
    )
    check_miss(BY_NAME["add_zero"], given, "is not 0")


def test_a_value_that_is_fed():
    check_rule(BY_NAME["identity"], _model("i = Identity(x) y = Neg(i)"), {"Neg": 1}, **sized())


def sized():
    return {"dims": SIZES, **EXACT}


def test_a_split_along_its_default_axis():
    given = model(
        "g (float[4,3] x) => (float[4,3] y) { p, q = Split<num_outputs=2>(x) "
        "i = Concat<axis=0>(p, q) y = Neg(i) }"
    )
    check_rule(BY_NAME["concat_of_split"], given, {"Neg": 1}, **EXACT)


def test_a_transpose_without_an_order():
    given = model("g (float[b,4] x) => (float[4,b] y) { y = Transpose(x) }")
    check_miss(BY_NAME["transpose_identity"], given, "it permutes by None")


def test_values_of_unknown_rank():
    given = _model("p, q = Split<axis=1, num_outputs=2>(x) y = Concat<axis=1>(p, q)")
    given.graph.inputs[0].shape = None
    check_miss(BY_NAME["concat_of_split"], given, "different axes")
    given = _model("y = Reshape(x, keep)")
    given.graph.inputs[0].shape = None
    check_miss(BY_NAME["reshape_to_same"], given, "its shape is not known")
    given = model("g (float[b,4] x, int64[k] s) => (float y) { y = Reshape(x, s) }")
    given.graph.outputs[0].shape = None
    check_miss(BY_NAME["reshape_to_same"], given, "its shape is not known")


def test_an_output_of_a_branch_is_made_in_it():
    given = model(
        """g (float[b,4] x, bool c) => (float[b,4] y) { a = Relu(x) y = If(c) <
            then_branch = t () => (float[b,4] p) { p = Identity(a) },
            else_branch = e () => (float[b,4] q) { q = Neg(a) }> }"""
    )
    check_miss(BY_NAME["identity"], given, "it makes an output of the graph")


def test_lengths_are_the_same_if_they_are_known():
    some, none = ir.SymbolicDim("n"), ir.SymbolicDim(None)
    assert has_same_dims([2, some], ir.Shape([2, "n"]))
    assert not has_same_dims([2, some], [2, ir.SymbolicDim("m")])
    assert not has_same_dims([none], [none])
    assert not has_same_dims([2], [2, 2])
    assert not has_same_dims(None, [2])
    assert not has_same_dims([2], None)


@pytest.mark.parametrize("name", ["reshape_back", "squeeze_of_unsqueeze"])
def test_values_in_between_may_be_read(name):
    check_stays(BY_NAME[name], _model(dict(MATCHES)[name]))


def test_a_truth_in_between_may_be_read():
    given = model("g (bool[b] x) => (bool[b] y) { a = Not(x) b = Not(a) y = And(b, x) }")
    check_stays(BY_NAME["not_of_not"], given)
    check_stays(BY_NAME["neg_of_neg"], _model("n = Neg(x) i = Neg(n) y = Abs(i)"))
