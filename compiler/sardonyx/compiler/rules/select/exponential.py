"""Softplus and Mish by the exponential function.

ONNX Runtime's kernel of Softplus takes several times as long as its kernels of Exp and Log, which
compute several elements at once, and Mish it runs as Softplus, Tanh and Mul.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, no, rule

_LINEAR = np.float32(80)
"""From here Softplus(x) is x in single precision; exp(80) is still finite."""
_SATURATED = np.float32(20)
"""From here tanh(Softplus(x)) is 1 in single precision; exp(20) squared is still finite."""


def _is_single(m: Match) -> bool | No:
    return m.x.dtype == ir.DataType.FLOAT or no("it does not compute in single precision", m.x)


def _by_log(op: Builder, m: Match) -> ir.Value:
    """Softplus(x) is max(x, log(1 + exp(min(x, 80)))), to the accuracy of ONNX Runtime's kernel."""
    grown = op.Add(op.Exp(op.Clip(m.x, None, _LINEAR)), np.float32(1))
    made: ir.Value = op.Max(m.x, op.Log(grown))
    return made


SOFTPLUS_BY_LOG = rule("softplus_by_log", lambda op: op.Softplus("x"), _by_log, _is_single)


def _by_exp(op: Builder, m: Match) -> ir.Value:
    """Mish(x) is x * n / (n + 2), where n = e * (e + 2) and e = exp(x), without any logarithm."""
    e = op.Exp(op.Clip(m.x, None, _SATURATED))
    n = op.Mul(e, op.Add(e, np.float32(2)))
    made: ir.Value = op.Mul(m.x, op.Div(n, op.Add(n, np.float32(2))))
    return made


MISH_BY_EXP = rule("mish_by_exp", lambda op: op.Mish("x"), _by_exp, _is_single)
