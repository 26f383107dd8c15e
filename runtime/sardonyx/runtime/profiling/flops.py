"""How many floating-point operations a node does, by its operator and the shapes it ran with.

A multiplication with its addition counts as two. Data that only moves counts nothing. What has no
formula here has no number, rather than a wrong one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .events import Executed
from .graph import GraphNode, Shape, Weight, size


@dataclass(frozen=True)
class Sizes:
    """What a formula may read.

    Attributes:
        inputs: Shape of each input by its position; None where there is none or it is not known.
        outputs: Shapes of the outputs.
        attributes: The node's attributes that are a number or a text.
    """

    inputs: Sequence[Shape | None]
    outputs: Sequence[Shape]
    attributes: Mapping[str, int | str]

    def input(self, position: int) -> Shape:
        """The shape of an input.

        Raises:
            LookupError: It is not known.
        """
        found = self.inputs[position]
        if found is None:
            raise LookupError(position)
        return found

    def optional(self, position: int) -> Shape | None:
        """The shape of an input, or None."""
        return self.inputs[position] if position < len(self.inputs) else None

    def number(self, name: str, default: int = 0) -> int:
        """A whole number among the attributes."""
        return int(self.attributes.get(name, default))


Formula = Callable[[Sizes], int]


def _matrix_product(at: Sizes) -> int:
    a = at.input(0)
    inner = a[-1]
    if at.number("transA") and len(a) > 1:
        inner = a[0] if at.number("transBatchA") else a[-2]
    return 2 * size(at.outputs[0]) * inner


def _convolution(weight: int) -> Formula:
    """Weights are [output channels, channels of a group, *kernel]."""
    return lambda at: 2 * size(at.outputs[0]) * size(at.input(weight)[1:])


def _transposed_convolution(at: Sizes) -> int:
    return 2 * size(at.input(0)) * size(at.input(1)[1:])


def _recurrent(at: Sizes) -> int:
    """X is [steps, batch, input]; W and R hold the weights of all gates and directions."""
    steps, batch = at.input(0)[:2]
    return 2 * steps * batch * (size(at.input(1)) + size(at.input(2)))


def _attention(past_key: int) -> Formula:
    """Scores and their product with the values: query [B, S, H*D] or [B, H, S, D], key likewise."""

    def formula(at: Sizes) -> int:
        query = at.input(0)
        if len(query) not in (3, 4):
            raise LookupError("packed")
        key = at.optional(1) or query
        past = at.optional(past_key)
        keys = (key[1] if len(key) == 5 else key[-2]) + (past[-2] if past else 0)
        return _scores_and_values(at, query, keys)

    return formula


def _grouped_attention(at: Sizes) -> int:
    """The caches may be buffers that are longer than what they hold: then nobody knows."""
    query = at.input(0)
    past, present = at.optional(3), at.outputs[1] if len(at.outputs) > 1 else None
    keys = query[-2] + (past[-2] if past else 0)
    if present and present[-2] != keys:
        raise LookupError("a shared buffer")
    return _scores_and_values(at, at.outputs[0], keys)


def _scores_and_values(at: Sizes, query: Shape, keys: int) -> int:
    rows = query[0] * query[-2]
    # Heads times their width, of the queries and of the values.
    return 2 * rows * keys * (size(query) // rows + size(at.outputs[0]) // rows)


def _projected_attention(at: Sizes) -> int:
    """``com.microsoft.Attention``: [B, S, I] times [I, 3*H], then attention of width H."""
    batch, length, _ = at.input(0)
    packed = at.input(1)
    width = at.outputs[0][-1]
    return 2 * batch * length * size(packed) + 4 * batch * length * length * width


def _einsum(at: Sizes) -> int:
    """Two for each combination of all indices."""
    left = str(at.attributes["equation"]).replace(" ", "").split("->")[0].split(",")
    extents: dict[str, int] = {}
    for position, letters in enumerate(left):
        if "." in letters:
            raise LookupError("...")
        extents |= dict(zip(letters, at.input(position), strict=True))
    return (2 if len(left) > 1 else 1) * math.prod(extents.values())


def _pooling(at: Sizes) -> int:
    """Each input element about once; overlapping windows are not counted twice."""
    return size(at.input(0))


def _per_element(count: int) -> Formula:
    return lambda at: count * size(at.outputs[0])


def _nothing(at: Sizes) -> int:
    return 0


def _table(rows: Mapping[str, Formula]) -> dict[str, Formula]:
    return {name: formula for names, formula in rows.items() for name in names.split()}


CONTRACTIONS = _table(
    {
        "MatMul FusedMatMul MatMulInteger QLinearMatMul DynamicQuantizeMatMul": _matrix_product,
        "MatMulIntegerToFloat MatMulNBits MatMulBnb4 MatMulFpQ4 MatMulInteger16": _matrix_product,
        "TransposeMatMul Gemm FusedGemm QGemm GemmFloat8": _matrix_product,
        "Conv FusedConv NhwcConv ConvInteger NhwcFusedConv": _convolution(1),
        "QLinearConv": _convolution(3),
        "ConvTranspose ConvTransposeWithDynamicPads": _transposed_convolution,
        "LSTM GRU RNN DynamicQuantizeLSTM": _recurrent,
        "MultiHeadAttention": _attention(past_key=6),
        "GroupQueryAttention": _grouped_attention,
        "Einsum": _einsum,
    }
)

ELEMENTWISE = _table(
    {
        "Abs Add And BitwiseAnd BitwiseOr Ceil Clip Div Equal Floor Greater": _per_element(1),
        "GreaterOrEqual IsInf IsNaN LeakyRelu Less LessOrEqual Max Mean Min Mod Mul": _per_element(
            1
        ),
        "Neg Not Or PRelu Pow Reciprocal Relu Round Sign Sqrt Sub Sum Xor": _per_element(1),
        "BiasAdd Dropout Where": _per_element(1),
        "Cos Erf Exp Log Sigmoid Sin Softplus Softsign Tan Tanh": _per_element(1),
        "HardSigmoid ThresholdedRelu BatchNormalization RotaryEmbedding": _per_element(2),
        "HardSwish Elu Selu Celu Swish QuickGelu Mish": _per_element(4),
        "Gelu BiasGelu FastGelu BiasSplitGelu": _per_element(8),
        "Softmax LogSoftmax BiasSoftmax": _per_element(5),
        "LayerNormalization InstanceNormalization GroupNormalization": _per_element(8),
        "RMSNormalization SimplifiedLayerNormalization LpNormalization": _per_element(4),
        "SkipLayerNormalization": _per_element(9),
        "SkipSimplifiedLayerNormalization": _per_element(5),
        "AveragePool MaxPool GlobalAveragePool GlobalMaxPool LpPool": _pooling,
        "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2": _pooling,
        "ReduceSumSquare ReduceLogSumExp ArgMax ArgMin CumSum": _pooling,
    }
)

MOVES = {"Transpose", "ReorderInput", "ReorderOutput", "DepthToSpace", "SpaceToDepth"}
COPIES = {"MemcpyFromHost", "MemcpyToHost"}
CASTS = {"Cast", "CastLike", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}
SHAPES = {"Shape", "Size", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "ConstantOfShape", "Range"}
DATA = {
    *("Concat", "Split", "Slice", "Gather", "GatherElements", "GatherND", "Scatter", "ScatterND"),
    *("ScatterElements", "Expand", "Tile", "Pad", "Identity", "Compress", "NonZero", "OneHot"),
    *("Trilu", "Resize", "Upsample", "Constant", "TensorScatter", "ReverseSequence", "Col2Im"),
    *("GatherBlockQuantized", "SequenceAt", "SequenceInsert", "SplitToSequence"),
}

FORMULAS: dict[str, Formula] = {
    **ELEMENTWISE,
    **CONTRACTIONS,
    **dict.fromkeys(MOVES | COPIES | CASTS | SHAPES | DATA, _nothing),
}
BY_DOMAIN: dict[str, Formula] = {
    "Attention": _attention(past_key=4),
    "com.microsoft.Attention": _projected_attention,
    "com.microsoft.QAttention": _projected_attention,
}
COSTLY = {*CONTRACTIONS, "Attention", "QAttention"}
"""Operators beside which others cost little."""

_LONGEST_SHAPE = 16
"""Whole numbers that a shape, or what is computed on the way to one, has at most."""


def flops(executed: Executed, node: GraphNode | None, weights: Mapping[str, Weight]) -> int | None:
    """Floating-point operations of one call of a node, or None when they are not known."""
    operator = node.operator if node else executed.op_type
    formula = BY_DOMAIN.get(operator) or FORMULAS.get(executed.op_type)
    if formula is None or not executed.outputs:
        return None
    sizes = Sizes(
        _inputs(executed, node, weights) or executed.inputs,
        executed.outputs,
        node.attributes if node else {},
    )
    try:
        return formula(sizes)
    except (LookupError, ValueError, ZeroDivisionError):
        return None


def _inputs(
    executed: Executed, node: GraphNode | None, weights: Mapping[str, Weight]
) -> list[Shape | None] | None:
    """Shapes by the position of inputs.

    The trace leaves out inputs that are not there, and weights that the kernel has packed, so that
    shapes move up. A weight's shape is known from the file: where the next shape is another, it is
    one of those that were left out.
    """
    if node is None:
        return None
    left = list(executed.inputs)
    found: list[Shape | None] = []
    for position, name in enumerate(node.inputs):
        needed = sum(bool(n) and n not in weights for n in node.inputs[position:])
        if not name:
            found.append(None)
        elif name in weights:
            shape = weights[name].shape
            if left and left[0] == shape and len(left) > needed:
                left.pop(0)
            found.append(shape)
        elif left:
            found.append(left.pop(0))
        else:
            return None
    return None if left else found


def kind_of(executed: Executed) -> str:
    """What a node's time goes into.

    ``compute``; ``copy`` between devices; ``layout``: the same numbers in another order; ``cast``;
    ``shape``: operators that only rename axes, and whole numbers on the way to a shape; ``data``:
    other movement of data.
    """
    op_type = executed.op_type
    if op_type in COPIES or op_type.startswith("Memcpy"):
        return "copy"
    if op_type in SHAPES or _is_shape(executed):
        return "shape"
    for kind, operators in (("layout", MOVES), ("cast", CASTS), ("data", DATA)):
        if op_type in operators:
            return kind
    return "compute"


def _is_shape(executed: Executed) -> bool:
    """Whether all that a node computes is a few whole numbers."""
    return bool(executed.outputs) and all(
        dtype in ("int64", "int32") and len(shape) < 2 and size(shape) <= _LONGEST_SHAPE
        for dtype, shape in zip(executed.dtypes, executed.outputs, strict=True)
    )
