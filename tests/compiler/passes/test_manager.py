"""The pass manager runs, times, verifies, and does not take a pass's word for anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.errors import RewriteError
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.passes.base import Pass, PassReport
from sardonyx.compiler.passes.dead_code import RemoveDeadCode
from sardonyx.compiler.passes.fold_constants import FoldConstants
from sardonyx.compiler.passes.infer_types import InferTypes
from sardonyx.compiler.passes.inline_if import InlineIf
from sardonyx.compiler.passes.lift_constants import LiftConstants
from sardonyx.compiler.passes.manager import PassManager, Repeat
from tests.support.models import model, normal


@dataclass(frozen=True)
class Nothing(Pass):
    """Does nothing."""

    name: ClassVar[str] = "nothing"

    def run(self, editor: Editor) -> PassReport:
        return PassReport()


@dataclass(frozen=True)
class BehindTheBack(Nothing):
    """Changes an operator outside the editor."""

    name: ClassVar[str] = "behind_the_back"

    def run(self, editor: Editor) -> PassReport:
        editor.model.graph.node(0).op_type = "Abs"
        return PassReport()


@dataclass(frozen=True)
class Breaks(Nothing):
    """Replaces the first node by one that has no such operator."""

    name: ClassVar[str] = "breaks"
    op_type: str = "NoSuchOperator"

    def run(self, editor: Editor) -> PassReport:
        node = editor.model.graph.node(0)
        built = editor.builder()
        made = built.call("Neg", *node.inputs)
        made.producer().op_type = self.op_type
        editor.replace(node.outputs, [made], built, "break_rule")
        return PassReport({"break_rule": ["here"]})


@dataclass(frozen=True)
class Swap(Nothing):
    """Makes one operator another."""

    name: ClassVar[str] = "swap"
    before: str = "Neg"
    after: str = "Abs"

    def run(self, editor: Editor) -> PassReport:
        sites = []
        for node in list(editor.model.graph):
            if node.op_type == self.before:
                built = editor.builder()
                made = built.call(self.after, *node.inputs)
                sites.append(editor.replace(node.outputs, [made], built, self.name).site)
        return PassReport({self.name: sites} if sites else {})


def manager(level: int = 2, **weights: np.ndarray) -> PassManager:
    given = model("g (float[2] x) => (float[2] y) { a = Neg(x) y = Exp(a) }", **weights)
    return PassManager(Editor(given, Types.inferred(given)), level)


def test_records_say_what_happened():
    seen: list[str] = []
    given = model(
        "g (float[2] x) => (float[2] y) { n = Neg(w) y = Add(x, n) d = Abs(x) }", w=normal(2)
    )
    runner = PassManager(Editor(given, Types.inferred(given)), 2, seen.append)
    records = runner.run([FoldConstants(), Nothing(), RemoveDeadCode()])
    assert seen == ["fold_constants", "nothing", "dead_code"]
    facts = [(r.name, r.nodes_before, r.nodes_after, r.applied) for r in records]
    assert facts == [
        ("fold_constants", 3, 2, {"fold_constants": 1}),
        ("nothing", 2, 2, {}),
        ("dead_code", 2, 1, {"dead_code": 1}),
    ]
    assert all(record.seconds >= 0 for record in records)


def test_nodes_of_subgraphs_are_counted():
    given = model(
        """g (bool p, float[2] x) => (float[2] y) {
            y = If(p) <
                then_branch = t () => (float[2] a) { a = Neg(x) },
                else_branch = e () => (float[2] b) { c = Abs(x) b = Exp(c) }
            >
        }"""
    )
    (record,) = PassManager(Editor(given, Types.inferred(given))).run([Nothing()])
    assert (record.nodes_before, record.nodes_after) == (4, 4)


def test_a_change_outside_the_editor_is_caught():
    with pytest.raises(RewriteError, match="'behind_the_back' changed the model outside"):
        manager(2).run([BehindTheBack()])
    manager(1).run([BehindTheBack()])


def test_the_pass_that_broke_the_graph_is_named():
    with pytest.raises(RewriteError, match=r"'breaks' broke the graph.*V09[\s\S]*NoSuchOperator"):
        manager(2).run([Nothing(), Breaks()])


def test_the_rule_that_broke_the_graph_is_named():
    with pytest.raises(RewriteError, match="break_rule broke the graph at"):
        manager(3).run([Breaks()])


def test_a_repeat_ends_when_nothing_changes_any_more():
    records = manager(2).run([Repeat((Swap(), Nothing()))])
    assert [r.name for r in records] == ["swap", "nothing"] * 2


def test_a_pass_that_changed_nothing_is_not_run_again_before_something_changes():
    nothing = Nothing()
    records = manager(1).run([nothing, Repeat((Swap(), nothing)), nothing])
    assert [r.name for r in records] == ["nothing", "swap", "nothing", "swap"]


def test_a_pass_that_changed_nothing_is_run_again_when_more_is_known_of_the_types():
    runner, nothing, swap = manager(1), Nothing(), Swap()
    records = runner.run([swap, nothing, InferTypes(), nothing, nothing])
    assert [r.name for r in records] == ["swap", "nothing", "infer_types", "nothing"]


def test_passes_that_undo_each_other_are_named():
    steps = [Repeat((Swap("Neg", "Abs"), Swap("Abs", "Neg")), most=3)]
    with pytest.raises(RewriteError, match=r"after 3 rounds[\s\S]*swap, swap"):
        manager().run(steps)


def test_dropping_a_constant_counts_as_a_change():
    given = model("g (float[2] x) => (float[2] y) { y = Neg(x) }")
    value = ir.Value(name="w", const_value=ir.tensor(normal(2), name="w"))
    value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape([2])
    given.graph.register_initializer(value)
    runner = PassManager(Editor(given, Types.inferred(given)), 2)
    (record,) = runner.run([RemoveDeadCode()])
    assert record.applied == {"dead_code": 1}
    assert not given.graph.initializers
    assert runner.run([RemoveDeadCode()])[-1].applied == {}


def test_every_single_change_leaves_a_well_formed_graph():
    given = model(
        """g (float[2] x) => (float[2] y) {
            y = If(p) <
                then_branch = t () => (float[2] a) {
                    k = Constant<value = float[2] {1, 2}>() c = Exp(k) a = Add(x, c)
                },
                else_branch = e () => (float[2] b) { k = Abs(x) b = Exp(k) }
            >
        }""",
        p=np.array(True),
    )
    branch = given.graph.node(0).attributes["then_branch"].as_graph()
    value = ir.Value(name="w", const_value=ir.tensor(normal(2), name="w"))
    value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape([2])
    branch.register_initializer(value)
    branch.node(2).replace_input_with(0, value)
    runner = PassManager(Editor(given, Types.inferred(given)), 3)
    runner.run([Repeat((InlineIf(), LiftConstants(), FoldConstants(), RemoveDeadCode()))])
    assert [node.op_type for node in given.graph] == ["Identity"]
