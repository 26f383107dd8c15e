"""RMS normalisation in the spelling that ONNX Runtime fuses into its own operator."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, no, rule


def _by_mean_square(op: Builder, m: Match) -> ir.Value:
    """RMSNormalization(x) is x / sqrt(mean(x^2) + epsilon) * scale."""
    computed = ir.DataType(m.norm.stash_type)
    is_narrow = m.x.dtype not in {computed, ir.DataType.DOUBLE}
    x = op.Cast(m.x, to=computed) if is_narrow else m.x
    rank = len(m.x.shape)
    axes = np.arange(m.norm.axis % rank - rank, 0, dtype=np.int64)
    mean = op.ReduceMean(op.Pow(x, 2.0), axes)
    normal = op.Div(x, op.Sqrt(op.Add(mean, float(m.norm.epsilon))))
    made: ir.Value = op.Mul(op.Cast(normal, to=m.x.dtype) if is_narrow else normal, m.scale)
    return made


def _has_rank(m: Match) -> bool | No:
    return m.x.shape is not None or no("its rank is not known", m.x)


RMS_NORM = rule(
    "rms_norm_by_mean_square",
    lambda op: op.RMSNormalization("x", "scale", attributes="norm"),
    _by_mean_square,
    _has_rank,
)
