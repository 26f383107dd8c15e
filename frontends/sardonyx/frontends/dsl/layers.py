"""Layers over features: linear, embedding, normalisations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sardonyx.frontends.dsl import init as initial
from sardonyx.frontends.dsl import shapes
from sardonyx.frontends.dsl.arithmetic import add, matmul
from sardonyx.frontends.dsl.dims import Dim, Size
from sardonyx.frontends.dsl.elementwise import mean as reduce_mean
from sardonyx.frontends.dsl.elementwise import sqrt
from sardonyx.frontends.dsl.emit import emit
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.init import Initializer
from sardonyx.frontends.dsl.parameters import given_or_new, parameter
from sardonyx.frontends.dsl.reshaping import axis_of, transpose
from sardonyx.frontends.dsl.symbol import describe, require_tensor
from sardonyx.frontends.dsl.trace import layer
from sardonyx.frontends.dsl.training import is_training, update

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


def fixed_size(x: Tensor, axis: int, kind: str) -> int:
    """Return the size of an axis that a layer's parameters depend on.

    Raises:
        DslError: It is known only when the model runs, or there is no such axis.
    """
    where = axis_of(x, axis)
    size = x.dims[where]
    if isinstance(size, int):
        return size
    raise DslError(
        f"{kind} needs a fixed size on axis {axis}: its parameters depend on it.",
        found=describe(x),
        expected=f"a number instead of {str(size)!r}",
        remedy="fix it in the type of the input, or with x.reshape(...)",
    )


def positive(kind: str, what: str, number: object) -> None:
    """Refuse a count that is no positive int.

    Raises:
        DslError: It is none.
    """
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise DslError(
            f"{kind} needs a positive number of {what}.",
            found=repr(number),
            expected="an int of 1 or more",
            remedy="divide sizes with //, which gives an int",
        )


def linear(
    x: Tensor,
    features: int,
    *,
    bias: bool = True,
    weight: Tensor | None = None,
    init: Initializer | None = None,
    name: str | None = None,
) -> Tensor:
    """Return x @ weight.T + bias over the last axis.

    Args:
        x: [..., in], the last size fixed.
        features: Size of the last axis of the result.
        bias: Whether to add one.
        weight: A tensor [features, in] to use instead of a new parameter.
        init: Initialiser of the weight; Glorot uniform by default.
        name: Name of the layer, by default "linear", "linear_1"...

    Parameters made: weight [features, in] as in PyTorch, bias [features].

    Raises:
        DslError: The last size is not fixed, or the weight has another shape.
    """
    positive("linear", "features", features)
    size = fixed_size(x, -1, "linear")
    with layer("linear", name):
        shape = (features, size)
        w = given_or_new(weight, "weight", shape, init or initial.glorot_uniform(), x.dtype)
        b = parameter("bias", (features,), initial.zeros, dtype=x.dtype) if bias else None
        if x.rank == 2:
            return emit("Gemm", x, w, b, transB=1, dims=[x.dims[0], features])
        product = matmul(x, transpose(w))
        return product if b is None else add(product, b)


def embedding(
    indices: Tensor,
    count: int,
    features: int,
    *,
    weight: Tensor | None = None,
    init: Initializer | None = None,
    name: str | None = None,
) -> Tensor:
    """Return the rows of a table at integer `indices`: [...] becomes [..., features].

    Args:
        indices: Integers from 0 to count - 1.
        count: Rows of the table.
        features: Columns of the table.
        weight: A tensor [count, features] to use instead of a new parameter.
        init: Initialiser; normal with deviation 0.02 by default.
        name: Name of the layer, by default "embedding".

    Raises:
        DslError: The indices are no integers.
    """
    positive("embedding", "rows", count)
    positive("embedding", "features", features)
    require_tensor(indices)
    if not indices.dtype.is_int:
        raise DslError(
            "embedding looks up integers.",
            found=describe(indices),
            expected="dtype i64 or i32",
            remedy="declare the input as dsl.i64[...], or cast: ids.cast(dsl.i64)",
        )
    wide = indices if indices.dtype.name in ("i32", "i64") else indices.cast("i64")
    with layer("embedding", name):
        shape = (count, features)
        table = given_or_new(weight, "weight", shape, init or initial.normal(), "f32")
        return emit("Gather", table, wide, axis=0)


def batch_norm(
    x: Tensor, *, eps: float = 1e-5, momentum: float = 0.1, name: str | None = None
) -> Tensor:
    """Return x normalised per channel (axis 1), then scaled and shifted.

    In inference by the running statistics. In training by those of the batch, and the running
    ones move towards them: `momentum` of the batch's mean and unbiased variance, the rest of what
    was; the moved ones are outputs of the model (see `dsl.update`).

    Args:
        x: [batch, channels, ...], `channels` fixed.
        eps: Added to the variance.
        momentum: Weight of the batch in the running statistics, as in PyTorch.
        name: Name of the layer, by default "batch_norm".

    Parameters made, each [channels]: weight, bias, and the statistics running_mean, running_var.

    Raises:
        DslError: The number of channels is not fixed; in training, a channel has but one element.
    """
    channels = (fixed_size(x, 1, "batch_norm"),)
    with layer("batch_norm", name):
        weight = parameter("weight", channels, initial.ones, dtype=x.dtype)
        bias = parameter("bias", channels, initial.zeros, dtype=x.dtype)
        mean = parameter("running_mean", channels, initial.zeros, dtype=x.dtype, trainable=False)
        var = parameter("running_var", channels, initial.ones, dtype=x.dtype, trainable=False)
        if not is_training():
            return emit("BatchNormalization", x, weight, bias, mean, var, epsilon=eps, dims=x.dims)
        # Not the operator in its training mode: ONNX Runtime's kernel overwrites running_mean and
        # running_var, whoever else reads them.
        correction = _unbiased(x, "batch_norm")
        axes = [axis for axis in range(x.rank) if axis != 1]
        batch_mean = reduce_mean(x, axes, keepdims=True)
        centred = x - batch_mean
        batch_var = reduce_mean(centred * centred, axes, keepdims=True)
        update(mean, mean * (1 - momentum) + batch_mean.flatten(0) * momentum)
        update(var, var * (1 - momentum) + batch_var.flatten(0) * correction * momentum)
        per_channel = (x.shape[1], *[1] * (x.rank - 2))
        scale = weight.reshape(*per_channel) / sqrt(batch_var + eps)
        return centred * scale + bias.reshape(*per_channel)


def _unbiased(x: Tensor, kind: str) -> Any:
    """Return n / (n - 1), n the number of elements of a channel: a number, or a tensor."""
    count: Size = 1
    for axis, size in enumerate(x.shape):
        count = count if axis == 1 else count * size
    if isinstance(count, Dim):
        whole = shapes.scalar(count).cast("f32")
        return (whole / (whole - 1)).cast(x.dtype)
    if count < 2:
        raise DslError(
            f"{kind} in training needs more than one element for each channel.",
            found=describe(x),
            expected="a larger batch, or a larger image",
            remedy="leave the size of the batch open, or normalise with dsl.layer_norm",
        )
    return count / (count - 1)


def _trailing(x: Tensor, axis: int, kind: str) -> list[int]:
    return [fixed_size(x, i, kind) for i in range(axis_of(x, axis), x.rank)]


def layer_norm(
    x: Tensor, axis: int = -1, *, eps: float = 1e-5, bias: bool = True, name: str | None = None
) -> Tensor:
    """Return x with mean 0 and variance 1 over the axes from `axis` to the last, then scaled.

    Parameters made, of the shape of those axes: weight, bias.

    Raises:
        DslError: One of those sizes is not fixed.
    """
    shape = _trailing(x, axis, "layer_norm")
    with layer("layer_norm", name):
        weight = parameter("weight", shape, initial.ones, dtype=x.dtype)
        shift = parameter("bias", shape, initial.zeros, dtype=x.dtype) if bias else None
        return emit("LayerNormalization", x, weight, shift, axis=axis, epsilon=eps, dims=x.dims)


def rms_norm(x: Tensor, axis: int = -1, *, eps: float = 1e-6, name: str | None = None) -> Tensor:
    """Return x divided by its root mean square over the axes from `axis` to the last, scaled.

    Parameter made, of the shape of those axes: weight.

    Raises:
        DslError: One of those sizes is not fixed.
    """
    shape = _trailing(x, axis, "rms_norm")
    with layer("rms_norm", name):
        weight = parameter("weight", shape, initial.ones, dtype=x.dtype)
        return emit("RMSNormalization", x, weight, axis=axis, epsilon=eps, dims=x.dims)


def group_norm(x: Tensor, groups: int, *, eps: float = 1e-5, name: str | None = None) -> Tensor:
    """Return x normalised over groups of channels (axis 1) and all axes after it, then scaled.

    Parameters made, each [channels]: weight, bias.

    Raises:
        DslError: The channels are not fixed, or no multiple of `groups`.
    """
    positive("group_norm", "groups", groups)
    channels = fixed_size(x, 1, "group_norm")
    if channels % groups:
        raise DslError(
            "group_norm needs groups of equal size.",
            found=f"{channels} channels in {groups} groups, {describe(x)}",
            expected=f"a divisor of {channels}",
            remedy="choose another number of groups or of channels",
        )
    with layer("group_norm", name):
        weight = parameter("weight", (channels,), initial.ones, dtype=x.dtype)
        bias = parameter("bias", (channels,), initial.zeros, dtype=x.dtype)
        return emit(
            "GroupNormalization", x, weight, bias, num_groups=groups, epsilon=eps, dims=x.dims
        )


def instance_norm(x: Tensor, *, eps: float = 1e-5, name: str | None = None) -> Tensor:
    """Return x normalised over the axes after the channels (axis 1), each sample, then scaled.

    Parameters made, each [channels]: weight, bias.

    Raises:
        DslError: The number of channels is not fixed.
    """
    channels = (fixed_size(x, 1, "instance_norm"),)
    with layer("instance_norm", name):
        weight = parameter("weight", channels, initial.ones, dtype=x.dtype)
        bias = parameter("bias", channels, initial.zeros, dtype=x.dtype)
        return emit("InstanceNormalization", x, weight, bias, epsilon=eps, dims=x.dims)


def prelu(x: Tensor, *, name: str | None = None) -> Tensor:
    """Return x where it is positive and slope * x elsewhere, a slope for each channel (axis 1).

    Parameter made: weight [channels].

    Raises:
        DslError: The number of channels is not fixed.
    """
    channels = fixed_size(x, 1, "prelu")
    with layer("prelu", name):
        slope = parameter("weight", (channels,), initial.constant(0.25), dtype=x.dtype)
        ones: Sequence[int] = [1] * (x.rank - 2)
        return emit("PRelu", x, slope.reshape(channels, *ones), dims=x.dims)
