"""Checks one value against one input, and turns it into what ONNX Runtime takes.

Arrays are passed on as they are: memory is copied only where ONNX Runtime would misread it (foreign
byte order, strides, misalignment). Python numbers are converted without loss or not at all; an
array is never cast. In a list each item is treated so.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from .arrays import OnDeviceError, as_array, cast, describe, is_literal, is_torch
from .device_tensors import device_of, is_ort_value, to_value
from .errors import InputError, SardonyxError
from .limits import limits_text
from .narrow import NARROW, narrow_dtype, to_ort
from .specs import Spec

T = TypeVar("T")
Check = Callable[[Any], Any]

CONTIGUOUS_ALIGNED = 0x101
"""Of ``ndarray.flags.num``: NPY_ARRAY_C_CONTIGUOUS and NPY_ARRAY_ALIGNED."""


def check_for(spec: Spec, where: str, devices: frozenset[str] = frozenset()) -> Check:
    """The check of an input's values: takes what the caller passed, returns what ORT takes.

    Args:
        spec: The input.
        where: What to call the model in errors.
        devices: Where tensors may be besides CPU memory: ``cuda:0``.
    """
    dtype = _numpy_dtype(spec.dtype)
    if spec.kind in ("sparse", "map"):
        return lambda value: value
    item = TensorCheck(spec, dtype, where, devices)
    check = SequenceCheck(spec, where, item) if "sequence" in spec.kind else item
    if not spec.kind.startswith("optional"):
        return check
    return lambda value: None if value is None else check(value)


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of an array or ``OrtValue``."""
    shape: tuple[int, ...] = value.shape if type(value) is np.ndarray else tuple(value.shape())
    return shape


def _numpy_dtype(name: str) -> np.dtype[Any]:
    """The dtype of the arrays an input takes; ``void`` where only an ``OrtValue`` will do."""
    if name == "string":
        return np.dtype(object)
    if name in NARROW:
        return narrow_dtype(name)
    try:
        return np.dtype(name)
    except TypeError:
        return np.dtype("V")


class SequenceCheck:
    """Checks the value of a sequence input: a list or tuple of tensors."""

    def __init__(self, spec: Spec, where: str, item: TensorCheck) -> None:
        self._spec, self._where, self._item = spec, where, item

    def __call__(self, value: Any) -> Any:
        """A list of arrays; an ``OrtValue`` as it is."""
        if is_ort_value(value):
            return value
        if not isinstance(value, list | tuple):
            raise InputError(
                f"input '{self._spec.name}' is a sequence of tensors",
                kind="type",
                input=self._spec.name,
                where=self._where,
                found=describe(value),
                expected=self._spec.type,
                remedy="pass a list of arrays",
            )
        return [self._item(element) for element in value]


