"""`sardonyx compare` and `sardonyx verify`: what they print, and how they end."""

from __future__ import annotations

import json

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx import frontends
from sardonyx.frontends import comparing
from tests.compiler.divergence.networks import X, layers

TORCH = """
import torch

class Net(torch.nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 3)
        self.second.weight.data *= scale

    def forward(self, x):
        return self.second(self.first(x).relu())

DYNAMIC = {"x": {0: "rows"}}

def net():
    return Net().eval(), (torch.randn(3, 4),), DYNAMIC

def other():
    return Net(1.01).eval(), (torch.randn(3, 4),), DYNAMIC
"""


@pytest.fixture
def files(tmp_path):
    paths = {}
    for name, wrong in (("right", {}), ("wrong", {1: "weight"})):
        paths[name] = tmp_path / f"{name}.onnx"
        ir.save(layers(3, wrong=wrong), paths[name])
    return paths


def test_files_that_agree(sardonyx, files):
    said = sardonyx.json("compare", files["right"], files["right"])
    assert said["agrees"]
    assert said["divergence"] is None
    assert sardonyx("compare", files["right"], files["right"]) == 0
    assert "agrees with" in sardonyx.out


def test_files_that_differ(sardonyx, files):
    assert sardonyx("compare", files["right"], files["wrong"], "--json") == 1
    said = json.loads(sardonyx.out)
    assert said["divergence"]["value"] == "m1"
    assert sardonyx("compare", files["right"], files["wrong"]) == 1
    assert "first difference: 'm1'" in sardonyx.out
    assert sardonyx("compare", files["right"], files["wrong"], "--no-locate") == 1
    assert "first difference" not in sardonyx.out


def test_levels(sardonyx, files):
    said = sardonyx.json("compare", files["right"], "--levels", "off", "all")
    assert said["agrees"]
    assert said["reference"].endswith("(off)")
    assert said["model"].endswith("(all)")


def test_samples(sardonyx, files, tmp_path):
    sample = tmp_path / "x.npz"
    np.savez(sample, x=X)
    assert sardonyx.json("compare", files["right"], files["right"], "--sample", sample)["agrees"]
    np.savez(sample, z=X)
    said = sardonyx.refused("compare", files["right"], files["right"], "--sample", sample)
    assert "found: z" in said


def test_verify_a_file_against_another(sardonyx, files):
    said = sardonyx.json("verify", files["right"], "--against", files["right"])
    assert [case["sizes"] for case in said["cases"]] == [{"rows": n} for n in (1, 2, 6, 4)]
    assert sardonyx("verify", files["wrong"], "--against", files["right"]) == 1
    assert "does not agree" in sardonyx.out
    assert "first difference: 'm1'" in sardonyx.out


@pytest.mark.parametrize(
    ("carried", "sizes"),
    [
        ('{"rows": {"min": 3}}', [3, 6, 4]),
        ('{"rows": {"max": 5}}', [1, 2, 5, 4]),
        ('{"rows": {"min": 3, "max": 40}}', [3, 6, 4, 40]),
    ],
)
def test_verify_stays_within_the_limits_that_a_model_carries(sardonyx, files, carried, sizes):
    model = ir.load(files["right"])
    model.metadata_props["sardonyx.dims"] = carried
    ir.save(model, files["right"])
    said = sardonyx.json("verify", files["right"], "--against", files["right"])
    assert [case["sizes"] for case in said["cases"]] == [{"rows": n} for n in sizes]


@pytest.mark.parametrize("carried", ["[1]", '{"rows": {"min": "3"}}', "{"])
def test_verify_refuses_limits_that_are_none(sardonyx, files, carried):
    model = ir.load(files["right"])
    model.metadata_props["sardonyx.dims"] = carried
    ir.save(model, files["right"])
    assert sardonyx("verify", files["right"], "--against", files["right"]) == 2
    assert "sardonyx.dims in the model's metadata is not valid" in sardonyx.err


def test_a_verification_prints_what_the_command_does(sardonyx, files):
    for name, code, end in (("right", 0, "\nagrees"), ("wrong", 1, "\ndoes not agree")):
        assert sardonyx("verify", files[name], "--against", files["right"]) == code
        made = str(frontends.verify(files[name], files["right"]))
        assert made.endswith(end)
        told, head, *rows = made.splitlines()
        assert told == f"{files[name]} against {files['right']}"
        assert head.split("  ")[-1] == "difference"
        assert [row.split("  ")[1] for row in rows[:4]] == [
            f"made up, rows={n}" for n in (1, 2, 6, 4)
        ]
        # The line before the last tells how long it took.
        assert sardonyx.out.splitlines()[:-2] == made.splitlines()[:-2]


