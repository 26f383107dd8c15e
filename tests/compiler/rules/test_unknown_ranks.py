"""Values of unknown rank, as a Loop or an unknown operator leaves them, are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules import (
    canonical_broadcast,
    canonical_gather,
    canonical_linear,
    canonical_movement,
    canonical_reduce,
    canonical_sequence,
)
from sardonyx.compiler.rules.activation.clamp import CLIP_CLIP
from sardonyx.compiler.rules.activation.sigmoid import SIGMOID
from sardonyx.compiler.rules.attention.packed import PART_OF_PROJECTION
from sardonyx.compiler.rules.attention.scaled_dot_product import SCALED_DOT_PRODUCT
from sardonyx.compiler.rules.linear_shift import CONV_SHIFT
from sardonyx.compiler.rules.lower.attention import ATTENTION
from sardonyx.compiler.rules.lower.rms_norm import RMS_NORM
from sardonyx.compiler.rules.norm.layer_norm import LAYER_NORM
from sardonyx.compiler.rules.norm.norm_affine import NORM_AFFINE
from sardonyx.compiler.rules.pad_pool import PAD_MAX_POOL
from sardonyx.compiler.rules.parallel.linear import PARALLEL_LINEAR
from sardonyx.compiler.rules.scale_linear import SCALE_LINEAR
from sardonyx.compiler.rules.select.prelu import PRELU_BY_RELU
from tests.support.models import model, normal
from tests.support.rules import check_miss

CANONICAL = {
    rule.name: rule
    for module in (
        canonical_broadcast,
        canonical_gather,
        canonical_linear,
        canonical_movement,
        canonical_reduce,
        canonical_sequence,
    )
    for rule in module.RULES
}
WEIGHTS = {
    "w": normal(4, 3),
    "k": normal(1),
    "gain": normal(4),
    "last": np.array([-1]),
    "eps": np.float32(1e-5),
    "one": np.float32(1),
    "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
    "at": np.array(0),
    "rows": np.array([[0], [1]]),
    "filter": normal(3, 4, 3, 3),
    "perm": np.array([1, 0]),
}
MEAN = "m = ReduceMean<keepdims = 1>(u, last) d = Sub(u, m) p = Mul(d, d) "
CASES = [
    (SIGMOID, "n = Neg(u) e = Exp(n) p = Add(e, one) y = Reciprocal(p)", "the rank is not known"),
    (PRELU_BY_RELU, "y = PRelu(u, gain)", "the rank is not known"),
    (
        LAYER_NORM,
        MEAN + "v = ReduceMean<keepdims = 1>(p, last) e = Add(v, eps) s = Sqrt(e) y = Div(d, s)",
        "the rank of the input is not known",
    ),
    (NORM_AFFINE, "n = RMSNormalization(u, gain) y = Mul(n, gain)", "rank of the input"),
    (PARALLEL_LINEAR, "a = MatMul(u, w) b = MatMul(u, w) y = Add(a, b)", "rank of the input"),
    (SCALE_LINEAR, "a = Mul(u, gain) y = MatMul(a, w)", "the rank of the input is not known"),
    (
        PAD_MAX_POOL,
        "n = Pad(u, pads, low) y = MaxPool<kernel_shape = [3, 3]>(n)",
        "the rank of the input is not known",
    ),
    (
        PAD_MAX_POOL,
        "n = Pad(o, pads, low) y = MaxPool<kernel_shape = [3, 3]>(n)",
        "its dtype is not known",
    ),
    (CONV_SHIFT, "c = Conv(u, filter) y = Add(c, k)", "the rank of the result is not known"),
    ("transpose_perm", "y = Transpose(u)", "its rank is not known"),
    (
        "transpose_of_transpose",
        "t = Transpose(u) y = Transpose(t)",
        "a permutation is not given",
    ),
    ("reshape_of_reshape", "r = Flatten(u) y = Reshape(r, zero)", "a shape is not known"),
    ("expand_before_broadcast", "e = Expand(x, to2) y = Add(u, e)", "a shape is not known"),
    (
        "expand_before_broadcast",
        "s = Shape(u) e = Expand(x, s) y = Add(e, one)",
        "a shape is not known",
    ),
    ("reshapes_of_ones", "r = Flatten(u) y = Reshape(r, ones)", "its shape is not known"),
    (
        "reshapes_of_ones",
        "s = Shape(u) r = Flatten(x) y = Reshape(r, s)",
        "its shape is not known",
    ),
    ("mean_of_sum", "r = ReduceSum(o, last) y = Div(r, one)", "it is not known to be of floats"),
    (
        "gather_nd_of_window",
        "y = GatherND(u, rows)",
        "the shapes of data and indices are not known",
    ),
    (
        PART_OF_PROJECTION,
        "y = Gather<axis = 0>(u, at)",
        "the shape of what parts are taken of is not known",
    ),
    (SCALED_DOT_PRODUCT, "p = Softmax(u) y = MatMul(p, w)", "the rank of the scores is not known"),
    (ATTENTION, "y = Attention(u, x, x)", "the rank of query, key or value is not known"),
    (RMS_NORM, "y = RMSNormalization(u, gain)", "its rank is not known"),
    ("reduction_axes", "y = ReduceMean(u, last)", "the rank of the input is not known"),
    (
        "piece_of_split",
        "s = SplitToSequence(u) y = SequenceAt(s, at)",
        "the rank of the tensor that is split is not known",
    ),
    (CLIP_CLIP, "c = Clip(o, one) y = Relu(c)", "its dtype is not known"),
    ("cast_like", "y = CastLike(x, o)", "the dtype to cast to is not known"),
    ("cast_of_cast", "c = Cast<to = 7>(o) y = Cast<to = 1>(c)", "its dtype is not known"),
]


@pytest.mark.parametrize(("rule", "body", "reason"), CASES)
def test_a_value_of_unknown_rank(rule: Rule | str, body: str, reason: str):
    text = f"g (float[b,4] x, float u) => (float y) {{ o = local.Opaque(x) {body} }}"
    weights = {**WEIGHTS, "zero": np.array([0, 6]), "to2": np.array([3, 1, 4])}
    weights["ones"] = np.array([1, 1])
    given = model(text, **weights, low=np.float32(-np.inf))
    for value in (*given.graph.inputs[1:], *given.graph.outputs):
        value.shape = None
    check_miss(CANONICAL[rule] if isinstance(rule, str) else rule, given, reason)
