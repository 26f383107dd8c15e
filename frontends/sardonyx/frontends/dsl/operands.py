"""Turns what the user passes to an operator into values: numbers, arrays, sizes, tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.schemas import Parameter

from sardonyx.compiler.ir.signature import attribute_parameters
from sardonyx.compiler.ir.signature import operands as formal_operands
from sardonyx.frontends.dsl.dtypes import DType, named
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.symbol import Symbol, describe
from sardonyx.frontends.dsl.trace import Trace, held


def resolve(
    trace: Trace,
    operator: tuple[str, str, int],
    given: Sequence[Any],
    named_ones: Mapping[str, Any],
) -> tuple[list[ir.Value | None], dict[str, Any]]:
    """Return the operands in order as values, and the attributes; `operator` is its domain, name
    and version.

    A number takes the dtype of the tensors that share its type variable in the schema.

    Raises:
        DslError: Too many operands, or one that is given twice or cannot become a tensor.
    """
    _, op_type, _ = operator
    formal = formal_operands(*operator)
    placed, attributes = _place(op_type, formal, given, named_ones)
    _refuse_too_many(op_type, formal, placed)
    dtypes: dict[str, Symbol] = {}
    for index, operand in enumerate(placed):
        parameter = _formal(formal, index)
        if parameter is not None and isinstance(operand, Symbol) and operand.value.dtype:
            dtypes.setdefault(parameter.type_constraint.name, operand)
    values = [
        to_value(trace, operand, _wanted(_formal(formal, index), dtypes))
        for index, operand in enumerate(placed)
    ]
    while values and values[-1] is None:
        values.pop()
    return values, {name: _attribute(value) for name, value in attributes.items()}


def _attribute(value: Any) -> Any:
    """Return an attribute as onnx_ir takes it: a dtype as its code, texts as a tensor of them."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "US":
        return held(value)
    return value.code if isinstance(value, DType) else value


def to_value(trace: Trace, operand: Any, like: Symbol | ir.DataType | None) -> ir.Value | None:
    """Return the value of one operand; a number becomes a constant of the dtype of `like`."""
    if operand is None:
        return None
    if isinstance(operand, Symbol):
        trace.require_visible(operand)
        return operand.value
    if isinstance(operand, ir.TensorProtocol):
        return trace.constant(operand)
    return trace.constant(to_array(operand, like))


def to_array(operand: Any, like: Symbol | ir.DataType | None) -> np.ndarray[Any, Any]:
    """Return numbers as an array of the dtype of `like`; arrays keep their own dtype.

    Raises:
        DslError: It is no number, or one that the dtype does not have.
    """
    # np.float64 is a float, and what np.sqrt(8) gives: it counts as a Python number.
    if isinstance(operand, (np.ndarray, np.generic)) and not isinstance(operand, float):
        return np.asarray(operand)
    try:
        data = np.asarray(operand)
    except ValueError:
        data = np.asarray(None)
    if data.dtype.kind not in "biufcUS":
        raise DslError(
            "An operand is no tensor, number or array.",
            found=describe(operand),
            expected="a symbolic tensor of this model, a Python number, or a numpy array",
            remedy="make an array of it: np.asarray(...)",
        )
    if like is None:
        kinds = {"f": np.float32, "i": np.int64, "b": np.bool_}
        return data.astype(kinds.get(data.dtype.kind, data.dtype))
    dtype = named(like) if isinstance(like, ir.DataType) else like.dtype
    if dtype.name == "string" or data.dtype.kind in "US":
        return data
    return _converted(operand, data, dtype, like)


def _converted(
    operand: Any, data: np.ndarray[Any, Any], dtype: DType, like: object
) -> np.ndarray[Any, Any]:
    held = f" for {describe(like)}" if isinstance(like, Symbol) else ""
    loses_fraction = data.dtype.kind == "f" and not dtype.is_float
    is_complex = data.dtype.kind == "c"
    if loses_fraction or (dtype.name == "bool_" and data.dtype.kind != "b") or is_complex:
        raise DslError(
            f"The number does not fit the dtype {dtype}.",
            found=f"{operand!r}{held}",
            expected=f"numbers of dtype {dtype}",
            remedy="cast the tensor first: x.cast(dsl.f32)",
        )
    if dtype.is_int and data.size and dtype.name not in ("i4", "u4"):
        limits = np.iinfo(dtype.numpy)
        if data.min() < limits.min or data.max() > limits.max:
            raise DslError(
                f"The number is outside of the dtype {dtype}.",
                found=f"{operand!r}{held}",
                expected=f"{limits.min} to {limits.max}",
                remedy="cast the tensor to a wider dtype: x.cast(dsl.i64)",
            )
    return data.astype(dtype.numpy)


def _place(
    op_type: str, formal: Sequence[Parameter], given: Sequence[Any], named_ones: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    placed = list(given)
    rest = dict(named_ones)
    for index, parameter in enumerate(formal):
        if parameter.name not in rest:
            continue
        if index < len(placed) and placed[index] is not None:
            by_place, by_name = describe(placed[index]), describe(rest[parameter.name])
            raise DslError(
                f"{op_type} is given its operand {parameter.name!r} twice.",
                found=f"{by_place} by place, {by_name} by name",
                expected="one of the two",
                remedy=f"leave out {parameter.name}=",
            )
        placed.extend([None] * (index + 1 - len(placed)))
        placed[index] = rest.pop(parameter.name)
    return placed, rest


def _refuse_too_many(op_type: str, formal: Sequence[Parameter], placed: Sequence[Any]) -> None:
    if formal and len(placed) > len(formal) and not formal[-1].variadic:
        known = attribute_parameters("", op_type)
        raise DslError(
            f"{op_type} takes at most {len(formal)} operands.",
            found=f"{len(placed)} operands",
            expected=", ".join(p.name for p in formal),
            remedy=f"attributes are keywords: {', '.join(known)}" if known else "drop the others",
        )


def _formal(formal: Sequence[Parameter], index: int) -> Parameter | None:
    if index < len(formal):
        return formal[index]
    return formal[-1] if formal and formal[-1].variadic else None


def _wanted(
    parameter: Parameter | None, dtypes: Mapping[str, Symbol]
) -> Symbol | ir.DataType | None:
    if parameter is None:
        return None
    constraint = parameter.type_constraint
    if constraint.name in dtypes:
        return dtypes[constraint.name]
    tensors = [t for t in constraint.allowed_types if isinstance(t, ir.TensorType)]
    return tensors[0].dtype if len(constraint.allowed_types) == len(tensors) == 1 else None
