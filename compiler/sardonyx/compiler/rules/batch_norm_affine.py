"""Batch norm next to a scale or a shift: one batch norm."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, no, rule
from sardonyx.compiler.rules.affine import (
    Vector,
    batch_norm,
    is_float,
    is_inference,
    is_per_channel,
    norm_affine,
    rounded,
    scaling,
    shifting,
    step,
    vector,
)


def _after(op: Builder, m: Match) -> ir.Value | No:
    """BN(x) * k + s is the BN whose scale is scale*k and whose shift is shift*k + s."""
    by = step(m)
    return _build(op, m, vector(m.scale) * by.scale, vector(m.shift) * by.scale + by.shift)


def _before(op: Builder, m: Match) -> ir.Value | No:
    """BN(x * k + s) is the BN whose scale is scale*k, with the rest in its shift."""
    by, norm = step(m), norm_affine(m)
    # Of x: norm.scale * (k*x + s) + norm.shift; the new BN subtracts its mean from x.
    shift = norm.scale * (by.shift + by.scale * vector(m.mean)) + norm.shift
    return _build(op, m, vector(m.scale) * by.scale, shift)


def _build(op: Builder, m: Match, scale: Vector, shift: Vector) -> ir.Value | No:
    arrays = [rounded(np.asarray(exact), m.scale.dtype) for exact in (scale, shift)]
    for array in arrays:
        if isinstance(array, No):
            return array
    mean, variance = m.value("mean"), m.value("var")
    made: ir.Value = op.BatchNormalization(m.x, *arrays, mean, variance, attributes=m.norm)
    return made


def _can_fold(m: Match) -> bool | No:
    verdict = is_inference(m) and is_float(m.x)
    return verdict and _fits(m)


def _fits(m: Match) -> bool | No:
    x, constant = m.x, m.value("constant")
    assert constant is not None
    if x.shape is None or len(x.shape) < 2:
        return no("the input is not known to have channels", x)
    channels = m.value("scale").shape.numpy()[0]  # type: ignore[union-attr]
    if x.shape[1] != channels:
        return no(f"the input is not known to have {channels} channels", x)
    return is_per_channel(constant, len(x.shape), 1, channels)


BATCH_NORM_AFFINE = rule(
    "batch_norm_affine",
    lambda op: any_of(scaling(op, batch_norm(op, "x")), shifting(op, batch_norm(op, "x"))),
    _after,
    _can_fold,
)

AFFINE_BATCH_NORM = rule(
    "affine_batch_norm",
    lambda op: any_of(batch_norm(op, scaling(op, "x")), batch_norm(op, shifting(op, "x"))),
    _before,
    _can_fold,
)
