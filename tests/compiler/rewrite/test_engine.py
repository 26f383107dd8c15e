"""How rules are applied: order, sharing, names, subgraphs, several outputs, refusals."""

from __future__ import annotations

import itertools

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.errors import RewriteError
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.ir.verify import verify
from sardonyx.compiler.rewrite import Rewriter, any_of, const, no, rest, rule
from tests.support.models import clone, model, normal
from tests.support.rules import apply, check_miss, check_rule, check_same, check_shared, counts

EXACT = {"atol": 0, "rtol": 0}
NOISE = {"atol": 1e-6, "rtol": 1e-6}
DOUBLE_NEG = rule("double_neg", lambda op: op.Neg(op.Neg("x")), lambda op, m: m.x)
NEG_TO_MUL = rule("neg_to_mul", lambda op: op.Neg("x"), lambda op, m: op.Mul(m.x, -1.0))
MUL_TO_NEG = rule("mul_to_neg", lambda op: op.Mul("x", -1), lambda op, m: op.Neg(m.x))
MUL_MUL = rule(
    "mul_mul",
    lambda op: op.Mul(op.Mul("x", const("a")), const("b")),
    lambda op, m: op.Mul(m.x, m.a * m.b),
)


def one(body: str, **weights) -> ir.Model:
    return model(f"g (float[2,3] x) => (float[2,3] y) {{ {body} }}", **weights)


def test_a_rule_is_applied_until_it_matches_no_more():
    given = one("a = Neg(x) b = Neg(a) c = Neg(b) d = Neg(c) e = Neg(d) y = Exp(e)")
    check_rule(DOUBLE_NEG, given, {"Neg": 1, "Exp": 1}, **EXACT)


def test_rules_are_tried_in_the_order_given():
    first = rule("first", lambda op: op.Neg("x"), lambda op, m: op.Abs(m.x))
    second = rule("second", lambda op: op.Neg("x"), lambda op, m: op.Exp(m.x))
    for rules, left in (([first, second], "Abs"), ([second, first], "Exp")):
        given = one("y = Neg(x)")
        apply(rules, given)
        assert counts(given) == {left: 1}


def test_a_change_far_below_lets_a_rule_match():
    # The root Exp is looked at long before Abs becomes Relu, three nodes below it.
    deep = rule(
        "deep",
        lambda op: op.Exp(op.Floor(op.Sqrt(op.Relu("x")))),
        lambda op, m: op.Sigmoid(m.x),
    )
    late = rule("late", lambda op: op.Abs("x"), lambda op, m: op.Relu(m.x))
    given = one("a = Abs(x) b = Sqrt(a) c = Floor(b) y = Exp(c)")
    report = apply([deep, late], given)
    assert counts(given) == {"Sigmoid": 1}
    assert sorted(report.applied) == ["deep", "late"]


def test_a_match_that_sharing_forbade_is_found_once_the_other_reader_is_gone():
    text = """g (float[2,3] x) => (float[2,3] y, float[2,3] z)
        { a = Neg(x) y = Neg(a) b = Abs(a) z = Exp(b) }"""
    drop = rule("drop", lambda op: op.Exp(op.Abs(op.Neg("x"))), _exp_abs, keeps_shared=True)
    given = model(text)
    report = apply([DOUBLE_NEG, drop], given)
    assert sorted(report.applied) == ["double_neg", "drop"]
    assert "Neg" not in counts(given)


def _exp_abs(op, m):
    return op.Exp(op.Abs(m.x))


def test_the_order_of_the_operands_does_not_matter_where_the_row_says_so():
    scale = rule(
        "scale",
        lambda op: op.Mul(op.Add("x", const("a")), const("b")),
        lambda op, m: op.Add(op.Mul(m.x, m.b), m.a * m.b),
    )
    a, b = normal(3, seed=1), normal(2, 1, seed=2)
    for inner in ("Add(x, a)", "Add(a, x)"):
        for outer in ("Mul(s, b)", "Mul(b, s)"):
            given = one(f"s = {inner} y = {outer}", a=a, b=b)
            check_rule(scale, given, {"Mul": 1, "Add": 1}, **NOISE)


def test_the_guard_sees_every_way_to_match():
    # Both orders of the Add fit the pattern; the guard accepts the second one only.
    wants_z = rule(
        "wants_z",
        lambda op: op.Add("a", "b"),
        lambda op, m: op.Sub(m.a, op.Neg(m.b)),
        lambda m: m.a.name == "z" or no("a is not z", m.a),
    )
    given = model("g (float[2,3] x, float[2,3] z) => (float[2,3] y) { y = Add(x, z) }")
    after = check_rule(wants_z, given, {"Sub": 1, "Neg": 1}, **EXACT)
    assert after.graph.node(1).inputs[0].name == "z"


