"""Programs that the user captured with torch.export."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.export import Dim

from sardonyx.compiler.errors import CaptureError
from sardonyx.frontends import from_torch
from tests.frontends.test_torch_signature import inputs_of, outputs_of
from tests.frontends.torch_compare import compare, run


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(
        self, x: torch.Tensor, past: list[dict[str, torch.Tensor]], *, scale: torch.Tensor
    ) -> dict[str, object]:
        y = self.linear(x + past[0]["k"]) * scale
        return {"y": y, "nested": (y + 1, None), "x": x}


@pytest.fixture
def arguments() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(2, 4), torch.randn(2, 4), torch.randn(3)


def program(
    arguments: tuple[torch.Tensor, ...], dim: object = None
) -> torch.export.ExportedProgram:
    x, k, scale = arguments
    axes = {0: dim} if dim is not None else None
    shapes = {"x": axes, "past": [{"k": axes}], "scale": None}
    return torch.export.export(Model(), (x, [{"k": k}]), {"scale": scale}, dynamic_shapes=shapes)


def test_names_come_from_the_captured_structure(arguments: tuple[torch.Tensor, ...]) -> None:
    captured = program(arguments, Dim("n"))
    model = from_torch(captured, dynamic={"x": {0: "batch"}, "past": [{"k": {0: "batch"}}]})
    assert inputs_of(model) == {"x": ["batch", 4], "past.0.k": ["batch", 4], "scale": [3]}
    assert outputs_of(model) == ["y", "nested.0", "x_out"]
    assert {node.metadata_props["sardonyx.source"] for node in model.graph} >= {"linear"}
    x, k, scale = torch.randn(5, 4), torch.randn(5, 4), arguments[2]
    wanted = captured.module()(x, [{"k": k}], scale=scale)
    numbers = [wanted["y"], wanted["nested"][0], x]
    found = run(model, [x, k, scale])
    compare(found, [number.detach().numpy() for number in numbers], rtol=1e-5)


def test_a_program_that_went_through_a_file(arguments: tuple, tmp_path: object) -> None:
    torch.export.save(program(arguments, Dim("n")), tmp_path / "model.pt2")
    model = from_torch(torch.export.load(tmp_path / "model.pt2"))
    assert list(inputs_of(model)) == ["x", "past.0.k", "scale"]
    assert outputs_of(model) == ["y", "nested.0", "x_out"]
    assert set(model.graph.initializers) == {"linear.weight", "linear.bias"}


def test_a_dim_that_the_program_fixes(arguments: tuple[torch.Tensor, ...]) -> None:
    with pytest.raises(CaptureError) as error:
        from_torch(program(arguments), dynamic={"x": {0: "batch"}})
    assert str(error.value) == (
        "the program does not let the dim 'batch' vary\n  where: axis 0 of input 'x'\n"
        "  found: the fixed size 2\n"
        "  try: name the dim in dynamic_shapes of torch.export.export"
    )
