"""Models that are well-formed, and whose evaluation traps, grows or never ends."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.frontends.hostile.case import Case, grown, model, value

INT_MIN = np.iinfo(np.int32).min
BOOL, INT64, STRING = TensorProto.BOOL, TensorProto.INT64, TensorProto.STRING


def kept(make, accepted: str) -> Case:
    return Case(grown(make), accepted=accepted)


def constants(operator: str, *arrays: Any, opset: int = 17, **attributes: Any) -> onnx.ModelProto:
    """One operator on constants: whoever folds constants computes it while loading."""
    weights = {f"c{i}": np.asarray(array) for i, array in enumerate(arrays)}
    return model(
        (operator, list(weights), ["y"], attributes), inputs={}, weights=weights, opset=opset
    )


def doubling(count: int, *, dynamic: bool) -> onnx.ModelProto:
    """Each Concat doubles what is there."""
    names = ["x", *(f"t{i}" for i in range(count - 1)), "y"]
    rows = [("Concat", [a, a], [b], {"axis": 0}) for a, b in itertools.pairwise(names)]
    if dynamic:
        return model(*rows, inputs={"x": [2, 3]})
    return model(*rows, inputs={}, weights={"x": np.ones(1024, np.float32)})


def powers(count: int) -> onnx.ModelProto:
    """A dimension squared and squared again is the next one."""
    names = ["n", *(f"t{i}" for i in range(count))]
    rows = [("Mul", [a, a], [b]) for a, b in itertools.pairwise(names)]
    end = ("Expand", ["o", names[-1]], ["y"])
    start = ("Shape", ["x"], ["n"])
    return model(start, *rows, end, inputs={"x": ["batch"]}, weights={"o": np.ones(1, np.float32)})


def sums(count: int) -> onnx.ModelProto:
    """Products of sums of dimensions, each twice as long as the one before."""
    rows: list[Any] = [("Shape", ["x"], ["s"]), ("Split", ["s"], ["p0", "p1"], {"axis": 0})]
    names = ["p0", "p1"]
    for index in range(count):
        a, b = names[-2:]
        rows += [("Mul", [a, b], [f"m{index}"]), ("Add", [f"m{index}", a], [f"a{index}"])]
        names.append(f"a{index}")
    rows.append(("Expand", ["o", names[-1]], ["y"]))
    return model(*rows, inputs={"x": ["n", "m"]}, weights={"o": np.ones(1, np.float32)})


def endless() -> onnx.ModelProto:
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Add", ["a", "a"], ["b"])],
        "body",
        [value("i", (INT64, [])), value("c", (BOOL, [])), value("a", [3])],
        [value("d", (BOOL, [])), value("b", [3])],
    )
    loop = helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body)
    return model(loop, inputs={"x": [3]}, weights={"trips": np.array(1 << 62)})


def loops(depth: int) -> onnx.ModelProto:
    """Loops inside each other, of which each changes what it carries."""
    nodes = [helper.make_node("Concat", ["a0", "a0"], ["b0"], axis=0)]
    for level in range(depth):
        body = helper.make_graph(
            [helper.make_node("Identity", [f"c{level}"], [f"d{level}"]), *nodes],
            f"body{level}",
            [
                value(f"i{level}", (INT64, [])),
                value(f"c{level}", (BOOL, [])),
                value(f"a{level}", None),
            ],
            [value(f"d{level}", (BOOL, [])), value(f"b{level}", None)],
        )
        outer = [f"a{level + 1}", f"b{level + 1}"] if level + 1 < depth else ["x", "y"]
        nodes = [helper.make_node("Loop", ["trips", "", outer[0]], [outer[1]], body=body)]
    return model(*nodes, inputs={"x": ["n"]}, weights={"trips": np.array(1)})


def carried(count: int) -> onnx.ModelProto:
    """A loop whose operands move one place on in each pass, and with them one more shape."""
    names = [f"a{i}" for i in range(count)]
    nodes = [helper.make_node("Identity", ["c"], ["d"])]
    nodes += [helper.make_node("Concat", ["a0", "a0"], ["b0"], axis=0)]
    nodes += [helper.make_node("Identity", [f"a{i - 1}"], [f"b{i}"]) for i in range(1, count)]
    body = helper.make_graph(
        nodes,
        "body",
        [value("i", (INT64, [])), value("c", (BOOL, [])), *(value(n, None) for n in names)],
        [value("d", (BOOL, [])), *(value(f"b{i}", None) for i in range(count))],
    )
    made = helper.make_node(
        "Loop", ["trips", "", *["x"] * count], ["y", *(f"z{i}" for i in range(1, count))], body=body
    )
    return model(made, inputs={"x": ["n"]}, weights={"trips": np.array(1)})


def row(count: int) -> onnx.ModelProto:
    names = ["x", *(f"t{i}" for i in range(count - 1)), "y"]
    pairs = itertools.pairwise(names)
    return model(*[("Cos" if i % 2 else "Sin", [a], [b]) for i, (a, b) in enumerate(pairs)])


def regex() -> onnx.ModelProto:
    made = constants("RegexFullMatch", np.array(["a" * 40 + "!"]), opset=20, pattern="(a+)+b")
    made.graph.output[0].type.tensor_type.elem_type = BOOL
    return made


def repeated_text() -> onnx.ModelProto:
    text = np.array(["x" * 1_000_000], dtype=object)
    made = constants("Expand", text, np.array([100_000]))
    made.graph.output[0].type.tensor_type.elem_type = STRING
    return made


def ints(made: onnx.ModelProto, dtype: int = INT64) -> onnx.ModelProto:
    made.graph.output[0].type.tensor_type.elem_type = dtype
    return made


def wide(array: Any) -> np.ndarray:
    return np.asarray(array, np.int64)


NOT_FOLDED = "it is not computed here; the proof's own process dies or refuses"
TOO_LARGE = "it is not computed here; no machine can run it"
RUNS = "it means something, and is bounded"
COMPUTING = {
    "INT_MIN / -1": kept(
        lambda: ints(
            constants("Div", np.array([INT_MIN], np.int32), np.array([-1], np.int32)),
            TensorProto.INT32,
        ),
        NOT_FOLDED,
    ),
    "INT64_MIN / -1": kept(
        lambda: ints(constants("Div", wide([-(1 << 63)]), wide([-1]))), NOT_FOLDED
    ),
    "INT_MIN % -1": kept(
        lambda: ints(constants("Mod", wide([-(1 << 63)]), wide([-1]))), NOT_FOLDED
    ),
    "1 / 0": kept(lambda: ints(constants("Div", wide([1, 2]), wide([0, 1]))), NOT_FOLDED),
    "1 % 0": kept(lambda: ints(constants("Mod", wide([1, 2]), wide([0, 1]))), NOT_FOLDED),
    "8-bit 1 / 0": kept(
        lambda: ints(
            constants("Div", np.array([1], np.uint8), np.array([0], np.uint8)), TensorProto.UINT8
        ),
        NOT_FOLDED,
    ),
    "a shape divided by 0": kept(
        lambda: model(
            ("Shape", ["x"], ["s"]),
            ("Div", ["s", "z"], ["d"]),
            ("Expand", ["o", "d"], ["y"]),
            inputs={"x": ["n", 3]},
            weights={"z": wide([0]), "o": np.ones(1, np.float32)},
        ),
        NOT_FOLDED,
    ),
    "shift by 99": kept(
        lambda: ints(
            constants(
                "BitShift",
                np.array([1, 2], np.uint64),
                np.array([99, 1], np.uint64),
                direction="LEFT",
            ),
            TensorProto.UINT64,
        ),
        "all bits are shifted out",
    ),
    "constant doubled 25 times": kept(lambda: doubling(25, dynamic=False), TOO_LARGE),
    "constant doubled 70 times": Case(
        grown(lambda: doubling(70, dynamic=False)), "more elements than any memory"
    ),
    "input doubled 70 times": Case(
        grown(lambda: doubling(70, dynamic=True)), "more elements than any memory"
    ),
    "2**40 zeros": kept(lambda: constants("ConstantOfShape", wide([1 << 40])), TOO_LARGE),
    "2**62 zeros": Case(
        grown(lambda: constants("ConstantOfShape", wide([1 << 62]))), "more elements than any"
    ),
    "zeros of -1": kept(lambda: constants("ConstantOfShape", wide([-1])), NOT_FOLDED),
    "expanded to 2**40": kept(
        lambda: constants("Expand", np.ones(1, np.float32), wide([1 << 40])), TOO_LARGE
    ),
    "2**40 copies": kept(
        lambda: constants("Tile", np.ones(1, np.float32), wide([1 << 40])), TOO_LARGE
    ),
    "2**40 of padding": kept(
        lambda: constants("Pad", np.ones(1, np.float32), wide([1 << 40, 0])), TOO_LARGE
    ),
    "padding of -2**62": kept(
        lambda: constants("Pad", np.ones(1, np.float32), wide([-(1 << 62), 0])), NOT_FOLDED
    ),
    "range to 2**62": Case(
        grown(lambda: ints(constants("Range", wide(0), wide(1 << 62), wide(1)))), "more elements"
    ),
    "range in steps of 0": Case(
        grown(lambda: ints(constants("Range", wide(0), wide(10), wide(0)))), "must not be zero"
    ),
    "one of 2**40": kept(
        lambda: ints(constants("OneHot", wide([0]), wide(1 << 40), wide([0, 1]))), TOO_LARGE
    ),
    "resized by 2**30": kept(
        lambda: model(
            ("Resize", ["x", "", "s"], ["y"]),
            inputs={"x": [1, 1, 4, 4]},
            weights={"s": np.array([1, 1, 2**30, 2**30], np.float32)},
        ),
        TOO_LARGE,
    ),
    "resized to -2**63": Case(
        grown(
            lambda: model(
                ("Resize", ["x", "", "", "s"], ["y"], {"keep_aspect_ratio_policy": "not_larger"}),
                inputs={"x": [1, 1, 2, 4]},
                weights={"s": wide([-(1 << 63)] * 4)},
                opset=19,
            )
        ),
        "more elements",
    ),
    "index beyond a constant": kept(
        lambda: constants("Gather", np.ones(3, np.float32), wide([1 << 40])), NOT_FOLDED
    ),
    "shape that does not fit": kept(
        lambda: constants("Reshape", np.ones(6, np.float32), wide([4, -1])), NOT_FOLDED
    ),
    "expression that takes for ever": kept(regex, "it is not matched here"),
    "text of a megabyte 100000 times": kept(repeated_text, "it is not repeated here"),
    "product of large integers": kept(
        lambda: ints(constants("MatMul", *[np.ones((1200, 1200), np.int64)] * 2)),
        "it would take long, and is left to the runtime",
    ),
    "2**62 passes of a loop": kept(endless, "the proof ends it"),
    "20 loops inside each other": kept(lambda: loops(20), RUNS),
    "loop that carries 40 values": kept(lambda: carried(40), RUNS),
    "dimension squared 60 times": kept(lambda: powers(60), TOO_LARGE),
    "sums of products of dimensions": kept(lambda: sums(40), TOO_LARGE),
    "row of 30 nodes": kept(lambda: row(30), RUNS),
    "transposes of different ranks": kept(
        lambda: model(
            ("Transpose", ["x"], ["a"], {"perm": [1, 0]}),
            ("Transpose", ["a"], ["b"], {"perm": [2, 1, 0]}),
            ("Relu", ["b"], ["y"]),
            inputs={"x": None},
        ),
        NOT_FOLDED,
    ),
    "Max with nothing": kept(
        lambda: model(("Max", ["x", ""], ["y"])),
        "operands that are left out at the end are dropped",
    ),
    "DFT without length": kept(
        lambda: model(("DFT", ["x", "", ""], ["y"]), inputs={"x": [1, 8, 1]}, opset=20),
        "operands that are left out at the end are dropped",
    ),
    "attention without bias": kept(
        lambda: model(
            ("com.microsoft::Attention", ["x", "w"], ["y"], {"num_heads": 2}),
            inputs={"x": [1, 4, 6]},
            weights={"w": np.ones((6, 18), np.float32)},
            domains=("com.microsoft",),
        ),
        "ONNX Runtime dies of it, in a process of its own",
    ),
    "operator of a domain that nobody knows": Case(
        grown(lambda: model(("evil::Op", ["x"], ["y"]), domains=("evil",))),
        "knows no domain 'evil'",
    ),
}
