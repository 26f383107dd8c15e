"""``torch.export`` programs to onnx_ir models, through the exporter that comes with PyTorch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import onnx_ir as ir
import torch
from onnx_ir.passes import common as passes
from onnxscript import opset18 as op
from torch.export import ExportedProgram

from sardonyx.frontends.torch.decompositions import decompositions
from sardonyx.frontends.torch.tables import tables_kept
from sardonyx.frontends.torch.translations import complex_translations, translations

OPSET = 23
DECOMPOSED = "torch.decomposed"
"""Where a lowered model holds the program that was lowered operator by operator."""
MOST_MISSING = 20  # of the missing operators that one report lists


def lower(
    program: ExportedProgram, extra: Mapping[Callable[..., Any], Callable[..., Any]] | None = None
) -> ir.Model:
    """The exporter's model at opset 23, not optimised, all functions inlined, weights not copied.

    The exporter's optimiser is left out since it breaks rotary embeddings with dynamic dims.
    Every exception of ``torch.onnx`` passes through.

    Args:
        program: What ``torch.export`` captured.
        extra: Lowerings beside `translations`, by operator.
    """
    ours = decompositions()
    with tables_kept(ours, complex_translations()) as are_known:
        if not are_known:
            program = program.run_decompositions(dict(ours))
        exported = torch.onnx.export(
            program,
            opset_version=OPSET,
            optimize=False,
            verify=False,
            verbose=False,
            custom_translation_table={**translations(), **(extra or {})},
        )
    assert exported is not None  # only the TorchScript exporter returns nothing
    model = exported.model
    model.meta[DECOMPOSED] = exported.exported_program or program
    if model.functions:
        passes.InlinePass()(model)
    _forget_lost_readers(model)
    return model


def _forget_lost_readers(model: ir.Model) -> None:
    """Detach nodes that are in the model no longer from the values they read.

    The exporter removes nodes nobody needs, and leaves what was in their branches attached.
    """
    present = set(model.graph.all_nodes())
    read = [v for node in present for v in (*node.inputs, *node.outputs) if v is not None]
    for value in dict.fromkeys([*model.graph.inputs, *model.graph.initializers.values(), *read]):
        for reader, index in list(value.uses()):
            if reader not in present:
                reader.replace_input_with(index, None)


def missing_operator(error: BaseException) -> torch._ops.OpOverload | None:
    """The operator that has no lowering, if that is what the exporter complains about."""
    for cause in causes(error):
        pattern = r"No ONNX function found for <OpOverload\(op='(\w+)\.(\w+)', overload='(\w+)'\)>"
        if match := re.search(pattern, str(cause)):
            namespace, name, overload = match.groups()
            found = getattr(getattr(getattr(torch.ops, namespace), name), overload)
            assert isinstance(found, torch._ops.OpOverload)
            return found
    return None


def missing_operators(
    program: ExportedProgram, error: BaseException
) -> list[torch._ops.OpOverload]:
    """All operators of the program without a lowering, where ``error`` names only the first."""
    missing: dict[Callable[..., Any], Callable[..., Any]] = {}
    operators = []
    while (operator := missing_operator(error)) and len(missing) < MOST_MISSING:
        if operator in missing:  # it has no lowering for complex numbers, whatever stands in for it
            break
        operators.append(operator)
        missing[operator] = _stand_in(len(operator._schema.returns))
        try:
            lower(program, missing)
        except Exception as following:  # a stand-in may well break a lowering that comes after it
            error = following
        else:
            break
    return operators


def _stand_in(outputs: int) -> Callable[..., Any]:
    """A lowering that is never used: it lets the exporter go on to the next missing operator."""

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        values = [op.Identity(_first_value(args)) for _ in range(outputs)]
        return values[0] if outputs == 1 else values

    return stand_in


def _first_value(args: Any) -> Any:
    for arg in args:
        if isinstance(arg, (list, tuple)) and (value := _first_value(arg)) is not None:
            return value
        if isinstance(arg, ir.Value):
            return arg
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and those it was raised from, outermost first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
