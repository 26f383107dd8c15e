"""Types of values: inferred for models and new nodes, never believed where a file may lie."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.types import Types, all_values, describe
from tests.support.models import model, normal


def described(given: ir.Model) -> dict[str, str]:
    return {v.name: describe(v) for v in all_values(given)}


def test_shapes_flow_through_a_shape_chain():
    given = model(
        """g (float[batch,seq,6] x) => (y) {
            s = Shape(x) b = Gather(s, zero) u = Unsqueeze(b, first)
            t = Concat<axis = 0>(u, rest) y = Reshape(x, t)
        }""",
        zero=np.array(0),
        first=np.array([0]),
        rest=np.array([-1, 2, 3]),
    )
    types = Types.inferred(given)
    assert described(given)["y"] == "y: float[batch, seq, 2, 3]"
    elements = types.elements(given.graph.node(3).outputs[0])
    assert [str(e) for e in elements] == ["batch", "-1", "2", "3"]


def test_facts_are_not_written_into_the_model():
    given = model("g (float[n] x) => (y) { y = Shape(x) }")
    types = Types.inferred(given)
    assert [str(e) for e in types.elements(given.graph.outputs[0])] == ["n"]
    assert all(not value.metadata_props for value in all_values(given))


def test_declared_shapes_of_intermediate_values_are_not_believed():
    given = model("g (float[2,3] x) => (float[2,3] y) < float[7] a > { a = Abs(x) y = Neg(a) }")
    Types.inferred(given)
    assert described(given)["a"] == "a: float[2, 3]"


def test_operands_that_do_not_fit_are_refused():
    given = model("g (float[2,3] x) => (y) { y = MatMul(x, w) }", w=normal(4, 5))
    with pytest.raises(InvalidModelError, match="types do not fit together"):
        Types.inferred(given)


def test_new_nodes_are_inferred_and_symbols_are_new():
    given = model("g (float[unk__0,3] x) => (y) { y = Relu(x) }")
    types = Types.inferred(given)
    op = Builder(types, given.opset_imports)
    made = op.NonZero(given.graph.inputs[0])
    assert made.shape[0] == 2
    assert str(made.shape[1]) != "unk__0"
    assert types.new_symbol() != types.new_symbol()


def test_values_are_described_for_messages():
    value = ir.Value(name="v", type=ir.TensorType(ir.DataType.FLOAT16), shape=ir.Shape(["n", 2]))
    assert describe(value) == "v: float16[n, 2]"
    assert describe(ir.Value()) == "value: ?[...]"
    assert describe(None) == "none"
