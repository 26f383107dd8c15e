"""Models with module paths in their metadata, and their profiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
from onnx import numpy_helper

from sardonyx import runtime
from sardonyx.runtime.profiling import NodeTime, Profile


def save(
    path: Path, text: str, modules: Mapping[str, str] | None = None, **weights: np.ndarray
) -> Path:
    """Write the model of a graph in ONNX text whose nodes get names after their first output.

    Args:
        path: The file to write.
        text: The graph, without a header.
        modules: For the first output of a node, the module that it comes from.
        weights: Initializers.
    """
    header = '<ir_version: 10, opset_import: ["" : 23, "com.microsoft" : 1]>\n'
    proto = onnx.parser.parse_model(header + text)
    proto.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in weights.items())
    for node in proto.graph.node:
        node.name = f"node_{node.output[0]}"
        source = (modules or {}).get(node.output[0])
        if source:
            node.metadata_props.add(key="sardonyx.source", value=source)
    onnx.save(proto, path)
    return path


def profile(path: Path, *args: Any, **options: Any) -> Profile:
    """A profile of a few runs."""
    session = runtime.load(path, threads=1, **options)
    return session.profile(*args, runs=3, warm_up=1)


def node(name: str, ms: float, *, path: tuple[str, ...] = (), **more: Any) -> NodeTime:
    """A node with a time, and what else a test is about."""
    given = {
        "operator": "MatMul",
        "sources": (),
        "replaced": (name,),
        "provider": "cpu",
        "kind": "compute",
        "calls": 1,
        "flops": None,
        "shapes": ((1,),),
        "output_bytes": 0,
        "input_bytes": 0,
        "weight_bytes": 0,
        **more,
    }
    return NodeTime(name=name, ms=ms, path=path, **given)


def made_of(*nodes: NodeTime, framework_ms: float = 0.0) -> Profile:
    """A profile of these nodes."""
    ms = sum(node.ms for node in nodes) + framework_ms
    return Profile(
        model="net.onnx",
        ms=ms,
        plain_ms=ms / 2,
        framework_ms=framework_ms,
        spread=0.01,
        runs=4,
        nodes=nodes,
        inputs={"x": "float32[1, 3]"},
        threads=2,
        providers=("cpu",),
        peak_bytes=1_500_000,
        has_modules=any(node.path for node in nodes),
        is_attributed=True,
        onnxruntime="1.0",
    )


def event(name: str, start: int, duration: int, *, cat: str = "Node", **arguments: Any) -> dict:
    """An event of a trace; microseconds."""
    return {
        "cat": cat, "name": name, "ts": start, "dur": duration, "tid": 1, "args": arguments,
    }  # fmt: skip


def ran(name: str, start: int, duration: int, **more: Any) -> dict:
    """A node that ran; its operator is called as it is."""
    arguments = {"op_name": name, "node_index": "0", "provider": "CPUExecutionProvider", **more}
    return event(f"{name}_kernel_time", start, duration, **arguments)


def run(start: int, duration: int) -> dict:
    """A run of the model."""
    return event("model_run", start, duration, cat="Session")
