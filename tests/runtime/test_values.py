"""Values in and out: dtypes, memory layouts, DLPack, strings, sequences, optionals."""

import re
import warnings

import numpy as np
import onnx
import pytest
from ml_dtypes import bfloat16, float8_e4m3fn, float8_e5m2, int4, uint4
from onnx import TensorProto as T

from sardonyx import runtime
from sardonyx.runtime.arrays import as_array
from sardonyx.runtime.device_tensors import to_value

from .models import AFFINE, model, optional, sequence, tensor, typed, unary

rng = np.random.default_rng(20)

NUMPY = {
    T.FLOAT: np.float32,
    T.DOUBLE: np.float64,
    T.FLOAT16: np.float16,
    T.INT8: np.int8,
    T.INT16: np.int16,
    T.INT32: np.int32,
    T.INT64: np.int64,
    T.UINT8: np.uint8,
    T.UINT16: np.uint16,
    T.UINT32: np.uint32,
    T.UINT64: np.uint64,
    T.BOOL: np.bool_,
}
NARROW = {
    T.BFLOAT16: bfloat16,
    T.FLOAT8E4M3FN: float8_e4m3fn,
    T.FLOAT8E5M2: float8_e5m2,
    T.INT4: int4,
    T.UINT4: uint4,
}


def numbers(dtype, shape):
    """Random numbers that every one of the dtypes above holds exactly."""
    low = 0 if np.dtype(dtype).name.startswith(("u", "bool")) else -8
    return rng.integers(low, 8, shape).astype(dtype)


@pytest.mark.parametrize("dtype", NUMPY, ids=lambda d: np.dtype(NUMPY[d]).name)
@pytest.mark.parametrize("shape", [(), (1,), (5,), (0,), (2, 1, 3)], ids=str)
def test_every_numpy_dtype_goes_in_and_out(dtype, shape):
    session = runtime.load(unary("Identity", dtype, shape=shape))
    x = numbers(NUMPY[dtype], shape)
    (y,) = session(x)
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("dtype", NARROW, ids=lambda d: np.dtype(NARROW[d]).name)
@pytest.mark.parametrize("size", [0, 1, 4, 7])
def test_narrow_dtypes_go_in_and_out(dtype, size):
    x = numbers(NARROW[dtype], (size,))
    to_float = runtime.load(unary("Cast", dtype, out=T.FLOAT, to=T.FLOAT))
    (wide,) = to_float(x)
    np.testing.assert_array_equal(wide, x.astype(np.float32))
    to_narrow = runtime.load(unary("Cast", T.FLOAT, out=dtype, to=dtype))
    (y,) = to_narrow(x.astype(np.float32))
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y.astype(np.float32), x.astype(np.float32))


def test_packed_integers_keep_their_order_in_more_dimensions():
    x = numbers(int4, (3, 5))
    session = runtime.load(unary("Cast", T.INT4, shape=("a", "b"), out=T.FLOAT, to=T.FLOAT))
    np.testing.assert_array_equal(session(x)[0], x.astype(np.float32))


def layouts(x):
    """The same matrix in memory layouts that ONNX Runtime must not be handed as they are."""
    strided = np.zeros((x.shape[0] * 2, x.shape[1] * 3), x.dtype)
    strided[::2, ::3] = x
    shifted = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    shifted[...] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    return {
        "big-endian": x.astype(x.dtype.newbyteorder(">")),
        "fortran": np.asfortranarray(x),
        "strided": strided[::2, ::3],
        "reversed": x[::-1, ::-1].copy()[::-1, ::-1],
        "misaligned": shifted,
        "read-only": frozen,
        "subclass": x.view(np.matrix),
    }


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize(
    "dtype", [T.FLOAT, T.INT64, T.FLOAT16], ids=["float32", "int64", "float16"]
)
def test_memory_layouts_are_read_right(dtype):
    session = runtime.load(unary("Identity", dtype, shape=("a", "b")))
    x = numbers(NUMPY[dtype], (3, 4))
    # Arrays like those of the call before are looked at less.
    np.testing.assert_array_equal(session(x)[0], x)
    for name, laid_out in layouts(x).items():
        bound = session._bind([laid_out], {})["x"]
        assert bound.flags.c_contiguous, name
        assert bound.flags.aligned, name
        (y,) = session(laid_out)
        np.testing.assert_array_equal(y, x, err_msg=name)


def test_broadcast_views_are_read_right():
    session = runtime.load(unary("Identity", T.FLOAT, shape=("a", "b")))
    row = rng.standard_normal(4, np.float32)
    (y,) = session(np.broadcast_to(row, (3, 4)))
    np.testing.assert_array_equal(y, np.stack([row] * 3))


