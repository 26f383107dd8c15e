"""Counts that are kept in floating point are the same, however arithmetic is rounded."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx import compiler
from sardonyx.compiler.export import legalise
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.proof import prover
from sardonyx.compiler.proof.noise import add_noise
from sardonyx.compiler.rewrite import rule
from sardonyx.compiler.targets import CPU
from tests.support.models import model, normal
from tests.support.run import run_ort

IDS = np.array([[2, 0], [1, 3], [3, 2], [0, 3]])
NUMBERS = {
    "zeros": np.zeros((4, 5), np.float32),
    "ones": np.ones((4, 2), np.float32),
    "four_ones": np.ones((4,), np.float32),
    "upper": np.triu(np.ones((4, 4), np.float32)),
    "five": np.int64(5),
    "switch": np.float32([0, 1]),
    "shape": np.int64([3, 5]),
    "none": np.float32(0),
    "one": np.float32(1),
    "two": np.float32(2),
    "three": np.float32(3),
    "half": np.float32(0.5),
    "seven": np.float32(7),
    "rows": np.int64([0]),
    "axis0": np.int64(0),
    "tenth": np.float32(0.1),
    "ten": np.float32(10),
    "large": np.float32(2.0**20),
}
COUNT = "c = Cast<to = 1>(ids)"
STEPS = "r = Range(none, seven, one)"

EXACT = {
    "gates": "g = ScatterElements<axis = 1>(zeros, ids, ones) y = ReduceSum<keepdims = 0>(g, rows)",
    "gates that add": 'y = ScatterElements<axis = 1, reduction = "add">(zeros, ids, ones)',
    "scattered rows": "y = ScatterND(zeros, ids, four_ones)",
    "one hot": "h = OneHot(ids, five, switch) y = CumSum(h, axis0)",
    "triangle": f"{COUNT} t = Trilu(upper) y = MatMul(t, c)",
    "constant of a shape": "z = ConstantOfShape(shape) y = Add(z, one)",
    "largest": f"{COUNT} m = ReduceMax<keepdims = 0>(c, rows) y = Sub(m, one)",
    "first": f"{COUNT} n = Cast<to = 7>(rows) k = Add(n, n1) v, i = TopK(c, k) y = Mul(v, three)",
    "windows": f"{STEPS} p = Mul(r, three) q = Div(p, three) y = Floor(q)",
    "nearest": f"{STEPS} p = Mul(r, half) y = Floor(p)",
    "middles": f"{STEPS} p = Add(r, half) q = Mul(p, two) s = Sub(q, half) t = Sub(s, half)"
    " y = Floor(t)",
    "root": f"{COUNT} q = Mul(c, c) y = Sqrt(q)",
    "mask": f"{COUNT} b = Min(c, one) y = Sub(one, b)",
    "of half precision": "c = Cast<to = 10>(ids) h = Cast<to = 10>(half) p = Mul(c, h)"
    " s = Add(p, p) y = Cast<to = 1>(s)",
    "of double precision": "c = Cast<to = 11>(ids) s = Div(c, c) t = Add(s, c) y = Cast<to = 1>(t)",
}

ROUNDED = {
    "no short quotient": f"{COUNT} s = Add(c, one) y = Div(s, three)",
    "a tenth": f"{COUNT} s = Mul(c, tenth) y = Mul(s, ten)",
    "too large": f"{COUNT} y = Add(c, large)",
    "a mean": f"{COUNT} y = ReduceMean<keepdims = 0>(c, rows)",
    "a curve": f"{COUNT} y = Exp(c)",
    "an alpha": f"{COUNT} y = Gemm<alpha = 0.1>(c, switches)",
    "what is given": "y = Identity(x)",
}


def runs(lines: str) -> list[np.ndarray]:
    """What y is as it is, and under two disturbances."""
    text = f"g (int64[4,2] ids, float[4] x) => (y) {{ {lines} }}"
    given = model(text, **NUMBERS, n1=np.int64([1]), switches=np.eye(2, dtype=np.float32))
    source = legalise(given, CPU)
    feeds = {"ids": IDS, "x": np.float32([1, 2, 3, 4])}
    found = [run_ort(source, feeds)[0]]
    for seed in range(2):
        noisy = source.clone()
        Types.inferred(noisy)
        add_noise(noisy, seed)
        found += run_ort(noisy, feeds)
    return found


@pytest.mark.parametrize("case", EXACT)
def test_short_numbers_that_are_computed_from_short_ones_are_exact(case):
    right, *disturbed = runs(EXACT[case])
    assert np.abs(right[np.isfinite(right)]).max() > 0
    for found in disturbed:
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("case", ROUNDED)
def test_others_are_rounded(case):
    right, *disturbed = runs(ROUNDED[case])
    for found in disturbed:
        assert (found != right).any()
        np.testing.assert_allclose(found, right, rtol=2e-6)


EXPERTS = """g (float[n,4] x) => (float[n,3] y) {
    s = MatMul(x, router)  v, i = TopK(s, k)
    like = Shape(s)  zero = ConstantOfShape(like)  chosen = Shape(i)  o = Expand(one, chosen)
    gates = ScatterElements<axis = 1>(zero, i, o)  whole = Cast<to = 7>(gates)
    count = ReduceSum<keepdims = 0>(whole, axis)  flat = Reshape(i, all)
    parts = SplitToSequence<axis = 0>(flat, count)  p = ConcatFromSequence<axis = 0>(parts)
    r = Gather(table, p)  t = ReduceSum<keepdims = 0>(r, axis)
    w = MatMul(x, w3)  y = Add(w, t) }"""


@pytest.mark.parametrize("given", [True, False])
def test_a_split_by_counts_is_compared(given):
    source = model(
        EXPERTS,
        router=normal(4, 5),
        w3=normal(4, 3),
        table=normal(5, 3),
        k=np.int64([2]),
        one=np.float32(1),
        axis=np.int64([0]),
        all=np.int64([-1]),
    )
    proof = compiler.compile(
        source, proof="pass", samples=[{"x": normal(7, 4)}] if given else []
    ).proof
    assert proof.holds, proof


ROUNDING_DECIDES = """g (float[1] x, float[2,3] t) => (float[n] y) {
    n = Cast<to = 7>(x)  r = Reshape(t, n)  y = Relu(r) }"""
SAMPLE = {"x": np.float32([6]), "t": normal(2, 3)}
WHY = "The model does not run when its arithmetic is rounded otherwise. Fail: "
DROPS_RELU = rule("drops_relu", lambda op: op.Relu("x"), lambda op, m: op.Identity(m.x))


def test_a_model_that_runs_only_as_it_is_rounded_is_not_compared():
    proof = compiler.compile(model(ROUNDING_DECIDES), proof="pass", samples=[SAMPLE]).proof
    assert proof.unchecked.startswith(WHY)
    assert not proof.checks
    assert not proof.holds


def test_comparing_ends_where_more_noise_finds_that_it_does_not_run(monkeypatch):
    monkeypatch.setattr(prover, "_NOISE_RUNS", 0)
    source = model(ROUNDING_DECIDES)
    program = compiler.compile(source, proof="pass", rules=[DROPS_RELU], samples=[SAMPLE])
    assert program.proof.unchecked.startswith(f"after apply_rules: {WHY}")
    assert not program.proof.incidents
    assert not program.proof.holds
