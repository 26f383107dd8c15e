"""How many products an operator sums for one element of its result."""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx_ir as ir


def terms(node: ir.Node) -> int:
    """Return how many products a node sums; one where it sums none, or nobody knows how many."""
    for operand, axes_of in _SUMMED.get(node.op_type, ()) if not node.domain else ():
        value = node.inputs[operand]
        if value is not None and value.shape is not None:
            lengths = axes_of(node, tuple(d if isinstance(d, int) else None for d in value.shape))
            known = [n for n in lengths if n is not None]
            if len(known) == len(lengths):
                return math.prod(known)
    return 1


def _conv(_: ir.Node, weight: _Shape) -> _Shape:
    return weight[1:]


def _conv_transpose(node: ir.Node, weight: _Shape) -> _Shape:
    spatial = weight[2:]
    strides = node.attributes.get_ints("strides", [1] * len(spatial))
    groups = node.attributes.get_int("group", 1)
    kept = (n and -(-n // step) for n, step in zip(spatial, strides, strict=True))
    return (weight[0] and weight[0] // groups, *kept)


def _matmul(_: ir.Node, left: _Shape) -> _Shape:
    return left[-1:]


def _matmul_right(_: ir.Node, right: _Shape) -> _Shape:
    return right[-2:][:1]


def _gemm(node: ir.Node, left: _Shape) -> _Shape:
    return left[:1] if node.attributes.get_int("transA", 0) else left[1:]


def _gemm_right(node: ir.Node, right: _Shape) -> _Shape:
    return right[1:] if node.attributes.get_int("transB", 0) else right[:1]


_Shape = tuple[int | None, ...]

_SUMMED: dict[str, tuple[tuple[int, Callable[[ir.Node, _Shape], _Shape]], ...]] = {
    "Conv": ((1, _conv),),
    "ConvTranspose": ((1, _conv_transpose),),
    "MatMul": ((0, _matmul), (1, _matmul_right)),
    "Gemm": ((0, _gemm), (1, _gemm_right)),
}
"""By operator, the operands that may tell, and the lengths of the axes that it sums over."""
