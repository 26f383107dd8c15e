"""Linear layers that read one value."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.passes.fuse import Fuse
from sardonyx.compiler.rules.parallel import linear
from sardonyx.compiler.rules.parallel.linear import PARALLEL_LINEAR
from tests.support.models import model, normal
from tests.support.rules import apply, check_miss, check_rule, check_same, check_shared

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
SIZES = [{"b": 3, "s": 4}, {"b": 1, "s": 4}, {"b": 1, "s": 1}]
WEIGHTS = {
    "q": normal(6, 8, seed=1),
    "k": normal(6, 4, seed=2),
    "v": normal(6, 1, seed=3),
    "qb": normal(8, seed=4),
    "kb": normal(4, seed=5),
    "vb": normal(1, seed=6),
    "qt": normal(8, 6, seed=7),
    "kt": normal(4, 6, seed=8),
    "seven": normal(7, 2, seed=9),
    "row": normal(1, 1, 8, seed=10),
    "stack": normal(2, 6, 4, seed=11),
}
HEAD = "g (float[b,s,6] x) => (float[b,s,8] y, float[b,s,4] z) "
MATRIX = "g (float[b,6] x) => (float[b,8] y, float[b,4] z) "
MERGED = {"MatMul": 1, "Split": 1}


def linears(body: str, head: str = HEAD, **others: np.ndarray) -> ir.Model:
    return model(head + "{ " + body + " }", **{**WEIGHTS, **others})


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("y = MatMul(x, q) z = MatMul(x, k)", MERGED),
        ("a = MatMul(x, q) y = Add(a, qb) c = MatMul(x, k) z = Add(c, kb)", {**MERGED, "Add": 1}),
        ("a = MatMul(x, q) c = MatMul(x, k) z = Add(kb, c) y = Add(qb, a)", {**MERGED, "Add": 1}),
        ("a = MatMul(x, q) y = Add(a, qb) z = MatMul(x, k)", {**MERGED, "Add": 1}),
        ("y = MatMul(x, q) c = MatMul(x, k) z = Add(c, vb)", {**MERGED, "Add": 1}),
        ("a = MatMul(x, q) y = Add(a, qb) c = MatMul(x, k) z = Add(c, vb)", {**MERGED, "Add": 1}),
    ],
)
def test_two_layers_are_one(body, left):
    given = linears(body)
    check_rule(PARALLEL_LINEAR, given, left, dims=SIZES, **CLOSE)


def test_queries_keys_and_values():
    body = """n = Relu(x)
        a = MatMul(n, q) qq = Add(a, qb) c = MatMul(n, k) kk = Add(c, kb)
        d = MatMul(n, v) vv = Add(d, vb) y = Tanh(qq) z = Mul(kk, vv)"""
    left = {"Relu": 1, **MERGED, "Add": 1, "Tanh": 1, "Mul": 1}
    given = linears(body)
    check_rule(PARALLEL_LINEAR, given, left, dims=SIZES, **CLOSE)
    check_shared(PARALLEL_LINEAR, given, dims=SIZES, **CLOSE)


def test_the_sum_that_one_layer_feeds_may_come_before_the_other_layer():
    body = "a = MatMul(x, q) y = Relu(a) r = ReduceSum(y) c = MatMul(x, k) z = Mul(c, r)"
    left = {**MERGED, "Relu": 1, "ReduceSum": 1, "Mul": 1}
    check_rule(PARALLEL_LINEAR, linears(body), left, dims=SIZES, **CLOSE)


def test_a_product_with_more_readers_keeps_its_bias_apart():
    body = "a = MatMul(x, q) r = Relu(a) s = Add(a, qb) y = Mul(r, s) z = MatMul(x, k)"
    left = {**MERGED, "Relu": 1, "Add": 1, "Mul": 1}
    check_rule(PARALLEL_LINEAR, linears(body), left, dims=SIZES, **CLOSE)
    body = "a = MatMul(x, q) s = Add(a, qb) r = Relu(a) y = Mul(r, s) z = MatMul(x, k)"
    check_rule(PARALLEL_LINEAR, linears(body), left, dims=SIZES, **CLOSE)


def test_a_vector_that_makes_a_product_wider_is_no_bias():
    body = "a = MatMul(x, v) y = Add(a, qb) z = MatMul(x, k)"
    check_rule(PARALLEL_LINEAR, linears(body), {**MERGED, "Add": 1}, dims=SIZES, **CLOSE)


def test_a_bias_that_is_added_in_a_branch_stays_there():
    text = """g (float[b,s,6] x, bool c) => (float[b,s,8] y, float[b,s,4] z) {
        a = MatMul(x, q) d = MatMul(x, k) z = Add(d, kb)
        y = If (c) <
            then_branch = g1 () => (float[b,s,8] t1) { p = Add(a, qb) t1 = Neg(p) },
            else_branch = g2 () => (float[b,s,8] t2) { t2 = MatMul(x, q) } > }"""
    left = {"MatMul": 2, "Split": 1, "Add": 2, "If": 1, "Neg": 1}
    check_rule(PARALLEL_LINEAR, model(text, **WEIGHTS), left, dims=SIZES, **CLOSE)


def test_as_many_layers_as_may_be_held():
    body = "c = MatMul(x, k) d = MatMul(x, k2) e = MatMul(x, k3) z = Sum(c, d, e) y = MatMul(x, q)"
    given = linears(body, k2=normal(6, 4, seed=23), k3=normal(6, 4, seed=24))
    check_rule(PARALLEL_LINEAR, given, {**MERGED, "Sum": 1}, dims=SIZES, **CLOSE)


@pytest.mark.parametrize("term", ["x8", "row"])
def test_a_sum_with_no_bias_vector_stays(term):
    head = HEAD.replace("x)", "x, float[b,s,8] x8)")
    body = f"a = MatMul(x, q) y = Add(a, {term}) z = MatMul(x, k)"
    check_rule(PARALLEL_LINEAR, linears(body, head), {**MERGED, "Add": 1}, dims=SIZES, **CLOSE)


def test_a_column_that_is_added_is_no_bias():
    head = "g (float[8,6] x) => (float[8,8] y, float[8,4] z) "
    body = "a = MatMul(x, q) y = Add(a, column) z = MatMul(x, k)"
    given = linears(body, head, column=normal(8, 1))
    check_rule(PARALLEL_LINEAR, given, {**MERGED, "Add": 1}, **CLOSE)


@pytest.mark.parametrize(
    "body",
    [
        "y = Gemm(x, q) z = Gemm(x, k)",
        "y = Gemm(x, q, qb) z = Gemm(x, k, kb)",
        "y = Gemm(x, q, qb) z = Gemm(x, k)",
        "y = Gemm(x, q) z = Gemm(x, k, vb)",
        "y = Gemm <transB=1> (x, qt, qb) z = Gemm <transB=1> (x, kt, kb)",
        "y = Gemm <transB=1> (x, qt) z = Gemm <transB=1> (x, kt)",
    ],
)
def test_gemm(body):
    given = linears(body, MATRIX)
    left = {"Gemm": 1, "Split": 1}
    check_rule(PARALLEL_LINEAR, given, left, dims=[{"b": 3}, {"b": 1}], **CLOSE)


def test_double_and_half_precision():
    weights = {name: array.astype(np.float64) for name, array in WEIGHTS.items()}
    head = HEAD.replace("float", "double")
    given = model(head + "{ y = MatMul(x, q) z = MatMul(x, k) }", **weights)
    check_rule(PARALLEL_LINEAR, given, MERGED, dims=SIZES, atol=1e-9, rtol=1e-9)
    weights = {name: array.astype(np.float16) for name, array in WEIGHTS.items()}
    head = HEAD.replace("float", "float16")
    given = model(head + "{ y = MatMul(x, q) z = MatMul(x, k) }", **weights)
    check_rule(PARALLEL_LINEAR, given, MERGED, dims=SIZES, atol=2e-2, rtol=1e-2)


def test_layers_in_a_branch_merge_with_each_other_only():
    text = """g (float[b,s,6] x, bool c) => (float[b,s,8] y) {
        a = MatMul(x, q)
        t = If (c) <
            then_branch = g1 () => (float[b,s,8] t1) {
                p = MatMul(x, q) r = MatMul(x, k) m = ReduceSum(r) t1 = Mul(p, m) },
            else_branch = g2 () => (float[b,s,8] t2) { t2 = MatMul(x, q) } >
        y = Add(a, t) }"""
    left = {"MatMul": 3, "Split": 1, "ReduceSum": 1, "Mul": 1, "If": 1, "Add": 1}
    check_rule(PARALLEL_LINEAR, model(text, **WEIGHTS), left, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    ("body", "head", "reason"),
    [
        (
            "y = MatMul(x, q) r = Relu(x) z = MatMul(r, k)",
            HEAD,
            "no other layer with a constant weight reads the same value (x",
        ),
        (
            "y = MatMul(x, q) w = Relu(k) z = MatMul(x, w)",
            HEAD,
            "no other layer with a constant weight reads the same value (x",
        ),
        (
            "y = Gemm(x, q) z = Gemm <transB=1> (x, kt)",
            MATRIX,
            "no other layer with a constant weight reads the same value (x",
        ),
        (
            "y = Gemm <alpha=2.0> (x, q) z = Gemm <alpha=2.0> (x, k)",
            MATRIX,
            "the Gemm scales, or transposes its input",
        ),
        (
            "y = Gemm <transA=1> (x, q) z = Gemm <transA=1> (x, k)",
            "g (float[6,6] x) => (float[6,8] y, float[6,4] z) ",
            "the Gemm scales, or transposes its input",
        ),
        (
            "y = Gemm <beta=2.0> (x, q, qb) z = Gemm <beta=2.0> (x, k, kb)",
            MATRIX,
            "the Gemm scales, or transposes its input",
        ),
        (
            "r = Relu(qb) y = Gemm(x, q, r) s = Relu(kb) z = Gemm(x, k, s)",
            MATRIX,
            "the bias is computed when the model runs",
        ),
        (
            "y = Gemm(x, q, bias2) z = Gemm(x, k, bias3)",
            MATRIX,
            "the bias is no vector (bias2",
        ),
        (
            "y = MatMul(x, stack) z = MatMul(x, stack)",
            "g (float[b,s,6] x) => (float[2,s,4] y, float[2,s,4] z) ",
            "the weight is no matrix (stack",
        ),
    ],
)
def test_near_misses(body, head, reason):
    others = {"bias2": normal(1, 8), "bias3": normal(1, 4)}
    check_miss(PARALLEL_LINEAR, linears(body, head, **others), reason)


def test_integers_are_left_alone():
    text = "g (int32[b,6] x) => (int32[b,8] y, int32[b,4] z) { y = MatMul(x, q) z = MatMul(x, k) }"
    given = model(text, **{n: (8 * a).astype(np.int32) for n, a in WEIGHTS.items()})
    check_miss(PARALLEL_LINEAR, given, "it does not compute in floats (x: int32[b, 6])")


def test_layers_are_merged_at_the_first_that_reads_the_value():
    given = linears("n = Neg(x) y = MatMul(n, q) z = MatMul(x, k)")
    before = linears("y = MatMul(x, q) z = MatMul(x, k)")
    first = next(node for node in given.graph if node.op_type == "MatMul")
    first.replace_input_with(0, given.graph.inputs[0])
    given.graph.remove(given.graph[0], safe=True)
    said = []

    def guard(m):
        said.append(PARALLEL_LINEAR.guard(m))
        return said[-1]

    apply(dataclasses.replace(PARALLEL_LINEAR, guard=guard), given)
    assert str(said[0]).startswith("it goes into the first layer that reads the value (x: ")
    assert said[1] is True
    check_same(before, given, dims=SIZES, **CLOSE)


def test_many_layers_are_left_alone():
    names = "cdefh"
    body = (
        " ".join(f"{n} = MatMul(x, k)" for n in names) + " z = Sum(c, d, e, f, h) y = MatMul(x, q)"
    )
    check_miss(PARALLEL_LINEAR, linears(body), "6 layers read the value")


def test_a_large_weight_is_not_copied_for_one_of_its_readers(monkeypatch):
    body = "y = MatMul(x, q) c = MatMul(x, k) z = Identity(c) w = Transpose(q)"
    head = HEAD.replace("z)", "z, float[8,6] w)")
    left = {**MERGED, "Identity": 1, "Transpose": 1}
    check_rule(PARALLEL_LINEAR, linears(body, head), left, dims=SIZES, **CLOSE)
    monkeypatch.setattr(linear, "_LARGE", 6 * 8 * 4)
    check_rule(PARALLEL_LINEAR, linears(body, head), left, dims=SIZES, **CLOSE)
    monkeypatch.setattr(linear, "_LARGE", 6 * 8 * 4 - 1)
    reason = "others read the weight too, a copy would take 0 MB (q: float[6, 8])"
    check_miss(PARALLEL_LINEAR, linears(body, head), reason)
    given = linears("y = MatMul(x, q) z = MatMul(x, k)")
    check_rule(PARALLEL_LINEAR, given, MERGED, dims=SIZES, **CLOSE)


def test_the_weights_are_read_when_they_are_written():
    given = linears("y = MatMul(x, q) z = MatMul(x, k)")
    apply(PARALLEL_LINEAR, given)
    (weight,) = [v for v in given.graph.initializers.values() if len(v.shape) == 2]
    assert isinstance(weight.const_value, ir.LazyTensor)
    expected = np.concatenate([WEIGHTS["q"], WEIGHTS["k"]], axis=1)
    np.testing.assert_array_equal(weight.const_value.numpy(), expected)


def test_the_pass_runs_it_after_what_goes_into_the_layers():
    body = "a = MatMul(x, q) y = Mul(a, half) c = MatMul(x, k) z = Add(c, kb)"
    given = linears(body, half=np.float32(0.5))
    check_rule(Fuse(), given, {**MERGED, "Add": 1}, dims=SIZES, **CLOSE)


SAME = "two of the layers are one and the same"


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        ("y = MatMul(x, q) z = MatMul(x, q)", True),
        ("a = MatMul(x, q) y = Add(a, qb) c = MatMul(x, q) z = Add(c, qb)", True),
        ("a = MatMul(x, q) y = Add(a, qb) c = MatMul(x, q) z = Add(c, other_b)", False),
        ("a = MatMul(x, q) y = Add(a, qb) z = MatMul(x, q)", False),
        ("y = MatMul(x, q) z = MatMul(x, other)", False),
    ],
)
def test_a_layer_computed_twice_is_left_to_be_computed_once(body, is_one):
    head = "g (float[b,s,6] x) => (float[b,s,8] y, float[b,s,8] z) "
    given = linears(body, head, other=normal(6, 8, seed=21), other_b=normal(8, seed=22))
    if is_one:
        check_miss(PARALLEL_LINEAR, given, SAME)
    else:
        left = {**MERGED, **({"Add": 1} if "Add" in body else {})}
        check_rule(PARALLEL_LINEAR, given, left, dims=SIZES, **CLOSE)
