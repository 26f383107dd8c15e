"""Names after `fix_names` are legal everywhere and stay where they were good."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from sardonyx.compiler.ir import names, structure, verify
from tests.support.models import model, normal

BRANCH = """g (bool c, float[2] x) => (float[2] y) {
    k = Abs(x)
    y = If(c) <then_branch = t () => (float[2] p) { p = Neg(k) },
               else_branch = e () => (float[2] q) { q = Relu(x) }>
}"""


def values(given: ir.Model) -> list[str]:
    return [v.name for node in given.graph.all_nodes() for v in node.outputs]


def test_good_names_stay():
    given = model(BRANCH)
    for number, node in enumerate(given.graph.all_nodes()):
        node.name = f"n{number}"
    before = ir.to_proto(given).SerializeToString(deterministic=True)
    assert names.fix_names(given) == 0
    assert ir.to_proto(given).SerializeToString(deterministic=True) == before


def test_bad_names_are_replaced_the_same_way_every_time():
    given = model(BRANCH)
    abs_, if_, neg, relu = given.graph.all_nodes()
    abs_.outputs[0].name = "y"
    neg.outputs[0].name = None
    relu.outputs[0].name = "k\nwith control \x00 characters"
    abs_.name = neg.name = "same"
    if_.name = None
    expected = clone_by_text(given)
    names.fix_names(given)
    assert values(given) == ["y_1", "y", "value", "k_with control _ characters"]
    assert [n.name for n in given.graph.all_nodes()] == ["same", "if", "same_1", "relu"]
    names.fix_names(expected)
    assert values(expected) == values(given)
    verify.verify(given)
    onnx.checker.check_model(ir.to_proto(given))


def clone_by_text(given: ir.Model) -> ir.Model:
    copied = given.clone()
    for old, new in zip(given.graph.all_nodes(), copied.graph.all_nodes(), strict=True):
        new.name = old.name
        for a, b in zip(old.outputs, new.outputs, strict=True):
            b.name = a.name
    return copied


def test_the_border_keeps_its_names():
    given = model(BRANCH)
    given.graph.node(0).outputs[0].name = "x"
    names.fix_names(given)
    assert [v.name for v in (*given.graph.inputs, *given.graph.outputs)] == ["c", "x", "y"]
    assert given.graph.node(0).outputs[0].name == "x_1"


def test_two_subgraphs_do_not_share_a_name_afterwards():
    given = model(BRANCH)
    _, _, neg, relu = given.graph.all_nodes()
    neg.outputs[0].name = relu.outputs[0].name = "p"
    names.fix_names(given)
    assert (neg.outputs[0].name, relu.outputs[0].name) == ("p", "p_1")


def test_an_output_that_nobody_asked_for_gets_no_name():
    given = model("g (float[4] x) => (float[2] v) { v, i = TopK(x, k) }", k=np.array([2]))
    for name in ("", None):
        given.graph.node(0).outputs[1].name = name
        names.fix_names(given)
        assert given.graph.node(0).outputs[1].name == ""
    assert ir.to_proto(given).graph.node[0].output == ["v"]


def test_initializers_and_their_tensors_are_renamed_together():
    given = model("g (float[2] x) => (float[2] y) { y = Add(x, w) }", w=normal(2))
    given.graph.initializers["w"].name = "bad\nname"
    names.fix_names(given)
    assert list(given.graph.initializers) == ["bad_name"]
    assert ir.to_proto(given).graph.initializer[0].name == "bad_name"


def test_long_names_are_cut():
    given = model("g (float[2] x) => (float[2] y) { a = Abs(x) b = Neg(a) y = Relu(b) }")
    first, second, _ = given.graph
    first.outputs[0].name, second.outputs[0].name = "n" * 9000, "n" * 9001
    names.fix_names(given)
    assert [len(v.name) for v in (first.outputs[0], second.outputs[0])] == [512, 514]


def test_function_bodies_have_names_of_their_own():
    given = model(
        """g (float[2] a) => (float[2] b) { b = my.f(a) }
        <domain: "my", opset_import: ["" : 23]> f (a) => (b) { c = Abs(a) b = Relu(c) }"""
    )
    (function,) = given.functions.values()
    function[0].outputs[0].name = "b"
    names.fix_names(given)
    assert [v.name for v in (*given.graph.inputs, *given.graph.outputs)] == ["a", "b"]
    assert [v.name for node in function for v in node.outputs] == ["b_1", "b"]


def test_what_the_model_computes_stays():
    given = model(BRANCH)
    before = structure.fingerprint(given)
    given.graph.node(0).outputs[0].name = "y"
    names.fix_names(given)
    assert structure.fingerprint(given) == before
