"""Runs a model by the definitions of its operators in numpy: onnx's reference evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from sardonyx.frontends.dsl.dtypes import TensorSpec
from sardonyx.frontends.dsl.errors import DslError


def evaluate(
    model: onnx.ModelProto,
    inputs: Mapping[str, TensorSpec],
    given: Sequence[Any],
    named: Mapping[str, Any],
) -> list[Any]:
    """Return the outputs of a model for some arrays.

    Args:
        model: The model.
        inputs: The types of its inputs, in order.
        given: Arrays by position.
        named: Arrays by name.

    Raises:
        DslError: The arrays do not fit the inputs, or the evaluator fails.
    """
    feed = _placed(inputs, given, named)
    arrays = {
        name: feed[name] if spec.wraps else _array(name, spec, feed[name])
        for name, spec in inputs.items()
    }
    _refuse_other_symbols(inputs, arrays)
    try:
        return list(
            ReferenceEvaluator(model).run(None, {inputs[n].name or n: a for n, a in arrays.items()})
        )
    except Exception as error:
        # The evaluator raises whatever its Python does.
        raise DslError(
            "The reference evaluator of the onnx package cannot run this model.",
            found=f"{type(error).__name__}: {error}",
            expected="operators of standard ONNX",
            remedy="run it: runtime.load(compiler.compile(model))(x)",
        ) from error


def _placed(
    inputs: Mapping[str, TensorSpec], given: Sequence[Any], named: Mapping[str, Any]
) -> dict[str, Any]:
    feed = {**dict(zip(inputs, given, strict=False)), **named}
    is_twice = bool(set(list(inputs)[: len(given)]) & set(named))
    if len(given) > len(inputs) or is_twice or set(feed) != set(inputs):
        raise DslError(
            "The arrays are not those that the model takes.",
            found=f"{len(given)} by position, {', '.join(named) or 'none'} by name",
            expected=", ".join(f"{name} {spec}" for name, spec in inputs.items()),
            remedy="pass one array for each input, by position or by name",
        )
    return feed


def _array(name: str, spec: TensorSpec, given: Any) -> np.ndarray[Any, Any]:
    data = np.asarray(given)
    wanted = spec.dtype.numpy
    is_text = wanted.kind == "O" and data.dtype.kind in "OUS"
    dims = data.shape if spec.dims is None else spec.dims
    fits = len(data.shape) == len(dims) and all(
        size == dim for size, dim in zip(data.shape, dims, strict=True) if isinstance(dim, int)
    )
    if (data.dtype != wanted and not is_text) or not fits:
        raise DslError(
            f"The array for {name!r} does not fit.",
            found=f"{data.dtype}{list(data.shape)}",
            expected=f"{wanted}, {spec}",
            remedy=f"convert it: x.astype({str(wanted)!r}), x.reshape(...)",
        )
    return data


def _refuse_other_symbols(
    inputs: Mapping[str, TensorSpec], arrays: Mapping[str, np.ndarray[Any, Any]]
) -> None:
    bound: dict[str, tuple[int, str]] = {}
    for name, spec in inputs.items():
        if spec.dims is None or spec.wraps:
            continue
        for size, dim in zip(arrays[name].shape, spec.dims, strict=True):
            if isinstance(dim, int) or not dim.isidentifier():
                continue
            first, where = bound.setdefault(dim, (size, name))
            if first != size:
                raise DslError(
                    f"The size {dim!r} is not the same everywhere.",
                    found=f"{first} in {where!r}, {size} in {name!r}",
                    expected="one number for each name of a size",
                )
