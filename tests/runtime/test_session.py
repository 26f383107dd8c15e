"""Calls: by position and name, what comes back, what is refused and in which words."""

import concurrent.futures
import copy
import json
import pickle

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T

from sardonyx import runtime

from .models import AFFINE, model, optional, sequence, tensor, typed, unary

rng = np.random.default_rng(2)


@pytest.fixture(scope="module")
def affine():
    return runtime.load(model(AFFINE))


def operands(batch=2, out=4):
    shapes = [(batch, 3), (3, out), (out,)]
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


@pytest.mark.parametrize(("batch", "out"), [(2, 4), (1, 1), (7, 1), (0, 3)])
def test_inputs_by_position_by_name_and_mixed_give_the_same(affine, batch, out):
    x, w, b = operands(batch, out)
    expected = x.astype(np.float64) @ w + b
    calls = [affine(x, w, b), affine(b=b, x=x, w=w), affine(x, b=b, w=w)]
    for y, z in calls:
        assert y.shape == (batch, out)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(z, -y)
    for y, _ in calls[1:]:
        np.testing.assert_array_equal(y, calls[0][0])


def test_a_call_like_the_one_before_is_checked_where_it_differs(affine):
    x, w, b = operands(5, 4)
    expected = affine(x, w, b)
    for again in (affine(x, w, b), affine(b=b, x=x, w=w), affine(x + 0, w, b)):
        np.testing.assert_array_equal(again, expected)
    with pytest.raises(runtime.InputError, match="disagree on dimension 'out'"):
        affine(x, w, b[:3])
    with pytest.raises(runtime.InputError, match="wrong dtype"):
        affine(x, w.astype(np.float64), b)
    with pytest.raises(runtime.InputError, match="missing inputs 'x', 'w', 'b'"):
        affine()
    swapped = affine(x.astype(">f4"), np.asfortranarray(w), b.tolist())
    np.testing.assert_array_equal(swapped, expected)


def test_outputs_by_name(affine):
    x, w, b = operands()
    y, z = affine(x, w, b)
    named = affine.run_named({"b": b, "x": x, "w": w})
    assert list(named) == ["y", "z"]
    np.testing.assert_array_equal(named["y"], y)
    only = affine.run_named({"b": b, "x": x, "w": w}, outputs=["z"])
    assert list(only) == ["z"]
    np.testing.assert_array_equal(only["z"], z)
    with pytest.raises(runtime.InputError) as caught:
        affine.run_named({"b": b, "x": x, "w": w}, outputs=["logits"])
    assert str(caught.value) == (
        f"the model has no output 'logits'\n"
        f"  where: {affine._where}\n"
        "  expected: y: float32[batch, out], z: float32[batch, out]"
    )


def test_one_output_may_go_by_its_name_alone():
    text = "g (float[n] x) => (float[n] prob, float[n] p) { prob = Neg(x) p = Abs(x) }"
    named = runtime.load(model(text)).run_named({"x": [1, -2]}, outputs="prob")
    assert list(named) == ["prob"]
    np.testing.assert_array_equal(named["prob"], [-1, 2])


def test_names_that_are_no_python_words():
    proto = onnx.load_from_string(model("g (float[n] a) => (float[n] y) { y = Neg(a) }"))
    proto.graph.input[0].name = proto.graph.node[0].input[0] = "/"
    session = runtime.load(proto.SerializeToString())
    assert session.inputs[0].name == "/"
    np.testing.assert_array_equal(session.run_named({"/": [1, 2]})["y"], [-1, -2])
    np.testing.assert_array_equal(session(**{"/": [1, 2]})[0], [-1, -2])
    named_self = runtime.load(model("g (float[n] self) => (float[n] y) { y = Neg(self) }"))
    np.testing.assert_array_equal(named_self(self=[1, 2])[0], [-1, -2])


