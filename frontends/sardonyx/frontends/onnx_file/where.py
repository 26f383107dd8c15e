"""Places in a model file, as error messages name them."""

from __future__ import annotations

import onnx

_MOST_CHARACTERS = 80


def quoted(name: str) -> str:
    """Return a name from a file, safe to print: escaped, and cut when long."""
    text = repr(name)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}...'"


def node_place(node: onnx.NodeProto, index: int, scope: str) -> str:
    """Return `node 'conv1' (Conv), graph 'main'`."""
    name = quoted(node.name) if node.name else f"number {index}"
    return f"node {name} ({quoted(node.op_type)[1:-1] or 'no operator'}), {scope}"


def scope_name(kind: str, name: str) -> str:
    """Return `graph 'main'`."""
    return f"{kind} {quoted(name)}"
