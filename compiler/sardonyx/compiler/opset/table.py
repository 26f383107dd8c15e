"""What each version step of each operator asks for: an adapter, or the reason why nothing."""

from __future__ import annotations

from sardonyx.compiler.opset import axes, broadcast, norm, other, resize
from sardonyx.compiler.opset.step import Adapter

UP: dict[tuple[str, int], Adapter] = {
    **axes.ADAPTERS,
    **broadcast.ADAPTERS,
    **norm.ADAPTERS,
    **other.ADAPTERS,
    **resize.ADAPTERS,
}
"""(operator, new version) -> the adapter that brings a node of the form before it there."""

ADDITIVE: dict[tuple[str, int], str] = {
    ("ArgMax", 12): "select_last_index=0 is what it did",
    ("ArgMin", 12): "select_last_index=0 is what it did",
    ("AveragePool", 7): "count_include_pad=0 is what it did",
    ("AveragePool", 10): "ceil_mode=0 is what it did",
    ("AveragePool", 19): "no dilations is what it did",
    ("Cast", 19): "saturate concerns float8, which is new with it",
    ("CastLike", 19): "saturate concerns float8, which is new with it",
    ("Constant", 11): "sparse_value is one more way to give the constant",
    ("Constant", 12): "value_* are more ways to give the constant",
    ("DepthToSpace", 11): "mode=DCR is what it did",
    ("DequantizeLinear", 13): "axis concerns scales per channel, which are new with it",
    ("DequantizeLinear", 21): "block_size=0 is what it did",
    ("DequantizeLinear", 23): "without output_dtype the scale's type counts, as it did",
    ("GRU", 14): "layout=0 is what it did",
    ("GatherND", 12): "batch_dims=0 is what it did",
    ("LSTM", 14): "layout=0 is what it did",
    ("LpPool", 18): "ceil_mode=0 and no dilations are what it did",
    ("MaxPool", 8): "one more output that nobody reads",
    ("MaxPool", 10): "ceil_mode=0 and no dilations are what it did",
    ("Pad", 18): "without axes all are padded, as before",
    ("QuantizeLinear", 13): "axis concerns scales per channel, which are new with it",
    ("QuantizeLinear", 19): "saturate concerns float8, which is new with it",
    ("QuantizeLinear", 21): "block_size=0 and no output_dtype are what it did",
    ("QuantizeLinear", 23): "without precision it computes in the type of x, as before",
    ("RNN", 14): "layout=0 is what it did",
    ("Reshape", 14): "allowzero=0 is what it did",
    ("Resize", 18): "antialias=0, all axes and keep_aspect_ratio_policy=stretch are what it did",
    ("ScatterElements", 16): "reduction=none is what it did",
    ("ScatterND", 16): "reduction=none is what it did",
    ("Shape", 15): "start=0 and no end give the whole shape",
    ("TopK", 11): "largest=1 and sorted=1 are what it did",
}
"""Steps that only add what is optional, with why its default leaves old nodes as they were."""
