"""Half precision, a norm in single precision, half precision again: one norm of half precision.

Norms compute in single precision inside (`stash_type`), so the casts around one say nothing new.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.rewrite import Match, No, any_of, const, maybe, no, rule
from sardonyx.compiler.rules.producers import made_by

_HALVES = {ir.DataType.FLOAT16, ir.DataType.BFLOAT16}


def _fuse(op: Builder, m: Match) -> ir.Value:
    """Cast(Norm(Cast(x), s, b)) is Norm(x, Cast(s), Cast(b))."""
    half = _input(m)
    assert half.dtype is not None
    dtype = half.dtype.numpy()
    vectors = [v.astype(dtype) for v in (m.scale, m.bias) if v is not None]
    made: ir.Value = op.call(m.norm.node.op_type, half, *vectors, attributes=m.norm)
    return made


def _input(m: Match) -> ir.Value:
    value: ir.Value = m.x.producer().inputs[0]
    return value


def _can_fuse(m: Match) -> bool | No:
    result = m.root.outputs[0]
    if m.x.dtype != ir.DataType.FLOAT or made_by(m.x, "Cast") is None:
        return no("its input is no Cast to single precision", m.x)
    half = _input(m)
    if half.dtype not in _HALVES or half.dtype != result.dtype:
        return no(f"the result is cast to {result.dtype}, the input from {half.dtype}")
    for name in ("scale", "bias"):
        vector = getattr(m, name)
        if vector is not None and not _survives(vector, half.dtype):
            return no(f"half precision cannot hold the {name}", m.value(name))
    return True


def _survives(vector: Array, dtype: ir.DataType) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.array_equal(vector.astype(dtype.numpy()).astype(vector.dtype), vector))


NORM_CAST = rule(
    "norm_cast",
    lambda op: op.Cast(
        any_of(
            op.RMSNormalization("x", const("scale"), attributes="norm"),
            op.LayerNormalization("x", const("scale"), maybe(const("bias")), attributes="norm"),
        )
    ),
    _fuse,
    _can_fuse,
)
