"""The layout pass on random graphs: same answers, never more bytes transposed."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from sardonyx.compiler.analysis.layout_cut import cheapest, traffic
from sardonyx.compiler.analysis.layout_region import AxisMaps, grow
from sardonyx.compiler.analysis.layout_tensors import Tensors
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.ir.verify import verify
from sardonyx.compiler.ops.cost import length
from sardonyx.compiler.passes.layout import AssignLayouts
from sardonyx.compiler.passes.manager import PassManager
from tests.compiler.passes.layout_graphs import random_graph
from tests.support.models import random_feeds
from tests.support.run import run_ort

SYMBOL = 16


def transposed_bytes(model):
    """Bytes that a model's Transposes move; those that only move axes of length 1 move none."""
    total = 0
    for node in model.graph:
        if node.op_type == "Transpose":
            (value,) = node.inputs
            perm = node.attributes["perm"].as_ints()
            lengths = [length(dim, SYMBOL) for dim in value.shape]
            order = [axis for axis in perm if value.shape[axis] != 1]
            if order != sorted(order):
                total += int(np.prod(lengths)) * value.dtype.itemsize
    return total


def assign(model):
    editor = Editor(model, Types.inferred(model))
    AssignLayouts(symbol=SYMBOL).run(editor)
    return editor


@pytest.mark.parametrize("seed", range(200))
def test_answers_stay_and_bytes_fall(seed):
    model = random_graph(seed)
    dims = {"b": 3}
    feeds = random_feeds(model, dims, seed)
    names = [value.name for value in model.graph.outputs]
    expected = run_ort(model, feeds)
    before = transposed_bytes(model)
    editor = assign(model)
    verify(model)
    assert [value.name for value in model.graph.outputs] == names
    assert transposed_bytes(model) <= before
    for actual, wanted in zip(run_ort(model, feeds), expected, strict=True):
        assert actual.shape == wanted.shape
        scale = max(1.0, np.abs(wanted).max(initial=0))
        np.testing.assert_allclose(actual, wanted, rtol=2e-5, atol=2e-5 * scale)
    changes = editor.changes
    AssignLayouts(symbol=SYMBOL).run(editor)
    assert editor.changes == changes, "a second run changed something"


def test_random_graphs_exercise_the_pass():
    fallen = carried = 0
    for seed in range(60):
        model = random_graph(seed)
        before = transposed_bytes(model)
        report = AssignLayouts(symbol=SYMBOL).run(Editor(model, Types.inferred(model)))
        fallen += transposed_bytes(model) < before
        carried += any("carried" in site for site in report.applied.get("layout", ()))
    assert fallen >= 20
    assert carried >= 12


@pytest.mark.parametrize("seed", range(30))
def test_every_single_change_leaves_a_valid_model(seed):
    model = random_graph(seed)
    editor = Editor(model, Types.inferred(model))
    (record,) = PassManager(editor, level=3).run([AssignLayouts(symbol=SYMBOL)])
    assert record.name == "layout"


def test_the_report_tells_how_many_bytes_were_saved():
    told = 0
    for seed in range(80):
        model = random_graph(seed)
        editor = Editor(model, Types.inferred(model))
        AssignLayouts(symbol=SYMBOL)._settle(model.graph, editor)
        settled = transposed_bytes(model)
        report = AssignLayouts(symbol=SYMBOL).run(editor)
        text = " ".join(report.applied.get("layout", ()))
        pairs = re.findall(r"bytes transposed (\d+) -> (\d+)", text)
        saved = sum(int(before) - int(after) for before, after in pairs)
        assert settled - transposed_bytes(model) == saved, seed
        told += saved > 0
    assert told >= 10


def regions(model):
    """The regions of a model's transposes that are small enough to try all choices."""
    tensors, maps = Tensors(model.graph, SYMBOL), AxisMaps()
    for start in tensors.transposed():
        for perm in start.demanded():
            if perm != tuple(range(len(perm))):
                region = grow(tensors, maps, start, perm)
                if 1 <= len(region.choices) <= 8:
                    yield region


def test_the_cut_is_the_cheapest_of_all_choices():
    compared = gained = 0
    for seed in range(150):
        model = random_graph(seed, steps=9)
        editor = Editor(model, Types.inferred(model))
        AssignLayouts(symbol=SYMBOL)._settle(model.graph, editor)
        for region in regions(model):
            nodes = list(region.choices)
            subsets = itertools.product((False, True), repeat=len(nodes))
            costs = [traffic(region, set(itertools.compress(nodes, s))).bytes for s in subsets]
            assert traffic(region, cheapest(region)).bytes == min(costs), seed
            compared += 1
            gained += min(costs) < costs[0]
    assert compared >= 200
    assert gained >= 30