def test_a_replacement_that_refuses_gives_way_to_the_next_match():
    def replace(op, m):
        negated = op.Neg(m.b)
        return op.Sub(m.a, negated) if m.a.name == "z" else no("a is not z", m.a)

    late = rule("late", lambda op: op.Add("a", "b"), replace)
    given = model("g (float[2,3] x, float[2,3] z) => (float[2,3] y) { y = Add(x, z) }")
    check_rule(late, given, {"Sub": 1, "Neg": 1}, **EXACT)
    other = model("g (float[2,3] x, float[2,3] w) => (float[2,3] y) { y = Add(x, w) }")
    check_miss(late, other, "a is not z")


def test_what_a_refused_replacement_built_leaves_no_reader_behind():
    def replace(op, m):
        op.Neg(op.Abs(m.x))
        return no("not today")

    refuses = rule("refuses", lambda op: op.Relu(op.Exp("x", output="e")), replace)
    given = one("e = Exp(x) y = Relu(e)")
    apply(refuses, given)
    assert [len(v.uses()) for v in (given.graph.inputs[0], given.graph.node(0).outputs[0])] == [
        1,
        1,
    ]


def test_what_a_replacement_builds_in_vain_is_not_kept():
    def replace(op, m):
        op.Neg(op.Abs(m.x))
        return op.Sigmoid(m.x)

    wasteful = rule("wasteful", lambda op: op.Relu("x"), replace)
    given = one("y = Relu(x)")
    apply(wasteful, given)
    assert counts(given) == {"Sigmoid": 1}


# --- sharing -------------------------------------------------------------------------------------

FUSE = rule(
    "fuse",
    lambda op: op.Add(op.Mul("x", const("a")), const("b")),
    lambda op, m: op.Mul(op.Add(m.x, m.b / m.a), m.a),
)


def test_an_inner_value_with_another_reader_is_refused_with_the_reader():
    text = """g (float[2,3] x) => (float[2,3] y, float[2,3] z)
        { m = Mul(x, a) y = Add(m, b) [sink] z = Exp(m) }"""
    given = model(text, a=normal(3), b=normal(3, seed=1))
    check_miss(FUSE, given, "a value in between is also read by sink (Exp) (m: float[2, 3])")


def test_an_inner_value_that_is_a_graph_output_is_refused():
    text = """g (float[2,3] x) => (float[2,3] m, float[2,3] y) { m = Mul(x, a) y = Add(m, b) }"""
    given = model(text, a=normal(3), b=normal(3, seed=1))
    check_miss(FUSE, given, "a value in between is an output of the graph (m: float[2, 3])")


def test_a_rule_may_keep_shared_values():
    keeps = rule("keeps", lambda op: op.Neg(op.Neg("x")), lambda op, m: m.x, keeps_shared=True)
    text = """g (float[2,3] x) => (float[2,3] y, float[2,3] z)
        { e = Exp(x) a = Neg(e) b = Neg(a) y = Abs(b) z = Abs(a) }"""
    check_rule(keeps, model(text), {"Exp": 1, "Neg": 1, "Abs": 2}, **EXACT)
    check_shared(keeps, model(text), **EXACT)
    check_miss(DOUBLE_NEG, model(text), "also read by")


def test_an_operand_that_is_read_elsewhere_does_not_matter():
    text = """g (float[2,3] x) => (float[2,3] y, float[2,3] z)
        { e = Exp(x) m = Mul(e, a) y = Add(m, b) z = Mul(e, a) }"""
    given = model(text, a=normal(3) + 3, b=normal(3, seed=1))
    check_rule(FUSE, given, {"Exp": 1, "Add": 1, "Mul": 2}, **NOISE)
    check_shared(FUSE, given, **NOISE)


def test_a_shared_constant_is_right_for_each_of_its_readers():
    text = """g (float[2,3] x) => (float[2,3] y, float[2,3] z) {
        a = Mul(x, k) y = Mul(a, u)
        b = Mul(x, k) z = Mul(b, v) }"""
    given = model(text, k=normal(3), u=normal(3, seed=1), v=normal(3, seed=2))
    after = check_rule(MUL_MUL, given, {"Mul": 2}, **NOISE)
    assert len(after.graph.initializers) == 2


