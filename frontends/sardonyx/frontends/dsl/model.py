"""A model: a Python function of symbolic tensors and the types of its inputs."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import onnx
import onnx_ir as ir

from sardonyx.compiler.ir.text import STAGE, to_text
from sardonyx.frontends.dsl import parameters
from sardonyx.frontends.dsl.dtypes import DType, TensorSpec
from sardonyx.frontends.dsl.emit import emit
from sardonyx.frontends.dsl.errors import DslError, line_text
from sardonyx.frontends.dsl.symbol import describe, is_tensor
from sardonyx.frontends.dsl.tensor import Tensor
from sardonyx.frontends.dsl.trace import Parameter, Trace, tracing

_MOST_SHOWN = 16


@dataclass(frozen=True)
class _Built:
    model: ir.Model
    parameters: dict[str, Parameter]


class Model:
    """A model of the DSL; made by `@dsl.model(...)`.

    The function runs once, when something is first asked of the model.

    Attributes:
        name: The function's name.
        inputs: The types of the inputs by name, in the order of the function's arguments.
        seed: Seed of the initialisers.
        options: Values of arguments of the function that are no inputs, where they are not those
            that its `def` names.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Mapping[str, TensorSpec],
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = _plain_name(function)
        self.inputs = _matched(function, inputs)
        self.seed = seed
        self.options = dict(options or {})
        self.__doc__ = function.__doc__
        self._function = function
        self._built: _Built | None = None

    def build(self, *, seed: int = 0, **changes: Any) -> Model:
        """Return the model built anew with fresh parameters: `net.build(seed=1, width=8)`.

        Args:
            seed: Seed of the initialisers.
            changes: Other types of inputs, and other values of the function's arguments that are
                no inputs, by name. What is not named stays as it is here.

        Raises:
            DslError: The function has no such argument, or an input is given no type.
        """
        types = typed({name: spec for name, spec in changes.items() if name in self.inputs})
        options = {name: value for name, value in changes.items() if name not in types}
        usual = inspect.signature(self._function).parameters
        for name in options:
            if name not in usual:
                raise DslError(
                    f"{self.name} has no argument {name!r}.",
                    found=", ".join(options),
                    expected=", ".join(usual) or "none: the function takes no arguments",
                    remedy=f"write def {self.name}(..., {name}=...), and use it inside",
                )
        return Model(self._function, {**self.inputs, **types}, seed, {**self.options, **options})

    def to_ir(self) -> ir.Model:
        """Return the model as onnx_ir has it: opset 23, stage "source", its own copy.

        Raises:
            DslError: The function has a mistake; the error names its line.
        """
        return self._build().model.clone()

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model as an ONNX protobuf.

        Raises:
            DslError: The function has a mistake; the error names its line.
        """
        return ir.to_proto(self.to_ir())

    def text(self) -> str:
        """Return the model in ONNX's textual syntax, without the numbers of large parameters.

        Raises:
            DslError: The function has a mistake; the error names its line.
        """
        return to_text(self.to_ir(), elide=_MOST_SHOWN)

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters by name, in the order in which the function makes them.

        Raises:
            DslError: The function has a mistake; the error names its line.
        """
        return dict(self._build().parameters)

    def load(self, state: Mapping[str, Any], names: Mapping[str, str] | None = None) -> Model:
        """Replace the numbers of all parameters, and return the model.

        Args:
            state: Arrays or torch tensors by name, for example a PyTorch state_dict.
            names: For parameters that `state` calls otherwise: parameter name to name there.

        Raises:
            DslError: A name is missing or left over, or a shape differs; nothing is changed then.
        """
        parameters.load(self._build().parameters, state, names or {})
        return self

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Call the function as a part of another model that is being built.

        Raises:
            DslError: No model is being built: a model of the DSL holds no numbers to compute.
        """
        if not any(map(is_tensor, [*args, *named.values()])):
            raise DslError(
                f"{self.name} was called with something else than symbolic tensors.",
                found=", ".join(map(describe, [*args, *named.values()])) or "no arguments",
                expected="a call inside another model's function",
                remedy="to run it: runtime.load(compiler.compile(model.to_ir()))(x)",
            )
        return self._function(*args, **{**self.options, **named})

    def __repr__(self) -> str:
        types = ", ".join(f"{name}={spec}" for name, spec in self.inputs.items())
        return f"Model({self.name}: {types})"

    def _build(self) -> _Built:
        if self._built is None:
            self._built = _trace(self._function, self.inputs, self.seed, self.options)
        return self._built


def model(**inputs: TensorSpec | DType) -> Callable[[Callable[..., Any]], Model]:
    """Make a model of a function: `@model(x=f32["batch", 1, 28, 28])`.

    Args:
        inputs: The type of each argument of the function; `f32` alone is a scalar. The function
            returns a tensor, a tuple or list of tensors, or a dict whose keys name the outputs.

    Raises:
        DslError: The arguments of the function and the types have other names.
    """
    specs = typed(inputs)
    return lambda function: Model(function, specs)


def typed(inputs: Mapping[str, Any]) -> dict[str, TensorSpec]:
    """Return the types of inputs by name, a dtype alone as that of a scalar.

    Raises:
        DslError: One is no type.
    """
    specs = {name: spec[()] if isinstance(spec, DType) else spec for name, spec in inputs.items()}
    for name, spec in specs.items():
        if not isinstance(spec, TensorSpec):
            raise DslError(
                f"The input {name!r} has no type.",
                found=repr(spec),
                expected="a dtype with dims, such as dsl.f32['batch', 3]",
            )
    return specs


def _plain_name(function: Callable[..., Any]) -> str:
    """Return the name of a function, "model" for a lambda."""
    return function.__name__ if function.__name__.isidentifier() else "model"


def _matched(
    function: Callable[..., Any], inputs: Mapping[str, TensorSpec]
) -> dict[str, TensorSpec]:
    """Return the types in the order of the function's arguments."""
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


def _trace(
    function: Callable[..., Any],
    inputs: Mapping[str, TensorSpec],
    seed: int,
    options: Mapping[str, Any],
) -> _Built:
    values = [
        ir.Value(name=name, shape=ir.Shape(spec.dims), type=ir.TensorType(spec.dtype.code))
        for name, spec in inputs.items()
    ]
    trace = Trace(_plain_name(function), values, seed, Tensor)
    with tracing(trace):
        tensors = {str(value.name): trace.tensor(value) for value in values}
        result = function(**tensors, **options)
        _set_outputs(trace, function, _outputs(function, result))
    trace.model.metadata_props[STAGE] = "source"
    _drop_unread(trace)
    return _Built(trace.model, trace.names.parameters)


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
            expected="at least one tensor",
        )
    return named


def _set_outputs(trace: Trace, function: Callable[..., Any], named: dict[str, Tensor]) -> None:
    """Make the results outputs of the graph, each under its name and made by a node of its own."""
    for name, tensor in named.items():
        trace.require_visible(tensor)
        value = tensor.value
        if value.producer() is None or value in trace.graph.outputs:
            value = emit("Identity", tensor).value
        if name in trace.names.taken:
            raise DslError(
                f"The output {name!r} has the name of an input, a parameter or a node.",
                where=_line_of(function, ast.Return),
                remedy="return a dict with other names: {'logits': x}",
            )
        trace.names.unique(name)
        value.name = name
        trace.graph.outputs.append(value)


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
