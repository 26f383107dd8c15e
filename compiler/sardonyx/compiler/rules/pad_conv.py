"""Zero padding, then convolution: the convolution pads."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, no, rest, rule
from sardonyx.compiler.rules.padding import pad, pad_value, spatial_pads, total_pads


def _fold(op: Builder, m: Match) -> ir.Value:
    """Conv(Pad(x)) is Conv(x) with the pads of both."""
    pads = total_pads(m, m.window.pads)
    made: ir.Value = op.Conv(m.x, *m.weights, attributes=m.window, pads=pads, auto_pad=None)
    return made


def _can_fold(m: Match) -> bool | No:
    if pad_value(m) != 0:
        return no(f"it pads with {pad_value(m):g}, a convolution with zeros")
    if m.window.auto_pad.startswith("SAME"):
        return no("the convolution chooses its own padding (auto_pad)")
    pads = spatial_pads(m)
    return pads if isinstance(pads, No) else True


PAD_CONV = rule(
    "pad_conv",
    lambda op: op.Conv(pad(op, "x"), rest("weights"), attributes="window"),
    _fold,
    _can_fold,
)
