"""Operands and attributes by name, from the ONNX schemas."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from sardonyx.compiler.ir.signature import (
    Attributes,
    attribute_parameters,
    operands,
    plain,
    signature,
)


def test_operands_have_the_names_of_the_schema():
    assert [p.name for p in operands("", "Conv")] == ["X", "W", "B"]
    assert [p.required for p in operands("", "Conv")] == [True, True, False]
    assert [p.name for p in operands("ai.onnx", "Conv")] == ["X", "W", "B"]
    assert operands("com.example", "Conv") == ()


def test_the_version_counts():
    assert [p.name for p in operands("", "Squeeze", 12)] == ["data"]
    assert [p.name for p in operands("", "Squeeze", 13)] == ["data", "axes"]
    assert "axes" in attribute_parameters("", "Squeeze", 12)
    assert "axes" not in attribute_parameters("", "Squeeze", 13)


def test_every_schema_of_the_standard_has_an_answer():
    unreadable = [
        (schema.name, schema.since_version)
        for schema in onnx.defs.get_all_schemas_with_history()
        if signature(schema.domain, schema.name, schema.since_version) is None
    ]
    assert sorted(unreadable) == [
        ("CastMap", 1),
        ("DictVectorizer", 1),
        ("Split", 1),
        ("ZipMap", 1),
    ]


def test_attributes_read_with_defaults():
    conv = Attributes(ir.node("Conv", [], attributes={"strides": [2, 1], "auto_pad": "VALID"}))
    assert conv.strides == (2, 1)
    assert conv.auto_pad == "VALID"
    assert conv.group == 1
    assert conv.pads is None
    with pytest.raises(AttributeError, match="Conv has no attribute 'stride'"):
        _ = conv.stride
    assert [name for name, _ in conv.items()] == ["strides", "auto_pad"]


def test_attributes_of_foreign_operators_have_no_defaults():
    node = Attributes(ir.Node("com.example", "Op", [], [ir.AttrFloat32("alpha", 0.5)]))
    assert node.alpha == 0.5
    assert node.beta is None


def test_references_have_no_value():
    assert plain(ir.RefAttr("alpha", "a", ir.AttributeType.FLOAT)) is None
