"""Makes of a model at stage core one at stage target: what the target accepts, and no more."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.contrib import BODIES, add_function_bodies
from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.names import fix_names
from sardonyx.compiler.ir.scope import Scope, scopes
from sardonyx.compiler.ir.text import STAGE
from sardonyx.compiler.ir.types import all_values
from sardonyx.compiler.ir.verify import verify
from sardonyx.compiler.opset import lower_opset, raise_opset, write_out
from sardonyx.compiler.targets.kernel_gaps import highest_opset
from sardonyx.compiler.targets.target import Target

_KEPT_NOTES = {provenance.SOURCE, provenance.RULES}
_MOST_REFUSALS = 5

# IR versions that brought something, by what they brought (onnx.proto tells the history).
_IR_OF_OPSET = ((21, 10), (19, 9), (0, 8))
_IR_OF_DTYPE = {
    ir.DataType.FLOAT8E4M3FN: 9,
    ir.DataType.FLOAT8E4M3FNUZ: 9,
    ir.DataType.FLOAT8E5M2: 9,
    ir.DataType.FLOAT8E5M2FNUZ: 9,
    ir.DataType.UINT4: 10,
    ir.DataType.INT4: 10,
    ir.DataType.FLOAT4E2M1: 11,
    ir.DataType.FLOAT8E8M0: 12,
    ir.DataType.UINT2: 13,
    ir.DataType.INT2: 13,
    ir.DataType.FLOAT6E2M3: 14,
    ir.DataType.FLOAT6E3M2: 14,
}


def legalise(model: ir.Model, target: Target, opset: int | None = None) -> ir.Model:
    """Return a copy of a model that is ready to be written for a target.

    The copy is at the opset asked for, or at the newest one that the target has kernels for; it
    says the lowest IR version that carries it; it has no dead nodes, no outputs that nobody reads
    and may be left out, no trailing empty operands; its names are legal; of the notes on nodes it
    keeps the provenance. Contrib operators have a body in standard operators wherever one is known;
    where the target does not accept the operator itself, the body stands in its place. So it does
    for operators of the standard that the target has no kernel for in the types they are used with.

    Args:
        model: A model at stage core; not changed.
        target: What it is for.
        opset: Opset of the standard domain; None takes the best one.

    Raises:
        UnsupportedError: The target cannot take it, or it cannot be had at that opset.
        VerifyError: It is not well formed.
    """
    target.check_opset(opset)
    legal = _at_opset(_with_kernels(model, target), target, opset)
    ir.passes.common.RemoveUnusedNodesPass()(legal)
    _restore_caches(legal)
    _write_defaults(legal)
    _add_bodies(legal, target)
    _inline_refused(legal, target)
    everywhere = list(scopes(legal))
    _drop_imports(legal, everywhere)
    _check_accepted(everywhere, target)
    legal.ir_version = _ir_version(legal, target)
    _drop_notes(everywhere)
    fix_names(legal)
    legal.metadata_props[STAGE] = "target"
    verify(legal, "target", target)
    return legal


def _with_kernels(model: ir.Model, target: Target) -> ir.Model:
    """Return a model whose operators are written out where the target has no kernel for them."""
    opset = model.opset_imports.get("", 0)
    nodes = (node for scope in scopes(model) for node in scope.nodes)
    if target.needs_body is None or not any(target.needs_body(node, opset) for node in nodes):
        return model
    made = model.clone()
    write_out(made, target.needs_body)
    return made


def _write_defaults(model: ir.Model) -> None:
    """Write an attribute that onnx's checker misses, although it may be left out."""
    for node in model.graph.all_nodes():
        if node.op_type == "MeanVarianceNormalization" and not node.domain:
            node.attributes.setdefault("axes", ir.AttrInt64s("axes", [0, 2, 3]))


def _restore_caches(model: ir.Model) -> None:
    """Let each attention with a cache give the new one, read or not: ONNX Runtime demands that."""
    for node in model.graph.all_nodes():
        if node.op_type != "Attention" or node.domain or not any(node.inputs[4:6]):
            continue
        node.resize_outputs(max(3, len(node.outputs)))
        for output, name in zip(node.outputs[1:3], ("present_key", "present_value"), strict=True):
            output.name = output.name or f"{node.outputs[0].name}.{name}"


