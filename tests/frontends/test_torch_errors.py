"""What cannot be captured is refused with one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from sardonyx.compiler.errors import CaptureError
from sardonyx.frontends import from_torch

X = torch.randn(2, 3)


class Double(nn.Module):
    def forward(self, x: torch.Tensor, y: dict[str, torch.Tensor] | None = None) -> torch.Tensor:
        return x * 2 if y is None else x * y["k"]


@pytest.mark.parametrize(
    ("dynamic", "message"),
    [
        (
            {"z": {0: "n"}},
            "dynamic names the input 'z', which does not exist\n  expected: one of x, y.k",
        ),
        (
            {2: {0: "n"}},
            "dynamic names input 2, which does not exist\n  expected: a position below 2 (x, y)",
        ),
        (
            {"x": {2: "n"}},
            "dynamic names axis 2 of input 'x', which does not exist\n"
            "  found: shape (2, 3)\n  expected: an axis from 0 to 1",
        ),
        (
            {"x": {"0": "n"}},
            "dynamic names axis '0' of input 'x', which does not exist\n"
            "  found: shape (2, 3)\n  expected: an axis from 0 to 1",
        ),
        (
            {"x": "n"},
            "dynamic has an entry that is neither axes nor nested inputs\n"
            "  where: dynamic['x']\n  found: 'n'\n"
            "  expected: a mapping from axis to dim name, such as {0: 'batch'}",
        ),
        (
            {"x": {0: "batch size"}},
            "a dynamic dim needs a name\n  where: input 'x', axis 0\n  found: 'batch size'\n"
            "  expected: a word of letters, digits and underscores, such as 'batch'",
        ),
        (
            {"x": {0: "n", 1: "n"}},
            "the dynamic dim 'n' has two sizes in the example inputs\n"
            "  found: 2 on axis 0 of 'x', 3 on axis 1 of 'x'\n"
            "  try: give the two dims different names, or examples of one size",
        ),
    ],
)
def test_malformed_dynamic(dynamic: object, message: str) -> None:
    with pytest.raises(CaptureError) as error:
        from_torch(Double(), (X, {"k": X}), dynamic=dynamic)
    assert str(error.value) == message


def test_arguments_that_do_not_fit() -> None:
    with pytest.raises(CaptureError) as error:
        from_torch(Double(), (X,), {"x": X})
    assert "do not fit Double.forward: multiple values for argument 'x'" in str(error.value)
    assert "expected: forward(x: 'torch.Tensor', y: " in str(error.value)


@pytest.mark.parametrize(
    ("call", "operator", "x", "found", "expected"),
    [
        (torch.trunc, "aten.trunc.default", torch.arange(6), "int64[6]", "float"),
        (torch.square, "aten.pow.Tensor_Scalar", torch.ones(6, dtype=torch.uint8), "uint8", "int"),
        (lambda x: torch.stack([x, x * 1.5]), "aten.stack.default", torch.arange(6), "float", "64"),
    ],
)
def test_dtypes_that_onnx_does_not_take(call, operator, x, found, expected) -> None:
    class Layer(nn.Module):
        def forward(self, number: torch.Tensor) -> torch.Tensor:
            return call(number)  # the line

    with pytest.raises(CaptureError) as error:
        from_torch(nn.Sequential(nn.Identity(), Layer()), (x,))
    said = error.value
    assert said.what == (
        f"Sequential was captured, but {operator} could not be lowered to ONNX for its dtypes"
    )
    assert said.where == f"1, at {__file__}:{_line('the line')}"
    assert found in said.found
    assert expected in said.expected
    assert said.remedy.startswith("cast what it reads")
    program = torch.export.export(Layer(), (x,))
    with pytest.raises(CaptureError) as error:
        from_torch(program)
    assert error.value.what.startswith(f"program was captured, but {operator} could not")


def _line(mark: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (found,) = [n for n, line in enumerate(lines, 1) if line.endswith(f"# {mark}")]
    return found


def test_what_is_not_lowered_for_complex_numbers() -> None:
    class Sorted(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.view_as_real(torch.cumsum(torch.fft.fft(x), -1))

    with pytest.raises(CaptureError) as error:
        from_torch(Sorted(), (X,))
    assert error.value.what.endswith("without a lowering to ONNX: aten.cumsum.default")
    assert error.value.found.startswith("no lowering for complex numbers; tried: ")
    assert "torch.view_as_real" in error.value.remedy


def test_what_is_no_module() -> None:
    with pytest.raises(CaptureError) as error:
        from_torch(lambda x: x, (X,))
    assert str(error.value) == (
        "only PyTorch modules and exported programs can be captured\n  found: a function\n"
        "  try: wrap the function in a torch.nn.Module with a forward method"
    )


class Nothing(nn.Module):
    def forward(self, x: torch.Tensor) -> None:
        return None


def test_a_module_without_outputs() -> None:
    with pytest.raises(CaptureError, match="Nothing returns no tensors"):
        from_torch(Nothing(), X)


class Fixed(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x.reshape(2, -1) + y.sum() if x.shape[0] == 2 else x


def test_a_dim_that_the_code_fixes_is_named_with_the_line() -> None:
    with pytest.raises(CaptureError) as error:
        from_torch(Fixed(), (X, X), dynamic={"y": {0: "m"}, "x": {0: "n"}})
    text = str(error.value)
    first = "Fixed does not let the dim 'n' (axis 0 of input 'x'; always 2) vary"
    assert text.splitlines()[0] == first
    assert "test_torch_errors.py:" in text
    assert "if x.shape[0] == 2" in text
    assert "try: remove the dim from dynamic" in text


class BranchOnValue(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x + 1
        return x - 1


def test_control_flow_on_values_is_shown() -> None:
    with pytest.raises(CaptureError) as error:
        from_torch(BranchOnValue(), X)
    text = str(error.value)
    assert text.startswith("BranchOnValue could not be captured by torch.export\n")
    assert "test_torch_errors.py:" in text
    assert "if x.sum() > 0" in text
    assert "torch.where or torch.cond" in text
    assert "tried: torch.export, " in text
    assert error.value.__cause__ is None  # one error, not a chain of foreign tracebacks


class Raises(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("the image is too small")


def test_an_error_of_the_module_itself_is_passed_on() -> None:
    with pytest.raises(CaptureError) as error:
        from_torch(Raises(), X)
    lines = str(error.value).splitlines()
    assert lines[0] == "Raises itself fails on the example arguments"
    assert lines[1].startswith(f"  where: {__file__}:")
    assert lines[1].endswith('raise ValueError("the image is too small")')
    assert lines[2] == "  found: ValueError: the image is too small"


def test_nothing_is_printed_when_capture_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CaptureError):
        from_torch(BranchOnValue(), X)
    assert capfd.readouterr() == ("", "")


@torch.library.custom_op("sardonyx_tests::first", mutates_args=())
def first(x: torch.Tensor) -> torch.Tensor:
    return x.clone()


@torch.library.custom_op("sardonyx_tests::second", mutates_args=())
def second(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x.clone(), x.clone()


first.register_fake(torch.empty_like)
second.register_fake(lambda x: (torch.empty_like(x), torch.empty_like(x)))


class Custom(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = first(x).relu()
        return torch.matmul(second(y)[1], first(y).T)


def test_all_operators_without_a_lowering_are_named_with_their_lines() -> None:
    with pytest.raises(CaptureError) as error:
        from_torch(Custom(), X)
    lines = str(error.value).splitlines()
    names = "sardonyx_tests.first.default, sardonyx_tests.second.default"
    assert lines[0] == f"Custom has operators without a lowering to ONNX: {names}"
    for name, code in (("first", "y = first(x)"), ("second", "return torch.matmul(second(y)")):
        source = Path(__file__).read_text().splitlines()
        number = next(i for i, line in enumerate(source, 1) if line.strip().startswith(code))
        assert f"sardonyx_tests.{name}.default at {__file__}:{number}" in lines[1]


def test_a_failure_leaves_the_module_as_it_was() -> None:
    module = nn.Sequential(nn.Dropout(), BranchOnValue()).train()
    with pytest.raises(CaptureError):
        from_torch(module, X)
    assert all(part.training for part in module.modules())
