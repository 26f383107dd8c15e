"""Refuses a pattern that no model can match, or whose captures clash, when a rule is made.

A misspelled operator would else be a rule that silently never matches.
"""

from __future__ import annotations

from sardonyx.compiler.errors import RewriteError
from sardonyx.compiler.ir.schema import (
    KNOWN_VERSIONS,
    Operator,
    is_standard,
    meant,
    operator,
    operator_names,
)
from sardonyx.compiler.ir.signature import DOMAIN_VERSIONS
from sardonyx.compiler.rewrite import pattern as patterns
from sardonyx.compiler.rewrite.match import Match


def check_pattern(rule: str, pattern: patterns.Operator) -> None:
    """Demand that the operators of a pattern exist, with such operands and attributes.

    Raises:
        RewriteError: One does not, or a capture has the name of something else that matches have.
    """
    where = f"pattern of rule {rule!r}"
    for name in patterns.names_in(pattern):
        if name.startswith("_") or hasattr(Match, name) or name in {"nodes", "captures", "names"}:
            raise RewriteError(
                f"A capture cannot be called {name!r}: matches have that already.",
                where=where,
                remedy="give it another name",
            )
    for node in patterns.operators_in(pattern):
        known = [
            (op_type, found)
            for op_type in node.op_types
            if is_standard(node.domain, op_type)
            for found in _known(node.domain, op_type, where)
        ]
        # Only if all of its names are operators of the standard is it known what they take.
        if len({op_type for op_type, _ in known}) == len(node.op_types):
            _check_operands(node, [found for _, found in known], where)
        for op_type in dict(known):
            _check_attributes(node, op_type, [f for name, f in known if name == op_type], where)


def _check_operands(node: patterns.Operator, known: list[Operator], where: str) -> None:
    least, most = _operand_counts(node)
    if any(least <= k.input_counts[1] and most >= k.input_counts[0] for k in known):
        return
    raise RewriteError(
        f"{node.label} never has as many operands as the pattern.",
        where=where,
        found=str(len(node.operands)),
        expected=", ".join(slot.name for slot in known[0].inputs) or "none",
        remedy="write None for an operand that is left out, rest(...) for all remaining ones",
    )


def _check_attributes(
    node: patterns.Operator, op_type: str, known: list[Operator], where: str
) -> None:
    attributes = {name for each in known for name in each.attributes}
    for name, _ in node.demanded:
        if name not in attributes:
            raise RewriteError(
                f"{op_type} has no attribute {name!r}.",
                where=where,
                expected=", ".join(sorted(attributes)) or "none",
                remedy=meant(name, attributes),
            )


def _known(domain: str, op_type: str, where: str) -> list[Operator]:
    """Return an operator at each opset that a model inside the compiler can have."""
    last = KNOWN_VERSIONS[domain][1]
    versions = range(min(DOMAIN_VERSIONS.get(domain, 1), last), last + 1)
    found = [f for v in versions if (f := operator(domain, op_type, v)) and not f.deprecated]
    if not found:
        raise RewriteError(
            f"There is no operator {op_type!r} in {domain or 'the standard domain'}.",
            where=where,
            remedy=meant(op_type, operator_names(domain)),
        )
    return found


def _operand_counts(node: patterns.Operator) -> tuple[int, int]:
    """Return how many operands a pattern needs at least, and matches at most."""
    optional = (patterns.Maybe, patterns.Rest, patterns.Absent)
    least = max(
        (i for i, p in enumerate(node.operands, 1) if not isinstance(p, optional)), default=0
    )
    is_open = any(isinstance(p, patterns.Rest) for p in node.operands)
    return least, 1 << 31 if is_open else len(node.operands)
