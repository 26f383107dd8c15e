"""Structural mutants of real models: valid protobuf, and anything else may be wrong.

`python -m tests.frontends.hostile.mutants 4000 [seed [proof]]` loads and compiles
so many, and lists what was not refused in one of the compiler's own errors.
"""

from __future__ import annotations

import copy
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx

from tests.conformance.cases import cases
from tests.frontends.hostile.watched import Watched

NUMBERS = (0, 1, -1, 2, 7, 64, 65, 1 << 31, -(1 << 31), (1 << 63) - 1, -(1 << 63))
FLOATS = (0.0, -1.0, 1e-45, 3e38, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", "x", "\n", "a" * 3000, "NOTSET", "linear", "sum", "..", "%s", "\x00")
OPERATORS = (
    *("Relu", "Add", "Concat", "Split", "If", "Loop", "Reshape", "Gather", "Max", "Conv"),
    *("LayerNormalization", "Transpose", "Cast", "Einsum", "Resize", "Attention", "Bogus", ""),
)

_TOLD_EVERY = 100

Mutation = Callable[[onnx.ModelProto, random.Random], None]


def seeds(groups: tuple[str, ...]) -> list[tuple[str, onnx.ModelProto]]:
    """Models of the onnx package that are small enough to be mutated by the thousand."""
    found = [(case.name, case.model()) for group in groups for case in cases(group)]
    return [(name, model) for name, model in found if model.ByteSize() < 1 << 20]


def _graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    pending = [model.graph]
    while pending:
        graph = pending.pop()
        yield graph
        for node in graph.node:
            pending += [a.g for a in node.attribute if a.HasField("g")]


def _graph(model: onnx.ModelProto, rng: random.Random) -> onnx.GraphProto:
    return rng.choice(list(_graphs(model)))


def _node(model: onnx.ModelProto, rng: random.Random) -> onnx.NodeProto | None:
    graph = _graph(model, rng)
    lists = [graph.node, *(function.node for function in model.functions)]
    nodes = [node for nodes in lists for node in nodes]
    return rng.choice(nodes) if nodes else None


def change_attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    node = _node(model, rng)
    if node is None or not node.attribute:
        return
    attribute = rng.choice(node.attribute)
    kind = onnx.AttributeProto
    if attribute.type == kind.INT:
        attribute.i = rng.choice(NUMBERS)
    elif attribute.type == kind.INTS and attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(NUMBERS)
    elif attribute.type == kind.FLOAT:
        attribute.f = rng.choice(FLOATS)
    elif attribute.type == kind.STRING:
        attribute.s = rng.choice(TEXTS).encode()
    else:
        attribute.type = rng.randrange(15)


def retype_attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    node = _node(model, rng)
    if node is not None and node.attribute:
        rng.choice(node.attribute).type = rng.randrange(15)


def drop_attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    node = _node(model, rng)
    if node is not None and node.attribute:
        del node.attribute[rng.randrange(len(node.attribute))]


def lengthen_attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    node = _node(model, rng)
    lists = [a for a in node.attribute if a.type == onnx.AttributeProto.INTS] if node else []
    if lists:
        rng.choice(lists).ints.extend([rng.choice(NUMBERS)] * rng.choice((1, 3, 70)))


def change_operand(model: onnx.ModelProto, rng: random.Random) -> None:
    node = _node(model, rng)
    if node is None or not node.input:
        return
    known = ["", "ghost", *node.output, *node.input]
    for graph in _graphs(model):
        known += [value.name for value in (*graph.input, *graph.output, *graph.initializer)]
        known += [name for other in graph.node for name in other.output]
    node.input[rng.randrange(len(node.input))] = rng.choice(known)


def add_operand(model: onnx.ModelProto, rng: random.Random) -> None:
    node = _node(model, rng)
    if node is not None:
        node.input.extend([rng.choice(["", *node.input])] * rng.choice((1, 2, 40)))


def drop_operand(model: onnx.ModelProto, rng: random.Random) -> None:
    node = _node(model, rng)
    if node is not None and node.input:
        del node.input[rng.randrange(len(node.input))]


def change_output(model: onnx.ModelProto, rng: random.Random) -> None:
    node = _node(model, rng)
    if node is not None and node.output:
        node.output[rng.randrange(len(node.output))] = rng.choice(("", "z", *node.input))


def change_operator(model: onnx.ModelProto, rng: random.Random) -> None:
    node = _node(model, rng)
    if node is not None:
        node.op_type = rng.choice(OPERATORS)


def change_domain(model: onnx.ModelProto, rng: random.Random) -> None:
    node = _node(model, rng)
    if node is not None:
        node.domain = rng.choice(("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "evil"))


def drop_node(model: onnx.ModelProto, rng: random.Random) -> None:
    graph = _graph(model, rng)
    if graph.node:
        del graph.node[rng.randrange(len(graph.node))]


def repeat_node(model: onnx.ModelProto, rng: random.Random) -> None:
    graph, node = _graph(model, rng), _node(model, rng)
    if node is not None:
        # The graph may be inside of the node, which cannot be copied into itself.
        whole = copy.deepcopy(node)
        twin = graph.node.add()
        twin.CopyFrom(whole)
        for index, name in enumerate(twin.output):
            twin.output[index] = f"{name}.twin"


def swap_nodes(model: onnx.ModelProto, rng: random.Random) -> None:
    graph = _graph(model, rng)
    nodes = [copy.deepcopy(node) for node in graph.node]
    rng.shuffle(nodes)
    del graph.node[:]
    graph.node.extend(nodes)


def _tensors(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    found = [tensor for graph in _graphs(model) for tensor in graph.initializer]
    nodes = [node for graph in _graphs(model) for node in graph.node]
    return found + [a.t for node in nodes for a in node.attribute if a.HasField("t")]


def change_tensor(model: onnx.ModelProto, rng: random.Random) -> None:
    tensors = _tensors(model)
    if not tensors:
        return
    tensor = rng.choice(tensors)
    what = rng.randrange(5)
    if what == 0 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(NUMBERS)
    elif what == 1:
        tensor.dims.append(rng.choice(NUMBERS))
    elif what == 2:
        tensor.data_type = rng.randrange(-1, 30)
    elif what == 3:
        tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data) + 1)]
    else:
        size = len(tensor.raw_data)
        tensor.raw_data = rng.randbytes(size)


def change_type(model: onnx.ModelProto, rng: random.Random) -> None:
    graph = _graph(model, rng)
    values = [v for v in (*graph.input, *graph.output) if v.type.HasField("tensor_type")]
    if not values:
        return
    declared = rng.choice(values).type.tensor_type
    what = rng.randrange(4)
    if what == 0:
        declared.elem_type = rng.randrange(-1, 30)
    elif what == 1:
        declared.ClearField("shape")
    elif what == 2:
        dim = declared.shape.dim.add()
        dim.dim_value = rng.choice(NUMBERS)
    elif declared.shape.dim:
        dim = rng.choice(declared.shape.dim)
        if rng.random() < 0.5:
            dim.dim_value = rng.choice(NUMBERS)
        else:
            dim.dim_param = rng.choice(("n", "n*n", "", "2**n", "n/0", "-1"))


def drop_type(model: onnx.ModelProto, rng: random.Random) -> None:
    graph = _graph(model, rng)
    values = [*graph.input, *graph.output]
    if values:
        rng.choice(values).ClearField("type")


def drop_value(model: onnx.ModelProto, rng: random.Random) -> None:
    graph = _graph(model, rng)
    values = rng.choice((graph.input, graph.output, graph.initializer))
    if values:
        del values[rng.randrange(len(values))]


def freeze_input(model: onnx.ModelProto, rng: random.Random) -> None:
    """Make a constant of an input, so that more is folded."""
    graph = model.graph
    known = [v for v in graph.input if v.type.HasField("tensor_type")]
    if not known:
        return
    value = rng.choice(known)
    declared = value.type.tensor_type
    count = 1
    dims = [d.dim_value for d in declared.shape.dim]
    for dim in dims:
        count *= dim
    if declared.elem_type not in (1, 6, 7) or not 0 <= count <= 4096:
        return
    width = 4 if declared.elem_type != 7 else 8
    content = rng.choice((bytes(count * width), b"\xff" * count * width))
    lowest = (bytes(width - 1) + b"\x80") * count
    tensor = graph.initializer.add(name=value.name, data_type=declared.elem_type, dims=dims)
    tensor.raw_data = rng.choice((content, lowest))
    graph.input.remove(value)


def change_opset(model: onnx.ModelProto, rng: random.Random) -> None:
    if model.opset_import:
        rng.choice(model.opset_import).version = rng.choice((*range(1, 27), *NUMBERS))


MUTATIONS: tuple[Mutation, ...] = (
    *(change_attribute, change_attribute, retype_attribute, drop_attribute, lengthen_attribute),
    *(change_operand, change_operand, add_operand, drop_operand, change_output),
    *(change_operator, change_domain, drop_node, repeat_node, swap_nodes),
    *(change_tensor, change_tensor, change_type, change_type, drop_type, drop_value),
    *(freeze_input, freeze_input, change_opset),
)


def mutants(
    of: list[tuple[str, onnx.ModelProto]], count: int, seed: int
) -> Iterator[tuple[str, bytes]]:
    """Yield mutants, each of one to three mutations, with the names of these."""
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        name, model = rng.choice(of)
        mutant = copy.deepcopy(model)
        done = [name]
        for mutate in rng.choices(MUTATIONS, k=rng.choice((1, 1, 2, 3))):
            try:
                mutate(mutant, rng)
            except ValueError:
                continue  # protobuf takes no such number there
            done.append(mutate.__name__)
        yield f"{seed}/{number}: {' '.join(done)}", mutant.SerializeToString()


def outcome(answer: dict[str, object]) -> str:
    for kind in ("death", "crash"):
        if kind in answer:
            return kind
    if "error" in answer:
        return str(answer["kind"])
    return "holds" if answer["holds"] else "taken, not compared"


def main() -> None:
    """Report the outcomes of so many mutants."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 31)
    level = sys.argv[3] if len(sys.argv) > 3 else "pass"
    print("seed", seed)
    outcomes: Counter[str] = Counter()
    slowest, largest = 0.0, 0
    with tempfile.TemporaryDirectory() as place, Watched(Path(place)) as watched:
        path = Path(place) / "mutant.onnx"
        of = seeds(("node", "light", "simple", "pytorch-converted", "pytorch-operator"))
        for number, (name, content) in enumerate(mutants(of, count, seed), 1):
            path.write_bytes(content)
            answer = watched.ask(path, level)
            outcomes[outcome(answer)] += 1
            slowest = max(slowest, float(answer.get("seconds", 0)))
            largest = max(largest, int(answer.get("peak", 0)))
            is_odd = outcome(answer) in {"death", "crash", "RewriteError"}
            if is_odd or float(answer.get("seconds", 0)) > 2:
                print(name, answer, flush=True)
            if number % _TOLD_EVERY == 0:
                print(number, dict(outcomes), flush=True)
    print(dict(outcomes), f"slowest {slowest:.2f} s, largest {largest >> 20} MiB")


if __name__ == "__main__":
    main()
