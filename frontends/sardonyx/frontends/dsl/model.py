"""A model: a Python function of symbolic tensors and the types of its inputs."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from sardonyx.compiler.ir.text import to_text
from sardonyx.frontends.dsl import files, parameters
from sardonyx.frontends.dsl.building import Built, build, matched, plain_name
from sardonyx.frontends.dsl.dtypes import DType, TensorSpec
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.evaluation import evaluate
from sardonyx.frontends.dsl.summary import Summary, fixed, summarize
from sardonyx.frontends.dsl.symbol import describe, is_tensor
from sardonyx.frontends.dsl.trace import Parameter, Settings

_MOST_SHOWN = 16


class Model:
    """A model of the DSL; made by `@dsl.model(...)`.

    The function runs once, when something is first asked of the model.

    Attributes:
        name: The function's name.
        inputs: The types of the inputs by name, in the order of the function's arguments.
        options: Values of arguments of the function that are no inputs, where they are not those
            that its `def` names.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Mapping[str, TensorSpec],
        settings: Settings | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = plain_name(function)
        self.inputs = matched(function, inputs)
        self.options = dict(options or {})
        self._settings = settings or Settings()
        self.__doc__ = function.__doc__
        self._function = function
        self._built: Built | None = None
        self._loaded: dict[str, np.ndarray[Any, Any]] = {}

    @property
    def seed(self) -> int:
        """Seed of the initialisers and of random operators."""
        return self._settings.seed

    @property
    def training(self) -> bool:
        """Whether layers behave as in training."""
        return self._settings.training

    def build(
        self, *, seed: int | None = None, training: bool | None = None, **changes: Any
    ) -> Model:
        """Return the model built anew: `net.build(training=True)`, `net.build(seed=1, width=8)`.

        Parameters that were loaded keep their numbers, unless there is a new seed or an argument
        has another value.

        Args:
            seed: Seed of the initialisers and of random operators; for fresh parameters.
            training: Whether dropout, noise and batch norm behave as in training; the model then
                also has the next values of running statistics as outputs (see `updates`).
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
        settings = Settings(
            self.seed if seed is None else seed, self.training if training is None else training
        )
        built = Model(
            self._function, {**self.inputs, **types}, settings, {**self.options, **options}
        )
        if seed is None and not options:
            built._loaded = dict(self._loaded)
        return built

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

    def updates(self) -> dict[str, str]:
        """Return the parameters that have a next value, and the outputs that hold it.

        Raises:
            DslError: The function has a mistake; the error names its line.
        """
        return dict(self._build().updates)

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return copies of the numbers of all parameters by name.

        Raises:
            DslError: The function has a mistake; the error names its line.
        """
        return {name: p.numpy().copy() for name, p in self._build().parameters.items()}

    def load(
        self,
        state: Mapping[str, Any] | str | os.PathLike[str],
        names: Mapping[str, str] | None = None,
    ) -> Model:
        """Replace the numbers of all parameters, and return the model.

        Args:
            state: Arrays or torch tensors by name, for example a PyTorch state_dict; or the path
                of a .safetensors or .npz file.
            names: For parameters that `state` calls otherwise: parameter name to name there.

        Raises:
            DslError: The file cannot be read, a name is missing or left over, or a shape differs;
                nothing is changed then.
        """
        held = state if isinstance(state, Mapping) else files.read(state)
        arrays = parameters.arrays(self._build().parameters, held, names or {})
        self._loaded = arrays
        parameters.put(self._build().parameters, arrays)
        return self

    def save_parameters(self, path: str | os.PathLike[str]) -> None:
        """Write the numbers of all parameters to a .safetensors or .npz file, for `load`.

        Raises:
            DslError: The suffix names no kind of file, or the file cannot hold a dtype.
            ExportError: The file cannot be written.
        """
        files.write(path, {name: p.numpy() for name, p in self._build().parameters.items()})

    def summary(self, depth: int = 3, **sizes: int) -> Summary:
        """Return a table of scopes and layers: output shapes, parameters, multiply-adds.

        Args:
            depth: How many scopes deep the table goes.
            sizes: Numbers for symbolic sizes of the inputs; others count as 1.

        Raises:
            DslError: The function has a mistake, or no input has a size of that name.
        """
        types = fixed(self.inputs, sizes)
        model = self
        if types != self.inputs:
            model = Model(self._function, types, self._settings, self.options)
        built = model._build()
        return summarize(built.model, built.parameters, depth)

    def run(self, *arrays: Any, **named: Any) -> list[Any]:
        """Return the outputs for some arrays, computed by the definitions of the operators.

        This is for checking a model, not for using it: onnx's reference evaluator is slow, and
        knows no operators but those of standard ONNX.

        Args:
            arrays: One for each input, in order.
            named: Others by name.

        Raises:
            DslError: The arrays do not fit the inputs, or the evaluator cannot run the model.
        """
        return evaluate(self.to_onnx(), self.inputs, arrays, named)

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
                remedy="to run it: runtime.load(compiler.compile(model))(x); to check it: "
                "model.run(x)",
            )
        return self._function(*args, **{**self.options, **named})

    def __repr__(self) -> str:
        types = ", ".join(f"{name}={spec}" for name, spec in self.inputs.items())
        return f"Model({self.name}: {types})"

    def _build(self) -> Built:
        if self._built is None:
            self._built = build(self._function, self.inputs, self._settings, self.options)
            parameters.put(self._built.parameters, self._loaded)
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
