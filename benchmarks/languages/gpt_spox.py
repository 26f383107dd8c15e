"""A GPT block with a cache in spox."""

import numpy as np
import spox.opset.ai.onnx.v23 as op
from spox import Tensor, argument, build


def ints(*numbers):
    return op.constant(value=np.array(numbers, np.int64))


def size_of(x, axis):
    return op.shape(x, start=axis, end=axis + 1)


def linear(x, weight, bias):
    return op.add(op.matmul(x, op.transpose(weight, perm=[1, 0])), bias)


def attend(x, w, past, size, heads):
    rows = []
    for name in ("query", "key", "value"):
        row = linear(x, w[f"attention.{name}.weight"], w[f"attention.{name}.bias"])
        row = op.reshape(row, ints(0, 0, heads, size // heads))
        rows.append(op.transpose(row, perm=[0, 2, 1, 3]))
    query = rows[0]
    old = op.split(past, axis=0, num_outputs=2)
    key, value = (
        op.concat([op.squeeze(a, ints(0)), b], axis=2) for a, b in zip(old, rows[1:], strict=True)
    )
    one, zero = op.constant(value_int=1), op.constant(value_int=0)
    length, before = (op.squeeze(size_of(x, 1)), op.squeeze(size_of(past, 3)))
    keys = op.range(zero, op.add(length, before), one)
    places = op.unsqueeze(op.add(op.range(zero, length, one), before), ints(1))
    mixed, _, _, _ = op.attention(query, key, value, op.less_or_equal(keys, places))
    mixed = op.reshape(op.transpose(mixed, perm=[0, 2, 1, 3]), ints(0, 0, size))
    cache = op.concat([op.unsqueeze(key, ints(0)), op.unsqueeze(value, ints(0))], axis=0)
    return linear(mixed, w["attention.output.weight"], w["attention.output.bias"]), cache


def block(x, w, past, size, heads):
    near, _, _ = op.layer_normalization(x, w["ln_1.weight"], w["ln_1.bias"])
    mixed, cache = attend(near, w, past, size, heads)
    x = op.add(x, mixed)
    near, _, _ = op.layer_normalization(x, w["ln_2.weight"], w["ln_2.bias"])
    wide = linear(near, w["mlp.expand.weight"], w["mlp.expand.bias"])
    wide = op.gelu(wide, approximate="tanh")
    return op.add(x, linear(wide, w["mlp.project.weight"], w["mlp.project.bias"])), cache


def gpt_block(weights, size, heads):
    w = {name: op.constant(value=array) for name, array in weights.items()}
    x = argument(Tensor(np.float32, ("batch", "length", size)))
    past = argument(Tensor(np.float32, (2, "batch", heads, "before", size // heads)))
    output, cache = block(x, w, past, size, heads)
    return build({"x": x, "past": past}, {"output": output, "cache": cache})
