"""ONNX's own test cases: right through Sardonyx wherever ONNX Runtime alone is right."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance.cases import GROUPS
from tests.conformance.expected import LIST, complaints, read_list
from tests.conformance.judge import DEVICE_ROUTES, RIGHT, judge_group

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


def test_nothing_is_listed_that_onnx_runtime_alone_gets_right():
    listed = {name: r for name, r in read_list(LIST.read_text()).items() if not r.is_either}
    for group in {name.split("/")[0] for name in listed}:
        names = [name.split("/", 1)[1] for name in listed if name.startswith(f"{group}/")]
        verdicts = judge_group(group, "ort_alone", only=names)
        assert set(verdicts) == set(names)
        assert [name for name, verdict in verdicts.items() if verdict == RIGHT] == []


@pytest.mark.gpu
@pytest.mark.parametrize("group", GROUPS)
def test_no_case_that_onnx_runtime_alone_gets_right_is_lost_on_a_device(group):
    with ThreadPoolExecutor() as pool:
        ours, alone = pool.map(lambda route: judge_group(group, route), DEVICE_ROUTES)
    assert ours.keys() == alone.keys()
    lost = {name: ours[name] for name in ours if alone[name] == RIGHT != ours[name]}
    assert lost == {}
