"""Padding, then pooling: the pooling pads, where that is exactly the same."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, no, rule
from sardonyx.compiler.rules.padding import pad, pad_value, spatial_pads, total_pads
from sardonyx.compiler.rules.producers import made_by


def _fold_average(op: Builder, m: Match) -> ir.Value:
    """AveragePool(Pad(x)) with zeros is AveragePool(x) that pads and counts its padding."""
    pads = total_pads(m, m.pool.pads)
    made: ir.Value = op.AveragePool(
        m.x, attributes=m.pool, pads=pads, count_include_pad=1, auto_pad=None
    )
    return made


def _can_fold_average(m: Match) -> bool | No:
    if pad_value(m) != 0:
        return no(f"it pads with {pad_value(m):g}, an average pool with zeros")
    if any(m.pool.pads or ()) and not m.pool.count_include_pad:
        return no("the average pool does not count its own padding")
    return _is_plain(m)


def _fold_max(op: Builder, m: Match) -> ir.Value:
    """MaxPool(Pad(x)) is MaxPool(x) that pads, where no element is less than the padding."""
    pads = total_pads(m, m.pool.pads)
    made: ir.Value = op.MaxPool(m.x, attributes=m.pool, pads=pads, auto_pad=None)
    return made


def _can_fold_max(m: Match) -> bool | No:
    if pad_value(m) == 0 and _is_never_negative(m.x):
        return _is_plain(m)
    if m.x.dtype is None:
        return no("its dtype is not known", m.x)
    lowest = _lowest(m.x.dtype)
    if pad_value(m) != lowest:
        return no(f"it pads with {pad_value(m):g}, a max pool with {lowest:g}")
    return _is_plain(m)


def _is_never_negative(value: ir.Value) -> bool:
    return made_by(value, "Relu", "Sigmoid") is not None


def _lowest(dtype: ir.DataType) -> float:
    kind = dtype.numpy()
    return float(np.iinfo(kind).min) if np.issubdtype(kind, np.integer) else -np.inf


def _is_plain(m: Match) -> bool | No:
    """Each window must keep an element of x, and windows must end where they did."""
    if m.pool.auto_pad.startswith("SAME"):
        return no("the pool chooses its own padding (auto_pad)")
    if m.pool.ceil_mode:
        return no("the pool rounds its output size up (ceil_mode)")
    if any(d != 1 for d in m.pool.dilations or ()):
        return no("the pool is dilated")
    added = spatial_pads(m)
    if isinstance(added, No):
        return added
    window = list(m.pool.kernel_shape) * 2
    if any(p >= k for p, k in zip(total_pads(m, m.pool.pads), window, strict=True)):
        return no("a window could lie in the padding alone")
    return True


PAD_AVERAGE_POOL = rule(
    "pad_average_pool",
    lambda op: op.AveragePool(pad(op, "x"), attributes="pool"),
    _fold_average,
    _can_fold_average,
)

PAD_MAX_POOL = rule(
    "pad_max_pool",
    lambda op: op.MaxPool(pad(op, "x"), attributes="pool"),
    _fold_max,
    _can_fold_max,
)
