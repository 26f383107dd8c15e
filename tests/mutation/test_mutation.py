"""The tool that plants defects: what it plants, and that tests see it and files do not."""

from __future__ import annotations

import ast
import json
import multiprocessing
import subprocess
import sys
import textwrap

import pytest

from tests.meta.imports import REPOSITORY
from tests.mutation import equivalent
from tests.mutation.__main__ import kill_rate, report
from tests.mutation.coverage import stages
from tests.mutation.defects import KINDS
from tests.mutation.mutants import RULES, Mutant, mutants_of
from tests.mutation.run import KILLED, SURVIVED, TIMEOUT, run
from tests.mutation.sample import all_mutants, sample
from tests.mutation.worker import Verdict

CASES = [
    ("accept_all", "return x or no('why')", ["return True"]),
    ("accept_all", "return x or y", []),
    ("forget_early_return", "if x:\n    return no('why')", ["pass"]),
    ("forget_early_return", "if x:\n    y = 1", []),
    ("drop_condition", "return a and b", ["return b", "return a"]),
    ("drop_condition", "return a or b or c", ["return b or c", "return a or c", "return a or b"]),
    ("drop_condition", "return a or no('why')", []),
    ("drop_not", "return not a", ["return a"]),
    ("change_comparison", "return a < b", ["return a <= b", "return a >= b"]),
    ("change_comparison", "return a is b", ["return a is not b"]),
    ("swap_operands", "return op.Sub(a, b)", ["return op.Sub(b, a)"]),
    ("swap_operands", "return op.Where(c, a, b)", ["return op.Where(c, b, a)"]),
    ("swap_operands", "return op.Add(a, b)", []),
    ("swap_operands", "return a / b", ["return b / a"]),
    ("change_operator", "return op.Add(a, b)", ["return op.Sub(a, b)"]),
    ("change_operator", "return max(a)", ["return min(a)"]),
    ("change_number", "return op.Softmax(x, axis=1)", ["axis=2", "axis=0"]),
    ("change_number", "return 0", ["return 1"]),
    ("change_number", "return 0.5", ["return 0.505"]),
    ("change_flag", "return f(x, keeps_shared=True)", ["return f(x, keeps_shared=False)"]),
    ("reorder", "return op.Transpose(x, perm=[0, 2, 1])", ["perm=[1, 2, 0]"]),
    ("reorder", "return ['a', 'b']", []),
    ("drop_element", "return ('Mul', 'Div')", ["return ('Div',)", "return ('Mul',)"]),
    ("drop_alternative", "return any_of(a, b)", ["return any_of(b)", "return any_of(a)"]),
    ("drop_keyword", "return op.Gelu(x, approximate='tanh')", ["return op.Gelu(x)"]),
    ("drop_keyword", "return rule(n, p, r, keeps_shared=True)", ["return rule(n, p, r)"]),
    ("drop_guard", "return rule(n, p, r, g)", ["return rule(n, p, r)"]),
    ("drop_sign", "return -a", ["return a"]),
]


@pytest.fixture
def written(tmp_path):
    def write(body: str):
        path = tmp_path / "rule.py"
        path.write_text(f"def f():\n{textwrap.indent(body, '    ')}\n")
        return path

    return write


@pytest.mark.parametrize(("kind", "body", "expected"), CASES)
def test_defects(written, kind, body, expected):
    path = written(body)
    found = []
    for mutant in mutants_of(path):
        assert mutant.function == "f"
        assert mutant.before != mutant.after
        if mutant.kind == kind:
            found.append(mutant)
            assert mutant.code() != compile(path.read_text(), str(path), "exec")
    assert len(found) == len(expected)
    for mutant, text in zip(found, expected, strict=True):
        assert mutant.after in text or text in mutant.after


def test_every_kind_is_tested_and_occurs_in_our_rules():
    assert {kind for kind, _, expected in CASES if expected} == KINDS.keys()
    assert {m.kind for mutants in all_mutants() for m in mutants} == KINDS.keys()


def test_texts_types_and_assertions_are_left_alone(written):
    body = '"""Or 1."""\nassert a < 1\nx: tuple[int, 3] = y\nraise E(f"{1}")\nreturn no("w", 1)'
    body = body.replace("= y", "= zip(y, y, strict=True)")
    assert mutants_of(written(body)) == []


