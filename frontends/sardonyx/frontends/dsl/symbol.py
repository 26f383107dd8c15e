"""What every symbolic tensor knows: its value, the graph it lives in, its dtype and dims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import onnx_ir as ir

from sardonyx.frontends.dsl.dtypes import DType, named
from sardonyx.frontends.dsl.errors import DslError

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor
    from sardonyx.frontends.dsl.trace import Block

RawDim = int | ir.SymbolicDim


class Symbol:
    """A value of the graph that is being built; `Tensor` adds the operators.

    Attributes:
        value: The onnx_ir value.
        block: The graph, or the body of a control-flow operator, that it belongs to.
    """

    __slots__ = ("block", "value")

    def __init__(self, value: ir.Value, block: Block) -> None:
        self.value = value
        self.block = block

    @property
    def dtype(self) -> DType:
        """The element type.

        Raises:
            DslError: It is not known: the value comes from an operator without type inference.
        """
        if self.value.dtype is None:
            raise DslError(
                "The dtype of this value is not known.",
                found=describe(self),
                remedy="cast it with dsl.op.Cast(x, to=...) or compute it in another way",
            )
        return named(self.value.dtype)

    @property
    def dims(self) -> tuple[RawDim, ...]:
        """The sizes as onnx_ir has them.

        Raises:
            DslError: The rank is not known.
        """
        if self.value.shape is None:
            raise DslError(
                "The rank of this value is not known.",
                found=describe(self),
                remedy="give it a shape with x.reshape(...)",
            )
        return tuple(self.value.shape)

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.dims)

    @property
    def name(self) -> str:
        """The name of the value in the graph."""
        return self.value.name or "?"

    def __repr__(self) -> str:
        return f"Tensor({describe(self)})"


def is_tensor(operand: object) -> TypeGuard[Tensor]:
    """Say whether this is a symbolic tensor."""
    return isinstance(operand, Symbol)


def require_tensor(*operands: object) -> None:
    """Refuse what is no symbolic tensor.

    Raises:
        DslError: It is none.
    """
    for operand in operands:
        if not is_tensor(operand):
            raise DslError(
                "This function takes a symbolic tensor.",
                found=describe(operand),
                expected="an input of the model, or what was computed from one",
                remedy="make a tensor of numbers with dsl.constant(...)",
            )


def listed(items: Any) -> list[Any]:
    """Return one thing, or several in a list or tuple, as a list."""
    return list(items) if isinstance(items, (list, tuple)) else [items]


def describe(symbol: object) -> str:
    """Return `x f32[batch, 3]` for messages."""
    if not isinstance(symbol, Symbol):
        return f"{type(symbol).__name__} {symbol!r}"
    return describe_value(symbol.value)


def describe_value(value: ir.Value | None) -> str:
    """Return `x f32[batch, 3]` for messages."""
    if value is None:
        return "nothing"
    if value.type is not None and not isinstance(value.type, ir.TensorType):
        return f"{value.name} {value.type}"
    dtype = named(value.dtype).name if value.dtype is not None else "?"
    dims = ", ".join(map(str, value.shape)) if value.shape is not None else "..."
    return f"{value.name} {dtype}[{dims}]"


def describe_all(*symbols: object) -> str:
    """Return the descriptions of several operands, for messages."""
    return ", ".join(map(describe, symbols))
