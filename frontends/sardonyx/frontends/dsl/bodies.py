"""Bodies of control-flow operators: subgraphs built by calling the user's functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from sardonyx.frontends.dsl import shapes, sizes
from sardonyx.frontends.dsl.dtypes import DType, TensorSpec
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
    inputs = [
        ir.Value(
            name=trace.names.unique(trace.full_name(f"{name}.argument")),
            shape=ir.Shape(spec.dims),
            type=ir.TensorType(spec.dtype.code),
        )
        for spec in types
    ]
    graph = ir.Graph(inputs, [], nodes=[], name=trace.names.unique(trace.full_name(name)))
    outer = trace.block
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
) -> tuple[ir.Graph, list[list[RawDim]]]:
    """Build the body of a loop, whose state keeps its type; return it and the state's dims.

    The body takes `first`, the state and `last`; it returns as many tensors as `first` has less
    one, then the state. Where a size of the state changes from step to step, the body is built
    again with a symbol for that size.

    Raises:
        DslError: The state changes its dtype or rank, or a size where `may_resize` is False.
    """
    trace = current()
    dims = [list(x.dims) for x in state]
    free: set[str] = set()
    skipped = max(0, len(first) - 1)
    while True:
        before = trace.names.copy()
        specs = [_spec(x.dtype, d) for x, d in zip(state, dims, strict=True)]
        graph, made = build(kind, function, [*first, *specs, *last])
        after = made[skipped : skipped + len(state)]
        _refuse_other_type(kind, state, after)
        changing = [
            (row, axis)
            for row, new in zip(dims, after, strict=True)
            for axis, dim in enumerate(new.dims)
            if not sizes.same(row[axis], dim) and str(row[axis]) not in free
        ]
        if not changing:
            break
        if not may_resize:
            _refuse_other_size(kind, state, after)
            break
        for row, axis in changing:
            row[axis] = trace.types.new_symbol()
            free.add(str(row[axis]))
        _discard(graph)
        trace.restore(before)
    final = [[trace.types.new_symbol() if str(d) in free else d for d in row] for row in dims]
    return graph, final


def as_tuple(result: Result) -> tuple[Any, ...]:
    """Return what a function returned, or took, as a tuple."""
    return tuple(listed(result))


def _tensor_of(item: Any) -> Tensor:
    lifted = shapes.lifted(item)
    return lifted if is_tensor(lifted) else shapes.tensor_of(lifted)


def _spec(dtype: DType, dims: Sequence[RawDim]) -> TensorSpec:
    return TensorSpec(dtype, tuple(d if isinstance(d, int) else str(d) for d in dims))


def _refuse_other_type(kind: str, state: Sequence[Tensor], after: Sequence[Tensor]) -> None:
    if len(after) < len(state):
        raise DslError(
            f"The step of {kind} returns too few tensors.",
            found=f"{len(after)}",
            expected=f"the next state, {len(state)} tensors, first",
        )
    for old, new in zip(state, after, strict=True):
        if old.dtype != new.dtype or old.rank != new.rank:
            raise DslError(
                f"The state of {kind} changes its dtype or rank.",
                found=f"{describe(old)} becomes {describe(new)}",
                expected="the same dtype and rank after each step",
                remedy="cast or reshape it at the end of the step, or start with another one",
            )


def _refuse_other_size(kind: str, state: Sequence[Tensor], after: Sequence[Tensor]) -> None:
    declared = current().declared
    for old, new in zip(state, after, strict=True):
        if any(sizes.differ(a, b, declared) for a, b in zip(old.dims, new.dims, strict=True)):
            raise DslError(
                f"The state of {kind} changes its shape.",
                found=f"{describe(old)} becomes {describe(new)}",
                expected="the same shape after each step",
                remedy="use dsl.loop, whose state may grow",
            )


def _discard(graph: ir.Graph) -> None:
    """Let nothing read what the nodes of a graph that is thrown away read."""
    for node in graph.all_nodes():
        for index in range(len(node.inputs)):
            node.replace_input_with(index, None)
