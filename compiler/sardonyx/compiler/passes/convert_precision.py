"""Computes in half precision what half precision can hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants, provenance
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.schema import Operator, operator
from sardonyx.compiler.ir.scope import subgraphs
from sardonyx.compiler.ir.signature import CANONICAL_OPSET, Attributes
from sardonyx.compiler.ops.precision import ACCUMULATES_WIDE, ANGLES, WIDE_RANGE
from sardonyx.compiler.passes.base import Pass, PassReport
from sardonyx.compiler.rewrite import Miss

PRECISIONS = {"fp16": ir.DataType.FLOAT16, "bf16": ir.DataType.BFLOAT16}
"""The dtypes by the names that users give."""

_LARGEST = {ir.DataType.FLOAT16: 65504.0, ir.DataType.BFLOAT16: 3.3895313892515355e38}

_FLOAT = ir.DataType.FLOAT
_MASK_OF_ATTENTION = 3
_KEPT = {"Cast", "CastLike", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}


@dataclass(frozen=True)
class ConvertPrecision(Pass):
    """Convert operators on single precision to half precision, and casts at the borders.

    Inputs and outputs of the model keep their dtypes, as does what runs in subgraphs. These
    stay in single precision: operators whose results overflow (`ops.precision`), those that have
    a constant that half precision cannot hold, and what reads either, up to the next operator
    that sums in single precision anyway. So do operators that the target has no kernel for.

    Attributes:
        precision: "fp16" or "bf16".
        kernels: The operators that the target has kernels for in it; None for all.
    """

    precision: str = "fp16"
    kernels: frozenset[str] | None = None
    name: ClassVar[str] = "convert_precision"

    def run(self, editor: Editor) -> PassReport:
        """Convert node by node, in order."""
        dtype = PRECISIONS[self.precision]
        graph = editor.model.graph
        reasons = _reasons(graph, dtype, self.kernels)
        conversion = _Conversion(editor, dtype, f"to_{self.precision}")
        for node in list(graph):
            if node not in reasons:
                conversion.convert(node)
        report = PassReport({conversion.rule: conversion.sites} if conversion.sites else {})
        first = next(((n, why) for n, why in reasons.items() if why), None)
        if first is not None:
            report.misses[conversion.rule] = Miss(provenance.site(first[0]), first[1], 1)
        return report


class _Conversion:
    """What is known of the values in half precision while the nodes are converted in order."""

    def __init__(self, editor: Editor, dtype: ir.DataType, rule: str) -> None:
        self.rule = rule
        self.sites: list[str] = []
        self._editor = editor
        self._dtype = dtype
        self._narrow: dict[ir.Value, ir.Value] = {}

    def convert(self, node: ir.Node) -> None:
        slots = list(_convertible(node, self._dtype))
        if not slots:
            return
        op = self._editor.builder()
        inputs = list(node.inputs)
        for index in slots:
            value = inputs[index]
            assert value is not None
            is_mask = node.op_type == "Attention" and index == _MASK_OF_ATTENTION
            inputs[index] = self._narrowed(op, value, is_mask)
        made = op.call(
            node.op_type, *inputs, outputs=len(node.outputs), attributes=Attributes(node)
        )
        results = [
            self._widened(op, new) if new.dtype == self._dtype and old.dtype == _FLOAT else new
            for old, new in zip(
                node.outputs, made if isinstance(made, tuple) else (made,), strict=True
            )
        ]
        self.sites.append(self._editor.replace(node.outputs, results, op, self.rule).site)

    def _narrowed(self, op: Builder, value: ir.Value, is_mask: bool) -> ir.Value:
        if value in self._narrow and not is_mask:
            return self._narrow[value]
        array = constants.array(value)
        # Scores that are added to it must not overflow.
        lowest = -_LARGEST[self._dtype] / 2
        narrow: ir.Value
        if array is not None:
            kept = np.maximum(array, lowest) if is_mask else array
            narrow = op.constant(kept.astype(self._dtype.numpy()))
        elif is_mask:
            # Finite numbers that exclude all keys of a query mean some mean of all; -inf is NaN.
            narrow = op.Max(op.Cast(value, to=self._dtype), lowest)
        else:
            narrow = op.Cast(value, to=self._dtype)
        if not is_mask:
            self._narrow[value] = narrow
        return narrow

    def _widened(self, op: Builder, narrow: ir.Value) -> ir.Value:
        wide: ir.Value = op.Cast(narrow, to=_FLOAT)
        self._narrow[wide] = narrow
        return wide


def _schema(node: ir.Node) -> Operator | None:
    return operator(node.domain, node.op_type, CANONICAL_OPSET) if node.domain == "" else None


def _convertible(node: ir.Node, dtype: ir.DataType) -> Iterator[int]:
    """Yield the numbers of the operands that are in single precision and may be in half."""
    known = _schema(node)
    if known is None or node.op_type in _KEPT or any(subgraphs(node)):
        return
    spelling = f"tensor({dtype.name.lower()})"
    for index, value in enumerate(node.inputs):
        if value is None or value.dtype != _FLOAT or not isinstance(value.type, ir.TensorType):
            continue
        slot = known.inputs[min(index, len(known.inputs) - 1)]
        if spelling in slot.allowed:
            yield index


# --- what stays ------------------------------------------------------------------------------


def _reasons(
    graph: ir.Graph, dtype: ir.DataType, kernels: frozenset[str] | None
) -> dict[ir.Node, str]:
    """Return the nodes that stay in single precision, each with the reason."""
    found: dict[ir.Node, str] = {}
    for node in graph:
        if node.op_type in ANGLES and node.domain == "":
            for earlier in _leading_to(node):
                found.setdefault(earlier, "")
    # In the order of the graph: what a node reads is decided before it is.
    too_wide: set[ir.Value] = set()
    for node in graph:
        why = _own_reason(node, dtype)
        if why is None and node.op_type not in ACCUMULATES_WIDE and too_wide & set(node.inputs):
            why = ""
        if why is not None:
            found.setdefault(node, why)
            too_wide.update(node.outputs)
        elif (
            kernels is not None and node.op_type not in kernels and list(_convertible(node, dtype))
        ):
            found.setdefault(node, f"the target has no kernel for {node.op_type} in {dtype.name}")
    return found


def _own_reason(node: ir.Node, dtype: ir.DataType) -> str | None:
    """Return why a node stays in single precision on its own account, or None."""
    if node.domain == "" and node.op_type in WIDE_RANGE and dtype == ir.DataType.FLOAT16:
        return f"the result of {node.op_type} can leave the range of half precision"
    largest = _LARGEST[dtype]
    for index in _convertible(node, dtype):
        if node.op_type == "Attention" and index == _MASK_OF_ATTENTION:
            continue
        array = constants.array(node.inputs[index])
        if array is not None and _largest(array) > largest:
            name = node.inputs[index].name  # type: ignore[union-attr]
            return f"its constant {name} has elements beyond {largest:g}"
    return None


def _largest(array: Any) -> float:
    finite = array[np.isfinite(array)]
    return float(np.abs(finite).max(initial=0.0))


def _leading_to(node: ir.Node) -> Sequence[ir.Node]:
    """Return a node and what its operands are computed by, back to the layers of a network."""
    found, pending = [], [node]
    seen = {node}
    while pending:
        found.append(pending.pop())
        for earlier in found[-1].predecessors():
            if earlier not in seen and not _is_layer(earlier):
                seen.add(earlier)
                pending.append(earlier)
    return found


def _is_layer(node: ir.Node) -> bool:
    """Say whether a node is a product with weights; a table of frequencies is small."""
    arrays = [constants.tensor(value) for value in node.inputs]
    return node.op_type in ACCUMULATES_WIDE and any(a is not None and a.size > 4096 for a in arrays)
