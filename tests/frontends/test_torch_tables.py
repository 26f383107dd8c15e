"""The exporter's table is read once, and no export sees what another one added to it."""

from __future__ import annotations

import pytest
import torch
from onnxscript import opset23 as op
from torch._export import utils
from torch.onnx._internal.exporter._registration import ONNXRegistry

from sardonyx.frontends.torch import tables
from sardonyx.frontends.torch.capture import silence
from sardonyx.frontends.torch.lower import lower
from sardonyx.frontends.torch.tables import tables_kept


class Cosine(torch.nn.Module):
    def forward(self, x):
        return torch.cos(x)


def program():
    return torch.export.export(Cosine(), (torch.rand(2, 3),))


def operators(model):
    return [node.op_type for node in model.graph]


def test_a_lowering_that_one_export_added_is_gone_in_the_next():
    extra = {torch.ops.aten.cos.default: op.Sin}
    with silence():
        made = [operators(lower(program(), table)) for table in (None, extra, None)]
    assert made == [["Cos"], ["Sin"], ["Cos"]]


def test_the_table_is_the_exporters_own():
    read = ONNXRegistry.from_torchlib(opset_version=23)
    with tables_kept({}, {}):
        kept, again = (ONNXRegistry.from_torchlib(opset_version=23) for _ in range(2))
        older = ONNXRegistry.from_torchlib(opset_version=18)
    assert kept.functions.keys() == again.functions.keys() == read.functions.keys()
    assert kept.opset_version == read.opset_version
    assert older.opset_version == 18
    assert kept.functions is not again.functions


def test_the_exporter_is_left_as_it_was():
    places = ((ONNXRegistry, "from_torchlib"), (utils, "_materialize_cpp_cia_ops"))
    before = [vars(owner)[name] for owner, name in places]
    within = []

    def fail():
        with tables_kept({}, {}):
            within.extend(vars(owner)[name] for owner, name in places)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not any(one is other for one, other in zip(before, within, strict=True))
    assert [vars(owner)[name] for owner, name in places] == before


def test_a_version_without_these_tables_is_left_alone(monkeypatch):
    monkeypatch.setattr(tables, "_REGISTRY", "torch.onnx.no_such_module")
    monkeypatch.delattr(utils, "_materialize_cpp_cia_ops")
    before = ONNXRegistry.__dict__["from_torchlib"]
    with tables_kept({}, {}):
        assert ONNXRegistry.__dict__["from_torchlib"] is before
