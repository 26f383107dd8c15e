"""Steps that move elements or compute shapes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tests.fuzz.scope import Known, Refused, Scope
from tests.fuzz.steps import Step, axis_of, some_axes
from tests.fuzz.values import NUMBERS, WEIGHTS, chance, constant_like, elements, pick

D = ir.DataType
ANY = frozenset(WEIGHTS)
_MOST = 2**63 - 1


def ints(*values: int) -> np.ndarray:
    """An int64 vector."""
    return np.array(values, np.int64)


def transpose(s: Scope) -> None:
    """One transposition, or one, something in between, and another."""
    x = s.of(ANY, least=1)
    if chance(s.random, 0.1):
        s.Transpose(x)
        return
    perm = [int(a) for a in s.random.permutation(x.rank)]
    y = s.Transpose(x, perm=perm)
    if chance(s.random, 0.4):
        if x.dtype in NUMBERS and chance(s.random, 0.7):
            y = s.emit(pick(s.random, ["Abs", "Neg", "Relu", "Identity"]), y)
        back = [int(a) for a in np.argsort(perm)]
        s.Transpose(y, perm=back if chance(s.random, 0.7) else perm)


def dim(s: Scope, x: Known, axis: int) -> Known:
    """One length of x as a vector of one element, spelled in one of several ways."""
    kind = int(s.random.integers(4))
    if kind == 0:
        made: Known = s.Shape(x, start=axis, end=axis + 1)
        return made
    shape = s.Shape(x)
    if kind == 1:
        shape = s.Cast(s.Cast(shape, to=D.INT32), to=D.INT64)
    if kind == 2:
        made = s.Slice(shape, ints(axis), ints(axis + 1), ints(0))
    else:
        made = s.Unsqueeze(s.Gather(shape, np.array(axis)), ints(0))
    return made


def reshape(s: Scope) -> None:
    """A Reshape: to a vector, to joined or split axes, with zeros, from computed lengths."""
    x = s.of(ANY, least=1)
    axis = int(s.random.integers(x.rank))
    kind = int(s.random.integers(7))
    if kind == 0:
        s.Reshape(x, ints(-1))
    elif kind == 1:
        s.Reshape(x, ints(*[0] * axis, -1))
    elif kind == 2:
        s.Reshape(x, ints(*[0] * x.rank, 1))
    elif kind == 3:
        last = x.dims[-1]
        if not isinstance(last, int) or last % 2 or not last:
            raise Refused("odd")
        y = s.Reshape(x, ints(*[0] * (x.rank - 1), 2, last // 2))
        if chance(s.random, 0.5):
            s.Reshape(y, ints(*[0] * (x.rank - 1), -1))
    elif kind == 4:
        parts = [dim(s, x, a) for a in range(x.rank)]
        s.Reshape(x, s.Concat(*[parts[a] for a in s.random.permutation(x.rank)], axis=0))
    elif kind == 5:
        flat = s.Reshape(x, s.Concat(dim(s, x, axis), ints(-1), axis=0))
        s.Reshape(flat, s.Shape(x))
    else:
        s.Flatten(x, axis=int(s.random.integers(-x.rank, x.rank + 1)))


def squeeze(s: Scope) -> None:
    """Unsqueeze, Squeeze, or both."""
    x = s.of(ANY)
    count = int(s.random.integers(1, 3))
    axes = some_axes(s, x.rank + count, least=count)[:count]
    y = s.Unsqueeze(x, axes)
    if chance(s.random, 0.4):
        s.Squeeze(y, axes if chance(s.random, 0.7) else axes[:1])


def squeeze_ones(s: Scope) -> None:
    """Squeeze of axes of length 1, named or not."""
    x = s.of(ANY, least=1)
    ones = [a for a, d in enumerate(x.dims) if d == 1]
    if chance(s.random, 0.3) and all(isinstance(d, int) for d in x.dims):
        s.Squeeze(x)
    elif ones:
        s.Squeeze(x, ints(pick(s.random, ones)))


def slice_(s: Scope) -> None:
    """A Slice, with bounds inside and outside of the axis and steps of both signs."""
    x = s.of(ANY, least=1)
    axes = some_axes(s, x.rank)
    bounds = [_bounds(s) for _ in axes]
    starts, ends, steps = (ints(*column) for column in zip(*bounds, strict=True))
    if chance(s.random, 0.15):
        s.Slice(x, starts, ends)
        return
    s.Slice(x, starts, ends, axes, steps if chance(s.random, 0.7) or np.any(steps < 0) else None)


def _bounds(s: Scope) -> tuple[int, int, int]:
    if chance(s.random, 0.2):
        return pick(s.random, [-1, 3, _MOST]), pick(s.random, [-_MOST - 1, -_MOST, 0]), -1
    start = pick(s.random, [0, 0, 1, -2, -1, 2])
    return start, pick(s.random, [_MOST, 1, 2, 3, -1, 100]), pick(s.random, [1, 1, 1, 2, 3])


def split(s: Scope) -> None:
    """A Split whose parts are joined again, in some order, or used alone."""
    x = s.of(ANY, least=1)
    axis = axis_of(s, x.rank)
    length = x.dims[axis]
    if not isinstance(length, int) or length < 2:
        raise Refused("short")
    cut = int(s.random.integers(1, length))
    if chance(s.random, 0.3):
        parts = s.Split(x, axis=axis, num_outputs=2, outputs=2)
    else:
        parts = s.Split(x, ints(cut, length - cut), axis=axis, outputs=2)
    if chance(s.random, 0.5):
        order = parts if chance(s.random, 0.5) else parts[::-1]
        s.Concat(*order, axis=axis)


def concat(s: Scope) -> None:
    """A Concat of a value with itself, with another or a constant, or alone."""
    x = s.of(ANY, least=1)
    axis = axis_of(s, x.rank)
    others = [x]
    for _ in range(int(s.random.integers(3))):
        fits = s.recent(
            lambda k: (
                k.dtype == x.dtype
                and k.rank == x.rank
                and all(
                    a == b
                    for i, (a, b) in enumerate(zip(k.dims, x.dims, strict=True))
                    if i != axis % x.rank
                )
            )
        )
        others.append(fits or x)
    if all(isinstance(d, int) for d in x.dims) and chance(s.random, 0.3):
        shape = [int(d) for d in x.dims]
        shape[axis] = int(s.random.integers(0, 3))
        others.append(s.constant(elements(s.random, x.dtype, shape)))
    s.Concat(*others, axis=axis)


def pad(s: Scope) -> None:
    """A Pad with pads of both signs, by axes or for all of them."""
    x = s.of(ANY - {D.STRING, D.BFLOAT16}, least=1)
    axes = some_axes(s, x.rank) if chance(s.random, 0.5) else None
    count = x.rank if axes is None else len(axes)
    pads = ints(*[int(p) for p in s.random.choice([0, 0, 1, 2, -1], 2 * count)])
    fill = elements(s.random, x.dtype, ()) if chance(s.random, 0.5) else None
    mode = pick(s.random, ["constant", "constant", "constant", "edge", "reflect", "wrap"])
    if mode != "constant":
        pads = np.maximum(pads, 0)
    s.Pad(x, pads, fill if mode == "constant" else None, axes, mode=mode)


def expand(s: Scope) -> None:
    """An Expand, to the shape of another value or to a constant one."""
    x = s.of(ANY)
    if chance(s.random, 0.5):
        s.Expand(x, s.Shape(s.of(ANY)))
        return
    dims = [pick(s.random, [1, 1, 2, 3]) if d == 1 else 1 for d in x.dims]
    s.Expand(x, ints(*[2] * chance(s.random, 0.2), *dims))


def tile(s: Scope) -> None:
    """A Tile, mostly by ones."""
    x = s.of(ANY, least=1)
    s.Tile(
        x, ints(*[int(r) for r in s.random.choice([1, 1, 2, 0], x.rank, p=[0.5, 0.2, 0.28, 0.02])])
    )


def gather(s: Scope) -> None:
    """A Gather by constant indices of any shape."""
    x = s.of(ANY, least=1)
    axis = axis_of(s, x.rank)
    length = x.dims[axis]
    most = length if isinstance(length, int) else 1
    if not most:
        raise Refused("empty")
    shape = pick(s.random, [(), (1,), (3,), (2, 2), (1, 1)])
    indices = s.random.integers(-most, most, shape).astype(pick(s.random, [np.int64, np.int32]))
    if chance(s.random, 0.2) and isinstance(length, int):
        indices = np.arange(length)
    s.Gather(x, np.asarray(indices), axis=axis)


def gather_by_value(s: Scope) -> None:
    """A table of constants, looked up by computed ids."""
    ids = s.of({D.INT64, D.INT32})
    table = constant_like(s.random, D.FLOAT, [16, 3])
    s.Gather(table, s.Clip(ids, ids.dtype.numpy().type(0), ids.dtype.numpy().type(15)))


def scatter(s: Scope) -> None:
    """A few rows put in the place of others."""
    x = s.of(NUMBERS - {D.BFLOAT16}, least=2)
    if not all(isinstance(d, int) for d in x.dims[1:]):
        raise Refused("not static")
    updates = elements(s.random, x.dtype, [1, *[int(d) for d in x.dims[1:]]])
    s.ScatterND(x, np.array([[0]]), updates, reduction=pick(s.random, ["none", "none", "add"]))


def shape_arithmetic(s: Scope) -> None:
    """Lengths, added, multiplied, divided and used again."""
    x = s.of(ANY, least=1)
    a = dim(s, x, int(s.random.integers(x.rank)))
    b = s.constant(ints(int(s.random.integers(1, 4))))
    if chance(s.random, 0.5):
        b = dim(s, s.of(ANY, least=1), 0)
    length = s.emit(pick(s.random, ["Add", "Mul", "Sub", "Div", "Mod", "Max", "Min"]), a, b)
    draw = s.random.random()
    if draw < 0.3:
        s.Range(np.array(0), s.Squeeze(length, ints(0)), np.array(1))
    elif draw < 0.6:
        value = ir.tensor(elements(s.random, pick(s.random, [D.FLOAT, D.INT64, D.BOOL]), [1]))
        s.ConstantOfShape(s.Max(length, ints(0)), value=value)
    elif draw < 0.8:
        s.Slice(x, ints(0), length, ints(0))


def positions(s: Scope) -> None:
    """A mask of positions: a range compared with another."""
    x = s.of(ANY, least=1)
    steps = s.Range(np.array(0), s.Squeeze(dim(s, x, x.rank - 1), ints(0)), np.array(1))
    rows = s.Unsqueeze(steps, ints(1))
    s.emit(pick(s.random, ["LessOrEqual", "Less", "Equal", "GreaterOrEqual"]), steps, rows)


def trilu(s: Scope) -> None:
    """A triangle of a matrix."""
    x = s.of(NUMBERS | {D.BOOL}, least=2)
    k = np.array(int(s.random.integers(-2, 3))) if chance(s.random, 0.6) else None
    s.Trilu(x, k, upper=int(chance(s.random, 0.5)))


def identity(s: Scope) -> None:
    """A value once more."""
    s.Identity(s.of(ANY))


def size(s: Scope) -> None:
    """How many elements, or which lengths, a value has."""
    x = s.of(ANY)
    if chance(s.random, 0.5):
        s.Size(x)
    else:
        s.Shape(x, start=pick(s.random, [None, 0, 1, -1]), end=pick(s.random, [None, 1, -1, 9]))


def non_zero(s: Scope) -> None:
    """Where a value is not zero: as many as there are."""
    s.NonZero(s.of((NUMBERS | {D.BOOL}) - {D.BFLOAT16}, least=1))


STEPS: list[tuple[Step, float]] = [
    (transpose, 3),
    (reshape, 3),
    (squeeze, 1),
    (squeeze_ones, 0.5),
    (slice_, 2),
    (split, 1),
    (concat, 1.5),
    (pad, 1),
    (expand, 1),
    (tile, 0.5),
    (gather, 1.2),
    (gather_by_value, 0.3),
    (scatter, 0.3),
    (shape_arithmetic, 1),
    (positions, 0.4),
    (trilu, 0.4),
    (identity, 0.5),
    (size, 0.4),
    (non_zero, 0.2),
]
"""Steps of movement and how often they are taken."""
