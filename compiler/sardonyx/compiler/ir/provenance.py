"""Where a node comes from: the source it was written as and the rules that made it."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

SOURCE = "sardonyx.source"
RULES = "sardonyx.rules"
SITES = "sardonyx.sites"
_SEPARATOR = ", "
_MOST_SOURCES = 8


def _read(node: ir.Node, key: str) -> list[str]:
    text = node.metadata_props.get(key, "")
    return text.split(_SEPARATOR) if text else []


def sources(node: ir.Node) -> list[str]:
    """Return the module paths, source lines or imported names that a node stems from."""
    return _read(node, SOURCE)


def rules(node: ir.Node) -> list[str]:
    """Return the names of the rules and passes that made a node, oldest first."""
    return _read(node, RULES)


def may_be_incomplete(node: ir.Node) -> bool:
    """Say whether a node may stem from more than it says: it names a few sources at most."""
    return len(sources(node)) >= _MOST_SOURCES


def sites(node: ir.Node) -> list[str]:
    """Return the marks that say which sites of the source model a node stems from."""
    return _read(node, SITES)


def mark(node: ir.Node, marks: Iterable[str]) -> None:
    """Add marks of sites to a node; they follow it through every rewrite, and are not exported."""
    node.metadata_props[SITES] = _SEPARATOR.join(dict.fromkeys([*sites(node), *marks]))


def set_source(node: ir.Node, source: str) -> None:
    """Record the one source of a freshly imported or traced node."""
    node.metadata_props[SOURCE] = source.replace(_SEPARATOR, ",")


def site(node: ir.Node) -> str:
    """Return a short text that tells a reader which place in their model a node is."""
    known = sources(node)
    name = node.name or node.op_type
    return f"{known[0]} ({node.op_type})" if known else f"{name} ({node.op_type})"


def merge(new: Iterable[ir.Node], replaced: Iterable[ir.Node], rule: str) -> None:
    """Give new nodes the union of the provenance of the nodes that they replace, plus `rule`.

    The sources of those with a node's own operator come first: a convolution that took a norm in
    is a convolution still.
    """
    replaced = list(replaced)
    known = [(old.op_type, sources(old)) for old in replaced]
    from_rules = list(dict.fromkeys([*(r for node in replaced for r in rules(node)), rule]))
    marks = list(dict.fromkeys(s for node in replaced for s in sites(node)))
    for node in new:
        if marks:
            mark(node, marks)
        akin_first = sorted(known, key=lambda old: old[0] != node.op_type)
        from_sources = list(dict.fromkeys(s for _, those in akin_first for s in those))
        if from_sources:
            node.metadata_props[SOURCE] = _SEPARATOR.join(from_sources[:_MOST_SOURCES])
        node.metadata_props[RULES] = _SEPARATOR.join(from_rules)


def hand_over(kept: Iterable[ir.Node], replaced: Iterable[ir.Node]) -> None:
    """Give nodes that were there already, and now stand for others, the marks of those."""
    marks = list(dict.fromkeys(s for node in replaced for s in sites(node)))
    if marks:
        for node in kept:
            mark(node, marks)
