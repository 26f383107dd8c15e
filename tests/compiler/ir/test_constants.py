"""The constant behind a value, where there is one."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.constants import array, is_constant, tensor
from sardonyx.compiler.ir.types import Types
from tests.support.models import model, normal


def test_initializers_and_constant_nodes_are_constants():
    given = model(
        """g (float[3] x, float[3] d) => (float[3] y) {
            c = Constant<value_floats: floats = [1.0, 2.0, 3.0]>()
            a = Add(x, w) b = Add(a, c) y = Add(b, d)
        }""",
        w=normal(3),
        d=normal(3),
    )
    values = {v.name: v for node in given.graph for v in (*node.inputs, *node.outputs)}
    np.testing.assert_array_equal(array(values["w"]), normal(3))
    assert array(values["c"]).tolist() == [1, 2, 3]
    # The caller may override the default of an input.
    assert [is_constant(values[n]) for n in "wcdxa"] == [True, True, False, False, False]
    assert not is_constant(None)


def test_constants_of_a_builder_are_known_before_a_graph_holds_them():
    given = model("g (float[3] x) => (float[3] y) { y = Relu(x) }")
    made = Builder(Types(given)).constant([1.5, 2.5])
    assert array(made).tolist() == [1.5, 2.5]


def test_large_constants_are_not_read(monkeypatch):
    given = model("g (float[3] x) => (float[3] y) { y = Add(x, w) }", w=normal(3))
    value = given.graph.initializers["w"]
    monkeypatch.setattr(ir.Tensor, "numpy", lambda self: 1 / 0)
    assert array(value, most_bytes=11) is None
    assert tensor(value) is value.const_value