@pytest.mark.parametrize("feed", [[1], [], None, {"x"}], ids=repr)
@pytest.mark.parametrize("inputs", ["", "float[n] x"])
def test_inputs_by_name_are_a_mapping(feed, inputs):
    text = f"g ({inputs}) => (float[1] y) {{ y = Constant<value = float[1] {{5}}>() }}"
    session = runtime.load(model(text))
    for call in (session.run_named, session.release_memory):
        if call == session.release_memory and feed is None:
            continue  # It makes inputs up.
        with pytest.raises(runtime.InputError) as caught:
            call(feed)
        assert str(caught.value).startswith(
            f"inputs by name are a mapping of names to values\n  where: {session._where}\n"
        )
        assert caught.value.kind == "type"


def test_specs_and_their_text(affine):
    assert [str(spec) for spec in affine.inputs] == [
        "x: float32[batch, 3]",
        "w: float32[3, out]",
        "b: float32[out]",
    ]
    assert repr(affine.outputs[0]) == "<y: float32[batch, out]>"
    assert affine.inputs[0].shape == ("batch", 3)
    assert repr(affine) == (
        f"Session({affine._where!r}, providers=['cpu'])\n"
        "  x: float32[batch, 3]\n"
        "  w: float32[3, out]\n"
        "  b: float32[out]\n"
        "  -> y: float32[batch, out]\n"
        "  -> z: float32[batch, out]"
    )
    texts = {
        unary("Identity", T.DOUBLE, shape=()): "x: float64",
        unary("Identity", T.INT64, shape=None): "x: int64[...]",
        unary("Identity", T.STRING, shape=(None, "n", 3)): "x: string[?, n, 3]",
        unary("Cast", T.FLOAT8E5M2, to=T.FLOAT, out=T.FLOAT): "x: float8_e5m2[n]",
        typed("Identity", [optional("x")], [optional("y")]): "x: optional(float32[n])",
        typed("Identity", [sequence("x")], [sequence("y")]): "x: sequence(float32[...])",
    }
    for data, text in texts.items():
        assert str(runtime.load(data).inputs[0]) == text


def test_threads_share_a_session_with_equal_bits(affine):
    calls = [operands(batch, 64) for batch in (1, 3, 17, 64)]
    expected = [affine(*call)[0].tobytes() for call in calls]

    def work(seed):
        order = np.random.default_rng(seed).integers(0, len(calls), 50)
        return sum(affine(*calls[i])[0].tobytes() != expected[i] for i in order)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(16))) == 0


