"""An If whose condition is a constant gives way to the branch that is taken."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.passes.inline_if import InlineIf
from tests.support.models import clone, model, normal
from tests.support.rules import apply, check_rule, check_same, counts
from tests.support.run import check_valid, run_ort

INLINE = InlineIf()
TWO = """g (float[2] x) => (float[2] y) {{
    {before}
    y = If(p) <
        then_branch = t () => (float[2] a) {{ {then} }},
        else_branch = e () => (float[2] b) {{ {other} }}
    >
    {after}
}}"""


def decided(then: str, other: str, truth: bool, *, before="", after="", **weights) -> ir.Model:
    text = TWO.format(then=then, other=other, before=before, after=after)
    return model(text, p=np.array(truth), **weights)


@pytest.mark.parametrize("truth", [True, False])
def test_the_branch_that_is_taken_stays(truth):
    given = decided("c = Exp(x) a = Neg(c)", "b = Abs(x)", truth)
    check_rule(INLINE, given, {"Exp": 1, "Neg": 1} if truth else {"Abs": 1}, atol=0, rtol=0)


def test_a_condition_with_one_axis_counts():
    given = decided("a = Neg(x)", "b = Abs(x)", True)
    given.graph.initializers["p"].const_value = ir.tensor(np.array([True]), name="p")
    given.graph.initializers["p"].shape = ir.Shape([1])
    check_rule(INLINE, given, {"Neg": 1}, atol=0, rtol=0)


def test_a_branch_may_read_what_is_around_it():
    given = decided(
        "c = Add(o, w) a = Mul(c, x)", "b = Abs(x)", True, before="o = Exp(x)", w=normal(2)
    )
    check_rule(INLINE, given, {"Exp": 1, "Add": 1, "Mul": 1}, atol=0, rtol=0)


def test_names_that_both_branches_use():
    given = decided("c = Exp(x) a = Neg(c)", "c = Tanh(x) b = Abs(c)", False)
    check_rule(INLINE, given, {"Tanh": 1, "Abs": 1}, atol=0, rtol=0)


def test_two_ifs_whose_branches_use_the_same_names():
    text = """g (float[2] x) => (float[2] y) {
        u = If(p) <
            then_branch = t () => (float[2] a) { c = Exp(x) a = Neg(c) },
            else_branch = e () => (float[2] b) { b = Abs(x) }
        >
        y = If(p) <
            then_branch = t2 () => (float[2] a) { c = Tanh(u) a = Ceil(c) },
            else_branch = e2 () => (float[2] b) { b = Abs(x) }
        >
    }"""
    given = model(text, p=np.array(True))
    check_rule(INLINE, given, {"Exp": 1, "Neg": 1, "Tanh": 1, "Ceil": 1}, atol=0, rtol=0)


@pytest.mark.parametrize("outer", [True, False])
@pytest.mark.parametrize("inner", [True, False])
def test_ifs_in_ifs(outer, inner):
    text = """g (float[2] x) => (float[2] y) {
        y = If(p) <
            then_branch = t () => (float[2] a) {
                c = If(q) <
                    then_branch = tt () => (float[2] d) { d = Exp(x) },
                    else_branch = te () => (float[2] f) { f = Tanh(x) }
                >
                a = Neg(c)
            },
            else_branch = e () => (float[2] b) {
                c = If(q) <
                    then_branch = et () => (float[2] d) { d = Sin(x) },
                    else_branch = ee () => (float[2] f) { f = Cos(x) }
                >
                b = Abs(c)
            }
        >
    }"""
    given = model(text, p=np.array(outer), q=np.array(inner))
    kept = {(True, True): "Exp", (True, False): "Tanh", (False, True): "Sin"}.get(
        (outer, inner), "Cos"
    )
    check_rule(INLINE, given, {kept: 1, "Neg" if outer else "Abs": 1}, atol=0, rtol=0)


def test_an_if_that_is_decided_inside_one_that_is_not():
    text = """g (bool r, float[2] x) => (float[2] y) {
        y = If(r) <
            then_branch = t () => (float[2] a) {
                a = If(p) <
                    then_branch = tt () => (float[2] d) { d = Exp(x) },
                    else_branch = te () => (float[2] f) { f = Tanh(x) }
                >
            },
            else_branch = e () => (float[2] b) { b = Abs(x) }
        >
    }"""
    given = model(text, p=np.array(False))
    check_rule(INLINE, given, {"If": 1, "Tanh": 1, "Abs": 1}, atol=0, rtol=0)


def test_several_outputs_of_which_one_is_listed_twice():
    text = """g (float[2] x) => (float[2] y, float[2] z, float[2] w) {
        y, z, w = If(p) <
            then_branch = t () => (float[2] a, float[2] b, float[2] a2) {
                a = Neg(x) b = Exp(a) a2 = Identity(a)
            },
            else_branch = e () => (float[2] c, float[2] d, float[2] f) {
                c = Abs(x) d = Abs(c) f = Abs(d)
            }
        >
    }"""
    given = model(text, p=np.array(True))
    branch = given.graph.node(0).attributes["then_branch"].as_graph()
    branch.outputs[2] = branch.outputs[0]
    branch.remove(branch.node(2), safe=True)
    apply(INLINE, given)
    assert counts(given) == {"Neg": 1, "Exp": 1, "Identity": 1}
    assert [v.name for v in given.graph.outputs] == ["y", "z", "w"]
    check_valid(given)
    y, z, w = run_ort(given, {"x": normal(2)})
    np.testing.assert_array_equal(w, y)
    np.testing.assert_allclose(z, np.exp(y), rtol=1e-6)


def test_a_branch_that_returns_its_own_initializer():
    given = decided("a = Neg(x)", "b = Abs(x)", True, after="z = Exp(y)")
    after_it = given.graph.node(1).outputs[0]
    after_it.type, after_it.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape([2])
    given.graph.outputs.append(after_it)
    branch = given.graph.node(0).attributes["then_branch"].as_graph()
    value = ir.Value(name="k", const_value=ir.tensor(normal(2), name="k"))
    value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape([2])
    branch.register_initializer(value)
    branch.outputs[0] = value
    branch.remove(branch.node(0), safe=True)
    after = clone(given)
    apply(INLINE, after)
    assert counts(after) == {"Identity": 1, "Exp": 1}
    check_same(given, after, atol=0, rtol=0)


def test_an_initializer_of_a_branch_that_nobody_reads():
    given = decided("a = Neg(x)", "b = Abs(x)", True)
    branch = given.graph.node(0).attributes["then_branch"].as_graph()
    value = ir.Value(name="k", const_value=ir.tensor(normal(2), name="k"))
    value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape([2])
    branch.register_initializer(value)
    check_rule(INLINE, given, {"Neg": 1}, atol=0, rtol=0)


def test_an_undecided_if_stays():
    given = model(
        """g (bool p, float[2] x) => (float[2] y) {
            y = If(p) <
                then_branch = t () => (float[2] a) { a = Neg(x) },
                else_branch = e () => (float[2] b) { b = Abs(x) }
            >
        }"""
    )
    assert not apply(INLINE, given).applied
    given.graph.inputs[0].const_value = ir.tensor(np.array(True), name="p")
    given.graph.register_initializer(given.graph.inputs[0])
    assert not apply(INLINE, given).applied, "callers may override the default"


def test_what_only_the_other_branch_read_goes_with_it():
    given = decided(
        "a = Neg(x)", "c = Mul(o, w) b = Abs(c)", True, before="o = Exp(x)", w=normal(2)
    )
    after = check_rule(INLINE, given, {"Neg": 1}, atol=0, rtol=0)
    assert not after.graph.initializers
