"""Runs models: by ONNX Runtime in its child process, or by onnx's reference evaluator."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Protocol

import ml_dtypes
import numpy as np
import onnx_ir as ir

from sardonyx.compiler.proof import ExecutionError, Executor
from tests.fuzz.generate import Sample
from tests.fuzz.reference import evaluator
from tests.fuzz.values import Array

Outputs = list[list[Array]]


class Runner(Protocol):
    """Runs a model on samples."""

    def run(self, model: ir.Model, samples: Sequence[Sample]) -> Outputs:
        """Return, for each sample, the outputs; the model may be changed.

        Raises:
            ExecutionError: It does not run.
        """


class OnnxRuntime:
    """ONNX Runtime, its optimisations off, in the proof's child process."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self._wide: dict[int, tuple[Sample, Sample]] = {}

    def run(self, model: ir.Model, samples: Sequence[Sample]) -> Outputs:
        """As `Runner.run`."""
        made = self.executor.run(model, [self._widened(sample) for sample in samples])
        return [[widened(x) for x in outputs] for outputs in made]

    def _widened(self, sample: Sample) -> Sample:
        # The executor knows samples by identity, and writes each once.
        if id(sample) not in self._wide:
            wide = {name: widened(x) for name, x in sample.items()}
            self._wide[id(sample)] = (sample, wide)
        return self._wide[id(sample)][1]


class Reference:
    """onnx's reference evaluator, in this process."""

    def run(self, model: ir.Model, samples: Sequence[Sample]) -> Outputs:
        """As `Runner.run`."""
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                known = evaluator(ir.to_proto(model))
                made = [known.run(None, dict(sample)) for sample in samples]
        except Exception as error:
            raise ExecutionError(
                "The reference cannot run the model.", found=f"{type(error).__name__}: {error}"
            ) from error
        return [[widened(np.asarray(x)) for x in outputs] for outputs in made]


def widened(array: Array) -> Array:
    """An array of one of numpy's own dtypes."""
    if array.dtype == ml_dtypes.bfloat16:
        return array.astype(np.float32)
    if array.dtype == object:
        texts = [t.decode() if isinstance(t, bytes) else str(t) for t in array.reshape(-1)]
        return np.array(texts, np.str_).reshape(array.shape)
    return array
