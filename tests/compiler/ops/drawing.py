"""One random node of an operator, drawn from its row."""

from __future__ import annotations

import zlib

import numpy as np

from sardonyx.compiler.ops import rows
from sardonyx.compiler.ops.row import Absent
from sardonyx.compiler.ops.sample import model_of
from tests.support.run import run_ort

# ONNX Runtime 1.31 has no CPU kernel of these at opset 22, only of their older versions.
NO_KERNEL = {
    "Bernoulli",
    "GlobalLpPool",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "RoiAlign",
}


def sampled_rows(*traits):
    """Rows that have a sample and all of these traits."""
    return [
        row for row in rows() if not isinstance(row.sample, Absent) and row.traits >= set(traits)
    ]


def row_id(row):
    return f"{row.domain}.{row.op_type}" if row.domain else row.op_type


def draw_case(row, seed):
    """Draw inputs and attributes; each operator has a random sequence of its own."""
    return row.sample(np.random.default_rng([seed, zlib.crc32(row_id(row).encode())]))


def draw(row, seed):
    """Return a model of one random node, and what to feed it."""
    return model_of(row.op_type, row.domain, draw_case(row, seed))


def run(row, model, feeds):
    """Return a model's outputs by ONNX Runtime."""
    if row.op_type in NO_KERNEL:
        model.opset_imports[""] = 21
    return run_ort(model, feeds)
