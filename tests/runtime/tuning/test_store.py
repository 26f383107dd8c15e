"""The entry that tuning leaves in a file, and what loading makes of it."""

import dataclasses
import json
import os
import warnings

import numpy as np
import onnx
import pytest

from sardonyx import compiler, runtime
from sardonyx.runtime import settings
from sardonyx.runtime.machine import machine
from sardonyx.runtime.tuned import KEY, Tuned, read_tuned
from sardonyx.runtime.tuning.candidates import GROUPS, Space
from sardonyx.runtime.tuning.choice import Choice
from sardonyx.runtime.tuning.store import set_metadata
from tests.support.models import model, normal

X = normal(2, 4)


@pytest.fixture
def artifact(tmp_path):
    """A model that Sardonyx wrote, with its weights beside it."""
    source = model("g (float[b,4] x) => (float[b,900] y) { y = MatMul(x, w) }", w=normal(4, 900))
    return compiler.compile(source, target="cpu").save(tmp_path / "net.onnx", external_data=True)


def tuned(**changes):
    here = machine().as_dict()
    made = Tuned("cpu", 1, {"config": {"session.dynamic_block_base": "4"}}, 1.5, here)
    return dataclasses.replace(made, **changes)


def put(path, entry):
    text = entry if isinstance(entry, str) else entry.to_text()
    set_metadata(str(path), KEY, text)


def test_the_model_stays_the_same_but_for_the_entry(artifact):
    before, (y,) = onnx.load(artifact), runtime.load(artifact)(X)
    metadata = {e.key: e.value for e in before.metadata_props}
    for text in ("first", "second, longer " * 100, "third"):
        put(artifact, text)
        after = onnx.load(artifact)
        assert after.graph == before.graph
        found = {e.key: e.value for e in after.metadata_props}
        assert found.pop(KEY) == text
        assert set(found) == set(metadata)
        changed = {key for key in found if found[key] != metadata[key]}
        assert changed == {"sardonyx.sha256"}
        assert runtime.check_integrity(artifact)
        onnx.checker.check_model(artifact, full_check=True)
    np.testing.assert_array_equal(runtime.load(artifact, tuned=False)(X)[0], y)
    assert sorted(os.listdir(artifact.parent))[0] == "net.onnx"
    assert len(os.listdir(artifact.parent)) == 2