def best_opset(model: ir.Model, target: Target, opset: int | None = None) -> int | None:
    """Return the opset that a model is to be exported at; None where it has no standard operator.

    Args:
        model: The model; not changed.
        target: What it is for.
        opset: What the user asks for; None takes the newest one that the target has kernels for.
    """
    current = model.opset_imports.get("", opset)
    if opset is not None or current is None:
        return opset
    with_kernels = highest_opset(model, target.kernel_gaps, target.missing_kernel)
    return min(current, target.newest_opset, with_kernels or current)


def _at_opset(model: ir.Model, target: Target, opset: int | None) -> ir.Model:
    current = model.opset_imports.get("", opset)
    if current is None:
        return model.clone()
    if opset is not None and opset != current:
        move = lower_opset if opset < current else raise_opset
        return move(model.clone(), opset)
    best = best_opset(model, target, opset)
    if best is None or best == current:
        return model.clone()
    try:
        return lower_opset(model, best)
    except UnsupportedError:
        if current > target.newest_opset:
            raise
        # Another node needs the newer opset; a runtime with more kernels may still run this.
        return model.clone()


def _add_bodies(model: ir.Model, target: Target) -> None:
    """Give contrib operators bodies; where one has none, none has, and the target must know it."""
    try:
        add_function_bodies(model)
    except UnsupportedError:
        for identifier in [i for i in model.functions if i[:2] in BODIES]:
            del model.functions[identifier]
        for node in model.graph.all_nodes():
            if (node.domain, node.op_type) not in BODIES:
                continue
            node.overload = ""
            if target.refuses(node, 1) is not None:
                raise


def _inline_refused(model: ir.Model, target: Target) -> None:
    """Put the bodies of contrib operators that a target does not accept in their place.

    Not every runtime expands functions (OpenVINO does not); and onnx's reference evaluator takes
    one overload of a function for all.
    """

    def is_refused(function: ir.Function) -> bool:
        call = ir.Node(function.domain, function.name, [])
        return (function.domain, function.name) in BODIES and target.refuses(call, 1) is not None

    if any(map(is_refused, model.functions.values())):
        ir.passes.common.InlinePass(criteria=is_refused)(model)
        for key in [key for key, f in model.functions.items() if is_refused(f)]:
            del model.functions[key]


def _drop_imports(model: ir.Model, everywhere: list[Scope]) -> None:
    """Forget the domains that nothing is of."""
    used = {node.domain for scope in everywhere for node in scope.nodes}
    for scope in everywhere:
        if scope.parent is None:
            own = used if scope.function is None else {n.domain for n in scope.graph.all_nodes()}
            for domain in set(scope.opsets) - own - {""}:
                del scope.opsets[domain]


def _check_accepted(everywhere: list[Scope], target: Target) -> None:
    refusals = []
    for scope in everywhere:
        for node in scope.nodes:
            if node.op_identifier() in scope.model.functions:
                continue
            reason = target.refuses(node, scope.opsets.get(node.domain, 1))
            if reason is not None:
                refusals.append(f"{provenance.site(node)}: {reason}")
    if refusals:
        more = len(refusals) - _MOST_REFUSALS
        raise UnsupportedError(
            f"The model has {len(refusals)} nodes that target {target.name!r} does not accept.",
            found="; ".join(refusals[:_MOST_REFUSALS]) + (f"; and {more} more" if more > 0 else ""),
            expected=target.sentence,
            remedy="compile for another target",
        )


def _ir_version(model: ir.Model, target: Target) -> int:
    opset = model.opset_imports.get("", 0)
    needed = next(version for since, version in _IR_OF_OPSET if opset >= since)
    dtypes = {value.dtype for value in all_values(model)}
    needed = max([needed, *(_IR_OF_DTYPE.get(d, 0) for d in dtypes if d is not None)])
    if any(function.overload for function in model.functions.values()):
        needed = max(needed, 10)
    if needed > target.newest_ir_version:
        names = sorted(d.name.lower() for d in dtypes if d and _IR_OF_DTYPE.get(d, 0) == needed)
        raise UnsupportedError(
            f"Target {target.name!r} does not load IR version {needed}.",
            found=f"values of {', '.join(names)}",
            expected=f"IR version {target.newest_ir_version} or older",
        )
    return needed


def _drop_notes(everywhere: list[Scope]) -> None:
    """Drop what frontends note for themselves: it may hold paths of this machine."""
    for scope in everywhere:
        scope.graph.doc_string = None
        scope.graph.metadata_props.clear()
        for value in (*scope.positions, *scope.graph.outputs):
            value.metadata_props.clear()
            value.doc_string = None
        for node in scope.nodes:
            node.doc_string = None
            for key in node.metadata_props.keys() - _KEPT_NOTES:
                del node.metadata_props[key]
