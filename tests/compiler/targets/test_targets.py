"""What the records of the targets say agrees with the rules, the rows and each other."""

from __future__ import annotations

import pytest

from sardonyx.compiler.ops import rows
from sardonyx.compiler.rules.select import SELECTIONS
from sardonyx.compiler.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_selections_exist_and_reasons_are_of_selections(target):
    assert set(target.selections) <= set(SELECTIONS)
    assert len(set(target.selections)) == len(target.selections)
    assert set(target.unmeasured) <= set(target.selections)
    assert all(why.strip() for why in target.unmeasured.values())


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_target_accepts_what_its_selections_make(target):
    made = {"fused_conv": ("com.microsoft", "FusedConv")}
    for domain, op_type in (made[name] for name in target.selections if name in made):
        accepted = target.contrib.get(domain, frozenset())
        assert accepted is None or op_type in accepted


def test_portable_knows_no_operator_beyond_the_standard():
    assert not TARGETS["portable"].contrib


def test_an_operator_of_cuda_that_a_rule_could_make_has_a_row():
    known = {row.op_type for row in rows() if row.domain == "com.microsoft"}
    for op_type in ("BiasGelu", "SkipLayerNormalization", "MultiHeadAttention", "FusedConv"):
        assert op_type in known & TARGETS["cuda"].contrib["com.microsoft"]
