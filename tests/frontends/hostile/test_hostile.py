"""Files of strangers, loaded and compiled with proof in a watched process within limits."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from sardonyx import compiler, runtime
from sardonyx.compiler.errors import InvalidModelError, UnsupportedError
from sardonyx.frontends import Limits, from_onnx
from tests.frontends.hostile.case import relu
from tests.frontends.hostile.controls import CONTROLS
from tests.frontends.hostile.files import nested_graphs
from tests.frontends.hostile.graphs import calling, function
from tests.frontends.hostile.mutants import mutants, seeds
from tests.frontends.hostile.outside import (
    LEADS,
    PLACEMENTS,
    SECRET,
    placed,
    sparse,
    tensor,
    tricked,
)
from tests.frontends.hostile.suite import CASES
from tests.frontends.hostile.watched import Watched

MOST_SECONDS = 2.0
"""Of processor time, in each process: other tests run beside these."""
MOST_BYTES = 512 << 20


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    with Watched(tmp_path_factory.mktemp("watched")) as process:
        yield process


def test_there_are_enough_cases():
    assert len(CASES) >= 140
    assert all(bool(case.says) != bool(case.accepted) for case in CASES.values())


@pytest.mark.parametrize("name", CASES)
def test_hostile_files_are_refused_or_harmless(name, watched, tmp_path):
    case = CASES[name]
    answer = watched.ask(case.path(tmp_path))
    assert "death" not in answer, answer
    assert "crash" not in answer, answer["crash"]
    if case.accepted:
        assert "error" not in answer, answer["error"]
    else:
        assert "error" in answer, f"accepted: {answer}"
        assert case.says in answer["error"]
        assert answer["kind"] in {"InvalidModelError", "UnsupportedError", "VerifyError"}
        assert answer["is_clean"]
        assert len(answer["error"]) < 2000
        assert all(line.isprintable() for line in answer["error"].splitlines())
    assert answer["seconds"] <= MOST_SECONDS
    assert answer["peak"] <= MOST_BYTES


@pytest.mark.parametrize("name", LEADS)
def test_nothing_outside_of_the_folder_is_read(name, watched, tmp_path):
    path = tricked(tmp_path, *LEADS[name])
    answer = watched.ask(path)
    assert "external data file" in answer["error"]
    assert SECRET.decode() not in str(answer)


@pytest.mark.parametrize("name", CONTROLS)
def test_valid_files_are_taken_and_right(name, tmp_path):
    path = CONTROLS[name](tmp_path)
    program = compiler.compile(from_onnx(path), proof="pass")
    if "functions" not in name:
        assert program.proof.holds, program.proof
    saved = program.save(tmp_path / "compiled.onnx")
    rng = np.random.default_rng(3)
    feeds = {"x": rng.normal(size=(2, 4 if name == "symbols" else 3)).astype(np.float32)}
    proto = onnx.load(path, load_external_data=False)
    if any(value.name == "c" for value in proto.graph.input):
        feeds["c"] = np.array(True)
    (found,) = runtime.load(saved).run_named(feeds).values()
    np.testing.assert_allclose(found, right(name, path, feeds), rtol=1e-6)


def right(name, path, feeds):
    """What the model computes: by ONNX's reference, or by hand where that reads no such files."""
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    if name.startswith("external") or name in {"cache of Hugging Face", "link to a model"}:
        return feeds["x"] + weight
    if name == "link inside the folder":
        return feeds["x"] + weight
    if name == "nodes in no order":
        return -np.maximum(feeds["x"], 0)
    if name == "sparse weight":
        return feeds["x"] + np.array([[0, 5, 0], [0, 0, 7]], np.float32)
    return ReferenceEvaluator(onnx.load(path)).run(None, feeds)[0]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_paths_start_at_the_model_and_not_at_the_process(placement, tmp_path, monkeypatch):
    (tmp_path / "secret.bin").write_bytes(SECRET)
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "model.onnx"
    path.write_bytes(placed(placement, tensor("secret.bin")).SerializeToString())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidModelError, match="does not exist"):
        from_onnx(path)


@pytest.mark.parametrize(
    ("count", "level", "seed"),
    [(200, "end", 1878997032), pytest.param(4000, "pass", None, marks=pytest.mark.slow)],
)
def test_mutants_of_real_models_kill_nothing(count, level, seed, tmp_path):
    if seed is None:
        seed = random.SystemRandom().randrange(1 << 31)
        print("seed", seed)
    groups = ("node", "light", "simple", "pytorch-converted", "pytorch-operator")
    bad = []
    with Watched(tmp_path) as process:
        for name, content in mutants(seeds(groups), count, seed):
            path = tmp_path / "mutant.onnx"
            path.write_bytes(content)
            answer = process.ask(path, level)
            if "death" in answer or "crash" in answer:
                bad.append((name, answer))
    assert not bad, f"seed {seed}: {bad}"


def test_limits_can_be_widened(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(relu().SerializeToString())
    with pytest.raises(UnsupportedError, match=r"Limits\(nodes=\.\.\.\)"):
        from_onnx(path, limits=Limits(nodes=0))
    assert len(from_onnx(path, limits=Limits(nodes=1)).graph) == 1


@pytest.mark.parametrize("limit", [f.name for f in dataclasses.fields(Limits)])
def test_each_limit_is_kept(limit, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(everything().SerializeToString())
    with pytest.raises(UnsupportedError) as caught:
        from_onnx(path, limits=Limits(**{limit: 0}))
    assert f"the limit {limit!r}" in str(caught.value)
    assert str(path) in str(caught.value)


def everything():
    """A model with something of each kind that is counted."""
    made = calling(function("f", ("Neg", ["a"], ["b"])))
    made.graph.node[0].output[0] = "h"
    made.graph.node.append(helper.make_node("Softmax", ["h"], ["s"], axis=1))
    made.graph.node.append(helper.make_node("Add", ["s", "w"], ["y"]))
    weight = numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
    made.graph.sparse_initializer.append(sparse(weight))
    return made


def test_a_parsed_model_is_counted_too():
    with pytest.raises(UnsupportedError, match="nested too deeply"):
        from_onnx(onnx.ModelProto.FromString(nested_graphs(26)))


def test_native_checkers_are_not_called(monkeypatch, tmp_path):
    """onnx's checker and shape inference die of some files."""

    def refuse(*_, **__):
        raise AssertionError("native code was called on a stranger's file")

    for module in (onnx.checker, onnx.shape_inference, onnx.checker.C, onnx.shape_inference.C):
        for name in [name for name in vars(module) if name.startswith(("check_", "infer_"))]:
            monkeypatch.setattr(module, name, refuse)
    path = tmp_path / "model.onnx"
    path.write_bytes(everything().SerializeToString())
    compiler.compile(from_onnx(path), proof="pass").to_bytes()
