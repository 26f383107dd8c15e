"""Linear layers whose parts are read apart, as one product for each part.

For many rows a product per part is faster on ONNX Runtime's CPU provider than one product and a
Split that copies its result. For few rows the one product is: it reads its input once.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.rewrite import Match, No, any_of, const, maybe, no, rule

_LEAST_ROWS = 16


def _separate(op: Builder, m: Match) -> list[ir.Value]:
    """Each part of a product is the product with that part of the weight's columns."""
    ends = _ends(m)
    weights = np.split(m.weight, ends, axis=1)
    products = [op.MatMul(m.x, op.constant(np.ascontiguousarray(w))) for w in weights]
    if m.bias is None:
        return products
    biases = np.split(np.broadcast_to(m.bias, m.weight.shape[1]), ends)
    return [op.Add(y, op.constant(b.copy())) for y, b in zip(products, biases, strict=True)]


def _ends(m: Match) -> Array:
    """Return where each part but the last ends."""
    if m.sizes is not None:
        return np.cumsum(m.sizes)[:-1]
    parts = len(m.root.outputs)
    # The last part is the smaller one, as the operator says.
    each = -(-m.weight.shape[1] // parts)
    ends: Array = each * np.arange(1, parts)
    return ends


def _is_faster(m: Match) -> bool | No:
    shape, rank = m.x.shape, m.weight.ndim
    if rank != 2:
        return no("the weight is no matrix", m.value("weight"))
    if shape is None or m.split.axis not in (-1, len(shape) - 1):
        return no("it is not the columns that are split", m.x)
    if m.bias is not None and (m.bias.ndim != 1):
        return no("the bias is no vector", m.value("bias"))
    rows = [dim for dim in shape[:-1] if isinstance(dim, int)]
    if len(rows) < len(shape) - 1:
        return no("the number of rows is not known", m.x)
    if math.prod(rows) < _LEAST_ROWS:
        return no(f"so few rows as {math.prod(rows)} are faster in one product", m.x)
    return True


SEPARATE_LINEARS = rule(
    "separate_linears",
    lambda op: op.Split(
        any_of(
            op.Add(op.MatMul("x", const("weight")), const("bias")),
            op.MatMul("x", const("weight")),
        ),
        maybe(const("sizes")),
        attributes="split",
    ),
    _separate,
    _is_faster,
)
