"""The history of the standard operators, read from the ONNX schemas: what each version changed."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx

Schema = onnx.defs.OpSchema


@dataclass(frozen=True)
class Bump:
    """One step in the history of an operator: from one version to the next.

    Attributes:
        op_type: Operator name in the standard domain.
        old: The opset that introduced the form before the step.
        new: The opset that introduced the form after it.
    """

    op_type: str
    old: int
    new: int

    def __str__(self) -> str:
        return f"{self.op_type} {self.old} -> {self.new}"


@dataclass(frozen=True)
class Difference:
    """How the schema of an operator differs after a step.

    Attributes:
        attributes: Attributes that are new, each optional.
        inputs: Trailing optional inputs that are new.
        outputs: Trailing optional outputs that are new.
        other: What else changed, one phrase each; empty if every old node is also a new one.
    """

    attributes: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    other: tuple[str, ...]

    @property
    def is_same_form(self) -> bool:
        """Nothing changed that a node shows: at most more types are allowed."""
        return not (self.attributes or self.inputs or self.outputs or self.other)

    @property
    def is_additive(self) -> bool:
        """Old nodes are well-formed new ones; whether they mean the same, no schema says."""
        return not self.other and not self.is_same_form


@functools.cache
def _histories() -> dict[str, tuple[Schema, ...]]:
    found: dict[str, list[Schema]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            found.setdefault(schema.name, []).append(schema)
    return {
        name: tuple(sorted(schemas, key=lambda s: s.since_version))
        for name, schemas in found.items()
    }


def versions(op_type: str) -> Sequence[Schema]:
    """Return all schemas of a standard operator, oldest first; empty if there is none."""
    return _histories().get(op_type, ())


def newest_opset() -> int:
    """Return the newest opset of the standard domain that the installed onnx describes."""
    return onnx.defs.onnx_opset_version()


def at(op_type: str, opset: int) -> Schema | None:
    """Return the schema that a node of this type has in a model of this opset, or None."""
    known = [s for s in versions(op_type) if s.since_version <= opset]
    return known[-1] if known else None


def next_bump(op_type: str, opset: int) -> Bump | None:
    """Return the first step after the form that a model of this opset uses, or None."""
    current = at(op_type, opset)
    later = [s for s in versions(op_type) if s.since_version > opset]
    if current is None or not later:
        return None
    return Bump(op_type, current.since_version, later[0].since_version)


def bumps(after: int, until: int) -> Iterator[Bump]:
    """Yield every step of every operator whose new version is in (after, until]."""
    for op_type, schemas in sorted(_histories().items()):
        for old, new in itertools.pairwise(schemas):
            if after < new.since_version <= until:
                yield Bump(op_type, old.since_version, new.since_version)


@functools.cache
def difference(bump: Bump) -> Difference:
    """Compare the two schemas of a step."""
    by_version = {s.since_version: s for s in versions(bump.op_type)}
    old, new = by_version[bump.old], by_version[bump.new]
    other = [*_attribute_changes(old, new), *_operand_changes("input", old.inputs, new.inputs)]
    other += _operand_changes("output", old.outputs, new.outputs)
    if new.deprecated:
        other.append("deprecated")
    return Difference(
        tuple(sorted(set(new.attributes) - set(old.attributes))),
        tuple(p.name for p in new.inputs[len(old.inputs) :]),
        tuple(p.name for p in new.outputs[len(old.outputs) :]),
        tuple(other),
    )


def _attribute_changes(old: Schema, new: Schema) -> Iterator[str]:
    for name, before in old.attributes.items():
        after = new.attributes.get(name)
        if after is None:
            yield f"attribute {name} is gone"
        elif before.type != after.type or (after.required and not before.required):
            yield f"attribute {name} has another type or became required"
        elif not before.required and before.default_value != after.default_value:
            yield f"attribute {name} has another default"
    for name, after in new.attributes.items():
        if name not in old.attributes and after.required:
            yield f"attribute {name} is new and required"


Formal = Schema.FormalParameter


def _operand_changes(kind: str, old: Sequence[Formal], new: Sequence[Formal]) -> Iterator[str]:
    if len(new) < len(old):
        yield f"{kind} {old[len(new)].name} is gone"
    single = Schema.FormalParameterOption.Single
    for index, after in enumerate(new):
        if index >= len(old):
            if after.option == single:
                yield f"{kind} {after.name} is new and required"
            continue
        before = old[index]
        if before.name.lower() != after.name.lower():
            yield f"{kind} {before.name} became {after.name}"
        if after.option == single and before.option != single:
            yield f"{kind} {after.name} became required"
        if not before.types <= after.types:
            yield f"{kind} {after.name} lost types {sorted(before.types - after.types)}"
