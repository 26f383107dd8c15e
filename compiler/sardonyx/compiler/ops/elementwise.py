"""Rows of the operators that compute each output element from one element of each operand."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ops.axes import AxisMap, Fixed, elementwise, has_operand
from sardonyx.compiler.ops.cost import per_element, variadic
from sardonyx.compiler.ops.row import Trait, define
from sardonyx.compiler.ops.sample import (
    AWAY_FROM_ZERO,
    POSITIVE,
    REAL,
    UNIT,
    Case,
    Random,
    Sampler,
    Values,
    between,
    broadcast,
    choose,
    dims,
    integers,
    truths,
    unary,
)
from sardonyx.compiler.ops.tolerance import Tolerance

_EACH = Trait.ELEMENTWISE
# What an exponential or a trigonometric function takes, in additions.
_FUNCTION_FLOPS = 10


def _same(tolerance: Tolerance, flops: int, samplers: dict[str, Sampler], *traits: Trait) -> None:
    for name, sample in samplers.items():
        define(
            name,
            traits=(_EACH, *traits),
            axes=elementwise(),
            cost=per_element(flops),
            tolerance=tolerance,
            sample=sample,
        )


_BITS = integers(0, 200, np.uint8)
_WHOLE = integers(-4, 5)


def _with_special(special: float) -> Values:
    def values(random: Random, shape: tuple[int, ...]) -> np.ndarray:
        drawn = REAL(random, shape)
        return np.where(random.random(shape) < 0.3, np.float32(special), drawn).astype(np.float32)

    return values


_same(
    Tolerance.EXACT,
    1,
    {
        "Abs": unary(),
        "Ceil": unary(),
        "Floor": unary(),
        "Relu": unary(),
        "Round": unary(),
        "Sign": unary(),
        "ThresholdedRelu": unary(alpha=[None, 0.5]),
    },
    Trait.IDEMPOTENT,
)
_same(
    Tolerance.EXACT,
    1,
    {"Neg": unary(), "Not": unary(truths), "BitwiseNot": unary(_BITS)},
    Trait.INVOLUTION,
)
_same(
    Tolerance.EXACT,
    1,
    {
        "IsInf": unary(_with_special(np.inf), detect_negative=[None, 0]),
        "IsNaN": unary(_with_special(np.nan)),
    },
)
_same(
    Tolerance.ROUNDING,
    2,
    {
        "HardSigmoid": unary(alpha=[None, 0.3], beta=[None, 0.4]),
        "HardSwish": unary(),
        "LeakyRelu": unary(alpha=[None, 0.2]),
        "Reciprocal": unary(AWAY_FROM_ZERO),
        "Shrink": unary(lambd=[0.7], bias=[None, 0.3]),
        "Softsign": unary(),
        "Sqrt": unary(POSITIVE),
    },
)
_same(
    Tolerance.TRANSCENDENTAL,
    _FUNCTION_FLOPS,
    {
        "Acos": unary(UNIT),
        "Acosh": unary(between(1.1, 4)),
        "Asin": unary(UNIT),
        "Asinh": unary(),
        "Atan": unary(),
        "Atanh": unary(UNIT),
        "Celu": unary(alpha=[None, 0.7]),
        "Cos": unary(),
        "Cosh": unary(),
        "Elu": unary(alpha=[None, 0.7]),
        "Erf": unary(),
        "Exp": unary(),
        "Gelu": unary(approximate=[None, "tanh"]),
        "Log": unary(POSITIVE),
        "Mish": unary(),
        "Selu": unary(),
        "Sigmoid": unary(),
        "Sin": unary(),
        "Sinh": unary(),
        "Softplus": unary(),
        "Tan": unary(between(-1.2, 1.2)),
        "Tanh": unary(),
    },
)

_same(
    Tolerance.ROUNDING,
    1,
    {"Add": broadcast(REAL, REAL), "Mul": broadcast(REAL, REAL)},
    Trait.COMMUTATIVE,
)
_same(
    Tolerance.ROUNDING,
    1,
    {
        "Div": broadcast(REAL, AWAY_FROM_ZERO),
        "Sub": broadcast(REAL, REAL),
        # The quotient of two reals may round across a whole number, so these are whole.
        "Mod": broadcast(_WHOLE, integers(1, 6)),
    },
)
_same(Tolerance.TRANSCENDENTAL, _FUNCTION_FLOPS, {"Pow": broadcast(POSITIVE, REAL)})
_same(
    Tolerance.EXACT,
    1,
    {
        "And": broadcast(truths, truths),
        "BitwiseAnd": broadcast(_BITS, _BITS),
        "BitwiseOr": broadcast(_BITS, _BITS),
        "BitwiseXor": broadcast(_BITS, _BITS),
        "Equal": broadcast(_WHOLE, _WHOLE),
        "Or": broadcast(truths, truths),
        "Xor": broadcast(truths, truths),
    },
    Trait.COMMUTATIVE,
)
_same(
    Tolerance.EXACT,
    1,
    {
        "BitShift": broadcast(_BITS, integers(0, 4, np.uint8), direction=["LEFT", "RIGHT"]),
        "Greater": broadcast(_WHOLE, _WHOLE),
        "GreaterOrEqual": broadcast(_WHOLE, _WHOLE),
        "Less": broadcast(_WHOLE, _WHOLE),
        "LessOrEqual": broadcast(_WHOLE, _WHOLE),
    },
)
for _names, _tolerance in (
    (("Max", "Min"), Tolerance.EXACT),
    (("Mean", "Sum"), Tolerance.ROUNDING),
):
    define(
        *_names,
        traits=(_EACH, Trait.COMMUTATIVE),
        axes=elementwise(),
        cost=variadic,
        tolerance=_tolerance,
        sample=broadcast(REAL, REAL, REAL),
    )

_same(Tolerance.EXACT, 1, {"Where": broadcast(truths, REAL, REAL)})


def _cast(random: Random) -> Case:
    return Case((between(0, 100)(random, dims(random)),), {"to": int(random.choice([6, 7, 10]))})


def _cast_like(random: Random) -> Case:
    return Case((between(0, 100)(random, dims(random)), np.zeros((2, 3), np.int32)))


def _clip(random: Random) -> Case:
    low = np.float32(-0.5) if random.random() < 0.7 else None
    high = np.float32(1.5) if random.random() < 0.7 else None
    limits = tuple(None if x is None else np.array(x) for x in (low, high))
    return Case((REAL(random, dims(random)), *limits), constants=frozenset({1, 2}))


def _prelu(random: Random) -> Case:
    shape = dims(random)
    slope = shape[int(random.integers(len(shape))) :]
    slope = tuple(1 if random.random() < 0.3 else length for length in slope)
    return Case((REAL(random, shape), REAL(random, slope)))


def _dropout(random: Random) -> Case:
    attributes = choose(random, {"seed": [None, 3]})
    return Case((REAL(random, dims(random)), np.array(0.4, np.float32)), attributes, outputs=2)


def _dropout_axes(node: ir.Node) -> AxisMap | Fixed:
    if has_operand(node, 2):
        return Fixed("in training mode it draws at random by position")
    return elementwise(unlabelled=(1,))(node)


define(
    "Cast",
    traits={_EACH, Trait.IDEMPOTENT},
    axes=elementwise(),
    cost=per_element(1),
    tolerance=Tolerance.ROUNDING,
    sample=_cast,
)
define(
    "CastLike",
    traits={_EACH},
    axes=elementwise(unlabelled=(1,)),
    cost=per_element(1),
    tolerance=Tolerance.ROUNDING,
    sample=_cast_like,
)
define(
    "Clip",
    traits={_EACH, Trait.IDEMPOTENT},
    axes=elementwise(unlabelled=(1, 2)),
    cost=per_element(2),
    tolerance=Tolerance.EXACT,
    sample=_clip,
)
define(
    "PRelu",
    traits={_EACH},
    axes=elementwise(),
    cost=per_element(2),
    tolerance=Tolerance.ROUNDING,
    sample=_prelu,
)
define(
    "Dropout",
    # With training_mode; without it the operator is the identity.
    traits={_EACH, Trait.RANDOM},
    axes=_dropout_axes,
    cost=per_element(1),
    tolerance=Tolerance.RANDOM,
    sample=_dropout,
)
define(
    "Identity",
    traits={_EACH, Trait.IDEMPOTENT, Trait.DATA_MOVEMENT},
    axes=elementwise(),
    cost=per_element(0),
    tolerance=Tolerance.EXACT,
    sample=unary(),
)
