"""Sequences hold tensors; what may be absent, and inputs with names of their own."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.frontends import dsl
from tests.frontends.dsl.support import by_onnxruntime, by_reference


def numbers(*shape, seed=7):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def both(model, **inputs):
    """What both evaluators compute, which is the same."""
    proto = model.to_onnx()
    one, two = by_onnxruntime(proto, inputs), by_reference(proto, inputs)
    for a, b in zip(one, two, strict=True):
        for x, y in zip(*([v] if isinstance(v, np.ndarray) else v for v in (a, b)), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-6)
    return one


def test_make_read_insert_and_erase():
    @dsl.model(x=dsl.f32["n", 2], i=dsl.i64[()])
    def lists(x, i):
        seq = dsl.sequence_of(x, x * 2).append(x * 3).insert(0, -x)
        shorter = seq.erase(i)
        return (
            seq[i],
            seq[-1],
            shorter.length(),
            shorter.stack(1),
            seq.concat(0),
            shorter.erase()[0],
        )

    x = numbers(3, 2)
    parts = [-x, x, x * 2, x * 3]
    left = [p for n, p in enumerate(parts) if n != 1]
    wanted = [x, x * 3, np.array(3), np.stack(left, 1), np.concatenate(parts), -x]
    for got, want in zip(both(lists, x=x, i=np.array(1)), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_sequence_that_grows_in_a_loop():
    @dsl.model(x=dsl.f32["n"], steps=dsl.i64[()])
    def grow(x, steps):
        def step(i, seq):
            return seq.append(x * i.cast("f32"))

        return dsl.loop(steps, step, dsl.empty_sequence("f32").append(x)).stack()

    x = numbers(3)
    (got,) = by_onnxruntime(grow.to_onnx(), {"x": x, "steps": np.array(3)})
    np.testing.assert_allclose(got, np.stack([x, x * 0, x, x * 2]), rtol=1e-6)


def test_map_and_split():
    @dsl.model(x=dsl.f32["n", 3])
    def mapped(x):
        rows = dsl.split_to_sequence(x, 2)
        doubled, sums = rows.map(lambda row, all_: (row * 2, row.sum() + all_.max()), x)
        return doubled.concat(0), sums.stack()

    x = numbers(5, 3)
    wanted = [x * 2, np.array([x[i : i + 2].sum() + x.max() for i in (0, 2, 4)])]
    # The reference evaluator does not find constants of the main graph in a body of SequenceMap.
    for got, want in zip(by_onnxruntime(mapped.to_onnx(), {"x": x}), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)


def test_inputs_and_outputs_that_are_sequences():
    @dsl.model(parts=dsl.sequence(dsl.f32["n", 2]), maybe=dsl.optional(dsl.f32[2]))
    def sequences(parts, maybe):
        assert isinstance(parts, dsl.Sequence)
        has = dsl.op.OptionalHasElement(maybe)
        return {"longer": parts.append(parts[0] * 2), "has": has}

    graph = sequences.to_onnx().graph
    assert graph.input[0].type.HasField("sequence_type")
    assert graph.input[1].type.HasField("optional_type")
    assert graph.output[0].type.HasField("sequence_type")
    parts = [numbers(2, 2), numbers(2, 2, seed=1)]
    longer, has = by_reference(sequences.to_onnx(), {"parts": parts, "maybe": None})
    assert not has
    np.testing.assert_allclose(np.stack(longer), np.stack([*parts, parts[0] * 2]), rtol=1e-6)


def test_a_tensor_of_any_rank_and_an_input_with_another_name():
    @dsl.model(x=dsl.f32[...].named("input.1"), y=dsl.f32["n"].named("mask:0"))
    def net(x, y):
        return dsl.op.Relu(x), y + 1

    assert [v.name for v in net.to_ir().graph.inputs] == ["input.1", "mask:0"]
    for shape in [(), (2,), (1, 3, 2)]:
        x, y = numbers(*shape), numbers(4)
        got = net.run(x, y)
        np.testing.assert_array_equal(got[0], np.maximum(x, 0))
        np.testing.assert_allclose(got[1], y + 1)


def wrong(function, **inputs):
    with pytest.raises(dsl.DslError) as caught:
        dsl.model(**inputs)(function).to_ir()
    assert "test_sequences.py" in caught.value.where
    assert caught.value.found
    assert caught.value.expected
    return caught.value


SEQUENCE = dsl.sequence(dsl.f32["n"])


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda s: s.length() + len(s), "Python needs a number here."),
        (lambda s: [x * 2 for x in s], "A loop of Python needs a fixed length."),
        (lambda s: s["first"], "An element of a sequence has an integer"),
        (lambda s: s.append(s[0].cast("i64")), "A sequence holds tensors of one dtype."),
        (lambda s: dsl.sequence_of(), "sequence_of needs a tensor"),
        (lambda s: dsl.relu(s) + 1, "Relu does not take this dtype as 'X'."),
    ],
)
def test_mistakes(function, what):
    assert wrong(function, s=SEQUENCE).what.startswith(what)


@pytest.mark.parametrize("make", [dsl.sequence, dsl.optional])
def test_wrong_types(make):
    with pytest.raises(dsl.DslError):
        make(make(dsl.f32["n"]))
    with pytest.raises(dsl.DslError):
        make("f32")
