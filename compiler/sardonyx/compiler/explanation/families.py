"""The families of sites: how each is found, and which rules fuse it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sardonyx.compiler.explanation import activation, attention, linear, norm, rotary
from sardonyx.compiler.explanation.flow import Flow
from sardonyx.compiler.explanation.site import Found
from sardonyx.compiler.passes.base import RulePass
from sardonyx.compiler.passes.fuse import Fuse
from sardonyx.compiler.passes.recognize import Recognize


@dataclass(frozen=True)
class Family:
    """Sites of one sort.

    Attributes:
        find: Finds them in a source model, without a look at any rule.
        kinds: What they can be.
        fuses: The pass whose rules make the fused operator.
    """

    find: Callable[[Flow], Iterable[Found]]
    kinds: tuple[str, ...]
    fuses: type[RulePass]


FAMILIES: Mapping[str, Family] = {
    "attention": Family(attention.find, ("attention",), Recognize),
    "norm": Family(norm.find, tuple(norm.ACCEPTED), Recognize),
    "activation": Family(activation.find, tuple(activation.ACCEPTED), Recognize),
    "rotary": Family(rotary.find, ("rotary",), Recognize),
    "conv_block": Family(linear.find_conv_blocks, ("conv", "conv_transpose"), Fuse),
    "parallel_linears": Family(linear.find_parallel, ("parallel_linears", "parallel_convs"), Fuse),
}

NAMES = tuple(dict.fromkeys(n for f, family in FAMILIES.items() for n in (f, *family.kinds)))
"""Families and kinds: what a requirement can be about."""
