"""A model as a table: its scopes and layers, what they give, and what they hold and cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

import onnx_ir as ir

from sardonyx.compiler.ir.calls import inline_calls
from sardonyx.compiler.ir.provenance import sources
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.ops.cost import cost_of
from sardonyx.compiler.ops.row import Absent, find
from sardonyx.frontends.dsl.dtypes import TensorSpec
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.trace import Parameter

_MULTIPLY = frozenset(
    {
        "Attention",
        "Conv",
        "ConvInteger",
        "ConvTranspose",
        "DeformConv",
        "Einsum",
        "GRU",
        "Gemm",
        "LSTM",
        "MatMul",
        "MatMulInteger",
        "QLinearConv",
        "QLinearMatMul",
        "RNN",
    }
)
"""Operators whose multiplications and additions come in pairs."""

_MEGA = 10**6


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: The scope's own name; an operator outside of layers has its type.
        depth: How many scopes it is in.
        shape: Dims of what it gives last.
        parameters: Elements of the parameters made in it and in the scopes inside.
        multiply_adds: Multiplications, each with an addition, in it and in the scopes inside.
    """

    name: str
    depth: int
    shape: str
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Summary:
    """What a model consists of; `print` shows the table.

    Attributes:
        rows: Model, scopes, layers and operators in order.
        parameters: Elements of all parameters.
        trainable: Those of parameters that training learns.
        multiply_adds: Of convolutions, matrix products, attention and recurrent layers; a body of
            control flow counts once.
        input_bytes: Bytes of the inputs.
        activation_bytes: Bytes of everything that nodes give.
        parameter_bytes: Bytes of the parameters.
        symbols: Symbolic sizes that stand for 1 in the numbers above.
    """

    rows: tuple[Row, ...]
    parameters: int
    trainable: int
    multiply_adds: int
    input_bytes: int
    activation_bytes: int
    parameter_bytes: int
    symbols: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = ("Layer", "Output shape", "Parameters", "Multiply-adds")
        cells = [
            (
                _branch(self.rows, index) + row.name,
                row.shape,
                f"{row.parameters:,}" if row.parameters else "--",
                f"{row.multiply_adds:,}" if row.multiply_adds else "--",
            )
            for index, row in enumerate(self.rows)
        ]
        widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
        line = "=" * (sum(widths) + 3 * 2)
        table = [_aligned(row, widths) for row in (head, *cells)]
        is_part = f" (at {', '.join(f'{s} = 1' for s in self.symbols)})" if self.symbols else ""
        total = self.input_bytes + self.activation_bytes + self.parameter_bytes
        numbers = [
            f"Parameters: {self.parameters:,}",
            f"Trainable parameters: {self.trainable:,}",
            f"Other parameters: {self.parameters - self.trainable:,}",
            f"Multiply-adds (millions): {self.multiply_adds / _MEGA:,.2f}{is_part}",
            line,
            f"Inputs (MB): {self.input_bytes / _MEGA:,.2f}{is_part}",
            f"Activations (MB): {self.activation_bytes / _MEGA:,.2f}{is_part}",
            f"Parameters (MB): {self.parameter_bytes / _MEGA:,.2f}",
            f"Total (MB): {total / _MEGA:,.2f}{is_part}",
        ]
        return "\n".join([line, table[0], line, *table[1:], line, *numbers, line])


@dataclass
class _Scope:
    """A scope while its nodes are gone through."""

    name: str
    depth: int
    inside: dict[str, _Scope] = field(default_factory=dict)
    values: list[ir.Value] = field(default_factory=list)
    parameters: int = 0
    multiply_adds: int = 0


def summarize(model: ir.Model, parameters: Mapping[str, Parameter], depth: int) -> Summary:
    """Return the table of a model.

    Args:
        model: The built model.
        parameters: Its parameters by name.
        depth: How many scopes deep the table goes; deeper ones are counted in their parents.

    Raises:
        DslError: The depth is negative.
    """
    if not isinstance(depth, int) or depth < 0:
        raise DslError(
            "A table has a depth of 0 or more.", found=repr(depth), expected="an int of 0 or more"
        )
    if model.functions:
        model = model.clone()
        inline_calls(model)
        Types.inferred(model)
    root = _Scope(str(model.graph.name), 0)
    seen = count()
    for node in model.graph.all_nodes():
        _add_node(root, node, depth, next(seen))
    for parameter in parameters.values():
        for scope in _scopes(root, parameter.name.split(".")[:-1], depth):
            scope.parameters += math.prod(parameter.shape)
    inputs = [value for value in model.graph.inputs if not value.is_initializer()]
    root.values += model.graph.outputs[:1]
    values = [value for node in model.graph.all_nodes() for value in node.outputs]
    return Summary(
        rows=tuple(_rows(root)),
        parameters=root.parameters,
        trainable=sum(math.prod(p.shape) for p in parameters.values() if p.trainable),
        multiply_adds=root.multiply_adds,
        input_bytes=sum(map(_nbytes, inputs)),
        activation_bytes=sum(map(_nbytes, values)),
        parameter_bytes=sum(math.prod(p.shape) * p.dtype.itemsize for p in parameters.values()),
        symbols=tuple(sorted({s for v in inputs for s in _symbols(v)})),
    )


