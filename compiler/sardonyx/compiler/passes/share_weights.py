"""Duplicate weights: equal constants are stored once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.passes.base import Pass, PassReport

_SAMPLED = 32


@dataclass(frozen=True)
class ShareWeights(Pass):
    """Let all readers of equal initializers read the first of them.

    Two are equal if dtype, shape and every bit are; a sample is compared before the whole, so
    that weights that differ are not read.

    Attributes:
        most_bytes: Larger initializers are left alone; None for no limit.
    """

    most_bytes: int | None = None

    name: ClassVar[str] = "share_weights"

    def run(self, editor: Editor) -> PassReport:
        """Share among the initializers of the main graph."""
        candidates: dict[Any, list[ir.Value]] = defaultdict(list)
        for value in editor.model.graph.initializers.values():
            held = value.const_value
            if held is None or value.is_graph_input() or value.is_graph_output():
                continue
            if held.dtype == ir.DataType.STRING or not value.uses():
                continue
            if self.most_bytes is not None and held.nbytes > self.most_bytes:
                continue
            candidates[held.dtype, tuple(held.shape.numpy())].append(value)
        sites: list[str] = []
        for group in candidates.values():
            if len(group) > 1:
                sites += _share(group, editor, self.name)
        return PassReport({self.name: sites} if sites else {})


def _share(group: list[ir.Value], editor: Editor, name: str) -> list[str]:
    kept: dict[bytes, list[ir.Value]] = defaultdict(list)
    shared: list[str] = []
    for value in group:
        alike = kept[_sample(_array(value))]
        first = next((v for v in alike if _is_equal(v, value)), None)
        if first is None:
            alike.append(value)
        else:
            shared.append(str(value.name))
            editor.share_constant(value, first, name)
    return shared


def _array(value: ir.Value) -> Array:
    assert value.const_value is not None
    return np.asarray(value.const_value.numpy())


def _sample(array: Array) -> bytes:
    step = max(1, array.size // _SAMPLED)
    return array.flat[::step][:_SAMPLED].tobytes()


def _is_equal(a: ir.Value, b: ir.Value) -> bool:
    if a.const_value is b.const_value:
        return True
    x, y = _array(a), _array(b)
    return x.tobytes() == y.tobytes() if x.nbytes < 4096 else _same_bits(x, y)


def _same_bits(x: Array, y: Array) -> bool:
    """Compare bits, not numbers: NaN equals itself here and -0.0 differs from 0.0."""
    bits = np.dtype(f"u{x.dtype.itemsize}") if x.dtype.itemsize in (1, 2, 4, 8) else np.uint8
    return bool(
        np.array_equal(np.ascontiguousarray(x).view(bits), np.ascontiguousarray(y).view(bits))
    )
