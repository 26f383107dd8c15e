"""How a proof is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from sardonyx.compiler.export import legalise
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.proof.execute import Executor, Feeds
from sardonyx.compiler.targets import Target

LEVELS = ("off", "end", "pass", "rewrite")


@dataclass(frozen=True)
class Plan:
    """How a proof is made.

    Attributes:
        target: What the model is compiled for.
        level: "end", "pass" or "rewrite".
        executor: Runs models.
        repros: Folder for models that show what went wrong; None writes none.
        samples: Inputs to compare on; the source runs on them.
    """

    target: Target
    level: str
    executor: Executor
    repros: Path | None = None
    samples: Sequence[Feeds] = ()

    def outputs(self, model: ir.Model) -> list[list[Array]]:
        """Return what a model at stage core computes, for each sample; it is not changed."""
        return self.executor.run(legalise(model, self.target), self.samples)