def test_all_mutants_are_other_code():
    """Of every file, and each compiles."""
    files = all_mutants()
    assert len(files) > 60
    for mutants in files:
        source = ast.parse(mutants[0].path.read_text())
        for mutant in mutants[:: max(1, len(mutants) // 3)]:
            assert mutant.code() != compile(source, str(mutant.path), "exec")


def test_a_sample_has_all_files_and_is_repeatable():
    files = all_mutants()
    chosen = sample(files, 200, seed=5)
    assert len({m.key + str(m.index) for m in chosen}) == 200
    assert {m.path for m in chosen} == {mutants[0].path for mutants in files}
    assert chosen == sample(files, 200, seed=5)
    assert chosen != sample(files, 200, seed=6)
    assert all("norm" in str(m.path.relative_to(RULES)) for fs in all_mutants(["norm"]) for m in fs)


def test_the_nearest_tests_come_first():
    near, *_ = stages("sardonyx.compiler.rules.norm.layer_norm")
    assert "tests/compiler/rules/norm/test_layer_norm.py" in near
    near, rest = stages("sardonyx.compiler.rules.norm.spelling")
    assert not set(near) & set(rest)
    (near,) = stages("sardonyx.compiler.rules.pad_pool")
    assert near == [
        f"tests/compiler/rules/test_{name}.py" for name in ("pad_pool", "unknown_ranks")
    ]


def planted(kind: str, before: str) -> Mutant:
    found = [m for m in mutants_of(RULES / "pad_pool.py") if (m.kind, m.before) == (kind, before)]
    assert found, f"{kind}: {before} is not in the rule any more"
    return found[0]


def test_a_defect_is_found_and_the_file_stays():
    mutant = planted("change_comparison", "pad_value(m) != 0")
    before = mutant.path.read_bytes()
    tests = ["tests/compiler/rules/test_pad_pool.py"]
    # Another process, since this one has modules and threads that a fork would share.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(run, (mutant, tests, 100.0))[0] == KILLED
        assert pool.apply(run, (None, tests, 100.0))[0] == SURVIVED
        assert pool.apply(run, (mutant, tests, 0.0))[0] == TIMEOUT
    assert mutant.path.read_bytes() == before


@pytest.mark.slow
def test_the_command(tmp_path):
    """Defects of what runs at import are imported, others swapped in; the tests see both."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.mutation", "pad_conv", "-n", "0"]
    given = ["--jobs", "1", "--json", str(tmp_path / "verdicts.json")]
    done = subprocess.run(
        [*command, *given], cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=True
    )
    verdicts = json.loads((tmp_path / "verdicts.json").read_text())
    assert [v["outcome"] for v in verdicts] == [KILLED] * len(all_mutants(["pad_conv"])[0])
    assert "tests pass without a defect" in done.stdout
    assert "100.0% of those that are defects were found" in done.stdout


def test_equivalents_are_mutants_that_exist_and_have_reasons(tmp_path, monkeypatch):
    known = equivalent.equivalents()
    keys = [m.key for mutants in all_mutants() for m in mutants]
    assert len(set(keys)) == len(keys), "a row of the table would excuse two mutants"
    assert known.keys() <= set(keys)
    monkeypatch.setattr(equivalent, "TABLE", tmp_path / "table.txt")
    equivalent.TABLE.write_text("# rows\na.py f kind: x -> y\n    because\n    of z\n")
    assert equivalent.equivalents() == {"a.py f kind: x -> y": "because of z"}
    equivalent.TABLE.write_text("a.py f kind: x -> y\nb\n    because\n")
    with pytest.raises(ValueError, match="no reason"):
        equivalent.equivalents()
    equivalent.TABLE.write_text("a\n    because\na\n    because\n")
    with pytest.raises(ValueError, match="twice"):
        equivalent.equivalents()


def test_the_kill_rate_leaves_out_what_is_no_defect():
    mutant = planted("change_comparison", "pad_value(m) != 0")
    outcomes = [KILLED] * 6 + [TIMEOUT] + [SURVIVED] + ["equivalent"] * 4
    verdicts = [Verdict(mutant, outcome, 1.0) for outcome in outcomes]
    assert kill_rate(verdicts) == 7 / 8
    text = report(verdicts, 4)
    assert "seed 4: 87.5% of those that are defects were found" in text
    assert "change_comparison           12       6       1       4        1" in text
