"""The operator row and the table of rows."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir


class Trait(enum.Enum):
    """What can be said of an operator without looking at a node of it."""

    ELEMENTWISE = "each output element depends on one element of each (broadcast) operand"
    COMMUTATIVE = "its first two operands may be swapped"
    IDEMPOTENT = "applying it to its own output changes nothing"
    DATA_MOVEMENT = "it moves elements and computes none"
    RANDOM = "two equal nodes may give different outputs"
    CONTROL_FLOW = "it runs subgraphs"
    READS_SHAPE_ONLY = "its output depends on its operands' shapes, not on their elements"


@dataclass(frozen=True)
class Row:
    """The facts of one operator that its ONNX schema lacks.

    Attributes:
        op_type: Operator name.
        domain: Operator domain, "" for the standard one.
        traits: What holds for each node of it.
    """

    op_type: str
    domain: str = ""
    traits: frozenset[Trait] = frozenset()


_ROWS: dict[tuple[str, str], Row] = {}


def row(entry: Row) -> Row:
    """Add a row to the table.

    Raises:
        ValueError: The operator already has a row.
    """
    key = (entry.domain, entry.op_type)
    if key in _ROWS:
        raise ValueError(f"operator {entry.domain}::{entry.op_type} has two rows")
    _ROWS[key] = entry
    return entry


def find(node: ir.Node) -> Row | None:
    """Return the row of a node's operator, or None for an operator nobody described."""
    return _ROWS.get((node.domain if node.domain != "ai.onnx" else "", node.op_type))


def has_trait(node: ir.Node, trait: Trait) -> bool:
    """Say whether a node's operator is known to have a trait."""
    known = find(node)
    return known is not None and trait in known.traits


def rows() -> Iterator[Row]:
    """Yield all rows, by domain and name."""
    for key in sorted(_ROWS):
        yield _ROWS[key]
