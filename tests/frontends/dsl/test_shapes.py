"""Reshaping, joining and sizes, at fixed and symbolic sizes."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.frontends import dsl
from tests.frontends.dsl.support import agree


def numbers(*shape):
    return np.random.default_rng(9).standard_normal(shape).astype(np.float32)


def operators(model):
    return [node.op_type for node in model.to_ir().graph]


RESHAPES = {
    "x.reshape(2, -1)": lambda x: x.reshape(2, -1),
    "x.reshape(-1)": lambda x: x.reshape(-1),
    "x.reshape(x.shape[0], -1)": lambda x: x.reshape(x.shape[0], -1),
    "x.reshape(x.shape[0] * x.shape[1], 6)": lambda x: x.reshape(-1, 6),
    "x.reshape('a', 'b', 2, 3)": lambda x: x.reshape(*x.shape[:2], 2, 3),
    "x.reshape((x.shape[0], x.shape[1], 3, 2))": lambda x: x.reshape(*x.shape[:2], 3, 2),
    "x.reshape(x.shape[1], x.shape[0], 6)": lambda x: x.reshape(x.shape[1], x.shape[0], 6),
    "x.reshape(1, 'b', x.shape[0], -1)": lambda x: x.reshape(1, x.shape[1], x.shape[0], -1),
    "x.reshape(x.shape[0] * 6, x.shape[1])": lambda x: x.reshape(-1, x.shape[1]),
    "x.reshape(x.shape[0] * 2, x.shape[1] * 3)": lambda x: x.reshape(x.shape[0] * 2, -1),
    "x.flatten()": lambda x: x.reshape(x.shape[0], -1),
    "x.flatten(0)": lambda x: x.reshape(-1),
    "x.flatten(0, 1)": lambda x: x.reshape(-1, 6),
    "x.flatten(-2)": lambda x: x.reshape(x.shape[0], -1),
    "x.permute(2, 0, 1)": lambda x: x.transpose(2, 0, 1),
    "x.permute((1, -1, 0))": lambda x: x.transpose(1, 2, 0),
    "x.transpose()": lambda x: x.swapaxes(1, 2),
    "x.transpose(0, -1)": lambda x: x.swapaxes(0, 2),
    "x.T": lambda x: x.T,
    "x.unsqueeze(0)": lambda x: x[None],
    "x.unsqueeze([1, -1]).squeeze([1, 4])": lambda x: x,
    "dsl.tile(x, 2, 1, 3)": lambda x: np.tile(x, (2, 1, 3)),
    "x[:1].expand(4, -1, 6)": lambda x: np.broadcast_to(x[:1], (4, *x.shape[1:])),
    "x[:, :1].expand(3, x.shape[0], 'b', 6)": lambda x: np.broadcast_to(x[:, :1], (3, *x.shape)),
    "dsl.pad(x, [0, (1, 2), 1])": lambda x: np.pad(x, [(0, 0), (1, 2), (1, 1)]),
    "dsl.pad(x, [0, 0, (1, 2)], 'reflect')": lambda x: np.pad(
        x, [(0, 0), (0, 0), (1, 2)], "reflect"
    ),
    "dsl.pad(x, [0, 0, 1], value=2.5)": lambda x: np.pad(
        x, [(0, 0), (0, 0), (1, 1)], constant_values=2.5
    ),
    "dsl.concat([x, x[:, :1]], axis=1)": lambda x: np.concatenate([x, x[:, :1]], 1),
    "dsl.stack([x, -x], axis=-1)": lambda x: np.stack([x, -x], -1),
    "dsl.stack([x, -x])": lambda x: np.stack([x, -x]),
    "dsl.concat(dsl.split(x, 3), axis=0)": lambda x: np.concatenate(np.split(x, 3, -1), 0),
    "dsl.split(x, [1, 5])[1]": lambda x: x[..., 1:],
    "dsl.gather(x, [[0, -1]], axis=1)": lambda x: x[:, [[0, -1]]],
    "x / x.shape[0]": lambda x: x / np.float32(x.shape[0]),
    "x * (x.shape[0] + 2 * x.shape[1] - 1)": lambda x: (
        x * np.float32(x.shape[0] + 2 * x.shape[1] - 1)
    ),
    "x * -(-x.shape[1] // 2)": lambda x: x * np.float32(-(-x.shape[1] // 2)),
    "x * (x.shape[0] % 2)": lambda x: x * np.float32(x.shape[0] % 2),
    "x + dsl.arange(x.shape[1]).cast('f32')[:, None]": lambda x: (
        x + np.arange(x.shape[1], dtype=np.float32)[:, None]
    ),
    "x + dsl.arange(1, 7, dtype=dsl.f32)": lambda x: x + np.arange(1, 7, dtype=np.float32),
    "dsl.full((x.shape[1], 2), 3)": lambda x: np.full((x.shape[1], 2), 3, np.float32),
    "x + dsl.ones(('a', 1, 1))": lambda x: x + 1,
    "dsl.zeros((2, 3), dsl.i32)": lambda x: np.zeros((2, 3), np.int32),
    "x.cast(dsl.i32).astype('float64')": lambda x: x.astype(np.int32).astype(np.float64),
}


@pytest.mark.parametrize("shape", [(2, 4, 6), (1, 1, 6), (3, 2, 6)])
@pytest.mark.parametrize("kind", ["fixed", "symbolic"])
@pytest.mark.parametrize("expression", RESHAPES)
def test_shapes(expression, kind, shape):
    names = {"'a'": str(shape[0]), "'b'": str(shape[1])} if kind == "fixed" else {}
    text = expression
    for name, size in names.items():
        text = text.replace(name, size)
    spec = dsl.f32[shape] if kind == "fixed" else dsl.f32["a", "b", 6]
    if shape[0] != 2 and expression == "x.reshape(2, -1)":
        spec = dsl.f32["a", "b", 6]
    x = numbers(*shape)
    model = dsl.model(x=spec)(eval("lambda x: " + text, {"dsl": dsl}))
    agree(model, np.asarray(RESHAPES[expression](x)), rtol=1e-6, x=x)


def test_a_reshape_by_own_sizes_needs_no_computed_shape():
    @dsl.model(x=dsl.f32["batch", "length", 12])
    def heads(x):
        b, s, _ = x.shape
        return x.reshape(b, s, 3, 4).transpose(1, 2).transpose(1, 2).reshape(b * s, 12)

    assert operators(heads) == ["Reshape", "Transpose", "Transpose", "Reshape"]
    assert [str(d) for d in heads.to_ir().graph.outputs[0].shape] == ["batch*length", "12"]


def test_an_empty_batch():
    @dsl.model(x=dsl.f32["batch", "length", 12])
    def swapped(x):
        b, s, _ = x.shape
        return x.reshape(s, b, 3, 4), x.reshape(b, s, 4, 3), x.reshape(b * s, 12)

    x = numbers(0, 5, 12)
    wanted = [x.reshape(5, 0, 3, 4), x.reshape(0, 5, 4, 3), x.reshape(0, 12)]
    agree(swapped, wanted, rtol=0, x=x)


def test_sizes_are_known_to_be_equal_or_not():
    @dsl.model(x=dsl.f32["n", "2*m", 3])
    def sizes(x):
        n, even, three = x.shape
        assert isinstance(n, dsl.Dim)
        assert (str(n), str(even), three) == ("n", "2*m", 3)
        assert n == x.shape[0]
        assert n != even
        assert n + 1 != n
        assert n + even - n == even
        assert n - n == 0
        assert even // 2 * 2 == even
        assert 2 * n == n + n
        assert str((n + 1) * 2) == "2*n + 2"
        assert (x.rank, x.ndim) == (3, 3)
        assert x.dtype == dsl.f32
        return x

    assert operators(sizes) == ["Identity"]


def test_iteration_goes_along_a_fixed_first_axis():
    model = dsl.model(x=dsl.f32[3, "n"])(lambda x: sum(row * (i + 1) for i, row in enumerate(x)))
    x = numbers(3, 2)
    agree(model, x[0] + 2 * x[1] + 3 * x[2], rtol=1e-6, x=x)


def test_a_large_tensor_of_one_number_is_not_kept_in_the_file():
    @dsl.model(x=dsl.f32["n", 300])
    def shifted(x):
        return x @ dsl.full((300, 200), 0.5) + dsl.ones((200,))

    x = numbers(2, 300)
    wanted = np.repeat(x.sum(1, keepdims=True) * np.float32(0.5) + 1, 200, 1)
    agree(shifted, wanted, rtol=1e-5, x=x)
    assert len(shifted.to_onnx().SerializeToString()) < 4000
