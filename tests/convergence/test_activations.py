"""Every exporter's spelling of every activation function comes out as the same operators."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN

from sardonyx import compiler
from tests.convergence.models import Subject
from tests.convergence.sources import SOURCES
from tests.support.run import run_ort

MOVEMENT = {"Gather", "Slice", "Split", "Squeeze", "Reshape", "Identity", "Transpose"}


def _slices(x: Tensor) -> tuple[Tensor, Tensor]:
    half = x.shape[-1] // 2
    return x[..., :half], x[..., half:]


@dataclass(frozen=True)
class Case:
    """An activation and what it is recognised as."""

    function: Callable[[Tensor], Tensor]
    operators: str


CASES = {
    "gelu": Case(nn.GELU(), "Gelu"),
    "gelu by erf": Case(lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)), "Gelu"),
    "gelu_python": Case(ACT2FN["gelu_python"], "Gelu"),
    "gelu_10": Case(ACT2FN["gelu_10"], "Clip Gelu"),
    "gelu, tanh": Case(nn.GELU("tanh"), "Gelu"),
    "gelu_new": Case(ACT2FN["gelu_new"], "Gelu"),
    "gelu_fast": Case(ACT2FN["gelu_fast"], "Gelu"),
    "gelu_accurate": Case(ACT2FN["gelu_accurate"], "Gelu"),
    "quick_gelu": Case(ACT2FN["quick_gelu"], "Mul Mul Sigmoid"),
    "silu": Case(nn.SiLU(), "Mul Sigmoid"),
    "silu by exp": Case(lambda x: x / (1 + torch.exp(-x)), "Mul Sigmoid"),
    "sigmoid by exp": Case(lambda x: 1 / (1 + torch.exp(-x)), "Sigmoid"),
    "hardswish": Case(nn.Hardswish(), "HardSwish"),
    "hardswish by relu6": Case(lambda x: x * functional.relu6(x + 3) / 6, "HardSwish"),
    "hardswish by clamp": Case(lambda x: x * torch.clamp(x / 6 + 0.5, 0, 1), "HardSwish"),
    "hardsigmoid": Case(nn.Hardsigmoid(), "HardSigmoid"),
    "hardsigmoid by relu6": Case(lambda x: functional.relu6(x + 3) / 6, "HardSigmoid"),
    "hardsigmoid by clamp": Case(lambda x: torch.clamp(x / 6 + 0.5, 0, 1), "HardSigmoid"),
    "mish": Case(nn.Mish(), "Mish"),
    "mish by softplus": Case(lambda x: x * torch.tanh(functional.softplus(x)), "Mish"),
    "mish by log": Case(lambda x: x * torch.tanh(torch.log(1 + torch.exp(x))), "Mish"),
    "softplus": Case(nn.Softplus(), "Softplus"),
    "softplus by log": Case(lambda x: torch.log1p(torch.exp(x)), "Softplus"),
    "relu6": Case(nn.ReLU6(), "Clip"),
    "leaky relu": Case(nn.LeakyReLU(0.1), "LeakyRelu"),
    "leaky relu by where": Case(lambda x: torch.where(x > 0, x, 0.1 * x), "LeakyRelu"),
    "leaky relu by maximum": Case(lambda x: torch.maximum(x, 0.1 * x), "LeakyRelu"),
    "leaky relu by relus": Case(
        lambda x: functional.relu(x) - 0.1 * functional.relu(-x), "LeakyRelu"
    ),
    "prelu of one slope": Case(nn.PReLU(), "LeakyRelu"),
    "elu": Case(nn.ELU(), "Elu"),
    "gated silu": Case(
        lambda x: functional.silu(x.chunk(2, -1)[0]) * x.chunk(2, -1)[1], "Mul Mul Sigmoid"
    ),
    "gated gelu": Case(
        lambda x: x.chunk(2, -1)[0] * functional.gelu(x.chunk(2, -1)[1]), "Gelu Mul"
    ),
    "gated gelu, slices": Case(
        lambda x: functional.gelu(_slices(x)[1]) * _slices(x)[0], "Gelu Mul"
    ),
}


class All(nn.Module):
    """Each activation, of a part of the input of its own."""

    def __init__(self) -> None:
        super().__init__()
        functions = [copy.deepcopy(case.function) for case in CASES.values()]
        self.parts = nn.ModuleList(f for f in functions if isinstance(f, nn.Module))
        self._functions = functions

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(f(x[:, i]) for i, f in enumerate(self._functions))


def _example(batch: int) -> dict[str, Tensor]:
    torch.manual_seed(3)
    return {"x": 2 * torch.randn(batch, len(CASES), 3, 8)}


SUBJECT = Subject(
    "activations",
    lambda _: All(),
    _example,
    {"x": {0: "batch"}},
    {"batch": 2},
    {"batch": 1},
    ("",),
)


def operators(value: ir.Value) -> Iterator[str]:
    """The operators that a value is computed by, but for those that move data."""
    node = value.producer()
    seen: set[ir.Node] = set()
    pending = [node] if node is not None else []
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.op_type not in MOVEMENT:
            yield node.op_type
        pending += [p for v in node.inputs if v is not None and (p := v.producer()) is not None]


EXPORTERS = {"legacy-17", "dynamo-18", "dynamo-23", "sardonyx"}
CHOSEN = [source for source in SOURCES if source.name in EXPORTERS]


@pytest.mark.parametrize("source", CHOSEN, ids=lambda source: source.name)
def test_every_spelling_is_recognised(source):
    given = source.model(SUBJECT, "", is_dynamic=True)
    made = compiler.compile(given, "portable", verify_level=2).model
    found = {
        name: " ".join(sorted(operators(output)))
        for name, output in zip(CASES, made.graph.outputs, strict=True)
    }
    assert found == {name: case.operators for name, case in CASES.items()}
    feeds = {"x": _example(1)["x"].numpy()}
    with torch.no_grad():
        wanted = SUBJECT.module("")(torch.from_numpy(feeds["x"]))
    for target in ("portable", "cpu"):
        compiled = compiler.compile(given, target).model
        for a, b in zip(wanted, run_ort(compiled, feeds), strict=True):
            np.testing.assert_allclose(b, a.numpy(), atol=2e-6, rtol=2e-5)
