"""The operator row and the table of rows."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import onnx_ir as ir

from sardonyx.compiler.ops.axes import Axes, Fixed
from sardonyx.compiler.ops.cost import CostModel
from sardonyx.compiler.ops.sample import Sampler
from sardonyx.compiler.ops.tolerance import Tolerance


class Trait(enum.Enum):
    """What can be said of an operator without looking at a node of it."""

    ELEMENTWISE = "each output element depends on one element of each (broadcast) operand"
    COMMUTATIVE = "its first two operands may be swapped"
    IDEMPOTENT = "applying it again, with the same attributes and operands, changes nothing"
    INVOLUTION = "applying it to its own output gives its operand back"
    DATA_MOVEMENT = "it moves elements and computes none"
    RANDOM = "two equal nodes may give different outputs"
    CONTROL_FLOW = "it runs subgraphs"
    READS_SHAPE_ONLY = "its output depends on its operands' shapes, not on their elements"


@dataclass(frozen=True)
class Absent:
    """A fact that an operator does not have.

    Attributes:
        because: Why not.
    """

    because: str


def none(because: str) -> Absent:
    """Mark a fact as absent: `sample=none("it reads image files")`."""
    return Absent(because)


@dataclass(frozen=True)
class Row:
    """The facts of one operator that its ONNX schema lacks.

    Attributes:
        op_type: Operator name.
        domain: Operator domain, "" for the standard one.
        traits: What holds for each node of it.
        axes: What happens to each axis of its operands.
        cost: Arithmetic and bytes of a node.
        tolerance: How far two right implementations may differ.
        sample: Makes small random inputs and attributes.
    """

    op_type: str
    domain: str = ""
    traits: frozenset[Trait] = frozenset()
    axes: Axes | Fixed = field(kw_only=True)
    cost: CostModel | Absent = field(kw_only=True)
    tolerance: Tolerance | Absent = field(kw_only=True)
    sample: Sampler | Absent = field(kw_only=True)


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


def define(
    *names: str,
    domain: str = "",
    traits: Iterable[Trait] = (),
    axes: Axes | Fixed,
    cost: CostModel | Absent,
    tolerance: Tolerance | Absent,
    sample: Sampler | Absent,
) -> None:
    """Add a row for an operator, or for each of several that share all their facts.

    Raises:
        ValueError: One of the operators already has a row.
    """
    facts = frozenset(traits)
    for name in names:
        row(Row(name, domain, facts, axes=axes, cost=cost, tolerance=tolerance, sample=sample))


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
