"""Sequences of tensors: what ONNX has beside tensors for lists whose length changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from sardonyx.frontends.dsl.bodies import body
from sardonyx.frontends.dsl.dtypes import DTypeLike, spec_of, to_dtype
from sardonyx.frontends.dsl.emit import emit, emit_all
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.reshaping import axis_of
from sardonyx.frontends.dsl.symbol import Symbol, describe, require_tensor
from sardonyx.frontends.dsl.trace import current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


class Sequence(Symbol):
    """A list of tensors of one dtype; nothing changes it, `append` returns another one."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __getitem__(self, index: int | Tensor) -> Tensor:
        """Return the element at an index; negative ones count from the end."""
        _require_index(self, index)
        return emit("SequenceAt", self, index)

    def length(self) -> Tensor:
        """Return how many elements there are, an i64 scalar."""
        return emit("SequenceLength", self)

    def append(self, x: Tensor) -> Sequence:
        """Return the sequence with one more element at its end.

        Raises:
            DslError: The dtype is another one.
        """
        _require_same_dtype(self, x)
        made: Any = emit("SequenceInsert", self, x)
        return _typed(made, self, x)

    def insert(self, index: int | Tensor, x: Tensor) -> Sequence:
        """Return the sequence with one more element at an index.

        Raises:
            DslError: The dtype is another one, or the index is no integer scalar.
        """
        _require_same_dtype(self, x)
        _require_index(self, index)
        made: Any = emit("SequenceInsert", self, x, index)
        return _typed(made, self, x)

    def erase(self, index: int | Tensor = -1) -> Sequence:
        """Return the sequence without the element at an index.

        Raises:
            DslError: The index is no integer scalar.
        """
        _require_index(self, index)
        made: Any = emit("SequenceErase", self, index)
        return _typed(made, self)

    def concat(self, axis: int) -> Tensor:
        """Return all elements joined along an axis that they have."""
        return emit("ConcatFromSequence", self, axis=axis)

    def stack(self, axis: int = 0) -> Tensor:
        """Return all elements, of one shape, joined along a new axis."""
        return emit("ConcatFromSequence", self, axis=axis, new_axis=1)

    def map(self, function: Callable[..., Any], *others: Symbol) -> Any:
        """Return what `function(element, *others)` gives for each element: sequences.

        Args:
            function: Takes the element, and an element of each other sequence, or the same tensor
                each time. It may read tensors of the surrounding function.
            others: Sequences of the same length, and tensors.

        Raises:
            DslError: The function returns no tensor.
        """
        types = [_element_of(x) for x in (self, *others)]
        graph = body(function, *types)
        made = emit_all("SequenceMap", self, *others, body=graph, outputs=len(graph.outputs))
        for output, inner in zip(made, graph.outputs, strict=True):
            assert inner.dtype is not None
            output.value.type = ir.SequenceType(ir.TensorType(inner.dtype))
        found: list[Any] = [Sequence(x.value, x.block) for x in made]
        return found[0] if len(found) == 1 else tuple(found)

    def __len__(self) -> int:
        raise self._refusal("Python needs a number here.")

    def __iter__(self) -> Iterator[Tensor]:
        raise self._refusal("A loop of Python needs a fixed length.")

    def _refusal(self, what: str) -> DslError:
        return DslError(
            what,
            found=f"{describe(self)}, whose length is known only when the model runs",
            expected="a tensor of fixed size",
            remedy="use sequence.length(), sequence.map(...), or dsl.loop and sequence[i]",
        )


def sequence_of(*tensors: Tensor) -> Sequence:
    """Return a sequence of tensors of one dtype.

    Raises:
        DslError: There is none, or the dtypes differ.
    """
    if not tensors:
        raise DslError(
            "sequence_of needs a tensor, whose dtype is that of the sequence.",
            found="no arguments",
            expected="dsl.sequence_of(x, y)",
            remedy="start with dsl.empty_sequence(dsl.f32)",
        )
    require_tensor(*tensors)
    made: Any = emit("SequenceConstruct", *tensors)
    return _typed(made, *tensors)


def empty_sequence(dtype: DTypeLike) -> Sequence:
    """Return a sequence without elements.

    Raises:
        DslError: There is no such dtype.
    """
    code = to_dtype(dtype).code
    made: Any = emit("SequenceEmpty", dtype=code.value)
    made.value.type = ir.SequenceType(ir.TensorType(code))
    return Sequence(made.value, made.block)


def split_to_sequence(x: Tensor, size: int | Tensor = 1, axis: int = 0) -> Sequence:
    """Return pieces of `size` elements along an axis; the last one may be smaller.

    Raises:
        DslError: The tensor has no such axis.
    """
    where = axis_of(x, axis)
    made: Any = emit("SplitToSequence", x, size, axis=where)
    result = _typed(made, x)
    dims = list(x.dims)
    whole = dims[where]
    is_even = isinstance(size, int) and isinstance(whole, int) and whole % size == 0
    dims[where] = size if is_even and isinstance(size, int) else current().types.new_symbol()
    result.value.shape = ir.Shape(dims)
    return result


def _typed(made: Tensor, *like: Symbol) -> Sequence:
    """Return a value as the sequence it is; its elements have no shape that is known."""
    dtype = like[0].value.dtype
    assert dtype is not None
    made.value.type = ir.SequenceType(ir.TensorType(dtype))
    shapes = {str(x.value.shape) for x in like}
    made.value.shape = like[0].value.shape if len(shapes) == 1 else None
    return Sequence(made.value, made.block)


def _element_of(x: Symbol) -> Any:
    spec = spec_of(x.value)
    return type(spec)(spec.dtype, spec.dims)


def _require_same_dtype(sequence: Sequence, x: object) -> None:
    require_tensor(x)
    if isinstance(x, Symbol) and x.dtype != sequence.dtype:
        raise DslError(
            "A sequence holds tensors of one dtype.",
            found=f"{describe(x)} for {describe(sequence)}",
            expected=f"dtype {sequence.dtype}",
            remedy=f"convert it: x.cast(dsl.{sequence.dtype})",
        )


def _require_index(x: Sequence, index: object) -> None:
    is_number = isinstance(index, int) and not isinstance(index, bool)
    is_scalar = isinstance(index, Symbol) and index.dtype.is_int and index.rank == 0
    if not is_number and not is_scalar:
        raise DslError(
            "An element of a sequence has an integer for its index.",
            found=f"{describe(index)} as an index of {describe(x)}",
            expected="an int, or an integer scalar tensor",
            remedy="take one element of a tensor: n[0]",
        )
