"""The builder makes typed nodes by operator name, and refuses what the operator does not have."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.errors import InvalidModelError, RewriteError
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.types import Types, describe
from tests.support.models import model

TEXT = "g (float[b,3] x, bfloat16[4] h, int64[2] n) => (float[b,3] y) { y = Relu(x) }"


@pytest.fixture
def given() -> ir.Model:
    return model(TEXT)


@pytest.fixture
def op(given) -> Builder:
    return Builder(Types.inferred(given), given.opset_imports)


@pytest.fixture
def x(given) -> ir.Value:
    return given.graph.inputs[0]


def test_a_node_is_typed_as_it_is_made(op, x):
    y = op.Transpose(op.Concat(x, x, axis=1), perm=[1, 0])
    assert (y.dtype, y.shape) == (ir.DataType.FLOAT, ir.Shape([6, "b"]))
    assert [n.op_type for n in op.nodes] == ["Concat", "Transpose"]
    assert op.nodes[0].graph is None


def test_operands_by_name_and_by_position(op, x):
    clip = op.Clip(x, max=6.0).producer()
    assert [v and v.const_value.numpy().tolist() for v in clip.inputs[1:]] == [None, 6.0]
    assert op.Clip(x, None, None).producer().inputs == (x,)


def test_numbers_take_the_dtype_of_the_other_operands(given, op, x):
    h, n = given.graph.inputs[1:]
    for value, number, dtype in (
        (x, 2, np.float32),
        (h, 2.5, ml_dtypes.bfloat16),
        (n, 3, np.int64),
        (x, [1, 2, 3], np.float32),
    ):
        held = op.Mul(value, number).producer().inputs[1].const_value.numpy()
        assert held.dtype == dtype
        np.testing.assert_array_equal(held, np.asarray(number, dtype))
        assert op.Mul(number, value).producer().inputs[0].dtype == value.dtype


def test_numbers_take_the_only_dtype_that_the_operand_has(op, x):
    assert op.Reshape(x, [-1]).producer().inputs[1].dtype == ir.DataType.INT64
    assert op.Unsqueeze(x, [0]).shape == ir.Shape([1, "b", 3])


def test_arrays_keep_their_dtype(op, x):
    with pytest.raises(InvalidModelError, match="Add does not accept these operands") as caught:
        op.Add(x, np.array([1, 2, 3]))
    assert (caught.value.found, caught.value.expected) == ("value: int64[3]", "tensor(float)")
    assert op.Add(x, np.float32([1, 2, 3])).shape == ir.Shape(["b", 3])


def test_tensors_are_constants_too(op, x):
    tensor = ir.tensor(np.float32([1, 2, 3]))
    assert op.Add(x, tensor).producer().inputs[1].const_value is tensor
    assert op.constants[-1].const_value is tensor


def test_attributes_are_converted_by_the_schema(op, x):
    node = op.LeakyRelu(x, alpha=1).producer()
    assert node.attributes["alpha"].type == ir.AttributeType.FLOAT
    node = op.ReduceMax(x, [1], keepdims=False).producer()
    assert node.attributes["keepdims"].value == 0
    node = op.Constant(value=np.float32([1, 2])).producer()
    assert node.attributes["value"].as_tensor().numpy().tolist() == [1, 2]


def test_attributes_of_another_node_are_copied_and_overridden(op, x):
    first = op.Softmax(x, axis=0).producer()
    assert op.Softmax(x, attributes=first.attributes).producer().attributes["axis"].value == 0
    again = op.Softmax(x, attributes=first.attributes, axis=1).producer()
    assert again.attributes["axis"].value == 1
    assert "axis" not in op.Softmax(x, attributes=first.attributes, axis=None).producer().attributes


def test_several_outputs(op, x):
    values, indices = op.TopK(x, [2])
    assert (describe(values), describe(indices)) == ("value: float[b, 2]", "value: int64[b, 2]")
    parts = op.Split(x, outputs=3, axis=1, num_outputs=3)
    assert [describe(p) for p in parts] == ["value: float[b, 1]"] * 3
    # The optional outputs of an operator are made only when they are asked for.
    assert isinstance(op.LayerNormalization(x, np.ones(3, np.float32)), ir.Value)


def test_operators_of_other_domains(op, x):
    y = op.call("Anything", x, domain="com.example", factor=2, names=["a", "b"])
    node = y.producer()
    assert (node.domain, node.attributes["factor"].value) == ("com.example", 2)
    assert node.attributes["names"].type == ir.AttributeType.STRINGS


def test_what_the_operator_does_not_have_is_refused(op, x):
    with pytest.raises(
        RewriteError, match="LeakyRelu has no operand or attribute 'beta'"
    ) as caught:
        op.LeakyRelu(x, beta=1.0)
    assert caught.value.expected == "X; alpha"
    with pytest.raises(RewriteError, match="Relu takes at most 1 operands, got 2"):
        op.Relu(x, x)
    with pytest.raises(RewriteError, match="Clip is given its operand 'min' twice"):
        op.Clip(x, 0.0, min=1.0)
    with pytest.raises(InvalidModelError, match="does not accept these operands"):
        op.MatMul(x, np.ones((4, 2), np.float32))


def test_a_required_operand_left_out_is_refused(op, x):
    with pytest.raises(RewriteError, match="Add needs its operand 'B'"):
        op.Add(x)
    with pytest.raises(RewriteError, match="Add needs its operand 'A'"):
        op.Add(None, x)


def test_an_operator_that_does_not_exist_is_refused(op, x):
    with pytest.raises(RewriteError, match="no operator 'Rellu' in opset 23"):
        op.Rellu(x)


def test_refused_nodes_leave_no_readers(op, x):
    readers = len(x.uses())
    with pytest.raises(InvalidModelError):
        op.MatMul(x, np.ones((4, 2), np.float32))
    assert len(x.uses()) == readers
    assert not op.nodes


def test_discarded_nodes_leave_no_readers(op, x):
    readers = len(x.uses())
    op.Neg(op.Mul(x, 2.0))
    op.discard()
    assert len(x.uses()) == readers
    assert not op.nodes
    assert not op.constants


def test_the_opset_of_the_model_is_used(given):
    given.opset_imports[""] = 12
    older = Builder(Types(given), given.opset_imports)
    x = given.graph.inputs[0]
    assert older.Squeeze(x, axes=[0]).producer().attributes["axes"].value == (0,)
    with pytest.raises(RewriteError, match="no operator 'Gelu' in opset 12"):
        older.Gelu(x)
