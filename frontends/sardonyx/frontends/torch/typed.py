"""Refuses operators that were lowered to ONNX operators which do not take their dtypes."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from sardonyx.compiler.errors import CaptureError, InvalidModelError
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.check_nodes import type_conflicts
from sardonyx.compiler.ir.schema import operator
from sardonyx.compiler.ir.types import Types
from sardonyx.frontends.torch.report import user_place

_CLASSES = "pkg.torch.onnx.class_hierarchy"
_TRACE = "pkg.torch.onnx.stack_trace"


@dataclass(frozen=True)
class Origin:
    """What a node was lowered from, as the exporter notes it.

    Attributes:
        classes: The modules around it and the operator of PyTorch, as a list in Python.
        trace: The stack when it was called.
    """

    classes: str
    trace: str


def origins(model: ir.Model) -> list[Origin]:
    """Return what each node was lowered from, in order, before the exporter's notes are dropped."""
    notes = (node.metadata_props for node in model.graph.all_nodes())
    return [Origin(each.get(_CLASSES, "[]"), each.get(_TRACE, "")) for each in notes]


def check_types(model: ir.Model, known: Sequence[Origin], root: str) -> None:
    """Demand that operators of ONNX take the dtypes that they are given.

    Args:
        model: The model of a module called ``root``; not changed.
        known: What its nodes were lowered from; those that it has more, at its end, from nothing.
        root: What the module is called.

    Raises:
        CaptureError: They do not.
    """
    typed = model.clone()
    try:
        Types.inferred(typed)
    except InvalidModelError:
        return  # There is more to say of it, which compilation does.
    for node, origin in zip(typed.graph.all_nodes(), known, strict=False):
        schema = operator("", node.op_type, typed.opset_imports[""]) if not node.domain else None
        for what, found, expected in type_conflicts(node, schema) if schema is not None else ():
            called = [str(each) for each in ast.literal_eval(origin.classes)]
            module = next(iter(provenance.sources(node)), root)
            raise CaptureError(
                f"{root} was captured, but {called[-1] if called else 'an operator'} could not "
                "be lowered to ONNX for its dtypes",
                where=f"{module}, at {user_place(origin.trace)}",
                found=f"{what.rstrip('.')}: {found}",
                expected=expected.replace("tensor(", "").replace(")", ""),
                remedy="cast what it reads, x.to(torch.float32) say, and its result back",
            )
