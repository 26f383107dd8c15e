"""Finds the model that SRC on the command line means."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import onnx_ir as ir

from sardonyx.compiler.errors import CaptureError, SardonyxError, UnsupportedError
from sardonyx.frontends.cli.options import Dynamic
from sardonyx.frontends.comparing.sides import is_module, split_inputs

_FORMS = "a DSL model, an onnx_ir.Model, (torch module, inputs) or (torch module, inputs, dynamic)"


def load_source(source: str, dynamic: Dynamic | None = None) -> ir.Model:
    """Return the model of `file.onnx` or of `file.py:callable`.

    Raises:
        SardonyxError: There is no such file or callable, or it gives no model.
    """
    path, _, name = source.rpartition(":")
    if path.endswith(".py"):
        return _from_callable(Path(path), name, dynamic)
    if source.endswith(".py"):
        raise _without_callable(source)
    from sardonyx.frontends.onnx_file import from_onnx

    model = from_onnx(source)
    if dynamic:
        _check_dynamic(model, dynamic)
    return model


def load_any(source: str) -> Any:
    """Return what `file.py:callable` gives, or the path of a model file.

    Raises:
        SardonyxError: There is no such file or callable, or it gives no model.
    """
    path, _, name = source.rpartition(":")
    if path.endswith(".py"):
        return _made_by(Path(path), name)
    if source.endswith(".py"):
        raise _without_callable(source)
    return source


def _without_callable(source: str) -> UnsupportedError:
    return UnsupportedError(
        "A Python file needs the name of a callable.",
        found=source,
        expected=f"{source}:callable",
    )


def _made_by(path: Path, name: str) -> Any:
    """Return the model of any kind that a callable gives."""
    # Standard output is for results.
    with contextlib.redirect_stdout(sys.stderr):
        made = _call(path, name)
    if isinstance(made, ir.Model) or hasattr(made, "to_ir"):
        return made
    if not is_module(made):
        raise CaptureError(
            "The callable gives no model.",
            where=f"{path}:{name}",
            found=f"a value of type {type(made).__name__}",
            expected=_FORMS,
        )
    return made


def _from_callable(path: Path, name: str, dynamic: Dynamic | None) -> ir.Model:
    made = _made_by(path, name)
    if isinstance(made, ir.Model) or hasattr(made, "to_ir"):
        model: ir.Model = made if isinstance(made, ir.Model) else made.to_ir()
        if dynamic:
            _check_dynamic(model, dynamic)
        return model
    module, inputs, *more = made
    from sardonyx.frontends.torch import from_torch

    args, kwargs = split_inputs(inputs)
    wanted: dict[Any, dict[int, str]] = {k: dict(v) for k, v in (more[0] if more else {}).items()}
    for key, axes in (dynamic or {}).items():
        wanted.setdefault(key, {}).update(axes)
    return from_torch(module, args, kwargs, dynamic=wanted or None)


def _call(path: Path, name: str) -> Any:
    """Import a file as a module of its own and call a function of it."""
    if not path.is_file():
        raise UnsupportedError("There is no such Python file.", where=str(path))
    spec = importlib.util.spec_from_file_location(f"_sardonyx_source_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
        function = getattr(module, name, None)
        if function is not None and (hasattr(function, "to_ir") or isinstance(function, ir.Model)):
            return function
        if not callable(function):
            known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
            raise UnsupportedError(
                "There is no such callable in the file.",
                where=str(path),
                found=repr(name),
                expected=f"one of {', '.join(known) or 'none'}",
            )
        return function()
    except SardonyxError:
        raise
    except (Exception, SystemExit) as error:
        raise CaptureError(
            f"The file or its callable {name!r} fails with {type(error).__name__}.",
            where=_line_of(error, path),
            found=str(error) or None,
        ) from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _line_of(error: BaseException, path: Path) -> str:
    """Return the last line of the user's own file that an error passed through."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).resolve() == path.resolve():
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.lineno is not None:
        line = error.lineno
    return f"{path}:{line}" if line else str(path)


def _check_dynamic(model: ir.Model, dynamic: Dynamic) -> None:
    """A file's dimensions are as they are; accept the ones that are dynamic already."""
    inputs = {value.name: value for value in model.graph.inputs}
    for name, axes in dynamic.items():
        value = inputs.get(str(name))
        if value is None or value.shape is None:
            raise UnsupportedError(
                f"The model has no input {name!r} of known rank.",
                expected=f"one of {', '.join(map(str, inputs))}",
            )
        for axis in axes:
            rank = len(value.shape)
            if not -rank <= axis < rank or isinstance(value.shape[axis], int):
                raise UnsupportedError(
                    f"Axis {axis} of input {name!r} cannot be made dynamic.",
                    found=f"shape [{', '.join(map(str, value.shape))}]",
                    remedy="export the model with that dimension dynamic",
                )
