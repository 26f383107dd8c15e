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

UNTESTED = {
    "it goes into the first layer that reads the value",
    "it is not boolean",
    "its SiLU goes into the kernel as well",
    "of other axes",
    "query and key differ in the size of their heads",
    "query times key has {} axes",
    "the Slice takes no single part",
    "the mask differs along axes that are not batch and heads",
    "the mask has more axes than the scores",
    "the mean of integers is rounded",
    "the number that scales the scores has more axes than they have",
    "the pieces of the Split are no single parts",
    "the rank of query, key or value is not known",
    "the rank of the scores is not known",
    "the result has more axes than the query",
    "the rotated pairs are not put back into the shape of a head",
    "the scale of the scores has a shape that is not known",
    "the scores are computed in integers",
    "the shape of a table of angles is not known",
    "the shape of its weight is not known",
    "the shape of the indices is not known",
    "the shape of the mask is not known",
    "the shape of what is turned, or of the angles, is not known",
    "the shape of what parts are taken of is not known",
    "the shapes of data and indices are not known",
    "the shapes of query and key are not known",
    "the table of angles has no known, even length",
    "the two of a pair are not put next to each other",
    "the variance is multiplied by what is not one positive number",
    "the {} is not known to have the batch of the query",
    "{} are an output of the graph",
    "{} to {} to {} is not {} to {}",
}
"""Reasons that no test asserts; what is asserted leaves the list, and nothing may be added."""


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
    assert {"{}".join(p) for p in found if not is_asserted(p, texts)} == UNTESTED


def test_what_is_asserted():
    parts = ("the mask has ", " axes, not ", "")
    assert list(reasons("x = no(f'the mask has {n} axes, not {m}', v)")) == [parts]
    assert is_asserted(("it is empty",), {"it is empty"})
    assert is_asserted(parts, {"the mask has 3 axes, not 4"})
    assert is_asserted(parts, {"it says: the mask has 3 axes, not 4"})
    assert not is_asserted(parts, {"the mask ends"})
    assert not is_asserted(("it is empty",), {"it is", "it was not"})
