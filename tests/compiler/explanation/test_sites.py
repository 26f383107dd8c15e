"""Sites are found in a source model by what they compute, however it is spelled."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.explanation.families import FAMILIES
from sardonyx.compiler.explanation.flow import Flow
from sardonyx.compiler.explanation.site import Found
from sardonyx.compiler.ir.types import Types
from tests.support.models import batch_norm_weights, model, normal


def sites(family: str, given: ir.Model) -> list[Found]:
    Types.inferred(given)
    return list(FAMILIES[family].find(Flow(given)))


def kinds(family: str, given: ir.Model) -> list[str]:
    return [found.kind for found in sites(family, given)]


# --- attention -----------------------------------------------------------------------------------

QKV = "g (float[b,2,s,8] q, float[b,2,s,8] k, float[b,2,s,8] v, float[b,1,s,s] m, bool[s,s] c)"
NUMBERS = {
    "zero": np.float32(0),
    "half": np.float32(0.5),
    "one": np.float32(1),
    "two": np.float32(2),
    "three": np.float32(3),
    "six": np.float32(6),
    "sixth": np.float32(1 / 6),
    "root2": np.float32(1.4142135),
    "quick": np.float32(1.702),
    "minus_quick": np.float32(-1.702),
    "cubic": np.float32(0.044715),
    "tanh": np.float32(0.7978845608),
    "tenth": np.float32(0.1),
    "eps": np.float32(1e-5),
    "minus_half": np.float32(-0.5),
    "inf": np.float32(np.inf),
    "least": np.float32(-1e9),
    "last": np.array([-1], np.int64),
    "space": np.array([2, 3], np.int64),
    "slopes": normal(4),
    "gamma": normal(8),
    "beta": normal(8, seed=1),
}


def attention(body: str, result: str = "float[b,2,s,8]") -> ir.Model:
    text = f"{QKV} => ({result} y) {{ kt = Transpose<perm=[0,1,3,2]>(k) {body} }}"
    return model(text, **NUMBERS)


@pytest.mark.parametrize(
    "body",
    [
        "a = MatMul(q, kt) p = Softmax(a) y = MatMul(p, v)",
        "a = MatMul(q, kt) d = Div(a, two) t = Add(d, m) p = Softmax(t) y = MatMul(p, v)",
        "a = MatMul(q, kt) t = Add(m, a) u = Mul(half, t) p = Softmax(u) y = MatMul(p, v)",
        "a = MatMul(q, kt) t = Where(c, a, least) p = Softmax(t) y = MatMul(p, v)",
        "h = Mul(q, half) l = Mul(kt, half) a = MatMul(h, l) p = Softmax(a) y = MatMul(p, v)",
        """a = MatMul(q, kt) p = Softmax(a) n = IsNaN(p) w = Where(n, zero, p)
           y = MatMul(w, v)""",
        """a = MatMul(q, kt) e = Cast<to=1>(a) p = Softmax(e) f = Cast<to=1>(p)
           d = Dropout(f) y = MatMul(d, v)""",
        'a = Einsum<equation="bhid,bhjd->bhij">(q, k) p = Softmax(a) '
        'y = Einsum<equation="bhij,bhjd->bhid">(p, v)',
        """a = MatMul(q, kt) p = Softmax(a) w = Transpose<perm=[0,1,3,2]>(p)
           u = Transpose<perm=[0,1,3,2]>(v) z = MatMul(u, w) y = Transpose<perm=[0,1,3,2]>(z)""",
        "y = Attention(q, k, v)",
    ],
)
def test_attention_is_found_in_every_spelling(body):
    assert kinds("attention", attention(body)) == ["attention"]


def test_an_attention_of_onnx_runtime_is_found():
    text = """g (float[b,s,8] q, float[b,s,8] k, float[b,s,8] v) => (float[b,s,8] y) {
        y = com.microsoft.MultiHeadAttention<num_heads=2>(q, k, v) }"""
    assert kinds("attention", model(text)) == ["attention"]


def test_attention_in_a_branch_is_found():
    text = """g (bool t, float[s,8] q, float[s,8] k, float[s,8] v) => (float[s,8] y) {
        y = If (t) <
            then_branch = a () => (float[s,8] o) {
                kt = Transpose(k) r = MatMul(q, kt) p = Softmax(r) o = MatMul(p, v) },
            else_branch = e () => (float[s,8] z) { z = Identity(v) }
        > }"""
    assert kinds("attention", model(text)) == ["attention"]


@pytest.mark.parametrize(
    "body",
    [
        # A router: scores of a linear layer.
        "a = MatMul(q, w) p = Softmax(a) y = MatMul(p, v)",
        # A classifier: nothing is weighted.
        "a = MatMul(q, kt) y = Softmax(a)",
        # Linear attention has no scores.
        "e = Softmax<axis=2>(kt) a = MatMul(e, v) y = MatMul(q, a)",
        # The result selects and does not weight.
        "a = MatMul(q, kt) p = Softmax(a) n = IsNaN(p) o = Where(n, m, m) y = MatMul(o, v)",
    ],
)
def test_another_softmax_is_no_attention(body):
    text = f"{QKV} => (float[b,2,s,t] y) {{ kt = Transpose<perm=[0,1,3,2]>(k) {body} }}"
    assert kinds("attention", model(text, w=normal(8, 3))) == []


# --- norms ---------------------------------------------------------------------------------------


def norm(body: str, shape: str = "b,4,8") -> ir.Model:
    return model(f"g (float[{shape}] x) => (float[{shape}] y) {{ {body} }}", **NUMBERS)


CENTRED = "u = ReduceMean(x, last) d = Sub(x, u) "
SPLIT = "sh = Shape(x) xs = Reshape(x, to) "


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("layer_norm", "y = LayerNormalization(x, gamma)"),
        (
            "layer_norm",
            CENTRED + "e = Mul(d, d) w = ReduceMean(e, last) t = Add(w, eps) r = Sqrt(t) "
            "n = Div(d, r) s = Mul(n, gamma) y = Add(s, beta)",
        ),
        (
            "layer_norm",
            CENTRED + "e = Pow(d, two) w = ReduceMean(e, last) t = Add(eps, w) r = Sqrt(t) "
            "i = Reciprocal(r) n = Mul(i, d) y = Mul(n, gamma)",
        ),
        (
            "layer_norm",
            "u = ReduceMean(x, last) z = Mul(x, x) w = ReduceMean(z, last) q = Mul(u, u) "
            "l = Sub(w, q) t = Add(l, eps) r = Sqrt(t) d = Sub(x, u) y = Div(d, r)",
        ),
        (
            "layer_norm",
            CENTRED + "e = Pow(d, two) w = ReduceMean(e, last) r = Sqrt(w) t = Add(r, eps) "
            "y = Div(d, t)",
        ),
        (
            "rms_norm",
            "e = Pow(x, two) w = ReduceMean(e, last) t = Add(w, eps) r = Pow(t, minus_half) "
            "n = Mul(x, r) y = Mul(gamma, n)",
        ),
        (
            "rms_norm",
            "c = Cast<to=11>(x) k = Cast<to=11>(two) e = Pow(c, k) w = ReduceMean(e, last) "
            "v = Cast<to=1>(w) t = Add(v, eps) r = Sqrt(t) y = Div(x, r)",
        ),
        ("rms_norm", "y = RMSNormalization(x, gamma)"),
    ],
)
def test_norms_over_the_last_axis_are_found(kind, body):
    assert kinds("norm", norm(body)) == [kind]


@pytest.mark.parametrize(
    ("kind", "body", "weights"),
    [
        ("instance_norm", "y = InstanceNormalization(x, w, w)", {"w": normal(4)}),
        ("group_norm", "y = GroupNormalization<num_groups=2>(x, w, w)", {"w": normal(4)}),
        (
            "group_norm",
            "i = Reshape(x, to) j = InstanceNormalization(i, w, w) k = Reshape(j, back) "
            "y = Mul(k, c)",
            {
                "w": normal(2),
                "c": normal(4, 1, 1),
                "to": np.array([0, 2, -1]),
                "back": np.array([-1, 4, 3, 3]),
            },
        ),
        (
            "instance_norm",
            "u = ReduceMean(x, space) d = Sub(x, u) e = Mul(d, d) v = ReduceMean(e, space) "
            "t = Add(v, eps) r = Sqrt(t) y = Div(d, r)",
            {},
        ),
        ("batch_norm", "y = BatchNormalization(x, s, t, m, v)", batch_norm_weights(4)),
    ],
)
def test_norms_of_images_are_found(kind, body, weights):
    text = f"g (float[b,4,3,3] x) => (float[b,4,3,3] y) {{ {body} }}"
    assert kinds("norm", model(text, **{**NUMBERS, **weights})) == [kind]


@pytest.mark.parametrize(
    "body",
    [
        # A length, by which nothing is divided.
        "e = Mul(x, x) w = ReduceMean(e, last) y = Sqrt(w)",
        # A root of something else.
        "e = Abs(x) w = ReduceMean(e, last) r = Sqrt(w) y = Div(x, r)",
        # The root of the attention scale.
        "h = Shape<start=2>(x) f = Cast<to=1>(h) r = Sqrt(f) y = Div(x, r)",
    ],
)
def test_another_root_is_no_norm(body):
    assert (
        kinds("norm", model(f"g (float[b,4,8] x) => (float[b,4,n] y) {{ {body} }}", **NUMBERS))
        == []
    )


def test_a_batch_norm_after_a_convolution_belongs_to_that():
    text = """g (float[b,3,5,5] x) => (float[b,4,3,3] y) {
        c = Conv(x, w) y = BatchNormalization(c, s, t, m, v) }"""
    given = model(text, w=normal(4, 3, 3, 3), **batch_norm_weights(4))
    assert kinds("norm", given) == []


# --- activations ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("gelu", "y = Gelu(x)"),
        ("gelu", "a = Div(x, root2) e = Erf(a) b = Add(e, one) c = Mul(x, b) y = Mul(c, half)"),
        (
            "gelu",
            "a = Pow(x, three) b = Mul(cubic, a) c = Add(x, b) d = Mul(c, tanh) e = Tanh(d) "
            "f = Add(one, e) h = Mul(half, x) y = Mul(h, f)",
        ),
        (
            "gelu",
            "a = Mul(x, x) b = Mul(a, cubic) c = Add(b, one) d = Mul(x, tanh) i = Mul(c, d) "
            "e = Tanh(i) f = Add(one, e) h = Mul(half, x) y = Mul(h, f)",
        ),
        ("quick_gelu", "a = Mul(x, quick) s = Sigmoid(a) y = Mul(x, s)"),
        ("silu", "s = Sigmoid(x) y = Mul(s, x)"),
        ("sigmoid", "y = Sigmoid(x)"),
        ("sigmoid", "s = Sigmoid(x) y = Mul(s, gamma)"),
        ("sigmoid", "n = Neg(x) e = Exp(n) a = Add(e, one) y = Reciprocal(a)"),
        ("sigmoid", "n = Neg(x) e = Exp(n) a = Add(one, e) y = Div(one, a)"),
        ("silu", "n = Neg(x) e = Exp(n) a = Add(e, one) y = Div(x, a)"),
        ("silu", "n = Neg(x) e = Exp(n) a = Add(e, one) s = Div(one, a) y = Mul(s, x)"),
        ("quick_gelu", "k = Mul(x, quick) n = Neg(k) e = Exp(n) a = Add(e, one) y = Div(x, a)"),
        (
            "quick_gelu",
            "n = Mul(x, minus_quick) e = Exp(n) a = Add(e, one) s = Reciprocal(a) y = Mul(x, s)",
        ),
        ("hard_sigmoid", "d = Div(x, six) a = Add(d, half) y = Clip(a, zero, one)"),
        ("hard_sigmoid", "d = Mul(sixth, x) a = Add(half, d) y = Clip(a, zero, one)"),
        ("hard_swish", "d = Div(x, six) a = Add(d, half) c = Clip(a, zero, one) y = Mul(c, x)"),
        ("hard_swish", "y = HardSwish(x)"),
        ("hard_swish", "a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) y = Div(m, six)"),
        ("hard_swish", "a = Add(x, three) c = Clip(a, zero, six) d = Div(c, six) y = Mul(d, x)"),
        ("hard_swish", "a = Add(x, three) c = Clip(a, zero, six) d = Mul(x, sixth) y = Mul(d, c)"),
        ("hard_swish", "h = HardSigmoid(x) y = Mul(x, h)"),
        ("hard_sigmoid", "a = Add(three, x) c = Clip(a, zero, six) y = Mul(c, sixth)"),
        ("hard_sigmoid", "y = HardSigmoid(x)"),
        ("mish", "p = Softplus(x) t = Tanh(p) y = Mul(x, t)"),
        ("mish", "e = Exp(x) a = Add(e, one) p = Log(a) t = Tanh(p) y = Mul(x, t)"),
        ("mish", "y = Mish(x)"),
        ("softplus", "y = Softplus(x)"),
        ("softplus", "e = Exp(x) a = Add(one, e) y = Log(a)"),
        ("tanh", "y = Tanh(x)"),
        ("relu", "y = Relu(x)"),
        ("relu", "y = Max(zero, x)"),
        ("relu", "y = Clip(x, zero)"),
        ("relu", "y = Clip(x, zero, inf)"),
        ("relu6", "y = Clip(x, zero, six)"),
        ("relu6", "r = Relu(x) y = Min(r, six)"),
        ("relu6", "r = Relu(x) y = Clip(r, zero, six)"),
        ("relu6", "r = Max(x, zero) y = Min(six, r)"),
        ("leaky_relu", "y = LeakyRelu(x)"),
        ("leaky_relu", "a = Mul(x, tenth) y = Max(x, a)"),
        ("leaky_relu", "t = Greater(x, zero) a = Mul(tenth, x) y = Where(t, x, a)"),
        ("prelu", "t = Greater(x, zero) a = Mul(gamma, x) y = Where(t, x, a)"),
        ("prelu", "y = PRelu(x, gamma)"),
        ("elu", "y = Elu(x)"),
        ("elu", "t = Greater(x, zero) e = Exp(x) a = Sub(e, one) y = Where(t, x, a)"),
    ],
)
def test_activations_are_found_once_in_every_spelling(kind, body):
    assert kinds("activation", norm(body)) == [kind]


@pytest.mark.parametrize(
    "body",
    [
        "y = Clip(x, half, six)",
        "y = Max(x, x)",
        "a = Sub(x, one) y = Max(x, a)",
        "t = Greater(x, one) y = Where(t, x, zero)",
        "e = Exp(x) a = Add(e, half) y = Log(a)",
        "e = Exp(x) a = Add(e, one) y = Reciprocal(a)",
        "n = Neg(x) e = Exp(n) a = Add(e, half) y = Reciprocal(a)",
        "n = Neg(x) e = Exp(n) a = Add(e, one) y = Div(half, a)",
        "d = Mul(x, half) a = Add(d, half) y = Clip(a, zero, one)",
        "d = Div(x, six) a = Add(d, one) y = Clip(a, zero, one)",
        "a = Add(x, half) y = Clip(a, zero, one)",
    ],
)
def test_what_only_resembles_an_activation_is_none(body):
    assert kinds("activation", norm(body)) == []


def test_activations_of_constants_and_integers_are_none():
    text = "g (int64[b,8] x) => (int64[b,8] y, float[8] z) { y = Clip(x, k) z = Relu(gamma) }"
    assert kinds("activation", model(text, k=np.int64(0), **NUMBERS)) == []


# --- convolutions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("y = Conv(x, w)", "Conv"),
        ("c = Conv(x, w) y = Relu(c)", "Conv + Relu"),
        ("c = Conv(x, w) y = BatchNormalization(c, s, t, m, v)", "Conv + BatchNormalization"),
        (
            "c = Conv(x, w) n = BatchNormalization(c, s, t, m, v) a = Add(n, z) y = Relu(a)",
            "Conv + BatchNormalization + Add",
        ),
        (
            "c = Conv(x, w) n = Mul(c, k) a = Add(n, k) y = HardSwish(a)",
            "Conv + Mul + Add + HardSwish",
        ),
        # Not one number per channel; two readers; a scale that the input decides.
        ("c = Conv(x, w) y = Mul(c, wide)", "Conv"),
        ("c = Conv(x, w) n = Mul(c, k) y = Add(n, c)", "Conv"),
        ("c = Conv(x, w) y = Mul(c, z)", "Conv"),
    ],
)
def test_convolutions_are_found_with_what_follows(body, said):
    text = f"g (float[b,3,5,5] x, float[b,4,3,3] z) => (float[b,4,3,3] y) {{ {body} }}"
    weights = {"w": normal(4, 3, 3, 3), "k": normal(4, 1, 1), "wide": normal(3, 3)}
    (found,) = sites("conv_block", model(text, **weights, **batch_norm_weights(4)))
    assert (found.kind, found.said) == ("conv", said)
    parts = 1 + sum(word in {"BatchNormalization", "Mul"} for word in said.split(" + "))
    assert len(found.anchors) >= parts


def test_a_convolution_with_a_computed_weight_is_none():
    text = "g (float[1,3,5,5] x, float[4,3,3,3] w) => (float[1,4,3,3] y) { y = Conv(x, w) }"
    assert kinds("conv_block", model(text)) == []


# --- parallel linear layers ----------------------------------------------------------------------

WEIGHTS = {"p": normal(8, 3), "q": normal(8, 5), "r": normal(8, 4), "two": np.array([-1, 8])}


@pytest.mark.parametrize(
    ("body", "members"),
    [
        ("c = MatMul(x, p) d = MatMul(x, q) e = MatMul(x, r)", 3),
        ("i = Reshape(x, two) c = Gemm(i, p) j = Reshape(x, two) d = Gemm(j, q) e = Exp(x)", 2),
        ("c = MatMul(x, p) i = Identity(x) d = MatMul(i, q) e = Exp(x)", 2),
    ],
)
def test_linear_layers_of_one_value_are_a_group(body, members):
    text = f"g (float[b,6,8] x) => (float[...] c, float[...] d, float[...] e) {{ {body} }}"
    text = text.replace("float[...]", "float")
    (found,) = sites("parallel_linears", model(text, **WEIGHTS))
    assert (found.kind, len(found.anchors)) == ("parallel_linears", members)


@pytest.mark.parametrize(
    "body",
    [
        "c = MatMul(x, p) z = Relu(x) d = MatMul(z, q)",
        "c = MatMul(x, p) d = MatMul(x, p)",
        "c = MatMul(x, p) t = Transpose(x) d = MatMul(x, t)",
    ],
)
def test_other_linear_layers_are_no_group(body):
    text = f"g (float[6,8] x) => (float c, float d) {{ {body} }}"
    assert kinds("parallel_linears", model(text, **WEIGHTS)) == []


def test_convolutions_of_one_form_are_a_group():
    text = """g (float[b,3,5,5] x) => (float c, float d, float e) {
        c = Conv(x, p) d = Conv(x, q) e = Conv(x, r) }"""
    given = model(text, p=normal(4, 3, 1, 1), q=normal(2, 3, 1, 1), r=normal(2, 3, 3, 3))
    (found,) = sites("parallel_linears", given)
    assert (found.kind, found.said) == ("parallel_convs", "2 x Conv")


# --- caches --------------------------------------------------------------------------------------

CACHED = """g (float[b,2,s,8] q, float[b,2,s,8] k, float[b,2,s,8] v, float[b,2,p,8] past_k,
    float[b,2,p,8] past_v) => (float[b,2,s,8] y) {"""
JOINED = "nk = Concat<axis=2>(past_k, k) nv = Concat<axis=2>(past_v, v) "
PRODUCTS = "kt = Transpose<perm=[0,1,3,2]>(nk) a = MatMul(q, kt) p = Softmax(a) y = MatMul(p, nv)"


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (JOINED + PRODUCTS, 2),
        (JOINED + "y = Attention(q, nk, nv)", 2),
        (JOINED + PRODUCTS.replace("(nk)", "(w)").replace("kt =", "w = Mul(nk, half) kt ="), 2),
        (JOINED + "ks = Mul(nk, half) y = Attention(q, ks, v)", 1),
        ("y, nk, nv = Attention(q, k, v, , past_k, past_v)", 1),
    ],
)  # fmt: skip
def test_a_cache_is_found_once_for_each_attention(body, parts):
    (found,) = sites("kv_cache", model(f"{CACHED} {body} }}", **NUMBERS))
    assert (found.kind, len(found.anchors)) == ("kv_cache", parts)


@pytest.mark.parametrize(
    "body",
    [
        "y = Attention(q, k, v)",
        JOINED + "y = Slice(nk, last, last)",
        "m = Neg(past_k) r = Neg(k) nk = Concat<axis=2>(m, r) y = Attention(q, nk, nk)",
    ],
)
def test_other_keys_are_no_cache(body):
    assert kinds("kv_cache", model(f"{CACHED} {body} }}", **NUMBERS)) == []


# --- rotary embeddings ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "a, b = Split<axis=-1, num_outputs=2>(x) n = Neg(b) r = Concat<axis=-1>(n, a) "
        "c = Mul(x, cos) s = Mul(r, sin) y = Add(c, s)",
        "a = Slice(x, zero, four, last) b = Slice(x, four, eight, last) n = Neg(b) "
        "r = Concat<axis=-1>(n, a) c = Mul(x, cos) s = Mul(r, sin) y = Add(c, s)",
        "a = Slice(x, zero, eight, last, two) b = Slice(x, one, eight, last, two) n = Neg(b) "
        "u = Unsqueeze(n, last) w = Unsqueeze(a, last) r = Concat<axis=-1>(u, w) "
        "f = Reshape(r, shape) c = Mul(x, cos) s = Mul(f, sin) y = Add(c, s)",
        "a, b = Split<axis=-1, num_outputs=2>(x) p = Mul(a, ch) q = Mul(b, sh) d = Sub(p, q) "
        "t = Mul(b, ch) u = Mul(a, sh) e = Add(t, u) y = Concat<axis=-1>(d, e)",
    ],
)
def test_rotations_are_found_in_every_spelling(body):
    text = f"g (float[b,2,4,8] x) => (float[b,2,4,8] y) {{ {body} }}"
    numbers = {
        "zero": np.array([0]),
        "one": np.array([1]),
        "two": np.array([2]),
        "four": np.array([4]),
        "eight": np.array([8]),
        "last": np.array([-1]),
        "shape": np.array([0, 2, 4, 8]),
        "cos": normal(4, 8),
        "sin": normal(4, 8, seed=1),
        "ch": normal(4, 4),
        "sh": normal(4, 4, seed=1),
    }
    assert kinds("rotary", model(text, **numbers)) == ["rotary"]


def test_halves_that_change_places_are_no_rotation():
    text = """g (float[b,4,8] x) => (float[b,4,8] y) {
        a, b = Split<axis=-1, num_outputs=2>(x) r = Concat<axis=-1>(b, a) y = Mul(r, r) }"""
    assert kinds("rotary", model(text)) == []
