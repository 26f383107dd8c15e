"""What the records of the targets say agrees with the rules, the rows and each other."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sardonyx import runtime
from sardonyx.compiler import UnsupportedError, compile
from sardonyx.compiler.ops import rows
from sardonyx.compiler.rules.select import SELECTIONS
from sardonyx.compiler.targets import TARGETS
from tests.support.models import model, normal, random_feeds
from tests.support.run import run_ort


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_selections_exist_once(target):
    assert set(target.selections) <= set(SELECTIONS)
    assert len(set(target.selections)) == len(target.selections)


MADE = {
    "bias_gelu": "BiasGelu",
    "fused_conv": "FusedConv",
    "group_norm_nhwc": "GroupNorm",
    "multi_head_attention": "MultiHeadAttention",
    "packed_attention": "Attention",
    "quick_gelu": "QuickGelu",
    "skip_norm": "SkipLayerNormalization SkipSimplifiedLayerNormalization",
}
"""What a selection makes that is not of the standard."""


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_target_accepts_what_its_selections_make(target):
    accepted = target.contrib.get("com.microsoft", frozenset())
    for name in target.selections:
        made = set(MADE.get(name, "").split())
        assert accepted is None or made <= accepted
    assert not set(MADE) - set(SELECTIONS)


def test_portable_knows_no_operator_beyond_the_standard():
    assert not TARGETS["portable"].contrib


def test_an_operator_of_cuda_that_a_rule_could_make_has_a_row():
    known = {row.op_type for row in rows() if row.domain == "com.microsoft"}
    for op_type in ("BiasGelu", "SkipLayerNormalization", "MultiHeadAttention", "FusedConv"):
        assert op_type in known & TARGETS["cuda"].contrib["com.microsoft"]


def test_the_operators_of_cuda_exist():
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    known = {s.name for s in state.get_all_operator_schema() if s.domain == "com.microsoft"}
    assert TARGETS["cuda"].contrib["com.microsoft"] <= known


def test_a_model_of_operators_that_cuda_has_is_taken():
    given = model(
        """g (float[2,4] x) => (float[2,4] y) {
            q = com.microsoft.QuantizeLinear(x, s, z)
            y = com.microsoft.DequantizeLinear(q, s, z) }""",
        s=np.array(0.1, np.float32),
        z=np.array(3, np.int16),
    )
    program = compile(given, "cuda", proof="off")
    made = [(node.domain, node.op_type) for node in program.model.graph]
    assert made == [("com.microsoft", "QuantizeLinear"), ("com.microsoft", "DequantizeLinear")]
    unknown = model("g (float[4] x) => (float[4] y) { y = com.microsoft.ExpandDims(x, a) }",
                    a=np.array(0, np.int32))  # fmt: skip
    with pytest.raises(UnsupportedError, match="1 nodes that target 'cuda' does not accept"):
        compile(unknown, "cuda", proof="off")


CONVOLUTIONS = """g (float[1,4,6,6] x, float[4,4,3,3] w) => (float[1,4,%d,%d] y) {
    c = Conv(x, w) %s }"""


@pytest.mark.parametrize(
    ("size", "second", "layout", "expected"),
    [
        (2, "y = Conv(c, w)", None, {"fuse_conv_bias": "1", "prefer_nhwc": "1"}),
        (2, "y = Conv(c, w)", "nchw", None),
        # Patches at the start of a transformer.
        (4, "y = Relu(c)", None, None),
        (4, "y = Relu(c)", "nhwc", {"fuse_conv_bias": "1", "prefer_nhwc": "1"}),
    ],
)
def test_several_convolutions_are_computed_with_channels_last(size, second, layout, expected):
    program = compile(model(CONVOLUTIONS % (size, size, second)), "cuda", layout=layout)
    settings = json.loads(program.model.metadata_props["sardonyx.session"])
    assert settings.get("provider_options", {}).get("cuda") == expected
    on_cpu = compile(model(CONVOLUTIONS % (size, size, second)), "cpu")
    assert "provider_options" not in json.loads(on_cpu.model.metadata_props["sardonyx.session"])


@pytest.mark.parametrize(
    ("second", "precision", "found"),
    [("ConvTranspose(c, w)", None, "ConvTranspose"), ("Conv(c, w)", "bf16", "bf16")],
)
def test_what_has_no_kernel_with_channels_last_stays_as_it_is(second, precision, found):
    size = 6 if "Transpose" in second else 2
    given = model(CONVOLUTIONS % (size, size, f"y = {second}"))
    program = compile(given, "cuda", precision=precision)
    settings = json.loads(program.model.metadata_props["sardonyx.session"])
    assert "provider_options" not in settings
    with pytest.raises(UnsupportedError, match="cannot compute this model") as caught:
        compile(given, "cuda", precision=precision, layout="nhwc")
    assert caught.value.found == found


@pytest.mark.parametrize(
    ("dtype", "found"),
    [("bfloat16", "bf16"), ("double", "f64"), ("float16", None), ("float", None)],
)
@pytest.mark.parametrize("precision", [None, "fp16"])
def test_convolutions_of_a_dtype_without_kernels_with_channels_last(dtype, found, precision):
    """Whatever precision is asked for: only what is in single precision is converted."""
    text = CONVOLUTIONS.replace("float", dtype) % (2, 2, "y = Conv(c, w)")
    given = model(text)
    program = compile(given, "cuda", precision=precision, proof="off")
    settings = json.loads(program.model.metadata_props["sardonyx.session"])
    assert ("provider_options" in settings) == (found is None)
    if found is not None:
        with pytest.raises(UnsupportedError, match="cannot compute this model") as caught:
            compile(given, "cuda", precision=precision, layout="nhwc")
        assert caught.value.found == found


def test_the_dtype_of_convolutions_that_the_source_does_not_tell():
    text = """g (float[1,4,6,6] x, float[4,4,3,3] w) => (float[1,4,2,2] y) {
        a = Cast<to = 16>(x) b = Cast<to = 16>(w) c = Conv(a, b) d = Conv(c, b)
        y = Cast<to = 1>(d) }"""
    given = model(text)
    assert given.graph[2].inputs[0].dtype is None
    settings = json.loads(compile(given, "cuda", proof="off").metadata["sardonyx.session"])
    assert "provider_options" not in settings
    with pytest.raises(UnsupportedError, match="cannot compute this model") as caught:
        compile(given, "cuda", layout="nhwc", proof="off")
    assert caught.value.found == "bf16"


def test_a_layout_is_an_option_of_the_provider():
    given = model("g (float[b,3] x) => (float[b,3] y) { y = Relu(x) }")
    program = compile(given, "cuda", layout="nhwc")
    carried = json.loads(program.metadata["sardonyx.session"])
    assert carried["provider_options"] == {"cuda": {"prefer_nhwc": "1", "fuse_conv_bias": "1"}}
    session = runtime.load(program)
    assert session.settings.provider_options == carried["provider_options"]
    assert "provider_options" not in json.loads(compile(given, "cuda").metadata["sardonyx.session"])
    with pytest.raises(UnsupportedError, match="'cpu' cannot be asked for the layout 'nhwc'"):
        compile(given, "cpu", layout="nhwc")


def test_a_program_for_cuda_loads_and_runs_on_the_cpu():
    """No device is needed to see that it is well-formed and right."""
    given = model(
        """g (float[b,2,5,5] x) => (float[b,3,5,5] y) {
            c = Conv<pads = [1, 1, 1, 1]>(x, w, v) r = Relu(c) n = HardSwish(r) y = Gelu(n) }""",
        w=normal(3, 2, 3, 3),
        v=normal(3),
    )
    program = compile(given, "cuda", verify_level=2)
    assert {"Conv", "HardSwish", "Gelu"} <= {node.op_type for node in program.model.graph}
    feeds = random_feeds(given, {"b": 2})
    (wanted,), (got,) = run_ort(given, feeds), runtime.load(program)(feeds["x"])
    np.testing.assert_allclose(got, wanted, atol=1e-4, rtol=1e-4)
