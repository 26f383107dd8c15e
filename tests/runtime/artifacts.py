"""Small artifacts of several kinds, as the compiler writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sardonyx import compiler
from tests.support.models import model, normal, positive

MODELS = {
    "linear": (
        "g (float[b,64] x) => (float[b,32] y) { m = MatMul(x, w) y = Add(m, bias) }",
        {"w": normal(64, 32), "bias": normal(32, seed=1)},
    ),
    "block": (
        """g (float[b,7,24] x) => (float[b,7,24] y) {
            n = LayerNormalization<epsilon=0.001>(x, scale, shift) p = MatMul(n, up)
            h = Div(p, root) e = Erf(h) f = Add(e, one) k = Mul(p, f) l = Mul(k, half)
            q = MatMul(l, down) y = Add(x, q) }""",
        {
            "scale": positive(24),
            "shift": normal(24, seed=1),
            "up": normal(24, 48, seed=2),
            "down": normal(48, 24, seed=3),
            "root": np.float32(2**0.5),
            "one": np.float32(1),
            "half": np.float32(0.5),
        },
    ),
    "branches": (
        """g (bool c, float[2] x) => (float[2] y) {
            y = If(c) <then_branch = t () => (float[2] p) { p = Add(x, s) },
                       else_branch = e () => (float[2] q) { q = Sub(x, s) }> }""",
        {"s": np.float32([1, 2])},
    ),
    "convolutions": (
        """g (float[b,3,12,12] x) => (float[b,16,4,4] y) {
            c = Conv<strides=[2,2]>(x, k) r = Relu(c) y = Conv<strides=[1,1]>(r, l) }""",
        {"k": normal(32, 3, 3, 3), "l": normal(16, 32, 2, 2, seed=1)},
    ),
}
"""Models in ONNX text, and their weights."""


def write(name: str, folder: Path, external_data: bool = False) -> Path:
    """Compile one of the models into a folder of its own."""
    text, weights = MODELS[name]
    folder.mkdir()
    program = compiler.compile(model(text, **weights), target="cpu")
    path: Path = program.save(folder / "net.onnx", external_data=external_data)
    return path
