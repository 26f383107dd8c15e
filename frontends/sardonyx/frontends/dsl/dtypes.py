"""Element types, and the types of a model's inputs: `f32["batch", 1, 28, 28]`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.frontends.dsl.errors import DslError


@dataclass(frozen=True)
class DType:
    """An element type; indexed with dims it is the type of an input.

    Attributes:
        name: The short name, for example "f32".
        code: The same as an onnx_ir dtype.
    """

    name: str
    code: ir.DataType

    def __getitem__(self, dims: str | int | tuple[str | int, ...] | EllipsisType) -> TensorSpec:
        """Return the type of a tensor: ints are fixed sizes, strings name symbolic ones.

        A string may be an expression of symbols, such as "16*height". `f32[()]` is a scalar,
        `f32[...]` a tensor of any rank.

        Raises:
            DslError: A dim is neither a non-negative int nor a string that reads as a size.
        """
        if isinstance(dims, EllipsisType):
            return TensorSpec(self, None)
        listed = dims if isinstance(dims, tuple) else (dims,)
        return TensorSpec(self, tuple(_checked_dim(dim) for dim in listed))

    def __str__(self) -> str:
        return self.name

    @property
    def is_float(self) -> bool:
        """Whether the numbers have a fraction."""
        return self.code.is_floating_point()

    @property
    def is_int(self) -> bool:
        """Whether this is a signed or unsigned integer type."""
        return self.code.is_integer()

    @property
    def is_signed(self) -> bool:
        """Whether negative numbers exist."""
        return self.code.is_signed()

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype with the same numbers (of ml_dtypes where numpy has none)."""
        return self.code.numpy()


@dataclass(frozen=True)
class TensorSpec:
    """The type of an input, or of an argument of a body.

    Attributes:
        dtype: Element type.
        dims: Sizes; a string names a symbolic one. None where the rank is not known.
        wraps: "sequence" or "optional", the outer one first, where it is no plain tensor.
        name: The input's name in the graph, where that is not the argument's.
    """

    dtype: DType
    dims: tuple[str | int, ...] | None
    wraps: tuple[str, ...] = ()
    name: str | None = None

    def named(self, name: str) -> TensorSpec:
        """Return the type of an input that has another name in the graph, such as "input.1"."""
        return replace(self, name=name)

    def value(self, name: str) -> ir.Value:
        """Return a new value of this type."""
        kind: ir.TypeProtocol = ir.TensorType(self.dtype.code)
        for wrap in reversed(self.wraps):
            kind = ir.SequenceType(kind) if wrap == "sequence" else ir.OptionalType(kind)
        shape = None if self.dims is None else ir.Shape(self.dims)
        return ir.Value(name=name, shape=shape, type=kind)

    def __str__(self) -> str:
        dims = "..." if self.dims is None else ", ".join(map(str, self.dims))
        inner = f"{self.dtype}[{dims}]"
        for wrap in reversed(self.wraps):
            inner = f"{wrap}({inner})"
        return inner


def sequence(element: TensorSpec) -> TensorSpec:
    """Return the type of a sequence of tensors: `dsl.sequence(dsl.f32["n", 3])`.

    Raises:
        DslError: `element` is not the type of a tensor.
    """
    if not isinstance(element, TensorSpec) or element.wraps:
        raise DslError(
            "A sequence holds tensors.",
            found=str(element),
            expected="a dtype with dims, such as dsl.f32['n', 3], or dsl.f32[...] for any shape",
        )
    return replace(element, wraps=("sequence",))


def optional(element: TensorSpec) -> TensorSpec:
    """Return the type of what may be absent: `dsl.optional(dsl.f32["n", 3])`.

    Raises:
        DslError: `element` is not the type of a tensor or of a sequence.
    """
    if not isinstance(element, TensorSpec) or "optional" in element.wraps:
        raise DslError(
            "What may be absent is a tensor or a sequence.",
            found=str(element),
            expected="dsl.optional(dsl.f32['n', 3]), or of dsl.sequence(...)",
        )
    return replace(element, wraps=("optional", *element.wraps))


