"""The text of a model says the model."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.backend.test.case.node import collect_testcases

from sardonyx.compiler.errors import InvalidModelError, VerifyError
from sardonyx.compiler.ir import provenance, structure
from sardonyx.compiler.ir import text as text_form
from sardonyx.compiler.ir.printer import type_text
from sardonyx.compiler.ir.text import from_text, to_text, to_text_and_tensors
from tests.support.models import HEADER, clone, model, normal


def with_initializer(tensor: ir.TensorProtocol) -> ir.Model:
    """A model whose only output is its only initializer."""
    held = ir.Value(
        name="w", type=ir.TensorType(tensor.dtype), shape=ir.Shape(tensor.shape), const_value=tensor
    )
    graph = ir.Graph([], [held], nodes=[], initializers=[held], name="g", opset_imports={"": 23})
    return ir.Model(graph, ir_version=10)


def with_attribute(*attributes: ir.Attr, op_type: str = "Op", domain: str = "test") -> ir.Model:
    """A model of one foreign node with these attributes."""
    node = ir.Node(domain, op_type, [], attributes, num_outputs=1, name="n")
    node.outputs[0].name = "y"
    imports = {"": 23, domain: 1}
    graph = ir.Graph([], node.outputs, nodes=[node], name="g", opset_imports=imports)
    return ir.Model(graph, ir_version=10)


def check_round_trip(given: ir.Model) -> ir.Model:
    text = to_text(given)
    again = from_text(text)
    assert to_text(again) == text
    assert structure.equal(given, again)
    text_form.check_round_trip(given)
    return again


def the_initializer(given: ir.Model) -> ir.TensorProtocol:
    (value,) = given.graph.initializers.values()
    return value.const_value


def the_attribute(given: ir.Model) -> ir.Attr:
    (attribute,) = given.graph.node(0).attributes.values()
    return attribute


def test_a_model_as_text():
    given = model(
        """mlp (float[batch,3] x, int64 n) => (float[batch,2] "y/out", seq(float[2]) s) {
            [first] h = MatMul(x, w)
            "y/out" = com.microsoft.FusedGemm<activation = "Relu", alpha = 0.1>(h, b, "", n)
            s = SequenceEmpty<dtype = 1>()
        }""",
        w=np.arange(6, dtype=np.float32).reshape(3, 2) - 2.5,
        b=np.array([1e-7, np.inf], np.float32),
    )
    given.metadata_props["sardonyx.stage"] = "core"
    hidden = given.graph.node("first").outputs[0]
    hidden.type, hidden.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(["batch", None])
    assert to_text(given) == (
        """<
   ir_version: 10,
   opset_import: ["" : 23, "com.microsoft" : 1],
   metadata_props: ["sardonyx.stage": "core"]
>
mlp (float[batch,3] x, int64 n) => (float[batch,2] "y/out", seq(float[2]) s)
<
   float[3,2] w = {-2.5, -1.5, -0.5, 0.5, 1.5, 2.5},
   float[2] b = {1e-07, inf},
   float[batch,?] h
