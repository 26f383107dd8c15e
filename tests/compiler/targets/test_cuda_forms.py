"""What target cuda writes in an older form, as ONNX Runtime's kernels fail with the newest one."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler import UnsupportedError, compile
from sardonyx.compiler.targets.kernel_gaps import ONNXRUNTIME_CUDA, highest_opset
from tests.support.models import model, normal, random_feeds
from tests.support.run import run_ort

WITH_NORM = """g (float[1,8,6,6] x, float[1,6,4,8] q) => (float[1,8,6,6] y, float[1,6,4,8] z) {
    c = Conv<pads = [1, 1, 1, 1]>(x, w) m = ReduceMean<keepdims = 1>(c, axes) d = Sub(c, m)
    p = Mul(d, d) v = ReduceMean<keepdims = 1>(p, axes) e = Add(v, eps) s = Sqrt(e)
    n = Div(d, s) y = Conv<pads = [1, 1, 1, 1]>(n, w) z = Attention(q, q, q) }"""


@pytest.mark.parametrize("precision", [None, "bf16"])
def test_what_is_recognised_counts_for_the_opset_that_kernels_are_of(precision):
    """CUDA runs InstanceNormalization up to opset 21, where it convolves in single precision."""
    given = model(WITH_NORM, w=normal(8, 8, 3, 3), axes=np.array([2, 3]), eps=np.float32(1e-5))
    after = compile(given, "cuda", precision=precision, proof="off").model
    assert after.opset_imports[""] == ONNXRUNTIME_CUDA["InstanceNormalization"] == 21
    kinds = {node.op_type: node.outputs[0].dtype.name for node in after.graph}
    assert kinds["Conv"] == kinds["InstanceNormalization"] == "FLOAT"
    # The rule for older opsets wrote the attention; ONNX's function of it has some 80 nodes.
    assert "Attention" not in kinds
    assert len(after.graph) < 20
    if precision is None:
        feeds = random_feeds(given, {})
        for wanted, got in zip(run_ort(given, feeds), run_ort(after, feeds), strict=True):
            # Sums of 72 products.
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def softmax_in(dtype: ir.DataType) -> ir.Model:
    return model(
        f"""g (float[2,4,s,8] q, float[2,4,t,8] k, float[2,4,t,8] v) => (float[2,4,s,8] y) {{
            t = Transpose<perm = [0, 1, 3, 2]>(k) a = MatMul(q, t) b = Mul(a, scale)
            c = Cast<to = {int(dtype)}>(b) d = Softmax(c) e = Cast<to = 1>(d)
            y = MatMul(e, v) }}""",
        scale=np.float32(0.3),
    )


def test_attention_with_a_softmax_in_double_is_written_out_for_cuda():
    given = softmax_in(ir.DataType.DOUBLE)
    after = compile(given, "cuda", proof="off").model
    assert [n.outputs[0].dtype.name for n in after.graph if n.op_type == "Softmax"] == ["DOUBLE"]
    assert "Attention" not in {node.op_type for node in after.graph}
    feeds = random_feeds(given, {"s": 3, "t": 5})
    np.testing.assert_allclose(run_ort(after, feeds), run_ort(given, feeds), atol=1e-6, rtol=1e-5)
    (fused,) = compile(given, "cpu", proof="off").model.graph
    assert fused.attributes["softmax_precision"].as_int() == ir.DataType.DOUBLE
    for kept in (ir.DataType.FLOAT16, ir.DataType.FLOAT):
        made = compile(softmax_in(kept), "cuda", proof="off").model
        assert made.opset_imports[""] == 23
        assert [node.op_type for node in made.graph] == ["Attention"]


def scores_of(mode: int, is_read: bool = True) -> ir.Model:
    more, name = (", float[2,4,s,t] z", "z") if is_read else ("", "")
    return model(
        f"""g (float[2,4,s,8] q, float[2,4,t,8] k, float[2,4,t,8] v, float[s,t] m)
            => (float[2,4,s,8] y{more}) {{
            y, , , {name} =
                Attention<qk_matmul_output_mode = {mode}, softcap = 2.0>(q, k, v, m) }}"""
    )


@pytest.mark.parametrize("mode", [1, 2, 3])
def test_attention_whose_scores_cuda_does_not_give_is_written_out(mode):
    given = scores_of(mode)
    after = compile(given, "cuda", proof="off").model
    assert after.opset_imports[""] == 22
    assert "Attention" not in {node.op_type for node in after.graph}
    feeds = random_feeds(given, {"s": 3, "t": 5})
    wanted, got = run_ort(given, feeds), run_ort(after, feeds)
    for a, b in zip(wanted, got, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-6, rtol=1e-5)
    with pytest.raises(UnsupportedError, match="1 nodes that target 'cuda' does not") as caught:
        compile(given, "cuda", opset=23, proof="off")
    assert "gives no scores but those of the product" in str(caught.value)


@pytest.mark.parametrize(("mode", "is_read"), [(0, True), (1, False), (3, False)])
def test_attention_whose_scores_cuda_gives_or_nobody_reads_stays(mode, is_read):
    after = compile(scores_of(mode, is_read), "cuda", proof="off").model
    assert [node.op_type for node in after.graph] == ["Attention"]
    assert after.opset_imports[""] == 23


def test_only_an_operator_that_is_a_function_can_be_written_out():
    given = model("g (float[3,4] x) => (float[3,4] y) { r = Neg(x) y = RMSNormalization(r, w) }",
                       w=normal(4))  # fmt: skip
    refuse = {"Neg": None, "RMSNormalization": 22}
    for op_type, opset in refuse.items():
        found = highest_opset(given, {}, lambda n, _, of=op_type: "no" if n.op_type == of else None)
        assert found == opset
