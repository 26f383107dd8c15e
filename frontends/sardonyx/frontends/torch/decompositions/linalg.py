"""Factorisations and solutions of small matrices, written out step by step.

ONNX has operators for products and determinants only. Each step of an elimination is a few
operators over whole matrices, so these are for matrices of at most `LARGEST` rows, of known size;
larger ones are left to whoever knows a better way. Methods: G. Golub and C. Van Loan, Matrix
Computations, 4th edition, 3.2 to 3.4, 4.2 and 5.1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sardonyx.frontends.torch.decompositions.left import LEFT

LARGEST = 24


def _is_small(*sizes: int) -> bool:
    return all(isinstance(size, int) and 0 < size <= LARGEST for size in sizes)


def _info(a: Tensor) -> Tensor:
    """What LAPACK reports: that nothing went wrong."""
    return torch.zeros(a.shape[:-2], dtype=torch.int32, device=a.device)


# --- Cholesky ------------------------------------------------------------------------------------


def cholesky(a: Tensor, upper: bool = False) -> Tensor:
    """The triangle L with a = L @ L^T, or its transpose."""
    n = a.shape[-1]
    if n == 0:
        return a.clone()
    if a.is_complex() or not _is_small(n):
        return LEFT
    rest, columns = a, []
    for k in range(n):
        column = rest[..., :, k : k + 1] / torch.sqrt(rest[..., k : k + 1, k : k + 1])
        column = torch.where(torch.arange(n, device=a.device).unsqueeze(-1) >= k, column, 0.0)
        columns.append(column)
        rest = rest - column * column.mT
    lower = torch.cat(columns, -1)
    return lower.mT.contiguous() if upper else lower


def cholesky_ex(
    a: Tensor, *, upper: bool = False, check_errors: bool = False
) -> tuple[Tensor, Tensor]:
    """The triangle; matrices are taken to be positive definite."""
    made = cholesky(a, upper)
    return LEFT if made is LEFT else (made, _info(a))


def cholesky_solve(b: Tensor, factor: Tensor, upper: bool = False) -> Tensor:
    """The solution of a @ x = b by the triangle of a."""
    if factor.shape[-1] == 0:
        return b.clone()
    if factor.is_complex() or not _is_small(factor.shape[-1]):
        return LEFT
    lower = factor.mT if upper else factor
    return _substitute(lower.mT, _substitute(lower, b, upper=False), upper=True)


def cholesky_inverse(factor: Tensor, upper: bool = False) -> Tensor:
    """The inverse of a by the triangle of a."""
    if factor.shape[-1] == 0:
        return factor.clone()
    if factor.is_complex() or not _is_small(factor.shape[-1]):
        return LEFT
    eye = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    triangle = factor.triu() if upper else factor.tril()
    return cholesky_solve(eye.expand(factor.shape), triangle, upper)


# --- triangles -----------------------------------------------------------------------------------


def _substitute(a: Tensor, b: Tensor, *, upper: bool, unit: bool = False) -> Tensor:
    """The solution of a @ x = b for a triangle a: a row after the other."""
    n = a.shape[-1]
    rows: dict[int, Tensor] = {}
    for i in reversed(range(n)) if upper else range(n):
        done = range(i + 1, n) if upper else range(i)
        row = b[..., i : i + 1, :]
        if len(done):
            known = torch.cat([rows[j] for j in done], -2)
            row = row - a[..., i : i + 1, done.start : done.stop] @ known
        rows[i] = row if unit else row / a[..., i : i + 1, i : i + 1]
    return torch.cat([rows[i] for i in range(n)], -2)


def solve_triangular(
    a: Tensor, b: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """The solution of a @ x = b, or of x @ a = b."""
    if a.is_complex() or not _is_small(a.shape[-1]):
        return LEFT
    if left:
        return _substitute(a, b, upper=upper, unit=unitriangular)
    return _substitute(a.mT, b.mT, upper=not upper, unit=unitriangular).mT


def triangular_solve(
    b: Tensor, a: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> tuple[Tensor, Tensor]:
    """The solution of a @ x = b, and the matrix."""
    if a.is_complex() or not _is_small(a.shape[-1]):
        return LEFT
    matrix, is_upper = (a.mT, not upper) if transpose else (a, upper)
    batch = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])  # type: ignore[no-untyped-call]
    whole = a.expand(*batch, *a.shape[-2:]).clone()
    return _substitute(matrix, b, upper=is_upper, unit=unitriangular), whole


# --- elimination with pivots ---------------------------------------------------------------------


def _eliminate(a: Tensor, pivot: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """L and U in one matrix, the row each step swaps with, and the order of rows after it."""
    rows, columns = a.shape[-2:]
    at = torch.arange(rows, device=a.device)
    order = at.expand(a.shape[:-1])
    pivots = []
    for k in range(min(rows, columns)):
        chosen = torch.full_like(order[..., :1], k)
        if pivot and k < rows - 1:
            chosen = a[..., k:, k].abs().argmax(-1, keepdim=True) + k
            swapped = torch.where(at == k, chosen, torch.where(at == chosen, k, at))
            order = order.gather(-1, swapped)
            a = a.gather(-2, swapped.unsqueeze(-1).expand(a.shape))
        pivots.append(chosen + 1)
        if k == rows - 1:
            continue
        head = a[..., k : k + 1, k : k + 1]
        below = a[..., k + 1 :, k : k + 1]
        # A column of zeros has nothing to be divided by.
        factors = torch.where(head == 0, below, below / torch.where(head == 0, 1.0, head))
        parts = [a[..., k + 1 :, :k], factors]
        if k + 1 < columns:
            parts.append(a[..., k + 1 :, k + 1 :] - factors * a[..., k : k + 1, k + 1 :])
        lower = torch.cat(parts, -1)
        a = torch.cat([a[..., : k + 1, :], lower], -2)
    return a, torch.cat(pivots, -1).to(torch.int32), order


def _fits(a: Tensor) -> bool:
    return not a.is_complex() and _is_small(a.shape[-1], a.shape[-2])


def lu_factor_ex(
    a: Tensor, *, pivot: bool = True, check_errors: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """L and U in one matrix, and the row each step swaps with, counted from one."""
    if not _fits(a):
        return LEFT
    factors, pivots, _ = _eliminate(a, pivot)
    return factors, pivots, _info(a)


def lu(a: Tensor, *, pivot: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """The permutation and both triangles."""
    if not _fits(a) or not pivot:
        return LEFT
    factors, _, order = _eliminate(a)
    return (_permutation(order, a.dtype), *_triangles(factors))


def _permutation(order: Tensor, dtype: torch.dtype) -> Tensor:
    at = torch.arange(order.shape[-1], device=order.device)
    return (order.unsqueeze(-2) == at.unsqueeze(-1)).to(dtype)


def _triangles(factors: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = factors.shape[-2:]
    inner = min(rows, columns)
    eye = torch.eye(rows, inner, dtype=factors.dtype, device=factors.device)
    return factors[..., :, :inner].tril(-1) + eye, factors[..., :inner, :].triu()


def lu_unpack(
    factors: Tensor, pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """The permutation and both triangles, of L and U in one matrix."""
    if not _fits(factors) or not (unpack_data and unpack_pivots):
        return LEFT
    order = _order(pivots, factors.shape[-2])
    return (_permutation(order, factors.dtype), *_triangles(factors))


def _order(pivots: Tensor, rows: int) -> Tensor:
    """The order of rows after all swaps."""
    at = torch.arange(rows, device=pivots.device)
    order = at.expand(*pivots.shape[:-1], rows)
    for k in range(pivots.shape[-1]):
        chosen = pivots[..., k : k + 1].to(torch.int64) - 1
        order = order.gather(-1, torch.where(at == k, chosen, torch.where(at == chosen, k, at)))
    return order


def _solve(factors: Tensor, order: Tensor, b: Tensor) -> Tensor:
    batch = torch.broadcast_shapes(factors.shape[:-2], b.shape[:-2])  # type: ignore[no-untyped-call]
    at = order.expand(*batch, order.shape[-1]).unsqueeze(-1)
    b = b.expand(*batch, *b.shape[-2:])
    permuted = b.gather(-2, at.expand(b.shape))
    return _substitute(factors, _substitute(factors, permuted, upper=False, unit=True), upper=True)


def lu_solve(
    factors: Tensor, pivots: Tensor, b: Tensor, *, left: bool = True, adjoint: bool = False
) -> Tensor:
    """The solution of a @ x = b, or of x @ a = b, by the factors of a or of its transpose."""
    if not _fits(factors):
        return LEFT
    if not left:
        return lu_solve(factors, pivots, b.mT, adjoint=not adjoint).mT
    order = _order(pivots, factors.shape[-2])
    if not adjoint:
        return _solve(factors, order, b)
    made = _substitute(factors.mT, b, upper=False)
    made = _substitute(factors.mT, made, upper=True, unit=True)
    at = torch.argsort(order).unsqueeze(-1).expand(made.shape)
    return made.gather(-2, at)


def solve_ex(
    a: Tensor, b: Tensor, *, left: bool = True, check_errors: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The solution of a @ x = b, or of x @ a = b, the factors and the pivots."""
    if not _fits(a):
        return LEFT
    is_vector = b.dim() == 1 or (b.dim() == a.dim() - 1 and b.shape == a.shape[:-1])
    columns = b.unsqueeze(-1) if is_vector else b
    factors, pivots, order = _eliminate(a if left else a.mT)
    made = _solve(factors, order, columns if left else columns.mT)
    made = made if left else made.mT
    return made.squeeze(-1) if is_vector else made, factors, pivots, _info(a)


