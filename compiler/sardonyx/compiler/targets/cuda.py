"""ONNX Runtime on a CUDA device."""

import onnx_ir as ir

from sardonyx.compiler.ir.schema import operator_names
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.targets.kernel_gaps import ONNXRUNTIME_CUDA
from sardonyx.compiler.targets.target import SessionSettings, Target

CONTRIB = frozenset(
    {
        *("Attention", "DecoderAttention", "DecoderMaskedMultiHeadAttention"),
        *("DecoderMaskedSelfAttention", "DynamicSparseAttention", "GroupQueryAttention"),
        *("LongformerAttention", "MultiHeadAttention", "PackedAttention"),
        *("PackedMultiHeadAttention", "PackedSparseAttentionIndexer", "PagedAttention"),
        *("SparseAttention", "SparseAttentionIndexer", "SparsePagedAttention"),
        *("GatedDeltaNet", "LinearAttention", "LinearAttentionGate"),
        *("CausalConvWithState", "VarlenCausalConvWithState"),
        *("GatedRelativePositionBias", "RelativePositionBias"),
        *("GemmaRotaryEmbedding", "MRotaryEmbedding", "RotaryEmbedding"),
        *("BiasGelu", "BiasSplitGelu", "FastGelu", "Gelu", "QuickGelu", "ScaledSiLU"),
        *("BiasAdd", "BiasDropout", "BiasSoftmax", "BitmaskBiasDropout", "BitmaskDropout"),
        *("EngramGate", "GatedAdd", "HyperConnectionPostMix", "HyperConnectionPreMix"),
        *("BranchwiseRMSNorm", "EmbedLayerNormalization", "GatedRMSNorm"),
        *("GroupNorm", "SkipGroupNorm"),
        *("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"),
        *("ConvTransposeWithDynamicPads", "FusedConv", "NhwcConv"),
        *("FusedMatMul", "TransposeMatMul", "GemmFloat8", "MoE", "QMoE"),
        *("MatMulBnb4", "MatMulBlockQuantizedFp4Weight", "MatMulBlockQuantizedFp8Weight"),
        *("MatMulNBits", "GatherBlockQuantized", "QAttention"),
        *("DequantizeLinear", "DequantizeWithOrder", "QuantizeLinear", "QuantizeWithOrder"),
        *("QOrderedAttention", "QOrderedGelu", "QOrderedLayerNormalization"),
        *("QOrderedLongformerAttention", "QOrderedMatMul"),
        *("BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"),
        *("NGramHashMapping", "NGramRepeatBlock", "VarlenNGramHashMapping"),
        *("ComplexMul", "ComplexMulConj", "Irfft", "Rfft", "Inverse"),
        *("DynamicTimeWarping", "GridSample", "UnfoldTensor"),
        *("RemovePadding", "RestorePadding", "Trilu"),
    }
)
"""Operators of com.microsoft that the CUDA provider of ONNX Runtime has kernels for."""

_ANY_OPSET = (
    *("Abs", "Add", "Cast", "Concat", "Div", "Erf", "Exp", "Expand"),
    *("Flatten", "Gather", "GatherElements", "GatherND", "Gemm", "Identity", "IsNaN"),
    *("LayerNormalization", "MatMul", "Max", "Min", "Mod", "Mul", "Neg", "Pow", "ReduceMean"),
    *("ReduceSum", "Relu", "Reshape", "ScatterElements", "ScatterND", "Shape"),
    *("Sigmoid", "Sign", "Size", "Slice", "Softmax", "Split", "Sqrt", "Squeeze", "Sub", "Sum"),
    *("Tanh", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where"),
    # By their functions, of which it has all operators; of that of Clip it lacks Less.
    *("ReduceL1", "ReduceSumSquare"),
)
_SINCE_22 = (
    *("AveragePool", "Conv", "Cos", "DeformConv", "HardSigmoid", "HardSwish", "LpNormalization"),
    *("Mish", "RoiAlign", "Sin", "Softplus", "Softsign"),
)
_NEWEST = ("Attention", "RMSNormalization", "RotaryEmbedding")
BFLOAT16 = (
    dict.fromkeys(_ANY_OPSET, 18)
    | {"Gelu": 20, "IsInf": 20}
    | dict.fromkeys(_SINCE_22, 22)
    | dict.fromkeys(_NEWEST, 23)
)
"""Operator -> the oldest opset at which the CUDA provider computes it in bfloat16.

From the kernels that the provider of onnxruntime 1.31.1 registers: those that serve the form of an
operator that the opset and all later ones up to 23 have. It has no kernel for the others, nor has
the CPU: a model with one of them in bfloat16 does not load.
"""


def kernels_of_bfloat16(opset: int) -> frozenset[str]:
    """Return the operators that the CUDA provider computes in bfloat16."""
    return frozenset(name for name, oldest in BFLOAT16.items() if oldest <= opset)


def kernels_of_float16(opset: int) -> frozenset[str]:
    """Return all operators but those that it computes in single precision only.

    What it has no kernel for in either runs on the CPU in either.
    """
    single = {"EyeLike", "GridSample", *(("IsInf",) if opset < 20 else ())}
    return operator_names("") - single


def missing_kernel(node: ir.Node, version: int) -> str | None:
    """Return why the CUDA provider fails with a node that it takes, or None where it does not.

    Args:
        node: A node of the standard domain.
        version: The version at which the domain is imported.
    """
    if node.op_type != "Attention":
        return None
    attributes = Attributes(node)
    if attributes.softmax_precision == ir.DataType.DOUBLE:
        return "ONNX Runtime's CUDA kernel of Attention has no softmax in double precision"
    scores = node.outputs[3] if len(node.outputs) > 3 else None
    is_read = scores is not None and (scores.uses() or scores.is_graph_output())
    if is_read and attributes.qk_matmul_output_mode:
        return "ONNX Runtime's CUDA kernel of Attention gives no scores but those of the product"
    return None


CUDA = Target(
    name="cuda",
    sentence="ONNX Runtime on a CUDA device",
    contrib={"": frozenset({"SimplifiedLayerNormalization"}), "com.microsoft": CONTRIB},
    # A node that runs on the CPU in between costs two copies, and no CUDA graph can be captured.
    kernel_gaps=ONNXRUNTIME_CUDA,
    missing_kernel=missing_kernel,
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
            # It takes the zeros before a MaxPool for its own padding, which is below any number.
            "Pad_Fusion",
        ),
    ),
    precisions=("fp16", "bf16"),
    half_kernels={"bf16": kernels_of_bfloat16, "fp16": kernels_of_float16},
    # Converted by ONNX Runtime: its operators in that layout are internal to it. Its bias epilogue
    # pays in this layout only.
    layouts={"nchw": {}, "nhwc": {"prefer_nhwc": "1", "fuse_conv_bias": "1"}},
    # There it has no convolutions in bfloat16 or double, and a transposed one cannot add its bias
    # (H200, onnxruntime 1.31.1).
    layout_gaps={"nhwc": frozenset({"bf16", "f64", "ConvTranspose"})},
    image_layout="nhwc",
)
