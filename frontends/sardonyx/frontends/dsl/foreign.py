"""What numpy, PyTorch and Python itself are told that ask a tensor or a size for its numbers."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from sardonyx.frontends.dsl.errors import DslError, UnknownNameError

_REFLECTED = {
    np.add: "__radd__",
    np.subtract: "__rsub__",
    np.multiply: "__rmul__",
    np.true_divide: "__rtruediv__",
    np.floor_divide: "__rfloordiv__",
    np.remainder: "__rmod__",
    np.power: "__rpow__",
    np.matmul: "__rmatmul__",
    np.bitwise_and: "__rand__",
    np.bitwise_or: "__ror__",
    np.bitwise_xor: "__rxor__",
    np.less: "__gt__",
    np.less_equal: "__ge__",
    np.greater: "__lt__",
    np.greater_equal: "__le__",
    np.equal: "__eq__",
    np.not_equal: "__ne__",
}
"""What an operator with an array on its left is to what is on its right."""
_ABOUT_SHAPES = {np.shape: "shape", np.ndim: "ndim"}
_NAMES = {"concatenate": "concat", "absolute": "abs", "fabs": "abs", "true_divide": "div"}
"""Functions of numpy that the language has under another name."""


class Foreign:
    """Refuses what needs numbers, and says what to do; arrays may stand left of an operator."""

    __slots__ = ()

    def _refusal(self, what: str) -> DslError:
        raise NotImplementedError

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        name, left = _REFLECTED.get(ufunc), inputs[0]
        # `array += x` binds the name to what comes back.
        is_in_place = set(options) == {"out"} and options["out"][0] is left
        is_operator = method == "__call__" and (not options or is_in_place)
        if name is not None and is_operator and not isinstance(left, Foreign):
            made = getattr(self, name, lambda _: NotImplemented)(left)
            if made is not NotImplemented:
                return made
        raise _needs_numbers("numpy", ufunc.__name__, self)

    def __array_function__(self, function: Any, _: Any, args: Any, __: Any) -> Any:
        asked = _ABOUT_SHAPES.get(function)
        if asked is not None and args and args[0] is self and hasattr(self, asked):
            return getattr(self, asked)
        raise _needs_numbers("numpy", function.__name__, self)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise _needs_numbers("numpy", "asarray", self)

    @classmethod
    def __torch_function__(cls, function: Any, _: Any, args: Any = (), __: Any = None) -> NoReturn:
        name = getattr(function, "__name__", "?")
        given = next((arg for arg in args if isinstance(arg, cls)), cls.__name__)
        raise _needs_numbers("torch", name, given)

    def __index__(self) -> int:
        raise self._refusal("Python needs a number here.")

    __int__ = __index__

    def __float__(self) -> float:
        raise self._refusal("Python needs a number here.")

    def __complex__(self) -> complex:
        raise self._refusal("Python needs a number here.")

    def __round__(self, _: int | None = None) -> NoReturn:
        raise self._refusal("Python needs a number here.")

    __trunc__ = __floor__ = __ceil__ = __round__

    def __format__(self, form: str) -> str:
        if form:
            raise self._refusal(f"The format {form!r} needs a number here.")
        return str(self)


def _needs_numbers(library: str, name: str, given: object) -> DslError:
    from sardonyx.frontends import dsl

    known = _NAMES.get(name, name)
    return DslError(
        f"{library}.{name} needs numbers, which there are only when the model runs.",
        found=str(given),
        expected="numbers, which go into the model as constants",
        remedy=f"compute with dsl.{known}, which is then part of the model"
        if hasattr(dsl, known)
        else "compute with the operators and functions of dsl, which are then part of the model",
    )


def unknown(kind: str, name: str) -> AttributeError:
    """Return the error for an attribute that a tensor does not have."""
    if name.startswith("_"):
        return AttributeError(name)
    from sardonyx.frontends import dsl

    known = _NAMES.get(name, name)
    return UnknownNameError(
        f"A {kind} has no attribute {name!r}.",
        found=f".{name}",
        expected="shape, ndim, dtype, name, T or a method, such as reshape",
        remedy=f"write dsl.{known}(...)"
        if hasattr(dsl, known)
        else "see dir(dsl); numbers are there only when the model runs",
    )
