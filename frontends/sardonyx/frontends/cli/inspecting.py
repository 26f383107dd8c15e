"""`sardonyx inspect`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import onnx_ir as ir

from sardonyx import compiler
from sardonyx.compiler.export.manifest import MANIFEST
from sardonyx.frontends import dsl
from sardonyx.frontends.cli.show import print_json, print_rows
from sardonyx.frontends.cli.source import load_source
from sardonyx.frontends.cli.writing import check_file


def run_inspect(source: str, text: bool, as_json: bool) -> None:
    """Show a model as it is after import."""
    model = load_source(source)
    if text:
        print(compiler.to_text(model, elide=16, brief=True))
        return
    operators = _operators(model)
    file = ir.load(source) if Path(source).is_file() else None
    in_file = _operators(file) if file is not None else Counter[str]()
    weights = sum(v.const_value.nbytes for v in _constants(model) if v.const_value is not None)
    inputs = [v for v in model.graph.inputs if not v.is_initializer()]
    described: dict[str, Any] = {
        "file_opsets": dict(file.opset_imports) if file is not None else {},
        "file_operators": dict(in_file.most_common()),
        "inputs": [compiler.describe(v) for v in inputs],
        "outputs": [compiler.describe(v) for v in model.graph.outputs],
        "opsets": dict(model.opset_imports),
        "nodes": sum(operators.values()),
        "operators": dict(operators.most_common()),
        "weights": len(_constants(model)),
        "weight_bytes": weights,
        "proof": _proof(model),
        "metadata": dict(model.metadata_props),
    }
    if as_json:
        print_json(described)
        return
    facts = ("inputs", "outputs", "file_opsets", "opsets", "nodes", "weights", "weight_bytes")
    rows = [{"fact": name, "value": described[name]} for name in facts if described[name]]
    if described["proof"]:
        rows.append({"fact": "proof", "value": _said(described["proof"])})
    print_rows(source, rows)
    names = dict.fromkeys(name for name, _ in (*in_file.most_common(), *operators.most_common()))
    counts = {"in the file": in_file, "after import": operators}
    shown = counts if in_file != operators and in_file else {"nodes": operators}
    print_rows(
        "operators",
        [{"operator": name} | {k: count[name] for k, count in shown.items()} for name in names],
    )
    if model.metadata_props:
        rows = [{"key": k, "value": v[:200]} for k, v in model.metadata_props.items()]
        print_rows("metadata", rows)


def write_program(source: str, path: Path) -> None:
    """Write a program of the language that builds a model again; print it for the path `-`."""
    if str(path) != "-":
        check_file(path, "--dsl")
    program = dsl.source(load_source(source))
    if str(path) == "-":
        print(program.text, end="")
        return
    program.write(path)
    print(f"wrote {path}: {len(program.text.splitlines())} lines, {len(program.state)} parameters")


def _proof(model: ir.Model) -> dict[str, Any]:
    """Return what a file's manifest says of how it was compared with its source."""
    try:
        made = json.loads(model.metadata_props.get(MANIFEST, "{}"))
    except json.JSONDecodeError:
        return {}
    found = made.get("proof") if isinstance(made, dict) else None
    return found if isinstance(found, dict) else {}


def _said(proof: dict[str, Any]) -> str:
    held = "agrees with its source" if proof.get("holds") else "not known to agree with its source"
    compared = f"level {proof.get('level')}, {proof.get('samples')} sample(s)"
    rest = {"undone": proof.get("undone"), "outputs that say nothing": proof.get("blind")}
    # The file may be anybody's, and hold anything there.
    told = [
        f"{title}: {', '.join(map(str, names))}"
        for title, names in rest.items()
        if isinstance(names, list) and names
    ]
    return "; ".join([f"{held} ({compared})", *told])


def _operators(model: ir.Model) -> Counter[str]:
    """Count a graph's operators; import raises opsets and takes functions apart."""
    return Counter(_name(node) for node in model.graph.all_nodes())


def _name(node: ir.Node) -> str:
    return f"{node.domain}::{node.op_type}" if node.domain else node.op_type


def _constants(model: ir.Model) -> list[ir.Value]:
    return list(model.graph.initializers.values())
