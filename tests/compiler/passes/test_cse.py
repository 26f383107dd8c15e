"""Equal nodes are computed once; nodes that only look equal stay."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.passes.cse import ShareCommonSubexpressions
from tests.support.models import clone, model, normal
from tests.support.rules import apply, check_rule, check_same, counts

CSE = ShareCommonSubexpressions()


def stays(given: ir.Model) -> None:
    after = clone(given)
    assert not apply(CSE, after).applied
    assert counts(after) == counts(given)


def test_chains_of_equal_nodes_are_shared_in_one_run():
    given = model(
        """g (float[2,3] x) => (float[2,3] y) {
            a = Exp(x) b = Neg(a) c = Exp(x) d = Neg(c) y = Add(b, d)
        }"""
    )
    check_rule(CSE, given, {"Exp": 1, "Neg": 1, "Add": 1}, atol=0, rtol=0)


def test_nodes_with_several_outputs_are_shared():
    given = model(
        """g (float[2,4] x) => (float[2,2] y) {
            a, b = Split<axis = 1, num_outputs = 2>(x) c, d = Split<axis = 1, num_outputs = 2>(x)
            e = Add(a, d) f = Sub(c, b) y = Mul(e, f)
        }"""
    )
    check_rule(CSE, given, {"Split": 1, "Add": 1, "Sub": 1, "Mul": 1}, atol=0, rtol=0)


def test_a_node_of_a_subgraph_is_shared_with_the_graph_around_it():
    given = model(
        """g (bool p, float[2] x) => (float[2] y) {
            a = Exp(x)
            b = If(p) <
                then_branch = t () => (float[2] d) { c = Exp(x) d = Neg(c) },
                else_branch = e () => (float[2] f) { h = Exp(x) f = Abs(h) }
            >
            y = Add(a, b)
        }"""
    )
    check_rule(CSE, given, {"Exp": 1, "If": 1, "Neg": 1, "Abs": 1, "Add": 1}, atol=0, rtol=0)


def test_nodes_of_two_branches_are_not_shared():
    stays(
        model(
            """g (bool p, float[2] x) => (float[2] y) {
                y = If(p) <
                    then_branch = t () => (float[2] d) { c = Exp(x) d = Neg(c) },
                    else_branch = e () => (float[2] f) { h = Exp(x) f = Abs(h) }
                >
            }"""
        )
    )


def test_a_node_is_not_shared_with_one_of_a_subgraph_before_it():
    stays(
        model(
            """g (bool p, float[2] x) => (float[2] y) {
                b = If(p) <
                    then_branch = t () => (float[2] d) { c = Exp(x) d = Neg(c) },
                    else_branch = e () => (float[2] f) { f = Abs(x) }
                >
                a = Exp(x) y = Add(a, b)
            }"""
        )
    )


def test_a_node_that_gives_an_output_is_read_by_others_but_stays():
    given = model(
        """g (float[2] x) => (float[2] y, float[2] z, float[2] w) {
            y = Exp(x) z = Exp(x) a = Exp(x) w = Neg(a)
        }"""
    )
    after = clone(given)
    apply(CSE, after)
    assert counts(after) == {"Exp": 2, "Neg": 1}
    check_same(given, after, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("LeakyRelu<alpha = 0.1>(x)", "LeakyRelu<alpha = 0.2>(x)"),
        ("Softmax<axis = 0>(x)", "Softmax<axis = 1>(x)"),
        ("Sub(x, w)", "Sub(w, x)"),
        ("Clip(x, lo)", 'Clip(x, "", lo)'),
        ("RandomNormalLike(x)", "RandomNormalLike(x)"),
        ("RandomUniformLike<seed = 1.0>(x)", "RandomUniformLike<seed = 1.0>(x)"),
        ("Dropout(x, half, yes)", "Dropout(x, half, yes)"),
        ("com.microsoft.Gelu(x)", "Gelu(x)"),
        ("Cast<to = 10>(x)", "Cast<to = 11>(x)"),
    ],
)
def test_nodes_that_differ_stay(first, second):
    given = model(
        f"g (float[2,3] x) => (y, z) {{ a = {first} b = {second} y = Neg(a) z = Neg(b) }}",
        w=normal(2, 3),
        lo=np.float32(0),
        half=np.float32(0.5),
        yes=np.array(True),
    )
    stays(given)


def test_attributes_that_differ_in_the_sign_of_zero_or_in_nothing_but_nan():
    def pair(first: float, second: float) -> ir.Model:
        given = model(
            """g (float[2] x) => (float[2] y) {
                a = LeakyRelu<alpha = 1.0>(x) b = LeakyRelu<alpha = 1.0>(x) y = Sub(a, b)
            }"""
        )
        for node, number in zip(given.graph, (first, second), strict=False):
            node.attributes["alpha"] = ir.AttrFloat32("alpha", number)
        return given

    stays(pair(0.0, -0.0))
    shared = pair(float("nan"), float("nan"))
    apply(CSE, shared)
    assert counts(shared) == {"LeakyRelu": 1, "Sub": 1}


def test_tensor_attributes_are_compared_by_bits():
    def pair(first: np.ndarray, second: np.ndarray) -> ir.Model:
        given = model(
            """g (int64[1] n) => (y, z) {
                a = ConstantOfShape(n) b = ConstantOfShape(n) y = Neg(a) z = Neg(b)
            }"""
        )
        for node, array in zip(given.graph, (first, second), strict=False):
            node.attributes["value"] = ir.AttrTensor("value", ir.tensor(array))
        return given

    for other in (np.float32([-0.0]), np.float32([1.0]), np.int32([0]), np.float64([0.0])):
        given = pair(np.float32([0.0]), other)
        apply(CSE, given)
        assert counts(given) == {"ConstantOfShape": 2, "Neg": 2}
    same = pair(np.float32([np.nan]), np.float32([np.nan]))
    apply(CSE, same)
    assert counts(same)["ConstantOfShape"] == 1


def test_operators_that_nobody_described_may_have_effects():
    given = model("g (float[2] x) => (float[2] y) { a = Exp(x) b = Exp(x) y = Add(a, b) }")
    given.opset_imports["own"] = 1
    for node in list(given.graph)[:2]:
        node.domain, node.op_type = "own", "Count"
    before = counts(given)
    apply(CSE, given)
    assert counts(given) == before


def test_another_overload_is_another_operator():
    given = model("g (float[2] x) => (float[2] y) { a = Exp(x) b = Exp(x) y = Add(a, b) }")
    given.graph.node(1).overload = "other"
    before = counts(given)
    apply(CSE, given)
    assert counts(given) == before


def test_outputs_that_are_left_out_make_a_difference():
    given = model(
        """g (float[1,1,4,4] x) => (float[1,1,2,2] y, int64[1,1,2,2] i) {
            a = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x)
            b, i = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x) y = Add(a, b)
        }"""
    )
    after = clone(given)
    apply(CSE, after)
    check_same(given, after, atol=0, rtol=0)