def array(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


SIGNATURE = "x: float32[batch, 3], w: float32[3, out], b: float32[out]"
X, W, B = array(2, 3), array(3, 4), array(4)
REFUSED_CALLS = {
    "missing": (
        ((X,), {"b": B}),
        "w",
        f"""missing input 'w'
  where: WHERE
  found: values for x, b
  expected: {SIGNATURE}""",
    ),
    "missing all": (
        ((), {}),
        "x",
        f"""missing inputs 'x', 'w', 'b'
  where: WHERE
  found: values for no input
  expected: {SIGNATURE}""",
    ),
    "missing, one dict": (
        (({"x": X, "w": W, "b": B},), {}),
        "w",
        f"""missing inputs 'w', 'b'
  where: WHERE
  found: values for x
  expected: {SIGNATURE}
  try: session(**values) or session.run_named(values)""",
    ),
    "unknown": (
        ((X, W, B), {"bias": B}),
        "bias",
        f"""the model has no input 'bias'
  where: WHERE
  expected: {SIGNATURE}""",
    ),
    "unknown, near": (
        ((X, W), {"bb": B}),
        "bb",
        f"""the model has no input 'bb'
  where: WHERE
  expected: {SIGNATURE}
  try: did you mean 'b'?""",
    ),
    "unknown, too many": (
        ((X, W, B, X), {}),
        None,
        f"""the call has more arguments than the model has inputs
  where: WHERE
  found: 4 positional arguments
  expected: {SIGNATURE}""",
    ),
    "duplicate": (
        ((X, W, B), {"w": W}),
        "w",
        f"""input 'w' is given twice, by position and by name
  where: WHERE
  expected: {SIGNATURE}""",
    ),
    "dtype": (
        ((array(2, 3, dtype="float64"), W, B), {}),
        "x",
        """input 'x' has the wrong dtype
  where: WHERE
  found: float64[2, 3]
  expected: float32[batch, 3]
  try: x.astype(numpy.float32)""",
    ),
    "rank": (
        ((X[0], W, B), {}),
        "x",
        """input 'x' has the wrong rank
  where: WHERE
  found: float32[3], which has rank 1
  expected: float32[batch, 3]
  try: add the leading axis: x[None]""",
    ),
    "rank, too high": (
        ((X, W, B[None]), {}),
        "b",
        """input 'b' has the wrong rank
  where: WHERE
  found: float32[1, 4], which has rank 2
  expected: float32[out]""",
    ),
    "dim": (
        ((array(2, 5), W, B), {}),
        "x",
        """input 'x' has the wrong size in axis 1
  where: WHERE
  found: float32[2, 5]
  expected: float32[batch, 3]""",
    ),
    "dim, symbolic": (
        ((X, W, array(5)), {}),
        "b",
        f"""the inputs disagree on dimension 'out'
  where: WHERE
  found: 4 in axis 1 of w, 5 in axis 0 of b
  expected: one size of 'out': {SIGNATURE}""",
    ),
    "type": (
        ((None, W, B), {}),
        "x",
        """input 'x' is not optional
  where: WHERE
  found: None
  expected: float32[batch, 3]""",
    ),
    "type, no array": (
        (({1}, W, B), {}),
        "x",
        """input 'x' is no array
  where: WHERE
  found: set {1}; it has neither __dlpack__ nor __array__
  expected: float32[batch, 3]""",
    ),
    "type, masked": (
        ((np.ma.masked_array(X, X == 0), W, B), {}),
        "x",
        """input 'x' is no array
  where: WHERE
  found: float32[2, 3]; it has masked elements, and a model knows no mask
  expected: float32[batch, 3]""",
    ),
    "value": (
        ((X, W, [1, 2, 3, 2**24 + 1]), {}),
        "b",
        """input 'b' does not fit float32 without loss
  where: WHERE
  found: list [1, 2, 3, 16777217]
  expected: float32[out]""",
    ),
    "value, ragged": (
        (([[1, 2, 3], [4]], W, B), {}),
        "x",
        None,
    ),
}


@pytest.mark.parametrize("case", REFUSED_CALLS)
def test_a_call_that_does_not_fit_is_refused_in_these_words(affine, case):
    (args, named), name, message = REFUSED_CALLS[case]
    with pytest.raises(runtime.InputError) as caught:
        affine(*args, **named)
    assert (caught.value.kind, caught.value.input) == (case.split(",")[0].split()[0], name)
    if message is not None:
        assert str(caught.value) == message.replace("WHERE", affine._where)
    np.testing.assert_array_equal(affine(X, W, B)[0], np.zeros((2, 4)))


def test_tensors_of_torch_are_refused_in_its_own_words(affine):
    torch = pytest.importorskip("torch")
    with pytest.raises(runtime.InputError) as caught:
        affine(torch.zeros(2, 3, dtype=torch.float64), W, B)
    assert caught.value.remedy == "x.to(torch.float32)"
    with pytest.raises(runtime.InputError) as caught:
        affine(torch.zeros(2, 3, device="meta"), W, B)
    assert caught.value.kind == "device"
    assert caught.value.found == "torch.float32[2, 3]; it is on device meta"
    with pytest.raises(runtime.InputError) as caught:
        affine(torch.zeros(2, 3).to_sparse(), W, B)
    assert caught.value.kind == "type"


def test_a_sequence_and_its_items_are_checked():
    session = runtime.load(
        typed("SequenceInsert", [sequence("x"), tensor("t", T.FLOAT, ["k", 2])], [sequence("y")])
    )
    with pytest.raises(runtime.InputError) as caught:
        session(array(2, 2), array(1, 2))
    assert caught.value.remedy == "pass a list of arrays"
    with pytest.raises(runtime.InputError) as caught:
        session([array(1, 2), array(1, 2, dtype="int64")], array(1, 2))
    assert caught.value.what == "an item of input 'x' has the wrong dtype"


def test_one_symbol_twice_in_one_input_is_checked():
    session = runtime.load(unary("Identity", T.FLOAT, shape=("n", "n")))
    assert session(array(3, 3))[0].shape == (3, 3)
    with pytest.raises(runtime.InputError) as caught:
        session(array(3, 4))
    assert caught.value.found == "3 in axis 0 of x, 4 in axis 1 of x"


@pytest.mark.parametrize("symbol", ["?", "None", "2*n", "-1"])
def test_placeholders_that_exporters_write_for_unknown_sizes_are_not_checked(symbol):
    text = "g (float[n] a, float[n] b) => (float[m] y) { y = Concat<axis=0>(a, b) }"
    proto = onnx.load_from_string(model(text))
    for value in proto.graph.input:
        value.type.tensor_type.shape.dim[0].dim_param = symbol
    session = runtime.load(proto.SerializeToString())
    np.testing.assert_array_equal(session([1, 2], [3])[0], [1, 2, 3])


def test_a_scalar_is_told_from_an_unknown_rank():
    scalar = runtime.load(unary("Identity", T.FLOAT, shape=()))
    with pytest.raises(runtime.InputError) as caught:
        scalar(array(1))
    assert caught.value.kind == "rank"
    anything = runtime.load(unary("Identity", T.FLOAT, shape=None))
    for shape in [(), (1,), (2, 0, 3)]:
        assert anything(array(*shape))[0].shape == shape


def test_a_failed_run_is_one_error_and_the_session_lives_on():
    text = "g (float[n] x, int64[k] s) => (float[m] y) { y = Reshape(x, s) }"
    session = runtime.load(model(text))
    x = rng.standard_normal(6, np.float32)
    with pytest.raises(runtime.RunError) as caught:
        session(x, [2, 2])
    assert caught.value.what == "ONNX Runtime failed to run the model"
    assert caught.value.where.endswith("bytes, called with x: float32[6], s: int64[2]")
    assert "Reshape" in caught.value.found
    np.testing.assert_array_equal(session(x, [2, 3])[0], x.reshape(2, 3))


def test_narrow_outputs_beside_wide_ones():
    text = """g (float[n] x, int64[n] i) => (bfloat16[n] y, float[n] z, int64[n] j, string[n] t) {
        y = Cast<to=16>(x)
        z = Neg(x)
        j = Neg(i)
        t = Cast<to=8>(i)
    }"""
    session = runtime.load(model(text))
    x = rng.standard_normal(3, np.float32)
    y, z, j, t = session(x, [1, 2, 3])
    assert y.dtype.name == "bfloat16"
    np.testing.assert_array_equal(y, x.astype(y.dtype))
    np.testing.assert_array_equal(z, -x)
    np.testing.assert_array_equal(j, [-1, -2, -3])
    assert t.tolist() == ["1", "2", "3"]
    assert list(session.run_named({"x": x, "i": [1, 2, 3]}, outputs=["z"])) == ["z"]


def test_narrow_outputs_beside_text_inputs_are_refused_clearly():
    text = """g (float[n] x, string[n] s) => (bfloat16[n] y, string[n] t) {
        y = Cast<to=16>(x)
        t = Identity(s)
    }"""
    with pytest.raises(runtime.RunError) as caught:
        runtime.load(model(text))([1, 2], ["a", "b"])
    assert caught.value.where == "input 's'"
    assert caught.value.found == "outputs y: bfloat16[n], t: string[n]"


def test_a_session_is_not_pickled(affine):
    for send in (pickle.dumps, copy.deepcopy):
        with pytest.raises(runtime.NotPicklableError) as caught:
            send(affine)
        assert isinstance(caught.value, TypeError)
        assert (
            str(caught.value)
            == f"""a session cannot be pickled
  where: {affine._where}
  try: send the path of the model, and load it in the other process"""
        )


def test_placement_lists_nodes_and_counts_them_as_a_table(affine):
    assert {placed.provider for placed in affine.placement} == {"cpu"}
    # ONNX Runtime joins MatMul and Add before it gives nodes to providers.
    assert sorted(placed.operator for placed in affine.placement) == ["Gemm", "Neg"]
    assert affine.placement.counts() == {"cpu": {"Gemm": 1, "Neg": 1}}
    assert str(affine.placement).splitlines() == [
        "provider  operator  nodes",
        *(f"cpu       {placed.operator:8}      1" for placed in affine.placement),
    ]
    contrib = model("g (float[n] x) => (float[n] y) { y = com.microsoft.Gelu(x) }")
    assert [tuple(p)[1:] for p in runtime.load(contrib).placement] == [
        ("com.microsoft.Gelu", "cpu")
    ]


@pytest.mark.parametrize(
    ("said", "kind", "remedy"),
    [
        ("CUBLAS failure 3: the resource allocation failed ; GPU=0", "OutOfMemoryError", "smaller"),
        ("CUDNN failure 4001: CUDNN_STATUS_ALLOCATION_FAILED", "OutOfMemoryError", "smaller"),
        ("cuDNN is unavailable or disabled: dlopen failed", "RunError", "install the CUDA and"),
        ("CUBLAS failure 13: the function failed to launch", "RunError", None),
    ],
)
def test_what_cuda_s_libraries_say_is_understood(said, kind, remedy):
    session = runtime.load(model("g (float[n] x) => (float[n] y) { y = Neg(x) }"))
    error = session._failed(RuntimeError(said), {})
    assert (type(error).__name__, error.found) == (kind, said)
    assert error.remedy is None if remedy is None else remedy in error.remedy


LIMITED = {
    "at least": ({"n": {"min": 3}}, [2], [3, 90], "n of at least 3"),
    "at most": ({"n": {"max": 5}}, [6, 7], [0, 5], "n of at most 5"),
    "between": ({"n": {"min": 3, "max": 5}, "m": {"min": 99}}, [2, 6], [3, 5], "n from 3 to 5"),
}


@pytest.mark.parametrize("name", LIMITED)
def test_sizes_that_a_model_was_not_made_for(name):
    limits, wrong, right, said = LIMITED[name]
    text = "g (float[2, n] x) => (float[2, n] y) { y = Neg(x) }"
    session = runtime.load(model(text, metadata={"sardonyx.dims": json.dumps(limits)}))
    assert [axis for axis, *_ in session.inputs[0].limits] == [1]
    for size in [*right, *right[:1]]:
        x = np.full((2, size), 1.5, np.float32)
        np.testing.assert_array_equal(session(x)[0], -x)
    for size in wrong:
        x = np.zeros((2, size), np.float32)
        for call in (session, session.run, session.run_async, session.bind):
            with pytest.raises(runtime.InputError) as caught:
                call(x)
            assert (caught.value.kind, caught.value.input) == ("dim", "x")
    assert str(caught.value) == (
        f"""input 'x' has a size in axis 1 that the model is not made for
  where: {session._where}
  found: float32[2, {wrong[-1]}]
  expected: float32[2, n], {said}
  try: give it a size within, or capture the model with an example of that size"""
    )
    assert session.release_memory() >= 0  # with inputs that are made up


@pytest.mark.parametrize(
    "carried",
    ["{", "[]", '{"n": 3}', '{"n": {"min": -1}}', '{"n": {"max": 2.5}}', '{"n": {"min": true}}',
     '{"n": {"min": 4, "max": 3}}', '{"n": {"max": 1e400}}', "[" * 100_000],
)  # fmt: skip
def test_limits_that_are_not_of_their_form(carried):
    text = "g (float[n] x) => (float[n] y) { y = Neg(x) }"
    with pytest.raises(runtime.LoadError, match=r"sardonyx\.dims in the model's metadata"):
        runtime.load(model(text, metadata={"sardonyx.dims": carried}))
