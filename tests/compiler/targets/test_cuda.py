"""Programs for CUDA, run on a CUDA device: `make gpu`. On the CPU the same programs must agree."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.fusion_models import FUSIONS
from benchmarks.fusions import feeds
from sardonyx import runtime
from sardonyx.compiler import compile
from tests.support.run import run_ort

UNIT = 2.0**-11
# TensorFloat-32 has the mantissa of half precision; sums of some hundred terms round more often.
TOLERANCE = {None: 32 * UNIT, "fp16": 64 * UNIT}
NAMES = [
    "attention",
    "attention (causal)",
    "attention (padding mask)",
    "rotary embedding",
    "layer norm",
    "RMS norm",
    *(name for name, row in FUSIONS.items() if row.target == "cuda"),
]


def check(name: str, provider: str, precision: str | None, layout: str | None) -> None:
    given = FUSIONS[name].model()
    program = compile(given, "cuda", precision=precision, layout=layout)
    session = runtime.load(program, providers=[provider])
    assert provider in session.providers
    fed = feeds(given)
    for wanted, got in zip(run_ort(given, fed), session.run_named(fed).values(), strict=True):
        assert np.isfinite(got).all()
        atol = TOLERANCE[precision] * np.abs(wanted).max()
        np.testing.assert_allclose(got, wanted, rtol=0, atol=atol)


@pytest.mark.gpu
@pytest.mark.parametrize("layout", [None, "nhwc"])
@pytest.mark.parametrize("precision", [None, "fp16"])
@pytest.mark.parametrize("name", NAMES)
def test_a_program_is_right_on_a_device(name, precision, layout):
    check(name, "cuda", precision, layout)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "group_norm_nhwc"])
def test_the_same_program_is_right_on_the_cpu(name):
    """But for GroupNorm, which has no CPU kernel: there its body runs."""
    check(name, "cpu", None, "nhwc")
