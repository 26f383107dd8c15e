"""Tensors in the memory of an accelerator: taken and given without a copy, by DLPack.

DLPack is how array libraries share memory: https://dmlc.github.io/dlpack/latest/.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import CPU_DEVICES, DEVICES, is_torch, settled


def is_ort_value(value: Any) -> bool:
    """Whether this is an ``onnxruntime.OrtValue``; duck typed, its import is slow."""
    return hasattr(value, "data_type") and hasattr(value, "tensor_size_in_bytes")


def device_of(value: Any) -> str | None:
    """Where a tensor's memory is, for example ``cuda:0``; None for what is in CPU memory."""
    if is_torch(value):
        device = value.device
        return None if device.type == "cpu" else f"{device.type}:{device.index or 0}"
    find = getattr(value, "__dlpack_device__", None)
    if find is None:
        return None
    kind, index = find()
    if int(kind) in CPU_DEVICES:
        return None
    return f"{DEVICES.get(int(kind), f'DLPack device {int(kind)}')}:{int(index)}"


def to_value(tensor: Any) -> Any:
    """An ``OrtValue`` that shares the memory of a tensor on a device.

    Raises:
        AttributeError, BufferError, RuntimeError, TypeError, ValueError: It cannot be shared.
    """
    if is_ort_value(tensor):
        return tensor
    from onnxruntime import OrtValue

    if not is_torch(tensor):
        return OrtValue.from_dlpack(tensor)
    tensor = settled(tensor).contiguous()
    torch = sys.modules["torch"]
    if tensor.dtype != torch.bool:
        return OrtValue.from_dlpack(tensor)
    return OrtValue.from_dlpack(_Truth(tensor.view(torch.uint8)))


class _Truth:
    """Bytes that are truth values: ONNX Runtime does not read those of DLPack."""

    dtype = "bool"

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def __dlpack__(self) -> Any:
        return self._tensor.__dlpack__()


def to_torch(value: Any) -> Any:
    """A torch tensor that shares an ``OrtValue``'s memory."""
    torch = sys.modules["torch"]
    tensor = torch.from_dlpack(value)
    # DLPack as ONNX Runtime writes it has no truth values.
    return tensor.view(torch.bool) if value.data_type() == "tensor(bool)" else tensor


def write_into(place: Any, value: NDArray[Any]) -> None:
    """Write an array into bound memory: another array, or an ``OrtValue`` on a device."""
    if is_ort_value(place):
        place.update_inplace(value)
    else:
        np.copyto(place, value)


def copy_of(value: Any) -> NDArray[Any]:
    """An array of one's own with what is in an array, or in an ``OrtValue`` on a device."""
    array: NDArray[Any] = value.numpy() if is_ort_value(value) else value
    return array.copy()
