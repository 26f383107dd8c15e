"""Small ONNX models for the tests of the ONNX frontend, written as ONNX text."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

MLP = """<ir_version: 8, opset_import: ["": 17]>
main (float[batch,4] x) => (float[batch,2] y)
<float[4,2] w = {1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0}, float[2] b = {0.5,-0.5}>
{ h = MatMul(x, w)  s = Add(h, b)  y = Relu(s) }
"""

BRANCHES = """<ir_version: 8, opset_import: ["": 17]>
main (bool c, float[2,3] x) => (float[2,3] y)
{ n = Neg(x)
  y = If (c) <then_branch = yes () => (float[2,3] u) { u = Relu(n) },
              else_branch = no () => (float[2,3] v) { v = Abs(n) }> }
"""

CALLS = """<ir_version: 8, opset_import: ["": 17, "own": 1]>
main (float[2,3] x) => (float[2,3] y) { h = own.twice(x)  y = own.scaled <factor = 3.0> (h) }
<domain: "own", opset_import: ["": 17]>
twice (a) => (b) { b = Add(a, a) }
<domain: "own", opset_import: ["": 13, "own": 1]>
scaled <factor> (a) => (b)
{ f = Constant <value_float: float = @factor> ()  t = own.twice(a)  b = Mul(t, f) }
"""


def parse(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(text)


def plain(nodes, inputs=("x",), outputs=("y",), opset=17, **options):
    """A model of [2, 3] float values made of `(op, inputs, outputs)` rows."""
    made = [helper.make_node(op, list(i), list(o)) for op, i, o in nodes]
    graph = helper.make_graph(
        made,
        "main",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 3]) for n in inputs],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 3]) for n in outputs],
        **options,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
