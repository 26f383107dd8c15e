"""Parameters: made inside a model's function, read and loaded outside of it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from sardonyx.frontends.dsl.dtypes import DTypeLike, f32, to_dtype
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.init import Initializer, glorot_uniform, lazy
from sardonyx.frontends.dsl.symbol import describe
from sardonyx.frontends.dsl.trace import Parameter, current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor

_MOST_NAMES = 8
# A batch norm of PyTorch counts its steps; no number here depends on it.
_COUNTER = "num_batches_tracked"


def parameter(
    name: str,
    shape: Sequence[int],
    init: Initializer | None = None,
    *,
    dtype: DTypeLike = f32,
    trainable: bool = True,
) -> Tensor:
    """Make a parameter of the model and return it; pass it to two layers to share it.

    Args:
        name: Its name within the open scopes.
        shape: Sizes, all fixed.
        init: How it is initialised; Glorot uniform by default.
        dtype: Its dtype.
        trainable: False for statistics that training does not learn.

    Raises:
        DslError: A size is not fixed, or another parameter has that name.
    """
    trace = current()
    if not all(isinstance(n, (int, np.integer)) and n >= 0 for n in shape):
        raise DslError(
            f"The parameter {name!r} needs fixed sizes.",
            found=f"[{', '.join(map(str, shape))}]",
            expected="ints: a weight does not change its shape between runs",
            remedy="fix the size in the type of the input, or reduce that axis first",
        )
    kind = to_dtype(dtype)
    full = trace.full_name(name)
    held = lazy(init or glorot_uniform(), full, [int(n) for n in shape], kind, trace.settings.seed)
    tensor: Tensor = trace.tensor(trace.parameter(full, held, trainable), trace.root)
    return tensor


def given_or_new(
    given: Tensor | None, name: str, shape: Sequence[int], init: Initializer, dtype: DTypeLike
) -> Tensor:
    """Return the tensor that the user shares, checked, or a new parameter.

    Raises:
        DslError: The shared tensor has another shape.
    """
    if given is None:
        return parameter(name, shape, init, dtype=dtype)
    if list(given.dims) != list(shape):
        raise DslError(
            f"The {name} that is passed in has another shape.",
            found=describe(given),
            expected=f"[{', '.join(map(str, shape))}]",
            remedy="linear takes weights [out, in], conv [out, in / groups, *kernel]; see "
            "x.transpose and x.reshape",
        )
    return given


def arrays(
    parameters: Mapping[str, Parameter], state: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, np.ndarray[Any, Any]]:
    """Return the numbers of each parameter that `state` has, checked, copied and converted.

    Args:
        parameters: The parameters of a model by name.
        state: Arrays or torch tensors by name.
        names: For parameters that `state` calls otherwise: their name there.

    Raises:
        DslError: A parameter is missing, one is left over, or a shape differs.
    """
    wanted = {name: names.get(name, name) for name in parameters}
    missing = [f"{name}" for name, there in wanted.items() if there not in state]
    unused = sorted(n for n in set(state) - set(wanted.values()) if not n.endswith(_COUNTER))
    if missing or unused:
        near = [difflib.get_close_matches(name, unused, n=1) for name in missing[:1]]
        hint = f"; is {missing[0]!r} there called {near[0][0]!r}?" if near and near[0] else ""
        raise DslError(
            "The names of the parameters and of the state do not match.",
            found=f"missing in the state: {_listed(missing)}; left over: {_listed(unused)}",
            expected="one array for each parameter (model.parameters() lists them)",
            remedy="map names with load(state, names={'parameter': 'name in state'})" + hint,
        )
    return {name: _array(parameters[name], state[there]) for name, there in wanted.items()}


def put(parameters: Mapping[str, Parameter], numbers: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Give parameters the numbers that are there for them, in their shape."""
    for name, array in numbers.items():
        if name in parameters and parameters[name].shape == array.shape:
            value = parameters[name].value
            value.const_value = ir.Tensor(array, dtype=value.dtype, name=name)


def _array(target: Parameter, given: Any) -> np.ndarray[Any, Any]:
    """Return what `given` holds in the dtype of the parameter, independent of its memory."""
    try:
        held = np.asarray(ir.tensor(given.detach() if hasattr(given, "detach") else given).numpy())
    except (TypeError, ValueError):
        held = np.asarray(None)
    if held.dtype.kind in "OUS":
        raise DslError(
            f"The state of {target.name!r} is no array.",
            found=type(given).__name__,
            expected=f"{target.dtype}{list(target.shape)}",
            remedy="pass a numpy array or a torch tensor",
        )
    if held.shape != target.shape:
        raise DslError(
            f"The state of {target.name!r} has another shape.",
            found=f"{list(held.shape)}",
            expected=f"{list(target.shape)}, the parameter made at {target.where}",
            remedy="linear weights are [out, in], conv weights [out, in, *kernel], as in PyTorch",
        )
    return np.array(held, dtype=target.dtype)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return (", ".join(names[:_MOST_NAMES]) or "none") + (f" and {more} more" if more > 0 else "")
