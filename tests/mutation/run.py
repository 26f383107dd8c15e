"""Runs tests on a mutant: in a process of its own, which imports the defect and not the file."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType

from tests.meta.layers import COMPILER, compiler_part
from tests.mutation.mutants import Mutant

KILLED, SURVIVED, TIMEOUT = "killed", "survived", "timeout"
_PRELOADED = (
    *("numpy", "onnx", "onnx.reference", "onnx_ir", "onnx_shape_inference", "onnxruntime"),
    *("pytest", "sardonyx.compiler", "sardonyx.compiler.testing"),
)
_KEPT = {"", "meta", "mutation"}
"""Parts of `tests` that read no rules."""
_MOST_MEMORY = 12 << 30
_QUIET = ("-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider")


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives modules other code than their files have."""

    def __init__(self, codes: Mapping[str, CodeType], **names: object) -> None:
        self._codes = codes
        self._names = names

    def find_spec(
        self, fullname: str, path: object, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._codes:
            return None
        file = Path(self._codes[fullname].co_filename)
        is_package = file.name == "__init__.py"
        return importlib.util.spec_from_file_location(
            fullname,
            file,
            loader=self,
            submodule_search_locations=[str(file.parent)] if is_package else None,
        )

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(self._names)
        exec(self._codes[module.__name__], module.__dict__)


def preload() -> None:
    """Import what no rule is a part of once, before processes are forked."""
    for name in _PRELOADED:
        importlib.import_module(name)


def _reads_rules(part: str) -> bool:
    """Whether a part of the compiler imports rules, or parts that do."""
    return part in {"rules", "api"} or any(map(_reads_rules, COMPILER[part].split()))


def _import_again() -> None:
    """Import what has rules in it anew, so that it gets the defect; the rest stays."""
    for name in list(sys.modules):
        first, second, *_ = [*name.split("."), ""]
        is_ours = first == "sardonyx" or (first == "tests" and second not in _KEPT)
        is_compiler = (first, second) == ("sardonyx", "compiler")
        if is_ours and (not is_compiler or _reads_rules(compiler_part(name))):
            del sys.modules[name]
    package = importlib.import_module("sardonyx.compiler")
    for name, module in list(sys.modules.items()):
        if name.rpartition(".")[0] == package.__name__:
            setattr(package, name.rpartition(".")[2], module)


def run(mutant: Mutant | None, tests: Sequence[str], limit: float) -> tuple[str, float]:
    """Run test files on a mutant, or on the code as it is; return the outcome and the seconds."""
    codes = {mutant.module: mutant.code()} if mutant is not None else {}

    def body() -> int:
        be_silent()
        return import_and_test(tests, codes=codes)

    return in_child(body, limit)


def import_and_test(
    tests: Sequence[str],
    *plugins: object,
    codes: Mapping[str, CodeType] | None = None,
    **names: object,
) -> int:
    """Import rules anew and run tests; return what pytest returns.

    Args:
        tests: Files or folders.
        *plugins: Plugins of pytest.
        codes: The code of modules that get another than that of their files.
        **names: What those modules find under these names.
    """
    sys.meta_path.insert(0, Planted(codes or {}, **names))
    _import_again()
    import pytest

    return int(pytest.main([*_QUIET, *tests], list(plugins)))


def in_child(body: Callable[[], int], limit: float) -> tuple[str, float]:
    """Run a function in a process of its own: one that returns 0 saw no defect."""
    began = time.monotonic()
    child = fork(body)
    status = _wait(child, began + limit)
    seconds = time.monotonic() - began
    if status is None:
        return TIMEOUT, seconds
    is_right = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
    return (SURVIVED if is_right else KILLED), seconds


def fork(body: Callable[[], int]) -> int:
    """Start a process that ends with what a function returns."""
    child = os.fork()
    if child:
        return child
    result = 99
    try:
        os.setsid()
        result = body()
    finally:
        os._exit(result)


def be_silent() -> None:
    """Write nothing from now on, neither texts nor bytecode, and do not fill the memory."""
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silent, stream)
    sys.dont_write_bytecode = True
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"


def _wait(child: int, until: float) -> int | None:
    """Return how a process ended; None if it had to be ended."""
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        if time.monotonic() > until:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.005)
