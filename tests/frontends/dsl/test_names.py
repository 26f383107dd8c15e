"""Names of parameters and nodes, provenance, determinism, initialisers and loading."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch

from sardonyx.compiler.ir import provenance
from sardonyx.frontends import dsl


def block(x, width):
    with dsl.scope("attention"):
        q = dsl.linear(x, width, name="query")
        k = dsl.linear(x, width, name="key")
    return dsl.layer_norm(q + k)


@dsl.model(x=dsl.f32["n", 4])
def net(x):
    x = dsl.linear(x, 4)
    for i in range(2):
        with dsl.scope(f"encoder.layer_{i}"):
            x = block(x, 4)
    return {"logits": dsl.linear(x, 2), "hidden": x}


LAYERS = [
    "linear",
    "encoder.layer_0.attention.query",
    "encoder.layer_0.attention.key",
    "encoder.layer_0.layer_norm",
    "encoder.layer_1.attention.query",
    "encoder.layer_1.attention.key",
    "encoder.layer_1.layer_norm",
    "linear_1",
]
NAMES = [f"{layer}.{kind}" for layer in LAYERS for kind in ("weight", "bias")]


def test_parameters_are_named_by_scope_and_layer_in_order():
    assert list(net.parameters()) == NAMES
    assert list(net.to_ir().graph.initializers) == NAMES


def test_inputs_and_outputs_keep_their_names():
    graph = net.to_ir().graph
    assert [v.name for v in graph.inputs] == ["x"]
    assert [v.name for v in graph.outputs] == ["logits", "hidden"]
    pair = dsl.model(b=dsl.f32[2], a=dsl.f32[2])(lambda a, b: (a, a, b + 1)).to_ir().graph
    assert [v.name for v in pair.inputs] == ["a", "b"]
    assert [v.name for v in pair.outputs] == ["output_0", "output_1", "output_2"]


def test_a_parameter_gets_its_name_wherever_a_node_has_it():
    """Nodes and constants are named by chance; those of another branch too."""

    @dsl.function
    def twice(x):
        return dsl.relu(x) + x

    @dsl.model(x=dsl.f32[3])
    def net(x):
        y = twice(dsl.relu(x)) * 2
        y = dsl.cond(
            y.sum() > 0,
            lambda: y - 1,
            lambda: y + dsl.parameter("Sub", (3,)) + dsl.parameter("constant", (3,)),
        )
        return y * dsl.parameter("Relu", (3,)) + dsl.parameter("relu", (3,))

    assert list(net.parameters()) == ["Sub", "constant", "Relu", "relu"]
    made = [v for node in net.to_ir().graph.all_nodes() for v in node.outputs]
    named = [v.name for v in [*made, *net.to_ir().graph.initializers.values()]]
    assert len(set(named)) == len(named)
    assert [node.op_type for f in net.to_ir().functions.values() for node in f] == ["Relu", "Add"]
    assert [node.name for f in net.to_ir().functions.values() for node in f] == ["Relu", "Add"]
    onnx.checker.check_model(net.to_onnx(), full_check=True)


def test_the_model_is_at_the_canonical_opset_and_the_source_stage():
    model = net.to_ir()
    assert dict(model.opset_imports) == {"": 23}
    assert model.metadata_props["sardonyx.stage"] == "source"
    assert model.graph.name == "net"


def test_every_node_knows_its_scopes_and_the_line_that_made_it():
    nodes = list(net.to_ir().graph)
    sources = [provenance.sources(node) for node in nodes]
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines, 1) if 'name="query"' in line)
    add = next(i for i, line in enumerate(lines, 1) if "return dsl.layer_norm(q + k)" in line)
    assert all(len(source) == 1 for source in sources)
    assert [f"encoder.layer_1.attention.query test_names.py:{first}"] in sources
    assert [f"encoder.layer_1 test_names.py:{add}"] in sources
    assert sources[0] == [f"linear test_names.py:{first + 7}"]
    assert nodes[1].name == "encoder.layer_0.attention.query.Gemm"


def test_a_scope_that_is_opened_again_goes_on_counting():
    @dsl.model(x=dsl.f32["n", 4])
    def twice(x):
        for _ in range(2):
            with dsl.scope("part"):
                x = dsl.linear(x, 4, bias=False)
        return x

    assert list(twice.parameters()) == ["part.linear.weight", "part.linear_1.weight"]


def test_one_model_has_one_text():
    texts = {net.build().text() for _ in range(2)} | {net.text()}
    assert len(texts) == 1
    again = onnx.parser.parse_model(ir.to_onnx_text(net.to_ir()))
    onnx.checker.check_model(again, full_check=True)


def test_text_and_weights_are_the_same_in_another_process(tmp_path):
    program = tmp_path / "net.py"
    program.write_text(
        "import hashlib\n"
        "from sardonyx.frontends import dsl\n"
        '@dsl.model(x=dsl.f32["n", 1, 8, 8])\n'
        "def net(x):\n"
        "    x = dsl.relu(dsl.batch_norm(dsl.conv(x, 4, 3)))\n"
        "    x = dsl.cond(x.sum() > 0, lambda: x * 2, lambda: x + 0.5)\n"
        "    return dsl.linear(x.flatten(), 3)\n"
        "print(hashlib.sha256(net.to_onnx().SerializeToString(deterministic=True)).hexdigest())\n",
        encoding="utf-8",
    )
    digests = {
        subprocess.run(
            [sys.executable, str(program)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_to_ir_returns_a_copy_of_its_own():
    first = net.to_ir()
    for node in list(first.graph)[::-1]:
        node.name = "changed"
    first.graph.initializers["linear.weight"].const_value = ir.tensor(np.zeros((4, 4), np.float32))
    second = net.to_ir()
    assert all(node.name != "changed" for node in second.graph)
    assert np.any(second.graph.initializers["linear.weight"].const_value.numpy())


def test_weights_are_made_only_when_they_are_asked_for():
    def refuse(rng, shape):
        raise RuntimeError("asked for numbers")

    model = dsl.model(x=dsl.f32["n", 10**5])(lambda x: dsl.linear(x, 10**5, init=refuse))
    assert model.parameters()["linear.weight"].shape == (10**5, 10**5)
    assert "Gemm" in model.text()
    with pytest.raises(RuntimeError, match="asked for numbers"):
        model.parameters()["linear.weight"].numpy()


def test_seeds_change_the_weights_and_other_layers_do_not():
    def with_layers(*names):
        @dsl.model(x=dsl.f32["n", 8])
        def stack(x):
            for name in names:
                x = dsl.linear(x, 8, name=name)
            return x

        return {k: p.numpy() for k, p in stack.parameters().items()}

    one, two = with_layers("a", "c"), with_layers("a", "b", "c")
    np.testing.assert_array_equal(one["c.weight"], two["c.weight"])
    assert not np.array_equal(two["a.weight"], two["b.weight"])
    fresh = {k: p.numpy() for k, p in net.build(seed=1).parameters().items()}
    assert not np.array_equal(fresh["linear.weight"], net.parameters()["linear.weight"].numpy())


def test_load_takes_arrays_and_torch_tensors_of_other_dtypes():
    small = dsl.model(x=dsl.f16["n", 3])(lambda x: dsl.linear(x, 2, name="fc"))
    weight = torch.randn(2, 3, dtype=torch.bfloat16, requires_grad=True)
    small.load({"fc.weight": weight, "b": np.array([1, 2])}, {"fc.bias": "b"})
    got = {n: p.numpy() for n, p in small.parameters().items()}
    assert got["fc.weight"].dtype == np.float16
    np.testing.assert_array_equal(got["fc.weight"], weight.detach().to(torch.float16).numpy())
    np.testing.assert_array_equal(got["fc.bias"], np.array([1, 2], np.float16))


def test_loaded_numbers_are_copies():
    small = dsl.model(x=dsl.f32["n", 3])(lambda x: dsl.linear(x, 2, bias=False))
    weight = np.ones((2, 3), np.float32)
    small.load({"linear.weight": weight})
    weight[:] = 7
    assert small.parameters()["linear.weight"].numpy().max() == 1


def test_shared_weights_are_one_parameter():
    @dsl.model(x=dsl.f32["n", 4])
    def tied(x):
        w = dsl.parameter("w", (4, 4))
        return dsl.linear(dsl.linear(x, 4, weight=w, bias=False), 4, weight=w, bias=False)

    assert list(tied.parameters()) == ["w"]
    assert tied.parameters()["w"].trainable
    normed = dsl.model(x=dsl.f32["n", 4])(dsl.batch_norm)
    trained = {n.split(".")[1]: p.trainable for n, p in normed.parameters().items()}
    kinds = {"weight": True, "bias": True, "running_mean": False, "running_var": False}
    assert trained == kinds
