"""Structural equality sees what a model computes, not what things are called."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.ir.structure import attributes_key, equal, fingerprint, node_key, tensor_key
from tests.support.models import clone, model, normal

BASE = """g (float[b,3] x, float[b,3] z) => (float[b,3] y, float[b,3] v) {
    a = Sub(x, z)
    k = LeakyRelu<alpha = 0.1>(a)
    y = Mul(k, w)
    v = Neg(a)
}"""
W = np.array([1, -2, 3], np.float32)


def base(text: str = BASE, w: np.ndarray = W) -> ir.Model:
    return model(text, w=w)


def test_names_and_metadata_do_not_count():
    renamed = base()
    for number, node in enumerate(renamed.graph):
        node.name = f"other{number}"
        node.metadata_props["x"] = "y"
        for value in node.outputs:
            value.name = f"renamed_{value.name}"
    for value in (*renamed.graph.inputs, *list(renamed.graph.initializers.values())):
        value.name = f"in_{value.name}"
    renamed.graph.name = "h"
    assert equal(base(), renamed)
    assert fingerprint(base()) == fingerprint(renamed)


def test_the_order_of_independent_nodes_does_not_count():
    moved = base(BASE.replace("    v = Neg(a)\n", "").replace("k = L", "v = Neg(a) k = L"))
    assert [n.op_type for n in moved.graph] != [n.op_type for n in base().graph]
    assert equal(base(), moved)


def test_the_order_of_attributes_does_not_count():
    def conv(*names):
        values = {"strides": [2, 2], "group": 1}
        node = ir.node("Conv", [], attributes={n: values[n] for n in names})
        return attributes_key(node)

    assert conv("strides", "group") == conv("group", "strides")
    assert conv("strides", "group") != conv("strides")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Sub(x, z)", "Sub(z, x)"),
        ("Sub(x, z)", "Add(x, z)"),
        ("Neg(a)", "Neg(k)"),
        ("alpha = 0.1", "alpha = 0.2"),
        ("<alpha = 0.1>", ""),
        ("v = Neg(a)", "v = Neg(a) dead = Abs(a)"),
        ("v = Neg(a)", "c = Sub(x, z) v = Neg(c)"),
        ("v = Neg(a)", "v = com.microsoft.Neg(a)"),
        ("(float[b,3] y, float[b,3] v)", "(float[b,3] v, float[b,3] y)"),
        ("float[b,3] z", "float[b,1] z"),
        ("float[b,3] z", "float16[b,3] z"),
        ("=> (float[b,3] y, float[b,3] v)", "=> (float[b,3] y)"),
    ],
)
def test_what_is_computed_counts(old, new):
    changed = base(BASE.replace(old, new))
    assert BASE.replace(old, new) != BASE
    assert not equal(base(), changed)
    assert fingerprint(base()) != fingerprint(changed)


def test_constants_count_by_content():
    assert equal(base(), base(w=W.copy()))
    assert not equal(base(), base(w=W + 1))
    assert not equal(base(), base(w=W.reshape(1, 3)))
    assert not equal(base(w=np.float32([0, 0, 0])), base(w=np.float32([-0.0, 0, 0])))


def test_large_constants_are_not_read_by_a_fingerprint(monkeypatch):
    weights = normal(300)
    text = "g (float[300] x) => (float[300] y) { y = Mul(x, w) }"
    one, other = model(text, w=weights), model(text, w=weights.copy())
    assert equal(one, other)
    assert fingerprint(one) != fingerprint(other)
    shared = clone(one)
    shared.graph.initializers["w"].const_value = one.graph.initializers["w"].const_value
    monkeypatch.setattr(ir.Tensor, "tobytes", lambda self: pytest.fail("the weights were read"))
    assert fingerprint(one) == fingerprint(shared)


def test_a_fingerprint_keeps_the_constants_alive_that_it_knows_by_identity():
    given = model("g (float[300] x) => (float[300] y) { y = Mul(x, w) }", w=normal(300))
    held = given.graph.initializers["w"].const_value
    assert any(tensor is held for tensor in fingerprint(given).tensors)


def test_constants_that_nobody_reads_count():
    text = "g (float[3] x) => (float[3] y) < float[3] w = {1, 2, 3} > { y = Relu(x) }"
    assert not equal(model(text), model(text.replace("< float[3] w = {1, 2, 3} >", "")))
    assert not equal(model(text), model(text.replace("3} >", "4} >")))


def test_an_initializer_differs_from_a_default_that_the_caller_may_override():
    text = "g (float[3] x, float[3] w) => (float[3] y) { y = Add(x, w) }"
    assert not equal(model(text, w=W), model(text))
    assert not equal(model(text, w=W), model(text, w=W + 1))
    assert not equal(model(text, w=W), model(text.replace(", float[3] w", ""), w=W))


def test_an_output_that_is_asked_for_counts():
    text = "g (float[4] x) => (float[2] v) { v, i = TopK(x, k) }"
    asked, not_asked = model(text, k=np.array([2])), model(text, k=np.array([2]))
    not_asked.graph.node(0).outputs[1].name = ""
    assert not equal(asked, not_asked)
    assert equal(not_asked, clone(not_asked))


BRANCH = """g (bool c, float[2] x) => (float[2] y) {
    k = Abs(x)
    j = Neg(x)
    y = If(c) <then_branch = t () => (float[2] p) { p = Add(k, j) },
               else_branch = e () => (float[2] q) { q = Relu(x) }>
}"""


@pytest.mark.parametrize(
    ("old", "new"),
    [("Relu(x)", "Elu(x)"), ("Add(k, j)", "Add(j, k)"), ("Relu(x)", "Relu(k)")],
)
def test_subgraphs_and_what_they_capture_count(old, new):
    assert equal(model(BRANCH), model(BRANCH.replace(" p", " other")))
    assert not equal(model(BRANCH), model(BRANCH.replace(old, new)))


def test_inputs_of_nested_bodies_are_told_apart():
    text = """g (int64 n, bool c, float[2] x) => (float[2] y) {
        y = Loop(n, c, x) <body = b (int64 i, bool k, float[2] a) => (bool q, float[2] r) {
            q = Identity(k)
            r = Loop(n, c, a) <body = d (int64 i2, bool k2, float[2] a2) => (bool q2, float[2] r2) {
                q2 = Identity(k2) r2 = Add(a2, a2) }> }>
    }"""
    assert not equal(model(text), model(text.replace("Add(a2, a2)", "Add(a2, a)")))


def test_functions_and_opsets_count():
    text = """g (float[2] x) => (float[2] y) { y = my.f(x) }
    <domain: "my", opset_import: ["" : 23]> f <k: float = 1.0> (a) => (b) { b = Relu(a) }"""
    for old, new in (("Relu", "Elu"), ("1.0", "2.0"), ('["" : 23]', '["" : 22]')):
        assert not equal(model(text), model(text.replace(old, new)))
    raised = model(text)
    raised.opset_imports[""] = 22
    assert not equal(model(text), raised)


def test_node_keys_are_for_common_subexpressions():
    given = model(
        """g (float[2] x) => (float[2] a, float[2] b, float[2] c, float[2] d) {
            a = Clip(x, w) b = Clip(x, w) c = Clip(w, x) d = Clip(x, w, w)
        }""",
        w=normal(2),
    )
    a, b, c, d = map(node_key, given.graph)
    assert a == b
    assert hash(a) == hash(b)
    assert len({a, c, d}) == 3


def test_tensor_keys():
    small, large = ir.tensor(W), ir.tensor(normal(1000))
    assert tensor_key(small) == tensor_key(ir.tensor(W.copy()))
    assert tensor_key(small) != tensor_key(ir.tensor(W.astype(np.float64)))
    assert tensor_key(large) == tensor_key(large)
    again = ir.tensor(large.numpy().copy())
    assert tensor_key(large) != tensor_key(again)
    assert tensor_key(large, content=True) == tensor_key(again, content=True)
    assert tensor_key(ir.tensor(["a", "b"])) != tensor_key(ir.tensor(["ab", ""]))
