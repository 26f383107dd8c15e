"""Whatever exported a model: the same norms, activations and attentions are there, all fused."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from tests.convergence.cases import RELATIVE_ERROR, Case, cases

# By reading the architectures: two layers each; T5 and Whisper have an encoder and a decoder.
EXPECTED = {
    "bert": {"attention": 2, "norm": 5, "activation": 2},
    "gpt2": {"attention": 2, "norm": 5, "activation": 2},
    "llama": {"attention": 2, "norm": 5, "activation": 2, "rotary": 4},
    "vit": {"attention": 2, "norm": 5, "activation": 2, "conv_block": 1},
    "swin": {"attention": 3, "norm": 9, "activation": 3, "conv_block": 1},
    "t5": {"attention": 6, "norm": 12, "activation": 4},
    "whisper": {"attention": 6, "norm": 12, "activation": 6, "conv_block": 2},
    "convnext": {"norm": 9, "activation": 5, "conv_block": 9},
    "mobilenet_v3": {"activation": 13, "conv_block": 15},
    "efficientnet": {"activation": 13, "conv_block": 16},
}

QUICK = {
    ("dynamo-18", "sdpa", False),
    ("sardonyx", "eager", True),
    ("sardonyx", "", True),
}
"""What every run checks, as (source, attention, dynamic); all others are slow."""


LARGE = {"t5-sardonyx-eager-dynamic", "whisper-sardonyx-eager-dynamic"}
"""Cases of these that take half a minute are slow too."""


def _case(case: Case) -> object:
    is_quick = (case.source.name, case.attention, case.is_dynamic) in QUICK
    is_quick = is_quick and case.name not in LARGE
    marks = [] if is_quick else [pytest.mark.slow]
    reason = case.source.cannot(case.subject, case.is_dynamic)
    if reason:
        marks.append(pytest.mark.xfail(reason=reason))
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", [_case(case) for case in cases()])
def test_all_of_it_is_fused(case: Case, tmp_path) -> None:
    torch.set_num_threads(1)
    program = case.compile()
    counts = program.explanation.counts()
    families = ("attention", "norm", "activation", "conv_block", "rotary")
    assert {f: counts[f].missed for f in families} == dict.fromkeys(families, 0), str(
        program.explanation
    )
    found = {f: counts[f].fused for f in families if counts[f].fused}
    assert found == EXPECTED[case.subject.name]
    # Some exports do not run in ONNX Runtime before they are compiled: there is nothing to compare.
    if case.source.name == "sardonyx" or program.proof.checks:
        assert program.proof.holds, str(program.proof)
    assert not program.proof.incidents, str(program.proof)
    assert case.relative_error(program, tmp_path) <= RELATIVE_ERROR
