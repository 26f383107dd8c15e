"""From the exporter's model to ours: names of inputs, outputs, dims and weights, and provenance."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

import onnx_ir as ir
import torch
from onnx_ir.passes import common as passes
from torch.export import ExportedProgram

from sardonyx.compiler.ir.provenance import set_source
from sardonyx.frontends.torch.dynamic import Axes
from sardonyx.frontends.torch.limits import record_limits

IR_VERSION = 11  # the ONNX format version that goes with opset 23


@dataclasses.dataclass(frozen=True)
class Names:
    """What the user calls things.

    Attributes:
        inputs: Name of each tensor input, in order.
        axes: Names of the dynamic axes of each input.
        outputs: Name of each output, in order.
        root: Class name of the module; the source of nodes that belong to no submodule.
        wrapper: Path of the module inside the traced one, with a dot at its end; may be empty.
    """

    inputs: Sequence[str]
    axes: Sequence[Axes]
    outputs: Sequence[str]
    root: str
    wrapper: str


def finish(model: ir.Model, program: ExportedProgram, names: Names) -> ir.Model:
    """Rename and annotate the model in place."""
    _record_provenance(model, names)
    _name_weights(model, names)
    _share_tied_weights(model)
    symbols = _symbol_names(model, names)
    _name_dims(model, symbols, names)
    record_limits(model, program, symbols)
    _name_outputs(model, names)
    _name_inputs(model, names)
    passes.NameFixPass()(model)
    model.ir_version = IR_VERSION
    model.graph.name = names.root
    model.metadata_props["sardonyx.stage"] = "source"
    return model


def _values(model: ir.Model) -> Iterator[ir.Value]:
    """Every value, of subgraphs too."""
    yield from model.graph.inputs
    yield from model.graph.initializers.values()
    for node in model.graph.all_nodes():
        yield from node.outputs
        for graph in _subgraphs(node):
            yield from graph.inputs


def _subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    for attribute in node.attributes.values():
        if attribute.type is ir.AttributeType.GRAPH:
            yield attribute.as_graph()


def _record_provenance(model: ir.Model, names: Names) -> None:
    """Keep the module path and class of each node; drop everything else the exporter noted down."""
    _record_modules(model.graph, names, (names.root, names.root))
    for value in _values(model):
        value.metadata_props.clear()
        value.meta.clear()
    model.metadata_props.clear()
    model.graph.metadata_props.clear()


def _record_modules(graph: ir.Graph, names: Names, owner: tuple[str, str]) -> None:
    """Record where nodes come from; inside a branch or loop without a trace, its ``owner``."""
    for node in graph:
        path, cls = _module_of(node, names) or owner
        node.metadata_props.clear()
        node.meta.clear()  # holds the traced graph, and with it every fake tensor
        set_source(node, path)
        node.metadata_props["sardonyx.class"] = cls
        for subgraph in _subgraphs(node):
            _record_modules(subgraph, names, (path, cls))


def _module_of(node: ir.Node, names: Names) -> tuple[str, str] | None:
    """Path and class name of the innermost module that a node was traced in, if it has any."""
    # The last entry of each list is the traced operator itself.
    scopes = _literal(node, "pkg.torch.onnx.name_scopes")[:-1]
    classes = _literal(node, "pkg.torch.onnx.class_hierarchy")[:-1]
    if not scopes or scopes[-1].startswith("_empty_nn_module_stack"):
        return None
    path = scopes[-1].split("@")[0]  # "layer@1" is the second call of "layer"
    inner = f"{path}.".removeprefix(names.wrapper).rstrip(".")
    return (inner, classes[-1].rsplit(".", 1)[-1]) if inner else (names.root, names.root)


def _literal(node: ir.Node, key: str) -> list[str]:
    value = ast.literal_eval(node.metadata_props.get(key, "[]"))
    return [str(item) for item in value]


def _name_weights(model: ir.Model, names: Names) -> None:
    """Call parameters and buffers what the module calls them."""
    for name, value in list(model.graph.initializers.items()):
        value.name = name.removeprefix(names.wrapper)


def _share_tied_weights(model: ir.Model) -> None:
    """Use one initializer for parameters that are views of the same memory."""
    kept: dict[object, ir.Value] = {}
    for name, value in list(model.graph.initializers.items()):
        raw = getattr(value.const_value, "raw", None)
        if not isinstance(raw, torch.Tensor) or raw.numel() == 0:
            continue
        memory = (raw.data_ptr(), raw.dtype, tuple(raw.shape), raw.stride(), raw.device)
        first = kept.setdefault(memory, value)
        if first is not value and not value.is_graph_output():
            value.replace_all_uses_with(first)
            del model.graph.initializers[name]


def _symbol_names(model: ir.Model, names: Names) -> dict[str, str]:
    """The user's name for each symbol of the trace, and a free name for every other one."""
    mapping: dict[str, str] = {}
    for value, axes in zip(model.graph.inputs, names.axes, strict=True):
        for axis, name in axes.items():
            text = _dim_texts(value)[axis]
            if text.isidentifier():
                mapping.setdefault(text, name)
    taken = {name for axes in names.axes for name in axes.values()}
    for text in {text for value in _values(model) for text in _dim_texts(value)}:
        for word in re.findall(r"[A-Za-z_]\w*", text):
            if word not in mapping and word in taken:
                mapping[word] = f"{word}_"
    return mapping


