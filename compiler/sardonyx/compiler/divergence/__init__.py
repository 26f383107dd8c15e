"""Where two models that should compute the same begin to differ."""

from sardonyx.compiler.divergence.compare import compare
from sardonyx.compiler.divergence.report import Comparison, Divergence, Moment, OutputDifference
from sardonyx.compiler.divergence.side import Disturbance, OnnxSide, Side

__all__ = [
    "Comparison",
    "Disturbance",
    "Divergence",
    "Moment",
    "OnnxSide",
    "OutputDifference",
    "Side",
    "compare",
]
