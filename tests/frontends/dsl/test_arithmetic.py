"""Operators and broadcasting mean what numpy means by them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sardonyx.frontends import dsl
from tests.frontends.dsl.support import agree

FLOAT = """
x+y | x-y | y-2 | 2-y | x*2.5 | x/y | 1/y | x//y | x%y | x**2 | abs(x)**y | 2.0**x | -x | +x
x<y | x<=0 | x==y | x!=y | x>y | x>=y | (x<y)&(y>0) | (x<y)|(y>0) | (x<y)^(y>0) | ~(x<y)
x//0.3 | x%-0.7 | 2//y | 2%y | x+row | row*x | x-scalar | x*np.float64(2) | abs(x) | x+True
""".replace("\n", "|").split("|")
WHOLE = """
i+j | i-j | i*3 | i//j | i%j | 7//j | 7%j | i//-3 | i%-3 | i**2 | -i | abs(i) | i<j | i!=4 | i&j
i|j | i^j | ~i | i*j-1 | i==j
""".replace("\n", "|").split("|")


def expressions(listed):
    return [item.strip() for item in listed if item.strip()]


@pytest.mark.parametrize("expression", expressions(FLOAT))
def test_floats(expression):
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((2, 3, 1, 4)).astype(np.float32)
    y = np.where(np.abs(y) < 0.1, np.float32(0.5), y)
    known = {"row": x[:1, 0] + 1, "scalar": np.float32(2), "np": np}
    function = eval("lambda x, y: " + expression, known)
    wanted = np.asarray(function(x, y))
    model = dsl.model(x=dsl.f32["n", 1, 4], y=dsl.f32["n", 1, 4])(function)
    wanted = wanted.astype(np.float32) if wanted.dtype == np.float64 else wanted
    agree(model, wanted, rtol=1e-6, x=x, y=y)


@pytest.mark.parametrize("dtype", ["i64", "i32"])
@pytest.mark.parametrize("expression", expressions(WHOLE))
def test_integers(expression, dtype):
    rng = np.random.default_rng(5)
    kind = getattr(dsl, dtype)
    i = rng.integers(-20, 20, (5, 4)).astype(kind.numpy)
    j = rng.integers(1, 9, (5, 4)).astype(kind.numpy) * rng.choice([-1, 1], (5, 4))
    j = j.astype(kind.numpy)
    function = eval("lambda i, j: " + expression)
    model = dsl.model(i=kind["n", 4], j=kind["n", 4])(function)
    agree(model, np.asarray(function(i, j)), rtol=0, i=i, j=j)


def test_floor_division_of_floats_is_exact_where_rounding_the_quotient_is_not():
    x, y = np.array([1.0, -1.0, 6.3], np.float32), np.array([0.1, 0.1, 0.7], np.float32)
    model = dsl.model(x=dsl.f32[3], y=dsl.f32[3])(lambda x, y: x // y)
    agree(model, x // y, rtol=0, x=x, y=y)


SHAPES = [(), (1,), (4,), (3, 1), (3, 4), (1, 4), (2, 1, 4), (2, 3, 1), (1, 1, 1)]


@pytest.mark.parametrize("kind", ["fixed", "symbolic"])
@pytest.mark.parametrize(("a", "b"), list(itertools.combinations_with_replacement(SHAPES, 2)))
def test_broadcasting(a, b, kind):
    rng = np.random.default_rng(6)
    x, y = (np.asarray(rng.standard_normal(s), np.float32) for s in (a, b))

    def spec(shape):
        names = {2: "p", 3: "q", 4: "r"}
        return dsl.f32[tuple(names.get(n, n) if kind == "symbolic" else n for n in shape)]

    model = dsl.model(x=spec(a), y=spec(b))(lambda x, y: (x + y, dsl.where(x > 0, x, y)))
    agree(model, [x + y, np.where(x > 0, x, y)], rtol=1e-7, x=x, y=y)


MATRICES = [
    ((4,), (4,)), ((4,), (4, 2)), ((3, 4), (4,)), ((3, 4), (4, 2)), ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (1, 4, 5)), ((1, 1, 4), (2, 4, 1)), ((5, 1, 3, 4), (2, 4, 3)), ((3, 4), (6, 4, 2)),
    ((2, 3, 4), (4,)), ((4,), (2, 4, 3)),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["fixed", "symbolic"])
@pytest.mark.parametrize(("a", "b"), MATRICES)
def test_matrix_products(a, b, kind):
    rng = np.random.default_rng(7)
    x, y = (rng.standard_normal(s).astype(np.float32) for s in (a, b))

    def spec(shape):
        return dsl.f32[tuple(f"s{n}" if kind == "symbolic" and n > 1 else n for n in shape)]

    model = dsl.model(x=spec(a), y=spec(b))(lambda x, y: x @ y)
    agree(model, x @ y, rtol=1e-6, x=x, y=y)


def test_two_sizes_that_may_be_one_get_a_name_of_their_own():
    """n + 2m elements against n elements: neither name is true of the result for sure."""

    @dsl.model(x=dsl.f32["n"], y=dsl.f32["2*m"])
    def added(x, y):
        return x + y

    x, y = np.ones(1, np.float32), np.ones(4, np.float32)
    agree(added, x + y, rtol=0, x=x, y=y)
    assert str(added.to_ir().graph.outputs[0].shape[0]) not in ("n", "2*m")


def test_arrays_on_the_left_leave_the_operator_to_the_tensor():
    row = np.arange(4, dtype=np.float32)
    model = dsl.model(x=dsl.f32["n", 4])(lambda x: row - x)
    x = np.ones((2, 4), np.float32)
    agree(model, row - x, rtol=0, x=x)


@pytest.mark.parametrize("dtype", ["f16", "f64", "bf16"])
def test_a_number_takes_the_dtype_of_the_tensor(dtype):
    kind = getattr(dsl, dtype)
    model = dsl.model(x=kind["n"])(lambda x: (1 + x * 2.5) / 3)
    assert model.to_ir().graph.outputs[0].dtype == kind.code


def test_reductions_and_others():
    rng = np.random.default_rng(8)
    x = rng.standard_normal((3, 1, 5)).astype(np.float32)

    @dsl.model(x=dsl.f32["n", 1, 5])
    def several(x):
        return {
            "sum": x.sum(),
            "mean": x.mean(-1),
            "max": x.max((0, 2), keepdims=True),
            "min": dsl.min(x, 0),
            "var": x.var(-1, keepdims=True),
            "prod": dsl.prod(x, [1, 2]),
            "argmax": dsl.argmax(x),
            "argmin": dsl.argmin(x, 0, keepdims=True),
            "cumsum": dsl.cumsum(x),
            "clip": dsl.clip(x, -0.5, 0.5),
            "half": dsl.clip(x, high=0.25),
            "top": dsl.topk(x, 2)[1],
            "einsum": dsl.einsum("nij,nkj->nik", x, x),
            "smaller": dsl.minimum(x, 0.1),
            "larger": dsl.maximum(0.1, x),
            "upper": dsl.trilu(x, 1, upper=True),
        }

    wanted = [
        *[x.sum(), x.mean(-1), x.max((0, 2), keepdims=True), x.min(0), x.var(-1, keepdims=True)],
        *[x.prod((1, 2)), x.argmax(-1), x.argmin(0)[None], x.cumsum(-1), x.clip(-0.5, 0.5)],
        *[x.clip(None, 0.25), np.argsort(-x, -1)[..., :2], np.einsum("nij,nkj->nik", x, x)],
        *[np.minimum(x, 0.1), np.maximum(0.1, x), np.triu(x, 1)],
    ]
    agree(several, wanted, rtol=1e-5, x=x)
