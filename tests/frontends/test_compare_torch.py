"""PyTorch modules against ONNX models of them that are right, and that are not."""

from __future__ import annotations

import copy
import math

import numpy as np
import onnx
import pytest

from sardonyx import compiler, frontends, runtime
from sardonyx.compiler.errors import UnsupportedError

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from sardonyx.frontends.torch.disturb import DisturbedArithmetic, is_exact  # noqa: E402

WIDTH, HEADS, LAYERS = 16, 2, 2


class Core(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x, mask):
        heads = (
            part(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        bias = (1 - mask[:, None, None, :].to(x.dtype)) * -1e4
        mixed = nn.functional.scaled_dot_product_attention(*heads, attn_mask=bias)
        return mixed.transpose(1, 2).flatten(2)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.core, self.out, self.norm = Core(), nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)
        self.act = nn.GELU()
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.last = nn.LayerNorm(WIDTH)

    def forward(self, x, mask):
        x = self.norm(x + self.out(self.core(x, mask)))
        return self.last(x + self.down(self.act(self.up(x))))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(40, WIDTH), nn.Embedding(20, WIDTH)
        self.layers = nn.ModuleList(Block() for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, ids, mask):
        x = self.words(ids) + self.places(torch.arange(ids.shape[1]))
        for layer in self.layers:
            x = layer(x, mask)
        return {"states": x, "scores": self.head(x[:, 0])}


DYNAMIC = {"ids": {0: "batch", 1: "seq"}, "mask": {0: "batch", 1: "seq"}}


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(7)
    net = Encoder().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def inputs(batch: int = 2, seq: int = 5):
    mask = torch.ones(batch, seq, dtype=torch.int64)
    mask[0, seq // 2 :] = 0
    return torch.randint(0, 40, (batch, seq)), mask


def planted(net, path: str, change):
    wrong = copy.deepcopy(net)
    with torch.no_grad():
        change(wrong.get_submodule(path))
    return wrong


@pytest.fixture(scope="module")
def exported(encoder):
    return frontends.from_torch(encoder, inputs(), dynamic=DYNAMIC)


@pytest.fixture(scope="module")
def program(exported):
    return compiler.compile(exported)


FAULTS = {
    "weight": ("layers.0.down", lambda part: part.weight[2, 5].add_(0.01)),
    "bias": ("layers.0.out", lambda part: part.bias.mul_(1.01)),
    "epsilon": ("layers.1.norm", lambda part: setattr(part, "eps", 1e-3)),
    "query": ("layers.1.core.query", lambda part: part.weight.mul_(1.001)),
    "embedding": ("places", lambda part: part.weight[1].add_(0.001)),
}
QUICK = {"weight", "epsilon"}


@pytest.mark.parametrize(
    "fault",
    [f if f in QUICK else pytest.param(f, marks=pytest.mark.slow) for f in FAULTS],
)
def test_the_module_with_a_fault_is_named(encoder, exported, fault):
    path, change = FAULTS[fault]
    made = frontends.compare((planted(encoder, path, change), inputs()), exported)
    assert not made.agrees
    assert made.divergence.reference.startswith(f"{path} (")
    assert made.divergence.model_steps[-1].startswith(f"{path} (")
    assert made.divergence.reference_steps[-1] == made.divergence.reference
    assert made.cuts == 10 * LAYERS
    assert made.looks <= 2 * math.log2(made.cuts) + 4


def test_a_compiled_program_agrees(encoder, program):
    made = frontends.compare((encoder, inputs()), program)
    assert made.agrees
    assert 0 < max(output.ratio for output in made.outputs) < 1


def test_a_fault_of_a_compiled_program_is_found_by_module(encoder, program):
    # Norms give their shifts to what reads them: activations and attentions stay what they were.
    path, change = FAULTS["weight"]
    made = frontends.compare((planted(encoder, path, change), inputs()), program)
    assert made.divergence.reference == "layers.1.core (Core)"
    assert "layers.0.down (Linear)" in made.divergence.reference_steps
    assert "layers.0.up (Linear)" not in made.divergence.reference_steps
    assert made.cuts >= 2 * LAYERS
    assert made.looks <= 2 * math.log2(made.cuts) + 4


def test_an_export_by_pytorch_is_understood(encoder, tmp_path):
    import warnings

    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(encoder, inputs(), str(path), dynamo=False, input_names=["a", "b"])
    made = frontends.compare((planted(encoder, *FAULTS["epsilon"]), inputs()), path)
    assert made.divergence.reference == "layers.1.norm (LayerNorm)"
    assert onnx.load(path).graph.input[0].name == "a"


@pytest.mark.slow
def test_a_module_around_the_module_does_not_matter(encoder):
    class Around(nn.Module):
        def __init__(self, inner) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x, mask):
            return self.inner(x, mask)

    model = frontends.from_torch(Around(encoder.layers[0]), (torch.randn(2, 5, WIDTH), inputs()[1]))
    wrong = planted(encoder.layers[0], "out", FAULTS["bias"][1])
    made = frontends.compare((wrong, (torch.randn(2, 5, WIDTH), inputs()[1])), model)
    assert made.divergence.reference == "out (Linear)"


def test_the_module_is_left_as_it_was(encoder, program):
    encoder.train()
    encoder.layers[1].eval()
    try:
        frontends.compare((encoder, inputs()), program)
        assert encoder.training
        assert not encoder.layers[1].training
        assert not any(part._forward_hooks for part in encoder.modules())
    finally:
        encoder.eval()


def test_sizes_are_tried(encoder, program):
    made = frontends.verify(program, (encoder, inputs()))
    assert made.agrees
    assert [case.inputs for case in made.cases] == ["the examples"] + ["made up"] * 5
    assert made.cases[0].sizes == {"batch": 2, "seq": 5}
    assert [case.sizes for case in made.cases[1:]] == [
        {"batch": 1, "seq": 1},
        {"batch": 2, "seq": 5},
        {"batch": 6, "seq": 2},
        {"batch": 4, "seq": 4},
        {"batch": 4, "seq": 6},
    ]
    assert all(0 <= output.ratio <= 1 for case in made.cases for output in case.outputs)


class Wide(nn.Module):
    """Right at the traced length only, if it is exported with that as a constant."""

    def forward(self, x):
        return torch.tanh(x) / x.shape[1]


class Baked(nn.Module):
    def forward(self, x):
        return torch.tanh(x) / 7


def test_a_size_that_was_taken_for_a_constant_is_found():
    example = torch.randn(3, 7)
    dynamic = {"x": {0: "rows", 1: "length"}}
    model = frontends.from_torch(Baked(), (example,), dynamic=dynamic)
    assert frontends.compare((Wide(), example), model).agrees
    made = frontends.verify(model, (Wide(), example))
    assert not made.agrees
    assert [case.agrees for case in made.cases] == [True, False, False, False, False, False]
    assert made.comparison is not None
    assert made.comparison.outputs[0].ratio > 1


class Cut(nn.Module):
    """Takes sizes from 4 to 9, as its model does."""

    def forward(self, x):
        table = torch.linspace(0, 1, 9)
        return torch.nn.functional.avg_pool1d(x[None] + table[: x.shape[1]], 4)


def test_limits_that_were_found_are_tried_and_kept():
    example = torch.randn(12, 8)
    model = frontends.from_torch(Cut(), (example,), dynamic={"x": {0: "rows", 1: "length"}})
    program = compiler.compile(model, target="cpu")
    tried = [case.sizes for case in frontends.verify(program, (Cut(), example)).cases]
    assert tried[-3:] == [
        {"rows": 12, "length": 4},
        {"rows": 12, "length": 9},
        {"rows": 16, "length": 9},
    ]
    assert all(4 <= sizes["length"] <= 9 for sizes in tried)
    session = runtime.load(program)
    for length in (4, 9):
        x = torch.randn(1, length)
        np.testing.assert_allclose(session(x)[0], Cut()(x).numpy(), rtol=1e-6, atol=1e-6)
    for length in (3, 10):
        with pytest.raises(runtime.InputError, match="a size in axis 1 that the model is not"):
            session(torch.randn(1, length))


def test_sizes_that_the_source_refuses_say_nothing():
    class Even(nn.Module):
        def forward(self, x):
            if x.shape[0] % 2:
                raise ValueError("odd")
            return x.exp()

    class Plain(nn.Module):
        def forward(self, x):
            return x.exp()

    example = torch.randn(4, 3)
    model = frontends.from_torch(Plain(), (example,), dynamic={"x": {0: "rows"}})
    made = frontends.verify(model, (Even(), example))
    assert made.agrees
    skipped = [case for case in made.cases if case.skipped]
    assert [case.sizes for case in skipped] == [{"rows": 1}]
    assert "ValueError: odd" in skipped[0].skipped


def test_sizes_that_only_the_model_refuses_are_its_fault():
    class Square(nn.Module):
        def forward(self, x):
            return x @ torch.ones(3, 3)

    text = """<ir_version: 10, opset_import: ["" : 23]>
        g (float[rows,3] x) => (float[rows,3] y) {
            s = Constant <value = int64[2] {2, 3}> ()  o = Constant <value = float {1.0}> ()
            w = Constant <value = int64[2] {3, 3}> ()  e = Expand(o, w)
            r = Reshape(x, s)  y = MatMul(r, e) }"""
    import onnx_ir as ir

    made = frontends.verify(ir.from_onnx_text(text), (Square(), torch.randn(2, 3)))
    assert not made.agrees
    assert [bool(case.problem) for case in made.cases] == [False, True, False, True, True]
    assert "Reshape" in made.cases[1].problem


def test_samples_of_ones_own(encoder, program):
    ids, mask = inputs(1, 3)
    sample = {"ids": ids.numpy(), "mask": mask.numpy()}
    made = frontends.verify(program, (encoder, inputs()), samples=[sample])
    assert made.cases[0].inputs == "sample 0"
    assert made.cases[0].sizes == {"batch": 1, "seq": 3}
    with pytest.raises(UnsupportedError, match="does not name the inputs"):
        frontends.verify(program, (encoder, inputs()), samples=[{"ids": ids.numpy()}])


def test_disturbed_arithmetic_is_off_in_its_last_digits():
    x = torch.randn(1000)
    right = torch.exp(x)
    with DisturbedArithmetic(3, 0.0):
        found = torch.exp(x)
        kept = torch.cat([x, x])
    moved = ((found - right) / right).abs()
    assert 0 < moved.max() <= 2**-21
    assert (moved > 0).float().mean() > 0.5
    assert torch.equal(kept, torch.cat([x, x]))
    with DisturbedArithmetic(3, 2.0**-10):
        assert ((torch.exp(x) - right) / right).abs().max() > 2**-11


def test_views_and_copies_are_exact():
    aten = torch.ops.aten
    for func in (aten.view.default, aten.transpose.int, aten.cat.default, aten.add_.Tensor):
        assert is_exact(func)
    for func in (aten.add.Tensor, aten.native_layer_norm.default, aten.mm.default):
        assert not is_exact(func)


class CountsOfExperts(nn.Module):
    """Chooses two of five experts for each row, as mixtures do, and splits by their numbers."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(4, 5)
        self.experts = nn.ModuleList(nn.Linear(4, 3) for _ in range(5))

    def forward(self, x):
        _, chosen = self.router(x).topk(2, dim=1)
        gates = x.new_zeros(x.shape[0], 5).scatter(1, chosen, 1)
        counts = (gates.cumsum(0)[-1] * 3 / 3).floor().long()
        order = chosen.flatten().argsort(stable=True).div(2, rounding_mode="trunc")
        rows = x[order].split(counts.tolist())
        made = torch.cat([expert(row) for expert, row in zip(self.experts, rows, strict=True)])
        return x.new_zeros(x.shape[0], 3).index_add(0, order, made)


@pytest.mark.parametrize("seed", range(3))
def test_counts_in_floating_point_are_exact(seed):
    torch.manual_seed(seed)
    net, x = CountsOfExperts().eval(), torch.randn(9, 4)
    with torch.no_grad(), DisturbedArithmetic(seed, 0.0):
        found = net(x)
    torch.testing.assert_close(found, net(x), rtol=1e-5, atol=1e-6)
    assert not torch.equal(found, net(x))


def test_what_is_not_short_is_disturbed_though_it_is_computed_from_short_numbers():
    x = torch.arange(1.0, 13.0)
    with DisturbedArithmetic(0, 0.0):
        thirds, ones, by_tenths, means = x / 3, x / x, x * 0.1, x.mean()
        added = torch.zeros(2).scatter_reduce(0, torch.tensor([0, 0]), x[:2] / 7, "sum")
    assert torch.equal(ones, torch.ones(12))
    assert torch.equal(thirds[2::3], x[:4])
    assert (thirds != x / 3).any()
    assert (by_tenths != x * 0.1).any()
    assert means != 6.5
    assert added[0] != (x[:2] / 7).sum()


def test_half_precision_of_a_module_is_allowed_for():
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8)).eval()
    x = torch.randn(4, 8)
    model = frontends.from_torch(net, (x,))
    half = copy.deepcopy(net).half()
    made = frontends.compare((half, x.half()), model)
    assert made.agrees
    assert any("float16" in note for note in made.notes)
