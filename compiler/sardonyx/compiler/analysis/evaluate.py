"""Evaluates single nodes on constants, in numpy, by onnx's reference operators.

What is evaluated gives what ONNX Runtime gives, up to rounding: operators, dtypes and values on
which the two differ are left to the runtime.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx.reference.ops import load_op

from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.ir.signature import CANONICAL_OPSET
from sardonyx.compiler.ops import Trait, has_trait

Operands = Sequence[Array | None]

_GENERATORS = {"Range", "ConstantOfShape", "Shape", "Size", "NonZero", "OneHot", "EyeLike"}
_REDUCTIONS = {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ArgMax", "TopK"}
_ALSO = _GENERATORS | _REDUCTIONS | {"Trilu", "CumSum", "MatMul", "Gemm", "Softmax"}
"""Operators that are worth evaluating although they neither move data nor are elementwise."""

_NEVER = {
    "Constant": "it is one",
    "Identity": "where it stays, it gives a graph output a node",
    "Shrink": "the reference rounds integers otherwise than the runtime",
}
"""Operators that are never evaluated, and why."""

_PROTO = {ir.AttributeType.TENSOR: ir.serde.serialize_tensor}
_PLAIN = frozenset(
    ir.DataType[name]
    for name in (
        *("BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"),
        *("FLOAT16", "BFLOAT16", "FLOAT", "DOUBLE"),
    )
)
_MOST_EXACT = 2**53
_MOST_SLOW = 1 << 20
_MOST_INDICES = 1 << 18
_MOST_PRODUCTS, _MOST_SLOW_PRODUCTS = 1 << 34, 1 << 26
"""Multiplications of a matrix product; numpy has fast ones for two dtypes only."""


def can_evaluate(node: ir.Node) -> bool:
    """Say whether a node's operator is one that constants are folded through."""
    if node.domain or node.op_type in _NEVER:
        return False
    if has_trait(node, Trait.RANDOM) or has_trait(node, Trait.CONTROL_FLOW):
        return False
    if not all(isinstance(v.type, ir.TensorType) for v in node.outputs if v.type is not None):
        return False
    is_plain = has_trait(node, Trait.ELEMENTWISE) or has_trait(node, Trait.DATA_MOVEMENT)
    return is_plain or node.op_type in _ALSO


def evaluate(node: ir.Node, operands: Operands, opset: int = CANONICAL_OPSET) -> list[Array] | None:
    """Return a node's outputs for constant operands, or None where they cannot be had safely.

    A result whose dtype is not the one that the node declares is refused.

    Args:
        node: The node; its operands may be anything.
        operands: What to evaluate it on; None for those that are left out.
        opset: Opset of the standard domain.
    """
    is_safe = _SAFE.get(node.op_type)
    if is_safe is not None and not is_safe(node, operands):
        return None
    attributes = {a.name: _attribute(a) for a in node.attributes.values()}
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours = _INSTEAD.get(node.op_type)
            if ours is not None:
                made = ours(*operands, **attributes)
            else:
                operator = load_op("", node.op_type, opset)
                made = operator.eval(*operands, n_outputs=len(node.outputs), **attributes)
    except Exception:  # A reference operator may raise anything; the node then stays as it is.
        return None
    results = [np.asarray(r) for r in (made if isinstance(made, tuple) else (made,))]
    if len(results) != len(node.outputs):
        return None
    for value, result in zip(node.outputs, results, strict=True):
        is_tensor = isinstance(value.type, ir.TensorType)
        if not is_tensor or value.dtype is None or result.dtype != value.dtype.numpy():
            return None
    return results


def _attribute(attr: ir.Attr) -> Any:
    if attr.type == ir.AttributeType.FLOAT:
        # ONNX stores single precision.
        return float(np.float32(attr.value))
    convert = _PROTO.get(attr.type)
    return convert(attr.value) if convert is not None else attr.value


def _gather_elements(data: Array, indices: Array, axis: int = 0) -> Array:
    """Take the elements along one axis; on the others the data may be longer than the indices."""
    chosen = axis % indices.ndim
    cut = tuple(slice(None if i == chosen else n) for i, n in enumerate(indices.shape))
    return np.asarray(np.take_along_axis(data[cut], indices, chosen))


_INSTEAD: dict[str, Callable[..., Array]] = {"GatherElements": _gather_elements}
"""What is evaluated by ourselves: the reference takes data and indices to be of one shape."""


def _divides(_: ir.Node, operands: Operands) -> bool:
    """Refuse x / 0 and INT_MIN / -1, on which processors trap."""
    dividend, divisor = operands[0], operands[1]
    if dividend is None or divisor is None or divisor.dtype.kind not in "iu":
        return True
    if np.any(divisor == 0):
        return False
    lowest = np.iinfo(divisor.dtype).min
    is_signed = divisor.dtype.kind == "i"
    return not (is_signed and np.any(divisor == -1) and np.any(dividend == lowest))


