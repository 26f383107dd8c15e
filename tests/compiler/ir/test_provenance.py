"""Nodes know their source and the rules that made them."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir import provenance


def a_node(op_type: str = "Relu", source: str | None = None, name: str | None = None) -> ir.Node:
    node = ir.Node("", op_type, [], name=name)
    if source is not None:
        provenance.set_source(node, source)
    return node


def test_new_nodes_have_the_sources_and_rules_of_what_they_replace():
    first, second = a_node(source="encoder.0"), a_node(source="encoder.1")
    provenance.merge([first], [], "import")
    made = [a_node("Exp"), a_node("Log")]
    provenance.merge(made, [first, second, first], "fuse")
    for node in made:
        assert provenance.sources(node) == ["encoder.0", "encoder.1"]
        assert provenance.rules(node) == ["import", "fuse"]
    assert made[0].metadata_props["sardonyx.source"] == "encoder.0, encoder.1"


def test_a_merge_without_sources_leaves_those_of_the_node():
    node = a_node(source="encoder.0")
    provenance.merge([node], [a_node()], "fuse")
    assert provenance.sources(node) == ["encoder.0"]


def test_a_source_is_one_source_even_with_a_comma():
    node = a_node(source="f(a, b)")
    assert len(provenance.sources(node)) == 1


def test_many_sources_are_cut():
    node = a_node()
    provenance.merge([node], [a_node(source=f"layer.{i}") for i in range(20)], "fuse")
    assert provenance.sources(node) == [f"layer.{i}" for i in range(8)]


def test_the_site_is_the_source_or_the_name():
    assert provenance.site(a_node("Relu", "encoder.0", "n")) == "encoder.0 (Relu)"
    assert provenance.site(a_node("Relu", None, "n")) == "n (Relu)"
    assert provenance.site(a_node("Relu")) == "Relu (Relu)"


def test_sources_of_the_same_operator_come_first():
    made = a_node("Conv")
    norm, conv = a_node("BatchNormalization", "block.norm"), a_node("Conv", "block.conv")
    provenance.merge([made], [norm, conv], "conv_batch_norm")
    assert provenance.sources(made) == ["block.conv", "block.norm"]
