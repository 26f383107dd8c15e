"""What editors and type checkers see of the operators is what the schemas say."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys

import pytest

from sardonyx.frontends import dsl
from sardonyx.frontends.dsl.operators import operator_names, python_signature
from tests.meta.imports import REPOSITORY
from tests.support import operator_stubs


def test_the_stub_is_up_to_date():
    """`python -m tests.support.operator_stubs` writes it again."""
    assert operator_stubs.STUB.read_text(encoding="utf-8") == operator_stubs.text()


@pytest.mark.parametrize(("domain", "name"), [("", "Standard"), ("ai.onnx.ml", "MachineLearning")])
def test_every_operator_is_in_it_with_its_documentation(domain, name):
    tree = ast.parse(operator_stubs.STUB.read_text(encoding="utf-8"))
    (found,) = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name]
    methods = {n.name: n for n in found.body if isinstance(n, ast.FunctionDef)}
    assert set(methods) == set(operator_names(domain))
    documented = [n for n in methods.values() if ast.get_docstring(n)]
    assert len(documented) >= 0.95 * len(methods)
    for op_type, method in methods.items():
        known = python_signature(domain, op_type)
        if known is not None:
            arguments = [*method.args.args[1:], *method.args.kwonlyargs]
            arguments += [method.args.vararg] if method.args.vararg else []
            assert {a.arg for a in arguments} == set(known.parameters)


def test_python_sees_signatures_too():
    signature = inspect.signature(dsl.op.Conv)
    assert list(signature.parameters)[:3] == ["X", "W", "B"]
    assert signature.parameters["auto_pad"].default == "NOTSET"
    assert signature.parameters["auto_pad"].kind == inspect.Parameter.KEYWORD_ONLY
    assert signature.parameters["W"].default is inspect.Parameter.empty
    assert "convolution" in (dsl.op.Conv.__doc__ or "")
    assert dsl.op.Conv is dsl.op.Conv


PROGRAM = """\
from sardonyx.frontends import dsl

@dsl.model(x=dsl.f32["n", 4])
def net(x: dsl.Tensor) -> dsl.Tensor:
    y = dsl.op.Softmax(dsl.relu(x), axis=1) + 1
    values, places = dsl.op.TopK(y, [2], largest=0)
    return values.sum(axis=1)

@dsl.model(x=dsl.f32["n", 4])
def wrong(x: dsl.Tensor) -> dsl.Tensor:
    dsl.op.Rellu(x)
    dsl.op.Softmax(x, axs=1)
    dsl.op.Softmax(x, axis="last")
    dsl.op.Gemm(x)
    return x.summ()
"""


@pytest.mark.slow
def test_a_type_checker_finds_mistakes(tmp_path):
    """mypy follows a right program, and finds one mistake in each line of a wrong one."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(program)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [
        int(line.split(".py:")[1].split(":")[0])
        for line in done.stdout.splitlines()
        if "error:" in line
    ]
    assert sorted(set(lines)) == [11, 12, 13, 14, 15], done.stdout + done.stderr
