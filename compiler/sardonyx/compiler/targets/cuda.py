"""ONNX Runtime on a CUDA device.

Nothing of this target is measured: it was written without a device, from what ONNX Runtime's
sources and its table of kernels (docs/OperatorKernels.md) say. `make gpu` measures it.
"""

from sardonyx.compiler.targets.kernel_gaps import ONNXRUNTIME_CPU
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

CUDA = Target(
    name="cuda",
    sentence="ONNX Runtime on a CUDA device",
    contrib={"": frozenset({"SimplifiedLayerNormalization"}), "com.microsoft": CONTRIB},
    # What CUDA has no kernel for runs on the CPU.
    kernel_gaps=ONNXRUNTIME_CPU,
    selections=("fused_conv", "group_norm_nhwc", "skip_norm"),
    unmeasured={
        "group_norm_nhwc": "ONNX Runtime has no CUDA kernel for GroupNormalization and runs its "
        "body, a dozen kernels; GroupNorm is one, SiLU included",
        "skip_norm": "a sum, a bias and a norm read and write the sequence three times, the "
        "kernel once",
        "fused_conv": "ONNX Runtime fuses Conv and Relu on the CPU only; on CUDA bias, sum and "
        "Relu are kernels of their own, FusedConv is one call of cuDNN",
    },
    session=SessionSettings(
        # For the nodes that the CPU runs.
        config={"session.set_denormal_as_zero": "1"},
        disabled_optimizers=(
            # Gemm broadcasts its bias by a matrix product of its own before it adds to it.
            "MatMulAddFusion",
        ),
    ),
    precisions=("fp16", "bf16"),
    # Converted by ONNX Runtime: its operators in that layout are internal to it. Its bias epilogue
    # pays in this layout only.
    layouts={"nhwc": {"prefer_nhwc": "1", "fuse_conv_bias": "1"}},
)
