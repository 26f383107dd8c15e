"""Evaluates single nodes on constants, in numpy, by onnx's reference operators."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx.reference.ops import load_op

from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.ir.signature import CANONICAL_OPSET
from sardonyx.compiler.ops import Trait, has_trait

_GENERATORS = {"Range", "ConstantOfShape", "Shape", "Size", "NonZero", "OneHot", "EyeLike"}
_REDUCTIONS = {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ArgMax", "TopK"}
_ALSO = _GENERATORS | _REDUCTIONS | {"Trilu", "CumSum", "MatMul", "Gemm", "Softmax"}
"""Operators that are worth evaluating although they neither move data nor are elementwise."""

_DIVIDES = frozenset({"Div", "Mod"})
_PROTO = {ir.AttributeType.TENSOR: ir.serde.serialize_tensor}


def can_evaluate(node: ir.Node) -> bool:
    """Say whether a node's operator is one that constants are folded through."""
    if node.domain or node.op_type in {"Constant", "Identity"}:
        return False
    if has_trait(node, Trait.RANDOM) or has_trait(node, Trait.CONTROL_FLOW):
        return False
    is_plain = has_trait(node, Trait.ELEMENTWISE) or has_trait(node, Trait.DATA_MOVEMENT)
    return is_plain or node.op_type in _ALSO


def evaluate(node: ir.Node, operands: list[Array | None]) -> list[Array] | None:
    """Return a node's outputs for constant operands, or None where they cannot be had safely.

    An integer division that has no defined result is not evaluated, and a result whose dtype is
    not the one that the node declares is refused.
    """
    if node.op_type in _DIVIDES and not _is_defined(operands):
        return None
    attributes = {a.name: _attribute(a) for a in node.attributes.values()}
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            operator = load_op("", node.op_type, node.version or CANONICAL_OPSET)
            made = operator.eval(*operands, n_outputs=len(node.outputs), **attributes)
    except Exception:  # A reference operator may raise anything; the node then stays as it is.
        return None
    results = [np.asarray(r) for r in (made if isinstance(made, tuple) else (made,))]
    if len(results) != len(node.outputs):
        return None
    for value, result in zip(node.outputs, results, strict=True):
        if value.dtype is None or result.dtype != value.dtype.numpy():
            return None
    return results


def _attribute(attr: ir.Attr) -> Any:
    convert = _PROTO.get(attr.type)
    return convert(attr.value) if convert is not None else attr.value


def _is_defined(operands: list[Array | None]) -> bool:
    """Refuse x / 0 and INT_MIN / -1, on which processors trap."""
    dividend, divisor = operands[0], operands[1]
    if dividend is None or divisor is None or divisor.dtype.kind not in "iu":
        return True
    if np.any(divisor == 0):
        return False
    lowest = np.iinfo(divisor.dtype).min
    is_signed = divisor.dtype.kind == "i"
    return not (is_signed and np.any(divisor == -1) and np.any(dividend == lowest))
