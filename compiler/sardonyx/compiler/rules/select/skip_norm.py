"""A sum, then LayerNormalization or RMSNormalization: one kernel of ONNX Runtime's CUDA provider.

A bias that is added before goes in as well. Where others read the sum too, as in pre-norm
residuals, it comes out of the kernel: `*_sum` puts the kernel in the place of the Add, then
`*_of_sum` lets the readers of the norm read its first result.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, Rule, any_of, const, maybe, no, rule
from sardonyx.compiler.rewrite.pattern import Operator, Pattern, PatternBuilder
from sardonyx.compiler.rules.affine import is_per_channel
from sardonyx.compiler.rules.norm.spelling import NORMED
from sardonyx.compiler.rules.producers import is_operator

_NORMS = ("LayerNormalization", "RMSNormalization")
_KERNELS = {
    "LayerNormalization": "SkipLayerNormalization",
    "RMSNormalization": "SkipSimplifiedLayerNormalization",
}
_SUM = 3
"""Which result of the kernels is the sum."""


def _norm(op: PatternBuilder, x: Pattern | str) -> Pattern:
    return any_of(
        op.LayerNormalization(x, "scale", maybe("beta"), attributes="norm"),
        op.RMSNormalization(x, "scale", attributes="norm"),
    )


def _sums(op: PatternBuilder) -> tuple[Operator, ...]:
    """Return patterns of a sum with a bias and without one, in the order to try them in."""
    biased = op.Add(op.Add("a", const("bias")), "b", output="sum")
    return biased, op.Add("a", "b", output="sum")


def _kernel(op: Builder, m: Match, norm: ir.Node, **outputs: Any) -> Any:
    scale, *rest = norm.inputs[1:]
    epsilon = norm.attributes.get_float("epsilon", 1e-5)
    bias = None if m.bias is None else op.constant(m.bias.ravel())
    if norm.op_type == "RMSNormalization":
        return op.call(
            "SkipSimplifiedLayerNormalization",
            *(m.a, m.b, scale, bias),
            domain="com.microsoft",
            epsilon=epsilon,
            **outputs,
        )
    return op.call(
        "SkipLayerNormalization",
        *(m.a, m.b, scale, rest[0] if rest else None, bias),
        domain="com.microsoft",
        epsilon=epsilon,
        **outputs,
    )


# --- guards --------------------------------------------------------------------------------------


def _fits(m: Match, norm: ir.Node) -> bool | No:
    a, b, scale = m.a, m.b, norm.inputs[1]
    if m.sum.dtype not in NORMED:
        return no("the kernel is for floats of 16 and 32 bits", m.sum)
    if a.shape is None or len(a.shape) != 3 or a.shape != b.shape:
        return no("the sum is not known to be of two sequences of one shape", m.sum)
    assert scale is not None
    if scale.dtype != a.dtype:
        return no("the scale of the norm has another dtype", scale)
    if any(vector is not None and vector.shape != [a.shape[2]] for vector in norm.inputs[1:]):
        return no("the scale of the norm is not one of each channel", scale)
    bias = m.value("bias")
    return bias is None or _is_bias(m, bias)


def _is_bias(m: Match, bias: ir.Value) -> bool | No:
    verdict = is_per_channel(bias, 3, 2, m.a.shape[2])
    return verdict and (m.bias.size == m.a.shape[2] or no("the bias is one number", bias))


def _fits_alone(m: Match) -> bool | No:
    return _fits(m, m.norm.node)


def _norms_of(value: ir.Value) -> list[ir.Node]:
    return [r for r, index in value.uses() if is_operator(r, *_NORMS) and index == 0]


def _fits_with_sum(m: Match) -> bool | No:
    norms = _norms_of(m.sum)
    if len(norms) != 1 or len(norms[0].outputs) != 1:
        return no(f"{len(norms)} norms read the sum, not one", m.sum)
    if len(m.sum.uses()) == 1 and not m.sum.is_graph_output():
        return no("nothing but the norm reads the sum", m.sum)
    return _fits(m, norms[0])


# --- rules ---------------------------------------------------------------------------------------


def _alone(op: Builder, m: Match) -> ir.Value:
    """Norm(a + b) is SkipNorm(a, b)."""
    made: ir.Value = _kernel(op, m, m.norm.node)
    return made


def _with_sum(op: Builder, m: Match) -> ir.Value:
    """The sum that a norm and others read is a result of SkipNorm."""
    (norm,) = _norms_of(m.sum)
    made: ir.Value = _kernel(op, m, norm, outputs=_SUM + 1)[_SUM]
    return made


def _of_sum(_: Builder, m: Match) -> ir.Value:
    """The norm of that sum is the first result of SkipNorm."""
    kernel = m.x.producer()
    first: ir.Value = kernel.outputs[0]
    return first


def _is_its_norm(m: Match) -> bool | No:
    kernel, norm = m.x.producer(), m.norm.node
    if kernel is None or kernel.op_type != _KERNELS[norm.op_type] or m.x.index() != _SUM:
        return no("its input is no sum that a fused norm gives", m.x)
    beta = kernel.inputs[3] if norm.op_type == _NORMS[0] and len(kernel.inputs) > 3 else None
    epsilon = kernel.attributes.get_float("epsilon", math.nan)
    is_same = kernel.inputs[2] is m.scale and beta is m.beta and _are_equal(epsilon, m.norm.epsilon)
    return is_same or no("the fused norm has another scale, bias or epsilon", m.x)


def _are_equal(a: float, b: float) -> bool:
    """Compare in single precision, in which ONNX keeps attributes."""
    return bool(np.float32(a) == np.float32(b))


SKIP_NORM: tuple[Rule, ...] = (
    rule("skip_norm", lambda op: any_of(*(_norm(op, x) for x in _sums(op))), _alone, _fits_alone),
    rule("skip_norm_sum", lambda op: any_of(*_sums(op)), _with_sum, _fits_with_sum),
    rule("norm_of_sum", lambda op: _norm(op, "x"), _of_sum, _is_its_norm),
)
