"""Legalised models are what their target accepts, and compute what they computed."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from sardonyx.compiler.errors import UnsupportedError, VerifyError
from sardonyx.compiler.export import legalise
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.text import STAGE, to_text
from sardonyx.compiler.targets import TARGETS, Target, find_target
from tests.support.models import model, normal, random_feeds
from tests.support.run import check_valid, run_ort, run_reference

CPU, PORTABLE = find_target("cpu"), find_target("portable")


def core(text: str, **weights: np.ndarray) -> ir.Model:
    given = model(text, **weights)
    given.metadata_props[STAGE] = "core"
    return given


SIMPLE = "g (float[b,3] x) => (float[b,3] y) { a = Add(x, w) y = Relu(a) }"


def simple() -> ir.Model:
    return core(SIMPLE, w=normal(3))


def test_the_model_that_is_given_stays_as_it_is():
    given = core("g (float[3] x) => (float[2] v) { v, i = TopK(x, k) }", k=np.array([2]))
    given.graph.node(0).doc_string = "doc"
    before = to_text(given)
    legal = legalise(given, PORTABLE, 18)
    assert to_text(given) == before
    assert given.graph.node(0).doc_string == "doc"
    assert legal.metadata_props[STAGE] == "target"
    assert legal.opset_imports == {"": 18}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("opset", [None, *range(18, 24)])
def test_every_opset_on_request_computes_the_same(target, opset):
    given = core(
        """g (float[b,3] x) => (float[b,3] y) {
            a = Gelu(x) r = RMSNormalization<axis = -1>(a, w) s = ReduceSum(r, d) y = Add(r, s)
        }""",
        w=normal(3),
        d=np.array([1]),
    )
    legal = legalise(given, target, opset)
    assert legal.opset_imports[""] == (opset or 23)
    proto = ir.to_proto(legal)
    onnx.checker.check_model(proto, full_check=True)
    feeds = random_feeds(given, {"b": 5})
    for found, expected in zip(run_ort(legal, feeds), run_ort(given, feeds), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("opset", "version"), [(18, 8), (19, 9), (20, 9), (21, 10), (23, 10)])
def test_the_ir_version_is_the_lowest_that_the_opset_came_with(opset, version):
    assert legalise(simple(), PORTABLE, opset).ir_version == version


@pytest.mark.parametrize(
    ("dtype", "version"),
    [("float8e4m3fn", 9), ("int4", 10), ("float4e2m1", 11), ("float8e8m0", 12), ("uint2", 13)],
)
def test_a_dtype_may_need_a_newer_ir_version(dtype, version):
    given = core(f"g ({dtype}[3] x) => ({dtype}[3] y) {{ y = com.microsoft.Some(x) }}")
    given.opset_imports[""] = 18
    assert legalise(given, CPU).ir_version == version


def test_a_dtype_that_the_target_cannot_load_is_refused():
    given = core("g (float6e2m3[3] x) => (float6e2m3[3] y) { y = com.microsoft.Some(x) }")
    with pytest.raises(UnsupportedError, match="does not load IR version 14") as caught:
        legalise(given, CPU)
    assert caught.value.found == "values of float6e2m3"


@pytest.mark.parametrize("opset", [17, 24, 9999])
def test_an_opset_out_of_range_is_refused(opset):
    with pytest.raises(UnsupportedError, match=f"cannot be exported at opset {opset}") as caught:
        legalise(simple(), CPU, opset)
    assert caught.value.expected == "opset 18 to 23"


@pytest.mark.parametrize("read", ["", ", float[b,2,t,4] nk"])
def test_an_attention_with_a_cache_gives_one(read):
    given = core(f"""g (float[b,2,s,4] q, float[b,2,s,4] k, float[b,2,3,4] p) =>
        (float[b,2,s,4] y{read}) {{ y, nk, nv = Attention(q, k, k, , p, p) }}""")
    legal = legalise(given, PORTABLE)
    assert [len(node.outputs) for node in legal.graph] == [3]
    feeds = random_feeds(given, {"b": 2, "s": 1, "t": 4})
    for wanted, got in zip(run_reference(given, feeds), run_ort(legal, feeds), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_operators_of_the_runtime_are_refused_where_any_runtime_is_meant():
    given = core("g (float[3] x) => (float[3] y) { [n] y = com.microsoft.Rfft(x) }")
    assert legalise(given, CPU).opset_imports["com.microsoft"] == 1
    with pytest.raises(UnsupportedError, match="1 nodes that target 'portable' does not") as caught:
        legalise(given, PORTABLE)
    assert caught.value.found == ("n (Rfft): Rfft is ONNX Runtime's own, not of the ONNX standard")


def test_a_contrib_operator_with_a_body_of_the_model_is_portable():
    given = core(
        """g (float[3] x) => (float[3] y) { y = com.microsoft.Rfft(x) }
        <domain: "com.microsoft", opset_import: ["" : 23]>
        Rfft (a) => (b) { s = Sigmoid(a) b = Mul(a, s) }"""
    )
    legal = legalise(given, PORTABLE)
    assert legal.opset_imports == {"": 23, "com.microsoft": 1}
    onnx.checker.check_model(ir.to_proto(legal))


CONV = """g (float[b,2,5,5] x) => (float[b,3,5,5] y) {
    [n] y = com.microsoft.FusedConv<pads = [1, 1, 1, 1], activation = "%s">(x, w, v)
}"""


@pytest.mark.parametrize("opset", [18, 23])
def test_contrib_operators_get_a_body_that_any_runtime_runs(opset):
    given = core(CONV % "Relu", w=normal(3, 2, 3, 3), v=normal(3, seed=1))
    for target, functions in ((CPU, [("com.microsoft", "FusedConv")]), (PORTABLE, [])):
        legal = legalise(given, target, opset)
        assert [i[:2] for i in legal.functions] == functions
        assert (target is CPU) == ("com.microsoft" in legal.opset_imports)
        check_valid(legal)
        feeds = random_feeds(given, {"b": 2})
        for found, expected in zip(run_reference(legal, feeds), run_ort(given, feeds), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_contrib_operator_whose_use_has_no_body_goes_without_where_it_is_known():
    given = core(CONV % "Unheard", w=normal(3, 2, 3, 3), v=normal(3, seed=1))
    assert not legalise(given, CPU).functions
    with pytest.raises(UnsupportedError):
        legalise(given, PORTABLE)


def test_domains_that_nobody_knows_are_refused_with_a_count():
    nodes = " ".join(f"[n{i}] v{i} = com.example.Op(x)" for i in range(7))
    total = ", ".join(f"v{i}" for i in range(7))
    given = core(f"g (float[3] x) => (float[3] y) {{ {nodes} y = Sum({total}) }}")
    with pytest.raises(UnsupportedError, match="has 7 nodes") as caught:
        legalise(given, CPU)
    assert "n0 (Op): cpu knows no domain 'com.example'" in caught.value.found
    assert caught.value.found.endswith("; and 2 more")


def test_an_operator_without_a_kernel_at_the_newest_opset_goes_to_an_older_one():
    given = core("g (float[3] x) => (float[3] y) { y = RandomUniformLike(x) }")
    assert legalise(given, CPU).opset_imports[""] == 21
    # Where the caller insists, a runtime that has the kernel may be meant.
    assert legalise(given, PORTABLE, 23).opset_imports[""] == 23
    with pytest.raises(UnsupportedError, match="1 nodes that target 'cpu' does not") as caught:
        legalise(given, CPU, 23)
    assert "no CPU kernel for RandomUniformLike of opset 22" in caught.value.found


def test_an_opset_that_the_target_does_not_load_is_lowered():
    given = core("g (float[3] x) => (float[3] y) { y = Relu(x) }")
    given.opset_imports[""] = 26
    old = Target("old", "an older runtime", newest_opset=20)
    assert legalise(given, old).opset_imports[""] == 20
    assert legalise(given, CPU).opset_imports[""] == 26


def test_an_operator_that_the_older_opset_cannot_say_is_refused():
    given = core("g (float[3] x) => (float4e2m1[3] y) { [n] y = Cast<to = 23>(x) }")
    with pytest.raises(UnsupportedError, match="n"):
        legalise(given, PORTABLE, 18)


def test_what_nobody_asked_for_is_not_computed():
    given = core(
        """g (float[b,4,8,8] x) => (float[b,4,4,4] y) {
            y, i = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x) dead = Relu(x)
        }"""
    )
    legal = legalise(given, CPU)
    assert [list(n.output) for n in ir.to_proto(legal).graph.node] == [["y"]]


def test_trailing_empty_operands_go():
    given = core('g (float[3] x) => (float[3] y) { y = Clip(x, "", "") }')
    assert [list(n.input) for n in ir.to_proto(legalise(given, CPU)).graph.node] == [["x"]]


def test_unused_imports_go():
    assert legalise(simple(), CPU).opset_imports == {"": 23}


def test_notes_of_the_frontends_go_and_provenance_stays():
    given = simple()
    node = given.graph.node(0)
    provenance.set_source(node, "encoder.0")
    node.metadata_props["pkg.torch.onnx.stack_trace"] = "some/folder/model.py"
    node.outputs[0].metadata_props["note"] = node.doc_string = given.graph.doc_string = "folder"
    given.metadata_props["names"] = "cat, dog"
    legal = legalise(given, CPU)
    text = str(ir.to_proto(legal))
    assert "folder" not in text
    assert provenance.sources(legal.graph.node(0)) == ["encoder.0"]
    assert legal.metadata_props["names"] == "cat, dog"


def test_names_are_made_legal():
    given = simple()
    given.graph.node(0).outputs[0].name = "y"
    with pytest.raises(VerifyError):
        legalise_without_names(given)
    legal = legalise(given, CPU)
    assert [n.outputs[0].name for n in legal.graph] == ["y_1", "y"]
    onnx.checker.check_model(ir.to_proto(legal))


def legalise_without_names(given: ir.Model) -> None:
    from sardonyx.compiler.ir.verify import verify

    verify(given)


def test_a_target_that_does_not_exist_is_refused():
    with pytest.raises(UnsupportedError, match="There is no such target") as caught:
        find_target("tpu")
    assert (caught.value.found, caught.value.expected) == ("'tpu'", "portable, cpu, cuda")


def test_axes_that_the_checker_misses_are_written():
    """onnx's checker does not know the default axes of opset 13 and newer."""
    given = core("g (float[2,3,4,5] x) => (float[2,3,4,5] y) { y = MeanVarianceNormalization(x) }")
    made = legalise(given, PORTABLE)
    onnx.checker.check_model(ir.to_proto(made), full_check=True)
    assert made.graph.node(0).attributes.get_ints("axes") == (0, 2, 3)
