"""Checks that a model is well formed.

    V01 named                 what is read, or is on a graph's border, has a name
    V02 unique-names          one name per value of a scope; none hides a visible outer value
    V03 defined-before-use    operands are defined before their node, here or in a graph around
    V04 one-producer          node, value and graph agree on who makes what
    V05 uses-agree            values list exactly the operands that read them
    V06 graph-outputs         a graph output is a value of its own graph: made by a node of it,
                              or an input or initializer of it, never one of the graph around
    V07 outputs-once          no value is listed twice among a graph's outputs (core, target)
    V08 opset-imports         domains are imported, at versions that exist
    V09 known-operator        operators of the standard exist and are not deprecated
    V10 operand-counts        as many operands and outputs as the schema says
    V11 required-parts        required operands and attributes are there
    V12 attribute-types       attributes are known and of the right type
    V13 no-trailing-gap       the last operand is not a left-out one (core, target)
    V14 operand-types         dtypes fit the schema, type variables agree
    V15 initializers          hold a tensor of the name, dtype and shape that the value says
    V16 body-signatures       bodies of If, Loop, Scan and SequenceMap fit their node
    V17 functions             have a domain of their own, do not recur, exist when called
    V18 attribute-references  refer to an attribute of the function they are in
    V19 interface-types       inputs of the main graph have a type
    V20 stage                 only what the stage's table allows
    V21 nothing-dead          nodes and initializers are read or are graph outputs (core, target)
    V22 target                only operators that the target accepts (target)
    V23 one-owner             a subgraph is the body of one node

Operators of foreign domains have no schema: for them V09 to V12 and V14 hold vacuously.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import onnx_ir as ir

from sardonyx.compiler.errors import VerifyError
from sardonyx.compiler.ir import check_nesting, check_nodes, check_values, provenance, stages
from sardonyx.compiler.ir.printer import Printer
from sardonyx.compiler.ir.scope import Scope, scopes
from sardonyx.compiler.ir.text import stage as stage_of
from sardonyx.compiler.ir.violation import Violation

_NEIGHBOURS = 2


@dataclass(frozen=True)
class Rule:
    """A numbered rule.

    Attributes:
        number: "V01"; a number is never given to another rule.
        name: Its name in words.
        check: Yields the places of one scope that break it.
    """

    number: str
    name: str
    check: Callable[[Scope], Iterator[Violation]]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


ALWAYS = (
    Rule("V04", "one-producer", check_values.one_producer),
    Rule("V01", "named", check_values.named),
    Rule("V02", "unique-names", check_values.unique_names),
    Rule("V03", "defined-before-use", check_values.defined_before_use),
    Rule("V05", "uses-agree", check_values.uses_agree),
    Rule("V06", "graph-outputs", check_values.graph_outputs),
    Rule("V08", "opset-imports", check_nodes.opset_imports),
    Rule("V09", "known-operator", check_nodes.known_operator),
    Rule("V10", "operand-counts", check_nodes.operand_counts),
    Rule("V11", "required-parts", check_nodes.required_parts),
    Rule("V12", "attribute-types", check_nodes.attribute_types),
    Rule("V14", "operand-types", check_nodes.operand_types),
    Rule("V15", "initializers", check_values.initializers),
    Rule("V16", "body-signatures", check_nesting.body_signatures),
    Rule("V17", "functions", check_nesting.functions),
    Rule("V18", "attribute-references", check_nesting.attribute_references),
    Rule("V19", "interface-types", check_values.interface_types),
    Rule("V23", "one-owner", check_values.subgraphs_owned_once),
)
"""The rules of every stage, those first whose violation would make others misleading."""

TIDY = (
    Rule("V07", "outputs-once", check_values.outputs_listed_once),
    Rule("V13", "no-trailing-gap", check_nodes.no_trailing_gap),
    Rule("V21", "nothing-dead", check_values.nothing_dead),
)


def rules(stage: stages.Stage, target: stages.OperatorTable | None = None) -> tuple[Rule, ...]:
    """Return the rules that hold at a stage, for a target."""
    found = ALWAYS + (TIDY if stage.tidy else ())
    found += (Rule("V20", "stage", partial(stages.allowed_at_stage, stage=stage)),)
    if target is not None:
        found += (Rule("V22", "target", partial(stages.accepted_by_target, target=target)),)
    return found


def violations(
    model: ir.Model, stage: str | None = None, target: stages.OperatorTable | None = None
) -> Iterator[tuple[Rule, Violation]]:
    """Yield each place where a model breaks a rule, rule by rule.

    Args:
        model: The model to check; it is not changed.
        stage: The stage whose rules hold; by default the one that the model says it is at.
        target: The operators to accept; None accepts all.

    Raises:
        VerifyError: There is no such stage.
    """
    name = stage if stage is not None else stage_of(model)
    if name not in stages.STAGES:
        known = ", ".join(stages.STAGES)
        raise VerifyError("V20 stage", "There is no such stage.", found=name, expected=known)
    everywhere = list(scopes(model))
    for rule in rules(stages.STAGES[name], target):
        for scope in everywhere:
            for violation in rule.check(scope):
                yield rule, violation


def verify(
    model: ir.Model, stage: str | None = None, target: stages.OperatorTable | None = None
) -> None:
    """Check that a model is well formed, and fit for its stage.

    Args:
        model: The model to check; it is not changed.
        stage: The stage whose rules hold; by default the one that the model says it is at.
        target: The operators to accept; None accepts all.

    Raises:
        VerifyError: It is not: names the first rule that it breaks, and where.
    """
    for rule, violation in violations(model, stage, target):
        raise VerifyError(
            str(rule),
            violation.what,
            where=_where(violation),
            found=violation.found,
            expected=violation.expected,
            excerpt=_excerpt(violation),
        )


def _where(violation: Violation) -> str:
    if violation.node is None:
        return f"graph {violation.scope.path}"
    return f"{provenance.site(violation.node)} in graph {violation.scope.path}"


def _excerpt(violation: Violation) -> str:
    """Return the lines around the offender, which has a mark."""
    nodes = violation.scope.nodes
    if violation.node is None or violation.node not in nodes:
        return ""
    centre = nodes.index(violation.node)
    first = max(0, centre - _NEIGHBOURS)
    shown = nodes[first : centre + _NEIGHBOURS + 1]
    printer = Printer(elide=16, brief=True)
    lines = (printer.node(node).splitlines()[0] for node in shown)
    return "\n".join(
        f"{'>' if node is violation.node else ' '} {line}"
        for node, line in zip(shown, lines, strict=True)
    )
