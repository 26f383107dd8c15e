"""Tiny models for the runtime's tests, written in ONNX's text syntax."""

import onnx
import onnx.parser
from onnx import TensorProto, helper


def model(text: str, *, opset: int = 23, ir: int = 10, metadata: dict | None = None) -> bytes:
    """A model from the text of its graph, for example ``g (float[n] x) => (float[n] y) {...}``."""
    header = f'<ir_version: {ir}, opset_import: ["" : {opset}]>\n'
    proto = onnx.parser.parse_model(header + text)
    helper.set_model_props(proto, metadata or {})
    return proto.SerializeToString()


def unary(op: str, dtype: int, *, shape=("n",), out: int | None = None, **attributes) -> bytes:
    """One operator from an input ``x`` to an output ``y`` of the same shape."""
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["y"], **attributes)],
        "g",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", dtype if out is None else out, shape)],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    return proto.SerializeToString()


def typed(op: str, inputs: list, outputs: list) -> bytes:
    """A model of one operator whose inputs and outputs are given as ValueInfoProtos."""
    names = [[value.name for value in values] for values in (inputs, outputs)]
    graph = helper.make_graph([helper.make_node(op, *names)], "g", inputs, outputs)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    return proto.SerializeToString()


def sequence(name: str) -> onnx.ValueInfoProto:
    """A sequence of float32 matrices."""
    return helper.make_tensor_sequence_value_info(name, TensorProto.FLOAT, ["n", 2])


def optional(name: str) -> onnx.ValueInfoProto:
    """An optional float32 vector."""
    vector = helper.make_tensor_type_proto(TensorProto.FLOAT, ["n"])
    return helper.make_value_info(name, helper.make_optional_type_proto(vector))


def tensor(name: str, dtype: int, shape) -> onnx.ValueInfoProto:
    """A tensor."""
    return helper.make_tensor_value_info(name, dtype, shape)


AFFINE = """
g (float[batch, 3] x, float[3, out] w, float[out] b) => (float[batch, out] y, float[batch, out] z) {
    p = MatMul(x, w)
    y = Add(p, b)
    z = Neg(y)
}
"""

LOOP = """
g (int64 n, float x) => (float y) {
    go = Constant<value = bool {1}>()
    one = Constant<value = float {1}>()
    y = Loop(n, go, x) <body = b (int64 i, bool was, float a) => (bool still, float b) {
        still = Identity(was)
        b = Add(a, one)
    }>
}
"""
"""Adds 1 to x, n times: the value of an input says how long it takes."""
