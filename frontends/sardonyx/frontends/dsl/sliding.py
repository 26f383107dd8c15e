"""The size of an image after a window has slid over it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from sardonyx.frontends.dsl import sizes
from sardonyx.frontends.dsl.symbol import RawDim

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


def dims_after(x: Tensor, channels: RawDim, attributes: dict[str, Any]) -> list[RawDim] | None:
    """Return the dims of a convolution or pooling of x; None where only inference knows them.

    Args:
        x: [batch, channels, *image].
        channels: The channels of the result.
        attributes: Those of the operator: kernel_shape, strides, dilations, pads, auto_pad.
    """
    image = x.dims[2:]
    if "auto_pad" in attributes or any(not isinstance(d, int) and d.value is None for d in image):
        return None
    count = len(image)
    steps = attributes.get("strides", [1] * count)
    apart = attributes.get("dilations", [1] * count)
    pads = attributes.get("pads", [0] * (2 * count))
    window = attributes["kernel_shape"]
    left = [
        _left(dim, pads[i] + pads[count + i] - apart[i] * (window[i] - 1), steps[i])
        for i, dim in enumerate(image)
    ]
    return [x.dims[0], channels, *left]


def _left(dim: RawDim, change: int, step: int) -> RawDim:
    if step == 1 and change == 0:
        return dim
    if isinstance(dim, int):
        return (dim + change - 1) // step + 1
    return _symbolic_left(str(dim.value), change, step)


@functools.lru_cache(maxsize=4096)
def _symbolic_left(dim: str, change: int, step: int) -> RawDim:
    """Remembered: networks have the same few sizes again and again, and symbols are slow."""
    return sizes.plain((ir.SymbolicDim(dim) + (change - 1)) // step + 1)
