"""Numpy views of what people pass: arrays, torch tensors, DLPack objects, Python numbers."""

from __future__ import annotations

import reprlib
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .narrow import narrow_dtype

CPU_DEVICES = {1, 3}  # DLPack device types: CPU memory, and CPU memory pinned for CUDA
DEVICES = {2: "cuda", 4: "opencl", 7: "vulkan", 8: "metal", 10: "rocm", 14: "oneapi"}
LITERALS = (bool, int, float, complex, str, bytes)
# torch dtypes that neither numpy nor DLPack's consumers know, and a same-sized one they do.
TORCH_RAW = {
    "bfloat16": "int16",
    "float8_e4m3fn": "uint8",
    "float8_e4m3fnuz": "uint8",
    "float8_e5m2": "uint8",
    "float8_e5m2fnuz": "uint8",
}


class OnDeviceError(ValueError):
    """The tensor's memory is not CPU memory."""


def as_array(value: Any) -> NDArray[Any]:
    """The elements of an array-like as an ndarray that shares its memory, whatever its strides.

    Raises:
        OnDeviceError: The memory is not CPU memory.
        TypeError: The object offers no protocol numpy can read.
        Exception: The object's own refusal.
    """
    if isinstance(value, np.ndarray):
        if np.ma.is_masked(value):
            raise ValueError("it has masked elements, and a model knows no mask")
        return np.asarray(value)
    if is_torch(value):
        return _from_torch(value)
    if hasattr(value, "__dlpack_device__"):
        _refuse_device(int(value.__dlpack_device__()[0]))
        if not hasattr(value, "__array__"):
            return np.from_dlpack(value)
    elif not (hasattr(value, "__array__") or isinstance(value, bytearray | memoryview)):
        raise TypeError("it has neither __dlpack__ nor __array__")
    return np.asarray(value)


def is_torch(value: Any) -> bool:
    """Whether this is a torch tensor; does not import torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_literal(value: Any) -> bool:
    """Whether this is a Python number or string, or a nested list of them (empty ones too)."""
    if not isinstance(value, list | tuple):
        return isinstance(value, LITERALS) and not isinstance(value, np.generic)
    # A long list has few types.
    kinds = set(map(type, value))
    if any(issubclass(kind, list | tuple) for kind in kinds):
        return all(map(is_literal, value))
    return all(issubclass(kind, LITERALS) and not issubclass(kind, np.generic) for kind in kinds)


def cast(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """The same numbers in another dtype; None if one of them would not keep its value.

    From float to float the nearest number will do, unless it overflowed or became zero; otherwise
    the numbers must be equal, compared as Python does, without a common dtype that rounds.
    """
    if array.dtype.kind not in "biuf" and not array.dtype.kind == dtype.kind == "c":
        return None
    with np.errstate(all="ignore"):
        converted = array.astype(dtype, order="C")
        return converted if _keeps_value(array, converted) else None


def _keeps_value(before: NDArray[Any], after: NDArray[Any]) -> bool:
    is_integer = after.dtype.kind in "biu" or after.dtype.name.startswith(("int", "uint"))
    if before.dtype.kind not in "fc" or is_integer:
        return bool(before.tolist() == after.tolist())
    wide = after.astype(np.complex128 if after.dtype.kind == "c" else np.float64)
    same = [np.isfinite(before) == np.isfinite(wide), (before == 0) == (wide == 0)]
    return bool(np.all(same)) and np.array_equal(np.isnan(before), np.isnan(wide))


def describe(value: Any) -> str:
    """A value in a few words: dtype and shape of an array, type and start of anything else."""
    try:
        return _in_words(value)
    except Exception:  # Whatever a foreign object raises where others have a shape.
        return type(value).__name__


def _in_words(value: Any) -> str:
    if hasattr(value, "dtype") and isinstance(getattr(value, "shape", None), tuple):
        shape = ", ".join(map(str, value.shape))
        dtype = getattr(value.dtype, "name", str(value.dtype))
        return f"{dtype}[{shape}]" if value.shape else dtype
    if callable(getattr(value, "data_type", None)):
        return f"OrtValue {value.data_type()}"
    return "None" if value is None else f"{type(value).__name__} {reprlib.repr(value)}"


def settled(tensor: Any) -> Any:
    """A torch tensor without gradient whose memory holds its numbers.

    DLPack knows neither the signs that torch changes when it reads, nor tensors without memory.

    Raises:
        ValueError: It has no memory.
    """
    if tensor.requires_grad:
        tensor = tensor.detach()
    if tensor.is_neg() or tensor.is_conj():
        tensor = tensor.resolve_conj().resolve_neg()
    if tensor.numel() and not tensor.data_ptr():
        raise ValueError("it has no memory: it is fake, functionalized, or stands for zeros")
    return tensor


def _from_torch(tensor: Any) -> NDArray[Any]:
    if tensor.device.type != "cpu":
        raise OnDeviceError(f"it is on device {tensor.device}")
    tensor = settled(tensor)
    name = str(tensor.dtype).removeprefix("torch.")
    if name in TORCH_RAW:
        raw = tensor.view(getattr(sys.modules["torch"], TORCH_RAW[name]))
        array: NDArray[Any] = np.from_dlpack(raw).view(narrow_dtype(name))
        return array
    return np.from_dlpack(tensor)


def _refuse_device(device: int) -> None:
    if device not in CPU_DEVICES:
        raise OnDeviceError(f"it is on device {DEVICES.get(device, f'type {device} of DLPack')}")
