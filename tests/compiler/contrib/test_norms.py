"""Bodies of the norms: all results, and what the CPU has no kernel for."""

from __future__ import annotations

import numpy as np
import onnx.inliner
import onnx_ir as ir
import pytest

from sardonyx.compiler.contrib import add_function_bodies
from tests.support.models import model, normal, positive, random_feeds
from tests.support.run import check_valid, run_ort, run_reference

NOISE = {"atol": 2e-5, "rtol": 1e-5}
SKIP = "com.microsoft.SkipLayerNormalization"
SKIP_RMS = "com.microsoft.SkipSimplifiedLayerNormalization"


def inlined(given: ir.Model) -> ir.Model:
    add_function_bodies(given)
    check_valid(given)
    plain = ir.from_proto(onnx.inliner.inline_local_functions(ir.to_proto(given)))
    assert not any(node.domain for node in plain.graph)
    return plain


@pytest.mark.parametrize("opset", [18, 23])
@pytest.mark.parametrize(
    "call",
    [
        f"{SKIP} <epsilon = 0.01> (a, b, scale)",
        f"{SKIP} (a, b, scale, beta)",
        f"{SKIP} <epsilon = 0.01> (a, b, scale, , bias)",
        f"{SKIP} <epsilon = 0.01> (a, b, scale, beta, bias)",
        f"{SKIP_RMS} (a, b, scale)",
        f"{SKIP_RMS} <epsilon = 0.01> (a, b, scale, bias)",
    ],
)
def test_the_norm_and_the_sum(call, opset):
    text = f"""g (float[2,3,4] a, float[2,3,4] b) => (float[2,3,4] y, float[2,3,4] u) {{
        y, mean, deviation, u = {call} }}"""
    given = model(text, scale=positive(4), beta=normal(4), bias=normal(4, seed=1))
    given.graph.opset_imports[""] = opset
    feeds = random_feeds(given)
    wanted = run_ort(given, feeds)
    plain = inlined(given)
    for got in (run_ort(plain, feeds), run_reference(given, feeds), run_ort(given, feeds)):
        for a, b in zip(wanted, got, strict=True):
            np.testing.assert_allclose(b, a, **NOISE)


@pytest.mark.parametrize("opset", [18, 23])
@pytest.mark.parametrize("is_last", [1, 0])
@pytest.mark.parametrize("activation", [1, 0])
def test_group_norm(activation, is_last, opset):
    text = f"""g (float[2,3,5,6] x) => (float[2,3,5,6] y) {{
        y = com.microsoft.GroupNorm <activation = {activation}, channels_last = {is_last},
            epsilon = 0.01, groups = 3> (x, scale, bias) }}"""
    channels = 6 if is_last else 3
    given = model(text, scale=positive(channels), bias=normal(channels))
    given.graph.opset_imports[""] = opset
    feeds = random_feeds(given)
    x = np.moveaxis(feeds["x"], -1, 1) if is_last else feeds["x"]
    grouped = x.astype(np.float64).reshape(2, 3, -1)
    centred = grouped - grouped.mean(-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(-1, keepdims=True) + 0.01)
    result = (centred / spread).reshape(x.shape)
    scale, bias = (given.graph.initializers[n].const_value.numpy() for n in ("scale", "bias"))
    result = result * scale[:, None, None] + bias[:, None, None]
    result = result / (1 + np.exp(-result)) if activation else result
    wanted = np.moveaxis(result, 1, -1) if is_last else result
    plain = inlined(given)
    for (got,) in (run_ort(plain, feeds), run_reference(given, feeds)):
        np.testing.assert_allclose(got, wanted, **NOISE)
