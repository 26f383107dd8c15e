"""The evaluator gives what ONNX Runtime gives, for all operators, dtypes and numbers it accepts."""

from __future__ import annotations

import dataclasses

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.analysis.evaluate import can_evaluate, evaluate
from sardonyx.compiler.ir.signature import signature
from sardonyx.compiler.ops import Absent, Row, rows
from sardonyx.compiler.ops.sample import Case, model_of
from tests.support.models import model, normal
from tests.support.run import run_ort

FOLDED = [
    row
    for row in rows()
    if not row.domain
    and not isinstance(row.sample, Absent)
    and can_evaluate(ir.Node("", row.op_type, []))
]
DTYPES = [
    *(np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
    *(np.float16, np.float32, np.float64, ml_dtypes.bfloat16),
]
ROUNDING = {"float16": 2e-3, "float32": 1e-5, "float64": 1e-9, "bfloat16": 2e-2}
SPECIAL = [np.nan, np.inf, -np.inf, -0.0, 0.0, 0.5, 1.5, 2.5, -2.5, 1e-40, 65_000, -1]
ACCUMULATED = {"CumSum", "Gemm", "MatMul", "Mean", "ReduceMean", "ReduceSum", "Sum"}
"""The runtime accumulates their half precision in single precision."""

by_name = pytest.mark.parametrize("row", FOLDED, ids=lambda row: row.op_type)


@by_name
def test_samples_of_the_operator(row):
    compared = [_compare(row.op_type, row.sample(np.random.default_rng(s))) for s in range(6)]
    assert any(compared) or row.op_type in {"Gelu", "HardSwish", "Mish", "OneHot"}


@by_name
def test_other_dtypes_and_numbers_at_the_edge(row):
    for dtype in map(np.dtype, DTYPES):
        if dtype.itemsize == 2 and dtype.kind != "i" and row.op_type in ACCUMULATED:
            continue
        for seed in range(2):
            case = _with_dtype(row, dtype, np.random.default_rng(seed))
            if case is not None:
                _compare(row.op_type, case)


@pytest.mark.parametrize(
    ("op_type", "operands", "attributes"),
    [
        ("Cast", [[1e10, -1e10]], {"to": ir.DataType.INT32}),
        ("Cast", [[np.nan]], {"to": ir.DataType.INT64}),
        ("Cast", [[1.5, 2.5]], {"to": ir.DataType.INT4}),
        ("Cast", [[1.5, 500.0]], {"to": ir.DataType.FLOAT8E4M3FN, "saturate": 0}),
        ("Cast", [[1.0]], {"to": ir.DataType.STRING}),
        ("Clip", [[-np.inf], 0.0], {}),
        ("ReduceMax", [[1.0, np.nan]], {}),
        ("ArgMax", [[1.0, np.nan]], {}),
        ("TopK", [[1.0, np.nan], [1]], {}),
    ],
)
def test_what_the_reference_computes_otherwise_is_refused(op_type, operands, attributes):
    inputs = [np.array(x, np.int64 if x == [1] else np.float32) for x in operands]
    model, _ = model_of(op_type, "", Case(tuple(inputs), attributes))
    assert evaluate(model.graph.node(-1), inputs) is None


@pytest.mark.parametrize("op_type", ["ReduceSum", "ReduceMean", "ReduceProd"])
def test_integers_that_overflow_are_refused(op_type):
    data = np.array([[2**31 - 1, 2, 3]], np.int32)
    model, _ = model_of(op_type, "", Case((data,)))
    assert evaluate(model.graph.node(-1), [data]) is None
    assert evaluate(model.graph.node(-1), [data // 1000]) is not None or op_type == "ReduceProd"


def test_ranges_whose_length_overflows_are_refused():
    data = [np.array(x) for x in (-(2**63), 2**63 - 1, 2**62)]
    model, _ = model_of("Range", "", Case(tuple(data)))
    assert evaluate(model.graph.node(-1), data) is None


def test_attributes_count_in_single_precision():
    data = np.array([-1.0, 2.0])
    model, feed = model_of("LeakyRelu", "", Case((data.astype(np.float32),), {"alpha": 0.1}))
    (made,) = evaluate(model.graph.node(-1), list(feed.values()))
    assert made[0] == -np.float32(0.1)


def test_a_result_of_another_dtype_than_declared_is_refused():
    data = np.array([1.0], np.float32)
    model, _ = model_of("Neg", "", Case((data,)))
    node = model.graph.node(-1)
    node.outputs[0].type = ir.TensorType(ir.DataType.DOUBLE)
    assert evaluate(node, [data]) is None


def _compare(op_type: str, case: Case) -> bool:
    """Demand that both give the same; False where the evaluator refuses or there is no kernel."""
    model, feed = model_of(op_type, "", case)
    for index, value in enumerate(model.graph.outputs):
        value.name = value.name or f"y{index}"
    node = model.graph.node(-1)
    operands = [
        None if v is None else feed[v.name] if v.name in feed else v.const_value.numpy()
        for v in node.inputs
    ]
    made = evaluate(node, operands)
    wanted = None if made is None else _run(model, feed)
    if made is None or wanted is None:
        return False
    rounding = ROUNDING.get(operands[0].dtype.name, 1e-5)
    for got, want in zip(made, wanted, strict=True):
        got = got.astype(np.float32) if got.dtype == ml_dtypes.bfloat16 else got
        assert got.dtype == want.dtype
        if got.dtype.kind == "f":
            np.testing.assert_allclose(got, want, rtol=rounding, atol=rounding / 10)
        np.testing.assert_array_equal(
            got if got.dtype.kind != "f" else got.shape,
            want if got.dtype.kind != "f" else want.shape,
        )
    return True


def _run(model: ir.Model, feed: dict[str, np.ndarray]) -> list[np.ndarray] | None:
    """Run the node on constants; bfloat16, which numpy cannot take, comes out as float."""
    for value in list(model.graph.inputs):
        value.const_value = ir.tensor(feed[value.name], name=value.name)
        model.graph.inputs.remove(value)
        model.graph.register_initializer(value)
    for index, value in enumerate(list(model.graph.outputs)):
        if value.dtype == ir.DataType.BFLOAT16:
            cast = ir.node("Cast", [value], {"to": ir.DataType.FLOAT})
            cast.outputs[0].name = f"{value.name}_as_float"
            cast.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
            model.graph.append(cast)
            model.graph.outputs[index] = cast.outputs[0]
    try:
        return run_ort(model, {})
    except Exception as error:
        if "NOT_IMPLEMENTED" in str(error) or "INVALID_GRAPH" in str(error):
            return None
        raise


def _with_dtype(row: Row, dtype: np.dtype, random: np.random.Generator) -> Case | None:
    """A sample whose operands of the first one's type have another dtype and odd numbers."""
    case, formal = row.sample(random), signature("", row.op_type).inputs
    if not formal:
        return None
    first = formal[0].type_constraint
    if ir.TensorType(ir.DataType.from_numpy(dtype)) not in first.allowed_types:
        return None
    inputs = []
    for index, array in enumerate(case.inputs):
        same = formal[min(index, len(formal) - 1)].type_constraint.name == first.name
        inputs.append(_odd(random, array.shape, dtype) if same and array is not None else array)
    # Mod of floats is defined as fmod only.
    more = {"fmod": 1} if row.op_type == "Mod" and dtype.kind not in "iu" else {}
    return dataclasses.replace(case, inputs=tuple(inputs), attributes={**case.attributes, **more})


def _odd(random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "b":
        return random.random(shape) < 0.5
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        made = random.integers(max(-5, limits.min), 8, shape)
        special = [limits.min, limits.max]
    else:
        made, special = random.normal(size=shape) * 3, SPECIAL
    made = np.asarray(made).astype(dtype)
    for number in special:
        if made.size and random.random() < 0.3:
            with np.errstate(over="ignore"):
                made.flat[random.integers(made.size)] = np.asarray(number).astype(dtype)
    return made


def test_elements_are_gathered_from_data_that_is_longer_than_the_indices():
    data, indices = normal(3, 5, 2), np.array([[[4], [-1]], [[0], [2]]])
    given = model(
        "g (float[3,5,2] d, int64[2,2,1] i) => (float[2,2,1] y) {"
        " y = GatherElements<axis=1>(d, i) }"
    )
    (wanted,) = run_ort(given, {"d": data, "i": indices})
    (found,) = evaluate(given.graph[0], [data, indices])
    np.testing.assert_array_equal(found, wanted)
    assert evaluate(given.graph[0], [data, indices + 5]) is None
