"""Makes a graph that fails small: cuts nodes off, lets others be inputs, drops samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.errors import SardonyxError
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.proof import ExecutionError
from tests.fuzz.generate import Sample
from tests.fuzz.judge import clone, inlined
from tests.fuzz.run import Reference

IsBad = Callable[[ir.Model, list[Sample]], bool]
Graph = tuple[ir.Model, list[Sample]]
_MOST_WINDOW = 4


def shrink(
    model: ir.Model, samples: Sequence[Sample], is_bad: IsBad, seconds: float = 60.0
) -> Graph:
    """Return a smaller graph that is bad as well; the given one if nothing can be left out.

    Args:
        model: A graph that is bad.
        samples: Its inputs.
        is_bad: Says whether a graph is.
        seconds: When to be content with what there is.
    """
    current: Graph = (clone(model), list(samples))
    deadline = time.monotonic() + seconds
    for stage in (_simpler, _windows, _simpler, _cuts, _bypasses, _cuts, _held_inputs):
        for make in stage(*current):
            if time.monotonic() > deadline:
                return current
            candidate = make(*current)
            if candidate is not None and is_bad(*candidate):
                current = candidate
                if stage is _windows:
                    break
    return current


Make = Callable[[ir.Model, list[Sample]], "Graph | None"]


def _simpler(model: ir.Model, samples: list[Sample]) -> Iterator[Make]:
    if model.functions:
        yield lambda model, samples: (inlined(model), samples)
    for index in range(len(samples) if len(samples) > 1 else 0):
        yield lambda model, samples, index=index: (clone(model), samples[index : index + 1])
    outputs = [str(v.name) for v in model.graph.outputs]
    for name in outputs if len(outputs) > 1 else []:
        yield (
            lambda model, samples, name=name: (
                _pruned(_with_outputs(model, [name]), samples)
                if len(model.graph.outputs) > 1
                else None
            )
        )


def _windows(model: ir.Model, samples: list[Sample]) -> Iterator[Make]:
    """A few nodes in a row, alone; the shortest rows first."""
    names = _made(model)
    values = _values(model, samples)
    for size in range(1, _MOST_WINDOW + 1):
        for start in range(len(names) - size, -1, -1):
            window = names[start : start + size]
            yield lambda model, samples, window=window: _window(model, samples, window, values)


def _cuts(model: ir.Model, samples: list[Sample]) -> Iterator[Make]:
    values = _values(model, samples)
    for made in reversed(_made(model)):
        yield lambda model, samples, made=made: _cut(model, samples, made, values)


def _bypasses(model: ir.Model, samples: list[Sample]) -> Iterator[Make]:
    for made in reversed(_made(model)):
        for index in range(3):
            yield lambda model, samples, made=made, index=index: _bypassed(
                model, samples, made, index
            )


def _held_inputs(model: ir.Model, samples: list[Sample]) -> Iterator[Make]:
    for value in model.graph.inputs if len(samples) == 1 else []:
        yield lambda model, samples, name=str(value.name): _held(model, samples, name)


def _made(model: ir.Model) -> list[list[str]]:
    return [[str(v.name) for v in node.outputs] for node in model.graph]


def _window(
    model: ir.Model, samples: list[Sample], window: list[list[str]], values: list[Sample] | None
) -> Graph | None:
    """Let what other nodes give be inputs, and all that these give be outputs."""
    inside = {name for made in window for name in made if name}
    copy = clone(model)
    nodes = [n for n in copy.graph if any(v.name in inside for v in n.outputs)]
    outputs = [v for n in nodes for v in n.outputs if v.name]
    loose = [v for v in outputs if not any(user in nodes for user, _ in v.uses())]
    copy.graph.outputs.clear()
    copy.graph.outputs.extend(loose)
    current: Graph | None = (copy, samples)
    for made in _made(model):
        if current is not None and not inside & set(made):
            current = _cut(*current, made, values)
    return current


def _with_outputs(model: ir.Model, names: list[str]) -> ir.Model:
    copy = clone(model)
    kept = [v for v in copy.graph.outputs if v.name in names]
    copy.graph.outputs.clear()
    copy.graph.outputs.extend(kept)
    return copy


def _values(model: ir.Model, samples: list[Sample]) -> list[Sample] | None:
    """What each node of the main graph gives, by the reference."""
    copy = inlined(model)
    every = [v for node in copy.graph for v in node.outputs if v.name]
    copy.graph.outputs.clear()
    copy.graph.outputs.extend(every)
    try:
        rows = Reference().run(copy, samples)
    except ExecutionError:
        return None
    return [dict(zip([str(v.name) for v in every], row, strict=True)) for row in rows]


def _cut(
    model: ir.Model, samples: list[Sample], made: list[str], values: list[Sample] | None
) -> Graph | None:
    """Let what a node gives be inputs."""
    if values is None or any(name not in row for row in values for name in made if name):
        return None
    copy = clone(model)
    try:
        Types.inferred(copy)
    except SardonyxError:
        return None
    node = next((n for n in copy.graph if [v.name for v in n.outputs] == made), None)
    if node is None:
        return model, samples
    fed = [dict(sample) for sample in samples]
    for old in node.outputs:
        if not old.uses():
            continue
        arrays = [row[str(old.name)] for row in values]
        if old.dtype is None or arrays[0].dtype.kind in "OU" or old.is_graph_output():
            return None
        name = f"{old.name}_in"
        new = ir.val(name, old.dtype, _dims(old, arrays))
        old.replace_all_uses_with(new)
        copy.graph.inputs.append(new)
        for sample, array in zip(fed, arrays, strict=True):
            sample[name] = array.astype(old.dtype.numpy())
    return _pruned(copy, fed)


def _dims(value: ir.Value, arrays: list[np.ndarray]) -> ir.Shape:
    shape = value.shape
    lengths = list(zip(*(a.shape for a in arrays), strict=True))
    if shape is None or len(shape) != len(lengths):
        return ir.Shape([f"{value.name}_{i}" for i in range(arrays[0].ndim)])
    dims: list[int | str] = []
    for index, (dim, found) in enumerate(zip(shape, lengths, strict=True)):
        name = str(dim)
        is_name = name.isidentifier()
        dims.append(dim if isinstance(dim, int) else name if is_name else f"{value.name}_{index}")
        if isinstance(dim, int) and set(found) != {dim}:
            dims[-1] = f"{value.name}_{index}"
    return ir.Shape(dims)


def _bypassed(model: ir.Model, samples: list[Sample], made: list[str], index: int) -> Graph | None:
    """Let an operand of the same type stand for what a node gives."""
    copy = clone(model)
    try:
        Types.inferred(copy)
    except SardonyxError:
        return None
    node = next((n for n in copy.graph if [v.name for v in n.outputs] == made), None)
    if node is None or index >= len(node.inputs):
        return None
    value, old = node.inputs[index], node.outputs[0]
    if value is None or old.is_graph_output() or value.dtype != old.dtype:
        return None
    if value.shape != old.shape:
        return None
    old.replace_all_uses_with(value)
    return _pruned(copy, samples)


def _held(model: ir.Model, samples: list[Sample], name: str) -> Graph | None:
    """Let an input be a constant."""
    copy = clone(model)
    value = next((v for v in copy.graph.inputs if v.name == name), None)
    if value is None or not value.uses():
        return None
    copy.graph.inputs.remove(value)
    array = samples[0][name]
    if array.dtype == object:
        texts = [text.encode() for text in array.reshape(-1)]
        value.const_value = ir.StringTensor(texts, shape=ir.Shape(array.shape), name=name)
    else:
        value.const_value = ir.tensor(array, name=name)
    value.shape = ir.Shape(array.shape)
    copy.graph.register_initializer(value)
    return _pruned(copy, [{n: x for n, x in s.items() if n != name} for s in samples])


def _pruned(model: ir.Model, samples: list[Sample]) -> Graph:
    """Without nodes and inputs that nobody reads."""
    ir.passes.common.RemoveUnusedNodesPass()(model)
    kept = {v for graph in (model.graph, *model.graph.subgraphs()) for v in graph.outputs}
    for value in list(model.graph.inputs):
        if not value.uses() and value not in kept:
            model.graph.inputs.remove(value)
    names = {v.name for v in model.graph.inputs}
    return clone(model), [{n: x for n, x in s.items() if n in names} for s in samples]
