"""What rows say that nodes cost."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.ops import Cost, find
from sardonyx.compiler.ops.cost import cost_of
from sardonyx.compiler.ops.row import Absent
from tests.compiler.ops.drawing import draw, row_id, sampled_rows


def cost(text, symbol=7):
    model = ir.from_onnx_text('<ir_version: 10, opset_import: ["" : 23]>\n' + text)
    Types.inferred(model)
    node = model.graph[-1]
    return cost_of(find(node).cost, node, symbol)


# 4 bytes an element; the second number of each Cost is operands plus outputs.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("g (float[2,3] x, float[3] y) => (z) { z = Add(x, y) }", Cost(6, 4 * (6 + 3 + 6))),
        ("g (float[n,3] x) => (z) { z = Exp(x) }", Cost(10 * 21, 4 * 42)),
        ("g (float[2,3] x) => (z) { z = Transpose(x) }", Cost(0, 48)),
        ("g (float[2,3] x, int64[1] s) => (z) { z = Reshape(x, s) }", Cost(0, 0)),
        (
            "g (float[5,2,3] a, float[3,4] b) => (z) { z = MatMul(a, b) }",
            Cost(2 * 5 * 2 * 3 * 4, 4 * (30 + 12 + 40)),
        ),
        (
            "g (float[3,2] a, float[3,4] b) => (z) { z = Gemm <transA = 1> (a, b) }",
            Cost(2 * 2 * 3 * 4, 4 * (6 + 12 + 8)),
        ),
        (
            "g (float[1,4,5,5] x, float[6,2,3,3] w) => (z) { z = Conv <group = 2> (x, w) }",
            Cost(2 * (6 * 9) * (2 * 9), 4 * (100 + 108 + 54)),
        ),
        (
            "g (float[1,4,5,5] x, float[4,3,2,2] w) => (z) { z = ConvTranspose(x, w) }",
            Cost(2 * 100 * (3 * 4), 4 * (100 + 48 + 3 * 36)),
        ),
        (
            "g (float[1,4,6,6] x) => (z) "
            "{ z = MaxPool <kernel_shape = [2, 3], strides = [2, 3]> (x) }",
            Cost(4 * 6 * 6, 4 * (144 + 24)),
        ),
        (
            "g (float[5,2,3] x, float[1,16,3] w, float[1,16,4] r) => (y, h, c) "
            "{ y, h, c = LSTM <hidden_size = 4> (x, w, r) }",
            Cost(5 * 2 * 2 * 16 * (3 + 4), 4 * (30 + 48 + 64 + 40 + 8 + 8)),
        ),
        (
            "g (float[1,2,5,4] q, float[1,2,7,4] k, float[1,2,7,4] v) => (y) "
            "{ y = Attention(q, k, v) }",
            Cost(4 * 2 * 5 * 7 * 4, 4 * (40 + 56 + 56 + 40)),
        ),
        (
            "g (float[2,3,4] a, float[3,5] b) => (z) "
            '{ z = Einsum <equation = "bij,ik->bjk"> (a, b) }',
            Cost(2 * 2 * 3 * 4 * 5, 4 * (24 + 15 + 40)),
        ),
    ],
)
def test_costs_are_counted(text, expected):
    assert cost(text) == expected


def test_an_unknown_size_has_no_cost():
    assert cost("g (float[] x) => (z) { z = Relu(x) }") is None


@pytest.mark.parametrize("row", sampled_rows(), ids=row_id)
def test_samples_have_a_cost(row):
    if isinstance(row.cost, Absent):
        return
    for seed in range(6):
        model, _ = draw(row, seed)
        (node,) = model.graph
        if any(v.shape is None or v.dtype is None for v in node.outputs):
            continue  # a contrib operator without type inference
        found = cost_of(row.cost, node, 3)
        assert found is not None
        assert found.flops >= 0
        assert found.bytes >= 0
