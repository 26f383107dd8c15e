"""Execution providers: what is there, what was asked for, and whether it is really used."""

from __future__ import annotations

import contextlib
import ctypes
import difflib
import io
import os
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .errors import ProviderError
from .machine import cpu_name
from .plugins import (
    SUFFIX,
    Plugin,
    add_to,
    all_devices,
    built_in,
    device_text,
    devices_of,
    find_plugin,
    plugins,
    short_name,
)
from .threads import allowed_cpus

CPU = "CPUExecutionProvider"
LIBRARY = {"win32": "{}.dll", "darwin": "lib{}.dylib"}.get(sys.platform, "lib{}.so")
CUDNN = {"win32": "cudnn64_9.dll"}.get(sys.platform, "libcudnn.so.9")
"""ONNX Runtime opens it when the first kernel needs it: the CUDA provider starts without."""
NOT_FOUND = ("cannot open shared object", "Could not find module", "Library not loaded")
REMEDIES = {
    "cuda": "install the CUDA and cuDNN versions this build of onnxruntime-gpu needs and put them "
    "on the library path, or install their nvidia-* wheels beside onnxruntime-gpu",
    "tensorrt": "install TensorRT and put it on the library path",
    "openvino": "pip install onnxruntime-ep-openvino",
    "dml": "pip install onnxruntime-directml",
    "migraphx": "pip install onnxruntime-migraphx",
    "qnn": "pip install onnxruntime-qnn",
    "webgpu": "pip install onnxruntime-ep-webgpu",
}
START_SECONDS = 120.0
"""How long a provider may take to start on a tiny model."""

WITH_CUDA = ("cuda", "tensorrt")
"""Short names of the providers that need CUDA's libraries."""

Requested = str | tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Provider:
    """An execution provider of the installed ONNX Runtime, or of a package that plugs into it.

    Attributes:
        name: Short name, as ``load(providers=...)`` takes it (``cpu``, ``cuda``, ``openvino``).
        ort_name: ONNX Runtime's name (``CUDAExecutionProvider``).
        problem: Why it cannot start on this machine: as far as can be told without starting it,
            or what happened when it was started.
        library: The shared library it is in; empty where it is part of ONNX Runtime itself.
        version: Version of the package that brings it.
        devices: What it runs on, in words; empty where that was not asked.
    """

    name: str
    ort_name: str
    problem: str | None
    library: str = ""
    version: str = ""
    devices: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.problem or 'available'}"


def providers(*, start: bool = False) -> tuple[Provider, ...]:
    """The providers of the installed ONNX Runtime in its order of preference, then the plugins.

    Args:
        start: Start each one, in a process of its own, and see it run a tiny model.
    """
    import onnxruntime

    names = built_in()
    for name in names:
        load_wheels_libraries(name)
    version = onnxruntime.__version__
    found = [
        Provider(short_name(name), name, missing_library(name), _library(name) or "", version)
        for name in names
    ]
    found += [
        Provider(each.name, each.ort_name, each.problem, each.library, each.version)
        for each in plugins()
        if each.ort_name not in names
    ]
    return tuple(_started(each) if start else each for each in found)


def _started(provider: Provider) -> Provider:
    """The same, after it was started in a process of its own."""
    from .child import Child, ChildError

    if provider.problem:
        return provider
    try:
        with Child() as child:
            devices = child.ask("start", START_SECONDS, provider=provider.name)["devices"]
    except ChildError as error:
        return replace(provider, problem=error.found or error.what)
    return replace(provider, devices=tuple(devices))


def device_names(name: str) -> list[str]:
    """What a provider that has been started runs on, in words."""
    if name == short_name(CPU):
        return [f"{cpu_name()}, {len(allowed_cpus())} CPUs"]
    return [device_text(each) for each in all_devices() if short_name(each.ep_name) == name]


def missing_library(ort_name: str) -> str | None:
    """The shared library that keeps a provider from loading, in the words of the system's loader.

    None when there is none, or when the provider is no library of its own.
    """
    path = _library(ort_name)
    if path is None:
        return None
    folder = os.path.dirname(path)
    try:
        ctypes.CDLL(os.path.join(folder, LIBRARY.format("onnxruntime_providers_shared")))
        ctypes.CDLL(path)
    except OSError as error:
        # ORT binds some symbols itself, so that only an absent library is proof.
        text = str(error)
        return text if any(words in text for words in NOT_FOUND) else None
    return None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _library(ort_name: str) -> str | None:
    """Path of the library beside ONNX Runtime's own that a provider is in, if it is in one."""
    import onnxruntime

    folder = os.path.join(os.path.dirname(onnxruntime.__file__), "capi")
    path = os.path.join(folder, LIBRARY.format(f"onnxruntime_providers_{short_name(ort_name)}"))
    return path if os.path.exists(path) else None


def load_wheels_libraries(ort_name: str) -> None:
    """Load CUDA and cuDNN from the wheels that pip installed, where the loader finds no others."""
    import onnxruntime

    if short_name(ort_name) not in WITH_CUDA:
        return
    if missing_library(ort_name) is None and _loads(CUDNN):
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
        ProviderError: A name is unknown, this build of ONNX Runtime lacks the provider, or the
            plugin does not start, and ``fallback`` is not ``"warn"``.
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
        elif (plugin := find_plugin(name)) is not None:
            try:
                devices_of(plugin)
            except ProviderError as error:
                report(error, fallback)
            else:
                resolved[plugin.ort_name] = options
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

    available = {short_name(name): name for name in built_in()}
    return available, [short_name(name) for name in onnxruntime.get_all_providers()]


def _absent(name: str, short: str, available: Iterable[str], known: list[str]) -> ProviderError:
    if short in known:
        what, remedy = f"the installed ONNX Runtime has no provider '{name}'", REMEDIES.get(short)
    else:
        what, near = f"there is no provider '{name}'", difflib.get_close_matches(short, known, 1)
        remedy = f"did you mean '{near[0]}'?" if near else None
    names = [*available, *(plugin.name for plugin in plugins())]
    return ProviderError(what, expected=f"one of {', '.join(names)}", remedy=remedy)


def with_plugins(
    options: Any, requested: Mapping[str, dict[str, Any]], threads: int
) -> list[tuple[str, dict[str, Any]]]:
    """Providers as ``InferenceSession(providers=...)`` takes them.

    Plugins cannot be named there. If there are any, all providers are added to the session's
    options instead, and the list is empty.

    Raises:
        ProviderError: A plugin does not start.
    """
    own = built_in()
    if all(name in own for name in requested):
        return list(requested.items())
    for name, given in requested.items():
        if name in own:
            # The CPU comes last by itself, and cannot be added.
            if name != CPU:
                options.add_provider(name, {key: str(value) for key, value in given.items()})
        else:
            plugin = find_plugin(name) or Plugin(short_name(name), name, name)
            add_to(options, plugin, given, threads)
    return []


def used_providers(raw: Any) -> tuple[str, ...]:
    """Short names of the providers that run nodes of this ``onnxruntime.InferenceSession``."""
    names = raw.get_providers()
    if names != [CPU]:
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
    import onnxruntime

    version = getattr(onnxruntime, "cuda_version", "") if short_name(name) in WITH_CUDA else ""
    built = f"; this onnxruntime {onnxruntime.__version__} is built for CUDA {version}"
    return ProviderError(
        f"provider {short_name(name)} did not start",
        where=where,
        found=missing_library(name) or "ONNX Runtime's log says why",
        expected="the provider that was asked for, not a silent fallback to the CPU"
        + (built if version else ""),
        remedy=REMEDIES.get(short_name(name)),
    )
