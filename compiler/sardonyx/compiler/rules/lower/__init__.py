"""Operators that an older opset lacks, written in those that it has: shorter and faster than the
function bodies of ONNX, which work for every rank and dtype and compute all sizes at run time.

What a rule here refuses is left to those bodies (`opset.lower_opset`).
"""

from __future__ import annotations

from collections.abc import Mapping

from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules.lower.attention import ATTENTION
from sardonyx.compiler.rules.lower.gelu import GELU
from sardonyx.compiler.rules.lower.rms_norm import RMS_NORM
from sardonyx.compiler.rules.lower.rotary import ROTARY
from sardonyx.compiler.rules.select.group_norm import GROUP_NORM_BY_INSTANCE_NORM

LOWERINGS: Mapping[int, tuple[Rule, ...]] = {
    23: (ATTENTION, RMS_NORM, ROTARY),
    21: (GROUP_NORM_BY_INSTANCE_NORM,),
    20: (GELU,),
}
"""For each opset the rules that an older one needs."""
