"""Which execution provider runs which node of a session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from .plugins import short_name


class Placed(NamedTuple):
    """A node and where it runs.

    Attributes:
        node: Its name in the model; names of ONNX Runtime's own where it joined nodes.
        operator: Its operator, with the domain when that is not ONNX's own.
        provider: Short name of the execution provider: ``cpu``, ``cuda``.
    """

    node: str
    operator: str
    provider: str


class Placement(tuple[Placed, ...]):
    """The nodes of a session, in ONNX Runtime's order; ``print`` counts them as a table.

    They are those that ONNX Runtime gave to providers, which is before the last of its own
    fusions. What a provider compiles as a whole is listed node by node.
    """

    __slots__ = ()

    def counts(self) -> dict[str, Counter[str]]:
        """How many nodes of each operator each provider runs."""
        counts: dict[str, Counter[str]] = {}
        for _, operator, provider in self:
            counts.setdefault(provider, Counter())[operator] += 1
        return counts

    def __str__(self) -> str:
        rows = [("provider", "operator", "nodes")]
        for provider, operators in self.counts().items():
            rows += [(provider, name, str(n)) for name, n in operators.most_common()]
        wide, wider, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
        return "\n".join(f"{a:{wide}}  {b:{wider}}  {c:>5}" for a, b, c in rows)


def read_placement(raw: Any) -> Placement:
    """Where the nodes of an ``onnxruntime.InferenceSession`` run, which must have recorded it."""
    return Placement(_nodes(raw))


def _nodes(raw: Any) -> Iterator[Placed]:
    for part in raw.get_provider_graph_assignment_info():
        for node in part.get_nodes():
            operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            yield Placed(node.name, operator, short_name(part.ep_name))
