"""Well-formedness of nodes against the operator schemas of the ONNX standard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from sardonyx.compiler.ir.schema import (
    KNOWN_VERSIONS,
    Operator,
    Slot,
    is_standard,
    operator,
    type_spelling,
)
from sardonyx.compiler.ir.scope import Scope
from sardonyx.compiler.ir.types import describe
from sardonyx.compiler.ir.violation import Violation

_UNBOUNDED = 1 << 30


def opset_imports(scope: Scope) -> Iterator[Violation]:
    """The domain of each node is imported, at a version that exists."""
    if scope.parent is None:
        for domain, version in scope.opsets.items():
            first, last = KNOWN_VERSIONS.get(domain, (1, version))
            if not first <= version <= last:
                what = f"Domain {domain!r} is imported at a version that does not exist."
                yield Violation(what, scope, None, str(version), f"{first} to {last}")
    opsets = scope.opsets
    for node in scope.nodes:
        if node.domain not in opsets:
            what = f"Domain {node.domain!r} is not imported."
            yield Violation(what, scope, node, found=f"imports {_imports(opsets)}")


def known_operator(scope: Scope) -> Iterator[Violation]:
    """An operator of the standard exists at the imported version and is not deprecated there."""
    for node in scope.nodes:
        if not is_standard(node.domain, node.op_type) or _is_function(scope, node):
            continue
        version = scope.opsets.get(node.domain, 1)
        known = operator(node.domain, node.op_type, version)
        where = f"opset {version}" + (f" of {node.domain}" if node.domain else "")
        if known is None:
            yield Violation(f"There is no operator {node.op_type!r} in {where}.", scope, node)
        elif known.deprecated:
            yield Violation(f"Operator {node.op_type!r} is deprecated in {where}.", scope, node)


def operand_counts(scope: Scope) -> Iterator[Violation]:
    """A node has as many operands and outputs as its operator takes and gives."""
    for node, known in _known(scope):
        for kind, count, (least, most) in (
            ("operands", len(node.inputs), known.input_counts),
            ("outputs", len(node.outputs), known.output_counts),
        ):
            if not least <= count <= most:
                upto = f"{least} or more" if most > _UNBOUNDED else f"{least} to {most}"
                bounds = str(least) if least == most else upto
                what = f"{node.op_type} has the wrong number of {kind}."
                yield Violation(what, scope, node, str(count), bounds)


def required_parts(scope: Scope) -> Iterator[Violation]:
    """No operand or attribute that an operator requires is left out."""
    for node, known in _known(scope):
        for index, (slot, value) in enumerate(zip(known.inputs, node.inputs, strict=False)):
            if value is None and slot.required:
                yield Violation(f"Required operand {index} ({slot.name}) is left out.", scope, node)
        for name in known.required_attributes:
            if name not in node.attributes:
                yield Violation(f"Required attribute {name!r} is missing.", scope, node)


def attribute_types(scope: Scope) -> Iterator[Violation]:
    """A node has only attributes that its operator has, of the right type."""
    for node, known in _known(scope):
        for name, attribute in node.attributes.items():
            expected = known.attributes.get(name)
            if expected is None:
                names = ", ".join(known.attributes) or "none"
                what = f"{node.op_type} has no attribute {name!r}."
                yield Violation(what, scope, node, expected=names)
            elif attribute.type != expected:
                what = f"Attribute {name!r} has the wrong type."
                found = attribute.type.name.lower()
                yield Violation(what, scope, node, found, expected.name.lower())


def no_trailing_gap(scope: Scope) -> Iterator[Violation]:
    """The last operand of a node is not a left-out one: that crashes some kernels."""
    for node in scope.nodes:
        if node.inputs and node.inputs[-1] is None:
            what = f"Operand {len(node.inputs) - 1}, the last, is left out by an empty name."
            yield Violation(what, scope, node, expected="no operand there at all")


def operand_types(scope: Scope) -> Iterator[Violation]:
    """Operands and outputs have types that the operator takes, and type variables agree."""
    for node, known in _known(scope):
        for what, found, expected in type_conflicts(node, known):
            yield Violation(what, scope, node, found, expected)


def type_conflicts(node: ir.Node, known: Operator) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong, what was found and what expected of the types of a node."""
    bound: dict[str, str] = {}
    for kind, slots, values in (
        ("Operand", known.inputs, node.inputs),
        ("Output", known.outputs, node.outputs),
    ):
        for index, slot, value, spelling in _typed(slots, values):
            what = f"{kind} {index} ({slot.name}) of {node.op_type} has "
            if spelling not in slot.allowed:
                what += "a type that it does not take."
                yield what, describe(value), ", ".join(sorted(slot.allowed))
            elif slot.homogeneous and bound.setdefault(slot.variable, spelling) != spelling:
                what += f"another type than what shares its type {slot.variable}."
                yield what, describe(value), bound[slot.variable]


def _typed(
    slots: Sequence[Slot], values: Sequence[ir.Value | None]
) -> Iterator[tuple[int, Slot, ir.Value, str]]:
    """Yield the values whose types are known, with their formal operands or outputs."""
    for index, value in enumerate(values):
        spelling = type_spelling(value.type) if value is not None else ""
        if value is not None and spelling and slots:
            yield index, slots[min(index, len(slots) - 1)], value, spelling


def _known(scope: Scope) -> Iterator[tuple[ir.Node, Operator]]:
    opsets = scope.opsets
    for node in scope.nodes:
        if node.domain in KNOWN_VERSIONS and not _is_function(scope, node):
            known = operator(node.domain, node.op_type, opsets.get(node.domain, 1))
            if known is not None:
                yield node, known


def _is_function(scope: Scope, node: ir.Node) -> bool:
    functions = scope.model.functions
    return bool(functions) and node.op_identifier() in functions


def _imports(opsets: dict[str, int]) -> str:
    return ", ".join(f"{d!r} {v}" for d, v in sorted(opsets.items()))