def test_a_verification_says_where_the_model_does_not_run(files):
    made = frontends.verify(files["right"], files["right"])
    made.cases[1:] = [
        comparing.Case("made up", {"rows": 2}, problem="the model fails there"),
        comparing.Case("sample 0", {}, skipped="the source does not run on it"),
    ]
    assert "  made up, rows=2                        the model fails there" in str(made)
    assert "  sample 0                               the source does not run on it" in str(made)
    assert str(made).endswith("does not agree")


def test_verify_says_what_says_nothing(sardonyx, tmp_path):
    source = "net (float[rows,4] x) => (float[rows,4] y, float[rows,4] z) { a = Abs(x) b = Neg(a) "
    for name, body in (
        ("some", "y = Relu(b) z = Tanh(x) }"),
        ("none", "y = Relu(b) z = Relu(b) }"),
    ):
        path = tmp_path / f"{name}.onnx"
        ir.save(
            ir.from_onnx_text(f'<ir_version: 10, opset_import: ["" : 23]> {source}{body}'), path
        )
        blind = {"y": "it is zero everywhere"}
        if name == "none":
            blind["z"] = blind["y"]
        assert sardonyx.json("verify", path, "--against", path)["blind"] == blind
        assert sardonyx("verify", path, "--against", path) == 0
        assert "output 'y' says nothing: it is zero everywhere" in sardonyx.out
        assert ("agrees, but no output says anything" in sardonyx.out) == (name == "none")


def test_a_model_of_pytorch(sardonyx, tmp_path):
    pytest.importorskip("torch")
    source = tmp_path / "net.py"
    source.write_text(TORCH)
    made = tmp_path / "net.onnx"
    sardonyx.json("compile", f"{source}:net", "-o", made)
    said = sardonyx.json("verify", made, "--against", f"{source}:net")
    assert [case["inputs"] for case in said["cases"]] == ["the examples"] + ["made up"] * 4
    assert sardonyx("verify", made, "--against", f"{source}:other", "--json") == 1
    found = json.loads(sardonyx.out)["comparison"]["divergence"]
    assert found["reference"] == "second (Linear)"
    assert sardonyx.json("compare", f"{source}:net", made)["agrees"]
    assert sardonyx("compare", f"{source}:other", made) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--levels", "off", "most"], "no such level"),
        (["--providers", "cpu", "abacus"], "no such provider"),
        ([], "nothing to compare with"),
    ],
)
def test_refusals(sardonyx, files, arguments, said):
    assert said in sardonyx.refused("compare", files["right"], *arguments)


def test_a_provider_that_is_not_there(sardonyx, files):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("ONNX Runtime here has a CUDA provider")
    said = sardonyx.refused("compare", files["right"], "--providers", "cpu", "cuda")
    assert "CUDAExecutionProvider" in said


def test_inspect_tells_the_proof(sardonyx, files, tmp_path):
    made = tmp_path / "made.onnx"
    sardonyx.json("compile", files["right"], "-o", made, "--proof", "end")
    assert sardonyx.json("inspect", made)["proof"] == {
        "holds": True,
        "level": "end",
        "samples": 1,
        "undone": [],
        "blind": [],
    }
    assert sardonyx("inspect", made) == 0
    assert "agrees with its source (level end, 1 sample(s))" in sardonyx.out
    assert sardonyx.json("inspect", files["right"])["proof"] == {}


@pytest.mark.parametrize(
    ("proof", "said"),
    [
        ({"holds": True, "blind": ["y"]}, "outputs that say nothing: y"),
        ({"undone": ["a", "b"], "blind": []}, "not known to agree with its source"),
        ({"undone": ["a", "b"]}, "undone: a, b"),
        ({"undone": 5, "blind": {"y": 1}}, "sample(s))"),
    ],
)
def test_inspect_tells_what_says_nothing_and_what_was_undone(sardonyx, tmp_path, proof, said):
    net = layers(2)
    net.metadata_props["sardonyx.manifest"] = json.dumps({"proof": proof})
    ir.save(net, tmp_path / "net.onnx")
    assert sardonyx("inspect", tmp_path / "net.onnx") == 0
    assert said in " ".join(sardonyx.out.split())
