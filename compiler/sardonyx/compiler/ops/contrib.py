"""Rows of ONNX Runtime's contrib operators (domain com.microsoft) for float models.

No schema of them is at hand, so an attribute that is absent reads as None here.
Source: docs/ContribOperators.md of ONNX Runtime.
"""

from __future__ import annotations

import functools

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.ops import contrib_types
from sardonyx.compiler.ops.axes import Fixed, along, elementwise
from sardonyx.compiler.ops.cost import (
    Cost,
    Sizes,
    attention,
    contraction,
    matrix_product,
    per_element,
)
from sardonyx.compiler.ops.row import Trait, none
from sardonyx.compiler.ops.row import define as define_any
from sardonyx.compiler.ops.sample import REAL, Case, Random, dims, unary
from sardonyx.compiler.ops.tolerance import Tolerance

define = functools.partial(define_any, domain="com.microsoft")
_IMAGES = Fixed("its layout is batch, channels, then space")
_SEQUENCES = Fixed("its layout is batch, sequence, hidden")
_NODE_TESTED = none("the tests of the rules that make it compare it with what it replaces")


def _biased(random: Random) -> Case:
    shape = dims(random, least=2)
    return Case((REAL(random, shape), REAL(random, shape[-1:])))


def _perhaps_biased(random: Random) -> Case:
    case = _biased(random)
    return case if random.random() < 0.5 else Case(case.inputs[:1])


for _name, _sample in {"Gelu": unary(), "QuickGelu": unary(alpha=[None, 1.0, 0.5])}.items():
    define(
        _name,
        traits={Trait.ELEMENTWISE},
        axes=elementwise(),
        cost=per_element(10),
        tolerance=Tolerance.TRANSCENDENTAL,
        sample=_sample,
    )
for _name, _sample in {"BiasGelu": _biased, "FastGelu": _perhaps_biased}.items():
    define(
        _name,
        axes=along(last_fixed=1),
        cost=per_element(11),
        tolerance=Tolerance.TRANSCENDENTAL,
        sample=_sample,
    )


def _fused_conv(random: Random) -> Case:
    operands = (REAL(random, (2, 3, 6, 7)), REAL(random, (4, 3, 3, 2)), REAL(random, (4,)))
    return Case(operands, {"activation": "Relu", "kernel_shape": [3, 2]}, frozenset({1, 2}))


define(
    "FusedConv",
    axes=_IMAGES,
    cost=contraction(),
    tolerance=Tolerance.ACCUMULATING,
    sample=_fused_conv,
)
define(
    "NhwcFusedConv",
    axes=Fixed("its layout is batch, space, then channels"),
    cost=contraction(),
    tolerance=Tolerance.ACCUMULATING,
    sample=none("it has a kernel for half precision only"),
)


def _fused_gemm(random: Random) -> Case:
    operands = (REAL(random, (3, 5)), REAL(random, (5, 4)), REAL(random, (4,)))
    return Case(operands, {"activation": "Relu"}, frozenset({1, 2}))


def _fused_matmul(random: Random) -> Case:
    attributes = {"transA": 1, "alpha": 0.5}
    return Case((REAL(random, (2, 5, 3)), REAL(random, (2, 5, 4))), attributes)


define(
    "FusedGemm",
    axes=Fixed("its operands are matrices"),
    cost=matrix_product(transposed="transA"),
    tolerance=Tolerance.ACCUMULATING,
    sample=_fused_gemm,
)
define(
    "FusedMatMul",
    "TransposeMatMul",
    axes=Fixed("its attributes name the order of its axes"),
    cost=matrix_product(transposed="transA"),
    tolerance=Tolerance.ACCUMULATING,
    sample=_fused_matmul,
)


def _n_bits_cost(node: ir.Node, sizes: Sizes) -> Cost:
    inner = Attributes(node).K or 0
    return Cost(2 * inner * sizes.elements(node.outputs[0]), sizes.traffic(node))


