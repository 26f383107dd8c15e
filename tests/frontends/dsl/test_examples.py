"""The models of the examples compute what the same numpy does."""

from __future__ import annotations

import numpy as np
import pytest

from examples import dsl_control_flow, dsl_gpt, dsl_lenet
from tests.frontends.dsl.support import agree, run


def test_lenet_gives_a_row_of_scores_for_each_image():
    x = np.random.default_rng(0).standard_normal((2, 1, 28, 28)).astype(np.float32)
    results = run(dsl_lenet.lenet, x=x)
    assert [r[0].shape for r in results.values()] == [(2, 10)] * 2
    np.testing.assert_allclose(*(r[0] for r in results.values()), rtol=1e-4, atol=1e-5)


def test_gpt_does_not_look_ahead():
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 256, (2, 9))
    other = ids.copy()
    other[:, 5:] = rng.integers(0, 256, (2, 4))
    (first,), (second,) = (run(dsl_gpt.gpt, ids=i)["onnxruntime"] for i in (ids, other))
    np.testing.assert_allclose(first[:, :5], second[:, :5], rtol=1e-5, atol=1e-6)
    assert np.abs(first[:, 5:] - second[:, 5:]).max() > 1e-2


@pytest.mark.parametrize("time", [1, 4])
def test_recurrent_network(time):
    p = {n: v.numpy() for n, v in dsl_control_flow.recurrent.parameters().items()}
    x = np.random.default_rng(2).standard_normal((time, 3, 8)).astype(np.float32)
    state, states = np.zeros((3, 16), np.float32), []
    for frame in x:
        inner = frame @ p["input.weight"].T + p["input.bias"] + state @ p["recurrent"]
        state = np.tanh(inner)
        states.append(state)
    agree(dsl_control_flow.recurrent, [state, np.stack(states)], rtol=1e-5, x=x)


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_decoder(steps):
    table = dsl_control_flow.decoder.parameters()["table"].numpy()
    start = np.array([3, 0, 11])
    tokens = start[:, None]
    for _ in range(steps):
        tokens = np.concatenate([tokens, table[tokens[:, -1]].argmax(1)[:, None]], 1)
    agree(dsl_control_flow.decoder, tokens, rtol=0, start=start, steps=np.array(steps))
