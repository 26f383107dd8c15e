"""Makes the sides of a comparison from what users have."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import onnx_ir as ir

from sardonyx.compiler import Program
from sardonyx.compiler.divergence import OnnxSide, Side
from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.export import legalise
from sardonyx.compiler.ir.text import STAGE
from sardonyx.compiler.proof import Executor
from sardonyx.compiler.targets.cpu import CPU

_OLDEST_AS_IT_IS = 13
"""Below it operators differ too much for disturbed arithmetic to be written in them."""

_NEWEST_AS_IT_IS = 26


def side_of(given: Any, executor: Executor, *, level: str, provider: str) -> Side:
    """Return the side of a PyTorch module with its inputs, or of an ONNX model."""
    if not is_module(given):
        return onnx_side(given, executor, level=level, provider=provider)
    from sardonyx.frontends.torch.eager import ModuleSide

    args, kwargs = split_inputs(given[1])
    return ModuleSide(given[0], args, kwargs)


def is_module(given: Any) -> bool:
    """Say whether what a user gives is a PyTorch module with its example inputs."""
    torch = sys.modules.get("torch")
    is_pair = isinstance(given, tuple) and len(given) in (2, 3)
    return is_pair and torch is not None and isinstance(given[0], torch.nn.Module)


def split_inputs(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return example inputs as positional and keyword arguments."""
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    if isinstance(inputs, Sequence):
        return tuple(inputs), {}
    return (inputs,), {}


def onnx_side(given: Any, executor: Executor, *, level: str, provider: str) -> OnnxSide:
    """Return the side of an ONNX model."""
    label = type(given[0] if is_module(given) else given).__name__
    if isinstance(given, (str, os.PathLike)):
        label = os.fspath(given)
    return OnnxSide(onnx_model(given), executor, label, level=level, provider=provider)


def onnx_model(given: Any) -> ir.Model:
    """Return a model that ONNX Runtime takes: a file as it is, all else legalised for it.

    Raises:
        UnsupportedError: It is no ONNX model.
        InvalidModelError: It is no valid one.
    """
    if isinstance(given, Program):
        return given.model
    if is_module(given):
        from sardonyx.frontends.torch import from_torch

        args, kwargs = split_inputs(given[1])
        given = from_torch(given[0], args, kwargs, dynamic=given[2] if len(given) > 2 else None)
    if hasattr(given, "to_ir"):
        given = given.to_ir()
    if isinstance(given, ir.Model):
        is_ready = given.metadata_props.get(STAGE) == "target"
        return given if is_ready else legalise(given, CPU)
    if not isinstance(given, (str, os.PathLike, bytes, bytearray, memoryview, onnx.ModelProto)):
        raise UnsupportedError(
            "This cannot be compared on ONNX Runtime.",
            found=f"a {type(given).__name__}",
            expected="an ONNX model, a DSL model or (PyTorch module, example inputs)",
        )
    from sardonyx.frontends.onnx_file import from_onnx, read_onnx

    model = read_onnx(given)
    opset = model.opset_imports.get("", _OLDEST_AS_IT_IS)
    if _OLDEST_AS_IT_IS <= opset <= _NEWEST_AS_IT_IS:
        return model
    return legalise(from_onnx(given), CPU)
