"""What some members of the zoo are there to show."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from benchmarks.languages.counting import lines
from examples.zoo import twins
from examples.zoo.attention import gpt
from examples.zoo.convolutional import lenet, resnet
from examples.zoo.member import learned
from examples.zoo.registry import MEMBERS
from sardonyx import runtime
from sardonyx.compiler import compile

LENET = (lenet.lenet5,)
RESNET = (resnet.unit, resnet.shortcut, resnet.bottleneck, resnet.resnet)
GPT_BLOCK = (gpt.attend, gpt.block)


PUBLISHED = {
    "lenet5": 61_706,
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "googlenet": 6_624_904,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "resnet200": 64_673_832,
    "resnext50": 25_028_904,
    "densenet121": 7_978_856,
    "mobilenet v2": 3_504_872,
    "u-net": 31_037_698,
    "c3d": 79_991_015,
    "style transfer": 1_679_235,
    "dcgan generator": 3_576_704,
    "dcgan discriminator": 2_765_568,
    "bert": 109_482_240,
    "gpt": 124_439_808,
    "vit": 86_567_656,
}
"""What torchvision, timm, PyTorch's examples, Hugging Face and papers train."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_has_the_size_of_the_published_one(name):
    assert learned(MEMBERS[name].build(is_small=False)) == PUBLISHED[name]


def outputs(name: str, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What a member with its twin's weights computes, compiled for the CPU."""
    program = compile(twins.pair(MEMBERS[name], is_small=True).model)
    return list(runtime.load(program, threads=1).run_named(feeds).values())


def lines_of(*functions: object) -> int:
    """The lines of code of functions."""
    return sum(lines(inspect.getsource(getattr(f, "_function", f))) for f in functions)


@pytest.mark.parametrize(("functions", "most"), [(LENET, 15), (RESNET, 45), (GPT_BLOCK, 25)])
def test_the_zoo_is_short(functions, most):
    assert lines_of(*functions) <= most


def test_two_layers_solve_exclusive_or():
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    (answers,) = outputs("xor", {"x": x})
    assert (answers > 0.5).ravel().tolist() == [False, True, True, False]


def test_a_neuron_fires_above_its_threshold():
    pair = twins.pair(MEMBERS["mcculloch-pitts"], is_small=True)
    state = {"weight": np.ones(8), "threshold": np.array(1.5)}
    pair.model.load(state)
    x = np.array([[1, 1, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]], np.float32)
    session = runtime.load(compile(pair.model), threads=1)
    assert session(x)[0].tolist() == [1, -1]


def test_dropout_drops_the_share_it_is_asked_for():
    from sardonyx.frontends import dsl

    @dsl.model(x=dsl.f32["n"])
    def dropped(x):
        return -dsl.dropout(-x, 0.3)

    session = runtime.load(compile(dropped.build(training=True)), threads=1)
    (y,) = session(np.ones(10_000, np.float32))
    assert np.allclose(y[y != 0], 1 / 0.7)
    # Four standard deviations of the share of 10,000 draws.
    assert abs((y == 0).mean() - 0.3) <= 4 * np.sqrt(0.3 * 0.7 / 10_000)


def test_a_cached_decoder_says_the_same_step_by_step():
    member = MEMBERS["gpt"]
    pair = twins.pair(member, is_small=True)
    session = runtime.load(compile(pair.model), threads=1)
    feeds = member.feeds(pair.model, {"batch": 2, "length": 6, "before": 0})
    whole, cache = session(**feeds)
    past, steps = feeds["past"], []
    for token in np.split(feeds["tokens"], 6, axis=1):
        logits, past = session(token, past)
        steps.append(logits)
    scale = np.abs(whole).max()
    np.testing.assert_allclose(np.concatenate(steps, 1), whole, rtol=0, atol=1e-5 * scale)
    np.testing.assert_allclose(past, cache, rtol=0, atol=1e-5 * np.abs(cache).max())
