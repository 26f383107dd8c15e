"""What the packages show to users changes only together with public_api.txt."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

GOLDEN = Path(__file__).with_name("public_api.txt").read_text(encoding="utf-8").split()
PACKAGES = sorted({name.rpartition(".")[0] for name in GOLDEN})


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_the_golden_ones(package):
    shown = sorted(f"{package}.{name}" for name in importlib.import_module(package).__all__)
    assert shown == sorted(name for name in GOLDEN if name.rpartition(".")[0] == package)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_public_name_exists_and_is_documented(name):
    module, _, attribute = name.rpartition(".")
    value = getattr(importlib.import_module(module), attribute)
    if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value):
        assert inspect.getdoc(value), f"{name} has no docstring"
