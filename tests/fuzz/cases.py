"""Graphs as text files: what was wrong, how it was compiled, the inputs, the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.text import from_text, to_text
from tests.fuzz.generate import Sample
from tests.fuzz.judge import Route
from tests.fuzz.values import Array

FOLDER = Path(__file__).with_name("cases")
_MARK = "# "


@dataclass(frozen=True)
class Case:
    """A graph that once failed.

    Attributes:
        why: What was wrong.
        routes: How to compile it.
        samples: Inputs.
        model: The model.
    """

    why: str
    routes: list[Route]
    samples: list[Sample]
    model: ir.Model


def write(why: str, routes: Sequence[Route], samples: Sequence[Sample], model: ir.Model) -> str:
    """Return the text of a case."""
    held = [{name: _plain(x) for name, x in sample.items()} for sample in samples]
    lines = [
        *(f"{_MARK}{line}" for line in why.splitlines()),
        *(f"{_MARK}route: {route}" for route in routes),
        *(f"{_MARK}sample: {json.dumps(sample)}" for sample in held),
    ]
    return "\n".join(lines) + "\n" + to_text(model).rstrip() + "\n"


def read(text: str) -> Case:
    """Return the case of a text."""
    lines = text.splitlines()
    notes = [line.removeprefix(_MARK) for line in lines if line.startswith("#")]
    body = "\n".join(line for line in lines if not line.startswith("#"))
    routes = [_route(n.removeprefix("route: ")) for n in notes if n.startswith("route: ")]
    samples = [
        {name: _array(held) for name, held in json.loads(n.removeprefix("sample: ")).items()}
        for n in notes
        if n.startswith("sample: ")
    ]
    why = " ".join(n for n in notes if not n.startswith(("route: ", "sample: ")))
    return Case(why, routes, samples, from_text(body))


def _route(text: str) -> Route:
    target, _, opset = text.partition(" ")
    return Route(target, int(opset) if opset else None)


def _plain(array: Array) -> dict[str, Any]:
    if array.dtype == object:
        return {"dtype": "STRING", "shape": array.shape, "values": array.reshape(-1).tolist()}
    dtype = ir.DataType.from_numpy(array.dtype)
    wide = array.astype(np.float64) if dtype.is_floating_point() else array
    return {"dtype": dtype.name, "shape": array.shape, "values": wide.reshape(-1).tolist()}


def _array(held: dict[str, Any]) -> Array:
    dtype = ir.DataType[held["dtype"]]
    if dtype == ir.DataType.STRING:
        made = np.empty(len(held["values"]), object)
        made[:] = held["values"]
        return made.reshape(held["shape"])
    if dtype.is_floating_point():
        return np.array(held["values"], np.float64).astype(dtype.numpy()).reshape(held["shape"])
    return np.array(held["values"], dtype.numpy()).reshape(held["shape"])
