"""Tensors of random numbers, drawn anew at each run of the model.

Each call has a seed of its own, made of the model's seed and the call's place. Whether a seed gives
the same numbers again is the runtime's choice: ONNX Runtime starts at the seed when the model is
loaded and goes on from run to run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sardonyx.frontends.dsl.dims import SizeLike
from sardonyx.frontends.dsl.dtypes import DTypeLike, f32, to_dtype
from sardonyx.frontends.dsl.emit import emit
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.joining import full
from sardonyx.frontends.dsl.reshaping import flat_sizes
from sardonyx.frontends.dsl.symbol import describe, require_tensor
from sardonyx.frontends.dsl.trace import current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


def normal(
    shape: Sequence[SizeLike],
    mean: float = 0.0,
    deviation: float = 1.0,
    *,
    dtype: DTypeLike = f32,
    seed: int | None = None,
) -> Tensor:
    """Return normally distributed numbers.

    Args:
        shape: Sizes: ints, `x.shape[i]`, names of symbolic sizes.
        mean: Their mean.
        deviation: Their standard deviation.
        dtype: A float dtype.
        seed: Where to start; by default made of the model's seed and this call's place.

    Raises:
        DslError: `shape` holds something that is no size, or the dtype is not of floats.
    """
    return _drawn("RandomNormal", shape, dtype, seed, mean=float(mean), scale=float(deviation))


def uniform(
    shape: Sequence[SizeLike],
    low: float = 0.0,
    high: float = 1.0,
    *,
    dtype: DTypeLike = f32,
    seed: int | None = None,
) -> Tensor:
    """Return numbers spread evenly over [low, high); arguments else as of `normal`.

    Raises:
        DslError: `shape` holds something that is no size, or the dtype is not of floats.
    """
    return _drawn("RandomUniform", shape, dtype, seed, low=float(low), high=float(high))


def normal_like(
    x: Tensor, mean: float = 0.0, deviation: float = 1.0, *, seed: int | None = None
) -> Tensor:
    """Return normally distributed numbers of the shape and dtype of x.

    Raises:
        DslError: x is not of floats.
    """
    _require_floats("normal_like", x)
    more = {"mean": float(mean), "scale": float(deviation)}
    return emit("RandomNormalLike", x, seed=_seed("normal", seed), dims=x.dims, **more)


def uniform_like(
    x: Tensor, low: float = 0.0, high: float = 1.0, *, seed: int | None = None
) -> Tensor:
    """Return numbers spread evenly over [low, high), of the shape and dtype of x.

    Raises:
        DslError: x is not of floats.
    """
    _require_floats("uniform_like", x)
    more = {"low": float(low), "high": float(high)}
    return emit("RandomUniformLike", x, seed=_seed("uniform", seed), dims=x.dims, **more)


def bernoulli(chances: Tensor, *, seed: int | None = None) -> Tensor:
    """Return 1 with the chance that each element gives, else 0, in the dtype of `chances`.

    Raises:
        DslError: `chances` is not of floats.
    """
    # Not the operator: its function body, which ONNX Runtime runs, gives 1 with the other chance.
    _require_floats("bernoulli", chances)
    drawn = uniform_like(chances, seed=seed)
    return emit("Less", drawn, chances).cast(chances.dtype)


def multinomial(logits: Tensor, count: int = 1, *, seed: int | None = None) -> Tensor:
    """Return `count` classes for each row, drawn with the chances softmax(logits): i64.

    Args:
        logits: [batch, classes], logarithms of chances that need not be normalised.
        count: How many to draw from each row, with replacement.
        seed: Where to start; by default made of the model's seed and this call's place.

    Raises:
        DslError: `logits` is no matrix of floats, or the count is not positive.
    """
    _require_floats("multinomial", logits)
    if logits.rank != 2 or not isinstance(count, int) or count < 1:
        raise DslError(
            "multinomial draws a positive number of classes from rows of logits.",
            found=f"{count!r} from {describe(logits)}",
            expected="an int of 1 or more, [batch, classes]",
            remedy="give one row of logits an axis: logits[None]",
        )
    return emit(
        "Multinomial",
        logits,
        sample_size=count,
        dtype=to_dtype("i64").code.value,
        seed=_seed("multinomial", seed),
        dims=[logits.dims[0], count],
    )


def _drawn(
    op_type: str, shape: Sequence[SizeLike], dtype: DTypeLike, seed: int | None, **more: float
) -> Tensor:
    wanted = to_dtype(dtype)
    if not wanted.is_float:
        raise DslError(
            "Random numbers are floats.",
            found=f"dtype {wanted}",
            expected="dsl.f32, dsl.f64, dsl.f16 or dsl.bf16",
            remedy="draw floats, then cast: dsl.floor(x).cast(dsl.i64)",
        )
    listed = flat_sizes([shape])
    attributes: dict[str, Any] = {"seed": _seed(op_type[len("Random") :].lower(), seed), **more}
    if listed and all(isinstance(n, int) and n >= 0 for n in listed):
        return emit(op_type, shape=listed, dtype=wanted.code.value, **attributes)
    # The operator itself takes only sizes that are known now, at least one.
    model = full(listed, 0, wanted)
    return emit(f"{op_type}Like", model, dims=model.dims, **attributes)


def _seed(kind: str, given: int | None) -> float:
    if given is not None and (isinstance(given, bool) or not isinstance(given, int)):
        raise DslError(
            "A seed is a whole number.", found=repr(given), expected="an int", remedy="int(...)"
        )
    return float(current().draw_seed(kind) if given is None else given)


def _require_floats(kind: str, x: Tensor) -> None:
    require_tensor(x)
    if not x.dtype.is_float:
        raise DslError(
            f"{kind} draws floats.",
            found=describe(x),
            expected="a float tensor",
            remedy="cast first: x.cast(dsl.f32)",
        )
