"""The layout pass: which transposes go, which stay, and what it must not touch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.ir.verify import verify
from sardonyx.compiler.passes.layout import AssignLayouts
from tests.support.models import model, normal, positive, random_feeds
from tests.support.run import check_valid, run_ort

TO_NCHW = "Transpose <perm = [0, 3, 1, 2]>"
TO_NHWC = "Transpose <perm = [0, 2, 3, 1]>"


def assign(text, dims=None, **weights):
    """Run the pass on a model in ONNX text; demand the same answers and that it is done."""
    given = model(text, **weights)
    editor = Editor(given, Types.inferred(given))
    inputs = [random_feeds(given, dims, seed) for seed in range(2)]
    expected = [run_ort(given, feeds) for feeds in inputs]
    names = [value.name for value in given.graph.outputs]
    report = AssignLayouts().run(editor)
    verify(given)
    check_valid(given)
    assert [value.name for value in given.graph.outputs] == names
    for feeds, wanted in zip(inputs, expected, strict=True):
        for a, b in zip(run_ort(given, feeds), wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1, np.abs(b).max()))
    changes = editor.changes
    assert AssignLayouts().run(editor).applied == {}
    assert editor.changes == changes
    return given, report


def operators(given):
    return Counter(node.op_type for node in given.graph.all_nodes())


def transposes(given):
    return operators(given)["Transpose"]


def names_of(given):
    return [node.op_type for node in given.graph]


def test_a_channels_last_network_keeps_the_transposes_at_its_ends():
    """Convolution layers as TensorFlow's exporters write them, with a residual and a concat."""
    given, report = assign(
        f"""g (float[b,18,14,3] x) => (float[b,h,w,8] y) {{
            x0 = {TO_NCHW} (x)
            c1 = Conv <pads = [1,1,1,1]> (x0, w1)
            t1 = {TO_NHWC} (c1)
            a1 = Add (t1, b1)
            n1 = Mul (a1, s1)
            r1 = Relu (n1)
            x1 = {TO_NCHW} (r1)
            p1 = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x1)
            q1 = {TO_NHWC} (p1)
            x2 = {TO_NCHW} (q1)
            c2 = Conv <pads = [1,1,1,1]> (x2, w2)
            t2 = {TO_NHWC} (c2)
            a2 = Add (t2, b2)
            r2 = Clip (a2, zero, six)
            x3 = {TO_NCHW} (r2)
            c3 = Conv <pads = [1,1,1,1]> (x3, w2)
            t3 = {TO_NHWC} (c3)
            a3 = Add (t3, b2)
            s3 = Add (a3, q1)
            r3 = Relu (s3)
            k = Concat <axis = -1> (r3, r2)
            m = ReduceMean <keepdims = 1> (k, hw)
            e = HardSigmoid (m)
            z = Mul (k, e)
            f = Pad (z, pads)
            x4 = {TO_NCHW} (f)
            c4 = Conv (x4, w4)
            y = {TO_NHWC} (c4)
        }}""",
        dims={"b": 2},
        w1=normal(6, 3, 3, 3),
        w2=normal(6, 6, 3, 3),
        w4=normal(8, 12, 3, 3),
        b1=normal(6),
        s1=normal(1, 1, 1, 6),
        b2=normal(6, seed=1),
        zero=np.float32(0),
        six=np.float32(6),
        hw=np.array([1, 2]),
        pads=np.array([0, 1, 1, 0, 0, 1, 1, 0]),
    )
    assert transposes(given) == 2
    assert names_of(given)[0] == names_of(given)[-1] == "Transpose"
    assert any("transposes 5 -> 0, bytes" in site for site in report.applied["layout"])


CONVNEXT = f"""g (float[b,6,9,7] x) => (float[b,6,9,7] y) {{
    c = Conv <group = 6, pads = [3,3,3,3]> (x, depthwise)
    t = {TO_NHWC} (c)
    n = LayerNormalization <axis = -1> (t, scale, shift)
    h = MatMul (n, w1)
    a = Add (h, b1)
    g = Gelu (a)
    o = MatMul (g, w2)
    p = Add (o, shift)
    q = Mul (p, scale)
    u = {TO_NCHW} (q)
    y = Add (x, u)
}}"""
CONVNEXT_WEIGHTS = {
    "depthwise": normal(6, 1, 7, 7),
    "scale": normal(6),
    "shift": normal(6, seed=1),
    "w1": normal(6, 24),
    "b1": normal(24),
    "w2": normal(24, 6),
}


