"""Builds nodes by operator name: `op.Conv(x, weight, strides=[2, 2])`, typed as they are made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.schemas import Parameter

from sardonyx.compiler.errors import InvalidModelError, RewriteError
from sardonyx.compiler.ir.check_nodes import type_conflicts
from sardonyx.compiler.ir.schema import Operator, is_standard, meant, operator, operator_names
from sardonyx.compiler.ir.signature import (
    DOMAIN_VERSIONS,
    Attributes,
    attribute_parameters,
    operands,
    signature,
)
from sardonyx.compiler.ir.types import Types

Operand = ir.Value | np.ndarray[Any, Any] | np.generic | bool | int | float | Sequence[Any] | None
"""What may stand where an operator takes a tensor: a value, an array or Python numbers."""

_CONVERT: dict[ir.AttributeType, Callable[[Any], Any]] = {
    ir.AttributeType.INT: int,
    ir.AttributeType.FLOAT: float,
    ir.AttributeType.INTS: lambda values: [int(v) for v in values],
    ir.AttributeType.FLOATS: lambda values: [float(v) for v in values],
    ir.AttributeType.TENSOR: lambda v: v if isinstance(v, ir.TensorProtocol) else ir.tensor(v),
}


class Builder:
    """Makes nodes that belong to no graph yet, and remembers them in order.

    Operators of the standard domain are methods (`op.Relu(x)`); `op.call` takes those of other
    domains. Positional arguments and keywords that name an operand are operands, all other
    keywords are attributes. Numbers and arrays become constants; a Python number takes the dtype
    that the operator's other operands demand. None leaves out an optional operand.

    Attributes:
        nodes: The nodes made so far, in order.
        constants: The constant values made so far; the graph that takes the nodes holds them.
    """

    def __init__(self, types: Types, opset_imports: Mapping[str, int] | None = None) -> None:
        self._types = types
        self._opsets = {**DOMAIN_VERSIONS, **(opset_imports or {})}
        self.nodes: list[ir.Node] = []
        self.constants: list[ir.Value] = []

    def __getattr__(self, op_type: str) -> Callable[..., Any]:
        if op_type.startswith("_"):
            raise AttributeError(op_type)
        return functools.partial(self.call, op_type)

    def call(
        self,
        op_type: str,
        *inputs: Operand,
        domain: str = "",
        outputs: int | None = None,
        attributes: Attributes | Mapping[str, ir.Attr] | None = None,
        result: tuple[ir.TypeProtocol, ir.Shape] | None = None,
        **named: Any,
    ) -> Any:
        """Make one node and return its output, or the tuple of its outputs.

        Args:
            op_type: Operator name.
            inputs: Operands by position.
            domain: Operator domain, "" for the standard one.
            outputs: How many outputs to make; by default those that the schema demands.
            attributes: Attributes to copy from another node; `named` ones override them.
            result: Type and shape of the one output, where they are known: nothing is inferred.
            named: Operands and attributes by name.

        Raises:
            RewriteError: An operator that does not exist, an operand or attribute that it does
                not have, or one of its operands left out.
            InvalidModelError: The operands do not fit the operator.
        """
        version = self._opsets.get(domain, 1)
        known = operator(domain, op_type, version)
        if known is None and is_standard(domain, op_type):
            others = operator_names(domain) - {op_type}
            raise RewriteError(
                f"There is no operator {op_type!r} in opset {version}.",
                remedy=meant(op_type, others),
            )
        formal = operands(domain, op_type, version)
        given = self._place_operands(op_type, formal, list(inputs), named)
        values = self._to_values(formal, given)
        while values and values[-1] is None:
            values.pop()
        _check_required(op_type, formal, values)
        node = ir.Node(
            domain,
            op_type,
            values,
            self._attributes(domain, op_type, version, attributes, named),
            num_outputs=outputs or _least_outputs(domain, op_type, version),
        )
        self.nodes.append(node)
        try:
            if result is None:
                self._types.infer(node)
            else:
                node.outputs[0].type, node.outputs[0].shape = result
            _check_types(node, known)
        except InvalidModelError:
            self.nodes.pop()
            _detach(node)
            raise
        return node.outputs[0] if len(node.outputs) == 1 else tuple(node.outputs)

    def constant(self, array: Any, dtype: ir.DataType | None = None) -> ir.Value:
        """Return a constant value that holds `array` (an array, numbers or an onnx_ir tensor)."""
        if isinstance(array, ir.TensorProtocol):
            held = array
        else:
            data = np.asarray(array) if dtype is None else np.asarray(array, dtype=dtype.numpy())
            is_text = data.dtype.kind == "O"
            held = _text(data) if is_text else ir.tensor(data)
        shape = ir.Shape(held.shape.numpy())
        value = ir.Value(shape=shape, type=ir.TensorType(held.dtype), const_value=held)
        self.constants.append(value)
        return value

    def discard(self) -> None:
        """Forget all nodes made so far; their operands no longer count them as readers."""
        for node in self.nodes:
            _detach(node)
        self.nodes.clear()
        self.constants.clear()

    def _place_operands(
        self,
        op_type: str,
        formal: Sequence[Parameter],
        inputs: list[Operand],
        named: dict[str, Any],
    ) -> list[Operand]:
        for index, parameter in enumerate(formal):
            if parameter.name not in named:
                continue
            if index < len(inputs):
                raise RewriteError(f"{op_type} is given its operand {parameter.name!r} twice.")
            inputs.extend([None] * (index - len(inputs)))
            inputs.append(named.pop(parameter.name))
        is_variadic = bool(formal) and formal[-1].variadic
        if formal and len(inputs) > len(formal) and not is_variadic:
            raise RewriteError(
                f"{op_type} takes at most {len(formal)} operands, got {len(inputs)}.",
                expected=", ".join(p.name for p in formal),
            )
        return inputs

    def _to_values(
        self, formal: Sequence[Parameter], given: Sequence[Operand]
    ) -> list[ir.Value | None]:
        def parameter(index: int) -> Parameter | None:
            if not formal:
                return None
            if index < len(formal):
                return formal[index]
            return formal[-1] if formal[-1].variadic else None

        dtypes: dict[str, ir.DataType] = {}
        for index, operand in enumerate(given):
            known = parameter(index)
            if known is not None and isinstance(operand, ir.Value) and operand.dtype is not None:
                dtypes.setdefault(known.type_constraint.name, operand.dtype)
        values: list[ir.Value | None] = []
        for index, operand in enumerate(given):
            if operand is None or isinstance(operand, ir.Value):
                values.append(operand)
            elif isinstance(operand, (np.ndarray, np.generic, ir.TensorProtocol)):
                values.append(self.constant(operand))
            else:
                values.append(self.constant(operand, _dtype_for(parameter(index), dtypes, operand)))
        return values

    def _attributes(
        self,
        domain: str,
        op_type: str,
        version: int,
        copied: Attributes | Mapping[str, ir.Attr] | None,
        named: Mapping[str, Any],
    ) -> list[ir.Attr]:
        known = attribute_parameters(domain, op_type, version)
        has_schema = signature(domain, op_type, version) is not None
        made = dict(copied.items()) if copied is not None else {}
        for name, value in named.items():
            if value is None:
                made.pop(name, None)
            elif isinstance(value, ir.Attr):
                made[name] = value
            elif name in known:
                kind = known[name].type
                made[name] = ir.Attr(name, kind, _CONVERT.get(kind, lambda v: v)(value))
            elif has_schema:
                raise RewriteError(
                    f"{op_type} has no operand or attribute {name!r}.",
                    expected=_expected(operands(domain, op_type, version), known),
                    remedy=meant(name, known),
                )
            else:
                made[name] = ir.convenience.convert_attribute(name, value)
        return list(made.values())


def _expected(formal: Sequence[Parameter], attributes: Iterable[str]) -> str:
    parts = [", ".join(p.name for p in formal), ", ".join(attributes)]
    return "; ".join(part for part in parts if part)


def _detach(node: ir.Node) -> None:
    """Let the operands of a node not count it as a reader."""
    for index in range(len(node.inputs)):
        node.replace_input_with(index, None)


def _check_required(
    op_type: str, formal: Sequence[Parameter], values: Sequence[ir.Value | None]
) -> None:
    for index, parameter in enumerate(formal):
        is_given = index < len(values) and values[index] is not None
        if parameter.required and not parameter.variadic and not is_given:
            raise RewriteError(f"{op_type} needs its operand {parameter.name!r}.")


def _check_types(node: ir.Node, known: Operator | None) -> None:
    conflict = next(type_conflicts(node, known), None) if known is not None else None
    if conflict is not None:
        what, found, expected = conflict
        raise InvalidModelError(
            f"{node.op_type} does not accept these operands.",
            where=what,
            found=found,
            expected=expected,
        )


def _text(data: np.ndarray[Any, Any]) -> ir.StringTensor:
    texts = [t if isinstance(t, bytes) else str(t).encode() for t in data.reshape(-1)]
    return ir.StringTensor(texts, shape=ir.Shape(data.shape))


def _least_outputs(domain: str, op_type: str, version: int) -> int:
    known = signature(domain, op_type, version)
    return max(1, sum(o.required and not o.variadic for o in known.outputs)) if known else 1


def _dtype_for(
    parameter: Parameter | None, dtypes: Mapping[str, ir.DataType], operand: Any
) -> ir.DataType | None:
    """Choose the dtype of a Python number by the operator's type constraint."""
    if parameter is not None:
        constraint = parameter.type_constraint
        if constraint.name in dtypes:
            return dtypes[constraint.name]
        if len(constraint.allowed_types) == 1:
            (only,) = constraint.allowed_types
            return only.dtype if isinstance(only, ir.TensorType) else None
    kind = np.asarray(operand).dtype.kind
    return {"f": ir.DataType.FLOAT, "i": ir.DataType.INT64, "b": ir.DataType.BOOL}.get(kind)
