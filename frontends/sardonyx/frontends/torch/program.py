"""Names and tensors of an ``ExportedProgram`` that the user captured."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind
from torch.utils import _pytree as pytree

from sardonyx.compiler.errors import CaptureError
from sardonyx.frontends.torch import tree
from sardonyx.frontends.torch.dynamic import Input


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a program takes and returns.

    Attributes:
        inputs: Its tensor inputs; the examples are fake tensors with the traced shapes.
        parameters: Names of its arguments, in order.
        outputs: Name of each tensor output.
    """

    inputs: list[Input]
    parameters: list[str]
    outputs: list[str]


def describe_program(program: ExportedProgram) -> Signature:
    """Names by the structure that the program was captured with."""
    parameters = _parameters(program)
    args, kwargs = _numbered(program.call_spec.in_spec)
    paths = [
        path
        for name, value in zip(parameters, [*args, *kwargs.values()], strict=True)
        for path, _ in tree.flatten(value, name)
    ]
    inputs = program.graph_signature.input_specs
    taken = [spec.arg for spec in inputs if spec.kind is InputKind.USER_INPUT]
    results = program.graph_signature.output_specs
    returned = [spec.arg for spec in results if spec.kind is OutputKind.USER_OUTPUT]
    examples = _placeholders(program)
    return Signature(
        inputs=[
            Input(path, examples[arg.name])
            for path, arg in zip(paths, taken, strict=True)
            if not isinstance(arg, ConstantArgument)
        ],
        parameters=parameters,
        outputs=[
            tree.output_name(path)
            for (path, _), arg in zip(
                tree.flatten(_numbered(program.call_spec.out_spec)), returned, strict=True
            )
            if not isinstance(arg, ConstantArgument)
        ],
    )


def check_dynamic(inputs: list[Input]) -> None:
    """Refuse names for dims that the program fixes."""
    for item in inputs:
        for axis, name in item.axes.items():
            if isinstance(item.example.shape[axis], int):
                raise CaptureError(
                    f"the program does not let the dim {name!r} vary",
                    where=f"axis {axis} of input {item.name!r}",
                    found=f"the fixed size {item.example.shape[axis]}",
                    remedy="name the dim in dynamic_shapes of torch.export.export",
                )


def _parameters(program: ExportedProgram) -> list[str]:
    entry = next(call for call in program.module_call_graph if call.fqn == "")
    assert entry.signature is not None  # the root's is always kept
    return list(entry.signature.forward_arg_names or ())


def _numbered(spec: Any) -> Any:
    """The structure with its leaves' indices in place of tensors."""
    return pytree.tree_unflatten(range(spec.num_leaves), spec)


def _placeholders(program: ExportedProgram) -> dict[str, torch.Tensor]:
    return {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
