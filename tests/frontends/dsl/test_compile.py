"""Models of the language go through the compiler and the runtime, and keep their answer."""

from __future__ import annotations

import numpy as np
import pytest

from examples import dsl_control_flow, dsl_gpt, dsl_lenet
from sardonyx import runtime
from sardonyx.compiler import pipeline
from sardonyx.compiler.ir import provenance
from sardonyx.frontends import dsl
from tests.frontends.dsl.support import by_onnxruntime


@dsl.model(x=dsl.f32["batch", 3, "h", "w"])
def unet(x):
    """Down and up again: dynamic sizes, skips, batch norm, transposed convolutions."""

    def unit(x, channels):
        return dsl.relu(dsl.batch_norm(dsl.conv(x, channels, 3, padding=1)))

    left = unit(x, 4)
    low = unit(dsl.max_pool(left, 2), 8)
    up = dsl.conv_transpose(low, 4, 2, 2)
    return dsl.conv(unit(dsl.concat([up, left], axis=1), 4), 2, 1)


@dsl.model(x=dsl.f32["n", 6], y=dsl.f32["m"])
def clamped(x, y):
    """Slices whose fixed bounds lie outside of what there is."""
    return x[:5].sum(0), x[:, : y.shape[0]] * 2, x[-3:]


def normal(*shape):
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


CASES = {
    "lenet": (dsl_lenet.lenet, {"x": normal(3, 1, 28, 28)}),
    "gpt": (dsl_gpt.gpt, {"ids": np.array([[1, 7, 200, 3]])}),
    "recurrent": (dsl_control_flow.recurrent, {"x": normal(5, 2, 8)}),
    "decoder": (dsl_control_flow.decoder, {"start": np.array([1, 7]), "steps": np.array(4)}),
    "unet": (unet, {"x": normal(1, 3, 8, 6)}),
    "clamped": (clamped, {"x": normal(2, 6), "y": normal(9)}),
}


@pytest.mark.parametrize("target", ["portable", "cpu"])
@pytest.mark.parametrize("name", CASES)
def test_compiled_models_keep_their_answer(name, target):
    model, inputs = CASES[name]
    wanted = by_onnxruntime(model.to_onnx(), inputs)
    session = runtime.load(pipeline.compile(model, target=target))
    for got, want in zip(session(**inputs), wanted, strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * np.abs(want).max())


def test_sources_survive_compilation():
    program = pipeline.compile(dsl_gpt.gpt, target="portable")
    found = {s for node in program.model.graph for s in provenance.sources(node)}
    assert any(s.startswith("layers.1.attention.query dsl_gpt.py:") for s in found)
    assert any(s.startswith("layers.0.expand dsl_gpt.py:") for s in found)
