"""Profiles of sessions: that figures add up, what is refused, and what is left behind."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, replace

import numpy as np
import pytest

from sardonyx import runtime
from sardonyx.runtime import LoadError
from sardonyx.runtime.profiling import Profile
from sardonyx.runtime.profiling.events import runs_of
from sardonyx.runtime.profiling.graph import Graph
from sardonyx.runtime.profiling.measure import node_times
from sardonyx.runtime.profiling.trace import with_modules
from tests.runtime.profiling.nets import made_of, node, profile, ran, run, save

normal = np.random.default_rng(7).standard_normal

NET = """g (float[b,8] x) => (float[b,4] y, int64[1] k) {
    h = MatMul(x, up)
    a = Add(h, shift)
    r = Relu(a)
    z = MatMul(r, down)
    s = Shape(z)
    t = Gather(s, zero)
    k = Mul(t, t)
    e = Expand(z, s)
    y = Softmax(e)
}"""
MODULES = {
    "h": "net.up.linear",
    "a": "net.up",
    "r": "net.up.activation",
    "z": "net.down",
    "e": "net",
    "y": "net.head",
}


@pytest.fixture
def net(tmp_path):
    weights = {"up": (8, 16), "shift": (16,), "down": (16, 4)}
    made = {name: normal(shape).astype(np.float32) for name, shape in weights.items()}
    return save(tmp_path / "net.onnx", NET, MODULES, zero=np.array([0]), **made)


def x(rows=3):
    return normal((rows, 8)).astype(np.float32)


def test_nodes_and_the_time_between_them_make_the_whole(net):
    found = profile(net, x())
    assert (found.runs, found.ms > 0) == (3, True)  # one more warmed up
    assert all(node.ms >= 0 for node in found.nodes)
    assert found.framework_ms > 0
    assert sum(n.ms for n in found.nodes) + found.framework_ms == pytest.approx(found.ms, abs=1e-9)
    shares = sum(total.share for total in found.by_operator().values())
    assert shares + found.framework_ms / found.ms == pytest.approx(1)


def test_a_module_is_the_sum_of_what_is_below_it(net):
    found = profile(net, x())
    for module in found.tree().walk():
        parts = [found.total(child.items).ms for child in module.children]
        own = sum(node.ms for node in module.own)
        assert found.total(module.items).ms == pytest.approx(sum(parts) + own)
    modules = found.by_module()
    assert modules[""].ms == pytest.approx(sum(node.ms for node in found.nodes))
    assert {"net", "net.up", "net.down", "net.head"} <= set(modules)
    assert modules["net"].nodes == len([n for n in found.nodes if n.module.startswith("net")])


@pytest.mark.parametrize("by", ["module", "operator", "node"])
def test_rows_add_up_to_the_whole(net, by):
    found = profile(net, x())
    rows = found.rows(by, most=2)
    assert rows[-1][by] == "(between nodes)"
    top = [row for row in rows if not row[by].startswith(" ")]
    assert sum(row["ms"] for row in top) == pytest.approx(found.ms, abs=0.001 * len(rows))


def test_every_way_of_cutting_it_holds_all_nodes(net):
    found = profile(net, x())
    for cut in (found.by_operator(), found.by_kind(), found.by_provider()):
        assert sum(total.nodes for total in cut.values()) == len(found.nodes)
    assert list(found.by_provider()) == ["cpu"]


def test_shape_operators_are_told_from_computing(net):
    kinds = {node.operator: node.kind for node in profile(net, x()).nodes}
    assert (kinds["Shape"], kinds["Expand"], kinds["MatMul"]) == ("shape", "data", "compute")
    assert (kinds["Gather"], kinds["Mul"]) == ("shape", "shape")  # whole numbers of a shape


def test_memory_is_that_of_the_shapes(net):
    found = {node.replaced[-1]: node for node in profile(net, x(5)).nodes if node.replaced}
    product = found["node_z"]
    assert product.shapes == ((5, 4),)
    assert (product.output_bytes, product.input_bytes) == (5 * 4 * 4, 5 * 16 * 4)
    assert product.weight_bytes == 16 * 4 * 4


def test_a_planted_node_that_does_most_is_found(tmp_path):
    """By the operations it does: time is for people to look at."""
    text = """g (float[64,64] x) => (float[64] y) {
        a = MatMul(x, w) b = Tanh(a) c = MatMul(b, wide) d = Tanh(c)
        y = ReduceMax<keepdims=0>(d, axes) }"""
    modules = {"a": "m.in", "c": "m.planted.product", "d": "m.planted", "y": "m.out"}
    weights = {"w": normal((64, 64)), "wide": normal((64, 4096))}
    given = {name: array.astype(np.float32) for name, array in weights.items()}
    path = save(tmp_path / "net.onnx", text, modules, axes=np.array([1]), **given)
    found = profile(path, normal((64, 64)).astype(np.float32))
    flops = {path: total.flops for path, total in found.by_module().items()}
    assert flops["m.planted"] == 2 * 64 * 64 * 4096 + 64 * 4096
    assert max(found.nodes, key=lambda node: node.flops).module == "m.planted.product"


def test_the_longest_come_first():
    found = made_of(
        node("a", 1, path=("m", "a"), operator="Add"),
        node("slow", 7, path=("m", "b"), operator="Slow"),
        node("c", 2, path=("m", "a"), operator="Add"),
        framework_ms=1,
    )
    assert [row["operator"] for row in found.rows("operator")][:2] == ["Slow", "Add"]
    assert [row["node"] for row in found.rows("node")][:3] == ["slow", "c", "a"]
    assert found.rows("node", most=1)[1]["node"] == "(2 others)"
    assert "provider" not in found.rows("node")[0]


def test_where_several_providers_run_nodes_each_node_says_which():
    found = made_of(node("a", 2, provider="cuda"), node("b", 1))
    assert [row.get("provider") for row in found.rows("node")] == ["cuda", "cpu", None]


def test_the_text_says_where_the_time_goes():
    found = made_of(
        node("a", 6, path=("net", "0", "up"), flops=12_000_000, output_bytes=2_000_000),
        node("b", 1, path=("net", "1", "up"), kind="layout", operator="Transpose"),
        node("c", 2, path=("net",), kind="copy", operator="MemcpyToHost", provider="cuda"),
        framework_ms=1,
    )
    assert str(found) == (
        "net.onnx  x: float32[1, 3]\n"
        "10 ms a run (5 ms without the profiler), middle half within 1 %, 4 runs; 2 threads, cpu, "
        "onnxruntime 1.0\n"
        "computing 60.0 %, copies between devices 20.0 %, layout changes 10.0 %, "
        "between nodes 10.0 %; at most 1.5 MB allocated\n"
        "cpu: 2 nodes, 70.0 %, cuda: 1 nodes, 20.0 %\n"
        "\n"
        "module           nodes  ms   %  GFLOP/s  out MB  weights MB\n"
        "net                  3   9  90        2       2           0\n"
        "  0-1.up  x2         2   7  70        2       2           0\n"
        "  (itself)           1   2  20                0           0\n"
        "(between nodes)          1  10"
    )


def test_two_profiles_stand_side_by_side_by_module():
    before = made_of(
        node("x", 4, path=("net", "a")), node("y", 4, path=("net", "b")), framework_ms=2
    )
    after = made_of(
        node("z", 1, path=("net", "a")), node("w", 3, path=("net", "c")), framework_ms=1
    )
    both = before.compare(after)
    assert both.by_module() == {
        "": (8, 4),
        "net": (8, 4),
        "net.a": (4, 1),
        "net.b": (4, 0),
        "net.c": (0, 3),
    }
    assert both.by_operator() == {"MatMul": (8, 4)}
    assert both.speedup == 2
    assert replace(before, plain_ms=9).compare(replace(after, plain_ms=3)).speedup == 3
    assert both.rows("module") == [
        {"module": name, "before ms": a, "after ms": b, "saved ms": a - b, "times": times}
        for name, a, b, times in [
            ("net", 8, 4, 2),
            ("  a", 4, 1, 4),
            ("  b", 4, 0, ""),
            ("  c", 0, 3, ""),
            ("(between nodes)", 2, 1, 2),
        ]
    ]
    assert "2 times as fast without the profiler" in str(both)
    with pytest.raises(ValueError, match="'node'; expected 'module' or 'operator'"):
        both.rows("node")


def test_plain_data_keeps_its_form(net):
    found = profile(net, x())
    data = json.loads(json.dumps(found.to_dict()))
    assert list(data) == [
        "model", "inputs", "ms", "plain_ms", "framework_ms", "spread", "runs", "threads",
        "providers", "peak_bytes", "has_modules", "is_attributed", "onnxruntime", "kinds",
        "by_provider", "operators", "modules", "nodes",
    ]  # fmt: skip
    total = {"nodes", "ms", "share", "flops", "gflops_per_second", "output_bytes", "weight_bytes"}
    assert set(data["modules"]["net.up"]) == set(data["operators"]["MatMul"]) == total
    assert set(data["nodes"][0]) == {
        "name", "operator", "path", "module", "sources", "replaced", "provider", "kind", "ms",
        "calls", "flops", "shapes", "output_bytes", "input_bytes", "weight_bytes",
    }  # fmt: skip
    assert data["inputs"] == {"x": "float32[3, 8]"}


def test_the_trace_names_modules(net, tmp_path):
    found = profile(net, x())
    found.save_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    products = [e for e in events if e["name"] == "MatMul" and e["cat"] == "net.down"]
    assert len(products) == 4
    assert products[0]["args"]["module"] == "net.down"
    assert products[0]["args"]["flops"] == 2 * 3 * 4 * 16
    spans = [event for event in events if event.get("tid") == -1 and event["ph"] == "X"]
    assert {"net", "net.up", "net.down"} <= {span["args"]["module"] for span in spans}
    inner = [e for e in events if e.get("cat") == "net.down" and e.get("tid") != -1]
    outer = [span for span in spans if span["cat"] == "net.down"]
    for event in inner:
        assert any(
            span["ts"] <= event["ts"] and event["ts"] + event["dur"] <= span["ts"] + span["dur"]
            for span in outer
        )


def test_modules_go_on_while_their_nodes_follow_one_another():
    nodes = [
        node("a", 1, path=("net", "up")),
        node("b", 1, path=("net", "up")),
        node("c", 1, path=("net", "down")),
        node("d", 1, path=("net", "up")),
    ]
    events = [ran(name, start, 8) for name, start in zip("abcd", (10, 20, 30, 40), strict=True)]
    named = [replace(one, operator=one.name) for one in nodes]
    spans = [event for event in with_modules(events, named) if event.get("tid") == -1]
    assert sorted((s["cat"], s["ts"], s["ts"] + s["dur"]) for s in spans if s["ph"] == "X") == [
        ("net", 10, 48),
        ("net.down", 30, 38),
        ("net.up", 10, 28),
        ("net.up", 40, 48),
    ]


def test_a_node_that_runs_in_some_runs_counts_for_a_part():
    runs = runs_of([ran("a", 110, 30), run(100, 50), run(200, 50), run(300, 50)])
    ((only,), _) = node_times(runs, Graph(), None)
    assert (only.ms, only.calls) == (pytest.approx(0.01), pytest.approx(1 / 3))


def test_nothing_is_left_behind(net, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.chdir(folder)
    profile(net, x())
    assert list(folder.iterdir()) == []


def test_settings_are_those_of_the_session(net):
    session = runtime.load(net, threads=1, graph_optimization="off")
    found = session.profile(x(), runs=2, warm_up=0)
    assert (found.runs, found.threads, found.providers) == (2, 1, ("cpu",))
    operators = sorted(node.operator for node in found.nodes)
    unfused = "Add Expand Gather MatMul MatMul Mul Relu Shape Softmax"
    assert operators == unfused.split()
    assert session(x())[0].shape == (3, 4)


def test_without_room_for_its_graph_fused_nodes_have_no_module(net, monkeypatch):
    monkeypatch.setattr("sardonyx.runtime.profiling.measure.ROOM", 10**15)
    found = profile(net, x())
    assert not found.is_attributed
    assert "ONNX Runtime's own graph is not at hand" in str(found)
    modules = {node.operator.rpartition(".")[2]: node.module for node in found.nodes}
    assert modules["Softmax"] == "net.head"


def test_a_model_without_module_paths_says_so(tmp_path):
    path = save(tmp_path / "net.onnx", "g (float[2] x) => (float[2] y) { a = Sin(x) y = Cos(a) }")
    found = profile(path, np.ones(2, np.float32))
    assert not found.has_modules
    assert "does not say which modules" in str(found)
    assert str(found).count("Sin") == 1


def test_a_program_is_profiled_while_it_is_at_hand(net):
    class Program:
        def to_bytes(self) -> bytes:
            return net.read_bytes()

    program = Program()
    session = runtime.load(program)
    assert len(session.profile(x(), runs=1).nodes) > 3
    del program
    with pytest.raises(LoadError) as caught:
        session.profile(x(), runs=1)
    assert str(caught.value) == (
        "the model of this session is not at hand any more\n"
        "  where: Program\n"
        "  found: it was loaded from bytes, or from a program that is gone\n"
        "  try: load it from a file, or keep the program"
    )


def test_bytes_and_files_that_are_gone_are_refused(net):
    with pytest.raises(LoadError, match="not at hand"):
        runtime.load(net.read_bytes()).profile(x(), runs=1)
    session = runtime.load(net)
    net.unlink()
    with pytest.raises(LoadError, match="does not exist"):
        session.profile(x(), runs=1)


@pytest.mark.parametrize("options", [{"runs": 0}, {"warm_up": -1}])
def test_runs_that_make_no_sense_are_refused(net, options):
    with pytest.raises(ValueError, match="expected at least"):
        runtime.load(net).profile(x(), **options)


def test_what_does_not_fit_is_refused_before_anything_runs(net):
    with pytest.raises(runtime.InputError):
        runtime.load(net).profile(x().astype(np.float64))


def test_totals_are_plain_values():
    assert isinstance(made_of(node("a", 1)), Profile)
    assert asdict(made_of(node("a", 1)).total([]))["gflops_per_second"] is None
