"""Gives functions that are imported already the code of a mutant."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from types import CodeType, FunctionType

from tests.mutation.mutants import RULES, Mutant

Place = tuple[str, str, int]
"""A file, a function and the line where it begins."""
Known = dict[Place, list[FunctionType]]


def functions() -> Known:
    """All functions of rules that exist now, wherever they are held."""
    found: Known = {}
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename.startswith(str(RULES)):
            found.setdefault(_place(thing.__code__), []).append(thing)
    return found


def changes(mutant: Mutant, known: Known) -> list[tuple[FunctionType, CodeType]]:
    """Which functions get which code; none if the defect cannot be planted in that way."""
    text = mutant.path.read_text(encoding="utf-8")
    before = _codes(compile(text, str(mutant.path), "exec"))
    after = _codes(mutant.code())
    found: list[tuple[FunctionType, CodeType]] = []
    for place in known.keys() & before.keys():
        was, now = before[place], after.get(place, [])
        if was == now:
            continue
        if len(was) != 1 or len(now) != 1 or was[0].co_freevars != now[0].co_freevars:
            return []
        found += ((function, now[0]) for function in known[place])
    return found


def _place(code: CodeType) -> Place:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _codes(module: CodeType) -> dict[Place, list[CodeType]]:
    """The code of the functions of a module, by where they stand."""
    found: dict[Place, list[CodeType]] = {}
    for code in _inside(module):
        found.setdefault(_place(code), []).append(code)
    return found


def _inside(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inside(constant)
