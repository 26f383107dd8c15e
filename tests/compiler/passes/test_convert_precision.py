"""Half precision where it holds the numbers, single where it does not, casts at the borders."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest

from sardonyx.compiler import compile
from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.ops import rows
from sardonyx.compiler.ops.precision import ACCUMULATES_WIDE, ANGLES, WIDE_RANGE
from sardonyx.compiler.passes.convert_precision import ConvertPrecision
from sardonyx.compiler.targets.cuda import CUDA
from tests.support.models import clone, model, normal, random_feeds
from tests.support.rules import apply, check_unchanged, counts
from tests.support.run import check_valid, run_ort, run_reference

HALF = ir.DataType.FLOAT16
UNIT = 2.0**-11
"""Half the distance from 1 to the next number of half precision."""


def converted(
    given: ir.Model, precision: str = "fp16", kernels: frozenset[str] | None = None
) -> ir.Model:
    after = clone(given)
    apply(ConvertPrecision(precision, kernels), after)
    ir.passes.common.RemoveUnusedNodesPass()(after)
    check_valid(after)
    check_unchanged(ConvertPrecision(precision, kernels), after)
    return after


def dtypes(given: ir.Model) -> dict[str, str]:
    """The dtype of the first result of each operator but for casts."""
    return {
        node.op_type: node.outputs[0].dtype.name
        for node in given.graph
        if node.op_type not in {"Cast", "Constant"}
    }


def check_close(given: ir.Model, after: ir.Model, dims: dict[str, int], roundings: float) -> None:
    """Demand results within some roundings of the largest one, to and from half precision."""
    feeds = random_feeds(given, dims)
    for a, b in zip(run_ort(given, feeds), run_ort(after, feeds), strict=True):
        assert a.dtype == b.dtype == np.float32
        assert np.isfinite(b).all()
        np.testing.assert_allclose(b, a, rtol=0, atol=roundings * UNIT * np.abs(a).max())


MLP = """g (float[b,8] x) => (float[b,4] y) {
    m = MatMul(x, w) a = Add(m, c) r = Relu(a) y = MatMul(r, v) }"""


def mlp() -> ir.Model:
    return model(MLP, w=normal(8, 6), c=normal(6), v=normal(6, 4))


def test_a_network_is_converted_with_casts_at_its_borders_only():
    given = mlp()
    after = converted(given)
    assert counts(after) == {"Cast": 2, "MatMul": 2, "Add": 1, "Relu": 1}
    assert set(dtypes(after).values()) == {"FLOAT16"}
    assert {v.dtype for v in after.graph.initializers.values()} == {HALF}
    assert [v.dtype.name for v in (*after.graph.inputs, *after.graph.outputs)] == ["FLOAT"] * 2
    # Operands, weights and results of three operators are rounded, sums are of 8 terms.
    check_close(given, after, {"b": 3}, roundings=12)


def test_a_weight_that_two_operators_share_is_converted_once():
    given = model("g (float[b,8] x) => (float[b,8] y) { a = MatMul(x, w) y = MatMul(a, w) }",
                  w=normal(8, 8))  # fmt: skip
    assert len(converted(given).graph.initializers) == 1


def test_norms_and_softmax_are_converted_whole():
    given = model(
        """g (float[b,s,8] x) => (float[b,s,8] y) {
            n = LayerNormalization(x, w, c) s = Softmax(n) y = RMSNormalization(s, w) }""",
        w=normal(8),
        c=normal(8),
    )
    after = converted(given)
    assert set(dtypes(after).values()) == {"FLOAT16"}
    check_close(given, after, {"b": 2, "s": 3}, roundings=16)


@pytest.mark.parametrize("op", ["Exp(h)", "Pow(h, two)", "ReduceSum<keepdims = 1>(h)"])
def test_what_leaves_the_range_stays_with_what_reads_it(op):
    given = model(
        f"g (float[b,8] x) => (float[b,4] y) {{ h = Mul(x, x) e = {op}"
        f" r = Sqrt(e) d = Div(x, r) y = MatMul(d, w) }}",
        two=np.float32(2),
        w=normal(8, 4),
    )
    after = converted(given)
    name = op.split("(")[0].split("<")[0]
    assert dtypes(after) == {
        "Mul": "FLOAT16", name: "FLOAT", "Sqrt": "FLOAT", "Div": "FLOAT", "MatMul": "FLOAT16",
    }  # fmt: skip


def test_bfloat16_has_the_range_of_single_precision():
    given = model("g (float[b,8] x) => (float[b,8] y) { e = Exp(x) y = Neg(e) }")
    after = converted(given, "bf16")
    assert dtypes(after) == {"Exp": "BFLOAT16", "Neg": "BFLOAT16"}
    feeds = {"x": np.linspace(-3, 3, 16, dtype=np.float32).reshape(2, 8)}
    (got,) = run_reference(after, feeds)
    unit = float(ml_dtypes.finfo(ml_dtypes.bfloat16).eps) / 2
    # The operand's rounding, times the slope of exp, and the result's.
    np.testing.assert_allclose(got, -np.exp(feeds["x"]), rtol=8 * unit)


def test_angles_are_computed_in_single_precision_from_the_positions_on():
    given = model(
        """g (int64[s] p, float[s,8] x) => (float[s,8] y) {
            f = Cast<to = 1>(p) u = Unsqueeze(f, axis) a = Mul(u, w) c = Cos(a) y = Mul(x, c) }""",
        axis=np.array([1]),
        w=(10.0 ** -np.arange(8.0)).astype(np.float32),
    )
    after = converted(given)
    assert dtypes(after)["Cos"] == dtypes(after)["Unsqueeze"] == "FLOAT"
    feeds = {"p": np.array([0, 1000, 4001]), "x": np.ones((3, 8), np.float32)}
    (wanted,), (got,) = run_ort(given, feeds), run_ort(after, feeds)
    np.testing.assert_allclose(got, wanted, atol=2 * UNIT)


def test_a_constant_that_half_precision_cannot_hold_is_not_converted():
    given = model(
        "g (float[b,4] x) => (float[b,4] y) { a = Mul(x, w) n = Add(a, c) y = MatMul(n, v) }",
        w=np.full(4, 1e6, np.float32),
        c=normal(4),
        v=normal(4, 4),
    )
    after = clone(given)
    report = apply(ConvertPrecision("fp16"), after)
    assert dtypes(after) == {"Mul": "FLOAT", "Add": "FLOAT", "MatMul": "FLOAT16"}
    assert report.misses["to_fp16"].why == "its constant w has elements beyond 65504"


@pytest.mark.parametrize("is_constant", [False, True])
def test_a_mask_of_large_numbers_stays_finite(is_constant):
    mask = np.where(np.tri(3), 0, -3e38).astype(np.float32)
    mask[2] = -3e38  # A query without keys gives some mean of all, and never NaN.
    more = "" if is_constant else ", float[3,3] m"
    given = model(
        f"g (float[b,2,3,8] q{more}) => (float[b,2,3,8] y) {{ y = Attention(q, q, q, m) }}",
        **({"m": mask} if is_constant else {}),
    )
    after = converted(given)
    feeds = {"q": random_feeds(given, {"b": 2})["q"], **({} if is_constant else {"m": mask})}
    (wanted,), (got,) = run_ort(given, feeds), run_ort(after, feeds)
    assert np.isfinite(got).all()
    error = np.abs(got - wanted)[:, :, :2].max()
    assert error < 16 * UNIT * np.abs(wanted).max()


def test_subgraphs_stay_as_they_are():
    given = model(
        """g (float[3] x, bool c) => (float[3] y) { r = Relu(x) y = If(c) <
            then_branch = t () => (float[3] a) { a = Neg(r) },
            else_branch = e () => (float[3] b) { b = Abs(r) }> }"""
    )
    after = converted(given)
    assert dtypes(after) == {"Relu": "FLOAT16", "If": "FLOAT"}
    for flag in (True, False):
        feeds = {"x": normal(3), "c": np.array(flag)}
        (wanted,), (got,) = run_ort(given, feeds), run_ort(after, feeds)
        np.testing.assert_allclose(got, wanted, rtol=2 * UNIT)


def test_operands_that_the_schema_wants_in_single_precision_stay():
    given = model(
        "g (float[1,2,3,4] x) => (float[1,2,6,8] y) { a = Relu(x) y = Resize(a, , s) }",
        s=np.array([1, 1, 2, 2], np.float32),
    )
    after = converted(given)
    assert dtypes(after)["Resize"] == "FLOAT16"
    check_close(given, after, {}, roundings=2)


def test_an_operator_without_a_kernel_stays_and_what_reads_it_does_not():
    given = model(
        """g (float[1,2,6,6] x) => (float[1,2,2,2] y) {
            a = Relu(x) m = MaxPool<kernel_shape = [3, 3], strides = [2, 2]>(a) y = Neg(m) }"""
    )
    after = clone(given)
    report = apply(ConvertPrecision("bf16", frozenset({"Relu", "Neg"})), after)
    assert dtypes(after) == {"Relu": "BFLOAT16", "MaxPool": "FLOAT", "Neg": "BFLOAT16"}
    assert report.misses["to_bf16"].why == "the target has no kernel for MaxPool in BFLOAT16"
    assert dtypes(converted(given, "bf16"))["MaxPool"] == "BFLOAT16"


def test_a_mask_is_converted_by_operators_that_have_kernels():
    given = model(
        """g (float[1,2,s,8] q, float[1,1,s,s] m) => (float[1,2,s,8] y) {
            k = Mul(m, large) y = Attention(q, q, q, k) }""",
        large=np.float32(3e38),
    )
    kernels = CUDA.kernels_in("bf16", 23)
    after = converted(given, "bf16", kernels)
    half = [n for n in after.graph if n.outputs[0].dtype == ir.DataType.BFLOAT16]
    assert {node.op_type for node in half} == {"Attention", "Cast", "Max", "Mul"}


@pytest.mark.parametrize("opset", range(18, 24))
def test_the_operators_of_a_table_of_kernels_may_be_had_in_that_precision(opset):
    for name in CUDA.kernels_in("bf16", opset):
        schema = onnx.defs.get_schema(name, opset, "")
        assert any("tensor(bfloat16)" in slot.types for slot in schema.inputs), name


_SINGLE_ONLY = {
    "GridSample": (
        "g (float[1,2,5,4] x, float[1,3,6,2] p) => (float[1,2,3,6] y) {"
        " a = Relu(x) q = Tanh(p) e = GridSample(a, q) y = Sqrt(e) }"
    ),
    "EyeLike": (
        "g (float[3,5] x, float[5,4] p) => (float[3,4] y) {"
        " a = Relu(x) q = Tanh(p) e = EyeLike(a) y = MatMul(e, q) }"
    ),
}


@pytest.mark.parametrize("name", _SINGLE_ONLY)
def test_what_cuda_computes_in_single_precision_only_is_not_converted_and_its_readers_are(name):
    """In half precision ONNX Runtime would run it on the CPU, and no CUDA graph is captured."""
    program = compile(model(_SINGLE_ONLY[name]), "cuda", precision="fp16", proof="off")
    kinds = dtypes(program.model)
    assert kinds.pop(name) == "FLOAT"
    assert list(kinds.values()) == ["FLOAT16"] * 3
    why = f"the target has no kernel for {name} in FLOAT16"
    assert program.report.misses["to_fp16"].why == why


@pytest.mark.parametrize(
    ("op", "opset", "dtype"),
    [
        ("ReduceMean<keepdims = 1>(a)", None, "BFLOAT16"),
        ("ReduceMean<keepdims = 1>(a)", 18, "BFLOAT16"),
        # Its function has Less, for which there is none.
        ("Clip(a, low, high)", None, "FLOAT"),
        ("ReduceSumSquare<keepdims = 1>(a)", 18, "BFLOAT16"),
        ("Softplus(a)", None, "BFLOAT16"),
        ("Softplus(a)", 21, "FLOAT"),
        ("Mish(a)", None, "BFLOAT16"),
        # Its kernel serves the forms before opset 22 alone.
        ("Dropout(a)", 21, "FLOAT"),
        ("ReduceMax<keepdims = 1>(a)", None, "FLOAT"),
    ],
)
def test_what_cuda_has_kernels_for_in_bfloat16_is_converted(op, opset, dtype):
    given = model(
        f"g (float[3,8] x) => (float y) {{ a = Relu(x) e = {op} f = Neg(e) y = ReduceSum(f) }}",
        low=np.float32(-1),
        high=np.float32(2),
    )
    kernels = CUDA.kernels_in("bf16", opset or 23)
    name = op.split("(")[0].split("<")[0]
    kinds = dtypes(converted(given, "bf16", kernels))
    assert kinds == {
        "Relu": "BFLOAT16", name: dtype, "Neg": "BFLOAT16", "ReduceSum": "BFLOAT16",
    }  # fmt: skip


@pytest.mark.parametrize(("opset", "dtype"), [(None, "BFLOAT16"), (21, "FLOAT")])
def test_a_kernel_may_be_of_a_newer_opset_only(opset, dtype):
    given = model("g (float[1,2,6,6] x) => (float[1,3,4,4] y) { y = Conv(x, w) }",
                  w=normal(3, 2, 3, 3))  # fmt: skip
    program = compile(given, "cuda", precision="bf16", opset=opset)
    assert dtypes(program.model) == {"Conv": dtype}


def test_the_tables_are_of_operators_that_exist():
    known = {row.op_type for row in rows() if not row.domain}
    assert known >= WIDE_RANGE | ANGLES | ACCUMULATES_WIDE
    assert not WIDE_RANGE & ACCUMULATES_WIDE


def test_compile_converts_where_the_target_computes_so():
    program = compile(mlp(), "cuda", precision="fp16", verify_level=2)
    assert program.report.rules["to_fp16"] == 4
    check_close(mlp(), program.model, {"b": 2}, roundings=12)
    with pytest.raises(UnsupportedError, match="'cpu' does not compute in 'fp16'"):
        compile(mlp(), "cpu", precision="fp16")
    with pytest.raises(UnsupportedError, match="does not compute in 'int3'"):
        compile(mlp(), "cuda", precision="int3")
