"""Sound shapes for If and Loop, where what is true of one branch or pass need not be of the next."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import onnx_ir as ir
from onnx_shape_inference import ShapeInferenceContext, registry

from sardonyx.compiler.errors import UnsupportedError

_FIRST_CARRIED = 2
"""Loop's operands and its body's inputs start with the trip count and the condition."""


def register() -> None:
    """Take the place of the library's inference for If and Loop.

    The library takes the shape of one branch where the other's is unknown, lets a Loop's results
    have the shapes of its last pass although there may be none, and takes the trip limit for the
    trip count.
    """
    registry.collect()
    registry.register("", "If", since_version=11)(_infer_if)
    registry.register("", "Loop", since_version=11)(_infer_loop)


def _infer_if(context: ShapeInferenceContext, node: ir.Node) -> None:
    branches = [node.attributes[name].as_graph() for name in ("then_branch", "else_branch")]
    for index, output in enumerate(node.outputs):
        ends = [branch.outputs[index] for branch in branches]
        _set_type(output, *ends)
        if all(isinstance(end.type, ir.TensorType) for end in ends):
            output.shape = _common_shape(context, *(end.shape for end in ends))


def _infer_loop(context: ShapeInferenceContext, node: ir.Node) -> None:
    body = node.attributes["body"].as_graph()
    carried = len(node.inputs) - _FIRST_CARRIED
    for index, output in enumerate(node.outputs):
        end = body.outputs[index + 1]
        _set_type(output, end)
        if not isinstance(end.type, ir.TensorType):
            continue
        if index >= carried:
            passes = context.new_symbolic_dim()
            output.shape = ir.Shape([passes, *end.shape]) if end.shape is not None else None
            continue
        start = node.inputs[index + _FIRST_CARRIED]
        shapes = (start.shape if start is not None else None, end.shape)
        output.shape = _common_shape(context, *shapes)


def _set_type(output: ir.Value, *ends: ir.Value) -> None:
    known = [end.type for end in ends if end.type is not None]
    if known:
        output.type = known[0]


def _common_shape(context: ShapeInferenceContext, *shapes: ir.Shape | None) -> ir.Shape | None:
    """Return the dimensions that all shapes have; fresh symbols for the others."""
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes) or len({len(shape) for shape in known}) > 1:
        return None
    dims = zip(*known, strict=True)
    return ir.Shape([d[0] if _all_equal(d) else context.new_symbolic_dim() for d in dims])


def _all_equal(dims: tuple[int | ir.SymbolicDim, ...]) -> bool:
    first = dims[0]
    is_known = isinstance(first, int) or first.value is not None
    return is_known and all(d == first for d in dims[1:])


def widen_loops(model: ir.Model) -> bool:
    """Give up dimensions of loop-carried values that a pass of the loop changes.

    Inference takes the shape of the first pass for that of all. Where a body returns another
    dimension than it was given, the body's input gets a symbol of its own there. To be called
    after inference, which is then repeated, until nothing is left to give up: what remains holds
    for every pass.

    Returns:
        Whether a dimension was given up.

    Raises:
        UnsupportedError: A pass changes the rank of a carried tensor.
    """
    serial = itertools.count(sum(1 for _ in model.graph.all_nodes()))
    is_widened = False
    for node in model.graph.all_nodes():
        if node.op_type != "Loop" or node.domain:
            continue
        for start, given, end in _carried(node):
            if given.shape is None or end.shape is None or start.shape is None:
                continue
            if not len(start.shape) == len(given.shape) == len(end.shape):
                raise UnsupportedError(
                    "A Loop changes the rank of a tensor that it carries.",
                    where=f"node {node.name!r}, body input {given.name!r}",
                    found=f"rank {len(start.shape)} before, {len(end.shape)} after a pass",
                    expected="the same rank in every pass",
                )
            dims = list(given.shape)
            for axis, triple in enumerate(zip(start.shape, given.shape, end.shape, strict=True)):
                if not _all_equal(triple) and not _is_widened(dims[axis]):
                    dims[axis] = ir.SymbolicDim(f"{_WIDENED}{next(serial)}")
                    is_widened = True
            given.shape = ir.Shape(dims)
    return is_widened


_WIDENED = "_loop"


def _is_widened(dim: int | ir.SymbolicDim) -> bool:
    return isinstance(dim, ir.SymbolicDim) and str(dim.value).startswith(_WIDENED)


def _carried(node: ir.Node) -> Iterator[tuple[ir.Value, ir.Value, ir.Value]]:
    """Yield, for each carried tensor, its first value, the body's input and the body's output."""
    body = node.attributes["body"].as_graph()
    for index in range(_FIRST_CARRIED, len(node.inputs)):
        start, given, end = node.inputs[index], body.inputs[index], body.outputs[index - 1]
        if start is not None and isinstance(end.type, ir.TensorType):
            yield start, given, end
