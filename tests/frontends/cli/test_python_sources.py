"""SRC may be a callable of a Python file: what it may return, and what is said when it does not."""

from __future__ import annotations

import pytest

DSL = """
from sardonyx.frontends import dsl

print("noise")

@dsl.model(x=dsl.f32["batch", 4])
def net(x):
    return dsl.relu(dsl.linear(x, 3))

def make():
    print("more noise")
    return net

def make_ir():
    return net.to_ir()
"""

TORCH = """
import torch
from helper import Net

X = torch.randn(2, 4)

def pair():
    return Net().eval(), (X,)

def alone():
    return Net().eval(), X

def named():
    return Net().eval(), {"x": X}

def dynamic():
    return Net().eval(), (X,), {"x": {0: "rows"}}

def wrong():
    return Net().eval(), (X[:, :3],)
"""

HELPER = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.linear(x).relu()
"""

WRONG = """
import sys

def number():
    return 3

def triple():
    return 1, 2, 3

def nothing():
    pass

def divides():
    one = 1
    return one / 0

def leaves():
    sys.exit(0)

def wants(x):
    return x

value = 5
"""


@pytest.fixture
def source(tmp_path):
    """Writes a Python file and returns SRC for a callable of it."""

    def write(text: str, name: str, stem: str = "source") -> str:
        path = tmp_path / f"{stem}.py"
        path.write_text(text)
        return f"{path}:{name}"

    return write


@pytest.mark.parametrize("name", ["net", "make", "make_ir"])
def test_a_model_in_our_own_language(sardonyx, source, tmp_path, name):
    said = sardonyx.json("compile", source(DSL, name), "-o", tmp_path / "made.onnx")
    assert said["nodes_after"] == 2
    (output,) = sardonyx.json("run", source(DSL, name), "--dim", "batch=5")["outputs"]
    assert output["shape"] == [5, 3]
    assert sardonyx.json("inspect", source(DSL, name))["inputs"] == ["x: float[batch, 4]"]


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("pair", [], "[2, 4]"),
        ("alone", [], "[2, 4]"),
        ("named", [], "[2, 4]"),
        ("dynamic", [], "[rows, 4]"),
        ("pair", ["--dynamic", "x:0=batch"], "[batch, 4]"),
        ("pair", ["--dynamic", "0:0=batch"], "[batch, 4]"),
        ("dynamic", ["--dynamic", "x:0=batch"], "[batch, 4]"),
    ],
)
def test_a_torch_module(sardonyx, source, tmp_path, name, options, shape):
    pytest.importorskip("torch")
    (tmp_path / "helper.py").write_text(HELPER)
    made = tmp_path / "made.onnx"
    sardonyx.json("compile", source(TORCH, name), "-o", made, *options)
    assert sardonyx.json("inspect", made)["inputs"] == [f"x: float{shape}"]


def test_a_torch_module_that_its_inputs_do_not_fit(sardonyx, source, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "helper.py").write_text(HELPER)
    said = sardonyx.refused("compile", source(TORCH, "wrong"), "-o", tmp_path / "made.onnx")
    assert "helper.py:10" in said
    said = sardonyx.refused(
        "compile", source(TORCH, "pair"), "-o", tmp_path / "made.onnx", "--dynamic", "y:0=batch"
    )
    assert "one of x" in said
    assert not (tmp_path / "made.onnx").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("number", "of type int"),
        ("triple", "of type tuple"),
        ("nothing", "of type NoneType"),
        ("divides", "source.py:15"),
        ("divides", "ZeroDivisionError"),
        ("leaves", "SystemExit"),
        ("wants", "required positional argument: 'x'"),
        ("value", "no such callable"),
        ("missing", "number, triple, nothing"),
        ("", "no such callable"),
    ],
)
def test_a_callable_that_gives_no_model(sardonyx, source, tmp_path, name, said):
    made = tmp_path / "made.onnx"
    assert said in sardonyx.refused("compile", source(WRONG, name), "-o", made)
    assert said in sardonyx.refused("run", source(WRONG, name))
    assert not made.exists()


def test_a_file_with_a_syntax_error(sardonyx, source):
    said = sardonyx.refused("inspect", source("x = 1\ndef f(:\n", "f"))
    assert "source.py:2" in said
    assert "SyntaxError" in said


def test_a_file_that_fails_when_it_is_imported(sardonyx, source):
    said = sardonyx.refused("inspect", source("x = 1\ny = x.nothing\n", "f"))
    assert "source.py:2" in said
    said = sardonyx.refused("inspect", source("import nosuchmodule_\n", "f"))
    assert "nosuchmodule_" in said


def test_a_file_without_a_callable(sardonyx, source):
    path = source(WRONG, "").rstrip(":")
    assert f"{path}:callable" in sardonyx.refused("inspect", path)
    assert f"{path}:callable" in sardonyx.refused("run", path)


def test_a_python_file_that_is_not_there(sardonyx, tmp_path):
    assert "no such Python file" in sardonyx.refused("inspect", f"{tmp_path}/no.py:f")


def test_an_error_of_the_language_points_at_the_line(sardonyx, source):
    text = DSL + "\n@dsl.model(x=dsl.f32[2, 3])\ndef bad(x):\n    return dsl.matmul(x, x)\n"
    assert f"source.py:{text.count(chr(10))}" in sardonyx.refused("inspect", source(text, "bad"))