class TensorCheck:
    """Checks and normalises the value of a tensor input, or one item of a sequence input."""

    def __init__(
        self, spec: Spec, dtype: np.dtype[Any], where: str, devices: frozenset[str]
    ) -> None:
        self._spec, self._dtype, self._where, self._devices = spec, dtype, where, devices
        self._is_text = dtype.kind == "O"
        # Strings are looked at one by one, whatever their memory is like.
        self._taken_as_is = None if self._is_text else dtype
        self._is_narrow = spec.dtype in NARROW
        self._rank = None if spec.shape is None else len(spec.shape)
        fixed = [(axis, dim, dim) for axis, dim in enumerate(spec.shape or ()) if type(dim) is int]
        limited = [
            (axis, least, inf if most is None else most) for axis, least, most in spec.limits
        ]
        self._sizes = (*fixed, *limited)

    def __call__(self, value: Any) -> Any:
        """An array (an ``OrtValue`` for a narrow dtype) that ONNX Runtime reads right."""
        if (
            type(value) is np.ndarray
            and value.dtype is self._taken_as_is
            and value.flags.num & CONTIGUOUS_ALIGNED == CONTIGUOUS_ALIGNED
        ):
            array = value
        else:
            array = self._guarded(self._normalise, value, "type", "is no array")
        if self._rank is not None:
            shape = array.shape if type(array) is np.ndarray else shape_of(array)
            if len(shape) != self._rank:
                self._wrong_rank(array, len(shape))
            for axis, least, most in self._sizes:
                if not least <= shape[axis] <= most:
                    self._wrong_size(array, axis)
        if self._is_narrow and isinstance(array, np.ndarray):
            return to_ort(array, self._spec.dtype)
        return array

    def _normalise(self, value: Any) -> Any:
        device = device_of(value)
        if device in self._devices and not is_literal(value):
            value = self._guarded(to_value, value, "type", "cannot be read where it is")
        if is_ort_value(value):
            if device is not None and device not in self._devices:
                self._elsewhere(value, f"it is on device {device}")
            if value.data_type() not in self._spec.ort_type:
                self._fail("dtype", "has the wrong dtype", describe(value))
            return value
        if value is None:
            self._fail("type", "is not optional", "None")
        return self._to_array(value)

    def _to_array(self, value: Any) -> NDArray[Any]:
        is_list = isinstance(value, list | tuple)
        if is_literal(value) or (is_list and self._is_text):
            return self._guarded(self._from_literal, value, "value", "is no array")
        if is_list:
            return np.stack([self._to_array(item) for item in value])
        array = as_array(value)
        if self._is_text:
            return self._text(array)
        if array.dtype == self._dtype:
            return np.require(array, requirements=["C", "ALIGNED"])
        if array.dtype.newbyteorder("=") != self._dtype:
            self._wrong_dtype(value, array)
        return array.astype(self._dtype, order="C")

    def _guarded(self, read: Callable[[Any], T], value: Any, kind: str, what: str) -> T:
        """What ``read`` makes of a value; whatever a foreign object raises is an InputError."""
        try:
            return read(value)
        except OnDeviceError as error:
            self._elsewhere(value, str(error))
        except (SardonyxError, MemoryError):
            raise
        except Exception as error:
            self._fail(kind, what, f"{describe(value)}; {error}")

    def _elsewhere(self, value: Any, found: str) -> NoReturn:
        places = ", ".join(["CPU memory", *sorted(self._devices)])
        self._fail(
            "device",
            "is in memory that the session does not read",
            f"{describe(value)}; {found}",
            f"x.cpu(), or load the model for that device; this session reads {places}",
        )

    def _text(self, array: NDArray[Any]) -> NDArray[Any]:
        """Strings as an object array: the binding reads other objects as their ``repr``."""
        if array.dtype.kind == "S":
            remedy = "decode the bytes: numpy.char.decode(x, 'utf-8')"
            self._fail("dtype", "has the wrong dtype", describe(array), remedy)
        if array.dtype.kind not in "UOT":
            self._fail("dtype", "has the wrong dtype", describe(array))
        texts = np.asarray(array.astype(object), order="C")
        for text in texts.flat:
            if not isinstance(text, str):
                self._fail("dtype", "has an element that is not a string", describe(text))
        return texts

    def _from_literal(self, value: Any) -> NDArray[Any]:
        """Python numbers in the input's dtype, if they keep their value."""
        array = np.asarray(value, dtype=object if self._is_text else None)
        if self._is_text:
            return self._text(array)
        converted = cast(array, self._dtype)
        if converted is None:
            self._fail("value", f"does not fit {self._spec.dtype} without loss", describe(value))
        return converted

    def _wrong_rank(self, array: Any, rank: int) -> NoReturn:
        remedy = "add the leading axis: x[None]" if rank + 1 == self._rank else None
        found = f"{describe(array)}, which has rank {rank}"
        self._fail("rank", "has the wrong rank", found, remedy)

    def _wrong_size(self, array: Any, axis: int) -> NoReturn:
        found = [(least, most) for limited, least, most in self._spec.limits if limited == axis]
        if not found:
            self._fail("dim", f"has the wrong size in axis {axis}", describe(array))
        name = str((self._spec.shape or ())[axis])
        what = f"has a size in axis {axis} that the model is not made for"
        remedy = "give it a size within, or capture the model with an example of that size"
        self._fail("dim", what, describe(array), remedy, limits_text(name, *found[0]))

    def _wrong_dtype(self, value: Any, array: NDArray[Any]) -> NoReturn:
        name = self._spec.dtype
        if is_torch(value):
            remedy = f"x.to(torch.{name})"
        else:
            remedy = f"x.astype({'ml_dtypes' if self._is_narrow else 'numpy'}.{name})"
        self._fail("dtype", "has the wrong dtype", describe(array), remedy)

    def _fail(
        self, kind: str, what: str, found: str, remedy: str | None = None, limits: str = ""
    ) -> NoReturn:
        item = "an item of " if "sequence" in self._spec.kind else ""
        raise InputError(
            f"{item}input '{self._spec.name}' {what}",
            kind=kind,
            input=self._spec.name,
            where=self._where,
            found=found,
            expected=f"{self._spec.type}, {limits}" if limits else self._spec.type,
            remedy=remedy,
        )
