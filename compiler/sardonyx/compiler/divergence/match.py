"""Which values of two graphs mean the same."""

from __future__ import annotations

import difflib

import onnx_ir as ir

from sardonyx.compiler.divergence.flow import Flow, is_floating, main_output
from sardonyx.compiler.divergence.origins import Origins
from sardonyx.compiler.ir import provenance

_MOST_ALIGNED = 4000
"""Longer graphs are not aligned: it takes the square of their length."""

Pairs = dict[str, str]
"""For names of values of one graph the names of those that mean the same in the other."""


def pair(ours: Flow, theirs: Flow) -> Pairs:
    """Return, for values of one graph, the names of those of another that should be equal.

    Values mean the same that have one name, unless a rewrite made one of them; and those that
    leave the same module, or the same node, of the source. Where no value is found so, the graphs
    are aligned by operators and shapes.
    """
    by_origin = _by_origin(ours, theirs)
    pairs = {**by_origin, **_by_name(ours, theirs)}
    inner = [n for n in pairs if not ours.value(n).is_graph_output()]
    return pairs if inner else {**_by_alignment(ours, theirs), **pairs}


def can_be_equal(a: ir.Shape | None, b: ir.Shape | None) -> bool:
    """Say whether two values of such shapes can be equal; symbols may be any number."""
    if a is None or b is None:
        return True
    return len(a) == len(b) and all(
        x == y or not isinstance(x, int) or not isinstance(y, int)
        for x, y in zip(a, b, strict=True)
    )


def _by_name(ours: Flow, theirs: Flow) -> Pairs:
    values = {str(v.name): v for node in theirs.nodes for v in node.outputs if v.name}
    pairs: Pairs = {}
    for node in ours.nodes:
        for value in node.outputs:
            other = values.get(str(value.name))
            if other is not None and is_floating(value) and _is_trusted(value, other):
                pairs[str(value.name)] = str(other.name)
    return pairs


def _is_trusted(ours: ir.Value, theirs: ir.Value) -> bool:
    """A rewrite names what it makes as it likes, and may take a name that became free."""
    a, b = ours.producer(), theirs.producer()
    assert a is not None
    assert b is not None
    if ours.is_graph_output() and theirs.is_graph_output():
        return True
    return provenance.rules(a) == provenance.rules(b) and can_be_equal(ours.shape, theirs.shape)


def _by_origin(ours: Flow, theirs: Flow) -> Pairs:
    mine, others = Origins(ours), Origins(theirs)
    pairs: Pairs = {}
    for path in sorted(mine.members.keys() & others.members.keys()):
        value, other = mine.exit(path, _never), others.exit(path, _never)
        if value is None and other is not None:
            value = mine.exit(path, others.is_before(other))
        elif other is None and value is not None:
            other = others.exit(path, mine.is_before(value))
        if value is None or other is None or not can_be_equal(value.shape, other.shape):
            continue
        pairs.setdefault(str(value.name), str(other.name))
    return pairs


def _never(first: str, second: str) -> bool:
    """Take no node that stems from several modules."""
    return False


def _by_alignment(ours: Flow, theirs: Flow) -> Pairs:
    if max(len(ours.nodes), len(theirs.nodes)) > _MOST_ALIGNED:
        return {}
    mine, others = _spelled(ours), _spelled(theirs)
    matcher = difflib.SequenceMatcher(
        None, [key for key, _ in mine], [key for key, _ in others], autojunk=False
    )
    return {
        mine[block.a + step][1]: others[block.b + step][1]
        for block in matcher.get_matching_blocks()
        for step in range(block.size)
    }


def _spelled(flow: Flow) -> list[tuple[tuple[object, ...], str]]:
    """Return operator and known dimensions of each floating-point value, and its name."""
    rows: list[tuple[tuple[object, ...], str]] = []
    for node in flow.nodes:
        value = main_output(node)
        if value is not None:
            dims = [d if isinstance(d, int) else None for d in value.shape or ()]
            rows.append(((node.domain, node.op_type, *dims), str(value.name)))
    return rows
