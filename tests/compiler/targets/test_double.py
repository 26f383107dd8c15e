"""Operators that ONNX defines by others, in double precision and of integers on a CPU."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from sardonyx import compiler, runtime
from sardonyx.compiler.errors import UnsupportedError
from tests.support.models import model

DOUBLE = [
    "Attention(x, x, x)",
    "CastLike(x, s)",
    "Elu <alpha = 0.5> (x)",
    "Gelu <approximate = 'tanh'> (x)",
    "GroupNormalization <num_groups = 2> (x, c, c)",
    "HardSigmoid <alpha = 0.25> (x)",
    "HardSwish(x)",
    "LayerNormalization(x, s)",
    "LeakyRelu <alpha = 0.125> (x)",
    "LogSoftmax(x)",
    "Mish(x)",
    "PRelu(x, s)",
    "RMSNormalization(x, s)",
    "ReduceLogSumExp(x)",
    "Relu(x)",
    "Selu(x)",
    "Shrink(x)",
    "Softmax(x)",
    "Softplus(x)",
    "Softsign(x)",
    "ThresholdedRelu <alpha = 0.5> (x)",
]
FEEDS = {
    "x": np.random.default_rng(1).standard_normal((2, 4, 3, 5)),
    "s": np.random.default_rng(2).uniform(0.5, 2, 5),
    "c": np.random.default_rng(3).uniform(0.5, 2, 4),
}


def of_one(call: str, dtype: str = "double") -> ir.Model:
    dims = f"{dtype}[n,4,3,5] x, {dtype}[5] s, {dtype}[4] c"
    call = call.replace("'", '"')
    return model(f"g ({dims}) => ({dtype}[a,b,d,e] y) {{ y = {call} }}")


def check(call: str, dtype: str = "double", *, rtol: float) -> None:
    given = of_one(call, dtype)
    feeds = {name: (x * 4).astype(np.dtype(dtype)) for name, x in FEEDS.items()}
    (wanted,) = ReferenceEvaluator(ir.to_proto(given)).run(None, feeds)
    found = runtime.load(compiler.compile(given, target="cpu")).run_named(feeds)["y"]
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("call", DOUBLE, ids=lambda call: call.split("(")[0].split()[0])
def test_double_precision(call):
    # Attributes are in single precision, and so are the deviations of norms.
    check(call, rtol=1e-6)


@pytest.mark.parametrize("call", ["Relu(x)", "PRelu(x, s)"])
def test_integers(call):
    check(call, "int64", rtol=0)


def test_what_has_no_kernel_when_it_is_written_out_is_refused():
    with pytest.raises(UnsupportedError) as caught:
        compiler.compile(of_one("Gelu(x)"), target="cpu")
    assert "ONNX Runtime has no CPU kernel for Erf of double" in str(caught.value)


def test_single_precision_is_not_written_out():
    for name in ("Elu", "HardSwish"):
        program = compiler.compile(of_one(f"{name}(x)", "float"), target="cpu")
        assert [node.op_type for node in program.model.graph] == [name]


def test_an_operator_in_a_branch_is_written_out_too():
    given = model(
        """g (bool c, double[n] x) => (double[n] y) {
            y = If (c) <
                then_branch = t () => (double[n] u) { u = HardSwish(x) },
                else_branch = f () => (double[n] v) { v = Mish(x) }> }"""
    )
    session = runtime.load(compiler.compile(given, target="cpu"))
    x = FEEDS["s"]
    wanted = x * np.clip(x / 6 + 0.5, 0, 1), x * np.tanh(np.log1p(np.exp(x)))
    for flag, y in zip((True, False), wanted, strict=True):
        np.testing.assert_allclose(session(np.array(flag), x)[0], y, rtol=1e-6)
