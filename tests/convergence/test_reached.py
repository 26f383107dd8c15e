"""Each rule is applied to a model that people have; what no model reaches does not exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from sardonyx import compiler
from sardonyx.compiler.passes.canonicalize import Canonicalize
from sardonyx.compiler.passes.fuse import Fuse
from sardonyx.compiler.passes.recognize import Recognize
from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules.lower import LOWERINGS
from sardonyx.compiler.rules.select import SELECTIONS
from sardonyx.compiler.targets import find_target
from tests.convergence.reached import REACHED
from tests.support.models import random_feeds
from tests.support.run import run_ort


def rules() -> Iterator[Rule]:
    """All rules of all pipelines."""
    for pass_ in (Canonicalize, Recognize, Fuse):
        for stage in pass_.stages:
            yield from stage
    for chosen in (*SELECTIONS.values(), *LOWERINGS.values()):
        yield from chosen


def test_the_table_has_every_rule():
    named = {name for reach in REACHED.values() for name in reach.rules.split()}
    assert named == {rule.name for rule in rules()}


def test_no_two_rules_have_one_name():
    names = Counter(rule.name for rule in set(rules()))
    assert [name for name, count in names.items() if count > 1] == []


SLOW = {"ProphetNet"}
"""Models that take half a minute."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in REACHED],
)
def test_a_model_reaches_its_rules(name):
    reach = REACHED[name]
    torch.set_num_threads(1)
    given = reach.model()
    target = find_target(reach.target) if isinstance(reach.target, str) else reach.target
    program = compiler.compile(given, target, opset=reach.opset)
    assert set(reach.rules.split()) - set(program.report.rules) == set()
    # What CUDA is given has no kernels here; token ids are not just any numbers.
    takes_any = all(value.dtype in _ANY_VALUES for value in given.graph.inputs)
    if reach.error is not None and target.name != "cuda" and takes_any:
        assert largest_error(given, program.model) <= reach.error


_ANY_VALUES = {ir.DataType.FLOAT, ir.DataType.BOOL}


def largest_error(given: ir.Model, made: ir.Model) -> float:
    """The largest difference of any output, over its largest value, with batches of 2."""
    dims = {
        str(dim.value): 2
        for value in given.graph.inputs
        for dim in value.shape
        if isinstance(dim, ir.SymbolicDim)
    }
    feeds = random_feeds(given, dims)
    pairs = zip(run_ort(given, feeds), run_ort(made, feeds), strict=True)
    return max(
        float(np.abs(np.subtract(a, b, dtype=np.float64)).max() / np.abs(a).max())
        for a, b in pairs
        if a.dtype != bool
    )
