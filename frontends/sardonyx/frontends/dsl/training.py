"""What a model does only while it is trained: dropout, noise, and statistics that move along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sardonyx.frontends.dsl import arithmetic
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.random import normal_like, uniform_like
from sardonyx.frontends.dsl.symbol import describe, require_tensor
from sardonyx.frontends.dsl.trace import current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


def is_training() -> bool:
    """Say whether the model that is being built is for training: `model.build(training=True)`.

    Raises:
        DslError: No model is being built.
    """
    return current().settings.training


def update(parameter: Tensor, value: Tensor) -> None:
    """Give a parameter its value for the next step, for example a running mean.

    A graph cannot write to its own weights: the value becomes an output of the model, after those
    that the function returns, named "<parameter>.next" (`model.updates()` lists them). Whoever
    runs the model loads it back.

    Raises:
        DslError: `parameter` is none, is updated already, or has another dtype or shape; or this
            is inside of a body of control flow.
    """
    require_tensor(parameter, value)
    trace = current()
    known = trace.names.parameters.get(parameter.name)
    if known is None or known.value is not parameter.value:
        raise DslError(
            "Only a parameter can be updated.",
            found=describe(parameter),
            expected="a tensor made by dsl.parameter(...)",
            remedy="make one: dsl.parameter(name, shape, trainable=False)",
        )
    if trace.block is not trace.root:
        raise DslError(
            f"The parameter {parameter.name!r} is updated inside of a body or a function.",
            found="a line inside cond, loop, scan or @dsl.function",
            expected="one update for each run of the model",
            remedy="return the value, and update outside",
        )
    if parameter.name in trace.updates:
        raise DslError(
            f"The parameter {parameter.name!r} is updated twice.",
            found=f"{describe(trace.updates[parameter.name])}, then {describe(value)}",
            expected="one update for each run of the model",
            remedy="compute the last value, and update once",
        )
    if value.dtype != parameter.dtype or list(value.dims) != list(parameter.dims):
        raise DslError(
            f"The parameter {parameter.name!r} is updated by something of another type.",
            found=describe(value),
            expected=describe(parameter),
            remedy="cast or reshape it",
        )
    trace.require_visible(value)
    trace.updates[parameter.name] = value


def dropout(x: Tensor, rate: float = 0.5, *, seed: int | None = None) -> Tensor:
    """Return x with elements set to 0 at random and the others divided by 1 - rate, in training.

    In inference x itself: dropout does nothing there.

    Args:
        x: A float tensor.
        rate: The share of the elements that become 0, in [0, 1).
        seed: Seed of the choice; by default one of the model's seed and this call's place.

    Raises:
        DslError: The rate is not in [0, 1).
    """
    require_tensor(x)
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
        raise DslError(
            "The rate of dropout is not in [0, 1).",
            found=repr(rate),
            expected="the share of elements that become 0, such as 0.1",
            remedy="dropout of 30 percent is dsl.dropout(x, 0.3)",
        )
    if not is_training() or rate == 0:
        return x
    drawn = current().draw_seed("dropout") if seed is None else seed
    # Not the operator: ONNX Runtime 1.31 removes it between other nodes, in training too.
    dropped = arithmetic.less(uniform_like(x, seed=drawn), rate)
    return arithmetic.where(dropped, 0.0, arithmetic.divide(x, 1 - rate))


def gaussian_noise(x: Tensor, deviation: float = 0.1, *, seed: int | None = None) -> Tensor:
    """Return x with normal noise of mean 0 added, in training; x itself in inference.

    Args:
        x: A float tensor.
        deviation: The noise's standard deviation.
        seed: Seed of the noise; by default one of the model's seed and this call's place.

    Raises:
        DslError: The deviation is negative, or x is not of floats.
    """
    require_tensor(x)
    if isinstance(deviation, bool) or not isinstance(deviation, (int, float)) or deviation < 0:
        raise DslError(
            "The deviation of noise is negative or no number.",
            found=repr(deviation),
            expected="a number of 0 or more",
            remedy="write for example dsl.gaussian_noise(x, 0.1)",
        )
    if not is_training() or deviation == 0:
        return x
    return arithmetic.add(x, normal_like(x, deviation=deviation, seed=seed))
