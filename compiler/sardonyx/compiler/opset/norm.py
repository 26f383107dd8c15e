"""Normalisations, softmax and dropout: what their versions mean differently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.opset.step import Adapter, Step


def softmax_of_rows(step: Step) -> ir.Value:
    """Softmax, LogSoftmax, Hardmax 13: one axis, where all axes from `axis` on used to count."""
    x = step.needed(0)
    dims = step.dims(x)
    name = step.node.op_type
    attr = step.node.attributes.get("axis")
    if dims and not (attr is not None and attr.is_ref()):
        first = int(step.attribute("axis", 1)) % len(dims)
        wide = [i for i in range(first, len(dims)) if dims[i] != 1]
        if len(wide) <= 1:
            return step.op(name, x, axis=wide[0] if wide else len(dims) - 1)
    rows = step.op("Flatten", x, attributes=step.kept())
    shape = step.op("Shape", x)
    result = step.op(name, rows, axis=1)
    return step.op("Reshape", result, shape, version=14, allowzero=1)


def forget_test_flag(step: Step) -> Sequence[ir.Value]:
    """Dropout and BatchNormalization 7: the number of outputs tells training from inference."""
    return step.renewed(*step.node.inputs, drop=["is_test", "consumed_inputs"]).outputs


def statistics_per_element(step: Step) -> Sequence[ir.Value | None]:
    """BatchNormalization 9: with spatial=0 each element of a sample had its own statistics."""
    if step.attribute("spatial", 1):
        return step.renewed(*step.node.inputs, drop=["spatial"]).outputs
    if any(step.is_used(i) for i in range(1, len(step.node.outputs))):
        raise step.refusal("spatial=0 in training mode")
    x, scale, shift, mean, variance = (step.needed(i) for i in range(5))
    epsilon = step.scalar_like(step.attribute("epsilon", 1e-5), x)
    deviation = step.op("Sqrt", step.op("Add", variance, epsilon, version=14), version=13)
    centred = step.op("Sub", x, mean, version=14)
    unit = step.op("Div", centred, deviation, version=14)
    result = step.op("Add", step.op("Mul", unit, scale, version=14), shift, version=14)
    return [result, *[None] * (len(step.node.outputs) - 1)]


def training_by_attribute(step: Step) -> Sequence[ir.Value | None]:
    """BatchNormalization 14: training is an attribute, and two of its outputs are gone."""
    count = len(step.node.outputs)
    if step.is_used(3) or step.is_used(4):
        raise step.refusal("its saved statistics are read")
    is_training = step.is_used(1) or step.is_used(2)
    first = step.op(
        "BatchNormalization",
        *step.node.inputs,
        outputs=3 if is_training else 1,
        attributes=step.kept(),
        training_mode=1 if is_training else None,
    )
    made = first.producer()
    assert made is not None
    return [*made.outputs, *[None] * (count - len(made.outputs))][:count]


def scale_per_channel(step: Step) -> ir.Value:
    """GroupNormalization 21: scale and bias are given per channel, not per group."""
    x = step.needed(0)
    groups = int(step.attribute("num_groups"))
    channels = step.op("Shape", x, version=15, start=1, end=2)
    group_size = step.op("Div", channels, step.constant([groups], np.int64), version=14)
    count = step.constant([groups], np.int64)
    spread = step.op("Concat", count, group_size, version=13, axis=0)
    column = step.constant([groups, 1], np.int64)
    flat = step.constant([-1], np.int64)
    wide = []
    for value in (step.needed(1), step.needed(2)):
        rows = step.op("Expand", step.op("Reshape", value, column, version=14), spread, version=13)
        wide.append(step.op("Reshape", rows, flat, version=14))
    return step.renewed(x, *wide).outputs[0]


def ratio_forgotten(step: Step) -> Sequence[ir.Value]:
    """Dropout 12: the ratio is an operand that counts only in training, which is now opt-in."""
    return step.renewed(step.needed(0), drop=["ratio"]).outputs


def mask_of_bool(step: Step) -> Sequence[ir.Value]:
    """Dropout 10: the mask is boolean; it used to have the type of the data."""
    new = step.renewed(step.needed(0)).outputs
    if not step.is_used(1):
        return new
    return [new[0], step.op("CastLike", new[1], step.needed(0), version=15)]


ADAPTERS: dict[tuple[str, int], Adapter] = {
    ("Softmax", 13): softmax_of_rows,
    ("LogSoftmax", 13): softmax_of_rows,
    ("Hardmax", 13): softmax_of_rows,
    ("BatchNormalization", 7): forget_test_flag,
    ("BatchNormalization", 9): statistics_per_element,
    ("BatchNormalization", 14): training_by_attribute,
    ("GroupNormalization", 21): scale_per_channel,
    ("Dropout", 7): forget_test_flag,
    ("Dropout", 10): mask_of_bool,
    ("Dropout", 12): ratio_forgotten,
}
