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
from collections.abc import Sequence
from types import CodeType, ModuleType

from tests.meta.layers import COMPILER, compiler_part
from tests.mutation.mutants import Mutant

KILLED, SURVIVED, TIMEOUT = "killed", "survived", "timeout"
_PRELOADED = (
    *("numpy", "onnx", "onnx.reference", "onnx_ir", "onnx_shape_inference", "onnxruntime"),
    *("pytest", "sardonyx.compiler", "sardonyx.compiler.testing"),
)
_MOST_MEMORY = 12 << 30
_QUIET = ("-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives a module other code than its file has."""

    def __init__(self, mutant: Mutant, code: CodeType) -> None:
        self._mutant = mutant
        self._code = code

    def find_spec(
        self, fullname: str, path: object, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        file = self._mutant.path
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
        exec(self._code, module.__dict__)


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
        is_compiler = name.split(".")[:2] == ["sardonyx", "compiler"]
        if name.split(".")[0] in {"sardonyx", "tests"} and (
            not is_compiler or _reads_rules(compiler_part(name))
        ):
            del sys.modules[name]
    package = importlib.import_module("sardonyx.compiler")
    for name, module in list(sys.modules.items()):
        if name.rpartition(".")[0] == package.__name__:
            setattr(package, name.rpartition(".")[2], module)


def run(mutant: Mutant | None, tests: Sequence[str], limit: float) -> tuple[str, float]:
    """Run test files on a mutant, or on the code as it is; return the outcome and the seconds."""
    code = mutant.code() if mutant is not None else None
    began = time.monotonic()
    child = os.fork()
    if not child:
        _run_in_child(mutant, code, tests)
    status = _wait(child, began + limit)
    seconds = time.monotonic() - began
    if status is None:
        return TIMEOUT, seconds
    is_right = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
    return (SURVIVED if is_right else KILLED), seconds


def _run_in_child(mutant: Mutant | None, code: CodeType | None, tests: Sequence[str]) -> None:
    result = 99
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        sys.dont_write_bytecode = True
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        if mutant is not None and code is not None:
            sys.meta_path.insert(0, _Finder(mutant, code))
        _import_again()
        import pytest

        result = int(pytest.main([*_QUIET, *tests]))
    finally:
        os._exit(result)


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
        time.sleep(0.02)
