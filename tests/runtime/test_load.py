"""Loading: sources, files that are no models, settings, providers, and what an import costs."""

import ctypes.util
import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto as T

from sardonyx import runtime
from sardonyx.runtime import devices, modelfile, settings, threads

from .models import AFFINE, model, unary

NEG = model("g (float[n] x) => (float[n] y) { y = Neg(x) }")


class Program:
    """Stands for a compiled program."""

    def __init__(self, data):
        self.data = data

    def to_bytes(self):
        return self.data


class Saver:
    """Stands for an object that can only write files."""

    def save(self, path):
        with open(path, "wb") as file:
            file.write(NEG)


def test_every_source_gives_the_same_model(tmp_path):
    path = tmp_path / "neg.onnx"
    path.write_bytes(NEG)
    for source in (path, str(path), NEG, Program(NEG), Saver()):
        np.testing.assert_array_equal(runtime.load(source)([1, -2])[0], [-1, 2])


SOURCES = [3, None, Program("text"), bytearray(NEG)]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: type(source).__name__)
def test_a_source_of_another_type_is_refused(source):
    with pytest.raises(runtime.LoadError, match="cannot be loaded from this object"):
        runtime.load(source)


def test_weights_beside_the_file_are_found_or_missed_clearly(tmp_path):
    weight = np.arange(3, dtype=np.float32)
    proto = onnx.load_from_string(
        model("g (float[3] x) => (float[3] y) <float[3] w = {0, 1, 2}> { y = Mul(x, w) }")
    )
    tensor = proto.graph.initializer[0]
    tensor.CopyFrom(onnx.numpy_helper.from_array(weight, "w"))
    onnx.external_data_helper.set_external_data(tensor, "w.bin")
    tensor.ClearField("raw_data")
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    (tmp_path / "w.bin").write_bytes(weight.tobytes())
    np.testing.assert_array_equal(runtime.load(tmp_path / "m.onnx")([2, 2, 2])[0], 2 * weight)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(runtime.LoadError) as caught:
        runtime.load(tmp_path / "m.onnx")
    assert "w.bin" in caught.value.found
    assert caught.value.remedy.startswith("put the weights file beside the model")


def message(source, **options):
    with pytest.raises(runtime.LoadError) as caught:
        runtime.load(source, **options)
    return str(caught.value)


def test_a_path_without_a_model_is_refused_in_these_words(tmp_path):
    missing = tmp_path / "net.onnx"
    assert message(missing) == (
        f"the model file does not exist\n  where: {missing}\n  expected: a file with an ONNX model"
    )
    (tmp_path / "other.onnx").write_bytes(NEG)
    assert message(missing).endswith("\n  try: one of the models in that folder: other.onnx")
    assert message(tmp_path).startswith("the model path is a folder\n")
    missing.touch()
    assert message(missing).startswith("the model file is empty\n")
    assert message("a\0b").startswith("the model path holds a NUL character\n")
    assert message("/dev/null").startswith("the model path is not a regular file\n")
    assert message(b"").startswith("the model is empty\n")


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be deleted")
def test_a_path_relative_to_a_folder_that_is_gone_is_refused(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert (
        message("net.onnx")
        == """the model file cannot be read
  where: net.onnx
  found: the folder of this process: No such file or directory
  try: give an absolute path"""
    )
    (tmp_path / "net.onnx").write_bytes(NEG)
    assert runtime.load(tmp_path / "net.onnx")([2.0])[0] == [-2.0]


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"PK\x03\x04rest of it", "a zip archive, as torch.save writes"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer: run `git lfs pull`"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"\x1f\x8b\x08\x00", "a gzip file"),
        (b"hello, world", "12 bytes that begin with b'hello, world'; "),
        (b"\x00\x00\x00", "3 bytes that begin with b'\\x00\\x00\\x00'; field number 0 at byte 0"),
        (b"\x08\x0a", "2 bytes that begin with b'\\x08\\n'; no graph in it"),
    ],
)
def test_files_of_other_formats_are_named(tmp_path, head, found):
    path = tmp_path / "net.onnx"
    path.write_bytes(head)
    text = message(path)
    assert text.startswith(f"this is not an ONNX model\n  where: {path}\n  found: {found}")


