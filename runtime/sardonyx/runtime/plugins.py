"""Plugin providers: execution providers that packages of their own bring to ONNX Runtime.

Such a package has a module ``onnxruntime_ep_<name>`` whose functions give the path of a shared
library and the names of the providers in it, as ONNX Runtime asks of them:
https://onnxruntime.ai/docs/execution-providers/plugin-ep-libraries/packaging.html
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import ProviderError, ort_words

SUFFIX = "ExecutionProvider"
MODULE = "onnxruntime_ep_"
DEVICE = "device"
"""Option of any plugin provider, read here: which of its devices, ``CPU``, ``GPU`` or ``NPU``."""

_LOCK = threading.Lock()


@dataclass(frozen=True)
class Plugin:
    """A provider that a package brings.

    Attributes:
        name: Short name, as ``load(providers=...)`` takes it: ``openvino``.
        ort_name: ONNX Runtime's name: ``OpenVINOExecutionProvider``.
        package: The distribution that brings it: ``onnxruntime-ep-openvino``.
        version: Its version, empty if nothing says it.
        library: Path of the shared library, empty if the package does not tell.
        problem: Why the package could not be asked.
    """

    name: str
    ort_name: str
    package: str
    version: str = ""
    library: str = ""
    problem: str | None = None


def short_name(ort_name: str) -> str:
    """``cuda`` for ``CUDAExecutionProvider``."""
    return str(ort_name).removesuffix(SUFFIX).lower()


def plugins(path: Sequence[str] | None = None) -> tuple[Plugin, ...]:
    """The providers that installed packages bring; nothing is imported where there are none.

    Args:
        path: Folders to look for packages in; by default those that Python imports from.
    """
    return tuple(each for module, folder in _modules(path) for each in _ask(module, folder))


def installed() -> list[tuple[str, str]]:
    """Names and versions of the packages that bring providers; none of them is imported."""
    return [_distribution(module, folder) for module, folder in _modules(None)]


def find_plugin(name: str) -> Plugin | None:
    """The plugin provider of this name, ONNX Runtime's or the package's, in any case."""
    wanted = name.lower().replace("-", "_")
    short = wanted.removesuffix(SUFFIX.lower())
    for plugin in plugins():
        module = plugin.package.lower().replace("-", "_").removeprefix(MODULE)
        if short in (plugin.name, module) or wanted == plugin.ort_name.lower():
            return plugin
    return None


def built_in() -> list[str]:
    """ONNX Runtime's names of the providers of the installed build, in its order of preference.

    It lists those of a library that has been registered among them, and refuses them as such.
    """
    import onnxruntime

    available: list[str] = onnxruntime.get_available_providers()
    own = os.path.dirname(onnxruntime.__file__)
    registered = {
        each.ep_name
        for each in all_devices()
        if not dict(each.ep_metadata).get("library_path", own).startswith(own)
    }
    return [name for name in available if name not in registered]


def devices_of(plugin: Plugin) -> list[Any]:
    """The ``onnxruntime.OrtEpDevice`` that a plugin offers on this machine, one at least.

    Its library is loaded into this process the first time.

    Raises:
        ProviderError: The library cannot be loaded, or has no device here.
    """
    import onnxruntime

    if not hasattr(onnxruntime, "register_execution_provider_library"):
        raise _failed(
            plugin,
            f"onnxruntime {onnxruntime.__version__} takes no plugin providers",
            expected="onnxruntime 1.23 or newer",
        )
    with _LOCK:
        found = _offered(plugin)
        if not found:
            _register(plugin)
            found = _offered(plugin)
    if found:
        return found
    machine = {f"{d.device.vendor} {d.device.type.name}" for d in all_devices()}
    raise _failed(
        plugin,
        f"its library loads, and offers no device on this machine ({', '.join(sorted(machine))})",
        expected="a device that the provider supports",
        remedy="sardonyx devices shows what runs here",
    )


def add_to(options: Any, plugin: Plugin, given: Mapping[str, Any], threads: int) -> None:
    """Make a plugin the next provider of ``onnxruntime.SessionOptions``.

    Raises:
        ProviderError: It does not start, or has no device of the kind that is asked for.
    """
    found = devices_of(plugin)
    rest = {key: str(value) for key, value in given.items() if key != DEVICE}
    wanted = str(given.get(DEVICE, "")).upper()
    chosen = [each for each in found if wanted in ("", each.device.type.name)]
    if not chosen:
        raise _failed(
            plugin,
            f"it has no device '{given[DEVICE]}'",
            expected=f"one of {', '.join(sorted({d.device.type.name for d in found}))}",
            remedy="leave the option out for the first of them",
        )
    complete = OPTIONS.get(plugin.ort_name)
    if complete is not None:
        rest = complete(rest, threads, chosen[0].device.type.name)
    options.add_provider_for_devices(chosen[:1], rest)


def device_text(found: Any) -> str:
    """What an ``OrtEpDevice`` is, in words."""
    said = {**dict(found.device.metadata), **dict(found.ep_metadata)}
    name = said.get("FULL_DEVICE_NAME") or said.get("Description")
    return f"{name or found.device.vendor or 'unknown'} ({found.device.type.name})"


def _openvino_options(given: dict[str, str], threads: int, device: str) -> dict[str, str]:
    """OpenVINO's own configuration, which alone reaches its plugin.

    Unless told otherwise it takes threads for the host, and computes in bfloat16 where it can.
    """
    if "load_config" in given:
        return given
    precision = given.pop("precision", "f32")
    properties: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if precision != "default":
        properties["INFERENCE_PRECISION_HINT"] = precision
    if device == "CPU":
        properties["INFERENCE_NUM_THREADS"] = str(threads)
    return {**given, "load_config": json.dumps({device: properties})}


OPTIONS: dict[str, Callable[[dict[str, str], int, str], dict[str, str]]] = {
    "OpenVINOExecutionProvider": _openvino_options
}
"""How a plugin is told threads and precision, by ONNX Runtime's name of it."""


