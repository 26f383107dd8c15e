"""The whole pipeline: right results on random models, nothing touched that is not its own."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.errors import InvalidModelError, SardonyxError, UnsupportedError, VerifyError
from sardonyx.compiler.pipeline import CLEAN_UP, DEFAULT, compile
from sardonyx.compiler.rewrite import rule
from tests.compiler.random_models import random_model
from tests.support.models import model, normal, random_feeds
from tests.support.run import run_ort

ABS = rule("abs", lambda op: op.Abs(op.Neg("x")), lambda op, m: op.Abs(m.x))
SIZES = [{"b": 2, "s": 3}, {"b": 1, "s": 1}, {"b": 4, "s": 2}]


def assert_same(given: ir.Model, after: ir.Model, sizes: dict[str, int], *, rtol: float) -> None:
    feeds = random_feeds(given, sizes)
    wanted, got = run_ort(given, feeds), run_ort(after, feeds)
    assert [v.name for v in after.graph.outputs] == [v.name for v in given.graph.outputs]
    for a, b in zip(wanted, got, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(b, a, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("seed", range(40))
def test_random_models_compute_the_same(seed):
    given = random_model(np.random.default_rng(seed))
    program = compile(given, "portable", verify_level=2)
    for sizes in SIZES:
        assert_same(given, program.model, sizes, rtol=1e-4)


@pytest.mark.parametrize("seed", range(40, 46))
def test_every_single_rewrite_leaves_a_well_formed_graph(seed):
    given = random_model(np.random.default_rng(seed), steps=12)
    assert_same(given, compile(given, verify_level=3).model, SIZES[0], rtol=1e-4)


def test_operands_that_are_left_out_at_the_end_are_accepted():
    text = """g (float[b,3] x, bool c) => (float[b,3] y) <float low = {0.5}> {
        r = ReduceL2(x)
        z = Clip(r, low, "")
        d = If(c) <
            then_branch = t () => (float[b,3] o) { o = Clip(x, low, "") },
            else_branch = e () => (float[b,3] p) { p = Neg(x) }
        >
        y = Div(d, z)
    }"""
    given = model(text)
    assert_same(given, compile(given, verify_level=2).model, {"b": 2}, rtol=1e-6)
    assert [node.inputs[-1] for node in given.graph if node.op_type == "Clip"] == [None]


def test_the_model_that_is_given_stays_as_it_is():
    given = random_model(np.random.default_rng(7))
    before = ir.to_proto(given).SerializeToString()
    names = [v.const_value.name for v in given.graph.initializers.values()]
    compile(given)
    assert ir.to_proto(given).SerializeToString() == before
    assert [v.const_value.name for v in given.graph.initializers.values()] == names


def test_constants_that_are_lifted_stay_as_they_are():
    text = """g (float[2] x, bool c) => (float[2] y) {
        k = Constant<value = float[2] {1, 2}>()
        z = Add(x, k)
        q = If(c) <
            then_branch = a () => (float[2] o) <float[2] v = {1, 2}> { o = Add(x, v) },
            else_branch = b () => (float[2] p) <float[2] w = {3, 4}> { p = Mul(x, w) }
        >
        y = Add(q, z)
    }"""
    given = model(text)
    before = ir.to_proto(given).SerializeToString()
    program = compile(given)
    program.to_bytes()
    assert program.report.rules["lift_constants"] == 3
    assert ir.to_proto(given).SerializeToString() == before


def test_the_same_model_gives_the_same_bytes():
    given = random_model(np.random.default_rng(8))
    assert compile(given).to_bytes() == compile(given).to_bytes()


def test_a_program_compiled_again_is_the_same():
    given = random_model(np.random.default_rng(9))
    once = compile(given, "portable").model
    again = compile(once, "portable").model
    assert [n.op_type for n in again.graph] == [n.op_type for n in once.graph]


def test_passes_are_announced_and_recorded():
    seen: list[str] = []
    program = compile(random_model(np.random.default_rng(1)), on_pass=seen.append)
    assert seen == [record.name for record in program.report.passes]
    first = [DEFAULT[0].name, *(each.name for each in CLEAN_UP.passes)]
    assert seen[: len(first)] == first


def test_rules_of_a_user_run_among_the_passes_of_the_target():
    # The two clamps are one only after fusion; what the rule leaves is cleaned up.
    own = rule("own", lambda op: op.Clip("x", 0, 6), lambda op, m: op.Neg(op.Neg(op.Abs(m.x))))
    given = model(
        "g (float[b,2] x) => (float[b,2] y) { a = Relu(x) y = Clip(a, l, h) }",
        l=np.float32(-1),
        h=np.float32(6),
    )
    program = compile(given, rules=[own], verify_level=2)
    assert [node.op_type for node in program.model.graph] == ["Abs"]
    assert program.report.rules["own"] == 1
    with pytest.raises(UnsupportedError, match="Either rules or steps can be given"):
        compile(given, rules=[own], steps=DEFAULT)
    with pytest.raises(UnsupportedError, match="Either a precision or steps can be given"):
        compile(given, "cuda", steps=DEFAULT, precision="fp16")


@pytest.mark.parametrize(
    ("rules", "found"),
    [("abs", "'abs'"), (["abs"], "'abs'"), (ABS, "the rule 'abs' alone"), (3, "3")],
)
def test_rules_are_a_sequence_of_rules(rules, found):
    with pytest.raises(UnsupportedError) as caught:
        compile(model("g (float[2] x) => (float[2] y) { y = Relu(x) }"), rules=rules)
    assert f"found: {found}\n" in str(caught.value)


def test_the_report_says_how_far_a_rule_came():
    given = model("g (float[2] x) => (float[2] y) { e = Exp(x) y = Abs(e) }")
    report = compile(given, rules=[ABS]).report
    assert report.misses["abs"].why == "e: float[2] comes from Exp, not from Neg"


def test_what_is_declared_of_an_output_is_written_again_and_not_counted_on():
    given = model(
        """g (float[3,4] x, int64[1] axis) => (float[1,3,4,1] z) {
            y = Unsqueeze(x, last) z = Unsqueeze(y, axis)
        }""",
        last=np.array([2]),
    )
    program = compile(given, proof="off")
    assert program.model.graph.outputs[0].shape == ir.Shape([1, 3, 4, 1])
    x = normal(3, 4)
    for axis, shape in ((0, (1, 3, 4, 1)), (2, (3, 4, 1, 1))):
        (z,) = run_ort(program.model, {"x": x, "axis": np.array([axis])})
        np.testing.assert_array_equal(z, x.reshape(shape))


def test_functions_are_inlined():
    text = """<ir_version: 10, opset_import: ["" : 23, "own" : 1]>
    g (float[n,3] x) => (float[n,3] y) { a = own.f<k = 2.0>(x) y = own.f<k = 3.0>(a) }
    <domain: "own", opset_import: ["" : 23]>
    f<k>(a) => (c) { v = Constant<value_float: float = @k>() c = Mul(a, v) }"""
    given = ir.from_onnx_text(text)
    program = compile(given)
    assert "own" not in {node.domain for node in program.model.graph}
    assert_same(given, program.model, {"n": 2}, rtol=1e-6)


def test_something_else_than_a_model_is_refused():
    with pytest.raises(UnsupportedError, match=r"nothing to compile[\s\S]*a dict[\s\S]*from_torch"):
        compile({})


def test_an_unknown_target_is_refused():
    with pytest.raises(SardonyxError, match="abacus"):
        compile(model("g (float[2] x) => (float[2] y) { y = Neg(x) }"), "abacus")


def test_an_ill_formed_model_is_refused():
    given = model("g (float[2] x) => (float[2] y) { a = Neg(x) y = Exp(a) }")
    first, second = given.graph
    first.replace_input_with(0, second.outputs[0])
    with pytest.raises(VerifyError, match="V03"):
        compile(given)


def test_types_that_do_not_fit_are_refused():
    given = model("g (float[2,3] x) => (float[k,j] y) { y = MatMul(x, w) }", w=normal(4, 5))
    with pytest.raises(InvalidModelError, match="do not fit"):
        compile(given)
    given = model("g (float[2] x) => (float[2] y) { y = And(x, x) }")
    with pytest.raises(SardonyxError):
        compile(given)


def test_a_model_of_an_older_opset_is_raised_first():
    source = ir.from_onnx_text("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[b,2,5,4] q, float[b,2,6,4] k, float[b,2,6,3] v) => (float[b,2,5,3] y)
        <float half = {0.5}> {
            t = Transpose <perm = [0, 1, 3, 2]> (k)  a = MatMul(q, t)  s = Mul(a, half)
            p = Softmax <axis = -1> (s)  y = MatMul(p, v)
        }""")
    program = compile(source)
    assert [node.op_type for node in program.model.graph] == ["Attention"]
    assert source.opset_imports[""] == 17