>
{
   [first] h = MatMul (x, w)
   "y/out" = com.microsoft.FusedGemm <activation: string = "Relu", alpha: float = 0.1> """
        """(h, b, "", n)
   s = SequenceEmpty <dtype: int = 1> ()
}
"""
    )
    again = check_round_trip(given)
    assert [n.name for n in again.graph][:1] == ["first"]
    assert again.graph.node("first").outputs[0].shape == hidden.shape
    assert text_form.stage(again) == "core"


def test_the_brief_form_has_types_and_sources_beside_the_nodes():
    given = model("g (float[2] x) => (float[2] y) { [n] y = Add(x, w) }", w=normal(2))
    provenance.set_source(given.graph.node(0), "block.0\nline")
    assert to_text(given, elide=1, brief=True).splitlines()[4:] == [
        "g (float[2] x) => (float[2] y)",
        "<",
        '   float[2] w = ["elided": "0"]',
        ">",
        "{",
        "   y = Add (x, w)  # float[2]; block.0 line",
        "}",
    ]


def test_subgraphs_are_indented_and_come_after_the_operands():
    given = model(
        """g (bool c, float[2] x) => (float[2] y) {
            y = If(c) <then_branch = t () => (float[2] p) <float[1] w = {4}> { p = Add(x, w) },
                       else_branch = e () => (float[2] q) { q = Neg(x) }>
        }"""
    )
    assert to_text(given).splitlines()[5:] == [
        "{",
        "   y = If (c) <else_branch: graph = e () => (float[2] q)",
        "      {",
        "         q = Neg (x)",
        "      }, then_branch: graph = t () => (float[2] p)",
        "      <",
        "         float[1] w = {4.0}",
        "      >",
        "      {",
        "         p = Add (x, w)",
        "      }>",
        "}",
    ]
    check_round_trip(given)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_models_of_the_onnx_standard_survive():
    tried = 0
    for case in collect_testcases(None):
        versions = {o.domain: o.version for o in case.model.opset_import}
        if versions.get("", 1) <= 23:
            check_round_trip(ir.from_proto(case.model))
            tried += 1
    assert tried == 1319


HARD_FLOATS = [math.nan, -math.nan, math.inf, -math.inf, -0.0, 0.0, 1e-45, 0.1, 3.4028235e38]
PAYLOAD = np.array([0x7FC00001, 0xFFC12345, 0x7F800001], np.uint32).view(np.float32)


@pytest.mark.parametrize(
    "array",
    [
        np.array(HARD_FLOATS, np.float32),
        np.array([*HARD_FLOATS, 5e-324, 1 / 3], np.float64),
        np.array([0.1, -0.0, 65504, math.nan, math.inf], np.float16),
        np.array([0.1, -0.0, 3e38, math.nan, -math.inf], ml_dtypes.bfloat16),
        np.array([0.1, -0.0, math.nan], ml_dtypes.float8_e4m3fn),
        np.array([0.1, -1, math.nan], ml_dtypes.float8_e5m2fnuz),
        PAYLOAD,
        np.array([[1, -8], [7, 3]], ml_dtypes.int4),
        np.array([15, 0, 3], ml_dtypes.uint4),
        np.array([1 + 2j, -math.inf + 0.1j], np.complex64),
        np.array([1 + 2j], np.complex128),
        np.array([2**63 - 1, -(2**63)], np.int64),
        np.array([2**64 - 1], np.uint64),
        np.array([2**32 - 1], np.uint32),
        np.array([-128, 127], np.int8),
        np.array([True, False]),
        np.array(7, np.int16),
        np.zeros((0, 3), np.float32),
        normal(1, 17, 30),
    ],
    ids=lambda a: f"{a.dtype}{list(a.shape)}",
)
def test_constants_survive_to_the_last_bit(array):
    for given in (
        with_initializer(ir.tensor(array)),
        with_attribute(ir.AttrTensor("value", ir.tensor(array))),
    ):
        again = check_round_trip(given)
        if given.graph.initializers:
            held = the_initializer(again)
        else:
            held = the_attribute(again).as_tensor()
        assert held.dtype == ir.tensor(array).dtype
        assert held.numpy().shape == array.shape
        assert held.tobytes() == ir.tensor(array).tobytes()


def test_strings_survive():
    strings = [
        b"",
        b'say "no"',
        b"back\\slash",
        "größe\n".encode(),
        b"\xff\x00raw",
        b"# no comment",
    ]
    for some in (strings, [s for s in strings if b"\xff" not in s]):
        again = check_round_trip(
            with_initializer(ir.StringTensor(some, shape=ir.Shape([len(some)])))
        )
        assert the_initializer(again).numpy().tolist() == some


@pytest.mark.parametrize(
    "attribute",
    [
        ir.AttrString("a", 'quo"te \\ # newline\n'),
        ir.AttrString("a", ""),
        ir.AttrString("a", "sardonyx.attribute:no"),
        ir.AttrString("a", "nul\0byte"),
        ir.Attr("a", ir.AttributeType.STRING, b"\xff\xfe"),
        ir.AttrStrings("a", ["x", 'y"', ""]),
        ir.AttrStrings("a", []),
        ir.AttrInt64s("a", []),
        ir.AttrInt64("a", -(2**63)),
        ir.AttrFloat32("a", 1e-45),
        ir.AttrFloat32("a", -0.0),
        ir.AttrFloat32("a", math.nan),
        ir.AttrFloat32s("a", [1e10, -math.inf, 3.0]),
        ir.AttrFloat32s("a", [math.nan, 1.0]),
        ir.AttrTensors("a", [ir.tensor([1.5]), ir.tensor([2, 3])]),
        ir.AttrTypeProto(
            "a", ir.TypeAndShape(ir.TensorType(ir.DataType.FLOAT), ir.Shape([2, "n"]))
        ),
        ir.AttrTypeProto(
            "a", ir.TypeAndShape(ir.SequenceType(ir.TensorType(ir.DataType.INT64)), None)
        ),
        ir.AttrTypeProtos(
            "a", [ir.TypeAndShape(ir.TensorType(ir.DataType.BOOL), ir.Shape([]))] * 2
        ),
    ],
    ids=lambda a: f"{a.type.name}={a.value!r}"[:30],
)
def test_attributes_survive(attribute):
    again = the_attribute(check_round_trip(with_attribute(attribute)))
    assert again.type == attribute.type
    assert ir.to_proto(again).SerializeToString(deterministic=True) == ir.to_proto(
        attribute
    ).SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    "name",
    [
        "layer.0/weight:0",
        "0",
        "a b",
        'q"uote',
        "back\\slash",
        "float",
        "seq",
        "nan",
        "größe",
        "_x61",
    ],
)
def test_names_of_any_kind_survive(name):
    given = model("g (float[2] x) => (float[2] y) { a = Abs(x) y = Relu(a) }")
    first = given.graph.node(0)
    first.name = first.outputs[0].name = given.graph.name = name
    given.graph.inputs[0].name = name + "2"
    given.graph.inputs[0].shape = ir.Shape([name])
    given.graph.outputs[0].type = None
    again = check_round_trip(given)
    assert again.graph.name == name
    assert again.graph.node(0).name == again.graph.node(0).outputs[0].name == name
    assert again.graph.inputs[0].name == name + "2"
    assert again.graph.inputs[0].shape == ir.Shape([name])


@pytest.mark.parametrize("name", ["my-op", "", "float", "_x61", "0"])
def test_operators_attributes_and_subgraphs_of_any_name_survive(name):
    body = ir.Graph([], [], nodes=[], name=name)
    given = with_attribute(
        ir.AttrGraph(name or "a", body), op_type=name or "a", domain=f"my-domain.{name}"
    )
    node = check_round_trip(given).graph.node(0)
    assert (node.domain, node.op_type) == (f"my-domain.{name}", name or "a")
    assert the_attribute_name(node) == (name or "a")
    assert node.attributes[name or "a"].as_graph().name == name


def the_attribute_name(node: ir.Node) -> str:
    (name,) = node.attributes
    return name


def test_functions_survive_with_their_defaults_and_types():
    given = from_text(
        HEADER
        + """g (float[2] x) => (float[2] y) { y = my.scale:twice <k = 2.0> (x) }
        <domain: "my", overload: "twice", opset_import: ["" : 22]>
        scale <j, k: float = 3.0, m: int = 4> (a) => (b)
        <float[2] a, float[2] c>
        { c = LeakyRelu<alpha: float = @k>(a) b = Elu<alpha: float = @j>(c) }"""
    )
    assert "scale <j, k: float = 3.0, m: int = 4> (a) => (b)" in to_text(given)
    (function,) = check_round_trip(given).functions.values()
    assert function.identifier() == ("my", "scale", "twice")
    assert function.opset_imports == {"": 22}
    assert function.attributes["k"].value == 3.0
    assert function.attributes["j"].value is None
    assert function.inputs[0].shape == ir.Shape([2])
    assert function[0].outputs[0].dtype == ir.DataType.FLOAT


def test_attributes_come_in_alphabetical_order():
    made = [ir.AttrInt64("b", 1), ir.AttrInt64("a", 2)]
    assert to_text(with_attribute(*made)) == to_text(with_attribute(*reversed(made)))
    assert "<a: int = 2, b: int = 1>" in to_text(with_attribute(*made))


def test_printing_twice_gives_the_same_and_does_not_change_the_model():
    given = model("g (float[2] x) => (float[2] y) { y = Add(x, w) }", w=normal(2))
    before = ir.to_proto(given).SerializeToString(deterministic=True)
    assert to_text(given) == to_text(given) == to_text(clone(given))
    assert ir.to_proto(given).SerializeToString(deterministic=True) == before


def test_an_initializer_that_is_also_an_input_stays_one():
    given = model("g (float[n] x) => (float[n] y) { y = Relu(x) }", x=normal(3))
    again = check_round_trip(given)
    assert again.graph.inputs[0].is_initializer()
    assert again.graph.inputs[0].shape == ir.Shape(["n"])


def test_constants_in_files_become_part_of_the_full_text(tmp_path):
    given = model("g (float[4] x) => (float[4] y) { y = Add(x, w) }", w=normal(4))
    expected = given.graph.initializers["w"].const_value.numpy()
    ir.save(given, tmp_path / "m.onnx", external_data="m.data", size_threshold_bytes=0)
    loaded = ir.load(tmp_path / "m.onnx")
    assert isinstance(the_initializer(loaded), ir.ExternalTensor)
    again = from_text(to_text(loaded))
    np.testing.assert_array_equal(the_initializer(again).numpy(), expected)


def test_left_out_constants_come_back_as_the_same_objects():
    given = model(
        """g (float[4] x) => (float[4] y) {
            v = Constant<value = float[4] {1, 2, 3, 4}>()
            a = Add(x, w)
            y = Add(a, v)
        }""",
        w=normal(4),
    )
    text, tensors = to_text_and_tensors(given)
    assert '["elided": "0"]' in text
    assert '["elided": "1"]' in text
    again = from_text(text, tensors)
    assert the_initializer(again) is the_initializer(given)
    assert again.graph.node(0).attributes["value"].value is tensors[1]
    assert structure.fingerprint(again) == structure.fingerprint(given)


def test_left_out_constants_must_be_given():
    given = model("g (float[4] x) => (float[4] y) { y = Add(x, w) }", w=normal(4))
    text, _ = to_text_and_tensors(given)
    with pytest.raises(InvalidModelError, match="leaves out the elements of a constant") as caught:
        from_text(text)
    assert caught.value.found == "constant number 0 of 0 given"


def test_large_constants_of_the_brief_form_only_are_left_out():
    given = model("g (float[300] x) => (float[300] y) { y = Add(x, w) }", w=normal(300))
    assert "elided" in to_text(given, elide=256)
    assert "elided" not in to_text(given, elide=300)
    assert "elided" not in to_text(given)


@pytest.mark.parametrize(
    "text", ["", "no model", "<ir_version: 10> g (float x) => ( { }", "g () => () { y = }"]
)
def test_what_is_not_the_syntax_is_refused(text):
    with pytest.raises(InvalidModelError, match="not a model in the ONNX textual syntax") as caught:
        from_text(text)
    assert caught.value.found


def test_a_sequence_of_nobody_knows_what_has_no_type_to_print():
    unknown = ir.SequenceType(ir.TensorType(None))
    assert type_text(unknown, None) == type_text(ir.OptionalType(unknown), None) == ""
    assert type_text(ir.SequenceType(ir.TensorType(ir.DataType.FLOAT)), None) == "seq(float[])"


def test_a_value_that_is_made_twice_is_refused():
    given = to_text(model("g (float x) => (float y) { z = Abs(x) y = Neg(x) }"))
    with pytest.raises(InvalidModelError, match="Output 'y' is redeclared"):
        from_text(given.replace("z = Abs", "y = Abs"))


def test_a_text_that_says_another_model_is_found(monkeypatch):
    given = model("g (float[2] x) => (float[2] y) { y = Relu(x) }")
    text_form.check_round_trip(given)
    wrong = model("g (float[2] x) => (float[2] y) { y = Abs(x) }")
    monkeypatch.setattr(text_form, "from_text", lambda text, tensors: wrong)
    with pytest.raises(VerifyError, match="says another model"):
        text_form.check_round_trip(given)


def test_onnx_itself_reads_the_text():
    given = model("g (float[2] x) => (float[2] y) { y = Add(x, w) }", w=normal(2))
    onnx.checker.check_model(onnx.parser.parse_model(to_text(given)))
