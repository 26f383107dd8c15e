"""Whether a thread computes with denormals, the numbers below 1.2e-38 (float32).

Arithmetic on them is 2 to 7 times slower where masked softmax makes many. ONNX Runtime sets the
processor's mode in the threads of a session's pool, and once per process in the thread that makes
the first session. Here it is set in whichever thread makes a call, and set back after it.

The mode is bits 6 and 15 of the register MXCSR, which C's ``fesetenv`` writes as a part of
``fenv_t``: 32 bytes on x86-64, MXCSR the last four, in glibc and in musl.
"""

from __future__ import annotations

import contextlib
import ctypes
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_WORDS = 8
_MXCSR = 7
_X87_CONTROL = 0
DAZ_AND_FTZ = 0x8040
"""Denormals are zero as operands, and are flushed to zero as results."""
_ALL_MASKED = 0x1F80
"""Rounding to nearest, no exception interrupts: what a process starts with."""
_X87_START = 0x037F
_SMALLEST_NORMAL = sys.float_info.min


Get = Callable[[ctypes.c_void_p], Any]
Call = Callable[[Callable[..., Any], tuple[Any, ...], Any], Any]


class Saved:
    """Memory for a thread's mode, as C's functions write and read it."""

    __slots__ = ("pointer", "words")

    def __init__(self) -> None:
        self.words = (ctypes.c_uint32 * _WORDS)()
        self.pointer = ctypes.c_void_p(ctypes.addressof(self.words))


def _functions() -> tuple[Get, Get] | None:
    """C's ``fegetenv`` and ``fesetenv``; None where this file does not know their memory."""
    if sys.platform != "linux" or platform.machine() != "x86_64" or sys.maxsize < 2**32:
        return None
    try:
        # The functions keep Python's lock: they take nanoseconds, and giving it up takes longer.
        library = ctypes.PyDLL(None)
        return library.fegetenv, library.fesetenv
    except (OSError, AttributeError):
        return None


def _mode(get: Get, bits: int) -> Saved:
    mode = Saved()
    get(mode.pointer)
    mode.words[_X87_CONTROL] = mode.words[_X87_CONTROL] & ~0xFFFF | _X87_START
    mode.words[_MXCSR] = _ALL_MASKED | bits
    return mode


def _works(get: Get, set_: Get, modes: Sequence[Saved]) -> bool:
    """Whether the modes do what they say; Python's own floats tell."""
    before = Saved()
    get(before.pointer)
    try:
        found = []
        for mode in modes:
            set_(mode.pointer)
            found.append(_SMALLEST_NORMAL * 0.5 == 0)
    finally:
        set_(before.pointer)
    return found == [True, False]


def _support() -> tuple[Get, Get, Saved, Saved] | None:
    functions = _functions()
    if functions is None:
        return None
    get, set_ = functions
    flushed, kept = _mode(get, DAZ_AND_FTZ), _mode(get, 0)
    return (get, set_, flushed, kept) if _works(get, set_, (flushed, kept)) else None


SUPPORT = _support()
"""C's two functions and the two modes; None where the mode is left to ONNX Runtime."""


def call_in_mode(is_flushed: bool) -> Call:
    """A function that calls another one with denormals flushed to zero, or kept.

    It returns ``function(*args, last)``, and leaves the calling thread's mode as it was.
    """
    if SUPPORT is None:
        return _call
    get, set_, flushed, kept = SUPPORT
    wanted = (flushed if is_flushed else kept).pointer
    spare: list[Saved] = []
    take, give = spare.pop, spare.append

    def call(function: Callable[..., Any], args: tuple[Any, ...], last: Any) -> Any:
        try:
            saved = take()
        except IndexError:
            saved = Saved()
        pointer = saved.pointer
        get(pointer)
        try:
            set_(wanted)
            return function(*args, last)
        finally:
            set_(pointer)
            give(saved)

    return call


def _call(function: Callable[..., Any], args: tuple[Any, ...], last: Any) -> Any:
    return function(*args, last)


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """The calling thread's mode is as before afterwards: making the first session changes it."""
    if SUPPORT is None:
        yield
        return
    get, set_, *_ = SUPPORT
    before = Saved()
    get(before.pointer)
    try:
        yield
    finally:
        set_(before.pointer)