def fixed(inputs: Mapping[str, TensorSpec], sizes: Mapping[str, int]) -> dict[str, TensorSpec]:
    """Return the types of inputs with numbers in the place of symbols.

    Raises:
        DslError: No input has such a symbol, or a number is no size.
    """
    known = {
        symbol
        for spec in inputs.values()
        for dim in spec.dims or ()
        if isinstance(dim, str)
        for symbol in ir.SymbolicDim(dim).free_symbols()
    }
    for name, size in sizes.items():
        if name not in known:
            raise DslError(
                f"No input has a size named {name!r}.",
                found=f"{name}={size}",
                expected=", ".join(sorted(known)) or "none: all sizes are fixed",
                remedy="name a symbolic size of the types of the inputs",
            )
        if not isinstance(size, int) or size < 0:
            raise DslError(
                f"The size {name!r} is no number.", found=repr(size), expected="an int of 0 or more"
            )
    return {
        name: spec
        if spec.dims is None
        else replace(spec, dims=tuple(_fixed(dim, sizes) for dim in spec.dims))
        for name, spec in inputs.items()
    }


def _fixed(dim: str | int, sizes: Mapping[str, int]) -> str | int:
    if isinstance(dim, int):
        return dim
    size = ir.SymbolicDim(dim).evaluate(dict(sizes))
    return size if isinstance(size, int) else dim


def _add_node(root: _Scope, node: ir.Node, depth: int, number: int) -> None:
    names = _path(node)
    cost = _multiply_adds(node)
    *_, last = scopes = list(_scopes(root, names, depth))
    for scope in scopes:
        scope.multiply_adds += cost
        scope.values += node.outputs[:1]
    if len(names) <= depth and len(names) < depth and not _is_of_sizes(node):
        # A row of its own, unless it turns out that all of its scope is one layer.
        last.inside[f"{number}"] = _Scope(node.op_type, len(names) + 1, values=[node.outputs[0]])
        last.inside[f"{number}"].multiply_adds = cost


def _path(node: ir.Node) -> list[str]:
    # Of a node in a function: the source of the call, a slash, its own.
    source = next(iter(sources(node)), "")
    parts = [part.rpartition(" ")[0] for part in source.split("/")]
    return [name for part in parts for name in part.split(".") if name]


def _scopes(root: _Scope, names: list[str], depth: int) -> Iterator[_Scope]:
    """Go through the scopes of a path from the outside, making those that are new."""
    yield root
    scope = root
    for level, name in enumerate(names[:depth], 1):
        # A prefix: a row of an operator has a number for its name.
        scope = scope.inside.setdefault(f".{name}", _Scope(name, level))
        yield scope


def _rows(scope: _Scope) -> Iterator[Row]:
    last = next((v for v in reversed(scope.values) if v.shape is not None), None)
    shape = f"[{', '.join(map(str, last.shape))}]" if last is not None and last.shape else "[]"
    yield Row(scope.name, scope.depth, shape, scope.parameters, scope.multiply_adds)
    has_scopes = any(key.startswith(".") for key in scope.inside)
    for inner in scope.inside.values() if has_scopes or not scope.depth else ():
        yield from _rows(inner)


def _multiply_adds(node: ir.Node) -> int:
    known = find(node)
    if node.op_type not in _MULTIPLY or known is None or isinstance(known.cost, Absent):
        return 0
    cost = cost_of(known.cost, node, 1)
    return cost.flops // 2 if cost is not None else 0


def _is_of_sizes(node: ir.Node) -> bool:
    """Say whether a node computes with sizes rather than with the model's tensors."""
    value = node.outputs[0]
    if node.op_type == "Constant":
        return True
    is_whole = value.dtype is not None and value.dtype.is_integer()
    return is_whole and value.shape is not None and len(value.shape) < 2


def _nbytes(value: ir.Value) -> int:
    if value.shape is None or value.dtype is None:
        return 0
    symbols = dict.fromkeys(_symbols(value), 1)
    dims = [d if isinstance(d, int) else d.evaluate(symbols) for d in value.shape]
    known = [dim if isinstance(dim, int) else 1 for dim in dims]
    bits = 64 if value.dtype == ir.DataType.STRING else value.dtype.bitwidth
    return -(-math.prod(known) * bits // 8)


def _symbols(value: ir.Value) -> set[str]:
    dims = [dim for dim in value.shape or () if isinstance(dim, ir.SymbolicDim)]
    return {symbol for dim in dims if dim.value is not None for symbol in dim.free_symbols()}


def _branch(rows: tuple[Row, ...], index: int) -> str:
    """Return the lines of the tree in front of a row."""
    depth = rows[index].depth
    if not depth:
        return ""
    marks = []
    for level in range(1, depth + 1):
        goes_on = False
        for later in rows[index + 1 :]:
            if later.depth <= level:
                goes_on = later.depth == level
                break
        is_own = level == depth
        marks.append(("├─" if goes_on else "└─") if is_own else ("│ " if goes_on else "  "))
    return "".join(marks)


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    name, shape, *numbers = cells
    right = [cell.rjust(width) for cell, width in zip(numbers, widths[2:], strict=True)]
    return "  ".join([name.ljust(widths[0]), shape.ljust(widths[1]), *right])
