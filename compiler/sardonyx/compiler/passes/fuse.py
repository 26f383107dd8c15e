"""Replace subgraphs by fewer, fused operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sardonyx.compiler.passes.base import RulePass
from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules import movement, norm, parallel
from sardonyx.compiler.rules.batch_norm_affine import AFFINE_BATCH_NORM, BATCH_NORM_AFFINE
from sardonyx.compiler.rules.batch_norm_linear import (
    BATCH_NORM_CONV,
    BATCH_NORM_GEMM,
    BATCH_NORM_MATMUL,
    FLAT_BATCH_NORM_LINEAR,
)
from sardonyx.compiler.rules.constant_chain import SCALE_SCALE, SHIFT_SHIFT
from sardonyx.compiler.rules.conv_batch_norm import (
    CONV_BATCH_NORM,
    CONV_TRANSPOSE_BATCH_NORM,
    POOLED_BATCH_NORM,
)
from sardonyx.compiler.rules.linear_batch_norm import GEMM_BATCH_NORM, MATMUL_BATCH_NORM
from sardonyx.compiler.rules.linear_scale import CONV_SCALE, LINEAR_SCALE
from sardonyx.compiler.rules.linear_shift import CONV_SHIFT, GEMM_SHIFT
from sardonyx.compiler.rules.pad_conv import PAD_CONV
from sardonyx.compiler.rules.pad_pool import PAD_AVERAGE_POOL, PAD_MAX_POOL
from sardonyx.compiler.rules.scale_linear import SCALE_CONV, SCALE_LINEAR
from sardonyx.compiler.rules.shift_linear import SHIFT_CONV, SHIFT_GEMM, SHIFT_MATMUL

AFFINE: tuple[Rule, ...] = (
    CONV_BATCH_NORM,
    CONV_TRANSPOSE_BATCH_NORM,
    POOLED_BATCH_NORM,
    GEMM_BATCH_NORM,
    MATMUL_BATCH_NORM,
    BATCH_NORM_CONV,
    BATCH_NORM_GEMM,
    BATCH_NORM_MATMUL,
    FLAT_BATCH_NORM_LINEAR,
    CONV_SCALE,
    LINEAR_SCALE,
    CONV_SHIFT,
    GEMM_SHIFT,
    SCALE_CONV,
    SCALE_LINEAR,
    SHIFT_CONV,
    SHIFT_GEMM,
    SHIFT_MATMUL,
    SCALE_SCALE,
    SHIFT_SHIFT,
    BATCH_NORM_AFFINE,
    AFFINE_BATCH_NORM,
    PAD_CONV,
    PAD_AVERAGE_POOL,
    PAD_MAX_POOL,
)
"""Scales, shifts, batch norms and pads into the operators next to them.

A batch norm of its own stays what it is: between convolutions in ONNX Runtime's blocked layout it
is one depthwise convolution, where Mul and Add would be two operators.
"""

STAGES: tuple[tuple[Rule, ...], ...] = (AFFINE, norm.POST_NORM, parallel.RULES, movement.RULES)
"""The order of the rules. Within a stage no two rules match at one node: any order will do."""


@dataclass(frozen=True)
class Fuse(RulePass):
    """Take scales, shifts, norms' biases and pads into operators next to them, join linear layers.

    Then powers become products and roots.
    """

    name: ClassVar[str] = "fuse"
    stages: ClassVar[tuple[tuple[Rule, ...], ...]] = STAGES
