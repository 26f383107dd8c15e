"""Every member of the zoo, written as a program of the language, is built again by it."""

from __future__ import annotations

import pytest

from examples.zoo.registry import MEMBERS
from tests.frontends.dsl.roundtrip import check_same, rebuilt


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("is_small", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_program_builds_it_again(name, is_small):
    model = MEMBERS[name].build(is_small=is_small).to_ir()
    check_same(model, rebuilt(model).to_ir())
