"""Planted differences between ONNX models: the place that is found, and what it took."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx import compiler
from sardonyx.compiler.divergence import OnnxSide, compare
from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.export import legalise
from sardonyx.compiler.proof import Executor, Limits
from sardonyx.compiler.targets import CPU
from tests.compiler.divergence.networks import WIDTH, X, layers
from tests.support.models import model, normal


class Counted(Executor):
    """Notes how many outputs each model has that it runs."""

    def __init__(self) -> None:
        super().__init__(Limits(threads=1))
        self.outputs: list[int] = []

    def run(self, model, samples, **options):
        self.outputs.append(len(model.graph.outputs))
        return super().run(model, samples, **options)


def compared(a: ir.Model, b: ir.Model, sample=None, levels=("all", "all"), **options):
    with Counted() as executor:
        sides = [
            OnnxSide(legalise(each, CPU), executor, name, level=level)
            for each, name, level in zip((a, b), "ab", levels, strict=True)
        ]
        made = compare(*sides, [sample or {"x": X}], **options)
        assert made.runs == len(executor.outputs)
        assert max(executor.outputs) <= len(a.graph.outputs) + 1
    return made


def least_looks(made) -> float:
    return math.log2(made.cuts)


def test_models_that_agree_need_no_look():
    made = compared(layers(6), layers(6), levels=("off", "all"))
    assert made.agrees
    assert made.divergence is None
    assert (made.looks, made.cuts) == (0, 0)
    assert made.runs <= 4
    assert "agrees with a" in str(made)


def test_outputs_that_say_nothing_are_told():
    net = model("g (float[2,4] x) => (float[2,4] y) { y = Relu(x) }")
    below = {"x": -np.abs(normal(2, 4))}
    made = compared(net, net.clone(), below)
    assert made.agrees
    assert made.blind == {"y": "it is zero everywhere"}
    assert "output 'y' says nothing: it is zero everywhere" in str(made)
    assert made.to_dict()["outputs"][0]["blind"] == made.blind["y"]
    with Executor(Limits(threads=1)) as executor:
        sides = [OnnxSide(net.clone(), executor, name) for name in "ab"]
        assert not compare(*sides, [below, {"x": -below["x"]}]).blind


@pytest.mark.parametrize("layer", [0, 9])
def test_the_layer_with_a_wrong_weight_is_found(layer):
    made = compared(layers(10), layers(10, wrong={layer: "weight"}))
    assert not made.agrees
    assert made.divergence.value == f"m{layer}"
    assert f"'m{layer}', given by" in made.divergence.reference
    assert made.cuts == 10 * 8 - 1
    assert made.looks <= 2 * least_looks(made) + 2
    assert made.divergence.ratio > 10
    assert made.divergence.right.shape == (5, WIDTH)
    assert made.divergence.right.mean != made.divergence.found.mean


@pytest.mark.parametrize(
    ("fault", "value"),
    [("epsilon", "n"), ("activation", "t"), ("gate", "p")],
)
def test_other_faults_are_found(fault, value):
    made = compared(layers(5), layers(5, wrong={3: fault}))
    assert made.divergence.value == f"{value}3"
    (step,) = made.divergence.model_steps
    assert step.endswith({"n": "(LayerNormalization)", "t": "(Sigmoid)", "p": "(MatMul)"}[value])
    assert made.looks <= 2 * least_looks(made) + 2


def test_the_first_of_several_faults_is_found():
    faults = {2: "gate", 3: "weight", 4: "activation"}
    made = compared(layers(5), layers(5, wrong=faults))
    assert made.divergence.value == "p2"


def test_names_need_not_be_the_same():
    made = compared(layers(4), layers(4, prefix="other_", wrong={2: "activation"}))
    # Another operator is not aligned with the one it stands for: what it gives is not known.
    assert made.divergence.value == "other_e2"
    assert any("Sigmoid" in step for step in made.divergence.model_steps)
    assert any("Tanh" in step for step in made.divergence.reference_steps)
    made = compared(layers(4), layers(4, prefix="other_", wrong={2: "weight"}))
    assert made.divergence.value == "other_m2"
    assert "'m2'" in made.divergence.reference


def named(source: ir.Model) -> ir.Model:
    """The model with its nodes named as a frontend records them."""
    for node in source.graph:
        node.name = f"node_{node.outputs[0].name}"
        node.metadata_props["sardonyx.source"] = node.name
    return source


def test_a_compiled_model_agrees_and_a_wrong_one_is_found():
    source = named(layers(6))
    program = compiler.compile(source)
    counts = [
        sum(node.op_type == "MatMul" for node in each.graph) for each in (source, program.model)
    ]
    assert counts == [12, 6]
    assert compared(source, program.model).agrees
    wrong = compiler.compile(named(layers(6, wrong={4: "weight"})))
    made = compared(source, wrong.model)
    assert any("m4" in step for step in made.divergence.model_steps)
    assert any("m4" in step for step in made.divergence.reference_steps)
    assert not any("3" in step for step in made.divergence.model_steps)
    assert made.looks <= 2 * least_looks(made) + 4


def in_half(source: ir.Model) -> ir.Model:
    """The model in float16, but for its inputs and outputs."""
    return compiler.compile(source, "portable", precision="fp16").model


def test_half_precision_is_given_its_own_rounding():
    source = named(layers(4))
    made = compared(source, in_half(named(layers(4))))
    assert made.agrees
    assert any("float16" in note for note in made.notes)
    assert max(output.ratio for output in made.outputs) > 0
    wrong = named(layers(4))
    weight = wrong.graph.initializers["w2"]
    weight.const_value = ir.tensor(weight.const_value.numpy() * np.float32(1.5), name="w2")
    made = compared(source, in_half(wrong))
    assert not made.agrees
    assert any("m2" in step for step in made.divergence.model_steps)


SCALED = """net (float[rows,8] x) => (float[rows,8] y, float[rows,8] z) {{
    {chain} m = MatMul(c6, w)  y = Abs(m)  z = Neg(c2) }}"""


def scaled(scale: float, weight) -> ir.Model:
    """A chain that is scaled up and down again, layer by layer."""
    chain = "c0 = Tanh(x) "
    for i in range(6):
        chain += f"d{i} = Mul(c{i}, k)  e{i} = Tanh(c{i})  f{i} = Mul(d{i}, l) "
        chain += f"c{i + 1} = Add(f{i}, e{i}) "
    up, down = np.float32(scale), np.float32(1 / scale)
    return model(SCALED.format(chain=chain), k=up, l=down, w=weight)


def test_a_difference_that_does_no_harm_is_set_aside():
    w = normal(8, 8)
    wrong = w * np.float32(1.01)
    assert compared(scaled(2, w), scaled(4, w)).agrees
    made = compared(scaled(2, w), scaled(4, wrong))
    assert made.divergence.value == "m"
    assert [o.name for o in made.outputs if not o.agrees] == ["y"]


def test_cancellation_is_noise_where_it_is_large():
    # b is exact to its own last digits only, which are the first ones of c.
    text = """net (float[rows,8] x) => (float[rows,8] y) {
        a = Exp(x)  b = Add(a, big)  c = Sub(b, big)  d = MatMul(c, w)  y = Tanh(d) }"""
    regrouped = text.replace("b = Add(a, big)", "a2 = Exp(x) b0 = Add(big, a2) b = Identity(b0)")
    weights = {"big": np.float32(1e5), "w": normal(8, 8) * np.float32(0.1)}
    assert compared(model(text, **weights), model(regrouped, **weights)).agrees
    other = {**weights, "big": np.float32(100003.0)}
    assert compared(model(text, **weights), model(text, **other)).agrees
    wrong = {**weights, "w": weights["w"] * np.float32(1.5)}
    assert compared(model(text, **weights), model(text, **wrong)).divergence.value == "d"


class Fusing(OnnxSide):
    """A side whose runtime fuses a layer wrongly, unless it has to keep a value inside of it."""

    def __init__(self, wrong: ir.Model, right: ir.Model, inside: str, executor: Executor) -> None:
        super().__init__(wrong, executor, "fusing")
        self._right = OnnxSide(right, executor, "right")
        self._inside = inside

    def observe(self, sample, key):
        return (self._right if key == self._inside else super()).observe(sample, key)


def test_a_wrong_fusion_of_the_runtime_is_found_by_what_prevents_it():
    right = legalise(layers(6), CPU)
    wrong = legalise(layers(6, wrong={4: "activation"}), CPU)
    with Executor(Limits(threads=1)) as executor:
        reference = OnnxSide(right, executor, "a", level="off")
        fusing = Fusing(wrong, right, "t4", executor)
        made = compare(reference, fusing, [{"x": X}])
    assert made.divergence.fusion
    assert made.divergence.value == "t4"
    assert "lost when ONNX Runtime fuses" in str(made)


def test_without_a_value_in_common_it_says_what_lies_between():
    made = compared(
        model("g (float[n] x) => (float[n] y) { a = Sin(x) y = Neg(a) }"),
        model("g (float[n] x) => (float[n] y) { b = Cos(x) c = Abs(b) y = Sqrt(c) }"),
        sample={"x": X[0]},
    )
    assert made.cuts == 0
    assert made.divergence.value == "y"
    assert [step.rpartition("(")[2] for step in made.divergence.model_steps] == [
        "Cos)",
        "Abs)",
        "Sqrt)",
    ]


def test_inputs_and_outputs_may_have_other_names():
    a = model("g (float[n] x, float[n] z) => (float[n] y) { y = Sub(x, z) }")
    b = model("g (float[n] p, float[n] q) => (float[n] r) { r = Sub(p, q) }")
    swapped = model("g (float[n] p, float[n] q) => (float[n] r) { r = Sub(q, p) }")
    sample = {"p": X[0], "q": X[1]}
    assert compared(a, b, sample=sample).agrees
    assert not compared(a, swapped, sample=sample).agrees


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("g (float[n] x) => (float[n] y, float[n] z) { y = Neg(x) z = Abs(x) }", "found: y, z"),
        ("g (float[n] x, float[n] z) => (float[n] y) { y = Sub(x, z) }", "found: x"),
    ],
)
def test_models_with_other_inputs_or_outputs_are_refused(text, said):
    a = model("g (float[n] x) => (float[n] y) { y = Neg(x) }")
    with pytest.raises(UnsupportedError) as raised:
        compared(a, model(text), sample={"x": X[0]})
    assert said in str(raised.value)


def test_the_report_is_plain_data():
    import json

    made = compared(layers(4), layers(4, wrong={2: "weight"}))
    told = json.loads(json.dumps(made.to_dict()))
    assert told["divergence"]["value"] == "m2"
    assert told["divergence"]["right"]["shape"] == [5, WIDTH]
    assert told["outputs"][0]["name"] == "y"
    assert (told["agrees"], told["looks"], told["runs"]) == (False, made.looks, made.runs)
    assert "first difference: 'm2'" in str(made)