def test_a_convnext_block_is_at_its_minimum():
    given, report = assign(CONVNEXT, dims={"b": 2}, **CONVNEXT_WEIGHTS)
    assert transposes(given) == 2
    assert report.applied == {}


def test_a_channels_last_convnext_block_moves_only_what_the_convolution_needs():
    """The same block kept in channels last order, with every operator between transposes."""
    given, _ = assign(
        f"""g (float[b,9,7,6] x) => (float[b,9,7,6] y) {{
            x0 = {TO_NCHW} (x)
            c = Conv <group = 6, pads = [3,3,3,3]> (x0, depthwise)
            t = {TO_NHWC} (c)
            n = LayerNormalization <axis = -1> (t, scale, shift)
            h = MatMul (n, w1)
            h0 = {TO_NCHW} (h)
            a0 = Add (h0, b1)
            g0 = Gelu (a0)
            g = {TO_NHWC} (g0)
            o = MatMul (g, w2)
            q0 = {TO_NCHW} (o)
            z = Add (x0, q0)
            y = {TO_NHWC} (z)
        }}""",
        dims={"b": 2},
        **{**CONVNEXT_WEIGHTS, "b1": normal(24, 1, 1)},
    )
    assert transposes(given) == 2
    assert names_of(given)[0] == "Transpose"
    assert names_of(given)[-1] == "Add"


def test_swin_windows_stay_as_they_are():
    given, report = assign(
        """g (float[b,8,8,6] x) => (float[b,8,8,6] y) {
            n = LayerNormalization <axis = -1> (x, scale, scale)
            v = Reshape (n, split)
            t = Transpose <perm = [0, 1, 3, 2, 4, 5]> (v)
            w = Reshape (t, windows)
            m = MatMul (w, w1)
            u = Reshape (m, back)
            q = Transpose <perm = [0, 1, 3, 2, 4, 5]> (u)
            r = Reshape (q, whole)
            y = Add (x, r)
        }""",
        dims={"b": 2},
        scale=normal(6),
        w1=normal(6, 6),
        split=np.array([-1, 2, 4, 2, 4, 6]),
        windows=np.array([-1, 16, 6]),
        back=np.array([-1, 2, 2, 4, 4, 6]),
        whole=np.array([-1, 8, 8, 6]),
    )
    assert transposes(given) == 2
    assert report.applied == {}


def test_a_model_without_transposes_is_left_alone():
    _, report = assign(
        "g (float[2,3,4,5] x) => (y) { a = Relu(x) y = Softmax <axis = 1> (a) }",
    )
    assert report.applied == {}


THROUGH = {
    "Concat": "t0 = Concat <axis = 3> (t, t)",
    "Split": "t1, t2 = Split <axis = 1, num_outputs = 2> (t) t0 = Max (t1, t2)",
    "Softmax": "t0 = Softmax <axis = 1> (t)",
    "ReduceSum": "t0 = ReduceSum (t, one)",
    "Pad": 't0 = Pad <mode = "reflect"> (t, pads)',
    "Slice": "t0 = Slice (t, one, two, one)",
    "Resize": 't0 = Resize <mode = "nearest"> (t, , scales)',
    "Tile": "t0 = Tile (t, repeats)",
    "Expand": "t3 = ReduceSum (t, one) t4 = Shape (t) t0 = Expand (t3, t4)",
    "Gather": "t0 = Gather <axis = 1> (t, one)",
    "CumSum": "t0 = CumSum (t, row)",
    "LpNormalization": "t0 = LpNormalization <axis = 2> (t)",
    "PRelu": "t0 = PRelu (t, slope)",
    "Where": "t3 = Greater (t, half) t0 = Where (t3, t, half)",
    "Cast": "t3 = Cast <to = 11> (t) t0 = Cast <to = 1> (t3)",
    "TopK": "t0, t1 = TopK <axis = 1> (t, one)",
    "Squeeze": "t3 = ReduceSum (t, one) t4 = Squeeze (t3, one) t0 = Unsqueeze (t4, one)",
    "ArgMax": "t3 = ArgMax <axis = 3> (t) t0 = Cast <to = 1> (t3)",
}

