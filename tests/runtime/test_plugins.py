"""Plugin providers: packages that are found, and what is said of those that cannot be used."""

import subprocess
import sys

import numpy as np
import pytest

from sardonyx import runtime
from sardonyx.runtime import plugins
from sardonyx.runtime.worker import TINY

PACKAGE = """
def get_library_path():
    return {library!r}

def get_ep_names():
    return ["AcmeExecutionProvider"]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of packages, on Python's path, and none of its modules imported."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("onnxruntime_ep_acme")]:
        del sys.modules[name]


def install(folder, text, version="2.1.0"):
    place = folder / "onnxruntime_ep_acme"
    place.mkdir()
    (place / "__init__.py").write_text(text)
    (folder / f"onnxruntime_ep_acme-{version}.dist-info").mkdir()


def test_nothing_is_found_where_nothing_is_installed(tmp_path):
    (tmp_path / "onnxruntime_ep_acme").mkdir()
    (tmp_path / "onnxruntime_ep_acme.py").write_text("raise SystemExit")
    (tmp_path / "onnxruntime").mkdir()
    assert plugins.plugins([str(tmp_path), str(tmp_path / "absent")]) == ()


def test_a_package_is_found_by_the_name_of_its_module(folder):
    install(folder, PACKAGE.format(library="acme.so"))
    (found,) = [each for each in plugins.plugins() if each.name == "acme"]
    expected = plugins.Plugin(
        "acme", "AcmeExecutionProvider", "onnxruntime-ep-acme", "2.1.0", "acme.so"
    )
    assert found == expected
    for name in ("acme", "Acme", "AcmeExecutionProvider"):
        assert plugins.find_plugin(name) == found
    assert plugins.find_plugin("acm") is None


def test_a_package_that_names_one_provider_only(folder):
    text = "get_ep_name = lambda: 'AcmeExecutionProvider'\nget_library_path = lambda: 'acme.so'"
    install(folder, text)
    assert plugins.find_plugin("acme").library == "acme.so"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("raise OSError('no acme driver')", "no acme driver"),
        ("", "module 'onnxruntime_ep_acme' has no attribute 'get_ep_name'"),
    ],
)
def test_a_package_that_cannot_be_asked_is_listed_with_the_reason(folder, text, problem):
    install(folder, text)
    (found,) = [each for each in runtime.providers() if each.name == "acme"]
    said = f"package onnxruntime-ep-acme 2.1.0 does not tell its library: {problem}"
    assert found.problem == said
    with pytest.raises(runtime.ProviderError) as raised:
        runtime.load(TINY, "acme")
    assert raised.value.what == "provider acme did not start"
    assert raised.value.found == said


def test_a_library_that_cannot_be_loaded_is_an_error_that_names_it(folder):
    library = str(folder / "libacme.so")
    install(folder, PACKAGE.format(library=library))
    with pytest.raises(runtime.ProviderError) as raised:
        runtime.load(TINY, ["acme"])
    assert raised.value.what == "provider acme did not start"
    assert raised.value.where == f"onnxruntime-ep-acme 2.1.0 {library}"
    assert "cannot open shared object file" in raised.value.found
    assert "another version of onnxruntime-ep-acme" in raised.value.remedy


def test_other_providers_take_over_where_that_is_allowed(folder):
    install(folder, PACKAGE.format(library=str(folder / "libacme.so")))
    x = np.ones((1, 4), np.float32)
    with pytest.warns(RuntimeWarning, match="provider acme did not start"):
        session = runtime.load(TINY, ["acme"], fallback="warn")
    np.testing.assert_array_equal(session(x)[0], x + x)


def test_an_unknown_provider_names_the_plugins_that_there_are(folder):
    install(folder, PACKAGE.format(library="acme.so"))
    with pytest.raises(runtime.ProviderError) as raised:
        runtime.load(TINY, ["acmee"])
    assert "acme" in raised.value.expected


def test_a_provider_that_starts_says_so_from_a_process_of_its_own():
    (cpu,) = [each for each in runtime.providers(start=True) if each.name == "cpu"]
    assert cpu.problem is None
    assert len(cpu.devices) == 1
    assert "CPUs" in cpu.devices[0]


def test_a_provider_that_takes_the_process_with_it_is_listed_with_what_it_said(folder):
    crash = "import os, sys; print('acme: no license', file=sys.stderr, flush=True); os._exit(7)"
    guard = "import sys\nif 'sardonyx.runtime.worker' in sys.modules: " + crash
    install(folder, guard + PACKAGE.format(library="acme.so"))
    code = (
        "from sardonyx import runtime;"
        "print([p for p in runtime.providers(start=True) if p.name == 'acme'])"
    )
    made = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join([str(folder), *sys.path])},
    )
    assert "acme: no license" in made.stdout


def test_openvino_runs_a_model_or_says_why_not():
    if plugins.find_plugin("openvino") is None:
        pytest.skip("package onnxruntime-ep-openvino is not installed")
    (found,) = [each for each in runtime.providers(start=True) if each.name == "openvino"]
    x = np.array([[1, 2, 3, 4]], np.float32)
    if found.problem:
        with pytest.raises(runtime.ProviderError) as raised:
            runtime.load(TINY, "openvino")
        assert raised.value.found == found.problem
    else:
        session = runtime.load(TINY, "openvino", threads=1)
        assert session.providers == ("openvino",)
        np.testing.assert_array_equal(session(x)[0], x + x)


@pytest.mark.parametrize(
    ("given", "device", "expected"),
    [
        (
            {},
            "CPU",
            '{"CPU": {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", '
            '"INFERENCE_NUM_THREADS": "2"}}',
        ),
        (
            {"precision": "bf16"},
            "GPU",
            '{"GPU": {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "bf16"}}',
        ),
        (
            {"precision": "default"},
            "CPU",
            '{"CPU": {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": "2"}}',
        ),
        ({"load_config": "{}"}, "CPU", "{}"),
    ],
)
def test_openvino_is_told_threads_and_precision(given, device, expected):
    complete = plugins.OPTIONS["OpenVINOExecutionProvider"]
    assert complete(dict(given), 2, device) == {"load_config": expected}
