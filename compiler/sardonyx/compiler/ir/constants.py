"""Reading the constant behind a value."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

Array = npt.NDArray[Any]


def tensor(value: ir.Value | None) -> ir.TensorProtocol | None:
    """Return the constant tensor of an initializer or Constant output, or None.

    An initializer that is also a graph input is no constant: the caller may override it.
    """
    if value is None or value.is_graph_input():
        return None
    if value.is_initializer():
        return value.const_value
    producer = value.producer()
    if producer is None:
        # A constant that a builder made and that no graph holds yet.
        return value.const_value
    if producer.op_type != "Constant" or producer.domain or not _is_dense(producer):
        return None
    (attr,) = producer.attributes.values()
    if attr.type in {ir.AttributeType.STRING, ir.AttributeType.STRINGS} and not attr.is_ref():
        return _strings(attr.value)
    if attr.type == ir.AttributeType.TENSOR and not attr.is_ref():
        # onnx_ir's own reading gives the tensor the value's name.
        return attr.as_tensor()
    return ir.convenience.get_const_tensor(value)


def _is_dense(constant: ir.Node) -> bool:
    return len(constant.attributes) == 1 and "sparse_value" not in constant.attributes


def _strings(held: str | tuple[str, ...]) -> ir.StringTensor:
    """onnx_ir's own reading refuses letters that are not ASCII."""
    texts = [held] if isinstance(held, str) else list(held)
    shape = ir.Shape([] if isinstance(held, str) else [len(texts)])
    return ir.StringTensor([text.encode() for text in texts], shape=shape)


def is_constant(value: ir.Value | None) -> bool:
    """Say whether the value is known at compile time."""
    return tensor(value) is not None


def array(value: ir.Value | None, most_bytes: int | None = None) -> Array | None:
    """Return the constant behind a value as a numpy array, or None.

    Args:
        value: The value to read.
        most_bytes: Larger constants read as None, so that weights stay on disk.
    """
    known = tensor(value)
    if known is None or (most_bytes is not None and bytes_of(known) > most_bytes):
        return None
    if isinstance(known, ir.StringTensor):
        # As an array of numpy's own bytes they would lose zeros at their ends.
        held = np.empty(known.size, dtype=object)
        held[:] = list(known.string_data())
        return held.reshape(known.shape.numpy())
    return np.asarray(known.numpy())


def bytes_of(known: ir.TensorProtocol) -> int:
    """Return the size of a tensor; a string counts as the pointer that numpy holds."""
    return known.size * 8 if known.dtype == ir.DataType.STRING else known.nbytes