def test_constants_that_nobody_reads_any_more_are_gone():
    given = one("a = Mul(x, k) y = Mul(a, u)", k=normal(3), u=normal(3, seed=1))
    after = check_rule(MUL_MUL, given, {"Mul": 1}, **NOISE)
    assert len(after.graph.initializers) == 1


# --- outputs and names -----------------------------------------------------------------------


def test_graph_outputs_keep_their_names_and_order():
    text = """g (float[2,3] x) => (float[2,3] p, float[2,3] q)
        { a = Neg(x) q = Exp(a) p = Neg(q) }"""
    after = check_rule(NEG_TO_MUL, model(text), {"Mul": 2, "Exp": 1}, **EXACT)
    assert [v.name for v in after.graph.outputs] == ["p", "q"]


def test_a_graph_output_that_is_read_inside_too_is_replaced_for_all():
    text = """g (float[2,3] x) => (float[2,3] y, float[2,3] z)
        { a = Neg(x) y = Neg(a) z = Exp(y) }"""
    after = check_rule(DOUBLE_NEG, model(text), {"Identity": 1, "Exp": 1}, **EXACT)
    assert [v.name for v in after.graph.outputs] == ["y", "z"]


def test_an_input_never_becomes_an_output():
    check_rule(DOUBLE_NEG, one("a = Neg(x) y = Neg(a)"), {"Identity": 1}, **EXACT)


def test_a_value_becomes_an_output_once():
    text = """g (float[2,3] x) => (float[2,3] y, float[2,3] z)
        { y = Exp(x) a = Neg(y) z = Neg(a) }"""
    check_rule(DOUBLE_NEG, model(text), {"Exp": 1, "Identity": 1}, **EXACT)


def test_a_needed_identity_does_not_go_round_in_circles():
    identity = rule("identity", lambda op: op.Identity("x"), lambda op, m: m.x)
    check_miss(identity, one("y = Identity(x)"), "an output of the graph must have a node")
    check_rule(identity, one("e = Exp(x) y = Identity(e)"), {"Exp": 1}, **EXACT)
    text = """g (float[2,3] x) => (float[2,3] y, float[2,3] z) { y = Exp(x) z = Identity(y) }"""
    check_miss(identity, model(text), "an output of the graph must have a node of its own (z: ")


def test_a_constant_may_replace_a_value_or_an_output():
    zero = rule(
        "zero", lambda op: op.Sub("x", "x"), lambda op, m: op.constant(np.zeros((2, 3), "f"))
    )
    after = check_rule(zero, one("a = Sub(x, x) y = Exp(a)"), {"Exp": 1}, **EXACT)
    assert len(after.graph.initializers) == 1
    check_rule(zero, one("y = Sub(x, x)"), {"Identity": 1}, **EXACT)


def test_new_names_are_not_those_of_inputs_constants_or_inner_graphs():
    text = """g (float[2,3] val, bool c) => (float[2,3] y) {
        a = Mul(val, val_0)
        b = If (c) <
          then_branch = t () => (float[2,3] t_y) { node_1 = Neg(a) t_y = Exp(node_1) },
          else_branch = e () => (float[2,3] e_y) { val_1 = Neg(a) e_y = Sin(val_1) }>
        d = Neg(b)
        y = Exp(d) }"""
    # check_rule demands that no two values, at any depth, have one name.
    expected = {"Mul": 4, "If": 1, "Exp": 2, "Sin": 1}
    check_rule(NEG_TO_MUL, model(text, val_0=normal(3)), expected, **NOISE)


def test_new_nodes_know_where_they_come_from():
    given = one("a = Mul(x, k) y = Mul(a, u)", k=normal(3), u=normal(3, seed=1))
    for node, source in zip(given.graph, ("layer.0", "layer.1"), strict=True):
        provenance.set_source(node, source)
    report = apply(MUL_MUL, given)
    (made,) = given.graph
    assert sorted(provenance.sources(made)) == ["layer.0", "layer.1"]
    assert provenance.rules(made) == ["mul_mul"]
    assert report.applied == {"mul_mul": ["layer.1 (Mul)"]}


# --- several outputs -----------------------------------------------------------------------------

SPLIT = "g (float[2,6] x) => (float[2,3] y, float[2,3] z) "


