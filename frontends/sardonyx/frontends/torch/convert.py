"""The PyTorch frontend's one entry."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import torch
from torch.export import ExportedProgram

from sardonyx.compiler.errors import CaptureError
from sardonyx.compiler.proof import SAMPLES
from sardonyx.frontends.torch.attempts import attempt, attempt_lowering
from sardonyx.frontends.torch.capture import describe_call, eager_failure, inference_state, silence
from sardonyx.frontends.torch.dynamic import check_sizes, resolve
from sardonyx.frontends.torch.finish import Names, finish
from sardonyx.frontends.torch.guards import Trial, branches
from sardonyx.frontends.torch.limits import loosen_limits
from sardonyx.frontends.torch.lower import DECOMPOSED
from sardonyx.frontends.torch.program import check_dynamic, describe_program
from sardonyx.frontends.torch.report import capture_error, eager_error
from sardonyx.frontends.torch.typed import check_types, origins


def from_torch(
    model: torch.nn.Module | ExportedProgram,
    args: Sequence[Any] | torch.Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic: Mapping[Any, Any] | None = None,
) -> ir.Model:
    """An ONNX model, at opset 23, of what a PyTorch module computes in eval mode.

    Inputs are named after the parameters of ``forward``; tensors inside dicts, tuples, lists,
    dataclasses and Hugging Face caches after the path to them (``past.0.key``). Outputs are named
    after the keys and fields of what the module returns; ``output``, or ``output_0``, ``output_1``
    where there are none. Arguments that are no tensors become constants of the model. Complex
    results are given as real ones with a last axis of two: real and imaginary part.

    The weights are shared with the module, not copied: save or compile the model before the module
    is trained on. The module itself is left as it was.

    Args:
        model: A module, or a program of ``torch.export``.
        args: Example positional arguments. Not used with a program.
        kwargs: Example keyword arguments. Not used with a program.
        dynamic: Names of the dims whose sizes vary, by input and axis: ``{"x": {0: "batch"}}``. An
            input is named, given by its path (``"past.0.key"``; ``"past"`` for all inside), or by
            position; specs may be nested like the inputs. One name is one size everywhere. All
            other dims keep the sizes of the examples. For a program, names for its dynamic dims.

    Warns:
        UserWarning: The module's Python code branches on a size, and gives something else than the
            model at a size that the warning names.

    Raises:
        CaptureError: The arguments do not fit, a dim cannot vary, or the module cannot be captured
            or lowered; the error names the input, the operator or the source line.
    """
    if isinstance(model, ExportedProgram):
        return _from_program(model, dynamic)
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    if not isinstance(model, torch.nn.Module):
        raise CaptureError(
            "only PyTorch modules and exported programs can be captured",
            found=f"a {type(model).__name__}",
            remedy="wrap the function in a torch.nn.Module with a forward method",
        )
    if isinstance(args, torch.Tensor):
        args = (args,)
    call = describe_call(model, args, kwargs)
    call = dataclasses.replace(call, inputs=resolve(dynamic, call.inputs, call.parameters))
    check_sizes(call.inputs)
    root = type(model).__name__
    with inference_state(model), silence():
        outcome = attempt(call)
        if isinstance(outcome, list):
            eager = eager_failure(call)
            raise eager_error(root, eager) if eager else capture_error(root, call.inputs, outcome)
        lowered, program = outcome
        decomposed = lowered.meta.pop(DECOMPOSED)
        names = Names(
            inputs=[item.name for item in call.inputs],
            axes=[item.axes for item in call.inputs],
            outputs=list(program.call_spec.out_spec.context),
            root=root,
            wrapper="module.",
        )
        made = _finished(lowered, program, names)
        trial = Trial(call, decomposed)
        found = branches(trial, program)
        loosen_limits(made, trial, program)
    for branch in found:
        warnings.warn(f"{root} is not its model everywhere: {branch}", UserWarning, stacklevel=2)
    made.meta[SAMPLES] = [{item.name: _array(item.example) for item in call.inputs}]
    return made


def _array(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """A copy of an example; in float32 where numpy does not have its dtype."""
    held = tensor.detach().cpu()
    try:
        return np.array(held.numpy())
    except TypeError:
        return held.float().numpy()


def _from_program(program: ExportedProgram, dynamic: Mapping[Any, Any] | None) -> ir.Model:
    signature = describe_program(program)
    inputs = resolve(dynamic, signature.inputs, signature.parameters)
    check_dynamic(inputs)
    with silence():
        outcome = attempt_lowering(program)
        if isinstance(outcome, list):
            raise capture_error("the exported program", inputs, outcome)
        names = Names(
            inputs=[item.name for item in inputs],
            axes=[item.axes for item in inputs],
            outputs=signature.outputs,
            root="program",
            wrapper="",
        )
        del outcome.meta[DECOMPOSED]
        return _finished(outcome, program, names)


def _finished(lowered: ir.Model, program: ExportedProgram, names: Names) -> ir.Model:
    known = origins(lowered)
    made = finish(lowered, program, names)
    check_types(made, known, names.root)
    return made
