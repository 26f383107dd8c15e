"""Which module a node's time goes to, after ONNX Runtime has fused and renamed nodes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.runtime.profiling.nets import profile, save

normal = np.random.default_rng(7).standard_normal


def f32(*shape):
    return normal(shape).astype(np.float32)


BLOCK = """g (float[1,16,8,8] x) => (float[1,16] y) {
    a = Conv<pads=[1,1,1,1]>(x, w, b)
    r = Relu(a)
    c = Conv<pads=[1,1,1,1]>(r, w, b)
    s = Add(c, r)
    t = Relu(s)
    y = ReduceMean<keepdims=0>(t, axes)
}"""
BLOCK_MODULES = {
    "a": "net.first.conv, net.first.norm",
    "r": "net.first.activation",
    "c": "net.second.conv",
    "s": "net.second",
    "t": "net.second.activation",
    "y": "net.pool",
}


def weights():
    return {"w": f32(16, 16, 3, 3), "b": f32(16), "axes": np.array([2, 3])}


def test_a_fused_node_is_of_the_module_of_its_costly_part(tmp_path):
    path = save(tmp_path / "net.onnx", BLOCK, BLOCK_MODULES, **weights())
    found = profile(path, f32(1, 16, 8, 8))
    convolutions = [node for node in found.nodes if node.operator.endswith("Conv")]
    assert {node.module: set(node.replaced) for node in convolutions} == {
        "net.first.conv": {"node_a", "node_r"},
        "net.second.conv": {"node_c", "node_s", "node_t"},
    }
    (last,) = (n for n in convolutions if n.module == "net.second.conv")
    assert set(last.sources) == {"net.second.conv", "net.second", "net.second.activation"}
    assert last.sources[0] == "net.second.conv"


def test_a_change_of_layout_is_of_the_module_that_it_serves(tmp_path):
    path = save(tmp_path / "net.onnx", BLOCK, BLOCK_MODULES, **weights())
    found = profile(path, f32(1, 16, 8, 8))
    modules = {node.operator.rpartition(".")[2]: node.module for node in found.nodes}
    assert modules["ReorderInput"] == "net.first.conv"
    assert modules["ReduceMean"] == "net.pool"
    assert all(node.module for node in found.nodes)
    assert {node.kind for node in found.nodes if "Reorder" in node.operator} == {"layout"}


def test_a_product_that_takes_in_a_transpose_is_traced_back(tmp_path):
    text = """g (float[2,7,5] x, float[2,7,11] z) => (float[2,5,11] y) {
        t = Transpose<perm=[0,2,1]>(x) p = MatMul(t, z) y = Relu(p) }"""
    modules = {"t": "net.turn", "p": "net.product", "y": "net.relu"}
    path = save(tmp_path / "net.onnx", text, modules)
    fused, relu = profile(path, f32(2, 7, 5), f32(2, 7, 11)).nodes
    assert (fused.operator, fused.module) == ("com.microsoft.FusedMatMul", "net.product")
    assert set(fused.replaced) == {"node_t", "node_p"}
    assert (relu.operator, relu.module) == ("Relu", "net.relu")


def test_a_node_that_keeps_its_name_is_itself_where_values_change_places(tmp_path):
    """The transposes cancel, and the activation then computes the value of the last one."""
    text = """g (float[3,5,7] x) => (float[3,5,7] y) {
        t = Transpose<perm=[2,0,1]>(x) r = Relu(t) y = Transpose<perm=[1,2,0]>(r) }"""
    modules = {"t": "net.first", "r": "net.relu", "y": "net.last"}
    (only,) = profile(save(tmp_path / "net.onnx", text, modules), f32(3, 5, 7)).nodes
    assert (only.operator, only.module) == ("Relu", "net.relu")


def test_a_subgraph_that_becomes_one_operator_is_traced_back(tmp_path):
    text = """g (float[2,5,16] x) => (float[2,5,16] y) {
        a = Add(x, b) d = Div(a, two) e = Erf(d) f = Add(e, one) m = Mul(a, f) y = Mul(m, half) }"""
    modules = {"a": "net.dense"} | dict.fromkeys(("d", "e", "f", "m", "y"), "net.gelu")
    scalars = {"two": np.sqrt(2), "one": 1.0, "half": 0.5}
    constants = {name: np.array(value, np.float32) for name, value in scalars.items()}
    path = save(tmp_path / "net.onnx", text, modules, b=f32(16), **constants)
    (only,) = profile(path, f32(2, 5, 16)).nodes
    assert only.operator == "com.microsoft.BiasGelu"
    assert set(only.sources) == {"net.dense", "net.gelu"}
    assert set(only.replaced) == {f"node_{name}" for name in "adefmy"}


def test_nodes_of_a_function_that_is_inlined_are_of_the_node_that_calls_it(tmp_path):
    text = "g (float[2,5] x) => (float[2,5] y) { s = HardSwish(x) y = Sin(s) }"
    path = save(tmp_path / "net.onnx", text, {"s": "net.activation", "y": "net.last"})
    found = profile(path, f32(2, 5))
    assert len(found.nodes) > 2
    assert {n.module for n in found.nodes if n.operator != "Sin"} == {"net.activation"}


def test_nodes_without_a_name_are_found_by_their_place(tmp_path):
    import onnx

    path = save(
        tmp_path / "net.onnx",
        "g (float[2,5] x) => (float[2,5] y) { s = Sin(x) y = Sin(s) }",
        {"s": "net.a", "y": "net.b"},
    )
    model = onnx.load(path)
    for node in model.graph.node:
        node.name = ""
    onnx.save(model, path)
    assert [node.module for node in profile(path, f32(2, 5)).nodes] == ["net.a", "net.b"]


def test_a_body_is_of_its_own_module_and_the_loop_of_the_loops(tmp_path):
    import onnx

    text = """g (float[4] x, int64 n, bool t) => (float[4] y) {
        y = Loop(n, t, x) <body = b (int64 i, bool c, float[4] s) => (bool d, float[4] r)
            { d = Identity(c) r = Sin(s) }> }"""
    path = save(tmp_path / "net.onnx", text, {"y": "net.loop"})
    model = onnx.load(path)
    (loop,) = model.graph.node
    for node in loop.attribute[0].g.node:
        node.name = f"inner_{node.output[0]}"
        node.metadata_props.add(key="sardonyx.source", value="net.loop.step")
    onnx.save(model, path)
    found = profile(path, f32(4), np.array(3), np.array(True))
    modules = {node.operator: node.module for node in found.nodes}
    assert modules["Loop"] == "net.loop"
    assert modules["Sin"] == "net.loop.step"


@pytest.mark.parametrize("level", ["off", "basic", "extended", "all"])
def test_every_node_is_attributed_at_every_level(tmp_path, level):
    path = save(tmp_path / "net.onnx", BLOCK, BLOCK_MODULES, **weights())
    found = profile(path, f32(1, 16, 8, 8), graph_optimization=level)
    assert found.is_attributed
    assert found.has_modules
    assert all(node.module.startswith("net.") for node in found.nodes)
    replaced = [name for node in found.nodes for name in node.replaced]
    assert {f"node_{name}" for name in "arcsty"} == set(replaced)
