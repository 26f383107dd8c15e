"""Puts nodes of a model into model-local functions."""

from __future__ import annotations

import onnx
from onnx.helper import make_function, make_opsetid

from sardonyx.compiler.ir.signature import CANONICAL_OPSET
from tests.fuzz.values import Random, chance

DOMAIN = "fuzz"


def outline(model: onnx.ModelProto, random: Random, most: int) -> None:
    """Let some nodes of the main graph call functions that do what they did; changes the model.

    Some of their numbers become parameters of the functions.
    """
    nodes = [n for n in model.graph.node if n.domain == "" and _is_plain(n)]
    for index in random.permutation(len(nodes))[:most]:
        model.functions.append(_outlined(nodes[index], f"f{len(model.functions)}", random))
    if model.functions:
        model.opset_import.append(make_opsetid(DOMAIN, 1))


def _is_plain(node: onnx.NodeProto) -> bool:
    kinds = {a.type for a in node.attribute}
    return node.op_type != "Constant" and onnx.AttributeProto.GRAPH not in kinds


def _outlined(node: onnx.NodeProto, name: str, random: Random) -> onnx.FunctionProto:
    """Return a function of a node, and make the node a call of it."""
    read = list(dict.fromkeys(n for n in node.input if n))
    formal = {value: f"a{i}" for i, value in enumerate(read)}
    inner = onnx.NodeProto()
    inner.CopyFrom(node)
    inner.name = ""
    inner.input[:] = [formal.get(value, "") for value in node.input]
    inner.output[:] = [f"r{i}" for i in range(len(node.output))]
    numbers = {onnx.AttributeProto.INT, onnx.AttributeProto.FLOAT, onnx.AttributeProto.INTS}
    passed = [a.name for a in node.attribute if a.type in numbers and chance(random, 0.5)]
    for attribute in inner.attribute:
        if attribute.name in passed:
            kind = attribute.type
            attribute.CopyFrom(onnx.AttributeProto(name=attribute.name, type=kind))
            attribute.ref_attr_name = attribute.name
    function = make_function(
        DOMAIN,
        name,
        list(formal.values()),
        list(inner.output),
        [inner],
        [make_opsetid("", CANONICAL_OPSET)],
        passed,
    )
    kept = [a for a in node.attribute if a.name in passed]
    node.domain, node.op_type = DOMAIN, name
    node.input[:] = read
    del node.attribute[:]
    node.attribute.extend(kept)
    return function
