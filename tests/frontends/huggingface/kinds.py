"""How each family of models is fed: inputs, dynamic dims, and the sizes that are run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tests.frontends.huggingface import inputs

Sizes = dict[str, int]


def sizes(**named: int) -> Sizes:
    return named


@dataclasses.dataclass(frozen=True)
class Kind:
    """How one family of models is fed.

    Attributes:
        inputs: Example inputs for given sizes of the dynamic dims.
        dynamic: What `from_torch` is told.
        traced: Sizes the model is captured with.
        others: Sizes it must also be right for.
    """

    inputs: Callable[..., inputs.Inputs]
    dynamic: dict[str, dict[int, str]]
    traced: Sizes
    others: tuple[Sizes, Sizes, Sizes]


TEXT = Kind(
    inputs.text,
    inputs.TEXT,
    sizes(batch=2, seq=7),
    (sizes(batch=1, seq=5), sizes(batch=3, seq=12), sizes(batch=4, seq=1)),
)
# Padding on the left: a query of padding sees no key at all.
CAUSAL = dataclasses.replace(TEXT, inputs=inputs.left_padded_text)
SEQ2SEQ = Kind(
    inputs.seq2seq,
    inputs.SEQ2SEQ,
    sizes(batch=2, seq=7, target=5),
    (
        sizes(batch=1, seq=5, target=6),
        sizes(batch=3, seq=4, target=9),
        sizes(batch=4, seq=11, target=1),
    ),
)
IMAGE = Kind(
    inputs.image, inputs.IMAGE, sizes(batch=2), (sizes(batch=1), sizes(batch=3), sizes(batch=5))
)
IMAGE_AND_TEXT = Kind(
    inputs.image_and_text,
    inputs.IMAGE_AND_TEXT,
    sizes(batch=2, texts=3, seq=7),
    (
        sizes(batch=1, texts=1, seq=5),
        sizes(batch=3, texts=2, seq=12),
        sizes(batch=4, texts=5, seq=9),
    ),
)
SPECTROGRAM = Kind(
    inputs.spectrogram,
    inputs.SPECTROGRAM,
    sizes(batch=2, target=5),
    (sizes(batch=1, target=3), sizes(batch=3, target=8), sizes(batch=4, target=1)),
)
WAVEFORM = Kind(
    inputs.waveform,
    inputs.WAVEFORM,
    sizes(batch=2, samples=400),
    (sizes(batch=1, samples=320), sizes(batch=3, samples=555), sizes(batch=4, samples=800)),
)
# For models that pad an odd number of frames: whether they do is part of the trace.
EVEN_WAVEFORM = dataclasses.replace(
    WAVEFORM,
    others=(
        sizes(batch=1, samples=336),
        sizes(batch=3, samples=560),
        sizes(batch=4, samples=816),
    ),
)
NOISY_IMAGE = dataclasses.replace(IMAGE, inputs=inputs.noisy_image, dynamic=inputs.NOISY_IMAGE)
WAVEFORM_AND_TEXT = Kind(
    inputs.waveform_and_text,
    inputs.WAVEFORM_AND_TEXT,
    sizes(batch=2, samples=2000, target=5),
    (
        sizes(batch=1, samples=1700, target=3),
        sizes(batch=3, samples=3000, target=8),
        sizes(batch=4, samples=2222, target=1),
    ),
)
# For models that loop over the tokens in Python.
FIXED_TEXT = dataclasses.replace(
    TEXT,
    dynamic={name: {0: "batch"} for name in inputs.TEXT},
    others=(sizes(batch=1, seq=7), sizes(batch=3, seq=7), sizes(batch=4, seq=7)),
)
# For models that keep the last few tokens, and pad where there are fewer.
LONG_TEXT = dataclasses.replace(
    TEXT, others=(sizes(batch=1, seq=5), sizes(batch=3, seq=12), sizes(batch=4, seq=9))
)
