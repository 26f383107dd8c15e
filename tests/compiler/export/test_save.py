"""Files are complete, say what the model says, and replace what was there at once or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from sardonyx.compiler.errors import ExportError
from sardonyx.compiler.export import legalise, manifest, save, stamp, to_bytes
from sardonyx.compiler.export.manifest import DIGEST, MANIFEST, SESSION
from sardonyx.compiler.export.wire import DIGEST_BYTES, digest_entry
from sardonyx.compiler.ir import structure
from sardonyx.compiler.ir.text import STAGE
from sardonyx.compiler.targets import find_target
from tests.support.models import model, normal

CPU = find_target("cpu")


def exported(given: ir.Model) -> ir.Model:
    given.metadata_props[STAGE] = "core"
    legal = legalise(given, CPU)
    stamp(legal, CPU, manifest(given, legal, CPU, ["fuse"], {"conv_relu": 2}))
    return legal


def linear(seed: int = 0, rows: int = 64) -> ir.Model:
    return exported(
        model(
            f"g (float[b,{rows}] x) => (float[b,32] y) {{ m = MatMul(x, w) y = Add(m, bias) }}",
            w=normal(rows, 32, seed=seed),
            bias=normal(32, seed=seed + 1),
        )
    )


def digest_holds(data: bytes) -> bool:
    return data[-DIGEST_BYTES:] == digest_entry(hashlib.sha256(data[:-DIGEST_BYTES]).hexdigest())


def props(data: bytes) -> dict[str, str]:
    return {e.key: e.value for e in onnx.ModelProto.FromString(data).metadata_props}


def run(source: str | bytes, **feeds: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(source, options, providers).run(None, feeds)


def test_the_bytes_are_an_onnx_model_that_says_the_same():
    legal = linear()
    proto = onnx.ModelProto.FromString(to_bytes(legal))
    onnx.checker.check_model(proto, full_check=True)
    assert structure.equal(ir.from_proto(proto), legal)
    x = normal(2, 64, seed=7)
    (y,) = run(to_bytes(legal), x=x)
    np.testing.assert_allclose(y, x @ normal(64, 32) + normal(32, seed=1), rtol=1e-5, atol=1e-5)


def test_the_same_model_gives_the_same_bytes():
    assert to_bytes(linear()) == to_bytes(linear())
    assert to_bytes(linear()) != to_bytes(linear(seed=5))


def test_the_order_of_initializers_and_attributes_does_not_count():
    text = (
        "g (float[2,3,9,9] x) => (y) { c = Conv<strides = [2, 2], group = 1>(x, w) y = Add(c, b) }"
    )
    one = exported(model(text, w=normal(4, 3, 3, 3), b=normal(4, 1, 1)))
    other = exported(
        model(
            text.replace("strides = [2, 2], group = 1", "group = 1, strides = [2, 2]"),
            b=normal(4, 1, 1),
            w=normal(4, 3, 3, 3),
        )
    )
    assert list(one.graph.initializers) != list(other.graph.initializers)
    assert to_bytes(one) == to_bytes(other)


def test_another_process_gives_the_same_bytes(tmp_path):
    program = textwrap.dedent(
        """
        import hashlib
        from tests.compiler.export.test_save import linear, to_bytes
        print(hashlib.sha256(to_bytes(linear())).hexdigest())
        """
    )
    found = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            env={**child_environment(), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()[-1]
        for seed in ("1", "2")
    }
    assert found == {hashlib.sha256(to_bytes(linear())).hexdigest()}


def test_the_last_field_is_a_digest_of_all_before_it():
    data = to_bytes(linear())
    assert digest_holds(data)
    assert props(data)[DIGEST] == hashlib.sha256(data[:-DIGEST_BYTES]).hexdigest()
    for position in (0, 50, len(data) // 2, len(data) - DIGEST_BYTES - 1, len(data) - 1):
        flipped = bytearray(data)
        flipped[position] ^= 1
        assert not digest_holds(bytes(flipped))


def test_the_manifest_and_the_session_settings():
    found = props(to_bytes(linear()))
    assert found[STAGE] == "target"
    assert json.loads(found[SESSION]) == {
        "config": {"session.set_denormal_as_zero": "1"},
        "disabled_optimizers": [
            "SkipLayerNormFusion",
            "BiasSkipLayerNormFusion",
            "MatMulAddFusion",
            "Pad_Fusion",
        ],
        "graph_optimization": "all",
    }
    made = json.loads(found[MANIFEST])
    assert set(made.pop("versions")) == {"sardonyx", "onnx", "onnx-ir", "onnx-shape-inference"}
    assert made == {
        "format": 1,
        "source": {"producer": "", "opset": {"": 23, "com.microsoft": 1}, "nodes": 2},
        "target": "cpu",
        "opset": {"": 23},
        "nodes": 2,
        "pipeline": ["fuse"],
        "rules": {"conv_relu": 2},
    }


def test_a_manifest_of_an_earlier_export_is_replaced():
    legal = linear()
    legal.metadata_props[DIGEST] = "stale"
    stamp(legal, find_target("portable"), {"format": 1})
    found = onnx.ModelProto.FromString(to_bytes(legal)).metadata_props
    assert sorted(e.key for e in found) == [MANIFEST, DIGEST, STAGE]
    assert json.loads(props(to_bytes(legal))[MANIFEST]) == {"format": 1}


@pytest.mark.parametrize("external_data", [False, True])
def test_constants_of_every_dtype_survive(tmp_path, external_data):
    arrays = {
        "f32": np.array([np.nan, -0.0, np.inf, 1e-45], np.float32),
        "bf16": np.arange(2000).astype(ml_dtypes.bfloat16),
        "f8": np.arange(2000).astype(ml_dtypes.float8_e5m2),
        "i4": (np.arange(4001) % 15 - 7).astype(ml_dtypes.int4),
        "flags": np.arange(3000) % 3 == 0,
        "c64": np.full((10, 30), 1 - 2j, np.complex64),
        "strided": normal(70, 30).T,
        "scalar": np.float64(3),
        "none": np.zeros((0, 5), np.int8),
    }
    tensors = {name: ir.tensor(array, name=name) for name, array in arrays.items()}
    tensors["s"] = ir.StringTensor([b"a", b"\xff"], shape=ir.Shape([2]), name="s")
    values = [
        ir.Value(name=n, type=ir.TensorType(t.dtype), shape=ir.Shape(t.shape), const_value=t)
        for n, t in tensors.items()
    ]
    graph = ir.Graph([], values, nodes=[], initializers=values, name="g", opset_imports={"": 23})
    legal = exported(ir.Model(graph, ir_version=10))
    path = save(legal, tmp_path / "m.onnx", external_data)
    onnx.checker.check_model(path)
    again = ir.load(path)
    assert len(list(tmp_path.iterdir())) == 1 + external_data
    for name, tensor in tensors.items():
        held = again.graph.initializers[name].const_value
        assert (held.dtype, held.shape) == (tensor.dtype, tensor.shape)
        if tensor.dtype == ir.DataType.STRING:
            assert held.numpy().tolist() == [b"a", b"\xff"]
        else:
            assert held.tobytes() == tensor.tobytes()


def test_subgraphs_functions_and_defaults_survive(tmp_path):
    given = model(
        """g (bool c, float[2] x, float[2] d) => (float[2] y) {
            a = my.twice<k = 3.0>(x)
            y = If(c) <then_branch = t () => (float[2] p) <float[2] s = {1, 2}> { p = Add(a, s) },
                       else_branch = e () => (float[2] q) { q = Sub(d, w) }>
        }
        <domain: "my", opset_import: ["" : 23]>
        twice <k: float = 2.0> (a) => (b) {
            c = Constant<value_float: float = @k>() b = Mul(a, c)
        }""",
        w=normal(2),
        d=normal(2, seed=3),
    )
    given.opset_imports["my"] = 1
    legal = exported(given)
    path = save(legal, tmp_path / "m.onnx")
    assert structure.equal(ir.load(path), legal)
    x = np.float32([1, 10])
    np.testing.assert_allclose(run(str(path), c=np.array(True), x=x)[0], 3 * x + [1, 2], rtol=1e-6)
    np.testing.assert_allclose(
        run(str(path), c=np.array(False), x=x)[0], normal(2, seed=3) - normal(2), rtol=1e-6
    )


def test_types_of_intermediate_values_are_not_written():
    legal = linear()
    legal.graph.node(0).outputs[0].shape = ir.Shape([99])
    proto = onnx.ModelProto.FromString(to_bytes(legal))
    assert not proto.graph.value_info
    assert [
        d.dim_param or d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim
    ] == [
        "b",
        64,
    ]


def test_weights_beside_the_model(tmp_path):
    legal = linear()
    path = save(legal, tmp_path / "net.onnx", external_data=True)
    assert path == tmp_path / "net.onnx"
    (data,) = tmp_path.glob("*.data")
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    assert data.name == f"net.onnx-{digest[:16]}.data"
    assert path.stat().st_size < 3000
    assert digest_holds(path.read_bytes())
    note = json.loads(props(path.read_bytes())[MANIFEST])["data"]
    assert note == {"file": data.name, "bytes": data.stat().st_size, "sha256": digest}
    x = normal(2, 64, seed=7)
    np.testing.assert_array_equal(run(str(path), x=x)[0], run(to_bytes(legal), x=x)[0])
    # The bias is small: it stays in the model.
    assert [
        t.name
        for t in onnx.load(path, load_external_data=False).graph.initializer
        if t.data_location == onnx.TensorProto.EXTERNAL
    ] == ["w"]


def test_large_tensors_begin_on_a_page(tmp_path):
    given = model(
        "g (float[3] x) => (y) { a = Add(x, p) b = Add(a, q) y = Add(b, r) }",
        p=normal(301, 3),
        q=normal(1000, 1, 3),
        r=normal(7, 1, 100, 1),
    )
    path = save(exported(given), tmp_path / "m.onnx", external_data=True)
    offsets = {
        t.name: t.offset for t in (v.const_value for v in ir.load(path).graph.initializers.values())
    }
    assert offsets == {"p": 0, "q": 4096, "r": 4096 + 12000}


def test_weights_go_beside_a_large_model_by_themselves(tmp_path, monkeypatch):
    monkeypatch.setattr("sardonyx.compiler.export.artifact.LARGE", 4000)
    save(linear(), tmp_path / "large.onnx")
    save(linear(rows=4), tmp_path / "small.onnx")
    save(linear(), tmp_path / "told.onnx", external_data=False)
    assert [p.name.split("-")[0] for p in sorted(tmp_path.iterdir())] == [
        "large.onnx",
        "large.onnx",
        "small.onnx",
        "told.onnx",
    ]


def test_more_than_protobuf_can_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sardonyx.compiler.export.artifact._MOST_BYTES", 4000)
    with pytest.raises(ExportError, match="too large for one file") as caught:
        to_bytes(linear())
    assert "external_data=True" in caught.value.remedy
    with pytest.raises(ExportError, match="too large for one file"):
        save(linear(), tmp_path / "m.onnx", external_data=False)
    assert not list(tmp_path.iterdir())
    save(linear(), tmp_path / "m.onnx", external_data=True)


def test_saving_again_replaces_the_weights_and_leaves_no_others(tmp_path):
    path = tmp_path / "net.onnx"
    stranger = tmp_path / "net.onnx-0123456789abcdef.data"
    stranger.write_text("not ours")
    for seed in (0, 1, 1):
        save(linear(seed), path, external_data=True)
        assert len(list(tmp_path.glob("*.data"))) == 2
    x = normal(2, 64, seed=7)
    np.testing.assert_array_equal(run(str(path), x=x)[0], run(to_bytes(linear(1)), x=x)[0])
    save(linear(2), path)
    assert list(tmp_path.glob("*.data")) == [stranger]
    assert stranger.read_text() == "not ours"


def test_a_model_can_replace_the_file_that_its_weights_are_in(tmp_path):
    path = save(linear(), tmp_path / "net.onnx", external_data=True)
    loaded = ir.load(path)
    weights = loaded.graph.initializers["w"].const_value
    assert isinstance(weights, ir.ExternalTensor)
    loaded.graph.initializers["bias"].const_value = ir.tensor(normal(32, seed=9), name="bias")
    again = exported(loaded)
    for _ in range(2):
        save(again, path, external_data=True)
        np.testing.assert_array_equal(
            ir.load(path).graph.initializers["w"].const_value.numpy(), normal(64, 32)
        )
    save(again, path, external_data=False)
    np.testing.assert_array_equal(weights.numpy(), normal(64, 32))
    save(again, path, external_data=True)


def test_whoever_has_the_old_file_open_keeps_it(tmp_path):
    path = save(linear(0), tmp_path / "net.onnx", external_data=True)
    mapped = ir.load(path)
    held = mapped.graph.initializers["w"].const_value.numpy()
    save(linear(1), path, external_data=True)
    np.testing.assert_array_equal(held, normal(64, 32))


def test_only_a_model_at_stage_target_is_written(tmp_path):
    given = model("g (float[3] x) => (float[3] y) { y = Relu(x) }")
    for stage in ("source", "core"):
        given.metadata_props[STAGE] = stage
        for write in (lambda: to_bytes(given), lambda: save(given, tmp_path / "m.onnx")):
            with pytest.raises(ExportError, match="Only a model at stage target") as caught:
                write()
            assert caught.value.found == f"a model at stage {stage}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("missing/m.onnx", "is no folder"),
        ("file/m.onnx", "is no folder"),
        ("folder", "is a folder"),
        ("pipe", "is not a regular file"),
        ("bad\0name", None),
        ("n" * 256, "File name too long"),
    ],
)
def test_a_path_that_cannot_be_a_file_is_refused(tmp_path, name, found):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ExportError) as caught:
        save(linear(), tmp_path / name)
    assert found is None or found in caught.value.found
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody can write to")
def test_a_folder_that_cannot_be_written_to_is_refused():
    with pytest.raises(ExportError, match="cannot be written"):
        save(linear(), "/proc/sardonyx.onnx")


def test_a_link_is_followed_and_permissions_stay(tmp_path):
    real = tmp_path / "real.onnx"
    real.write_text("old")
    real.chmod(0o640)
    (tmp_path / "link.onnx").symlink_to(real)
    save(linear(), tmp_path / "link.onnx", external_data=True)
    assert (tmp_path / "link.onnx").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    run(str(real), x=normal(1, 64))


def test_a_new_file_has_the_usual_permissions(tmp_path):
    save(linear(), tmp_path / "m.onnx", external_data=True)
    (tmp_path / "usual").write_text("")
    modes = {p.stat().st_mode for p in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("external_data", [False, True])
@pytest.mark.parametrize("space", [0, 500, 8192, 8400])
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, space, external_data):
    path = save(linear(), tmp_path / "net.onnx", external_data)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    write, left = os.write, [space]

    def write_while_there_is_space(handle: int, data: memoryview) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(handle, data[: left[0]])
        left[0] -= written
        return written

    monkeypatch.setattr(os, "write", write_while_there_is_space)
    with pytest.raises(ExportError, match="The model cannot be written") as caught:
        save(linear(1), path, external_data)
    assert caught.value.found == "No space left on device"
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


FILE_LIMIT = """
import resource, signal, sys
from sardonyx.compiler.errors import ExportError
from sardonyx.compiler.export import save
from tests.compiler.export.test_save import linear

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
given = linear(1)
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
try:
    save(given, sys.argv[1])
except ExportError as error:
    print("refused:", error.found)
"""


def test_a_file_that_may_not_grow_is_an_error_of_ours(tmp_path):
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FILE_LIMIT, str(tmp_path / "m.onnx")],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout.endswith("refused: File too large\n")
    assert not list(tmp_path.iterdir())


def to_digest(given: ir.Model) -> str:
    return hashlib.sha256(given.graph.initializers["w"].const_value.tobytes()).hexdigest()


def held_by(path: Path) -> str:
    """The digest of the weights that a reader of the file gets; their data must be complete."""
    note = json.loads(props(path.read_bytes())[MANIFEST]).get("data")
    if note is not None:
        data = path.with_name(note["file"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (note["bytes"], note["sha256"])
    return to_digest(ir.load(path))


def child_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
