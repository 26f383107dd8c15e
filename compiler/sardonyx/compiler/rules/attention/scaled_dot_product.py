"""softmax(query @ key^T * scale + mask) @ value, in every spelling, is Attention."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, no, rest, rule, through
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.attention.masks import Floor, combine
from sardonyx.compiler.rules.attention.operands import (
    Operand,
    fit_together,
    read_operand,
    unfolded,
)
from sardonyx.compiler.rules.attention.placement import Place, filled, placed, why_not_placed
from sardonyx.compiler.rules.attention.reading import dims_of, swaps_rows
from sardonyx.compiler.rules.attention.scores import Scores, read_scores
from sardonyx.compiler.rules.canonical_identity import has_same_dims

_KERNELS = {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}
"""Dtypes of which runtimes have a kernel; in double precision ONNX's own definition rounds."""


@dataclass(frozen=True)
class Product:
    """An attention that was read: its operands with four axes or fewer, and its scores."""

    query: Operand
    key: Operand
    value: Operand
    scores: Scores
    place: Place

    @property
    def dtype(self) -> ir.DataType:
        """The dtype of its operands."""
        dtype = self.query.value.dtype
        assert dtype is not None
        return dtype


def _probabilities(op: PatternBuilder) -> Pattern:
    """The softmax of the scores; queries that see no key may get zeros instead of NaN."""
    softmax = op.Softmax("scores", attributes="softmax", output="weights")
    plain = through("Cast", softmax)
    guarded = op.Where(op.IsNaN(plain), 0, plain)
    folded = op.Reshape(plain, "shape", output="folded")
    # No attention of ONNX has those, but the reader of a miss learns why it is one.
    cut = op.Slice(plain, rest("at"), output="cut")
    return through("Cast", any_of(plain, guarded, folded, cut))


def _read(m: Match) -> Product | No:
    softmax = m.softmax.node
    shape = m.scores.shape
    if shape is None:
        return no("the rank of the scores is not known", m.scores)
    if m.softmax.axis % len(shape) != len(shape) - 1:
        return no("the softmax is not over the keys", m.scores)
    if m.cut is not None:
        return no(
            "some probabilities are dropped after the softmax, as with attention sinks", m.cut
        )
    if m.folded is not None and not has_same_dims(dims_of(m.folded)[-2:], dims_of(m.scores)[-2:]):
        return no("the probabilities are reshaped to other rows and columns", m.folded)
    scores = read_scores(m.scores, softmax)
    if isinstance(scores, No):
        return scores
    if m.swap is not None and not swaps_rows(m.swap.perm):
        return no(f"the probabilities are transposed by {m.swap.perm}", m.weights)
    query = read_operand(scores.query)
    # Where values are multiplied by probabilities, and not the other way round, rows come last.
    value = read_operand(m.content, is_transposed=m.swap is not None)
    key = read_operand(scores.key, is_transposed=True)
    for operand in (query, key, value):
        if isinstance(operand, No):
            return operand
    assert isinstance(query, Operand)
    assert isinstance(key, Operand)
    assert isinstance(value, Operand)
    return _fit(query, key, value, scores, m.root.outputs[0])


def _fit(
    query: Operand, key: Operand, value: Operand, scores: Scores, result: ir.Value
) -> Product | No:
    rank = query.rank
    if rank > 4:
        return no(f"query times key has {rank} axes", query.value)
    if key.rank != rank or value.rank != rank:
        return no("query, key and value differ in their number of axes", key.value)
    if len(dims_of(result)) != rank:
        return no("the result has more axes than the query", result)
    lifted = [unfolded(operand) for operand in (query, key, value)] if rank == 3 else []
    found = [operand for operand in lifted if operand is not None]
    if len(found) == 3:
        first, *others = found
        if all(has_same_dims(other.dims[:2], first.dims[:2]) for other in others):
            query, key, value = found
    verdict = fit_together(query, key, value, scores.columns)
    if isinstance(verdict, No):
        return verdict
    return _check(Product(query, key, value, scores, Place(query.dims, rank)))


def _check(found: Product) -> Product | No:
    if constants.is_constant(found.key.value):
        return no("the key is a weight: this is a linear layer and a softmax", found.key.value)
    dtypes = {operand.value.dtype for operand in (found.query, found.key, found.value)}
    for operand in (found.query, found.key, found.value):
        if 0 in operand.dims:
            # ONNX Runtime's kernel refuses it; the products do not.
            return no("an operand is empty", operand.value)
    if len(dtypes) != 1:
        return no("query, key and value differ in dtype", found.query.value)
    if found.dtype not in _KERNELS:
        return no("there is no attention kernel of its dtype", found.query.value)
    for mask in found.scores.masks:
        if isinstance(mask, Floor):
            continue
        refusal = why_not_placed(mask.value, mask.view, found.place)
        if refusal is not None:
            return refusal
    return found


def _attend(op: Builder, m: Match) -> ir.Value:
    """Matrix product, scale, mask, softmax and matrix product are one Attention."""
    found = _read(m)
    assert not isinstance(found, No)  # The guard asked for it.
    place, scores = found.place, found.scores
    scale = scores.scale * found.query.scale * found.key.scale
    query, key = (place.four_axes(op, o.build(op)) for o in (found.query, found.key))
    value = place.four_axes(op, found.value.build(op))
    for factor in scores.row_scales:
        query = op.Mul(query, factor)
    if scale <= 0:  # ONNX Runtime refuses such an attribute.
        query, scale = op.Mul(query, scale), 1.0
    steps = [
        (mask, None if isinstance(mask, Floor) else placed(op, mask.value, mask.view, place, query))
        for mask in scores.masks
    ]
    mask = combine(op, steps, found.dtype)
    if mask is not None:
        mask = filled(op, mask, query, key)
    result = op.Attention(
        query,
        key,
        value,
        mask,
        scale=_scale(scale, query),
        softcap=scores.softcap or None,
        softmax_precision=_precision(scores, query),
    )
    if found.value.scale != 1:
        result = op.Mul(result, found.value.scale)
    if m.swap is None:
        return place.restored(op, result, dims_of(m.root.outputs[0]))
    *outer, size, rows = dims_of(m.root.outputs[0])
    made: ir.Value = op.Transpose(
        place.restored(op, result, [*outer, rows, size]), attributes=m.swap
    )
    return made


def _scale(scale: float, query: ir.Value) -> float | None:
    """Return the attribute; the default is left out."""
    size = dims_of(query)[-1]
    is_default = isinstance(size, int) and math.isclose(scale, size**-0.5, rel_tol=1e-6)
    return None if is_default else scale


def _precision(scores: Scores, query: ir.Value) -> int | None:
    assert scores.dtype is not None  # That of the query is known.
    return None if scores.dtype == query.dtype else int(scores.dtype)


def _is_attention(m: Match) -> bool | No:
    found = _read(m)
    return found if isinstance(found, No) else True


SCALED_DOT_PRODUCT = rule(
    "scaled_dot_product",
    lambda op: any_of(
        op.MatMul(_probabilities(op), "content"),
        op.MatMul("content", op.Transpose(_probabilities(op), attributes="swap")),
    ),
    _attend,
    _is_attention,
)
