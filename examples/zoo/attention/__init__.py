"""Attention, and the Transformers made of it."""

import numpy as np

from examples.zoo.attention import bert, clip, experts, gpt, multi_head, scores, vit
from examples.zoo.member import Member, below, some
from sardonyx.frontends import dsl

SEQUENCES = (
    {"batch": 2, "length": 3, "keys": 5},
    {"batch": 1, "length": 6, "keys": 4},
)
LONG = {"batch": 1, "length": 128, "keys": 128}
PLAIN = ({"batch": 2, "length": 5}, {"batch": 1, "length": 9})
CACHES = (
    {"batch": 2, "length": 3, "before": 0},
    {"batch": 1, "length": 1, "before": 6},
)


def shuffled(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Rows of different ints: one is the largest."""
    return rng.permuted(np.tile(np.arange(shape[1]), (shape[0], 1)), axis=1)


MEMBERS = (
    Member("dot product attention", scores.dot_product, "scores_torch:DotProduct", SEQUENCES, LONG),
    Member(
        *("scaled dot product attention", scores.scaled_dot_product),
        *("scores_torch:ScaledDotProduct", SEQUENCES, LONG),
    ),
    Member(
        "linear attention scores",
        scores.linear_scores,
        "scores_torch:LinearScores",
        SEQUENCES,
        LONG,
    ),
    Member("additive attention", scores.additive, "scores_torch:Additive", SEQUENCES, LONG),
    Member(
        *("multi-head attention", multi_head.self_attention, "multi_head_torch:SelfAttention"),
        *(PLAIN, LONG),
        inputs={"keep": some(0.7)},
    ),
    Member(
        *("cross attention", multi_head.cross_attention, "multi_head_torch:CrossAttention"),
        *(SEQUENCES, LONG),
    ),
    Member(
        *("bert", bert.bert, "bert_torch:Bert", PLAIN, {"batch": 1, "length": 128}),
        small={"vocabulary": 50, "size": 24, "heads": 3, "layers": 2},
        inputs={"tokens": below(50), "segments": below(2), "keep": some(0.7)},
    ),
    Member(
        *("gpt", gpt.gpt, "gpt_torch:Gpt", CACHES, {"batch": 1, "length": 1, "before": 128}),
        small={
            "past": dsl.f32[2, 2, "batch", 3, "before", 8],
            "vocabulary": 50,
            "context": 20,
        },
        inputs={"tokens": below(50)},
    ),
    Member(
        *("vit", vit.vit, "vit_torch:Vit", ({"batch": 1}, {"batch": 3})),
        small={
            "image": dsl.f32["batch", 3, 24, 16],
            "patch": 8,
            "size": 24,
            "heads": 3,
            "layers": 1,
            "classes": 10,
        },
    ),
    Member(
        *("mixture of experts", experts.mixture_of_experts, "experts_torch:MixtureOfExperts"),
        *(PLAIN, {"batch": 1, "length": 128}),
        small={"experts": 4, "hidden": 20},
    ),
    Member(
        *("clip", clip.clip, "clip_torch:Clip"),
        ({"images": 1, "texts": 3}, {"images": 2, "texts": 1}),
        small={
            "image": dsl.f32["images", 3, 16, 24],
            "tokens": dsl.i64["texts", 9],
            "patch": 8,
            "size": 24,
            "heads": 3,
            "layers": 1,
            "shared": 16,
            "vocabulary": 50,
        },
        inputs={"tokens": shuffled},
    ),
)
