"""Graphs and functions that are malformed, or unfold to far too much."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.frontends.hostile.case import Case, edited, grown, model, node, relu, value

IN_A_CIRCLE = "in a circle"


def wrong(make, says: str) -> Case:
    return Case(grown(make), says)


def fine(make, accepted: str) -> Case:
    return Case(grown(make), accepted=accepted)


def branch(name: str, *nodes, output: str = "r") -> onnx.GraphProto:
    made = [each if isinstance(each, onnx.NodeProto) else node(*each) for each in nodes]
    return helper.make_graph(made, name, [], [value(output, [2, 3])])


def branches(*then, output: str = "r", **attributes) -> onnx.ModelProto:
    """If whose one branch is Abs and whose other one is given."""
    both = {
        "then_branch": branch("yes", *then, output=output),
        "else_branch": branch("no", ("Abs", ["n"], ["v"]), output="v"),
        **attributes,
    }
    chosen = helper.make_node("If", ["c"], ["y"], **{k: v for k, v in both.items() if v})
    return model(("Neg", ["x"], ["n"]), chosen, inputs={"c": (TensorProto.BOOL, []), "x": [2, 3]})


def imports(*rows: tuple[str, int]):
    def edit(made: onnx.ModelProto) -> None:
        del made.opset_import[:]
        made.opset_import.extend(helper.make_opsetid(*row) for row in rows)

    return lambda: edited(relu(), edit)


def versioned(ir_version: int):
    return lambda: edited(relu(), lambda m: setattr(m, "ir_version", ir_version))


def same_names() -> onnx.ModelProto:
    made = model(("Relu", ["x"], ["h"]), ("Neg", ["h"], ["y"]))
    for each in made.graph.node:
        each.name = "twin"
    return made


def same_weights() -> onnx.ModelProto:
    made = model(("Add", ["x", "w"], ["y"]), weights={"w": np.ones(3, np.float32)})
    made.graph.initializer.append(made.graph.initializer[0])
    return made


GRAPHS = {
    "cycle": wrong(
        lambda: model(("Add", ["x", "b"], ["a"]), ("Neg", ["a"], ["b"]), ("Relu", ["b"], ["y"])),
        IN_A_CIRCLE,
    ),
    "cycle of one": wrong(lambda: model(("Add", ["x", "y"], ["y"])), IN_A_CIRCLE),
    "cycle through a branch": wrong(
        lambda: edited(
            branches(("Relu", ["n"], ["r"])), lambda m: m.graph.node[0].input.__setitem__(0, "y")
        ),
        IN_A_CIRCLE,
    ),
    "operand that nobody makes": wrong(
        lambda: model(("Relu", ["nobody"], ["y"])), "reads 'nobody'"
    ),
    "output that nobody makes": wrong(lambda: model(("Relu", ["x"], ["z"])), "'y' is not defined"),
    "value made twice": wrong(
        lambda: model(("Relu", ["x"], ["y"]), ("Neg", ["x"], ["y"])), "defined twice"
    ),
    "input that a node makes": wrong(
        lambda: model(("Relu", ["x"], ["x"]), ("Neg", ["x"], ["y"])), "defined twice"
    ),
    "weight that a node makes": wrong(
        lambda: model(("Relu", ["x"], ["w"]), ("Neg", ["w"], ["y"]), weights={"w": np.ones(1)}),
        "defined twice",
    ),
    "inputs of one name": wrong(
        lambda: edited(relu(), lambda m: m.graph.input.append(m.graph.input[0])), "another one"
    ),
    "weights of one name": wrong(same_weights, "another one"),
    "weight without a name": wrong(
        lambda: model(("Relu", ["x"], ["y"]), weights={"": np.ones(1)}), "no name"
    ),
    "input without a name": wrong(
        lambda: edited(relu(), lambda m: m.graph.input.add(name="")), "no name"
    ),
    "branch that is missing": wrong(
        lambda: branches(("Relu", ["n"], ["r"]), else_branch=None), "else_branch"
    ),
    "branch that reads nothing": wrong(
        lambda: branches(("Relu", ["ghost"], ["r"])), "reads 'ghost'"
    ),
    "branch that returns nothing": wrong(
        lambda: branches(("Relu", ["n"], ["r"]), output="ghost"), "'ghost' is not defined"
    ),
    "branch that returns an outer value": wrong(
        lambda: branches(output="n"), "not defined in its own graph"
    ),
    "name that means two values": wrong(
        lambda: branches(("Relu", ["n"], ["r"]), ("Abs", ["x"], ["n"])), "before"
    ),
    "no opset": wrong(imports(), "without importing an opset"),
    "opset 0": wrong(imports(("", 0)), "Opset 0"),
    "opset -1": wrong(imports(("", -1)), "Opset -1"),
    "opset 9999": wrong(imports(("", 9999)), "Opset 9999"),
    "opset 2**63-1": wrong(imports(("", (1 << 63) - 1)), "Opset 9223372036854775807"),
    "opset given twice": wrong(imports(("", 17), ("", 18)), "imported twice"),
    "opset under both its names": wrong(imports(("", 17), ("ai.onnx", 13)), "imported twice"),
    "IR version 0": wrong(versioned(0), "found: 0"),
    "IR version -5": wrong(versioned(-5), "found: -5"),
    "IR version 9999": wrong(versioned(9999), "found: 9999"),
    "unknown operator": wrong(lambda: model(("Bogus", ["x"], ["y"])), "Bogus is no operator"),
    "operator without a name": wrong(lambda: model(("", ["x"], ["y"])), "no operator"),
    "operator of a later opset": wrong(
        lambda: model(("Gelu", ["x"], ["y"])), "no operator of opset 17"
    ),
    "domain that is not imported": wrong(
        lambda: model(("evil::Op", ["x"], ["y"])), "'evil' is not imported"
    ),
    "too many operands": wrong(lambda: model(("Relu", ["x"] * 9, ["y"])), "number of operands"),
    "no operands": wrong(lambda: model(("Add", [], ["y"])), "number of operands"),
    "too many outputs": wrong(lambda: model(("Relu", ["x"], ["y", "z"])), "number of outputs"),
    "nodes in no order": fine(
        lambda: model(("Neg", ["h"], ["y"]), ("Relu", ["x"], ["h"])), "they are put in order"
    ),
    "nodes of one name": fine(same_names, "they get names of their own"),
    "no outputs": fine(lambda: model(("Relu", ["x"], ["y"]), outputs={}), "it computes nothing"),
    "no nodes": fine(lambda: model(outputs={"x": [2, 3]}), "a model may return what it is given"),
}


def calling(*functions: onnx.FunctionProto, call: str = "own::f") -> onnx.ModelProto:
    made = model((call, ["x"], ["y"]), domains=("own",))
    made.functions.extend(functions)
    return made


def function(
    name: str, *nodes, domain: str = "own", opset: int = 17, attributes: tuple[str, ...] = ()
) -> onnx.FunctionProto:
    made = [each if isinstance(each, onnx.NodeProto) else node(*each) for each in nodes]
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    return helper.make_function(domain, name, ["a"], ["b"], made, opsets, list(attributes))


def chain(count: int, calls: int = 1) -> list[onnx.FunctionProto]:
    """Functions of which each calls the one before it, so many times."""
    made = [function("f0", ("Neg", ["a"], ["b"]))]
    for index in range(1, count):
        names = ["a", *(f"t{i}" for i in range(calls - 1)), "b"]
        rows = [(f"own::f{index - 1}", [names[i]], [names[i + 1]]) for i in range(calls)]
        made.append(function(f"f{index}", *rows))
    return made


def in_branches(count: int) -> list[onnx.FunctionProto]:
    """Functions of which each calls the one before it inside a branch."""
    made = [function("f0", ("Neg", ["a"], ["b"]))]
    for index in range(1, count):
        condition = helper.make_node(
            "Constant", [], ["c"], value=numpy_helper.from_array(np.array(True))
        )
        both = {
            key: branch(key, (f"own::f{index - 1}", ["a"], ["r"]))
            for key in ("then_branch", "else_branch")
        }
        chosen = helper.make_node("If", ["c"], ["b"], **both)
        made.append(function(f"f{index}", condition, chosen))
    return made


def with_graph() -> onnx.ModelProto:
    made = calling(function("f", ("Neg", ["a"], ["b"]), attributes=("body",)))
    made.graph.node[0].attribute.append(
        helper.make_attribute("body", branch("g", ("Neg", ["x"], ["r"])))
    )
    return made


FUNCTIONS = {
    "function that calls itself": wrong(
        lambda: calling(function("f", ("own::f", ["a"], ["b"]))), "'f' -> 'f'"
    ),
    "three functions in a ring": wrong(
        lambda: calling(
            function("f", ("own::g", ["a"], ["b"])),
            function("g", ("own::h", ["a"], ["b"])),
            function("h", ("own::f", ["a"], ["b"])),
        ),
        IN_A_CIRCLE,
    ),
    "ring that nobody calls": wrong(
        lambda: edited(
            calling(function("f", ("own::f", ["a"], ["b"]))),
            lambda m: (
                setattr(m.graph.node[0], "op_type", "Relu")
                or setattr(m.graph.node[0], "domain", "")
            ),
        ),
        IN_A_CIRCLE,
    ),
    "25 functions that double": wrong(
        lambda: calling(*chain(20, 2), call="own::f19"), "too many nodes once"
    ),
    "1000 functions that double": wrong(
        lambda: calling(*chain(1000, 2), call="own::f999"), "once its functions are inlined"
    ),
    "functions that multiply by 1000": wrong(
        lambda: calling(*chain(9, 1000), call="own::f8"), "too many nodes once"
    ),
    "1000 functions in a row": wrong(
        lambda: calling(*chain(1000), call="own::f999"), "nested too deeply"
    ),
    "1000 functions that nobody calls": wrong(
        lambda: calling(*chain(1000), call="own::f0"), "nested too deeply"
    ),
    "15 functions in branches": wrong(
        lambda: calling(*in_branches(15), call="own::f14"), "nested too deeply"
    ),
    "function of the standard domain": wrong(
        lambda: calling(function("Relu", ("Neg", ["a"], ["b"]), domain="")), "redefines"
    ),
    "function of ai.onnx": wrong(
        lambda: calling(function("Relu", ("Neg", ["a"], ["b"]), domain="ai.onnx")), "redefines"
    ),
    "function defined twice": wrong(
        lambda: calling(*[function("f", ("Neg", ["a"], ["b"]))] * 2), "defined twice"
    ),
    "function that reads nothing": wrong(
        lambda: calling(function("f", ("Neg", ["ghost"], ["b"]))), "reads 'ghost'"
    ),
    "function that returns nothing": wrong(
        lambda: calling(function("f", ("Neg", ["a"], ["t"]))), "'b' is not defined"
    ),
    "call with too many operands": wrong(
        lambda: edited(
            calling(function("f", ("Neg", ["a"], ["b"]))),
            lambda m: m.graph.node[0].input.append("x"),
        ),
        "cannot be inlined",
    ),
    "call with too many results": wrong(
        lambda: edited(
            calling(function("f", ("Neg", ["a"], ["b"]))),
            lambda m: m.graph.node[0].output.append("z"),
        ),
        "cannot be inlined",
    ),
    "function that takes a graph": wrong(with_graph, "cannot be inlined"),
    "function that nobody defines": wrong(
        lambda: model(("own::f", ["x"], ["y"]), domains=("own",)), "own"
    ),
    "function of opset 9999": wrong(
        lambda: calling(function("f", ("Neg", ["a"], ["b"]), opset=9999)), "9999"
    ),
}