def test_all_outputs_of_the_last_node_may_be_replaced():
    def replace(op, m):
        return [
            op.Slice(m.x, np.int64([0]), np.int64([3]), np.int64([1])),
            op.Slice(m.x, np.int64([3]), np.int64([6]), np.int64([1])),
        ]

    slices = rule("slices", lambda op: op.Split("x", num_outputs=2, axis=1), replace)
    body = "{ y, z = Split<num_outputs = 2, axis = 1>(x) }"
    after = check_rule(slices, model(SPLIT + body), {"Slice": 2}, **EXACT)
    assert [v.name for v in after.graph.outputs] == ["y", "z"]
    body = "{ a, b = Split<num_outputs = 2, axis = 1>(x) z = Neg(a) y = Exp(b) }"
    check_rule(slices, model(SPLIT + body), {"Slice": 2, "Neg": 1, "Exp": 1}, **EXACT)


def test_an_output_that_is_not_replaced_must_be_unread():
    first = rule(
        "first",
        lambda op: op.Split("x", num_outputs=2, axis=1),
        lambda op, m: op.Slice(m.x, np.int64([0]), np.int64([3]), np.int64([1])),
    )
    body = "{ a, b = Split<num_outputs = 2, axis = 1>(x) z = Neg(a) y = Exp(b) }"
    check_miss(first, model(SPLIT + body), "another output of the last node is used (b: ")
    body = "{ a, b = Split<num_outputs = 2, axis = 1>(x) z = Neg(a) y = Exp(a) }"
    check_rule(first, model(SPLIT + body), {"Slice": 1, "Neg": 1, "Exp": 1}, **EXACT)


def test_outputs_of_other_nodes_may_be_replaced():
    def replace(op, m):
        users = [use.node for use in m.x.uses()]
        both = op.Concat(*(op.Neg(m.x) for _ in users), axis=1)
        pieces = op.Split(both, np.int64([3] * len(users)), axis=1, outputs=len(users))
        return {user.outputs[0]: piece for user, piece in zip(users, pieces, strict=True)}

    together = rule("together", lambda op: op.Exp("x"), replace)
    body = "{ s = Sin(x) a = Exp(s) b = Abs(a) z = Exp(s) y = Relu(b) }"
    given = model("g (float[2,3] x) => (float[2,3] y, float[2,3] z) " + body)
    after = clone(given)
    report = apply(together, after)
    assert len(report.applied["together"]) == 1
    left = {"Sin": 1, "Neg": 2, "Concat": 1, "Split": 1, "Abs": 1, "Relu": 1}
    assert counts(after) == left
    assert [v.name for v in after.graph.outputs] == ["y", "z"]
    verify(after)


# --- subgraphs -----------------------------------------------------------------------------------

BRANCHES = """g (float[2,3] x, bool c) => (float[2,3] y) {{
    {outer}
    y = If (c) <
      then_branch = t () => (float[2,3] t_y) {{ {inner} }},
      else_branch = e () => (float[2,3] e_y) {{ e_y = Exp(x) }}> }}"""


def branches(outer: str, inner: str, **weights) -> ir.Model:
    return model(BRANCHES.format(outer=outer, inner=inner), **weights)


def test_rules_reach_into_subgraphs():
    given = branches("", "p = Neg(x) q = Neg(p) t_y = Sin(q)")
    check_rule(DOUBLE_NEG, given, {"If": 1, "Sin": 1, "Exp": 1}, **EXACT)


def test_the_output_of_a_subgraph_keeps_its_name():
    given = branches("", "p = Neg(x) t_y = Neg(p)")
    check_rule(DOUBLE_NEG, given, {"If": 1, "Identity": 1, "Exp": 1}, **EXACT)


def test_a_value_that_a_subgraph_reads_is_replaced_there_too():
    given = branches("p = Neg(x) q = Neg(p)", "t_y = Sin(q)")
    check_rule(DOUBLE_NEG, given, {"If": 1, "Sin": 1, "Exp": 1}, **EXACT)


def test_nothing_is_asked_of_a_subgraph_that_a_rule_has_erased():
    known = rule(
        "known",
        lambda op: op.Sum(rest("terms")),
        lambda op, m: op.Add(*m.terms),
        lambda m: all(term.shape is not None for term in m.terms),
    )
    gone = rule("gone", lambda op: op.Max(op.If("c"), "x"), lambda op, m: op.Abs(m.x))
    text = BRANCHES.format(outer="", inner="t_y = Sum(x, x)").replace("y = If", "i = If")
    given = model(text.removesuffix("}") + " y = Max(i, x) }")
    apply((gone, known), given)
    assert counts(given) == {"Abs": 1}


