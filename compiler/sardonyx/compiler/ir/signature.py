"""Named operands and typed attributes of operators, derived from the ONNX schemas."""

from __future__ import annotations

import functools
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir.schemas import AttributeParameter, OpSignature, Parameter

CANONICAL_OPSET = 23
"""The opset of the standard domain that every graph inside the compiler has."""

DOMAIN_VERSIONS = {"": CANONICAL_OPSET, "ai.onnx.ml": 5, "com.microsoft": 1, "sardonyx": 1}
"""Version assumed for each domain where a model does not import it."""


@functools.cache
def signature(domain: str, op_type: str, version: int | None = None) -> OpSignature | None:
    """Return the signature of an operator, or None where no schema of it is known or readable.

    Args:
        domain: Operator domain; "" is the standard one.
        op_type: Operator name, for example "Conv".
        version: Opset version of the domain; by default the canonical one.
    """
    if domain == "ai.onnx":
        domain = ""
    if version is None:
        version = DOMAIN_VERSIONS.get(domain, 1)
    try:
        return OpSignature.from_op_schema(onnx.defs.get_schema(op_type, version, domain))
    except onnx.defs.SchemaError:
        return None
    except (KeyError, ValueError):
        # onnx_ir has no map types, and no operator with an operand and an attribute of one name.
        return None


@functools.cache
def operands(domain: str, op_type: str, version: int | None = None) -> tuple[Parameter, ...]:
    """Return the formal inputs of an operator, empty where its schema is unknown."""
    known = signature(domain, op_type, version)
    return tuple(known.inputs) if known else ()


@functools.cache
def attribute_parameters(
    domain: str, op_type: str, version: int | None = None
) -> dict[str, AttributeParameter]:
    """Return the formal attributes of an operator by name."""
    known = signature(domain, op_type, version)
    return {a.name: a for a in known.attributes} if known else {}


def plain(attr: ir.Attr) -> Any:
    """Return the Python value of an attribute; lists come back as tuples."""
    if attr.is_ref():
        return None
    value = attr.value
    return tuple(value) if isinstance(value, (list, tuple)) else value


class Attributes:
    """Reads a node's attributes by name, with the defaults of its schema.

    An attribute that is absent and has no default reads as None; a name that the schema does
    not have raises AttributeError.
    """

    __slots__ = ("_node",)

    def __init__(self, node: ir.Node) -> None:
        self._node = node

    @property
    def node(self) -> ir.Node:
        """The node whose attributes these are."""
        return self._node

    def __getattr__(self, name: str) -> Any:
        node = self._node
        present = node.attributes.get(name)
        if present is not None:
            return plain(present)
        known = attribute_parameters(node.domain, node.op_type, node.version)
        if name not in known:
            if signature(node.domain, node.op_type, node.version) is None:
                return None
            raise AttributeError(f"{node.op_type} has no attribute {name!r}; it has {list(known)}")
        default = known[name].default
        return None if default is None else plain(default)

    def items(self) -> list[tuple[str, ir.Attr]]:
        """Return the attributes that are present, for copying onto another node."""
        return list(self._node.attributes.items())
