"""What every operator demands of its operands and attributes, read from its schema."""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx_ir as ir

from sardonyx.compiler.ir.signature import attribute_parameters, signature
from sardonyx.frontends.dsl import sizes
from sardonyx.frontends.dsl.dtypes import named
from sardonyx.frontends.dsl.errors import DslError, UnknownNameError
from sardonyx.frontends.dsl.symbol import RawDim, describe_value
from sardonyx.frontends.dsl.trace import Trace

BROADCASTING = frozenset(
    {
        "Add",
        "And",
        "BitShift",
        "BitwiseAnd",
        "BitwiseOr",
        "BitwiseXor",
        "Div",
        "Equal",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "Max",
        "Mean",
        "Min",
        "Mod",
        "Mul",
        "Or",
        "Pow",
        "Sub",
        "Sum",
        "Where",
        "Xor",
    }
)
"""Operators whose operands broadcast together as numpy does."""


def operands(op_type: str, domain: str, version: int, values: Sequence[ir.Value | None]) -> None:
    """Check presence and dtypes of the operands of one node.

    Raises:
        DslError: One is missing, has a dtype that the operator does not take, or another dtype
            than an operand that must have the same.
    """
    known = signature(domain, op_type, version)
    if known is None:
        return
    bound: dict[str, ir.Value] = {}
    for index, parameter in enumerate(known.inputs):
        if not parameter.required or (parameter.variadic and parameter.min_arity == 0):
            continue
        if index >= len(values) or values[index] is None:
            raise DslError(
                f"{op_type} misses its operand {parameter.name!r}.",
                found=", ".join(map(describe_value, values)) or "no operands",
                expected=", ".join(p.name for p in known.inputs if p.required),
                remedy=f"pass it by place or by name: {parameter.name}=...",
            )
    for index, value in enumerate(values):
        parameter = known.inputs[min(index, len(known.inputs) - 1)]
        if value is None or value.type is None:
            continue
        constraint = parameter.type_constraint
        if value.type not in constraint.allowed_types:
            raise DslError(
                f"{op_type} does not take this dtype as {parameter.name!r}.",
                found=describe_value(value),
                expected=_type_names(constraint.allowed_types),
                remedy="convert it: x.cast(dsl.f32)",
            )
        if parameter.variadic and not parameter.homogeneous:
            continue
        first = bound.setdefault(constraint.name, value)
        if first.type != value.type:
            raise DslError(
                f"{op_type} needs operands of one dtype.",
                found=f"{describe_value(first)} and {describe_value(value)}",
                expected="the same dtype for both: nothing is converted silently",
                remedy=f"convert one: x.cast(dsl.{_type_names([first.type])})",
            )


def attributes(op_type: str, domain: str, version: int, given: Mapping[str, Any]) -> None:
    """Check names and kinds of the attributes of one node.

    Raises:
        DslError: The operator has no such attribute, needs one that is absent, or another kind.
    """
    known = attribute_parameters(domain, op_type, version)
    schema = signature(domain, op_type, version)
    if schema is None:
        return
    for name, value in given.items():
        if name not in known:
            choices = [*(p.name for p in schema.inputs), *known]
            near = difflib.get_close_matches(name, choices, n=1)
            raise UnknownNameError(
                f"{op_type} has no operand or attribute {name!r}.",
                found=f"{name}={value!r}",
                expected=", ".join(choices),
                remedy=f"did you mean {near[0]!r}?" if near else f"see help(dsl.op.{op_type})",
            )
        fits, words = _KINDS.get(known[name].type, (lambda _: True, ""))
        if value is not None and not isinstance(value, ir.Attr) and not fits(value):
            raise DslError(
                f"The attribute {name!r} of {op_type} is of another kind.",
                found=repr(value),
                expected=words,
                remedy=f"see help(dsl.op.{op_type})",
            )
    missing = [n for n, a in known.items() if a.required and given.get(n) is None]
    if missing:
        words = _KINDS.get(known[missing[0]].type, (None, "a value"))[1]
        raise DslError(
            f"{op_type} needs the attribute {missing[0]!r}.",
            found=", ".join(given) or "no attributes",
            expected=f"{missing[0]}=..., {words}",
            remedy=f"see help(dsl.op.{op_type})",
        )


def broadcast(
    trace: Trace, op_type: str, domain: str, values: Sequence[ir.Value | None]
) -> list[RawDim] | None:
    """Return the dims that the operands of a broadcasting operator give, None for others.

    Raises:
        DslError: The shapes do not broadcast.
    """
    if domain or op_type not in BROADCASTING:
        return None
    shapes = [value.shape for value in values if value is not None]
    known = [tuple(shape) for shape in shapes if shape is not None]
    if len(known) < len(shapes):
        return None
    return broadcast_dims(trace, known, f"{op_type} cannot broadcast these shapes.", values)


def broadcast_dims(
    trace: Trace,
    shapes: Sequence[Sequence[RawDim]],
    what: str,
    values: Sequence[ir.Value | None],
) -> list[RawDim]:
    """Return the dims that shapes broadcast to.

    Raises:
        DslError: They do not; `what` is its first sentence, `values` what it shows.
    """
    rank = max(map(len, shapes), default=0)
    result: list[RawDim] = [1] * rank
    for shape in shapes:
        for axis, dim in enumerate(shape, rank - len(shape)):
            joined = sizes.broadcast_dim(result[axis], dim, trace.declared, trace.types.new_symbol)
            if joined is None:
                raise DslError(
                    what,
                    found=f"{' and '.join(map(describe_value, values))}: "
                    f"axis {axis - rank} has {result[axis]} and {dim}",
                    expected="sizes that are equal or 1, counted from the last axis",
                    remedy="insert an axis with x[:, None], or x.reshape / x.transpose one "
                    "of them; two symbolic sizes that are always equal need one name",
                )
            result[axis] = joined
    return result


def _type_names(allowed: Any) -> str:
    names = [named(t.dtype).name if isinstance(t, ir.TensorType) else str(t) for t in allowed]
    return ", ".join(sorted(names))


def _is_int(value: Any) -> bool:
    return isinstance(value, numbers.Integral)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real)


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, (list, tuple)) and all(map(fits, value))


_KINDS: dict[ir.AttributeType, tuple[Callable[[Any], bool], str]] = {
    ir.AttributeType.INT: (_is_int, "an int"),
    ir.AttributeType.FLOAT: (_is_number, "a number"),
    ir.AttributeType.STRING: (lambda v: isinstance(v, (str, bytes)), "a string"),
    ir.AttributeType.INTS: (_list_of(_is_int), "a list of ints"),
    ir.AttributeType.FLOATS: (_list_of(_is_number), "a list of numbers"),
    ir.AttributeType.STRINGS: (_list_of(lambda v: isinstance(v, str)), "a list of strings"),
    ir.AttributeType.GRAPH: (lambda v: isinstance(v, ir.Graph), "a body made by dsl.body(...)"),
}
