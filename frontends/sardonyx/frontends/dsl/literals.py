"""Python text of what a node of a model has: attributes, arrays, types."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.frontends.dsl.dtypes import ALL, named, spec_of
from sardonyx.frontends.dsl.errors import DslError

_NUMPY_KINDS = "biufc"


def of_text(text: str | bytes) -> str:
    """Return a text in double quotes."""
    return repr(text) if isinstance(text, bytes) else json.dumps(text, ensure_ascii=False)


def of_sizes(sizes: Iterable[int]) -> str:
    """Return a shape as a tuple."""
    listed = [str(n) for n in sizes]
    return f"({', '.join(listed)}{',' if len(listed) == 1 else ''})"


def of_dtype(code: ir.DataType) -> str:
    """Return `dsl.f32`, or the name of a dtype that is no attribute of the package.

    Raises:
        DslError: The language has no such dtype.
    """
    name = named(code).name
    if name not in ALL:
        raise DslError("The language has no such dtype.", found=name, expected=", ".join(ALL))
    return f"dsl.{name}"


def of_number(number: float | int | bool) -> str:
    """Return a number; infinities and NaN as calls."""
    if isinstance(number, float) and not math.isfinite(number):
        return f'float("{number}")'
    return repr(number)


def of_array(tensor: ir.TensorProtocol) -> str:
    """Return a call that makes an array with the numbers of a tensor.

    Raises:
        DslError: Text of the tensor is no UTF-8, or its dtype has no name.
    """
    if tensor.dtype == ir.DataType.STRING:
        texts = [_text(item) for item in np.asarray(tensor.numpy()).reshape(-1)]
        flat = f"np.array([{', '.join(map(of_text, texts))}], np.str_)"
        return _shaped(flat, tensor)
    data = np.asarray(tensor.numpy())
    if data.dtype.kind in _NUMPY_KINDS:
        name = "bool_" if data.dtype.kind == "b" else data.dtype.name
        return f"np.array({_nested(data.tolist())}, np.{name})"
    # Types of ml_dtypes: numbers of a wide dtype, converted.
    wide = data.astype(np.float64 if named(tensor.dtype).is_float else np.int64)
    numbers = f"np.array({_nested(wide.tolist())})"
    return f"{numbers}.astype({of_dtype(tensor.dtype)}.numpy)"


def of_type(value: ir.Value, known: dict[str, str]) -> str:
    """Return the type of an input: `dsl.f32["batch", 3]`.

    Args:
        value: The input.
        known: Names of symbolic sizes that are no words, and the words for them; added to.

    Raises:
        DslError: The dtype is not known.
    """
    if value.dtype is None:
        raise DslError(
            f"The type of the input {value.name!r} is not known.",
            found=str(value.type),
            expected="a tensor, a sequence or an optional with a dtype",
        )
    spec = spec_of(value)
    dims = "..."
    if value.shape is not None:
        dims = ", ".join(_dim(dim, known) for dim in value.shape) or "()"
    text = f"{of_dtype(value.dtype)}[{dims}]"
    for wrap in reversed(spec.wraps):
        text = f"dsl.{wrap}({text})"
    return text


def of_attribute(attribute: ir.Attr) -> str:
    """Return the value of an attribute that is no graph.

    Raises:
        DslError: It is of a kind that cannot be written.
    """
    kind, value = attribute.type, attribute.value
    if kind == ir.AttributeType.TENSOR:
        return of_array(value)
    if kind in (ir.AttributeType.INT, ir.AttributeType.FLOAT):
        return _of_attribute_number(value)
    if kind == ir.AttributeType.STRING:
        return of_text(value)
    if kind in (ir.AttributeType.INTS, ir.AttributeType.FLOATS):
        return f"[{', '.join(map(_of_attribute_number, value))}]"
    if kind == ir.AttributeType.STRINGS:
        return f"[{', '.join(map(of_text, value))}]"
    raise DslError(
        f"The attribute {attribute.name!r} cannot be written as a program.",
        found=f"an attribute of kind {kind.name}",
        expected="numbers, strings, tensors, bodies, or lists of numbers and strings",
    )


def _of_attribute_number(number: float | int) -> str:
    """Return a number of an attribute: the shortest that is the same in float32."""
    short = float(str(np.float32(number))) if isinstance(number, float) else number
    return of_number(short)


def _dim(dim: int | ir.SymbolicDim, known: dict[str, str]) -> str:
    if isinstance(dim, int):
        return str(dim)
    text = str(dim.value) if dim.value is not None else f"unnamed_{len(known)}"
    # Names with an underscore in front are those that inference makes.
    plain = re.sub(r"(?<![\w.])_+(\w)", r"size_\1", text)
    if dim.value is not None and _is_size(plain):
        return of_text(plain)
    if text not in known:
        word = re.sub(r"\W", "_", plain)
        known[text] = word if word.isidentifier() else f"size_{word}"
    return of_text(known[text])


def _is_size(text: str) -> bool:
    try:
        ir.SymbolicDim(text).free_symbols()
    except ValueError:
        return False
    return True


def _nested(items: Any) -> str:
    if isinstance(items, list):
        return f"[{', '.join(map(_nested, items))}]"
    if isinstance(items, complex):
        return f"complex({of_number(items.real)}, {of_number(items.imag)})"
    return of_number(items)


def _shaped(flat: str, tensor: ir.TensorProtocol) -> str:
    dims = tensor.shape.numpy()
    return flat if len(dims) == 1 else f"{flat}.reshape({of_sizes(dims)})"


def _text(item: Any) -> str:
    try:
        return item.decode() if isinstance(item, bytes) else str(item)
    except UnicodeDecodeError:
        raise DslError(
            "A text of the model is no UTF-8.", found=repr(item), expected="texts in UTF-8"
        ) from None