def test_a_file_of_another_tool_takes_it_too(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(onnx.load_from_string(NEG), path)
    put(path, tuned())
    assert not runtime.check_integrity(path)
    session = runtime.load(path)
    assert session.settings.threads == 1
    np.testing.assert_array_equal(session(np.float32([1]))[0], [-1])


NEG = onnx.parser.parse_model(
    '<ir_version: 10, opset_import: ["" : 23]> g (float[n] x) => (float[n] y) { y = Neg(x) }'
).SerializeToString()


def test_a_flipped_bit_is_not_signed_anew(artifact):
    data = bytearray(artifact.read_bytes())
    data[len(data) // 2] ^= 1
    artifact.write_bytes(data)
    with pytest.raises(runtime.IntegrityError):
        put(artifact, tuned())
    assert artifact.read_bytes() == data


def test_a_flipped_bit_in_the_entry_is_detected(artifact):
    put(artifact, tuned())
    data = artifact.read_bytes()
    place = data.index(b"dynamic_block_base")
    artifact.write_bytes(data[:place] + b"D" + data[place + 1 :])
    with pytest.raises(runtime.IntegrityError):
        runtime.load(artifact)


def test_a_link_and_the_rights_of_the_file_stay(artifact, tmp_path):
    os.chmod(artifact, 0o640)
    link = tmp_path / "link.onnx"
    link.symlink_to(artifact)
    put(link, tuned())
    assert link.is_symlink()
    assert os.stat(artifact).st_mode & 0o777 == 0o640
    assert runtime.load(link).settings.threads == 1


def test_nothing_is_left_behind_where_it_cannot_be_written(artifact, monkeypatch):
    before = artifact.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(runtime.LoadError) as raised:
        put(artifact, tuned())
    assert raised.value.found == "No space left on device"
    assert artifact.read_bytes() == before
    assert len(os.listdir(artifact.parent)) == 2


def test_tuned_settings_are_used_and_shown_where_they_were_measured(artifact):
    put(artifact, tuned())
    settings = runtime.load(artifact).settings
    assert settings.threads == 1
    assert settings.config["session.dynamic_block_base"] == "4"
    assert settings.origin["threads"] == settings.origin["session.dynamic_block_base"] == "tuned"
    assert str(settings).endswith("tuning: measured here, 1.50 times faster")


def test_the_caller_overrides_them(artifact):
    put(artifact, tuned())
    given = {"session.dynamic_block_base": "2"}
    settings = runtime.load(artifact, threads=2, config=given).settings
    assert settings.threads == 2
    assert settings.config["session.dynamic_block_base"] == "2"
    assert settings.origin["session.dynamic_block_base"] == "caller"
    assert runtime.load(artifact, tuned=False).settings.tuning == ""


def test_tuned_options_of_a_provider_join_those_of_the_artifact(artifact):
    carried = {"cuda": {"prefer_nhwc": "1", "use_tf32": "1"}, "openvino": {"precision": "f32"}}
    set_metadata(str(artifact), settings.METADATA_KEY, json.dumps({"provider_options": carried}))
    put(artifact, tuned(settings={"provider_options": {"cuda": {"use_tf32": "0"}}}))
    found = runtime.load(artifact).settings
    assert found.provider_options == {
        "cuda": {"prefer_nhwc": "1", "use_tf32": "0"},
        "openvino": {"precision": "f32"},
    }
    assert found.origin["provider_options.cuda"] == "tuned"
    assert found.origin["provider_options.openvino"] == "artifact"


def test_they_are_ignored_on_another_machine_with_one_line(artifact):
    other = {**machine().as_dict(), "cores": 96, "cpu": "x86_64, Another"}
    put(artifact, tuned(machine=other))
    with pytest.warns(RuntimeWarning) as caught:
        settings = runtime.load(artifact).settings
    (warning,) = caught
    said = str(warning.message)
    assert said.startswith(f"{artifact}: tuned settings are ignored: measured on another machine")
    assert "\n" not in said
    assert "(cpu x86_64, Another there, " in said
    assert f"; cores 96 there, {machine().cores} here)" in said
    assert settings.origin["threads"] == "default"
    assert "session.dynamic_block_base" not in settings.config
    assert settings.tuning.startswith("ignored: measured on another machine")
    assert warning.filename == __file__


def test_of_lists_and_versions_only_what_differs_is_told(artifact):
    here = machine().as_dict()
    features = [*here["features"][1:], "amx_bf16"]
    versions = {**here["versions"], "plugins": "onnxruntime-ep-acme 2.0", "build": "x" * 200}
    put(artifact, tuned(machine={**here, "features": features, "versions": versions}))
    with pytest.warns(RuntimeWarning) as caught:
        runtime.load(artifact)
    plugins = here["versions"]["plugins"] or "none"
    assert str(caught[0].message).endswith(
        f"(features amx_bf16 there, {here['features'][0]} here; another build; "
        f"plugins onnxruntime-ep-acme 2.0 there, {plugins} here)"
    )


@pytest.mark.parametrize("field", ["cpu", "features", "cores", "quota", "devices", "versions"])
def test_each_part_of_the_machine_counts(artifact, field):
    here = machine().as_dict()
    put(artifact, tuned(machine={**here, field: "another"}))
    with pytest.warns(RuntimeWarning, match=field):
        assert runtime.load(artifact).settings.origin["threads"] == "default"


def test_no_gain_is_remembered(artifact):
    put(artifact, tuned(threads=None, settings={}, gain=None))
    settings = runtime.load(artifact).settings
    assert settings.tuning == "no gain on this machine"
    assert settings.origin["threads"] == "default"


def test_those_of_another_provider_than_the_one_asked_for_are_not_used(artifact):
    put(artifact, tuned(provider="openvino"))
    settings = runtime.load(artifact, ["cpu"]).settings
    assert settings.tuning == "not used: it is for provider openvino"
    assert settings.origin["threads"] == "default"


def test_a_tuned_provider_that_is_gone_is_no_error(artifact):
    put(artifact, tuned(provider="acme"))
    with pytest.warns(RuntimeWarning, match="tuned settings are not used: there is no provider"):
        session = runtime.load(artifact)
    assert session.providers == ("cpu",)
    assert session.settings.origin["threads"] == "default"


def entry(**changes):
    fields = json.loads(tuned().to_text())
    return json.dumps({**fields, **changes})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1e999",
        "[" * 100_000,
        entry(format="one"),
        entry(provider=3),
        entry(threads=0),
        entry(threads=True),
        entry(threads="2"),
        entry(gain="large"),
        entry(settings=[]),
        entry(machine="mine"),
    ],
)
def test_a_damaged_entry_is_refused(artifact, text):
    put(artifact, text)
    with pytest.raises(runtime.SettingsError) as raised:
        runtime.load(artifact)
    assert raised.value.what == "the tuned settings of the model are damaged"
    assert raised.value.where == f"{KEY} of {artifact}"
    assert "tuned=False" in raised.value.remedy
    assert runtime.load(artifact, tuned=False)(X)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"config": {"session.use_env_allocators": "1"}}, "may not set"),
        ({"config": {"optimized_model_filepath": "/x"}}, "may not set"),
        ({"provider_options": {"openvino": {"load_config": "{}"}}}, "may not set"),
        ({"provider_options": {"cuda": {"gpu_mem_limit": "1"}}}, "may not set"),
        ({"config": {"enable_mem_pattern": "yes"}}, "is not valid"),
        ({"config": []}, "is not valid"),
        ({"graph_optimization": "most"}, "is not valid"),
        ({"disabled_optimizers": 3}, "is not valid"),
    ],
)
def test_an_entry_sets_no_more_than_a_model_file_may(artifact, settings, words):
    put(artifact, entry(settings=settings))
    with pytest.raises(runtime.SettingsError, match=words):
        runtime.load(artifact)


@pytest.mark.parametrize("provider", ["cpu", "cuda", "openvino"])
def test_whatever_is_tried_a_file_may_ask_for(provider):
    space = Space(("cpu", "cuda", "openvino"), 8, ("A",), is_lossy=True, is_bound=True)
    tried = [c for _, group in GROUPS for _, c in group(space, Choice(provider))]
    assert len(tried) > 5
    for choice in tried:
        made = tuned(provider=choice.provider, threads=choice.threads, settings=choice.settings())
        found = read_tuned({KEY: made.to_text()}, "net.onnx")
        assert (found.provider, found.threads) == (choice.provider, choice.threads)
        assert dict(found.settings).keys() == choice.settings().keys()


def test_an_entry_of_a_newer_format_is_left_alone():
    assert read_tuned({KEY: entry(format=2)}, "net.onnx") is None
    assert read_tuned({}, "net.onnx") is None


def test_a_model_without_the_entry_asks_nothing_about_the_machine(artifact, monkeypatch):
    monkeypatch.setattr("sardonyx.runtime.tuned.machine", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runtime.load(artifact)
