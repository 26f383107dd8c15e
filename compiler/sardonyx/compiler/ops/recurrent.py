"""Rows of the recurrent layers."""

from __future__ import annotations

from sardonyx.compiler.ops.axes import Fixed
from sardonyx.compiler.ops.cost import recurrent
from sardonyx.compiler.ops.row import define
from sardonyx.compiler.ops.sample import REAL, Case, Random, Sampler
from sardonyx.compiler.ops.tolerance import Tolerance


def _layer(gates: int, outputs: int) -> Sampler:
    def sample(random: Random) -> Case:
        steps, batch, inputs, hidden = (int(x) for x in random.integers(1, 6, 4))
        direction = str(random.choice(["forward", "reverse", "bidirectional"]))
        count = 2 if direction == "bidirectional" else 1
        operands = (
            REAL(random, (steps, batch, inputs)),
            0.3 * REAL(random, (count, gates * hidden, inputs)),
            0.3 * REAL(random, (count, gates * hidden, hidden)),
            REAL(random, (count, 2 * gates * hidden)) if random.random() < 0.5 else None,
        )
        attributes = {"hidden_size": hidden, "direction": direction}
        return Case(operands, attributes, frozenset({1, 2, 3}), outputs)

    return sample


for _name, _gates, _outputs in (("RNN", 1, 2), ("GRU", 3, 2), ("LSTM", 4, 3)):
    define(
        _name,
        axes=Fixed("its attribute `layout` names the order of its axes"),
        cost=recurrent(_gates),
        tolerance=Tolerance.ACCUMULATING,
        sample=_layer(_gates, _outputs),
    )
