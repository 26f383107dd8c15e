"""One spelling for reductions: axes counted from the front, kept where they are put back.

PyTorch's variance is written so: the mean of squares without its axis, and a Reshape that puts the
axis back. A norm over it is seen only when both means of it are spelled alike.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, const, no, rule
from sardonyx.compiler.rules.affine import FLOATS
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import made_by

_REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceSumSquare", "ReduceL2")
_RESHAPES = ("Reshape", "Unsqueeze")


def _axes(m: Match) -> list[int]:
    rank = len(m.x.shape)
    return sorted({int(axis) % rank for axis in m.axes.flat})


# --- axes that are put back ----------------------------------------------------------------------


def _keep(op: Builder, m: Match) -> ir.Value:
    """A reduction whose axes are put back with length 1 is one that keeps them."""
    node = m.reduction.node
    made: ir.Value = op.call(node.op_type, m.x, m.value("axes"), attributes=m.reduction, keepdims=1)
    return made


def _are_put_back(m: Match) -> bool | No:
    x, result = m.x, m.root.outputs[0]
    if x.shape is None:
        return no("its shape is not known", x)
    axes = _axes(m)
    kept = [1 if axis in axes else dim for axis, dim in enumerate(x.shape)]
    if not has_same_dims(kept, result.shape):
        return no("the reduced axes are not put back as they were", result)
    reduced = m.reduced
    if reduced.is_graph_output() or any(n.op_type not in _RESHAPES for n, _ in reduced.uses()):
        return no("the result without the reduced axes is read too", reduced)
    return True


# --- axes from the front -------------------------------------------------------------------------


def _count(op: Builder, m: Match) -> ir.Value:
    """Axes are counted from the front, in order."""
    axes = np.array(_axes(m), dtype=np.int64)
    made: ir.Value = op.call(m.reduction.node.op_type, m.x, axes, attributes=m.reduction)
    return made


def _is_counted_from_the_end(m: Match) -> bool | No:
    if m.x.shape is None:
        return no("the rank of the input is not known", m.x)
    return m.axes.tolist() != _axes(m) or no("the axes are counted from the front", m.x)


# --- means ---------------------------------------------------------------------------------------


def _average(op: Builder, m: Match) -> ir.Value:
    """A sum over n elements, divided by n, is their mean."""
    made: ir.Value = op.ReduceMean(m.x, m.value("axes"), attributes=m.reduction)
    return made


def _is_divided_by_length(m: Match) -> bool | No:
    factor = m.divisor if m.divisor is not None else m.factor
    if m.x.dtype not in FLOATS:
        return no("it is not known to be of floats", m.x)
    if m.x.shape is None or m.axes.size == 0:
        return no("it is not known how many elements the sum is of", m.x)
    lengths = [m.x.shape[axis] for axis in _axes(m)]
    if not all(isinstance(length, int) for length in lengths):
        return no("it is not known how many elements the sum is of", m.x)
    count = math.prod(length for length in lengths if isinstance(length, int))
    if count == 0:
        return no("a sum of no elements is 0, a mean is no number", m.x)
    wanted = float(count) if m.divisor is not None else 1 / count
    limit = 1e-3 if factor.dtype.itemsize == 2 else 1e-6
    is_mean = math.isclose(float(factor.item()), wanted, rel_tol=limit)
    return is_mean or no(f"a sum of {count} elements is divided by another number", m.x)


def _is_float(array: constants.Array) -> bool:
    return array.dtype.kind in "fV" and array.size == 1


def _scale_after(op: Builder, m: Match) -> ir.Value:
    """What a reduction is multiplied by, it can be multiplied by when its axes are put back."""
    put_back = op.call(m.root.op_type, m.reduced, m.to, attributes=m.put)
    made: ir.Value = op.call(m.scaling.node.op_type, put_back, m.value("factor"))
    return made


def _is_of_reduction(m: Match) -> bool | No:
    value: ir.Value | None = m.reduced
    while (step := made_by(value, *_SCALINGS)) and constants.is_constant(step.inputs[1]):
        value = step.inputs[0]
    return made_by(value, *_REDUCTIONS) is not None or no(
        "what is reshaped comes from no reduction", m.reduced
    )


_SCALINGS = ("Mul", "Div")
_ONE_NUMBER = "one number"

RULES = (
    rule(
        "scale_of_reduction",
        lambda op: op.call(
            _RESHAPES,
            op.call(
                _SCALINGS,
                "reduced",
                const("factor", lambda array: array.ndim == 0, _ONE_NUMBER),
                attributes="scaling",
            ),
            "to",
            attributes="put",
        ),
        _scale_after,
        _is_of_reduction,
    ),
    rule(
        "reduction_keeps_axes",
        lambda op: op.call(
            _RESHAPES,
            op.call(
                _REDUCTIONS,
                "x",
                const("axes"),
                keepdims=0,
                attributes="reduction",
                output="reduced",
            ),
            "to",
        ),
        _keep,
        _are_put_back,
        keeps_shared=True,  # The other readers put the axes back as well.
    ),
    rule(
        "reduction_axes",
        lambda op: op.call(_REDUCTIONS, "x", const("axes"), attributes="reduction"),
        _count,
        _is_counted_from_the_end,
    ),
    rule(
        "mean_of_sum",
        lambda op: any_of(
            op.Div(
                op.ReduceSum("x", const("axes"), attributes="reduction"),
                const("divisor", _is_float, _ONE_NUMBER),
            ),
            op.Mul(
                op.ReduceSum("x", const("axes"), attributes="reduction"),
                const("factor", _is_float, _ONE_NUMBER),
            ),
        ),
        _average,
        _is_divided_by_length,
    ),
)
