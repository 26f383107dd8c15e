"""Edits keep a model well formed, keep what it means, and say what they did."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.errors import RewriteError
from sardonyx.compiler.ir import provenance, verify
from sardonyx.compiler.ir.edit import Change, Editor
from sardonyx.compiler.ir.text import to_text
from sardonyx.compiler.ir.types import Types
from tests.support.models import model, normal


def editor_of(given: ir.Model) -> Editor:
    return Editor(given, Types.inferred(given))


def body(given: ir.Model) -> list[str]:
    """The nodes of the main graph as text, after a check that the model is well formed."""
    verify.verify(given)
    lines = to_text(given, brief=True).splitlines()
    inner = lines[lines.index("{") + 1 : len(lines) - lines[::-1].index("}") - 1]
    return [line.split("  #")[0].strip() for line in inner]


def node_of(given: ir.Model, op_type: str) -> ir.Node:
    (found,) = (node for node in given.graph.all_nodes() if node.op_type == op_type)
    return found


CHAIN = "g (float[b,3] x) => (float[b,3] y) { a = Abs(x) b = Neg(a) y = Relu(b) }"


def test_a_replacement_takes_the_readers_and_erases_what_is_unread():
    given = model(CHAIN)
    editor = editor_of(given)
    heard: list[Change] = []
    editor.listeners.append(heard.append)
    neg = node_of(given, "Neg")
    provenance.set_source(neg, "layer.1")
    built = editor.builder()
    change = editor.replace(neg.outputs, [built.Exp(neg.inputs[0])], built, "neg_to_exp")
    assert body(given) == ["a = Abs (x)", "val = Exp (a)", "y = Relu (val)"]
    assert change.site == "layer.1 (Neg)"
    assert change.erased == ("Neg",)
    assert [n.op_type for n in change.added] == ["Exp"]
    assert [n.op_type for n in change.readers] == ["Relu"]
    assert provenance.sources(change.added[0]) == ["layer.1"]
    assert provenance.rules(change.added[0]) == ["neg_to_exp"]
    assert heard == [change]
    assert editor.changes == 1


def test_what_only_the_replaced_read_goes_too():
    given = model(
        "g (float[3] x) => (float[3] y) { a = Abs(x) b = Add(a, w) y = Relu(b) }", w=normal(3)
    )
    editor = editor_of(given)
    built = editor.builder()
    y = given.graph.outputs[0]
    editor.replace([y], [built.Exp(given.graph.inputs[0])], built, "shortcut")
    assert body(given) == ["y = Exp (x)"]
    assert not given.graph.initializers


def test_a_graph_output_keeps_its_name_when_an_existing_value_takes_its_place():
    given = model("g (float[3] x) => (float[3] y) { a = Abs(x) y = Abs(a) }")
    editor = editor_of(given)
    last = given.graph.outputs[0].producer()
    editor.replace(last.outputs, last.inputs, editor.builder(), "idempotent")
    assert body(given) == ["y = Abs (x)"]


@pytest.mark.parametrize("stands_for", ["input", "output", "initializer"])
def test_a_value_that_cannot_be_the_output_gives_it_through_an_identity(stands_for):
    text = "g (float[3] x) => (float[3] y, float[3] z) { z = Add(x, w) a = Abs(x) y = Neg(a) }"
    given = model(text, w=normal(3))
    editor = editor_of(given)
    values = {
        "input": given.graph.inputs[0],
        "output": given.graph.outputs[1],
        "initializer": given.graph.initializers["w"],
    }
    editor.replace([given.graph.outputs[0]], [values[stands_for]], editor.builder(), "rule")
    name = values[stands_for].name
    assert body(given) == ["z = Add (x, w)", f"y = Identity ({name})"]
    assert [v.name for v in given.graph.outputs] == ["y", "z"]
    assert given.graph.outputs[0].shape == ir.Shape([3])


def test_one_value_for_two_outputs():
    given = model("g (float[3] x) => (float[3] y, float[3] z) { y = Abs(x) z = Neg(x) }")
    editor = editor_of(given)
    built = editor.builder()
    made = built.Exp(given.graph.inputs[0])
    editor.replace(list(given.graph.outputs), [made, made], built, "merge")
    assert body(given) == ["y = Exp (x)", "z = Identity (y)"]


def test_a_node_that_stays_for_its_other_output_keeps_a_name_for_both():
    given = model(
        "g (float[4] x) => (float[2] v, int64[2] i) { v, i = TopK(x, k) }", k=np.array([2])
    )
    editor = editor_of(given)
    topk = given.graph.node(0)
    built = editor.builder()
    editor.replace(topk.outputs[:1], [built.Slice(topk.inputs[0], [0], [2])], built, "rule")
    assert [v.name for v in given.graph.outputs] == ["v", "i"]
    assert body(given) == [
        'v = Slice (x, "v.slice", "v.slice_2")',
        "v_1, i = TopK (x, k)",
    ]


def test_readers_between_the_producers_of_several_replaced_values_come_after():
    given = model(
        """g (float[3] x) => (float[3] y, float[3] z) {
            a = Abs(x) y = Relu(a) b = Neg(x) z = Exp(b)
        }"""
    )
    editor = editor_of(given)
    x = given.graph.inputs[0]
    a, b = (node_of(given, t).outputs[0] for t in ("Abs", "Neg"))
    built = editor.builder()
    editor.replace([a, b], [built.Sin(x), built.Cos(x)], built, "pair")
    assert sorted(body(given)) == [
        "val = Sin (x)",
        "val_1 = Cos (x)",
        "y = Relu (val)",
        "z = Exp (val_1)",
    ]


def test_a_replacement_computed_from_what_it_replaces_is_refused():
    given = model(CHAIN)
    editor = editor_of(given)
    before = to_text(given)
    neg = node_of(given, "Neg")
    built = editor.builder()
    new = built.Exp(neg.outputs[0])
    with pytest.raises(RewriteError, match="wrap computes what replaces a value from that value"):
        editor.replace(neg.outputs, [new], built, "wrap")
    built.discard()
    assert to_text(given) == before
    verify.verify(given)


def test_a_replacement_that_would_close_a_cycle_through_other_nodes_is_refused():
    given = model(
        "g (float[3] x) => (float[3] y) { a = Abs(x) c = Relu(a) b = Neg(c) y = Add(b, c) }"
    )
    editor = editor_of(given)
    a, b, c = (node_of(given, t).outputs[0] for t in ("Abs", "Neg", "Relu"))
    built = editor.builder()
    first, second = built.Sin(given.graph.inputs[0]), built.Cos(c)
    with pytest.raises(RewriteError, match="computes what replaces a value from that value"):
        editor.replace([a, b], [first, second], built, "both")


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda op, x: op.Cast(x, to=ir.DataType.DOUBLE), "double[b, 3]"),
        (lambda op, x: op.Unsqueeze(x, [0]), "float[1, b, 3]"),
        (lambda op, x: op.Concat(x, x, axis=1), "float[b, 6]"),
        (lambda op, x: op.SequenceConstruct(x), "float"),
    ],
)
def test_a_replacement_of_another_type_is_refused(make, found):
    given = model(CHAIN)
    editor = editor_of(given)
    neg = node_of(given, "Neg")
    built = editor.builder()
    with pytest.raises(RewriteError, match="replaces a value by one of another type") as caught:
        editor.replace(neg.outputs, [make(built, given.graph.inputs[0])], built, "wrong")
    assert found in caught.value.found
    assert caught.value.expected == "b: float[b, 3]"


def test_counts_must_agree():
    given = model(CHAIN)
    editor = editor_of(given)
    with pytest.raises(RewriteError, match="wrong replaces 1 values by 0"):
        editor.replace([given.graph.outputs[0]], [], editor.builder(), "wrong")


def test_the_domain_of_a_new_operator_is_imported():
    given = model(CHAIN)
    del given.opset_imports["com.microsoft"]
    editor, neg = editor_of(given), node_of(given, "Neg")
    built = editor.builder()
    made = built.call("QuickGelu", neg.inputs[0], domain="com.microsoft", alpha=1.0)
    editor.replace(neg.outputs, [made], built, "neg_to_gelu")
    assert given.opset_imports == {"": 23, "com.microsoft": 1}
    verify.verify(given)


def test_an_input_cannot_be_replaced():
    given = model(CHAIN)
    editor = editor_of(given)
    x = given.graph.inputs[0]
    with pytest.raises(RewriteError, match="replaces a value that no node makes"):
        editor.replace([x], [x], editor.builder(), "wrong")


def test_types_grow_only_more_exact():
    given = model("g (float[b,3] x) => (float[c,3] y) { a = Relu(x) y = Abs(a) }")
    editor = editor_of(given)
    relu = node_of(given, "Relu")
    relu.outputs[0].shape = ir.Shape([4, 3])
    built = editor.builder()
    new = built.Exp(relu.inputs[0])
    editor.replace(relu.outputs, [new], built, "rule")
    assert new.shape == ir.Shape([4, 3])


def test_new_constants_get_names_that_nothing_has():
    given = model(
        """g (float[3] x) => (float[3] y) {
            "y.mul" = Abs(x) c = Relu("y.mul") y = Add(c, w)
        }""",
        w=normal(3),
    )
    editor = editor_of(given)
    add = node_of(given, "Add")
    built = editor.builder()
    new = built.Mul(add.inputs[0], built.Add(np.float32([1, 2, 3]), np.float32([4, 5, 6])))
    editor.replace(add.outputs, [new], built, "rule")
    verify.verify(given)
    assert len(given.graph.initializers) == 2
    assert "w" not in given.graph.initializers
    assert all(v.name == n for n, v in given.graph.initializers.items())


BRANCH = """g (bool c, float[2] x) => (float[2] y) {
    k = Abs(x)
    y = If(c) <then_branch = t () => (float[2] p) { p = Add(k, w) },
               else_branch = e () => (float[2] q) { q = Relu(x) }>
}"""


def test_new_names_in_a_subgraph_hide_nothing_outside():
    given = model(BRANCH.replace("k", "val"), w=normal(2))
    editor = editor_of(given)
    relu = node_of(given, "Relu")
    built = editor.builder()
    made = built.Exp(built.Sin(relu.inputs[0]))
    editor.replace(relu.outputs, [made], built, "rule")
    verify.verify(given)
    assert node_of(given, "Exp").outputs[0].name == "q"
    assert node_of(given, "Sin").outputs[0].name == "val_1"


def test_an_output_of_a_subgraph_cannot_be_a_value_outside():
    given = model(BRANCH, w=normal(2))
    editor = editor_of(given)
    relu = node_of(given, "Relu")
    editor.replace(relu.outputs, relu.inputs, editor.builder(), "rule")
    verify.verify(given)
    assert node_of(given, "Identity").graph.name == "e"


def test_what_only_an_erased_subgraph_captured_goes_too():
    given = model(BRANCH, w=normal(2))
    editor = editor_of(given)
    chosen = node_of(given, "If")
    built = editor.builder()
    editor.replace(chosen.outputs, [built.Exp(given.graph.inputs[1])], built, "rule")
    assert body(given) == ["y = Exp (x)"]
    assert not given.graph.initializers
    assert [user.op_type for user, _ in given.graph.inputs[1].uses()] == ["Exp"]


def test_a_subgraph_may_move_to_the_new_node():
    given = model(BRANCH, w=normal(2))
    editor = editor_of(given)
    chosen = node_of(given, "If")
    built = editor.builder()
    negated = built.Not(chosen.inputs[0])
    new = built.call("If", negated, attributes=dict(chosen.attributes))
    new.type, new.shape = chosen.outputs[0].type, chosen.outputs[0].shape
    editor.replace(chosen.outputs, [new], built, "negate")
    verify.verify(given)
    assert [n.op_type for n in given.graph.all_nodes()] == ["Abs", "Not", "If", "Add", "Relu"]
    assert list(given.graph.initializers) == ["w"]


def test_a_decided_branch_is_inlined():
    given = model(BRANCH, w=normal(2))
    editor = editor_of(given)
    chosen = node_of(given, "If")
    editor.inline_branch(chosen, chosen.attributes["then_branch"].as_graph(), "decide")
    assert body(given) == ["k = Abs (x)", "y = Add (k, w)"]


def test_an_operand_is_set_or_left_out():
    given = model(
        "g (float[3] x) => (float[3] y) { low = Abs(h) y = Clip(x, low) }", h=np.float32(1)
    )
    editor = editor_of(given)
    clip = node_of(given, "Clip")
    change = editor.set_operand(clip, 1, None, "no_bound")
    assert change.erased == ("Abs",)
    assert clip.inputs[1] is None
    assert not given.graph.initializers


def test_an_operand_is_set_to_what_was_built():
    given = model(CHAIN)
    editor = editor_of(given)
    relu = node_of(given, "Relu")
    built = editor.builder()
    editor.set_operand(relu, 0, built.Mul(relu.inputs[0], 2.0), "double", built)
    assert body(given) == [
        "a = Abs (x)",
        "b = Neg (a)",
        'val = Mul (b, "val.mul")',
        "y = Relu (val)",
    ]


def test_unread_nodes_are_erased_together():
    given = model("g (float[3] x) => (float[3] y) { a = Abs(x) b = Neg(a) y = Relu(x) }")
    editor = editor_of(given)
    change = editor.erase([node_of(given, "Abs"), node_of(given, "Neg")], "dead")
    assert body(given) == ["y = Relu (x)"]
    assert sorted(change.erased) == ["Abs", "Neg"]


@pytest.mark.parametrize("op_type", ["Abs", "Relu"])
def test_a_read_node_is_not_erased(op_type):
    given = model(CHAIN)
    editor = editor_of(given)
    with pytest.raises(RewriteError, match="dead erases a node that is still read"):
        editor.erase([node_of(given, op_type)], "dead")
    assert len(body(given)) == 3


def test_unread_constants_are_dropped_but_not_defaults_of_inputs():
    given = model(
        "g (float[2] x, float[2] d) => (float[2] y) < float[2] w = {1, 2} > { y = Relu(x) }",
        d=normal(2),
    )
    assert editor_of(given).drop_unread_constants() == 1
    assert list(given.graph.initializers) == ["d"]
