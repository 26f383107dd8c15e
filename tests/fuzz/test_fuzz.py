"""Random graphs compile and compute the same; those that once failed, each."""

from __future__ import annotations

import itertools
import secrets

import pytest

from sardonyx.compiler.proof import Executor, Limits
from sardonyx.compiler.rewrite import rule
from tests.fuzz import cases
from tests.fuzz.generate import draw
from tests.fuzz.judge import judge
from tests.fuzz.run import OnnxRuntime
from tests.fuzz.session import fuzz, shrunk

_PARTS, _GRAPHS = 4, 25


def _parts(is_fresh: bool) -> list[object]:
    """Seeds: the same in every run, or, where a run has the time to look into a find, new ones."""
    if not is_fresh:
        return [pytest.param(seed) for seed in range(101, 101 + _PARTS)]
    fresh = [secrets.randbelow(2**31) for _ in range(_PARTS)]
    return [pytest.param(s, id=f"fresh-{i}", marks=pytest.mark.slow) for i, s in enumerate(fresh)]


@pytest.mark.parametrize("seed", [*_parts(False), *_parts(True)])
def test_random_graphs_compute_the_same(seed):
    print(f"seed {seed}")
    tally = fuzz(seed, range(_GRAPHS), most_routes=1)
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
    drawn = (draw(11, number) for number in range(200))
    has_it = (d for d in drawn if any(n.op_type == "Sigmoid" for n in d.model.graph))
    for each in itertools.islice(has_it, 5):
        number = int(each.name.split(":")[1])
        tally = fuzz(11, [number], [WRONG], most_routes=1)
        if tally.faults:
            break
    (fault,) = tally.faults
    assert "answer" in fault
    written = shrunk(11, number, tmp_path, [WRONG], most_routes=1)
    (path,) = tmp_path.glob("*.txt")
    assert written == str(path)
    case = cases.read(path.read_text(encoding="utf-8"))
    assert [node.op_type for node in case.model.graph] == ["Sigmoid"]
