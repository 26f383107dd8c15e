"""Bound calls: the same memory in and out, again and again."""

import concurrent.futures
import types

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto as T

from sardonyx import runtime
from sardonyx.runtime import binding

from .models import AFFINE, model, optional, sequence, tensor, typed, unary

rng = np.random.default_rng(5)


def operands(batch=2, out=4):
    shapes = [(batch, 3), (3, out), (out,)]
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_a_bound_call_reads_and_writes_the_same_memory(batch):
    session = runtime.load(model(AFFINE))
    x, w, b = operands(batch)
    bound = session.bind(x, w, b=b)
    assert bound.inputs["x"] is x
    y, z = bound()
    assert y is bound.outputs["y"]
    np.testing.assert_array_equal(y, session(x, w, b)[0])
    first = y.copy()
    x += 1
    again = bound()
    assert again[0] is y
    np.testing.assert_array_equal(y, session(x, w, b)[0])
    np.testing.assert_array_equal(z, -y)
    assert batch == 0 or not np.array_equal(first, y)


def test_what_cannot_be_read_as_it_is_is_copied_and_the_copy_is_what_to_write_into():
    session = runtime.load(model(AFFINE))
    x, w, b = operands(3)
    turned = np.asfortranarray(x)
    bound = session.bind(turned, w, b)
    assert bound.inputs["x"] is not turned
    bound.inputs["x"][:] = 2
    np.testing.assert_array_equal(bound()[0], session(np.full_like(x, 2), w, b)[0])


def test_two_bound_calls_of_one_session_keep_apart():
    session = runtime.load(model(AFFINE))
    small, large = operands(2), operands(6)
    calls = [session.bind(*small), session.bind(*large)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: (i % 2, calls[i % 2]()[0]), range(40)))
    for which, y in results:
        assert y is calls[which].outputs["y"]
    np.testing.assert_array_equal(calls[0].outputs["y"], session(*small)[0])
    np.testing.assert_array_equal(calls[1].outputs["y"], session(*large)[0])


def test_a_torch_tensor_is_bound_without_a_copy():
    torch = pytest.importorskip("torch")
    session = runtime.load(model(AFFINE))
    x, w, b = map(torch.from_numpy, operands())
    bound = session.bind(x, w, b)
    bound()
    x += 1
    np.testing.assert_array_equal(bound()[0], session(x, w, b)[0])


@pytest.mark.parametrize(
    ("data", "value", "found"),
    [
        (unary("Identity", T.STRING), np.array(["a"], object), "string[n]"),
        (unary("Cast", T.FLOAT, out=T.BFLOAT16, to=T.BFLOAT16), np.ones(2, "f"), "bfloat16[n]"),
        (
            typed("SequenceAt", [sequence("x"), tensor("i", T.INT64, [])], [tensor("y", 1, None)]),
            [np.ones((1, 2), np.float32)],
            "list",
        ),
    ],
)
def test_what_has_no_memory_to_bind_is_refused(data, value, found):
    session = runtime.load(data)
    with pytest.raises(runtime.InputError, match="cannot be bound") as caught:
        session.bind(value, *([0] if len(session.inputs) > 1 else []))
    assert caught.value.found.startswith(found)
    assert caught.value.expected == "tensors of numbers"


def test_a_call_that_fails_says_what_it_was_called_with():
    text = "g (float[n] a, float[m] b) => (float[k] y) { y = Add(a, b) }"
    session = runtime.load(model(text))
    with pytest.raises(runtime.RunError, match="failed to run") as caught:
        session.bind(np.ones(2, np.float32), np.ones(3, np.float32))
    assert "called with a: float32[2], b: float32[3]" in caught.value.where
    assert session.bind(np.ones(3, np.float32), np.ones(3, np.float32))()[0].tolist() == [2, 2, 2]


