"""What the commands do, say and leave behind when all is well."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.frontends.cli.commands import write_model
from tests.support.models import model, normal
from tests.support.run import run_ort


def test_compile_writes_a_model_that_computes_the_same(sardonyx, net, tmp_path):
    made = tmp_path / "made.onnx"
    said = sardonyx.json("compile", net, "-o", made)
    assert said["file"] == str(made)
    assert (said["target"], said["nodes_before"]) == ("cpu", 5)
    assert said["nodes_after"] == len(onnx.load(made).graph.node) < 5
    assert said["report"]["rules"]["neg_of_neg"] == 1
    assert said["report"]["passes"][0]["name"] == "lift_constants"
    onnx.checker.check_model(onnx.load(made), full_check=True)
    feeds = {"x": normal(2, 4)}
    for path in (net, made):
        (got,) = run_file(path, feeds)
        np.testing.assert_allclose(got, run_file(net, feeds)[0], rtol=1e-6, atol=1e-6)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["made.onnx", "net.onnx"]


def run_file(path, feeds):
    return run_ort(ir.load(path), feeds)


def test_compile_tells_people_what_was_done(sardonyx, net, tmp_path):
    assert sardonyx("compile", net, "-o", tmp_path / "made.onnx") == 0
    for text in ("nodes_before", "nodes_after", "cpu", "neg_of_neg"):
        assert text in sardonyx.out
    assert sardonyx.err == ""


def test_compile_ends_with_1_where_the_program_does_not_agree(sardonyx, tmp_path):
    """ONNX Runtime takes zeros before a max pool for its padding, which is below any number."""
    given = model(
        """g (float[1,2,6,6] x) => (float[1,2,3,3] y) { a = Abs(x) b = Neg(a)
            p = Pad(b, pads, zero) y = MaxPool<kernel_shape = [3, 3], strides = [2, 2]>(p) }""",
        pads=np.int64([0, 0, 1, 1, 0, 0, 1, 1]),
        zero=np.float32(0),
    )
    ir.save(given, tmp_path / "net.onnx")
    asked = ("compile", tmp_path / "net.onnx", "-o", tmp_path / "made.onnx", "--proof", "pass")
    assert sardonyx(*asked, "--target", "portable") == 1
    assert 'load it with disabled_optimizers=["Pad_Fusion"]' in sardonyx.out
    assert (
        sardonyx.err
        == f"error: {tmp_path / 'made.onnx'} does not agree with its source: see the proof\n"
    )
    assert (tmp_path / "made.onnx").exists()
    assert sardonyx(*asked, "--target", "portable", "--json") == 1
    proof = json.loads(sardonyx.out)["proof"]
    assert not proof["holds"]
    assert proof["worst"] > 1
    assert sardonyx(*asked) == 0


@pytest.mark.parametrize("opset", [18, 20, 23])
def test_compile_writes_the_opset_that_is_asked_for(sardonyx, net, tmp_path, opset):
    made = tmp_path / "made.onnx"
    sardonyx.json("compile", net, "-o", made, "--target", "portable", "--opset", opset)
    assert {o.domain: o.version for o in onnx.load(made).opset_import}[""] == opset


def test_compile_accepts_dimensions_that_are_dynamic_already(sardonyx, net, tmp_path):
    sardonyx.json("compile", net, "-o", tmp_path / "made.onnx", "--dynamic", "x:0=batch")


def test_compile_verifies_as_much_as_is_asked_for(sardonyx, net, tmp_path):
    for level in range(4):
        sardonyx.json("compile", net, "-o", tmp_path / "made.onnx", "--verify-level", level)


def test_compile_puts_weights_beside_the_file_when_asked(sardonyx, tmp_path):
    net = write_model(tmp_path / "net.onnx", width=3000)
    sardonyx.json("compile", net, "-o", tmp_path / "made.onnx", "--external-data")
    (beside,) = (p for p in tmp_path.iterdir() if p.name not in {"made.onnx", "net.onnx"})
    assert beside.stat().st_size >= 48_000 > (tmp_path / "made.onnx").stat().st_size
    shapes = [o["shape"] for o in sardonyx.json("run", tmp_path / "made.onnx")["outputs"]]
    assert shapes == [[1, 3000]]


def test_run_describes_the_outputs(sardonyx, net):
    (output,) = sardonyx.json("run", net, "--dim", "batch=7")["outputs"]
    assert (output["output"], output["dtype"], output["shape"]) == ("y", "float32", [7, 3])
    assert output["min"] <= output["mean"] <= output["max"]
    assert sardonyx("run", net) == 0
    assert "1, 3" in sardonyx.out


def test_run_reads_inputs_and_writes_outputs(sardonyx, net, tmp_path):
    x = normal(2, 4)
    np.save(tmp_path / "x.npy", x)
    sardonyx.json("run", net, "-i", f"x={tmp_path}/x.npy", "-o", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as written:
        np.testing.assert_allclose(written["y"], run_file(net, {"x": x})[0], rtol=1e-6)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["net.onnx", "out.npz", "x.npy"]


def test_random_inputs_depend_on_the_seed_alone(sardonyx, net):
    said = [sardonyx.json("run", net, "--seed", seed)["outputs"][0]["max"] for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2]


def test_numbers_that_json_lacks_are_written_as_text(sardonyx, net, tmp_path):
    np.save(tmp_path / "x.npy", np.full((1, 4), np.inf, np.float32))
    (output,) = sardonyx.json("run", net, "-i", f"x={tmp_path}/x.npy")["outputs"]
    assert output["max"] in {"inf", "nan"}


def test_inspect_shows_what_a_model_is(sardonyx, net):
    said = sardonyx.json("inspect", net)
    assert said["inputs"] == ["x: float[batch, 4]"]
    assert said["outputs"] == ["y: float[batch, 3]"]
    assert said["operators"] == {"Neg": 2, "Identity": 1, "MatMul": 1, "Relu": 1}
    assert (said["nodes"], said["weights"], said["weight_bytes"]) == (5, 1, 48)
    assert said["opsets"][""] == 23
    assert sardonyx("inspect", net) == 0
    assert "x: float[batch, 4]" in sardonyx.out


def test_inspect_tells_the_opset_of_the_file_from_that_of_the_model(sardonyx, net, tmp_path):
    made = tmp_path / "old.onnx"
    sardonyx.json("compile", net, "-o", made, "--opset", "18", "--target", "portable")
    said = sardonyx.json("inspect", made)
    assert onnx.load(made).opset_import[0].version == 18
    assert (said["file_opsets"], said["opsets"]) == ({"": 18}, {"": 23})


def test_inspect_tells_the_operators_of_the_file_from_those_of_the_model(sardonyx, tmp_path):
    """Contrib operators are functions of the file, and are taken apart when it is read."""
    net, made = tmp_path / "net.onnx", tmp_path / "made.onnx"
    text = "g (float[b,8] x) => (float[b,8] y) { a = Add(x, bias) y = Gelu(a) }"
    onnx.save(ir.to_proto(model(text, bias=normal(8))), net)
    sardonyx.json("compile", net, "-o", made)
    said = sardonyx.json("inspect", made)
    assert said["file_operators"] == {"com.microsoft::BiasGelu": 1}
    assert said["operators"]["Erf"] == 1
    assert said["nodes"] == sum(said["operators"].values())
    assert sardonyx("inspect", made) == 0
    assert "in the file" in sardonyx.out
    assert sardonyx("inspect", net) == 0
    assert "in the file" not in sardonyx.out


def test_inspect_shows_the_text(sardonyx, net):
    assert sardonyx("inspect", net, "--text") == 0
    assert "MatMul" in sardonyx.out
    assert "float[batch,4] x" in sardonyx.out


def test_inspect_writes_a_program(sardonyx, net, tmp_path):
    assert sardonyx("inspect", net, "--dsl", "-") == 0
    assert "from sardonyx.frontends import dsl" in sardonyx.out
    assert "dsl.op.MatMul(" in sardonyx.out
    printed = sardonyx.out
    assert sardonyx("inspect", net, "--dsl", tmp_path / "again.py") == 0
    assert "again.py: " in sardonyx.out
    written = (tmp_path / "again.py").read_text(encoding="utf-8")
    assert written.splitlines()[-4:-2] == printed.splitlines()[-2:]


def test_inspect_shows_what_compilation_wrote(sardonyx, net, tmp_path):
    sardonyx.json("compile", net, "-o", tmp_path / "made.onnx")
    metadata = sardonyx.json("inspect", tmp_path / "made.onnx")["metadata"]
    assert '"target": "cpu"' in metadata["sardonyx.manifest"]


def test_the_version_is_that_of_the_package(sardonyx):
    assert sardonyx("--version") == 0
    assert sardonyx.out.startswith("sardonyx 0.")


@pytest.mark.parametrize("command", ["compile", "run", "bench", "inspect"])
def test_each_command_explains_itself(sardonyx, command):
    assert sardonyx(command, "--help") == 0
    assert "--json" in sardonyx.out


def test_a_command_that_does_not_exist_is_refused(sardonyx):
    assert sardonyx("divine") == 2
    assert "divine" in sardonyx.err


def test_help_loads_nothing_large():
    script = """
