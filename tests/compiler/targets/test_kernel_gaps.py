"""The table of missing kernels is true of the ONNX Runtime that is installed."""

from __future__ import annotations

import onnx_ir as ir
import onnxruntime as ort
import pytest

from sardonyx.compiler import compile
from sardonyx.compiler.opset import lower_opset, raise_opset
from sardonyx.compiler.targets.kernel_gaps import (
    ONNXRUNTIME_CPU,
    ONNXRUNTIME_CUDA,
    highest_opset,
)
from tests.compiler.opset.oracle import model, session

BODIES = {
    "GlobalLpPool": ("(float[1,2,3,4] x) => (float[1,2,1,1] y)", "y = GlobalLpPool(x)"),
    "MaxRoiPool": (
        "(float[1,2,6,6] x, float[1,5] r) => (float[1,2,2,2] y)",
        "y = MaxRoiPool<pooled_shape=[2,2]>(x, r)",
    ),
    "Multinomial": ("(float[2,3] x) => (int32[2,4] y)", "y = Multinomial<sample_size=4>(x)"),
    "RandomNormal": ("(float[1] x) => (float[2] y)", "y = RandomNormal<shape=[2]>()"),
    "RandomNormalLike": ("(float[2] x) => (float[2] y)", "y = RandomNormalLike(x)"),
    "RandomUniform": ("(float[1] x) => (float[2] y)", "y = RandomUniform<shape=[2]>()"),
    "RandomUniformLike": ("(float[2] x) => (float[2] y)", "y = RandomUniformLike(x)"),
    "Bernoulli": ("(float[2] x) => (float[2] y)", "y = Bernoulli(x)"),
    "RoiAlign": (
        "(float[1,2,6,6] x, float[1,4] r, int64[1] b) => (float[1,2,1,1] y)",
        "y = RoiAlign(x, r, b)",
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_newest_form_has_no_kernel_and_the_one_before_has(name):
    old = model(15, *BODIES[name])
    raised = raise_opset(ir.from_proto(old))
    with pytest.raises(Exception, match="Could not find an implementation"):
        session(ir.to_proto(raised))
    opset = highest_opset(raised)
    assert opset == 21
    lowered = lower_opset(raised, opset)
    assert lowered.opset_imports[""] == 21
    assert session(ir.to_proto(lowered)).get_outputs()[0].name == "y"


def test_every_row_is_tested():
    assert set(ONNXRUNTIME_CPU) | {"Bernoulli"} == set(BODIES)
    assert ort.__version__.startswith("1."), "make the table again for the new ONNX Runtime"


def test_a_model_for_cuda_is_written_at_an_opset_that_cuda_takes():
    """MaxPool of opset 22 would run on the CPU, between two copies."""
    text = ("(float[1,2,8,8] x) => (float[1,2,4,4] y)", "y = MaxPool<kernel_shape=[2,2]>(x)")
    given = ir.from_proto(model(15, text[0], text[1].replace("[2,2]", "[2,2], strides=[2,2]")))
    assert compile(given, "cuda").model.graph.opset_imports[""] == ONNXRUNTIME_CUDA["MaxPool"] == 21
    assert compile(given, "cpu").model.graph.opset_imports[""] == 23


def test_models_without_such_operators_keep_their_opset():
    plain = raise_opset(ir.from_proto(model(15, "(float[2] x) => (float[2] y)", "y = Relu(x)")))
    assert highest_opset(plain) is None


def test_operators_in_subgraphs_count():
    proto = model(
        15,
        "(bool c, float[2] x) => (float[2] y)",
        """y = If (c) <then_branch = t () => (float[2] u) { u = RandomUniformLike(x) },
                   else_branch = e () => (float[2] w) { w = Relu(x) }>""",
    )
    assert highest_opset(raise_opset(ir.from_proto(proto))) == 21
