"""Small models at realistic shapes, each with one site of what `fusions.py` measures.

Activations are inputs, weights are random and seeded. A model is written as exporters write it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

HEADER = '<ir_version: 10, opset_import: ["" : 23, "com.microsoft" : 1]>\n'
HEADS, SIZE, LENGTH = 12, 64, 128
HIDDEN = HEADS * SIZE


@dataclass(frozen=True)
class Fusion:
    """One before/after pair.

    Attributes:
        stage: What the compiler leaves out before: "recognize", "affine", "post_norm",
            "parallel", "movement", "select", "lower" (leaving it to the function bodies of
            ONNX), or "settings" (the session settings of the target).
        shape: What is measured, for the table.
        text: The model in ONNX text, without the header.
        weights: Shape of each weight, by name; `TABLES` has some that are not random.
        selection: With "select": the name in `rules.select.SELECTIONS`.
        optimizer: With "settings": the optimizer of ONNX Runtime that the target switches off.
        target: What it is compiled for on the CPU; on a device everything is for "cuda".
        opset: Opset of the file; None takes the target's.
    """

    stage: str
    shape: str
    text: str
    weights: dict[str, tuple[int, ...]]
    selection: str = ""
    optimizer: str = ""
    target: str = "cpu"
    opset: int | None = None

    def model(self) -> ir.Model:
        """The model."""
        tensors = []
        for name, shape in self.weights.items():
            make = TABLES.get(name, _random)
            tensors.append(ir.tensor(make(name, shape), name=name))
        # Read once more: the parser does not connect the initializers it is given.
        parsed = ir.from_onnx_text(HEADER + self.text, initializers=tensors)
        return ir.from_proto(ir.to_proto(parsed))


def _random(name: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    fan_in = shape[-2] if len(shape) == 2 else int(np.prod(shape[1:]))
    return (rng.standard_normal(shape) / np.sqrt(max(fan_in, 1))).astype(np.float32)


def _ints(*values: int) -> Callable[[str, tuple[int, ...]], np.ndarray]:
    return lambda _, shape: np.array(values, np.int64).reshape(shape)


TABLES: dict[str, Callable[[str, tuple[int, ...]], np.ndarray]] = {
    "causal": lambda _, shape: np.triu(np.full(shape, -3.0e38, np.float32), 1),
    "causal_bool": lambda _, shape: np.tril(np.ones(shape, bool)),
    "split": _ints(0, 0, -1, SIZE),
    "join": _ints(0, 0, HIDDEN),
    "last": _ints(-1),
    "grouped": _ints(0, 32, -1),
    "ungrouped": _ints(1, 320, 32, 32),
    "start": _ints(0),
    "half": _ints(SIZE // 2),
    "end": _ints(2**31 - 1),
    "axis3": _ints(3),
    "axis1": _ints(1),
    "axis2": _ints(2),
    "repeat": _ints(1, 4, 3, LENGTH, SIZE),
    "merge": _ints(1, HEADS, LENGTH, SIZE),
    "thrice": _ints(1, 1, 3, 1, 1),
    "merge_past": _ints(1, HEADS, 512, SIZE),
    "split_kv": _ints(0, 0, 4, SIZE),
}

_SPLIT = """
    {0}4 = Reshape({0}, split)
    {0}h = Transpose<perm = [0, 2, 1, 3]>({0}4)"""
_IN = f"float[1,{LENGTH},{HIDDEN}]"
_ATTEND = """
    s = MatMul(qh, kt)
    d = Constant<value_float = 8.0>()
    scaled = Div(s, d)
    {mask}
    p = Softmax<axis = -1>(masked)
    o = MatMul(p, vh)
    ot = Transpose<perm = [0, 2, 1, 3]>(o)
    y = Reshape(ot, join)"""
_HEADS_WEIGHTS = {"split": (4,), "join": (3,)}
_KT = "kt = Transpose<perm = [0, 1, 3, 2]>(kh)"


def _attention(mask: str = "masked = Identity(scaled)", extra: str = "") -> str:
    split = "".join(_SPLIT.format(name) for name in "qkv")
    return (
        f"g ({_IN} q, {_IN} k, {_IN} v{extra}) => ({_IN} y) {{{split}\n{_KT}"
        + _ATTEND.format(mask=mask)
        + "}"
    )


_GQA = f"""g ({_IN} q, float[1,{LENGTH},256] k, float[1,{LENGTH},256] v) => ({_IN} y) {{
    {_SPLIT.format("q")}
    k4 = Reshape(k, split_kv)  v4 = Reshape(v, split_kv)
    k1 = Transpose<perm = [0, 2, 1, 3]>(k4)  v1 = Transpose<perm = [0, 2, 1, 3]>(v4)
    k2 = Unsqueeze(k1, axis2)  v2 = Unsqueeze(v1, axis2)
    k3 = Expand(k2, repeat)  v3 = Expand(v2, repeat)
    kh = Reshape(k3, merge)  vh = Reshape(v3, merge)
    {_KT}
    {_ATTEND.format(mask="masked = Add(scaled, causal)")}
}}"""
_STEP = f"float[1,1,{HIDDEN}]"


def _cache(heads: int, repeat: str) -> str:
    """One token, whose key and value are joined to those of `heads` heads before."""
    past, present = (f"float[1,{heads},{length},{SIZE}]" for length in (511, 512))
    width = f"float[1,1,{heads * SIZE}]"
    return f"""g ({_STEP} q, {width} k, {width} v, {past} pk, {past} pv)
    => ({_STEP} y, {present} nk, {present} nv) {{
    {_SPLIT.format("q")}
    {_SPLIT.format("k")}
    {_SPLIT.format("v")}
    nk = Concat<axis = 2>(pk, kh)  nv = Concat<axis = 2>(pv, vh)
    {repeat}
    kt = Transpose<perm = [0, 1, 3, 2]>(ak)
    {_ATTEND.format(mask="masked = Identity(scaled)").replace("vh)", "av)")}
}}"""


_CACHE = _cache(HEADS, "ak = Identity(nk)  av = Identity(nv)")
_GROUPED_CACHE = _cache(
    4,
    """k2 = Unsqueeze(nk, axis2)  v2 = Unsqueeze(nv, axis2)
    k3 = Expand(k2, thrice)  v3 = Expand(v2, thrice)
    ak = Reshape(k3, merge_past)  av = Reshape(v3, merge_past)""",
)
_ROTARY = f"""g (float[1,{HEADS},{LENGTH},{SIZE}] x, float[1,{LENGTH},{SIZE // 2}] angles)
    => (float[1,{HEADS},{LENGTH},{SIZE}] y) {{
    whole = Concat<axis = -1>(angles, angles)
    wide = Unsqueeze(whole, axis1)
    cos = Cos(wide)  sin = Sin(wide)
    a = Slice(x, start, half, axis3)  b = Slice(x, half, end, axis3)
    n = Neg(b)
    r = Concat<axis = -1>(n, a)
    c = Mul(x, cos)  s = Mul(r, sin)
    y = Add(c, s)
}}"""
_LAYER_NORM = """g (float[1,197,768] x) => (float[1,197,768] y) {
    m = ReduceMean<keepdims = 1>(x, last)
    c = Sub(x, m)
    two = Constant<value_float = 2.0>()
    p = Pow(c, two)
    v = ReduceMean<keepdims = 1>(p, last)
    e = Constant<value_float = 0.00001>()
    w = Add(v, e)
    d = Sqrt(w)
    u = Div(c, d)
    z = Mul(u, gain)
    y = Add(z, bias)
}"""
_RMS_NORM = """g (float[1,128,2048] x) => (float[1,128,2048] y) {
    two = Constant<value_float = 2.0>()
    p = Pow(x, two)
    v = ReduceMean<keepdims = 1>(p, last)
    e = Constant<value_float = 0.00001>()
    w = Add(v, e)
    d = Sqrt(w)
    i = Reciprocal(d)
    u = Mul(x, i)
    y = Mul(gain, u)
}"""
_INSTANCE_NORM = """g (float[1,64,56,56] x) => (float[1,64,56,56] y) {
    m = ReduceMean<keepdims = 1>(x, pixels)
    c = Sub(x, m)
    p = Mul(c, c)
    v = ReduceMean<keepdims = 1>(p, pixels)
    e = Constant<value_float = 0.00001>()
    w = Add(v, e)
    d = Sqrt(w)
    u = Div(c, d)
    z = Mul(u, gain)
    y = Add(z, bias)
}"""
TABLES["pixels"] = _ints(2, 3)
_GROUP_NORM = """g (float[1,320,32,32] x) => (float[1,320,32,32] y) {
    f = Reshape(x, grouped)
    n = InstanceNormalization<epsilon = 0.00001>(f, group_ones, group_zeros)
    u = Reshape(n, ungrouped)
    m = Mul(u, gain)
    y = Add(m, bias)
}"""
TABLES["group_ones"] = lambda _, shape: np.ones(shape, np.float32)
TABLES["group_zeros"] = lambda _, shape: np.zeros(shape, np.float32)
_GELU = """g (float[1,197,3072] x) => (float[1,197,3072] y) {
    r = Constant<value_float = 1.4142135>()
    d = Div(x, r)
    e = Erf(d)
    one = Constant<value_float = 1.0>()
    a = Add(e, one)
    half = Constant<value_float = 0.5>()
    h = Mul(half, a)
    y = Mul(x, h)
}"""
_TANH_GELU = """g (float[1,128,3072] x) => (float[1,128,3072] y) {
    three = Constant<value_float = 3.0>()
    c = Pow(x, three)
    k = Constant<value_float = 0.044715>()
    a = Mul(c, k)
    b = Add(x, a)
    s = Constant<value_float = 0.7978845608>()
    d = Mul(b, s)
    t = Tanh(d)
    one = Constant<value_float = 1.0>()
    u = Add(t, one)
    half = Constant<value_float = 0.5>()
    h = Mul(x, half)
    y = Mul(h, u)
}"""
_HARD_SWISH = """g (float[1,64,56,56] x) => (float[1,64,56,56] y) {
    three = Constant<value_float = 3.0>()
    a = Add(x, three)
    low = Constant<value_float = 0.0>()
    high = Constant<value_float = 6.0>()
    c = Clip(a, low, high)
    m = Mul(x, c)
    y = Div(m, high)
}"""
_MISH = """g (float[1,64,56,56] x) => (float[1,64,56,56] y) {
    s = Softplus(x)
    t = Tanh(s)
    y = Mul(x, t)
}"""
_IMAGES = "float[1,64,56,56]"
_PRELU_CHAIN = "".join(
    f" c{i} = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>({'x' if not i else f'p{i - 1}'}, w)"
    f" p{i} = PRelu(c{i}, slope)"
    for i in range(3)
)
TABLES["slope"] = lambda _, shape: np.linspace(0.05, 0.5, num=shape[0], dtype=np.float32).reshape(
    shape
)
_ROWS = f"float[1,{LENGTH},{HIDDEN}]"
_FEED_FORWARD = "".join(
    f" m{i} = MatMul({'x' if not i else f'y{i - 1}'}, w{i}) a{i} = Add(m{i}, b{i})"
    f" y{i} = Gelu(a{i})"
    for i in range(4)
)
_RESIDUALS = "".join(
    f" s{i} = Add({'x' if not i else f'n{i - 1}'}, z) "
    f"n{i} = LayerNormalization<axis = -1>(s{i}, gain, bias)"
    for i in range(4)
)
_POST_NORM = "n0 = LayerNormalization<axis = -1>(x, gain, bias)" + "".join(
    f" m{i} = MatMul(n{i - 1}, w{i}) a{i} = Add(m{i}, b{i}) g{i} = Gelu(a{i})"
    f" o{i} = MatMul(g{i}, v{i}) c{i} = Add(o{i}, c) s{i} = Add(c{i}, n{i - 1})"
    f" n{i} = LayerNormalization<axis = -1>(s{i}, gain, bias)"
    for i in range(1, 5)
)

FUSIONS: dict[str, Fusion] = {
    "gelu": Fusion("recognize", "[1,197,3072], erf", _GELU, {}),
    "gelu (tanh)": Fusion("recognize", "[1,128,3072], tanh", _TANH_GELU, {}),
    "hard swish": Fusion("recognize", "[1,64,56,56]", _HARD_SWISH, {}),
    "mish": Fusion("recognize", "[1,64,56,56]", _MISH, {}),
    "layer norm": Fusion(
        "recognize", "[1,197,768]", _LAYER_NORM, {"last": (1,), "gain": (768,), "bias": (768,)}
    ),
    "RMS norm": Fusion("recognize", "[1,128,2048]", _RMS_NORM, {"last": (1,), "gain": (2048,)}),
    "instance norm": Fusion(
        "recognize",
        "[1,64,56,56]",
        _INSTANCE_NORM,
        {"pixels": (2,), "gain": (64, 1, 1), "bias": (64, 1, 1)},
    ),
    "group norm": Fusion(
        "recognize",
        "[1,320,32,32], 32 groups",
        _GROUP_NORM,
        {
            "grouped": (3,),
            "ungrouped": (4,),
            "group_ones": (32,),
            "group_zeros": (32,),
            "gain": (320, 1, 1),
            "bias": (320, 1, 1),
        },
    ),
    "attention": Fusion("recognize", "S=128, 12 heads of 64", _attention(), _HEADS_WEIGHTS),
    "attention (padding mask)": Fusion(
        "recognize",
        "S=128, 12 heads of 64, additive [1,1,1,128]",
        _attention("masked = Add(scaled, m)", f", float[1,1,1,{LENGTH}] m"),
        _HEADS_WEIGHTS,
    ),
    "attention (causal)": Fusion(
        "recognize",
        "S=128, 12 heads of 64, constant mask",
        _attention("masked = Add(scaled, causal)"),
        {**_HEADS_WEIGHTS, "causal": (1, 1, LENGTH, LENGTH)},
    ),
    "attention (grouped queries)": Fusion(
        "recognize",
        "S=128, 12 query and 4 key heads of 64, causal",
        _GQA,
        {
            **_HEADS_WEIGHTS,
            "split_kv": (4,),
            "axis2": (1,),
            "repeat": (5,),
            "merge": (4,),
            "causal": (1, 1, LENGTH, LENGTH),
        },
    ),
    "attention (KV cache)": Fusion(
        "recognize", "1 token, 511 before, 12 heads of 64", _CACHE, _HEADS_WEIGHTS
    ),
    "attention (KV cache, grouped queries)": Fusion(
        "recognize",
        "1 token, 511 before, 12 query and 4 key heads of 64",
        _GROUPED_CACHE,
        {**_HEADS_WEIGHTS, "axis2": (1,), "thrice": (5,), "merge_past": (4,)},
    ),
    "rotary embedding": Fusion(
        "recognize",
        "[1,12,128,64]",
        _ROTARY,
        {"start": (1,), "half": (1,), "end": (1,), "axis3": (1,), "axis1": (1,)},
    ),
    "batch norm": Fusion(
        "affine",
        "3x3 convolution of [1,64,56,56]",
        f"""g ({_IMAGES} x) => ({_IMAGES} y) {{
            c = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w)
            y = BatchNormalization(c, group_ones, bias, gain, group_ones) }}""",
        {"w": (64, 64, 3, 3), "group_ones": (64,), "gain": (64,), "bias": (64,)},
    ),
    "batch norm of averages": Fusion(
        "affine",
        "3x3 convolution of [1,64,56,56], averages of 2x2",
        f"""g ({_IMAGES} x) => (float[1,64,28,28] y) {{
            c = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w)
            a = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(c)
            y = BatchNormalization(a, group_ones, bias, gain, group_ones) }}""",
        {"w": (64, 64, 3, 3), "group_ones": (64,), "gain": (64,), "bias": (64,)},
    ),
    "bias before a post-norm residual": Fusion(
        "post_norm",
        "four feed-forward layers of [1,128,768]",
        f"g ({_ROWS} x) => ({_ROWS} n4) {{{_POST_NORM}}}",
        {
            **{f"{w}{i}": (HIDDEN, HIDDEN) for i in range(1, 5) for w in "wv"},
            **{f"b{i}": (HIDDEN,) for i in range(1, 5)},
            **dict.fromkeys(("c", "gain", "bias"), (HIDDEN,)),
        },
    ),
    "query, key, value": Fusion(
        "parallel",
        "three linears of [1,128,768]",
        f"""g ({_ROWS} x) => ({_ROWS} q, {_ROWS} k, {_ROWS} v) {{
            mq = MatMul(x, w0) q = Add(mq, b0)
            mk = MatMul(x, w1) k = Add(mk, b1)
            mv = MatMul(x, w2) v = Add(mv, b2) }}""",
        {**{f"w{i}": (HIDDEN, HIDDEN) for i in range(3)}, **{f"b{i}": (HIDDEN,) for i in range(3)}},
    ),
    "separate_linears": Fusion(
        "select",
        "linear of [1,128,768] to three times 768",
        f"""g ({_ROWS} x) => ({_ROWS} q, {_ROWS} k, {_ROWS} v) {{
            m = MatMul(x, w) a = Add(m, b) q, k, v = Split<axis = -1, num_outputs = 3>(a) }}""",
        {"w": (HIDDEN, 3 * HIDDEN), "b": (3 * HIDDEN,)},
        selection="separate_linears",
    ),
    "flat_softmax": Fusion(
        "select",
        "[1,21,128,128], axis 1",
        "g (float[1,21,128,128] x) => (float[1,21,128,128] y) { y = Softmax<axis = 1>(x) }",
        {},
        selection="flat_softmax",
    ),
    "power": Fusion(
        "movement",
        "[1,128,768] to the 0.5",
        f"""g ({_ROWS} x) => ({_ROWS} y) {{
            a = Abs(x) h = Constant<value_float = 0.5>() y = Pow(a, h) }}""",
        {},
    ),
    "depthwise_conv1d": Fusion(
        "select",
        "[1,256,1000], kernel 31",
        """g (float[1,256,1000] x) => (float[1,256,1000] y) {
            y = Conv<kernel_shape = [31], pads = [15, 15], group = 256>(x, w) }""",
        {"w": (256, 1, 31)},
        selection="depthwise_conv1d",
    ),
    "group_norm_by_instance_norm": Fusion(
        "select",
        "[1,320,32,32], 32 groups",
        """g (float[1,320,32,32] x) => (float[1,320,32,32] y) {
            y = GroupNormalization<num_groups = 32>(x, gain, bias) }""",
        {"gain": (320,), "bias": (320,)},
        selection="group_norm_by_instance_norm",
    ),
    "bias_gelu": Fusion(
        "select",
        "linear of [1,197,768] to 3072, GELU",
        """g (float[1,197,768] x) => (float[1,197,3072] y) {
            m = MatMul(x, w) a = Add(m, b) y = Gelu(a) }""",
        {"w": (768, 3072), "b": (3072,)},
        selection="bias_gelu",
    ),
    "quick_gelu": Fusion(
        "select",
        "gate and up linears of [1,128,768] to 2048, SiLU",
        f"""g ({_ROWS} x) => (float[1,128,2048] y) {{
            m = MatMul(x, w0) s = Sigmoid(m) a = Mul(m, s) u = MatMul(x, w1) y = Mul(a, u) }}""",
        {"w0": (HIDDEN, 2048), "w1": (HIDDEN, 2048)},
        selection="quick_gelu",
    ),
    "mish_by_exp": Fusion(
        "select",
        "[1,64,56,56]",
        f"g ({_IMAGES} x) => ({_IMAGES} y) {{ y = Mish(x) }}",
        {},
        selection="mish_by_exp",
    ),
    "softplus_by_log": Fusion(
        "select",
        "[1,128,1536]",
        "g (float[1,128,1536] x) => (float[1,128,1536] y) { y = Softplus(x) }",
        {},
        selection="softplus_by_log",
    ),
    "prelu_by_relu": Fusion(
        "select",
        "three 3x3 convolutions of [1,64,56,56], a slope per channel",
        f"g ({_IMAGES} x) => ({_IMAGES} p2) {{{_PRELU_CHAIN} }}",
        {"w": (64, 64, 3, 3), "slope": (64, 1, 1)},
        selection="prelu_by_relu",
    ),
    "crossing_matmul": Fusion(
        "select",
        "16 texts of 32 tokens of 128 against each other",
        """g (float[16,1,32,128] q, float[1,16,128,32] d) => (float[16,16,32,32] y) {
            y = MatMul(q, d) }""",
        {},
        selection="crossing_matmul",
        target="cuda",
    ),
    "packed_attention": Fusion(
        "select",
        "[1,128,768], 12 heads of 64",
        f"""g ({_ROWS} x) => ({_ROWS} y) {{
            m = MatMul(x, wqkv) a = Add(m, bqkv)
            q, k, v = Split<axis = 2, num_outputs = 3>(a)
            y = Attention<q_num_heads = {HEADS}, kv_num_heads = {HEADS}>(q, k, v) }}""",
        {"wqkv": (HIDDEN, 3 * HIDDEN), "bqkv": (3 * HIDDEN,)},
        selection="packed_attention",
    ),
    "multi_head_attention": Fusion(
        "select",
        "S=1500, 12 heads of 64",
        f"""g (float[1,1500,{HIDDEN}] q, float[1,1500,{HIDDEN}] k, float[1,1500,{HIDDEN}] v)
            => (float[1,1500,{HIDDEN}] y) {{
            y = Attention<q_num_heads = {HEADS}, kv_num_heads = {HEADS}>(q, k, v) }}""",
        {},
        selection="multi_head_attention",
    ),
    "fused_conv": Fusion(
        "select",
        "two 3x3 convolutions of [1,64,56,56] and a sum",
        f"""g ({_IMAGES} x) => ({_IMAGES} y) {{
            c = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w0, b0) r = Relu(c)
            d = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(r, w1, b1) s = Add(d, x)
            y = Relu(s) }}""",
        {"w0": (64, 64, 3, 3), "b0": (64,), "w1": (64, 64, 3, 3), "b1": (64,)},
        selection="fused_conv",
        target="cuda",
    ),
    "group_norm_nhwc": Fusion(
        "select",
        "[1,320,32,32], 32 groups, and SiLU",
        """g (float[1,320,32,32] x) => (float[1,320,32,32] y) {
            n = GroupNormalization<num_groups = 32>(x, gain, bias)
            s = Sigmoid(n) y = Mul(n, s) }""",
        {"gain": (320,), "bias": (320,)},
        selection="group_norm_nhwc",
        target="cuda",
    ),
    "skip_norm": Fusion(
        "select",
        "four sums and layer norms of [1,128,768]",
        f"g ({_ROWS} x, {_ROWS} z) => ({_ROWS} n3) {{{_RESIDUALS}}}",
        {"gain": (HIDDEN,), "bias": (HIDDEN,)},
        selection="skip_norm",
        target="cuda",
    ),
    "attention, opset 18, from its parts": Fusion(
        "recognize", "S=128, 12 heads of 64", _attention(), _HEADS_WEIGHTS, opset=18
    ),
    "attention, opset 18": Fusion(
        "lower",
        "S=128, 12 heads of 64, causal",
        f"""g ({_IN} q, {_IN} k, {_IN} v) => ({_IN} y) {{
            y = Attention<q_num_heads = {HEADS}, kv_num_heads = {HEADS}, is_causal = 1>(q, k, v)
        }}""",
        {},
        opset=18,
    ),
    "RMS norm, opset 18": Fusion(
        "lower",
        "[1,128,2048]",
        """g (float[1,128,2048] x) => (float[1,128,2048] y) {
            y = RMSNormalization<axis = -1>(x, gain) }""",
        {"gain": (2048,)},
        opset=18,
    ),
    "MatMulAddFusion off": Fusion(
        "settings",
        "four linears and GELUs of [1,128,768]",
        f"g ({_ROWS} x) => ({_ROWS} y3) {{{_FEED_FORWARD}}}",
        {**{f"w{i}": (HIDDEN, HIDDEN) for i in range(4)}, **{f"b{i}": (HIDDEN,) for i in range(4)}},
        optimizer="MatMulAddFusion",
    ),
    "SkipLayerNormFusion off": Fusion(
        "settings",
        "four sums and layer norms of [1,128,768]",
        f"g ({_ROWS} x, {_ROWS} z) => ({_ROWS} n3) {{{_RESIDUALS}}}",
        {"gain": (HIDDEN,), "bias": (HIDDEN,)},
        optimizer="SkipLayerNormFusion",
    ),
}
"""What is measured, by name; a selection goes by its name in `SELECTIONS`."""
