"""LeNet-5 in onnxscript."""

# ruff: noqa: F821, PLR0917

import onnx
from onnxscript import FLOAT, script
from onnxscript import opset23 as op


@script(default_opset=op)
def network(
    x: FLOAT["batch", 1, 28, 28],
    w1: FLOAT[6, 1, 5, 5],
    b1: FLOAT[6],
    w2: FLOAT[16, 6, 5, 5],
    b2: FLOAT[16],
    w3: FLOAT[120, 400],
    b3: FLOAT[120],
    w4: FLOAT[84, 120],
    b4: FLOAT[84],
    w5: FLOAT[10, 84],
    b5: FLOAT[10],
) -> FLOAT["batch", 10]:
    c1 = op.Tanh(op.Conv(x, w1, b1, pads=[2, 2, 2, 2]))
    p1 = op.AveragePool(c1, kernel_shape=[2, 2], strides=[2, 2])
    p2 = op.AveragePool(op.Tanh(op.Conv(p1, w2, b2)), kernel_shape=[2, 2], strides=[2, 2])
    h1 = op.Tanh(op.Gemm(op.Flatten(p2), w3, b3, transB=1))
    h2 = op.Tanh(op.Gemm(h1, w4, b4, transB=1))
    return op.Gemm(h2, w5, b5, transB=1)


def lenet5(weights):
    model = network.to_model_proto()
    for value, array in zip(model.graph.input[1:], weights.values(), strict=True):
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))
    return model
