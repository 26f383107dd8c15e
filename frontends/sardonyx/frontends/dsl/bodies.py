"""Bodies of control-flow operators: subgraphs built by calling the user's functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from sardonyx.frontends.dsl import shapes, sizes
from sardonyx.frontends.dsl.dtypes import DType, TensorSpec, spec_of
from sardonyx.frontends.dsl.emit import emit
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.symbol import RawDim, describe, is_tensor, listed
from sardonyx.frontends.dsl.trace import Block, current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor

Result = Any
"""What a body returns: a tensor, a number, or a tuple of them."""


def body(function: Callable[..., Result], *types: TensorSpec | DType) -> ir.Graph:
    """Return a body for an operator that is called as `dsl.op.Name(..., body=...)`.

    Args:
        function: Called with one tensor for each type; returns the outputs of the body. It may
            read tensors of the surrounding function.
        types: The types of its arguments.

    Raises:
        DslError: It returns something that is no tensor or number.
    """
    return build("body", function, [t[()] if isinstance(t, DType) else t for t in types])[0]


def build(
    name: str, function: Callable[..., Result], types: Sequence[TensorSpec]
) -> tuple[ir.Graph, tuple[Tensor, ...]]:
    """Build a subgraph of a function; return it and its outputs."""
    trace = current()
    inputs = [spec.value(trace.names.unique(trace.full_name(f"{name}.argument"))) for spec in types]
    graph = ir.Graph(inputs, [], nodes=[], name=trace.names.unique(trace.full_name(name)))
    outer = trace.block
    outer.bodies.append(graph)
    trace.block = Block(graph, outer)
    try:
        for item in as_tuple(function(*map(trace.tensor, inputs))):
            tensor = item if is_tensor(item) else _tensor_of(item)
            trace.require_visible(tensor)
            is_own = tensor.block is trace.block and tensor.value.producer() is not None
            if not is_own or tensor.value in graph.outputs:
                tensor = emit("Identity", tensor)
            graph.outputs.append(tensor.value)
        results = tuple(trace.tensor(value) for value in graph.outputs)
    finally:
        trace.block = outer
    return graph, results


def build_stable(
    kind: str,
    function: Callable[..., Result],
    state: Sequence[Tensor],
    *,
    first: Sequence[TensorSpec] = (),
    last: Sequence[TensorSpec] = (),
    may_resize: bool,
) -> tuple[ir.Graph, list[list[RawDim] | None]]:
    """Build the body of a loop, whose state keeps its type; return it and the state's dims.

    The body takes `first`, the state and `last`; it returns as many tensors as `first` has less
    one, then the state. Where a size of the state changes from step to step, the body is built
    again with a symbol for that size.

    Raises:
        DslError: The state changes its dtype or rank, or a size where `may_resize` is False.
    """
    trace = current()
    dims: list[list[RawDim] | None] = [_dims(x) for x in state]
    free: set[str] = set()
    skipped = max(0, len(first) - 1)
    while True:
        before = trace.names.copy()
        specs = [_spec(x, row) for x, row in zip(state, dims, strict=True)]
        graph, made = build(kind, function, [*first, *specs, *last])
        after = made[skipped : skipped + len(state)]
        _refuse_other_type(kind, state, after)
        changed = [_loosened(row, _dims(x), free) for row, x in zip(dims, after, strict=True)]
        if changed == dims:
            break
        if not may_resize:
            _refuse_other_size(kind, state, after)
            break
        dims = changed
        discard(graph)
        trace.restore(before)
    final = [
        row and [trace.types.new_symbol() if str(d) in free else d for d in row] for row in dims
    ]
    return graph, final


def _dims(x: Tensor) -> list[RawDim] | None:
    return None if x.value.shape is None else list(x.value.shape)


def _spec(x: Tensor, dims: list[RawDim] | None) -> TensorSpec:
    known = None if dims is None else tuple(d if isinstance(d, int) else str(d) for d in dims)
    return replace(spec_of(x.value), dims=known)


def _loosened(
    old: list[RawDim] | None, new: list[RawDim] | None, free: set[str]
) -> list[RawDim] | None:
    """Return the dims of a state with a symbol for each that a step changes, noted in `free`."""
    if old is None or new is None or len(old) != len(new):
        return None
    row = list(old)
    for axis, (a, b) in enumerate(zip(old, new, strict=True)):
        if not sizes.same(a, b) and str(a) not in free:
            row[axis] = current().types.new_symbol()
            free.add(str(row[axis]))
    return row


def as_tuple(result: Result) -> tuple[Any, ...]:
    """Return what a function returned, or took, as a tuple."""
    return tuple(listed(result))


def _tensor_of(item: Any) -> Tensor:
    lifted = shapes.lifted(item)
    return lifted if is_tensor(lifted) else shapes.tensor_of(lifted)


def _refuse_other_type(kind: str, state: Sequence[Tensor], after: Sequence[Tensor]) -> None:
    if len(after) < len(state):
        raise DslError(
            f"The step of {kind} returns too few tensors.",
            found=f"{len(after)}",
            expected=f"the next state, {len(state)} tensors, first",
            remedy="return every tensor of the state, also those that do not change",
        )
    for old, new in zip(state, after, strict=True):
        is_sequence = isinstance(old.value.type, ir.SequenceType)
        has_other_rank = not is_sequence and _rank(old) != _rank(new)
        if old.value.type != new.value.type or has_other_rank:
            raise DslError(
                f"The state of {kind} changes its dtype or rank.",
                found=f"{describe(old)} becomes {describe(new)}",
                expected="the same dtype and rank after each step",
                remedy="cast or reshape it at the end of the step, or start with another one",
            )


def _rank(x: Tensor) -> int | None:
    return None if x.value.shape is None else x.rank


def _refuse_other_size(kind: str, state: Sequence[Tensor], after: Sequence[Tensor]) -> None:
    declared = current().declared
    for old, new in zip(state, after, strict=True):
        pairs = zip(_dims(old) or (), _dims(new) or (), strict=False)
        if any(sizes.differ(a, b, declared) for a, b in pairs):
            raise DslError(
                f"The state of {kind} changes its shape.",
                found=f"{describe(old)} becomes {describe(new)}",
                expected="the same shape after each step",
                remedy="use dsl.loop, whose state may grow",
            )


def discard(graph: ir.Graph) -> None:
    """Let nothing read what the nodes of a graph that is thrown away read."""
    for node in graph.all_nodes():
        for index in range(len(node.inputs)):
            node.replace_input_with(index, None)