OPERANDS = {
    "one": np.array([1]),
    "two": np.array([3]),
    "pads": np.array([0, 1, 2, 0, 0, 0, 1, 1]),
    "scales": np.array([1, 2, 1, 2], np.float32),
    "repeats": np.array([1, 2, 3, 1]),
    "row": np.array(1),
    "half": np.array(0.5, np.float32),
    "slope": normal(5, 4),
}


@pytest.mark.parametrize("name", THROUGH)
def test_transposes_cancel_across(name):
    text = THROUGH[name]
    given, _ = assign(
        f"""g (float[2,4,3,5] x) => (y) {{
            r = Sigmoid (x)
            t = {TO_NHWC} (r)
            {text}
            y = {TO_NCHW} (t0)
        }}""",
        **{name: array for name, array in OPERANDS.items() if f" {name}" in text},
    )
    assert transposes(given) == 0
    assert operators(given)[name] > 0


@pytest.mark.parametrize(
    ("operator", "order"),
    [
        ("Softmax <axis = -1>", ["Transpose", "Softmax", "ReduceSum"]),
        ("LeakyRelu <alpha = 0.3>", ["LeakyRelu", "ReduceSum", "Transpose"]),
    ],
)
def test_what_a_kernel_transposes_inside_counts(operator, order):
    """Only the sum would have to be transposed, if a softmax did not want its axis last."""
    given, _ = assign(
        f"""g (float[2,4,3,5] x) => (y) {{
            t = {TO_NHWC} (x)
            s = {operator} (t)
            y = ReduceSum (s, axes)
        }}""",
        axes=np.array([1]),
    )
    assert names_of(given) == order


def test_small_elements_are_transposed_rather_than_large_ones():
    given, _ = assign(
        f"""g (uint8[b,8,6,3] image) => (float[b,3,8,6] y) {{
            f = Cast <to = 1> (image)
            m = Sub (f, mean)
            y = {TO_NCHW} (m)
        }}""",
        dims={"b": 2},
        mean=normal(3),
    )
    assert names_of(given) == ["Transpose", "Cast", "Sub"]


def test_readers_in_the_other_order_share_one_transpose():
    """Three readers want channels last: carrying the Relus would make three transposes of one."""
    given, report = assign(
        f"""g (float[2,4,3,5] x) => (a, b, c) {{
            r = Conv (x, w)
            t = {TO_NHWC} (r)
            a = Relu (t)
            b = Tanh (t)
            c = Neg (t)
        }}""",
        w=normal(4, 4, 1, 1),
    )
    assert transposes(given) == 1
    assert report.applied == {}


def test_equal_and_chained_transposes_are_merged():
    given, report = assign(
        f"""g (float[2,4,3,5] x) => (a, b, c) {{
            r = Conv (x, w)
            t = {TO_NHWC} (r)
            u = {TO_NHWC} (r)
            a = MatMul (t, v)
            b = MatMul (u, v)
            s = Transpose <perm = [0, 2, 1, 3]> (t)
            d = Transpose <perm = [0, 2, 1, 3]> (s)
            c = MatMul (d, v)
        }}""",
        w=normal(4, 4, 1, 1),
        v=normal(4, 2),
    )
    assert transposes(given) == 1
    assert "merged" in report.applied["layout"][0]


def test_a_transpose_that_moves_nothing_costs_no_other_one():
    """Only an axis of length 1 moves between the two orders that are read."""
    given, _ = assign(
        """g (float[1,4,3,5] x) => (a, b) {
            r = Conv (x, w)
            t = Transpose <perm = [0, 2, 3, 1]> (r)
            u = Transpose <perm = [1, 0, 2, 3]> (t)
            a = MatMul (t, v)
            b = Flatten <axis = 1> (u)
        }""",
        w=normal(4, 4, 1, 1),
        v=normal(4, 2),
    )
    first, second = [node for node in given.graph if node.op_type == "Transpose"]
    assert second.inputs[0] is first.outputs[0]


def test_a_computed_vector_is_spread():
    given, _ = assign(
        f"""g (float[2,4,3,5] x, float[4] bias) => (y) {{
            r = Conv (x, w)
            t = {TO_NHWC} (r)
            v = Tanh (bias)
            s = Add (v, t)
            y = {TO_NCHW} (s)
        }}""",
        w=normal(4, 4, 1, 1),
    )
    assert transposes(given) == 0
    assert operators(given)["Unsqueeze"] == 1


