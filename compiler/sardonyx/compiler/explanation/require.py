"""Requirements such as `attention=12`: how many fusions there must be."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sardonyx.compiler.errors import UnsupportedError

_FORM = re.compile(r"(?P<name>\w+)(?P<relation>=|>=)(?P<number>\d+|all)")


@dataclass(frozen=True)
class Requirement:
    """How many sites of a family or kind must be fused.

    Attributes:
        name: The family or kind.
        number: How many; None for all that there are, and at least one.
        is_least: Whether more are welcome.
    """

    name: str
    number: int | None
    is_least: bool = False

    @classmethod
    def read(cls, text: str) -> Requirement:
        """Read `attention=12`, `layer_norm>=24` or `gelu=all`.

        Raises:
            UnsupportedError: It has another form.
        """
        match = _FORM.fullmatch(text.strip())
        is_least = match is not None and match["relation"] == ">="
        if match is None or (is_least and match["number"] == "all"):
            raise UnsupportedError(
                "A requirement is malformed.",
                found=repr(text),
                expected="NAME=NUMBER, NAME>=NUMBER or NAME=all, for example attention=12",
            )
        number = None if match["number"] == "all" else int(match["number"])
        return cls(match["name"], number, is_least)

    def holds(self, found: int, fused: int, missed: int) -> bool:
        """Say whether it holds for so many sites."""
        if self.number is None:
            return found > 0 and missed == 0
        return fused >= self.number if self.is_least else fused == self.number
