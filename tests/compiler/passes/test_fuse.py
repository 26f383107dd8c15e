"""The fusions together: whole blocks, the order of the stages, independence of the order in one."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.errors import RewriteError
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.passes import fuse, recognize
from sardonyx.compiler.passes.base import ApplyRules, RulePass, apply_stages
from sardonyx.compiler.passes.fuse import AFFINE
from sardonyx.compiler.passes.select import Select
from sardonyx.compiler.rewrite import Rewriter, rule
from tests.support.models import batch_norm_weights, model, normal, positive
from tests.support.rules import apply, check_rule, check_same, counts

STAGES = (*recognize.STAGES, *fuse.STAGES)
ACTIVATION = recognize.STAGES[0]
NOISE = {"atol": 1e-4, "rtol": 1e-4}
SIZES = [{"b": 2, "h": 7}, {"b": 1, "h": 3}]


class Fuse(RulePass):
    """Recognition and fusion, as the pipeline repeats them."""

    name = "both"
    stages = STAGES


CONV = "Conv <pads = [1, 1, 1, 1]>"


def residual_block() -> ir.Model:
    text = f"""g (float[b,4,h,h] x) => (float[b,4,h,h] y) {{
        c = {CONV} (x, w) n = BatchNormalization(c, s, t, m, v) r = Relu(n)
        d = {CONV} (r, w) o = BatchNormalization(d, s, t, m, v) a = Add(o, x) y = Relu(a) }}"""
    return model(text, w=normal(4, 4, 3, 3), **batch_norm_weights(4))


def mobile_block() -> ir.Model:
    """Inverted residual: expand, depthwise, project, with hard swish in its parts."""
    text = """g (float[b,4,h,h] x) => (float[b,4,h,h] y) {
        e = Conv(x, w1) n1 = BatchNormalization(e, s1, t1, m1, v1)
        a1 = Add(n1, three) l1 = Clip(a1, zero, six) p1 = Mul(n1, l1) r1 = Div(p1, six)
        q = Pad(r1, pads)
        d = Conv <group = 8> (q, w2) n2 = BatchNormalization(d, s1, t1, m1, v1)
        r2 = Max(n2, zero) r3 = Min(six, r2)
        f = Conv(r3, w3) n3 = BatchNormalization(f, s2, t2, m2, v2) y = Add(n3, x) }"""
    norms = {f"{k}1": a for k, a in batch_norm_weights(8).items()}
    norms |= {f"{k}2": a for k, a in batch_norm_weights(4, seed=9).items()}
    return model(
        text,
        w1=normal(8, 4, 1, 1),
        w2=normal(8, 1, 3, 3),
        w3=normal(4, 8, 1, 1),
        three=np.float32(3),
        zero=np.float32(0),
        six=np.float32(6),
        pads=np.int64([0, 0, 1, 1, 0, 0, 1, 1]),
        **norms,
    )


def head() -> ir.Model:
    """Input normalisation, a convolution without padding, a linear classifier with norms."""
    text = """g (float[b,3,6,6] x) => (float[b,5] y) {
        i = Sub(x, mean) j = Div(i, std) c = Conv(j, w) k = Mul(c, scale) l = Add(shift, k)
        f = GlobalAveragePool(l) q = Reshape(f, shape)
        n = BatchNormalization(q, s, t, m, v) g = Gemm(n, u)
        z = Add(g, bias) a = Mul(z, scale5) y = Add(a, bias) }"""
    return model(
        text,
        mean=normal(3, 1, 1),
        std=positive(3, 1, 1),
        w=normal(4, 3, 3, 3),
        scale=normal(4, 1, 1),
        shift=normal(1, 4, 1, 1),
        shape=np.int64([-1, 4]),
        u=normal(4, 5),
        bias=normal(5),
        scale5=np.float32(3),
        **batch_norm_weights(4),
    )


BLOCKS = [
    (residual_block, {"Conv": 2, "Relu": 2, "Add": 1}),
    (mobile_block, {"Conv": 3, "HardSwish": 1, "Clip": 1, "Add": 1}),
    (head, {"Conv": 1, "GlobalAveragePool": 1, "Reshape": 1, "Gemm": 1}),
]


@pytest.mark.parametrize(("block", "left"), BLOCKS)
def test_blocks_become_what_they_mean(block, left):
    check_rule(Fuse(), block(), left, dims=SIZES, **NOISE)


@pytest.mark.parametrize(("block", "left"), BLOCKS)
def test_the_order_within_a_stage_does_not_matter(block, left):
    turned = block()
    for stage in STAGES:
        apply(tuple(reversed(stage)), turned)
    assert counts(turned) == left
    check_same(block(), turned, dims=SIZES, **NOISE)


def test_a_target_may_choose_the_convolutions_of_onnx_runtime():
    given = residual_block()
    apply(Fuse(), given)
    after = check_rule(Select(("fused_conv",)), given, {"FusedConv": 2}, dims=SIZES, **NOISE)
    assert [node.attributes["activation"].value for node in after.graph] == ["Relu", "Relu"]


def between() -> ir.Model:
    text = """g (float[b,4,h,h] x) => (float[b,4,h,h] y) {
        c = Conv(x, w) a = Add(c, three) l = Clip(a, zero, six) d = Div(l, six) y = Conv(d, w) }"""
    numbers = {"three": np.float32(3), "zero": np.float32(0), "six": np.float32(6)}
    return model(text, w=normal(4, 4, 1, 1), **numbers)


def test_activations_come_before_affine_folding():
    check_rule(Fuse(), between(), {"Conv": 2, "HardSigmoid": 1}, dims=SIZES, **NOISE)
    wrong = between()
    apply(AFFINE, wrong)
    apply(ACTIVATION, wrong)
    assert counts(wrong) == {"Conv": 2, "Clip": 1}


def test_an_earlier_stage_gets_another_turn():
    text = """g (float[b,4,h,h] x) => (float[b,4,h,h] y) {
        a = Add(x, three) l = Clip(a, zero, six) d = Mul(l, two) y = Div(d, twelve) }"""
    numbers = {"three": 3, "zero": 0, "six": 6, "two": 2, "twelve": 12}
    given = model(text, **{name: np.float32(number) for name, number in numbers.items()})
    check_rule(Fuse(), given, {"HardSigmoid": 1}, dims=SIZES, **NOISE)


def test_rules_of_users_have_a_pass():
    seen = rule("seen", lambda op: op.Relu(op.Conv("x", "w", "b")), lambda op, m: op.Relu(m.x))
    given = residual_block()
    apply(Fuse(), given)
    report = apply(ApplyRules((seen,)), given)
    assert len(report.applied["seen"]) == 1


def test_rules_of_two_stages_that_undo_each_other_are_an_error():
    unfold = rule(
        "unfold",
        lambda op: op.Relu("x"),
        lambda op, m: op.Clip(m.x, np.float32(0)),
    )
    names = r"does not come to an end.\n  found: applied: clip_to_relu, unfold"
    given = model("g (float[2] x) => (float[2] y) { y = Relu(x) }")
    with pytest.raises(RewriteError, match=names):
        apply_stages([ACTIVATION, (unfold,)], Editor(given, Types.inferred(given)))


def test_misses_of_all_stages_are_reported():
    text = "g (float[2,4] x) => (float[2,4] y) { c = Clip(x, k) a = Add(c, c) y = Mul(a, x) }"
    report = apply(Fuse(), model(text, k=np.float32(1)))
    why = report.misses["clip_clip"].why
    assert why == "x: float[2, 4] comes from an input or constant, not from Clip"
    assert "conv_scale" in report.misses


def test_every_rule_has_a_sentence_and_one_name():
    rules = [rule for stage in STAGES for rule in stage]
    Rewriter(rules)
    assert [rule.name for rule in rules if not rule.sentence] == []
