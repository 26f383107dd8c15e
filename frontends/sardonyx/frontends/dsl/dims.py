"""The sizes of a tensor as the user sees them: ints, and `Dim` for those known only at run time."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from sardonyx.frontends.dsl import sizes
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.foreign import Foreign
from sardonyx.frontends.dsl.symbol import Symbol

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor

Compute = Callable[[], "Tensor"]


class Dim(Foreign):
    """A size that is known only when the model runs: `x.shape[0]`.

    It adds, subtracts, multiplies and divides (`//`, `%`) with ints and other Dims, and may
    stand wherever a size or a number may: `x.reshape(x.shape[0] * 2, -1)`, `x / x.shape[1]`.

    Attributes:
        size: The symbolic expression.
    """

    __slots__ = ("_compute", "size")

    def __init__(self, size: ir.SymbolicDim, compute: Compute) -> None:
        self.size = size
        self._compute = compute

    def compute(self) -> Tensor:
        """Make the nodes that compute it; an i64 tensor of one element."""
        return self._compute()

    def __add__(self, other: int | Dim) -> int | Dim:
        return _combine(operator.add, self, other, lambda a, b: a + b)

    def __radd__(self, other: int) -> int | Dim:
        return self + other

    def __sub__(self, other: int | Dim) -> int | Dim:
        return _combine(operator.sub, self, other, lambda a, b: a - b)

    def __rsub__(self, other: int) -> int | Dim:
        return _combine(operator.sub, other, self, lambda a, b: a - b)

    def __mul__(self, other: int | Dim) -> int | Dim:
        return _combine(operator.mul, self, other, lambda a, b: a * b)

    def __rmul__(self, other: int) -> int | Dim:
        return self * other

    def __floordiv__(self, other: int | Dim) -> int | Dim:
        return _combine(operator.floordiv, self, other, lambda a, b: a // b)

    def __rfloordiv__(self, other: int) -> int | Dim:
        return _combine(operator.floordiv, other, self, lambda a, b: ir.SymbolicDim(f"{a}//({b})"))

    def __mod__(self, other: int | Dim) -> int | Dim:
        return _combine(operator.mod, self, other, lambda a, b: a % b)

    def __neg__(self) -> int | Dim:
        return self * -1

    def __eq__(self, other: object) -> bool:
        """Say whether the two are known to be equal, whatever the model is run with."""
        return isinstance(other, Dim) and sizes.same(self.size, other.size)

    def __hash__(self) -> int:
        return hash(self.size)

    def __str__(self) -> str:
        return str(self.size)

    def __repr__(self) -> str:
        return f"Dim({self.size})"

    def _refusal(self, what: str) -> DslError:
        return DslError(
            what,
            found=f"the size {str(self)!r}, known only when the model runs",
            expected="a size that is fixed in the types of the inputs",
            remedy="fix it, as in dsl.f32[8, 3]; or compute with tensors: dsl.arange, dsl.where, "
            "dsl.cond, dsl.loop",
        )

    def __bool__(self) -> bool:
        raise self._refusal("Python cannot decide this while the model is being built.")

    def __lt__(self, other: object) -> bool:
        raise self._refusal("Python cannot compare this while the model is being built.")

    __gt__ = __le__ = __ge__ = __lt__

    def __truediv__(self, other: object) -> int | Dim:
        raise DslError(
            "A size divided with / is no size.",
            found=f"{self} / {other}",
            expected="a whole number",
            remedy="use //",
        )


Size = int | Dim
"""A size as the user sees it."""

SizeLike = int | Dim | str | Symbol
"""What may stand for a size: an int, a Dim, the name of a symbolic size, a scalar tensor."""


def _combine(
    function: Callable[[Any, Any], Any],
    a: Size,
    b: Size,
    symbolic: Callable[[Any, Any], Any],
) -> int | Dim:
    for item in (a, b):
        if not isinstance(item, (int, np.integer, Dim)) or isinstance(item, bool):
            return NotImplemented  # type: ignore[no-any-return]
    size = sizes.plain(symbolic(*(d.size if isinstance(d, Dim) else int(d) for d in (a, b))))
    if isinstance(size, int):
        return size

    def compute() -> Any:
        left, right = (d.compute() if isinstance(d, Dim) else int(d) for d in (a, b))
        return function(left, right)

    return Dim(size, compute)
