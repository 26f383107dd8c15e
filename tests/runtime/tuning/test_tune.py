"""Tuning as users call it, on small models, with real processes."""

import json
import math

import ml_dtypes
import numpy as np
import onnx
import pytest

from sardonyx import compiler, runtime
from sardonyx.runtime.binding import Bound
from sardonyx.runtime.exchange import flat, read_arrays, write_arrays
from sardonyx.runtime.samples import random_inputs
from sardonyx.runtime.specs import Spec
from sardonyx.runtime.tuned import KEY
from sardonyx.runtime.tuning import search
from sardonyx.runtime.worker import Worker
from tests.support.models import model, normal


def net():
    return model(
        "g (float[batch,8] x, int64[batch] k) => (float[batch,8] y) "
        "{ m = MatMul(x, w) r = Relu(m) a = Gather(t, k) y = Add(a, r) }",
        w=normal(8, 8),
        t=normal(64, 8, seed=1),
    )


@pytest.fixture
def path(tmp_path):
    return compiler.compile(net(), target="cpu").save(tmp_path / "net.onnx")


def test_a_model_is_tuned_and_its_file_tells(path, monkeypatch):
    schedule = [group for group in search.GROUPS if group[0] == "schedule"]
    monkeypatch.setattr(search, "GROUPS", schedule)
    told = []
    sample = {"x": normal(4, 8), "k": np.int64([0, 1, 2, 3])}
    before = runtime.load(path)(**sample)
    made = runtime.tune(path, [sample], seconds=300, providers=["cpu"], tell=told.append)
    assert told[0] == "the untuned session"
    assert made.stored == str(path)
    session = runtime.load(path)
    assert session.settings.tuning
    if made.gain is None:
        assert session.settings.tuning == "no gain on this machine"
    np.testing.assert_allclose(session(**sample)[0], before[0], rtol=0, atol=made.found.limit * 10)
    said = json.loads(json.dumps(made.to_dict()))
    fields = {"group", "name", "settings", "status", "why", "ms", "ratio", "deviation"}
    for each in said["candidates"]:
        assert set(each) == fields
        assert each["status"] in ("taken", "not faster"), each["why"]
        assert each["deviation"] == 0, "these change no number"
        assert each["name"] in str(made)
    assert len(said["candidates"]) == 4
    carried = {e.key: e.value for e in onnx.load(path).metadata_props}[KEY]
    assert json.loads(carried)["machine"] == said["machine"]


def test_nothing_is_stored_unless_it_is_asked_for(path):
    before = path.read_bytes()
    made = runtime.tune(path, dims={"batch": 2}, seconds=0, providers=["cpu"], store=False)
    assert path.read_bytes() == before
    assert made.gain is None
    assert "the time was too short" in made.summary()
    assert {record.status for record in made.records} == {"not tried"}


def test_a_program_is_tuned_while_it_is_compiled(tmp_path):
    tuner = runtime.Tuner(seconds=0, providers=["cpu"])
    made = compiler.compile(net(), target="cpu", tune=tuner)
    path = made.save(tmp_path / "net.onnx")
    assert tuner.tuning.gain is None
    assert runtime.check_integrity(path)
    assert runtime.load(path).settings.tuning == "no gain on this machine"
    # Compiled again, it is another model, which nobody measured.
    again = compiler.compile(compiler.compile(net(), tune=lambda program: "{}").model)
    assert KEY not in again.metadata


def test_a_provider_that_does_not_start_is_told(path, monkeypatch):
    monkeypatch.setattr(search, "GROUPS", search.GROUPS[:1])
    made = runtime.tune(path, seconds=300, providers=["cpu", "acme"], store=False)
    (record,) = made.records
    assert (record.name, record.status) == ("acme", "failed")
    assert record.why == "there is no provider 'acme'"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"seconds": -1}, runtime.SettingsError, "seconds is not valid"),
        ({"seconds": math.inf}, runtime.SettingsError, "seconds is not valid"),
        ({"accuracy": math.inf}, runtime.SettingsError, "accuracy is not valid"),
        ({"threads": 1.5}, runtime.SettingsError, "threads is not valid"),
        ({"accuracy": "high"}, runtime.SettingsError, "accuracy is not valid"),
        ({"threads": 0}, runtime.SettingsError, "threads is not valid"),
        ({"providers": []}, runtime.SettingsError, "no provider to try"),
        ({"variants": {"half": "half.onnx"}}, runtime.SettingsError, "need an accuracy"),
        ({"dims": {"bach": 2}}, runtime.InputError, "no dimension 'bach'"),
        ({"samples": [{"x": normal(1, 8)}]}, runtime.InputError, "does not fit"),
        ({"samples": [{"z": normal(1, 8)}]}, runtime.InputError, "does not fit"),
        (
            {"samples": [{"x": normal(1, 9), "k": np.int64([0])}]},
            runtime.LoadError,
            "the model cannot be tuned: input 'x' has the wrong size in axis 1",
        ),
    ],
)
def test_wrong_arguments(path, arguments, error, words):
    before = path.read_bytes()
    with pytest.raises(error, match=words):
        runtime.tune(path, **{"seconds": 0, "providers": ["cpu"], **arguments})
    assert path.read_bytes() == before


