"""Types of If, Loop and Scan hold for every branch and every pass."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.ir.types import Types, all_values
from tests.support.models import model
from tests.support.run import run_ort


def shapes(given: ir.Model) -> dict[str, str | None]:
    Types.inferred(given)
    return {v.name: None if v.shape is None else str(v.shape) for v in all_values(given)}


def branches(first: str, second: str) -> ir.Model:
    return model(
        f"""g (bool p, float[n,3] x, float[m,3] z) => (float[k,3] y) {{
            y = If(p) <
                then_branch = t () => (float[i,3] a) {{ {first} }},
                else_branch = e () => (float[j,3] b) {{ {second} }}
            >
            out = Neg(y)
        }}"""
    )


def test_an_if_has_the_dimensions_on_which_its_branches_agree():
    assert shapes(branches("a = Neg(x)", "b = Abs(x)"))["out"] == "[n,3]"


def test_an_if_with_branches_that_differ_has_a_dimension_of_its_own():
    found = shapes(branches("a = Neg(x)", "b = Abs(z)"))["out"]
    assert found not in {"[n,3]", "[m,3]", "[k,3]"}
    assert found.endswith(",3]")


def test_an_if_whose_branch_has_an_unknown_rank_has_too():
    found = shapes(branches("a = Neg(x)", "b = Squeeze(z)"))
    assert found["out"] is None


LOOP = """g (int64 m, float[n,3] x) => (float[k,3] y, float[t,k2,3] s) {{
    y, s = Loop(m, yes, x) <body = b (int64 i, bool c, {given} a)
            => (bool d, {given} r, {given} e) {{
        d = Identity(c) {body} e = Neg(a)
    }}>
    out = Neg(y) scan = Neg(s)
}}"""


def loop(body: str, given: str = "float[n,3]", **weights: np.ndarray) -> ir.Model:
    return model(LOOP.format(body=body, given=given), yes=np.array(True), **weights)


def growing_loop() -> ir.Model:
    return loop("r = Concat<axis = 0>(a, w)", w=np.ones((1, 3), np.float32))


def test_what_a_loop_leaves_alone_keeps_its_shape():
    found = shapes(loop("r = Abs(a)"))
    assert (found["a"], found["out"]) == ("[n,3]", "[n,3]")
    assert found["scan"].endswith(",n,3]")


def test_what_a_loop_lets_grow_has_a_length_that_is_not_known():
    given = growing_loop()
    found = shapes(given)
    assert found["a"] != "[n,3]"
    assert found["out"] not in {"[n,3]", found["a"], found["r"]}
    assert found["out"].endswith(",3]")


def test_what_a_body_declares_of_its_inputs_counts_for_nothing():
    found = shapes(loop("r = Abs(a)", given="float[7,k]"))
    assert (found["a"], found["out"]) == ("[n,3]", "[n,3]")


def test_carried_tensors_that_change_places():
    given = model(
        """g (int64 m, float[n] x, float[k] z) => (float[p] y, float[q] v) {
            y, v = Loop(m, yes, x, z) <body = b (int64 i, bool c, float[n] a, float[k] e)
                    => (bool d, float[k] r, float[n] s) {
                d = Identity(c) r = Neg(e) s = Neg(a)
            }>
            out = Neg(y)
        }""",
        yes=np.array(True),
    )
    found = shapes(given)
    assert len({found["a"], found["e"], "[n]", "[k]"}) == 4
    assert found["out"] not in {"[n]", "[k]", found["a"], found["e"]}


def test_a_loop_may_change_the_rank():
    found = shapes(loop("r = Unsqueeze(a, zero)", given="float", zero=np.array([0])))
    assert (found["a"], found["out"]) == (None, None)


def test_loops_in_loops():
    given = model(
        """g (int64 m, float[n] x, float[2] w) => (float[k] y) {
            y = Loop(m, yes, x) <body = b (int64 i, bool c, float[n] a) => (bool d, float[n] r) {
                d = Identity(c)
                r = Loop(m, yes, a) <body = h (int64 j, bool e, float[n] f)
                        => (bool g, float[n] o) {
                    g = Identity(e) o = Concat<axis = 0>(f, w)
                }>
            }>
            out = Neg(y)
        }""",
        yes=np.array(True),
    )
    found = shapes(given)
    names = [found[name] for name in ("x", "a", "f", "o", "r", "out")]
    assert found["a"] != "[n]"
    assert found["f"] not in {"[n]", found["a"]}
    assert len(set(names)) == len(names)


def test_symbols_of_one_run_are_not_those_of_another():
    given = growing_loop()
    first = shapes(given)
    extra = ir.node("NonZero", [given.graph.inputs[1]])
    extra.outputs[0].name = "nz"
    given.graph.insert_before(given.graph.node(0), extra)
    second = shapes(given)
    symbols = [second[name] for name in ("nz", "a", "out")]
    assert len({s.strip("[]").split(",")[0 if s.endswith("3]") else 1] for s in symbols}) == 3
    assert first["out"].endswith(",3]")


SCAN = """g (float[s,2] x, float[b,n,4] v) => (float[s2,2] y, float[n2,b2] z) {{
    y, z = Scan<num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [{axis}],
        body = b ({state} h, float[7,9] e) => ({state} r, float[k] o) {{
            {body} o = ReduceSum<keepdims = 0>(e, one)
        }}>(x, v)
    out = Neg(y) collected = Neg(z)
}}"""


@pytest.mark.parametrize(("axis", "wanted"), [(0, "[n,b]"), (1, "[b,n]"), (-1, "[b,n]")])
def test_a_scan_takes_an_axis_away_and_gives_one_back(axis, wanted):
    text = SCAN.format(axis=axis, body="r = Neg(h)", state="float[s,2]")
    found = shapes(model(text, one=np.array([1])))
    assert (found["e"], found["collected"], found["out"]) == ("[b,4]", wanted, "[s,2]")


def test_the_symbols_a_scan_declares_are_not_those_around_it():
    text = SCAN.format(axis=0, body="r = Neg(h)", state="float[n,2]")
    assert shapes(model(text, one=np.array([1])))["h"] == "[s,2]"


def test_inferred_shapes_hold_when_a_growing_loop_runs():
    given = model(
        """g (int64 m, float[n,3] x) => (int64[2] y) {
            r = Loop(m, yes, x) <body = b (int64 i, bool c, float[n,3] a)
                    => (bool d, float[n,3] e) {
                d = Identity(c) s = Shape(a) t = Concat<axis = 0>(a, w) e = Identity(t)
            }>
            s2 = Shape(r) y = Neg(s2)
        }""",
        yes=np.array(True),
        w=np.ones((1, 3), np.float32),
    )
    types = Types.inferred(given)
    shape = next(n for n in given.graph if n.op_type == "Shape").outputs[0]
    length, width = types.elements(shape)
    assert (str(length) != "n", width) == (True, 3)
    for passes in (0, 2):
        feeds = {"m": np.array(passes), "x": np.ones((2, 3), np.float32)}
        (got,) = run_ort(given, feeds)
        assert got.tolist() == [-2 - passes, -3]


def test_the_tensors_of_a_sequence_map_have_the_dtype_of_the_sequence():
    given = ir.from_onnx_text(
        """<ir_version: 10, opset_import: ["" : 23]>
        g (float[n,3] x) => (float[m] y) <int64[1] flat = {-1}, int64 first = {0}> {
            s = SequenceConstruct(x)
            f = SequenceMap(s) <body = b (a) => (e) { e = Reshape(a, flat) }>
            y = SequenceAt(f, first)
        }"""
    )
    Types.inferred(given)
    body = next(n for n in given.graph if n.op_type == "SequenceMap").attributes["body"].as_graph()
    assert [v.type for v in (*body.inputs, *body.outputs)] == [ir.TensorType(ir.DataType.FLOAT)] * 2
    # ONNX Runtime refuses such a body without types where it reads values from outside.
    x = np.ones((2, 3), np.float32)
    assert run_ort(given, {"x": x})[0].shape == (6,)
