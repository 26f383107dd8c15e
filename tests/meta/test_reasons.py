"""Every reason that a guard of a rule can give is asserted by a test of a near miss."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.meta.imports import REPOSITORY

RULES = REPOSITORY / "compiler" / "sardonyx" / "compiler" / "rules"
TESTS = REPOSITORY / "tests" / "compiler"
LEAST = 7
"""How long a part of a reason must be to stand for it in a test."""


def reasons(source: str) -> Iterator[tuple[str, ...]]:
    """The constant parts of each `no("...")`, in order."""
    for node in ast.walk(ast.parse(source)):
        is_no = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "no"
        if not is_no or not node.args:
            continue
        match node.args[0]:
            case ast.Constant(value=str(text)):
                yield (text,)
            case ast.JoinedStr(values=values):
                yield _parts(values)


def _parts(values: list[ast.expr]) -> tuple[str, ...]:
    parts = [""]
    for value in values:
        if isinstance(value, ast.Constant):
            parts[-1] += str(value.value)
        else:
            parts.append("")
    return tuple(parts)


def literals(source: str) -> Iterator[str]:
    """All text in a test."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield " ".join(node.value.split())


def is_asserted(parts: tuple[str, ...], texts: set[str]) -> bool:
    """Whether a text is a part of what a reason says, or has the reason in it."""
    whole = re.compile(".*".join(map(re.escape, parts)))
    long = [part.strip() for part in parts if len(part.strip()) >= LEAST]
    return any(whole.search(text) for text in texts) or any(
        piece in part for text in texts for piece in _pieces(text) for part in long
    )


def _pieces(text: str) -> Iterator[str]:
    """A text, and what is left of it without the word at either end that names a value."""
    words = text.split()
    if len(text) >= LEAST:
        yield text
    for piece in (words[1:], words[:-1], words[1:-1]):
        if sum(map(len, piece)) >= 2 * LEAST:
            yield " ".join(piece)


def test_every_reason_is_asserted():
    texts = {t for path in TESTS.rglob("*.py") for t in literals(path.read_text())}
    found = {parts for path in RULES.rglob("*.py") for parts in reasons(path.read_text())}
    assert len(found) > 200
    assert {"{}".join(p) for p in found if not is_asserted(p, texts)} == set()


def test_what_is_asserted():
    parts = ("the mask has ", " axes, not ", "")
    assert list(reasons("x = no(f'the mask has {n} axes, not {m}', v)")) == [parts]
    assert is_asserted(("it is empty",), {"it is empty"})
    assert is_asserted(parts, {"the mask has 3 axes, not 4"})
    assert is_asserted(parts, {"it says: the mask has 3 axes, not 4"})
    assert not is_asserted(parts, {"the mask ends"})
    assert not is_asserted(("it is empty",), {"it is", "it was not"})
