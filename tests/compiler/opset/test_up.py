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
    run,
)

# (opset, signature, body): every adapter of opset 8 and later, in each of its ways.
MODELS = {
    "softmax last axis": (11, "(float[2,3,4] x) => (float[2,3,4] y)", "y = Softmax<axis=2>(x)"),
    "softmax of rows": (11, "(float[2,3,4] x) => (float[2,3,4] y)", "y = Softmax<axis=1>(x)"),
    "softmax default axis": (7, "(float[2,3,4] x) => (float[2,3,4] y)", "y = Softmax(x)"),
    "softmax all": (12, "(float[2,3] x) => (float[2,3] y)", "y = Softmax<axis=0>(x)"),
    "softmax one wide axis": (9, "(float[2,5,1,1] x) => (float[2,5,1,1] y)", "y = Softmax(x)"),
    "softmax size 1": (9, "(float[2,1] x) => (float[2,1] y)", "y = Softmax(x)"),
    "softmax dynamic": (11, "(float[a,b,c] x) => (float[a,b,c] y)", "y = Softmax<axis=-2>(x)"),
    "log softmax": (11, "(float[2,3,4] x) => (float[2,3,4] y)", "y = LogSoftmax(x)"),
    "hardmax": (11, "(float[2,3,4] x) => (float[2,3,4] y)", "y = Hardmax(x)"),
    "squeeze": (11, "(float[1,3,1] x) => (float[1,3] y)", "y = Squeeze<axes=[2]>(x)"),
    "squeeze all": (11, "(float[1,3,1] x) => (float[3] y)", "y = Squeeze(x)"),
    "unsqueeze": (9, "(float[3] x) => (float[1,3,1] y)", "y = Unsqueeze<axes=[0,2]>(x)"),
    "reduce sum": (11, "(float[2,3,4] x) => (float[2,4] y)", "y = ReduceSum<axes=[1],keepdims=0>(x)"),
    "reduce sum all": (7, "(float[2,3] x) => (float[1,1] y)", "y = ReduceSum(x)"),
    "reduce l1": (13, "(float[2,3,4] x) => (float[2,1,1] y)", "y = ReduceL1<axes=[-1,1]>(x)"),
    "reduce mean": (11, "(float[2,3,4] x) => (float[2,1,1] y)", "y = ReduceMean<axes=[1,2]>(x)"),
    "reduce log sum exp": (17, "(float[2,3] x) => (float[2] y)", "y = ReduceLogSumExp<axes=[1],keepdims=0>(x)"),
    "reduce max": (12, "(float[2,3] x) => (float[1,3] y)", "y = ReduceMax<axes=[0]>(x)"),
    "split sizes": (11, "(float[2,5] x) => (float[2,2] y, float[2,3] z)", "y, z = Split<axis=1,split=[2,3]>(x)"),
    "split equal": (11, "(float[4,3] x) => (float[2,3] y, float[2,3] z)", "y, z = Split(x)"),
    "split equal 13": (13, "(float[2,4] x) => (float[2,2] y, float[2,2] z)", "y, z = Split<axis=-1>(x)"),
    "slice": (9, "(float[5,6] x) => (float[2,5] y)", "y = Slice<axes=[1,0],starts=[1,-3],ends=[9999,-1]>(x)"),
    "slice leading": (7, "(float[5,6] x) => (float[3,6] y)", "y = Slice<starts=[2],ends=[5]>(x)"),
    "top k": (9, "(float[3,7] x) => (float[3,2] y, int64[3,2] i)", "y, i = TopK<k=2>(x)"),
    "top k 10": (10, "(float[7,3] x, int64[1] k) => (float[n,3] y, int64[n,3] i)", "y, i = TopK<axis=0>(x, k)"),
    "pad": (9, "(float[2,3] x) => (float[4,5] y)", "y = Pad<pads=[1,0,1,2],value=1.5>(x)"),
    "pad zero": (7, "(float[2,3] x) => (float[3,3] y)", "y = Pad<pads=[1,0,0,0]>(x)"),
    "pad reflect": (10, "(float[2,3] x) => (float[2,6] y)", 'y = Pad<mode="reflect",pads=[0,1,0,2]>(x)'),
    "clip": (10, "(float[2,3] x) => (float[2,3] y)", "y = Clip<min=-0.25,max=1.0>(x)"),
    "clip below": (6, "(float[2,3] x) => (float[2,3] y)", "y = Clip<min=0.1>(x)"),
    "clip nothing": (7, "(float[2,3] x) => (float[2,3] y)", "y = Clip(x)"),
    "upsample nearest": (7, "(float[1,2,3,2] x) => (float[1,2,6,6] y)", "y = Upsample<scales=[1.0,1.0,2.0,3.0]>(x)"),
    "upsample linear": (8, "(float[1,2,3,2] x) => (float[1,2,6,4] y)", 'y = Upsample<mode="linear",scales=[1.0,1.0,2.0,2.0]>(x)'),
    "upsample fraction": (9, "(float[1,1,5,7] x) => (float[1,1,7,9] y)", "s = Constant<value=float[4]{1.0,1.0,1.5,1.3}>() y = Upsample(x, s)"),
    "resize up": (10, "(float[1,1,5,7] x) => (float[1,1,7,9] y)", "s = Constant<value=float[4]{1.0,1.0,1.5,1.3}>() y = Resize(x, s)"),
    "resize down": (10, "(float[1,1,5,7] x) => (float[1,1,3,3] y)", "s = Constant<value=float[4]{1.0,1.0,0.6,0.5}>() y = Resize(x, s)"),
    "resize mixed": (10, "(float[1,1,5,7] x) => (float[1,1,8,3] y)", "s = Constant<value=float[4]{1.0,1.0,1.7,0.5}>() y = Resize(x, s)"),
    "resize linear": (10, "(float[1,1,5,7] x) => (float[1,1,8,3] y)", 'y = Resize<mode="linear">(x, s)'),
    "resize computed": (10, "(float[1,1,5,7] x) => (float[1,1,8,3] y)", "y = Resize(x, s)"),
    "resize sizes": (11, "(float[1,1,5,7] x) => (float[1,1,8,3] y)", 'r = Constant<value=float[0]{}>() z = Constant<value=int64[4]{1,1,8,3}>() y = Resize<coordinate_transformation_mode="asymmetric",mode="nearest",nearest_mode="floor">(x, r, r, z)'),
    "resize half pixel nn": (11, "(float[1,1,5,7] x) => (float[1,1,8,10] y)", 'r = Constant<value=float[0]{}>() s = Constant<value=float[4]{1.0,1.0,1.7,1.5}>() y = Resize<coordinate_transformation_mode="tf_half_pixel_for_nn",nearest_mode="floor">(x, r, s)'),
    "resize crop": (11, "(float[1,1,5,7] x) => (float[1,1,3,4] y)", 'r = Constant<value=float[8]{0.0,0.0,0.2,0.1,1.0,1.0,0.7,0.9}>() e = Constant<value=float[0]{}>() z = Constant<value=int64[4]{1,1,3,4}>() y = Resize<coordinate_transformation_mode="tf_crop_and_resize",mode="linear">(x, r, e, z)'),
    "batch norm": (7, "(float[2,3,4] x, float[3] s, float[3] b, float[3] m) => (float[2,3,4] y)", "v = Exp(m) y = BatchNormalization<epsilon=0.01>(x, s, b, m, v)"),
    "batch norm 9": (9, "(float[2,3,4] x, float[3] s, float[3] b, float[3] m) => (float[2,3,4] y)", "v = Exp(m) y = BatchNormalization(x, s, b, m, v)"),
    "batch norm per element": (7, "(float[2,3,4] x, float[3,4] s, float[3,4] b, float[3,4] m) => (float[2,3,4] y)", "v = Exp(m) y = BatchNormalization<spatial=0,epsilon=0.1>(x, s, b, m, v)"),
    "dropout": (7, "(float[2,3] x) => (float[2,3] y)", "y = Dropout<ratio=0.3>(x)"),
    "scatter": (9, "(float[3,2] x, int64[1,2] i, float[1,2] u) => (float[3,2] y)", "y = Scatter<axis=0>(x, i, u)"),
    "roi align": (10, "(float[1,2,6,6] x) => (float[1,2,3,3] y)", "r = Constant<value=float[1,4]{0.3,0.7,4.1,5.3}>() b = Constant<value=int64[1]{0}>() y = RoiAlign<output_height=3,output_width=3,sampling_ratio=2>(x, r, b)"),
    "grid sample": (16, "(float[1,1,4,5] x, float[1,2,3,2] g) => (float[1,1,2,3] y)", 'y = GridSample<mode="bilinear",padding_mode="border">(x, g)'),
    "grid sample default": (16, "(float[1,1,4,5] x, float[1,2,3,2] g) => (float[1,1,2,3] y)", "y = GridSample(x, g)"),
    "grid sample cubic": (16, "(float[1,1,4,5] x, float[1,2,3,2] g) => (float[1,1,2,3] y)", 'y = GridSample<mode="bicubic",align_corners=1>(x, g)'),
    "dft": (17, "(float[2,6,3,1] x) => (float[2,6,3,2] y)", "y = DFT(x)"),
    "dft axis": (17, "(float[2,6,3,1] x) => (float[2,6,3,2] y)", "y = DFT<axis=2>(x)"),
    "dft one sided": (18, "(float[2,6,3,1] x) => (float[2,4,3,2] y)", "y = DFT<axis=1,onesided=1>(x)"),
    "group norm": (18, "(float[2,6,4] x, float[3] s, float[3] b) => (float[2,6,4] y)", "y = GroupNormalization<num_groups=3,epsilon=0.1>(x, s, b)"),
    "group norm dynamic": (20, "(float[n,c,l] x, float[3] s, float[3] b) => (float[n,c,l] y)", "y = GroupNormalization<num_groups=3>(x, s, b)"),
    "max pool": (7, "(float[1,2,7,5] x) => (float[1,2,3,2] y)", "y = MaxPool<kernel_shape=[3,2],strides=[2,2]>(x)"),
    "max pool ceil": (10, "(float[1,2,8,6] x) => (float[1,2,4,3] y)", "y = MaxPool<kernel_shape=[3,3],strides=[2,2],pads=[0,0,1,1],ceil_mode=1>(x)"),
    "average pool ceil": (10, "(float[1,2,8,6] x) => (float[1,2,4,3] y)", "y = AveragePool<kernel_shape=[3,3],strides=[2,2],pads=[0,0,1,1],ceil_mode=1,count_include_pad=1>(x)"),
    "average pool same": (7, "(float[1,2,7,5] x) => (float[1,2,4,3] y)", 'y = AveragePool<auto_pad="SAME_UPPER",kernel_shape=[3,3],strides=[2,2]>(x)'),
    "lp pool": (11, "(float[1,2,7,5] x) => (float[1,2,5,4] y)", "y = LpPool<kernel_shape=[3,2],p=3>(x)"),
    "arg max": (11, "(float[3,4] x) => (int64[3,1] y)", "y = ArgMax<axis=1>(x)"),
    "cast": (7, "(float[2,3] x) => (int64[2,3] y)", "y = Cast<to=7>(x)"),
    "depth to space": (9, "(float[1,8,2,3] x) => (float[1,2,4,6] y)", "y = DepthToSpace<blocksize=2>(x)"),
    "gemm": (9, "(float[2,3] a, float[4,3] b, float[4] c) => (float[2,4] y)", "y = Gemm<transB=1,alpha=0.5>(a, b, c)"),
    "reshape keeps": (8, "(float[2,3,4] x) => (float[2,12] y)", "s = Constant<value=int64[2]{0,-1}>() y = Reshape(x, s)"),
    "shape": (12, "(float[2,3,4] x) => (int64[3] y)", "y = Shape(x)"),
    "gru": (7, "(float[3,2,4] x, float[1,15,4] w, float[1,15,5] r) => (float[3,1,2,5] y, float[1,2,5] h)", "y, h = GRU<hidden_size=5>(x, w, r)"),
    "lstm": (7, "(float[3,2,4] x, float[1,20,4] w, float[1,20,5] r) => (float[3,1,2,5] y, float[1,2,5] h)", "y, h = LSTM<hidden_size=5>(x, w, r)"),
    "quantize": (10, "(float[2,3] x) => (float[2,3] y)", "s = Constant<value=float{0.05}>() z = Constant<value=uint8{7}>() q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z)"),
    "non max suppression": (10, "(float[1,4,4] x, float[1,1,4] s) => (int64[n,3] y)", "k = Constant<value=int64[1]{3}>() y = NonMaxSuppression(x, s, k)"),
    "one hot": (9, "(int64[4] x, float[2] v) => (float[4,3] y)", "d = Constant<value=int64{3}>() y = OneHot(x, d, v)"),
    "prelu": (7, "(float[2,3,4] x, float[3,1] s) => (float[2,3,4] y)", "y = PRelu(x, s)"),
    "constant of shape": (9, "(float[2,3] x) => (float[2,3] y)", "s = Shape(x) c = ConstantOfShape<value=float[1]{1.5}>(s) y = Add(x, c)"),
    "lrn": (7, "(float[1,5,2,2] x) => (float[1,5,2,2] y)", "y = LRN<size=3>(x)"),
    "instance norm": (7, "(float[2,3,4] x, float[3] s, float[3] b) => (float[2,3,4] y)", "y = InstanceNormalization(x, s, b)"),
}  # fmt: skip


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
        y = Resize<coordinate_transformation_mode="tf_half_pixel_for_nn",nearest_mode="ceil">(x, r, s)""",
    )
    with pytest.raises(UnsupportedError, match="tf_half_pixel_for_nn with nearest_mode=ceil"):
        raise_opset(ir.from_proto(proto))


def at_opset_16(proto):
    """ONNX Runtime has no kernel for RoiAlign of opset 22; its form of opset 16 is the same."""
    proto.opset_import[0].version = 16
    return proto
