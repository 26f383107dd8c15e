"""What a hostile case is, and how its model is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Made = bytes | onnx.ModelProto | Path


@dataclass(frozen=True)
class Case:
    """A file that wants to do harm, or that is merely wrong.

    Attributes:
        make: Writes it into a folder, or returns what it holds.
        says: What the error says, in part; empty for a file that is accepted.
        accepted: Why it is.
    """

    make: Callable[[Path], Made]
    says: str = ""
    accepted: str = ""

    def path(self, folder: Path) -> Path:
        """Write the file; it is called model.onnx unless the case has its own."""
        made = self.make(folder)
        if isinstance(made, Path):
            return made
        path = folder / "model.onnx"
        path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
        return path


def model(
    *nodes: tuple[Any, ...] | onnx.NodeProto,
    inputs: dict[str, Any] | None = None,
    outputs: dict[str, Any] | None = None,
    weights: dict[str, np.ndarray] | None = None,
    opset: int = 17,
    domains: tuple[str, ...] = (),
) -> onnx.ModelProto:
    """A model of rows `(operator, inputs, outputs, attributes)`, from x to y of float [2, 3].

    Inputs and outputs are given as `name: shape` or `name: (dtype, shape)`.
    """
    graph = helper.make_graph(
        [each if isinstance(each, onnx.NodeProto) else node(*each) for each in nodes],
        "main",
        [value(*item) for item in (inputs if inputs is not None else {"x": [2, 3]}).items()],
        [value(*item) for item in (outputs if outputs is not None else {"y": None}).items()],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def node(
    operator: str,
    inputs: list[str],
    outputs: list[str],
    attributes: dict[str, Any] | None = None,
) -> onnx.NodeProto:
    """A node; `domain::Operator` is of another domain."""
    domain, _, name = operator.rpartition("::")
    return helper.make_node(name, inputs, outputs, domain=domain, **(attributes or {}))


def value(name: str, said: Any) -> onnx.ValueInfoProto:
    dtype, shape = said if isinstance(said, tuple) else (TensorProto.FLOAT, said)
    return helper.make_tensor_value_info(name, dtype, shape)


def edited(made: onnx.ModelProto, edit: Callable[[onnx.ModelProto], object]) -> onnx.ModelProto:
    edit(made)
    return made


def relu() -> onnx.ModelProto:
    return model(("Relu", ["x"], ["y"]))


def field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes, text or a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    made = bytearray()
    while number >= 128:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])


GRAPH = 7
"""Number of the field of ModelProto that holds the graph."""


def in_graph(content: bytes) -> bytes:
    """The bytes of a small model whose graph has more fields."""
    return relu().SerializeToString() + field(GRAPH, content)


def grown(make: Callable[[], onnx.ModelProto]) -> Callable[[Path], Made]:
    return lambda _: make()
