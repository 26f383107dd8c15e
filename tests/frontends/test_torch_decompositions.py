"""Each decomposition computes what PyTorch's own operator does."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sardonyx.frontends.torch.decompositions import decompositions

aten = torch.ops.aten
TABLE = decompositions()
NAN, INF = math.nan, math.inf
ROUNDING = 3e-6


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def positive_definite(*batch: int, n: int = 5) -> torch.Tensor:
    a = normal(*batch, n, n)
    return a @ a.mT + n * torch.eye(n)


class Unknown:
    """A number that is not known when a model is traced."""

    def __init__(self, number: float) -> None:
        self.number = number


SPECIAL = torch.tensor([0.0, -0.0, 1.5, -2.0, NAN, INF, -INF, 1e-30, 7.0])
TIES = torch.tensor([[3.0, 1.0, 3.0, 2.0, 1.0], [0.0, 0.0, 5.0, 5.0, -1.0]])
WITH_NAN = torch.tensor([[3.0, NAN, 4.0, NAN, 1.0], [0.0, 2.0, 5.0, 5.0, -1.0]])
MANY = torch.cat([torch.linspace(-6.3, 9.9, 50), torch.tensor([1.0, 2.0, 30.0, 1e-3])])
WIDE = (1, 3, 7, 9)
DOUBLES = normal(3, 4).double()
INTEGERS = torch.tensor([[1, -4, 2], [7, 0, -3]])
SQUARE = normal(2, 5, 5)
TALL, BROAD = normal(2, 6, 4), normal(4, 6)
FACTORS, PIVOTS, _ = aten.linalg_lu_factor_ex.default(SQUARE)
REFLECTIONS = aten.geqrf.default(TALL)
CHANNELS = (normal(3), normal(3), normal(3), normal(3).abs() + 0.5)

VOLUMES = (normal(2, 3, 4), normal(2, 3, 4))

LAYER = nn.LSTM(4, 5, 2, proj_size=3, bidirectional=True)
STEPS = (normal(6, 2, 4), [normal(4, 2, 3), normal(4, 2, 5)])
OF_LAYER = (True, 2, 0.0, False, True, False)
"""With biases, layers, no dropout, not trained, in two directions, time first."""

IMAGES = [normal(2, 2, 40), normal(1, 2, 40, 31), normal(1, 1, 5, 40, 31)]
RESIZED = [
    case
    for n, x in enumerate(IMAGES, start=1)
    for name in (f"upsample_nearest{n}d", f"_upsample_nearest_exact{n}d")
    for case in (
        (getattr(aten, name).default, x, [11, 92, 71][3 - n :] if n > 1 else [92], *[None] * n),
        (getattr(aten, name).vec, x, None, [2.3] * n),
    )
]
SHRUNK = [
    case
    for operator in (aten._upsample_bilinear2d_aa, aten._upsample_bicubic2d_aa)
    for case in (
        (operator.default, normal(2, 3, 9, 8), [4, 5], True, None, None),
        (operator.default, normal(2, 3, 9, 8), [4, 8], False, 0.5, 1.1),
        (operator.vec, normal(2, 3, 9, 8), None, False, [0.6, 1.4]),
    )
]

CASES = [
    *RESIZED,
    *SHRUNK,
    (aten.lstm.input, *STEPS, [p.detach() for p in LAYER.parameters()], *OF_LAYER),
    (aten.copysign.Tensor, SPECIAL, SPECIAL.flip(0).nan_to_num(0.5)),
    (aten.copysign.Tensor, INTEGERS, torch.tensor(-1)),
    (aten.copysign.Scalar, SPECIAL, -0.0),
    (aten.fmax.default, SPECIAL, SPECIAL.roll(2)),
    (aten.fmax.default, INTEGERS, INTEGERS.flip(1)),
    (aten.fmin.default, SPECIAL, SPECIAL.roll(3)),
    (aten.frexp.Tensor, torch.tensor([0.0, 1.0, -0.3, 1e-37, 3e38, 8.0, INF, 0.9999999])),
    (aten.hypot.default, torch.tensor([3e30, 3.0, 0.0, INF]), torch.tensor([4e30, -4.0, 0.0, 1.0])),
    (aten.log_sigmoid.default, torch.tensor([-50.0, -1.0, 0.0, 6.0, 15.0])),
    (aten.signbit.default, SPECIAL.nan_to_num(1.0)),
    (aten.signbit.default, INTEGERS),
    (aten.signbit.default, torch.tensor([True, False])),
    (aten.divide.Scalar, INTEGERS, 4),
    (aten.divide.Tensor, INTEGERS, normal(3)),
    (aten.greater.Tensor, INTEGERS, normal(3)),
    (aten.greater_equal.Tensor, INTEGERS, INTEGERS.flip(1)),
    (aten.less.Tensor, INTEGERS, normal(3)),
    (aten.less_equal.Tensor, INTEGERS, INTEGERS.flip(1)),
    (aten.multiply.Scalar, INTEGERS, 1.5),
    (aten.multiply.Tensor, INTEGERS, normal(3)),
    (aten.subtract.Scalar, INTEGERS, 1.5),
    (aten.subtract.Tensor, INTEGERS, normal(3)),
    (aten.true_divide.Scalar, INTEGERS, 4),
    (aten.true_divide.Tensor, INTEGERS, normal(3)),
    (aten.stft.default, normal(2, 40), 10, 3, 8, normal(8), True, None, True),
    (aten.stft.default, normal(40), 10, None, None, None, False, False, True),
    (aten.stft.default, normal(40), 10, None, None, None, False, True, False),
    (aten.arange.default, 4.5),
    (aten.arange.start, 0.1, 1.1),
    (aten.arange.start_step, 0.1, -7.9, -4.0),
    (aten.arange.start_step, 0.25, 9, 0.3),
    (aten.logspace.default, 4.3, -3, 1),
    (aten.logspace.default, -1.5, 2, 7, 2.5),
    (aten.logspace.default, 0, 3, 0),
    (aten.copy.default, normal(3, 4), torch.tensor(2)),
    (aten.copy.default, normal(3, 4), normal(4)),
    (aten.put.default, TIES, torch.tensor([[0, -1], [3, 3]]), normal(2, 2), True),
    (aten.put.default, TIES, torch.tensor([2, -4]), normal(2)),
    *((aten.index_reduce.default, TIES, -1, torch.tensor([1, 3, 1]), normal(2, 3), how)
      for how in ("mean", "prod", "amin", "amax")),
    (aten.index_reduce.default, torch.tensor(2.0), 0, torch.tensor(0), torch.tensor(3.0), "prod"),
    (aten.scatter_reduce.two, TIES, 1, torch.tensor([[1, 1, 3]]), normal(2, 4), "mean"),
    (aten.scatter_reduce.two, INTEGERS, 0, torch.tensor([[0, 1, 0]] * 2), INTEGERS.flip(0), "mean"),
    (aten.scatter_reduce.two, torch.tensor(3.0), 0, torch.tensor(0), torch.tensor(4.0), "mean"),
    (aten.diagonal_scatter.default, normal(3, 2, 5), normal(2, 3), 1, 0, 2),
    (aten.as_strided_scatter.default, normal(4, 5), normal(2, 3), (2, 3), (7, 2), 3),
    (aten.squeeze.dims, normal(1, 3, 1, 2), (0, 1, -2)),
    (aten.squeeze.dims, torch.tensor(2.0), (0,)),
    (aten.pad.default, normal(2, 4, 3), (-4, 5, 1, -1), "replicate"),
    (aten.pad.default, torch.zeros(0, 3, 3), (1, 2), "circular"),
    *((aten.cross_entropy_loss.default, *given, reduction, -100, smoothing)
      for given in ((normal(5), normal(5).softmax(0), normal(5)), (*VOLUMES, None))
      for reduction, smoothing in ((0, 0.0), (1, 0.2), (2, 0.1))),
    *((operator, TIES[0], torch.tensor(2), None, reduction, -100, 0.1)
      for operator in (aten.cross_entropy_loss.default,) for reduction in (0, 1, 2)),
    *(
        (aten.soft_margin_loss.default, normal(2, 5) * 9, TIES.sign(), reduction)
        for reduction in (0, 1, 2)
    ),
    (aten.native_batch_norm.default, normal(*WIDE), *CHANNELS, True, 0.1, 1e-5),
    (aten.native_batch_norm.default, normal(4, 3), None, None, None, None, True, 0.1, 1e-5),
    (aten._native_batch_norm_legit.default, normal(*WIDE), *CHANNELS, True, 0.1, 1e-3),
    (aten._native_batch_norm_legit.no_stats, normal(*WIDE), *CHANNELS[:2], True, 0.1, 1e-5),
    (aten._native_batch_norm_legit_functional.default, normal(*WIDE), *CHANNELS, True, 0.3, 1e-5),
    (aten._pdist_forward.default, normal(5, 3), 2.0),
    (aten._pdist_forward.default, normal(5, 3), 1.5),
    (aten.softmax.int, normal(3, 4), 1, torch.float64),
    (aten.log_softmax.int, normal(3, 4), 0, torch.float64),
    (aten.kthvalue.default, TIES.sort(1).values + torch.arange(5), 2, -1, True),
    (aten.kthvalue.default, normal(4, 3, 2), 3, 1),
    (aten.median.default, normal(4, 3)),
    (aten.median.default, WITH_NAN),
    (aten.median.default, INTEGERS),
    (aten.median.dim, normal(4, 6), 1, True),
    (aten.median.dim, WITH_NAN, -1),
    (aten.nanmedian.default, WITH_NAN),
    (aten.nanmedian.default, torch.tensor([NAN, NAN])),
    (aten.mode.default, TIES, 1),
    (aten.mode.default, TIES.mT.contiguous(), 0, True),
    (aten.searchsorted.Tensor, TIES.sort(1).values, normal(2, 4)),
    (aten.squeeze.dim, normal(5, 1, 4), -2),
    (aten.squeeze.dim, normal(5, 1, 4), 2),
    (aten.squeeze.dim, torch.tensor(3.0), 0),
    (aten.scatter.src, torch.tensor(3.0), 0, torch.tensor(0), torch.tensor(4.0)),
    (aten.scatter.value, torch.tensor(3.0), 0, torch.tensor(0), 4.5),
    (aten.scatter_add.default, torch.tensor(3.0), 0, torch.tensor(0), torch.tensor(4.0)),
    *((aten.scatter.reduce, x, 0, at, new) for x, at, new in (
        (torch.tensor(3.0), torch.tensor(0), torch.tensor(4.0)),
        (normal(4, 3), torch.tensor([[0, 3], [0, 1]]), normal(3, 3)),
        (INTEGERS, torch.tensor([[1, 1, 0]]), INTEGERS),
    )),
    (aten.scatter.value_reduce, normal(4, 3), 1, torch.tensor([[0, 2], [1, 1]]), 2.5),
    (aten.linalg_vector_norm.default, torch.tensor(-3.0), 3, [0]),
    *((aten.linalg_vector_norm.default, normal(3, 4), order, None, True) for order in (2, 3, INF)),
    (aten.sort.stable, TIES),
    (aten.add.Tensor, DOUBLES, DOUBLES.flip(0)),
    (aten.sub.Tensor, DOUBLES, DOUBLES.flip(0)),
    (aten.addcdiv.default, DOUBLES, DOUBLES.flip(0), DOUBLES.exp()),
    (aten.addcmul.default, DOUBLES, DOUBLES.flip(0), DOUBLES.exp()),
    (aten.addmm.default, DOUBLES, DOUBLES @ DOUBLES.T, DOUBLES),
    (aten.baddbmm.default, DOUBLES[None], (DOUBLES @ DOUBLES.T)[None], DOUBLES[None]),
    (aten.fill.Scalar, DOUBLES, 0.1),
    (aten.full_like.default, normal(2, 3).double(), 0.1),
    (aten.new_full.default, DOUBLES, [4, 1], 0.1),
    (aten.full.default, [2, 3], 0.1),
    (aten.hardtanh.default, DOUBLES, -0.1, 0.3),
    (aten.masked_fill.Scalar, DOUBLES, DOUBLES > 0, 0.1),
    (aten.pow.Scalar, 0.3, DOUBLES),
    *((aten.linalg_vector_norm.default, DOUBLES, *more)
      for more in ([3], [0.3, [1], True], [3, None], [-3, [0]])),
    *((aten.linspace.default, *ends)
      for ends in ((0.1, 0.7, 5), (0.3, -2.0, 6), (0.1, 9, 1), (1, 2, 0))),
    (aten.searchsorted.Scalar, torch.tensor([1.0, 2.0, 2.0, 3.0]), 2.0),
    (aten.bucketize.Tensor, TIES, torch.tensor([0.0, 1.0, 3.0])),
    (aten.avg_pool2d.default, normal(*WIDE), [3, 2], [2, 3], [1, 1], True, True, 5),
    (aten.avg_pool2d.default, normal(3, 7, 9), [3], [2], [1], False, False, 2),
    (aten.avg_pool2d.default, normal(1, 1, 4, 5), [2], [3], [1], True, True, 3),
    (aten.avg_pool3d.default, normal(1, 2, 5, 6, 7), [2], [], [1], True, True, 4),
    (aten._adaptive_avg_pool3d.default, normal(2, 3, 5, 7, 4), [2, 3, 4]),
    (aten.adaptive_max_pool2d.default, normal(2, 3, 5, 7), [2, 3]),
    (aten.adaptive_max_pool2d.default, torch.ones(1, 4, 4), [3, 1]),
    (aten.adaptive_max_pool3d.default, normal(2, 3, 5, 7, 4), [2, 3, 3]),
    (aten.amax.default, normal(3, 4)),
    (aten.amax.default, torch.tensor(3.0)),
    (aten.amin.default, normal(3, 4), [], True),
    *((operator, x, 1) for operator in (aten.cummax.default, aten.cummin.default)
      for x in (TIES, WITH_NAN, INTEGERS, normal(2, 1, 3), normal(3, 11))),
    (aten.cummax.default, torch.tensor(2.0), 0),
    (aten.cumprod.default, normal(3, 11), 1),
    (aten.cumprod.default, INTEGERS, -1),
    (aten.cumprod.default, torch.tensor(2.0), 0),
    (aten.digamma.default, MANY),
    (aten.lgamma.default, MANY),
    (aten.lgamma.default, torch.tensor([-1.0, 0.0, INF, 2])),
    *((aten.polygamma.default, n, MANY.abs() + 0.1) for n in range(5)),
    # In float32 PyTorch itself is further off near the poles.
    *((aten.polygamma.default, n, MANY.double()) for n in range(1, 7)),
    *((aten.polygamma.default, n, torch.tensor([0.0, -3.0])) for n in range(2, 5)),
    (aten.special_erfcx.default, torch.cat([MANY.clamp(min=-3), torch.tensor([20.0, 1e10])])),
]  # fmt: skip

LINEAR = [
    (aten._linalg_slogdet.default, SQUARE),
    (aten._linalg_slogdet.default, torch.zeros(2, 0, 0)),
    (aten._linalg_solve_ex.default, SQUARE, normal(2, 5, 3)),
    (aten._linalg_solve_ex.default, SQUARE, normal(2, 5)),
    (aten.linalg_solve.default, SQUARE, normal(5, 3)),
    (aten.linalg_cholesky.default, positive_definite(2)),
    (aten.linalg_cholesky_ex.default, positive_definite(2)),
    (aten.cholesky_solve.default, normal(5, 2), positive_definite().tril()),
    (aten.cholesky_solve.default, normal(5, 2), positive_definite().triu(), True),
    (aten.cholesky_inverse.default, positive_definite().tril()),
    (aten.cholesky_inverse.default, positive_definite().triu(), True),
    (aten.geqrf.default, TALL),
    (aten.geqrf.default, BROAD),
    (aten.linalg_householder_product.default, *REFLECTIONS),
    (aten.ormqr.default, *REFLECTIONS, normal(2, 6, 3)),
    (aten.ormqr.default, *REFLECTIONS, normal(2, 3, 6), False, True),
    (aten.linalg_qr.default, TALL),
    (aten.linalg_qr.default, TALL, "complete"),
    (aten.linalg_qr.default, BROAD, "r"),
    (aten.inverse.default, SQUARE),
    (aten.linalg_inv.default, SQUARE),
    (aten.linalg_inv_ex.default, SQUARE),
    (aten.linalg_tensorinv.default, normal(4, 3, 2, 6)),
    (aten.linalg_tensorinv.default, normal(6, 3, 2), 1),
    (aten.linalg_lu.default, TALL),
    (aten.linalg_lu.default, BROAD),
    (aten.linalg_lu_factor.default, SQUARE),
    (aten.linalg_lu_factor_ex.default, TALL),
    (aten.linalg_lu_solve.default, FACTORS, PIVOTS, normal(2, 5, 3)),
    (aten.linalg_lu_solve.default, FACTORS, PIVOTS, normal(2, 4, 5)),
    (aten.linalg_lu_solve.default, FACTORS, PIVOTS, normal(2, 5, 5)),
    (aten.lu_unpack.default, FACTORS, PIVOTS),
    (aten.linalg_solve_triangular.default, positive_definite().tril(), normal(5, 2)),
    (aten.linalg_solve_triangular.default, positive_definite().triu(), normal(3, 5)),
    (aten.triangular_solve.default, normal(5, 2), positive_definite(2).triu()),
    (aten.triangular_solve.default, normal(5, 2), positive_definite().tril(), False, True, True),
]
if hasattr(aten, "cholesky"):  # PyTorch before 2.14
    LINEAR += [
        (aten.cholesky.default, positive_definite(2)),
        (aten.cholesky.default, positive_definite(), True),
        (aten.cholesky.default, torch.zeros(0, 0)),
    ]
KEYWORDS = {
    aten.scatter_reduce.two: lambda x, *_: {"include_self": x.is_floating_point()},
    aten.add.Tensor: lambda *_: {"alpha": 0.1},
    aten.sub.Tensor: lambda *_: {"alpha": 0.1},
    aten.addcdiv.default: lambda *_: {"value": 0.1},
    aten.addcmul.default: lambda *_: {"value": 0.1},
    aten.addmm.default: lambda *_: {"beta": 0.1, "alpha": 0.3},
    aten.baddbmm.default: lambda *_: {"beta": 0, "alpha": 0.3},
    aten.full.default: lambda *_: {"dtype": torch.float64},
    aten.linspace.default: lambda *_: {"dtype": torch.float64},
    aten.scatter.reduce: lambda x, *_: {"reduce": "add" if x.dim() == 2 else "multiply"},
    aten.scatter.value_reduce: lambda *_: {"reduce": "multiply"},
    aten.sort.stable: lambda x: {"stable": True, "dim": 0, "descending": True},
    aten.linalg_lu_solve.default: lambda a, p, b: {
        "left": b.shape[-2] == 5, "adjoint": b.shape[-1] == 5
    },
    aten.linalg_solve_triangular.default: lambda a, b: {
        "upper": bool(a[-1, 0] == 0), "left": b.shape[0] == 5
    },
}  # fmt: skip


# The factors of a determinant are PyTorch's own matter: it may factorise the transpose.
COMPARED = {aten._linalg_slogdet.default: 2}


def results(made):
    return list(made) if isinstance(made, (tuple, list)) else [made]


def check(operator, args, rtol, atol):
    copies = [arg.clone() if isinstance(arg, torch.Tensor) else arg for arg in args]
    keywords = KEYWORDS.get(operator, lambda *_: {})(*args)
    right, found = (
        results(operator(*copies, **keywords)),
        results(TABLE[operator](*args, **keywords)),
    )
    assert len(found) == len(right)
    for one, other in list(zip(found, right, strict=True))[: COMPARED.get(operator)]:
        torch.testing.assert_close(
            one, other, rtol=rtol, atol=atol, equal_nan=True, check_stride=False
        )


@pytest.mark.filterwarnings("ignore:The reduce argument of torch.scatter")
@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case[0]).removeprefix("aten."))
def test_decompositions(case):
    operator, *args = case
    check(operator, args, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("case", LINEAR, ids=lambda case: str(case[0]).removeprefix("aten."))
def test_linear_algebra(case):
    operator, *args = case
    # An elimination amplifies rounding by the condition of the matrix, some ten here.
    check(operator, args, rtol=1e-4, atol=1e-5)


OF_SYMBOLIC_SIZES = {aten._adaptive_avg_pool2d.default, aten.roll.default}
"""Tested in models: there is nothing else that they do."""


def test_every_decomposition_is_tested():
    tested = {case[0] for case in (*CASES, *LINEAR)} | OF_SYMBOLIC_SIZES
    assert TABLE.keys() == tested


@pytest.mark.parametrize(
    ("operator", "args"),
    [
        (aten._adaptive_avg_pool2d.default, (normal(*WIDE), [2, 5])),
        (aten.avg_pool2d.default, (normal(*WIDE), [3])),
        (aten.roll.default, (normal(*WIDE), [3, -1], [1, 2])),
        (aten.amax.default, (normal(3, 4), [1])),
        (aten.softmax.int, (normal(3, 4), 1)),
        (aten.log_softmax.int, (normal(3, 4), 1, torch.float32)),
        (aten.native_batch_norm.default, (normal(*WIDE), *CHANNELS, False, 0.1, 1e-5)),
        (aten.cross_entropy_loss.default, (TIES, torch.tensor([1, 2]))),
        (aten.pad.default, (normal(2, 3), (1, 1), "constant")),
        (aten.pad.default, (normal(1, 2, 3), (1, 1), "replicate")),
        (aten.upsample_nearest2d.vec, (normal(*WIDE), None, [2.0, 3.0])),
        (aten.upsample_nearest2d.vec, (normal(*WIDE), [14, 27], None)),
        (aten._upsample_bilinear2d_aa.vec, (normal(*WIDE), [4, 5], False, None)),
        (aten.linalg_inv.default, (normal(200, 200),)),
        (aten.lstm.input, (normal(6, 2, 4), [normal(4, 2, 3)] * 2, [], *OF_LAYER)),
        (aten.linalg_qr.default, (normal(2, 2).to(torch.complex64),)),
        (aten.stft.default, (normal(40).to(torch.complex64), 10)),
        (aten.arange.start_step, (1, 9, 2)),
        (aten.arange.default, (Unknown(3.0),)),
        (aten.logspace.default, (0, Unknown(3.0), 4)),
        (aten.linspace.default, (0.1, 3, 4)),
        (aten.full.default, ([2], 0.1)),
        (aten.full_like.default, (normal(2), 0.1)),
        (aten.fill.Scalar, (DOUBLES, 0.5)),
        (aten.new_full.default, (DOUBLES, [2], 3)),
        (aten.masked_fill.Scalar, (normal(2), normal(2) > 0, 0.1)),
        (aten.pow.Scalar, (0.5, DOUBLES)),
        (aten.hardtanh.default, (DOUBLES,)),
        (aten.add.Tensor, (DOUBLES, DOUBLES)),
        (aten.sub.Tensor, (DOUBLES, DOUBLES)),
        (aten.addmm.default, (DOUBLES, DOUBLES @ DOUBLES.T, DOUBLES)),
        (aten.addcmul.default, (DOUBLES, DOUBLES, DOUBLES)),
        (aten.addcdiv.default, (DOUBLES, DOUBLES, DOUBLES)),
        (aten.linalg_vector_norm.default, (DOUBLES, 4)),
        (aten.linalg_vector_norm.default, (DOUBLES, 0)),
        (aten.scatter.src, (TIES, 1, INTEGERS.abs() % 5, TIES)),
        (aten.scatter.value, (TIES, 1, INTEGERS.abs() % 5, 2.0)),
        (aten.scatter_add.default, (TIES, 1, INTEGERS.abs() % 5, TIES)),
        (aten.copy.default, (normal(3, 4), normal(3, 4))),
        (aten.scatter_reduce.two, (TIES, 1, INTEGERS.abs() % 5, INTEGERS * 1.0, "sum")),
    ],
)
def test_what_the_exporter_does_well_is_left_to_it(operator, args):
    assert TABLE[operator](*args) is NotImplemented
