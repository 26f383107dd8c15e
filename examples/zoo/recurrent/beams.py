"""Beam search around `seq2seq.decoder`: control that is better kept out of the graph."""

from collections.abc import Callable

import numpy as np

from examples.zoo.recurrent.seq2seq import END, START

Call = Callable[..., tuple[np.ndarray, ...]]
"""What `runtime.load` returns, or anything else that answers as the model does."""


def search(
    encode: Call, decode: Call, source: np.ndarray, width: int, limit: int
) -> tuple[list[int], float]:
    """Return the likeliest translation that a beam of a width finds, and its log-likelihood.

    Args:
        encode: Runs `seq2seq.encoder`.
        decode: Runs `seq2seq.decoder`.
        source: The tokens of one sentence.
        width: How many beginnings are kept after each step.
        limit: The most tokens that are written.
    """
    (state,) = encode(np.asarray(source)[None])
    beams, totals, finished = [[START]], np.zeros(1), []
    for _ in range(limit):
        scores, state = decode(np.array([tokens[-1] for tokens in beams]), state)
        sums = totals[:, None] + scores
        best = np.argsort(-sums, axis=None)[:width]
        rows, words = np.divmod(best, scores.shape[1])
        grown = [[*beams[row], int(word)] for row, word in zip(rows, words, strict=True)]
        ended = words == END
        finished += [
            (tokens, float(total))
            for tokens, total, is_end in zip(grown, sums.flat[best], ended, strict=True)
            if is_end
        ]
        beams = [tokens for tokens in grown if tokens[-1] != END]
        totals, state = sums.flat[best[~ended]], state[:, rows[~ended]]
        if not beams:
            break
    finished += list(zip(beams, map(float, totals), strict=True))
    return max(finished, key=lambda pair: pair[1])
