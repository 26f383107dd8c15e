"""Rows of the matrix products."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ops.axes import AxisMap, Fixed, rank
from sardonyx.compiler.ops.cost import Cost, Sizes, matrix_product, per_operand_element
from sardonyx.compiler.ops.row import define
from sardonyx.compiler.ops.sample import REAL, Case, Random, choose, dims, integers
from sardonyx.compiler.ops.tolerance import Tolerance


def matmul_axes(node: ir.Node) -> AxisMap | Fixed:
    """The last two axes are matrices; those before them, batches, may be in any order.

    The rows of the left operand are free too where the right operand has no batches, and the
    other way round.
    """
    left, right = rank(node.inputs[0]), rank(node.inputs[1])
    if min(left, right) < 2:
        return Fixed("an operand has one axis only")
    most = max(left, right)
    batches = tuple(range(most - 2))
    row, inner, column = most - 2, most - 1, most
    out = (*batches, row, column)
    if right == 2 and left >= 2:
        return AxisMap({0: (*batches, row, inner), ~0: out}, fixed=frozenset({inner, column}))
    if left == 2:
        labels = {1: (*batches, inner, column), ~0: out}
        return AxisMap(labels, lead=1, fixed=frozenset({row, inner, column}))
    if left != right:
        return Fixed("its operands have different numbers of batch axes")
    labels = {0: (*batches, row, inner), 1: (*batches, inner, column), ~0: out}
    return AxisMap(labels, fixed=frozenset({row, inner, column}))


def _matrices(random: Random) -> tuple[tuple[int, ...], tuple[int, ...]]:
    batches = dims(random, least=1, most=2)
    rows, inner, columns = (int(x) for x in random.integers(1, 6, 3))
    left, right = (*batches, rows, inner), (*batches, inner, columns)
    choice = int(random.integers(4))
    if choice == 0:
        return left, right[-2:]
    if choice == 1:
        return left[-2:], right
    if choice == 2:
        return left, (*[1 for _ in batches], inner, columns)
    return left, right


def _matmul(random: Random) -> Case:
    left, right = _matrices(random)
    return Case((REAL(random, left), REAL(random, right)))


define(
    "MatMul",
    axes=matmul_axes,
    cost=matrix_product(),
    tolerance=Tolerance.ACCUMULATING,
    sample=_matmul,
)


def _matmul_integer(random: Random) -> Case:
    left, right = _matrices(random)
    zero = np.array(3, np.uint8) if random.random() < 0.5 else None
    draw = integers(0, 200, np.uint8)
    return Case((draw(random, left), draw(random, right), zero))


def _matmul_integer_axes(node: ir.Node) -> AxisMap | Fixed:
    zeros = [v for v in node.inputs[2:] if v is not None]
    if any(rank(zero) > 0 for zero in zeros):
        return Fixed("it has a zero point for each row or column")
    return matmul_axes(node)


define(
    "MatMulInteger",
    axes=_matmul_integer_axes,
    cost=matrix_product(),
    tolerance=Tolerance.EXACT,
    sample=_matmul_integer,
)


def _gemm(random: Random) -> Case:
    rows, inner, columns = (int(x) for x in random.integers(1, 6, 3))
    attributes = choose(random, {"transA": [None, 1], "transB": [None, 1], "alpha": [None, 0.5]})
    left = (inner, rows) if attributes.get("transA") else (rows, inner)
    right = (columns, inner) if attributes.get("transB") else (inner, columns)
    bias = REAL(random, (columns,)) if random.random() < 0.5 else None
    return Case((REAL(random, left), REAL(random, right), bias), attributes)


define(
    "Gemm",
    axes=Fixed("its operands are matrices"),
    cost=matrix_product(transposed="transA"),
    tolerance=Tolerance.ACCUMULATING,
    sample=_gemm,
)


def _einsum_cost(node: ir.Node, sizes: Sizes) -> Cost:
    """Count one product for each combination of the axes, as if it ran as one loop nest."""
    equation = node.attributes["equation"].as_string().replace(" ", "")
    terms = equation.split("->")[0].split(",")
    lengths: dict[str, int] = {}
    for term, value in zip(terms, node.inputs, strict=True):
        dims = sizes.dims(value)
        letters = term.replace("...", "." * (len(dims) - len(term) + 3) if "..." in term else "")
        lengths.update(zip(letters, dims, strict=False))
    total = 1
    for length in lengths.values():
        total *= length
    return Cost(len(terms) * total, sizes.traffic(node))


def _einsum(random: Random) -> Case:
    a, b, c, d = (int(x) for x in random.integers(1, 5, 4))
    equations: list[tuple[str, list[tuple[int, ...]]]] = [
        ("abc,acd->abd", [(a, b, c), (a, c, d)]),
        ("ab,cb->ca", [(a, b), (c, b)]),
        ("abcd->dbca", [(a, b, c, d)]),
        ("ab,ab->a", [(a, b), (a, b)]),
    ]
    equation, shapes = equations[int(random.integers(4))]
    return Case(tuple(REAL(random, shape) for shape in shapes), {"equation": equation})


define(
    "Einsum",
    # Any order could be written into its equation, but its kernels then transpose inside.
    axes=Fixed("its kernels transpose inside"),
    cost=_einsum_cost,
    tolerance=Tolerance.ACCUMULATING,
    sample=_einsum,
)


def _det(random: Random) -> Case:
    return Case((REAL(random, (*dims(random, most=2), 3, 3)),))


def _det_axes(node: ir.Node) -> AxisMap | Fixed:
    every = tuple(range(rank(node.inputs[0])))
    return AxisMap({0: every, ~0: every[:-2]}, fixed=frozenset(every[-2:]))


define(
    "Det",
    axes=_det_axes,
    cost=per_operand_element(3),
    tolerance=Tolerance.ACCUMULATING,
    sample=_det,
)
