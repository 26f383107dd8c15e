"""Module paths from what exporters write."""

from __future__ import annotations

import pytest

from sardonyx.runtime.profiling.modules import has_paths, path_of, sources_of


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("encoder.layer.3.attention", ("encoder", "layer", "3", "attention")),
        ("/encoder/layer.0/attention/MatMul", ("encoder", "layer", "0", "attention")),
        ("bert/encoder/layer_0/MatMul", ("bert", "encoder", "layer_0")),
        ("/MatMul", ()),
        ("block.attention net.py:12", ("block", "attention", "net.py:12")),
        ("net.py:12", ("net.py:12",)),
        ("lib/net.py:12", ("lib/net.py:12",)),
        ("Conv_12", ("Conv_12",)),
        ("", ()),
    ],
)
def test_a_source_names_a_path(source, path):
    assert path_of(source) == path


@pytest.mark.parametrize(
    ("metadata", "name", "sources"),
    [
        ({"sardonyx.source": "a.b, c"}, "n", ("a.b", "c")),
        ({"pkg.torch.onnx.name_scopes": "['', 'a', 'a.b@1', 'linear']"}, "n", ("a.b",)),
        ({"pkg.torch.onnx.name_scopes": "['linear']"}, "n", ("n",)),
        ({"pkg.torch.onnx.name_scopes": "__import__('os')"}, "n", ("n",)),
        ({"pkg.torch.onnx.name_scopes": "[[["}, "n", ("n",)),
        ({}, "/a/MatMul", ("/a/MatMul",)),
        ({}, "", ()),
    ],
)
def test_a_node_says_where_it_comes_from(metadata, name, sources):
    assert sources_of(metadata, name) == sources


def test_names_of_nodes_alone_are_no_paths():
    assert not has_paths(["Conv_1", "Relu_2", ""])
    assert has_paths(["Conv_1", "encoder.0"])
    assert has_paths(["net.py:3"])
    assert has_paths(["lstm", "head", "lstm", "lstm", "head"])
    assert not has_paths(["lstm", "head", "pool"])
    assert not has_paths([])
