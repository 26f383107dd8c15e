"""Symbolic shape folding: shape arithmetic of dynamic models is done at compile time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.edit import Editor, shapes_agree
from sardonyx.compiler.ir.inference import Dim
from sardonyx.compiler.ir.scope import graphs_in
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.passes.base import Pass, PassReport

_SITES = dict[str, list[str]]
_Origins = dict[str, tuple[ir.Value, int]]

_PLAIN = {"Shape", "Gather", "Slice", "Concat", "Split"}
"""Operators that make a shape of parts of shapes, which cost next to nothing."""


@dataclass(frozen=True)
class FoldShapes(Pass):
    """Replace computed shapes by constants, and by reads of the inputs' shapes where they differ.

    The elements of shape tensors are known as numbers and symbols. A tensor of numbers becomes a
    constant. A Reshape or Expand to symbols that its operand has becomes one with a constant
    shape. Any other single symbol is read straight from the graph input that declares it, so
    that chains of Shape, Gather and Concat do not outlive the shapes they were computed from.
    """

    name: ClassVar[str] = "fold_shapes"

    def run(self, editor: Editor) -> PassReport:
        """Fold the elements first, then the operators that read shapes."""
        sites: _SITES = {}
        origins = _declared_symbols(editor.model.graph)
        for graph in graphs_in(editor.model.graph):
            for node in list(graph):
                if node.graph is None:
                    continue
                if node.op_type == "Reshape" and not node.domain:
                    _fold_reshape(node, editor, sites)
                elif node.op_type == "Expand" and not node.domain:
                    _fold_expand(node, editor, sites)
                if node.graph is not None:
                    _fold_elements(node, editor, origins, sites)
        return PassReport(sites)


def _declared_symbols(graph: ir.Graph) -> _Origins:
    """Map each symbol that is a whole dimension of a graph input to the first such place."""
    found: _Origins = {}
    for value in graph.inputs:
        for axis, dim in enumerate(value.shape or ()):
            if isinstance(dim, ir.SymbolicDim) and dim.value is not None:
                found.setdefault(dim.value, (value, axis))
    return found


def _fold_elements(node: ir.Node, editor: Editor, origins: _Origins, sites: _SITES) -> None:
    """Replace a shape tensor that is computed by what its elements are known to be."""
    value = node.outputs[0] if len(node.outputs) == 1 else None
    if value is None or value.shape is None or len(value.shape) > 1 or not value.uses():
        return
    if node.op_type in {"Constant", "Identity"} or value.dtype is None:
        return
    elements = editor.types.elements(value)
    if elements is None:
        return
    built = editor.builder()
    if all(isinstance(e, int) for e in elements):
        made = built.constant(np.array(elements, value.dtype.numpy()).reshape(value.shape.numpy()))
    else:
        found = _read_from_input(node, elements, built, value, origins)
        if found is None:
            return
        made = found
    editor.replace([value], [made], built, "fold_shapes")
    sites.setdefault("shape_tensor", []).append(node.op_type)


def _read_from_input(
    node: ir.Node,
    elements: Sequence[Dim],
    built: Builder,
    value: ir.Value,
    origins: _Origins,
) -> ir.Value | None:
    if any(not isinstance(e, int) and e.value not in origins for e in elements):
        return None
    if len(elements) != 1:
        is_plain = node.op_type in _PLAIN and not _reads_only_shape(node)
        is_plain = is_plain or value.dtype != ir.DataType.INT64
        return None if is_plain else _join(elements, built, origins)
    (element,) = elements
    source, axis = origins[str(element)]
    if node.op_type == "Shape" and node.inputs[0] is source:
        return None
    if node.op_type in {"Squeeze", "Cast", "Reshape"} and _reads_shape_of(node, source):
        return None
    dim: ir.Value = built.Shape(source, start=axis, end=axis + 1)
    if value.dtype != ir.DataType.INT64:
        dim = built.Cast(dim, to=value.dtype)
    return dim if value.shape is not None and len(value.shape) == 1 else built.Squeeze(dim, [0])


def _reads_only_shape(node: ir.Node) -> bool:
    """Say whether a tensor is computed for nothing but its shape."""
    operand = node.inputs[0]
    if node.op_type != "Shape" or operand is None or operand.producer() is None:
        return False
    readers = [user for user, _ in operand.uses()]
    return not operand.is_graph_output() and all(user.op_type == "Shape" for user in readers)


def _join(elements: Sequence[Dim], built: Builder, origins: _Origins) -> ir.Value:
    """Concatenate numbers and dimensions of inputs, neighbours in one piece."""
    pieces: list[ir.Value] = []
    for is_number, group in itertools.groupby(elements, lambda e: isinstance(e, int)):
        if is_number:
            pieces.append(built.constant(np.array(list(group), dtype=np.int64)))
        else:
            pieces += [
                built.Shape(source, start=start, end=end)
                for source, start, end in _runs([origins[str(e)] for e in group])
            ]
    joined: ir.Value = built.Concat(*pieces, axis=0) if len(pieces) > 1 else pieces[0]
    return joined


def _runs(places: Iterable[tuple[ir.Value, int]]) -> list[tuple[ir.Value, int, int]]:
    """Merge dimensions that follow each other in one input."""
    runs: list[tuple[ir.Value, int, int]] = []
    for source, axis in places:
        if runs and runs[-1][0] is source and runs[-1][2] == axis:
            runs[-1] = (source, runs[-1][1], axis + 1)
        else:
            runs.append((source, axis, axis + 1))
    return runs


def _reads_shape_of(node: ir.Node, source: ir.Value) -> bool:
    """Say whether a node is the last of a Shape, Cast, Squeeze that `_read_from_input` makes."""
    step: ir.Node | None = node
    while step is not None and step.op_type in {"Squeeze", "Cast", "Reshape"}:
        operand = step.inputs[0]
        step = operand.producer() if operand is not None else None
    return step is not None and step.op_type == "Shape" and step.inputs[0] is source


def _fold_reshape(node: ir.Node, editor: Editor, sites: _SITES) -> None:
    """Reshape to [batch, seq, 12, 64] becomes Reshape to [0, 0, 12, 64] where the operand has them.

    A zero copies the operand's dimension at the same place, and one remaining symbol may be -1
    beside numbers. Beside a copied symbol it may not: where that is 0, it is the model's own
    arithmetic that has to say what remains.
    """
    data, shape = node.inputs[0], node.inputs[1]
    if data is None or shape is None or constants.is_constant(shape) or data.shape is None:
        return
    elements = editor.types.elements(shape)
    is_literal = Attributes(node).allowzero == 1
    if elements is None or (is_literal and 0 in elements):
        return
    target = [_copy_or_number(i, e, data.shape) for i, e in enumerate(elements)]
    unknown = [i for i, t in enumerate(target) if t is None]
    if len(unknown) > 1 or (unknown and -1 in target):
        return
    copied = [data.shape[i] for i, t in enumerate(target) if t == 0 and i < len(data.shape)]
    if unknown and not all(isinstance(dim, int) and dim > 0 for dim in copied):
        return
    folded = [-1 if t is None else t for t in target]
    built = editor.builder()
    made = built.Reshape(data, np.array(folded, dtype=np.int64))
    if not shapes_agree(node.outputs[0].shape, made.shape):
        # An output that is declared to have another shape than it can have.
        built.discard()
        return
    editor.replace(node.outputs, [made], built, "fold_shapes")
    sites.setdefault("reshape", []).append(node.op_type)


def _copy_or_number(index: int, element: Dim, data: ir.Shape) -> int | None:
    if isinstance(element, int):
        return element
    return 0 if index < len(data) and data[index] == element else None


def _fold_expand(node: ir.Node, editor: Editor, sites: _SITES) -> None:
    """Expand to dimensions that the operand has becomes Expand by ones; to no others, nothing.

    Of two Expands, the last counts.
    """
    data, shape = node.inputs[0], node.inputs[1]
    if data is None or shape is None or data.shape is None:
        return
    elements = editor.types.elements(shape)
    if elements is None:
        return
    data = _before_expand(data, node, elements)
    assert data.shape is not None
    offset = len(data.shape) - len(elements)
    target = [_one_or_number(e, i + offset, data.shape) for i, e in enumerate(elements)]
    if offset >= 0 and all(t == 1 for t in target):
        editor.replace(node.outputs, [data], editor.builder(), "fold_shapes")
        sites.setdefault("expand", []).append(node.op_type)
    elif data is not node.inputs[0]:
        editor.set_operand(node, 0, data, "fold_shapes", editor.builder())
        sites.setdefault("expand", []).append(node.op_type)
    elif not constants.is_constant(shape) and None not in target:
        _set_shape_operand(node, 1, [t for t in target if t is not None], editor)
        sites.setdefault("expand", []).append(node.op_type)


def _before_expand(data: ir.Value, node: ir.Node, elements: Sequence[Dim]) -> ir.Value:
    """Return what an Expand of an Expand can as well read: it says the whole shape itself."""
    inner, shape = data.producer(), node.outputs[0].shape
    if inner is None or inner.op_type != "Expand" or inner.domain or shape is None:
        return data
    operand = inner.inputs[0]
    is_whole = list(shape) == list(elements) and None not in [_name(dim) for dim in elements]
    return operand if is_whole and operand is not None and operand.shape is not None else data


def _name(dim: Dim) -> int | str | None:
    return dim if isinstance(dim, int) else dim.value


def _one_or_number(element: Dim, axis: int, data: ir.Shape) -> int | None:
    """Return what to expand by: 1 where the operand has the dimension already."""
    if axis >= 0 and data[axis] == element:
        return 1
    return element if isinstance(element, int) else None


def _set_shape_operand(node: ir.Node, index: int, shape: list[int], editor: Editor) -> None:
    built = editor.builder()
    value = built.constant(np.array(shape, dtype=np.int64))
    editor.set_operand(node, index, value, "fold_shapes", built)
