"""The test cases that the onnx package ships: models, inputs and expected outputs."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

NEWEST_OPSET = 23
DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
STORED_GROUPS = ("light", "simple", "pytorch-converted", "pytorch-operator")
GROUPS = ("node", *STORED_GROUPS)

DataSet = tuple[list[Any], list[Any]]


@dataclass(frozen=True)
class Case:
    """One model with its data sets, each inputs and expected outputs, and the suite's tolerance."""

    name: str
    model: Callable[[], onnx.ModelProto]
    data_sets: Callable[[], list[DataSet]]
    rtol: float
    atol: float


def cases(group: str) -> Iterator[Case]:
    """The cases of a group in a fixed order."""
    return _node_cases() if group == "node" else _stored_cases(DATA / group)


def standard_opset(model: onnx.ModelProto) -> int:
    return max((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), default=0)


def _node_cases() -> Iterator[Case]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        # Some generators overflow or divide by zero on purpose.
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    for case in sorted(found, key=lambda case: case.name):
        if standard_opset(case.model) <= NEWEST_OPSET:
            yield Case(
                case.name,
                lambda case=case: case.model,
                lambda case=case: [(list(i), list(o)) for i, o in case.data_sets],
                case.rtol,
                case.atol,
            )


def _stored_cases(folder: Path) -> Iterator[Case]:
    if folder.name == "light":
        for path in sorted(folder.glob("*.onnx")):
            yield Case(
                path.stem, lambda p=path: onnx.load(p), lambda p=path: _light(p), *_tolerance(path)
            )
        return
    for path in sorted(folder.glob("*/model.onnx")):
        yield Case(
            path.parent.name,
            lambda p=path: onnx.load(p),
            lambda p=path: [_read_set(p.parent, s) for s in sorted(p.parent.glob("test_data_*"))],
            1e-3,
            1e-7,
        )


def _tolerance(path: Path) -> tuple[float, float]:
    """What the suite says for a light model, in the folder of the full one."""
    name = path.stem.removeprefix("light_")
    said = json.loads((DATA / "real" / f"test_{name}" / "data.json").read_text())
    return said.get("rtol", 1e-3), said.get("atol", 1e-7)


def _light(path: Path) -> list[DataSet]:
    """A light model comes with its output only; onnx's runner feeds it arange / size."""
    graph = onnx.load(path).graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = []
    for value in graph.input:
        if value.name not in weights:
            shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
            size = int(np.prod(shape))
            inputs.append((np.arange(size).reshape(shape) / size).astype(np.float32))
    expected = _read_value(path.with_name(f"{path.stem}_output_0.pb"), graph.output[0].type)
    return [(inputs, [expected])]


def _read_set(folder: Path, data: Path) -> DataSet:
    graph = onnx.load(folder / "model.onnx").graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    count = len(list(data.glob("input_*.pb")))
    # Some old models list weights as inputs and ship them as data as well.
    formal = inputs if count == len(inputs) else list(graph.input)
    return (
        [_read_value(data / f"input_{i}.pb", v.type) for i, v in enumerate(formal[:count])],
        [_read_value(data / f"output_{i}.pb", v.type) for i, v in enumerate(graph.output)],
    )


def _read_value(path: Path, kind: onnx.TypeProto) -> Any:
    content = path.read_bytes()
    if kind.HasField("sequence_type"):
        return numpy_helper.to_list(onnx.SequenceProto.FromString(content))
    if kind.HasField("optional_type"):
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(content))
    return onnx.TensorProto.FromString(content)


def is_available() -> bool:
    """Whether this onnx package ships its stored models."""
    return os.path.isdir(DATA / "simple")
