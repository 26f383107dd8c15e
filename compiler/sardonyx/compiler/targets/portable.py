"""Any ONNX runtime."""

from sardonyx.compiler.targets.kernel_gaps import ONNXRUNTIME_CPU
from sardonyx.compiler.targets.target import Target

PORTABLE = Target(
    name="portable",
    sentence="any ONNX runtime: operators of the ONNX standard only",
    kernel_gaps=ONNXRUNTIME_CPU,
    precisions=("fp16", "bf16"),
)
