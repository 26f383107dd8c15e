"""ONNX's own test cases: right through Sardonyx wherever ONNX Runtime alone is right."""

from __future__ import annotations

import pytest

from tests.conformance.cases import GROUPS
from tests.conformance.expected import LIST, complaints, read_list
from tests.conformance.judge import RIGHT, judge_group

LEAST_CASES = {
    "node": 1304,
    "light": 9,
    "simple": 23,
    "pytorch-converted": 82,
    "pytorch-operator": 35,
}
LEAST_RIGHT = {
    "node": 1243,
    "light": 9,
    "simple": 13,
    "pytorch-converted": 82,
    "pytorch-operator": 35,
}


@pytest.mark.parametrize("group", GROUPS)
def test_cases_are_right_but_for_the_listed_ones(group):
    verdicts = judge_group(group, "deploy")
    assert len(verdicts) >= LEAST_CASES[group]
    found = complaints(group, verdicts, read_list(LIST.read_text()))
    assert not found, "\n".join(found)
    assert sum(verdict == RIGHT for verdict in verdicts.values()) >= LEAST_RIGHT[group]


@pytest.mark.parametrize("group", GROUPS)
def test_nothing_is_wrong_that_onnx_runtime_alone_gets_right(group):
    listed = read_list(LIST.read_text())
    verdicts = judge_group(group, "ort_alone")
    lost = [
        name
        for name, verdict in verdicts.items()
        if verdict == RIGHT
        and (reason := listed.get(f"{group}/{name}")) is not None
        and not reason.is_either
    ]
    assert lost == [], "these are listed as failures, but ONNX Runtime alone has them right"
