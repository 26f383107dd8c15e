"""Equal constants are stored once; equal means dtype, shape and every bit."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.passes.share_weights import ShareWeights
from tests.support.models import model, normal
from tests.support.rules import apply, check_rule

SHARE = ShareWeights()


def holding(
    first: ir.TensorProtocol | np.ndarray, second: ir.TensorProtocol | np.ndarray
) -> ir.Model:
    """A model that reads two constants."""
    given = ir.Model(ir.Graph([], [], nodes=[], opset_imports={"": 23}, name="g"), ir_version=11)
    for name, held in (("v", first), ("w", second)):
        tensor = ir.tensor(held) if isinstance(held, np.ndarray) else held
        tensor.name = name
        value = ir.Value(name=name, const_value=tensor)
        value.type, value.shape = ir.TensorType(tensor.dtype), ir.Shape(tensor.shape.numpy())
        given.graph.register_initializer(value)
        node = ir.node("Identity", [value])
        node.outputs[0].name = f"{name}_out"
        given.graph.append(node)
        given.graph.outputs.append(node.outputs[0])
    return given


def is_shared(
    first: ir.TensorProtocol | np.ndarray, second: ir.TensorProtocol | np.ndarray
) -> bool:
    given = holding(first, second)
    apply(SHARE, given)
    kept = [node.inputs[0] for node in given.graph]
    assert len(given.graph.initializers) == len(set(kept))
    return kept[0] is kept[1]


def test_equal_weights_are_stored_once():
    given = model(
        "g (float[2,3] x) => (float[2,3] y) { a = Mul(x, v) y = Add(a, w) }",
        v=normal(3),
        w=normal(3),
    )
    after = check_rule(SHARE, given, {"Mul": 1, "Add": 1}, atol=0, rtol=0)
    assert list(after.graph.initializers) == ["v"]


DTYPES = [
    *(np.bool_, np.int8, np.int64, np.uint16, np.float16, np.float32, np.float64, np.complex64),
    *(np.complex128, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4, ml_dtypes.uint4),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("size", [5, 9000])
def test_all_dtypes_are_compared(dtype, size):
    numbers = (np.arange(size) % 2).astype(dtype)
    assert is_shared(numbers, numbers.copy())
    other = numbers.copy()
    other[size - 2] = dtype(1) - numbers[size - 2] if dtype is not np.bool_ else ~numbers[size - 2]
    assert not is_shared(numbers, other)


def test_zeros_of_different_sign_differ_and_nan_equals_itself():
    for size in (3, 5000):
        zeros = np.zeros(size, np.float32)
        assert not is_shared(zeros, -zeros)
        assert is_shared(np.full(size, np.nan, np.float32), np.full(size, np.nan, np.float32))
        bits = np.full(size, 0x7FC00000, np.uint32)
        assert not is_shared(bits.view(np.float32), (bits + 1).view(np.float32))


def test_equal_bytes_of_another_dtype_or_shape_differ():
    zeros = np.zeros((2, 3), np.float32)
    assert not is_shared(zeros, np.zeros((2, 3), np.int32))
    assert not is_shared(zeros, np.zeros((3, 2), np.float32))
    assert not is_shared(zeros, np.zeros((1, 2, 3), np.float32))
    assert is_shared(np.zeros((2, 0)), np.zeros((2, 0)))
    assert not is_shared(np.zeros((), np.float32), np.zeros(1, np.float32))


def test_strings_are_left_alone():
    words = [ir.StringTensor([b"a", b"b"], shape=ir.Shape([2])) for _ in range(2)]
    assert not is_shared(*words)


def test_packed_and_unpacked_tensors_are_the_same():
    numbers = (np.arange(10) % 7).astype(ml_dtypes.int4)
    packed = np.array([a | b << 4 for a, b in (numbers.astype(np.uint8).reshape(-1, 2))], np.uint8)
    assert is_shared(
        ir.tensor(numbers), ir.PackedTensor(packed, ir.DataType.INT4, shape=ir.Shape([10]))
    )


def test_arrays_that_are_not_contiguous_are_compared_by_elements():
    wide = normal(70, 60)
    assert is_shared(wide.T, np.ascontiguousarray(wide.T))
    assert not is_shared(wide.T, wide.reshape(60, 70))


def test_weights_in_a_file_are_compared(tmp_path):
    numbers = normal(40, 50)
    (tmp_path / "w.bin").write_bytes(numbers.tobytes() * 2)
    held = [
        ir.ExternalTensor(
            "w.bin",
            at,
            numbers.nbytes,
            ir.DataType.FLOAT,
            name="w",
            shape=ir.Shape([40, 50]),
            base_dir=tmp_path,
        )
        for at in (0, numbers.nbytes)
    ]
    assert is_shared(*held)
    assert is_shared(held[0], numbers)


def test_weights_that_differ_in_one_element_between_the_samples():
    first = np.zeros(100_000, np.float32)
    for place in (1, 50_001, 99_999):
        second = first.copy()
        second[place] = 1
        assert not is_shared(first, second)


def test_what_callers_see_is_left_alone():
    given = holding(normal(3), normal(3))
    given.graph.outputs.append(given.graph.initializers["w"])
    apply(SHARE, given)
    assert set(given.graph.initializers) == {"v", "w"}
    given = holding(normal(3), normal(3))
    given.graph.inputs.append(given.graph.initializers["v"])
    apply(SHARE, given)
    assert set(given.graph.initializers) == {"v", "w"}


def test_large_weights_may_be_left_alone():
    given = holding(normal(300), normal(300))
    assert not apply(ShareWeights(most_bytes=1024), given).applied
    assert apply(SHARE, given).applied
    assert not apply(SHARE, given).applied


def test_readers_in_subgraphs_are_redirected():
    given = model(
        """g (bool p, float[3] x) => (float[3] y) {
            y = If(p) <
                then_branch = t () => (float[3] a) { a = Mul(x, v) },
                else_branch = e () => (float[3] b) { b = Add(x, w) }
            >
        }""",
        v=normal(3),
        w=normal(3),
    )
    check_rule(SHARE, given, {"If": 1, "Mul": 1, "Add": 1}, atol=0, rtol=0)
