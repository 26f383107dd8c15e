"""Clip and Relu after each other, and Min and Max with a number: one Clip, or one Relu.

What is not a number stays undefined, as in ONNX: Clip, Relu, Min and Max may each keep it or not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.rewrite import Match, No, any_of, const, maybe, no, rule
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.affine import FLOATS

Bound = Array | None
"""A limit of a Clip, or None where it has none on that side."""


def _clip(op: PatternBuilder, x: Pattern | str, name: str) -> Pattern:
    low, high = maybe(const(f"{name}_low")), maybe(const(f"{name}_high"))
    return op.Clip(x, low, high, attributes=name)


def _relu(op: PatternBuilder, x: Pattern | str, name: str) -> Pattern:
    return op.Relu(x, attributes=name)


def _bounds(m: Match, name: str) -> tuple[Bound, Bound]:
    if getattr(m, name).node.op_type == "Relu":
        return np.zeros((), m.x.dtype.numpy()), None
    return getattr(m, f"{name}_low"), getattr(m, f"{name}_high")


def _larger(a: Bound, b: Bound) -> Bound:
    """Return the stricter of two lower bounds."""
    return b if a is None else a if b is None else np.maximum(a, b)


def _merge(op: Builder, m: Match) -> ir.Value | No:
    """Clip(Clip(x, a, b), c, d) is Clip(x, max(a, c), min(max(b, c), d))."""
    (a, b), (c, d) = _bounds(m, "inner"), _bounds(m, "outer")
    low = _larger(a, c)
    # Clip is min(high, max(low, x)): where the bounds cross, the high one wins.
    top = None if b is None else _larger(b, c)
    high = d if top is None else top if d is None else np.minimum(top, d)
    if high is None and low == 0 and m.x.dtype in FLOATS:
        return op.Relu(m.x)  # type: ignore[no-any-return]
    return op.Clip(m.x, low, high)  # type: ignore[no-any-return]


def _is_typed(m: Match) -> bool | No:
    return m.x.dtype is not None or no("its dtype is not known", m.x)


CLIP_CLIP = rule(
    "clip_clip",
    lambda op: any_of(
        _clip(op, any_of(_clip(op, "x", "inner"), _relu(op, "x", "inner")), "outer"),
        _relu(op, any_of(_clip(op, "x", "inner"), _relu(op, "x", "inner")), "outer"),
    ),
    _merge,
    _is_typed,
)


# --- other spellings of one Clip -----------------------------------------------------------------


def _as_relu(op: Builder, m: Match) -> ir.Value:
    """Clip(x, 0) is Relu(x)."""
    return op.Relu(m.x)  # type: ignore[no-any-return]


def _is_relu(m: Match) -> bool | No:
    if m.x.dtype not in FLOATS:
        return no("Relu is for floats", m.x)
    has_top = m.high is not None and not np.isposinf(m.high)
    return not has_top or no(f"it has an upper bound, {m.high}")


CLIP_TO_RELU = rule(
    "clip_to_relu", lambda op: op.Clip("x", 0, maybe(const("high"))), _as_relu, _is_relu
)


def _as_clip(op: Builder, m: Match) -> ir.Value:
    """Max(x, c) is Clip(x, c), and Min(x, c) is Clip(x, -, c), for a number c."""
    bound = m.bound.reshape(())
    limits: tuple[Any, ...] = (bound,) if m.root.op_type == "Max" else (None, bound)
    return op.Clip(m.x, *limits)  # type: ignore[no-any-return]


def _is_number(m: Match) -> bool | No:
    bound = m.value("bound")
    assert bound is not None
    assert bound.shape is not None
    if any(dim != 1 for dim in bound.shape):
        return no("the bound is not one number", bound)
    if m.x.shape is None or len(m.x.shape) < len(bound.shape):
        return no("the bound has more axes than the value", bound)
    return True


MAX_TO_CLIP = rule(
    "max_to_clip",
    lambda op: any_of(op.Max("x", const("bound")), op.Min("x", const("bound"))),
    _as_clip,
    _is_number,
)
