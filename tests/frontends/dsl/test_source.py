"""A program that is written of a model builds the model again."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

from examples import dsl_control_flow, dsl_gpt, dsl_lenet
from sardonyx import frontends
from sardonyx.frontends import dsl
from tests.frontends import onnx_models
from tests.frontends.dsl import test_functions
from tests.frontends.dsl.roundtrip import check_same, rebuilt
from tests.frontends.dsl.support import by_onnxruntime


def numbers(*shape):
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


class Encoder(nn.Module):
    """Modules in modules, for scopes."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(8, 2, 16) for _ in range(2))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


@dsl.model(x=dsl.f32["n", "m"].named("input.1"), unused=dsl.bf16[()], text=dsl.string[2])
def odd(x, unused, text):
    """Names that are no words, constants of every kind, outputs without nodes of their own."""
    infinite = dsl.op.Where(x > 0, float("inf"), x * np.float32(-0.0))
    values, _ = dsl.op.TopK(dsl.op.Pad(infinite, [0, 1, 0, 1], np.float32("nan")), [1])
    wide = dsl.parameter("a b.w", (2, 3), dsl.init.normal(), dtype="f64")
    half = dsl.parameter("half", (3,), dsl.init.ones, dtype="bf16")
    small = dsl.constant(np.array([1, 2])).cast("u8") + np.array([200, 3], np.uint8)
    joined = dsl.op.StringConcat(text, np.array(['"', "\\ü"]))
    split = dsl.op.Split(x, num_outputs=2, axis=0, outputs=2)
    return {
        "input.1.out": x,
        "x": values,
        "Relu": wide,
        "constant": half + unused,
        "Add": small,
        "joined": joined,
        "topk_1": split[1],
        "again": values,
    }


OWN = {
    "lenet": (dsl_lenet.lenet, {"x": numbers(2, 1, 28, 28)}),
    "gpt": (dsl_gpt.gpt, {"ids": np.arange(10).reshape(2, 5)}),
    "recurrent": (dsl_control_flow.recurrent, {"x": numbers(4, 2, 8)}),
    "decoder": (dsl_control_flow.decoder, {"start": np.array([1, 3]), "steps": np.array(2)}),
    "functions": (test_functions.net, {"x": numbers(3, 4)}),
    "training": (
        dsl.model(x=dsl.f32["n", 3, 4])(dsl.batch_norm).build(training=True),
        {"x": numbers(2, 3, 4)},
    ),
}


@pytest.mark.parametrize("name", OWN)
def test_models_of_the_language(name):
    model, inputs = OWN[name]
    again = rebuilt(model.to_ir())
    check_same(model.to_ir(), again.to_ir())
    wanted = by_onnxruntime(model.to_onnx(), inputs)
    got = by_onnxruntime(again.to_onnx(), inputs)
    for a, b in zip(wanted, got, strict=True):
        np.testing.assert_array_equal(a, b)


def test_odd_names_and_constants():
    again = rebuilt(odd.to_ir())
    check_same(odd.to_ir(), again.to_ir())
    assert [v.name for v in again.to_ir().graph.inputs] == ["input.1", "unused", "text"]
    assert set(again.parameters()) == {"a b.w", "half"}


