"""Modules against ONNX Runtime without optimisations, at the traced and at other inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import torch

from sardonyx.frontends import from_torch


def run(model: ir.Model, arguments: Sequence[torch.Tensor]) -> list[np.ndarray]:
    """What ONNX Runtime computes, as exported."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    data = ir.to_proto(model).SerializeToString()
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    tensors = [argument.numpy() for argument in arguments]
    return session.run(None, dict(zip(names, tensors, strict=True)))


def expected(module: torch.nn.Module, arguments: Sequence[object]) -> list[np.ndarray]:
    with torch.no_grad():
        result = module.eval()(*arguments)
    results = result if isinstance(result, (tuple, list)) else [result]
    return [tensor.numpy() for tensor in results]


def check(
    module: torch.nn.Module,
    *calls: Sequence[torch.Tensor],
    rtol: float,
    dynamic: Mapping[object, object] | None = None,
) -> ir.Model:
    """Capture with the first call's arguments; compare the outputs for every call's arguments."""
    model = from_torch(module, calls[0], dynamic=dynamic)
    for call in calls:
        compare(run(model, call), expected(module, call), rtol=rtol)
    return model


def compare(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray], *, rtol: float) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        scale = np.nanmax(np.abs(other), initial=0) if other.dtype.kind == "f" else 0
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * scale)