import sys
from sardonyx.frontends.cli import main
sys.argv = ["sardonyx", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code
heavy = {"torch", "onnx", "onnx_ir", "onnxruntime", "numpy", "sympy", "transformers"}
print(sorted(heavy & set(sys.modules)))
"""
    done = run_process(sys.executable, "-c", script)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "[]"


def run_process(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)


MAIN = "from sardonyx.frontends.cli import main; main()"


def test_a_process_of_its_own(net, tmp_path):
    made = run_process(sys.executable, "-c", MAIN, "compile", net, "-o", tmp_path / "made.onnx")
    assert (made.returncode, made.stderr) == (0, "")
    refused = run_process(sys.executable, "-c", MAIN, "run", tmp_path / "no.onnx")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: ")


def test_a_reader_that_has_enough_gets_no_traceback(net):
    line = f"{sys.executable} -c '{MAIN}' inspect {net} --text | true"
    done = run_process("bash", "-c", line)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_devices_lists_providers_and_what_keeps_them_from_starting(sardonyx):
    listed = {row["provider"]: row for row in sardonyx.json("devices")["providers"]}
    assert listed["cpu"]["starts"] is True
    assert listed["cpu"]["devices"]
    fields = {"provider", "starts", "devices", "version", "library", "problem"}
    for row in listed.values():
        assert set(row) == fields
        assert row["starts"] is (row["problem"] is None)
    assert sardonyx("devices") == 0
    for name in listed:
        assert name in sardonyx.out


def test_tune_measures_and_stores(sardonyx, net, tmp_path):
    before = net.read_bytes()
    said = sardonyx.json("tune", net, "--seconds", 0, "--provider", "cpu", "--no-store")
    assert (said["model"], said["gain"], said["stored"]) == (str(net), None, "")
    assert net.read_bytes() == before
    assert sardonyx("tune", net, "--seconds", 0, "--provider", "cpu", "--dim", "batch=3") == 0
    assert "no gain on this machine" in sardonyx.out
    assert f"stored in {net}" in sardonyx.out
    assert net.read_bytes() != before
    assert sardonyx("run", net) == 0


def test_compile_tunes_what_it_wrote(sardonyx, net, tmp_path):
    said = sardonyx.json("compile", net, "-o", tmp_path / "made.onnx", "--tune", 0)
    assert said["tuning"]["stored"] == said["file"]
    metadata = {e.key for e in onnx.load(tmp_path / "made.onnx").metadata_props}
    assert {"sardonyx.tuning", "sardonyx.manifest"} <= metadata


def test_a_provider_whose_libraries_are_not_here_is_named_with_them(sardonyx, net):
    rows = sardonyx.json("devices")["providers"]
    broken = {row["provider"]: row["problem"] for row in rows if row["problem"]}
    if "cuda" not in broken:
        pytest.skip("CUDA is not in this build of ONNX Runtime, or works here")
    assert sardonyx("run", net, "--provider", "cuda") == 2
    assert "error: provider cuda did not start" in sardonyx.err
    assert f"found: {broken['cuda']}" in sardonyx.err
    assert "is built for CUDA" in sardonyx.err
