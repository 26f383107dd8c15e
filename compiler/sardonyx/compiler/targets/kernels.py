"""Whether ONNX Runtime's CPU provider has a kernel for a node, by its own list of kernels.

`kernels_cpu.json` is written by `python -m benchmarks.kernels`, from what ONNX Runtime says of
itself; a test compares it with the ONNX Runtime that is installed.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from dataclasses import dataclass
from typing import Any

import onnx
import onnx_ir as ir

from sardonyx.compiler.ir.schema import Operator, operator, type_spelling


@dataclass(frozen=True)
class Kernel:
    """One entry of the list.

    Attributes:
        first: The version of the operator that it was written for.
        last: The last version that it serves; None: only those forms that `first` is current for.
        types: The dtypes it takes, by type variable (or operand) of the schema.
    """

    first: int
    last: int | None
    types: dict[str, frozenset[str]]

    def serves(self, since: int) -> bool:
        """Say whether it runs the form of the operator that came with a version."""
        return since == self.first or (self.last is not None and self.first < since <= self.last)


@functools.cache
def cpu_kernels(domain: str, op_type: str) -> tuple[Kernel, ...]:
    """Return the CPU kernels of an operator, for all of its versions from 18 on."""
    return tuple(
        Kernel(
            first, last, {variable: frozenset(kinds.split()) for variable, kinds in types.items()}
        )
        for first, last, alternatives in _table().get(domain, {}).get(op_type, ())
        for types in alternatives
    )


@functools.cache
def _table() -> dict[str, dict[str, list[tuple[int, int | None, list[dict[str, str]]]]]]:
    resource = importlib.resources.files(__package__).joinpath("kernels_cpu.json")
    found: dict[str, dict[str, list[tuple[int, int | None, list[dict[str, str]]]]]] = json.loads(
        resource.read_text(encoding="utf-8")
    )["kernels"]
    return found


def missing_kernel(node: ir.Node, version: int) -> str | None:
    """Return why the CPU provider cannot run a node, or None where it can or nobody knows.

    Operators that ONNX defines by a function are run by that where they have no kernel. Half
    precision runs in single, between casts that ONNX Runtime inserts.

    Args:
        node: A node of the standard domain.
        version: The version at which the domain is imported.
    """
    known = operator(node.domain, node.op_type, version)
    if known is None or node.domain or node.op_type == "Constant":
        return None
    if has_function(node.op_type, version):
        # Whether all that the function needs has kernels, nobody looks up.
        return None
    kernels = _serving(node, known)
    if not kernels:
        return f"ONNX Runtime has no CPU kernel for {node.op_type} of opset {known.since}"
    if any(_takes(kernel, node, known) for kernel in kernels):
        return None
    kinds = sorted({k for v in (*node.inputs, *node.outputs) if v and (k := _kind(v))})
    return f"ONNX Runtime has no CPU kernel for {node.op_type} of {', '.join(kinds)}"


def needs_body(node: ir.Node, version: int) -> bool:
    """Say whether an operator is to be written out by its function, for want of a kernel.

    ONNX Runtime does that itself, but not where the function is written in another opset, and not
    where an operator of the function wants for a kernel too, as several do in double precision.
    """
    known = operator(node.domain, node.op_type, version)
    if known is None or node.domain or not has_function(node.op_type, version):
        return False
    kernels = _serving(node, known)
    if any(_takes(kernel, node, known) for kernel in kernels):
        return False
    return bool(kernels) or any(v is not None and _kind(v) == "double" for v in node.inputs)


def _serving(node: ir.Node, known: Operator) -> list[Kernel]:
    return [kernel for kernel in cpu_kernels("", node.op_type) if kernel.serves(known.since)]


@functools.cache
def has_function(op_type: str, version: int) -> bool:
    """Say whether ONNX defines an operator by a function of others."""
    # onnx's stub lacks the two attributes.
    schema: Any = onnx.defs.get_schema(op_type, version, "")
    return bool(schema.has_function or schema.has_context_dependent_function)


def _takes(kernel: Kernel, node: ir.Node, known: Operator) -> bool:
    for values, slots in ((node.inputs, known.inputs), (node.outputs, known.outputs)):
        for index, value in enumerate(values):
            slot = slots[min(index, len(slots) - 1)]
            allowed = kernel.types.get(slot.variable, kernel.types.get(slot.name))
            kind = _kind(value) if value is not None else ""
            if kind and allowed is not None and not {kind, _wider(kind)} & allowed:
                return False
    return True


def _wider(kind: str) -> str:
    return "float" if kind == "float16" else kind


def _kind(value: ir.Value) -> str:
    """Return a value's type as the table spells it, "" where it is not known."""
    spelled = type_spelling(value.type)
    return spelled[len("tensor(") : -1] if spelled.startswith("tensor(") else spelled
