"""The graph as it is read from the bytes, against what the onnx package reads."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper

from sardonyx.runtime import LoadError
from sardonyx.runtime.profiling.graph import read_graph, size

TEXT = """<ir_version: 10, opset_import: ["" : 23, "com.microsoft" : 1, "ours" : 1]>
g (float[2,3] x, int64 n, bool t) => (float[2,3] y) <float[3] w = {1, 2, 3}, float s = {2}> {
    a = Softmax<axis=-1>(x)
    b = com.microsoft.Gelu(a)
    c = Einsum<equation="ij,j->ij">(b, w)
    d = Clip(c, , s)
    e = ours.twice(d)
    y = Loop(n, t, e) <body = f (int64 i, bool k, float[2,3] u) => (bool l, float[2,3] v)
        <float[1] q = {5}> { l = Identity(k) v = Mul(u, q) }>
}
<domain: "ours", opset_import: ["" : 23]> twice (x) => (y) { y = Add(x, x) }"""


def test_it_is_what_onnx_reads():
    model = onnx.parser.parse_model(TEXT)
    model.graph.node[0].name = "first"
    helper.set_model_props(model, {"a": "b"})
    model.graph.node[1].metadata_props.add(key="sardonyx.source", value="net.é")
    found = read_graph(model.SerializeToString())
    operators = ["Softmax", "com.microsoft.Gelu", "Einsum", "Clip", "ours.twice", "Loop"]
    assert [node.operator for node in found.nodes] == [*operators, "Identity", "Mul"]
    assert [node.index for node in found.nodes] == [0, 1, 2, 3, 4, 5, 0, 1]
    body = next(a.g for a in model.graph.node[5].attribute if a.name == "body")
    for node, read in zip([*model.graph.node, *body.node], found.nodes, strict=True):
        assert (read.name, read.op_type) == (node.name, node.op_type)
        assert read.inputs == tuple(node.input)
        assert read.outputs == tuple(node.output)
    first, gelu, einsum, *_ = found.nodes
    assert first.attributes == {"axis": -1}
    assert einsum.attributes == {"equation": "ij,j->ij"}
    assert gelu.metadata == {"sardonyx.source": "net.é"}
    assert found.weights == {"w": ((3,), 12), "s": ((), 4), "q": ((1,), 4)}


@pytest.mark.parametrize(
    ("dtype", "size_in_bytes"),
    [
        (np.float32, 24), (np.float64, 48), (np.int64, 48), (np.int8, 6), (np.bool_, 6),
        (np.float16, 12), (ml_dtypes.bfloat16, 12), (ml_dtypes.int4, 3), (ml_dtypes.uint4, 3),
        (ml_dtypes.float8_e4m3fn, 6), (np.complex64, 48), (np.complex128, 96), (np.uint16, 12),
    ],
)  # fmt: skip
def test_weights_have_their_bytes(dtype, size_in_bytes):
    number = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    tensor = TensorProto(name="w", data_type=number, dims=[2, 3])
    graph = helper.make_graph([], "g", [], [], [tensor])
    weight = read_graph(helper.make_model(graph).SerializeToString()).weights["w"]
    assert weight == ((2, 3), size_in_bytes)
    assert size(weight.shape) == 6


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(LoadError, match="not an ONNX model"):
        read_graph(b"PK\x03\x04 not a model")
    with pytest.raises(LoadError, match="does not exist"):
        read_graph(tmp_path / "none.onnx")
