"""Operators that the exporter gets wrong, or has no lowering for, come out right."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sardonyx.compiler.errors import CaptureError
from sardonyx.frontends import from_torch
from tests.frontends.torch_compare import check

F32 = 2e-6
BATCH = {0: {0: "batch"}}
IMAGES = (torch.randn(2, 3, 8, 9), torch.randn(1, 3, 8, 9))
ROWS = (torch.randn(2, 10), torch.randn(5, 10))


class Function(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


def as_pairs(transform, **options):
    """Complex results as pairs, which is how the model gives them."""
    return Function(lambda x: torch.view_as_real(transform(x, **options).resolve_conj()))


FUNCTIONS = {
    "divided-by-a-count": lambda x: torch.divide(
        x, torch.ones_like(x, dtype=torch.int64).sum(1)[0]
    ),
    "subtracted": lambda x: torch.subtract(x, torch.arange(10)),
    "log1p-of-little": lambda x: torch.log1p(x * 1e-6),
    "logsigmoid": lambda x: F.logsigmoid(x * 1e-3 + 15),
    "soft-margin-of-sure-scores": lambda x: F.soft_margin_loss(x * 0.1 + 15, torch.ones(10)),
    "log-softmax-in-double": lambda x: F.log_softmax(x, 1, dtype=torch.float64),
    "cumulative": lambda x: [*x.cummax(1), *x.cummin(1), x.cumprod(1)],
    "median": lambda x: [*x.median(1), *x.kthvalue(3, 1)],
    "searched": lambda x: torch.searchsorted(x.sort(1).values, x * 0.9),
    "sorted-with-ties": lambda x: [
        *torch.sort(x.round(), stable=True),
        *torch.sort(x.round(), dim=0, stable=True, descending=True),
        torch.argsort(x.round(), stable=True, descending=True),
    ],
    "signs": lambda x: [torch.copysign(x, x.flip(1)), torch.hypot(x, x.flip(1)), x.signbit()],
    "largest": lambda x: [x.amax(), x.amin(), torch.fmax(x, x.flip(1))],
    "scattered-means": lambda x: torch.scatter_reduce(
        x, 1, torch.tensor([[1, 1, 4]]).expand(x.shape[0], 3), x[:, 3:6], "mean"
    ),
    "scattered-sums": lambda x: [
        torch.scatter(x, 1, torch.tensor([[1, 1, 4]]), 2.5, reduce=way)
        for way in ("add", "multiply")
    ],
    "norms": lambda x: [
        x.norm(keepdim=True),
        torch.linalg.vector_norm(x, 3, keepdim=True),
        x[0, 0].norm(2, 0),
    ],
    "squeezed": lambda x: [x.squeeze(1), x[:, None].squeeze(1), x.squeeze(-1)],
    "stacked": lambda x: [torch.hstack([x, x[:, :3]]), torch.vstack([x[0], x])],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    check(Function(FUNCTIONS[name]), ROWS[:1], ROWS[1:], rtol=F32, dynamic=BATCH)


DOUBLES = {
    "arithmetic": lambda x: [x + 0.1, 0.1 - x, x * 0.1, x / 0.3, 0.1 / x, x // 0.3, x % 0.3],
    "powers": lambda x: [x.abs() ** 0.3, 0.3**x, torch.linalg.vector_norm(x, 3, 1)],
    "limits": lambda x: [x.clamp(0.1, 0.3), x.clamp(min=0.1), F.hardtanh(x, -0.1, 0.3)],
    "choices": lambda x: [
        torch.where(x > 0, x, 0.1), x.masked_fill(x > 0, 0.1), F.threshold(x, 0.1, 0.3)
    ],
    "constants": lambda x: [
        x + torch.full((10,), 0.1, dtype=x.dtype), torch.full_like(x, 0.1), x.new_full((3,), 0.1),
        x + torch.linspace(0.1, 0.7, 10, dtype=x.dtype), F.pad(x, (1, 2), value=0.1),
    ],
    "sums": lambda x: [
        torch.add(x, x.flip(1), alpha=0.1), torch.addcmul(x, x, x, value=0.1),
        torch.addmm(x @ x.T, x, x.T, beta=0.1, alpha=0.3), torch.lerp(x, x.flip(1), 0.1),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBLES)
def test_numbers_beside_tensors_in_double_precision(name):
    rows = [x.double() for x in ROWS]
    check(Function(DOUBLES[name]), rows[:1], rows[1:], rtol=1e-13, dynamic=BATCH)


TRANSFORMS = {
    "fft": as_pairs(torch.fft.fft),
    "fft-orthogonal": as_pairs(torch.fft.fft, norm="ortho"),
    "rfft": as_pairs(torch.fft.rfft),
    "rfft-odd": as_pairs(torch.fft.rfft, n=7),
    "ifft": as_pairs(torch.fft.ifft),
    "ihfft": as_pairs(torch.fft.ihfft),
    "there-and-back": Function(lambda x: torch.fft.irfft(torch.fft.rfft(x), n=10)),
    "odd-back": Function(lambda x: torch.fft.irfft(torch.fft.rfft(x, n=9), n=9)),
    "hfft": Function(lambda x: torch.fft.hfft(x.to(torch.complex64), n=12)),
    "with-an-axis": as_pairs(lambda x: torch.fft.fft(x).unsqueeze(1)),
    "with-an-axis-at-the-end": as_pairs(lambda x: torch.fft.fft(x).unsqueeze(-1)),
    "with-an-axis-before-the-end": as_pairs(lambda x: torch.fft.fft(x).unsqueeze(-2)),
    "repeated": as_pairs(lambda x: torch.fft.fft(x)[None].expand(3, -1, x.shape[1])),
    "repeated-as-often-as-there-are-rows": as_pairs(
        lambda x: torch.fft.fft(x)[:, None].expand(-1, x.shape[0], -1)
    ),
    "of-windows": as_pairs(
        torch.stft, n_fft=6, hop_length=2, window=torch.hann_window(6), return_complex=True,
        center=False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMS)
def test_fourier_transforms_are_exact_to_the_last_digits(name):
    check(TRANSFORMS[name], ROWS[:1], ROWS[1:], rtol=4e-7, dynamic=BATCH)


IMAGE_FUNCTIONS = {
    "average-over-a-divisor": lambda x: F.avg_pool2d(x, 3, 2, 1, True, False, 2),
    "adaptive-maximum": lambda x: F.adaptive_max_pool2d(x, (3, 4), return_indices=True),
    "norm-of-the-batch": lambda x: F.batch_norm(x, None, None, training=True),
    "norm-of-the-batch-with-statistics": lambda x: F.batch_norm(
        x, torch.ones(3), torch.ones(3), torch.arange(3.0), torch.ones(3), training=True
    ),
    "padded-transform": lambda x: torch.view_as_real(torch.fft.fft2(x, s=(10, 5))),
    "edges-and-cuts": lambda x: F.pad(x, (-2, 3, 1, -1), "replicate"),
    "norms": lambda x: [
        x.norm(keepdim=True),
        torch.linalg.vector_norm(x, 3, keepdim=True),
        x[0, 0].norm(2, 0),
    ],
    "squeezed": lambda x: x.mean((2, 3), keepdim=True).squeeze((2, 3)),
}


@pytest.mark.parametrize("name", IMAGE_FUNCTIONS)
def test_functions_of_images(name):
    # Three means that are nearly zero make 1e-5 of the largest number.
    check(Function(IMAGE_FUNCTIONS[name]), IMAGES[:1], IMAGES[1:], rtol=1e-5, dynamic=BATCH)


def test_volumes_are_sampled_at_the_places_of_a_grid():
    volume, grid = torch.randn(2, 3, 4, 5, 6), torch.rand(2, 3, 2, 4, 3) * 2 - 1
    for mode in ("bilinear", "nearest"):
        sample = Function(lambda x, g, m=mode: F.grid_sample(x, g, m, align_corners=False))
        check(sample, (volume, grid), rtol=F32)


def test_numbers_that_a_mask_selects():
    rows, mask = torch.randn(3, 4), torch.tensor([True, False, True, True])
    check(Function(torch.masked_select), (rows, mask), (rows, ~mask), rtol=0)
    number = torch.tensor(2.5)
    check(Function(torch.masked_select), (number, torch.tensor(True)), rtol=0)


def test_numbers_known_to_the_trace_are_those_of_double_precision():
    check(Function(lambda x: x + torch.arange(0.1, -7.9, -4.0)), (torch.randn(1),), rtol=0)
    check(Function(lambda x: x * torch.logspace(4.3, -3, 4)), (torch.ones(4),), rtol=1e-7)


def test_one_number_written_over_many():
    def write(x, number):
        x = x.clone()
        x[1:].copy_(number)
        return x

    check(Function(write), (torch.randn(3, 4), torch.tensor(2.0)), rtol=0)


def test_numbers_are_shifted_by_sizes():
    def shift(x):
        return (
            torch.fft.fftshift(x, 1),
            torch.roll(x, (-x.shape[1] - 1, 1), (1, 0)),
            x.roll(x.shape[0]),
        )

    rows = ([torch.randn(*size)] for size in ((3, 8), (2, 5), (4, 1), (1, 12)))
    check(Function(shift), *rows, rtol=0, dynamic={0: {0: "b", 1: "t"}})


@pytest.mark.parametrize("number", [0.0, 2.0])
def test_a_scalar_that_is_not_zero_has_an_empty_place(number):
    check(Function(torch.nonzero), (torch.tensor(number),), rtol=0)


def test_a_bag_of_embeddings_leaves_no_readers_behind():
    table, ids = torch.randn(10, 5), torch.tensor([5, 1, 6, 5, 6])
    weights, starts = torch.randn(5), torch.tensor([0, 3])
    bag = Function(lambda i, t, s, w: F.embedding_bag(i, t, s, mode="sum", per_sample_weights=w))
    model = check(bag, (ids, table, starts, weights), rtol=F32)
    present = set(model.graph.all_nodes())
    values = [v for node in present for v in (*node.inputs, *node.outputs) if v is not None]
    assert all(reader in present for value in values for reader, _ in value.uses())


@pytest.mark.parametrize(
    "function",
    [
        torch.linalg.inv,
        lambda x: torch.linalg.solve(x, x[..., :2] + 1),
        lambda x: [*torch.linalg.qr(x), torch.linalg.cholesky(x @ x.mT + torch.eye(3))],
    ],
)
def test_linear_algebra_of_small_matrices(function):
    a = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(4))
    check(Function(function), (a,), rtol=1e-4)


NAN = float("nan")
WITH_NAN = torch.tensor([[1, NAN, 3, 2, NAN, 5, 1, 1], [2, 2, 2, 3, 3, 1, 0, 9]])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.cumprod(1),
        lambda x: x.cumprod(0),
        lambda x: tuple(x.cummax(1)),
        lambda x: tuple(x.cummin(-1)),
        lambda x: tuple(x.nan_to_num(1).mul(3).int().cummax(0)),
    ],
    ids=["prod", "prod of columns", "max", "min", "max of integers"],
)
def test_scans_along_an_axis_of_any_length(function):
    calls = [(torch.randn(shape),) for shape in ((2, 5), (3, 9), (1, 1), (40, 33))]
    dynamic = {0: {0: "b", 1: "t"}}
    check(Function(function), *calls, (WITH_NAN,), rtol=2e-5, dynamic=dynamic)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.pad(x, (0, -(-x.shape[1] // 4) * 4 - x.shape[1])),
        lambda x: x * ((1 - x.shape[1]) // 2),
        lambda x: x[:, -x.shape[1] // 2 :],
        lambda x: x[:, : (x.shape[1] - 3) // 2 + 1],
        lambda x: x.sum() + torch.arange((-x.shape[1]) // 2, x.shape[1] // 2),
    ],
    ids=["ceil", "factor", "last half", "windows", "centred"],
)
def test_sizes_are_divided_with_floor(function):
    calls = [(torch.randn(shape),) for shape in ((2, 7), (3, 9), (1, 12), (2, 4))]
    check(Function(function), *calls, rtol=1e-6, dynamic={0: {0: "b", 1: "t"}})


def test_distances_of_pairs_of_rows_want_a_known_number_of_rows():
    check(Function(F.pdist), (torch.randn(4, 3),), (torch.randn(4, 3),), rtol=F32)
    with pytest.raises(CaptureError, match=r"aten\._pdist_forward"):
        from_torch(Function(F.pdist), torch.randn(4, 3), dynamic={0: {0: "rows"}})
