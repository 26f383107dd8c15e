"""`x[...]` means what numpy means by it, at fixed and at symbolic sizes."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.frontends import dsl
from tests.frontends.dsl.support import agree, run

IDX = np.array([[0, -1], [2, 1]])
COLUMN = np.array([[1], [0]])
KEYS = """
x[1] | x[-1] | x[1:] | x[:, ::2] | x[:, ::-1] | x[..., 1:-1] | x[None] | x[:, None, 2]
x[1:3, ..., -2] | x[::-1, 3:0:-2] | x[:, :20] | x[:, 9:] | x[5:2] | x[-2:] | x[:, -3:-1]
x[:-9] | x[-9:] | x[:2, 1:, -1:] | x[:, 4:1] | x[..., ::3] | x[1:-1:2] | x[0, 0, 0] | x[()] | x[...]
x[:, -2::-1] | x[:, 3::-1] | x[:, :1:-1] | x[:, 10:0:-1] | x[None, ..., None, 1] | x[np.int64(2)]
x[IDX] | x[:, IDX] | x[IDX, :, 1] | x[1, :, IDX] | x[1, IDX] | x[:, 1, IDX] | x[[0, 2]]
x[IDX, IDX] | x[:, IDX, IDX] | x[IDX, :, IDX] | x[IDX, 1, IDX] | x[None, IDX, 1] | x[IDX, None, 1]
x[:, None, IDX, None] | x[..., np.array(2)] | x[:, 1:4, IDX] | x[::2, IDX, IDX, None]
x[1:2, None, IDX] | x[0, IDX, IDX] | x[0, :, IDX, None] | x[:, IDX, None, IDX] | x[COLUMN, :, IDX]
x[COLUMN, IDX, np.array([3, -2])] | x[:, COLUMN, IDX] | x[IDX, None, :, COLUMN]
"""
EXPRESSIONS = [key.strip() for line in KEYS.strip().splitlines() for key in line.split("|")]
SPECS = {"fixed": dsl.f32[3, 5, 7], "symbolic": dsl.f32["a", "b", "c"]}
KNOWN = {"IDX": IDX, "COLUMN": COLUMN, "np": np}


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_indexing(expression, kind):
    x = np.random.default_rng(1).standard_normal((3, 5, 7)).astype(np.float32)
    model = dsl.model(x=SPECS[kind])(eval("lambda x: " + expression, KNOWN))
    agree(model, eval(expression, {"x": x, **KNOWN}), rtol=0, x=x)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 6, 2), (4, 1, 9)])
@pytest.mark.parametrize(
    "expression",
    ["x[:, 1:]", "x[:, :-1]", "x[::2]", "x[-1:]", "x[:, :4]", "x[1:3]", "x[..., -2:]", "x[0]"],
)
def test_symbolic_sizes_hold_at_other_shapes(expression, shape):
    """`agree` compares the declared sizes with those that come out, too."""
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    model = dsl.model(x=SPECS["symbolic"])(eval("lambda x: " + expression))
    agree(model, eval(expression, {"x": x}), rtol=0, x=x)


@pytest.mark.parametrize("length", [1, 4, 6])
def test_bounds_and_indices_computed_in_the_graph(length):
    @dsl.model(x=dsl.f32["n", 6], y=dsl.f32["m"], i=dsl.i64[()])
    def slices(x, y, i):
        m = y.shape[0]
        return x[:, :m], x[i], x[:, i : i + 2], x[..., m - 1], x[:, : x.shape[0] // 2], x[:, i:]

    rng = np.random.default_rng(3)
    x = rng.standard_normal((5, 6)).astype(np.float32)
    y = rng.standard_normal(length).astype(np.float32)
    wanted = [x[:, :length], x[3], x[:, 3:5], x[:, length - 1], x[:, :2], x[:, 3:]]
    agree(slices, wanted, rtol=0, x=x, y=y, i=np.array(3))


def test_what_keeps_everything_makes_no_nodes():
    @dsl.model(x=dsl.f32["n", 6])
    def same(x):
        return dsl.relu(x[:][..., :6][:, 0:][()])

    assert [n.op_type for n in same.to_ir().graph] == ["Relu"]


def test_slices_that_are_made_of_fixed_bounds_keep_sizes_true():
    """A bound may lie outside of a symbolic size, so the size is not the bound."""

    @dsl.model(x=dsl.f32["n", 6])
    def first_five(x):
        return x[:5]

    assert str(first_five.to_ir().graph.outputs[0].shape[0]) == "Min(5, n)"
    x = np.ones((3, 6), np.float32)
    agree(first_five, x, rtol=0, x=x)


def test_index_tensors_of_one_shape_are_not_spread():
    """Every node that indexing makes is read, and none moves axes to where they are."""

    @dsl.model(x=dsl.f32["rows", 4, 3], i=dsl.i64["n"], j=dsl.i64["n"])
    def net(x, i, j):
        return x[i, j]

    made = [node.op_type for node in net.to_ir().graph]
    assert "GatherND" in made
    assert not {"Shape", "Add", "Expand", "Transpose"} & set(made)
    x = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    i, j = np.array([1, 0, 1]), np.array([3, 2, 0])
    for (got,) in run(net, x=x, i=i, j=j).values():
        np.testing.assert_array_equal(got, x[i, j])
