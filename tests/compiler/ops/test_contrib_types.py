"""Contrib operators have types too; ONNX Runtime says which."""

import numpy as np
import pytest

from sardonyx.compiler.ir.types import Types, describe
from tests.support.models import model, normal, random_feeds
from tests.support.run import run_ort

CASES = {
    "FusedConv": (
        "g (float[b,3,9,8] x) => (float[b,4,m,n] y) { y = com.microsoft.FusedConv "
        '<activation="Relu", strides=[2,1], pads=[1,0,1,2]>(x, w) }',
        {"w": normal(4, 3, 3, 2)},
    ),
    "FusedGemm": (
        "g (float[b,3] x) => (float[b,n] y) "
        '{ y = com.microsoft.FusedGemm <activation="Relu", transB=1>(x, w, c) }',
        {"w": normal(5, 3), "c": normal(5)},
    ),
    "DynamicQuantizeMatMul": (
        "g (float[b,2,3] x) => (float[b,m,n] y) "
        "{ y = com.microsoft.DynamicQuantizeMatMul(x, w, s) }",
        {"w": np.arange(12, dtype=np.uint8).reshape(3, 4), "s": np.float32([0.1])},
    ),
    "MatMulIntegerToFloat": (
        "g (uint8[b,3] x) => (float[b,n] y) { y = com.microsoft.MatMulIntegerToFloat(x, w, s, s) }",
        {"w": np.arange(12, dtype=np.uint8).reshape(3, 4), "s": np.float32([0.1])},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_inferred_types_are_those_of_the_result(name):
    text, weights = CASES[name]
    given = model(text, **weights)
    (found,) = run_ort(given, random_feeds(given, {"b": 2}))
    given.graph.outputs[0].shape = None
    Types.inferred(given)
    output = given.graph.outputs[0]
    dims = [d if isinstance(d, int) else 2 for d in output.shape]
    assert dims == list(found.shape), describe(output)
    assert output.dtype.numpy() == found.dtype
