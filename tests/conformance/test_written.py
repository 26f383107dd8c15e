"""ONNX's node tests, written as programs of the language: the same models, as right as before."""

from __future__ import annotations

import pytest

from tests.conformance.cases import cases
from tests.conformance.expected import LIST, complaints, read_list
from tests.conformance.judge import judge_group

# The language has no attribute that is a type: this case's branches make an absent optional.
CANNOT = {"test_if_opt"}
LEAST_OPERATORS = 150


def wrong_ones(only=()) -> list[str]:
    verdicts = judge_group("node", "written", only=only, timeout=3000)
    assert len(verdicts) >= len(only)
    assert all("cannot be written" in verdicts.pop(name) for name in CANNOT & verdicts.keys())
    listed = read_list(LIST.read_text())
    mine = {name: why for name, why in listed.items() if name.removeprefix("node/") in verdicts}
    return complaints("node", verdicts, mine)


def test_the_first_case_of_each_operator():
    first: dict[str, str] = {}
    for case in cases("node"):
        nodes = case.model().graph.node
        if len(nodes) == 1:
            first.setdefault(f"{nodes[0].domain}.{nodes[0].op_type}", case.name)
    assert len(first) >= LEAST_OPERATORS
    found = wrong_ones(only=sorted(first.values()))
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_all_cases():
    found = wrong_ones()
    assert not found, "\n".join(found)
