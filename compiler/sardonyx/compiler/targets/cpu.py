"""ONNX Runtime on a CPU."""

from sardonyx.compiler.targets.kernel_gaps import ONNXRUNTIME_CPU
from sardonyx.compiler.targets.kernels import missing_kernel, needs_body
from sardonyx.compiler.targets.target import SessionSettings, Target

CPU = Target(
    name="cpu",
    sentence="ONNX Runtime on an x86-64 or Arm CPU",
    contrib={
        "": frozenset({"SimplifiedLayerNormalization"}),
        "com.microsoft": None,
        "com.microsoft.nchwc": None,
    },
    kernel_gaps=ONNXRUNTIME_CPU,
    missing_kernel=missing_kernel,
    needs_body=needs_body,
    selections=(
        "group_norm_by_instance_norm",
        "flat_softmax",
        "depthwise_conv1d",
        "bias_gelu",
        "quick_gelu",
        "mish_by_exp",
        "prelu_by_relu",
        "softplus_by_log",
        "packed_attention",
        "multi_head_attention",
        # What no packed attention took up.
        "separate_linears",
    ),
    session=SessionSettings(
        # Masked softmax makes denormals, which are slow.
        config={"session.set_denormal_as_zero": "1"},
        disabled_optimizers=(
            # The fused kernels are slower than an Add and a LayerNormalization.
            "SkipLayerNormFusion",
            "BiasSkipLayerNormFusion",
            # Gemm adds its bias on one thread, and its Reshapes block further fusion.
            "MatMulAddFusion",
            # It takes the zeros before a MaxPool for its own padding, which is below any number.
            "Pad_Fusion",
        ),
    ),
)
