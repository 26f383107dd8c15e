"""cond, loop, while_loop and scan compute what the same Python does."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.frontends import dsl
from tests.frontends.dsl.support import agree


def numbers(*shape, seed=11):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@dsl.model(x=dsl.f32["n", 3])
def branches(x):
    doubled = x * 2
    return dsl.cond(
        x.sum() > 0,
        lambda: (doubled + dsl.parameter("shift", (3,), dsl.init.constant(0.5)), x),
        lambda: (-x, dsl.dropout(doubled)),
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_cond(sign):
    x = sign * np.abs(numbers(2, 3))
    wanted = [x * 2 + np.float32(0.5), x] if sign > 0 else [-x, x * 2]
    agree(branches, wanted, rtol=1e-6, x=x)
    assert list(branches.parameters()) == ["shift"]


def test_branches_of_other_sizes_give_a_size_that_is_not_known():
    model = dsl.model(x=dsl.f32["n", 4], yes=dsl.bool_[()])(
        lambda x, yes: dsl.cond(yes, lambda: x[:, 1:], lambda: x[:, 2:]) * 2
    )
    x = numbers(3, 4)
    for yes in (True, False):
        wanted = 2 * (x[:, 1:] if yes else x[:, 2:])
        agree(model, wanted, rtol=1e-6, x=x, yes=np.array(yes))


@pytest.mark.parametrize("n", [0, 1, 4])
def test_nested_cond_in_a_loop(n):
    @dsl.model(x=dsl.f32["k"], n=dsl.i64[()])
    def nested(x, n):
        def step(i, total):
            return dsl.cond(i % 2 == 0, lambda: total + x * i.cast("f32"), lambda: total * 2)

        return dsl.loop(n, step, x)

    x = numbers(3)
    total = x
    for i in range(n):
        total = total + x * np.float32(i) if i % 2 == 0 else total * 2
    agree(nested, total, rtol=1e-6, x=x, n=np.array(n))


def test_loop_collects_what_a_step_returns_beyond_the_state():
    @dsl.model(x=dsl.f32["n", 2])
    def fibonacci(x):
        def step(i, a, b):
            return b, a + b, a * 10, i

        return dsl.loop(5, step, x, x * 2)

    x = numbers(3, 2)
    a, b, seen = x, x * 2, []
    for _ in range(5):
        seen.append(a * 10)
        a, b = b, a + b
    wanted = [a, b, np.stack(seen), np.arange(5)]
    # The reference evaluator of onnx 1.23 joins what the steps return instead of stacking it.
    agree(fibonacci, wanted, rtol=1e-6, evaluators=("onnxruntime",), x=x)


@pytest.mark.parametrize("rows", [1, 4])
def test_a_state_that_grows_is_traced_again_with_a_symbolic_size(rows):
    @dsl.model(x=dsl.f32["n", 2])
    def grow(x):
        def step(i, state):
            weight = dsl.parameter("w", (2, 2), dsl.init.constant(1.0))
            return dsl.concat([state, state[-1:] @ weight], axis=0)

        return dsl.loop(3, step, x)

    x = numbers(rows, 2)
    wanted = x
    for _ in range(3):
        wanted = np.concatenate([wanted, wanted[-1:] @ np.ones((2, 2), np.float32)])
    agree(grow, wanted, rtol=1e-5, x=x)
    assert list(grow.parameters()) == ["w"]
    assert "w" in grow.to_ir().graph.initializers


@pytest.mark.parametrize("start", [3, 100])
def test_while_loop(start):
    model = dsl.model(x=dsl.i64[()])(
        lambda x: dsl.while_loop(lambda v, _: v < 60, lambda v, n: (v * 2, n + 1), x, x * 0)
    )
    v, n = start, 0
    while v < 60:
        v, n = v * 2, n + 1
    agree(model, [np.array(v), np.array(n)], rtol=0, x=np.array(start))


def test_loop_with_count_and_condition():
    model = dsl.model(x=dsl.f32[()], n=dsl.i64[()])(
        lambda x, n: dsl.loop(n, lambda i, v: v * 2, x, while_=lambda v: v < 10)
    )
    for n, wanted in ((2, 4.0), (9, 16.0)):
        one = np.float32(1)
        agree(model, np.float32(wanted), rtol=0, x=np.asarray(one), n=np.array(n))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_scan_is_a_recurrent_network(axis, reverse):
    spec = dsl.f32["t", "b", 3] if axis == 0 else dsl.f32["b", "t", 3]

    @dsl.model(x=spec, h=dsl.f32["b", 4])
    def rnn(x, h):
        recurrent = dsl.parameter("u", (4, 4), dsl.init.normal(0.5))

        def step(h, x):
            h = dsl.tanh(dsl.linear(x, 4, name="in") + h @ recurrent)
            return h, h * 2

        return dsl.scan(step, h, x, axis=axis, reverse=reverse)

    x = numbers(5, 2, 3) if axis == 0 else numbers(2, 5, 3)
    h = numbers(2, 4)
    p = {name: parameter.numpy() for name, parameter in rnn.parameters().items()}
    state, seen = h, [None] * 5
    for t in range(5)[::-1] if reverse else range(5):
        piece = x[t] if axis == 0 else x[:, t]
        state = np.tanh(piece @ p["in.weight"].T + p["in.bias"] + state @ p["u"])
        seen[t] = state * 2
    evaluators = ("onnxruntime",) if axis or reverse else ("onnxruntime", "reference")
    agree(rnn, [state, np.stack(seen, axis)], rtol=1e-5, evaluators=evaluators, x=x, h=h)


def test_scan_of_two_tensors_without_a_state():
    model = dsl.model(x=dsl.f32["t", 3], y=dsl.f32["t"])(
        lambda x, y: dsl.scan(lambda a, b: a * b, (), (x, y))
    )
    x, y = numbers(4, 3), numbers(4)
    agree(model, x * y[:, None], rtol=1e-6, x=x, y=y)


def test_a_body_for_a_raw_operator():
    @dsl.model(x=dsl.f32["n"])
    def mapped(x):
        pieces = dsl.op.SplitToSequence(x, axis=0)
        body = dsl.body(lambda piece: piece + dsl.abs(piece), dsl.f32["m"])
        return dsl.op.ConcatFromSequence(dsl.op.SequenceMap(pieces, body=body), axis=0).reshape(-1)

    x = numbers(3)
    agree(mapped, x + np.abs(x), rtol=1e-6, x=x)


def test_a_large_constant_in_a_body_that_is_built_twice():
    """The state grows, so the body is built again: what the first one held is forgotten."""
    table = numbers(2000)

    @dsl.model(x=dsl.f32["n", 2000])
    def grow(x):
        return dsl.loop(2, lambda i, s: dsl.concat([s, s[:1] * (table + 1)], 0) + table * 2, x)

    x = numbers(1, 2000, seed=3)
    wanted = x
    for _ in range(2):
        wanted = np.concatenate([wanted, wanted[:1] * (table + 1)]) + table * 2
    agree(grow, [wanted], rtol=1e-5, x=x)
    assert len([v for v in grow.to_ir().graph.initializers.values() if v.shape == (2000,)]) == 2
