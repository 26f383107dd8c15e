"""Checks of the types that a model file declares of its values."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnx_ir as ir

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.frontends.onnx_file.limits import Limits
from sardonyx.frontends.onnx_file.walk import all_graphs
from sardonyx.frontends.onnx_file.where import quoted, scope_name

LARGEST_DIM = (1 << 40) - 1
UNKNOWN_DIM = -1
"""What some exporters write for a dimension that is not known; it is read as that."""

_KNOWN_DTYPES = frozenset(int(dtype) for dtype in ir.DataType)


def check_types(model: onnx.ModelProto, limits: Limits) -> None:
    """Check the types of the inputs, outputs and intermediate values that are declared.

    Raises:
        InvalidModelError: A dtype is not known, or a dimension is impossible.
        UnsupportedError: A value has more dimensions than are allowed.
    """
    for where, value in _values(model):
        for tensor in _tensor_types(value.type):
            if tensor.elem_type not in _KNOWN_DTYPES:
                raise InvalidModelError(
                    "A value has no known dtype.",
                    where=where,
                    found=f"elem_type {tensor.elem_type}",
                )
            check_rank(len(tensor.shape.dim), where, limits)
            for dim in tensor.shape.dim:
                if dim.HasField("dim_value"):
                    _check_dim(dim.dim_value, where)


def check_rank(rank: int, where: str, limits: Limits) -> None:
    """Refuse a tensor with too many dimensions."""
    limits.check("rank", rank, "A tensor has too many dimensions.", where)


def _check_dim(dim: int, where: str) -> None:
    if not UNKNOWN_DIM <= dim <= LARGEST_DIM:
        raise InvalidModelError(
            "A value has an impossible dimension.",
            where=where,
            found=str(dim),
            expected=f"0 to {LARGEST_DIM}",
        )


def _values(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.ValueInfoProto]]:
    for graph in all_graphs(model):
        scope = scope_name("graph", graph.name)
        for kind, values in (
            ("input", graph.input),
            ("output", graph.output),
            ("value", graph.value_info),
        ):
            for value in values:
                yield f"{kind} {quoted(value.name)}, {scope}", value
    for function in model.functions:
        scope = scope_name("function", function.name)
        for value in function.value_info:
            yield f"value {quoted(value.name)}, {scope}", value


def _tensor_types(
    declared: onnx.TypeProto,
) -> Iterator[onnx.TypeProto.Tensor | onnx.TypeProto.SparseTensor]:
    """Yield the tensors in a type, which may be a sequence, a map or an optional of them."""
    while True:
        kind = declared.WhichOneof("value")
        if kind == "tensor_type":
            yield declared.tensor_type
            return
        if kind == "sparse_tensor_type":
            yield declared.sparse_tensor_type
            return
        if kind == "sequence_type":
            declared = declared.sequence_type.elem_type
        elif kind == "optional_type":
            declared = declared.optional_type.elem_type
        elif kind == "map_type":
            declared = declared.map_type.value_type
        else:
            return