def test_the_shape_of_a_moved_tensor_is_put_in_order():
    given, _ = assign(
        f"""g (float[b,4,h,5] x) => (y, float[2] s) {{
            r = Sigmoid (x)
            t = {TO_NHWC} (r)
            n = Relu (t)
            d = Shape <start = 1, end = 3> (n)
            s = Cast <to = 1> (d)
            y = {TO_NCHW} (n)
        }}""",
        dims={"b": 2, "h": 7},
    )
    assert operators(given) == {"Sigmoid": 1, "Relu": 1, "Shape": 1, "Gather": 1, "Cast": 1}


def test_scales_of_each_channel_follow_their_axis():
    given, _ = assign(
        f"""g (float[2,4,3,5] x) => (y) {{
            t = {TO_NHWC} (x)
            q = QuantizeLinear <axis = 3> (t, scale, zero)
            d = DequantizeLinear <axis = -1> (q, scale, zero)
            y = {TO_NCHW} (d)
        }}""",
        scale=positive(4) / 10,
        zero=np.array([100, 110, 120, 130], np.uint8),
    )
    assert transposes(given) == 0
    axes = [node.attributes["axis"].as_int() for node in given.graph]
    assert axes == [1, 1]


def test_inputs_and_outputs_keep_their_order():
    """Both sides are outputs: nothing can be saved."""
    given, report = assign(f"g (float[2,4,3,5] x) => (r, y) {{ r = Relu (x) y = {TO_NHWC} (r) }}")
    assert transposes(given) == 1
    assert report.applied == {}


def test_an_output_that_comes_back_to_an_input():
    given, _ = assign(f"g (float[2,4,3,5] x) => (y) {{ t = {TO_NHWC} (x) y = {TO_NCHW} (t) }}")
    assert operators(given) == {"Identity": 1}


def test_what_a_subgraph_reads_keeps_its_order():
    given, _ = assign(
        f"""g (float[2,4,3,5] x, bool c) => (y) {{
            r = Sigmoid (x)
            t = {TO_NHWC} (r)
            n = Relu (t)
            z = If (c) <
                then_branch = yes () => (p) {{ p = Neg (n) }},
                else_branch = no () => (q) {{ q = Identity (n) }}
            >
            y = {TO_NCHW} (z)
        }}"""
    )
    assert transposes(given) == 2


def test_transposes_inside_a_subgraph_cancel():
    given, _ = assign(
        f"""g (float[2,4,3,5] x, bool c) => (y) {{
            r = Sigmoid (x)
            y = If (c) <
                then_branch = yes () => (p) {{
                    t = {TO_NHWC} (r)
                    n = Add (t, bias)
                    p = {TO_NCHW} (n)
                }},
                else_branch = no () => (q) {{ q = Identity (r) }}
            >
        }}""",
        bias=normal(4),
    )
    assert transposes(given) == 0


def test_a_shared_constant_serves_both_orders():
    given, _ = assign(
        f"""g (float[2,4,4,4] x) => (y, z) {{
            t = {TO_NHWC} (x)
            a = Mul (t, w)
            y = {TO_NCHW} (a)
            b = Mul (x, w)
            z = MatMul (b, m)
        }}""",
        w=normal(4, 4),
        m=normal(4, 4),
    )
    assert transposes(given) == 0


def test_moved_operators_keep_their_sources():
    given = model(
        f"""g (float[2,4,3,5] x) => (y) {{
            t = {TO_NHWC} (x)
            a = Tanh (t)
            y = {TO_NCHW} (a)
        }}"""
    )
    provenance.set_source(given.graph[1], "encoder.act")
    AssignLayouts().run(Editor(given, Types.inferred(given)))
    (tanh,) = given.graph
    assert "encoder.act" in provenance.sources(tanh)
    assert "layout" in provenance.rules(tanh)


def test_symbolic_dims_count_as_the_option_says():
    """Whether the operand or the 50 rows taken of it are transposed depends on how long n is."""

    def order(symbol):
        given = model(
            """g (float[n,3] x) => (y) {
                r = Relu (x)
                t = Gather <axis = 0> (r, rows)
                y = Transpose <perm = [1, 0]> (t)
            }""",
            rows=np.arange(50) % 4,
        )
        AssignLayouts(symbol=symbol).run(Editor(given, Types.inferred(given)))
        return names_of(given)

    assert order(40) == ["Relu", "Transpose", "Gather"]
    assert order(60) == ["Relu", "Gather", "Transpose"]
