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
    try:
        made = trace.builder.call(op_type, *values, domain=domain, outputs=outputs, **attributes)
    except SardonyxError as error:
        reason = (error.found or "").split("; operands")[0] or error.what
        raise DslError(
            f"{op_type} does not accept these operands.",
            found=f"{reason}; operands {', '.join(map(describe_value, values))}",
            expected=error.expected or f"what the standard says of {op_type}",
            remedy=error.remedy or f"see https://onnx.ai/onnx/operators/onnx__{op_type}.html",
        ) from None
    results: tuple[ir.Value, ...] = made if isinstance(made, tuple) else (made,)
    known = dims if dims is not None else broadcast
    if known is not None:
        results[0].shape = ir.Shape(known)
    _adopt(trace, results, domain, version)
    return tuple(trace.tensor(value) for value in results)


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
