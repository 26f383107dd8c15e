"""onnx's reference evaluator, without the mistakes of it that would hide others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops import op_grid_sample, op_loop


class Loop(op_loop.Loop):  # type: ignore[misc]
    """Collected values get an axis of their own; onnx 1.23 joins them along their first."""

    op_domain = ""

    def _run(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        self._collected: list[list[Any]] = []
        made = super()._run(*args, **kwargs)
        if not self.K:
            return made
        rows = zip(*self._collected, strict=True)
        return (*made[: self.N], *(np.stack(row) for row in rows))

    def _run_body(self, *args: Any, **kwargs: Any) -> Any:
        made = super()._run_body(*args, **kwargs)
        self._collected.append(made[-self.K :] if self.K else [])
        return made


class GridSample(op_grid_sample.GridSample):  # type: ignore[misc]
    """The names that modes had before opset 20; onnx 1.23 knows the later ones only."""

    op_domain = ""
    _NAMES: ClassVar[dict[str, str]] = {"bilinear": "linear", "bicubic": "cubic"}

    def _run(self, *args: Any, mode: str | None = None, **kwargs: Any) -> tuple[Any, ...]:
        return super()._run(*args, mode=self._NAMES.get(mode or "", mode), **kwargs)


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield from _nodes(attribute.g.node)


def evaluator(model: onnx.ModelProto) -> ReferenceEvaluator:
    """An evaluator of a model, which is changed.

    Outputs that are left out get names: onnx 1.23 gives what it computes for them to whatever
    node leaves an operand out.
    """
    bodies = (model.graph.node, *(function.node for function in model.functions))
    for number, node in enumerate(node for body in bodies for node in _nodes(body)):
        for index, name in enumerate(node.output):
            node.output[index] = name or f"left out {number} {index}"
    return ReferenceEvaluator(model, new_ops=[Loop, GridSample])
