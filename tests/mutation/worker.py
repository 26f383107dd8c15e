"""A process that judges mutants: it imports rules and tests once, and forks for each mutant."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType

import pytest

from tests.mutation.coverage import rule_modules, stages, tests_of
from tests.mutation.mutants import Mutant
from tests.mutation.run import SURVIVED, be_silent, fork, import_and_test, in_child, run
from tests.mutation.swap import changes, functions
from tests.mutation.traced import NAME, Recorder, Trace, noting, receive, send

LIMITS = (90.0, 600.0)
"""Seconds for the tests of each stage of a mutant of what runs at import."""
_LONGEST = 3600
"""Seconds for all tests without a defect."""
_SLOWER = 10.0
"""How many times as long as without a defect, and as many seconds more, tests may take."""


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant, and after how many seconds."""

    mutant: Mutant
    outcome: str
    seconds: float


Say = Callable[[Verdict], None]


def trace(tests: Sequence[str]) -> Trace:
    """Run tests on the code as it is, and note which statements of rules each of them runs."""
    pipe, end = os.pipe()

    def body() -> int:
        os.close(pipe)
        be_silent()
        signal.alarm(_LONGEST)
        recorder = Recorder()
        codes = {name: noting(path) for name, path in rule_modules().items()}
        names = {NAME: recorder.ran.add}
        result = import_and_test(tests, recorder, codes=codes, **names)
        recorder.trace.failed = recorder.trace.failed or result
        send(recorder.trace, end)
        return result

    child = fork(body)
    os.close(end)
    noted = receive(pipe)
    os.waitpid(child, 0)
    return noted


def judge(mutants: Sequence[Mutant], noted: Trace, say: Say) -> None:
    """Judge mutants of what runs at import, each with an import of its own, then the others."""
    at_import = [mutant for mutant in mutants if noted.is_imported(mutant)]
    plugin = _Judge([mutant for mutant in mutants if not noted.is_imported(mutant)], noted, say)
    if plugin.mutants:
        import_and_test(tests_of({mutant.module for mutant in mutants}), plugin)
    for mutant in (*at_import, *plugin.left):
        say(by_import(mutant))


def by_import(mutant: Mutant) -> Verdict:
    """Import the defect and run the test files that reach it, the nearest first."""
    total = 0.0
    for tests, limit in zip(stages(mutant.module), LIMITS, strict=False):
        outcome, seconds = run(mutant, tests, limit)
        total += seconds
        if outcome != SURVIVED:
            return Verdict(mutant, outcome, total)
    return Verdict(mutant, SURVIVED, total)


class _Judge:
    """A plugin of pytest that runs the tests that were collected on one mutant after another.

    Attributes:
        mutants: The mutants.
        left: Those that it could not judge.
    """

    def __init__(self, mutants: Sequence[Mutant], noted: Trace, say: Say) -> None:
        self.mutants = mutants
        self.left: list[Mutant] = []
        self._noted = noted
        self._say = say

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Judge all mutants in place of running all tests."""
        known = functions()
        items = {item.nodeid: item for item in session.items}
        for mutant in self.mutants:
            ran = self._noted.of(mutant)
            found = changes(mutant, known)
            if not found:
                self.left.append(mutant)
                continue
            run_all = functools.partial(_run, session, [items[r.test] for r in ran], found)
            limit = _SLOWER * (1 + sum(r.seconds for r in ran))
            self._say(Verdict(mutant, *in_child(run_all, limit)))
        return True


def _run(
    session: pytest.Session,
    items: Sequence[pytest.Item],
    found: Sequence[tuple[FunctionType, CodeType]],
) -> int:
    """Plant a defect and run tests until one fails; return how many did."""
    for function, code in found:
        function.__code__ = code
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            break
    return session.testsfailed
