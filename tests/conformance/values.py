"""Values in the forms that ONNX Runtime's Python binding takes and gives, and their comparison.

The suite's inputs are arrays, NumPy scalars, TensorProtos, ml_dtypes arrays, lists and None. The
binding takes narrow dtypes as raw bits with an element type, and gives some of them as raw bits,
others not at all (those are read from the memory of the output).
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
from onnx import numpy_helper

_BFLOAT16_RTOL = 2**-6  # The suite's own: two units in the last place.
_NARROW = {
    "bfloat16": ir.DataType.BFLOAT16,
    "float8e4m3fn": ir.DataType.FLOAT8E4M3FN,
    "float8e4m3fnuz": ir.DataType.FLOAT8E4M3FNUZ,
    "float8e5m2": ir.DataType.FLOAT8E5M2,
    "float8e5m2fnuz": ir.DataType.FLOAT8E5M2FNUZ,
    "int4": ir.DataType.INT4,
    "uint4": ir.DataType.UINT4,
    "float4e2m1": ir.DataType.FLOAT4E2M1,
}


def to_python(value: Any) -> Any:
    """Arrays, lists of arrays or None, from whatever the suite has."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, (list, tuple)):
        return [to_python(item) for item in value]
    return None if value is None else np.asarray(value)


def feed(value: Any) -> Any:
    """One input as `InferenceSession.run` takes it."""
    value = to_python(value)
    if not isinstance(value, np.ndarray) or value.dtype == object:
        return value
    dtype = _narrow_dtype(value.dtype)
    if dtype is None:
        return value
    bits = np.frombuffer(
        ir.tensor(value).tobytes(), dtype=np.uint8 if dtype.bitwidth <= 8 else "u2"
    )
    if dtype.bitwidth >= 8:
        bits = bits.reshape(value.shape)
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, int(dtype))


def _narrow_dtype(dtype: np.dtype[Any]) -> ir.DataType | None:
    if dtype.isbuiltin == 1:
        return None
    try:
        return ir.DataType.from_numpy(dtype)
    except TypeError:
        return None


def fetch(session: ort.InferenceSession, feeds: Mapping[str, Any]) -> list[Any]:
    """Run, and return all outputs with their real dtypes."""
    kinds = [_NARROW.get(_element(output.type)) for output in session.get_outputs()]
    if not any(kinds):
        return list(session.run(None, dict(feeds)))
    values = {
        name: x if isinstance(x, ort.OrtValue) else ort.OrtValue.ortvalue_from_numpy(x)
        for name, x in feeds.items()
    }
    outputs = session.run_with_ort_values(None, values)
    return [
        output.numpy() if kind is None else _read_bits(output, kind)
        for output, kind in zip(outputs, kinds, strict=True)
    ]


def _element(kind: str) -> str:
    """`tensor(bfloat16)` is of bfloat16; sequences are none of the narrow ones."""
    return kind[len("tensor(") : -1].lower() if kind.startswith("tensor(") else ""


def _read_bits(value: ort.OrtValue, dtype: ir.DataType) -> np.ndarray:
    shape = value.shape()
    size = (int(np.prod(shape)) * dtype.bitwidth + 7) // 8
    data = ctypes.string_at(value.data_ptr(), size)
    tensor = onnx.TensorProto(data_type=int(dtype), dims=shape, raw_data=data)
    return numpy_helper.to_array(tensor)


def difference(found: Any, expected: Any, rtol: float, atol: float) -> str | None:
    """Say how an output differs from the expected one, None if it does not.

    Numbers that are not floating point, strings and booleans must be equal; dtypes and shapes too.
    """
    expected = to_python(expected)
    if isinstance(expected, list) or isinstance(found, list):
        return _list_difference(found, expected, rtol, atol)
    if expected is None or found is None:
        return None if found is expected else f"{found!r} instead of {expected!r}"
    found = np.asarray(found)
    if found.shape != expected.shape:
        return f"shape {found.shape} instead of {expected.shape}"
    if expected.dtype.kind in "OSUT":
        is_equal = np.array_equal(found.astype(str), expected.astype(str))
        return None if is_equal else "other strings"
    if found.dtype != expected.dtype:
        return f"dtype {found.dtype} instead of {expected.dtype}"
    return _number_difference(found, expected, rtol, atol)


def _list_difference(found: Any, expected: Any, rtol: float, atol: float) -> str | None:
    if not isinstance(found, list) or not isinstance(expected, list):
        return f"{type(found).__name__} instead of {type(expected).__name__}"
    if len(found) != len(expected):
        return f"{len(found)} items instead of {len(expected)}"
    pairs: Sequence[tuple[Any, Any]] = list(zip(found, expected, strict=True))
    return next((d for f, e in pairs if (d := difference(f, e, rtol, atol))), None)


def _number_difference(
    found: np.ndarray, expected: np.ndarray, rtol: float, atol: float
) -> str | None:
    narrow = _narrow_dtype(expected.dtype)
    if narrow is None and expected.dtype.kind not in "fc":
        return None if np.array_equal(found, expected) else "other numbers"
    if narrow is not None:
        rtol = max(rtol, _BFLOAT16_RTOL) if narrow == ir.DataType.BFLOAT16 else rtol
        found, expected = found.astype(np.float32), expected.astype(np.float32)
    if np.allclose(found, expected, rtol=rtol, atol=atol, equal_nan=True):
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        worst = np.max(np.abs(found.astype(np.complex128) - expected.astype(np.complex128)))
    return f"other numbers, by up to {worst:.3g}"
