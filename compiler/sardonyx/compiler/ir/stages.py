"""What may exist in a model at each stage of compilation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import onnx_ir as ir

from sardonyx.compiler.ir.scope import Scope
from sardonyx.compiler.ir.violation import Violation


@dataclass(frozen=True)
class Stage:
    """What holds at one stage, beyond well-formedness.

    Attributes:
        name: "source", "core" or "target".
        tidy: No output is listed twice, no node ends in a left-out operand, nothing is dead.
        forbidden: Operators of the standard that are gone, and why.
        identity_for_outputs_only: The one use of Identity is to give a graph output a node.
    """

    name: str
    tidy: bool = False
    forbidden: tuple[tuple[str, str], ...] = ()
    identity_for_outputs_only: bool = False


_CANONICAL = (("Constant", "constants are initializers"),)

STAGES = {
    "source": Stage("source"),
    "core": Stage("core", True, _CANONICAL, True),
    # An operator that is written out for an older opset may leave both.
    "target": Stage("target", True),
}


class OperatorTable(Protocol):
    """The operators that a target accepts."""

    def refuses(self, node: ir.Node, version: int) -> str | None:
        """Return why the target does not accept a node of an opset version, or None."""


def allowed_at_stage(scope: Scope, stage: Stage) -> Iterator[Violation]:
    """The graph holds only what its stage allows. Function bodies may hold any operator."""
    if scope.function is not None:
        return
    reasons = dict(stage.forbidden)
    for node in scope.nodes:
        if node.domain:
            continue
        if node.op_type in reasons:
            what = f"{node.op_type} may not exist at stage {stage.name}."
            yield Violation(what, scope, node, expected=reasons[node.op_type])
            continue
        is_limited = node.op_type == "Identity" and stage.identity_for_outputs_only
        if is_limited and not node.outputs[0].is_graph_output():
            what = f"Identity at stage {stage.name} gives no graph output."
            yield Violation(what, scope, node, expected="its operand in its place")


def accepted_by_target(scope: Scope, target: OperatorTable) -> Iterator[Violation]:
    """The target accepts each operator that is no function of the model."""
    for node in scope.nodes:
        if node.op_identifier() in scope.model.functions:
            continue
        version = scope.opsets.get(node.domain, 1)
        if (reason := target.refuses(node, version)) is not None:
            yield Violation(f"The target does not accept {node.op_type}.", scope, node, reason)
