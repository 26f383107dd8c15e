"""LeNet-5 in spox."""

import numpy as np
import spox.opset.ai.onnx.v23 as op
from spox import Tensor, argument, build


def lenet5(weights):
    w = {name: op.constant(value=array) for name, array in weights.items()}
    image = argument(Tensor(np.float32, ("batch", 1, 28, 28)))
    x = op.conv(image, w["conv.weight"], w["conv.bias"], pads=[2, 2, 2, 2])
    x = op.average_pool(op.tanh(x), kernel_shape=[2, 2], strides=[2, 2])
    x = op.conv(x, w["conv_1.weight"], w["conv_1.bias"])
    x = op.average_pool(op.tanh(x), kernel_shape=[2, 2], strides=[2, 2])
    x = op.gemm(op.flatten(x), w["linear.weight"], w["linear.bias"], transB=1)
    x = op.gemm(op.tanh(x), w["linear_1.weight"], w["linear_1.bias"], transB=1)
    x = op.gemm(op.tanh(x), w["linear_2.weight"], w["linear_2.bias"], transB=1)
    return build({"x": image}, {"output": x})