def test_too_little_memory_is_an_error_of_its_own():
    text = """g (float[n] x) => (float y) <int64[1] one = {1}>
        { t = Unsqueeze(x, one) p = Mul(x, t) y = ReduceMax<keepdims = 0>(p) }"""
    session = runtime.load(model(text))
    with pytest.raises(runtime.OutOfMemoryError, match="not enough memory") as caught:
        session(np.ones(30_000_000, np.float32))
    assert caught.value.remedy.startswith("call it with smaller inputs")
    assert session(np.full(3, 2, np.float32))[0] == 4


class Elsewhere:
    """ONNX Runtime's session, as if a device read the inputs: they are copied when bound.

    Attributes:
        places: Where kernels read each input.
    """

    def __init__(self, raw, places):
        self.places = places
        self.__dict__.update(_raw=raw)

    def __getattr__(self, name):
        return getattr(self._raw, name)

    def get_providers(self):
        return ["SomeExecutionProvider", "CPUExecutionProvider"]

    def get_input_memory_infos(self):
        return [types.SimpleNamespace(name=place) for place in self.places]

    def io_binding(self):
        made = self._raw.io_binding()
        bind = made.bind_ortvalue_input
        copied = onnxruntime.OrtValue.ortvalue_from_numpy
        made.bind_ortvalue_input = lambda name, value: bind(name, copied(value.numpy().copy()))
        return made


class Value:
    """Looks like an ``OrtValue`` on a device."""

    def data_type(self):
        return "tensor(float)"

    def tensor_size_in_bytes(self):
        return 4

    def __dlpack_device__(self):
        return 2, 0


def bound_elsewhere(feed):
    session = runtime.load(model(AFFINE))
    session._engine.raw = Elsewhere(session._raw, ["Cuda", "Cpu", "Cuda"])
    return binding.Bound(
        session._engine,
        session.inputs,
        session.outputs,
        feed,
        where="m",
        turns=None,
        convert=lambda value: value,
        failed=session._failed,
    )


def test_new_numbers_reach_a_device_that_copied_the_old_ones():
    x, w, b = operands()
    bound = bound_elsewhere({"x": x, "w": w, "b": b})
    np.testing.assert_allclose(bound()[0], x @ w + b, rtol=1e-6)
    bound.inputs["x"][:] = rng.standard_normal(x.shape, np.float32)
    bound.inputs["b"] += 1
    np.testing.assert_allclose(bound()[0], x @ w + b, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("x", np.zeros(1, np.float32), "a CUDA graph reads fixed memory of the device"),
        ("w", Value(), "a CUDA graph would keep the value that an input has when it is captured"),
    ],
)
def test_what_a_graph_would_not_read_again_is_refused(name, value, what):
    raw = Elsewhere(runtime.load(model(AFFINE))._raw, ["Cuda", "Cpu", "Cuda"])
    binding.refuse_in_graph(raw, {"x": Value(), "b": Value()})
    with pytest.raises(runtime.InputError) as caught:
        binding.refuse_in_graph(raw, {"x": Value(), name: value})
    assert (caught.value.what, caught.value.input, caught.value.kind) == (what, name, "device")


def test_an_input_with_a_default_is_bound_and_an_optional_one_refused():
    text = "g (float[n] x, float[1] c = {2}) => (float[n] y) { y = Mul(x, c) }"
    session = runtime.load(model(text))
    x = np.ones(3, np.float32)
    np.testing.assert_array_equal(session.bind(x)()[0], [2, 2, 2])
    bound = session.bind(x, c=np.full(1, 3, np.float32))
    np.testing.assert_array_equal(bound()[0], [3, 3, 3])
    bound.inputs["c"][:] = 5
    np.testing.assert_array_equal(bound()[0], [5, 5, 5])
    element = typed("OptionalGetElement", [optional("x")], [tensor("y", 1, ["n"])])
    with pytest.raises(runtime.InputError, match="input 'x' cannot be bound") as caught:
        runtime.load(element).bind(x)
    assert caught.value.found == "optional(float32[n])"