def test_a_value_that_a_subgraph_reads_is_shared():
    given = branches("p = Neg(x) q = Neg(p) r = Abs(q)", "s = Add(p, r) t_y = Sin(s)")
    check_miss(DOUBLE_NEG, given, "a value in between is also read by")


def test_a_match_does_not_move_work_into_a_subgraph():
    given = branches("p = Neg(x)", "q = Neg(p) t_y = Sin(q)")
    check_miss(DOUBLE_NEG, given, "computed outside of the subgraph (p: float[2, 3])")


def test_new_constants_of_a_subgraph_are_found_there():
    given = branches("", "p = Mul(x, k) q = Mul(p, k) t_y = Sin(q)", k=normal(3))
    check_rule(MUL_MUL, given, {"If": 1, "Mul": 1, "Sin": 1, "Exp": 1}, **NOISE)


# --- whole runs ----------------------------------------------------------------------------------


def test_the_result_is_the_same_each_time():
    text = """g (float[2,3] x, float[2,3] z) => (float[2,3] y) {
        a = Mul(x, k) b = Mul(a, u) c = Neg(b) d = Neg(c) e = Mul(z, k) f = Mul(e, u)
        h = Add(d, f) i = Neg(h) y = Neg(i) }"""
    given = model(text, k=normal(3), u=normal(3, seed=1))
    texts = set()
    for _ in range(3):
        copy = clone(given)
        apply([MUL_MUL, DOUBLE_NEG], copy)
        texts.add(ir.to_onnx_text(copy))
    assert len(texts) == 1


def test_a_long_chain_that_shrinks_is_no_circle():
    """The same constants and operands come back, in an ever smaller graph."""
    names = ["x", *(f"v{i}" for i in range(40)), "y"]
    body = " ".join(f"{b} = Mul({a}, k)" for a, b in itertools.pairwise(names))
    check_rule(MUL_MUL, one(body, k=np.float32([1, 1, -1])), {"Mul": 1}, **EXACT)
    large = np.where(normal(1000) > 0, 1, -1).astype(np.float32)
    text = f"g (float[2,1000] x) => (float[2,1000] y) {{ {body} }}"
    check_rule(MUL_MUL, model(text, k=large), {"Mul": 1}, **EXACT)


def test_a_rule_may_run_again_on_what_another_run_undid():
    given = one("y = Neg(x)")
    editor = Editor(given, Types.inferred(given))
    for _ in range(3):
        assert Rewriter([NEG_TO_MUL]).run(editor).counts == {"neg_to_mul": 1}
        assert Rewriter([MUL_TO_NEG]).run(editor).counts == {"mul_to_neg": 1}


def test_types_of_new_values_are_known():
    text = "g (float[b,3] x) => (float[b,3] y) { a = Neg(x) b = Exp(a) y = Neg(b) }"
    given = model(text)
    apply(NEG_TO_MUL, given)
    for node in given.graph:
        assert node.outputs[0].dtype == ir.DataType.FLOAT
        assert str(node.outputs[0].shape) == "[b,3]"


def test_two_rules_may_not_have_one_name():
    with pytest.raises(RewriteError, match="Two rules are called 'neg_to_mul'"):
        Rewriter([NEG_TO_MUL, NEG_TO_MUL])


def test_a_rule_with_several_roots():
    either = rule(
        "either",
        lambda op: any_of(op.Relu(op.Neg("x")), op.Exp(op.Neg("x"))),
        lambda op, m: op.Abs(m.x),
    )
    given = model(
        "g (float[2,3] x) => (float[2,3] y, float[2,3] z) "
        "{ a = Neg(x) y = Relu(a) b = Neg(x) z = Exp(b) }"
    )
    report = apply(either, given)
    assert len(report.applied["either"]) == 2
    assert counts(given) == {"Abs": 2}
    check_same(given, clone(given), **EXACT)


def test_a_rule_that_nearly_matched_is_still_found_elsewhere():
    pair = rule("pair", lambda op: op.Add(op.Neg("x"), op.Exp("x")), lambda op, m: op.Abs(m.x))
    body = "a = Add(x, x) n = Neg(a) e = Exp(a) b = Add(e, n) c = Add(b, b) y = Add(c, x)"
    given = one(body)
    report = apply(pair, given)
    assert len(report.applied["pair"]) == 1
    assert counts(given) == {"Add": 3, "Abs": 1}
    assert report.misses["pair"].matched == 1
