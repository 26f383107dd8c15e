"""The compiler: a graph IR, rewriting, passes, targets and ONNX export."""

from sardonyx.compiler.errors import (
    CaptureError,
    ExportError,
    InvalidModelError,
    RewriteError,
    SardonyxError,
    UnsupportedError,
    VerifyError,
)
from sardonyx.compiler.explanation import Explanation
from sardonyx.compiler.ir.text import to_text
from sardonyx.compiler.ir.types import describe
from sardonyx.compiler.ir.verify import verify
from sardonyx.compiler.pipeline import compile, explain
from sardonyx.compiler.program import Program
from sardonyx.compiler.proof import ExecutionError, Incident, Proof

__all__ = [
    "CaptureError",
    "ExecutionError",
    "Explanation",
    "ExportError",
    "Incident",
    "InvalidModelError",
    "Program",
    "Proof",
    "RewriteError",
    "SardonyxError",
    "UnsupportedError",
    "VerifyError",
    "compile",
    "describe",
    "explain",
    "to_text",
    "verify",
]
