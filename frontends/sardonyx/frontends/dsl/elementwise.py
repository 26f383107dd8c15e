"""Functions of each element, reductions, and softmax: the mathematics between the layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from sardonyx.frontends.dsl import arithmetic
from sardonyx.frontends.dsl.dtypes import bool_
from sardonyx.frontends.dsl.emit import emit, emit_all
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.reshaping import axes_of, axis_of
from sardonyx.frontends.dsl.symbol import describe, require_tensor

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


def _unary(op_type: str, words: str) -> Callable[[Tensor], Tensor]:
    def function(x: Tensor) -> Tensor:
        return emit(op_type, x)

    function.__doc__ = f"Return {words} of each element."
    function.__name__ = function.__qualname__ = op_type.lower()
    return function


relu = _unary("Relu", "max(x, 0)")
sigmoid = _unary("Sigmoid", "1 / (1 + exp(-x))")
tanh = _unary("Tanh", "the hyperbolic tangent")
softplus = _unary("Softplus", "log(1 + exp(x))")
softsign = _unary("Softsign", "x / (1 + |x|)")
mish = _unary("Mish", "x * tanh(softplus(x))")
hard_swish = _unary("HardSwish", "x * max(0, min(1, x / 6 + 0.5))")
exp = _unary("Exp", "e to the power x")
log = _unary("Log", "the natural logarithm")
sqrt = _unary("Sqrt", "the square root")
reciprocal = _unary("Reciprocal", "1 / x")
erf = _unary("Erf", "the error function")
sin = _unary("Sin", "the sine (radians)")
cos = _unary("Cos", "the cosine (radians)")
floor = _unary("Floor", "the largest whole number not above x")
ceil = _unary("Ceil", "the smallest whole number not below x")
round_ = _unary("Round", "the nearest whole number, halves to the even one,")
sign = _unary("Sign", "-1, 0 or 1 by the sign")
absolute = _unary("Abs", "the absolute value")
negative = _unary("Neg", "-x")
isnan = _unary("IsNaN", "whether it is not a number")


def rsqrt(x: Tensor) -> Tensor:
    """Return 1 / sqrt(x) of each element."""
    return reciprocal(sqrt(x))


def silu(x: Tensor) -> Tensor:
    """Return x * sigmoid(x) of each element, also known as swish."""
    return arithmetic.mul(x, sigmoid(x))


def gelu(x: Tensor, approximate: Literal["none", "tanh"] = "none") -> Tensor:
    """Return the Gaussian error linear unit, exact or by its tanh formula."""
    return emit("Gelu", x, approximate=None if approximate == "none" else approximate)


def leaky_relu(x: Tensor, slope: float = 0.01) -> Tensor:
    """Return x where it is positive and slope * x elsewhere."""
    return emit("LeakyRelu", x, alpha=slope)


def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """Return x where it is positive and alpha * (exp(x) - 1) elsewhere."""
    return emit("Elu", x, alpha=alpha)


def selu(x: Tensor) -> Tensor:
    """Return the scaled exponential linear unit with its usual constants."""
    return emit("Selu", x)


def hard_sigmoid(x: Tensor) -> Tensor:
    """Return max(0, min(1, x / 6 + 0.5)), as PyTorch defines it."""
    return emit("HardSigmoid", x, alpha=1 / 6, beta=0.5)


def clip(x: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
    """Return x limited to [low, high]; None leaves a side open."""
    return emit("Clip", x, low, high)


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Return exp(x) divided by its sum along an axis."""
    return emit("Softmax", x, axis=axis_of(x, axis))


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Return the logarithm of the softmax along an axis."""
    return emit("LogSoftmax", x, axis=axis_of(x, axis))


def cumsum(x: Tensor, axis: int = -1) -> Tensor:
    """Return the running sum along an axis."""
    return emit("CumSum", x, axis_of(x, axis))


def einsum(equation: str, *tensors: Tensor) -> Tensor:
    """Return the sum of products that an equation such as "bij,bjk->bik" describes."""
    return emit("Einsum", *tensors, equation=equation)


def trilu(x: Tensor, diagonal: int = 0, *, upper: bool) -> Tensor:
    """Return the matrices `x` with zeros below (upper) or above (lower) a diagonal."""
    return emit("Trilu", x, diagonal, upper=int(upper))


Axes = int | Sequence[int] | None


def _reduce(op_type: str, x: Tensor, axis: Axes, keepdims: bool) -> Tensor:
    require_tensor(x)
    # Without axes it reduces all, also where nobody knows how many there are.
    axes = None if axis is None and x.value.shape is None else axes_of(x, axis)
    return emit(op_type, x, axes, keepdims=int(keepdims))


def sum_(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Return the sum over some axes, all by default; of bools how many hold, an i64.

    Raises:
        DslError: The tensor has no such axis.
    """
    require_tensor(x)
    whole = x.cast("i64") if x.dtype == bool_ else x
    return _reduce("ReduceSum", whole, axis, keepdims)


