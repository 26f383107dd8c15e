"""What only broadcasts is Expand, and Expand comes after what is done to each element."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, const, no, rule
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.positions import is_at_least


def _expanded(op: Builder, m: Match) -> ir.Value:
    """`x and true`, where true has more elements, is `x` expanded to its shape."""
    shape = m.shape if m.shape is not None else np.array(m.filled.shape, dtype=np.int64)
    made: ir.Value = op.Expand(m.x, shape)
    return made


def _is_boolean(m: Match) -> bool | No:
    return m.x.dtype == ir.DataType.BOOL or no("it is not boolean", m.x)


def _surely(op: Builder, m: Match) -> ir.Value:
    """Places counted from a number on are no less than it."""
    made: ir.Value = op.Expand(op.constant(np.array(m.is_less is None)), op.Shape(m.counted))
    return made


def _is_sure(m: Match) -> bool | No:
    if m.bound.size != 1 or m.bound.ndim > len(m.counted.shape or ()):
        return no("it is compared with several numbers", m.value("bound"))
    if m.bound.dtype.kind not in "iu":
        return no("it is no whole number that it is compared with", m.value("bound"))
    least = int(m.bound.flat[0]) + (1 if m.is_strict is not None else 0)
    return is_at_least(m.counted, least) or no("it may be less", m.counted)


def _later(op: Builder, m: Match) -> ir.Value:
    """What is done to each element can be done before elements are repeated."""
    operands = [m.x if v is m.expanded else v for v in m.root.inputs]
    inner = op.call(m.root.op_type, *operands, attributes=m.operator)
    made: ir.Value = op.Expand(inner, m.shape)
    return made


def _is_alike(m: Match) -> bool | No:
    """Accept if no other operand has more axes than the Expand, or is longer on an axis."""
    others = [v for v in m.root.inputs if v is not m.expanded]
    if not has_same_dims(m.root.outputs[0].shape, m.expanded.shape):
        return no("another operand broadcasts the expanded one further", m.expanded)
    for other in others:
        held = constants.tensor(other)
        if held is None or held.size != 1:
            return no("another operand is no single number", other)
    return True


def _repeated(op: PatternBuilder) -> Pattern:
    return op.Expand("x", "shape", output="expanded")


RULES = (
    rule(
        "and_true_expanded",
        lambda op: any_of(
            op.And("x", const("filled", lambda a: bool(a.all()), "true")),
            op.Or("x", const("filled", lambda a: not a.any(), "false")),
            op.And("x", op.Expand(1, "shape")),
            op.Or("x", op.Expand(0, "shape")),
        ),
        _expanded,
        _is_boolean,
        keeps_shared=True,
    ),
    rule(
        "counted_no_less",
        lambda op: any_of(
            op.GreaterOrEqual("counted", const("bound")),
            op.LessOrEqual(const("bound"), "counted"),
            op.Greater("counted", const("bound"), output="is_strict"),
            op.Less(const("bound"), "counted", output="is_strict"),
            op.Less("counted", const("bound"), output="is_less"),
        ),
        _surely,
        _is_sure,
    ),
    rule(
        "expand_later",
        lambda op: any_of(
            op.Where(op.Expand("x", "shape", output="expanded"), "a", "b", attributes="operator"),
            op.call(
                ("Not", "Cast"), op.Expand("x", "shape", output="expanded"), attributes="operator"
            ),
        ),
        _later,
        _is_alike,
    ),
)
