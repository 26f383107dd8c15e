"""The families of sites: how each is found, and which rules fuse it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sardonyx.compiler.explanation import activation, attention, linear, norm, rotary
from sardonyx.compiler.explanation.flow import Flow
from sardonyx.compiler.explanation.site import Found
from sardonyx.compiler.passes.fuse import Fuse
from sardonyx.compiler.passes.recognize import Recognize
from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules import parallel


@dataclass(frozen=True)
class Family:
    """Sites of one sort.

    Attributes:
        find: Finds them in a source model, without a look at any rule.
        kinds: What they can be.
        rules: Returns the rules that make the fused operator, as the pipeline has them now.
    """

    find: Callable[[Flow], Iterable[Found]]
    kinds: tuple[str, ...]
    rules: Callable[[], Sequence[Rule]]


def _recognising() -> list[Rule]:
    return [rule for stage in Recognize.stages for rule in stage]


def _folding() -> list[Rule]:
    return [rule for stage in Fuse.stages for rule in stage]


def _merging() -> Sequence[Rule]:
    return parallel.RULES


FAMILIES: Mapping[str, Family] = {
    "attention": Family(attention.find, ("attention",), _recognising),
    "norm": Family(norm.find, tuple(norm.ACCEPTED), _recognising),
    "activation": Family(activation.find, tuple(activation.ACCEPTED), _recognising),
    "rotary": Family(rotary.find, ("rotary",), _recognising),
    "conv_block": Family(linear.find_conv_blocks, ("conv", "conv_transpose"), _folding),
    "parallel_linears": Family(
        linear.find_parallel, ("parallel_linears", "parallel_convs"), _merging
    ),
}

NAMES = tuple(dict.fromkeys(n for f, family in FAMILIES.items() for n in (f, *family.kinds)))
"""Families and kinds: what a requirement can be about."""
