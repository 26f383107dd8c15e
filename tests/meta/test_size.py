"""Files and functions stay small enough to hold in mind."""

from __future__ import annotations

import ast

import pytest

from tests.meta.imports import REPOSITORY

FILE_LINES = 600
FUNCTION_LINES = 60
FOLDERS = ("compiler", "runtime", "frontends", "benchmarks", "examples", "tests")
SOURCES = sorted(
    path
    for folder in FOLDERS
    for path in (REPOSITORY / folder).rglob("*.py")
    if not any(part.startswith(".") for part in path.relative_to(REPOSITORY).parts)
)


def long_functions(source: str) -> dict[str, int]:
    """Functions over the budget: name to lines, docstring not counted."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            if lines > FUNCTION_LINES:
                found[node.name] = lines
    return found


def test_sources_were_found():
    assert {path.relative_to(REPOSITORY).parts[0] for path in SOURCES} == set(FOLDERS)


def test_no_file_is_over_the_budget():
    sizes = {str(p.relative_to(REPOSITORY)): len(p.read_text().splitlines()) for p in SOURCES}
    assert {name: lines for name, lines in sizes.items() if lines > FILE_LINES} == {}


def test_no_function_is_over_the_budget():
    found = {str(p.relative_to(REPOSITORY)): long_functions(p.read_text()) for p in SOURCES}
    assert {name: functions for name, functions in found.items() if functions} == {}


@pytest.mark.parametrize(
    ("lines", "is_long"), [(FUNCTION_LINES - 1, False), (FUNCTION_LINES, True)]
)
def test_a_long_function_is_found(lines, is_long):
    body = "    x = 1\n" * lines
    assert bool(long_functions(f"def f():\n{body}")) is is_long
    assert bool(long_functions(f'def f():\n    """One.\n\n    Two.\n    """\n{body}')) is is_long
