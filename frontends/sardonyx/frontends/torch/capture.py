"""PyTorch modules to ``torch.export`` programs over flat tensors with known names."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.export import Dim, ExportedProgram

from sardonyx.compiler.errors import CaptureError
from sardonyx.frontends.torch import tree
from sardonyx.frontends.torch.dynamic import Input


@dataclasses.dataclass(frozen=True)
class Call:
    """A module and how to call it, its tensors apart from everything else.

    Attributes:
        module: What is captured.
        args: Positional arguments as the user gave them.
        kwargs: Keyword arguments as the user gave them.
        inputs: The tensors among them, in the order of ``forward``'s parameters.
        slots: For each leaf of ``(args, kwargs)``, its index in ``inputs``; None for a constant.
        parameters: Names of the parameters that the arguments fill, in order.
    """

    module: torch.nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: list[Input]
    slots: list[int | None]
    parameters: list[str]


def describe_call(
    module: torch.nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any] | None
) -> Call:
    """Name the tensors in ``args`` and ``kwargs`` after the parameters of ``module.forward``.

    Raises:
        CaptureError: The arguments do not fit ``forward``.
    """
    arguments = (tuple(args), dict(kwargs or {}))
    names = _argument_names(module, *arguments)
    leaves = [
        (path, _as_tensor(leaf))
        for name, value in zip(names, [*arguments[0], *arguments[1].values()], strict=True)
        for path, leaf in tree.flatten(value, name)
    ]
    order = list(_signature(module).parameters)
    rank = {name: index for index, name in enumerate(order)}
    tensors = [i for i, (_, leaf) in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
    tensors.sort(key=lambda i: rank.get(leaves[i][0].split(".")[0], len(rank)))
    position = {leaf: index for index, leaf in enumerate(tensors)}
    return Call(
        module=module,
        args=arguments[0],
        kwargs=arguments[1],
        inputs=_distinct([Input(*leaves[i]) for i in tensors]),
        slots=[position.get(i) for i in range(len(leaves))],
        parameters=sorted(names, key=lambda name: rank.get(name.split(".")[0], len(rank))),
    )


def _distinct(inputs: list[Input]) -> list[Input]:
    """The inputs with copies where one tensor stands for several, which the tracer would merge."""
    seen: set[int] = set()
    result = []
    for item in inputs:
        repeated = id(item.example) in seen
        seen.add(id(item.example))
        result.append(Input(item.name, item.example.clone()) if repeated else item)
    return result


def _signature(module: torch.nn.Module) -> inspect.Signature:
    return inspect.signature(module.forward)


def _argument_names(
    module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[str]:
    """The parameter that each positional, then each keyword argument fills."""
    signature = _signature(module)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise CaptureError(
            f"the example arguments do not fit {type(module).__name__}.forward: {error}",
            found=f"{len(args)} positional arguments and keywords {sorted(kwargs)}",
            expected=f"forward{signature}",
        ) from None
    positional: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            rest = len(args) - len(positional)
            positional += [f"{parameter.name}.{index}" for index in range(rest)]
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            positional.append(parameter.name)
    return [*positional[: len(args)], *kwargs]


def _as_tensor(leaf: Any) -> Any:
    return torch.from_numpy(leaf) if isinstance(leaf, np.ndarray) else leaf


class FlatModule(torch.nn.Module):
    """A module as a function from its tensor inputs to a dict of its named tensor outputs."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self.module = call.module
        self._call = call

    def forward(self, *tensors: torch.Tensor) -> dict[str, Any]:
        """Rebuild the arguments around ``tensors``, call the module, flatten what it returns."""
        call = self._call
        constants = [leaf for _, leaf in tree.flatten((call.args, call.kwargs))]
        leaves = [
            constant if slot is None else tensors[slot]
            for constant, slot in zip(constants, call.slots, strict=True)
        ]
        args, kwargs = tree.rebuild((call.args, call.kwargs), iter(leaves))
        self._tie_dims(tensors)
        outputs = name_outputs(self.module(*args, **kwargs))
        if not outputs:
            raise CaptureError(f"{type(call.module).__name__} returns no tensors")
        return outputs

    def _tie_dims(self, tensors: tuple[torch.Tensor, ...]) -> None:
        """Tell the tracer that dims of one name have one size."""
        sizes: dict[str, Any] = {}
        for item, tensor in zip(self._call.inputs, tensors, strict=True):
            for axis, name in item.axes.items():
                first = sizes.setdefault(name, tensor.shape[axis])
                torch._check(first == tensor.shape[axis])  # type: ignore[no-untyped-call]


def name_outputs(result: Any) -> dict[str, Any]:
    """The tensors in what a module returned, by path; None and text are dropped."""
    outputs: dict[str, Any] = {}
    for path, leaf in tree.flatten(result):
        if leaf is None or isinstance(leaf, (str, bytes)):
            continue
        number = isinstance(leaf, (bool, int, float))
        outputs[tree.output_name(path)] = torch.tensor(leaf) if number else leaf
    return outputs


def capture(call: Call, examples: Sequence[torch.Tensor], *, strict: bool) -> ExportedProgram:
    """Trace the module with ``examples`` in place of its inputs' own.

    Every exception of ``torch.export`` passes through.
    """
    hints = tuple(dict.fromkeys(item.axes, Dim.DYNAMIC) for item in call.inputs)
    return torch.export.export(
        FlatModule(call), tuple(examples), dynamic_shapes=(hints,) if hints else None, strict=strict
    )


def eager_failure(call: Call) -> Exception | None:
    """What the module raises when it is simply called with the example arguments."""
    try:
        call.module(*call.args, **call.kwargs)
    except Exception as error:
        return error
    return None


@contextlib.contextmanager
def inference_state(module: torch.nn.Module) -> Iterator[None]:
    """Put a module in eval mode without gradients; on exit each submodule is as it was before."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes:
            part.training = training


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep the exporter's warnings and log records away from the user."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        # torch.export prints the graph so far to stderr when it fails.
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
