"""What the engine refuses, and what it says of a rule that did not match."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.errors import RewriteError
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.rewrite import const, no, rule
from tests.support.models import model, normal
from tests.support.rules import apply, check_miss


def one(body: str, **weights) -> ir.Model:
    return model(f"g (float[2,3] x) => (float[2,3] y) {{ {body} }}", **weights)


def refusal(rules, given: ir.Model) -> str:
    with pytest.raises(RewriteError) as caught:
        apply(rules, given)
    return str(caught.value)


NEG = lambda op: op.Neg("x")  # noqa: E731


def test_rules_that_undo_each_other_are_both_named():
    there = rule("there", NEG, lambda op, m: op.Mul(m.x, -1.0))
    back = rule("back", lambda op: op.Mul("x", -1), lambda op, m: op.Neg(m.x))
    bystander = rule("aaa", lambda op: op.Neg(op.Exp("x")), lambda op, m: op.Neg(op.Sin(m.x)))
    text = refusal([bystander, there, back], one("[here] e = Exp(x) y = Neg(e)"))
    named = {
        "Rules 'there' and 'back' undo each other.",
        "Rules 'back' and 'there' undo each other.",
    }
    assert text.split("\n")[0] in named
    assert "try: make one rule refuse what the other builds" in text


def test_three_rules_in_a_circle_are_all_named():
    a = rule("a", NEG, lambda op, m: op.Mul(m.x, -1.0))
    b = rule("b", lambda op: op.Mul("x", -1), lambda op, m: op.Div(m.x, -1.0))
    c = rule("c", lambda op: op.Div("x", -1), lambda op, m: op.Neg(m.x))
    text = refusal([a, b, c], one("y = Neg(x)"))
    assert "Rules 'a' and 'b' and 'c' undo each other." in text


def test_a_rule_that_undoes_its_own_work_is_named():
    swap = rule("swap", lambda op: op.Sub("a", "b"), lambda op, m: op.Sub(m.b, m.a))
    text = refusal(
        swap, model("g (float[2,3] x, float[2,3] z) => (float[2,3] y) { y = Sub(x, z) }")
    )
    assert "Rule 'swap' undoes its own work." in text


def test_endless_growth_runs_out_of_budget():
    grow = rule("grow", lambda op: op.Neg("x"), lambda op, m: op.Neg(op.Abs(m.x)))
    text = refusal(grow, one("y = Neg(x)"))
    assert "Rewriting does not come to an end." in text
    assert "found: most applied: grow (" in text


def test_an_exception_in_a_guard_names_rule_and_place():
    broken = rule("broken", NEG, lambda op, m: m.x, lambda m: 1 / 0)
    given = one("y = Neg(x)")
    provenance.set_source(given.graph[0], "encoder.layer.3")
    assert refusal(broken, given) == (
        "The guard of rule 'broken' fails with ZeroDivisionError: division by zero\n"
        "  where: encoder.layer.3 (Neg)"
    )


def test_a_guard_must_answer():
    silent = rule("silent", NEG, lambda op, m: m.x, lambda m: None)
    text = refusal(silent, one("y = Neg(x)"))
    assert "The guard of rule 'silent' answers None." in text
    assert 'expected: True or no("why")' in text


def test_a_guard_may_answer_with_numpy():
    asks = rule("asks", NEG, lambda op, m: op.Abs(m.x), lambda m: np.float32(1) > 0)
    assert apply(asks, one("y = Neg(x)")).applied


def test_an_exception_in_a_replacement_names_rule_and_place():
    def replace(op, m):
        return op.Abs(m.missing)

    broken = rule("broken", NEG, replace)
    text = refusal(broken, one("[n] y = Neg(x)"))
    assert (
        "The replacement of rule 'broken' fails with AttributeError: the pattern captures" in text
    )
    assert "where: n (Neg)" in text


@pytest.mark.parametrize("made", [None, [], 3, ["x"]])
def test_a_replacement_must_be_values(made):
    broken = rule("broken", NEG, lambda op, m: made)
    text = refusal(broken, one("y = Neg(x)"))
    assert f"The replacement of rule 'broken' returns {made!r}." in text


def test_a_replacement_that_the_operator_refuses_names_the_rule():
    broken = rule("broken", NEG, lambda op, m: op.Gemm(m.x, m.x))
    text = refusal(broken, one("y = Neg(x)"))
    assert "The replacement of rule 'broken' fails" in text
    assert "Gemm" in text


def test_what_a_replacement_misspells_is_named():
    broken = rule("broken", NEG, lambda op, m: op.Abss(m.x))
    assert refusal(broken, one("[n] y = Neg(x)")) == (
        "The replacement of rule 'broken' fails: There is no operator 'Abss' in opset 23.\n"
        "  where: n (Neg)\n"
        "  try: write 'Abs', if that is meant"
    )
    broken = rule("broken", NEG, lambda op, m: op.Abs(m.x, axis=1))
    assert refusal(broken, one("[n] y = Neg(x)")) == (
        "The replacement of rule 'broken' fails: Abs has no operand or attribute 'axis'.\n"
        "  where: n (Neg)\n"
        "  expected: X"
    )


@pytest.mark.parametrize(
    ("guard", "replace", "remedy"),
    [
        (lambda m: None, lambda op, m: m.x, "let it return its answer"),
        (lambda m: True, lambda op, m: None, "let it return the value that it built"),
    ],
)
def test_a_forgotten_return_is_named(guard, replace, remedy):
    text = refusal(rule("silent", NEG, replace, guard), one("y = Neg(x)"))
    assert text.endswith(f"  try: {remedy}")


def test_a_replacement_of_another_shape_is_refused():
    wrong = rule("wrong", NEG, lambda op, m: op.Transpose(m.x, perm=[1, 0]))
    given = one("[n] y = Neg(x)")
    before = ir.to_onnx_text(given)
    text = refusal(wrong, given)
    assert text.startswith("wrong replaces a value by one of another type.\n  where: n (Neg)\n")
    assert "float[3, 2]" in text
    assert "expected: y: float[2, 3]" in text
    assert ir.to_onnx_text(given) == before
    assert len(given.graph.inputs[0].uses()) == 1


def test_a_replacement_of_another_dtype_is_refused():
    wrong = rule("wrong", NEG, lambda op, m: op.Cast(m.x, to=ir.DataType.INT64))
    assert "int64[2, 3]" in refusal(wrong, one("y = Neg(x)"))


def test_more_values_than_the_last_node_has_are_refused():
    wrong = rule("wrong", NEG, lambda op, m: [m.x, m.x])
    assert "wrong replaces 1 values by 2." in refusal(wrong, one("y = Neg(x)"))


# --- best misses ---------------------------------------------------------------------------------

SCALE = rule(
    "scale",
    lambda op: op.Exp(op.Mul(op.Abs("x"), const("k"))),
    lambda op, m: op.Exp(m.x),
    lambda m: m.k.size == 1 or no("the factor is not one number", m.value("k")),
)


def test_a_rule_whose_root_is_nowhere_has_no_miss():
    assert apply(SCALE, one("y = Neg(x)")).misses == {}


def test_the_miss_says_where_the_pattern_stopped():
    given = one("a = Neg(x) m = Mul(a, k) [site] y = Exp(m)", k=normal(3))
    check_miss(SCALE, given, "a: float[2, 3] comes from Neg, not from Abs")
    miss = apply(SCALE, given).misses["scale"]
    assert (miss.site, miss.matched) == ("site (Exp)", 2)


def test_a_guards_refusal_comes_further_than_any_pattern():
    text = """g (float[2,3] x) => (float[2,3] y, float[2,3] z) {
        a = Abs(x) m = Mul(a, k) [refused] y = Exp(m)
        b = Neg(x) n = Mul(b, k) z = Exp(n) }"""
    given = model(text, k=normal(3))
    check_miss(SCALE, given, "the factor is not one number (k: float[3])")
    assert apply(SCALE, given).misses["scale"].site == "refused (Exp)"


def test_the_miss_that_came_furthest_is_kept_whatever_the_order():
    near = "a = Abs(x) m = Mul(a, x) p = Exp(m)"
    far = "q = Exp(x)"
    for first, second in ((near, far), (far, near)):
        given = one(f"{first} {second} y = Add(p, q)")
        check_miss(SCALE, given, "x: float[2, 3] is computed when the model runs")


def test_misses_are_those_of_the_model_at_the_end():
    given = one("a = Neg(x) m = Mul(a, k) y = Exp(m)", k=np.float32(2))
    to_abs = rule("to_abs", NEG, lambda op, m: op.Abs(m.x))
    report = apply([SCALE, to_abs], given)
    assert sorted(report.applied) == ["scale", "to_abs"]
    assert "scale" not in report.misses or report.misses["scale"].matched == 1
