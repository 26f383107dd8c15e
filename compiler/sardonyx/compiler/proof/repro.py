"""Writes the smallest model that shows what a rule did wrong: what it replaced, with its inputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.errors import SardonyxError
from sardonyx.compiler.export import legalise
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.ir.text import to_text
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.proof.blame import Suspect
from sardonyx.compiler.proof.plan import Plan


def write_repro(suspect: Suspect, plan: Plan) -> Path | None:
    """Write the nodes that a change replaced, as a model, with the values that they were given.

    Beside `NAME.onnx` there are `NAME.npz`, its inputs, and `NAME.txt`: the nodes before and
    after, and what came out otherwise.

    Args:
        suspect: The change.
        plan: How the proof is made; says in which folder.

    Returns:
        The path of the model, or None where it cannot be cut out.
    """
    gone, new = _changed(suspect.before, suspect.after), _changed(suspect.after, suspect.before)
    if not gone or plan.repros is None:
        return None
    try:
        cut = cut_out(suspect.before, gone)
        inputs = _values(suspect.before, [str(v.name) for v in cut.graph.inputs], plan)
        made = legalise(cut, plan.target)
    except SardonyxError:
        return None
    plan.repros.mkdir(parents=True, exist_ok=True)
    path = _free(plan.repros, suspect)
    ir.save(made, path)
    np.savez(path.with_suffix(".npz"), **inputs)  # type: ignore[arg-type]
    path.with_suffix(".txt").write_text(_story(suspect, cut, new), encoding="utf-8")
    return path


def _changed(model: ir.Model, other: ir.Model) -> list[ir.Node]:
    """Return the nodes of a model that the other does not have."""
    known = {_spelled(node) for node in other.graph.all_nodes()}
    return [node for node in model.graph if _spelled(node) not in known]


def _spelled(node: ir.Node) -> tuple[object, ...]:
    names = [
        [v.name if v is not None else None for v in side] for side in (node.inputs, node.outputs)
    ]
    return (node.domain, node.op_type, *map(tuple, names))


def cut_out(model: ir.Model, nodes: Sequence[ir.Node]) -> ir.Model:
    """Return some nodes of the main graph as a model of their own.

    Its inputs are the values that the nodes read and that others make; its outputs what others
    read. Small constants and weights go with it.

    Args:
        model: The model; not changed.
        nodes: Nodes of its main graph.
    """
    inside = set(nodes)
    copies: dict[ir.Value, ir.Value] = {}
    inputs: list[ir.Value] = []
    constants: list[ir.Value] = []

    def copy(value: ir.Value) -> ir.Value:
        if value not in copies:
            made = ir.Value(name=value.name, type=value.type, shape=value.shape)
            made.const_value = value.const_value if value.is_initializer() else None
            copies[value] = made
            if value.is_initializer() and not value.is_graph_input():
                constants.append(made)
            elif value.producer() not in inside:
                inputs.append(made)
        return copies[value]

    made_nodes = []
    for node in nodes:
        operands = [copy(v) if v is not None else None for v in node.inputs]
        outputs = [copy(v) for v in node.outputs]
        attributes = list(node.attributes.values())
        made = ir.Node(node.domain, node.op_type, operands, attributes, outputs=outputs)
        made.name = node.name
        made.metadata_props.update(node.metadata_props)
        made_nodes.append(made)
    ends = [
        copies[v]
        for node in nodes
        for v in node.outputs
        if v.is_graph_output() or any(user not in inside for user, _ in v.uses())
    ]
    graph = ir.Graph(inputs, ends, nodes=made_nodes, opset_imports=dict(model.opset_imports))
    graph.name = "repro"
    for value in constants:
        graph.register_initializer(value)
    cut = ir.Model(graph, ir_version=model.ir_version)
    cut.metadata_props["sardonyx.stage"] = "core"
    Types.inferred(cut)
    return cut


def _values(model: ir.Model, names: Sequence[str], plan: Plan) -> dict[str, Array]:
    """Return what some values of a model are for the first sample."""
    sample = plan.samples[0]
    held = {name: sample[name] for name in names if name in sample}
    missing = [name for name in names if name not in held]
    if not missing:
        return held
    asked = model.clone()
    found = {v.name: v for node in asked.graph for v in node.outputs}
    asked.graph.outputs.clear()
    asked.graph.outputs.extend(found[name] for name in missing)
    return {**held, **dict(zip(missing, plan.outputs(asked)[0], strict=True))}


def _free(folder: Path, suspect: Suspect) -> Path:
    stem = re.sub(r"\W+", "-", suspect.change.rule).strip("-") or "change"
    number = 1
    while (path := folder / f"{stem}-{number}.onnx").exists():
        number += 1
    return path


def _story(suspect: Suspect, cut: ir.Model, new: Sequence[ir.Node]) -> str:
    after = cut_out(suspect.after, new) if new else None
    rows = [
        f"Rule {suspect.change.rule!r} of pass {suspect.pass_name!r} changed the answer at",
        f"{suspect.change.site}: {suspect.difference}.",
        "",
        "Before:",
        to_text(cut, elide=16, brief=True),
        "After:",
        to_text(after, elide=16, brief=True) if after is not None else "nothing new\n",
    ]
    return "\n".join(rows)