def test_every_truncation_is_one_clear_error():
    data = model(AFFINE, metadata={"a": "b"})
    whole = runtime.load(data)
    assert whole.metadata == {"a": "b"}
    kinds = {message(data[:end]).split("\n")[0] for end in range(2, len(data) - 30)}
    assert kinds == {"the model is truncated", "this is not an ONNX model"}
    cut = data[: len(data) // 2]
    assert message(cut) == (
        "the model is truncated\n"
        f"  where: a model of {len(cut)} bytes\n"
        f"  found: {len(cut)} bytes; {detail(cut)}\n"
        "  expected: a complete ONNX model\n"
        "  try: copy or export it again, and compare the sizes"
    )


def detail(cut):
    """Where the graph ought to end, from the protobuf bytes: tag 0x3a, then its length."""
    start = cut.index(b"\x3a") + 1
    length, size, shift = 0, 0, 0
    while True:
        byte = cut[start + size]
        length |= (byte & 127) << shift
        size, shift = size + 1, shift + 7
        if byte < 128:
            break
    return f"field 7 ends at byte {start + size + length}, the data at byte {len(cut)}"


def test_garbage_behind_a_model_is_damage():
    assert message(NEG + b"\0\0") == (
        "the model is damaged\n"
        f"  where: a model of {len(NEG) + 2} bytes\n"
        f"  found: {len(NEG) + 2} bytes; field number 0 at byte {len(NEG)}\n"
        "  expected: a complete ONNX model\n"
        "  try: copy or export it again, and compare the sizes"
    )


def test_random_bytes_never_give_a_foreign_error():
    rng = np.random.default_rng(5)
    for size in [1, 3, 16, 200]:
        for _ in range(50):
            message(rng.bytes(size))
    for position in rng.integers(0, len(NEG), 60):
        damaged = bytearray(NEG)
        damaged[position] ^= 1 << int(rng.integers(8))
        try:
            runtime.load(bytes(damaged))
        except runtime.LoadError as error:
            assert error.what  # noqa: PT017


@pytest.mark.parametrize(
    ("data", "found", "remedy"),
    [
        (model("g (float[n] x) => (float[n] y) { y = Neg(q) }"), "Node input 'q'", None),
        (model("g (float[n] x) => (float[n] y) { y = Neg(x) }", opset=9999), "9999", "opset"),
        (model("g (float[n] x) => (float[n] y) { y = Neg(x) }", ir=99), "99", "ir_version"),
        (unary("Neg", T.BFLOAT16), "Could not find an implementation", "cast"),
    ],
    ids=["dangling", "opset", "ir", "no kernel"],
)
def test_what_onnx_runtime_refuses_is_a_load_error(data, found, remedy):
    with pytest.raises(runtime.LoadError) as caught:
        runtime.load(data)
    assert caught.value.what == "ONNX Runtime refuses the model"
    assert found in caught.value.found
    assert (caught.value.remedy or "").find(remedy or "") >= 0
    assert (remedy is None) == (caught.value.remedy is None)


def test_header_agrees_with_protobuf():
    data = model(AFFINE, metadata={"k": "v", "\u00e9": "x" * 300})
    header = modelfile.read_header(memoryview(data), "m")
    proto = onnx.load_from_string(data)
    assert header.metadata == {"k": "v", "\u00e9": "x" * 300}
    start, end = header.graph
    assert data[start:end] == proto.graph.SerializeToString()


def carrying(**carried):
    text = "g (float[n] x) => (float[n] y) { y = Neg(x) }"
    return model(text, metadata={settings.METADATA_KEY: json.dumps(carried)})


def test_settings_come_from_defaults_artifact_and_caller():
    data = carrying(
        config={"session.intra_op.allow_spinning": "0", "mlas.use_lut_gemm": 1},
        disabled_optimizers=["SkipLayerNormFusion", "BiasGeluFusion"],
        graph_optimization="extended",
    )
    session = runtime.load(data, threads=1, config={"mlas.use_lut_gemm": False})
    assert session.settings.graph_optimization == "extended"
    assert str(session.settings) == (
        "threads                          1  (caller)\n"
        "graph_optimization               extended  (artifact)\n"
        "disabled_optimizers              SkipLayerNormFusion, BiasGeluFusion  (artifact)\n"
        "session.set_denormal_as_zero     1  (default)\n"
        "session.intra_op.allow_spinning  0  (artifact)\n"
        "mlas.use_lut_gemm                0  (caller)"
    )
    options = session._raw.get_session_options()
    assert options.intra_op_num_threads == 1
    assert options.graph_optimization_level.name == "ORT_ENABLE_EXTENDED"
    entries = {
        "mlas.use_lut_gemm": "0",
        "session.intra_op.allow_spinning": "0",
        "session.set_denormal_as_zero": "1",
        settings.DISABLED: "SkipLayerNormFusion;BiasGeluFusion",
    }
    for key, value in entries.items():
        assert options.get_session_config_entry(key) == value
    overridden = runtime.load(data, disabled_optimizers=[], graph_optimization="off")
    assert overridden.settings.disabled_optimizers == ()
    options = overridden._raw.get_session_options()
    assert options.graph_optimization_level.name == "ORT_DISABLE_ALL"


@pytest.mark.parametrize(
    ("carried", "expected"),
    [
        ({"config": {"session.optimized_model_filepath": "/x"}}, "settings that tune the session"),
        ({"config": ["a"]}, "a mapping of session config entries"),
        ({"config": {"mlas.use_lut_gemm": None}}, "a string or a whole number"),
        ({"disabled_optimizers": "ConstantFolding"}, "a list of optimizer names"),
        ({"disabled_optimizers": [1]}, "a list of optimizer names"),
        ({"graph_optimization": "most"}, "one of off, basic, extended, all"),
    ],
)
def test_bad_settings_of_an_artifact_are_named(carried, expected):
    with pytest.raises(runtime.SettingsError) as caught:
        runtime.load(carrying(**carried))
    assert caught.value.expected == expected


def test_settings_that_are_no_json_or_not_known():
    text = "g (float[n] x) => (float[n] y) { y = Neg(x) }"
    for value in ("{", "[]"):
        with pytest.raises(runtime.SettingsError, match="session is not valid"):
            runtime.load(model(text, metadata={settings.METADATA_KEY: value}))
    with pytest.warns(RuntimeWarning, match="session setting 'magic' is unknown"):
        runtime.load(carrying(magic=1))


@pytest.mark.parametrize(
    "options",
    [
        {"threads": 0},
        {"threads": True},
        {"threads": 1.5},
        {"graph_optimization": "most"},
        {"config": {"a": 1.5}},
        {"config": {"": "1"}},
        {"config": 3},
        {"disabled_optimizers": 3},
        {"fallback": "ignore"},
    ],
    ids=repr,
)
def test_bad_settings_of_the_caller_are_named(options):
    with pytest.raises(runtime.SettingsError):
        runtime.load(NEG, **options)


FLUSH = """
import numpy as np
from sardonyx import runtime
from tests.runtime.models import model
text = "g (float[n] x, float[n] w) => (float[n] y) { y = Mul(x, w) }"
session = runtime.load(model(text), config=CONFIG)
print(float(session(np.full(4, 1e-39, np.float32), [1, 1, 1, 1])[0][0]) == 0.0)
"""


@pytest.mark.parametrize(
    ("config", "flushed"), [({}, True), ({"session.set_denormal_as_zero": "0"}, False)]
)
def test_denormals_are_flushed_by_default(config, flushed):
    code = FLUSH.replace("CONFIG", repr(config))
    assert run_python(code) == str(flushed)


def run_python(code):
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_importing_and_running_needs_neither_torch_nor_onnx():
    code = f"""
import sys
from sardonyx import runtime
before = sorted({{"torch", "onnx", "onnxruntime", "sardonyx.compiler"}} & set(sys.modules))
session = runtime.load({NEG!r})
session([1.0, 2.0])
after = sorted({{"torch", "onnx", "ml_dtypes", "sardonyx.compiler"}} & set(sys.modules))
print(before, after)
"""
    assert run_python(code) == "[] []"


def test_the_cpu_is_the_default_and_goes_by_any_of_its_names():
    for requested in (None, "cpu", "CPU", "CPUExecutionProvider", ["cpu"], [("cpu", {})]):
        assert runtime.load(NEG, requested).providers == ("cpu",)


@pytest.mark.parametrize(
    ("requested", "text"),
    [
        ("gpu9", "there is no provider 'gpu9'\n  expected: one of "),
        ("cdua", "there is no provider 'cdua'\n"),
        ("coreml", "the installed ONNX Runtime has no provider 'coreml'\n"),
        ([3], "a provider is a name, or a name with a dict of options\n  found: 3\n"),
        (3, "a provider is a name, or a name with a dict of options\n  found: 3\n"),
    ],
    ids=repr,
)
def test_providers_that_do_not_exist_are_refused(requested, text):
    if any(provider.name == requested for provider in runtime.providers()):
        pytest.skip("this build has it")
    with pytest.raises(runtime.ProviderError) as caught:
        runtime.load(NEG, requested)
    assert str(caught.value).startswith(text)


def test_a_misspelt_provider_is_guessed():
    with pytest.raises(runtime.ProviderError) as caught:
        runtime.load(NEG, "cdua")
    assert caught.value.remedy == "did you mean 'cuda'?"


def test_a_missing_provider_may_be_allowed():
    with pytest.warns(RuntimeWarning, match="there is no provider 'gpu9'"):
        session = runtime.load(NEG, ["gpu9", "cpu"], fallback="warn")
    assert session.providers == ("cpu",)


def broken_providers():
    return [p for p in runtime.providers() if p.problem is not None]


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_a_provider_that_cannot_start_is_an_error_that_names_the_library(name):
    broken = {p.name: p for p in broken_providers()}
    if name not in broken:
        pytest.skip(f"{name} is not in this build, or works here")
    with pytest.raises(runtime.ProviderError) as caught:
        runtime.load(NEG, name)
    assert caught.value.what == f"provider {name} did not start"
    assert caught.value.found == broken[name].problem
    assert "cannot open shared object" in caught.value.found
    with pytest.warns(RuntimeWarning, match=f"provider {name} did not start"):
        session = runtime.load(NEG, [name, "cpu"], fallback="warn")
    assert session.providers == ("cpu",)
    np.testing.assert_array_equal(session([3])[0], [-3])


def test_listing_providers():
    listed = {provider.name: provider for provider in runtime.providers()}
    version = onnxruntime.__version__
    assert listed["cpu"] == runtime.Provider("cpu", "CPUExecutionProvider", None, "", version)
    assert str(listed["cpu"]) == "cpu: available"


class FakeSession:
    """A session whose accelerator was registered and given nodes, or none."""

    def __init__(self, nodes_on):
        self.nodes_on = nodes_on

    def get_providers(self):
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def get_provider_graph_assignment_info(self):
        return [type("Part", (), {"ep_name": name}) for name in self.nodes_on]


def test_an_accelerator_without_a_node_is_reported():
    asked = ["CUDAExecutionProvider"]
    mixed = FakeSession(["CPUExecutionProvider", "CUDAExecutionProvider"])
    assert devices.unused_problem(mixed, asked, "m") is None
    assert devices.used_providers(mixed) == ("cuda", "cpu")
    idle = devices.unused_problem(FakeSession(["CPUExecutionProvider"]), asked, "m")
    assert idle.what == "provider cuda can run no node of the model"
    assert idle.found == "every node runs on cpu"
    assert devices.unused_problem(FakeSession([]), asked, "m") is None


def cgroup(tmp_path, files):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return threads.cpu_quota(tmp_path / "fs", tmp_path / "membership")


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"membership": "0::/a/b\n", "fs/a/b/cpu.max": "50000 100000\n"}, 0.5),
        (
            {"membership": "0::/a/b\n", "fs/a/cpu.max": "250000 100000", "fs/a/b/cpu.max": "max 1"},
            2.5,
        ),
        ({"membership": "0::/../host/only\n", "fs/cpu.max": "300000 100000\n"}, 3),
        ({"membership": "0::/\n", "fs/cpu.max": "max 100000\n"}, None),
        (
            {
                "membership": "4:cpu,cpuacct:/d\n1:memory:/e\n",
                "fs/cpu/d/cpu.cfs_quota_us": "150000\n",
                "fs/cpu/d/cpu.cfs_period_us": "100000\n",
            },
            1.5,
        ),
        (
            {
                "membership": "4:cpu:/d\n",
                "fs/cpu/d/cpu.cfs_quota_us": "-1\n",
                "fs/cpu/d/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        (
            {
                "membership": "0::/\n4:cpuacct,cpu:/host/only\n",
                "fs/cpuacct,cpu/cpu.cfs_quota_us": "50000\n",
                "fs/cpuacct,cpu/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        ({"membership": "0::/a/b\n", "fs/a/b/cpu.max": "300000 1", "fs/a/cpu.max": "7 8"}, 7 / 8),
        ({"membership": "0::/\n", "fs/cpu.max": "nonsense\n"}, None),
        ({}, None),
    ],
)
def test_cpu_quota_of_both_cgroup_versions(tmp_path, files, quota):
    assert cgroup(tmp_path, files) == quota


def test_threads_follow_cores_and_quota(monkeypatch, tmp_path):
    for cpu in range(4):
        path = tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        path.parent.mkdir(parents=True)
        path.write_text(f"{cpu % 2},{cpu % 2 + 2}\n")
    assert threads.physical_cores({0, 1, 2, 3}, tmp_path) == 2
    assert threads.physical_cores({0, 2}, tmp_path) == 1
    assert threads.physical_cores({0, 9}, tmp_path) == 2
    monkeypatch.setattr(threads, "allowed_cpus", lambda: set(range(8)))
    monkeypatch.setattr(threads, "physical_cores", len)
    for quota, count in [(None, 8), (0.5, 1), (2.9, 2), (64.0, 8)]:
        monkeypatch.setattr(threads, "cpu_quota", lambda quota=quota: quota)
        assert threads.thread_count() == count


def test_an_artifact_may_tune_a_provider_and_no_more():
    tuned = carrying(provider_options={"cuda": {"prefer_nhwc": 1}})
    assert runtime.load(tuned).settings.provider_options == {"cuda": {"prefer_nhwc": "1"}}
    assert "provider_options.cuda" in str(runtime.load(tuned).settings)
    with pytest.raises(runtime.SettingsError, match="may not set 'device_id' of provider 'cuda'"):
        runtime.load(carrying(provider_options={"cuda": {"device_id": 1}}))
    with pytest.raises(runtime.SettingsError, match="provider_options is not valid"):
        runtime.load(carrying(provider_options=["cuda"]))


def test_optimisers_are_switched_off_by_either_way():
    off = {settings.DISABLED: "BiasGeluFusion"}
    session = runtime.load(carrying(), config=off, disabled_optimizers=["GeluFusion"])
    entry = session._raw.get_session_options().get_session_config_entry(settings.DISABLED)
    assert entry == "BiasGeluFusion;GeluFusion"


@pytest.mark.parametrize(
    ("missing", "has_cudnn", "loads"),
    [(None, True, 0), (None, False, 1), ("libcudart.so.13", True, 1)],
)
def test_the_wheels_of_cuda_are_loaded_where_the_loader_lacks_something(
    monkeypatch, missing, has_cudnn, loads
):
    calls = []
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: calls.append(print("noise")))
    monkeypatch.setattr(devices, "missing_library", lambda name: missing)
    monkeypatch.setattr(devices, "_loads", lambda library: has_cudnn)
    devices.load_wheels_libraries("CPUExecutionProvider")
    assert not calls
    devices.load_wheels_libraries("CUDAExecutionProvider")
    assert len(calls) == loads