def mean(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Return the mean over some axes, all by default.

    Raises:
        DslError: The tensor has no such axis, or holds integers.
    """
    require_tensor(x)
    if not x.dtype.is_float:
        raise DslError(
            "A mean needs floats.",
            found=describe(x),
            expected="a float tensor",
            remedy="cast first: x.cast(dsl.f32)",
        )
    return _reduce("ReduceMean", x, axis, keepdims)


def max_(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Return the largest element over some axes, all by default.

    Raises:
        DslError: The tensor has no such axis.
    """
    return _reduce("ReduceMax", x, axis, keepdims)


def min_(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Return the smallest element over some axes, all by default.

    Raises:
        DslError: The tensor has no such axis.
    """
    return _reduce("ReduceMin", x, axis, keepdims)


def prod(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Return the product over some axes, all by default.

    Raises:
        DslError: The tensor has no such axis.
    """
    return _reduce("ReduceProd", x, axis, keepdims)


def any_(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Return whether a bool tensor holds anywhere along some axes, all by default.

    Raises:
        DslError: The tensor is not of bools, or has no such axis.
    """
    return _reduce("ReduceMax", _of_bools("any", x), axis, keepdims).cast(bool_)


def all_(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Return whether a bool tensor holds everywhere along some axes, all by default.

    Raises:
        DslError: The tensor is not of bools, or has no such axis.
    """
    return _reduce("ReduceMin", _of_bools("all", x), axis, keepdims).cast(bool_)


def _of_bools(kind: str, x: Tensor) -> Tensor:
    require_tensor(x)
    if x.dtype != bool_:
        raise DslError(
            f"{kind} is about bools.",
            found=describe(x),
            expected="a bool tensor",
            remedy="compare first, as in (x != 0)",
        )
    return x.cast("i32")


def std(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Return the root of the mean squared distance from the mean (divided by n, as in numpy).

    Raises:
        DslError: The tensor has no such axis, or holds integers.
    """
    return sqrt(var(x, axis, keepdims))


def var(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Return the mean squared distance from the mean (divided by n, as in numpy).

    Raises:
        DslError: The tensor has no such axis, or holds integers.
    """
    off = arithmetic.sub(x, mean(x, axis, keepdims=True))
    return mean(arithmetic.mul(off, off), axis, keepdims)


def argmax(x: Tensor, axis: int = -1, keepdims: bool = False) -> Tensor:
    """Return the i64 position of the first largest element along an axis."""
    return emit("ArgMax", x, axis=axis_of(x, axis), keepdims=int(keepdims))


def argmin(x: Tensor, axis: int = -1, keepdims: bool = False) -> Tensor:
    """Return the i64 position of the first smallest element along an axis."""
    return emit("ArgMin", x, axis=axis_of(x, axis), keepdims=int(keepdims))


def topk(x: Tensor, k: int, axis: int = -1) -> tuple[Tensor, Tensor]:
    """Return the k largest elements along an axis, largest first, and their i64 positions."""
    values, positions = emit_all("TopK", x, [k], axis=axis_of(x, axis))
    return values, positions
