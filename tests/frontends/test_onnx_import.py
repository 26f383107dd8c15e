"""ONNX models come in whole, from every kind of source."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from sardonyx.frontends import from_onnx
from tests.compiler.opset.oracle import assert_same, checked, random_inputs, run
from tests.frontends.onnx_models import BRANCHES, CALLS, MLP, parse, plain


def sources(proto, folder):
    path = folder / "net.onnx"
    onnx.save(proto, path)
    content = path.read_bytes()
    return {
        "path": path,
        "string": str(path),
        "bytes": content,
        "bytearray": bytearray(content),
        "memoryview": memoryview(content),
        "proto": proto,
        "ir": ir.from_proto(proto),
    }


@pytest.mark.parametrize(
    "kind", ["path", "string", "bytes", "bytearray", "memoryview", "proto", "ir"]
)
def test_every_source_gives_the_same_model(kind, tmp_path):
    proto = parse(MLP)
    model = from_onnx(sources(proto, tmp_path)[kind])
    assert model.opset_imports[""] == 23
    assert model.metadata_props["sardonyx.stage"] == "source"
    feeds = random_inputs(proto)
    assert_same(run(checked(model), feeds), run(proto, feeds), rtol=1e-6, atol=1e-6)


def test_given_objects_are_not_changed():
    proto = parse(CALLS)
    before = proto.SerializeToString(deterministic=True)
    from_onnx(proto)
    assert proto.SerializeToString(deterministic=True) == before
    model = ir.from_proto(proto)
    from_onnx(model)
    assert ir.to_proto(model).SerializeToString(deterministic=True) == ir.to_proto(
        ir.from_proto(proto)
    ).SerializeToString(deterministic=True)


def test_importing_the_result_again_changes_nothing():
    once = from_onnx(parse(BRANCHES))
    assert ir.to_proto(from_onnx(once)) == ir.to_proto(once)
    assert ir.to_proto(from_onnx(ir.to_proto(once))) == ir.to_proto(once)


def test_unsorted_nodes_are_sorted_also_in_subgraphs():
    proto = parse(BRANCHES)
    reverse(proto.graph)
    then = proto.graph.node[0].attribute[0].g
    then.node.insert(0, helper.make_node("Identity", ["u0"], ["u"]))
    then.node[1].output[0] = "u0"
    model = from_onnx(proto)
    assert [node.op_type for node in model.graph] == ["Neg", "If"]
    feeds = {"c": np.array(True), "x": random_inputs(proto)["x"]}
    assert_same(run(checked(model), feeds), [np.maximum(-feeds["x"], 0)], rtol=0, atol=0)


def reverse(graph):
    nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in reversed(graph.node)]
    del graph.node[:]
    graph.node.extend(nodes)


def test_functions_are_inlined_with_the_path_of_calls_as_their_source():
    proto = parse(CALLS)
    proto.graph.node[1].name = "head"
    model = from_onnx(proto)
    assert not model.functions
    x = random_inputs(proto)["x"]
    assert_same(run(checked(model), {"x": x}), [x * 12], rtol=1e-6, atol=1e-6)
    sources = [node.metadata_props["sardonyx.source"] for node in model.graph]
    assert len([s for s in sources if s.startswith("head/")]) == 3
    assert all("import" not in key for node in model.graph for key in node.metadata_props)


def test_functions_stay_when_asked():
    proto = parse(CALLS)
    model = from_onnx(proto, inline_functions=False)
    assert {name for _, name, _ in model.functions} == {"twice", "scaled"}
    assert {f.opset_imports[""] for f in model.functions.values()} == {23}
    x = random_inputs(proto)["x"]
    assert_same(run(checked(model), {"x": x}), [x * 12], rtol=1e-6, atol=1e-6)


def test_functions_of_an_older_opset_are_raised_before_they_are_mixed_in():
    text = """<ir_version: 8, opset_import: ["": 18, "own": 1]>
    main (float[2,3,4] x) => (float[2,3,4] y) { y = own.rows <axis = 1> (x) }
    <domain: "own", opset_import: ["": 11]>
    rows <axis> (a) => (b) { s = Softmax <axis: int = @axis> (a)  b = Identity(s) }
    """
    proto = parse(text)
    x = random_inputs(proto)["x"]
    e = np.exp(x - x.max((1, 2), keepdims=True))
    expected = e / e.sum((1, 2), keepdims=True)
    assert_same(run(checked(from_onnx(proto)), {"x": x}), [expected], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("body", ["{ }", "{ z = Neg(a) }"])
def test_a_function_may_return_its_input(body):
    outputs = "(a)" if "z" not in body else "(a, z)"
    call = "y = own.same(x)" if "z" not in body else "y, q = own.same(x)"
    text = f"""<ir_version: 8, opset_import: ["": 17, "own": 1]>
    main (float[2,3] x) => (float[2,3] y) {{ {call} }}
    <domain: "own", opset_import: ["": 17]> same (a) => {outputs} {body}
    """
    proto = parse(text)
    model = from_onnx(proto)
    assert [v.name for v in model.graph.inputs] == ["x"]
    assert [v.name for v in model.graph.outputs] == ["y"]
    x = random_inputs(proto)["x"]
    assert_same(run(checked(model), {"x": x}), [x], rtol=0, atol=0)


def test_names_that_subgraphs_reuse_become_unique():
    text = """<ir_version: 8, opset_import: ["": 17]>
    main (bool c, float[2,3] x) => (float[2,3] y)
    { y = If (c) <then_branch = yes () => (float[2,3] r) { h = Relu(x)  r = Neg(h) },
                  else_branch = no () => (float[2,3] r) { h = Abs(x)  r = Exp(h) }>
      h = Neg(y) }
    """
    model = from_onnx(parse(text))
    names = [v.name for node in model.graph.all_nodes() for v in node.outputs]
    assert len(set(names)) == len(names)
    assert [v.name for v in model.graph.outputs] == ["y"]
    feeds = {"c": np.array(False), "x": random_inputs(parse(text))["x"]}
    assert_same(run(checked(model), feeds), [np.exp(np.abs(feeds["x"]))], rtol=1e-6, atol=0)


def test_loops_and_scans_survive():
    text = """<ir_version: 8, opset_import: ["": 13]>
    main (int64 n, float[2] x) => (float[2] last, float[n,1] all)
    { t = Constant<value=bool{1}>()
      last, all = Loop (n, t, x) <body = step (int64 i, bool go, float[2] a)
        => (bool more, float[2] b, float[1] s)
        { more = Identity(go)  b = Add(a, x)  s = ReduceSum<keepdims=0>(b, axis)
          axis = Constant<value=int64[1]{0}>() }> }
    """
    proto = parse(text.replace("float[1] s", "float s").replace("float[n,1] all", "float[k] all"))
    model = from_onnx(proto)
    x = np.array([0.5, 1.25], np.float32)
    found = run(checked(model), {"n": np.array(3), "x": x})
    sums = np.array([x.sum() * k for k in (2, 3, 4)], np.float32)
    assert_same(found, [x * 4, sums], rtol=1e-6, atol=0)


def test_strings_sequences_and_optionals_survive():
    text = """<ir_version: 8, opset_import: ["": 18]>
    main (string[2] s, float[2] x) => (bool[2] same, float[2] back, bool has)
    { w = Constant<value_strings=["a", "b"]>()  same = Equal(s, w)
      q = SequenceConstruct(x, x)  i = Constant<value=int64{1}>()  back = SequenceAt(q, i)
      o = Optional(x)  has = OptionalHasElement(o) }
    """
    proto = parse(text)
    proto.opset_import[0].version = 19
    model = from_onnx(proto)
    feeds = {"s": np.array(["a", "c"], object), "x": np.array([1.5, 2.5], np.float32)}
    same, back, has = run(ir.to_proto(model), feeds)
    assert same.tolist() == [True, False]
    assert back.tolist() == [1.5, 2.5]
    assert bool(has) is True


def test_weights_of_old_models_are_no_inputs():
    proto = parse(MLP)
    proto.ir_version = 3
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 2]))
    assert [v.name for v in from_onnx(proto).graph.inputs] == ["x"]
    proto.ir_version = 8
    assert [v.name for v in from_onnx(proto).graph.inputs] == ["x", "w"]


@pytest.mark.parametrize("indices", [[2, 3], [[0, 2], [1, 0]]], ids=["linear", "pairs"])
def test_sparse_weights_become_dense(indices):
    values = numpy_helper.from_array(np.array([2.5, -1.0], np.float32), "w")
    places = numpy_helper.from_array(np.array(indices, np.int64), "w_indices")
    sparse = helper.make_sparse_tensor(values, places, [2, 3])
    proto = plain([("Add", ["x", "w"], ["y"])])
    proto.graph.sparse_initializer.append(sparse)
    constant = plain([("Constant", [], ["w"]), ("Add", ["x", "w"], ["y"])])
    constant.graph.node[0].attribute.append(helper.make_attribute("sparse_value", sparse))
    dense = np.array([[0, 0, 2.5], [-1, 0, 0]], np.float32)
    x = random_inputs(proto)["x"]
    for model in (proto, constant):
        before = model.SerializeToString()
        assert_same(run(checked(from_onnx(model)), {"x": x}), [x + dense], rtol=0, atol=0)
        assert model.SerializeToString() == before


def test_foreign_operators_are_kept():
    proto = parse(
        '<ir_version: 8, opset_import: ["": 17, "com.acme": 3]> main (float[2] x) => (float[2] y)'
        ' { h = com.acme.Magic<level=4, how="well">(x) y = Relu(h) }'
    )
    model = from_onnx(proto)
    node = model.graph.node(0)
    assert (node.domain, node.op_type) == ("com.acme", "Magic")
    assert node.attributes["level"].as_int() == 4
    assert model.opset_imports["com.acme"] == 3


def test_the_long_name_of_the_standard_domain_is_understood():
    proto = parse(MLP)
    proto.opset_import[0].domain = "ai.onnx"
    proto.graph.node[0].domain = "ai.onnx"
    assert dict(from_onnx(proto).opset_imports) == {"": 23}


def test_each_node_says_where_it_is_from():
    proto = plain([("Relu", ["x"], ["a"]), ("Neg", ["a"], ["b"]), ("Exp", ["b"], ["c"]),
                   ("Abs", ["c"], ["y"])])  # fmt: skip
    relu, _, exp, absolute = proto.graph.node
    relu.name = "stem/act"
    exp.metadata_props.add(key="sardonyx.source", value="net.py:12")
    scopes = "['', 'encoder', 'encoder.layer.3', 'abs_1']"
    absolute.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=scopes)
    sources = [n.metadata_props["sardonyx.source"] for n in from_onnx(proto).graph]
    assert sources == ["stem/act", "Neg_1", "net.py:12", "encoder.layer.3"]


@pytest.mark.parametrize("text", ["[", "not a list", "7", "['', '']", "[" * 3000])
def test_odd_torch_metadata_is_passed_over(text):
    proto = plain([("Relu", ["x"], ["y"])])
    proto.graph.node[0].metadata_props.add(key="pkg.torch.onnx.name_scopes", value=text)
    assert from_onnx(proto).graph.node(0).metadata_props["sardonyx.source"] == "Relu_0"


def input_shape(dim):
    proto = parse(MLP)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = dim
    return from_onnx(proto).graph.inputs[0].shape


@pytest.mark.parametrize("dim", ["batch", "4*batch + 1", "floor(n/2)", "a.b", "s77 // 2"])
def test_names_and_arithmetic_of_dims_are_kept(dim):
    assert str(input_shape(dim)[0]) == dim


@pytest.mark.parametrize("dim", ["9**9**9**9", "a/0", "a % 0", "x" * 1000, "a;b", "12", "12!"])
def test_other_dims_become_plain_names(dim):
    assert str(input_shape(dim)[0]).isidentifier() or dim == "12"
    assert str(input_shape(dim)) == str(input_shape(dim))


def test_dims_that_say_nothing_are_unknown_and_different_ones_stay_different():
    assert input_shape("")[0].value is None
    assert input_shape("?!")[0].value is None
    assert str(input_shape("a;b")) != str(input_shape("a:b"))


def test_external_data_stays_in_its_file(tmp_path):
    weights = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    proto = plain([("MatMul", ["x", "w"], ["y"])])
    proto.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    onnx.save(proto, tmp_path / "net.onnx", save_as_external_data=True, location="sub.bin",
              size_threshold=0)  # fmt: skip
    tensor = from_onnx(tmp_path / "net.onnx").graph.initializers["w"].const_value
    assert isinstance(tensor, ir.ExternalTensor)
    assert tensor.raw is None, "the file was opened already"
    np.testing.assert_array_equal(tensor.numpy(), weights)


def test_external_data_in_constants_and_functions_is_found(tmp_path):
    np.arange(6, dtype=np.float32).tofile(tmp_path / "w.bin")
    proto = parse("""<ir_version: 10, opset_import: ["": 17, "own": 1]>
    main (float[2,3] x) => (float[2,3] y) { y = own.shift(x) }
    <domain: "own", opset_import: ["": 17]>
    shift (a) => (b) { w = Constant<value = float[2,3] {0,0,0,0,0,0}>()  b = Add(a, w) }""")
    tensor = proto.functions[0].node[0].attribute[0].t
    tensor.Clear()
    tensor.data_type, tensor.data_location = TensorProto.FLOAT, TensorProto.EXTERNAL
    tensor.dims.extend([2, 3])
    tensor.external_data.add(key="location", value="w.bin")
    onnx.save(proto, tmp_path / "net.onnx")
    for inline in (True, False):
        model = from_onnx(tmp_path / "net.onnx", inline_functions=inline)
        graphs = [model.graph, *(f.graph for f in model.functions.values())]
        constant = next(n for g in graphs for n in g if n.op_type == "Constant")
        found = constant.attributes["value"].as_tensor()
        np.testing.assert_array_equal(found.numpy(), np.arange(6.0).reshape(2, 3))


def test_external_data_behind_links_into_one_store_is_found(tmp_path):
    """The cache of Hugging Face: model and data are links to blobs in another folder."""
    store, folder = tmp_path / "blobs", tmp_path / "snapshot"
    store.mkdir()
    folder.mkdir()
    proto = plain([("Add", ["x", "w"], ["y"])])
    proto.graph.initializer.append(numpy_helper.from_array(np.eye(2, 3, dtype=np.float32), "w"))
    onnx.save(proto, folder / "net.onnx", save_as_external_data=True, location="net.data",
              size_threshold=0)  # fmt: skip
    for name, blob in (("net.onnx", "a1"), ("net.data", "b2")):
        (folder / name).rename(store / blob)
        (folder / name).symlink_to(f"../blobs/{blob}")
    tensor = from_onnx(folder / "net.onnx").graph.initializers["w"].const_value
    np.testing.assert_array_equal(tensor.numpy(), np.eye(2, 3))


def test_a_model_of_three_gigabytes_is_not_read(tmp_path):
    """The data file is a hole of 3 GB; the process may have 1 GB more than it starts with."""
    size = 3 << 30
    with open(tmp_path / "w.bin", "wb") as file:
        file.truncate(size)
    proto = plain([("MatMul", ["x", "w"], ["y"])])
    tensor = proto.graph.initializer.add(name="w", data_type=TensorProto.FLOAT)
    tensor.dims.extend([3, size // 12])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "w.bin", "offset": 0, "length": size}.items():
        tensor.external_data.add(key=key, value=str(value))
    onnx.save(proto, tmp_path / "net.onnx")
    script = (
        "import resource, sys; from sardonyx.frontends import from_onnx\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "model = from_onnx(sys.argv[1])\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(model.graph.initializers['w'].const_value.nbytes, (after - before) >> 10)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "net.onnx")],
                          capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    assert done.returncode == 0, done.stderr
    nbytes, grown = map(int, done.stdout.split())
    assert nbytes == size
    assert grown < 200


def test_deep_chains_do_not_overflow():
    count = 3000
    nodes = [("Relu", [f"v{i}"], [f"v{i + 1}"]) for i in range(count)]
    model = from_onnx(plain(nodes, inputs=("v0",), outputs=(f"v{count}",)))
    assert len(model.graph) == count
    assert len(from_onnx(plain(nodes[::-1], ("v0",), (f"v{count}",))).graph) == count


def test_other_objects_are_refused():
    from sardonyx.compiler.errors import InvalidModelError

    for source in (None, 7, io.BytesIO(b""), object()):
        with pytest.raises(InvalidModelError, match=r"(?s)nothing that holds.*a path, bytes"):
            from_onnx(source)
