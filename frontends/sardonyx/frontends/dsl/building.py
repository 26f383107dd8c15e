"""Runs a model's function once, and makes a graph of what it returns."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from sardonyx.compiler.ir.text import STAGE
from sardonyx.frontends.dsl.dtypes import TensorSpec
from sardonyx.frontends.dsl.emit import emit
from sardonyx.frontends.dsl.errors import DslError, line_text
from sardonyx.frontends.dsl.sequences import Sequence
from sardonyx.frontends.dsl.symbol import Symbol, describe, is_tensor
from sardonyx.frontends.dsl.tensor import Tensor
from sardonyx.frontends.dsl.trace import Block, Parameter, Settings, Trace, tracing


@dataclass(frozen=True)
class Built:
    """What a function has become: the model, its parameters, and which outputs are next values."""

    model: ir.Model
    parameters: dict[str, Parameter]
    updates: dict[str, str]


def plain_name(function: Callable[..., Any]) -> str:
    """Return the name of a function, "model" for a lambda."""
    return function.__name__ if function.__name__.isidentifier() else "model"


def matched(
    function: Callable[..., Any], inputs: Mapping[str, TensorSpec]
) -> dict[str, TensorSpec]:
    """Return the types in the order of the function's arguments.

    Raises:
        DslError: An argument has no type, or a type no argument.
    """
    arguments = inspect.signature(function).parameters.values()
    usual = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [a.name for a in arguments if a.kind in usual]
    needed = [a.name for a in arguments if a.kind in usual and a.default is a.empty]
    missing = [name for name in needed if name not in inputs]
    unknown = [name for name in inputs if name not in names]
    if missing or unknown:
        raise DslError(
            f"The types do not name the arguments of {function.__name__}.",
            where=_line_of(function),
            found=f"types for {', '.join(inputs) or 'nothing'}",
            expected=f"types for {', '.join(needed) or 'no arguments'}",
            remedy="write @dsl.model(" + ", ".join(f"{n}=dsl.f32[...]" for n in needed) + ")",
        )
    return {name: inputs[name] for name in names if name in inputs}


def build(
    function: Callable[..., Any],
    inputs: Mapping[str, TensorSpec],
    settings: Settings,
    options: Mapping[str, Any],
) -> Built:
    """Run a model's function on symbolic tensors, and return the graph it makes.

    Args:
        function: The function.
        inputs: The types of its arguments that are inputs.
        settings: Seed, and whether the model is for training.
        options: The function's other arguments.

    Raises:
        DslError: The function has a mistake; the error names its line.
    """
    values = [spec.value(spec.name or name) for name, spec in inputs.items()]
    trace = Trace(plain_name(function), values, settings, _wrapped)
    with tracing(trace):
        tensors = dict(zip(inputs, map(trace.tensor, values), strict=True))
        result = function(**tensors, **options)
        _set_outputs(trace, function, _outputs(function, result))
        updates = _add_updates(trace)
    trace.model.metadata_props[STAGE] = "source"
    _drop_unread(trace)
    return Built(trace.model, trace.names.parameters, updates)


def _wrapped(value: ir.Value, block: Block) -> Symbol:
    is_sequence = isinstance(value.type, ir.SequenceType)
    return Sequence(value, block) if is_sequence else Tensor(value, block)


def _outputs(function: Callable[..., Any], result: Any) -> dict[str, Tensor]:
    """Return what the function returned by output name."""
    if isinstance(result, Mapping):
        named = dict(result)
    elif isinstance(result, (tuple, list)):
        named = {f"output_{i}": item for i, item in enumerate(result)}
    else:
        named = {"output": result}
    for name, item in named.items():
        if not is_tensor(item) or not isinstance(name, str):
            raise DslError(
                f"{function.__name__} returns something that is no tensor of the model.",
                where=_line_of(function, ast.Return),
                found=f"{name}: {describe(item)}",
                expected="a tensor, a tuple of tensors, or a dict of names and tensors",
                remedy="return what the last line computed; for a number use dsl.constant(...)",
            )
    if not named:
        raise DslError(
            f"{function.__name__} returns nothing.",
            where=_line_of(function, ast.Return),
            found="an empty result",
            expected="at least one tensor",
            remedy="return what the last line computed",
        )
    return named


def _set_outputs(trace: Trace, function: Callable[..., Any], named: dict[str, Tensor]) -> None:
    """Make the results outputs of the graph, each under its name and made by a node of its own."""
    for name, tensor in named.items():
        trace.require_visible(tensor)
        if not trace.claim(name, tensor.value):
            raise DslError(
                f"The output {name!r} has the name of an input, a parameter or another output.",
                where=_line_of(function, ast.Return),
                found=f"{name}: {describe(tensor)}",
                expected="a name of its own",
                remedy="return a dict with other names: {'logits': x}",
            )
        _add_output(trace, name, tensor)


def _add_updates(trace: Trace) -> dict[str, str]:
    """Make the next values of parameters outputs; return parameter name to output name."""
    return {
        name: _add_output(trace, trace.names.unique(f"{name}.next"), trace.tensor(symbol.value))
        for name, symbol in trace.updates.items()
    }


def _add_output(trace: Trace, name: str, tensor: Tensor) -> str:
    value = tensor.value
    if value.producer() is None or value in trace.graph.outputs:
        value = emit("Identity", tensor).value
    value.name = name
    trace.graph.outputs.append(value)
    return name


def _drop_unread(trace: Trace) -> None:
    """Leave out constants that only served to compute shapes while the model was being built."""
    for value in trace.names.constants.values():
        if not value.uses():
            trace.graph.initializers.pop(str(value.name), None)


def _line_of(function: Callable[..., Any], kind: type[ast.stmt] | None = None) -> str:
    """Return the line of a function's `def`, or of its last statement of a kind."""
    code = function.__code__
    line = code.co_firstlineno
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):
        return line_text(code.co_filename, line, function.__name__)
    top = next(n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.Lambda)))
    lines = [n.lineno for n in ast.walk(tree) if kind is not None and isinstance(n, kind)]
    return line_text(code.co_filename, line + max(lines, default=top.lineno) - 1, function.__name__)
