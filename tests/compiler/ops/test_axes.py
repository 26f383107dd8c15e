"""The `axes` fact: a node with its tensors in another order computes the same.

Each node is rebuilt for a random order of the axes of one of its tensors, with a Transpose before
and after it, and compared with the node as it was.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph

from sardonyx.compiler.errors import SardonyxError
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.ops import Tolerance
from sardonyx.compiler.ops.axes import AxisMap, Fixed, axis_map
from sardonyx.compiler.ops.carry import (
    Carried,
    carry,
    identity,
    inverse,
    permuted,
    rebuild,
    then,
)
from tests.compiler.ops.drawing import draw, row_id, run, sampled_rows

SEEDS = range(25)


def movable_rows():
    return [row for row in sampled_rows() if not isinstance(row.axes, Fixed)]


def wrap(model, carried):
    """Return a model of the carried node between transposes."""
    node = carried.node
    op = Builder(Types(model), model.opset_imports)
    operands = [
        permuted(op, value, carried.perms[i]) if i in carried.perms else value
        for i, value in enumerate(node.inputs)
    ]
    outputs = [
        permuted(op, value, inverse(carried.perms[~j])) if ~j in carried.perms else value
        for j, value in enumerate(rebuild(op, carried, operands))
    ]
    graph = model.graph
    for value, old in zip(outputs, node.outputs, strict=True):
        assert value.dtype == old.dtype
        if value.shape is not None and old.shape is not None:
            pairs = [(a, b) for a, b in zip(value.shape, old.shape, strict=True)]
            assert all(a == b for a, b in pairs if isinstance(a, int) or isinstance(b, int))
    graph.outputs.clear()
    graph.remove(node)
    graph.extend(op.nodes)
    for value in op.constants:
        if value.uses():
            value.name = f"carried_{len(graph.initializers)}"
            graph.register_initializer(value)
    graph.outputs.extend(outputs)
    return model


def assert_close(row, actual, expected):
    for a, b in zip(actual, expected, strict=True):
        assert a.shape == b.shape
        if row.tolerance == Tolerance.EXACT or a.dtype.kind != "f":
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1, np.abs(b).max()))


def carried_at_random(random, node, axes, tensor):
    """Try some orders of a tensor's axes; most operators do not accept all."""
    for _ in range(10):
        perm = tuple(map(int, random.permutation(len(axes.labels[tensor]))))
        carried = carry(node, axes, tensor, perm)
        if isinstance(carried, Carried) and perm != identity(len(perm)):
            return carried, perm
    return None, None


@pytest.mark.parametrize("row", movable_rows(), ids=row_id)
def test_a_carried_node_computes_the_same(row):
    moved = set()
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        model, feeds = draw(row, seed)
        (node,) = model.graph
        axes = axis_map(row.axes, node)
        if isinstance(axes, Fixed):
            continue
        tensor = sorted(axes.labels)[int(random.integers(len(axes.labels)))]
        carried, perm = carried_at_random(random, node, axes, tensor)
        if carried is None:
            continue
        assert carried.perms[tensor] == perm
        expected = run(row, model, feeds)
        assert_close(row, run(row, wrap(model, carried), feeds), expected)
        moved.add(tensor)
    assert moved, "no sample could be carried"


def test_the_check_notices_wrong_facts():
    by_name = {row.op_type: row for row in movable_rows() if row.domain == ""}
    for name, change in (
        ("Softmax", {"parameters": ()}),
        ("ReduceSum", {"parameters": ()}),
        ("Concat", {"parameters": ()}),
        ("MatMul", {"fixed": frozenset()}),
        ("Add", {"is_broadcast": False}),
    ):
        right = by_name[name]

        def wrong(node, right=right, change=change):
            axes = right.axes(node)
            return replace(axes, **change) if isinstance(axes, AxisMap) else axes

        with pytest.raises((AssertionError, SardonyxError, InvalidGraph, Fail)) as caught:
            test_a_carried_node_computes_the_same(replace(right, axes=wrong))
        assert "no sample" not in str(caught.value), name


def node_of(text):
    model = ir.from_onnx_text('<ir_version: 10, opset_import: ["" : 23]>\n' + text)
    Types.inferred(model)
    return model.graph[-1]


def axes_of(node):
    (row,) = [r for r in movable_rows() if (r.domain, r.op_type) == (node.domain, node.op_type)]
    return axis_map(row.axes, node)


def test_labels_of_a_reduction():
    node = node_of(
        """g (float[2,3,4,5] x) => (y) <int64[2] axes = {1, -1}>
        { y = ReduceSum <keepdims = 0> (x, axes) }"""
    )
    assert axes_of(node).labels == {0: (0, 1, 2, 3), ~0: (0, 2)}


def test_a_permutation_of_the_output_reaches_the_operand():
    node = node_of(
        """g (float[2,3,4,5] x) => (y) <int64[1] axes = {1}>
        { y = ReduceSum <keepdims = 0> (x, axes) }"""
    )
    carried = carry(node, axes_of(node), ~0, (1, 2, 0))
    assert isinstance(carried, Carried)
    assert carried.perms == {0: (2, 1, 3, 0), ~0: (1, 2, 0)}
    assert carried.new_axis(0, -3) == 1


def test_a_vector_is_spread_to_its_new_place():
    node = node_of("g (float[2,4,5,3] x, float[3] b) => (y) { y = Add(x, b) }")
    carried = carry(node, axes_of(node), ~0, (0, 3, 1, 2))
    assert carried.perms == {0: (0, 3, 1, 2), 1: (0,), ~0: (0, 3, 1, 2)}
    assert carried.spread == {1: (1, 2)}


def test_the_axes_of_a_matrix_product_stay():
    node = node_of("g (float[2,4,5,3] x, float[3,7] w) => (y) { y = MatMul(x, w) }")
    axes = axes_of(node)
    assert isinstance(carry(node, axes, 0, (0, 3, 1, 2)), Fixed)
    assert carry(node, axes, 0, (2, 1, 0, 3)).perms == {0: (2, 1, 0, 3), ~0: (2, 1, 0, 3)}


def test_a_kernel_that_wants_the_last_axis_says_so():
    node = node_of("g (float[2,3,4,5] x) => (y) { y = Softmax <axis = 1> (x) }")
    assert carry(node, axes_of(node), 0, (0, 2, 3, 1)).kernel_transposes() == (True, False)
    assert carry(node, axes_of(node), 0, (1, 0, 2, 3)).kernel_transposes() == (True, True)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("g (float[2,3] x, int64 a) => (y) { y = CumSum(x, a) }", "its axes are computed"),
        (
            "g (float[n,3] x) => (float[3] y) { y = Squeeze(x) }",
            "it is not known which axes have length 1",
        ),
        ("g (float[] x) => (y) { y = Relu(x) }", "the rank of a tensor is not known"),
        (
            "g (float[2,3] x, int64[2,2] i) => (y) { y = Gather(x, i) }",
            "it replaces an axis by several",
        ),
    ],
)
def test_it_says_why_the_axes_stay(text, because):
    assert axes_of(node_of(text)) == Fixed(because)


def test_permutations_compose_as_transposes_do():
    random = np.random.default_rng(0)
    data = random.normal(size=(2, 3, 4, 5))
    for _ in range(20):
        first, second = (tuple(map(int, random.permutation(4))) for _ in range(2))
        twice = data.transpose(first).transpose(second)
        np.testing.assert_array_equal(data.transpose(then(first, second)), twice)
        assert then(first, inverse(first)) == identity(4)
