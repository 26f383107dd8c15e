"""Operators that an older opset lacks, replaced by the function body that their schema gives."""

from __future__ import annotations

from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from sardonyx.compiler.opset.history import Schema

DOMAIN = "sardonyx.expand"


def body(node: ir.Node, known: Schema, opset: int) -> onnx.FunctionProto | None:
    """Return the function that an operator is, in an opset as near as there is, or None.

    The attributes of `node` that are not given are filled in with their defaults, since bodies
    refer to them. Bodies that depend on the operands need their types.
    """
    schema: Any = known  # onnx's stub lacks the methods that give bodies
    fixed = list(schema.function_opset_versions)
    dependent = list(schema.context_dependent_function_opset_versions)
    versions = sorted({*fixed, *dependent})
    if not versions:
        return None
    version = max((v for v in versions if v <= opset), default=versions[0])
    _fill_defaults(node, known)
    if version in fixed:
        content = schema.get_function_with_opset_version(version)
    else:
        types = [_type(value).SerializeToString() for value in node.inputs]
        proto = ir.serde.serialize_node(node).SerializeToString()
        content = schema.get_context_dependent_function_with_opset_version(version, proto, types)
    function = onnx.FunctionProto.FromString(content) if content else None
    return function if function is not None and function.node else None


def computes(function: onnx.FunctionProto, node: ir.Node) -> bool:
    """Say whether a body computes every output of the node that something reads.

    Bodies that depend on the operands leave out what these do not allow.
    """
    made = {name for inner in function.node for name in inner.output} | set(function.input)
    names = list(function.output)
    return all(i < len(names) and names[i] in made for i in _read_outputs(node))


def _read_outputs(node: ir.Node) -> list[int]:
    return [i for i, v in enumerate(node.outputs) if v.uses() or v.is_graph_output()]


def _fill_defaults(node: ir.Node, schema: Schema) -> None:
    for name, formal in schema.attributes.items():
        if name not in node.attributes and formal.default_value.name:
            node.attributes[name] = ir.serde.deserialize_attribute(formal.default_value)


def _type(value: ir.Value | None) -> onnx.TypeProto:
    proto = onnx.TypeProto()
    if value is not None and value.type is not None:
        ir.serde.serialize_type_into(proto, value.type)
        if value.shape is not None:
            ir.serde.serialize_shape_into(proto, value.shape)
    return proto


def call(model: ir.Model, node: ir.Node, function: onnx.FunctionProto) -> None:
    """Make `function` one of the model's, to be inlined, and put a call of it for `node`.

    Outputs that nobody reads are left out of both; a body need not compute them.
    """
    read = _read_outputs(node)
    wanted = [function.output[i] for i in read]
    function.output[:] = wanted
    made = ir.serde.deserialize_function(function)
    version = made.opset_imports.get("", model.opset_imports[""])
    for inner in made.all_nodes():
        inner.version = version if inner.domain == "" else inner.version
        inner.name = None
    made.domain, made.name = DOMAIN, f"{node.op_type}.{len(model.functions)}"
    # Versions are on the nodes; with the same import the inliner does not object.
    made.opset_imports[""] = model.opset_imports[""]
    model.functions[made.identifier()] = made
    caller = ir.Node(
        DOMAIN,
        made.name,
        node.inputs[: len(made.inputs)],
        list(node.attributes.values()),
        num_outputs=len(read),
        name=node.name,
        metadata_props=dict(node.metadata_props),
    )
    assert node.graph is not None, "only nodes of a graph are converted"
    ir.convenience.replace_nodes_and_values(
        node.graph, node, [node], [caller], [node.outputs[i] for i in read], caller.outputs
    )


def inline(model: ir.Model) -> None:
    """Inline the functions that `call` made."""
    InlinePass(criteria=lambda function: function.domain == DOMAIN)(model)
    for key in [key for key in model.functions if key[0] == DOMAIN]:
        del model.functions[key]
