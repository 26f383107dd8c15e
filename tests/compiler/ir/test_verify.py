"""Each well-formedness rule finds the model that breaks it, and says so."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir
import pytest
from onnx.backend.test.case.node import collect_testcases

from sardonyx.compiler.errors import VerifyError
from sardonyx.compiler.ir import provenance, stages, verify
from sardonyx.compiler.ir.text import from_text
from tests.support.models import model

X = "g (float[2,3] x) => (float[2,3] y) "


def refusal(given: ir.Model, stage: str = "source", target=None) -> VerifyError:
    with pytest.raises(VerifyError) as caught:
        verify.verify(given, stage, target)
    return caught.value


def says(error: VerifyError, rule: str, what: str) -> None:
    assert error.rule == rule
    assert what in str(error)


def nodes_of(given: ir.Model) -> dict[str, ir.Node]:
    return {node.op_type: node for node in given.graph.all_nodes()}


def test_the_error_says_rule_site_found_expected_and_shows_the_graph_around():
    given = model(X + "{ a = Abs(x) b = Neg(a) c = Softmax<axis=1>(b) d = Exp(c) y = Relu(d) }")
    softmax = nodes_of(given)["Softmax"]
    provenance.set_source(softmax, "encoder.attention")
    softmax.attributes["axis"] = ir.AttrFloat32("axis", 1.0)
    assert str(refusal(given)).splitlines() == [
        "[V12 attribute-types] Attribute 'axis' has the wrong type.",
        "  where: encoder.attention (Softmax) in graph main",
        "  found: float",
        "  expected: int",
        "      a = Abs (x)  # ?",
        "      b = Neg (a)  # ?",
        "    > c = Softmax <axis: float = 1.0> (b)  # ?; encoder.attention",
        "      d = Exp (c)  # ?",
        "      y = Relu (d)  # float[2,3]",
    ]


def test_a_value_on_the_border_without_a_name():
    given = model(X + "{ y = Relu(x) }")
    given.graph.inputs[0].name = None
    says(refusal(given), "V01 named", "Graph input 0 has no name.")


def test_a_read_value_without_a_name():
    given = model(X + "{ a = Abs(x) y = Relu(a) }")
    nodes_of(given)["Abs"].outputs[0].name = ""
    says(refusal(given), "V01 named", "Output 0 of the node is read but has no name.")


def test_an_output_that_nobody_asked_for_needs_no_name():
    given = model("g (float[4] x) => (float[2] v) { v, i = TopK(x, k) }", k=np.array([2]))
    nodes_of(given)["TopK"].outputs[1].name = ""
    verify.verify(given)


def test_two_values_with_one_name():
    given = model(X + "{ a = Abs(x) b = Neg(a) y = Relu(b) }")
    nodes_of(given)["Neg"].outputs[0].name = "a"
    says(refusal(given), "V02 unique-names", "Two values are called 'a'.")


BRANCH = """g (bool c, float[2] x) => (float[2] y) {
    k = Abs(x)
    y = If(c) <then_branch = t () => (float[2] p) { p = Neg(k) },
               else_branch = e () => (float[2] q) { q = Relu(x) }>
}"""


def test_a_name_that_hides_an_outer_one():
    given = model(BRANCH)
    nodes_of(given)["Relu"].outputs[0].name = "k"
    says(refusal(given), "V02 unique-names", "'k' hides a value of that name in the graph around")


def test_branches_may_use_one_name_and_capture():
    given = model(BRANCH)
    nodes_of(given)["Relu"].outputs[0].name = "p"
    verify.verify(given)


def test_a_subgraph_value_may_have_the_name_of_a_later_outer_one():
    given = model(BRANCH.replace("y = If", "z = If").replace("}>", "}> q = Neg(z) y = Abs(q)"))
    verify.verify(given)


def test_nodes_out_of_order():
    given = model(X + "{ a = Abs(x) y = Relu(a) }")
    first = nodes_of(given)["Abs"]
    given.graph.remove(first)
    given.graph.append(first)
    error = refusal(given)
    says(error, "V03 defined-before-use", "Operand 0 is read before it is defined.")
    assert error.found == "a: ?[...], which node 1 makes"


def test_a_name_that_nothing_defines():
    given = from_text('<ir_version: 10, opset_import: ["" : 23]>\n' + X + "{ y = Add(x, ghost) }")
    says(refusal(given), "V03 defined-before-use", "ghost: ?[...], which nothing defines")


def test_a_value_of_a_sibling_subgraph():
    given = model(BRANCH)
    nodes = nodes_of(given)
    nodes["Relu"].replace_input_with(0, nodes["Neg"].outputs[0])
    says(refusal(given), "V03 defined-before-use", "p: float[2] of graph 't'")


def test_a_node_that_reads_its_own_output_through_its_subgraph():
    given = model(BRANCH)
    nodes = nodes_of(given)
    nodes["Relu"].replace_input_with(0, nodes["If"].outputs[0])
    says(refusal(given), "V03 defined-before-use", "Operand 0 is read before it is defined.")


def test_a_cycle():
    given = model(X + "{ a = Abs(x) b = Neg(a) y = Relu(b) }")
    nodes = nodes_of(given)
    nodes["Abs"].replace_input_with(0, nodes["Neg"].outputs[0])
    says(refusal(given), "V03 defined-before-use", "which node 1 makes")


def test_an_output_that_names_another_producer():
    given = model(X + "{ a = Abs(x) y = Relu(a) }")
    nodes_of(given)["Abs"].outputs[0]._producer = nodes_of(given)["Relu"]
    says(refusal(given), "V04 one-producer", "Output 0 says that another makes it.")


def test_a_node_that_is_filed_in_another_graph():
    given, other = model(X + "{ a = Abs(x) y = Relu(a) }"), model(X + "{ y = Relu(x) }")
    nodes_of(given)["Abs"].graph = other.graph
    says(refusal(given), "V04 one-producer", "The node says that it is in another graph.")


def test_a_reader_that_was_removed_but_still_reads():
    given = model(X + "{ a = Abs(x) b = Neg(a) y = Relu(a) }")
    given.graph.remove(nodes_of(given)["Neg"])
    says(refusal(given), "V05 uses-agree", "'a' lists a reader that is not in the model.")


def test_a_reader_inside_the_subgraph_of_a_removed_node():
    given = model(BRANCH)
    gone = nodes_of(given)["If"]
    given.graph.outputs[0] = nodes_of(given)["Abs"].outputs[0]
    given.graph.remove(gone, safe=True)
    says(refusal(given), "V05 uses-agree", "lists a reader that is not in the model.")


def test_an_operand_that_does_not_list_its_reader():
    given = model(X + "{ a = Abs(x) y = Relu(a) }")
    relu = nodes_of(given)["Relu"]
    relu.inputs[0]._remove_usage(relu, 0)
    error = refusal(given)
    says(error, "V05 uses-agree", "Operand 0 does not list the node among its readers.")


def test_a_subgraph_output_of_the_graph_around():
    given = model(BRANCH)
    branch = nodes_of(given)["If"].attributes["then_branch"].as_graph()
    outer = nodes_of(given)["Abs"].outputs[0]
    branch.outputs.data[0] = outer
    error = refusal(given)
    says(error, "V06 graph-outputs", "Graph output 0 is not defined in its graph.")
    assert "an Identity of it" in str(error)


def test_an_output_may_be_an_input_or_an_initializer():
    text = "g (float[2] x) => (float[2] x, float[3] w) < float[3] w = {1, 2, 3} > { }"
    verify.verify(model(text), "core")


def test_an_output_that_is_listed_twice():
    given = model(X + "{ y = Relu(x) }")
    given.graph.outputs.append(given.graph.outputs[0])
    verify.verify(given, "source")
    says(refusal(given, "core"), "V07 outputs-once", "Graph outputs 0 and 1 are one value.")


def test_a_domain_that_is_not_imported():
    given = model(X + "{ y = com.example.Foo(x) }")
    says(refusal(given), "V08 opset-imports", "Domain 'com.example' is not imported.")


@pytest.mark.parametrize("version", [0, 9999])
def test_an_opset_that_does_not_exist(version):
    given = model(X + "{ y = Relu(x) }")
    given.opset_imports[""] = version
    error = refusal(given)
    says(error, "V08 opset-imports", "imported at a version that does not exist")
    assert error.found == str(version)


def test_an_operator_that_does_not_exist():
    given = model(X + "{ y = Rellu(x) }")
    says(refusal(given), "V09 known-operator", "There is no operator 'Rellu' in opset 23.")


def test_an_operator_that_is_newer_than_the_opset():
    given = model(X + "{ y = Gelu(x) }")
    verify.verify(given)
    given.opset_imports[""] = 19
    says(refusal(given), "V09 known-operator", "There is no operator 'Gelu' in opset 19.")


def test_a_deprecated_operator():
    given = model(X + "{ y = Upsample(x, s) }", s=np.ones(2, np.float32))
    says(refusal(given), "V09 known-operator", "'Upsample' is deprecated in opset 23")


def test_operators_of_foreign_domains_are_opaque():
    verify.verify(model(X + "{ y = com.microsoft.Anything<a=1>(x, x, x) }"))


def test_operators_that_onnx_runtime_adds_to_the_standard_are_opaque():
    weight = np.ones(3, np.float32)
    verify.verify(model(X + "{ y = SimplifiedLayerNormalization(x, w) }", w=weight))


@pytest.mark.parametrize(
    ("node", "kind", "found", "expected"),
    [
        ("y = Relu(x, x)", "operands", "2", "1"),
        ("y = Clip(x, x, x, x)", "operands", "4", "1 to 3"),
        ("y = Concat<axis=0>()", "operands", "0", "1 or more"),
        ("y, z = Relu(x)", "outputs", "2", "1"),
    ],
)
def test_counts_that_the_operator_does_not_have(node, kind, found, expected):
    error = refusal(model(X + "{" + node + "}"))
    says(error, "V10 operand-counts", f"has the wrong number of {kind}.")
    assert (error.found, error.expected) == (found, expected)


def test_a_required_operand_that_is_left_out():
    given = model(X + '{ y = Add("", x) }')
    says(refusal(given), "V11 required-parts", "Required operand 0 (A) is left out.")


def test_a_required_attribute_that_is_missing():
    given = model(X + "{ y = Concat(x, x) }")
    says(refusal(given), "V11 required-parts", "Required attribute 'axis' is missing.")


def test_an_attribute_that_does_not_exist():
    error = refusal(model(X + "{ y = LeakyRelu<beta=1.0>(x) }"))
    says(error, "V12 attribute-types", "LeakyRelu has no attribute 'beta'.")
    assert error.expected == "alpha"


def test_a_last_operand_that_is_left_out():
    given = model(X + '{ y = Clip(x, "", "") }')
    verify.verify(given, "source")
    says(refusal(given, "core"), "V13 no-trailing-gap", "Operand 2, the last, is left out")


def test_an_operand_of_a_type_that_the_operator_does_not_take():
    error = refusal(model("g (string[2] x) => (string[2] y) { y = Relu(x) }"))
    says(error, "V14 operand-types", "Operand 0 (X) of Relu has a type that it does not take.")
    assert error.found == "x: string[2]"
    assert "tensor(float16)" in error.expected


def test_operands_that_share_a_type_variable_but_not_a_type():
    error = refusal(model("g (float[2] x, double[2] z) => (float[2] y) { y = Add(x, z) }"))
    says(error, "V14 operand-types", "another type than what shares its type T")
    assert (error.found, error.expected) == ("z: double[2]", "tensor(float)")


def test_an_output_of_another_type_than_its_operand():
    error = refusal(model("g (float[2] x) => (double[2] y) { y = Relu(x) }"))
    says(error, "V14 operand-types", "Output 0 (Y) of Relu has another type")


def test_an_initializer_without_a_tensor():
    given = model(X + "{ y = Add(x, w) }", w=np.ones((2, 3), np.float32))
    given.graph.initializers["w"].const_value = None
    says(refusal(given), "V15 initializers", "Initializer 'w' holds no tensor.")


@pytest.mark.parametrize("held", [np.ones((3, 2), np.float32), np.ones((2, 3))])
def test_an_initializer_that_holds_another_type(held):
    given = model(X + "{ y = Add(x, w) }", w=np.ones((2, 3), np.float32))
    value = given.graph.initializers["w"]
    value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape([2, 3])
    value.const_value = ir.tensor(held)
    error = refusal(given)
    says(error, "V15 initializers", "Initializer 'w' holds a tensor of another type.")
    assert error.expected == "w: float[2, 3]"


LOOP = """g (float[2] x) => (float[2] y) {
    y = Loop(n, c, x) <body = b (int64 i, bool k, float[2] a) => (bool q, float[2] r) {
        q = Identity(k) r = Relu(a) }>
}"""
TRIP = {"n": np.array(3), "c": np.array(True)}


def test_bodies_that_fit():
    verify.verify(model(LOOP, **TRIP))


def test_a_branch_with_an_input():
    given = model(BRANCH)
    branch = nodes_of(given)["If"].attributes["then_branch"].as_graph()
    branch.inputs.append(ir.Value(name="extra", type=ir.TensorType(ir.DataType.FLOAT)))
    error = refusal(given)
    says(error, "V16 body-signatures", "Subgraph 'then_branch' of If has the wrong signature.")
    assert (error.found, error.expected) == ("1 inputs and 1 outputs", "0 inputs and 1 outputs")


def test_a_loop_body_that_gives_too_few():
    given = model(LOOP, **TRIP)
    nodes_of(given)["Loop"].attributes["body"].as_graph().outputs.pop()
    assert refusal(given).expected == "3 inputs and 2 outputs"


def test_a_loop_body_that_gives_another_dtype():
    given = model(LOOP.replace("=> (float[2] y)", "=> (double[2] y)"), **TRIP)
    error = refusal(given)
    says(error, "V16 body-signatures", "Output 0 of subgraph 'body' has another type")


FUNCTION = """g (float[2] x) => (float[2] y) { y = my.f <k = 2> (x) }
<domain: "my", opset_import: ["" : 23, "my" : 1]>
f <k> (a) => (b) { c = Constant<value_int: int = @k>() d = CastLike(c, a) b = Mul(a, d) }"""


def with_function(text: str = FUNCTION) -> ir.Model:
    given = model(text)
    given.opset_imports["my"] = 1
    return given


def test_functions_that_are_right():
    verify.verify(with_function())
    verify.verify(with_function(), "core")


def test_a_function_that_calls_itself():
    given = with_function(FUNCTION.replace("b = Mul(a, d)", "e = my.f<k = 1>(a) b = Mul(e, d)"))
    error = refusal(given)
    says(error, "V17 functions", "The function calls itself.")
    assert error.found == "my.f -> my.f"


def test_a_function_in_the_standard_domain():
    given = model(FUNCTION.replace('domain: "my"', 'domain: ""').replace("my.f", "f"))
    says(refusal(given), "V17 functions", "Function 'f' is in the domain of the standard operators")


def test_an_overload_that_does_not_exist():
    given = with_function()
    next(iter(given.graph)).overload = "other"
    says(refusal(given), "V17 functions", "There is no function my.f:other.")


def test_a_reference_to_an_attribute_that_the_function_lacks():
    given = with_function(FUNCTION.replace("@k", "@j"))
    error = refusal(given)
    says(error, "V18 attribute-references", "'value_int' refers to 'j', which does not exist.")
    assert error.where == "Constant (Constant) in graph function my.f"


def test_a_reference_outside_of_a_function():
    given = model(X + "{ y = Softmax<axis: int = @k>(x) }")
    says(refusal(given), "V18 attribute-references", "refers to 'k' outside of a function")


def test_an_input_without_a_type():
    given = model(X + "{ y = Relu(x) }")
    given.graph.inputs[0].type = None
    says(refusal(given), "V19 interface-types", "Graph input 'x' has no type.")


def test_constants_and_identities_are_gone_at_the_core_stage():
    constant = model(X + "{ c = Constant<value_float: float = 2.0>() y = Mul(x, c) }")
    says(refusal(constant, "core"), "V20 stage", "Constant may not exist at stage core.")
    identity = model(X + "{ a = Identity(x) y = Relu(a) }")
    error = refusal(identity, "core")
    says(error, "V20 stage", "Identity at stage core gives no graph output.")
    verify.verify(model(X + "{ y = Identity(x) }"), "core")
    for stage in ("source", "target"):
        verify.verify(constant, stage)
        verify.verify(identity, stage)


def test_the_stage_is_read_from_the_model():
    given = model(X + "{ a = Identity(x) y = Relu(a) }")
    given.metadata_props["sardonyx.stage"] = "core"
    with pytest.raises(VerifyError, match="V20 stage"):
        verify.verify(given)


def test_a_stage_that_does_not_exist():
    error = refusal(model(X + "{ y = Relu(x) }"), "finished")
    assert (error.found, error.expected) == ("finished", "source, core, target")


def test_a_node_that_nobody_reads():
    given = model(X + "{ a = Abs(x) y = Relu(x) }")
    verify.verify(given)
    says(refusal(given, "core"), "V21 nothing-dead", "Nobody reads what the node makes.")


def test_an_initializer_that_nobody_reads():
    given = model(X + "{ a = Add(x, w) y = Relu(x) }", w=np.ones(3, np.float32))
    given.graph.remove(nodes_of(given)["Add"], safe=True)
    says(refusal(given, "core"), "V21 nothing-dead", "Nobody reads initializer 'w'.")


@dataclasses.dataclass(frozen=True)
class NoRelu:
    def refuses(self, node: ir.Node, version: int) -> str | None:
        return f"no kernel for version {version}" if node.op_type == "Relu" else None


def test_an_operator_that_the_target_refuses():
    given = model(BRANCH)
    error = refusal(given, "target", NoRelu())
    says(error, "V22 target", "The target does not accept Relu.")
    assert error.found == "no kernel for version 23"
    assert error.where.endswith("in graph main/If.else_branch")


def test_a_subgraph_of_two_nodes():
    given = model(BRANCH)
    first = nodes_of(given)["If"]
    second = ir.Node("", "If", first.inputs, first.attributes.values(), num_outputs=1)
    given.graph.append(second)
    says(refusal(given), "V23 one-owner", "Subgraph 'then_branch' is also that of another node.")


def test_every_rule_has_its_line_in_the_table_and_its_own_number():
    everything = verify.rules(stages.STAGES["target"], NoRelu())
    listed = [line.split()[:2] for line in verify.__doc__.splitlines() if line.startswith("    V")]
    assert sorted([r.number, r.name] for r in everything) == listed


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_models_of_the_onnx_standard_are_well_formed():
    cases = collect_testcases(None)
    assert len(cases) > 1800
    for case in cases:
        verify.verify(ir.from_proto(case.model))
