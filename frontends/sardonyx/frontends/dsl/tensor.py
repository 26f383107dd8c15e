"""The symbolic tensor: what a model's function computes with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from sardonyx.frontends.dsl import arithmetic, elementwise, indexing, reshaping, shapes
from sardonyx.frontends.dsl.arithmetic import Operand
from sardonyx.frontends.dsl.dims import Size, SizeLike
from sardonyx.frontends.dsl.dtypes import DTypeLike
from sardonyx.frontends.dsl.elementwise import Axes
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.foreign import Foreign, unknown
from sardonyx.frontends.dsl.symbol import Symbol, describe


class Tensor(Foreign, Symbol):
    """A tensor of the model that is being built; it has a type, but no numbers yet.

    Operators broadcast as numpy's. A Python number takes the dtype of the tensor; tensors of
    two dtypes do not mix. `==` compares elements, so `if x == y` is an error: see `dsl.cond`.
    """

    __slots__ = ()
    __hash__ = object.__hash__

    @property
    def shape(self) -> tuple[Size, ...]:
        """The sizes: ints, and `Dim` where they are known only when the model runs."""
        return tuple(shapes.of(self, axis) for axis in range(self.rank))

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.rank

    @property
    def T(self) -> Tensor:
        """The tensor with its axes in reverse order."""
        return reshaping.permute(self, *reversed(range(self.rank)))

    def __add__(self, other: Operand) -> Tensor:
        return arithmetic.add(self, other)

    def __radd__(self, other: Operand) -> Tensor:
        return arithmetic.add(other, self)

    def __sub__(self, other: Operand) -> Tensor:
        return arithmetic.sub(self, other)

    def __rsub__(self, other: Operand) -> Tensor:
        return arithmetic.sub(other, self)

    def __mul__(self, other: Operand) -> Tensor:
        return arithmetic.mul(self, other)

    def __rmul__(self, other: Operand) -> Tensor:
        return arithmetic.mul(other, self)

    def __truediv__(self, other: Operand) -> Tensor:
        return arithmetic.divide(self, other)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return arithmetic.divide(other, self)

    def __floordiv__(self, other: Operand) -> Tensor:
        return arithmetic.floor_divide(self, other)

    def __rfloordiv__(self, other: Operand) -> Tensor:
        return arithmetic.floor_divide(other, self)

    def __mod__(self, other: Operand) -> Tensor:
        return arithmetic.mod(self, other)

    def __rmod__(self, other: Operand) -> Tensor:
        return arithmetic.mod(other, self)

    def __pow__(self, other: Operand) -> Tensor:
        return arithmetic.power(self, other)

    def __rpow__(self, other: Operand) -> Tensor:
        return arithmetic.power(other, self)

    def __matmul__(self, other: Operand) -> Tensor:
        return arithmetic.matmul(self, other)

    def __rmatmul__(self, other: Operand) -> Tensor:
        return arithmetic.matmul(other, self)

    def __and__(self, other: Operand) -> Tensor:
        return arithmetic.both(self, other)

    __rand__ = __and__

    def __or__(self, other: Operand) -> Tensor:
        return arithmetic.either(self, other)

    __ror__ = __or__

    def __xor__(self, other: Operand) -> Tensor:
        return arithmetic.one_of(self, other)

    __rxor__ = __xor__

    def __lshift__(self, other: Operand) -> Tensor:
        return arithmetic.shift(self, other, left=True)

    def __rshift__(self, other: Operand) -> Tensor:
        return arithmetic.shift(self, other, left=False)

    def __divmod__(self, other: Operand) -> tuple[Tensor, Tensor]:
        return arithmetic.floor_divide(self, other), arithmetic.mod(self, other)

    def __invert__(self) -> Tensor:
        return arithmetic.invert(self)

    def __neg__(self) -> Tensor:
        return elementwise.negative(self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return elementwise.absolute(self)

    def __eq__(self, other: Operand) -> Tensor:  # type: ignore[override]
        return arithmetic.equal(self, other)

    def __ne__(self, other: Operand) -> Tensor:  # type: ignore[override]
        return arithmetic.not_equal(self, other)

    def __lt__(self, other: Operand) -> Tensor:
        return arithmetic.less(self, other)

    def __le__(self, other: Operand) -> Tensor:
        return arithmetic.less_equal(self, other)

    def __gt__(self, other: Operand) -> Tensor:
        return arithmetic.greater(self, other)

    def __ge__(self, other: Operand) -> Tensor:
        return arithmetic.greater_equal(self, other)

    def __getitem__(self, key: Any) -> Tensor:
        return indexing.index(self, key)

    def __len__(self) -> int:
        return self._fixed_length("len() needs a fixed size.")

    def __iter__(self) -> Iterator[Tensor]:
        length = self._fixed_length("A loop of Python needs a fixed size.")
        return (self[i] for i in range(length))

    def __bool__(self) -> bool:
        raise self._refusal("Python cannot decide this while the model is being built.")

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise DslError(
            "A tensor does not change.",
            found=f"an assignment to a part of {describe(self)}",
            expected="a new tensor",
            remedy="make a new one: dsl.where, dsl.concat, dsl.op.ScatterND",
        )

    def __delitem__(self, key: Any) -> NoReturn:
        self[key] = None

    def __getattr__(self, name: str) -> NoReturn:
        raise unknown("tensor", name)

    def reshape(self, *shape: SizeLike | Sequence[SizeLike]) -> Tensor:
        """See `dsl.reshape`."""
        return reshaping.reshape(self, *shape)

    def permute(self, *axes: int | Sequence[int]) -> Tensor:
        """See `dsl.permute`."""
        return reshaping.permute(self, *axes)

    def transpose(self, first: int = -1, second: int = -2) -> Tensor:
        """See `dsl.transpose`."""
        return reshaping.transpose(self, first, second)

    def flatten(self, start: int = 1, end: int = -1) -> Tensor:
        """See `dsl.flatten`."""
        return reshaping.flatten(self, start, end)

    def squeeze(self, axes: int | Sequence[int]) -> Tensor:
        """See `dsl.squeeze`."""
        return reshaping.squeeze(self, axes)

    def unsqueeze(self, axes: int | Sequence[int]) -> Tensor:
        """See `dsl.unsqueeze`."""
        return reshaping.unsqueeze(self, axes)

    def expand(self, *shape: SizeLike | Sequence[SizeLike]) -> Tensor:
        """See `dsl.expand`."""
        return reshaping.expand(self, *shape)

    def cast(self, dtype: DTypeLike) -> Tensor:
        """See `dsl.cast`."""
        return reshaping.cast(self, dtype)

    astype = cast

    def sum(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """See `dsl.sum`."""
        return elementwise.sum_(self, axis, keepdims)

    def mean(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """See `dsl.mean`."""
        return elementwise.mean(self, axis, keepdims)

    def max(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """See `dsl.max`."""
        return elementwise.max_(self, axis, keepdims)

    def min(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """See `dsl.min`."""
        return elementwise.min_(self, axis, keepdims)

    def var(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """See `dsl.var`."""
        return elementwise.var(self, axis, keepdims)

    def std(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """See `dsl.std`."""
        return elementwise.std(self, axis, keepdims)

    def prod(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """See `dsl.prod`."""
        return elementwise.prod(self, axis, keepdims)

    def any(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """See `dsl.any`."""
        return elementwise.any_(self, axis, keepdims)

    def all(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """See `dsl.all`."""
        return elementwise.all_(self, axis, keepdims)

    def argmax(self, axis: int = -1, keepdims: bool = False) -> Tensor:
        """See `dsl.argmax`."""
        return elementwise.argmax(self, axis, keepdims)

    def argmin(self, axis: int = -1, keepdims: bool = False) -> Tensor:
        """See `dsl.argmin`."""
        return elementwise.argmin(self, axis, keepdims)

    def clip(self, low: float | None = None, high: float | None = None) -> Tensor:
        """See `dsl.clip`."""
        return elementwise.clip(self, low, high)

    def cumsum(self, axis: int = -1) -> Tensor:
        """See `dsl.cumsum`."""
        return elementwise.cumsum(self, axis)

    def _fixed_length(self, what: str) -> int:
        if self.rank and isinstance(self.dims[0], int):
            return self.dims[0]
        raise DslError(
            what,
            found=f"{describe(self)}: "
            + ("its first size is known only when the model runs" if self.rank else "a scalar"),
            expected="a tensor whose first size is a number",
            remedy="use x.shape[0] as a size, or dsl.scan and dsl.loop to go along it",
        )

    def _refusal(self, what: str) -> DslError:
        return DslError(
            what,
            found=describe(self),
            expected="a Python value",
            remedy="compute with functions of dsl (dsl.sqrt, not math.sqrt), choose with "
            "dsl.where(condition, a, b), branch with dsl.cond, repeat with dsl.loop; to ask for "
            "identity write `x is y`",
        )
