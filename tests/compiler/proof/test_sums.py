"""How far sums of many products may move, and what is still found in a model that has such."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx import compiler
from sardonyx.compiler.export import legalise
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.passes.base import ApplyRules
from sardonyx.compiler.proof.compare import Reference
from sardonyx.compiler.proof.noise import add_noise
from sardonyx.compiler.rewrite import const, rule
from sardonyx.compiler.targets import CPU
from tests.support.models import batch_norm_weights, model, normal, positive
from tests.support.run import run_ort

CHANNELS, TERMS = 456, 456 * 9
IMAGE = positive(1, CHANNELS, 3, 3, seed=1)
FILTERS = positive(8, CHANNELS, 3, 3, seed=2)
ROW, COLUMNS = IMAGE.reshape(1, -1), np.ascontiguousarray(FILTERS.reshape(8, -1).T)
SUMS = {
    "Conv": ("y = Conv(x, w)", IMAGE, FILTERS),
    "ConvTranspose": (
        "y = ConvTranspose<pads = [2, 2, 2, 2]>(x, w)",
        IMAGE,
        np.ascontiguousarray(FILTERS[:, :, ::-1, ::-1].swapaxes(0, 1)),
    ),
    "MatMul": ("y = MatMul(x, w)", ROW, COLUMNS),
    "Gemm": ("y = Gemm(x, w)", ROW, COLUMNS),
    "Gemm of transposed": (
        "y = Gemm<transA = 1, transB = 1>(x, w)",
        ROW.T.copy(),
        COLUMNS.T.copy(),
    ),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dims", ["dynamic", "static"])
@pytest.mark.parametrize("case", SUMS)
def test_products_may_be_summed_one_by_one(case, dims, seed):
    """No kernel of a product does, but another order of the same sum is no error."""
    line, x, w = SUMS[case]
    products = (ROW.T * COLUMNS).astype(np.float32)
    one_by_one = np.cumsum(products, axis=0, dtype=np.float32)[-1]
    shape = ["n", *x.shape[1:]] if dims == "dynamic" else x.shape
    if case == "MatMul" and dims == "dynamic":
        shape = ["n", "k"]
    text = f"g (float[{', '.join(map(str, shape))}] x) => (y) {{ {line} }}"
    source = legalise(model(text, w=w), CPU)
    (right,) = run_ort(source, {"x": x})
    noisy = source.clone()
    Types.inferred(noisy)
    add_noise(noisy, seed)
    disturbed = run_ort(noisy, {"x": x})
    (found,) = Reference(["y"], [right], [disturbed]).differences([one_by_one.reshape(right.shape)])
    assert found.ratio < 1
    assert np.abs(disturbed[0] / right - 1).max() < 2e-5


NET = """g (float[1,3,12,12] x) => (float[1,5,12,12] y) {
    a = Conv<pads = [1,1,1,1]>(x, w0, b0)  b = BatchNormalization(a, s, t, m, v)  c = Relu(b)
    d = Conv<pads = [1,1,1,1]>(c, w1, b1)  e = BatchNormalization(d, s, t, m, v)  f = Relu(e)
    y = Conv(f, w2) }"""
WIDTH = 192


def net():
    return model(
        NET,
        w0=normal(WIDTH, 3, 3, 3, seed=1) / np.float32(5),
        b0=normal(WIDTH, seed=2),
        w1=normal(WIDTH, WIDTH, 3, 3, seed=3) / np.float32(40),
        b1=normal(WIDTH, seed=4),
        w2=normal(5, WIDTH, 1, 1, seed=5) / np.float32(10),
        **batch_norm_weights(WIDTH),
    )


def fusing(name, epsilon=1e-5, of_filters=lambda w: w, of_bias=lambda b: b):
    def fused(op, m):
        scale = m.s / np.sqrt(m.v + np.float32(epsilon))
        filters, bias = m.w * scale[:, None, None, None], (m.b - m.m) * scale + m.t
        changed = (of_filters(filters), of_bias(bias))
        return op.Conv(m.x, *map(op.constant, changed), pads=[1, 1, 1, 1])

    return rule(
        name,
        lambda op: op.BatchNormalization(
            op.Conv("x", const("w"), const("b")), const("s"), const("t"), const("m"), const("v")
        ),
        fused,
    )


def as_half(filters):
    return filters.astype(np.float16).astype(np.float32)


def without_one(bias):
    return np.where(np.arange(len(bias)) == 7, np.float32(0), bias)


WRONG = {
    "epsilon_of_another_norm": {"epsilon": 1e-3},
    "slightly_more_epsilon": {"epsilon": 1e-4},
    "bias_of_one_channel_dropped": {"of_bias": without_one},
    "filters_in_half_precision": {"of_filters": as_half},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_fusion_of_convolutions_is_found(name):
    steps = (ApplyRules((fusing(name, **WRONG[name]),)),)
    proof = compiler.compile(net(), steps=steps, proof="pass").proof
    assert {incident.rule for incident in proof.incidents} == {name}
    assert len(proof.incidents) == 2
    assert proof.holds


def test_a_right_fusion_of_convolutions_is_kept():
    steps = (ApplyRules((fusing("right"),)),)
    program = compiler.compile(net(), steps=steps, proof="pass")
    assert program.proof.holds
    assert not program.proof.incidents
    assert program.report.rules["right"] == 2
