"""Every member of the zoo equals its PyTorch twin: as written, and compiled for every target."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from itertools import product
from typing import Any

import numpy as np
import onnx.inliner
import onnx_ir as ir
import pytest
import torch

from examples.zoo import table, twins
from examples.zoo.registry import FAMILIES, MEMBERS
from sardonyx import runtime
from sardonyx.compiler import compile
from sardonyx.compiler.passes.dead_code import RemoveDeadCode
from sardonyx.compiler.targets.cuda import CUDA
from tests.meta.imports import REPOSITORY, ROOTS
from tests.support.run import check_valid, run_ort

TARGETS = ("portable", "cpu", "cuda")
HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}
ROUNDINGS = 4
"""A program in half precision also rounds what it computes, not only its weights."""
WORSE_ON_DEVICE = {
    ("lstm", "fp16"): "cuDNN rounds the state at each step: 2.1e-3, of 2.0e-3",
    ("variational autoencoder", "bf16"): "exp(v) - 1 - v is rounded at each step: 0.1, of 0.016",
}
COARSE = 0.1
"""A limit beyond this would let anything pass."""


@functools.lru_cache(maxsize=4)
def small(name: str, seed: int = 0) -> twins.Pair:
    return twins.pair(MEMBERS[name], is_small=True, seed=seed)


def check_source(pair: twins.Pair, sizes) -> None:
    """The model is well-formed, and right as written: neither we nor ORT optimise it."""
    check_valid(pair.model.to_ir())
    # At the opset that ORT has all kernels for.
    plain = compile(pair.model, "portable", steps=(RemoveDeadCode(),)).model
    feeds = pair.member.feeds(pair.model, sizes)
    error = twins.relative_error(run_ort(plain, feeds), twins.wanted(pair, feeds))
    assert error <= table.LIMIT, sizes


def check_target(pair: twins.Pair, sizes, target: str) -> None:
    """The program is well-formed, and right on the CPU, whatever its target."""
    # The CPU draws random numbers up to opset 21 only.
    is_old = target == "cuda" and pair.member.is_training
    is_proven = target == "cpu"
    program = compile(
        pair.model, target, opset=21 if is_old else None, proof="end" if is_proven else "off"
    )
    assert not is_proven or program.proof.holds, program.proof
    model = program.model
    check_valid(model)
    error = error_of(model, pair, pair.member.feeds(pair.model, sizes), target)
    assert error <= table.LIMIT, target


def coarse(name: str, dtype: torch.dtype) -> tuple[twins.Pair, twins.Feeds, float]:
    """Weights and inputs whose rounding flips no choice, and how far off a program may then be."""
    for seed in range(10):
        pair = small(name, seed)
        feeds = pair.member.feeds(pair.model, pair.member.at[1], seed)
        unit = torch.finfo(dtype).eps / 2
        limit = ROUNDINGS * max(unit, twins.rounding(pair, feeds, dtype))
        if limit <= COARSE:
            return pair, feeds, limit
    raise AssertionError(f"rounding any weights of {name} makes another answer of it")


def error_of(
    model: ir.Model, pair: twins.Pair, feeds: twins.Feeds, target: str, provider: Any = "cpu"
) -> float:
    proto = ir.to_proto(model)
    if target == "cuda" and provider == "cpu":
        # The CPU has no kernels for all of CUDA's operators: their bodies run.
        proto = onnx.inliner.inline_local_functions(proto)
    session = runtime.load(proto.SerializeToString(), providers=[provider], threads=1)
    got = list(session.run_named(feeds).values())
    return twins.relative_error(got, twins.wanted(pair, feeds))


def in_single(model: ir.Model) -> ir.Model:
    """The same nodes in single precision, with the weights rounded to bfloat16.

    ONNX Runtime has no kernels for bfloat16 on a CPU.
    """
    wide = model.clone()
    for value in wide.graph.initializers.values():
        if value.dtype == ir.DataType.BFLOAT16:
            value.const_value = ir.tensor(value.const_value.numpy().astype(np.float32))
            value.dtype = ir.DataType.FLOAT
    for node in wide.graph.all_nodes():
        if node.op_type == "Cast" and node.attributes["to"].as_int() == ir.DataType.BFLOAT16:
            node.attributes["to"] = ir.AttrInt64("to", ir.DataType.FLOAT)
        for value in node.outputs:
            if value.dtype == ir.DataType.BFLOAT16:
                value.dtype = ir.DataType.FLOAT
    return wide


def without_kernel(model: ir.Model) -> set[str]:
    """The standard operators in bfloat16 that CUDA has no kernel for."""
    half = ir.DataType.BFLOAT16
    kernels = CUDA.kernels_in("bf16", model.opset_imports[""])
    used = {
        node.op_type
        for node in model.graph.all_nodes()
        if not node.domain and any(v and v.dtype == half for v in (*node.inputs, *node.outputs))
    }
    return used - kernels


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_equals_its_twin(name):
    for sizes in MEMBERS[name].at:
        check_source(small(name), sizes)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_is_right_at_every_target(name):
    for target in TARGETS:
        check_target(small(name), MEMBERS[name].at[1], target)


@pytest.mark.parametrize("precision", ["fp16", pytest.param("bf16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_is_right_in_half_precision(name, precision):
    member = MEMBERS[name]
    if member.is_decision:
        check_valid(compile(small(name).model, "cuda", precision=precision).model)
        pytest.skip("compiled, not compared: with rounded numbers it may choose others")
    pair, feeds, limit = coarse(name, HALVES[precision])
    # There are no random numbers in bfloat16 at opset 21.
    opset = 21 if member.is_training and precision == "fp16" else None
    model = compile(pair.model, "cuda", precision=precision, opset=opset).model
    check_valid(model)
    if precision == "bf16":
        assert without_kernel(model) == set()
        if any(node.op_type.startswith("Random") for node in model.graph.all_nodes()):
            pytest.skip("compiled, not compared: the CPU draws no random numbers at opset 22")
        model = in_single(model)
    assert error_of(model, pair, feeds, "cuda") <= limit


def on_device(name: str, precision: str | None) -> Any:
    """The case, with the mark of those that are known to fail."""
    why = WORSE_ON_DEVICE.get((name, precision))
    marks = [pytest.mark.xfail(reason=why, strict=False)] if why else []
    return pytest.param(name, precision, marks=marks)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("name", "precision"), [on_device(*each) for each in product(MEMBERS, (None, *HALVES))]
)
def test_a_member_is_right_on_a_device(name, precision):
    member = MEMBERS[name]
    if precision is None:
        pair, limit = small(name), table.LIMIT
        feeds = member.feeds(pair.model, member.at[1])
    elif member.is_decision:
        pytest.skip("with rounded numbers it may choose others")
    else:
        pair, feeds, limit = coarse(name, HALVES[precision])
    model = compile(pair.model, "cuda", precision=precision).model
    assert error_of(model, pair, feeds, "cuda", ("cuda", {"use_tf32": False})) <= limit


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, member in MEMBERS.items() if member.small])
def test_a_member_of_full_size_equals_its_twin(name):
    member = MEMBERS[name]
    pair = twins.pair(member, is_small=False)
    sizes = member.full_at or member.at[0]
    check_source(pair, sizes)
    for target in ("portable", "cpu"):
        check_target(pair, sizes, target)


def test_the_two_shapes_of_a_member_differ():
    for member in MEMBERS.values():
        first, second = member.at
        assert first != second, member.name
        assert first.keys() == second.keys()


def test_the_models_need_no_pytorch():
    code = "import sys, examples.zoo.registry; sys.exit('torch' in sys.modules)"
    roots = [*map(str, ROOTS.values()), str(REPOSITORY)]
    script = f"import sys; sys.path[:0] = {json.dumps(roots)}\n{code}"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_page_lists_exactly_the_registry():
    """`python -m examples.zoo --table` writes it anew."""
    assert table.PAGE.read_text(encoding="utf-8") == table.render(table.load())
    assert set(table.load()["members"]) <= set(MEMBERS)
    assert sum(map(len, FAMILIES.values())) == len(MEMBERS)


def test_every_member_says_what_it_shows():
    unsaid = [member.name for member in MEMBERS.values() if not member.teaches.endswith(".")]
    assert unsaid == []


def test_an_error_is_found():
    x = np.array([[1.0, -4.0]])
    assert twins.relative_error([x + np.array([0, 0.04])], [x]) == pytest.approx(0.01)
    assert twins.relative_error([x[0]], [x]) == float("inf")
    assert twins.relative_error([x * np.nan], [x]) == float("inf")
    ids = np.array([1, 2])
    assert twins.relative_error([ids], [ids]) == 0
    assert twins.relative_error([ids + np.array([0, 1])], [ids]) == float("inf")
