"""Which operators need more than half precision, whatever the model is."""

from __future__ import annotations

WIDE_RANGE = frozenset(
    {
        *("CumSum", "Exp", "Pow", "Range", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
        *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "Sinh", "Cosh"),
    }
)
"""Their results leave the range of half precision where their operands do not."""

ANGLES = frozenset({"Cos", "Sin", "Tan"})
"""They turn the absolute error of a large operand, such as a position, into one of their result."""

ACCUMULATES_WIDE = frozenset(
    {
        *("Conv", "ConvTranspose", "Einsum", "Gemm", "MatMul", "GRU", "LSTM", "RNN"),
        *("Attention", "RotaryEmbedding"),
        *("BatchNormalization", "GroupNormalization", "InstanceNormalization"),
        *("LayerNormalization", "RMSNormalization"),
    }
)
"""Their kernels sum in single precision whatever their operands are: to these, operands in half
precision cost one rounding each. Statistics of norms are such sums (`stash_type`)."""
