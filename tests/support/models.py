"""Small models from text, random weights and random inputs for them."""

from __future__ import annotations

import re
import zlib

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.testing import random_feeds

__all__ = ["batch_norm_weights", "clone", "model", "normal", "positive", "random_feeds"]

HEADER = '<ir_version: 10, opset_import: ["" : 23, "com.microsoft" : 1]>\n'


def model(text: str, **weights: np.ndarray) -> ir.Model:
    """A model in ONNX text, without the header; `weights` that it reads become initializers.

    model("g (float[b,3] x) => (float[b,4] y) { y = MatMul(x, w) }", w=normal(3, 4))
    """
    read = {n: array for n, array in weights.items() if re.search(rf"\b{n}\b", text)}
    tensors = [ir.tensor(array, name=name) for name, array in read.items()]
    return clone(ir.from_onnx_text(HEADER + text, initializers=tensors))


def clone(given: ir.Model) -> ir.Model:
    """A copy that shares no node or value with the original."""
    return ir.from_proto(ir.to_proto(given))


def normal(*shape: int, seed: int = 0, dtype=np.float32) -> np.ndarray:
    """Random numbers of both signs whose mean is not zero."""
    return np.asarray(_rng(seed, shape).normal(size=shape) + 0.25, dtype)


def positive(*shape: int, seed: int = 0, dtype=np.float32) -> np.ndarray:
    """Random numbers in [0.5, 2)."""
    return np.asarray(_rng(seed, shape).uniform(0.5, 2, size=shape), dtype)


def batch_norm_weights(channels: int, dtype=np.float32, seed: int = 0) -> dict[str, np.ndarray]:
    """Scale s, shift t, mean m and variance v of a batch norm."""
    return {
        "s": normal(channels, seed=seed + 1, dtype=dtype),
        "t": normal(channels, seed=seed + 2, dtype=dtype),
        "m": normal(channels, seed=seed + 3, dtype=dtype),
        "v": positive(channels, seed=seed + 4, dtype=dtype),
    }


def _rng(*seeds: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(seeds).encode()))
