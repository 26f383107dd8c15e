"""Contrib operators with bodies: ONNX Runtime's kernel, the bodies themselves, and both alike."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.inliner
import onnx_ir as ir
import pytest

from sardonyx.compiler.contrib import BODIES, add_function_bodies
from sardonyx.compiler.errors import UnsupportedError
from tests.support.models import clone, model, normal, random_feeds
from tests.support.run import check_valid, run_ort, run_reference

NOISE = {"atol": 2e-5, "rtol": 1e-5}
HEAD = "g (float[2,3,6,5] x, float[2,4,4,3] z) => (float[2,4,4,3] y) "
CONV = "com.microsoft.FusedConv <kernel_shape = [3, 3], pads = [0, 0, 0, 0], "


def call(activation: str, operands: str = "x, w, b", head: str = HEAD) -> ir.Model:
    text = head + f"{{ y = {CONV}{activation}> ({operands}) }}"
    return model(text, w=normal(4, 3, 3, 3), b=normal(4))


def inlined(given: ir.Model) -> ir.Model:
    """The model with the bodies in the place of the calls."""
    return ir.from_proto(onnx.inliner.inline_local_functions(ir.to_proto(given)))


def check_alike(given: ir.Model, *, by_reference: bool = True) -> None:
    """ONNX Runtime's kernel, the inlined bodies, and the reference evaluator agree."""
    feeds = random_feeds(given)
    wanted = run_ort(given, feeds)
    add_function_bodies(given)
    check_valid(given)
    others = [run_ort(given, feeds), run_ort(given, feeds, optimised=True)]
    plain = inlined(given)
    assert not any(node.domain for node in plain.graph)
    others.append(run_ort(plain, feeds))
    if by_reference:
        others.append(run_reference(given, feeds))
    for other in others:
        for a, b in zip(wanted, other, strict=True):
            np.testing.assert_allclose(b, a, **NOISE)


@pytest.mark.parametrize(
    "activation",
    [
        'activation = "Relu"',
        'activation = "Sigmoid"',
        'activation = "Tanh"',
        'activation = "HardSwish"',
        'activation = "LeakyRelu", activation_params = [0.2]',
        'activation = "HardSigmoid", activation_params = [0.3, 0.4]',
        'activation = "Clip", activation_params = [-0.5, 3.0]',
    ],
)
@pytest.mark.parametrize("operands", ["x, w", "x, w, b", "x, w, b, z"])
def test_bodies_mean_what_the_kernel_does(activation, operands):
    check_alike(call(activation, operands))


def test_calls_that_differ_in_attribute_values_share_a_body():
    text = """g (float[2,3,6,5] x) => (float[2,4,3,2] y) {
        c = com.microsoft.FusedConv <activation = "Relu", kernel_shape = [3, 3],
            strides = [1, 1], pads = [0, 0, 0, 0]> (x, w)
        y = com.microsoft.FusedConv <activation = "Relu", kernel_shape = [2, 2],
            strides = [2, 2], pads = [1, 1, 1, 1]> (c, v) }"""
    given = model(text, w=normal(4, 3, 3, 3), v=normal(4, 4, 2, 2))
    assert add_function_bodies(given) == 1
    check_alike(given)


def test_calls_with_other_operands_are_overloads():
    text = f"""{HEAD}{{
        c = {CONV}activation = "Relu"> (x, w, b)
        d = {CONV}activation = "Relu"> (x, w, b, z)
        e = {CONV}activation = "Tanh"> (x, w)
        f = Add(c, d) y = Add(e, f) }}"""
    given = model(text, w=normal(4, 3, 3, 3), b=normal(4))
    assert add_function_bodies(given) == 3
    assert [key[2] for key in given.functions] == ["", "v2", "v3"]
    assert [n.overload for n in given.graph if n.domain] == ["", "v2", "v3"]
    # onnx's reference evaluator knows no overloads: it would run the last one for all.
    check_alike(given, by_reference=False)


def test_onnx_runtime_keeps_its_kernel(tmp_path):
    import onnxruntime

    text = f"""{HEAD}{{
        c = {CONV}activation = "Relu"> (x, w, b) y = {CONV}activation = "Relu"> (x, w, b, c) }}"""
    given = model(text, w=normal(4, 3, 3, 3), b=normal(4))
    add_function_bodies(given)
    for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_EXTENDED"):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
        data = ir.to_proto(given).SerializeToString()
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        kept = onnx.load(tmp_path / "loaded.onnx").graph.node
        assert [node.op_type for node in kept] == ["FusedConv", "FusedConv"]


def test_a_second_call_changes_nothing():
    given = call('activation = "Relu"')
    add_function_bodies(given)
    before = ir.to_proto(given).SerializeToString(deterministic=True)
    again = clone(given)
    assert add_function_bodies(again) == 1
    assert ir.to_proto(again).SerializeToString(deterministic=True) == before


def test_calls_in_subgraphs_have_bodies_too():
    text = f"""g (float[2,3,6,5] x, bool q) => (float[2,4,4,3] y) {{ y = If (q) <
        then_branch = t () => (float[2,4,4,3] p) {{ p = {CONV}activation = "Relu"> (x, w) }},
        else_branch = e () => (float[2,4,4,3] r) {{ r = Conv(x, w) }}> }}"""
    given = model(text, w=normal(4, 3, 3, 3))
    assert add_function_bodies(given) == 1
    check_valid(given)


def test_other_functions_and_operators_are_left_alone():
    text = """g (float[2,3] x) => (float[2,2] y) {
        a = com.microsoft.CDist <metric = "euclidean"> (x, x) y = Relu(a) }"""
    given = model(text)
    assert add_function_bodies(given) == 0
    assert not given.functions


def test_an_unknown_activation_is_refused():
    given = call('activation = "Softsign"')
    with pytest.raises(UnsupportedError, match="FusedConv has the activation 'Softsign'"):
        add_function_bodies(given)


def test_every_body_is_of_an_operator_with_a_row():
    from sardonyx.compiler.ops import rows

    known = {(row.domain, row.op_type) for row in rows()}
    assert set(BODIES) <= known
