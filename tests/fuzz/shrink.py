"""Makes a graph that fails small: cuts nodes off, lets others be inputs, drops samples."""

from __future__ import annotations

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


def shrink(model: ir.Model, samples: Sequence[Sample], is_bad: IsBad) -> Graph:
    """Return a smaller graph that is bad as well; the given one if nothing can be left out."""
    current: Graph = (clone(model), list(samples))
    for _ in range(20):
        smaller = _once(current, is_bad)
        if smaller is None:
            return current
        current = smaller
    return current


def _once(current: Graph, is_bad: IsBad) -> Graph | None:
    """Take whatever candidate is bad, in order; None where none is."""
    found = None
    tried = True
    while tried:
        tried = False
        for candidate in _candidates(*(found or current)):
            if is_bad(*candidate):
                found, tried = candidate, True
                break
    return found


def _candidates(model: ir.Model, samples: list[Sample]) -> Iterator[Graph]:
    if model.functions:
        yield inlined(model), samples
    if len(samples) > 1:
        yield from ((clone(model), [sample]) for sample in samples)
    outputs = [str(v.name) for v in model.graph.outputs]
    if len(outputs) > 1:
        yield from (_pruned(_with_outputs(model, [name]), samples) for name in outputs)
    names = [[str(v.name) for v in node.outputs] for node in model.graph]
    values = _values(model, samples)
    for made in names:
        cut = _cut(model, samples, made, values)
        if cut is not None:
            yield _pruned(*cut)
    for made in reversed(names):
        for bypassed in _bypassed(model, made):
            yield _pruned(bypassed, samples)
    for value in model.graph.inputs:
        if len(samples) == 1:
            yield _pruned(*_held(model, samples, str(value.name)))


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
    node = next(n for n in copy.graph if [v.name for v in n.outputs] == made)
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
    return copy, fed


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


def _bypassed(model: ir.Model, made: list[str]) -> Iterator[ir.Model]:
    """Let an operand of the same type stand for what a node gives."""
    node = next(n for n in model.graph if [v.name for v in n.outputs] == made)
    for index in range(len(node.inputs)):
        copy = clone(model)
        try:
            Types.inferred(copy)
        except SardonyxError:
            return
        twin = next(n for n in copy.graph if [v.name for v in n.outputs] == made)
        value, old = twin.inputs[index], twin.outputs[0]
        if value is None or old.is_graph_output() or value.dtype != old.dtype:
            continue
        if value.shape == old.shape:
            old.replace_all_uses_with(value)
            yield copy


def _held(model: ir.Model, samples: list[Sample], name: str) -> Graph:
    """Let an input be a constant."""
    copy = clone(model)
    value = next(v for v in copy.graph.inputs if v.name == name)
    copy.graph.inputs.remove(value)
    array = samples[0][name]
    if array.dtype == object:
        texts = [text.encode() for text in array.reshape(-1)]
        value.const_value = ir.StringTensor(texts, shape=ir.Shape(array.shape), name=name)
    else:
        value.const_value = ir.tensor(array, name=name)
    value.shape = ir.Shape(array.shape)
    copy.graph.register_initializer(value)
    return copy, [{n: x for n, x in sample.items() if n != name} for sample in samples]


def _pruned(model: ir.Model, samples: list[Sample]) -> Graph:
    """Without nodes and inputs that nobody reads."""
    ir.passes.common.RemoveUnusedNodesPass()(model)
    kept = {v for graph in (model.graph, *model.graph.subgraphs()) for v in graph.outputs}
    for value in list(model.graph.inputs):
        if not value.uses() and value not in kept:
            model.graph.inputs.remove(value)
    names = {v.name for v in model.graph.inputs}
    return clone(model), [{n: x for n, x in s.items() if n in names} for s in samples]
