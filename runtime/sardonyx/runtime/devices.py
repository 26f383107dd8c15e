"""Execution providers: what is there, what was asked for, and whether it is really used."""

from __future__ import annotations

import contextlib
import ctypes
import difflib
import io
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import ProviderError

SUFFIX = "ExecutionProvider"
CPU = "CPUExecutionProvider"
LIBRARY = {"win32": "{}.dll", "darwin": "lib{}.dylib"}.get(sys.platform, "lib{}.so")
NOT_FOUND = ("cannot open shared object", "Could not find module", "Library not loaded")
REMEDIES = {
    "cuda": "install the CUDA and cuDNN versions this build of onnxruntime-gpu needs and put them "
    "on the library path, or install their nvidia-* wheels beside onnxruntime-gpu",
    "tensorrt": "install TensorRT and put it on the library path",
    "openvino": "pip install onnxruntime-openvino",
    "dml": "pip install onnxruntime-directml",
    "migraphx": "pip install onnxruntime-migraphx",
    "qnn": "pip install onnxruntime-qnn",
}

WITH_CUDA = ("cuda", "tensorrt")
"""Short names of the providers that need CUDA's libraries."""

Requested = str | tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Provider:
    """An execution provider of the installed ONNX Runtime.

    Attributes:
        name: Short name, as ``load(providers=...)`` takes it (``cpu``, ``cuda``).
        ort_name: ONNX Runtime's name (``CUDAExecutionProvider``).
        problem: Why it cannot start on this machine, as far as can be told without starting it.
    """

    name: str
    ort_name: str
    problem: str | None

    def __str__(self) -> str:
        return f"{self.name}: {self.problem or 'available'}"


def providers() -> tuple[Provider, ...]:
    """The providers of the installed ONNX Runtime, in its order of preference."""
    import onnxruntime

    names = onnxruntime.get_available_providers()
    for name in names:
        load_wheels_libraries(name)
    return tuple(Provider(short_name(name), name, missing_library(name)) for name in names)


def short_name(ort_name: str) -> str:
    """``cuda`` for ``CUDAExecutionProvider``."""
    return str(ort_name).removesuffix(SUFFIX).lower()


def missing_library(ort_name: str) -> str | None:
    """The shared library that keeps a provider from loading, in the words of the system's loader.

    None when there is none, or when the provider is no library of its own.
    """
    import onnxruntime

    folder = os.path.join(os.path.dirname(onnxruntime.__file__), "capi")
    library = LIBRARY.format(f"onnxruntime_providers_{short_name(ort_name)}")
    path = os.path.join(folder, library)
    if not os.path.exists(path):
        return None
    try:
        ctypes.CDLL(os.path.join(folder, LIBRARY.format("onnxruntime_providers_shared")))
        ctypes.CDLL(path)
    except OSError as error:
        # ORT binds some symbols itself, so that only an absent library is proof.
        text = str(error)
        return text if any(words in text for words in NOT_FOUND) else None
    return None


def load_wheels_libraries(ort_name: str) -> None:
    """Load CUDA and cuDNN from the wheels that pip installed, where the loader finds no others."""
    import onnxruntime

    if short_name(ort_name) not in WITH_CUDA or missing_library(ort_name) is None:
        return
    # It prints what it does not find; whoever asks for the provider gets an error that says so.
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()


def resolve(
    requested: Requested | Sequence[Requested] | None, fallback: str = "error"
) -> dict[str, dict[str, Any]]:
    """ONNX Runtime's names of the providers asked for, in order, with their options.

    ``None`` asks for the CPU alone: an accelerator is used when it is asked for by name.

    Raises:
        ProviderError: A name is unknown, or this build of ONNX Runtime lacks the provider and
            ``fallback`` is not ``"warn"``.
    """
    entries: Any = requested or "cpu"
    if _is_one(entries) or not isinstance(entries, list | tuple):
        entries = [entries]
    resolved: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if not _is_one(entry):
            raise ProviderError(
                "a provider is a name, or a name with a dict of options",
                found=repr(entry),
                expected="for example 'cuda' or ('cuda', {'device_id': 0})",
            )
        name, options = (entry, {}) if isinstance(entry, str) else entry
        available, known = _names()
        short = name.lower().removesuffix(SUFFIX.lower())
        if short in available:
            resolved[available[short]] = options
        else:
            report(_absent(name, short, available, known), fallback)
    return resolved or {CPU: {}}


def report(problem: ProviderError, fallback: str) -> None:
    """Raise the problem, or warn of it when the caller allows other providers instead."""
    if fallback == "error":
        raise problem
    warnings.warn(str(problem), RuntimeWarning, stacklevel=4)


def _is_one(entry: Any) -> bool:
    if isinstance(entry, tuple):
        return len(entry) == 2 and isinstance(entry[0], str) and isinstance(entry[1], dict)
    return isinstance(entry, str)


def _names() -> tuple[dict[str, str], list[str]]:
    """The providers of this build by short name, and the short names of all that exist."""
    import onnxruntime

    available = {short_name(name): name for name in onnxruntime.get_available_providers()}
    return available, [short_name(name) for name in onnxruntime.get_all_providers()]


def _absent(name: str, short: str, available: Iterable[str], known: list[str]) -> ProviderError:
    if short in known:
        what, remedy = f"the installed ONNX Runtime has no provider '{name}'", REMEDIES.get(short)
    else:
        what, near = f"there is no provider '{name}'", difflib.get_close_matches(short, known, 1)
        remedy = f"did you mean '{near[0]}'?" if near else None
    return ProviderError(what, expected=f"one of {', '.join(available)}", remedy=remedy)


def used_providers(raw: Any) -> tuple[str, ...]:
    """Short names of the providers that run nodes of this ``onnxruntime.InferenceSession``.

    With an accelerator, the session must have recorded its graph assignment.
    """
    names = raw.get_providers()
    # onnxruntime before 1.24 cannot tell.
    if names != [CPU] and hasattr(raw, "get_provider_graph_assignment_info"):
        assigned = {part.ep_name for part in raw.get_provider_graph_assignment_info()}
        names = [name for name in names if name in assigned] or names
    return tuple(map(short_name, names))


def unused_problem(raw: Any, requested: Sequence[str], where: str) -> ProviderError | None:
    """The error to raise when a provider did not start, or no accelerator got a node."""
    registered = raw.get_providers()
    for name in requested:
        if name not in registered:
            return did_not_start(name, where)
    accelerators = [name for name in requested if name != CPU]
    used = used_providers(raw)
    if accelerators and not set(map(short_name, accelerators)) & set(used):
        asked = ", ".join(map(short_name, accelerators))
        return ProviderError(
            f"provider {asked} can run no node of the model",
            where=where,
            found=f"every node runs on {', '.join(used)}",
            remedy="load it with the providers that run it, or with fallback='warn'",
        )
    return None


def did_not_start(name: str, where: str) -> ProviderError:
    """The error for a provider of this build that could not be started."""
    return ProviderError(
        f"provider {short_name(name)} did not start",
        where=where,
        found=missing_library(name) or "ONNX Runtime's log says why",
        expected="the provider that was asked for, not a silent fallback to the CPU",
        remedy=REMEDIES.get(short_name(name)),
    )