class Dlpack:
    """An object that speaks DLPack and nothing else."""

    def __init__(self, array, device=(1, 0)):
        self.array, self.device = array, device

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device


def test_arrays_reach_onnx_runtime_without_a_copy():
    bind = runtime.load(unary("Identity", T.FLOAT))._bind
    x = rng.standard_normal(9, np.float32)
    frozen = x.copy()
    frozen.flags.writeable = False
    assert bind([x], {})["x"] is x
    for value, owner in [(Dlpack(x), x), (memoryview(x), x), (frozen, frozen), (x[2:7], x)]:
        assert np.shares_memory(bind([value], {})["x"], owner)


def test_torch_tensors_reach_onnx_runtime_without_a_copy():
    torch = pytest.importorskip("torch")
    cases = {
        T.FLOAT: torch.float32,
        T.FLOAT16: torch.float16,
        T.BFLOAT16: torch.bfloat16,
        T.FLOAT8E4M3FN: torch.float8_e4m3fn,
        T.FLOAT8E5M2: torch.float8_e5m2,
        T.INT64: torch.int64,
        T.BOOL: torch.bool,
    }
    for dtype, torch_dtype in cases.items():
        out = T.BOOL if dtype == T.BOOL else T.FLOAT
        session = runtime.load(unary("Cast", dtype, out=out, to=out))
        x = torch.from_numpy(numbers(np.int8, (6,))).to(torch_dtype)
        value = session._bind([x], {})["x"]
        address = value.ctypes.data if isinstance(value, np.ndarray) else value.data_ptr()
        assert address == x.data_ptr(), torch_dtype
        expected = x.to(torch.bool if dtype == T.BOOL else torch.float32).numpy()
        np.testing.assert_array_equal(session(x)[0], expected, err_msg=str(torch_dtype))


def test_torch_parameters_views_and_lists_of_tensors():
    torch = pytest.importorskip("torch")
    session = runtime.load(unary("Identity", T.FLOAT, shape=("a", "b")))
    x = torch.from_numpy(rng.standard_normal((3, 4), np.float32))
    np.testing.assert_array_equal(session(torch.nn.Parameter(x))[0], x.numpy())
    np.testing.assert_array_equal(session(x.t())[0], x.numpy().T)
    np.testing.assert_array_equal(session([x[0], x[2]])[0], x.numpy()[[0, 2]])


def test_signs_that_torch_changes_when_it_reads_are_read_right():
    torch = pytest.importorskip("torch")
    z = torch.from_numpy((rng.standard_normal((5, 2)) @ [1, 1j]).astype(np.complex64))
    session = runtime.load(unary("Identity", T.FLOAT))
    flipped = z.conj().imag
    assert flipped.is_neg()
    for run in (session, session.bind(flipped), lambda x: session.run(x, timeout=60)):
        (y,) = run() if isinstance(run, runtime.Bound) else run(flipped)
        np.testing.assert_array_equal(y, -z.numpy().imag)
    np.testing.assert_array_equal(session.run_async(flipped).result()[0], -z.numpy().imag)
    np.testing.assert_array_equal(as_array(z.conj()), z.numpy().conj())
    np.testing.assert_array_equal(to_value(flipped).numpy(), -z.numpy().imag)


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
def test_torch_tensors_without_memory_are_refused():
    torch = pytest.importorskip("torch")
    session = runtime.load(unary("Identity", T.FLOAT))
    with torch._subclasses.FakeTensorMode():
        fake = torch.ones(3)
    freed = torch.ones(3)
    freed.untyped_storage().resize_(0)
    lazy = [fake, freed, torch._efficientzerotensor(3)]
    torch.func.functionalize(lambda x: lazy.append(x) or x)(torch.ones(3))
    for x in lazy:
        with pytest.raises(runtime.InputError) as caught:
            session(x)
        assert (
            str(caught.value)
            == f"""input 'x' is no array
  where: {session._where}
  found: torch.float32[3]; it has no memory: it is fake, functionalized, or stands for zeros
  expected: float32[n]"""
        )
        with pytest.raises(ValueError, match="no memory"):
            to_value(x)
    assert session(torch.ones(0))[0].shape == (0,)


class Raises:
    """An object of another library whose protocols fail, each in its own way."""

    def __init__(self, **members):
        self.members = members

    def __getattr__(self, name):
        member = self.__dict__["members"].get(name, AttributeError(name))
        if isinstance(member, Exception):
            raise member
        return member

    def __array__(self, dtype=None, copy=None):
        raise KeyError("column")


def nested():
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([torch.ones(2), torch.ones(1)])


