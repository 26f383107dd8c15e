"""Every operator that recognition makes, at every opset, against ONNX Runtime's own kernels."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler import compile
from sardonyx.compiler.opset import newer_nodes
from tests.support.models import model, normal, random_feeds
from tests.support.run import check_valid, run_ort, run_reference

SIZES = {"b": 2, "s": 3}
WEIGHTS = {"w": normal(12), "v": normal(12, seed=1), "c": normal(4), "d": normal(4, seed=1)}
ROWS, IMAGES = "float[b,s,12]", "float[b,4,s,5]"
OPERATORS = {
    "Gelu": (ROWS, "Gelu(x)"),
    "Gelu tanh": (ROWS, 'Gelu<approximate = "tanh">(x)'),
    "HardSigmoid": (ROWS, "HardSigmoid(x)"),
    "HardSwish": (ROWS, "HardSwish(x)"),
    "Mish": (ROWS, "Mish(x)"),
    "Softplus": (ROWS, "Softplus(x)"),
    "PRelu": (ROWS, "PRelu(x, w)"),
    "Clip": (ROWS, "Clip(x, low, high)"),
    "LayerNormalization": (ROWS, "LayerNormalization<axis = -1>(x, w, v)"),
    "RMSNormalization": (ROWS, "RMSNormalization<axis = -1>(x, w)"),
    "InstanceNormalization": (IMAGES, "InstanceNormalization(x, c, d)"),
    "GroupNormalization": (IMAGES, "GroupNormalization<num_groups = 2>(x, c, d)"),
    "RotaryEmbedding": (ROWS, "RotaryEmbedding<num_heads = 3>(x, cos, sin, at)"),
    "Attention": (ROWS, "Attention<q_num_heads = 3, kv_num_heads = 3>(x, x, x)"),
    "causal Attention": (
        ROWS,
        "Attention<q_num_heads = 3, kv_num_heads = 3, is_causal = 1>(x, x, x)",
    ),
}


def given_of(name: str):
    kind, call = OPERATORS[name]
    more, text = "", f"y = {call}"
    if "at)" in call:
        # Positions 0, 1, ... of each sequence.
        text = f"""z = ReduceSum<keepdims = 0>(x, two) o = Mul(z, zero) p = Cast<to = 7>(o)
            u = CumSum(p, one) at = Identity(u) {text}"""
    return model(
        f"g ({kind} x{more}) => ({kind} y) {{ {text} }}",
        **WEIGHTS,
        low=np.float32(-1),
        high=np.float32(2),
        two=np.array([2]),
        one=np.int64(1),
        zero=np.float32(0),
        cos=normal(8, 2),
        sin=normal(8, 2, seed=1),
    )


@pytest.mark.parametrize("opset", range(18, 24))
@pytest.mark.parametrize("name", OPERATORS)
def test_an_older_opset_computes_the_same(name, opset):
    given = given_of(name)
    made = compile(given, "portable", opset=opset, verify_level=2).model
    assert made.opset_imports == {"": opset}
    assert not list(newer_nodes(made, opset))
    check_valid(made)
    feeds = random_feeds(given, SIZES)
    (wanted,) = run_ort(given, feeds)
    for (got,) in (run_ort(made, feeds), run_reference(made, feeds)):
        np.testing.assert_allclose(got, wanted, atol=1e-5, rtol=1e-4)


def test_lowered_operators_stay_few():
    """ONNX's function body of Attention has 80 nodes, and sizes that are computed at run time."""
    made = compile(given_of("Attention"), "portable", opset=18).model
    assert sum(1 for _ in made.graph.all_nodes()) <= 12
    assert not {"Shape", "Expand", "Range", "Where", "Cast"} & {n.op_type for n in made.graph}


def test_the_newest_opset_keeps_operators_whole():
    for name in ("Attention", "RMSNormalization", "RotaryEmbedding"):
        made = compile(given_of(name), "portable").model
        assert name in {node.op_type for node in made.graph}
