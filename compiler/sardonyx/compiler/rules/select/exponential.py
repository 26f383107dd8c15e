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
    """Softplus(x) is max(x, log(1 + e)) where e = exp(min(x, 80)), with every digit of a small one.

    w = 1 + e loses digits of a small e; log(1 + e) is log(w) + (e - (w-1)) / w to the first order
    in what w lost, which is far below the last digit.
    """
    one = np.float32(1)
    e = op.Exp(op.Clip(m.x, None, _LINEAR))
    w = op.Add(e, one)
    lost = op.Sub(e, op.Sub(w, one))
    made: ir.Value = op.Max(m.x, op.Add(op.Log(w), op.Div(lost, w)))
    return made


SOFTPLUS_BY_LOG = rule("softplus_by_log", lambda op: op.Softplus("x"), _by_log, _is_single)


def _by_exp(op: Builder, m: Match) -> ir.Value:
    """Mish(x) is x * n / (n + 2), where n = e * (e + 2) and e = exp(x), without any logarithm."""
    e = op.Exp(op.Clip(m.x, None, _SATURATED))
    n = op.Mul(e, op.Add(e, np.float32(2)))
    made: ir.Value = op.Mul(m.x, op.Div(n, op.Add(n, np.float32(2))))
    return made


MISH_BY_EXP = rule("mish_by_exp", lambda op: op.Mish("x"), _by_exp, _is_single)
