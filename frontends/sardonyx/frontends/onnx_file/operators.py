"""Checks that nodes use standard operators as their schemas say: operands and attributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import onnx

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.compiler.opset import history
from sardonyx.frontends.onnx_file.ranges import check_ranges
from sardonyx.frontends.onnx_file.walk import subgraphs
from sardonyx.frontends.onnx_file.where import node_place, quoted, scope_name

_STANDARD = ("", "ai.onnx")


def check_operators(model: onnx.ModelProto, label: str) -> None:
    """Check the nodes of the standard domain against the schemas of the model's opset.

    Raises:
        InvalidModelError: A node has operands or attributes that its operator does not take.
    """
    scopes = [(scope_name("graph", model.graph.name), model.graph.node, model.opset_import)]
    scopes += [(scope_name("function", f.name), f.node, f.opset_import) for f in model.functions]
    for scope, nodes, imports in scopes:
        opset = next((e.version for e in imports if e.domain in _STANDARD), None)
        _check_nodes(nodes, opset, f"{label}: {scope}")


def _check_nodes(nodes: Iterable[onnx.NodeProto], opset: int | None, scope: str) -> None:
    for index, node in enumerate(nodes):
        where = node_place(node, index, scope)
        if node.domain in _STANDARD and opset is not None:
            schema = history.at(node.op_type, opset)
            if schema is not None:
                _check_node(node, schema, where)
        if node.attribute:
            check_ranges(node, where)
            for graph in subgraphs(node):
                _check_nodes(graph.node, opset, scope)


def _check_node(node: onnx.NodeProto, schema: history.Schema, where: str) -> None:
    _check_count("operands", len(node.input), schema.min_input, schema.max_input, where)
    _check_count("outputs", len(node.output), schema.min_output, schema.max_output, where)
    seen: set[str] = set()
    for attribute in node.attribute:
        if attribute.name in seen:
            raise InvalidModelError(
                "An attribute is given twice.", where=where, found=quoted(attribute.name)
            )
        seen.add(attribute.name)
        formal = schema.attributes.get(attribute.name)
        if formal is None:
            raise InvalidModelError(
                f"{node.op_type} of opset {schema.since_version} has no such attribute.",
                where=where,
                found=quoted(attribute.name),
                expected=", ".join(sorted(schema.attributes)) or "no attributes",
            )
        expected: Any = formal.type  # onnx's stub does not know that it is an enum
        if expected.value != attribute.type:
            raise InvalidModelError(
                f"The attribute {attribute.name} has the wrong type.",
                where=where,
                found=onnx.AttributeProto.AttributeType.Name(attribute.type),
                expected=expected.name,
            )
    missing = [name for name, a in schema.attributes.items() if a.required and name not in seen]
    if missing:
        raise InvalidModelError(
            f"{node.op_type} lacks an attribute that it cannot do without.",
            where=where,
            expected=", ".join(sorted(missing)),
        )


def _check_count(what: str, found: int, least: int, most: int, where: str) -> None:
    if not least <= found <= most:
        raise InvalidModelError(
            f"The node has the wrong number of {what}.",
            where=where,
            found=str(found),
            expected=str(least) if least == most else f"{least} to {most}",
        )