def inverse_ex(a: Tensor, *, check_errors: bool = False) -> tuple[Tensor, Tensor]:
    """The inverse."""
    if not _fits(a):
        return LEFT
    factors, _, order = _eliminate(a)
    eye = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    return _solve(factors, order, eye.expand(a.shape)), _info(a)


def cholesky_factor(a: Tensor, *, upper: bool = False) -> Tensor:
    """The triangle; matrices are taken to be positive definite."""
    return cholesky(a, upper)


def lu_factor(a: Tensor, *, pivot: bool = True) -> tuple[Tensor, Tensor]:
    """L and U in one matrix, and the row each step swaps with."""
    return _eliminate(a, pivot)[:2] if _fits(a) else LEFT


def inverse(a: Tensor) -> Tensor:
    """The inverse; matrices are taken to have one."""
    return inverse_ex(a)[0] if _fits(a) else LEFT


def tensor_inverse(a: Tensor, ind: int = 2) -> Tensor:
    """The inverse of a tensor as a matrix from its last axes to its first ``ind`` ones."""
    rows = math.prod(a.shape[:ind])
    matrix = a.reshape(rows, -1)
    if not _fits(matrix):
        return LEFT
    return inverse(matrix).reshape(*a.shape[ind:], *a.shape[:ind])


