"""Every way a PyTorch model becomes ONNX: both of PyTorch's exporters, several opsets, and ours."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import onnx
import onnx_ir as ir
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sardonyx import frontends
from tests.convergence.models import Select, Subject


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' warnings and output away."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stderr(io.StringIO()),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


Export = Callable[[nn.Module, Subject, bool], ir.Model]


def _legacy(opset: int) -> Export:
    """The TorchScript exporter."""

    def export(module: nn.Module, subject: Subject, is_dynamic: bool) -> ir.Model:
        example = subject.example(**subject.traced)
        buffer = io.BytesIO()
        torch.onnx.export(
            module,
            tuple(example.values()),
            buffer,
            dynamo=False,
            opset_version=opset,
            input_names=list(example),
            dynamic_axes=subject.dynamic if is_dynamic else None,
        )
        return frontends.from_onnx(buffer.getvalue())

    return export


def _dynamo(opset: int, optimize: bool) -> Export:
    """The exporter of today."""

    def export(module: nn.Module, subject: Subject, is_dynamic: bool) -> ir.Model:
        example = subject.example(**subject.traced)
        shapes = tuple(
            dict.fromkeys(subject.dynamic.get(name, {}), torch.export.Dim.DYNAMIC)
            for name in example
        )
        # The parameters of `Select` are one: *tensors.
        shapes = (shapes,) if isinstance(module, Select) else shapes
        program = None
        backends: tuple[AbstractContextManager[object], ...] = (
            contextlib.nullcontext(),
            # Its fused kernels check strides that views of symbolic shape do not have (T5, Swin).
            sdpa_kernel(SDPBackend.MATH),
        )
        failure: Exception | None = None
        for backend in backends:
            try:
                with backend:
                    program = torch.onnx.export(
                        module,
                        tuple(example.values()),
                        dynamo=True,
                        verbose=False,
                        opset_version=opset,
                        optimize=optimize,
                        input_names=list(example),
                        dynamic_shapes=shapes if is_dynamic else None,
                    )
                break
            except Exception as error:  # its failures have no common type
                failure = error
        if program is None:
            assert failure is not None
            raise failure
        return frontends.from_onnx(onnx.load_from_string(program.model_proto.SerializeToString()))

    return export


def _ours(module: nn.Module, subject: Subject, is_dynamic: bool) -> ir.Model:
    example = subject.example(**subject.traced)
    dynamic = None
    if is_dynamic:
        order = list(example)
        is_variadic = isinstance(module, Select)
        dynamic = {
            f"tensors.{order.index(name)}" if is_variadic else name: axes
            for name, axes in subject.dynamic.items()
        }
    return frontends.from_torch(module, tuple(example.values()), dynamic=dynamic)


@dataclass(frozen=True)
class Source:
    """One way to export.

    Attributes:
        name: Short name.
        export: `(module, subject, dynamic) -> model`.
        failures: What it exports wrongly, and why: by model, or model and sizes.
    """

    name: str
    export: Export
    failures: Mapping[str, str] = field(default_factory=dict)

    def cannot(self, subject: Subject, is_dynamic: bool) -> str:
        """Why what this exporter makes of a model does not run; empty where it does."""
        sizes = "dynamic" if is_dynamic else "static"
        return self.failures.get(subject.name) or self.failures.get(f"{subject.name}-{sizes}", "")

    def model(self, subject: Subject, attention: str, is_dynamic: bool) -> ir.Model:
        """The exported model, as our ONNX frontend reads it."""
        with quiet(), torch.no_grad():
            return self.export(subject.module(attention), subject, is_dynamic)


SOURCES = (
    Source("legacy-17", _legacy(17)),
    Source("dynamo-18", _dynamo(18, optimize=True)),
    Source("dynamo-20", _dynamo(20, optimize=True)),
    Source(
        "dynamo-23",
        _dynamo(23, optimize=True),
        dict.fromkeys(
            ("llama-dynamic", "llama_token-dynamic", "llama_tokens-dynamic"),
            "its optimiser makes rotary caches without batch, which run nowhere",
        ),
    ),
    Source("dynamo-23-plain", _dynamo(23, optimize=False)),
    Source("sardonyx", _ours),
)
