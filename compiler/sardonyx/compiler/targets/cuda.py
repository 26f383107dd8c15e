"""ONNX Runtime on a CUDA device."""

from sardonyx.compiler.targets.kernel_gaps import ONNXRUNTIME_CUDA
from sardonyx.compiler.targets.target import SessionSettings, Target

CONTRIB = frozenset(
    {
        *("Attention", "DecoderMaskedMultiHeadAttention", "GroupQueryAttention"),
        *("LongformerAttention", "MultiHeadAttention", "PackedAttention"),
        *("PackedMultiHeadAttention", "PagedAttention", "SparseAttention"),
        *("BiasGelu", "BiasSplitGelu", "FastGelu", "Gelu", "QuickGelu"),
        *("BiasAdd", "BiasDropout", "BiasSoftmax", "BitmaskBiasDropout", "BitmaskDropout"),
        *("EmbedLayerNormalization", "GroupNorm", "SkipGroupNorm"),
        *("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"),
        *("FusedConv", "NhwcConv", "FusedMatMul", "TransposeMatMul", "GemmFloat8"),
        *("GemmaRotaryEmbedding", "MRotaryEmbedding", "RelativePositionBias", "RotaryEmbedding"),
        *("MatMulBnb4", "MatMulNBits", "MoE", "QMoE", "CausalConvWithState", "LinearAttention"),
        *("Irfft", "Rfft", "Inverse", "RemovePadding", "RestorePadding", "Trilu"),
    }
)
"""Operators of com.microsoft that the CUDA provider of ONNX Runtime has kernels for."""

_ANY_OPSET = (
    *("Abs", "Add", "Cast", "Concat", "Div", "Dropout", "Erf", "Exp", "Expand"),
    *("Flatten", "Gather", "GatherElements", "GatherND", "Gemm", "Identity", "IsNaN"),
    *("LayerNormalization", "MatMul", "Max", "Min", "Mod", "Mul", "Neg", "Pow", "ReduceSum"),
    *("Relu", "Reshape", "ScatterElements", "ScatterND", "Shape", "Sigmoid"),
    *("Sign", "Size", "Slice", "Softmax", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh"),
    *("Tile", "Transpose", "Trilu", "Unsqueeze", "Where"),
)
_SINCE = {
    "Gelu": 20,
    "IsInf": 20,
    "AveragePool": 22,
    "Conv": 22,
    "HardSigmoid": 22,
    "HardSwish": 22,
}
_NEWEST = ("Attention", "RMSNormalization", "RotaryEmbedding")
BFLOAT16 = dict.fromkeys(_ANY_OPSET, 18) | _SINCE | dict.fromkeys(_NEWEST, 23)
"""Operator -> the oldest opset at which the CUDA provider computes it in bfloat16.

From ONNX Runtime's own list (docs/OperatorKernels.md). It has no kernel for the others, nor has
the CPU: a model with one of them in bfloat16 does not load.
"""

CUDA = Target(
    name="cuda",
    sentence="ONNX Runtime on a CUDA device",
    contrib={"": frozenset({"SimplifiedLayerNormalization"}), "com.microsoft": CONTRIB},
    # A node that runs on the CPU in between costs two copies, and no CUDA graph can be captured.
    kernel_gaps=ONNXRUNTIME_CUDA,
    selections=(
        # Not for speed: without it the product may be wrong.
        "crossing_matmul",
        "depthwise_conv1d",
        "group_norm_nhwc",
        "packed_attention",
        "skip_norm",
    ),
    session=SessionSettings(
        # For the nodes that the CPU runs.
        config={"session.set_denormal_as_zero": "1"},
        disabled_optimizers=(
            # Gemm broadcasts its bias by a matrix product of its own before it adds to it.
            "MatMulAddFusion",
            # Where the CPU takes over, it dies of a MatMul of a Transpose in half precision.
            "NchwcTransformer",
        ),
    ),
    precisions=("fp16", "bf16"),
    half_kernels={"bf16": BFLOAT16},
    # Converted by ONNX Runtime: its operators in that layout are internal to it. Its bias epilogue
    # pays in this layout only.
    layouts={"nchw": {}, "nhwc": {"prefer_nhwc": "1", "fuse_conv_bias": "1"}},
    # There it has no convolutions in bfloat16 or double, and a transposed one cannot add its bias
    # (H200, onnxruntime 1.31.1).
    layout_gaps={"nhwc": frozenset({"bf16", "f64", "ConvTranspose"})},
    image_layout="nhwc",
)
