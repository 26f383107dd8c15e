"""bfloat16, float8 and 4- or 2-bit integers: numpy has no such types, ml_dtypes has.

ONNX Runtime's Python binding takes and returns them only as ``OrtValue``. Two- and four-bit
elements are packed, the first element in the low bits, as the ONNX format stores them.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .engine import Engine
from .errors import LoadError, RunError
from .specs import Spec


class Narrow(NamedTuple):
    """An element type: its number in ONNX's TensorProto.DataType, and its width in bits."""

    code: int
    bits: int


NARROW = {
    "bfloat16": Narrow(16, 16),
    "float8_e4m3fn": Narrow(17, 8),
    "float8_e4m3fnuz": Narrow(18, 8),
    "float8_e5m2": Narrow(19, 8),
    "float8_e5m2fnuz": Narrow(20, 8),
    "uint4": Narrow(21, 4),
    "int4": Narrow(22, 4),
    "uint2": Narrow(25, 2),
    "int2": Narrow(26, 2),
}
RAW = {16: np.uint16, 8: np.uint8}


def narrow_dtype(name: str) -> np.dtype[Any]:
    """The numpy dtype of this name, from ml_dtypes.

    Raises:
        LoadError: ml_dtypes is not installed.
    """
    try:
        import ml_dtypes
    except ImportError:
        raise LoadError(
            f"the model has inputs or outputs of type {name}, which numpy alone cannot hold",
            remedy="pip install ml_dtypes",
        ) from None
    dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return dtype


def to_ort(array: NDArray[Any], name: str) -> Any:
    """An ``OrtValue`` with these elements; shares the array's memory unless it must be packed."""
    from onnxruntime import OrtValue

    code, bits = NARROW[name]
    if bits in RAW:
        return OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(RAW[bits]), code)
    value = OrtValue.ortvalue_from_shape_and_type(list(array.shape), code)
    packed = pack(array.ravel(), bits)
    if packed.size:
        ctypes.memmove(value.data_ptr(), packed.ctypes.data, packed.nbytes)
    return value


def from_ort(value: Any, name: str) -> NDArray[Any]:
    """The elements of a CPU ``OrtValue`` as an array of its own."""
    bits = NARROW[name].bits
    shape, size = tuple(value.shape()), value.tensor_size_in_bytes()
    raw = np.zeros(size, np.uint8)
    if size:
        ctypes.memmove(raw.ctypes.data, value.data_ptr(), size)
    if bits in RAW:
        return raw.view(narrow_dtype(name)).reshape(shape)
    count = int(np.prod(shape, dtype=np.int64))
    # ml_dtypes reads the low bits alone, sign included.
    return unpack(raw, bits, count).view(narrow_dtype(name)).reshape(shape)


def pack(elements: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Whole numbers of a few bits each, packed into bytes."""
    per_byte = 8 // bits
    low = elements.view(np.uint8) & np.uint8((1 << bits) - 1)
    rows = np.pad(low, (0, -low.size % per_byte)).reshape(-1, per_byte)
    shifts = np.arange(per_byte, dtype=np.uint8) * bits
    packed: NDArray[np.uint8] = np.bitwise_or.reduce(rows << shifts, axis=1).astype(np.uint8)
    return packed


def unpack(packed: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.uint8]:
    """The first ``count`` elements of a packed array, each in the low bits of a byte."""
    shifts = np.arange(8 // bits, dtype=np.uint8) * bits
    low = (packed[:, None] >> shifts) & np.uint8((1 << bits) - 1)
    return low.ravel()[:count]


def run_as_values(
    engine: Engine, names: list[str], feed: dict[str, Any], outputs: list[Spec], options: Any
) -> Any:
    """Run a model that has narrow outputs, which the binding cannot return as arrays."""
    from onnxruntime import OrtValue

    values = {}
    for name, value in feed.items():
        is_array = isinstance(value, np.ndarray)
        if (is_array and value.dtype.kind == "O") or not (is_array or isinstance(value, OrtValue)):
            raise RunError(
                "ONNX Runtime's binding returns narrow outputs only when each input is numeric",
                where=f"input '{name}'",
                found=f"outputs {', '.join(map(str, outputs))}",
                remedy="cast the narrow outputs to float32 in the model",
            )
        values[name] = OrtValue.ortvalue_from_numpy(value) if is_array else value
    run = engine.raw.run_with_ort_values
    results = engine.call(run, (names, values), options)
    return [
        from_ort(result, spec.dtype) if spec.dtype in NARROW else result.numpy()
        for result, spec in zip(results, outputs, strict=True)
    ]
