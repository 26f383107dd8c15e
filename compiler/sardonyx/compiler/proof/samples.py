"""Makes inputs that a model accepts, from their types and from what the graph does with them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.ir.constants import Array

_PASSED_ON = frozenset(
    {
        *("Cast", "Concat", "Expand", "Identity", "Reshape", "Slice", "Squeeze"),
        *("Transpose", "Unsqueeze", "Flatten", "Tile"),
    }
)
"""Operators whose output holds the elements of their first operand."""

_INDEX_OPERAND = {"Gather": 1, "GatherElements": 1, "GatherND": 1, "OneHot": 0}
_COUNT_OPERAND = {
    "ConstantOfShape": 0,
    "Expand": 1,
    "Loop": 0,
    "Range": 1,
    "Reshape": 1,
    "Resize": 3,
    "Tile": 1,
    "TopK": 1,
}
"""Operands that say how many elements there are, or how often something is done."""

_LOGICAL = frozenset({"And", "Or", "Not", "Xor", "Where"})
_MOST_ID = 8
"""Integers of which nothing is known stay below it."""

_MOST_ELEMENTS = 1 << 25
"""Elements of all inputs; for larger ones, samples have to be given."""

SIZES = ((2, 5, 7, 11), (1, 8, 3, 9), (2, 32, 16, 48), (1, 64, 64, 64), (1, 224, 224, 224))
"""Lengths of symbolic dims to try, in order of their first appearance; small and unequal first."""


def generate(
    model: ir.Model,
    sizes: tuple[int, ...],
    seed: int = 0,
    lengths: Mapping[str, int] | None = None,
) -> dict[str, Array]:
    """Return a value for each input that needs one.

    Integers that index a table stay within its rows, those that count are at least 1, those that
    become conditions are 0 and 1;
    floating-point numbers are normal. What is called a mask is 0 and 1, the first along its last
    axis 1, so that no sequence is empty.

    Args:
        model: The model, its types inferred.
        sizes: Lengths of its symbolic dims, used in turn.
        seed: Of the random numbers.
        lengths: Lengths of some of them, by name.

    Raises:
        UnsupportedError: An input is no tensor, its rank is not known, or the inputs are
            too large.
    """
    rng = np.random.default_rng(seed)
    known = _Lengths(sizes, lengths or {})
    inputs = [v for v in model.graph.inputs if not v.is_initializer()]
    shapes = [known.shape(value) for value in inputs]
    elements = sum(map(math.prod, shapes))
    if elements > _MOST_ELEMENTS:
        raise UnsupportedError(
            "The inputs are too large to make samples of.",
            found=f"{elements} elements",
            expected=f"at most {_MOST_ELEMENTS}",
            remedy="give samples of your own",
        )
    return {
        str(value.name): _sample(value, shape, rng)
        for value, shape in zip(inputs, shapes, strict=True)
    }


def symbols_of(dim: ir.SymbolicDim) -> list[str]:
    """Return the names in a symbolic dim: those of an expression, or its own."""
    try:
        found = sorted(dim.free_symbols())
    except Exception:  # A name that is no expression.
        found = []
    return found or [str(dim.value)]


class _Lengths:
    """Gives each symbol one length, and an expression of symbols its value."""

    def __init__(self, sizes: tuple[int, ...], known: Mapping[str, int]) -> None:
        self._sizes = sizes
        self._known = dict(known)

    def shape(self, value: ir.Value) -> tuple[int, ...]:
        if not isinstance(value.type, ir.TensorType) or value.shape is None:
            raise UnsupportedError(
                "No sample can be made for an input.",
                where=f"input {value.name!r}",
                found=str(value.type or "a value of unknown type"),
                expected="a tensor of known rank",
                remedy="give samples of your own",
            )
        return tuple(d if isinstance(d, int) else self._length(d) for d in value.shape)

    def _length(self, dim: ir.SymbolicDim) -> int:
        symbols = symbols_of(dim)
        if symbols == [str(dim.value)]:
            return self._symbol(symbols[0])
        found = dim.evaluate({name: self._symbol(name) for name in symbols})
        return max(1, found) if isinstance(found, int) else self._symbol(str(dim.value))

    def _symbol(self, name: str) -> int:
        return self._known.setdefault(name, self._sizes[len(self._known) % len(self._sizes)])


def _sample(value: ir.Value, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    dtype = value.dtype
    if dtype is None:
        raise UnsupportedError("An input has no dtype.", where=f"input {value.name!r}")
    if dtype == ir.DataType.STRING:
        return rng.choice(np.array(["", "a", "some text"], object), shape)
    if dtype == ir.DataType.BOOL or "mask" in str(value.name).lower():
        return _mask(shape, rng).astype(held(dtype))
    if not dtype.is_integer():
        return np.asarray(rng.standard_normal(shape)).astype(held(dtype))
    limits = list(_limits(value, set()))
    most = max(1, min((most for _, most in limits if most is not None), default=_MOST_ID))
    least = min(max((least for least, _ in limits), default=0), most - 1)
    return np.asarray(rng.integers(least, most, shape)).astype(held(dtype))


def held(dtype: ir.DataType) -> np.dtype[np.generic]:
    """The dtype that stands for it where numpy has none: float32, or int8."""
    if dtype in {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16}:
        return dtype.numpy()
    if dtype.is_floating_point():
        return np.dtype(np.float32)
    return dtype.numpy() if dtype.bitwidth >= 8 else np.dtype(np.int8)


def _mask(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    made = np.asarray(rng.random(shape) < 0.7)
    if shape:
        made[..., :1] = True
    return made


def _limits(value: ir.Value, seen: set[ir.Value]) -> Iterator[tuple[int, int | None]]:
    """Yield what the elements of an integer must not be below, and have to stay below, if known."""
    if value in seen:
        return
    seen.add(value)
    for user, index in value.uses():
        if user.op_type in _LOGICAL or (user.op_type == "Cast" and _to_bool(user)):
            yield 0, 2
        elif _INDEX_OPERAND.get(user.op_type) == index:
            yield 0, _rows(user)
        elif _COUNT_OPERAND.get(user.op_type) == index:
            yield 1, None
        elif user.op_type in _PASSED_ON and (index == 0 or user.op_type == "Concat"):
            for output in user.outputs:
                yield from _limits(output, seen)


def _to_bool(node: ir.Node) -> bool:
    to = node.attributes.get("to")
    return to is not None and to.value == int(ir.DataType.BOOL)


def _rows(node: ir.Node) -> int | None:
    """Return how many rows a table has that an operator takes from; None where nobody knows."""
    if node.op_type == "OneHot":
        depth = node.inputs[1].const_value if node.inputs[1] is not None else None
        return int(depth.numpy().reshape(-1)[0]) if depth is not None and depth.size else None
    data = node.inputs[0]
    axis = node.attributes.get_int("axis", 0)
    if data is None or data.shape is None or not len(data.shape):
        return None
    if not -len(data.shape) <= axis < len(data.shape):
        return None
    length = data.shape[axis]
    return length if isinstance(length, int) else None


def checked(given: Mapping[str, object], model: ir.Model, number: int) -> dict[str, Array]:
    """Return a user's sample as arrays, and what the model says of it.

    Raises:
        UnsupportedError: It does not fit the inputs of the model.
    """
    wanted = {str(v.name): v for v in model.graph.inputs if not v.is_initializer()}
    where = f"sample {number}"
    if set(given) != set(wanted):
        raise UnsupportedError(
            "A sample does not name the inputs of the model.",
            where=where,
            found=", ".join(sorted(given)) or "none",
            expected=", ".join(wanted) or "none",
        )
    arrays = {name: np.asarray(given[name]) for name in wanted}
    for name, value in wanted.items():
        _check(arrays[name], value, f"{where}, input {name!r}")
    return arrays


def _check(array: Array, value: ir.Value, where: str) -> None:
    dtype, shape = value.dtype, value.shape
    found = f"{array.dtype}{list(array.shape)}"
    if dtype is not None and dtype != ir.DataType.STRING and array.dtype != held(dtype):
        raise UnsupportedError(
            "A sample has another dtype than the input.",
            where=where,
            found=found,
            expected=str(held(dtype)),
        )
    if shape is None:
        return
    fits = len(shape) == array.ndim and all(
        not isinstance(dim, int) or dim == length
        for dim, length in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise UnsupportedError(
            "A sample has another shape than the input.",
            where=where,
            found=found,
            expected=str(list(shape)),
        )
