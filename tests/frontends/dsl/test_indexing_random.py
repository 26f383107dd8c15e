"""Random keys on random shapes, sizes of 1 among them, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.frontends import dsl
from tests.frontends.dsl.support import agree

INDEX_SHAPES = [(), (2,), (2, 1), (1, 3), (2, 3)]


def random_slice(rng, size):
    start, stop = (
        None if rng.random() < 0.4 else int(rng.integers(-size - 2, size + 3)) for _ in range(2)
    )
    return slice(start, stop, rng.choice([None, 1, 2, -1, -2, 3]))


def random_key(rng, shape):
    """An index with ints, slices, index arrays, None and at most one Ellipsis."""
    kinds, used = [], 0
    for kind in rng.choice(
        ["none", "dots", "int", "slice", "slice", "array", "array"], rng.integers(1, 6)
    ):
        takes_axis = kind not in ("none", "dots")
        if (takes_axis and used == len(shape)) or (kind == "dots" and "dots" in kinds):
            continue
        used += takes_axis
        kinds.append(kind)
    key, axis = [], 0
    for kind in kinds:
        if kind == "none":
            key.append(None)
        elif kind == "dots":
            key.append(Ellipsis)
            axis += len(shape) - used
        else:
            size = shape[axis]
            axis += 1
            whole = rng.integers(-size, size, INDEX_SHAPES[rng.integers(len(INDEX_SHAPES))])
            made = {"int": int(rng.integers(-size, size)), "slice": random_slice(rng, size)}
            key.append(made.get(kind, whole))
    return tuple(key)


@pytest.mark.parametrize("seed", range(40))
def test_random_keys(seed):
    rng = np.random.default_rng(seed)
    for _ in range(5):
        shape = tuple(int(n) for n in rng.choice([1, 2, 3, 5], rng.integers(1, 5)))
        x, key = rng.standard_normal(shape).astype(np.float32), random_key(rng, shape)
        try:
            wanted = x[key]
        except IndexError:  # index arrays that do not broadcast together
            continue
        for dims in (shape, tuple(f"d{axis}" for axis in range(len(shape)))):
            model = dsl.model(x=dsl.f32[dims])(lambda x, key=key: x[key])
            agree(model, wanted, rtol=0, evaluators=("onnxruntime",), x=x)


KEYS = [
    np.s_[-3::-1], np.s_[-3:-3:-1], np.s_[-1:-1:-2], np.s_[-4:None:-2], np.s_[:-9:-1],
    np.s_[-1:0:-1], np.s_[-2:-9:-1], np.s_[1:-9:-1],
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_backward_slices_that_start_before_the_first_element(key, size):
    """Python keeps nothing there; ONNX alone would keep the first element."""
    x = np.arange(size, dtype=np.float32)
    for dims in (size, "n"):
        model = dsl.model(x=dsl.f32[dims])(lambda x: x[key])
        agree(model, x[key], rtol=0, evaluators=("onnxruntime",), x=x)


def test_an_ellipsis_parts_index_arrays_even_where_it_stands_for_no_axis():
    rows, columns = np.array([1, 0]), np.array([2, 2])
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    model = dsl.model(x=dsl.f32["a", "b", 4])(lambda x: x[:, rows, ..., columns])
    agree(model, x[:, rows, ..., columns], rtol=0, x=x)
