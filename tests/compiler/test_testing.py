"""The checks for rules and passes find what is wrong with a rule, and say what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from sardonyx.compiler import testing
from sardonyx.compiler.passes import Pass, PassReport
from sardonyx.compiler.rewrite import const, no, rule
from tests.support.models import model, normal
from tests.support.run import run_ort

EXACT = {"atol": 0, "rtol": 0}
SIZES = [{"b": 3}, {"b": 1}]
TEXT = "g (float[b,4] x) => (float[b,4] y) { n = Neg(x) y = Abs(n) }"


def abs_of(replacement, **options):
    return rule("abs_of_neg", lambda op: op.Abs(op.Neg("x")), replacement, **options)


ABS_OF_NEG = abs_of(lambda op, m: op.Abs(m.x), keeps_shared=True)


@pytest.mark.parametrize("run", [testing.run_reference, run_ort])
def test_a_rule_that_does_all_it_owes_passes(run):
    misses = [
        (model("g (float[b,4] x) => (float[b,4] y) { n = Relu(x) y = Abs(n) }"), "not from Neg"),
    ]
    after = testing.check_rewrite(
        ABS_OF_NEG, model(TEXT), {"Abs": 1}, misses, dims=SIZES, run=run, **EXACT
    )
    assert testing.counts(after) == {"Abs": 1}


def fails(subject, given, expected, misses=(), **options) -> str:
    with pytest.raises(AssertionError) as failed:
        testing.check_rewrite(
            subject, given, expected, misses, **{"dims": SIZES, **EXACT, **options}
        )
    return str(failed.value)


def test_a_rule_that_does_not_match_fails():
    given = model(TEXT.replace("Neg", "Relu"))
    assert "nothing matched" in fails(ABS_OF_NEG, given, {"Abs": 1})


def test_other_nodes_than_expected_fail():
    text = fails(ABS_OF_NEG, model(TEXT), {"Neg": 1})
    assert text == "it has become {'Abs': 1}, not {'Neg': 1}"


def test_wrong_numbers_fail():
    wrong = abs_of(lambda op, m: op.Relu(m.x), keeps_shared=True)
    assert "y for {'b': 3}" in fails(wrong, model(TEXT), {"Relu": 1})


def test_numbers_that_are_wrong_for_one_length_alone_fail():
    wrong = abs_of(lambda op, m: op.Abs(op.Sub(m.x, op.ReduceMean(m.x, [0]))), keeps_shared=True)
    given = model("g (float[b,4] x) => (float[b,4] y) { s = Sub(x, x) n = Neg(s) y = Abs(n) }")
    left = {"Sub": 2, "ReduceMean": 1, "Abs": 1}
    testing.check_match(wrong, given, left, dims=SIZES, **EXACT)
    text = fails(wrong, model(TEXT), {"Sub": 1, "ReduceMean": 1, "Abs": 1}, dims={"b": 5})
    assert "y for {'b': 5}" in text


def test_a_rule_that_matches_its_own_work_again_fails():
    @dataclass(frozen=True)
    class Restless(Pass):
        name: ClassVar[str] = "restless"

        def run(self, editor) -> PassReport:
            node = editor.model.graph[-1]
            built = editor.builder()
            new = getattr(built, node.op_type)(node.inputs[0])
            return PassReport({self.name: [editor.replace(node.outputs, [new], built, "r").site]})

    given = model("g (float[b,4] x) => (float[b,4] y) { y = Abs(x) }")
    assert "it was applied" in fails(Restless(), given, {"Abs": 1})


def test_a_pass_that_hides_a_change_fails():
    @dataclass(frozen=True)
    class Sly(Pass):
        name: ClassVar[str] = "sly"

        def run(self, editor) -> PassReport:
            editor.model.graph[0].op_type = "Exp"
            return PassReport()

    given = model("g (float[b,4] x) => (float[b,4] y) { y = Abs(x) }")
    with pytest.raises(AssertionError, match="it changed the model and did not say so"):
        testing.check_unchanged(Sly(), given)


def test_a_value_that_is_read_elsewhere_must_stay_right():
    # Nothing but the shared case can see it: Identity makes the inner value another one.
    @dataclass(frozen=True)
    class Careless(Pass):
        name: ClassVar[str] = "careless"

        def run(self, editor) -> PassReport:
            (found,) = [n for n in editor.model.graph if n.op_type == "Neg"] or [None]
            if found is None:
                return PassReport()
            built = editor.builder()
            new = built.Relu(built.Abs(found.inputs[0]))
            return PassReport({self.name: [editor.replace(found.outputs, [new], built, "c").site]})

    text = fails(Careless(), model(TEXT), {"Abs": 2, "Relu": 1})
    assert "n for " in text or "n_read_again for " in text


SCALED = rule(
    "scaled",
    lambda op: op.Mul(op.Neg("x"), const("k")),
    lambda op, m: op.Mul(m.x, -m.k),
    lambda m: m.k.size == 1 or no("the factor is not one number", m.value("k")),
)
SCALE = "g (float[b,4] x) => (float[b,4] y) { n = Neg(x) y = Mul(n, k) }"


def test_a_near_miss_must_give_its_reason():
    given, near = model(SCALE, k=normal(1)), model(SCALE, k=normal(4))
    testing.check_rewrite(
        SCALED,
        given,
        {"Mul": 1},
        [(near, "the factor is not one number (k: float[4])")],
        dims=SIZES,
        **EXACT,
    )
    text = fails(SCALED, given, {"Mul": 1}, [(near, "another reason")])
    assert text == "it says: the factor is not one number (k: float[4])"
    assert "it was applied" in fails(SCALED, given, {"Mul": 1}, [(given, "no")])
    text = fails(SCALED, given, {"Mul": 1}, [(model("g (float[b,4] x) => () { }"), "no")])
    assert text == "'scaled' found nothing like its pattern"


def test_a_length_that_nobody_gave_is_asked_for():
    with pytest.raises(AssertionError, match=r"dims= must say how long 'b' of input 'x' is"):
        testing.check_match(ABS_OF_NEG, model(TEXT), {"Abs": 1}, **EXACT)


def test_tolerances_have_no_default():
    with pytest.raises(TypeError, match="atol"):
        testing.check_rewrite(ABS_OF_NEG, model(TEXT), {"Abs": 1}, dims=SIZES)
