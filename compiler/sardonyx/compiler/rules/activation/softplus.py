"""Softplus from its parts, with and without PyTorch's threshold, and Mish from Softplus."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, const, no, rule
from sardonyx.compiler.rules.activation.spelling import has_kernel


def _softplus(op: Builder, m: Match) -> ir.Value:
    """log(1 + exp(x)) is Softplus(x)."""
    made: ir.Value = op.Softplus(m.x)
    return made


SOFTPLUS = rule("softplus", lambda op: op.Log(op.Add(op.Exp("x"), 1)), _softplus, has_kernel)


def _without_threshold(op: Builder, m: Match) -> ir.Value:
    """Where(x > 20, x, Softplus(x)) is Softplus(x): they do not differ for so large an x."""
    made: ir.Value = op.Softplus(m.x)
    return made


def _is_past_rounding(m: Match) -> bool | No:
    fits = has_kernel(m)
    if not fits:
        return fits
    threshold = float(m.threshold.min())
    # Softplus(x) - x is log(1 + exp(-x)), and less than exp(-x).
    epsilon = float(ml_dtypes.finfo(m.x.dtype.numpy()).eps)  # type: ignore[no-untyped-call]
    if not np.exp(-threshold) <= threshold * epsilon / 2:
        return no(f"Softplus(x) is not x yet at the threshold {threshold:g}", m.x)
    return True


SOFTPLUS_THRESHOLD = rule(
    "softplus_threshold",
    lambda op: op.Where(
        any_of(op.Greater("x", const("threshold")), op.Less(const("threshold"), "x")),
        "x",
        op.Softplus("x"),
    ),
    _without_threshold,
    _is_past_rounding,
)


def _mish(op: Builder, m: Match) -> ir.Value:
    """x * tanh(Softplus(x)) is Mish(x)."""
    made: ir.Value = op.Mish(m.x)
    return made


MISH = rule("mish", lambda op: op.Mul("x", op.Tanh(op.Softplus("x"))), _mish, has_kernel)
