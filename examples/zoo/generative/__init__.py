"""Networks that make images, and vectors that stand for things."""

import numpy as np

from examples.zoo.generative import autoencoders, dcgan, words
from examples.zoo.member import Maker, Member, below, prefixes

BATCHES = ({"batch": 1}, {"batch": 3})
FULL = {"batch": 64}
SMALL_CODE = {"hidden": (24, 16), "code": 5}
VOCABULARY = 50
SMALL_WORDS = {"vocabulary": VOCABULARY, "features": 8}
WORDS = {name: below(VOCABULARY) for name in ("word", "context", "target", "noise")}
DECODER = {
    "decoder.linear": "decoder.hidden.0.0",
    "decoder.linear_1": "decoder.hidden.1.0",
    "decoder.linear_2": "decoder.last",
}
ENCODER = {"encoder.linear": "encoder.0.0", "encoder.linear_1": "encoder.1.0"}


def counts(most: int) -> Maker:
    """How often things were seen: floats from 1 to `most`."""
    return lambda rng, shape: rng.integers(1, most + 1, shape)


def uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Brightness, from 0 to 1."""
    return rng.random(shape)


MEMBERS = (
    Member(
        "autoencoder",
        autoencoders.autoencoder,
        "autoencoders_torch:Autoencoder",
        BATCHES,
        full_at=FULL,
        small=SMALL_CODE,
        inputs={"x": uniform},
        names=prefixes(**ENCODER, **DECODER, **{"encoder.code": "code"}),
    ),
    Member(
        "sparse autoencoder",
        autoencoders.sparse_autoencoder,
        "autoencoders_torch:SparseAutoencoder",
        BATCHES,
        full_at=FULL,
        small={"code": 40},
        inputs={"x": uniform},
    ),
    Member(
        "variational autoencoder",
        autoencoders.vae,
        "autoencoders_torch:Vae",
        BATCHES,
        full_at=FULL,
        small=SMALL_CODE,
        inputs={"x": uniform},
        names=prefixes(
            **ENCODER,
            **DECODER,
            **{"encoder.mean": "mean", "encoder.log_variance": "log_variance"},
        ),
    ),
    Member(
        "dcgan generator",
        dcgan.generator,
        "dcgan_torch:generator",
        BATCHES,
        small={"width": 4},
        names=prefixes(
            **{f"conv_transpose{f'_{i}' if i else ''}": str(1 + 3 * i) for i in range(5)},
            **{f"batch_norm{f'_{i}' if i else ''}": str(2 + 3 * i) for i in range(4)},
        ),
    ),
    Member(
        "dcgan discriminator",
        dcgan.discriminator,
        "dcgan_torch:discriminator",
        BATCHES,
        small={"width": 4},
        names=prefixes(
            conv="0",
            **{f"conv_{i}": str(3 * i - 1) for i in range(1, 5)},
            **{f"batch_norm{f'_{i}' if i else ''}": str(3 + 3 * i) for i in range(3)},
        ),
    ),
    Member(
        "word2vec cbow",
        words.cbow,
        "words_torch:Cbow",
        BATCHES,
        full_at=FULL,
        small=SMALL_WORDS,
        inputs=WORDS,
    ),
    Member(
        "word2vec skip-gram",
        words.skip_gram,
        "words_torch:SkipGram",
        BATCHES,
        full_at=FULL,
        small=SMALL_WORDS,
        inputs=WORDS,
    ),
    Member(
        "glove",
        words.glove,
        "words_torch:Glove",
        BATCHES,
        full_at=FULL,
        small=SMALL_WORDS,
        inputs=WORDS | {"count": counts(200)},
    ),
)
