"""Raised models compute what they computed before: ONNX Runtime on the old and on the new one."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.errors import InvalidModelError, UnsupportedError
from sardonyx.compiler.opset import raise_opset
from tests.compiler.opset.oracle import (
    assert_same,
    checked,
    model,
    operators,
    random_inputs,
    read_models,
    run,
)

MODELS = read_models("up.txt")


def feeds_of(proto, name):
    feeds = random_inputs(proto, seed=len(name))
    if "s" in feeds and name in {"resize linear", "resize computed"}:
        feeds["s"] = np.array([1, 1, 1.7, 0.5], np.float32)
    if "k" in feeds:
        feeds["k"] = np.array([2])
    return feeds


def build(name):
    opset, signature, body = MODELS[name]
    if name in {"resize linear", "resize computed"}:
        signature = signature.replace(") =>", ", float[4] s) =>")
    return model(opset, signature, body)


@pytest.mark.parametrize("name", MODELS)
def test_a_raised_model_computes_the_same(name):
    proto = build(name)
    feeds = feeds_of(proto, name)
    raised = raise_opset(ir.from_proto(proto))
    assert raised.opset_imports[""] == 23
    new = checked(raised)
    if "roi align" in name:
        new = at_opset_16(new)
    assert_same(run(new, feeds), run(proto, feeds), rtol=1e-6, atol=1e-6)


# (signature, body, what it means): the forms of opset 6, which ONNX Runtime does not run.
ANCIENT = {
    "add along axis": (
        "(float[2,3,4] x, float[3] b) => (float[2,3,4] y)",
        "y = Add<axis=1,broadcast=1>(x, b)",
        lambda x, b: x + b[:, None],
    ),
    "mul along last axes": (
        "(float[2,3,4] x, float[3,4] b) => (float[2,3,4] y)",
        "y = Mul<broadcast=1>(x, b)",
        lambda x, b: x * b,
    ),
    "sub along negative axis": (
        "(float[2,3,4] x, float[3] b) => (float[2,3,4] y)",
        "y = Sub<axis=-2,broadcast=1>(x, b)",
        lambda x, b: x - b[:, None],
    ),
    "greater": (
        "(float[2,3] x, float[2] b) => (bool[2,3] y)",
        "y = Greater<axis=0,broadcast=1>(x, b)",
        lambda x, b: x > b[:, None],
    ),
    "prelu per channel": (
        "(float[2,3,4] x, float[3] s) => (float[2,3,4] y)",
        "y = PRelu(x, s)",
        lambda x, s: np.where(x < 0, x * s[:, None], x),
    ),
    "prelu shared": (
        "(float[2,3,4] x, float[1] s) => (float[2,3,4] y)",
        "y = PRelu(x, s)",
        lambda x, s: np.where(x < 0, x * s, x),
    ),
    "gemm": (
        "(float[2,3] a, float[3,4] b, float[4] c) => (float[2,4] y)",
        "y = Gemm<broadcast=1>(a, b, c)",
        lambda a, b, c: a @ b + c,
    ),
    "upsample": (
        "(float[1,1,2,3] x) => (float[1,1,4,9] y)",
        "y = Upsample<height_scale=2.0,width_scale=3.0>(x)",
        lambda x: x.repeat(2, 2).repeat(3, 3),
    ),
    "dropout": (
        "(float[2,3] x) => (float[2,3] y)",
        "y = Dropout<is_test=1,ratio=0.4>(x)",
        lambda x: x,
    ),
    "batch norm": (
        "(float[2,3,4] x, float[3] s, float[3] b, float[3] m) => (float[2,3,4] y)",
        "v = Exp(m) y = BatchNormalization<is_test=1,epsilon=0.1>(x, s, b, m, v)",
        lambda x, s, b, m: (
            (x - m[:, None]) / np.sqrt(np.exp(m)[:, None] + 0.1) * s[:, None] + b[:, None]
        ),
    ),
}


@pytest.mark.parametrize("name", ANCIENT)
def test_a_model_of_opset_6_means_what_it_meant(name):
    signature, body, meaning = ANCIENT[name]
    proto = model(6, signature, body, ir_version=3)
    feeds = random_inputs(proto, seed=3)
    new = checked(raise_opset(ir.from_proto(proto)))
    expected = np.asarray(meaning(*feeds.values()))
    assert_same(run(new, feeds), [expected], rtol=1e-6, atol=1e-6)


def test_operators_without_an_adapter_below_opset_6_are_refused():
    proto = model(
        4, "(float[2,3] x) => (float[6] y)", "r = Relu(x) y = Reshape<shape=[6]>(r)", ir_version=3
    )
    with pytest.raises(UnsupportedError, match=r"Reshape of opset 1 is too old"):
        raise_opset(ir.from_proto(proto))
    del proto.graph.node[1]
    proto.graph.node[0].output[0] = "y"
    proto.graph.output[0].type.CopyFrom(proto.graph.input[0].type)
    x = random_inputs(proto)["x"]
    new = checked(raise_opset(ir.from_proto(proto)))
    assert_same(run(new, {"x": x}), [np.maximum(x, 0)], rtol=0, atol=0)


def test_masks_of_old_dropouts_have_the_type_of_the_data():
    proto = model(7, "(float[2,3] x) => (float[2,3] y, float[2,3] m)", "y, m = Dropout(x)")
    x = random_inputs(proto)["x"]
    new = checked(raise_opset(ir.from_proto(proto)))
    assert_same(run(new, {"x": x}), [x, np.ones_like(x)], rtol=0, atol=0)


def test_batch_norm_that_updates_its_statistics_trains():
    proto = model(
        9,
        "(float[4,3,2] x, float[3] s, float[3] b, float[3] m, float[3] v)"
        " => (float[4,3,2] y, float[3] rm, float[3] rv)",
        "y, rm, rv, a, c = BatchNormalization<momentum=0.7>(x, s, b, m, v)",
    )
    feeds = random_inputs(proto)
    x, v = feeds["x"], np.abs(feeds["v"])
    feeds["v"] = v
    mean, var = x.mean((0, 2)), x.var((0, 2))
    column = (slice(None), None)
    y = (x - mean[column]) / np.sqrt(var[column] + 1e-5) * feeds["s"][column] + feeds["b"][column]
    expected = [y, feeds["m"] * 0.7 + mean * 0.3, v * 0.7 + var * 0.3]
    found = run(checked(raise_opset(ir.from_proto(proto))), feeds)
    assert_same(found, [e.astype(np.float32) for e in expected], rtol=1e-5, atol=1e-5)


def test_batch_norm_with_outputs_that_nobody_reads_is_inference():
    proto = model(
        9,
        "(float[4,3,2] x, float[3] s, float[3] b, float[3] m, float[3] v) => (float[4,3,2] y)",
        "y, rm, rv, a, c = BatchNormalization(x, s, b, m, v)",
    )
    feeds = random_inputs(proto)
    feeds["v"] = np.abs(feeds["v"])
    raised = raise_opset(ir.from_proto(proto))
    assert len(raised.graph.node(0).outputs) == 1
    m, v, s, b = (feeds[k][:, None] for k in "mvsb")
    expected = ((feeds["x"] - m) / np.sqrt(v + 1e-5) * s + b).astype(np.float32)
    assert_same(run(checked(raised), feeds), [expected], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("directions", ["", "<directions=[1]>"])
def test_a_scan_over_batches_becomes_two(directions):
    proto = model(
        8,
        "(float[2,3] init, float[2,4,3] xs) => (float[2,3] last, float[2,4,3] ys)",
        f"last, ys = Scan{directions}(, init, xs)",
    )
    body = model(8, "(float[3] s, float[3] x) => (float[3] t, float[3] y)",
                 "t = Add(s, x) y = Mul(s, x)").graph  # fmt: skip
    node = proto.graph.node[0]
    node.attribute.add(name="num_scan_inputs", i=1, type=2)
    node.attribute.add(name="body", type=5).g.CopyFrom(body)
    feeds = random_inputs(proto)
    raised = raise_opset(ir.from_proto(proto))
    xs = feeds["xs"][:, ::-1] if directions else feeds["xs"]
    state, ys = feeds["init"], []
    for step in range(4):
        ys.append(state * xs[:, step])
        state = state + xs[:, step]
    found = run(checked(raised), feeds)
    assert_same(found, [state, np.stack(ys, 1)], rtol=1e-6, atol=1e-6)


def test_sequences_of_different_lengths_are_refused():
    proto = model(
        8, "(int64[2] n, float[2,3] i, float[2,4,3] xs) => (float[2,3] z)", "z = Scan(n, i, xs)"
    )
    body = model(8, "(float[3] s, float[3] x) => (float[3] t)", "t = Add(s, x)").graph
    node = proto.graph.node[0]
    node.name = "loop"
    node.attribute.add(name="num_scan_inputs", i=1, type=2)
    node.attribute.add(name="body", type=5).g.CopyFrom(body)
    with pytest.raises(UnsupportedError, match=r"(?s)Scan of opset 8.*different lengths.*loop"):
        raise_opset(ir.from_proto(proto))


def test_subgraphs_are_raised_and_captures_stay():
    proto = model(
        11,
        "(bool c, float[2,3] x) => (float[2,1] y)",
        """b = Neg(x)
        y = If (c) <then_branch = t () => (float[2,1] u) { u = ReduceSum<axes=[1]>(b) },
                    else_branch = e () => (float[2,1] w)
                        { h = Softmax<axis=0>(b) w = ReduceMax<axes=[1]>(h) }>""",
    )
    raised = checked(raise_opset(ir.from_proto(proto)))
    for flag in (True, False):
        feeds = {"c": np.array(flag), "x": random_inputs(proto)["x"]}
        assert_same(run(raised, feeds), run(proto, feeds), rtol=1e-6, atol=1e-6)


FUNCTION = """<ir_version: 8, opset_import: ["": 13, "own": 1]>
g (float[2,3,4] x) => (float[2,1,4] y, float[2,3,4] z) {
  y = own.reduce <axes=[1]> (x)
  z = own.rows <axis=1> (x)
}
<domain: "own", opset_import: ["": 12]>
reduce <axes> (a) => (b) { n = Neg(a) b = ReduceMean <axes: ints = @axes> (n) }
<domain: "own", opset_import: ["": 12]>
rows <axis> (a) => (b) { b = Softmax <axis: int = @axis> (a) }
"""


def test_functions_are_raised_from_their_own_opset_and_keep_their_parameters():
    import onnx

    proto = onnx.parser.parse_model(FUNCTION)
    raised = raise_opset(ir.from_proto(proto))
    assert {f.opset_imports[""] for f in raised.functions.values()} == {23}
    feeds = random_inputs(proto)
    x = feeds["x"]
    rows = np.exp(x - x.max((1, 2), keepdims=True))
    expected = [-x.mean(1, keepdims=True), rows / rows.sum((1, 2), keepdims=True)]
    assert_same(run(checked(raised), feeds), expected, rtol=1e-5, atol=1e-6)


def test_one_node_stays_one_where_shapes_allow():
    for name in ("softmax last axis", "softmax one wide axis", "softmax size 1"):
        assert operators(raise_opset(ir.from_proto(build(name)))) == ["Softmax"]
    assert operators(raise_opset(ir.from_proto(build("max pool")))) == ["MaxPool"]
    assert operators(raise_opset(ir.from_proto(build("resize down")))) == ["Constant", "Resize"]


def test_names_types_and_origin_are_kept():
    proto = model(11, "(float[2,3,4] x) => (float[2,4] y)",
                  "h = Softmax(x) y = ReduceSum<axes=[1],keepdims=0>(h)")  # fmt: skip
    for node, name in zip(proto.graph.node, ("soft", "sum"), strict=True):
        node.name = name
        node.metadata_props.add(key="sardonyx.source", value=f"layer.{name}")
    raised = raise_opset(ir.from_proto(proto))
    assert [v.name for v in raised.graph.outputs] == ["y"]
    assert list(raised.graph.outputs[0].shape) == [2, 4]
    sources = {n.op_type: n.metadata_props["sardonyx.source"] for n in raised.graph}
    assert sources["Softmax"] == sources["Flatten"] == "layer.soft"
    assert sources["ReduceSum"] == sources["Constant"] == "layer.sum"
    assert raised.graph.node("sum").op_type == "ReduceSum"
    names = [v.name for n in raised.graph for v in n.outputs]
    assert len(set(names)) == len(names)
    assert raised.ir_version == 11


def test_raising_twice_changes_nothing():
    once = raise_opset(ir.from_proto(build("softmax of rows")))
    before = ir.to_proto(once)
    assert ir.to_proto(raise_opset(once)) == before


def test_left_out_outputs_stay_left_out():
    signature = "(float[3,2,4] x, float[1,15,4] w, float[1,15,5] r) => (float[1,2,5] h)"
    proto = model(6, signature, "y, h = GRU<hidden_size=5,output_sequence=0>(x, w, r)")
    proto.graph.node[0].output[0] = ""
    new = checked(raise_opset(ir.from_proto(proto)))
    assert list(new.graph.node[0].output) == ["", "h"]
    feeds = random_inputs(proto)
    newer = model(14, signature, "y, h = GRU<hidden_size=5>(x, w, r)")
    assert_same(run(new, feeds), run(newer, feeds), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("opset", "body", "error", "message"),
    [
        (11, "y = Gelu(x)", InvalidModelError, "Gelu is no operator of opset 11"),
        (12, "y = Upsample<scales=[2.0,2.0]>(x)", InvalidModelError, "Upsample .* of opset 12"),
        (12, "y = Nonsense(x)", UnsupportedError, "Nonsense is no operator of the standard"),
        (9999, "y = Relu(x)", UnsupportedError, "Opset 9999 is not supported"),
        (0, "y = Relu(x)", UnsupportedError, "Opset 0 is not supported"),
    ],
)
def test_what_no_opset_has_is_refused(opset, body, error, message):
    proto = model(opset, "(float[2,3] x) => (float[2,3] y)", body)
    with pytest.raises(error, match=message):
        raise_opset(ir.from_proto(proto))


def test_resize_modes_that_are_gone_are_refused():
    proto = model(
        11,
        "(float[1,1,2,2] x) => (float[1,1,4,4] y)",
        """s = Constant<value=float[4]{1.0,1.0,2.0,2.0}>() r = Constant<value=float[0]{}>()
        y = Resize<coordinate_transformation_mode="tf_half_pixel_for_nn",
                   nearest_mode="ceil">(x, r, s)""",
    )
    with pytest.raises(UnsupportedError, match="tf_half_pixel_for_nn with nearest_mode=ceil"):
        raise_opset(ir.from_proto(proto))


def at_opset_16(proto):
    """ONNX Runtime has no kernel for RoiAlign of opset 22; its form of opset 16 is the same."""
    proto.opset_import[0].version = 16
    return proto
