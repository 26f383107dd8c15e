"""Layers that slide a window over an image: convolutions and pooling, in 1, 2 or 3 dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from sardonyx.frontends.dsl import init as initial
from sardonyx.frontends.dsl.emit import emit
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.init import Initializer
from sardonyx.frontends.dsl.layers import fixed_size, positive
from sardonyx.frontends.dsl.parameters import given_or_new, parameter
from sardonyx.frontends.dsl.sliding import dims_after
from sardonyx.frontends.dsl.symbol import describe, listed, require_tensor
from sardonyx.frontends.dsl.trace import layer

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor

Window = int | Sequence[int]
"""One number for all spatial axes, or one for each."""

Padding = int | Sequence[int | tuple[int, int]] | Literal["same"]
"""Zeros around the image: for all axes, for each, (before, after) for each, or so many that the
result has the size of the image divided by the stride, rounded up."""


def conv(
    x: Tensor,
    channels: int,
    kernel: Window,
    stride: Window = 1,
    padding: Padding = 0,
    *,
    dilation: Window = 1,
    groups: int = 1,
    bias: bool = True,
    weight: Tensor | None = None,
    init: Initializer | None = None,
    name: str | None = None,
) -> Tensor:
    """Return the convolution of x with a kernel, in as many dimensions as x has after channels.

    Args:
        x: [batch, in, *image], `in` fixed.
        channels: Size of axis 1 of the result.
        kernel: Size of the window.
        stride: Step of the window.
        padding: Zeros around the image.
        dilation: Distance between the elements of the window.
        groups: Channels are cut into so many groups that do not mix.
        bias: Whether to add one.
        weight: A tensor [channels, in / groups, *kernel] to use instead of a new parameter.
        init: Initialiser of the weight; He normal by default.
        name: Name of the layer, by default "conv", "conv_1"...

    Parameters made: weight [channels, in / groups, *kernel] as in PyTorch, bias [channels].

    Raises:
        DslError: x is no image, its channels are not fixed or not divisible into the groups, or
            the window is larger than the padded image.
    """
    size = _image(x, "conv", channels, groups)
    window = each(x, kernel, "kernel")
    shape = (channels, size // groups, *window)
    attributes = _attributes(x, "conv", window, stride, padding, dilation=dilation)
    with layer("conv", name):
        w = given_or_new(weight, "weight", shape, init or initial.he_normal(), x.dtype)
        b = parameter("bias", (channels,), initial.zeros, dtype=x.dtype) if bias else None
        group = groups if groups > 1 else None
        dims = dims_after(x, channels, attributes)
        return emit("Conv", x, w, b, group=group, dims=dims, **attributes)


def conv_transpose(
    x: Tensor,
    channels: int,
    kernel: Window,
    stride: Window = 1,
    padding: int | Sequence[int | tuple[int, int]] = 0,
    *,
    output_padding: Window = 0,
    dilation: Window = 1,
    groups: int = 1,
    bias: bool = True,
    init: Initializer | None = None,
    name: str | None = None,
) -> Tensor:
    """Return the transposed convolution of x, which undoes the shape change of `conv`.

    Args:
        x: [batch, in, *image], `in` fixed.
        channels: Size of axis 1 of the result.
        kernel: Size of the window.
        stride: By how much the image grows.
        padding: What is cut off around the result.
        output_padding: What is added at the end of each axis.
        dilation: Distance between the elements of the window.
        groups: Channels are cut into so many groups that do not mix.
        bias: Whether to add one.
        init: Initialiser of the weight; He normal by default.
        name: Name of the layer, by default "conv_transpose".

    Parameters made: weight [in, channels / groups, *kernel] as in PyTorch, bias [channels].

    Raises:
        DslError: x is no image, or its channels are not fixed or not divisible into the groups.
    """
    size = _image(x, "conv_transpose", channels, groups)
    window = each(x, kernel, "kernel")
    extra = each(x, output_padding, "output_padding", least=0)
    attributes = _attributes(x, "conv_transpose", window, stride, padding, dilation=dilation)
    with layer("conv_transpose", name):
        shape = (size, channels // groups, *window)
        w = parameter("weight", shape, init or initial.he_normal(), dtype=x.dtype)
        b = parameter("bias", (channels,), initial.zeros, dtype=x.dtype) if bias else None
        more = {"output_padding": extra} if any(extra) else {}
        return emit(
            "ConvTranspose", x, w, b, group=groups if groups > 1 else None, **more, **attributes
        )


def max_pool(
    x: Tensor,
    kernel: Window,
    stride: Window | None = None,
    padding: Padding = 0,
    *,
    dilation: Window = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """Return the largest element of each window; the stride is the kernel by default.

    Raises:
        DslError: x is no image, or the window is larger than the padded image.
    """
    return _pool("MaxPool", x, kernel, stride, padding, dilation=dilation, ceil_mode=ceil_mode)


def avg_pool(
    x: Tensor,
    kernel: Window,
    stride: Window | None = None,
    padding: Padding = 0,
    *,
    ceil_mode: bool = False,
    count_padding: bool = True,
) -> Tensor:
    """Return the mean of each window; the stride is the kernel by default.

    Zeros of the padding count as elements, as in PyTorch, unless `count_padding` is False.

    Raises:
        DslError: x is no image, or the window is larger than the padded image.
    """
    counts = {"count_include_pad": 1} if count_padding and padding != 0 else {}
    return _pool("AveragePool", x, kernel, stride, padding, ceil_mode=ceil_mode, **counts)


def global_avg_pool(x: Tensor) -> Tensor:
    """Return the mean of each channel: [batch, channels, *image] to [batch, channels, 1, ...].

    Raises:
        DslError: x is no image.
    """
    return _global("GlobalAveragePool", x)


def global_max_pool(x: Tensor) -> Tensor:
    """Return the maximum of each channel: [batch, channels, *image] to [batch, channels, 1, ...].

    Raises:
        DslError: x is no image.
    """
    return _global("GlobalMaxPool", x)


def resize(
    x: Tensor,
    scale: float | Sequence[float] | None = None,
    mode: Literal["nearest", "linear", "cubic"] = "nearest",
    *,
    size: int | Sequence[int] | None = None,
    antialias: bool = False,
) -> Tensor:
    """Return an image of another size on its spatial axes.

    Pixels are areas (half-pixel coordinates, as PyTorch with align_corners=False); "nearest"
    repeats pixels, rounding down.

    Args:
        x: [batch, channels, *image].
        scale: How many times as large: one factor, or one for each axis of the image.
        mode: How pixels between pixels are made.
        size: In the place of `scale`, the sizes of the result: one int for all, or one for each.
        antialias: Whether a smaller image is made of all pixels ("linear" and "cubic").

    Raises:
        DslError: x is no image, not one of `scale` and `size` is given, or there is not one for
            each of its axes.
    """
    spatial = spatial_axes(x, "resize")
    if (scale is None) == (size is None):
        raise DslError(
            "resize needs either a scale or a size.",
            found=f"scale={scale!r}, size={size!r} for {describe(x)}",
            expected="resize(x, 2), or resize(x, size=(224, 224))",
        )
    given = listed(scale if size is None else size)
    each = [float(str(n)) for n in given] * (spatial if len(given) == 1 else 1)
    if len(each) != spatial:
        raise DslError(
            "resize needs one factor or size for each axis of the image.",
            found=f"{scale if size is None else size!r} for {describe(x)}",
            expected=f"one number, or {spatial}",
            remedy="batch and channels do not count",
        )
    how: dict[str, Any]
    if mode == "nearest":
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    else:
        how = {"coordinate_transformation_mode": "half_pixel"}
    if mode == "cubic":
        how["cubic_coeff_a"] = -0.75
    if antialias:
        # As PyTorch: what is outside of the image has no weight.
        how |= {"antialias": 1, "exclude_outside": 1}
    if size is None:
        return emit("Resize", x, None, [1.0, 1.0, *each], mode=mode, **how)
    sides = [int(n) for n in each]
    how["axes"] = list(range(2, x.rank))
    return emit("Resize", x, None, None, sides, mode=mode, dims=[*x.dims[:2], *sides], **how)


def _global(op_type: str, x: Tensor) -> Tensor:
    spatial = spatial_axes(x, op_type)
    return emit(op_type, x, dims=[*x.dims[:2], *[1] * spatial])


def _pool(
    op_type: str,
    x: Tensor,
    kernel: Window,
    stride: Window | None,
    padding: Padding,
    *,
    dilation: Window = 1,
    ceil_mode: bool,
    **more: Any,
) -> Tensor:
    spatial_axes(x, op_type)
    window = each(x, kernel, "kernel")
    step = window if stride is None else stride
    attributes = _attributes(x, op_type, window, step, padding, dilation=dilation)
    if ceil_mode:
        return emit(op_type, x, ceil_mode=1, **attributes, **more)
    return emit(op_type, x, dims=dims_after(x, x.dims[1], attributes), **attributes, **more)


def spatial_axes(x: Tensor, kind: str) -> int:
    """Return how many spatial axes x has.

    Raises:
        DslError: x is no image.
    """
    require_tensor(x)
    if x.rank not in (3, 4, 5):
        raise DslError(
            f"{kind} needs an image.",
            found=describe(x),
            expected="[batch, channels, width], [..., height, width], [..., depth, height, width]",
            remedy="insert the missing axis, for example the channels: x[:, None]",
        )
    return x.rank - 2


def _image(x: Tensor, kind: str, channels: int, groups: int) -> int:
    """Return the channels of an image that enters a convolution."""
    spatial_axes(x, kind)
    positive(kind, "channels", channels)
    positive(kind, "groups", groups)
    size = fixed_size(x, 1, kind)
    if size % groups or channels % groups:
        raise DslError(
            f"{kind} cannot cut these channels into {groups} groups.",
            found=f"{size} channels in {describe(x)}, {channels} channels out",
            expected=f"multiples of {groups}",
            remedy="choose another number of channels or of groups",
        )
    return size


def each(x: Tensor, window: Window, what: str, least: int = 1) -> list[int]:
    """Return one number for each spatial axis.

    Raises:
        DslError: There are more or fewer, or one is too small.
    """
    spatial = x.rank - 2
    numbers = list(window) if isinstance(window, (list, tuple)) else [window] * spatial
    if len(numbers) != spatial or not all(isinstance(n, int) and n >= least for n in numbers):
        raise DslError(
            f"The {what} does not fit the image.",
            found=f"{window!r} for {describe(x)}",
            expected=f"an int of {least} or more, or {spatial} of them",
            remedy="give one number for all axes of the image, or one for each",
        )
    return [int(str(n)) for n in numbers]


def _attributes(
    x: Tensor,
    kind: str,
    window: list[int],
    stride: Window,
    padding: Padding,
    *,
    dilation: Window,
) -> dict[str, Any]:
    steps = each(x, stride, "stride")
    apart = each(x, dilation, "dilation")
    found: dict[str, Any] = {"kernel_shape": window}
    if any(n != 1 for n in steps):
        found["strides"] = steps
    if any(n != 1 for n in apart):
        found["dilations"] = apart
    if padding == "same":
        return {**found, "auto_pad": "SAME_UPPER"}
    pairs = _pairs(x, padding)
    if any(n for pair in pairs for n in pair):
        found["pads"] = [a for a, _ in pairs] + [b for _, b in pairs]
    if kind != "conv_transpose":
        _refuse_large_window(x, kind, window, apart, pairs)
    return found


def _pairs(x: Tensor, padding: Any) -> list[tuple[int, int]]:
    spatial = x.rank - 2
    given = list(padding) if isinstance(padding, (list, tuple)) else [padding] * spatial
    pairs = [tuple(p) if isinstance(p, (list, tuple)) else (p, p) for p in given]
    is_right = len(pairs) == spatial and all(
        len(p) == 2 and all(isinstance(n, int) and n >= 0 for n in p) for p in pairs
    )
    if not is_right:
        raise DslError(
            "The padding does not fit the image.",
            found=f"{padding!r} for {describe(x)}",
            expected=f'an int, {spatial} ints, {spatial} pairs (before, after), or "same"',
            remedy=f"write padding={[(0, 1)] * spatial} to pad after each axis only",
        )
    return [(a, b) for a, b in pairs]


def _refuse_large_window(
    x: Tensor, kind: str, window: list[int], apart: list[int], pairs: list[tuple[int, int]]
) -> None:
    for size, k, d, (a, b) in zip(x.dims[2:], window, apart, pairs, strict=True):
        if isinstance(size, int) and size + a + b < (k - 1) * d + 1:
            raise DslError(
                f"The window of {kind} is larger than the image.",
                found=f"a window of {(k - 1) * d + 1} over {size + a + b} elements, {describe(x)}",
                expected="a window that fits at least once",
                remedy="use a smaller kernel or more padding, or pool less before",
            )
