"""The bodies of GELUs: calls that share one, and what Recognize makes of it."""

from __future__ import annotations

import numpy as np
import onnx.inliner
import onnx_ir as ir
import pytest

from sardonyx.compiler.contrib import add_function_bodies
from sardonyx.compiler.passes.canonicalize import Canonicalize
from sardonyx.compiler.passes.fold_constants import FoldConstants
from sardonyx.compiler.passes.lift_constants import LiftConstants
from sardonyx.compiler.passes.recognize import Recognize
from tests.support.models import model, normal, random_feeds
from tests.support.rules import apply, counts
from tests.support.run import check_valid, run_ort

HEAD = "g (float[b,5] x) => (float[b,5] y) "


def inlined(given: ir.Model) -> ir.Model:
    add_function_bodies(given)
    return ir.from_proto(onnx.inliner.inline_local_functions(ir.to_proto(given)))


def test_calls_with_other_factors_share_a_body():
    text = """{ a = com.microsoft.QuickGelu <alpha = 1.0> (x)
        y = com.microsoft.QuickGelu <alpha = 0.5> (a) }"""
    given = model(HEAD + text)
    feeds = random_feeds(given, {"b": 3})
    wanted = run_ort(given, feeds)
    assert add_function_bodies(given) == 1
    check_valid(given)
    np.testing.assert_allclose(run_ort(inlined(given), feeds), wanted, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("Gelu(x)", {"Gelu": 1}),
        ("BiasGelu(x, c)", {"Add": 1, "Gelu": 1}),
        ("FastGelu(x)", {"Gelu": 1}),
        ("FastGelu(x, c)", {"Add": 1, "Gelu": 1}),
        ("QuickGelu <alpha = 1.0> (x)", {"Sigmoid": 1, "Mul": 1}),
        ("QuickGelu <alpha = 0.5> (x)", {"Sigmoid": 1, "Mul": 2}),
    ],
)
def test_an_inlined_body_is_recognised(call, found):
    given = inlined(model(HEAD + f"{{ y = com.microsoft.{call} }}", c=normal(5)))
    for each in (LiftConstants(), FoldConstants(), Canonicalize(), Recognize()):
        apply(each, given)
    assert counts(given) == found
