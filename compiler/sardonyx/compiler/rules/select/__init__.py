"""What a target runs faster in another form: rules that targets choose by name."""

from __future__ import annotations

from collections.abc import Mapping

from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules.select.depthwise_conv1d import DEPTHWISE_CONV1D
from sardonyx.compiler.rules.select.flat_softmax import FLAT_SOFTMAX
from sardonyx.compiler.rules.select.fused_conv import CONV_ADD_RELU, CONV_RELU
from sardonyx.compiler.rules.select.group_norm import GROUP_NORM_BY_INSTANCE_NORM

SELECTIONS: Mapping[str, tuple[Rule, ...]] = {
    "depthwise_conv1d": (DEPTHWISE_CONV1D,),
    "flat_softmax": (FLAT_SOFTMAX,),
    "fused_conv": (CONV_ADD_RELU, CONV_RELU),
    "group_norm_by_instance_norm": (GROUP_NORM_BY_INSTANCE_NORM,),
}
"""The rules of each choice that `Target.selections` can name."""
