"""Which node gives what a module gives, by the provenance of nodes."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from sardonyx.compiler.divergence.flow import Flow, is_floating, members
from sardonyx.compiler.ir import provenance

IsBefore = Callable[[str, str], bool]
"""Says whether what stems from the first path was computed when the second has its result."""


class Origins:
    """The nodes of each module, or of each named node, of the source that a graph stems from.

    Attributes:
        members: For each path, as sources name it and for all modules around, the set of nodes
            that at least partly stem from it.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._paths = [paths(node) for node in flow.nodes]
        self.members: dict[str, int] = {}
        for number, known in enumerate(self._paths):
            for path in dict.fromkeys(outer for each in known for outer in _with_parents(each)):
                self.members[path] = self.members.get(path, 0) | 1 << number

    def exit(self, path: str, is_before: IsBefore) -> ir.Value | None:
        """Return the one floating-point value that leaves a module; None where there is no such.

        A rewritten node may stem from several modules. It gives what the last of them gave.

        Args:
            path: Of the module.
            is_before: Tells what the other modules of such a node are.
        """
        inside = self.members.get(path, 0)
        leaving = [
            value
            for number in members(inside)
            for value in self._flow.nodes[number].outputs
            if is_floating(value) and self._is_read_outside(value, inside)
        ]
        if len(leaving) != 1:
            return None
        maker = leaving[0].producer()
        assert maker is not None
        others = [each for each in paths(maker) if path not in _with_parents(each)]
        if others and provenance.may_be_incomplete(maker):
            return None
        return leaving[0] if all(is_before(each, path) for each in others) else None

    def _is_read_outside(self, value: ir.Value, inside: int) -> bool:
        if value.is_graph_output():
            return True
        for user, _ in value.uses():
            number = self._flow.maker.get(str(user.outputs[0].name)) if user.outputs else None
            if number is None or not inside >> number & 1:
                return True
        return False

    def is_before(self, value: ir.Value) -> IsBefore:
        """Return a function that says of a path whether all of it is computed before a value."""
        maker = self._flow.maker.get(str(value.name))
        before = self._flow.before[maker] if maker is not None else 0

        def says(first: str, _: str) -> bool:
            inside = self.members.get(first, 0)
            return bool(inside) and not inside & ~before

        return says


def paths(node: ir.Node) -> list[str]:
    """Return the sources of a node as dotted paths: /layer.0/norm/Add is layer.0.norm.Add."""
    return [each.strip("/").replace("/", ".") for each in provenance.sources(node)]


def _with_parents(path: str) -> list[str]:
    """Return a path and all paths around it: a.b.c, a, a.b."""
    parts = path.split(".")
    return [path, *(".".join(parts[:n]) for n in range(1, len(parts)))]
