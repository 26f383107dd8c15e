"""Who makes a value, as rules ask for it."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.producers import before, is_operator, made_by, operator
from tests.support.models import model

TEXT = """g (float[n,4] x) => (y, z) {
    a = Relu(x) p, q = Split<axis = 1, num_outputs = 2>(a) f = own.Neg(p) y = Neg(q) z = Abs(f) }"""


@pytest.fixture
def values() -> dict[str, ir.Value]:
    given = model(TEXT)
    made = {str(v.name): v for node in given.graph for v in node.outputs}
    return made | {str(v.name): v for v in given.graph.inputs}


def test_the_first_output_of_one_of_the_operators(values):
    assert made_by(values["a"], "Relu", "Neg") is values["a"].producer()
    assert made_by(values["a"], "Neg") is None
    assert made_by(values["p"], "Split") is values["p"].producer()
    assert made_by(values["q"], "Split") is None
    assert made_by(values["x"], "Relu") is None
    assert made_by(None, "Relu") is None


def test_an_operator_of_another_domain_is_another_one(values):
    foreign = values["f"].producer()
    assert foreign is not None
    assert made_by(values["f"], "Neg") is None
    assert operator(values["f"]) is None
    assert not is_operator(foreign)
    assert not is_operator(foreign, "Neg")
    assert is_operator(values["y"].producer(), "Neg")
    assert operator(values["q"]) is values["q"].producer()


def test_the_node_before_another_one(values):
    split = values["p"].producer()
    assert before(split, "Relu", "Neg") is values["a"].producer()
    assert before(split, "Neg") is None
    assert before(None, "Relu") is None
