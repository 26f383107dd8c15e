"""One node on its way across one version step: what an adapter reads, and how it builds the new."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.ir import constants, provenance
from sardonyx.compiler.opset.history import Bump

Array = npt.NDArray[Any]
Adapter = Callable[["Step"], "ir.Value | Sequence[ir.Value | None]"]
Facts = Mapping[ir.Value, tuple[ir.DataType | None, ir.Shape | None]]
_CONSTANT_VERSION = 13


@dataclass
class Step:
    """What an adapter sees of a node, and the nodes that it makes in its place.

    Attributes:
        node: The node in the form before the step.
        bump: The step.
        version: The version that nodes made by `op` have unless they say another one.
        facts: Dtype and shape of values, as far as they could be inferred.
        made: The nodes made so far, in order.
    """

    node: ir.Node
    bump: Bump
    version: int
    facts: Facts
    made: list[ir.Node] = field(default_factory=list)

    def operand(self, index: int) -> ir.Value | None:
        """Return an operand, None where it was left out."""
        return self.node.inputs[index] if index < len(self.node.inputs) else None

    def needed(self, index: int) -> ir.Value:
        """Return an operand that the operator cannot do without.

        Raises:
            UnsupportedError: It was left out.
        """
        value = self.operand(index)
        if value is None:
            raise self.refusal(f"operand {index} is missing")
        return value

    def is_used(self, index: int) -> bool:
        """Say whether anything reads an output."""
        if index >= len(self.node.outputs):
            return False
        value = self.node.outputs[index]
        return bool(value.uses()) or value.is_graph_output()

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return the Python value of an attribute.

        Raises:
            UnsupportedError: It is a parameter of the function that the node is in.
        """
        attr = self.node.attributes.get(name)
        if attr is None:
            return default
        if attr.is_ref():
            raise self.refusal(f"attribute {name} is a parameter of a model-local function")
        return attr.value

    def kept(self, *dropped: str) -> dict[str, ir.Attr]:
        """Return the attributes of the node but for some."""
        return {k: a for k, a in self.node.attributes.items() if k not in dropped}

    def dtype(self, value: ir.Value) -> ir.DataType | None:
        """Return the dtype of a value, None where it is not known."""
        known = value.dtype or self.facts.get(value, (None, None))[0]
        return None if known == ir.DataType.UNDEFINED else known

    def dims(self, value: ir.Value) -> list[int | ir.SymbolicDim] | None:
        """Return the dimensions of a value, None where not even the rank is known."""
        inferred = self.facts.get(value, (None, None))[1]
        shape = inferred if inferred is not None else value.shape
        return list(shape) if shape is not None else None

    def array(self, value: ir.Value | None) -> Array | None:
        """Return the constant behind a value, None where it is none."""
        return constants.array(value)

    def op(
        self,
        op_type: str,
        *inputs: ir.Value | None,
        version: int | None = None,
        outputs: int = 1,
        attributes: Mapping[str, ir.Attr] | None = None,
        **named: Any,
    ) -> ir.Value:
        """Make a node and return its first output; `named` are attributes as Python values."""
        attrs = dict(attributes or {})
        for name, value in named.items():
            if value is not None:
                attrs[name] = ir.convenience.convert_attribute(name, value)
        kept = list(inputs)
        while kept and kept[-1] is None:
            kept.pop()
        node = ir.Node(
            "",
            op_type,
            kept,
            attrs,
            num_outputs=outputs,
            version=self.version if version is None else version,
        )
        self.made.append(node)
        return node.outputs[0]

    def renewed(self, *inputs: ir.Value | None, drop: Sequence[str] = (), **named: Any) -> ir.Node:
        """Make the same operator again in its new form, with other operands and attributes."""
        first = self.op(
            self.node.op_type,
            *inputs,
            outputs=len(self.node.outputs),
            attributes=self.kept(*drop),
            **named,
        )
        made = first.producer()
        assert made is not None
        return made

    def constant(self, value: Any, dtype: Any) -> ir.Value:
        """Make a Constant node."""
        tensor = ir.tensor(np.asarray(value, dtype=dtype))
        return self.op("Constant", version=_CONSTANT_VERSION, value=tensor)

    def scalar_like(self, value: float, like: ir.Value) -> ir.Value:
        """Make a 0-d constant of the dtype that another value has."""
        dtype = self.dtype(like)
        if dtype == ir.DataType.STRING:
            raise self.refusal("its operand is a string")
        if dtype is not None:
            return self.constant(value, dtype.numpy())
        return self.op("CastLike", self.constant(value, np.float32), like, version=15)

    def ints_operand(self, name: str) -> ir.Value | None:
        """Turn an attribute that lists integers into an operand; None where it is absent."""
        attr = self.node.attributes.get(name)
        if attr is None:
            return None
        if attr.is_ref():
            assert attr.ref_attr_name is not None
            parameter = ir.RefAttr("value_ints", attr.ref_attr_name, ir.AttributeType.INTS)
            return self.op("Constant", version=_CONSTANT_VERSION, attributes={"": parameter})
        return self.constant(list(attr.as_ints()), np.int64)

    def refusal(self, why: str) -> UnsupportedError:
        """Return the error that says why this node cannot take the step."""
        return UnsupportedError(
            f"{self.node.op_type} of opset {self.bump.old} has no counterpart in"
            f" opset {self.bump.new}: {why}.",
            where=provenance.site(self.node),
            remedy="export the model again with a newer opset, or change this node",
        )