def test_whether_a_library_loads():
    assert devices._loads(ctypes.util.find_library("c"))
    assert not devices._loads("libthere-is-none.so.9")


def test_attributes_of_session_options_are_set_by_name():
    given = {"execution_mode": "parallel", "enable_mem_pattern": False, "enable_cpu_mem_arena": "0"}
    merged = settings.merge_settings({}, "net.onnx", threads=3, config=given)
    options = settings.session_options(merged)
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert options.inter_op_num_threads == 3
    assert not options.enable_mem_pattern
    assert not options.enable_cpu_mem_arena
    assert options.enable_mem_reuse
    options = settings.session_options(settings.merge_settings({}, "net.onnx"))
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    session = runtime.load(NEG, config={"execution_order": "priority"})
    assert session.settings.origin["execution_order"] == "caller"
    np.testing.assert_array_equal(session([1, -2])[0], [-1, 2])


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"execution_mode": "fast"}, "one of sequential, parallel"),
        ({"enable_mem_pattern": 2}, "one of 0, 1"),
        ({"optimized_model_filepath": "x"}, "a key of a session config entry, which has a dot"),
    ],
)
def test_attributes_that_there_are_not_are_refused(config, expected):
    with pytest.raises(runtime.SettingsError) as raised:
        runtime.load(NEG, config=config)
    assert raised.value.expected.startswith(expected)
