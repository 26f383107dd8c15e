"""The judge of operator samples sees what is wrong, also when it takes the process down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from sardonyx import frontends
from tests.opinfo import judge
from tests.opinfo.__main__ import figures
from tests.opinfo.answers import allowed, difference, right_answers
from tests.opinfo.cases import Case
from tests.opinfo.expected import complaints, read_list
from tests.opinfo.judge import Verdict

X = torch.tensor([[0.5, -1.5, 2.0], [3.0, 0.0, 1e-3]])


def case(function, *args, **kwargs):
    return Case("case", function, args, kwargs)


def test_an_operator_is_right():
    assert judge.judge(case(torch.cos, X)) == Verdict("right")
    assert judge.judge(case(torch.sort, X, descending=True)) == Verdict("right")


def test_an_operator_that_writes_to_its_argument_is_right():
    given = X.clone()
    assert judge.judge(case(torch.Tensor.fill_, given, 2.0)) == Verdict("right")
    assert torch.equal(given, X)


def test_what_the_model_computes_is_judged(monkeypatch):
    real = frontends.from_torch
    monkeypatch.setattr(
        frontends, "from_torch", lambda module, *args: real(torch.nn.Hardtanh(), *args)
    )
    verdict = judge.judge(case(torch.relu, X))
    assert verdict.category == "wrong"
    assert verdict.detail.startswith("output: 1 instead of 3")


def test_errors_of_ours_and_of_others(monkeypatch):
    ours = judge.judge(case(torch.allclose, X, X))
    assert ours.category == "refused"
    assert ours.detail.startswith("CaptureError: Operator could not be captured")

    def fail(*args, **kwargs):
        raise KeyError("secret")

    monkeypatch.setattr(frontends, "from_torch", fail)
    assert judge.judge(case(torch.relu, X)) == Verdict("broken", "KeyError: 'secret'")


@pytest.mark.parametrize(
    ("function", "args", "why"),
    [
        (torch.bernoulli, (torch.tensor(0.5),), "random numbers"),
        (lambda x: x.size(0), (), "PyTorch fails: TypeError"),
        (lambda x: "text", (X,), "no tensors"),
        (lambda x: x.to_sparse(), (X,), "sparse tensors"),
    ],
)
def test_cases_without_an_answer(function, args, why):
    assert judge.judge(case(function, *args)) == Verdict("outside", why)


def test_a_sample_that_sets_the_seed_itself_is_random():
    def seeded(x):
        torch.manual_seed(7)
        return torch.rand_like(x)

    assert judge.judge(case(seeded, X)) == Verdict("outside", "random numbers")


RIGHT = X.numpy()


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([RIGHT.copy()], None),
        ([RIGHT + np.float32(1e-7)], None),
        ([RIGHT + np.float32(2e-6)], "may be off by"),
        ([RIGHT, RIGHT], "2 outputs instead of 1"),
        ([RIGHT[0]], "shape (3,) instead of (2, 3)"),
        ([RIGHT.astype(np.float64)], "dtype float64 instead of float32"),
        ([[RIGHT]], "an output is no array"),
        ([np.where(RIGHT == 0, np.nan, RIGHT).astype(np.float32)], "NaN or infinite"),
    ],
)
def test_differences(found, said):
    told = difference(found, right_answers(case(torch.neg, -X)))
    assert told is None if said is None else said in told


def test_integers_must_be_equal():
    answers = right_answers(case(torch.argmax, X, dim=1))
    assert difference([np.int64([2, 0])], answers) is None
    assert difference([np.int64([2, 1])], answers) == "output: 1 of 2 elements differ"


def test_specials_must_be_the_same():
    answers = right_answers(case(torch.log, torch.tensor([0.0, -1.0, 1.0])))
    assert difference([np.float32([-np.inf, np.nan, 0])], answers) is None
    for other in ([np.inf, np.nan, 0], [np.nan, -np.inf, 0], [-np.inf, np.nan, np.nan]):
        assert "NaN or infinite" in difference([np.float32(other)], answers)


def test_how_far_numbers_may_be_off():
    right = np.float32([1e-3, np.inf, -1e3])
    assert allowed(right, 0.0) == pytest.approx(4 * 2.0**-23 * 1e3)
    assert allowed(right, 1.0) == 4
    assert allowed(np.int64([5]), 1.0) == 0


def test_the_error_is_that_of_float32():
    def cancelling(x):
        return (x + 1e4) - 1e4

    (limit,) = right_answers(case(cancelling, X)).allowed
    assert 4e-4 < limit < 4e-3
    (limit,) = right_answers(case(torch.round, X)).allowed
    assert limit == pytest.approx(4 * 2.0**-23 * 3)


def test_a_case_that_kills_its_process_is_named_and_the_rest_is_judged(monkeypatch):
    script = textwrap.dedent(
        f"""
        import json, os, sys
        names, most, after = json.loads(sys.argv[1])
        for name in names[after:]:
            print(json.dumps([name, None]), flush=True)
            if name == "b":
                os.kill(os.getpid(), {int(signal.SIGSEGV)})
            print(json.dumps([name, ["right", ""]]), flush=True)
        """
    )
    start = subprocess.Popen

    def start_script(command, **options):
        return start([sys.executable, "-c", script, *command[3:]], **options)

    monkeypatch.setattr(judge.subprocess, "Popen", start_script)
    seen = []
    verdicts = judge.judge_all(["a", "b", "c"], on_verdict=lambda name, _: seen.append(name))
    assert seen == ["a", "b", "c"]
    assert verdicts["a"] == verdicts["c"] == Verdict("right")
    assert verdicts["b"].category == "broken"
    assert str(-signal.SIGSEGV) in verdicts["b"].detail or os.name == "nt"
    assert list(judge.judge_all(["a", "c"], seconds=0)) == ["a"]


LIST = """
# A comment.
[refused: has no lowering]
a
b
[wrong: an approximation]
c
"""


def test_the_list_and_the_verdicts_must_agree():
    expected = read_list(LIST)
    assert expected["b"] == ("refused", "has no lowering")
    agreed = {"a": "refused", "b": "refused", "c": "wrong", "d": "right"}
    assert complaints({n: Verdict(c) for n, c in agreed.items()}, expected) == []
    found = {"a": "right", "b": "wrong", "c": "broken", "d": "refused", "e": "outside"}
    assert complaints({n: Verdict(c, "so") for n, c in found.items()}, expected) == [
        "a is right now; take it off the list (has no lowering)",
        "b is wrong: so, expected was refused",
        "c is broken: so, expected was wrong",
        "d is refused: so, expected was right",
        "e is outside: so, expected was right",
    ]


def test_figures():
    verdicts = {str(i): Verdict(c) for i, c in enumerate(["right"] * 3 + ["wrong", "outside"])}
    assert figures(verdicts) == (
        "5 cases: 3 right, 1 wrong, 0 refused, 0 broken, 1 outside; 75.0% of the 4 others are right"
    )
