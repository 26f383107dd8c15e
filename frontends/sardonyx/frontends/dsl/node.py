"""Makes one node of the model that is being built: checked, named, placed, with its source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from sardonyx.compiler.errors import SardonyxError
from sardonyx.compiler.ir.provenance import set_source
from sardonyx.compiler.ir.signature import signature
from sardonyx.frontends.dsl import check, operands
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.symbol import describe_value
from sardonyx.frontends.dsl.trace import Trace, current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


def make(
    op_type: str,
    *given: Any,
    domain: str = "",
    outputs: int | None = None,
    dims: Sequence[int | ir.SymbolicDim] | None = None,
    **named: Any,
) -> tuple[Tensor, ...]:
    """Make a node of the model that is being built and return its outputs.

    Args:
        op_type: Operator name.
        given: Operands by position: tensors, numbers, arrays, None.
        domain: Operator domain.
        outputs: Number of outputs; by default those that the schema demands.
        dims: The dims of the first output, where the caller knows them better.
        named: Operands and attributes by name.

    Raises:
        DslError: The operands or attributes do not fit the operator.
    """
    trace = current()
    if domain:
        trace.import_domain(domain)
    version = trace.graph.opset_imports.get(domain, 1)
    values, attributes = operands.resolve(trace, (domain, op_type, version), given, named)
    check.operands(op_type, domain, version, values)
    check.attributes(op_type, domain, version, attributes)
    broadcast = check.broadcast(trace, op_type, domain, values)
    known = dims if dims is not None else broadcast
    try:
        made = trace.builder.call(
            op_type,
            *values,
            domain=domain,
            outputs=outputs,
            result=_result(op_type, domain, values, known) if outputs is None else None,
            **attributes,
        )
    except SardonyxError as error:
        reason = (error.found or "").split("; operands")[0] or error.what
        raise DslError(
            f"{op_type} does not accept these operands.",
            found=f"{reason}; operands {', '.join(map(describe_value, values))}",
            expected=error.expected or f"what the standard says of {op_type}",
            remedy=error.remedy or f"see https://onnx.ai/onnx/operators/onnx__{op_type}.html",
        ) from None
    results: tuple[ir.Value, ...] = made if isinstance(made, tuple) else (made,)
    if known is not None:
        results[0].shape = ir.Shape(known)
    _adopt(trace, results, domain, version)
    return tuple(trace.tensor(value) for value in results)


_LIKE_FIRST = frozenset(
    {
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Conv",
        "ConvTranspose",
        "Div",
        "Gemm",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "GroupNormalization",
        "InstanceNormalization",
        "LayerNormalization",
        "MatMul",
        "MaxPool",
        "Mul",
        "PRelu",
        "RMSNormalization",
        "Sub",
    }
)
"""Operators that give one tensor of the dtype of their first operand."""

_SAME = frozenset({"Relu", "Sigmoid", "Tanh", "Gelu", "HardSwish", "Softmax", "Exp", "Sqrt", "Erf"})
"""Operators that give one tensor of the type of their operand."""


def _result(
    op_type: str,
    domain: str,
    values: Sequence[ir.Value | None],
    dims: Sequence[int | ir.SymbolicDim] | None,
) -> tuple[ir.TypeProtocol, ir.Shape] | None:
    """Return the type of what an operator gives, where it needs no inference.

    Whole numbers are left to inference, which follows the elements of shapes.
    """
    first = values[0] if values else None
    if domain or first is None or first.type is None or first.dtype is None:
        return None
    if op_type in _SAME and first.shape is not None:
        dims = tuple(first.shape)
    elif op_type not in _LIKE_FIRST:
        return None
    if dims is None or not first.dtype.is_floating_point():
        return None
    if any(isinstance(dim, ir.SymbolicDim) and dim.value is None for dim in dims):
        return None
    return first.type, ir.Shape(dims)


def _adopt(trace: Trace, results: tuple[ir.Value, ...], domain: str, version: int) -> None:
    """Name a new node and its outputs, and put it into the block that is being built."""
    node = trace.builder.nodes.pop()
    trace.builder.nodes.clear()
    node.name = trace.names.unique(trace.full_name(node.op_type))
    schema = signature(domain, node.op_type, version)
    for index, value in enumerate(results):
        if index == 0:
            value.name = node.name
            continue
        formal = schema.outputs[index].name if schema and index < len(schema.outputs) else index
        value.name = trace.names.unique(f"{node.name}.{formal}")
    set_source(node, trace.source())
    trace.block.graph.append(node)
