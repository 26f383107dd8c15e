"""Training and inference from one function: batch norm, dropout, noise, updates, random numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sardonyx import compiler, runtime
from sardonyx.frontends import dsl
from tests.frontends.dsl.support import agree, run
from tests.frontends.dsl.twins import shaken


def twin_state(twin, layer="batch_norm"):
    return {f"{layer}.{name}": value.clone() for name, value in twin.state_dict().items()}


@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 5), (2, 4, 1, 7), (1, 4, 2, 3, 2)])
@pytest.mark.parametrize("fixed", [True, False])
def test_batch_norm_in_training_moves_its_statistics_as_pytorch_does(shape, fixed):
    torch.manual_seed(1)
    kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[len(shape)]
    twin = shaken(kind(4, eps=1e-3, momentum=0.3)).train()
    dims = shape if fixed else tuple(n if i == 1 else f"d{i}" for i, n in enumerate(shape))
    net = dsl.model(x=dsl.f32[dims])(lambda x: dsl.batch_norm(x, eps=1e-3, momentum=0.3))
    trainer = net.build(training=True).load(twin_state(twin))
    x = torch.randn(shape) * 3 + 2
    wanted = [twin(x).detach().numpy(), twin.running_mean.numpy(), twin.running_var.numpy()]
    agree(trainer, wanted, rtol=1e-5, x=x.numpy())
    assert trainer.updates() == {
        "batch_norm.running_mean": "batch_norm.running_mean.next",
        "batch_norm.running_var": "batch_norm.running_var.next",
    }


@pytest.mark.parametrize("target", ["cpu", "portable"])
def test_updates_survive_compilation_and_load_back(target):
    torch.manual_seed(2)
    twin = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    names = {
        f"{ours}.{kind}": f"{theirs}.{kind}"
        for ours, theirs, kinds in (
            ("conv", "0", "weight bias"),
            ("batch_norm", "1", "weight bias running_mean running_var"),
        )
        for kind in kinds.split()
    }

    @dsl.model(x=dsl.f32["n", 3, "h", "w"])
    def net(x):
        return {"y": dsl.relu(dsl.batch_norm(dsl.conv(x, 4, 3)))}

    trainer = net.build(training=True).load(twin.state_dict(), names)
    for _ in range(2):
        x = torch.randn(2, 3, 6, 5)
        session = runtime.load(compiler.compile(trainer, target=target))
        results = session.run_named({"x": x.numpy()})
        np.testing.assert_allclose(results["y"], twin(x).detach().numpy(), rtol=1e-4, atol=1e-5)
        state = {name: p.numpy() for name, p in trainer.parameters().items()}
        trainer.load(state | {n: results[out] for n, out in trainer.updates().items()})
    x = torch.randn(1, 3, 4, 4)
    learned = trainer.build(training=False)
    assert not learned.training
    assert not learned.updates()
    agree(learned, twin.eval()(x).detach(), rtol=1e-5, x=x.numpy())


def test_building_again_keeps_loaded_numbers_and_a_seed_makes_fresh_ones():
    net = dsl.model(x=dsl.f32["n", 3])(lambda x: dsl.linear(dsl.dropout(x), 2))
    loaded = {"linear.weight": np.full((2, 3), 7.0), "linear.bias": np.ones(2)}
    fresh = net.build().parameters()["linear.weight"].numpy()
    net.load(loaded)
    assert (net.build(training=True).parameters()["linear.weight"].numpy() == 7).all()
    again = net.build(seed=0)
    np.testing.assert_array_equal(again.parameters()["linear.weight"].numpy(), fresh)
    assert again.seed == 0
    assert not again.training


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("rate", [0.25, 0.9])
def test_dropout_in_training_keeps_the_mean(rate, is_compiled):
    """Also between other nodes, where ONNX Runtime removes the operator Dropout."""
    net = dsl.model(x=dsl.f32["n", 400])(lambda x: -dsl.dropout(-x, rate))
    x = np.random.default_rng(0).uniform(1, 2, (300, 400)).astype(np.float32)
    agree(net, x, rtol=0, x=x)
    trainer = net.build(training=True)
    if is_compiled:
        (y,) = runtime.load(compiler.compile(trainer, target="cpu"))(x)
    else:
        (y,) = run(trainer, ("reference",), x=x)["reference"]
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] / (1 - rate), rtol=1e-6)
    assert kept.mean() == pytest.approx(1 - rate, abs=0.01)
    assert len(np.unique(kept.mean(0))) > 5


def test_two_places_of_a_model_have_seeds_of_their_own():
    @dsl.model(x=dsl.f32["n", 8])
    def net(x):
        with dsl.scope("a"):
            x = dsl.dropout(x)
        return dsl.gaussian_noise(dsl.dropout(x), 0.1) + dsl.random.normal_like(x)

    def seeds(model):
        return [n.attributes["seed"].value for n in model.to_ir().graph if "seed" in n.attributes]

    first = seeds(net.build(training=True))
    assert len(set(first)) == 4
    assert seeds(net.build(training=True)) == first
    assert not set(seeds(net.build(training=True, seed=1))) & set(first)
    assert len(seeds(net)) == 1


def test_noise_is_of_training_only():
    net = dsl.model(x=dsl.f32["n", 500])(lambda x: dsl.gaussian_noise(x, 0.5))
    x = np.ones((200, 500), np.float32)
    agree(net, x, rtol=0, x=x)
    session = runtime.load(compiler.compile(net.build(training=True), target="cpu"))
    noise = session(x)[0] - x
    assert noise.std() == pytest.approx(0.5, rel=0.02)
    assert abs(noise.mean()) < 0.01


def drawn(function, **inputs):
    """What a model draws at two runs, compiled: the kernels of opset 23 are missing."""
    specs = {
        name: getattr(dsl, {"float32": "f32", "int64": "i64"}[str(x.dtype)])[
            tuple(f"d{i}" for i in range(x.ndim))
        ]
        for name, x in inputs.items()
    }
    session = runtime.load(compiler.compile(dsl.model(**specs)(function), target="cpu"))
    first, second = (session(**inputs)[0] for _ in range(2))
    assert first.shape == second.shape
    assert (first != second).any()
    return first


X = np.zeros((300, 200), np.float32)
DRAWS = {
    "normal": (lambda x: x.sum() + dsl.random.normal((300, 200), 1.0, 2.0), 1.0, 2.0),
    "normal of symbolic sizes": (lambda x: dsl.random.normal((x.shape[0], 200), 3.0), 3.0, 1.0),
    "normal_like": (lambda x: dsl.random.normal_like(x, -1.0, 0.5), -1.0, 0.5),
    "uniform": (lambda x: x.sum() + dsl.random.uniform((300, 200), -1.0, 3.0), 1.0, 4 / 12**0.5),
    "uniform by name": (lambda x: dsl.random.uniform(("d0", "d1")), 0.5, 12**-0.5),
    "uniform_like": (lambda x: dsl.random.uniform_like(x, 1.0, 2.0), 1.5, 12**-0.5),
    "bernoulli": (lambda x: dsl.random.bernoulli(x + 0.3), 0.3, 0.21**0.5),
}


@pytest.mark.parametrize("name", DRAWS)
def test_random_numbers_have_their_mean_and_deviation(name):
    function, mean, deviation = DRAWS[name]
    got = drawn(function, x=X)
    assert got.shape == (300, 200)
    assert got.dtype == np.float32
    assert got.mean() == pytest.approx(mean, abs=0.05 * deviation)
    assert got.std() == pytest.approx(deviation, rel=0.02)


def test_multinomial_draws_by_softmax():
    chances = np.array([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25]], np.float32)
    got = drawn(lambda x: dsl.random.multinomial(x, 4000), x=np.log(chances) + 2)
    assert got.dtype == np.int64
    assert got.shape == (2, 4000)
    shares = np.stack([(got == i).mean(1) for i in range(3)], axis=1)
    np.testing.assert_allclose(shares, chances, atol=0.03)


def test_random_numbers_of_another_dtype_and_a_given_seed():
    graph = (
        dsl.model(x=dsl.f32[2])(lambda x: dsl.random.normal((2, 3), dtype="f64", seed=5)).to_ir()
    ).graph
    assert graph.outputs[0].dtype == dsl.f64.code
    assert list(graph.outputs[0].shape) == [2, 3]
    assert graph[0].attributes["seed"].value == 5.0


def test_an_update_of_your_own():
    @dsl.model(x=dsl.f32["n", 3])
    def counting(x):
        seen = dsl.parameter("seen", (), dsl.init.zeros, trainable=False)
        if dsl.is_training():
            dsl.update(seen, seen + 1)
        return x * seen

    x = np.ones((2, 3), np.float32)
    trainer = counting.build(training=True).load({"seen": np.array(4.0)})
    agree(trainer, [x * 4, np.float32(5)], rtol=0, x=x)
    assert not counting.updates()


def test_a_parameter_that_is_an_output_and_its_own_next_value():
    @dsl.model(x=dsl.f32[3])
    def same(x):
        kept = dsl.parameter("kept", (3,), dsl.init.ones)
        total = kept + x
        dsl.update(kept, total)
        return total, kept

    x = np.arange(3, dtype=np.float32)
    agree(same, [x + 1, np.ones(3, np.float32), x + 1], rtol=0, x=x)
