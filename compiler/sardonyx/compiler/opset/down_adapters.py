"""Newer forms of operators written in older ones, where dropping defaults does not do."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from sardonyx.compiler.opset.other import GRID_SAMPLE_MODES
from sardonyx.compiler.opset.step import Adapter, Step


def dft_axis_to_attribute(step: Step) -> ir.Value:
    """DFT 17: the axis is an attribute, so it must be known."""
    axis = step.operand(2)
    known = step.array(axis)
    if axis is not None and known is None:
        raise step.refusal("its axis is computed")
    value = -2 if known is None else int(known)
    if value < 0:
        # The attribute of opset 17 does not count from the back in all runtimes.
        dims = step.dims(step.needed(0))
        if dims is None:
            raise step.refusal("its axis counts from the back and the rank is not known")
        value += len(dims)
    return step.renewed(step.needed(0), step.operand(1), axis=value).outputs[0]


def grid_sample_modes(step: Step) -> ir.Value:
    """GridSample 16: only images, and modes have their names for two axes."""
    dims = step.dims(step.needed(0))
    if dims is None or len(dims) != 4:
        raise step.refusal("its operand is not known to be a batch of images")
    names = {new: old for old, new in GRID_SAMPLE_MODES.items()}
    mode = step.attribute("mode", "linear")
    return step.renewed(*step.node.inputs, mode=names.get(mode, mode)).outputs[0]


def attention_of_full_mask(step: Step) -> Sequence[ir.Value]:
    """Attention 23: the mask covers all keys, where opset 24 fills up a shorter one."""
    if step.operand(6) is not None:
        raise step.refusal("it is told how many keys count (nonpad_kv_seqlen)")
    mask, keys = step.operand(3), step.needed(1)
    if mask is not None and not _covers(step, mask, keys):
        raise step.refusal("its mask is not known to cover all keys")
    return step.renewed(*step.node.inputs[:6]).outputs


def _covers(step: Step, mask: ir.Value, keys: ir.Value) -> bool:
    if step.operand(4) is not None:
        return False  # With a past, the keys are longer than what the operand shows.
    of_mask, of_keys = step.dims(mask), step.dims(keys)
    if not of_mask or of_keys is None or len(of_keys) < 2:
        return False
    last, length = of_mask[-1], of_keys[-2]
    is_known = isinstance(last, int) or last.value is not None
    return is_known and last == length


def quantize_to_zero_point(step: Step) -> ir.Value:
    """QuantizeLinear 19: the zero point alone gives the dtype of the result."""
    if step.attribute("block_size", 0):
        raise step.refusal("it quantizes in blocks")
    wanted = step.attribute("output_dtype", 0)
    zero = step.operand(2)
    if wanted and (zero is None or step.dtype(zero) != ir.DataType(wanted)):
        raise step.refusal("output_dtype is not the dtype of its zero point")
    return step.renewed(*step.node.inputs, drop=["block_size", "output_dtype"]).outputs[0]


def dequantize_to_scale(step: Step) -> ir.Value:
    """DequantizeLinear 21: the scale alone gives the dtype of the result."""
    wanted = step.attribute("output_dtype", 0)
    if wanted and step.dtype(step.needed(1)) != ir.DataType(wanted):
        raise step.refusal("output_dtype is not the dtype of its scale")
    return step.renewed(*step.node.inputs, drop=["output_dtype"]).outputs[0]


DOWN: dict[tuple[str, int], Adapter] = {
    ("DFT", 20): dft_axis_to_attribute,
    ("GridSample", 20): grid_sample_modes,
    ("Attention", 24): attention_of_full_mask,
    ("QuantizeLinear", 21): quantize_to_zero_point,
    ("DequantizeLinear", 23): dequantize_to_scale,
}
"""(operator, its version) -> the adapter that writes it in the form before."""

BY_BODY = {("GroupNormalization", 21)}
"""Operators that exist in an older opset, but with a meaning that cannot express theirs."""
