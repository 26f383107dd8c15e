"""One report for a model that cannot be captured: which operator, which line, what to do."""

from __future__ import annotations

import re
import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.export import ExportedProgram

from sardonyx.compiler.errors import CaptureError
from sardonyx.frontends.torch.attempts import Failure
from sardonyx.frontends.torch.dynamic import Input
from sardonyx.frontends.torch.lower import causes, missing_operators

_COMPLEX = "No decompositions registered for the complex-valued input"
# What torch says, and what the user can do about it; the first row that matches wins.
REMEDIES = (
    (
        r"specialized it to be a constant|Constraints violated",
        "remove the dim from dynamic, or make the code at that line independent of its size",
    ),
    (
        r"[Dd]ata-dependent|dynamic control flow",
        "replace Python control flow on tensor values by torch.where or torch.cond, "
        "and boolean indexing or .item() by masks",
    ),
    (
        _COMPLEX,
        "compute with real and imaginary parts: torch.view_as_real(x)",
    ),
    (r"No ONNX function found", "write the operator with other torch operators, or replace it"),
    (
        r"Cannot view|must match|size mismatch|not broadcastable",
        "trace with sizes that are at least 2 and differ from one another, "
        "or name fewer dims in dynamic",
    ),
)
DEFAULT_REMEDY = (
    "torch.export.draft_export(module, args) lists what stands in the way; "
    "keep such code outside the module"
)

_UNKNOWN = "a line that the trace does not know"
# Folders whose lines mean nothing to the user.
INTERNAL = (str(Path(torch.__file__).parent), str(Path(__file__).parent), "<")
STANDARD_LIBRARY = sysconfig.get_path("stdlib")


def capture_error(name: str, inputs: Sequence[Input], failures: Sequence[Failure]) -> CaptureError:
    """What the user is told about a module, or program, called ``name`` after every failure."""
    captured = next((failure for failure in failures if failure.program is not None), None)
    if captured is not None:
        return _lowering_error(name, captured, failures)
    error = failures[0].error
    dims = _fixed_dims(inputs, str(error))
    return CaptureError(
        f"{name} does not let {'; '.join(dims)} vary"
        if dims
        else f"{name} could not be captured by torch.export",
        where=next(filter(None, (_user_line(failure.error) for failure in failures)), None),
        found=_summary(inputs, error) + _tried(failures),
        remedy=_remedy(failures),
    )


def eager_error(name: str, error: Exception) -> CaptureError:
    """What the user is told about a module that fails without any capture."""
    return CaptureError(
        f"{name} itself fails on the example arguments",
        where=_user_line(error),
        found=_summary([], error),
        remedy="call the module with these arguments until that works",
    )


def _lowering_error(name: str, failure: Failure, failures: Sequence[Failure]) -> CaptureError:
    assert failure.program is not None
    missing = missing_operators(failure.program, failure.error)
    if missing:
        is_complex = _COMPLEX in _texts(failure.error)
        of_complex = " for complex numbers" if is_complex else ""
        places = [f"{op} at {_node_line(failure.program, str(op))}" for op in missing]
        return CaptureError(
            f"{name} has operators without a lowering to ONNX: "
            + ", ".join(str(op) for op in missing),
            where="; ".join(places),
            found=f"no lowering{of_complex}{_tried(failures)}",
            remedy=_remedy(failures),
        )
    target = re.search(r"call_function\[target=torch\.ops\.([\w.]+)\]", _texts(failure.error))
    place = f"{target[1]} at {_node_line(failure.program, target[1])}" if target else None
    return CaptureError(
        f"{name} was captured, but {target[1] if target else 'it'} could not be lowered to ONNX",
        where=place or _user_line(failure.error),
        found=_summary([], list(causes(failure.error))[-1]) + _tried(failures),
        remedy=_remedy(failures),
    )


def _texts(error: BaseException) -> str:
    return "\n".join(str(cause) for cause in causes(error))


def _remedy(failures: Sequence[Failure]) -> str:
    text = "\n".join(_texts(failure.error) for failure in failures)
    return next((advice for sign, advice in REMEDIES if re.search(sign, text)), DEFAULT_REMEDY)


def _tried(failures: Sequence[Failure]) -> str:
    return "; tried: " + ", ".join(failure.strategy for failure in failures)


def _summary(inputs: Sequence[Input], error: BaseException) -> str:
    """The first lines of torch's message, in the user's names."""
    text = re.sub(
        r"L\['tensors'\]\[(\d+)\]",
        lambda match: inputs[int(match[1])].name if int(match[1]) < len(inputs) else match[0],
        str(error).strip(),
    )
    lines = [line.strip(" -") for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])[:400]}"


def _fixed_dims(inputs: Sequence[Input], text: str) -> list[str]:
    """The dynamic dims that torch found to be constants."""
    pattern = (
        r"You marked L\['tensors'\]\[(\d+)\]\.size\(\)\[(\d+)\] as dynamic but your code "
        r"specialized it to be a constant \((\d+)\)"
    )
    rows: dict[str, str] = {}
    for index, axis, size in re.findall(pattern, text):
        item = inputs[int(index)]
        name = item.axes.get(int(axis), "?")
        place = f"the dim {name!r} (axis {axis} of input {item.name!r}; always {size})"
        rows.setdefault(name, place)
    return list(rows.values())


def _user_line(error: BaseException) -> str | None:
    """The innermost line of the user's own code that an error passed through or tells of."""
    places = []
    for cause in causes(error):
        frames = traceback.extract_tb(cause.__traceback__)
        places += [(f.filename, f.lineno, f.line) for f in frames if _is_users(f.filename)]
    told = re.findall(r'File "([^"]+)", line (\d+), in [^\n]*\n\s*(.*)', str(error))
    places += [(file, line, code) for file, line, code in told if _is_users(file)]
    return "{}:{}: {}".format(*places[-1]) if places else None


def _is_users(filename: str) -> bool:
    standard = filename.startswith(STANDARD_LIBRARY) and "site-packages" not in filename
    return not standard and not filename.startswith(INTERNAL)


def _node_line(program: ExportedProgram, target: str) -> str:
    """The user's line that first called an operator, such as ``aten.add.Tensor``."""
    for module in program.graph_module.modules():
        for node in getattr(getattr(module, "graph", None), "nodes", ()):
            if str(node.target) == target and node.stack_trace:
                place = user_place(node.stack_trace)
                if place != _UNKNOWN:
                    return place
    return _UNKNOWN


def user_place(trace: str) -> str:
    """Return file and line of the innermost line of the user's own code in a stack trace."""
    told = re.findall(r'File "([^"]+)", line (\d+)', trace)
    places = [place for place in told if _is_users(place[0])]
    return "{}:{}".format(*places[-1]) if places else _UNKNOWN
