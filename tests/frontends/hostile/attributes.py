"""Attributes with numbers on which kernels divide by zero, overflow, trap or run for ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.frontends.hostile.case import Case, edited, grown, model

LOWEST = -(1 << 63)
IMPOSSIBLE = "is impossible"
NO_AXIS = "an axis that no tensor has"


def one(
    says: str,
    operator: str,
    operands: list[str] | None = None,
    *,
    inputs: dict[str, Any] | None = None,
    opset: int = 17,
    weights: dict[str, np.ndarray] | None = None,
    **attributes: Any,
) -> Case:
    """A model of one node."""
    domains = (operator.rpartition("::")[0],) if "::" in operator else ()
    return Case(
        grown(
            lambda: model(
                (operator, operands if operands is not None else ["x"], ["y"], attributes),
                inputs=inputs,
                opset=opset,
                weights=weights,
                domains=domains,
            )
        ),
        says,
    )


def conv(says: str, **attributes: Any) -> Case:
    return one(
        says,
        "Conv",
        ["x", "w"],
        inputs={"x": [1, 4, 8, 8]},
        weights={"w": np.ones((4, 4, 3, 3), np.float32)},
        **attributes,
    )


def pool(says: str, **attributes: Any) -> Case:
    given = {"kernel_shape": [2, 2], **attributes}
    return one(says, "MaxPool", inputs={"x": [1, 4, 8, 8]}, **given)


def twice() -> onnx.ModelProto:
    made = model(("Softmax", ["x"], ["y"], {"axis": 1}))
    made.graph.node[0].attribute.append(made.graph.node[0].attribute[0])
    return made


def of_type(name: str, **fields: Any) -> Case:
    def make() -> onnx.ModelProto:
        made = model(("Softmax", ["x"], ["y"]))
        made.graph.node[0].attribute.add(name=name, **fields)
        return made

    return Case(grown(make), "wrong type")


def lstm(says: str, hidden: int) -> Case:
    return one(
        says,
        "LSTM",
        ["x", "w", "r"],
        inputs={"x": [5, 1, 3]},
        weights={"w": np.ones((1, 8, 3), np.float32), "r": np.ones((1, 8, 2), np.float32)},
        hidden_size=hidden,
    )


def attention(says: str, **attributes: Any) -> Case:
    return one(
        says,
        "com.microsoft::Attention",
        ["x", "w", "b"],
        inputs={"x": [1, 4, 6]},
        weights={"w": np.ones((6, 18), np.float32), "b": np.ones(18, np.float32)},
        **attributes,
    )


HUGE = 1 << 62
REFUSED_WHEN_RUN = "operands that do not fit are the runtime's to refuse"
IMAGE = {"x": [1, 4, 8, 8]}
ATTRIBUTES = {
    "axis of -2**63": one(NO_AXIS, "Softmax", axis=LOWEST),
    "axis of 2**62": one(NO_AXIS, "Concat", ["x", "x"], axis=HUGE),
    "axis of 2**31": one(
        NO_AXIS,
        "LayerNormalization",
        ["x", "s"],
        weights={"s": np.ones(3, np.float32)},
        axis=1 << 31,
    ),
    "axis of 1000": one(
        NO_AXIS, "Gather", ["x", "i"], weights={"i": np.zeros(1, np.int64)}, axis=1000
    ),
    "axis of 7 of a matrix": Case(
        grown(lambda: model(("Softmax", ["x"], ["y"], {"axis": 7}))), accepted=REFUSED_WHEN_RUN
    ),
    "axes of 2**40": one(NO_AXIS, "ReduceMean", axes=[1 << 40]),
    "permutation with an axis twice": one("no permutation", "Transpose", perm=[1, 1]),
    "permutation with a gap": one("no permutation", "Transpose", perm=[0, 2]),
    "permutation with a negative axis": one(IMPOSSIBLE, "Transpose", perm=[0, -1]),
    "permutation of 65 axes": one(IMPOSSIBLE, "Transpose", perm=list(range(66))),
    "convolution in 0 groups": conv(IMPOSSIBLE, group=0),
    "convolution in -1 groups": conv(IMPOSSIBLE, group=-1),
    "convolution in 2**62 groups": conv(IMPOSSIBLE, group=HUGE),
    "steps of 0": conv(IMPOSSIBLE, strides=[0, 1]),
    "steps of -1": conv(IMPOSSIBLE, strides=[-1, 1]),
    "steps of 2**62": conv(IMPOSSIBLE, strides=[HUGE, 1]),
    "dilations of 0": conv(IMPOSSIBLE, dilations=[0, 1]),
    "dilations of 2**62": conv(IMPOSSIBLE, dilations=[HUGE, HUGE]),
    "pads of 2**62": conv(IMPOSSIBLE, pads=[HUGE] * 4),
    "kernel of another size": conv("types do not fit", kernel_shape=[5, 5, 5]),
    "pool of 0": pool(IMPOSSIBLE, kernel_shape=[0, 2]),
    "pool of -2": pool(IMPOSSIBLE, kernel_shape=[-2, 2]),
    "pool of 2**40": pool(IMPOSSIBLE, kernel_shape=[1 << 40, 2]),
    "pool in steps of 0": pool(IMPOSSIBLE, strides=[0, 0]),
    "pool that stores in order 7": pool(IMPOSSIBLE, storage_order=7),
    "blocks of 0": one(IMPOSSIBLE, "DepthToSpace", inputs=IMAGE, blocksize=0),
    "blocks of -1": one(IMPOSSIBLE, "SpaceToDepth", inputs=IMAGE, blocksize=-1),
    "blocks of 2**31": one(IMPOSSIBLE, "SpaceToDepth", inputs=IMAGE, blocksize=1 << 31),
    "LRN of 0": one(IMPOSSIBLE, "LRN", inputs=IMAGE, size=0),
    "norm of order 7": one(IMPOSSIBLE, "LpNormalization", p=7),
    "0 groups of channels": one(
        IMPOSSIBLE,
        "GroupNormalization",
        ["x", "s", "s"],
        inputs=IMAGE,
        opset=21,
        weights={"s": np.ones(4, np.float32)},
        num_groups=0,
    ),
    "cast to nothing": one(IMPOSSIBLE, "Cast", to=0),
    "cast to dtype 99": one(IMPOSSIBLE, "Cast", to=99),
    "cast to dtype -1": one(IMPOSSIBLE, "Cast", to=-1),
    "numbers from 1 to 0": one("between 1 and 0", "RandomUniformLike", low=1.0, high=0.0),
    "numbers up to NaN": one("between", "RandomUniformLike", low=0.0, high=float("nan")),
    "2**60 numbers": one("more numbers", "RandomNormal", [], shape=[1 << 30, 1 << 30]),
    "-1 numbers": one(IMPOSSIBLE, "RandomUniform", [], shape=[-1]),
    "0 hidden units": lstm(IMPOSSIBLE, 0),
    "-2 hidden units": lstm(IMPOSSIBLE, -2),
    "2**40 hidden units": lstm(IMPOSSIBLE, 1 << 40),
    "einsum with two ellipses": one("several ellipses", "Einsum", equation="...a...->a"),
    "einsum of 2000 letters": one("2000 characters", "Einsum", equation="a" * 2000),
    "pieces: none": one(IMPOSSIBLE, "Split", opset=18, num_outputs=0),
    "pieces: 2**40": one(IMPOSSIBLE, "Split", opset=18, num_outputs=1 << 40),
    "pieces of -1": one(IMPOSSIBLE, "Split", opset=11, split=[-1, 3]),
    "attention of 0 heads": attention(IMPOSSIBLE, num_heads=0),
    "attention of -1 heads": attention(IMPOSSIBLE, num_heads=-1),
    "attention of 2**40 heads": attention(IMPOSSIBLE, num_heads=1 << 40),
    "-1 draws": one(IMPOSSIBLE, "Multinomial", dtype=int(TensorProto.INT32), sample_size=-1),
    "image of height 0": one(
        IMPOSSIBLE,
        "RoiAlign",
        ["x", "r", "b"],
        inputs=IMAGE,
        weights={"r": np.ones((1, 4), np.float32), "b": np.zeros(1, np.int64)},
        output_height=0,
    ),
    "attribute given twice": Case(grown(twice), "given twice"),
    "attribute that does not exist": one("no such attribute", "Relu", sharpness=3),
    "attribute of another type": of_type("axis", type=onnx.AttributeProto.FLOAT, f=1.5),
    "attribute of no type": of_type("axis", i=1),
    "attribute of no type of a function": Case(
        grown(
            lambda: edited(
                model(("own::f", ["x"], ["y"]), domains=("own",)),
                lambda m: m.graph.node[0].attribute.add(name="a", i=1),
            )
        ),
        "has no type",
    ),
    "attribute that is missing": one("expected: to", "Cast"),
    "reference outside of a function": of_type(
        "axis", ref_attr_name="axis", type=onnx.AttributeProto.FLOAT
    ),
    "scan of nothing": Case(
        grown(
            lambda: model(
                helper.make_node(
                    "Scan",
                    ["x"],
                    ["y"],
                    num_scan_inputs=0,
                    body=helper.make_graph(
                        [helper.make_node("Neg", ["a"], ["b"])],
                        "body",
                        [helper.make_tensor_value_info("a", 1, [3])],
                        [helper.make_tensor_value_info("b", 1, [3])],
                    ),
                )
            )
        ),
        IMPOSSIBLE,
    ),
}
