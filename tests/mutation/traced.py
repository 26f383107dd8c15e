"""Which statements of rules run at import, and which in each test."""

from __future__ import annotations

import ast
import contextlib
import os
import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tests.mutation.mutants import Mutant

Statement = tuple[str, int]
"""A file and the line where a statement of it begins."""
NAME = "__ran__"


@dataclass(frozen=True)
class Ran:
    """What one test ran, and how long it took, in seconds."""

    test: str
    seconds: float
    statements: frozenset[Statement]


@dataclass
class Trace:
    """What ran where.

    Attributes:
        imported: The statements that run when rules and tests are imported.
        tests: What each test ran, the quickest first.
        failed: How many of them failed.
    """

    imported: frozenset[Statement] = frozenset()
    tests: list[Ran] = field(default_factory=list)
    failed: int = 0

    def is_imported(self, mutant: Mutant) -> bool:
        """Whether the statement with the defect runs at import: its result is in other modules."""
        return (str(mutant.path), mutant.statement) in self.imported

    def of(self, mutant: Mutant) -> list[Ran]:
        """The tests that run the statement with the defect, the quickest first."""
        statement = (str(mutant.path), mutant.statement)
        return [ran for ran in self.tests if statement in ran.statements]


def noting(path: Path) -> CodeType:
    """The code of a file where each statement says first that it runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            inside = getattr(node, name, None)
            if isinstance(inside, list):
                setattr(node, name, [s for held in inside for s in (*_note(path, held), held)])
    return compile(ast.fix_missing_locations(tree), str(path), "exec")


def _note(path: Path, statement: ast.stmt) -> Iterator[ast.stmt]:
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    is_future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
    if is_text or is_future:
        return
    (call,) = ast.parse(f"{NAME}({(str(path), statement.lineno)!r})").body
    yield ast.copy_location(call, statement)


class Recorder:
    """A plugin of pytest that notes the statements of rules that each test runs."""

    def __init__(self) -> None:
        self.trace = Trace()
        self.ran: set[Statement] = set()

    def pytest_collection_finish(self) -> None:
        """What ran until now ran at import."""
        self.trace.imported = frozenset(self.ran)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        """Run one test and note what it runs."""
        self.ran.clear()
        began = time.monotonic()
        result = yield
        took = time.monotonic() - began
        self.trace.tests.append(Ran(item.nodeid, took, frozenset(self.ran)))
        return result

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Sort the tests."""
        self.trace.tests.sort(key=lambda ran: ran.seconds)
        self.trace.failed = session.testsfailed


def send(trace: Trace, pipe: int) -> None:
    """Write what was noted to a pipe."""
    with os.fdopen(pipe, "wb") as file:
        pickle.dump(trace, file)


def receive(pipe: int) -> Trace:
    """Read what was noted from a pipe; a process that died noted nothing, and failed."""
    with os.fdopen(pipe, "rb") as file, contextlib.suppress(EOFError):
        trace: Trace = pickle.load(file)
        return trace
    return Trace(failed=1)
