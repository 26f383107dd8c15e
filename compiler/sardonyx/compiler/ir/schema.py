"""The operators of the ONNX standard as the verifier reads them, looked up once each."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable
from dataclasses import dataclass

import onnx
import onnx_ir as ir

KNOWN_VERSIONS: dict[str, tuple[int, int]] = dict(onnx.defs.C.schema_version_map())
"""First and last version of each domain that the onnx package has schemas for."""

_RUNTIME_OPERATORS = {("", "SimplifiedLayerNormalization")}
"""What ONNX Runtime puts into a domain of the standard on its own account."""


def is_standard(domain: str, op_type: str) -> bool:
    """Say whether an operator is one whose schema the standard has, if it exists at all."""
    return domain in KNOWN_VERSIONS and (domain, op_type) not in _RUNTIME_OPERATORS


@dataclass(frozen=True)
class Slot:
    """A formal operand or result.

    Attributes:
        name: Its name in the schema.
        variable: The type variable, or the one type it takes.
        allowed: The types it takes, spelled as ONNX does: "tensor(float)".
        required: It may not be left out.
        homogeneous: Of a variadic one, all have the same type.
    """

    name: str
    variable: str
    allowed: frozenset[str]
    required: bool
    homogeneous: bool


@dataclass(frozen=True)
class Operator:
    """An operator of the standard at one version."""

    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    input_counts: tuple[int, int]
    output_counts: tuple[int, int]
    attributes: dict[str, ir.AttributeType]
    required_attributes: tuple[str, ...]
    deprecated: bool
    since: int


@functools.cache
def operator(domain: str, op_type: str, version: int) -> Operator | None:
    """Return an operator of the standard, or None where it has no such operator."""
    try:
        schema = onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None
    types = {
        c.type_param_str: frozenset(t.replace(" ", "") for t in c.allowed_type_strs)
        for c in schema.type_constraints
    }
    attributes = {
        name: ir.AttributeType(attribute.type)  # type: ignore[arg-type]
        for name, attribute in schema.attributes.items()
    }
    return Operator(
        inputs=tuple(_slot(p, types) for p in schema.inputs),
        outputs=tuple(_slot(p, types) for p in schema.outputs),
        input_counts=(schema.min_input, schema.max_input),
        output_counts=(schema.min_output, schema.max_output),
        attributes=attributes,
        required_attributes=tuple(n for n, a in schema.attributes.items() if a.required),
        deprecated=schema.deprecated,
        since=schema.since_version,
    )


@functools.cache
def operator_names(domain: str) -> frozenset[str]:
    """Return the names of all operators of a domain of the standard."""
    return frozenset(s.name for s in onnx.defs.get_all_schemas() if s.domain == domain)


def meant(name: str, known: Iterable[str]) -> str | None:
    """Return what to do about a name that is not known, if it is like one that is."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"write {near[0]!r}, if that is meant" if near else None


def _slot(parameter: onnx.defs.OpSchema.FormalParameter, types: dict[str, frozenset[str]]) -> Slot:
    option = onnx.defs.OpSchema.FormalParameterOption
    return Slot(
        parameter.name,
        parameter.type_str,
        types.get(parameter.type_str, frozenset({parameter.type_str})),
        parameter.option == option.Single,
        parameter.is_homogeneous,
    )


_TENSOR_SPELLING = {d: f"tensor({d.name.lower()})" for d in ir.DataType if d}


def type_spelling(type_: ir.TypeProtocol | None) -> str:
    """Return a type as schemas spell it, "seq(tensor(float))"; "" where it is not known."""
    if isinstance(type_, ir.TensorType):
        return _TENSOR_SPELLING.get(type_.dtype, "")
    if isinstance(type_, (ir.SequenceType, ir.OptionalType)):
        inner = type_spelling(type_.elem_type)
        outer = "seq" if isinstance(type_, ir.SequenceType) else "optional"
        return f"{outer}({inner})" if inner else ""
    if isinstance(type_, ir.SparseTensorType):
        return f"sparse_tensor({type_.dtype.name.lower()})"
    return ""
