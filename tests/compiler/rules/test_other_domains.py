"""An operator of another domain is another operator, whatever its name is."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules.norm.norm_cast import NORM_CAST
from sardonyx.compiler.rules.parallel.linear import PARALLEL_LINEAR
from tests.support.models import model, normal
from tests.support.rules import apply

CASES = [
    (
        NORM_CAST,
        """g (float16[2,4] x) => (float16[2,4] y) <float[2,4] c> {
            c = local.Cast(x) n = RMSNormalization(c, gain) y = Cast<to = 10>(n) }""",
    ),
    (
        PARALLEL_LINEAR,
        """g (float[2,4] x) => (float[2,3] y, float[2,3] z) {
            a = MatMul(x, w) y = local.Add(a, bias) z = MatMul(x, v) }""",
    ),
]


@pytest.mark.parametrize(("rule", "text"), CASES, ids=[rule.name for rule, _ in CASES])
@pytest.mark.parametrize("domain", ["", "local."])
def test_only_the_operator_itself_is_taken(rule: Rule, text: str, domain: str):
    weights = {"w": normal(4, 3), "v": normal(4, 3, seed=1), "bias": normal(3)}
    text = text if domain else text.replace("local.Cast", "Cast<to = 1>").replace("local.", "")
    given = model(text, **weights, gain=np.ones(4, np.float32))
    apply(rule, given)
    found = [(node.domain, node.op_type) for node in given.graph]
    assert ("local", "Cast" if rule is NORM_CAST else "Add") in found or not domain
    is_applied = ("", "Split") in found or not any(name == "Cast" for _, name in found)
    assert is_applied == (rule is PARALLEL_LINEAR or not domain)
