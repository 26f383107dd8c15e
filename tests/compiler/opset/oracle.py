"""Runs a model before and after its opset was changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
from onnx.reference import ReferenceEvaluator


def model(opset, signature, body, ir_version=8, extra=""):
    """A model from ONNX text: `signature` is `(float[2] x) => (float[2] y)`."""
    text = (
        f'<ir_version: {ir_version}, opset_import: ["": {opset}{extra}]> g {signature} {{ {body} }}'
    )
    return onnx.parser.parse_model(text)


def read_models(name):
    """Read a list of models: `[name] opset`, the signature, then the nodes; keyed by name."""
    text = Path(__file__).with_name(name).read_text()
    found = {}
    for block in text.split("\n\n")[1:]:
        head, signature, *body = block.strip().splitlines()
        title, opset = head[1:].split("] ")
        assert title not in found
        found[title] = (int(opset), signature, " ".join(body))
    return found


def session(proto):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run(proto, feeds):
    """What ONNX Runtime says, unoptimised."""
    return session(proto).run(None, feeds)


def reference(proto, feeds):
    """What onnx's reference evaluator says."""
    return ReferenceEvaluator(proto).run(None, feeds)


def random_inputs(proto, seed=0):
    """Asymmetric random inputs; a symbolic dimension becomes 3, integers stay below 2."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for value in proto.graph.input:
        kind = value.type.tensor_type
        shape = [d.dim_value if d.HasField("dim_value") else 3 for d in kind.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        if dtype.kind == "f":
            feeds[value.name] = rng.normal(0.3, 1.7, shape).astype(dtype)
        elif dtype.kind == "b":
            feeds[value.name] = rng.random(shape) < 0.4
        else:
            feeds[value.name] = rng.integers(0, 2, shape).astype(dtype)
    return feeds


def assert_same(found, expected, rtol, atol):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


def operators(model):
    return [node.op_type for node in model.graph.all_nodes()]


def checked(model: ir.Model) -> onnx.ModelProto:
    """Serialise a model that onnx's own checker finds valid."""
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    return proto
