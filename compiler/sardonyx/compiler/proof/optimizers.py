"""Finds the optimiser of ONNX Runtime that changes a program's answer, by halving."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir

from sardonyx.compiler.export import switch_off

NAMES = (
    *("BiasDropoutFusion", "BiasGeluFusion", "BiasSkipLayerNormFusion", "BiasSoftmaxFusion"),
    *("CastChainElimination", "CastElimination", "CommonSubexpressionElimination"),
    *("ConstantFolding", "ConstantSharing", "ConvActivationFusion", "ConvAddActivationFusion"),
    *("ConvAddFusion", "ConvBNFusion", "ConvMulFusion", "DivMulFusion", "DQMatMulNBitsFusion"),
    *("DynamicQuantizeMatMulFusion", "EliminateDropout", "EliminateIdentity", "EliminateSlice"),
    *("EmbedLayerNormFusion", "ExpandElimination", "FastGeluFusion", "GatherToSliceFusion"),
    *("GeluFusionL1", "GeluFusionL2", "GemmActivationFusion", "GemmSumFusion"),
    *("GemmTransposeFusion", "GroupQueryAttentionFusion", "LayerNormFusionL1"),
    *("LayerNormFusionL2", "LabelEncoderFusion", "MatMulActivationFusion", "MatMulAddFusion"),
    *("MatMulIntegerToFloatFusion", "MatMulScaleFusion", "MatMul_BatchNormalization_Fusion"),
    *("MatmulTransposeFusion", "NchwcTransformer", "NhwcTransformer", "NoopElimination"),
    *("NotWhereFusion", "Pad_Fusion", "PreShapeNodeElimination", "QDQFinalCleanupTransformer"),
    *("QDQPropagationTransformer", "QDQS8ToU8Transformer", "QDQSelectorActionTransformer"),
    *("QuickGeluFusion", "ReshapeFusion", "SimplifiedLayerNormFusion", "SkipLayerNormFusion"),
    *("SliceConcatToSpaceToDepthFusion", "TransposeOptimizer", "UnsqueezeElimination"),
)
"""Names of optimisers, such as ONNX Runtime 1.31 has; it ignores those that it does not have."""


def culprit(model: ir.Model, is_right: Callable[[ir.Model], bool]) -> str | None:
    """Return the optimiser that changes the answer; None where it is none, or not one alone.

    Args:
        model: A model whose answer is changed; it stays as it is.
        is_right: Says whether a model gives the right answer, optimised all but for those that its
            metadata switch off.
    """

    def is_right_without(names: Sequence[str]) -> bool:
        tried = model.clone()
        switch_off(tried, names)
        return is_right(tried)

    suspects: Sequence[str] = NAMES
    while len(suspects) > 1:
        half = suspects[: len(suspects) // 2]
        suspects = half if is_right_without(half) else suspects[len(half) :]
    return suspects[0] if is_right_without(suspects) else None
