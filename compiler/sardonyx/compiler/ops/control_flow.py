"""Rows of the operators that run subgraphs."""

from __future__ import annotations

from sardonyx.compiler.ops.axes import Fixed
from sardonyx.compiler.ops.row import Trait, define, none

_BODY = "its body decides"

define(
    "If",
    "Loop",
    "Scan",
    traits={Trait.CONTROL_FLOW},
    axes=Fixed(_BODY),
    cost=none(_BODY),
    tolerance=none(_BODY),
    sample=none(_BODY),
)
define(
    "SequenceMap",
    traits={Trait.CONTROL_FLOW},
    axes=Fixed(_BODY),
    cost=none(_BODY),
    tolerance=none(_BODY),
    sample=none(_BODY),
)
