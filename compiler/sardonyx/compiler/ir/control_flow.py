"""Sound types for operators that run graphs: what is true of one pass need not be of the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import onnx_ir as ir

_FIRST_CARRIED = 2
"""Loop's operands and its body's inputs start with the trip count and the condition."""

_MOST_NESTED = 2
"""Loops inside each other whose shapes are followed: each is inferred again by those around."""

_MOST_ROUNDS = 6
"""How often a body is inferred before the shapes that still change are given up."""


class Infers(Protocol):
    """Infers graphs and mints symbols.

    Attributes:
        loops: How many loops the graph is in that is being inferred.
    """

    loops: int

    def infer_graph(self, graph: ir.Graph) -> None:
        """Infer the values of a graph whose inputs are known."""

    def new_symbolic_dim(self) -> ir.SymbolicDim:
        """Return a symbol that nothing else has."""


def bodies(node: ir.Node) -> Iterator[ir.Graph]:
    """Yield the graphs that a node holds."""
    for attr in node.attributes.values():
        if attr.is_ref():
            continue
        if attr.type == ir.AttributeType.GRAPH:
            yield attr.as_graph()
        elif attr.type == ir.AttributeType.GRAPHS:
            yield from attr.as_graphs()


def forget_inputs(graph: ir.Graph) -> None:
    """Forget the shapes that a body declares of its inputs."""
    for value in graph.inputs:
        value.shape = None


def _infer_if(types: Infers, node: ir.Node) -> None:
    """A result has the dimensions on which both branches agree."""
    branches = [node.attributes[name].as_graph() for name in ("then_branch", "else_branch")]
    for branch in branches:
        types.infer_graph(branch)
    for index, output in enumerate(node.outputs):
        ends = [branch.outputs[index] for branch in branches]
        _set_type(output, ends)
        if _are_tensors(ends):
            output.shape = _common_shape(types, [end.shape for end in ends])


def _infer_loop(types: Infers, node: ir.Node) -> None:
    """A carried result may be what went into the loop; there may be fewer passes than the limit."""
    body = node.attributes["body"].as_graph()
    starts = list(node.inputs[_FIRST_CARRIED:])
    carried = len(starts)
    given = list(body.inputs[_FIRST_CARRIED : _FIRST_CARRIED + carried])
    ends = list(body.outputs[1 : 1 + carried])
    _infer_passes(types, body, starts, given, ends)
    for output, start, end in zip(node.outputs, starts, ends, strict=False):
        _set_type(output, [end])
        if start is not None and _are_tensors([end]):
            output.shape = _common_shape(types, [start.shape, end.shape])
    passes = types.new_symbolic_dim()
    for output, end in zip(node.outputs[carried:], body.outputs[1 + carried :], strict=False):
        _set_type(output, [end])
        output.shape = None if end.shape is None else ir.Shape([passes, *end.shape])


def _infer_scan(types: Infers, node: ir.Node) -> None:
    """State is carried as in a Loop; what is scanned loses an axis and what is collected gains one.

    The scan of opset 8, which has a batch axis, has its outputs' dtypes inferred only.
    """
    body = node.attributes["body"].as_graph()
    if node.version is not None and node.version < 9:
        forget_inputs(body)
        types.infer_graph(body)
        for output, end in zip(node.outputs, body.outputs, strict=False):
            _set_type(output, [end])
        return
    states = len(node.inputs) - node.attributes["num_scan_inputs"].as_int()
    lengths: list[int | ir.SymbolicDim] = []
    for index, value in enumerate(node.inputs[states:]):
        formal = body.inputs[states + index]
        formal.shape = None
        if value is not None and value.shape is not None:
            dims = list(value.shape)
            lengths.append(dims.pop(_axis(node, "scan_input_axes", index)))
            formal.shape = ir.Shape(dims)
    given, ends = list(body.inputs[:states]), list(body.outputs[:states])
    _infer_passes(types, body, list(node.inputs[:states]), given, ends)
    for output, start, end in zip(node.outputs, node.inputs[:states], ends, strict=False):
        _set_type(output, [end])
        if start is not None:
            output.shape = _common_shape(types, [start.shape, end.shape])
    scanned = lengths[0] if lengths else types.new_symbolic_dim()
    for index, output in enumerate(node.outputs[states:]):
        end = body.outputs[states + index]
        _set_type(output, [end])
        if end.shape is None:
            continue
        dims = list(end.shape)
        axis = _axis(node, "scan_output_axes", index)
        dims.insert(axis if axis >= 0 else axis + len(dims) + 1, scanned)
        output.shape = ir.Shape(dims)


def _infer_sequence_map(types: Infers, node: ir.Node) -> None:
    """The tensors of a sequence may differ in shape, not in dtype."""
    body = node.attributes["body"].as_graph()
    for formal, value in zip(body.inputs, node.inputs, strict=False):
        if formal.type is None and value is not None:
            whole = value.type
            formal.type = whole.elem_type if isinstance(whole, ir.SequenceType) else whole
        is_tensor = value is not None and isinstance(value.type, ir.TensorType)
        formal.shape = value.shape if value is not None and is_tensor else None
    types.infer_graph(body)
    for output, end in zip(node.outputs, body.outputs, strict=False):
        if output.type is None and end.type is not None:
            output.type = ir.SequenceType(end.type)


def _infer_passes(
    types: Infers,
    body: ir.Graph,
    starts: Sequence[ir.Value | None],
    given: Sequence[ir.Value],
    ends: Sequence[ir.Value],
) -> None:
    """Infer a body that gets its own results back, so that what is found holds for every pass.

    At first each input has the shape of the value before the first pass. Where the body returns
    another dimension than it was given, the input gets a symbol of its own there; where it returns
    another rank or one that is not known, the input's shape is not known. Then the body is inferred
    again, until nothing changes any more.
    """
    for value, start in zip(given, starts, strict=True):
        is_tensor = isinstance(value.type, ir.TensorType) or value.type is None
        value.shape = start.shape if start is not None and is_tensor else None
        if value.type is None and start is not None:
            value.type = start.type
    widened: set[tuple[int, int]] = set()
    rounds, is_settled = 0, False
    while not is_settled:
        if rounds == _MOST_ROUNDS or types.loops >= _MOST_NESTED:
            for value in given:
                value.shape = None
        types.loops += 1
        types.infer_graph(body)
        types.loops -= 1
        rounds, is_settled = rounds + 1, True
        for index, (value, end) in enumerate(zip(given, ends, strict=True)):
            if value.shape is None:
                continue
            if end.shape is None or len(end.shape) != len(value.shape):
                value.shape = None
                is_settled = False
                continue
            dims = list(value.shape)
            for axis, (before, after) in enumerate(zip(value.shape, end.shape, strict=True)):
                if not _all_equal([before, after]) and (index, axis) not in widened:
                    dims[axis] = types.new_symbolic_dim()
                    widened.add((index, axis))
                    is_settled = False
            value.shape = ir.Shape(dims)


def _axis(node: ir.Node, name: str, index: int) -> int:
    attr = node.attributes.get(name)
    return int(attr.as_ints()[index]) if attr is not None else 0


def _set_type(output: ir.Value, ends: Sequence[ir.Value]) -> None:
    known = [end.type for end in ends if end.type is not None]
    if known and output.type is None:
        output.type = known[0]


def _are_tensors(values: Sequence[ir.Value]) -> bool:
    return all(isinstance(value.type, ir.TensorType) for value in values)


def _common_shape(types: Infers, shapes: Sequence[ir.Shape | None]) -> ir.Shape | None:
    """Return the dimensions that all shapes have; fresh symbols for the others."""
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes) or len({len(shape) for shape in known}) > 1:
        return None
    dims = zip(*known, strict=True)
    return ir.Shape([d[0] if _all_equal(d) else types.new_symbolic_dim() for d in dims])


def _all_equal(dims: Sequence[int | ir.SymbolicDim]) -> bool:
    first = dims[0]
    is_known = isinstance(first, int) or first.value is not None
    return is_known and all(d == first for d in dims[1:])


BODIES: dict[str, Callable[[Infers, ir.Node], None]] = {
    "If": _infer_if,
    "Loop": _infer_loop,
    "Scan": _infer_scan,
    "SequenceMap": _infer_sequence_map,
}
"""How the outputs of the standard's operators that run graphs are inferred."""
