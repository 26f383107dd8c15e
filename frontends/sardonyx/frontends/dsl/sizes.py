"""Arithmetic on raw sizes (ints and onnx_ir symbols), and how two of them broadcast."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

import onnx_ir as ir

from sardonyx.frontends.dsl.symbol import RawDim

_WHOLE = re.compile(r"-?\d+")
_RATIO = re.compile(r"\d+(/\d+)?")
_NAME = re.compile(r"[A-Za-z_][\w.]*")


def plain(dim: RawDim) -> RawDim:
    """Return an int where a symbol has become a number, and one spelling of each expression."""
    if isinstance(dim, int) or dim.value is None:
        return dim
    if _WHOLE.fullmatch(dim.value):
        return int(dim.value)
    if _NAME.fullmatch(dim.value):
        return dim
    spelled = dim + 0
    return int(spelled.value) if spelled.value and _WHOLE.fullmatch(spelled.value) else spelled


def product(dims: Iterable[RawDim]) -> RawDim:
    """Return the number of elements."""
    fixed = 1
    total: RawDim = 1
    for dim in dims:
        if isinstance(dim, int):
            fixed *= dim
        else:
            total = dim if isinstance(total, int) else total * dim
    return fixed if isinstance(total, int) else plain(total * fixed)


def quotient(whole: RawDim, part: RawDim) -> RawDim | None:
    """Return `whole / part` where it is known to be exact, else None."""
    if isinstance(whole, int) and isinstance(part, int):
        return whole // part if part and whole % part == 0 else None
    if isinstance(whole, int):
        return None
    exact = plain(whole / part)
    text = str(exact)
    return None if "/" in text else exact


def are_in_proportion(a: RawDim, b: RawDim) -> bool:
    """Say whether one is a fixed multiple of the other, other than 1: then they differ."""
    if isinstance(a, int) or isinstance(b, int):
        return isinstance(a, int) and isinstance(b, int) and a != b
    ratio = str(plain(a / b))
    return ratio != "1" and _RATIO.fullmatch(ratio) is not None


def same(a: RawDim, b: RawDim) -> bool:
    """Say whether two sizes are known to be equal."""
    if isinstance(a, int) or isinstance(b, int):
        return isinstance(a, int) and isinstance(b, int) and a == b
    if a.value is None or b.value is None:
        return False
    return a.value == b.value or plain(a) == plain(b) or plain(a - b) == 0


def differ(a: RawDim, b: RawDim, declared: Collection[str]) -> bool:
    """Say whether two sizes are known to be different, or are two names the user keeps apart."""
    if isinstance(a, int) and isinstance(b, int):
        return a != b
    if isinstance(a, int) or isinstance(b, int) or same(a, b):
        return False
    if a.value in declared and b.value in declared:
        return True
    apart = plain(a - b) if a.value and b.value else None
    return isinstance(apart, int) and apart != 0


def clamp(most: int, dim: ir.SymbolicDim) -> RawDim:
    """Return `min(most, dim)`."""
    return plain(ir.SymbolicDim(f"min({most}, {dim})")) if dim.value else ir.SymbolicDim(None)


def broadcast_dim(
    a: RawDim, b: RawDim, declared: Collection[str], new_symbol: Callable[[], ir.SymbolicDim]
) -> RawDim | None:
    """Return the size that two sizes broadcast to, or None where they never do.

    Two sizes that may turn out to be 1 give a new symbol: neither name would be true.
    """
    if same(a, b):
        return a
    if a == 1 or b == 1:
        return b if a == 1 else a
    if differ(a, b, declared):
        return None
    if isinstance(a, int) or isinstance(b, int):
        return a if isinstance(a, int) else b
    for bounded, free in ((a, b), (b, a)):
        # min(512, seq) is seq wherever the operation is possible at all.
        found = re.fullmatch(r"Min\((\d+), (\w+)\)", bounded.value or "")
        if found and int(found[1]) > 1 and found[2] == free.value:
            return free
    return new_symbol()
