"""What a target runs faster in another form: rules that targets choose by name."""

from __future__ import annotations

from collections.abc import Mapping

from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules.select.crossing_matmul import CROSSING_MATMUL
from sardonyx.compiler.rules.select.depthwise_conv1d import DEPTHWISE_CONV1D
from sardonyx.compiler.rules.select.exponential import MISH_BY_EXP, SOFTPLUS_BY_LOG
from sardonyx.compiler.rules.select.flat_softmax import FLAT_SOFTMAX
from sardonyx.compiler.rules.select.fused_conv import CONV_ADD_RELU, CONV_RELU
from sardonyx.compiler.rules.select.gelu import BIAS_GELU, QUICK_GELU
from sardonyx.compiler.rules.select.group_norm import GROUP_NORM_BY_INSTANCE_NORM
from sardonyx.compiler.rules.select.group_norm_nhwc import GROUP_NORM_NHWC
from sardonyx.compiler.rules.select.multi_head_attention import MULTI_HEAD_ATTENTION
from sardonyx.compiler.rules.select.packed_attention import PACKED_ATTENTION
from sardonyx.compiler.rules.select.prelu import PRELU_BY_RELU
from sardonyx.compiler.rules.select.separate_linears import SEPARATE_LINEARS
from sardonyx.compiler.rules.select.skip_norm import SKIP_NORM

SELECTIONS: Mapping[str, tuple[Rule, ...]] = {
    "bias_gelu": (BIAS_GELU,),
    "crossing_matmul": (CROSSING_MATMUL,),
    "depthwise_conv1d": (DEPTHWISE_CONV1D,),
    "flat_softmax": (FLAT_SOFTMAX,),
    "fused_conv": (CONV_ADD_RELU, CONV_RELU),
    "group_norm_by_instance_norm": (GROUP_NORM_BY_INSTANCE_NORM,),
    "group_norm_nhwc": (GROUP_NORM_NHWC,),
    "mish_by_exp": (MISH_BY_EXP,),
    "multi_head_attention": (MULTI_HEAD_ATTENTION,),
    "packed_attention": (PACKED_ATTENTION,),
    "prelu_by_relu": (PRELU_BY_RELU,),
    "quick_gelu": (QUICK_GELU,),
    "separate_linears": (SEPARATE_LINEARS,),
    "skip_norm": SKIP_NORM,
    "softplus_by_log": (SOFTPLUS_BY_LOG,),
}
"""The rules of each choice that `Target.selections` can name."""

AFTER_LAYOUT = frozenset({"flat_softmax"})
"""The choices that depend on the order in which the layout pass leaves the axes."""
