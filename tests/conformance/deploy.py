"""From a test case's model to something callable: by way of Sardonyx, or ONNX Runtime alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx
import onnxruntime as ort

from tests.conformance.values import feed, fetch
from tests.support.run import PROVIDERS

Runner = Callable[[Sequence[Any]], list[Any]]


def deploy(model: onnx.ModelProto, device: str = "cpu") -> Runner:
    """What Sardonyx makes of a model; this is the function that the suite judges."""
    from sardonyx import compiler, frontends

    program = compiler.compile(frontends.from_onnx(model), device, verify_level=2)
    return ort_alone(onnx.ModelProto.FromString(program.to_bytes()), device)


def deploy_cuda(model: onnx.ModelProto) -> Runner:
    """What Sardonyx makes of a model for CUDA, there."""
    return deploy(model, "cuda")


def cuda_alone(model: onnx.ModelProto) -> Runner:
    """ONNX Runtime on CUDA with the model as it is."""
    return ort_alone(model, "cuda")


def written(model: onnx.ModelProto) -> Runner:
    """What a program of the language builds, written of a model; it is the same model."""
    from sardonyx import compiler, frontends
    from tests.frontends.dsl.roundtrip import check_same, rebuilt

    source = frontends.from_onnx(model)
    again = rebuilt(source)
    check_same(source, again.to_ir())
    return ort_alone(onnx.ModelProto.FromString(compiler.compile(again).to_bytes()))


def ort_alone(model: onnx.ModelProto, device: str = "cpu") -> Runner:
    """ONNX Runtime on the model as it is: the anchor."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    wanted = PROVIDERS[device]
    session = ort.InferenceSession(model.SerializeToString(), options, providers=wanted)
    assert session.get_providers()[0] == wanted[0][0], f"ONNX Runtime has no {wanted[0][0]}"

    def run(inputs: Sequence[Any]) -> list[Any]:
        formal = session.get_inputs()
        feeds = {v.name: feed(x) for v, x in zip(formal, inputs, strict=True) if x is not None}
        return fetch(session, feeds)

    return run
