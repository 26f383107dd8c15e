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
    if producer.op_type != "Constant" or producer.domain:
        return None
    return ir.convenience.get_const_tensor(value)


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
    if known is None or (most_bytes is not None and _bytes_of(known) > most_bytes):
        return None
    return np.asarray(known.numpy())


def _bytes_of(known: ir.TensorProtocol) -> int:
    """Return the size of a tensor; a string counts as the pointer that numpy holds."""
    return known.size * 8 if known.dtype == ir.DataType.STRING else known.nbytes
