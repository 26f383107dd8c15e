"""The families of sites: how each is found, and which rules fuse it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sardonyx.compiler.explanation import activation, attention, cache, linear, norm, rotary
from sardonyx.compiler.explanation.flow import Flow
from sardonyx.compiler.explanation.site import Found
from sardonyx.compiler.passes.fuse import Fuse
from sardonyx.compiler.passes.recognize import Recognize
from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules import activation as activation_rules
from sardonyx.compiler.rules import attention as attention_rules
from sardonyx.compiler.rules import norm as norm_rules
from sardonyx.compiler.rules import parallel
from sardonyx.compiler.rules.attention.kv_cache import KV_CACHE
from sardonyx.compiler.rules.attention.scaled_dot_product import SCALED_DOT_PRODUCT
from sardonyx.compiler.rules.batch_norm_affine import AFFINE_BATCH_NORM, BATCH_NORM_AFFINE


@dataclass(frozen=True)
class Family:
    """Sites of one sort.

    Attributes:
        find: Finds them in a source model, without a look at any rule.
        kinds: What they can be.
        rules: Returns the rules that make the fused operator of a kind, as the pipeline has them
            now.
    """

    find: Callable[[Flow], Iterable[Found]]
    kinds: tuple[str, ...]
    rules: Callable[[str], Sequence[Rule]]


def _recognising(*foreign: Rule) -> Callable[[str], Sequence[Rule]]:
    """Return the rules of `Recognize`, as it has them when that is asked, but for some.

    What rules of another family say of a site is no reason.
    """
    names = {rule.name for rule in foreign}
    return lambda _: [r for stage in Recognize.stages for r in stage if r.name not in names]


def _folding(_: str) -> Sequence[Rule]:
    return [rule for stage in Fuse.stages for rule in stage]


def _merging(_: str) -> Sequence[Rule]:
    return parallel.RULES


_ATTENTION = (*attention_rules.RULES, *attention_rules.BY_POSITION)
_attending = _recognising(*norm_rules.RULES, *activation_rules.RULES)
_recognising_norms = _recognising(*activation_rules.RULES, *_ATTENTION)
_activating = _recognising(*norm_rules.RULES, *_ATTENTION)


def _normalising(kind: str) -> Sequence[Rule]:
    """A batch norm is an operator before, and goes into others; the other norms are recognised."""
    if kind != "batch_norm":
        return _recognising_norms(kind)
    stays = {AFFINE_BATCH_NORM.name, BATCH_NORM_AFFINE.name}
    return [rule for rule in _folding(kind) if rule.name not in stays]


FAMILIES: Mapping[str, Family] = {
    "attention": Family(attention.find, ("attention",), _attending),
    "norm": Family(norm.find, tuple(norm.ACCEPTED), _normalising),
    "activation": Family(activation.find, tuple(activation.ACCEPTED), _activating),
    "kv_cache": Family(cache.find, ("kv_cache",), lambda _: (KV_CACHE, SCALED_DOT_PRODUCT)),
    "rotary": Family(rotary.find, ("rotary",), _attending),
    "conv_block": Family(linear.find_conv_blocks, ("conv", "conv_transpose"), _folding),
    "parallel_linears": Family(
        linear.find_parallel, ("parallel_linears", "parallel_convs"), _merging
    ),
}

NAMES = tuple(dict.fromkeys(n for f, family in FAMILIES.items() for n in (f, *family.kinds)))
"""Families and kinds: what a requirement can be about."""
