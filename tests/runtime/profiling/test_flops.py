"""Floating-point operations, as ONNX Runtime's own trace gives the shapes."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.runtime.profiling.events import Executed
from sardonyx.runtime.profiling.flops import BY_DOMAIN, FORMULAS, flops
from sardonyx.runtime.profiling.graph import GraphNode, Weight
from tests.runtime.profiling.nets import profile, save

normal = np.random.default_rng(7).standard_normal


def f32(*shape):
    return normal(shape).astype(np.float32)


# A graph, its weights, its inputs, and the operations counted by hand.
CASES = {
    "matmul": (
        "g (float[2,5,7] x) => (float[2,5,11] y) { y = MatMul(x, w) }",
        {"w": f32(7, 11)},
        [f32(2, 5, 7)],
        {"MatMul": 2 * (2 * 5 * 11) * 7},
    ),
    "gemm that transposes": (
        "g (float[7,5] x) => (float[5,11] y) { y = Gemm<transA=1, transB=1>(x, w, b) }",
        {"w": f32(11, 7), "b": f32(11)},
        [f32(7, 5)],
        {"Gemm": 2 * (5 * 11) * 7},
    ),
    "gemm whose weight looks like its bias": (
        "g (float[5,1] x) => (float[5,1] y) { y = Gemm(x, w, b) }",
        {"w": f32(1, 1), "b": f32(1, 1)},
        [f32(5, 1)],
        {"Gemm": 2 * 5},
    ),
    "product that takes a transpose in": (
        "g (float[2,7,5] x, float[2,7,11] z) => (float[2,5,11] y) "
        "{ t = Transpose<perm=[0,2,1]>(x) y = MatMul(t, z) }",
        {},
        [f32(2, 7, 5), f32(2, 7, 11)],
        {"com.microsoft.FusedMatMul": 2 * (2 * 5 * 11) * 7},
    ),
    "convolution with groups": (
        "g (float[1,6,9,9] x) => (float[1,4,7,7] y) { y = Conv<group=2>(x, w, b) }",
        {"w": f32(4, 3, 3, 3), "b": f32(4)},
        [f32(1, 6, 9, 9)],
        {"Conv": 2 * (4 * 7 * 7) * (3 * 3 * 3)},
    ),
    "convolution in blocks": (
        "g (float[1,16,9,9] x) => (float[1,32,7,7] y) { c = Conv(x, w, b) y = Relu(c) }",
        {"w": f32(32, 16, 3, 3), "b": f32(32)},
        [f32(1, 16, 9, 9)],
        {"com.microsoft.nchwc.Conv": 2 * (32 * 7 * 7) * (16 * 3 * 3)},
    ),
    "transposed convolution": (
        "g (float[1,6,4,4] x) => (float[1,5,6,6] y) { y = ConvTranspose(x, w) }",
        {"w": f32(6, 5, 3, 3)},
        [f32(1, 6, 4, 4)],
        {"ConvTranspose": 2 * (6 * 4 * 4) * (5 * 3 * 3)},
    ),
    "recurrence in both directions": (
        'g (float[3,2,5] x) => (float[3,2,2,4] y) { y = LSTM<direction="bidirectional",'
        "hidden_size=4>(x, w, r) }",
        {"w": f32(2, 16, 5), "r": f32(2, 16, 4)},
        [f32(3, 2, 5)],
        {"LSTM": 2 * 3 * 2 * 2 * (16 * 5 + 16 * 4)},
    ),
    "attention of three dimensions": (
        "g (float[2,5,12] q, float[2,7,12] k, float[2,7,12] v) => (float[2,5,12] y) "
        "{ y = Attention<q_num_heads=3, kv_num_heads=3>(q, k, v) }",
        {},
        [f32(2, 5, 12), f32(2, 7, 12), f32(2, 7, 12)],
        {"Attention": 2 * 2 * 3 * 5 * 7 * 4 * 2},
    ),
    "attention of four dimensions": (
        "g (float[2,3,5,4] q, float[2,3,7,4] k, float[2,3,7,6] v) => (float[2,3,5,6] y) "
        "{ y = Attention(q, k, v) }",
        {},
        [f32(2, 3, 5, 4), f32(2, 3, 7, 4), f32(2, 3, 7, 6)],
        {"Attention": 2 * 2 * 3 * 5 * 7 * (4 + 6)},
    ),
    "attention of com.microsoft": (
        "g (float[2,5,12] q, float[2,7,12] k, float[2,7,12] v) => (float[2,5,12] y) "
        "{ y = com.microsoft.MultiHeadAttention<num_heads=3>(q, k, v) }",
        {},
        [f32(2, 5, 12), f32(2, 7, 12), f32(2, 7, 12)],
        {"com.microsoft.MultiHeadAttention": 2 * 2 * 3 * 5 * 7 * 4 * 2},
    ),
    "einsum": (
        "g (float[2,5,7] x, float[2,7,3] z) => (float[2,5,3] y) "
        '{ y = Einsum<equation="bij,bjk->bik">(x, z) }',
        {},
        [f32(2, 5, 7), f32(2, 7, 3)],
        {"Einsum": 2 * 2 * 5 * 7 * 3},
    ),
    "elementwise, a norm and what only moves": (
        "g (float[4,6] x) => (float[6,4] y) "
        "{ a = Add(x, x) n = LayerNormalization(a, s) y = Transpose(n) }",
        {"s": f32(6)},
        [f32(4, 6)],
        {"Add": 24, "LayerNormalization": 8 * 24, "Transpose": 0},
    ),
    "what has no formula": (
        "g (float[4,6] x) => (float[4,6] y) { a = Asinh(x) y = Add(a, x) }",
        {},
        [f32(4, 6)],
        {"Asinh": None, "Add": 24},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_operations_are_those_counted_by_hand(case, tmp_path):
    text, weights, inputs, expected = CASES[case]
    found = profile(save(tmp_path / "net.onnx", text, **weights), *inputs)
    counted = {node.operator: node.flops for node in found.nodes}
    assert {name: counted[name] for name in expected} == expected


def test_a_body_that_runs_again_and_again_counts_each_time(tmp_path):
    text = """g (float[4,4] x, int64 n, bool t) => (float[4,4] y) {
        y = Loop(n, t, x) <body = b (int64 i, bool c, float[4,4] s) => (bool d, float[4,4] r)
            { d = Identity(c) r = MatMul(s, w) }>
    }"""
    path = save(tmp_path / "net.onnx", text, w=f32(4, 4))
    found = profile(path, f32(4, 4), np.array(5), np.array(True))
    (product,) = (node for node in found.nodes if node.operator == "MatMul")
    assert (product.calls, product.flops) == (5, 5 * 2 * 4 * 4 * 4)


def test_attention_on_a_shared_buffer_has_no_number():
    """How much of the buffer is filled is not in the trace."""
    node = GraphNode("a", 0, "com.microsoft.GroupQueryAttention", ("q", "k", "v", "pk", "pv"))
    shapes = ((1, 2, 8), (1, 2, 8), (1, 2, 8), (1, 2, 64, 4), (1, 2, 64, 4))
    ran = Executed("a", "GroupQueryAttention", "cpu", inputs=shapes)
    ran.outputs = ((1, 2, 8), (1, 2, 64, 4), (1, 2, 64, 4))
    assert flops(ran, node, {}) is None
    ran.outputs = ((1, 2, 8), (1, 2, 66, 4), (1, 2, 66, 4))
    assert flops(ran, node, {}) == 2 * 2 * 66 * (8 + 8)


def test_shapes_that_do_not_fit_the_formula_give_no_number():
    ran = Executed("a", "Conv", "cpu", inputs=((1, 3, 4, 4),), outputs=((1, 3, 4, 4),))
    assert flops(ran, None, {}) is None
    weights = {"w": Weight((5, 3, 2, 2), 240)}
    assert flops(ran, GraphNode("a", 0, "Conv", ("x", "w")), weights) == 2 * 48 * 12


@pytest.mark.parametrize("operator", sorted({*FORMULAS, *BY_DOMAIN}))
def test_every_formula_takes_a_node_of_which_nothing_is_known(operator):
    ran = Executed("a", operator.rpartition(".")[2], "cpu", outputs=((),))
    assert flops(ran, GraphNode("a", 0, operator), {}) in (None, 0, *range(1, 21))


def test_a_packed_weight_is_not_taken_for_an_input_of_its_shape():
    """The trace has the first and the last input; the one between is packed by the kernel."""
    shapes = ((3, 2, 4), (1, 16, 4))
    ran = Executed("a", "LSTM", "cpu", inputs=shapes, outputs=((3, 1, 2, 4),))
    node = GraphNode("a", 0, "LSTM", ("x", "w", "r"))
    assert flops(ran, node, {"w": Weight((1, 16, 4), 256)}) == 2 * 3 * 2 * (16 * 4 + 16 * 4)
