"""Every operator has a row, and every row is complete."""

from __future__ import annotations

import dataclasses

import onnx
import onnx_ir as ir
import pytest

from sardonyx.compiler.ir.signature import CANONICAL_OPSET
from sardonyx.compiler.ops import Row, Tolerance, Trait, find, none, row, rows
from sardonyx.compiler.ops.axes import Fixed
from sardonyx.compiler.ops.row import Absent
from tests.compiler.ops.drawing import row_id

FACTS = ("axes", "cost", "tolerance", "sample")
CONTRIB = {
    *("Attention", "MultiHeadAttention", "GroupQueryAttention", "RotaryEmbedding"),
    *("BiasGelu", "FastGelu", "Gelu", "QuickGelu"),
    *("FusedConv", "FusedGemm", "FusedMatMul", "MatMulNBits"),
    *("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"),
}


def standard_operators():
    """Names of the operators of the standard domain at the canonical opset."""
    schemas = onnx.defs.get_all_schemas_with_history()
    return {s.name for s in schemas if s.domain == "" and s.since_version <= CANONICAL_OPSET}


def holes(entry):
    """Facts of a row that are neither there nor said to be absent with a reason."""
    found = []
    for fact in FACTS:
        value = getattr(entry, fact)
        if isinstance(value, (Absent, Fixed)):
            if len(value.because) < 8:
                found.append(f"{row_id(entry)}.{fact} is absent without a reason")
        elif not (callable(value) or isinstance(value, Tolerance)):
            found.append(f"{row_id(entry)}.{fact} is {value!r}")
    return found


def matrix():
    """The operator x fact matrix: one line for each operator."""
    marks = {True: "-", False: "x"}
    lines = [f"{'operator':42}" + "".join(f"{fact:11}" for fact in FACTS) + "traits"]
    for entry in rows():
        facts = [marks[isinstance(getattr(entry, fact), (Absent, Fixed))] for fact in FACTS]
        traits = ", ".join(sorted(t.name.lower() for t in entry.traits))
        lines.append(f"{row_id(entry):42}" + "".join(f"{m:11}" for m in facts) + traits)
    return "\n".join(lines)


def test_every_standard_operator_has_a_row():
    described = {entry.op_type for entry in rows() if entry.domain == ""}
    assert standard_operators() - described == set()
    assert described - standard_operators() == {"SimplifiedLayerNormalization"}


def test_the_contrib_operators_have_a_row():
    assert {entry.op_type for entry in rows() if entry.domain == "com.microsoft"} >= CONTRIB


def test_no_row_has_a_hole():
    print(matrix())
    assert [hole for entry in rows() for hole in holes(entry)] == []


def test_holes_are_found():
    (relu,) = [entry for entry in rows() if entry.op_type == "Relu"]
    assert holes(relu) == []
    assert holes(dataclasses.replace(relu, cost=None)) == ["Relu.cost is None"]
    bare = dataclasses.replace(relu, sample=none(""))
    assert holes(bare) == ["Relu.sample is absent without a reason"]
    with pytest.raises(TypeError, match="axes"):
        Row("Relu")


def test_most_rows_have_a_sample():
    standard = [entry for entry in rows() if entry.domain == ""]
    sampled = [entry for entry in standard if not isinstance(entry.sample, Absent)]
    assert len(sampled) >= 165


def test_an_operator_has_one_row_only():
    (relu,) = [entry for entry in rows() if entry.op_type == "Relu"]
    with pytest.raises(ValueError, match="operator ::Relu has two rows"):
        row(relu)


def test_rows_are_found_by_node():
    assert find(ir.node("Relu", [])).op_type == "Relu"
    assert find(ir.Node("ai.onnx", "Relu", [])).op_type == "Relu"
    assert find(ir.Node("com.microsoft", "Gelu", [])).domain == "com.microsoft"
    assert find(ir.Node("com.example", "Relu", [])) is None


def test_traits_do_not_contradict_each_other():
    for entry in rows():
        assert not entry.traits >= {Trait.ELEMENTWISE, Trait.CONTROL_FLOW}, entry.op_type
        is_random = Trait.RANDOM in entry.traits
        assert is_random == (entry.tolerance == Tolerance.RANDOM), entry.op_type
        if Trait.DATA_MOVEMENT in entry.traits:
            assert entry.tolerance == Tolerance.EXACT, entry.op_type
