"""Contrib operators with bodies in standard ONNX, so that one file runs fast here and anywhere.

ONNX Runtime takes its own kernel for an operator of its domain and ignores the body; every other
runtime inlines the body.
"""

from sardonyx.compiler.contrib.bodies import BODIES, WITHOUT_BODY, add_function_bodies

__all__ = ["BODIES", "WITHOUT_BODY", "add_function_bodies"]
