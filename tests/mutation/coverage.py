"""Which tests can see a defect in a module of rules, the nearest first."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from tests.meta.imports import REPOSITORY, imports_of, module_name
from tests.mutation.mutants import COMPILER, RULES

TESTS = REPOSITORY / "tests" / "compiler" / "rules"


@functools.cache
def rule_modules() -> dict[str, Path]:
    """The files of the modules of rules, by name."""
    return {module_name(COMPILER, path): path for path in sorted(RULES.rglob("*.py"))}


def _read(path: Path, module: str) -> set[str]:
    """The modules of rules that a file imports."""
    found = imports_of(
        path.read_text(encoding="utf-8"),
        module,
        is_package=path.name == "__init__.py",
        file=str(path),
    )
    known = rule_modules()
    targets = {item.target for item in found}
    return {t for t in targets if t in known} | {
        t.rpartition(".")[0] for t in targets if t.rpartition(".")[0] in known
    }


@functools.cache
def _imports() -> dict[str, set[str]]:
    return {name: _read(path, name) for name, path in rule_modules().items()}


@functools.cache
def _tests() -> dict[Path, dict[str, int]]:
    """How many imports lie between each test file and the modules that it reaches."""
    reached = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        distances: dict[str, int] = {}
        front = _read(path, path.stem)
        for distance in range(10):
            distances |= {name: distance for name in front if name not in distances}
            front = {inner for name in front for inner in _imports()[name]} - distances.keys()
        reached[path] = distances
    return reached


def stages(module: str) -> list[list[str]]:
    """The tests to run after each other until one of them fails.

    First those that import the module and the one that is named after it; then all other tests of
    rules that reach it.
    """
    found = {path: far[module] for path, far in _tests().items() if module in far}
    stem = module.rpartition(".")[2]
    least = min(found.values(), default=0)
    near = [p for p, far in found.items() if far == least or p.stem == f"test_{stem}"]
    rest = [p for p in found if p not in near]
    files = [[str(p.relative_to(REPOSITORY)) for p in paths] for paths in (near, rest)]
    return [stage for stage in files if stage]


def tests_of(modules: Iterable[str]) -> list[str]:
    """The test files that reach any of the modules."""
    return sorted({test for module in modules for stage in stages(module) for test in stage})
