"""The packages import each other, and libraries, only as the tables in layers.py allow."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.meta.imports import REPOSITORY, ROOTS, Import, all_imports, imports_of
from tests.meta.layers import COMPILER, complaint


def test_every_import_is_allowed():
    found = [i for i in all_imports() if i.target.split(".")[0] not in sys.stdlib_module_names]
    assert {i.importer.split(".")[1] for i in found} == set(ROOTS), "some package was not read"
    complaints = [f"{i}\n    {why}" for i in found if (why := complaint(i))]
    assert not complaints, "\n".join(complaints)


def test_every_compiler_part_has_a_row():
    home = ROOTS["compiler"] / "sardonyx" / "compiler"
    parts = {p.stem for p in home.glob("*.py")} | {p.parent.name for p in home.glob("*/*.py")}
    api = {"__init__"}
    assert parts - api <= set(COMPILER), "add a row to tests/meta/layers.py and to ARCHITECTURE.md"


def test_the_table_of_parts_has_no_cycle():
    reached = {part: set(allowed.split()) for part, allowed in COMPILER.items()}
    for _ in reached:
        for part, allowed in reached.items():
            reached[part] = allowed.union(*(reached[other] for other in allowed))
    assert [part for part, allowed in reached.items() if part in allowed] == []


@pytest.mark.parametrize(
    ("importer", "target"),
    [
        ("sardonyx.compiler.ir.text", "sardonyx.compiler.ops.row"),
        ("sardonyx.compiler.rules.gelu", "sardonyx.compiler.passes.fuse"),
        ("sardonyx.compiler.passes.fuse", "sardonyx.compiler.compile"),
        ("sardonyx.runtime.session", "sardonyx.compiler.errors"),
        ("sardonyx.runtime", "sardonyx.frontends"),
        ("sardonyx.compiler.pipeline", "sardonyx.runtime.load"),
        ("sardonyx.compiler.analysis.evaluate", "onnxruntime"),
        ("sardonyx.frontends.onnx_file", "torch.nn"),
        ("sardonyx.runtime.session", "onnx"),
        ("sardonyx.compiler.ir.types", "scipy"),
    ],
)
def test_forbidden_imports_are_found(importer, target):
    assert complaint(Import("somewhere.py", 1, importer, target)) is not None


@pytest.mark.parametrize(
    ("importer", "target"),
    [
        ("sardonyx.compiler.passes.fuse", "sardonyx.compiler.rules.gelu"),
        ("sardonyx.compiler.ir.text", "sardonyx.compiler.ir.types"),
        ("sardonyx.compiler", "sardonyx.compiler.pipeline.compile"),
        ("sardonyx.compiler", "onnx_ir"),
        ("sardonyx.runtime.session", "onnxruntime"),
        ("sardonyx.frontends.torch_capture", "torch.export"),
        ("sardonyx.frontends.torch.export", "torch"),
        ("sardonyx.frontends.cli.main", "sardonyx.runtime"),
    ],
)
def test_wanted_imports_are_allowed(importer, target):
    assert complaint(Import("somewhere.py", 1, importer, target)) is None


@pytest.mark.parametrize(
    ("source", "targets"),
    [
        ("import a.b, c", ["a.b", "c"]),
        ("from a.b import c, d", ["a.b.c", "a.b.d"]),
        ("from . import c", ["p.q.c"]),
        ("from .c import d", ["p.q.c.d"]),
        ("from ..c import d", ["p.c.d"]),
        ("def f():\n    import a", ["a"]),
        ("import importlib\nimportlib.import_module('a.b')", ["importlib", "a.b"]),
    ],
)
def test_imports_are_read(source, targets):
    found = imports_of(source, "p.q.r", is_package=False, file="p/q/r.py")
    assert [i.target for i in found] == targets


def test_a_package_resolves_relative_imports_from_itself():
    found = imports_of("from .c import d", "p.q", is_package=True, file="p/q/__init__.py")
    assert [i.target for i in found] == ["p.q.c.d"]


@pytest.mark.parametrize(
    ("module", "never"),
    [
        (
            "sardonyx.runtime",
            {"torch", "onnx", "onnx_ir", "sardonyx.compiler", "sardonyx.frontends"},
        ),
        ("sardonyx.compiler", {"torch", "onnxruntime", "sardonyx.runtime", "sardonyx.frontends"}),
        ("sardonyx.frontends", {"torch", "transformers"}),
    ],
)
def test_importing_a_package_loads_no_more_than_it_may(module, never):
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    path = os.pathsep.join(str(root) for root in ROOTS.values())
    child = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    loaded = set(json.loads(child.stdout.splitlines()[-1]))
    assert module in loaded
    assert loaded & never == set()