def test_a_file_that_is_no_model(tmp_path):
    with pytest.raises(runtime.LoadError, match="does not exist"):
        runtime.tune(tmp_path / "net.onnx", seconds=0)
    (tmp_path / "net.onnx").write_bytes(b"hello")
    with pytest.raises(runtime.LoadError, match="not an ONNX model"):
        runtime.tune(tmp_path / "net.onnx", seconds=0)


@pytest.mark.parametrize(
    "array",
    [
        normal(2, 3),
        np.arange(3, dtype=np.int64),
        np.array(["a", "längere"], object),
        np.array([1, 2.5], ml_dtypes.bfloat16),
        np.array([1, -2], ml_dtypes.int4),
        np.array([1, 2], ml_dtypes.float8_e4m3fn),
        np.array(1.5, np.float16),
        np.zeros((0, 2), bool),
        np.array([1 + 2j], np.complex64),
        np.array([1, 2], ">f4"),
    ],
    ids=lambda array: array.dtype.str,
)
def test_arrays_travel_as_they_are(array, tmp_path):
    dtypes = write_arrays(tmp_path / "x.npz", [array, normal(1)])
    found, _ = read_arrays(tmp_path / "x.npz", dtypes)
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)


def test_texts_travel_as_objects(tmp_path):
    dtypes = write_arrays(tmp_path / "x.npz", [np.array(["a", "längere"])])
    (found,) = read_arrays(tmp_path / "x.npz", dtypes)
    assert found.dtype == object
    assert found.tolist() == ["a", "längere"]


@pytest.mark.parametrize("is_bound", [False, True])
def test_a_worker_s_outputs_are_those_of_the_calls_it_times(tmp_path, monkeypatch, is_bound):
    negative = model("g (float[n] x) => (float[n] y) { y = Neg(x) }")
    compiler.compile(negative, target="portable").save(tmp_path / "m.onnx")
    x = normal(5)
    dtypes = write_arrays(tmp_path / "x.npz", [x])
    worker = Worker()
    options = {"bind": is_bound, "providers": [["cpu", {}]]}
    worker.open(str(tmp_path / "m.onnx"), options, [[str(tmp_path / "x.npz"), ["x"], dtypes]], 0.0)

    def outputs(is_disturbed):
        made = worker.outputs(str(tmp_path / "y.npz"), is_disturbed)["dtypes"]
        (y,) = read_arrays(tmp_path / "y.npz", made[0])
        return y

    disturbed = outputs(True)
    np.testing.assert_allclose(disturbed, -x, rtol=1e-6)
    assert not np.array_equal(disturbed, -x)
    np.testing.assert_array_equal(outputs(False), -x)
    monkeypatch.setattr(Bound, "__call__", lambda call: call.outputs["y"].fill(7))
    np.testing.assert_array_equal(outputs(False), np.full(5, 7.0) if is_bound else -x)


def test_outputs_are_flattened():
    a, b = normal(1), normal(2)
    assert [y.shape for y in flat([a, [b, a], None, 3.0])] == [(1,), (2,), (1,), ()]


@pytest.mark.parametrize(
    "dtype", ["float32", "bfloat16", "int64", "int4", "uint2", "bool", "string"]
)
def test_random_inputs_are_of_the_dtype(dtype):
    specs = [Spec("x", "tensor", dtype, ("n", 3), True, "")]
    x = random_inputs(specs, {"n": 2})["x"]
    assert x.shape == (2, 3)
    assert x.dtype.name == ("object" if dtype == "string" else dtype)
    np.testing.assert_array_equal(x, random_inputs(specs, {"n": 2})["x"])


def test_no_random_value_for_a_sequence():
    specs = [Spec("s", "sequence", "float32", None, True, "")]
    with pytest.raises(runtime.InputError, match="no random value can be made for input 's'"):
        random_inputs(specs, {})
