"""External data that wants to lead out of the model's folder, or to what is no file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.frontends.hostile.case import Case, model
from tests.frontends.hostile.graphs import branches, calling, function

SECRET = b"secret!!" * 3
"""What must never come back: the bytes of a float tensor [2, 3]."""

PLACEMENTS = (
    "initializer",
    "attribute",
    "subgraph",
    "function",
    "sparse initializer",
    "sparse attribute",
)
TRICKS = ("../secret.bin", "absolute", "link.bin", "linked/secret.bin", "hard.bin")


def tensor(location: str, **entries: Any) -> onnx.TensorProto:
    made = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 3])
    made.data_location = TensorProto.EXTERNAL
    for key, said in {"location": location, **entries}.items():
        made.external_data.add(key=key, value=str(said))
    return made


def sparse(held: onnx.TensorProto) -> onnx.SparseTensorProto:
    """All elements of a tensor as a sparse one."""
    values = TensorProto()
    values.CopyFrom(held)
    values.dims[:] = [6]
    places = numpy_helper.from_array(np.arange(6), "i")
    return onnx.SparseTensorProto(values=values, indices=places, dims=[2, 3])


def constant(held: onnx.TensorProto, output: str = "w") -> onnx.NodeProto:
    return helper.make_node("Constant", [], [output], value=held)


def placed(placement: str, held: onnx.TensorProto) -> onnx.ModelProto:
    """A model that adds a tensor to its input; the tensor is in one of six places."""
    add = ("Add", ["x", "w"], ["y"])
    if placement == "initializer":
        made = model(add)
        made.graph.initializer.append(held)
    elif placement == "attribute":
        made = model(constant(held), add)
    elif placement == "subgraph":
        made = branches(constant(held), ("Add", ["x", "w"], ["r"]))
    elif placement == "function":
        made = calling(function("f", constant(held), ("Add", ["a", "w"], ["b"])))
    elif placement == "sparse initializer":
        made = model(add)
        made.graph.sparse_initializer.append(sparse(held))
    else:
        node = helper.make_node("Constant", [], ["w"])
        attribute = node.attribute.add(name="sparse_value", type=11)
        attribute.sparse_tensor.CopyFrom(sparse(held))
        made = model(node, add)
    return made


def trap(folder: Path) -> Path:
    """A model's folder beside a secret, with every kind of link to it."""
    (folder / "secret.bin").write_bytes(SECRET)
    inside = folder / "model"
    inside.mkdir()
    (inside / "link.bin").symlink_to(folder / "secret.bin")
    (inside / "linked").symlink_to(folder)
    os.link(folder / "secret.bin", inside / "hard.bin")
    return inside


def tricked(folder: Path, placement: str, trick: str) -> Path:
    """Write a model that reaches for the secret."""
    inside = trap(folder)
    location = str(folder / "secret.bin") if trick == "absolute" else trick
    path = inside / "model.onnx"
    path.write_bytes(placed(placement, tensor(location)).SerializeToString())
    return path


LEADS = {f"{trick} in {place}": (place, trick) for place in PLACEMENTS for trick in TRICKS}


def said(says: str, location: str = "w.bin", prepare=None, size: int = 24, **entries: Any) -> Case:
    """A weight whose external data is described in some way; w.bin has 24 bytes."""

    def make(folder: Path) -> onnx.ModelProto:
        (folder / "w.bin").write_bytes(bytes(size))
        if prepare is not None:
            prepare(folder)
        return placed("initializer", tensor(location, **entries))

    return Case(make, says)


def loop(folder: Path) -> None:
    (folder / "loop.bin").symlink_to("loop.bin")


def device(folder: Path) -> None:
    (folder / "zero.bin").symlink_to("/dev/zero")


def twice(folder: Path) -> onnx.ModelProto:
    (folder / "w.bin").write_bytes(bytes(24))
    held = tensor("w.bin")
    held.external_data.add(key="location", value="/etc/passwd")
    return placed("initializer", held)


PLAIN = "is not a plain path"
OUTSIDE = {
    "no data file": said("does not exist", "gone.bin"),
    "no location": said(PLAIN, ""),
    "backslashes": said(PLAIN, "..\\secret.bin"),
    "another disk": said(PLAIN, "C:/secret.bin"),
    "address": said(PLAIN, "http://example.com/w.bin"),
    "file address": said(PLAIN, "file:///etc/passwd"),
    "zero behind the name": said(PLAIN, "w.bin\0.txt"),
    "line break in the name": said(PLAIN, "w.bin\n"),
    "way up and down again": said(PLAIN, "a/../../secret.bin"),
    "way up inside": said(PLAIN, "a/../w.bin"),
    "two slashes": said(PLAIN, "//etc/passwd"),
    "address in memory": said(PLAIN, "*/_ORT_MEM_ADDR_/*", offset=4096),
    "home folder": said("does not exist", "~/w.bin"),
    "variable": said("does not exist", "$HOME/w.bin"),
    "name of 10000 letters": said("does not exist", "w" * 10_000),
    "folder": said("is no regular file", "."),
    "pipe as data": said("is no regular file", "p.bin", lambda f: os.mkfifo(f / "p.bin")),
    "link to a device": said("leads out of", "zero.bin", device),
    "link to itself as data": said("leads out of", "loop.bin", loop),
    "empty file as data": said("too short", "e.bin", lambda f: (f / "e.bin").touch()),
    "data file too short": said("too short", size=20),
    "offset beyond the end": said("at least 28", offset=4),
    "offset below zero": said("bad offset", offset=-4),
    "offset of 2**80": said("bad offset", offset=1 << 80),
    "offset in other digits": said("bad offset", offset="٤"),
    "length in words": said("bad length", length="many"),
    "length of 20": said("20 bytes", length=20),
    "length of 10**18": said("bytes of external data", length=10**18),
    "attribute of the class": said("not known", __class__="os"),
    "base path": said("not known", basepath="/etc"),
    "location twice": Case(twice, "twice"),
}
