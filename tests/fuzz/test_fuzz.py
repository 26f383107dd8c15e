"""Random graphs compile and compute the same; those that once failed, each."""

from __future__ import annotations

import secrets

import pytest

from sardonyx.compiler.proof import Executor, Limits
from sardonyx.compiler.rewrite import rule
from tests.fuzz import cases
from tests.fuzz.judge import judge
from tests.fuzz.run import OnnxRuntime
from tests.fuzz.session import fuzz

_PARTS, _GRAPHS = 8, 25


@pytest.mark.parametrize("part", range(_PARTS))
def test_random_graphs_compute_the_same(part):
    seed = secrets.randbelow(2**31)
    print(f"python -m tests.fuzz {_GRAPHS} --seed {seed}")
    tally = fuzz(seed, range(_GRAPHS))
    assert not tally.faults, f"seed {seed}\n{tally.report(1.0)}"
    assert tally.graphs == _GRAPHS


@pytest.mark.parametrize("path", sorted(cases.FOLDER.glob("*.txt")), ids=lambda p: p.stem)
def test_what_once_failed_does_not_any_more(path):
    case = cases.read(path.read_text(encoding="utf-8"))
    with Executor(Limits(seconds=60)) as executor:
        verdict = judge(case.model, case.samples, case.routes, OnnxRuntime(executor))
    assert not verdict.faults, case.why
    assert not verdict.invalid


# The curves look alike; the fuzzer has to see the difference.
WRONG = rule("wrong", lambda op: op.Sigmoid("x"), lambda op, m: op.HardSigmoid(m.x))


def test_a_wrong_rule_is_found_and_shrunk(tmp_path):
    tally = fuzz(11, range(60), tmp_path, [WRONG])
    assert any("answer" in fault for fault in tally.faults)
    smallest = min(
        (cases.read(path.read_text(encoding="utf-8")) for path in tmp_path.glob("*.txt")),
        key=lambda case: len(list(case.model.graph)),
    )
    assert [node.op_type for node in smallest.model.graph] == ["Sigmoid"]
