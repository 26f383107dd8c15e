"""Images sampled at places that the model computes: affine grids and what is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from sardonyx.frontends.dsl import shapes
from sardonyx.frontends.dsl.dims import Size
from sardonyx.frontends.dsl.emit import emit
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.symbol import describe, describe_all, require_tensor

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


def affine_grid(matrix: Tensor, size: Sequence[Size], *, align_corners: bool = False) -> Tensor:
    """Return where each pixel of a result comes from, for `grid_sample`: [batch, *size, axes].

    Args:
        matrix: [batch, 2, 3], or [batch, 3, 4] for volumes: applied to the place of a pixel, x
            before y, from -1 to 1 over the image.
        size: Of the result: height and width, before them the depth of a volume.
        align_corners: Whether -1 and 1 are the middles of the outermost pixels, and not their
            outer edges.

    Raises:
        DslError: The matrix or the size is not of an image or a volume.
    """
    require_tensor(matrix)
    axes = len(size)
    if axes not in (2, 3) or matrix.rank != 3 or list(matrix.dims[1:]) != [axes, axes + 1]:
        raise DslError(
            "affine_grid needs a matrix for each sample, and a size.",
            found=f"{describe(matrix)}, size of {axes} axes",
            expected="[batch, 2, 3] and (height, width), or [batch, 3, 4] and (depth, ...)",
        )
    whole = [matrix.shape[0], 1, *size]
    raw = [shapes.raw(side) for side in size]
    dims = None if None in raw else [matrix.dims[0], *(d for d in raw if d is not None), axes]
    align = {"align_corners": 1} if align_corners else {}
    return emit("AffineGrid", matrix, shapes.vector(whole), dims=dims, **align)


def grid_sample(
    x: Tensor,
    grid: Tensor,
    mode: Literal["linear", "nearest", "cubic"] = "linear",
    padding: Literal["zeros", "border", "reflection"] = "zeros",
    *,
    align_corners: bool = False,
) -> Tensor:
    """Return what x has at the places of a grid: [batch, channels, *the sizes of the grid].

    Args:
        x: [batch, channels, height, width] or [batch, channels, depth, height, width].
        grid: [batch, *sizes, axes], x before y, from -1 to 1 over the image.
        mode: How pixels between pixels are made.
        padding: What is outside of the image.
        align_corners: As of `affine_grid`.

    Raises:
        DslError: The grid is not one of places in such an image.
    """
    require_tensor(x, grid)
    if x.rank not in (4, 5) or grid.rank != x.rank or grid.dims[-1] != x.rank - 2:
        raise DslError(
            "grid_sample needs an image and places in it.",
            found=describe_all(x, grid),
            expected="[b, c, height, width] and [b, h, w, 2], or with depth and [b, d, h, w, 3]",
            remedy="make the grid with dsl.affine_grid, or stack x and y along the last axis",
        )
    align = {"align_corners": 1} if align_corners else {}
    dims = [*x.dims[:2], *grid.dims[1:-1]]
    return emit("GridSample", x, grid, mode=mode, padding_mode=padding, dims=dims, **align)
