"""What no output depends on goes, and nothing else."""

from __future__ import annotations

from sardonyx.compiler.passes.dead_code import RemoveDeadCode
from tests.support.models import clone, model, normal
from tests.support.rules import apply, check_rule, check_same, counts

DEAD = RemoveDeadCode()


def test_chains_that_nobody_reads_go_with_their_constants():
    given = model(
        "g (float[2] x) => (float[2] y) { y = Neg(x) a = Mul(x, w) b = Exp(a) c = Add(a, b) }",
        w=normal(2),
    )
    after = check_rule(DEAD, given, {"Neg": 1}, atol=0, rtol=0)
    assert not after.graph.initializers


def test_a_node_of_whose_outputs_one_is_read_stays():
    given = model(
        "g (float[4] x) => (float[2] y) { a, b = Split<num_outputs = 2>(x) y = Neg(b) c = Exp(a) }"
    )
    check_rule(DEAD, given, {"Split": 1, "Neg": 1}, atol=0, rtol=0)


def test_a_node_that_only_a_subgraph_reads_stays():
    given = model(
        """g (bool p, float[2] x) => (float[2] y) {
            a = Exp(x) d = Sin(x)
            y = If(p) <
                then_branch = t () => (float[2] b) { b = Neg(a) e = Abs(d) },
                else_branch = e () => (float[2] c) { c = Abs(x) }
            >
        }"""
    )
    check_rule(DEAD, given, {"Exp": 1, "If": 1, "Neg": 1, "Abs": 1}, atol=0, rtol=0)


def test_what_only_a_dead_subgraph_reads_goes():
    given = model(
        """g (bool p, float[2] x) => (float[2] y) {
            a = Exp(x)
            z = If(p) <
                then_branch = t () => (float[2] b) { b = Mul(a, w) },
                else_branch = e () => (float[2] c) { c = Abs(a) }
            >
            y = Neg(x)
        }""",
        w=normal(2),
    )
    after = check_rule(DEAD, given, {"Neg": 1}, atol=0, rtol=0)
    assert not after.graph.initializers


def test_inputs_and_outputs_stay():
    given = model(
        "g (float[2] x, float[2] z) => (float[2] y, float[2] w) { y = Neg(x) w = Abs(y) }"
    )
    after = clone(given)
    assert not apply(DEAD, after).applied
    assert counts(after) == {"Neg": 1, "Abs": 1}
    check_same(given, after, atol=0, rtol=0)


def test_a_long_dead_chain_is_no_deep_recursion():
    steps = " ".join(f"a{i + 1} = Neg(a{i})" for i in range(3000))
    given = model(f"g (float[2] x) => (float[2] y) {{ y = Exp(x) a0 = Abs(x) {steps} }}")
    apply(DEAD, given)
    assert counts(given) == {"Exp": 1}
    assert [v.name for v in given.graph.outputs] == ["y"]
