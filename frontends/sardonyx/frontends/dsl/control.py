"""Control flow inside the graph: cond, loop, while_loop, scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from sardonyx.frontends.dsl import shapes, sizes
from sardonyx.frontends.dsl.bodies import Result, as_tuple, build, build_stable
from sardonyx.frontends.dsl.dims import Size
from sardonyx.frontends.dsl.dtypes import TensorSpec, bool_, i64
from sardonyx.frontends.dsl.emit import emit_all
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.reshaping import axis_of
from sardonyx.frontends.dsl.symbol import describe, describe_value, is_tensor
from sardonyx.frontends.dsl.trace import current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


def cond(condition: Tensor, then: Callable[[], Result], otherwise: Callable[[], Result]) -> Any:
    """Return what `then()` computes where the bool scalar holds, else what `otherwise()` does.

    Both read tensors of the surrounding function as Python functions do, and return equally
    many tensors of the same dtypes: one tensor, or a tuple.

    Raises:
        DslError: The condition is no bool scalar, or the branches do not match.
    """
    _require_bool_scalar(condition, "cond")
    yes, no = build("then", then, [])[0], build("otherwise", otherwise, [])[0]
    count = len(yes.outputs)
    is_same = count == len(no.outputs) and all(
        a.dtype == b.dtype for a, b in zip(yes.outputs, no.outputs, strict=True)
    )
    if not is_same:
        raise DslError(
            "The branches of cond return different things.",
            found=" against ".join(
                ", ".join(map(describe_value, graph.outputs)) or "nothing" for graph in (yes, no)
            ),
            expected="as many tensors, of the same dtypes",
            remedy="cast one with x.cast(...), or return dsl.zeros(...) where there is nothing",
        )
    return _single(emit_all("If", condition, outputs=count, then_branch=yes, else_branch=no))


def loop(
    count: Size | Tensor | None,
    step: Callable[..., Result],
    *state: Tensor,
    while_: Callable[..., Tensor] | None = None,
) -> Any:
    """Repeat `step`; return the last state and then what else each step returned, stacked.

    Args:
        count: How often; None for no limit.
        step: Called as step(i, *state), i an i64 scalar. Returns the next state; what it
            returns beyond that is collected along a new first axis. It is called again, from
            a clean slate, where a size of the state turns out to change.
        state: The first state. Sizes that change from step to step are symbolic inside and
            after the loop.
        while_: Called as while_(*state) before each step; the loop ends where it is False.

    Raises:
        DslError: `step` returns too few tensors, or a state of another dtype or rank.
    """
    _require_tensors("loop", state)
    if count is None and while_ is None:
        raise DslError(
            "This loop never ends.",
            found="no count and no condition",
            expected="a count, or while_=...",
            remedy="write dsl.loop(10, step, x), or dsl.while_loop(condition, step, x)",
        )
    limit = None if count is None else _count(count)
    start = while_(*state) if while_ else shapes.constant(np.asarray(True))
    _require_bool_scalar(start, "loop")

    def once(i: Tensor, going: Tensor, *held: Tensor) -> tuple[Any, ...]:
        made = as_tuple(step(i, *held))
        if len(made) < len(state):
            return (going, *made)
        return (while_(*made[: len(state)]) if while_ else going, *made)

    first = [i64[()], bool_[()]]
    graph, dims = build_stable("loop", once, state, first=first, may_resize=True)
    results = emit_all("Loop", limit, start, *state, body=graph, outputs=len(graph.outputs) - 1)
    for result, known in zip(results, dims, strict=False):
        result.value.shape = None if known is None else ir.Shape(known)
    return _single(results)


def while_loop(
    condition: Callable[..., Tensor], step: Callable[..., Result], *state: Tensor
) -> Any:
    """Repeat `state = step(*state)` as long as `condition(*state)` holds; return the last state.

    Raises:
        DslError: `step` returns too few tensors, or a state of another dtype or rank.
    """
    return loop(None, lambda _, *held: step(*held), *state, while_=condition)


def scan(
    step: Callable[..., Result],
    state: Tensor | Sequence[Tensor],
    elements: Tensor | Sequence[Tensor],
    *,
    axis: int = 0,
    reverse: bool = False,
) -> Any:
    """Go along an axis of `elements`; return the last state and the outputs, stacked.

    Args:
        step: Called as step(*state, *slices), where the slices lack the axis. Returns the next
            state; what it returns beyond that is stacked along `axis`.
        state: The first state, one tensor or several; its shapes stay the same.
        elements: Tensors that have the same size along the axis.
        axis: The axis that is gone along.
        reverse: Whether to start at its end; the outputs stand in the order of the axis.

    Raises:
        DslError: The sizes along the axis differ, or `step` returns a state of another type.
    """
    held, along = as_tuple(state), as_tuple(elements)
    _require_tensors("scan", (*held, *along))
    axes = [axis_of(x, axis) for x in along]
    lengths = [x.dims[a] for x, a in zip(along, axes, strict=True)]
    if any(sizes.differ(lengths[0], other, current().declared) for other in lengths[1:]):
        raise DslError(
            f"The tensors differ along axis {axis}.",
            found=" and ".join(map(describe, along)),
            expected="the same size for all",
            remedy="cut the longer one, or give equal sizes one name",
        )
    slices = [
        TensorSpec(
            x.dtype,
            tuple(d if isinstance(d, int) else str(d) for d in x.dims[:a] + x.dims[a + 1 :]),
        )
        for x, a in zip(along, axes, strict=True)
    ]
    graph, _ = build_stable("scan", step, held, last=slices, may_resize=False)
    extra = len(graph.outputs) - len(held)
    attributes: dict[str, Any] = {"num_scan_inputs": len(along)}
    if any(axes):
        attributes |= {"scan_input_axes": axes, "scan_output_axes": [axis] * extra}
    if reverse:
        attributes["scan_input_directions"] = [1] * len(along)
        attributes["scan_output_directions"] = [1] * extra
    outputs = len(graph.outputs)
    return _single(emit_all("Scan", *held, *along, body=graph, outputs=outputs, **attributes))


def _single(results: tuple[Tensor, ...]) -> Any:
    return results[0] if len(results) == 1 else results


def _count(count: Any) -> Any:
    tensor = shapes.lifted(count)
    if is_tensor(tensor):
        if not tensor.dtype.is_int or tensor.rank:
            raise DslError(
                "The count of a loop is an integer scalar.",
                found=describe(tensor),
                expected="a scalar of dtype i64 or i32",
                remedy="take one element: n[0]",
            )
        return tensor.cast("i64")
    if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
        return np.asarray(count, np.int64)
    raise DslError(
        "The count of a loop is no size.",
        found=describe(count),
        expected="an int of 0 or more, x.shape[i], or an integer scalar tensor",
        remedy="convert it: int(n)",
    )


def _require_tensors(kind: str, tensors: Sequence[Any]) -> None:
    for item in tensors:
        if not is_tensor(item):
            raise DslError(
                f"{kind} carries something that is no tensor.",
                found=describe(item),
                expected="tensors of this model",
                remedy="make it one: dsl.constant(0.0)",
            )


def _require_bool_scalar(condition: Any, kind: str) -> None:
    if not is_tensor(condition) or condition.dtype != bool_ or condition.rank:
        raise DslError(
            f"The condition of {kind} is no bool scalar.",
            found=describe(condition),
            expected="a bool_ tensor without dimensions",
            remedy="compare and take one element, as in x.sum() > 0",
        )
