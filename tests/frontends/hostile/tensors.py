"""Tensors and types that do not hold what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.frontends.hostile.case import Case, grown, model


def without_raw(tensor: onnx.TensorProto) -> None:
    tensor.ClearField("raw_data")


DOES_NOT_HOLD = "does not hold what its shape says"


def weight(says: str, **fields: Any) -> Case:
    """An Add of a float weight [2, 3] whose TensorProto is changed."""

    def make() -> onnx.ModelProto:
        made = model(("Add", ["x", "w"], ["y"]), weights={"w": np.ones((2, 3), np.float32)})
        tensor = made.graph.initializer[0]
        for name, content in fields.items():
            if isinstance(content, list):
                tensor.ClearField(name)
                getattr(tensor, name).extend(content)
            elif callable(content):
                content(tensor)
            else:
                setattr(tensor, name, content)
        return made

    return Case(grown(make), says)


def constant(says: str, **fields: Any) -> Case:
    """The same tensor in a Constant in a branch."""

    def make() -> onnx.ModelProto:
        tensor = numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
        for name, content in fields.items():
            tensor.ClearField(name)
            getattr(tensor, name).extend(content)
        held = helper.make_node("Constant", [], ["r"], value=tensor)
        out = helper.make_tensor_value_info("r", TensorProto.FLOAT, [2, 3])
        body = helper.make_graph([held], "body", [], [out])
        chosen = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)
        return model(chosen, inputs={"c": (TensorProto.BOOL, [])})

    return Case(grown(make), says)


def sparse(
    says: str, dims: list[int], indices: Any, values: Any = (1.0,), dtype: Any = np.float32
) -> Case:
    def make() -> onnx.ModelProto:
        made = model(("Add", ["x", "w"], ["y"]))
        held = numpy_helper.from_array(np.array(values, dtype), "w")
        places = numpy_helper.from_array(np.array(indices), "i")
        made.graph.sparse_initializer.append(
            onnx.SparseTensorProto(values=held, indices=places, dims=dims)
        )
        return made

    return Case(grown(make), says)


def typed(says: str, shape: list[int | str] | None, dtype: int = 1, accepted: str = "") -> Case:
    def make() -> onnx.ModelProto:
        return model(("Relu", ["x"], ["y"]), inputs={"x": (dtype, shape)})

    return Case(grown(make), says, accepted)


def untyped() -> onnx.ModelProto:
    made = model(("Relu", ["x"], ["y"]))
    made.graph.input[0].ClearField("type")
    return made


def intermediate() -> onnx.ModelProto:
    made = model(("Relu", ["x"], ["h"]), ("Neg", ["h"], ["y"]))
    made.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.INT8, [7, 7, 7]))
    return made


TENSORS = {
    "a byte missing": weight(DOES_NOT_HOLD, raw_data=bytes(23)),
    "a byte too many": weight(DOES_NOT_HOLD, raw_data=bytes(25)),
    "no bytes": weight(DOES_NOT_HOLD, raw_data=b""),
    "negative dimension": weight("negative dimension", dims=[-2, 3]),
    "two negative dimensions": weight("negative dimension", dims=[-2, -3]),
    "lowest dimension": weight("negative dimension", dims=[-(1 << 63)]),
    "product beyond 64 bits": weight("more elements", dims=[1 << 40, 1 << 40]),
    "product that wraps to 0": weight("more elements", dims=[3, 1 << 32, 1 << 32]),
    "2**40 elements": weight("more elements", dims=[1 << 40]),
    "2**39 elements": weight(DOES_NOT_HOLD, dims=[1 << 39]),
    "nothing times 2**62": weight("more elements", dims=[0, 1 << 62]),
    "65 dimensions": weight("too many dimensions", dims=[1] * 65),
    "100000 dimensions": weight("too many dimensions", dims=[1] * 100_000),
    "no dtype": weight("no known dtype", data_type=0),
    "dtype 99": weight("data_type 99", data_type=99),
    "dtype -1": weight("data_type -1", data_type=-1),
    "elements twice": weight("elements twice", float_data=[1.0] * 6),
    "elements and no bytes": weight("elements twice", raw_data=b"", float_data=[1.0] * 6),
    "elements in two fields": weight("elements twice", int32_data=[1] * 6),
    "elements in a wrong field": weight("wrong field", raw_data=without_raw, int64_data=[1] * 6),
    "bytes of strings": weight("string tensor", data_type=TensorProto.STRING),
    "five strings of six": weight(
        DOES_NOT_HOLD, data_type=TensorProto.STRING, raw_data=without_raw, string_data=[b"a"] * 5
    ),
    "half a complex number": weight(
        DOES_NOT_HOLD, data_type=TensorProto.COMPLEX64, raw_data=without_raw, float_data=[1.0] * 11
    ),
    "a quarter of 4 bits": weight(DOES_NOT_HOLD, data_type=TensorProto.INT4, raw_data=bytes(2)),
    "segment": weight("segment", segment=lambda t: setattr(t.segment, "end", 3)),
    "external data that is not used": weight(
        "does not use", external_data=lambda t: t.external_data.add(key="location", value="w")
    ),
    "external data and its own": weight("elements twice", data_location=TensorProto.EXTERNAL),
    "constant too short": constant(DOES_NOT_HOLD, dims=[2, 4]),
    "constant of negative size": constant("negative dimension", dims=[-1, -6]),
    "sparse index too large": sparse("do not fit", [2, 3], [6]),
    "sparse index below zero": sparse("do not fit", [2, 3], [-1]),
    "sparse index in a far row": sparse("do not fit", [2, 3], [[9, 0]]),
    "more indices than values": sparse("do not fit", [2, 3], [0, 1]),
    "sparse indices in no order": sparse("ascending", [2, 3], [3, 1], (1.0, 2.0)),
    "sparse index twice": sparse("ascending", [2, 3], [1, 1], (1.0, 2.0)),
    "sparse indices of floats": sparse("not of int64", [2, 3], [0.0]),
    "sparse tensor of 2**60": sparse("more elements", [1 << 30, 1 << 30], [0]),
    "sparse tensor of 4 GiB": sparse("too large to be made dense", [1 << 30], [0]),
    "sparse tensor of negative size": sparse("negative dimension", [-2, 3], [0]),
    "sparse tensor of 65 dimensions": sparse("too many dimensions", [1] * 65, [0]),
    "sparse scalar": sparse("do not fit", [], [[0]]),
    "input of negative size": typed("impossible dimension", [-5, 3]),
    "input of lowest size": typed("impossible dimension", [-(1 << 63), 3]),
    "input of 2**50": typed("impossible dimension", [1 << 50, 3]),
    "input of 65 dimensions": typed("too many dimensions", [1] * 65),
    "input of 200 symbols": typed("too many dimensions", ["n"] * 200),
    "input of dtype 99": typed("no known dtype", [2, 3], dtype=99),
    "input of no dtype": Case(grown(untyped), "type"),
    "input of size -1": typed(
        "", [-1, 3], accepted="some exporters write a dimension so that is not known"
    ),
    "input of 2**39 elements": typed(
        "", [1 << 39], accepted="no memory is taken; no samples can be made"
    ),
    "false type in between": Case(grown(intermediate), "V14 operand-types"),
}
