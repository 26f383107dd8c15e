"""Replace subgraphs by fewer, fused operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sardonyx.compiler.errors import RewriteError
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.passes.base import Pass, PassReport
from sardonyx.compiler.rewrite import Rewriter, Rule
from sardonyx.compiler.rules.batch_norm_affine import AFFINE_BATCH_NORM, BATCH_NORM_AFFINE
from sardonyx.compiler.rules.batch_norm_linear import (
    BATCH_NORM_CONV,
    BATCH_NORM_GEMM,
    BATCH_NORM_MATMUL,
)
from sardonyx.compiler.rules.clamp import CLIP_CLIP, CLIP_TO_RELU, MAX_TO_CLIP
from sardonyx.compiler.rules.constant_chain import SCALE_SCALE, SHIFT_SHIFT
from sardonyx.compiler.rules.conv_batch_norm import CONV_BATCH_NORM, CONV_TRANSPOSE_BATCH_NORM
from sardonyx.compiler.rules.fused_conv import CONV_ADD_RELU, CONV_RELU
from sardonyx.compiler.rules.hard_sigmoid import HARD_SIGMOID, HARD_SWISH
from sardonyx.compiler.rules.linear_batch_norm import GEMM_BATCH_NORM, MATMUL_BATCH_NORM
from sardonyx.compiler.rules.linear_scale import CONV_SCALE, LINEAR_SCALE
from sardonyx.compiler.rules.linear_shift import CONV_SHIFT, GEMM_SHIFT
from sardonyx.compiler.rules.pad_conv import PAD_CONV
from sardonyx.compiler.rules.pad_pool import PAD_AVERAGE_POOL, PAD_MAX_POOL
from sardonyx.compiler.rules.scale_linear import SCALE_CONV, SCALE_LINEAR
from sardonyx.compiler.rules.shift_linear import SHIFT_CONV, SHIFT_GEMM, SHIFT_MATMUL

ACTIVATION: tuple[Rule, ...] = (
    MAX_TO_CLIP,
    CLIP_CLIP,
    CLIP_TO_RELU,
    HARD_SIGMOID,
    HARD_SWISH,
)
"""Activation functions from their parts, and clamps after each other."""

AFFINE: tuple[Rule, ...] = (
    CONV_BATCH_NORM,
    CONV_TRANSPOSE_BATCH_NORM,
    GEMM_BATCH_NORM,
    MATMUL_BATCH_NORM,
    BATCH_NORM_CONV,
    BATCH_NORM_GEMM,
    BATCH_NORM_MATMUL,
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

CONTRIB_CONV: tuple[Rule, ...] = (CONV_ADD_RELU, CONV_RELU)
"""Convolution with Relu as one operator of ONNX Runtime, for targets that choose it."""

STAGES = (
    # Before AFFINE: the `+ 3` and the `/ 6` of a hard sigmoid between two convolutions would go
    # into these, which leaves a Clip that nobody recognises.
    ACTIVATION,
    AFFINE,
    # After AFFINE: a batch norm between convolution and Relu must be gone.
    CONTRIB_CONV,
)
"""The order of the rules. Within a stage no two rules match at one node: any order will do."""

_MOST_ROUNDS = 20


@dataclass(frozen=True)
class Fuse(Pass):
    """Apply the fusions that the target runs faster.

    Attributes:
        rules: Which ones; those that are in no stage come last.
    """

    name: ClassVar[str] = "fuse"
    rules: tuple[Rule, ...] = (*ACTIVATION, *AFFINE)

    def run(self, editor: Editor) -> PassReport:
        """Apply the rules everywhere, stage by stage, until none matches."""
        report = PassReport()
        others = tuple(rule for rule in self.rules if not any(rule in stage for stage in STAGES))
        chosen = [tuple(rule for rule in stage if rule in self.rules) for stage in STAGES]
        rewriters = [Rewriter(rules) for rules in (*chosen, others) if rules]
        # What a later stage does may let a rule of an earlier one match.
        for _ in range(_MOST_ROUNDS):
            changed = [_apply(rewriter, editor, report) for rewriter in rewriters]
            if not any(changed):
                return report
        raise RewriteError(
            "Fusion does not come to an end.",
            found=f"applied: {', '.join(sorted(report.applied))}",
            remedy="look for two rules of different stages that undo each other",
        )


def _apply(rewriter: Rewriter, editor: Editor, report: PassReport) -> bool:
    found = rewriter.run(editor)
    for name, sites in found.applied.items():
        report.applied.setdefault(name, []).extend(sites)
    for rule in rewriter.rules:
        report.misses.pop(rule.name, None)
    report.misses.update(found.misses)
    return bool(found.applied)
