"""One compilation of one export: what was fused, and whether the answers are PyTorch's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sardonyx import compiler, runtime
from sardonyx.compiler.program import Program
from tests.convergence.models import SUBJECTS, Subject
from tests.convergence.sources import SOURCES, Source

RELATIVE_ERROR = 1e-4
"""Float noise of these models: random weights of unit gain, two layers."""


@dataclass(frozen=True)
class Case:
    """A model, the way it is exported, its attention, and whether its sizes stay symbolic."""

    subject: Subject
    source: Source
    attention: str
    is_dynamic: bool

    @property
    def name(self) -> str:
        """Its name in the table and in test reports."""
        sizes = "dynamic" if self.is_dynamic else "static"
        parts = (self.subject.name, self.source.name, self.attention, sizes)
        return "-".join(filter(None, parts))

    def compile(self, target: str = "cpu") -> Program:
        """Export and compile it, compared with the export: our own after every pass."""
        model = self.source.model(self.subject, self.attention, self.is_dynamic)
        level = "pass" if self.source.name == "sardonyx" else "end"
        return compiler.compile(model, target, verify_level=2, explain=True, proof=level)

    def relative_error(self, program: Program, folder: Path) -> float:
        """The largest difference from PyTorch over the largest value, at all sizes it is for."""
        path = program.save(folder / "model.onnx")
        session = runtime.load(path, threads=1)
        module = self.subject.module(self.attention)
        worst = 0.0
        sizes = [self.subject.traced, *([self.subject.other] if self.is_dynamic else [])]
        for lengths in sizes:
            example = self.subject.example(**lengths)
            with torch.no_grad():
                wanted = module(*example.values())
            answers = [wanted] if isinstance(wanted, torch.Tensor) else list(wanted)
            # A constant input may have been dropped by the exporter; the order stays.
            feeds = [value.numpy() for value in example.values()]
            for found, answer in zip(session(*feeds), answers, strict=True):
                assert found.shape == tuple(answer.shape)
                difference = np.abs(found - answer.numpy()).max()
                worst = max(worst, float(difference / np.abs(answer.numpy()).max()))
        return worst


def cases(subjects: Iterable[Subject] = SUBJECTS) -> Iterator[Case]:
    """All combinations."""
    for subject in subjects:
        for source in SOURCES:
            for attention in subject.attentions:
                for is_dynamic in (False, True):
                    yield Case(subject, source, attention, is_dynamic)
