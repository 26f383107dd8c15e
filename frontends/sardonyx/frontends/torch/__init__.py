"""PyTorch modules and exported programs as ONNX models."""

from sardonyx.frontends.torch.convert import from_torch

__all__ = ["from_torch"]
