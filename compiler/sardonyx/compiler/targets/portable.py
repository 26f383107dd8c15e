"""Any ONNX runtime."""

from sardonyx.compiler.targets.kernel_gaps import ONNXRUNTIME_CPU
from sardonyx.compiler.targets.target import Target

PORTABLE = Target(
    name="portable",
    sentence="any ONNX runtime: operators of the ONNX standard only",
    kernel_gaps=ONNXRUNTIME_CPU,
    # ONNX's function for GroupNormalization takes the square of the mean from the mean of squares,
    # which cancels; runtimes without a kernel for it run that.
    selections=("group_norm_by_instance_norm",),
    precisions=("fp16", "bf16"),
)
