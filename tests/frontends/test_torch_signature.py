"""Names of inputs, outputs, dims and weights; what the module looks like afterwards."""

from __future__ import annotations

import collections
import dataclasses
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

from sardonyx.frontends import from_torch
from sardonyx.frontends.torch import attempts
from tests.frontends.torch_compare import compare, run

Point = collections.namedtuple("Point", ["left", "right"])


@dataclasses.dataclass(frozen=True)
class State:
    hidden: torch.Tensor
    label: str = "state"
    cell: torch.Tensor | None = None


class Echo(nn.Module):
    """Returns whatever the function makes of the arguments."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: object, y: object = None, *rest: object, z: object = None) -> object:
        return self.function(x, y, rest, z)


def inputs_of(model: ir.Model) -> dict[str, list[int | str]]:
    return {v.name: [getattr(d, "value", d) for d in v.shape] for v in model.graph.inputs}


def outputs_of(model: ir.Model) -> list[str]:
    return [value.name for value in model.graph.outputs]


def tensor(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_inputs_are_named_after_parameters_and_paths() -> None:
    module = Echo(lambda x, y, rest, z: x["a"] + y[0].hidden + y[1] + rest[0] + z.right)
    a, b, c, d, e = (tensor(2, n) for n in (1, 3, 1, 3, 1))
    state = State(b, cell=None)
    model = from_torch(module, ({"a": a, "k": 3}, [state, c], d), {"z": Point(None, e)})
    assert inputs_of(model) == {
        "x.a": [2, 1],
        "y.0.hidden": [2, 3],
        "y.1": [2, 1],
        "rest.0": [2, 3],
        "z.right": [2, 1],
    }
    compare(run(model, [a, b, c, d, e]), [(a + b + c + d + e).numpy()], rtol=1e-6)


def test_inputs_follow_the_order_of_forward() -> None:
    module = Echo(lambda x, y, rest, z: x - y * z)
    x, y, z = tensor(1, 3), tensor(2, 1), tensor(2, 3)
    model = from_torch(module, (), {"z": z, "y": y, "x": x})
    assert list(inputs_of(model)) == ["x", "y", "z"]
    compare(run(model, [x, y, z]), [(x - y * z).numpy()], rtol=1e-6)


def test_a_single_tensor_may_stand_for_the_arguments() -> None:
    model = from_torch(Echo(lambda x, y, rest, z: x * 2), tensor(2, 3))
    assert list(inputs_of(model)) == ["x"]
    assert outputs_of(model) == ["output"]


def test_constants_and_arrays_as_arguments() -> None:
    module = Echo(lambda x, y, rest, z: x * y if z else x)
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    model = from_torch(module, (array, 2.5), {"z": True})
    assert list(inputs_of(model)) == ["x"]
    compare(run(model, [torch.from_numpy(array)]), [array * 2.5], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda x: x + 1, ["output"]),
        (lambda x: (x + 1, x + 2), ["output_0", "output_1"]),
        (lambda x: [x + 1, (x + 2, x + 3)], ["output_0", "output_1.0", "output_1.1"]),
        (lambda x: {"b": x + 1, "a": None, "c": {"d": x + 2}}, ["b", "c.d"]),
        (lambda x: Point(x + 1, [x + 2]), ["left", "right.0"]),
        (lambda x: State(x + 1, "text", x + 2), ["hidden", "cell"]),
        (lambda x: {"n": x.shape[1], "y": x + 1}, ["n", "y"]),
    ],
)
def test_outputs_keep_their_names(make: object, names: list[str]) -> None:
    model = from_torch(Echo(lambda x, y, rest, z: make(x)), tensor(2, 3))
    assert outputs_of(model) == names


def test_outputs_that_are_inputs_weights_or_repeated() -> None:
    class Repeating(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(tensor(3))

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            y = x * self.weight
            return {"x": x, "y": y, "again": y, "weight": self.weight, "alias": x}

    module, x = Repeating(), tensor(2, 3)
    model = from_torch(module, x)
    assert outputs_of(model) == ["x_out", "y", "again", "weight", "alias"]
    y = (x * module.weight).detach().numpy()
    wanted = [x.numpy(), y, y, module.weight.detach().numpy(), x.numpy()]
    compare(run(model, [x]), wanted, rtol=1e-6)


def test_an_input_may_have_the_name_of_a_weight() -> None:
    class Clash(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(tensor(3))
            self.linear = nn.Linear(3, 4)

        def forward(self, weight: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"linear": self.linear(weight * self.weight)}

    module, x = Clash(), tensor(2, 3)
    model = from_torch(module, x)
    assert list(inputs_of(model)) == ["weight"]
    names = [v.name for v in model.graph.initializers.values()]
    assert len(set(names) - {"weight", "linear"}) == 3
    compare(run(model, [x]), [module(x)["linear"].detach().numpy()], rtol=1e-5)


NESTED = ({"a": tensor(2, 3, 4)}, [tensor(2, 5, 4)])


@pytest.mark.parametrize(
    "dynamic",
    [
        {"x.a": {0: "n", 1: "s"}, "y.0": {0: "n", 1: "t"}},
        {"x['a']": {0: "n", 1: "s"}, "y[0]": {0: "n", -2: "t"}},
        {"x": {"a": {0: "n", 1: "s"}}, "y": [{0: "n", 1: "t"}]},
        {0: {"a": ("n", "s", None)}, 1: {0: {0: "n", 1: "t"}}},
        {"x": {0: "n", 1: "s"}, "y": {0: torch.export.Dim("n"), 1: torch.export.Dim("t")}},
    ],
)
def test_dynamic_dims_of_nested_inputs(dynamic: Mapping[object, object]) -> None:
    module = Echo(lambda x, y, rest, z: torch.cat([x["a"], y[0]], 1))
    model = from_torch(module, NESTED, dynamic=dynamic)
    assert inputs_of(model) == {"x.a": ["n", "s", 4], "y.0": ["n", "t", 4]}
    a, b = tensor(3, 1, 4), tensor(3, 6, 4)
    compare(run(model, [a, b]), [torch.cat([a, b], 1).numpy()], rtol=0)


def test_one_name_is_one_dim_throughout_the_graph() -> None:
    module = Echo(lambda x, y, rest, z: (x.flatten(), y * 2))
    dynamic = {"x": {0: "n"}, "y": {0: "n", 1: "m"}}
    model = from_torch(module, (tensor(2, 3), tensor(2, 5)), dynamic=dynamic)
    shapes = [[getattr(d, "value", d) for d in v.shape] for v in model.graph.outputs]
    assert shapes == [["3*n"], ["n", "m"]]


def test_two_names_of_one_dim_are_both_kept() -> None:
    module = Echo(lambda x, y, rest, z: torch.matmul(x, y))
    dynamic = {"x": {1: "k"}, "y": {0: "l"}}
    model = from_torch(module, (tensor(2, 3), tensor(3, 5)), dynamic=dynamic)
    assert inputs_of(model) == {"x": [2, "k"], "y": ["l", 5]}


def test_a_traced_size_of_one_does_not_fix_the_dim() -> None:
    module = Echo(lambda x, y, rest, z: x * y)
    dynamic = {"x": {0: "n", 1: "m"}, "y": {0: "n"}}
    model = from_torch(module, (tensor(1, 1, 4), tensor(1, 1, 4)), dynamic=dynamic)
    x, y = tensor(3, 7, 4), tensor(3, 1, 4)
    compare(run(model, [x, y]), [(x * y).numpy()], rtol=1e-6)


def test_a_decoding_step_of_one_token_and_a_mask_that_depends_on_it() -> None:
    def step(x: torch.Tensor, past: torch.Tensor, rest: object, mask: torch.Tensor) -> torch.Tensor:
        return torch.cat([past, x], 1) * mask

    dynamic = {"x": {1: "new"}, "y": {1: "past"}, "z": {1: "total"}}
    arguments = (tensor(2, 1, 4), tensor(2, 6, 4)), {"z": tensor(2, 7, 1)}
    model = from_torch(Echo(step), *arguments, dynamic=dynamic)
    x, past, mask = tensor(2, 3, 4), tensor(2, 5, 4), tensor(2, 8, 1)
    compare(run(model, [x, past, mask]), [(torch.cat([past, x], 1) * mask).numpy()], rtol=1e-6)


def test_limits_of_a_dim_are_recorded() -> None:
    table = tensor(16, 4)
    module = Echo(lambda x, y, rest, z: x + table[: x.shape[1]])
    model = from_torch(module, tensor(2, 5, 4), dynamic={"x": {0: "n", 1: "seq"}})
    assert json.loads(model.metadata_props["sardonyx.dims"]) == {"seq": {"max": 16}}


@pytest.mark.parametrize(
    ("function", "limits"),
    [
        (lambda x: nn.functional.avg_pool2d(x, 4), {"min": 4}),
        (lambda x: x * 2 if x.shape[2] > 6 else x, {"min": 7}),
        (lambda x: x * 2 if x.shape[2] > 6 else x + x, None),
        (lambda x: x[:, :, 1].sum() + (x * 2 if x.shape[2] > 6 else x + x), {"min": 2}),
    ],
)
def test_lower_limits_are_those_of_the_module(function: Callable[..., Any], limits: object) -> None:
    images = nn.Sequential(Echo(lambda x, y, rest, z: function(x)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = from_torch(images, tensor(2, 3, 17, 19), dynamic={"input": {2: "h"}})
    assert json.loads(model.metadata_props.get("sardonyx.dims", "{}")).get("h") == limits


def test_a_limit_that_follows_from_two_others_is_none() -> None:
    def step(x: torch.Tensor, past: torch.Tensor, rest: object, mask: torch.Tensor) -> torch.Tensor:
        row = torch.cat([past, x], 1)
        torch._check(row.shape[1] <= mask.shape[1])
        return row.sum(1) * mask.sum(1)

    dynamic = {"x": {1: "new"}, "y": {1: "past"}, "z": {1: "total"}}
    arguments = (tensor(2, 3, 4), tensor(2, 6, 4)), {"z": tensor(2, 9, 1)}
    model = from_torch(Echo(step), *arguments, dynamic=dynamic)
    assert "sardonyx.dims" not in model.metadata_props


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.project = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.project(self.norm(x))) + x


class Stack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in (*self.blocks, self.blocks[0]):
            x = block(x)
        return x.exp()


def test_nodes_know_the_module_they_come_from() -> None:
    model = from_torch(Stack(), tensor(2, 4))
    sources = {
        (
            node.op_type,
            node.metadata_props["sardonyx.source"],
            node.metadata_props["sardonyx.class"],
        )
        for node in model.graph
        if node.op_type != "Constant"
    }
    assert sources == {
        *(("LayerNormalization", f"blocks.{i}.norm", "LayerNorm") for i in (0, 1)),
        *(("Gemm", f"blocks.{i}.project", "Linear") for i in (0, 1)),
        *((kind, f"blocks.{i}", "Block") for i in (0, 1) for kind in ("Tanh", "Add")),
        ("Exp", "Stack", "Stack"),
    }
    kept = {key for node in model.graph.all_nodes() for key in node.metadata_props}
    assert kept == {"sardonyx.source", "sardonyx.class"}


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Block()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda y: self.block.project(y).sin(), torch.cos, (x,))


class Outside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.choice = Branching()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.choice(x).exp()


def test_nodes_of_branches_know_the_module_around_them() -> None:
    model = from_torch(Outside(), tensor(2, 4))
    nodes = {n.op_type: n.metadata_props["sardonyx.source"] for n in model.graph.all_nodes()}
    branch = {kind: nodes[kind] for kind in ("If", "Gemm", "Sin", "Cos", "Exp")}
    assert branch == {**dict.fromkeys(["If", "Gemm", "Sin", "Cos"], "choice"), "Exp": "Outside"}


def test_weights_keep_their_names_and_their_memory() -> None:
    module = Stack()
    model = from_torch(module, tensor(2, 4))
    parameters = dict(module.named_parameters())
    for name, value in model.graph.initializers.items():
        if name in parameters:
            shared = value.const_value.numpy()
            assert shared.__array_interface__["data"][0] == parameters.pop(name).data_ptr()
    assert not parameters


def test_the_model_says_what_it_is() -> None:
    model = from_torch(Stack(), tensor(2, 4))
    assert model.opset_imports[""] == 23
    assert model.metadata_props["sardonyx.stage"] == "source"
    assert model.graph.name == "Stack"
    assert not model.functions


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.norm(x))


def test_training_modules_are_captured_in_eval_mode_and_left_as_they_were() -> None:
    module = Noisy().train()
    module.norm.eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    x = tensor(4, 3)
    model = from_torch(module, x, dynamic={"x": {0: "batch"}})
    assert (module.training, module.norm.training, module.drop.training) == (True, False, True)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(parameter.requires_grad for parameter in module.parameters())
    compare(run(model, [x]), [module.eval()(x).detach().numpy()], rtol=1e-5)


SCRIPT = """
import torch
from sardonyx.frontends import from_torch
from sardonyx.frontends.torch import attempts
module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LSTM(4, 5))
from_torch(module, (torch.randn(2, 3),), dynamic={0: {0: "n"}})
"""


def test_nothing_is_printed() -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_strict_capture_gives_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(x: object, y: object, rest: object, z: float) -> object:
        return {"sum": (x["a"] + y.hidden) * z, "state": State(rest[0])}

    a, b, c = tensor(2, 3), tensor(2, 3), tensor(2, 1)
    arguments = ({"a": a}, State(b), c), {"z": 0.5}
    dynamic = {"x": {0: "n"}, "y": {0: "n"}}
    usual = from_torch(Echo(make), *arguments, dynamic=dynamic)
    strategies = [strategy for strategy in attempts.STRATEGIES if strategy.strict]
    monkeypatch.setattr(attempts, "STRATEGIES", strategies)
    strict = from_torch(Echo(make), *arguments, dynamic=dynamic)
    assert inputs_of(strict) == inputs_of(usual)
    assert outputs_of(strict) == outputs_of(usual) == ["sum", "state.hidden"]
    feeds = [tensor(4, 3), tensor(4, 3), c]
    compare(run(strict, feeds), run(usual, feeds), rtol=1e-6)


def test_strict_capture_knows_modules_too(monkeypatch: pytest.MonkeyPatch) -> None:
    strategies = [strategy for strategy in attempts.STRATEGIES if strategy.strict]
    monkeypatch.setattr(attempts, "STRATEGIES", strategies)
    model = from_torch(Stack(), tensor(2, 4))
    sources = [node.metadata_props["sardonyx.source"] for node in model.graph]
    assert {"blocks.0.norm", "blocks.1.project", "blocks.0", "Stack"} <= set(sources)
    assert {"blocks.0.norm.weight", "blocks.1.project.bias"} <= set(model.graph.initializers)
