"""The table of kernels agrees with the ONNX Runtime that is installed."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from benchmarks import kernels as tool
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.ops.sample import model_of
from sardonyx.compiler.opset import history
from sardonyx.compiler.targets.kernel_gaps import ONNXRUNTIME_CPU
from sardonyx.compiler.targets.kernels import cpu_kernels, has_function, missing_kernel
from tests.compiler.ops.drawing import draw_case, row_id, sampled_rows

STORED = json.loads(tool.TABLE.read_text(encoding="utf-8"))
DTYPES = (np.float32, np.float64, np.float16, np.int8, np.uint8, np.int64)


NO_KERNEL = ("Could not find an implementation", "Failed to find kernel")


def loads(given: ir.Model) -> bool:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    data = ir.to_proto(given).SerializeToString()
    try:
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if any(words in str(error) for words in NO_KERNEL):
            return False
        raise
    return True


def of_dtype(case, dtype):
    """A case with its floats in another dtype, or None where the schema does not take it."""
    inputs = tuple(
        x.astype(dtype) if x is not None and x.dtype == np.float32 else x for x in case.inputs
    )
    return type(case)(inputs, case.attributes, case.constants, case.outputs)


@pytest.mark.parametrize("row", [r for r in sampled_rows() if not r.domain], ids=row_id)
def test_what_the_table_says_is_what_a_session_says(row):
    case = draw_case(row, 0)
    for dtype in DTYPES:
        try:
            given, _ = model_of(row.op_type, "", of_dtype(case, dtype))
            Types.inferred(given)
            onnx.checker.check_model(ir.to_proto(given), full_check=True)
        except Exception:
            continue  # The schema does not take it.
        for opset in (23, 21):
            since = history.at(row.op_type, opset)
            if since is None or (opset == 21 and since is history.at(row.op_type, 23)):
                continue
            given.graph.opset_imports[""] = opset
            (node,) = given.graph
            why = missing_kernel(node, opset)
            is_unknown = why is None and has_function(row.op_type, opset)
            assert is_unknown or loads(given) == (why is None), (dtype, opset, why)


def test_the_gaps_of_the_newest_opset_are_those_of_the_table():
    gaps = {}
    for name in STORED["kernels"][""]:
        newest = history.at(name, 23)
        served = [
            schema.since_version
            for schema in history.versions(name)
            if schema.since_version <= 23
            and any(k.serves(schema.since_version) for k in cpu_kernels("", name))
        ]
        if newest is not None and served and newest.since_version not in served:
            gaps[name] = newest.since_version - 1
    assert gaps == ONNXRUNTIME_CPU


def test_the_table_is_of_the_installed_version():
    answer = tool.ask()
    if answer is None:
        pytest.skip("this build of ONNX Runtime cannot be asked here")
    if answer["version"] != STORED["onnxruntime"]:
        pytest.skip(f"the table is of {STORED['onnxruntime']}")
    assert tool.table(answer) == STORED


def test_a_refusal_says_what_is_missing():
    text = "g (float[2] x) => (float[2] y) { y = RandomUniformLike(x) }"
    from tests.support.models import model

    (node,) = model(text).graph
    assert missing_kernel(node, 23) == (
        "ONNX Runtime has no CPU kernel for RandomUniformLike of opset 22"
    )
    assert missing_kernel(node, 21) is None
    (node,) = model("g (bfloat16[2] x) => (bfloat16[2] y) { y = Sin(x) }").graph
    assert missing_kernel(node, 23) == "ONNX Runtime has no CPU kernel for Sin of bfloat16"


def test_kernels_that_differ_in_one_variable_are_one():
    rows = [("", "Abs", 13, 2**31 - 1, {"T": [f"tensor({kind})"]}) for kind in ("int8", "float")]
    made = tool.table({"version": "1", "rows": [*rows, ("", "Old", 1, 17, {})]})
    assert made["kernels"][""] == {"Abs": [[13, None, [{"T": "float int8"}]]]}
