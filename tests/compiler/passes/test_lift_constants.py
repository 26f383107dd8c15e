"""Constants, in whatever form and graph, become initializers of the main graph."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.passes.lift_constants import LiftConstants
from tests.support.models import clone, model, normal
from tests.support.rules import apply, check_rule, check_same, counts
from tests.support.run import check_valid, run_ort

LIFT = LiftConstants()


def operators(given: ir.Model) -> set[str]:
    return {node.op_type for node in given.graph.all_nodes()}


@pytest.mark.parametrize(
    ("constant", "wanted"),
    [
        ("value = float[2] {1.5, 2}", np.float32([1.5, 2])),
        ("value_float = 1.5", np.float32(1.5)),
        ("value_floats = [1.5, 2.0]", np.float32([1.5, 2])),
        ("value_int = -7", np.int64(-7)),
        ("value_ints = [1, 9223372036854775807]", np.int64([1, 2**63 - 1])),
    ],
)
def test_numbers_in_every_form(constant, wanted):
    given = model(f"g () => (y) {{ c = Constant<{constant}>() y = Identity(c) }}")
    after = clone(given)
    apply(LIFT, after)
    assert operators(after) == {"Identity"}
    (held,) = after.graph.initializers.values()
    np.testing.assert_array_equal(held.const_value.numpy(), wanted, strict=True)
    check_valid(after)
    assert not apply(LIFT, after).applied


@pytest.mark.parametrize(
    ("constant", "wanted"),
    [('value_string = "dé"', "dé"), ('value_strings = ["a", ""]', ["a", ""])],
)
def test_strings_in_every_form(constant, wanted):
    given = model(f"g () => (y) {{ c = Constant<{constant}>() y = Identity(c) }}")
    apply(LIFT, given)
    assert operators(given) == {"Identity"}
    check_valid(given)
    assert run_ort(given, {})[0].tolist() == wanted


def test_a_string_that_ends_in_zeros_keeps_them():
    given = model('g () => (string y) { c = Constant<value_string = "a">() y = Identity(c) }')
    given.graph.node(0).attributes["value_string"] = ir.AttrString("value_string", "a\0")
    apply(LIFT, given)
    (held,) = given.graph.initializers.values()
    assert list(held.const_value.string_data()) == [b"a\0"]


def test_a_sparse_constant_stays():
    given = model("g () => (float y) { c = Constant<value_float = 1.0>() y = Identity(c) }")
    node = given.graph.node(0)
    node.attributes.clear()
    node.attributes["sparse_value"] = ir.Attr("sparse_value", ir.AttributeType.SPARSE_TENSOR, None)
    editor = Editor(given, Types(given))
    assert not LIFT.run(editor).applied


def test_a_constant_that_is_a_graph_output_keeps_its_name():
    given = model("g () => (float y, float z) { y = Constant<value_float = 1.0>() z = Neg(y) }")
    after = clone(given)
    apply(LIFT, after)
    assert counts(after) == {"Identity": 1, "Neg": 1}
    check_same(given, after, atol=0, rtol=0)


def test_constants_of_subgraphs_are_lifted():
    given = model(
        """g (bool p, float[2] x) => (float[2] y) {
            y = If(p) <
                then_branch = t () => (float[2] a) {
                    c = Constant<value = float[2] {1, 2}>() a = Add(x, c)
                },
                else_branch = e () => (float[2] b) {
                    d = Constant<value = float[2] {3, 4}>() b = Mul(x, d)
                }
            >
        }"""
    )
    after = check_rule(LIFT, given, {"If": 1, "Add": 1, "Mul": 1}, atol=0, rtol=0)
    assert len(after.graph.initializers) == 2


def branches_with_initializers(*outputs: str) -> ir.Model:
    """An If whose branches have an initializer `w` each, with other numbers."""
    given = model(
        """g (bool p, float[2] x) => (float[2] y) {
            y = If(p) <
                then_branch = t () => (float[2] a) { a = Neg(x) },
                else_branch = e () => (float[2] b) { b = Abs(x) }
            >
        }"""
    )
    for index, name in enumerate(("then_branch", "else_branch")):
        branch = given.graph.node(0).attributes[name].as_graph()
        held = ir.tensor(normal(2, seed=index), name="w")
        value = ir.Value(name="w", const_value=held)
        value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape([2])
        branch.register_initializer(value)
        if name in outputs:
            branch.outputs[0] = value
            branch.remove(branch.node(0), safe=True)
        else:
            node = branch.node(0)
            made = ir.node("Add", [node.inputs[0], value])
            made.outputs[0].name = f"sum{index}"
            made.outputs[0].type, made.outputs[0].shape = value.type, value.shape
            branch.insert_before(node, made)
            node.replace_input_with(0, made.outputs[0])
    return given


def test_initializers_of_subgraphs_are_lifted_and_get_names_of_their_own():
    given = branches_with_initializers()
    after = clone(given)
    assert len(apply(LIFT, after).applied["lift_constants"]) == 2
    assert len(after.graph.initializers) == 2
    for p in (True, False):
        feeds = {"p": np.array(p), "x": normal(2)}
        np.testing.assert_array_equal(run_ort(given, feeds)[0], run_ort(after, feeds)[0])
    check_valid(after)
    assert not apply(LIFT, after).applied


def test_an_initializer_that_a_branch_returns_stays():
    given = branches_with_initializers("else_branch")
    after = clone(given)
    assert len(apply(LIFT, after).applied["lift_constants"]) == 1
    for p in (True, False):
        feeds = {"p": np.array(p), "x": normal(2)}
        np.testing.assert_array_equal(run_ort(given, feeds)[0], run_ort(after, feeds)[0])


def test_a_lifted_name_does_not_take_that_of_a_value_outside():
    given = branches_with_initializers()
    graph = given.graph
    outer = ir.node("Exp", [graph.inputs[1]])
    outer.outputs[0].name = "w"
    outer.outputs[0].type = graph.inputs[1].type
    outer.outputs[0].shape = graph.inputs[1].shape
    graph.append(outer)
    graph.outputs.append(outer.outputs[0])
    apply(LIFT, given)
    check_valid(given)
    assert [v.name for v in graph.outputs] == ["y", "w"]
