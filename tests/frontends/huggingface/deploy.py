"""The ways from a captured model to numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from sardonyx import compiler, runtime
from tests.support.run import run_ort

Feeds = dict[str, np.ndarray]
Deployed = Callable[[Feeds], dict[str, np.ndarray]]


def as_exported(model: ir.Model) -> Deployed:
    """ONNX Runtime, its optimisations off, on the model as it was captured."""
    names = [value.name for value in model.graph.outputs]
    return lambda feeds: dict(zip(names, run_ort(model, feeds), strict=True))


def compiled(model: ir.Model) -> Deployed:
    """Compiled for the CPU, every pass verified, and run as users do."""
    program = compiler.compile(model, target="cpu", verify_level=2)
    return runtime.load(program, threads=1).run_named


DEPLOYMENTS: dict[str, Callable[[ir.Model], Deployed]] = {
    "as exported": as_exported,
    "compiled": compiled,
}
