"""Idioms that rules look for, and what is nearly one of them.

Each is drawn with its parts as exporters write them, now and then with another epsilon, another
axis, a constant that is not quite it, an operand that is computed instead of constant, or an inner
value that somebody else reads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ops import rows
from tests.fuzz.sampled import place
from tests.fuzz.scope import Known, Refused, Scope
from tests.fuzz.steps import Step
from tests.fuzz.values import Array, chance, constant_like, elements, pick

D = ir.DataType
_SMALL = frozenset({D.FLOAT, D.DOUBLE, D.FLOAT16})
_BY_NAME = {row.op_type: row for row in rows() if not row.domain}


def nearly(s: Scope, right: Any, *others: Any) -> Any:
    """What an idiom has in its place, or one time in eight something else."""
    return right if chance(s.random, 0.875) or not others else pick(s.random, others)


def scalar(x: Known, number: float) -> Array:
    """A number in the dtype of a value."""
    return np.array(number, x.dtype.numpy())


def known_last(s: Scope, least: int = 1) -> Known:
    """A floating-point value whose last dim is known."""

    def fits(k: Known) -> bool:
        return (
            k.dtype in _SMALL and k.rank >= least and isinstance(k.dims[-1], int) and k.dims[-1] > 1
        )

    found = s.recent(fits)
    if found is not None and chance(s.random, 0.75):
        return found
    lead = pick(s.random, [["b"], ["b", "s"], [2, 3], [1, "s"]])
    dtype = pick(s.random, [D.FLOAT, D.FLOAT, D.FLOAT, D.DOUBLE, D.FLOAT16])
    return s.input(dtype, [*lead[-max(least - 1, 1) :], pick(s.random, [4, 6, 8])])


def vector(s: Scope, x: Known, length: int, *, positive: bool = False) -> Known:
    """Numbers for each channel: a constant, seldom an input or all ones."""
    if chance(s.random, 0.1):
        made = s.input(x.dtype, [length])
        if positive:
            made = s.Add(s.Abs(made), scalar(x, 0.5))
        return made
    held = elements(s.random, x.dtype, [length])
    held = np.abs(held) + x.dtype.numpy().type(0.5) if positive else held
    return s.constant(np.ones_like(held) if chance(s.random, 0.1) else held)


# --- convolutions --------------------------------------------------------------------------------


def convolution(s: Scope) -> None:
    """A convolution, pooling or linear layer, with what people put behind it."""
    name = pick(
        s.random, ["Conv", "Conv", "Conv", "ConvTranspose", "Gemm", "AveragePool", "MaxPool"]
    )
    (x,) = place(s, _BY_NAME[name])[:1]
    channels = x.dims[1]
    if not isinstance(channels, int):
        raise Refused("not static")
    for _ in range(int(s.random.integers(1, 4))):
        x = pick(s.random, [_batch_norm, _per_channel, activation_of, _padded])(s, x, channels)


def _batch_norm(s: Scope, x: Known, channels: int) -> Known:
    operands = [vector(s, x, channels) for _ in range(3)]
    variance = vector(s, x, channels, positive=True)
    epsilon = nearly(s, 1e-5, 0.0, 0.1)
    made: Known = s.BatchNormalization(x, *operands, variance, epsilon=epsilon)
    return made


def _per_channel(s: Scope, x: Known, channels: int) -> Known:
    """A sum or product with a constant of some shape, right or wrong for one number a channel."""
    space = x.rank - 2
    last = x.dims[-1] if isinstance(x.dims[-1], int) else 1
    shapes: list[list[int]] = [
        [channels, *[1] * space],
        [1, channels, *[1] * space],
        [],
        [1] * x.rank,
        [last],
        [channels],
        [1, 1, *[1] * (space - 1), last] if space else [1, channels],
    ]
    c = constant_like(
        s.random, x.dtype, shapes[0] if chance(s.random, 0.4) else pick(s.random, shapes)
    )
    pair = (x, s.constant(c)) if chance(s.random, 0.8) else (s.constant(c), x)
    made: Known = s.emit(pick(s.random, ["Add", "Mul", "Sub", "Div"]), *pair)
    return made


def _padded(s: Scope, x: Known, channels: int) -> Known:
    """A Pad before a convolution or a pooling."""
    space = x.rank - 2
    if space < 1 or x.dtype != D.FLOAT:
        raise Refused("no image")
    begin = [nearly(s, 0, 1), nearly(s, 0, 1), *s.random.integers(0, 3, space)]
    end = [0, 0, *s.random.integers(0, 3, space)]
    fill = nearly(s, np.float32(0), np.float32(1), np.float32(-np.inf), None)
    x = s.Pad(x, np.array([*begin, *end], np.int64), fill)
    count = x.dims[1]
    if chance(s.random, 0.5) and isinstance(count, int):
        w = elements(s.random, x.dtype, [count, count, *[2] * space])
        made: Known = s.Conv(x, w, pads=pick(s.random, [None, [0] * 2 * space, [1] * 2 * space]))
        return made
    name = pick(s.random, ["AveragePool", "MaxPool"])
    flags: dict[str, Any] = {"kernel_shape": [2] * space, "strides": [nearly(s, 1, 2)] * space}
    if name == "AveragePool":
        flags["count_include_pad"] = int(chance(s.random, 0.5))
    return s.emit(name, x, **flags)  # type: ignore[no-any-return]


# --- activations ---------------------------------------------------------------------------------


def activation(s: Scope) -> None:
    """An activation, spelled out."""
    activation_of(s, s.of(_SMALL), 0)


def activation_of(s: Scope, x: Known, _: int) -> Known:
    """An activation of a value."""
    return pick(s.random, _ACTIVATIONS)(s, x)


def _gelu(s: Scope, x: Known) -> Known:
    root = nearly(s, math.sqrt(2), 1.4142, 1.5, 2.0)
    inner = s.Div(x, scalar(x, root)) if chance(s.random, 0.6) else s.Mul(x, scalar(x, 1 / root))
    one = s.Add(s.Erf(inner), scalar(x, nearly(s, 1, 0.5)))
    half = scalar(x, nearly(s, 0.5, 1.0, 0.25))
    order = int(s.random.integers(3))
    made: Known
    if order == 0:
        made = s.Mul(s.Mul(x, one), half)
    elif order == 1:
        made = s.Mul(s.Mul(x, half), one)
    else:
        made = s.Mul(s.Mul(one, half), nearly(s, x, inner))
    return made


def _tanh_gelu(s: Scope, x: Known) -> Known:
    cube = s.Pow(x, scalar(x, nearly(s, 3, 2))) if chance(s.random, 0.6) else s.Mul(x, s.Mul(x, x))
    inner = s.Add(x, s.Mul(cube, scalar(x, nearly(s, 0.044715, 0.05))))
    t = s.Tanh(s.Mul(inner, scalar(x, nearly(s, math.sqrt(2 / math.pi), 0.8))))
    made: Known = s.Mul(s.Mul(x, scalar(x, 0.5)), s.Add(t, scalar(x, 1)))
    return made


def _silu(s: Scope, x: Known) -> Known:
    inner = x if chance(s.random, 0.6) else s.Mul(x, scalar(x, pick(s.random, [1.702, 1.0, -1.0])))
    made: Known = s.Mul(nearly(s, x, inner), s.Sigmoid(inner))
    return made


def _sigmoid(s: Scope, x: Known) -> Known:
    e = s.Exp(s.Neg(x)) if chance(s.random, 0.8) else s.Exp(x)
    made: Known = (
        s.Reciprocal(s.Add(e, scalar(x, 1)))
        if chance(s.random, 0.5)
        else s.Div(scalar(x, nearly(s, 1, 2)), s.Add(scalar(x, nearly(s, 1, 2)), e))
    )
    return made


def _softplus(s: Scope, x: Known) -> Known:
    made: Known = s.Log(s.Add(s.Exp(x), scalar(x, nearly(s, 1, 2))))
    return s.Mul(x, s.Tanh(made)) if chance(s.random, 0.4) else made


def _hard(s: Scope, x: Known) -> Known:
    top = nearly(s, 6, 5)
    y = s.Clip(s.Add(x, scalar(x, nearly(s, 3, 2))), scalar(x, 0), scalar(x, top))
    y = s.Div(y, scalar(x, 6)) if chance(s.random, 0.6) else s.Mul(y, scalar(x, 1 / 6))
    return s.Mul(x, y) if chance(s.random, 0.5) else y


def _leaky(s: Scope, x: Known) -> Known:
    slope = s.Mul(x, scalar(x, pick(s.random, [0.1, 0.01, 1.5, -0.5, 0.0])))
    if chance(s.random, 0.5):
        made: Known = s.emit(nearly(s, "Max", "Min"), x, slope)
        return made
    above = s.emit(nearly(s, "Greater", "GreaterOrEqual", "Less"), x, scalar(x, nearly(s, 0, 1)))
    return s.Where(above, x, slope)  # type: ignore[no-any-return]


def _named(s: Scope, x: Known) -> Known:
    made: Known = s.emit(
        pick(s.random, ["Relu", "LeakyRelu", "Tanh", "HardSwish", "Mish", "Elu"]), x
    )
    return made


def _clamps(s: Scope, x: Known) -> Known:
    for _ in range(int(s.random.integers(1, 4))):
        kind = pick(s.random, ["Relu", "Clip", "Min", "Max"])
        bound = scalar(x, float(pick(s.random, [0, 6, -1, 1, 3])))
        if kind == "Relu":
            x = s.Relu(x)
        elif kind == "Clip":
            x = s.Clip(x, *pick(s.random, [(bound, None), (None, bound), (scalar(x, 0), bound)]))
        else:
            x = s.emit(kind, x, bound)
    return x


_ACTIVATIONS = [
    _gelu, _gelu, _tanh_gelu, _silu, _sigmoid, _softplus, _hard, _leaky, _named, _clamps, _clamps
]  # fmt: skip


# --- norms ---------------------------------------------------------------------------------------


def layer_norm(s: Scope) -> None:
    """LayerNormalization or RMSNormalization, spelled out."""
    x = known_last(s)
    channels = int(x.dims[-1])
    if chance(s.random, 0.25):
        # Somebody sums the residual first.
        x = s.Add(x, constant_like(s.random, x.dtype, [channels]))
    axes = np.array(nearly(s, [-1], [x.rank - 1], [0], [-2, -1] if x.rank > 1 else [-1]), np.int64)
    is_rms = chance(s.random, 0.4)
    y = x if is_rms else s.Sub(x, s.ReduceMean(x, axes, keepdims=1))
    squared = (
        s.Pow(y, scalar(x, nearly(s, 2, 3))) if chance(s.random, 0.5) else s.Mul(y, nearly(s, y, x))
    )
    variance = s.ReduceMean(squared, nearly(s, axes, np.array([0])), keepdims=1)
    epsilon = scalar(x, pick(s.random, [1e-5, 1e-6, 1e-3, 0.1]))
    spread = s.Add(variance, epsilon if chance(s.random, 0.9) else np.full(1, epsilon))
    kind = int(s.random.integers(4))
    if kind == 0:
        y = s.Mul(y, s.Reciprocal(s.Sqrt(spread)))
    elif kind == 1:
        y = s.Mul(y, s.Pow(spread, scalar(x, nearly(s, -0.5, -1))))
    else:
        y = s.Div(y, s.Sqrt(spread))
    _affine(s, y, channels)


def _affine(s: Scope, y: Known, channels: int) -> None:
    if chance(s.random, 0.8):
        y = (
            s.Mul(y, vector(s, y, channels))
            if chance(s.random, 0.8)
            else s.Mul(vector(s, y, channels), y)
        )
    if chance(s.random, 0.6):
        s.Add(y, vector(s, y, channels))


def named_norm(s: Scope) -> None:
    """A norm by its operator, with a scale, a shift or a linear layer behind it."""
    x = known_last(s)
    channels = int(x.dims[-1])
    if chance(s.random, 0.6):
        y = s.LayerNormalization(x, vector(s, x, channels), nearly(s, vector(s, x, channels), None))
    else:
        y = s.RMSNormalization(x, vector(s, x, channels))
    if isinstance(y, tuple):
        y = y[0]
    _affine(s, y, channels)


def image_norm(s: Scope) -> None:
    """InstanceNormalization or a group norm made of it by Reshapes."""
    x = s.input(D.FLOAT, ["b", 4, *pick(s.random, [[3], [2, 3], ["s"]])])
    groups = pick(s.random, [1, 2, 4])
    flat = s.Reshape(x, np.array([0, groups, -1]))
    ones, zeros = np.ones(groups, np.float32), np.zeros(groups, np.float32)
    y = s.InstanceNormalization(
        flat, nearly(s, ones, ones * 2), nearly(s, zeros, ones), epsilon=1e-5
    )
    y = s.Reshape(y, s.Shape(x))
    shape = nearly(s, [4, *[1] * (x.rank - 2)], [1])
    y = s.Mul(y, elements(s.random, D.FLOAT, shape))
    s.Add(y, elements(s.random, D.FLOAT, shape))


# --- linears -------------------------------------------------------------------------------------


def linears(s: Scope) -> None:
    """Linear layers side by side, or one after another, with constants before and after."""
    x = known_last(s, least=2)
    width = int(x.dims[-1])
    columns = [int(s.random.integers(1, 5)) for _ in range(int(s.random.integers(1, 4)))]
    same = chance(s.random, 0.5)
    before = x
    if chance(s.random, 0.4):
        before = s.emit(
            pick(s.random, ["Mul", "Add"]), x, constant_like(s.random, x.dtype, [width])
        )
    for count in columns:
        count = columns[0] if same else count
        w = elements(s.random, x.dtype, [width, count])
        y = s.MatMul(nearly(s, before, x), w if chance(s.random, 0.9) else s.Identity(w))
        for _ in range(int(s.random.integers(0, 3))):
            c = constant_like(s.random, x.dtype, pick(s.random, [[count], [], [1, count], [1]]))
            y = s.emit(pick(s.random, ["Add", "Mul", "Sub", "Div"]), y, c)
        if chance(s.random, 0.2) and y.rank == 2:
            _batch_norm(s, y, count)


# --- attention -----------------------------------------------------------------------------------


def attention(s: Scope) -> None:
    """Attention, spelled out, from one sequence or two."""
    heads, size = pick(s.random, [1, 2]), pick(s.random, [2, 4])
    width = heads * size
    x = s.input(D.FLOAT, ["b", "s", width])
    y = x if chance(s.random, 0.8) else s.input(D.FLOAT, ["b", "n", width])

    def head(source: Known, perm: list[int]) -> Known:
        w = elements(s.random, D.FLOAT, [width, width]) * np.float32(0.5)
        z = s.MatMul(source, w)
        if chance(s.random, 0.6):
            z = s.Add(z, elements(s.random, D.FLOAT, [width]))
        split = s.Reshape(z, np.array([0, 0, heads, size]))
        made: Known = s.Transpose(split, perm=nearly(s, perm, [0, 2, 1, 3]))
        return made

    q, k, v = head(x, [0, 2, 1, 3]), head(y, [0, 2, 3, 1]), head(y, [0, 2, 1, 3])
    factor = np.float32(nearly(s, 1 / math.sqrt(size), 1.0, 0.3))
    place_ = int(s.random.integers(4))
    if place_ == 0:
        q = s.Mul(q, factor)
    elif place_ == 1:
        q, k = s.Mul(q, np.sqrt(factor)), s.Mul(k, nearly(s, np.sqrt(factor), factor))
    scores = s.MatMul(q, k)
    if place_ == 2:
        scores = s.Div(scores, np.float32(1 / factor))
    elif place_ == 3:
        scores = s.Mul(scores, factor)
    scores = _masked(s, scores, x, y)
    weights = s.Softmax(scores, axis=nearly(s, pick(s.random, [-1, 3]), 2, 1))
    out = s.MatMul(weights, v)
    joined = s.Reshape(s.Transpose(out, perm=[0, 2, 1, 3]), np.array([0, 0, nearly(s, width, -1)]))
    if chance(s.random, 0.5):
        s.Add(s.MatMul(joined, elements(s.random, D.FLOAT, [width, width])), x)


def _masked(s: Scope, scores: Known, x: Known, y: Known) -> Known:
    kind = int(s.random.integers(4))
    if kind == 0:
        return scores
    low = np.float32(pick(s.random, [-1e4, -1e9, -np.inf]))
    made: Known
    if kind == 1:
        shape = pick(s.random, [["b", 1, 1, y.dims[1]], ["b", 1, x.dims[1], y.dims[1]]])
        made = s.Add(scores, s.input(D.FLOAT, shape))
        return made
    if kind == 2:
        kept = s.input(D.BOOL, ["b", 1, 1, y.dims[1]])
        made = s.Where(kept, scores, low)
        return made
    rows, columns = (
        s.Range(np.array(0), s.Squeeze(s.Shape(z, start=1, end=2), np.array([0])), np.array(1))
        for z in (x, y)
    )
    seen = s.emit(nearly(s, "LessOrEqual", "Less"), columns, s.Unsqueeze(rows, np.array([1])))
    made = (
        s.Where(seen, scores, low)
        if chance(s.random, 0.5)
        else s.Add(scores, s.Where(seen, np.float32(0), low))
    )
    return made


def rotary(s: Scope) -> None:
    """A rotary embedding, spelled out."""
    size = 4
    x = s.input(D.FLOAT, ["b", 2, "s", size])
    cos, sin = (
        s.input(D.FLOAT, nearly(s, ["b", 1, "s", size], [1, 1, "s", size])) for _ in range(2)
    )
    if chance(s.random, 0.5):
        first, second = s.Split(x, np.array([2, 2]), axis=-1, outputs=2)
    else:
        ends = np.array([2**63 - 1])
        first = s.Slice(x, np.array([0]), np.array([2]), np.array([-1]))
        second = s.Slice(x, np.array([2]), ends, np.array([3]))
    parts = nearly(s, (s.Neg(second), first), (s.Neg(first), second), (second, first))
    turned = s.Concat(*parts, axis=-1)
    s.Add(s.Mul(x, cos), s.Mul(turned, sin))


STEPS: list[tuple[Step, float]] = [
    (convolution, 3),
    (activation, 2),
    (layer_norm, 2),
    (named_norm, 1),
    (image_norm, 0.5),
    (linears, 2),
    (attention, 1.5),
    (rotary, 0.5),
]
"""Idioms and how often they are drawn."""
