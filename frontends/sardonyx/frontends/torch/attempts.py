"""The ways to capture and lower a module, tried in order until one succeeds."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import onnx_ir as ir
import torch
from torch.export import ExportedProgram
from torch.nn.attention import SDPBackend, sdpa_kernel

from sardonyx.frontends.torch.capture import Call, capture
from sardonyx.frontends.torch.dynamic import widen
from sardonyx.frontends.torch.lower import lower
from sardonyx.frontends.torch.recurrence import dynamic_recurrence


@dataclasses.dataclass(frozen=True)
class Strategy:
    """One way to get a model out of a module; each computes the same function.

    Attributes:
        name: How the report calls it.
        applies: Whether it differs from the strategies before it for this call.
        around: Context that capture and lowering run in.
        strict: Analyse the Python bytecode (TorchDynamo) instead of running it with fake tensors.
        widened: Repeat examples along dynamic axes of size 1, which torch.export would fix.
    """

    name: str
    applies: Callable[[Call], bool] = lambda call: True
    around: Callable[[Any], AbstractContextManager[object]] = lambda _: contextlib.nullcontext()
    strict: bool = False
    widened: bool = True


@dataclasses.dataclass(frozen=True)
class Failure:
    """A strategy that did not succeed, and how far it came.

    Attributes:
        strategy: Name of the strategy.
        error: What torch raised.
        program: What was captured; None when capture itself failed.
    """

    strategy: str
    error: Exception
    program: ExportedProgram | None


def _plain_attention(call: Call | None) -> AbstractContextManager[object]:
    # The fused CPU kernels check strides that views of symbolic shape do not have (T5, Swin).
    return sdpa_kernel(SDPBackend.MATH)


def _attention_configs(call: Call) -> list[object]:
    configs = [getattr(part, "config", None) for part in call.module.modules()]
    unique = {id(config): config for config in configs}.values()
    return [config for config in unique if hasattr(config, "_attn_implementation")]


@contextlib.contextmanager
def _eager_attention(call: Call) -> Iterator[None]:
    """Hugging Face models: attention written out in matrix products."""
    configs = _attention_configs(call)
    chosen = [config._attn_implementation for config in configs]  # type: ignore[attr-defined]
    try:
        for config in configs:
            config._attn_implementation = "eager"  # type: ignore[attr-defined]
        yield
    finally:
        for config, implementation in zip(configs, chosen, strict=True):
            config._attn_implementation = implementation  # type: ignore[attr-defined]


@contextlib.contextmanager
def _unfixed_ones(call: Call) -> Iterator[None]:
    # The setting that torch.onnx itself uses to keep dims of size 0 and 1 dynamic.
    with torch.fx.experimental._config.patch(  # type: ignore[attr-defined]
        backed_size_oblivious=True
    ):
        yield


def _has_small_dim(call: Call) -> bool:
    return any(item.example.shape[axis] <= 1 for item in call.inputs for axis in item.axes)


PLAIN = Strategy("torch.export")
PLAIN_ATTENTION = Strategy(
    "torch.export with attention as plain matrix products", around=_plain_attention
)
STRATEGIES = (
    PLAIN,
    PLAIN_ATTENTION,
    Strategy(
        "torch.export with Hugging Face's eager attention",
        applies=lambda call: bool(_attention_configs(call)),
        around=_eager_attention,
    ),
    Strategy(
        "torch.export with dims of size 0 and 1 as given",
        applies=_has_small_dim,
        around=_unfixed_ones,
        widened=False,
    ),
    Strategy("torch.export(strict=True)", around=_plain_attention, strict=True),
)


def attempt(call: Call) -> tuple[ir.Model, ExportedProgram] | list[Failure]:
    """The first model that a strategy yields, or why each one failed."""
    failures: list[Failure] = []
    for strategy in STRATEGIES:
        if not strategy.applies(call):
            continue
        examples = widen(call.inputs) if strategy.widened else [i.example for i in call.inputs]
        outcome = _run(call, examples, strategy)
        if not isinstance(outcome, Failure):
            return outcome
        failures.append(outcome)
        if _is_final(outcome):
            break
    return failures


def attempt_lowering(program: ExportedProgram) -> ir.Model | list[Failure]:
    """The model of a program that the user captured, or why it cannot be lowered."""
    failures: list[Failure] = []
    for strategy in (PLAIN, PLAIN_ATTENTION):
        try:
            with strategy.around(None), dynamic_recurrence():
                return lower(program)
        except Exception as error:
            failures.append(Failure(strategy.name, error, program))
    return failures


def _run(
    call: Call, examples: Sequence[torch.Tensor], strategy: Strategy
) -> tuple[ir.Model, ExportedProgram] | Failure:
    program = None
    try:
        with strategy.around(call), dynamic_recurrence():
            program = capture(call, examples, strict=strategy.strict)
            return lower(program), program
    except Exception as error:  # torch raises whatever the module's own code raises
        return Failure(strategy.name, error, program)


def _is_final(failure: Failure) -> bool:
    """An operator without a lowering has none under any strategy."""
    return "No ONNX function found" in str(failure.error)
