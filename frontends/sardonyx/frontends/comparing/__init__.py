"""Whether two models compute the same, and where they begin to differ."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sardonyx.compiler import divergence
from sardonyx.compiler.divergence import Comparison, OnnxSide, Side
from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.proof import Executor, Limits
from sardonyx.frontends.comparing.sample import checked_samples, made_up
from sardonyx.frontends.comparing.sides import is_module, onnx_side, side_of
from sardonyx.frontends.comparing.verification import Case, Verification, run_cases

LEVELS = ("off", "basic", "extended", "all")
PROVIDERS = ("cpu", "cuda")

__all__ = ["LEVELS", "PROVIDERS", "Case", "Comparison", "Verification", "compare", "verify"]


def compare(
    reference: Any,
    model: Any = None,
    *,
    samples: Sequence[Mapping[str, Any]] = (),
    levels: tuple[str, str] = ("all", "all"),
    providers: tuple[str, str] = ("cpu", "cpu"),
    locate: bool = True,
) -> Comparison:
    """Say whether two models agree, and if not, name the first place where they differ.

    Values differ where the rounding of the reference's own arithmetic does not explain it. The
    place is found by looking at one value after the other, each between the last known to agree
    and the first known to differ; no more than one of them is kept at a time.

    Args:
        reference: What is right by definition: an ONNX model (a path, bytes, a ModelProto, an
            onnx_ir.Model, a Program), a DSL model, or (PyTorch module, example inputs).
        model: What is questioned, likewise; a PyTorch module is exported. By default the reference
            itself, where levels or providers differ.
        samples: Inputs to compare on. By default the example inputs, or made up.
        levels: How far ONNX Runtime optimises either: "off", "basic", "extended" or "all".
        providers: Where it runs either: "cpu" or "cuda".
        locate: Look for the place.

    Raises:
        UnsupportedError: There is nothing to compare, or the inputs do not fit.
        ExecutionError: One of them cannot be run.
    """
    _check("level", levels, LEVELS)
    _check("provider", providers, PROVIDERS)
    is_same = levels[0] == levels[1] and providers[0] == providers[1]
    if model is None and (is_same or is_module(reference)):
        raise UnsupportedError(
            "There is nothing to compare with.",
            expected="another model, or two levels or providers for one ONNX model",
        )
    with _executor() as executor:
        first = side_of(reference, executor, level=levels[0], provider=providers[0])
        other = reference if model is None else model
        second = onnx_side(other, executor, level=levels[1], provider=providers[1])
        if model is None:
            _tell_apart(first, second, levels, providers)
        given = checked_samples(samples, first, second) or [made_up(first, second)]
        return divergence.compare(first, second, given, locate=locate)


def verify(
    model: Any,
    against: Any,
    *,
    samples: Sequence[Mapping[str, Any]] = (),
    level: str = "all",
    provider: str = "cpu",
    locate: bool = True,
) -> Verification:
    """Compare a model with its source at several sizes of every dynamic dim, 1 among them.

    Args:
        model: An ONNX model, as for `compare`.
        against: Its source: (PyTorch module, example inputs), or another model.
        samples: Inputs to compare on beside those that are made up.
        level: How far ONNX Runtime optimises the model; of a source in ONNX it optimises nothing.
        provider: Where it runs the model.
        locate: Look for the first place where they differ, for the first inputs where they do.

    Raises:
        UnsupportedError: The inputs do not fit, or the source runs on none of them.
    """
    _check("level", [level], LEVELS)
    _check("provider", [provider], PROVIDERS)
    with _executor() as executor:
        source = side_of(against, executor, level="off", provider="cpu")
        questioned = onnx_side(model, executor, level=level, provider=provider)
        return run_cases(source, questioned, samples, locate=locate)


@contextlib.contextmanager
def _executor() -> Iterator[Executor]:
    with Executor(Limits()) as executor:
        yield executor


def _check(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise UnsupportedError(
                f"There is no such {what}.", found=repr(name), expected=", ".join(known)
            )


def _tell_apart(
    first: Side, second: OnnxSide, levels: Sequence[str], providers: Sequence[str]
) -> None:
    """Call the two sides of one model differently."""
    differing = [pair for pair in (levels, providers) if pair[0] != pair[1]]
    first.label += f" ({', '.join(pair[0] for pair in differing)})"
    second.label += f" ({', '.join(pair[1] for pair in differing)})"
