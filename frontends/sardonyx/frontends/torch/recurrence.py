"""LSTM and GRU as one operator each, over any number of steps.

PyTorch traces them a step per element, which fixes the number; or, by a setting of its own, as a
loop that its compiler sees to, which remembers sizes from one capture to the next. The graph has
neither: it has the operator, and what is traced only says what shapes it gives.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses import FakeTensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode


@contextlib.contextmanager
def dynamic_recurrence() -> Iterator[None]:
    """Trace LSTM and GRU without a step per element."""
    try:
        from torch.export import _patches  # what torch.onnx itself uses for modules
    except ImportError:  # older than 2.11: sequence lengths are fixed, and reported as such
        yield
        return
    aten, register = torch.ops.aten, _patches._register_rnn_while_loop_decomposition
    with (
        register(aten.lstm.input, _in_shape_only(_patches.lstm_while_loop_impl)),
        register(aten.gru.input, _in_shape_only(_patches.gru_while_loop_impl)),
    ):
        yield


def _in_shape_only(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Empty results where a tracer asks for their shapes only; else those that are computed."""

    @functools.wraps(compute)
    def run(input: Tensor, hx: Tensor | Sequence[Tensor], *rest: Any) -> Any:
        if not isinstance(input, FakeTensor) or get_proxy_mode() is not None:
            return compute(input, hx, *rest)
        *_, is_bidirectional, _ = rest
        states = [hx] if isinstance(hx, Tensor) else [*hx]
        width = states[0].shape[2] * (1 + is_bidirectional)
        steps = input.new_empty(*input.shape[:2], width)
        return (steps, *map(torch.empty_like, states))

    return run
