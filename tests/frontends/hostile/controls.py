"""Valid models that look suspicious; they are taken, and computed right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.frontends.hostile.case import model
from tests.frontends.hostile.graphs import branches, calling, chain, imports, in_branches
from tests.frontends.hostile.outside import PLACEMENTS, placed, tensor

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


def stored(folder: Path, made: onnx.ModelProto) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def weighed(folder: Path, placement: str) -> Path:
    (folder / "w.bin").write_bytes(bytes(8) + WEIGHT.tobytes())
    return stored(folder, placed(placement, tensor("w.bin", offset=8, length=24)))


def cached(folder: Path, placement: str = "initializer") -> Path:
    """As the cache of Hugging Face has it: both files are links to files elsewhere."""
    blobs, snapshot = folder / "blobs", folder / "snapshots" / "main"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    (blobs / "data").write_bytes(WEIGHT.tobytes())
    made = placed(placement, tensor("model.onnx_data"))
    (blobs / "model").write_bytes(made.SerializeToString())
    (snapshot / "model.onnx").symlink_to("../../blobs/model")
    (snapshot / "model.onnx_data").symlink_to("../../blobs/data")
    return snapshot / "model.onnx"


def linked(folder: Path) -> Path:
    """A link to a model whose data lies beside the model itself, and not beside the link."""
    (folder / "far").mkdir()
    path = weighed(folder / "far", "initializer")
    (folder / "model.onnx").symlink_to(path)
    return folder / "model.onnx"


def inner_link(folder: Path) -> Path:
    """A link from the model's folder to a file of the same folder."""
    (folder / "data").mkdir()
    (folder / "data" / "real.bin").write_bytes(WEIGHT.tobytes())
    (folder / "w.bin").symlink_to("data/real.bin")
    return stored(folder, placed("initializer", tensor("w.bin")))


def nested(depth: int) -> onnx.ModelProto:
    made = branches(("Relu", ["n"], ["r"]))
    for level in range(depth - 2):
        inner = helper.make_graph(
            [helper.make_node("If", ["c"], [f"q{level}"])],
            f"inner{level}",
            [],
            [helper.make_tensor_value_info(f"q{level}", 1, [2, 3])],
        )
        inner.node[0].attribute.extend(made.graph.node[1].attribute)
        other = helper.make_graph(
            [helper.make_node("Abs", ["n"], [f"o{level}"])],
            f"other{level}",
            [],
            [helper.make_tensor_value_info(f"o{level}", 1, [2, 3])],
        )
        del made.graph.node[1].attribute[:]
        made.graph.node[1].attribute.extend(
            [
                helper.make_attribute("then_branch", inner),
                helper.make_attribute("else_branch", other),
            ]
        )
    return made


def odd_names() -> onnx.ModelProto:
    made = model(("Relu", ["x"], ["层/输出:0;α β"]), ("Neg", ["层/输出:0;α β"], ["y"]))
    made.metadata_props.add(key="notes", value="several\nlines\tof text")
    made.doc_string = "also\nhere"
    return made


def empty() -> onnx.ModelProto:
    return model(
        ("Concat", ["x", "e"], ["y"], {"axis": 0}), weights={"e": np.zeros((0, 3), np.float32)}
    )


def sparse_weight() -> onnx.ModelProto:
    made = model(("Add", ["x", "w"], ["y"]))
    held = onnx.SparseTensorProto(
        values=numpy_helper.from_array(np.array([5, 7], np.float32), "w"),
        indices=numpy_helper.from_array(np.array([[0, 1], [1, 2]]), "i"),
        dims=[2, 3],
    )
    made.graph.sparse_initializer.append(held)
    return made


CONTROLS = {
    "nodes in no order": lambda f: stored(f, model(("Neg", ["h"], ["y"]), ("Relu", ["x"], ["h"]))),
    "20 graphs inside each other": lambda f: stored(f, nested(20)),
    "functions in functions": lambda f: stored(f, calling(*chain(8, 2), call="own::f7")),
    "functions in branches": lambda f: stored(f, calling(*in_branches(5), call="own::f4")),
    "names in other letters": lambda f: stored(f, odd_names()),
    "tensor of nothing": lambda f: stored(f, empty()),
    "sparse weight": lambda f: stored(f, sparse_weight()),
    "opset said twice": lambda f: stored(f, imports(("", 17), ("ai.onnx", 17))()),
    "symbols": lambda f: stored(f, model(("Relu", ["x"], ["y"]), inputs={"x": ["batch", "2*n"]})),
    "cache of Hugging Face": cached,
    "link to a model": linked,
    "link inside the folder": inner_link,
    **{f"external {place}": lambda f, place=place: weighed(f, place) for place in PLACEMENTS},
}
