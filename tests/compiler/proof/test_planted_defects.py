"""Wrong rules are named, undone and shown in a small model; the program that comes out is right."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from sardonyx import compiler
from sardonyx.compiler.rewrite import const, rule
from tests.support.models import model
from tests.support.run import run_ort

RNG = np.random.default_rng(11)
FEEDS = {"x": RNG.standard_normal((2, 4, 4), np.float32), "ids": np.array([[3, 0], [1, 4]])}


def weights(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def net() -> ir.Model:
    """A bit of everything; each wrong rule finds its operator at one or two places."""
    lines = """g (float[2,4,4] x, int64[2,2] ids) => (float[2,4,4] y, float[2,4,4] z) {
        a = MatMul(x, w0)  b = Add(a, bias)  c = Relu(b)  d = Sub(c, x)
        e = Softmax <axis = -1> (d)  f = LayerNormalization <epsilon = 0.01> (e, gamma, beta)
        g0 = Gelu(f)  h = Transpose <perm = [0, 2, 1]> (g0)  i = Sigmoid(h)  j = Mul(h, i)
        k = Clip(j, low, high)  l = Concat <axis = 1> (k, x)
        m = Slice(l, one, five, one, one)  n = ReduceMean <keepdims = 1> (m, axis)
        o = Max(m, n)  p = Gather(table, ids)  q = ReduceMax <keepdims = 0> (p, axes1)
        r = Unsqueeze(q, axis1)  s = Add(o, r)  t = Tanh(s)  u = Erf(t)  v = Abs(d)
        t1 = Sqrt(v)  t2 = Div(u, scale)  t3 = Exp(t2)  t4 = Min(t3, t1)  y = Relu(t4)
        e2 = Softmax <axis = -1> (y)  t5 = LeakyRelu <alpha = 0.125> (d)  t6 = Pow(t5, two)
        z = Add(t6, e2) }"""
    return model(
        lines,
        w0=weights(4, 4),
        bias=weights(4),
        gamma=weights(4),
        beta=weights(4),
        table=weights(5, 4),
        low=np.float32(-0.2),
        high=np.float32(0.3),
        scale=weights(4) + np.float32(3),
        one=np.array([1]),
        five=np.array([5]),
        axis=np.array([2]),
        axis1=np.array([1]),
        axes1=np.array([1]),
        two=np.float32(2),
    )


WRONG = {
    "drops_relu": (lambda op: op.Relu("x"), lambda op, m: op.Identity(m.x)),
    "adds_for_sub": (lambda op: op.Sub("a", "b"), lambda op, m: op.Add(m.a, m.b)),
    "softmax_axis": (lambda op: op.Softmax("x", axis=-1), lambda op, m: op.Softmax(m.x, axis=1)),
    "norm_epsilon": (
        lambda op: op.LayerNormalization("x", "g", "b", epsilon=0.01),
        lambda op, m: op.LayerNormalization(m.x, m.g, m.b, epsilon=0.0101),
    ),
    "norm_without_shift": (
        lambda op: op.LayerNormalization("x", "g", "b"),
        lambda op, m: op.LayerNormalization(m.x, m.g),
    ),
    "gelu_by_tanh": (
        lambda op: op.Gelu("x", approximate="none"),
        lambda op, m: op.Gelu(m.x, approximate="tanh"),
    ),
    "transpose_dropped": (
        lambda op: op.Transpose("x", perm=[0, 2, 1]),
        lambda op, m: op.Transpose(m.x, perm=[0, 1, 2]),
    ),
    "tanh_for_sigmoid": (lambda op: op.Sigmoid("x"), lambda op, m: op.Tanh(m.x)),
    "clip_without_top": (
        lambda op: op.Clip("x", "low", "high"),
        lambda op, m: op.Clip(m.x, m.low),
    ),
    "concat_swapped": (
        lambda op: op.Concat("a", "b", axis=1),
        lambda op, m: op.Concat(m.b, m.a, axis=-2),
    ),
    "slice_off_by_one": (
        lambda op: op.Slice("x", const("start"), "end", "axes", "steps"),
        lambda op, m: op.Slice(m.x, op.constant(m.start - 1), op.constant(m.start + 3), m.axes),
    ),
    "sum_for_mean": (
        lambda op: op.ReduceMean("x", "axes"),
        lambda op, m: op.ReduceSum(m.x, m.axes),
    ),
    "min_for_max": (lambda op: op.Max("a", "b"), lambda op, m: op.Min(m.a, m.b)),
    "gather_off_by_one": (
        lambda op: op.Gather(const("table"), "ids", axis=0),
        lambda op, m: op.Gather(op.constant(np.roll(m.table, 1, 0)), m.ids, axis=-2),
    ),
    "erf_by_tanh": (lambda op: op.Erf("x"), lambda op, m: op.Tanh(m.x)),
    "root_without_abs": (
        lambda op: op.Sqrt(op.Abs("x")),
        lambda op, m: op.Sqrt(m.x),
    ),
    "half_precision": (
        lambda op: op.Softmax("x", axis=-1),
        lambda op, m: op.Softmax(op.Cast(op.Cast(m.x, to=10), to=1), axis=2),
    ),
    "sine_for_tanh": (lambda op: op.Tanh("x"), lambda op, m: op.Sin(m.x)),
    "scale_dropped": (lambda op: op.Div("x", const("s")), lambda op, m: op.Identity(m.x)),
    "bias_dropped": (
        lambda op: op.Add(op.MatMul("x", "w"), "bias"),
        lambda op, m: op.MatMul(m.x, m.w),
    ),
    "square_of_magnitude_only": (
        lambda op: op.Mul("x", "x"),
        lambda op, m: op.Abs(m.x),
    ),
    "leak_of_another_slope": (
        lambda op: op.LeakyRelu("x", alpha=0.125),
        lambda op, m: op.LeakyRelu(m.x, alpha=0.1251),
    ),
    "sum_with_itself": (lambda op: op.Min("a", "b"), lambda op, m: op.Add(m.a, m.b)),
}


def check_right(program, source):
    made = onnxruntime.InferenceSession(program.to_bytes()).run(None, FEEDS)
    for found, right in zip(made, run_ort(source, FEEDS), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_named_undone_and_shown(name, tmp_path):
    source = net()
    bad = rule(name, WRONG[name][0], WRONG[name][1], keeps_shared=True)
    program = compiler.compile(source, rules=[bad], proof="pass", samples=[FEEDS], repros=tmp_path)
    incidents = program.proof.incidents
    assert incidents, f"nobody noticed: {program.proof}"
    assert {(i.pass_name, i.rule) for i in incidents} == {("apply_rules", name)}
    for incident in incidents:
        assert incident.site.endswith(")")
        assert incident.repro is not None
        assert sum(1 for _ in onnx.load(incident.repro).graph.node) <= 10
        assert name in incident.repro.with_suffix(".txt").read_text()
        with np.load(incident.repro.with_suffix(".npz")) as held:
            onnxruntime.InferenceSession(incident.repro).run(None, dict(held))
    assert program.proof.holds
    check_right(program, source)


def test_right_rules_are_left_alone():
    right = rule(
        "relu_by_max",
        lambda op: op.Relu("x"),
        lambda op, m: op.Max(m.x, op.constant(np.zeros((), np.float32))),
    )
    program = compiler.compile(net(), rules=[right], proof="pass", samples=[FEEDS])
    assert not program.proof.incidents
    assert program.proof.holds
    assert program.report.rules["relu_by_max"] == 2
