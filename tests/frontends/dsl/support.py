"""Runs a DSL model through two independent evaluators, and compares with what is expected."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from sardonyx.compiler.ir.verify import verify


def by_onnxruntime(proto: onnx.ModelProto, inputs: dict) -> list:
    """What ONNX Runtime computes with all its optimisations off, on one thread."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)


def by_reference(proto: onnx.ModelProto, inputs: dict) -> list:
    """What the reference evaluator of the onnx package computes."""
    return list(ReferenceEvaluator(proto).run(None, inputs))


EVALUATORS = {"onnxruntime": by_onnxruntime, "reference": by_reference}


def run(model, evaluators=("onnxruntime", "reference"), **inputs) -> dict[str, list]:
    """The outputs of a model by evaluator; the verifier and onnx.checker accept the model."""
    verify(model.to_ir())
    proto = model.to_onnx()
    onnx.checker.check_model(proto, full_check=True)
    results = {name: EVALUATORS[name](proto, inputs) for name in evaluators}
    for name, outputs in results.items():
        for declared, got in zip(proto.graph.output, outputs, strict=True):
            refuse_other_shape(declared, np.asarray(got), inputs, proto, name)
    return results


def refuse_other_shape(declared, got, inputs, proto, evaluator) -> None:
    """What an output declares of its type holds for what came out."""
    kind = declared.type.tensor_type
    assert got.dtype == onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type), evaluator
    assert len(kind.shape.dim) == got.ndim, (evaluator, declared.name)
    bound = {
        dim.dim_param: size
        for value in proto.graph.input
        for dim, size in zip(
            value.type.tensor_type.shape.dim, inputs[value.name].shape, strict=True
        )
        if dim.dim_param
    }
    for dim, size in zip(kind.shape.dim, got.shape, strict=True):
        expected = bound.get(dim.dim_param, None if dim.dim_param else dim.dim_value)
        assert expected in (None, size), (evaluator, declared.name, dim, got.shape)


def agree(model, expected, *, rtol: float, evaluators=("onnxruntime", "reference"), **inputs):
    """Every evaluator gives the expected outputs, within `rtol` of their largest element."""
    listed = expected if isinstance(expected, (list, tuple)) else [expected]
    for name, outputs in run(model, evaluators, **inputs).items():
        assert len(outputs) == len(listed), name
        for got, want in zip(outputs, map(np.asarray, listed), strict=True):
            got = np.asarray(got)
            assert got.shape == want.shape, (name, got.shape, want.shape)
            assert got.dtype == want.dtype, (name, got.dtype, want.dtype)
            if want.dtype.kind != "f":
                np.testing.assert_array_equal(got, want, err_msg=name)
            elif want.size:
                error = np.abs(got.astype(np.float64) - want).max()
                assert error <= rtol * max(1e-30, np.abs(want).max()), (name, error)
