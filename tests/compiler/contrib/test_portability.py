"""A file with contrib operators runs where these are not known, and says so where it cannot."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import onnx.inliner
import onnx_ir as ir
import pytest

from sardonyx.compiler import compile, rules
from sardonyx.compiler.contrib import BODIES, WITHOUT_BODY, add_function_bodies
from sardonyx.compiler.ops import rows
from sardonyx.compiler.ops.sample import model_of
from tests.support.models import model, normal, random_feeds
from tests.support.run import check_valid, run_ort, run_reference

ROWS = {(row.domain, row.op_type): row for row in rows()}
SAMPLED = [key for key in BODIES if callable(ROWS[key].sample)]
SELECT = Path(rules.__file__).parent / "select"


def forced(given: ir.Model) -> ir.Model:
    """The model with its contrib operators in a domain that no runtime knows."""
    proto = ir.to_proto(given)
    calls = {(f.domain, f.name) for f in proto.functions}
    scopes = [proto.graph.node, *(f.node for f in proto.functions)]
    for node in (node for scope in scopes for node in scope):
        if (node.domain, node.op_type) in calls:
            node.domain = f"unknown.{node.domain}"
    for function in proto.functions:
        function.domain = f"unknown.{function.domain}"
    for domain in {domain for domain, _ in calls}:
        proto.opset_import.add(domain=f"unknown.{domain}", version=1)
    return ir.from_proto(proto)


def check_everywhere(given: ir.Model, feeds: dict[str, np.ndarray], *, atol: float) -> None:
    """The kernel, the body in ONNX Runtime, inlined, and in the reference: one result."""
    wanted = run_ort(given, feeds)
    add_function_bodies(given)
    check_valid(given)
    inlined = ir.from_proto(onnx.inliner.inline_local_functions(ir.to_proto(given)))
    assert not any(node.domain for node in inlined.graph)
    has_overloads = any(function.overload for function in given.functions.values())
    # The reference evaluator takes one overload of a function for all.
    read = inlined if has_overloads else given
    for got in (run_ort(forced(given), feeds), run_ort(inlined, feeds), run_reference(read, feeds)):
        for a, b in zip(wanted, got, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(b, a, atol=atol, rtol=1e-4)


@pytest.mark.parametrize("opset", [18, 20, 23])
@pytest.mark.parametrize("key", SAMPLED, ids=lambda key: key[1])
def test_a_body_means_what_the_kernel_does(key, opset):
    for seed in range(3):
        case = ROWS[key].sample(np.random.default_rng(seed))
        given, feeds = model_of(key[1], key[0], case)
        given.graph.opset_imports[""] = opset
        check_everywhere(given, feeds, atol=2e-5)


def test_calls_that_need_two_bodies_run_everywhere():
    conv = 'com.microsoft.FusedConv <kernel_shape = [3, 3], activation = "Relu">'
    given = model(
        f"""g (float[2,3,6,5] x) => (float[2,4,4,3] y) {{
            c = {conv} (x, w, b) y = {conv} (x, w, b, c) }}""",
        w=normal(4, 3, 3, 3),
        b=normal(4),
    )
    check_everywhere(given, random_feeds(given), atol=2e-5)
    assert len(given.functions) == 2


def made_operators(source: str) -> set[tuple[str, str]]:
    """The contrib operators that a rule file makes: `op.call("Name", ..., domain="...")`."""
    found = set()
    for call in (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)):
        given = {k.arg: k.value for k in call.keywords}
        if isinstance(call.func, ast.Attribute) and call.func.attr == "call" and "domain" in given:
            name = call.args[0]
            assert isinstance(name, ast.Constant), "name the operator that is made by a literal"
            assert isinstance(given["domain"], ast.Constant), "name its domain by a literal"
            found.add((given["domain"].value, name.value))
    return found


def test_every_operator_that_a_rule_makes_has_a_body_or_a_reason():
    made = {key for path in SELECT.glob("*.py") for key in made_operators(path.read_text())}
    assert ("com.microsoft", "FusedConv") in made
    assert {key for key in made if key not in BODIES and not WITHOUT_BODY.get(key)} == set()
    assert set(WITHOUT_BODY) <= made - set(BODIES)


def test_portable_runs_in_openvino():
    """OpenVINO expands no functions: target `portable` leaves none."""
    openvino = pytest.importorskip("openvino")
    conv = 'com.microsoft.FusedConv <pads = [1, 1, 1, 1], activation = "Relu">'
    given = model(
        f"""g (float[1,2,4,6] x) => (float[1,2,4,6] y) {{
            c = {conv} (x, w, b) d = {conv} (c, w, b, x)
            a = Attention(d, d, d) y = Gelu(a) }}""",
        w=normal(2, 2, 3, 3),
        b=normal(2),
    )
    program = compile(given, "portable", opset=18)
    assert not program.model.functions
    feeds = random_feeds(given)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    loaded = openvino.Core().read_model(program.to_bytes())
    got = openvino.Core().compile_model(loaded, "CPU", settings)(feeds)[0]
    np.testing.assert_allclose(got, run_ort(given, feeds)[0], atol=1e-4, rtol=1e-4)
