"""Writes the body of one contrib operator as ONNX text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

_KINDS = {
    ir.AttributeType.INT: "int",
    ir.AttributeType.INTS: "ints",
    ir.AttributeType.FLOAT: "float",
    ir.AttributeType.FLOATS: "floats",
    ir.AttributeType.STRING: "string",
    ir.AttributeType.STRINGS: "strings",
}


class Body:
    """The body that is being written for the calls that look like one node.

    Operands of the call are named by their formal names; one that the node leaves out reads as
    None in `operand`. Attributes are referred to where the text allows it; an attribute whose
    value decides what the body is gets read from the node, and makes the body one of several.

    Attributes:
        node: A call.
        inputs: Formal names of its operands, as many as the call has.
        output: Formal name of its first result.
        more_outputs: Formal names of its other results, as many as the call has.
    """

    def __init__(
        self,
        node: ir.Node,
        formal: Sequence[str],
        output: str = "Y",
        more_outputs: Sequence[str] = (),
    ) -> None:
        self.node = node
        self.inputs = tuple(formal[: len(node.inputs)])
        self.output = output
        self.more_outputs = tuple(more_outputs)
        self._lines: list[str] = []

    def operand(self, name: str) -> str | None:
        """Return the name of an operand, or None where the call leaves it out."""
        index = self.inputs.index(name) if name in self.inputs else len(self.inputs)
        is_given = index < len(self.inputs) and self.node.inputs[index] is not None
        return name if is_given else None

    def passed_on(self, names: Iterable[str]) -> str:
        """Return attributes of the call, where it has them, as attributes of an inner node."""
        present = (self.node.attributes.get(name) for name in names)
        return ", ".join(f"{a.name}: {_KINDS[a.type]} = @{a.name}" for a in present if a)

    def add(self, name: str, op_type: str, *operands: str, attributes: str = "") -> str:
        """Write one node and return the name of its result."""
        shown = f" <{attributes}>" if attributes else ""
        self._lines.append(f"  {name} = {op_type}{shown} ({', '.join(operands)})")
        return name

    def scalar(self, name: str, number: float, like: str) -> str:
        """Write a number in the dtype of another value."""
        self.add(f"{name}_number", "Constant", attributes=f"value_float = {float(number)!r}")
        return self.add(name, "CastLike", f"{name}_number", like)

    def text(self, opset: int) -> str:
        """Return the whole function."""
        node = self.node
        attributes = ", ".join(node.attributes)
        declared = f" <{attributes}>" if attributes else ""
        head = f'<domain: "{node.domain}", opset_import: ["" : {opset}]>\n{node.op_type}{declared}'
        results = ", ".join((self.output, *self.more_outputs))
        signature = f"({', '.join(self.inputs)}) => ({results})"
        return "\n".join([f"{head} {signature} {{", *self._lines, "}"])
