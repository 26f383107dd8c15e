"""Beam search outside of the graph, around the encoder and the decoder of the zoo."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from examples.zoo.recurrent import beams, seq2seq, seq2seq_torch
from sardonyx import compiler, runtime
from sardonyx.frontends import dsl

VOCABULARY, UNITS = 4, 8
SMALL = {"vocabulary": VOCABULARY, "units": UNITS}
SOURCE = np.array([2, 3, 1, 2])


@pytest.fixture(scope="module")
def twin():
    torch.manual_seed(2)
    made = seq2seq_torch.Translator(**SMALL)
    with torch.no_grad():
        made.writer.scores.weight.mul_(4)
    return made


@pytest.fixture(scope="module")
def sessions(twin):
    state = dsl.f32[1, "beams", UNITS]
    models = {
        "encoder": seq2seq.encoder.build(**SMALL).load(twin.reader.state_dict()),
        "decoder": seq2seq.decoder.build(**SMALL, state=state).load(twin.writer.state_dict()),
        "translator": seq2seq.translator.build(**SMALL).load(
            {**twin.reader.state_dict(), **twin.writer.state_dict()}
        ),
    }
    return {name: runtime.load(compiler.compile(model)) for name, model in models.items()}


def likeliest(twin, limit: int) -> tuple[list[int], float]:
    """By trying every sentence."""
    found = []
    with torch.no_grad():
        start = twin.reader(torch.from_numpy(SOURCE)[None])
        for length in range(1, limit + 1):
            for words in itertools.product(range(VOCABULARY), repeat=length):
                is_whole = seq2seq.END not in words[:-1]
                if is_whole and (words[-1] == seq2seq.END or length == limit):
                    tokens, total, state = [seq2seq.START, *words], 0.0, start
                    for before, word in itertools.pairwise(tokens):
                        scores, state = twin.writer(torch.tensor([before]), state)
                        total += float(scores[0, word])
                    found.append((tokens, total))
    return max(found, key=lambda pair: pair[1])


def test_a_beam_of_one_is_greedy(sessions):
    got, score = beams.search(sessions["encoder"], sessions["decoder"], SOURCE, width=1, limit=6)
    tokens, total = sessions["translator"](SOURCE[None], np.array(6))
    assert got == tokens[0].tolist()
    assert score == pytest.approx(float(total[0]), rel=1e-5)


def test_a_wide_beam_finds_the_likeliest_sentence(sessions, twin):
    expected, best = likeliest(twin, limit=4)
    found = [
        beams.search(sessions["encoder"], sessions["decoder"], SOURCE, width, limit=4)
        for width in (1, VOCABULARY**3)
    ]
    assert found[1][0] == expected
    assert found[1][1] == pytest.approx(best, rel=1e-5)
    assert found[0][1] < best - 0.01, "greedy finds it, too: the search shows nothing"
