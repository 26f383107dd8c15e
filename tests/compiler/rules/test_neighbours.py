"""Variations of a model say less or other things than it does, and tables notice what changes."""

from __future__ import annotations

import ast

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.rewrite import no, rule
from tests.support import outcomes
from tests.support.models import model, normal
from tests.support.neighbours import IS_WRITING, check_neighbours
from tests.support.run import only_on_cpu
from tests.support.variations import variations

pytestmark = only_on_cpu("neighbours are not tried there")
EXACT = {"atol": 0.0, "rtol": 0.0, "dims": {"b": 3}}
TEXT = "g (float[b,4] x) => (float[b,4] y) { e = Exp(x) y = Add(e, w) }"


def given() -> ir.Model:
    return model(TEXT, w=normal(4))


def varied(what: str) -> ir.Model:
    (found,) = (each.model() for each in variations(given()) if each.what == what)
    return found


def read_by_add(near: ir.Model, operand: int) -> ir.Value:
    Types.inferred(near)
    value = next(node for node in near.graph if node.op_type == "Add").inputs[operand]
    assert value is not None
    return value


def test_what_is_not_known_is_not_inferred_either():
    opaque = read_by_add(varied("of e nothing is known"), 0)
    assert (opaque.dtype, opaque.shape) == (None, None)
    ranked = read_by_add(varied("the rank of e is not known"), 0)
    assert (ranked.dtype, ranked.shape) == (ir.DataType.FLOAT, None)
    of_rank = read_by_add(varied("of e only the rank is known"), 0).shape
    assert of_rank is not None
    assert [isinstance(dim, int) for dim in of_rank] == [False, False]
    of_axis = read_by_add(varied("axis 1 of x is not known"), 0).shape
    assert of_axis is not None
    assert not isinstance(of_axis[1], int)
    assert read_by_add(varied("w is no constant"), 1).const_value is None


def test_each_variation_is_another_model():
    texts = {ir.to_onnx_text(each.model()) for each in variations(given())}
    assert len(texts) > 30
    assert ir.to_onnx_text(given()) not in texts


def guarded(least: int) -> object:
    return rule(
        "sum_of_exponential",
        lambda op: op.Add(op.Exp("x"), "w"),
        lambda op, m: op.Sum(m.w, op.Exp(m.x)),
        lambda m: (m.w.shape is not None and m.w.shape[-1] >= least) or no("it is short", m.w),
    )


@pytest.mark.skipif(IS_WRITING, reason="the defects would be written too")
def test_a_table_notices_what_changes(monkeypatch, tmp_path):
    same, short = "w has its first number everywhere", "w ends one earlier"
    table = {"test_it": {same: "becomes Exp, Sum", short: "it is short (w: float[3])"}}
    outcomes.write(tmp_path / "it.txt", table)
    assert outcomes.read(tmp_path / "it.txt") == table
    place = lambda: (tmp_path / "it.txt", "test_it")  # noqa: E731
    monkeypatch.setattr("tests.support.neighbours._place.next", place)
    check_neighbours(guarded(4), given(), **EXACT, most=0)
    with pytest.raises(AssertionError, match=same):
        check_neighbours(guarded(5), given(), **EXACT, most=0)
    with pytest.raises(AssertionError, match=short):
        check_neighbours(guarded(3), given(), **EXACT, most=0)


@pytest.mark.skipif(IS_WRITING, reason="the defects would be written too")
@pytest.mark.parametrize(
    ("replace", "message"),
    [
        (
            lambda op, m: op.Sum(m.w, op.Exp(m.x) if m.w.const_value is not None else m.x),
            "w is no constant",
        ),
        (lambda op, m: op.Sum(m.w, op.Exp(m.x), np.float32(m.x.shape[1] - 4)), "NoneType"),
    ],
)
def test_neighbours_notice_wrong_numbers_and_failures(replace, message):
    wrong = rule("wrong", lambda op: op.Add(op.Exp("x"), "w"), replace)
    with pytest.raises(AssertionError, match=message):
        check_neighbours(wrong, given(), **EXACT, most=1000)


def test_every_section_is_of_a_test():
    for path in outcomes.TABLES.rglob("*.txt"):
        test = outcomes.TESTS / path.relative_to(outcomes.TABLES).with_name(f"test_{path.stem}.py")
        tree = ast.parse(test.read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        table = outcomes.read(path)
        assert {section.partition("[")[0].partition(" ")[0] for section in table} <= names