def loop():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (Raises, "Raises <.*>; 'column'"),
        (lambda: Raises(__dlpack_device__=lambda: 1 / 0), "Raises <.*>; division by zero"),
        (lambda: Raises(data_type=OSError("closed")), "Raises; closed"),
        (lambda: Dlpack({}.pop), "Dlpack <.*>; .*"),
        (nested, "Tensor; .*"),
        (loop, r"list \[+\.\.\.\]+; maximum recursion depth exceeded.*"),
    ],
    ids=["array", "dlpack device", "attribute", "dlpack", "nested", "loop"],
)
def test_whatever_an_object_raises_is_an_input_error(make, found):
    session = runtime.load(unary("Identity", T.FLOAT))
    value = make()
    for given in (value, [np.float32(1), value]):
        with pytest.raises(runtime.InputError) as caught:
            session(given)
        assert (caught.value.kind, caught.value.input) == ("type", "x")
    with pytest.raises(runtime.InputError) as caught:
        session(value)
    assert re.fullmatch(found, caught.value.found)


def test_python_numbers_take_the_declared_dtype():
    cases = [
        (T.FLOAT, (), 0.1, np.float32(0.1)),
        (T.FLOAT, (2,), [1, 2.5], [1, 2.5]),
        (T.FLOAT, (1, 2), [(True, -0.0)], [[1, 0]]),
        (T.FLOAT, (2,), [float("inf"), float("nan")], [np.inf, np.nan]),
        (T.INT64, (), -(2**63), -(2**63)),
        (T.UINT64, (), 2**64 - 1, np.uint64(2**64 - 1)),
        (T.UINT8, (2,), [0, 255.0], [0, 255]),
        (T.BOOL, (2,), [True, 0], [True, False]),
        (T.FLOAT16, (0,), [], np.zeros(0)),
    ]
    for dtype, shape, value, expected in cases:
        (y,) = runtime.load(unary("Identity", dtype, shape=shape))(value)
        assert y.dtype == NUMPY[dtype]
        np.testing.assert_array_equal(y, np.asarray(expected, NUMPY[dtype]))
    (four,) = runtime.load(unary("Cast", T.INT4, out=T.FLOAT, to=T.FLOAT))([-8, 7, 3])
    np.testing.assert_array_equal(four, [-8, 7, 3])
    (brain,) = runtime.load(unary("Cast", T.BFLOAT16, out=T.FLOAT, to=T.FLOAT))([0.1, 256])
    np.testing.assert_array_equal(brain, np.asarray([0.1, 256], bfloat16).astype(np.float32))


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (T.UINT8, [256]),
        (T.UINT8, [-1]),
        (T.UINT64, [-1]),
        (T.INT64, [2**63]),
        (T.INT64, [2.5]),
        (T.INT64, [float("nan")]),
        (T.INT32, [1e300]),
        (T.FLOAT, [2**24 + 1]),
        (T.DOUBLE, [2**53 + 1]),
        (T.FLOAT, [1e300]),
        (T.FLOAT, [1e-300]),
        (T.FLOAT, [1j]),
        (T.FLOAT, ["1"]),
        (T.FLOAT, [[1.0], [2.0, 3.0]]),
        (T.BOOL, [2]),
        (T.BFLOAT16, [257]),
        (T.INT4, [8]),
        (T.UINT4, [-1]),
        (T.FLOAT8E4M3FN, [1000.0]),
    ],
    ids=repr,
)
def test_python_numbers_that_would_lose_value_are_refused(dtype, value):
    session = runtime.load(unary("Cast", dtype, out=T.FLOAT, to=T.FLOAT))
    with pytest.raises(runtime.InputError) as caught:
        session(value)
    assert (caught.value.kind, caught.value.input) == ("value", "x")


def test_numpy_scalars_are_arrays_and_never_cast():
    session = runtime.load(unary("Identity", T.FLOAT, shape=()))
    assert session(np.float32(2.5)) == [2.5]
    with pytest.raises(runtime.InputError) as caught:
        session(np.float64(2.5))
    assert caught.value.kind == "dtype"
    with pytest.raises(runtime.InputError):
        runtime.load(unary("Identity", T.FLOAT))([np.float64(0.1)])


