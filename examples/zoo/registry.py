"""All members of the zoo by family, in the order of the table."""

from __future__ import annotations

from examples.zoo import (
    attention,
    blocks,
    convolutional,
    detection,
    generative,
    neurons,
    pipeline,
    recurrent,
)
from examples.zoo.member import Member

FAMILIES: dict[str, tuple[Member, ...]] = {
    "Neurons": neurons.MEMBERS,
    "Normalisation, pooling and shapes": blocks.MEMBERS,
    "Convolutional networks": convolutional.MEMBERS,
    "Attention and Transformers": attention.MEMBERS,
    "Recurrent networks": recurrent.MEMBERS,
    "Generation and representation": generative.MEMBERS,
    "Detection": detection.MEMBERS,
    "Images before a network": pipeline.MEMBERS,
}

MEMBERS: dict[str, Member] = {
    member.name: member for members in FAMILIES.values() for member in members
}
