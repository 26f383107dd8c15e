"""The operators of the standard by name; `standard.pyi` says how each is called."""

from __future__ import annotations

from sardonyx.frontends.dsl.operators import Operators


class Standard(Operators):
    """The operators of standard ONNX at opset 23."""


class MachineLearning(Operators):
    """The operators of classical machine learning, at version 5 of their domain."""


op = Standard()
"""The operators of standard ONNX at opset 23."""

ml = MachineLearning("ai.onnx.ml")
"""The operators of classical machine learning."""