def solve(a: Tensor, b: Tensor, *, left: bool = True) -> Tensor:
    """The solution of a @ x = b, or of x @ a = b."""
    return solve_ex(a, b, left=left)[0] if _fits(a) else LEFT


def log_determinant(a: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sign and logarithm of the determinant's size, the factors and the pivots."""
    if a.shape[-1] == 0:
        ones = torch.ones(a.shape[:-2], dtype=a.dtype, device=a.device)
        return ones, torch.zeros_like(ones), a.clone(), a.new_zeros(a.shape[:-1]).to(torch.int32)
    if not _fits(a):
        return LEFT
    factors, pivots, _ = _eliminate(a)
    diagonal = factors.diagonal(dim1=-2, dim2=-1)
    at = torch.arange(1, a.shape[-1] + 1, device=a.device)
    swaps = (pivots != at).sum(-1)
    sign = torch.where(swaps % 2 == 1, -1.0, 1.0).to(a.dtype) * torch.sign(diagonal).prod(-1)
    return sign, torch.log(diagonal.abs()).sum(-1), factors, pivots


# --- Householder ---------------------------------------------------------------------------------


def _reflect_all(a: Tensor) -> tuple[Tensor, Tensor]:
    """As LAPACK's geqrf: R and below it the vectors of the reflections; and their factors."""
    rows, columns = a.shape[-2:]
    taus = []
    for k in range(min(rows, columns)):
        head, below = a[..., k : k + 1, k : k + 1], a[..., k + 1 :, k : k + 1]
        if k == rows - 1:  # nothing is left to be reflected
            taus.append(torch.zeros_like(head).squeeze(-1))
            continue
        tail = (below * below).sum(-2, keepdim=True)
        is_done = tail == 0
        size = torch.sqrt(head * head + tail)
        beta = torch.where(head > 0, -size, size)
        safe = torch.where(is_done, 1.0, beta)
        tau = torch.where(is_done, 0.0, (safe - head) / safe)
        vector = torch.where(is_done, 0.0, below / torch.where(is_done, 1.0, head - safe))
        taus.append(tau.squeeze(-1))
        whole = torch.cat([torch.ones_like(head), vector], -2)
        parts = [a[..., k:, :k], torch.cat([torch.where(is_done, head, beta), vector], -2)]
        if k + 1 < columns:
            right = a[..., k:, k + 1 :]
            parts.append(right - tau * (whole @ (whole.mT @ right)))
        lower = torch.cat(parts, -1)
        a = torch.cat([a[..., :k, :], lower], -2)
    return a, torch.cat(taus, -1)


def geqrf(a: Tensor) -> tuple[Tensor, Tensor]:
    """R and the vectors of the reflections in one matrix, and their factors."""
    return _reflect_all(a) if _fits(a) else LEFT


def _apply_reflections(a: Tensor, tau: Tensor, other: Tensor, *, transpose: bool) -> Tensor:
    """The product of all reflections, the first one leftmost, or its transpose, with a matrix."""
    rows = a.shape[-2]
    at = torch.arange(rows, device=a.device).unsqueeze(-1)
    count = tau.shape[-1]
    for k in range(count) if transpose else reversed(range(count)):
        vector = torch.where(
            at > k, a[..., :, k : k + 1], torch.where(at == k, 1.0, 0.0).to(a.dtype)
        )
        other = other - tau[..., k : k + 1].unsqueeze(-1) * (vector @ (vector.mT @ other))
    return other


def householder_product(a: Tensor, tau: Tensor) -> Tensor:
    """The first columns of the product of reflections."""
    if not _fits(a):
        return LEFT
    rows, columns = a.shape[-2:]
    eye = torch.eye(rows, columns, dtype=a.dtype, device=a.device).expand(a.shape)
    return _apply_reflections(a, tau, eye, transpose=False)


def ormqr(
    a: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False
) -> Tensor:
    """The product of reflections times a matrix, or a matrix times it."""
    if not _fits(a):
        return LEFT
    if left:
        return _apply_reflections(a, tau, other, transpose=transpose)
    return _apply_reflections(a, tau, other.mT, transpose=not transpose).mT


def qr(a: Tensor, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """Orthogonal columns and a triangle."""
    if not _fits(a):
        return LEFT
    rows, columns = a.shape[-2:]
    made, tau = _reflect_all(a)
    width = rows if mode == "complete" else min(rows, columns)
    triangle = made[..., :width, :].triu()
    if mode == "r":
        return torch.zeros(0, dtype=a.dtype, device=a.device), triangle
    eye = torch.eye(rows, width, dtype=a.dtype, device=a.device).expand(*a.shape[:-2], rows, width)
    return _apply_reflections(made, tau, eye, transpose=False), triangle


TABLE = {
    "_linalg_slogdet.default": log_determinant,
    "_linalg_solve_ex.default": solve_ex,
    "cholesky.default": cholesky,
    "cholesky_inverse.default": cholesky_inverse,
    "cholesky_solve.default": cholesky_solve,
    "geqrf.default": geqrf,
    "inverse.default": inverse,
    "linalg_cholesky.default": cholesky_factor,
    "linalg_cholesky_ex.default": cholesky_ex,
    "linalg_householder_product.default": householder_product,
    "linalg_inv.default": inverse,
    "linalg_inv_ex.default": inverse_ex,
    "linalg_lu.default": lu,
    "linalg_lu_factor.default": lu_factor,
    "linalg_lu_factor_ex.default": lu_factor_ex,
    "linalg_lu_solve.default": lu_solve,
    "linalg_qr.default": qr,
    "linalg_solve.default": solve,
    "linalg_solve_triangular.default": solve_triangular,
    "linalg_tensorinv.default": tensor_inverse,
    "lu_unpack.default": lu_unpack,
    "ormqr.default": ormqr,
    "triangular_solve.default": triangular_solve,
}
