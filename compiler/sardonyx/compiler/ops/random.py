"""Rows of the operators that draw at random."""

from __future__ import annotations

import numpy as np

from sardonyx.compiler.ops.axes import Fixed
from sardonyx.compiler.ops.cost import per_element
from sardonyx.compiler.ops.row import Trait, define
from sardonyx.compiler.ops.sample import REAL, Case, Random, between, dims
from sardonyx.compiler.ops.tolerance import Tolerance

_BY_POSITION = Fixed("it draws by position")


def _like(random: Random) -> Case:
    return Case((REAL(random, dims(random)),), {"seed": 3.0})


def _shaped(random: Random) -> Case:
    return Case((), {"shape": list(dims(random)), "seed": 3.0})


def _chances(random: Random) -> Case:
    return Case((between(0.1, 0.9)(random, dims(random)),), {"seed": 3.0})


def _logits(random: Random) -> Case:
    attributes = {"sample_size": 4, "seed": 3.0}
    return Case((np.log(between(0.1, 0.9)(random, (2, 5))),), attributes)


for _names, _traits, _sample in (
    (("RandomNormal", "RandomUniform"), set[Trait](), _shaped),
    (("RandomNormalLike", "RandomUniformLike"), {Trait.READS_SHAPE_ONLY}, _like),
    (("Bernoulli",), set[Trait](), _chances),
    (("Multinomial",), set[Trait](), _logits),
):
    define(
        *_names,
        traits={Trait.RANDOM, *_traits},
        axes=_BY_POSITION,
        cost=per_element(10),
        tolerance=Tolerance.RANDOM,
        sample=_sample,
    )