def _is_small(_: ir.Node, operands: Operands) -> bool:
    """Refuse many elements where the reference is a loop in Python."""
    return all(x is None or x.size <= _MOST_SLOW for x in operands)


def _is_short(_: ir.Node, operands: Operands) -> bool:
    """Refuse very many indices where the reference takes them one by one."""
    indices = operands[1]
    return indices is None or indices.size <= _MOST_INDICES


def _is_quick(_: ir.Node, operands: Operands) -> bool:
    """Refuse products of matrices that take long."""
    a, b = operands[:2]
    if a is None or b is None or not a.ndim or not b.ndim:
        return True
    columns = b.size // max(1, b.shape[-2]) if b.ndim > 1 else 1
    rows = a.size // max(1, a.shape[-1])
    is_fast = a.dtype in (np.float32, np.float64)
    most = _MOST_PRODUCTS if is_fast else _MOST_SLOW_PRODUCTS
    return bool(max(a.size * columns, b.size * rows) <= most)


def _is_finite(_: ir.Node, operands: Operands) -> bool:
    """Refuse NaN and infinity, which the runtime treats otherwise, each operator in its way."""
    numbers = [x for x in operands if x is not None and x.dtype.kind not in "biuO"]
    return all(bool(np.all(np.isfinite(x))) for x in numbers)


def _sums(node: ir.Node, operands: Operands) -> bool:
    """Refuse sums of integers that overflow, which the runtime computes in floating point."""
    data = operands[0]
    if data is None or data.dtype.kind not in "iu":
        return _is_finite(node, operands)
    largest = min(_MOST_EXACT, int(np.iinfo(data.dtype).max))
    return float(np.abs(data.astype(np.float64)).sum()) < largest


def _multiplies(node: ir.Node, operands: Operands) -> bool:
    """Refuse products of integers that overflow, for the same reason."""
    data = operands[0]
    if data is None or data.dtype.kind not in "iu":
        return _is_finite(node, operands)
    largest = min(_MOST_EXACT, int(np.iinfo(data.dtype).max))
    with np.errstate(over="ignore"):
        return float(np.prod(np.maximum(np.abs(data.astype(np.float64)), 1))) < largest


def _counts(node: ir.Node, operands: Operands) -> bool:
    """Refuse ranges of numbers that are not finite or so large that a difference overflows."""
    return _is_finite(node, operands) and all(
        x is None or float(np.max(np.abs(x.astype(np.float64)), initial=0)) < _MOST_EXACT
        for x in operands
    )


def _slices(_: ir.Node, operands: Operands) -> bool:
    """Refuse backward slices with bounds outside of the axis, which numpy clamps otherwise."""
    data, starts, ends = operands[:3]
    steps = operands[4] if len(operands) > 4 else None
    if data is None or starts is None or ends is None or steps is None or np.all(steps > 0):
        return True
    return bool(np.all(starts >= -min(data.shape, default=0)) and np.all(ends < 2**31 - 1))


def _casts(node: ir.Node, operands: Operands) -> bool:
    """Refuse dtypes of 8 bits and less with fractions, and numbers out of the integers' range.

    The runtime rounds to 4 bits where the reference cuts off; what a processor makes of a number
    out of range is its own affair.
    """
    data, target = operands[0], node.outputs[0].dtype
    if data is None or target is None or data.dtype.kind == "O":
        return False
    source = ir.DataType.from_numpy(data.dtype)
    if not {source, target} <= _PLAIN:
        return False
    if not target.is_integer() or source not in _FLOATS:
        return True
    limits = np.iinfo(target.numpy())
    numbers = data.astype(np.float64)
    return bool(np.all((numbers > limits.min - 1.0) & (numbers < limits.max + 1.0)))


_FLOATS = frozenset(dtype for dtype in _PLAIN if dtype.is_floating_point())

_SAFE: dict[str, Callable[[ir.Node, Operands], bool]] = {
    "ArgMax": _is_finite,
    "Cast": _casts,
    "CastLike": _casts,
    "Clip": _is_finite,
    "Div": _divides,
    "Erf": _is_small,
    "GatherND": _is_short,
    "Gemm": _is_quick,
    "MatMul": _is_quick,
    "Mod": _divides,
    "PRelu": _is_finite,
    "Range": _counts,
    "ReduceMax": _is_finite,
    "ReduceMean": _sums,
    "ReduceMin": _is_finite,
    "ReduceProd": _multiplies,
    "ReduceSum": _sums,
    "ScatterElements": _is_short,
    "ScatterND": _is_short,
    "Sign": _is_finite,
    "Slice": _slices,
    "TopK": _is_finite,
}
"""What the operands of an operator have to be for the reference to be right."""