def spec_of(value: ir.Value) -> TensorSpec:
    """Return the type of a value whose dtype is known."""
    assert value.dtype is not None
    wraps, kind = [], value.type
    while isinstance(kind, (ir.SequenceType, ir.OptionalType)):
        wraps.append("sequence" if isinstance(kind, ir.SequenceType) else "optional")
        kind = kind.elem_type
    dims: tuple[str | int, ...] | None = None
    if value.shape is not None:
        dims = tuple(d if isinstance(d, int) else str(d) for d in value.shape)
    return TensorSpec(named(value.dtype), dims, tuple(wraps))


def _checked_dim(dim: object) -> str | int:
    if isinstance(dim, (int, np.integer)) and not isinstance(dim, bool) and dim >= 0:
        return int(dim)
    if isinstance(dim, str) and dim:
        try:
            ir.SymbolicDim(dim).free_symbols()
        except ValueError as error:
            raise DslError(
                f"{dim!r} is no name of a dimension.",
                found=str(error),
                expected="a name such as 'batch', or an expression such as '2*height'",
                remedy="write letters, digits and _, as in a name of Python",
            ) from None
        return dim
    raise DslError(
        "A dimension of an input is neither a size nor a name.",
        found=repr(dim),
        expected="a non-negative int, or a string such as 'batch'",
        remedy="name a size that is known only when the model runs: f32['batch', 3]",
    )


_CODES = {
    "f64": ir.DataType.DOUBLE,
    "f32": ir.DataType.FLOAT,
    "f16": ir.DataType.FLOAT16,
    "bf16": ir.DataType.BFLOAT16,
    "f8e4m3fn": ir.DataType.FLOAT8E4M3FN,
    "f8e4m3fnuz": ir.DataType.FLOAT8E4M3FNUZ,
    "f8e5m2": ir.DataType.FLOAT8E5M2,
    "f8e5m2fnuz": ir.DataType.FLOAT8E5M2FNUZ,
    "i64": ir.DataType.INT64,
    "i32": ir.DataType.INT32,
    "i16": ir.DataType.INT16,
    "i8": ir.DataType.INT8,
    "i4": ir.DataType.INT4,
    "u64": ir.DataType.UINT64,
    "u32": ir.DataType.UINT32,
    "u16": ir.DataType.UINT16,
    "u8": ir.DataType.UINT8,
    "u4": ir.DataType.UINT4,
    "bool_": ir.DataType.BOOL,
    "c64": ir.DataType.COMPLEX64,
    "c128": ir.DataType.COMPLEX128,
    "string": ir.DataType.STRING,
}
ALL = {name: DType(name, code) for name, code in _CODES.items()}
_BY_CODE = {dtype.code: dtype for dtype in ALL.values()}

f64, f32, f16, bf16 = ALL["f64"], ALL["f32"], ALL["f16"], ALL["bf16"]
i64, i32, i16, i8 = ALL["i64"], ALL["i32"], ALL["i16"], ALL["i8"]
u64, u32, u16, u8 = ALL["u64"], ALL["u32"], ALL["u16"], ALL["u8"]
bool_, string = ALL["bool_"], ALL["string"]

DTypeLike = DType | ir.DataType | str | type | np.dtype[Any]
"""What may name an element type: `dsl.f32`, "f32", "float32", `np.float32`."""


def named(code: ir.DataType) -> DType:
    """Return the DType of an onnx_ir dtype."""
    return _BY_CODE.get(code) or DType(code.name.lower(), code)


def to_dtype(wanted: DTypeLike) -> DType:
    """Return the DType that `wanted` names.

    Raises:
        DslError: It names none.
    """
    if isinstance(wanted, DType):
        return wanted
    if isinstance(wanted, ir.DataType):
        return named(wanted)
    if isinstance(wanted, str) and wanted in ALL:
        return ALL[wanted]
    try:
        return named(ir.DataType.from_numpy(np.dtype(wanted)))
    except TypeError:
        near = difflib.get_close_matches(str(wanted), ALL, n=1)
        raise DslError(
            f"There is no dtype {wanted!r}.",
            found=repr(wanted),
            expected=", ".join(ALL),
            remedy=f"did you mean {near[0]!r}?" if near else "write dsl.f32, or its name",
        ) from None