def test_scopes_are_those_of_the_modules():
    torch.manual_seed(1)
    module = Encoder().eval()
    x = torch.randn(5, 2, 8)
    model = frontends.from_torch(module, (x,))
    program = dsl.source(model)
    assert 'with dsl.scope("layers.1' in program.text
    again = rebuilt(model)
    check_same(model, again.to_ir())
    assert set(dict(module.named_parameters())) >= {n for n in again.parameters() if "weight" in n}
    (got,) = by_onnxruntime(again.to_onnx(), {again.to_ir().graph.inputs[0].name: x.numpy()})
    np.testing.assert_allclose(got, module(x).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("text", ["MLP", "BRANCHES", "CALLS"])
def test_models_of_files(text):
    model = frontends.from_onnx(onnx_models.parse(getattr(onnx_models, text)))
    check_same(model, rebuilt(model).to_ir())


PROGRAM = """\
\"\"\"net: 4 nodes, written by `sardonyx inspect --dsl`.\"\"\"

import numpy as np

from sardonyx.frontends import dsl


@dsl.model(x=dsl.f32["n", 3])
def net(x):
    weight = dsl.parameter("block.linear.weight", (2, 3))
    bias = dsl.parameter("block.linear.bias", (2,))
    with dsl.scope("block.linear"):
        gemm = dsl.op.Gemm(x, weight, bias, transB=1)
    with dsl.scope("block"):
        relu = dsl.op.Relu(gemm)
        add = dsl.op.Add(relu, np.array(0.5, np.float32))
    softmax = dsl.op.Softmax(add, axis=1)
    return {"scores": softmax}
"""


def small():
    def net(x):
        with dsl.scope("block"):
            x = dsl.relu(dsl.linear(x, 2)) + 0.5
        return {"scores": dsl.softmax(x)}

    return dsl.model(x=dsl.f32["n", 3])(net)


def test_the_program_reads_well():
    assert dsl.source(small().to_ir()).text == PROGRAM
    assert dsl.source(small().to_ir(), name="other").text.count("def other(x)") == 1


def test_a_program_in_a_file_builds_the_model(tmp_path):
    model = small()
    dsl.source(model.to_ir()).write(tmp_path / "net.py")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.py", "net.safetensors"]
    x = numbers(2, 3)
    np.save(tmp_path / "x.npy", x)
    code = "import net, numpy as np; np.save('y.npy', net.net.run(np.load('x.npy'))[0])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), model.run(x)[0])


@pytest.mark.parametrize("name", ["np", "dsl", "float", "complex", "Path", "net", "class"])
def test_names_that_a_program_needs_itself(name):
    def net(x):
        least = dsl.op.Clip(x, dsl.parameter("least", (), dsl.init.constant(-1)), float("inf"))
        return least * dsl.parameter("w", (2,))

    model = dsl.model(x=dsl.f32[2].named(name))(net).to_ir()
    check_same(model, rebuilt(model).to_ir())
    assert "def net(" in dsl.source(model, name).text


HOSTILE = 'F(x); raise SystemExit("run")  #'


@pytest.mark.parametrize(
    ("op_type", "attribute"),
    [(HOSTILE, "a"), ("class", "a"), ("_F", "a"), ("F", HOSTILE), ("F", "class"), ("F", "outputs")],
)
def test_names_of_a_file_are_not_run(op_type, attribute):
    model = small().to_ir()
    node = next(iter(model.graph))
    node.domain, node.op_type = "other", op_type
    node.attributes[attribute] = ir.AttrInt64(attribute, 1)
    with pytest.raises(dsl.DslError, match="a name that a program cannot have"):
        dsl.source(model)


def test_a_domain_of_a_file_is_a_text():
    model = small().to_ir()
    node = next(iter(model.graph))
    node.op_type, node.domain = "F", 'a"), ' + HOSTILE
    model.graph.opset_imports[node.domain] = 1
    assert next(iter(rebuilt(model).to_ir().graph)).domain == node.domain


def test_what_cannot_be_written(tmp_path):
    model = small().to_ir()
    with pytest.raises(dsl.DslError, match=r"goes into a .py file"):
        dsl.source(model).write(tmp_path / "net.txt")
    newer = model.clone()
    newer.graph.opset_imports[""] = 24
    with pytest.raises(dsl.DslError, match="writes another opset") as caught:
        dsl.source(newer)
    assert "from_onnx" in caught.value.remedy
    node = next(iter(model.graph))
    node.attributes["kind"] = ir.Attr(
        "kind", ir.AttributeType.TYPE_PROTO, ir.TypeAndShape(ir.TensorType(ir.DataType.FLOAT), None)
    )
    with pytest.raises(dsl.DslError, match="'kind' cannot be written as a program"):
        dsl.source(model)
