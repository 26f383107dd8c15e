"""The same networks in three languages: their lines, and that they say the same.

`python -m benchmarks.languages`; spox is in no list of ours: `pip install spox`.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.languages.counting import FUNCTIONS, OTHERS, counts
from benchmarks.ratios import relative_error
from examples.zoo.attention import gpt
from examples.zoo.convolutional.lenet import lenet5
from sardonyx import runtime
from sardonyx.compiler import compile
from sardonyx.frontends import dsl

SIZE, HEADS = 32, 4
LIMIT = 1e-5


@dsl.model(
    x=dsl.f32["batch", "length", SIZE], past=dsl.f32[2, "batch", HEADS, "before", SIZE // HEADS]
)
def gpt_block(x, past):
    return gpt.block(x, HEADS, past)


OURS = {"lenet": lenet5, "gpt": gpt_block}
MAKERS = {"lenet": "lenet5", "gpt": "gpt_block"}
SHAPES = {
    "lenet": {"x": (2, 1, 28, 28)},
    "gpt": {"x": (2, 3, SIZE), "past": (2, 2, HEADS, 5, SIZE // HEADS)},
}


def error_of(name: str, other: str) -> float:
    """How far a network in another language, with the same weights, is from the zoo's."""
    module = importlib.import_module(f"benchmarks.languages.{name}_{other}")
    model = OURS[name].build()
    rng = np.random.default_rng(0)
    weights = {
        n: rng.normal(0, 0.2, p.shape).astype(np.float32) for n, p in model.parameters().items()
    }
    model.load(weights)
    sizes = {"size": SIZE, "heads": HEADS} if name == "gpt" else {}
    theirs = getattr(module, MAKERS[name])(weights, **sizes)
    arrays = [rng.standard_normal(s).astype(np.float32) for s in SHAPES[name].values()]

    def run(given: Any) -> list[np.ndarray]:
        return list(runtime.load(given, providers=["cpu"], threads=1)(*arrays))

    return relative_error(run(theirs.SerializeToString()), run(compile(model)))


def main() -> int:
    """Print the table; returns 1 when a program says something else than ours."""
    table = Table("network", "the zoo", *OTHERS, title="lines, and the error against the zoo")
    is_right = True
    for name in FUNCTIONS:
        found = counts(name)
        cells = [str(found["the zoo"])]
        for other in OTHERS:
            try:
                error = error_of(name, other)
            except ModuleNotFoundError as missing:
                cells.append(f"{found[other]} ({missing.name} is not installed)")
                continue
            is_right &= error <= LIMIT
            cells.append(f"{found[other]} ({error:.1e})")
        table.add_row(name, *cells)
    Console().print(table)
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
