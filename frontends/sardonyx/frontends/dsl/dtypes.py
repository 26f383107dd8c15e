"""Element types, and the types of a model's inputs: `f32["batch", 1, 28, 28]`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
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

    def __getitem__(self, dims: str | int | tuple[str | int, ...]) -> TensorSpec:
        """Return the type of a tensor: ints are fixed sizes, strings name symbolic ones.

        A string may be an expression of symbols, such as "16*height". `f32[()]` is a scalar.

        Raises:
            DslError: A dim is neither a non-negative int nor a string that reads as a size.
        """
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
    """The type of an input.

    Attributes:
        dtype: Element type.
        dims: Sizes; a string names a symbolic one.
    """

    dtype: DType
    dims: tuple[str | int, ...]

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.dims))}]"


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
            expected=", ".join(ALL),
            remedy=f"did you mean {near[0]!r}?" if near else None,
        ) from None
