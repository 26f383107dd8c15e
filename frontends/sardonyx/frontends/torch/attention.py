"""Lowering of PyTorch's fused attention to ONNX ``Attention``."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnxscript import opset23

op: Any = opset23  # its type hints do not know the values of a trace


def scaled_dot_product_attention(  # noqa: PLR0917 (the operator's schema)
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(query @ key^T * scale + mask) @ value, over any number of leading dims.

    The mask is added, or where it is boolean says which keys a query sees; a query that sees no key
    gets zeros. Key and value may have fewer heads than query with ``enable_gqa``. Dropout is left
    out, as in eval mode.
    """
    rank = len(query.shape)
    if not enable_gqa:
        key, value = (_broadcast_leading(operand, query) for operand in (key, value))
    if attn_mask is not None:
        attn_mask = _fill_mask(attn_mask, query, key)
    if rank != 4:
        shape = op.Concat(op.Shape(query, end=-1), op.Shape(value, start=-1), axis=0)
        if attn_mask is not None and len(attn_mask.shape) > 2:
            attn_mask = _fold(_broadcast_leading(attn_mask, query))
        query, key, value = _fold(query), _fold(key), _fold(value)
    if scale is not None and scale <= 0:  # ONNX Runtime refuses such an attribute
        query = op.Mul(query, op.CastLike(op.Constant(value_float=scale), query))
        scale = 1.0
    result, *_ = op.Attention(
        query, key, value, attn_mask=attn_mask, is_causal=int(is_causal), scale=scale
    )
    return result if rank == 4 else op.Reshape(result, shape)


def _sizes(value: Any) -> list[int | str | None]:
    """Known sizes as numbers, dynamic ones by name."""
    return [dim if isinstance(dim, int) else dim.value for dim in value.shape]


def _expand(operand: Any, shape: Any, sizes: list[int | str | None]) -> Any:
    expanded = op.Expand(operand, shape)
    expanded.dtype = operand.dtype
    expanded.shape = ir.Shape(sizes)
    return expanded


def _broadcast_leading(operand: Any, query: Any) -> Any:
    """The operand with the leading dims of the query, of which it may lack some."""
    leading = _sizes(query)[:-2]
    if _sizes(operand)[:-2] == leading:
        return operand
    shape = op.Concat(op.Shape(query, end=-2), op.Shape(operand, start=-2), axis=0)
    return _expand(operand, shape, [*leading, *_sizes(operand)[-2:]])


def _fill_mask(mask: Any, query: Any, key: Any) -> Any:
    """The mask with a row per query and a column per key; ONNX Runtime broadcasts neither."""
    rows, columns = _sizes(query)[-2], _sizes(key)[-2]
    sizes = _sizes(mask)
    if len(sizes) > 1 and (sizes[-2:] == [rows, columns] or 1 not in sizes[-2:]):
        return mask
    shape = op.Concat(op.Shape(query, start=-2, end=-1), op.Shape(key, start=-2, end=-1), axis=0)
    return _expand(mask, shape, [*sizes[:-2], rows, columns])


def _fold(operand: Any) -> Any:
    """The operand as (everything before, 1 head, rows, columns)."""
    head = op.Constant(value_ints=[-1, 1])
    return op.Reshape(operand, op.Concat(head, op.Shape(operand, start=-2), axis=0))
