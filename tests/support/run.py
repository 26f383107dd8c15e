"""Running models: by ONNX Runtime and by ONNX's reference evaluator."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from sardonyx.compiler.ir.verify import verify

Feeds = Mapping[str, np.ndarray]
CUDA = "CUDAExecutionProvider"
PROVIDERS: dict[str, list[tuple[str, dict[str, str]]]] = {
    "cpu": [("CPUExecutionProvider", {})],
    # Products in float32, and convolutions that are not searched for at each shape.
    "cuda": [
        (CUDA, {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}),
        ("CPUExecutionProvider", {}),
    ],
}
DEVICE = os.environ.get("SARDONYX_TEST_DEVICE", "cpu")
"""Where `run_ort` runs models; `make gpu` runs the suites that use it with "cuda"."""


def only_on_cpu(why: str) -> pytest.MarkDecorator:
    """Mark a test that a device fails, for no fault of ours."""
    return pytest.mark.skipif(DEVICE != "cpu", reason=why)


def run_ort(model: ir.Model, feeds: Feeds, *, optimised: bool = False) -> list[np.ndarray]:
    """The outputs of a model on ONNX Runtime; by default no rewriting of its own."""
    options = onnxruntime.SessionOptions()
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    data = ir.to_proto(model).SerializeToString()
    wanted = PROVIDERS[DEVICE]
    session = onnxruntime.InferenceSession(data, options, providers=wanted)
    assert session.get_providers()[0] == wanted[0][0], f"ONNX Runtime has no {wanted[0][0]}"
    return session.run(None, dict(feeds))


def run_reference(model: ir.Model, feeds: Feeds) -> list[np.ndarray]:
    """The outputs of a model by ONNX's own evaluator in numpy."""
    return ReferenceEvaluator(ir.to_proto(model)).run(None, dict(feeds))


def check_valid(model: ir.Model) -> None:
    """Demand that our verifier and ONNX's checker, with strict inference, accept a model."""
    verify(model)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
