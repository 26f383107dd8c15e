"""Networks of many equal layers, and what can be wrong with one of them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tests.support.models import model, normal

WIDTH = 8


def layers(count: int, *, prefix: str = "", wrong: dict[int, str] | None = None) -> ir.Model:
    """A network of gated layers with residuals and norms; `wrong` says what is so, by layer.

    Layer 3 gives m3 (linear), a3 (bias), t3 (activation), p3 and g3 (gate), e3 (product), h3
    (residual) and n3 (norm).
    """
    rows, weights = [], {}
    before = "x"
    for i in range(count):
        fault = (wrong or {}).get(i, "")
        m, a, t, p, g, e, h, n = (f"{prefix}{letter}{i}" for letter in "matpgehn")
        n = "y" if i == count - 1 else n
        activation = "Sigmoid" if fault == "activation" else "Tanh"
        epsilon = "0.001" if fault == "epsilon" else "0.00001"
        rows.append(
            f"{m} = MatMul({before}, w{i})  {a} = Add({m}, b{i})  {t} = {activation}({a}) "
            f"{p} = MatMul({before}, v{i})  {g} = Sigmoid({p})  {e} = Mul({t}, {g}) "
            f"{h} = Add({e}, {before}) "
            f"{n} = LayerNormalization <epsilon = {epsilon}> ({h}, s{i}, c{i}) "
        )
        shapes = {"w": (WIDTH, WIDTH), "v": (WIDTH, WIDTH), "b": (WIDTH,), "s": (WIDTH,)}
        for name, shape in {**shapes, "c": (WIDTH,)}.items():
            weights[f"{name}{i}"] = normal(*shape, seed=10 * i + ord(name))
        # Small, so that no activation saturates.
        for name in "wv":
            weights[f"{name}{i}"] = weights[f"{name}{i}"] * np.float32(0.3)
        # Close to one, so that no layer forgets what came before it.
        weights[f"s{i}"] = np.float32(1) + np.float32(0.1) * weights[f"s{i}"]
        if fault == "weight":
            weights[f"w{i}"] = weights[f"w{i}"].copy()
            weights[f"w{i}"][2, 3] += np.float32(0.05)
        if fault == "gate":
            weights[f"v{i}"] = weights[f"v{i}"] * np.float32(1.001)
        before = n
    signature = f"net (float[rows,{WIDTH}] x) => (float[rows,{WIDTH}] y)"
    return model(f"{signature} {{ {' '.join(rows)} }}", **weights)


X = np.random.default_rng(3).standard_normal((5, WIDTH), np.float32)