def _modules(path: Sequence[str] | None) -> Iterator[tuple[str, str]]:
    """Names of the modules, each with the folder it is in; the first of a name counts."""
    seen: set[str] = set()
    for folder in sys.path if path is None else path:
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(folder or os.curdir)):
                is_package = name.startswith(MODULE) and name.isidentifier()
                init = os.path.join(folder, name, "__init__.py")
                if is_package and name not in seen and os.path.isfile(init):
                    seen.add(name)
                    yield name, folder


def _ask(module: str, folder: str) -> list[Plugin]:
    """What a package says of itself; what is wrong with it is in the result."""
    package, version = _distribution(module, folder)
    try:
        found = importlib.import_module(module)
        names = found.get_ep_names() if hasattr(found, "get_ep_names") else [found.get_ep_name()]
        library = str(found.get_library_path())
        return [Plugin(short_name(n), str(n), package, version, library) for n in names]
    except Exception as error:
        problem = f"package {package} {version} does not tell its library: {error}"
    return [Plugin(module.removeprefix(MODULE), module, package, version, problem=problem)]


def _distribution(module: str, folder: str) -> tuple[str, str]:
    """Name and version of the distribution, from the name of the folder of its metadata."""
    for name in sorted(os.listdir(folder or os.curdir)):
        stem, ending = os.path.splitext(name)
        if ending == ".dist-info" and stem.lower().replace("-", "_").startswith(module):
            distribution, _, version = stem.partition("-")
            return distribution.replace("_", "-"), version
    return module.replace("_", "-"), ""


def _offered(plugin: Plugin) -> list[Any]:
    return [each for each in all_devices() if each.ep_name == plugin.ort_name]


def all_devices() -> list[Any]:
    """Every ``OrtEpDevice``; none where ONNX Runtime is older than plugins."""
    import onnxruntime

    return list(onnxruntime.get_ep_devices()) if hasattr(onnxruntime, "get_ep_devices") else []


def _register(plugin: Plugin) -> None:
    import onnxruntime

    if plugin.problem:
        raise _failed(plugin, plugin.problem)
    try:
        onnxruntime.register_execution_provider_library(plugin.ort_name, plugin.library)
    except Exception as error:
        text = ort_words(error)
        if "already registered" not in text:
            raise _failed(plugin, text) from error


def _failed(
    plugin: Plugin, found: str, expected: str | None = None, remedy: str | None = None
) -> ProviderError:
    import onnxruntime

    return ProviderError(
        f"provider {plugin.name} did not start",
        where=" ".join(filter(None, (plugin.package, plugin.version, plugin.library))),
        found=found,
        expected=expected
        or f"a library that loads here and fits onnxruntime {onnxruntime.__version__}",
        remedy=remedy or f"install what is missing, or another version of {plugin.package}",
    )
