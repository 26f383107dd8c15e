"""A GPT block with a cache in onnxscript."""

# ruff: noqa: F821, PLR0917

import onnx
from onnxscript import FLOAT, script
from onnxscript import opset23 as op


@script(default_opset=op)
def linear(x, weight, bias):
    return op.MatMul(x, op.Transpose(weight, perm=[1, 0])) + bias


@script(default_opset=op)
def heads_of(x, shape):
    return op.Transpose(op.Reshape(x, shape), perm=[0, 2, 1, 3])


def make_block(size, heads):
    @script(default_opset=op)
    def block(
        x: FLOAT["batch", "length", size],
        past: FLOAT[2, "batch", heads, "before", size // heads],
        qw: FLOAT[size, size],
        qb: FLOAT[size],
        kw: FLOAT[size, size],
        kb: FLOAT[size],
        vw: FLOAT[size, size],
        vb: FLOAT[size],
        ow: FLOAT[size, size],
        ob: FLOAT[size],
        n1w: FLOAT[size],
        n1b: FLOAT[size],
        n2w: FLOAT[size],
        n2b: FLOAT[size],
        ew: FLOAT[4 * size, size],
        eb: FLOAT[4 * size],
        pw: FLOAT[size, 4 * size],
        pb: FLOAT[size],
    ):
        near = op.LayerNormalization(x, n1w, n1b)
        split = op.Constant(value_ints=[0, 0, heads, size // heads])
        query = heads_of(linear(near, qw, qb), split)
        first = op.Constant(value_ints=[0])
        old_key, old_value = op.Split(past, num_outputs=2)
        key = op.Concat(op.Squeeze(old_key, first), heads_of(linear(near, kw, kb), split), axis=2)
        value = op.Concat(
            op.Squeeze(old_value, first), heads_of(linear(near, vw, vb), split), axis=2
        )
        length = op.Squeeze(op.Shape(x, start=1, end=2))
        before = op.Squeeze(op.Shape(past, start=3, end=4))
        keys = op.Range(0, length + before, 1)
        places = op.Unsqueeze(op.Range(0, length, 1) + before, op.Constant(value_ints=[1]))
        mixed = op.Attention(query, key, value, keys <= places)
        joined = op.Constant(value_ints=[0, 0, size])
        flat = op.Reshape(op.Transpose(mixed, perm=[0, 2, 1, 3]), joined)
        y = x + linear(flat, ow, ob)
        wide = op.Gelu(linear(op.LayerNormalization(y, n2w, n2b), ew, eb), approximate="tanh")
        cache = op.Concat(op.Unsqueeze(key, first), op.Unsqueeze(value, first), axis=0)
        return y + linear(wide, pw, pb), cache

    return block


def gpt_block(weights, size, heads):
    model = make_block(size, heads).to_model_proto()
    order = ["attention.query", "attention.key", "attention.value", "attention.output"]
    order += ["ln_1", "ln_2", "mlp.expand", "mlp.project"]
    names = [f"{layer}.{part}" for layer in order for part in ("weight", "bias")]
    for value, name in zip(model.graph.input[2:], names, strict=True):
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights[name], value.name))
    return model
