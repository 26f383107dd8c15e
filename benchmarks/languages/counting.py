"""How many lines a network has in each language."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from examples.zoo.attention import gpt
from examples.zoo.convolutional.lenet import lenet5

OTHERS = ("onnxscript", "spox")
FUNCTIONS: dict[str, tuple[Callable[..., Any], ...]] = {
    "lenet": (lenet5._function,),
    "gpt": (gpt.attend, gpt.block),
}
"""What the zoo's lines of a network are those of."""


def lines(source: str) -> int:
    """The lines of a program without imports, docstrings of a line, comments and blank lines."""
    skipped = ("import ", "from ", '"""', "#")
    kept = [line for line in source.splitlines() if line.strip()]
    return sum(not line.strip().startswith(skipped) for line in kept)


def counts(name: str) -> dict[str, int]:
    """The lines of a network by language."""
    ours = sum(lines(inspect.getsource(function)) for function in FUNCTIONS[name])
    folder = Path(__file__).parent
    others = {
        other: lines((folder / f"{name}_{other}.py").read_text(encoding="utf-8"))
        for other in OTHERS
    }
    return {"the zoo": ours, **others}
