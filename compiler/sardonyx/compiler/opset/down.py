"""Lowers models to an older opset, node by node and step by step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import onnx_ir as ir

from sardonyx.compiler.errors import InvalidModelError, UnsupportedError
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.schema import is_standard
from sardonyx.compiler.ir.scope import subgraphs
from sardonyx.compiler.ir.types import Types, all_values
from sardonyx.compiler.opset import expand, history, rewrite
from sardonyx.compiler.opset.down_adapters import BY_BODY, DOWN
from sardonyx.compiler.opset.rewrite import Names, Scope
from sardonyx.compiler.opset.step import Step

LOWEST_OPSET = 18
"""The lowest opset that a model can be brought down to."""

_RULE = "lower_opset"


def lower_opset(model: ir.Model, to: int) -> ir.Model:
    """Return a copy of a model in an older opset.

    What an operator gained since is dropped where it says nothing new. Operators that the older
    opset lacks are written out by the function body of their schema, if they have one. The IR
    version stays.

    Args:
        model: The model; not changed.
        to: The opset of the standard domain to reach, 18 or newer.

    Raises:
        UnsupportedError: A node cannot be expressed in that opset, or the opset is below 18.
    """
    if to < LOWEST_OPSET:
        raise UnsupportedError(
            f"Models cannot be lowered to opset {to}.", expected=f"opset {LOWEST_OPSET} or newer"
        )
    opset = model.opset_imports.get("", to)
    for scope in rewrite.scopes(model):
        for node in scope.all_nodes():
            if node.domain == "":
                node.version = scope.opset_imports.get("", opset)
    lowered = lower_stamped(model, to)
    for node in (node for scope in rewrite.scopes(lowered) for node in scope.all_nodes()):
        node.version = None
    return lowered


def lower_stamped(model: ir.Model, to: int) -> ir.Model:
    """Return a copy in which no node is newer than an opset; see `lower_opset`.

    Nodes carry their versions. Those that are older than `to` already stay as they are.
    """
    model = model.clone()
    shapes = [value.shape for value in model.graph.outputs]
    while True:
        with contextlib.suppress(InvalidModelError):  # Types stay as far as they are known.
            Types.inferred(model)
        is_done = True
        for scope in rewrite.scopes(model):
            is_done = _Lowerer(model, to, Names(scope)).scope(scope) and is_done
        if is_done:
            break
        expand.inline(model)
    for value, shape in zip(model.graph.outputs, shapes, strict=True):
        # That of a function's body may not be known, where that of the operator is.
        value.shape = shape if value.shape is None else value.shape
    for scope in rewrite.scopes(model):
        if "" in scope.opset_imports:
            scope.opset_imports[""] = min(scope.opset_imports[""], to)
    return model


class _Lowerer:
    """Walks one graph or function."""

    def __init__(self, model: ir.Model, to: int, names: Names) -> None:
        self._model = model
        self._to = to
        self._names = names
        self._facts = {value: (value.dtype, value.shape) for value in all_values(model)}

    def scope(self, scope: Scope) -> bool:
        """Lower all nodes; return False if some became calls that must be inlined."""
        is_done = True
        for node in list(scope):
            for graph in subgraphs(node):
                is_done = self.scope(graph) and is_done
            if is_standard(node.domain, node.op_type) and node.domain == "":
                is_done = self._lower(node) and is_done
        return is_done

    def _lower(self, node: ir.Node) -> bool:
        pending = [node]
        while pending:
            node = pending.pop()
            assert node.version is not None, "only stamped nodes are lowered"
            schema = history.at(node.op_type, node.version)
            if schema is None:
                raise UnsupportedError(
                    f"{node.op_type} is no operator of opset {node.version}.",
                    where=provenance.site(node),
                )
            if schema.since_version <= self._to:
                node.version = min(node.version, self._to)
                continue
            before = history.at(node.op_type, schema.since_version - 1)
            key = (node.op_type, schema.since_version)
            if before is None or key in BY_BODY:
                self._expand(node, schema)
                return False
            step = self._step(node, schema, before)
            _check_types(step, before)
            if key in DOWN:
                rewrite.apply(DOWN[key], step, self._facts, self._names, _RULE)
                pending.extend(step.made)
            else:
                _drop_additions(step)
                pending.append(node)
        return True

    def _step(self, node: ir.Node, schema: history.Schema, before: history.Schema) -> Step:
        bump = history.Bump(node.op_type, schema.since_version, before.since_version)
        return Step(node, bump, before.since_version, self._facts)

    def _expand(self, node: ir.Node, schema: history.Schema) -> None:
        function = expand.body(node, schema, self._to)
        if function is None or not expand.computes(function, node):
            raise UnsupportedError(
                f"{node.op_type} cannot be expressed in opset {self._to}.",
                where=provenance.site(node),
                expected=f"opset {schema.since_version} or newer",
                remedy="export to a newer opset",
            )
        expand.call(self._model, node, function)


def _drop_additions(step: Step) -> None:
    """Take away what the newer form added, provided that it says what the older one means."""
    node = step.node
    newer = history.Bump(node.op_type, step.bump.new, step.bump.old)
    difference = history.difference(newer)
    if difference.other:
        raise step.refusal("; ".join(difference.other))
    schema = history.at(node.op_type, newer.new)
    assert schema is not None
    for name in difference.attributes:
        attr = node.attributes.get(name)
        if attr is None:
            continue
        default = schema.attributes[name].default_value
        neutral = ir.serde.deserialize_attribute(default).value if default.name else None
        if attr.is_ref() or not _is_neutral(name, attr.value, neutral):
            raise step.refusal(f"{name} is {attr.value if not attr.is_ref() else 'a parameter'}")
        del node.attributes[name]
    old = history.at(node.op_type, newer.old)
    assert old is not None
    if any(v is not None for v in node.inputs[old.max_input :]):
        raise step.refusal(f"it is given {', '.join(difference.inputs)}")
    if any(step.is_used(i) for i in range(old.max_output, len(node.outputs))):
        raise step.refusal(f"its {', '.join(difference.outputs)} is read")
    if len(node.inputs) > old.max_input:
        node.resize_inputs(old.max_input)
    node.version = newer.old


def _is_neutral(name: str, value: object, default: object) -> bool:
    if default is None and name == "dilations" and isinstance(value, Sequence):
        return all(d == 1 for d in value)
    return value == default


def _check_types(step: Step, schema: history.Schema) -> None:
    """Refuse operands of dtypes that the older form did not take."""
    for kind, values, formals in (
        ("operand", step.node.inputs, schema.inputs),
        ("output", step.node.outputs, schema.outputs),
    ):
        for index, value in enumerate(values):
            name = type_name(value.type) if value is not None and value.type is not None else None
            formal = formals[min(index, len(formals) - 1)] if formals else None
            if name is None or formal is None or name in formal.types:
                continue
            raise step.refusal(f"{kind} {formal.name} is a {name}")


def type_name(kind: ir.TypeProtocol) -> str | None:
    """Return the name that schemas have for a type: `seq(tensor(float))`."""
    inner: object = kind.elem_type
    if isinstance(inner, ir.DataType):
        return None if inner == ir.DataType.UNDEFINED else f"tensor({inner.name.lower()})"
    nested = type_name(inner) if isinstance(inner, ir.TypeProtocol) else None
    if nested is None:
        return None
    return f"{'seq' if isinstance(kind, ir.SequenceType) else 'optional'}({nested})"


def newer_nodes(model: ir.Model, opset: int) -> Iterator[ir.Node]:
    """Yield the standard nodes whose form is newer than an opset."""
    imported = model.opset_imports.get("", opset)
    for scope in rewrite.scopes(model):
        for node in scope.all_nodes():
            schema = history.at(node.op_type, imported) if node.domain == "" else None
            if schema is not None and schema.since_version > opset:
                yield node
