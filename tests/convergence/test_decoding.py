"""Whatever exported a decoder with a cache: each attention takes it up."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from tests.convergence.cases import RELATIVE_ERROR, Case, cases
from tests.convergence.decoding import LAYERS, SUBJECTS

ROTARY = {"gpt2": 0, "llama": 2 * LAYERS}
QUICK = {
    "gpt2_token-legacy-17-eager-static",
    "gpt2_tokens-dynamo-18-sdpa-dynamic",
    "llama_token-dynamo-20-sdpa-static",
    "llama_tokens-sardonyx-eager-dynamic",
}
"""What every run checks; all others are slow."""


def _case(case: Case) -> object:
    marks = [] if case.name in QUICK else [pytest.mark.slow]
    reason = case.source.cannot(case.subject, case.is_dynamic)
    if reason:
        marks.append(pytest.mark.xfail(reason=reason))
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", [_case(case) for case in cases(SUBJECTS)])
def test_every_cache_is_taken_up(case: Case, tmp_path) -> None:
    torch.set_num_threads(1)
    program = case.compile()
    counts = program.explanation.counts()
    families = ("attention", "kv_cache", "norm", "activation", "rotary")
    assert {f: counts[f].missed for f in families} == dict.fromkeys(families, 0), str(
        program.explanation
    )
    rotary = ROTARY[case.subject.name.split("_")[0]]
    found = {f: counts[f].fused for f in families}
    assert found == {
        "attention": LAYERS,
        "kv_cache": LAYERS,
        "norm": 2 * LAYERS + 1,
        "activation": LAYERS,
        "rotary": rotary,
    }
    attentions = [node for node in program.model.graph if node.op_type == "Attention"]
    assert all(len(node.outputs) == 3 and node.inputs[4] is not None for node in attentions)
    assert case.relative_error(program, tmp_path) <= RELATIVE_ERROR
