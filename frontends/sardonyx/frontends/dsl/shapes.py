"""Sizes as tensors, for operators that take shapes; and the sizes of a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from sardonyx.frontends.dsl import node, operands
from sardonyx.frontends.dsl.dims import Dim, Size
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.symbol import RawDim, Symbol, describe
from sardonyx.frontends.dsl.trace import current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


def lifted(operand: Any) -> Any:
    """Return the tensor of a size, or of a list with sizes or tensors in it; others as they are."""
    if isinstance(operand, Dim):
        return scalar(operand)
    if isinstance(operand, (list, tuple)) and any(isinstance(i, (Dim, Symbol)) for i in operand):
        return vector(operand)
    return operand


def of(x: Tensor, axis: int) -> Size:
    """Return the size of `x` along one axis."""
    dim = x.dims[axis]
    if isinstance(dim, int):
        return dim
    return Dim(dim, lambda: _one("Shape", x, start=axis, end=axis + 1))


def named(name: str) -> Size:
    """Return the size that the inputs' types call `name`.

    Raises:
        DslError: No input has a size of that name.
    """
    trace = current()
    for value in trace.inputs:
        for axis, dim in enumerate(value.shape or ()):
            if str(dim) == name:
                return of(trace.tensor(value, trace.root), axis)
    raise DslError(
        f"No input has a size named {name!r}.",
        found=repr(name),
        expected=", ".join(sorted(trace.declared)) or "a size that an input's type names",
        remedy="use a size of a tensor: x.shape[0]",
    )


def scalar(dim: Size) -> Tensor:
    """Return a size as an i64 tensor of rank 0."""
    if isinstance(dim, Dim):
        return _one("Squeeze", dim.compute(), [0])
    return constant(np.asarray(dim, np.int64))


def vector(items: Sequence[Any]) -> Tensor:
    """Return sizes, scalar tensors and ints as one i64 tensor of rank 1.

    Raises:
        DslError: An item is something else.
    """
    parts: list[Any] = []
    for item in items:
        if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            if parts and isinstance(parts[-1], list):
                parts[-1].append(int(item))
            else:
                parts.append([int(item)])
        else:
            parts.append(_one_element(item))
    tensors = [constant(np.asarray(p, np.int64)) if isinstance(p, list) else p for p in parts]
    return tensors[0] if len(tensors) == 1 else _one("Concat", *tensors, axis=0)


def raw(item: object) -> RawDim | None:
    """Return the raw size of an item, None for a tensor or -1."""
    if isinstance(item, Dim):
        return item.size
    return int(item) if isinstance(item, (int, np.integer)) and item >= 0 else None


def constant(array: np.ndarray[Any, Any]) -> Tensor:
    """Return a constant of the model as a tensor."""
    trace = current()
    tensor: Tensor = trace.tensor(trace.constant(array), trace.root)
    return tensor


def _one_element(item: object) -> Tensor:
    if isinstance(item, str):
        item = named(item)
        if isinstance(item, int):
            return constant(np.asarray([item], np.int64))
    if isinstance(item, Dim):
        return item.compute()
    if isinstance(item, Symbol) and item.dtype.is_int and item.rank in (0, 1):
        if item.rank == 1 and item.dims[0] == 1:
            return _one("Cast", item, to=ir.DataType.INT64)
        if item.rank == 0:
            return _one("Cast", _one("Reshape", item, [1]), to=ir.DataType.INT64)
    raise DslError(
        "This is no size.",
        found=describe(item),
        expected="an int, x.shape[i], the name of a symbolic size, or an integer scalar tensor",
        remedy="take one element of a tensor: n[0]; convert a float: int(n)",
    )


def _one(op_type: str, *operands: Any, **attributes: Any) -> Tensor:
    return node.make(op_type, *operands, **attributes)[0]


def tensor_of(operand: Any) -> Tensor:
    """Return numbers or an array as a constant tensor; a Python float is f32, an int i64.

    Raises:
        DslError: It is neither.
    """
    return constant(operands.to_array(operand, None))
