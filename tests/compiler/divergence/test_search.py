"""The search by itself: where it ends, and after how many looks."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.divergence.flow import Flow
from sardonyx.compiler.divergence.search import Search, Verdict


def graph(operands: list[list[int]]) -> Flow:
    """The flow of a graph whose node number i reads the nodes that operands[i] says."""
    values: list[ir.Value] = []
    nodes = []
    for number, read in enumerate(operands):
        node = ir.node("Sum", [values[each] for each in read], name=f"n{number}")
        node.outputs[0].name = f"v{number}"
        values.append(node.outputs[0])
        nodes.append(node)
    return Flow(ir.Graph([], [values[-1]], nodes=nodes, name="g"))


def search(flow: Flow, differs, named=None):
    """Search where `differs` says of each node whether its value does."""
    looked: list[int] = []

    def look(name: str) -> Verdict:
        looked.append(int(name[1:]))
        return differs(int(name[1:]))

    end = len(flow.nodes) - 1
    named = {n: f"v{n}" for n in (named if named is not None else range(end))}
    made = Search(flow, named, look)
    first, _ = made.first(end)
    return first, looked, made


def from_culprit(flow: Flow, culprit: int):
    return lambda node: Verdict(node == culprit or flow.is_before(culprit, node))


def residual_blocks(count: int) -> list[list[int]]:
    """Blocks of three parallel branches that join, with a skip around."""
    rows: list[list[int]] = [[]]
    for _ in range(count):
        start = len(rows) - 1
        rows += [[start], [start], [start], [start + 1, start + 2], [start + 4, start + 3]]
        rows += [[start, start + 5]]
    return rows


@pytest.mark.parametrize("culprit", [0, 1, 49, 98, 99])
def test_a_chain_is_halved(culprit):
    flow = graph([[]] + [[i] for i in range(99)])
    first, looked, _ = search(flow, from_culprit(flow, culprit))
    assert first == culprit
    assert len(looked) <= math.ceil(math.log2(100)) + 1
    assert len(set(looked)) == len(looked)


def test_every_node_of_residual_blocks_is_found():
    flow = graph(residual_blocks(20))
    count = len(flow.nodes)
    most = 0
    for culprit in range(count):
        first, looked, _ = search(flow, from_culprit(flow, culprit))
        assert first == culprit
        most = max(most, len(looked))
    assert most <= 2 * math.log2(count) + 2


@pytest.mark.parametrize("seed", range(20))
def test_every_node_that_matters_of_a_random_graph_is_found(seed):
    rng = np.random.default_rng(seed)
    rows = [
        sorted(set(rng.integers(max(0, i - 9), i, rng.integers(1, 3)).tolist())) if i else []
        for i in range(80)
    ]
    flow = graph(rows)
    end = len(rows) - 1
    for culprit in range(80):
        if flow.is_before(culprit, end):
            first, looked, _ = search(flow, from_culprit(flow, culprit))
            assert first == culprit
            assert len(looked) <= 2 * math.log2(80) + 8


def test_cuts_are_looked_at_before_branches():
    flow = graph(residual_blocks(8))
    cuts = set(flow.cuts(flow.region(len(flow.nodes) - 1, ()), len(flow.nodes) - 1))
    assert cuts == {0, *range(6, 48, 6)}
    _, looked, _ = search(flow, from_culprit(flow, 20))
    assert set(looked[:2]) <= cuts


def test_a_side_entry_does_not_hide_the_cuts():
    # A mask (node 0) that every second node of a chain reads.
    rows = [[], []] + [[i - 1, 0] if i % 2 else [i - 1] for i in range(2, 40)]
    flow = graph(rows)
    assert flow.cuts(flow.region(39, ()), 39) == list(range(1, 39))
    first, looked, _ = search(flow, from_culprit(flow, 0), named=range(39))
    assert first == 0
    assert len(looked) <= 2 * math.log2(40) + 4


def test_only_some_values_can_be_looked_at():
    flow = graph([[]] + [[i] for i in range(99)])
    first, looked, _ = search(flow, from_culprit(flow, 41), named=range(0, 99, 10))
    assert first == 50
    assert len(looked) <= 5
    first, looked, _ = search(flow, from_culprit(flow, 41), named=())
    assert (first, looked) == (99, [])


def test_what_cannot_be_compared_is_passed_over():
    flow = graph([[]] + [[i] for i in range(63)])
    by_culprit = from_culprit(flow, 40)
    first, _, made = search(flow, lambda n: Verdict(None) if n % 3 == 1 else by_culprit(n))
    assert first == 41
    assert any(verdict.differs is None for verdict in made.looked.values())


def test_a_value_that_cleared_too_much_is_found_out():
    # All from node 2 to 8 agrees, since node 2 does not take over what is wrong with node 1.
    flow = graph([[]] + [[i] for i in range(8)] + [[1], [8, 9]])
    wrong = {1, 9, 10}
    first, looked, _ = search(flow, lambda n: Verdict(n in wrong))
    assert looked[0] not in {0, 1}
    assert first == 1


def test_many_branches_are_halved_too():
    # 32 branches of two nodes from one value to one sum.
    rows: list[list[int]] = [[]] + [[0] for _ in range(32)] + [[i + 1] for i in range(32)]
    while (joined := [i for i in range(len(rows)) if not any(i in row for row in rows)])[1:]:
        rows.append(joined[:2])
    flow = graph(rows)
    for culprit in (1, 17, 32, 40, 64):
        first, looked, _ = search(flow, from_culprit(flow, culprit))
        assert first == culprit
        assert len(looked) <= 2 * math.log2(len(rows)) + 4


def test_a_difference_that_does_no_harm_is_set_aside():
    flow = graph([[]] + [[i] for i in range(63)])
    harmless = set(range(10, 40, 2))
    first, _, made = search(flow, lambda n: Verdict(n >= 51 or n in harmless))
    assert first == 51
    assert set(made.aside) <= harmless


def test_a_value_that_has_to_be_kept_ends_the_search():
    flow = graph([[]] + [[i] for i in range(30)])
    first, _, made = search(flow, lambda n: Verdict(n > 17, hides=n == 17))
    assert (first, made.hiding) == (17, 17)


def test_shapes_tell_nothing_of_numbers():
    text = """<ir_version: 10, opset_import: ["" : 23]>
        g (float[a,b] x) => (float[a,b] y) {
            h = Exp(x)  s = Shape(h)  r = Reshape(x, s)  y = Neg(r) }"""
    flow = Flow(ir.from_onnx_text(text).graph)
    assert flow.is_before(flow.maker["s"], flow.maker["y"])
    assert not flow.is_before(flow.maker["h"], flow.maker["y"])


def test_what_a_branch_captures_is_read():
    text = """<ir_version: 10, opset_import: ["" : 23]>
        g (float[a] x, bool c) => (float[a] y) {
            h = Exp(x)
            y = If (c) <then_branch = t () => (float[a] p) { p = Neg(h) },
                        else_branch = e () => (float[a] q) { q = Abs(x) }> }"""
    flow = Flow(ir.from_onnx_text(text).graph)
    assert flow.is_before(flow.maker["h"], flow.maker["y"])
