"""Levels of proof, what is undone by pass, and what cannot be checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx import compiler
from sardonyx.compiler import ExecutionError
from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.passes.base import ApplyRules, Pass, PassReport
from sardonyx.compiler.proof import compare, prover
from sardonyx.compiler.proof.begin import SAMPLES
from sardonyx.compiler.rewrite import rule
from tests.support.models import model, normal
from tests.support.run import run_ort

DROPS_RELU = rule("drops_relu", lambda op: op.Relu("x"), lambda op, m: op.Identity(m.x))
TEXT = """g (float[2,4] x) => (float[2,4] y) {
    a = MatMul(x, w)  b = Relu(a)  c = Tanh(b)  d = MatMul(c, w)  e = Relu(d)  f = Exp(e)
    h = MatMul(f, w)  i = Relu(h)  y = Sqrt(i) }"""
X = np.random.default_rng(5).standard_normal((2, 4), np.float32)


def net():
    return model(TEXT, w=normal(4, 4))


@dataclass(frozen=True)
class Careless(Pass):
    """Not a rule pass: it replaces through the editor, and does not ask what is quarantined."""

    name: ClassVar[str] = "careless"

    def run(self, editor) -> PassReport:
        report = PassReport({"careless_tanh": []})
        for node in list(editor.model.graph):
            if node.op_type == "Tanh":
                op = editor.builder()
                change = editor.replace(node.outputs, [op.Sin(node.inputs[0])], op, "careless_tanh")
                report.applied["careless_tanh"].append(change.site)
        return report


def same(program, source) -> None:
    np.testing.assert_allclose(
        run_ort(program.model, {"x": X})[0], run_ort(source, {"x": X})[0], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("level", ["end", "pass", "rewrite"])
def test_each_level_finds_and_undoes(level):
    program = compiler.compile(net(), rules=[DROPS_RELU], proof=level, samples=[{"x": X}])
    proof = program.proof
    assert {i.rule for i in proof.incidents} == {"drops_relu"}
    assert {i.pass_name for i in proof.incidents} == {"apply_rules"}
    assert all("Relu" in i.site and "undone" in i.action for i in proof.incidents)
    assert proof.level == level
    assert proof.holds
    assert proof.worst <= 1 < max(check.ratio for check in proof.checks)
    assert "drops_relu" not in program.report.rules or level == "end"
    same(program, net())


def test_a_model_is_compared_at_other_sizes_than_it_was_captured_with():
    takes_all = rule("takes_all", lambda op: op.Slice("x", "a", "b", "c"), lambda op, m: m.x)
    given = model(
        "g (float[n,4] x) => (float[m,4] y) { s = Slice(x, zero, one, zero) y = Tanh(s) }",
        zero=np.int64([0]),
        one=np.int64([1]),
    )
    given.meta[SAMPLES] = [{"x": np.ones((1, 4), np.float32)}]
    proof = compiler.compile(given, rules=[takes_all], proof="pass").proof
    assert [i.rule for i in proof.incidents] == ["takes_all"]
    assert "float32[2, 4], was float32[1, 4]" in proof.incidents[0].difference
    assert proof.holds


def test_samples_it_was_captured_with_do_where_made_up_ones_do_not_run():
    given = model(
        "g (float[n,4] x) => (float[2,6] y) { y = Reshape(x, six) }", six=np.int64([2, 6])
    )
    given.meta[SAMPLES] = [{"x": X[:1].repeat(3, 0)}]
    proof = compiler.compile(given, rules=[DROPS_RELU], proof="pass").proof
    assert proof.holds


def test_samples_it_was_captured_with_do_where_none_can_be_made_up():
    given = model("g (float[n,1000000] x) => (float[n,1000000] y) { y = Relu(x) }")
    given.graph.inputs[0].shape = ir.Shape(["n", 2**26])
    given.graph.outputs[0].shape = None
    given.meta[SAMPLES] = [{"x": np.ones((0, 2**26), np.float32)}]
    proof = compiler.compile(given, rules=[DROPS_RELU], proof="pass").proof
    assert proof.checks
    assert proof.blind == {"y": "it has no elements"}


def test_off_checks_nothing():
    program = compiler.compile(net(), rules=[DROPS_RELU], proof="off")
    assert not program.proof.checks
    assert not program.proof.holds
    assert program.report.rules["drops_relu"] == 3
    assert str(program.proof) == "not checked: it was switched off"


def test_a_rule_that_is_wrong_everywhere_is_given_up():
    proof = compiler.compile(net(), rules=[DROPS_RELU], proof="pass", samples=[{"x": X}]).proof
    assert len(proof.incidents) <= 3
    assert all(i.difference.startswith("output 'y': ") for i in proof.incidents)


def test_a_rule_that_is_right_elsewhere_stays_there():
    by_max = rule(
        "relu_by_max_or_worse",
        lambda op: op.Relu("x"),
        # Wrong for the first of them alone.
        lambda op, m: (
            op.Abs(m.x) if m.value("x").name == "a" else op.Max(m.x, op.constant(np.float32(0)))
        ),
    )
    source = net()
    program = compiler.compile(source, rules=[by_max], proof="pass", samples=[{"x": X}])
    (incident,) = program.proof.incidents
    assert incident.rule == "relu_by_max_or_worse"
    assert program.report.rules["relu_by_max_or_worse"] == 2
    assert [n.op_type for n in program.model.graph].count("Max") == 2
    same(program, source)


@pytest.mark.parametrize("level", ["end", "pass", "rewrite"])
def test_a_wrong_pass_and_a_wrong_rule_are_both_undone(level):
    source = net()
    steps = [Careless(), ApplyRules((DROPS_RELU,))]
    program = compiler.compile(source, steps=steps, proof=level, samples=[{"x": X}])
    names = {incident.rule for incident in program.proof.incidents}
    assert names == {"careless_tanh", "drops_relu"}
    assert program.proof.holds
    same(program, source)


def test_a_pass_that_applies_no_rules_is_undone_as_a_whole():
    source = net()
    program = compiler.compile(source, steps=[Careless()], proof="pass", samples=[{"x": X}])
    last = program.proof.incidents[-1]
    assert (last.pass_name, last.rule) == ("careless", "careless_tanh")
    assert last.action == "the pass was undone, and is not run again"
    assert program.proof.holds
    same(program, source)


def test_what_is_undone_is_missed_in_the_explanation():
    wrong = rule("gelu_by_relu", lambda op: op.Gelu("x"), lambda op, m: op.Relu(m.x))
    source = model("g (float[2,4] x) => (float[2,4] y) { y = Gelu(x) }")
    program = compiler.compile(
        source, rules=[wrong], proof="pass", samples=[{"x": X}], explain=True
    )
    assert program.proof.incidents
    assert [n.op_type for n in program.model.graph] == ["Gelu"]
    assert program.explanation.counts()["activation"].missed == 0


def test_infinities_that_a_rule_makes_are_its_fault():
    huge = rule(
        "huge",
        lambda op: op.Tanh("x"),
        lambda op, m: op.Exp(op.Mul(m.x, op.constant(np.float32(1e4)))),
    )
    source = model("g (float[2,4] x) => (float[2,4] y) { y = Tanh(x) }")
    proof = compiler.compile(source, rules=[huge], proof="pass", samples=[{"x": X}]).proof
    assert "NaN or infinite and were not" in proof.incidents[0].difference


def test_what_the_source_makes_no_number_of_is_nobodys_fault():
    source = model("g (float[2,4] x) => (float[2,4] y) { a = Log(x) y = Add(a, a) }")
    doubled = rule(
        "doubled",
        lambda op: op.Add("x", "x"),
        lambda op, m: op.Mul(m.x, op.constant(np.float32(2))),
    )
    program = compiler.compile(source, rules=[doubled], proof="pass", samples=[{"x": X}])
    assert program.report.rules["doubled"] == 1
    assert program.proof.holds


def test_before_anything_is_blamed_the_noise_is_drawn_more_often(monkeypatch):
    """exp(x) ** 2 is exp(2 x) but for its rounding, which one draw may hardly move."""
    squared = rule(
        "squared",
        lambda op: op.Mul(op.Exp("x"), op.Exp("x")),
        lambda op, m: op.Exp(op.Add(m.x, m.x)),
    )
    source = model("g (float[2,4] x) => (float[2,4] y) { a = Exp(x) b = Exp(x) y = Mul(a, b) }")
    monkeypatch.setattr(prover, "_NOISE_RUNS", 0)
    monkeypatch.setattr(compare, "_FLOOR", 0)
    program = compiler.compile(source, rules=[squared], proof="pass", samples=[{"x": X}])
    assert program.proof.holds
    assert not program.proof.incidents
    monkeypatch.setattr(prover, "_MORE_NOISE_RUNS", 0)
    blamed = compiler.compile(source, rules=[squared], proof="pass", samples=[{"x": X}])
    assert blamed.proof.incidents


UNTRAINED = "g (float[2,4] x) => (float[2,4] y, float[2,4] z) { y = MatMul(x, w)  z = Tanh(x) }"


def test_outputs_that_say_nothing_are_told():
    source = model(UNTRAINED, w=np.zeros((4, 4), np.float32))
    proof = compiler.compile(source, proof="pass", samples=[{"x": X}]).proof
    assert proof.blind == {"y": "it is zero everywhere"}
    assert proof.holds
    assert "output 'y' says nothing: it is zero everywhere; give samples" in str(proof)
    assert proof.to_dict()["blind"] == proof.blind
    del source.graph.outputs[1]
    alone = compiler.compile(source, proof="end", samples=[{"x": X}]).proof
    assert not alone.holds
    assert alone.checks[-1].ratio == 0


def test_an_output_says_something_if_it_does_for_one_sample():
    source = model(UNTRAINED, w=normal(4, 4))
    samples = [{"x": 0 * X}, {"x": X}]
    proof = compiler.compile(source, proof="pass", samples=samples).proof
    assert proof.blind == {}
    proof = compiler.compile(source, proof="pass", samples=samples[:1]).proof
    assert list(proof.blind) == ["y", "z"]
    assert not proof.holds


def test_random_models_are_not_compared():
    source = model("g () => (float[2] y) { y = RandomNormal <shape = [2]> () }")
    proof = compiler.compile(source, proof="pass").proof
    assert not proof.holds
    assert "RandomNormal gives other numbers each time" in str(proof)


@pytest.mark.parametrize(
    ("operands", "is_compared"), [("x", True), ("x, , no", True), ("x, , yes", False)]
)
def test_dropout_is_random_only_where_it_trains(operands: str, is_compared: bool):
    text = f"g (float[2,4] x) => (float[2,4] y) {{ a = Dropout({operands}) y = Neg(a) }}"
    source = model(text, no=np.array(False), yes=np.array(True))
    assert compiler.compile(source, proof="end").proof.holds == is_compared


def test_samples_of_the_users_have_to_fit():
    with pytest.raises(UnsupportedError, match="does not name the inputs"):
        compiler.compile(net(), proof="pass", samples=[{"z": X}])
    with pytest.raises(UnsupportedError, match="another dtype"):
        compiler.compile(net(), proof="pass", samples=[{"x": X.astype(np.float64)}])
    with pytest.raises(UnsupportedError, match="another shape"):
        compiler.compile(net(), proof="pass", samples=[{"x": X[:, :3]}])


def test_a_source_that_does_not_run_on_the_users_sample_is_an_error():
    source = model("g (float[2,4] x, int64[n] s) => (float[m] y) { y = Reshape(x, s) }")
    with pytest.raises(ExecutionError, match="cannot run"):
        compiler.compile(source, proof="pass", samples=[{"x": X, "s": np.array([3])}])


def test_there_is_no_other_level(monkeypatch):
    with pytest.raises(UnsupportedError, match="no such level"):
        compiler.compile(net(), proof="sometimes")
    monkeypatch.setenv("SARDONYX_PROOF", "end")
    assert compiler.compile(net()).proof.level == "end"


def test_half_precision_is_expected_to_round():
    program = compiler.compile(net(), "cuda", precision="fp16", proof="pass", samples=[{"x": X}])
    assert not program.proof.incidents
    assert program.proof.holds
    assert any(check.after == "convert_precision" for check in program.proof.checks)


def test_sizes_that_are_too_large_are_not_reached_where_smaller_ones_do():
    """The last lengths that are tried, 224 by 224, are a hundred million elements here."""
    source = model("g (float[b,h,w] x) => (float[b,h,w] y) { a = Relu(x) y = Relu(a) }")
    (x,) = source.graph.inputs
    h, w = (ir.SymbolicDim(f"64*{name}") for name in "hw")
    x.shape = ir.Shape([ir.SymbolicDim("b"), h, w])
    proof = compiler.compile(source, proof="pass").proof
    assert proof.checks
    assert proof.holds
    x.shape = ir.Shape([1 << 13, h, w])
    unchecked = compiler.compile(source, proof="pass").proof.unchecked
    assert unchecked.startswith("The inputs are too large to make samples of.")


def test_what_the_cpu_has_no_kernel_for_is_said_to_be_unchecked():
    proof = compiler.compile(
        net(), "cuda", precision="bf16", proof="pass", samples=[{"x": X}]
    ).proof
    assert not proof.incidents
    assert not proof.holds
    assert proof.unchecked.startswith("after convert_precision: ")
    assert "not checked any further" in str(proof) or not proof.checks
