"""Steps of arithmetic: each picks values that are there and an operator for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.signature import CANONICAL_OPSET, operands
from sardonyx.compiler.ops import Row, Trait, rows
from sardonyx.compiler.ops.row import Absent
from tests.fuzz.scope import Known, Refused, Scope
from tests.fuzz.values import (
    FLOATS,
    NUMBERS,
    WEIGHTS,
    any_dtype,
    chance,
    constant_like,
    elements,
    pick,
)

D = ir.DataType
Step = Callable[[Scope], object]

_OTHERWISE = {"Cast", "CastLike", "Clip", "Dropout", "PRelu"}
"""Elementwise operators whose operands do not all broadcast; other steps make them."""


def _sampled(row: Row) -> bool:
    return not row.domain and not isinstance(row.sample, Absent) and Trait.RANDOM not in row.traits


ELEMENTWISE = [
    row
    for row in rows()
    if _sampled(row) and Trait.ELEMENTWISE in row.traits and row.op_type not in _OTHERWISE
]
COMMON = [
    r for r in ELEMENTWISE if r.op_type in {"Add", "Mul", "Sub", "Div", "Max", "Min", "Where"}
]
_REDUCING = [r for r in rows() if _sampled(r) and r.op_type.startswith("Reduce")]
_ALONG = [
    row
    for row in rows()
    if row.op_type
    in {"Softmax", "LogSoftmax", "Hardmax", "LpNormalization", "ArgMax", "ArgMin", "Flatten"}
]


def allowed(op_type: str, index: int) -> tuple[str, frozenset[ir.DataType]]:
    """The type variable of an operand and the dtypes that it can be, of those we draw."""
    formal = operands("", op_type, CANONICAL_OPSET)
    constraint = formal[min(index, len(formal) - 1)].type_constraint
    dtypes = {t.dtype for t in constraint.allowed_types if isinstance(t, ir.TensorType)}
    return constraint.name, frozenset(dtypes & set(WEIGHTS))


# --- elementwise ---------------------------------------------------------------------------------


def elementwise(s: Scope) -> None:
    """One operator of a row that says it is elementwise, of any dtype that it takes."""
    row = pick(s.random, COMMON if chance(s.random, 0.5) else ELEMENTWISE)
    assert not isinstance(row.sample, Absent)
    case = row.sample(s.random)
    known: dict[str, ir.DataType] = {}
    given: list[Known] = []
    for index in range(len(case.inputs)):
        variable, dtypes = allowed(row.op_type, index)
        if variable in known:
            dtypes = frozenset({known[variable]})
        if not given:
            given.append(s.of(dtypes))
        else:
            given.append(partner(s, given[0], any_dtype(s.random, dtypes), dtypes))
        known[variable] = given[-1].dtype
    if len(given) == 2 and chance(s.random, 0.3):
        given.reverse()
    attributes = dict(case.attributes)
    if row.op_type == "Mod" and given[0].dtype in FLOATS:
        attributes["fmod"] = 1
    s.emit(row.op_type, *given, **attributes)


def partner(s: Scope, x: Known, dtype: ir.DataType, dtypes: frozenset[ir.DataType]) -> Known:
    """A value that broadcasts with x: one that is there, a constant, or x itself."""
    draw = s.random.random()
    if draw < 0.55:
        found = s.recent(lambda k: k.dtype in dtypes and _broadcasts(k.dims, x.dims))
        if found is not None:
            return found
    if draw < 0.62 and x.rank and x.dtype in dtypes and x.dtype in FLOATS:
        axis = int(s.random.integers(x.rank))
        made: Known = s.ReduceMax(x, np.array([axis]), keepdims=1)
        return made
    return s.constant(constant_like(s.random, dtype, broadcast_shape(s, x)))


def broadcast_shape(s: Scope, x: Known) -> list[int]:
    """The shape of a constant that broadcasts with x."""
    dims = [d if isinstance(d, int) else 1 for d in x.dims]
    dims = [1 if chance(s.random, 0.25) else d for d in dims]
    cut = int(s.random.integers(len(dims) + 1)) if chance(s.random, 0.6) else 0
    return [1] * (chance(s.random, 0.04)) + dims[cut:]


def _broadcasts(a: list[int | str], b: list[int | str]) -> bool:
    return all(x == y or 1 in (x, y) for x, y in zip(a[::-1], b[::-1], strict=False))


def arithmetic_chain(s: Scope) -> None:
    """Several operators with constants, one after the other."""
    x = s.of(NUMBERS)
    for _ in range(int(s.random.integers(2, 5))):
        c = s.constant(constant_like(s.random, x.dtype, broadcast_shape(s, x)))
        pair = (x, c) if chance(s.random, 0.75) else (c, x)
        x = s.emit(pick(s.random, ["Add", "Sub", "Mul", "Mul", "Div", "Max", "Min"]), *pair)


def clip(s: Scope) -> None:
    """A clamp: Clip, or Max and Min; bounds may be missing, crossed or odd."""
    x = s.of(NUMBERS)
    low, high = (
        None if chance(s.random, 0.25) else elements(s.random, x.dtype, (), odd=0.1)
        for _ in range(2)
    )
    if chance(s.random, 0.7):
        s.Clip(x, low, high)
        return
    for name, bound in (("Max", low), ("Min", high)):
        if bound is not None:
            x = s.emit(name, x, bound)


def prelu(s: Scope) -> None:
    """PRelu with a slope that broadcasts one way."""
    x = s.of(NUMBERS, least=1)
    slope = constant_like(s.random, x.dtype, broadcast_shape(s, x)[-len(x.dims) :])
    s.PRelu(x, slope)


def same_twice(s: Scope) -> None:
    """An operator on a value and itself."""
    x = s.of(NUMBERS)
    s.emit(pick(s.random, ["Add", "Sub", "Mul", "Div", "Max", "Min", "Equal", "Greater"]), x, x)


def cast(s: Scope) -> None:
    """One cast, or one there and back, which need not be the identity."""
    x = s.of(NUMBERS | {D.BOOL})
    among = NUMBERS | {D.BOOL}
    y = s.Cast(x, to=any_dtype(s.random, among))
    if chance(s.random, 0.5):
        s.Cast(y, to=x.dtype if chance(s.random, 0.7) else any_dtype(s.random, among))


def cast_like(s: Scope) -> None:
    """A cast to the dtype of another value."""
    s.CastLike(s.of(NUMBERS), s.of(NUMBERS | {D.BOOL}))


def where(s: Scope) -> None:
    """A choice by a condition, computed or constant."""
    x = s.of(NUMBERS | {D.BOOL})
    c = s.of({D.BOOL}) if chance(s.random, 0.6) else s.constant(np.array(chance(s.random, 0.5)))
    if not _broadcasts(c.dims, x.dims):
        c = s.Greater(x, constant_like(s.random, x.dtype, ()))
    y = partner(s, x, x.dtype, frozenset({x.dtype}))
    s.Where(c, *((x, y) if chance(s.random, 0.5) else (y, x)))


# --- along axes ----------------------------------------------------------------------------------


def axis_of(s: Scope, rank: int) -> int:
    """An axis, counted from either side."""
    return int(s.random.integers(-rank, rank))


def some_axes(s: Scope, rank: int, least: int = 1) -> np.ndarray:
    """Different axes, counted from either side."""
    count = int(s.random.integers(least, rank + 1))
    chosen = s.random.permutation(rank)[:count]
    return np.array([a - (rank if chance(s.random, 0.4) else 0) for a in chosen], np.int64)


def reduce(s: Scope) -> None:
    """A reduction over some axes, all or none."""
    row = pick(s.random, _REDUCING)
    x = s.of(allowed(row.op_type, 0)[1])
    keep: dict[str, Any] = {"keepdims": int(chance(s.random, 0.5))}
    if chance(s.random, 0.15) or not x.rank:
        s.emit(row.op_type, x, noop_with_empty_axes=int(chance(s.random, 0.4)), **keep)
        return
    axes = some_axes(s, x.rank) if chance(s.random, 0.95) else np.zeros(0, np.int64)
    s.emit(row.op_type, x, axes, **keep)


def along(s: Scope) -> None:
    """Softmax and its kin, along one axis."""
    row = pick(s.random, _ALONG)
    assert not isinstance(row.sample, Absent)
    x = s.of(allowed(row.op_type, 0)[1], least=1)
    s.emit(row.op_type, x, **{**row.sample(s.random).attributes, "axis": axis_of(s, x.rank)})


def cumsum(s: Scope) -> None:
    """A running sum."""
    x = s.of(allowed("CumSum", 0)[1], least=1)
    flags = {name: int(chance(s.random, 0.4)) for name in ("exclusive", "reverse")}
    s.CumSum(x, np.array(axis_of(s, x.rank)), **flags)


def top_k(s: Scope) -> None:
    """The largest or smallest elements."""
    x = s.of(allowed("TopK", 0)[1], least=1)
    flags = {"largest": int(chance(s.random, 0.5))}
    s.TopK(x, np.array([1]), axis=axis_of(s, x.rank), **flags)


# --- products ------------------------------------------------------------------------------------


def matmul(s: Scope) -> None:
    """A product with a constant matrix, another value, or the value's own transpose."""
    x = s.of(FLOATS | {D.INT32, D.INT64}, least=2)
    last = x.dims[-1]
    draw = s.random.random()
    if draw < 0.6 and isinstance(last, int):
        columns = int(s.random.integers(1, 6))
        lead = [] if chance(s.random, 0.85) else [1]
        w = constant_like(s.random, x.dtype, [*lead, last, columns])
        y = s.MatMul(x, w)
        if chance(s.random, 0.4):
            s.Add(y, constant_like(s.random, x.dtype, [columns]))
        return
    other = s.recent(lambda k: k.dtype == x.dtype and k.rank >= 2 and k.dims[-2] == last)
    if other is not None and draw < 0.8:
        s.MatMul(x, other)
        return
    perm = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
    s.MatMul(x, s.Transpose(x, perm=perm))