one, two = np.float32(1), np.float32([2, 3])


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (T.FLOAT, [one, 2], [1, 2]),
        (T.FLOAT, [one, 2.5, True], [1, 2.5, 1]),
        (T.FLOAT, [two, [4, one], (5.0, 6)], [[2, 3], [4, 1], [5, 6]]),
        (T.FLOAT, [one, one.astype(">f4")], [1, 1]),
        (T.DOUBLE, [np.uint64(2**64 - 1), np.int64(1)], None),
        (T.DOUBLE, [np.float64(1), np.int64(1)], None),
        (T.INT64, [np.int64(1), np.int32(1)], None),
        (T.INT64, [np.int64(1), 2.5], None),
        (T.INT64, [np.int64(1), 2**63], None),
        (T.FLOAT, [one, np.float64(1)], None),
        (T.FLOAT, [1.0, np.float64(0.1)], None),
        (T.FLOAT, [one, 1e300], None),
        (T.FLOAT, [one, "1"], None),
        (T.FLOAT, [one, None], None),
        (T.FLOAT, [two, [1.0]], None),
        (T.FLOAT, [two, 1.0], None),
    ],
    ids=repr,
)
def test_items_of_a_list_are_each_as_in_a_call_in_any_order(dtype, values, expected):
    session = runtime.load(unary("Identity", dtype, shape=None))
    for step in (1, -1):
        if expected is None:
            with pytest.raises(runtime.InputError):
                session(values[::step])
        else:
            (y,) = session(values[::step])
            assert y.dtype == NUMPY[dtype]
            np.testing.assert_array_equal(y, expected[::step])


def test_strings_of_every_kind_go_in_and_out():
    session = runtime.load(unary("Identity", T.STRING))
    texts = ["", "onyx", "\u00e9\u4e2d\U0001f48e", "a b"]
    wide = np.array(texts)
    values = [
        texts,
        list(wide),
        [texts[0], *wide[1:]],
        [*wide[:3], texts[3]],
        wide,
        wide.astype(object),
        wide.astype(">U4"),
        np.repeat(wide, 2)[::2],
    ]
    if hasattr(np.dtypes, "StringDType"):
        values.append(wide.astype(np.dtypes.StringDType()))
    for value in values:
        assert session(value)[0].tolist() == texts
    assert runtime.load(unary("Identity", T.STRING, shape=()))("one")[0] == "one"


@pytest.mark.parametrize("value", [[b"a"], np.array([b"a"]), ["a", None], ["a", 1], np.ones(1)])
def test_what_is_no_string_is_not_turned_into_one(value):
    with pytest.raises(runtime.InputError) as caught:
        runtime.load(unary("Identity", T.STRING))(value)
    assert caught.value.kind == "dtype"


def test_sequences_go_in_and_out():
    a, b = rng.standard_normal((1, 2), np.float32), rng.standard_normal((4, 2), np.float32)
    concat = model(
        "g (seq(float[n, 2]) x) => (float[m, 2] y) { y = ConcatFromSequence<axis=0>(x) }"
    )
    session = runtime.load(concat)
    for value in ([a, b], (a.astype(">f4"), np.asfortranarray(b)), [a.tolist(), Dlpack(b)]):
        (y,) = session(value)
        np.testing.assert_array_equal(y, np.concatenate([a, b]).astype(np.float32))
    insert = runtime.load(
        typed("SequenceInsert", [sequence("x"), tensor("t", T.FLOAT, ["k", 2])], [sequence("y")])
    )
    (grown,) = insert([b], a)
    assert len(grown) == 2
    np.testing.assert_array_equal(grown[0], b)
    np.testing.assert_array_equal(grown[1], a)
    assert len(insert([], a)[0]) == 1


def test_optionals_may_be_absent():
    session = runtime.load(typed("OptionalHasElement", [optional("x")], [tensor("y", T.BOOL, [])]))
    assert session(np.ones(3, np.float32)) == [True]
    assert session(None) == [False]
    assert session() == [False]
    identity = runtime.load(typed("Identity", [optional("x")], [optional("y")]))
    assert identity(None) == [None]
    np.testing.assert_array_equal(identity([1.5, 2])[0], [1.5, 2])


def test_onnx_runtime_values_pass_through():
    onnxruntime = pytest.importorskip("onnxruntime")
    session = runtime.load(model(AFFINE))
    x, w, b = (rng.standard_normal(s, np.float32) for s in [(2, 3), (3, 4), (4,)])
    value = onnxruntime.OrtValue.ortvalue_from_numpy(x)
    assert session._bind([value, w, b], {})["x"] is value
    np.testing.assert_array_equal(session(value, w, b)[0], session(x, w, b)[0])


def test_inputs_with_a_default_may_be_left_out():
    text = "g (float[2] x) => (float[2] y) <float[2] w = {3, 5}> { y = Mul(x, w) }"
    parsed = onnx.load_from_string(model(text))
    parsed.graph.input.append(tensor("w", T.FLOAT, [2]))
    session = runtime.load(parsed.SerializeToString())
    assert [(spec.name, spec.required) for spec in session.inputs] == [("x", True), ("w", False)]
    np.testing.assert_array_equal(session([2, 7])[0], [6, 35])
    np.testing.assert_array_equal(session([2, 7], w=[10, 100])[0], [20, 700])


def test_as_array_refuses_memory_of_a_device():
    with pytest.raises(ValueError, match="device cuda"):
        as_array(Dlpack(np.ones(2), device=(2, 0)))