def _dim_texts(value: ir.Value) -> list[str]:
    """The symbolic dims of a value; empty text for the others."""
    dims = value.shape.dims if value.shape is not None else ()
    return [(dim.value or "") if isinstance(dim, ir.SymbolicDim) else "" for dim in dims]


def _name_dims(model: ir.Model, symbols: Mapping[str, str], names: Names) -> None:
    """Write every dim in the user's names; forget those that no reader understands."""
    renamed: dict[str, ir.SymbolicDim] = {}

    def rename(dim: int | ir.SymbolicDim) -> int | ir.SymbolicDim:
        if not isinstance(dim, ir.SymbolicDim) or dim.value is None:
            return dim
        if dim.value not in renamed:
            renamed[dim.value] = _readable(_substitute(dim.value, symbols))
        return renamed[dim.value]

    for value in _values(model):
        if value.shape is not None:
            value.shape = ir.Shape([rename(dim) for dim in value.shape])
    # Two names can be one symbol of the trace (the model adds the two inputs): inputs keep both.
    for value, axes in zip(model.graph.inputs, names.axes, strict=True):
        if value.shape is not None:
            value.shape = ir.Shape([axes.get(i, dim) for i, dim in enumerate(value.shape)])


def _substitute(text: str, symbols: Mapping[str, str]) -> str:
    return re.sub(r"[A-Za-z_]\w*", lambda match: symbols.get(match[0], match[0]), text)


def _readable(text: str) -> ir.SymbolicDim:
    dim = ir.SymbolicDim(text)
    try:
        dim.simplify()
    except ValueError:  # a function of torch's own, such as CeilToInt
        return ir.SymbolicDim(None)
    return dim


def _name_outputs(model: ir.Model, names: Names) -> None:
    """Give each output a value and name of its own, be it an input, a weight or repeated."""
    graph = model.graph
    taken = {*names.inputs}
    seen: set[ir.Value] = {*graph.inputs, *graph.initializers.values()}
    for index, name in enumerate(names.outputs):
        value = graph.outputs[index]
        if value in seen:
            copied = ir.node("Identity", [value], name=f"node_{name}")
            set_source(copied, names.root)
            copied.outputs[0].shape, copied.outputs[0].type = value.shape, value.type
            graph.append(copied)
            graph.outputs[index] = value = copied.outputs[0]
        seen.add(value)
        while name in taken:
            name = f"{name}_out"
        taken.add(name)
        value.name = name


def _name_inputs(model: ir.Model, names: Names) -> None:
    for value, name in zip(model.graph.inputs, names.inputs, strict=True):
        value.name = name
