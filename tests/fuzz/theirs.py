"""Where ONNX Runtime and onnx's reference evaluator differ on a graph: at which node first."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from sardonyx.compiler.errors import SardonyxError
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.proof import ExecutionError
from sardonyx.compiler.proof.compare import Reference as Bounds
from tests.fuzz.generate import Sample
from tests.fuzz.judge import inlined
from tests.fuzz.run import Reference, Runner

_FAR = 1e3


def first_difference(model: ir.Model, samples: Sequence[Sample], runner: Runner) -> str:
    """Return operator, dtypes and what differs at the first node where the two differ.

    Each node of the main graph is run alone, on what the reference gives its operands.
    """
    copy = inlined(model)
    try:
        Types.inferred(copy)
        every = [v for node in copy.graph for v in node.outputs if v.dtype is not None]
        names = [str(v.name) for v in every]
        watched = inlined(copy)
        by_name = {str(v.name): v for node in watched.graph for v in node.outputs}
        watched.graph.outputs.clear()
        watched.graph.outputs.extend(by_name[name] for name in names)
        theirs = Reference().run(inlined(watched), samples)
        ours = runner.run(watched, samples)
    except (SardonyxError, ExecutionError) as error:
        return f"unknown: {error.found or error.what}"[:160]
    producers = {str(v.name): node for node in copy.graph for v in node.outputs}
    for row, (right, found) in enumerate(zip(theirs, ours, strict=True)):
        for difference in Bounds(names, right, []).differences(found):
            if difference.ratio > _FAR:
                return f"{_spelled(producers[difference.output])}: {difference.why} (sample {row})"
    return "roundings that add up"


def _spelled(node: ir.Node) -> str:
    dtypes = [v.dtype.name.lower() if v is not None and v.dtype else "-" for v in node.inputs]
    return f"{node.op_type}({', '.join(dtypes)})"
