"""What is left out because its result is nobody's promise: division by zero, casts out of range."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ml_dtypes
import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ops import Trait, has_trait
from tests.fuzz.values import FLOATS, WHOLE, Array

Operands = Sequence[Array | None]
_MOST_EXACT = 2.0**53

_PARTIAL = {
    *("BitShift", "Cast", "CastLike", "Div", "Expand", "Gather", "GatherElements", "GatherND"),
    *("Mod", "OneHot", "Pow", "Range", "Reshape", "ScatterElements", "ScatterND", "Slice", "Tile"),
    *("ConstantOfShape", "Pad", "TopK", "Split", "ReverseSequence", "NonZero", "Compress"),
}
"""Operators that some numbers do not suit."""


def is_safe(node: ir.Node, operands: Operands, *, is_total: bool = False) -> bool:
    """Say whether an operator is defined for these operands.

    Args:
        node: The node; its types are known.
        operands: Its operands; None is one that is left out or that nobody knows.
        is_total: Nobody knows what the operands will hold.
    """
    if has_trait(node, Trait.RANDOM):
        return False
    if is_total and node.op_type in _PARTIAL:
        return node.op_type in {"Div", "Pow"} and node.outputs[0].dtype in FLOATS
    check = _CHECKS.get(node.op_type)
    return check is None or check(node, [_plain(operand) for operand in operands])


def _plain(operand: Array | None) -> Array | None:
    """The same as floats that numpy knows."""
    if operand is None or operand.dtype != ml_dtypes.bfloat16:
        return operand
    return operand.astype(np.float32)


def _divides(_: ir.Node, operands: Operands) -> bool:
    dividend, divisor = operands[:2]
    if divisor is None or divisor.dtype.kind not in "iu":
        return True
    if np.any(divisor == 0):
        return False
    if divisor.dtype.kind == "u" or dividend is None:
        return True
    return not (np.any(divisor == -1) and np.any(dividend == np.iinfo(divisor.dtype).min))


def _shifts(_: ir.Node, operands: Operands) -> bool:
    amount = operands[1]
    return amount is not None and bool(np.all(amount < 8 * amount.dtype.itemsize))


def _casts(node: ir.Node, operands: Operands) -> bool:
    data, target = operands[0], node.outputs[0].dtype
    if data is None or target is None or data.dtype == object or target == ir.DataType.STRING:
        return False
    source = ir.DataType.from_numpy(data.dtype)
    if target not in WHOLE or source not in FLOATS:
        return True
    limits = np.iinfo(target.numpy())
    wide = data.astype(np.float64)
    return bool(np.all((wide > limits.min - 1.0) & (wide < limits.max + 1.0)))


def _powers(_: ir.Node, operands: Operands) -> bool:
    base, exponent = operands[:2]
    if base is None or exponent is None or base.dtype.kind == "f":
        return True
    with np.errstate(all="ignore"):
        made = np.power(base.astype(np.float64), exponent.astype(np.float64))
    small = np.abs(made) < min(_MOST_EXACT, float(np.iinfo(base.dtype).max))
    return bool(np.all(small & (exponent >= 0)))


def _sums(_: ir.Node, operands: Operands) -> bool:
    """Refuse sums of integers that overflow."""
    data = operands[0]
    if data is None or data.dtype.kind not in "iu":
        return True
    most = min(_MOST_EXACT, float(np.iinfo(data.dtype).max))
    return float((data.astype(np.float64) ** 2).sum()) < most


def _multiplies(_: ir.Node, operands: Operands) -> bool:
    data = operands[0]
    if data is None or data.dtype.kind not in "iu":
        return True
    most = min(_MOST_EXACT, float(np.iinfo(data.dtype).max))
    with np.errstate(all="ignore"):
        return float(np.prod(np.maximum(np.abs(data.astype(np.float64)), 1))) < most


def _gelus(node: ir.Node, operands: Operands) -> bool:
    """Refuse what ONNX's function body computes with constants of single precision."""
    data = operands[0]
    is_tanh = node.attributes.get_string("approximate", "none") == "tanh"
    return data is None or data.dtype != np.float64 or not is_tanh


def _ranges(_: ir.Node, operands: Operands) -> bool:
    start, limit, delta = (float(x) if x is not None else np.nan for x in operands)
    return bool(delta) and abs((limit - start) / delta) < 200 and abs(delta) < 1e6


def _reshapes(node: ir.Node, operands: Operands) -> bool:
    """Refuse a computed length of 0, which copies the operand's: known gap of docs/ROADMAP.md."""
    shape = operands[1]
    is_given = constants.is_constant(node.inputs[1]) or shape is None
    return is_given or bool(node.attributes.get_int("allowzero", 0)) or bool(np.all(shape != 0))


def _orders(_: ir.Node, operands: Operands) -> bool:
    """Refuse NaN where elements are ordered."""
    data = operands[0]
    return data is None or data.dtype.kind != "f" or not bool(np.isnan(data).any())


_CHECKS: dict[str, Callable[[ir.Node, Operands], bool]] = {
    "ArgMax": _orders,
    "ArgMin": _orders,
    "BitShift": _shifts,
    "Cast": _casts,
    "CastLike": _casts,
    "Div": _divides,
    "Gelu": _gelus,
    "Hardmax": _orders,
    "Mod": _divides,
    "Pow": _powers,
    "Range": _ranges,
    "ReduceL1": _sums,
    "ReduceL2": _sums,
    "ReduceLogSum": _sums,
    "ReduceLogSumExp": _sums,
    "ReduceMean": _sums,
    "ReduceProd": _multiplies,
    "ReduceSum": _sums,
    "ReduceSumSquare": _sums,
    "Reshape": _reshapes,
    "TopK": _orders,
    "Unique": _orders,
}