def _n_bits(random: Random) -> Case:
    packed = np.asarray(random.integers(0, 256, (8, 2, 16))).astype(np.uint8)
    scales = np.asarray(random.uniform(0.1, 0.5, (8, 2))).astype(np.float32)
    attributes = {"K": 64, "N": 8, "bits": 4, "block_size": 32}
    return Case((REAL(random, (2, 3, 64)), packed, scales), attributes, frozenset({1, 2}))


define(
    "MatMulNBits",
    axes=along(last_fixed=1),
    cost=_n_bits_cost,
    tolerance=Tolerance.ACCUMULATING,
    sample=_n_bits,
)


def _skip_norm(random: Random) -> Case:
    shape = (2, int(random.integers(1, 5)), 6)
    operands = [REAL(random, shape), REAL(random, shape), REAL(random, shape[2:])]
    return Case(tuple(operands), {"epsilon": 1e-5})


define(
    "SkipLayerNormalization",
    axes=_SEQUENCES,
    cost=per_element(8),
    tolerance=Tolerance.ACCUMULATING,
    sample=_skip_norm,
)
define(
    "SkipSimplifiedLayerNormalization",
    axes=_SEQUENCES,
    cost=per_element(6),
    tolerance=Tolerance.ACCUMULATING,
    sample=_skip_norm,
)
define(
    "EmbedLayerNormalization",
    axes=_SEQUENCES,
    cost=per_element(10),
    tolerance=Tolerance.ACCUMULATING,
    sample=_NODE_TESTED,
)
define(
    "GroupNorm",
    "SkipGroupNorm",
    axes=Fixed("its attribute names the order of its axes"),
    cost=per_element(8),
    tolerance=Tolerance.ACCUMULATING,
    sample=none("it has a kernel for GPUs only"),
)


def _heads(random: Random) -> Case:
    batch, heads, size = 2, int(random.integers(1, 4)), 4
    query, key = (int(x) for x in random.integers(1, 6, 2))
    hidden = heads * size
    operands = [REAL(random, (batch, length, hidden)) for length in (query, key, key)]
    return Case(tuple(operands), {"num_heads": heads})


def _projected_attention(node: ir.Node, sizes: Sizes) -> Cost:
    """Count the projection to query, key and value as well; operand 1 is its weight."""
    batch, length, hidden = sizes.dims(node.inputs[0])
    columns = sizes.dims(node.inputs[1])[1]
    projection = 2 * batch * length * hidden * columns
    return Cost(projection + 4 * batch * length * length * columns // 3, sizes.traffic(node))


def _projected(random: Random) -> Case:
    length = int(random.integers(1, 6))
    operands = (REAL(random, (2, length, 6)), REAL(random, (6, 24)), REAL(random, (24,)))
    return Case(operands, {"num_heads": 2}, frozenset({1, 2}))


define(
    "MultiHeadAttention",
    axes=_SEQUENCES,
    cost=attention,
    tolerance=Tolerance.ACCUMULATING,
    sample=_heads,
)
define(
    "DecoderMaskedMultiHeadAttention",
    "GroupQueryAttention",
    "PackedMultiHeadAttention",
    "SparseAttention",
    axes=_SEQUENCES,
    cost=attention,
    tolerance=Tolerance.ACCUMULATING,
    sample=_NODE_TESTED,
)
define(
    "Attention",
    axes=_SEQUENCES,
    cost=_projected_attention,
    tolerance=Tolerance.ACCUMULATING,
    sample=_projected,
)


def _rotary(random: Random) -> Case:
    length, size = int(random.integers(1, 5)), 4
    angles = random.uniform(0, 6, (8, size // 2))
    positions = np.tile(np.arange(length, dtype=np.int64), (2, 1))
    caches = (np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32))
    return Case((REAL(random, (2, 3, length, size)), positions, *caches))


define(
    "RotaryEmbedding",
    axes=_SEQUENCES,
    cost=per_element(6),
    tolerance=Tolerance.ROUNDING,
    sample=_rotary,
)

contrib_types.register()
