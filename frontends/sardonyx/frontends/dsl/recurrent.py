"""Layers that go along time: vanilla RNN, LSTM and GRU, on the ONNX operators of those names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import onnx_ir as ir

from sardonyx.frontends.dsl import init as initial
from sardonyx.frontends.dsl import sizes
from sardonyx.frontends.dsl.emit import emit_all
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.joining import concat, split, stack
from sardonyx.frontends.dsl.layers import fixed_size, positive
from sardonyx.frontends.dsl.parameters import parameter
from sardonyx.frontends.dsl.symbol import describe, require_tensor
from sardonyx.frontends.dsl.trace import current, layer

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor

GATES = {"RNN": (0,), "LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}
"""Where the gates that ONNX wants (iofc, zrh) stand in PyTorch's weights (ifgo, rzn)."""

DIRECTIONS = ("", "_reverse")


def rnn(
    x: Tensor,
    units: int,
    state: Tensor | None = None,
    *,
    activation: Literal["tanh", "relu"] = "tanh",
    bidirectional: bool = False,
    bias: bool = True,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Go along time with h = activation(x @ W.T + h @ R.T + b); return all h and the last.

    Args:
        x: [time, batch, features], `features` fixed.
        units: Size of h.
        state: The first h, [directions, batch, units]; zeros by default.
        activation: Of each step.
        bidirectional: Whether a second layer goes from the end to the start; its h stand behind
            those of the first.
        bias: Whether to add two, as PyTorch does.
        name: Name of the layer, by default "rnn".

    Returns:
        [time, batch, directions * units] and [directions, batch, units].

    Parameters made, named as PyTorch's of one layer: weight_ih_l0 [units, features], weight_hh_l0
    [units, units], bias_ih_l0, bias_hh_l0 [units], and with bidirectional each once more, with
    "_reverse" behind its name.

    Raises:
        DslError: x has another rank or its features are not fixed, or the state does not fit.
    """
    ways = 2 if bidirectional else 1
    kinds = {"activations": [activation.capitalize()] * ways}
    states = [] if state is None else [state]
    outputs, last = _along(
        "RNN", x, units, state=states, ways=ways, bias=bias, name=name, outputs=2, **kinds
    )
    return outputs, last


def lstm(
    x: Tensor,
    units: int,
    state: tuple[Tensor, Tensor] | None = None,
    *,
    bidirectional: bool = False,
    bias: bool = True,
    name: str | None = None,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Go along time with a long short-term memory; return all h, and the last h and c.

    Arguments, parameters and errors are those of `rnn`, where the parameters hold the gates i, f,
    g, o one after the other, [4 * units, ...], and the state is a pair: h and c.
    """
    ways = 2 if bidirectional else 1
    outputs, hidden, cell = _along(
        "LSTM", x, units, state=state or (), ways=ways, bias=bias, name=name, outputs=3
    )
    return outputs, (hidden, cell)


def gru(
    x: Tensor,
    units: int,
    state: Tensor | None = None,
    *,
    bidirectional: bool = False,
    bias: bool = True,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Go along time with gated recurrent units; return all h and the last.

    Arguments, parameters and errors are those of `rnn`, where the parameters hold the gates r, z,
    n one after the other, [3 * units, ...]. The reset gate multiplies what comes out of R, as in
    PyTorch.
    """
    ways = 2 if bidirectional else 1
    states = [] if state is None else [state]
    more = {"linear_before_reset": 1}
    outputs, last = _along(
        "GRU", x, units, state=states, ways=ways, bias=bias, name=name, outputs=2, **more
    )
    return outputs, last


def _along(
    op_type: str,
    x: Tensor,
    units: int,
    *,
    state: Sequence[Tensor],
    ways: int,
    bias: bool,
    name: str | None,
    **more: Any,
) -> tuple[Tensor, ...]:
    """Make the parameters and the node; return [time, batch, ways * units] and the last states."""
    kind = op_type.lower()
    positive(kind, "units", units)
    require_tensor(x, *state)
    if x.rank != 3:
        raise DslError(
            f"{kind} goes along the first of three axes.",
            found=describe(x),
            expected="[time, batch, features]",
            remedy="x.transpose(0, 1) if the batch is first, x[:, None] if there is none",
        )
    time, batch, _ = x.dims
    declared = current().declared
    wanted = [ways, batch, units]
    for held in state:
        sizes_differ = held.rank != 3 or any(
            sizes.differ(a, b, declared) for a, b in zip(held.dims, wanted, strict=True)
        )
        if sizes_differ:
            raise DslError(
                f"The first state of {kind} does not fit.",
                found=describe(held),
                expected=f"[{', '.join(map(str, wanted))}]: directions, batch, units",
            )
    with layer(kind, name):
        weights = _parameters(op_type, x, units, ways=ways, bias=bias)
        if ways == 2:
            more["direction"] = "bidirectional"
        every, *last = emit_all(op_type, x, *weights, None, *state, hidden_size=units, **more)
    every.value.shape = ir.Shape([time, ways, batch, units])
    for end in last:
        end.value.shape = ir.Shape(wanted)
    joined = every.transpose(1, 2).reshape(x.shape[0], x.shape[1], ways * units)
    return joined if ways == 2 else every.squeeze(1), *last


def _parameters(
    op_type: str, x: Tensor, units: int, *, ways: int, bias: bool
) -> list[Tensor | None]:
    """Make PyTorch's parameters; return ONNX's W, R and B, a row for each direction."""
    features = fixed_size(x, -1, op_type.lower())
    gates = len(GATES[op_type])
    rows: list[list[Tensor]] = []
    for way in DIRECTIONS[:ways]:
        shapes: dict[str, tuple[int, ...]]
        shapes = {"weight_ih_l0": (gates * units, features), "weight_hh_l0": (gates * units, units)}
        if bias:
            shapes |= {"bias_ih_l0": (gates * units,), "bias_hh_l0": (gates * units,)}
        bound = initial.uniform(-(units**-0.5), units**-0.5)
        made = [parameter(n + way, shape, bound, dtype=x.dtype) for n, shape in shapes.items()]
        ordered = [_ordered(op_type, weight) for weight in made]
        rows.append([*ordered[:2], concat(ordered[2:], 0)] if bias else ordered)
    found: list[Tensor | None] = [stack(row) for row in zip(*rows, strict=True)]
    return found if bias else [*found, None]


def _ordered(op_type: str, weight: Tensor) -> Tensor:
    """Return a weight with its gates in the order of ONNX."""
    order = GATES[op_type]
    if len(order) == 1:
        return weight
    gates = split(weight, len(order), axis=0)
    return concat([gates[i] for i in order], 0)
