"""Large weights: guards do not read them, and folding widens them a part at a time."""

from __future__ import annotations

import tracemalloc

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.passes.fuse import AFFINE
from sardonyx.compiler.rules import linear
from sardonyx.compiler.rules.batch_norm_linear import BATCH_NORM_GEMM
from sardonyx.compiler.rules.linear_scale import LINEAR_SCALE
from tests.support.models import batch_norm_weights, model, normal
from tests.support.rules import apply, check_miss, check_rule

NOISE = {"atol": 5e-3, "rtol": 1e-4}
HEAD = "g (float[b,6,6,6] x) => (float[b,6,6,6] y) "


@pytest.mark.parametrize(
    "body",
    [
        "c = Conv(x, w) y = Mul(c, k)",
        "c = Mul(x, k) y = Conv(c, w)",
        "c = Add(x, k) y = Conv(c, w)",
        "c = MatMul(x, v) y = Div(c, k)",
        "c = Conv <pads = [0, 0, 0, 0]> (x, w) d = Sigmoid(c) y = Mul(d, k)",
    ],
)
def test_a_refusal_does_not_read_the_weight(body):
    def load():
        raise AssertionError("the weight was read")

    given = model(
        HEAD + f"{{ {body} }}",
        w=normal(6, 6, 1, 1),
        v=normal(6, 6),
        k=normal(6, 1) + 3,
    )
    for name in {"w", "v"} & set(given.graph.initializers):
        value = given.graph.initializers[name]
        shape = ir.Shape(value.shape.numpy())
        value.const_value = ir.LazyTensor(load, dtype=value.dtype, shape=shape, name=name)
    Types.inferred(given)
    report = apply(AFFINE, given)
    assert not report.applied
    assert "the constant differs along axis" in " ".join(m.why for m in report.misses.values()) or (
        "Sigmoid" in body
    )


def test_parts_make_the_same_weight_as_the_whole():
    weight = normal(1100, 1300)
    text = "g (float[b,1100] x) => (float[b,1300] y) { p = MatMul(x, w) y = Mul(p, k) }"
    given = model(text, w=weight, k=normal(1300))
    after = check_rule(LINEAR_SCALE, given, {"MatMul": 1}, dims={"b": 3}, **NOISE)
    (made,) = after.graph.initializers.values()
    exact = weight.astype(np.float64) * normal(1300).astype(np.float64)
    np.testing.assert_array_equal(made.const_value.numpy(), exact.astype(np.float32))


@pytest.mark.parametrize("gemm", ["Gemm(n, w)", "Gemm <transB = 1> (n, w)"])
def test_the_sum_over_parts_is_the_whole(gemm):
    text = f"""g (float[b,1200] x) => (float[b,1200] y)
        {{ n = BatchNormalization(x, s, t, m, v) y = {gemm} }}"""
    given = model(text, w=normal(1200, 1200) / 30, **batch_norm_weights(1200))
    check_rule(BATCH_NORM_GEMM, given, {"Gemm": 1}, dims={"b": 3}, **NOISE)


def test_folding_needs_little_more_than_the_new_weight():
    text = "g (float[b,4096] x) => (float[b,4096] y) { p = MatMul(x, w) y = Mul(p, k) }"
    given = model(text, w=np.ones((4096, 4096), np.float32), k=normal(4096))
    # A tensor of a protobuf message copies its bytes each time it is read.
    weight = given.graph.initializers["w"]
    weight.const_value = ir.tensor(weight.const_value.numpy(), name="w")
    Types.inferred(given)
    tracemalloc.start()
    apply(LINEAR_SCALE, given)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.6 * 4096 * 4096 * 4


def test_a_large_weight_that_nobody_else_reads_is_changed(monkeypatch):
    text = "g (float[b,3] x) => (float[b,4] y, float[4,3] z) { p = MatMul(x, w) y = Mul(p, k)"
    held = {"w": normal(3, 4), "k": normal(4)}
    shared = model(f"{text} z = Transpose(w) }}", **held)
    alone = model(f"{text} }}".replace(", float[4,3] z", ""), **held)
    monkeypatch.setattr(linear, "_LARGE", 3 * 4 * 4)
    left = {"MatMul": 1, "Transpose": 1}
    check_rule(LINEAR_SCALE, shared, left, dims={"b": 3}, atol=1e-5, rtol=1e-5)
    monkeypatch.setattr(linear, "_LARGE", 3 * 4 * 4 - 1)
    check_rule(LINEAR_SCALE, alone, {"MatMul": 1}, dims={"b": 3}, atol=1e-5, rtol=1e-5)
    check_miss(LINEAR_SCALE, shared, "others read the weight too, a copy would take 0 MB")