def gemm(s: Scope) -> None:
    """Gemm with its transpositions, factors and bias."""
    x = s.of(FLOATS, least=2)
    if x.rank != 2:
        x = s.Flatten(x, axis=int(s.random.integers(x.rank + 1)))
    turn = chance(s.random, 0.2)
    inner = x.dims[0] if turn else x.dims[1]
    if not isinstance(inner, int):
        raise Refused("not static")
    columns = int(s.random.integers(1, 5))
    turned = chance(s.random, 0.5)
    w = constant_like(s.random, x.dtype, [columns, inner] if turned else [inner, columns])
    bias = pick(s.random, [None, [columns], [1, columns], [1], []])
    c = None if bias is None else constant_like(s.random, x.dtype, bias)
    factors = {n: pick(s.random, [1.0, 1.0, 0.5, -2.0, 0.0]) for n in ("alpha", "beta")}
    s.Gemm(x, w, c, transA=int(turn), transB=int(turned), **factors)


_EQUATIONS = {
    1: ["a->", "a,a->a", "a,b->ab"],
    2: ["ab->ba", "ab->a", "ab,ab->", "ab,cb->ac", "ba,bc->ac", "ab->b"],
    3: ["abc->cab", "abc,abd->acd", "abc,adc->abd", "abc->ac", "abc,abc->abc", "...ab->...ba"],
    4: ["abcd->adcb", "abcd,abed->abce", "abcd,aecd->abe", "...a->..."],
}


def einsum(s: Scope) -> None:
    """An equation on a value and, where it has two terms, itself."""
    x = s.of(FLOATS, least=1)
    if x.rank not in _EQUATIONS:
        raise Refused("rank")
    equation = pick(s.random, _EQUATIONS[x.rank])
    s.Einsum(*[x] * (1 + equation.count(",")), equation=equation)


STEPS: list[tuple[Step, float]] = [
    (elementwise, 10),
    (arithmetic_chain, 2),
    (clip, 1),
    (prelu, 0.3),
    (same_twice, 0.7),
    (cast, 1.5),
    (cast_like, 0.2),
    (where, 1.5),
    (reduce, 2),
    (along, 1.5),
    (cumsum, 0.3),
    (top_k, 0.3),
    (matmul, 2),
    (gemm, 1),
    (einsum, 0.7),
]
"""Steps of arithmetic and how often they are taken."""
