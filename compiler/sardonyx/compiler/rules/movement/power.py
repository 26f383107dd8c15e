"""Powers with a small or a half exponent are products, roots and reciprocals.

Pow calls the general function for each element: a product or a root is many times faster.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.rewrite import Match, No, const, no, rule
from sardonyx.compiler.rules.affine import FLOATS


def _square(op: Builder, x: ir.Value) -> ir.Value:
    return op.Mul(x, x)  # type: ignore[no-any-return]


def _cube(op: Builder, x: ir.Value) -> ir.Value:
    return op.Mul(op.Mul(x, x), x)  # type: ignore[no-any-return]


def _fourth(op: Builder, x: ir.Value) -> ir.Value:
    return _square(op, _square(op, x))


def _root(op: Builder, x: ir.Value) -> ir.Value:
    return op.Sqrt(x)  # type: ignore[no-any-return]


def _over(
    inner: Callable[[Builder, ir.Value], ir.Value],
) -> Callable[[Builder, ir.Value], ir.Value]:
    return lambda op, x: op.Reciprocal(inner(op, x))


_FORMS: dict[float, Callable[[Builder, ir.Value], ir.Value]] = {
    2.0: _square,
    3.0: _cube,
    4.0: _fourth,
    0.5: _root,
    -0.5: _over(_root),
    -1.0: _over(lambda _, x: x),
    -2.0: _over(_square),
}


def _write(op: Builder, m: Match) -> ir.Value:
    """x ** 2 is x * x, x ** 0.5 is Sqrt(x), x ** -1 is Reciprocal(x)."""
    return _FORMS[float(m.exponent.flat[0])](op, m.x)


def _has_form(exponent: Array) -> bool:
    return exponent.size == 1 and float(exponent.flat[0]) in _FORMS


def _can_write(m: Match) -> bool | No:
    exponent = m.value("exponent")
    assert exponent is not None
    assert exponent.shape is not None
    if m.x.shape is None or len(m.x.shape) < len(exponent.shape):
        return no("the exponent has more axes than the value", exponent)
    if m.x.dtype in FLOATS:
        return True
    is_product = float(m.exponent.flat[0]) > 1
    return is_product or no("roots and reciprocals are for floats", m.x)


POWER = rule(
    "power",
    lambda op: op.Pow("x", const("exponent", _has_form, "2, 3, 4, 0.5 or one of their inverses")),
    _write,
    _can_write,
)
