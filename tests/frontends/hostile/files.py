"""Files that hold no model, or too much of one for their size."""

from __future__ import annotations

import gzip
import io
import os
import random
import zipfile
from pathlib import Path

from onnx import helper

from tests.frontends.hostile.case import (
    GRAPH,
    Case,
    field,
    grown,
    in_graph,
    model,
    relu,
    varint,
)

MILLION = 1_000_000


def held(content: bytes, says: str) -> Case:
    return Case(lambda _: content, says)


def made(folder: Path, make) -> Path:
    path = folder / "model.onnx"
    make(path)
    return path


def at(make, says: str) -> Case:
    return Case(lambda folder: made(folder, make), says)


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.pkl", b"x")
    return file.getvalue()


def loop(path: Path) -> None:
    path.symlink_to(path.name)


GOOD = relu().SerializeToString()


def noted(key: str, text: str) -> bytes:
    """An entry of a model's metadata."""
    return field(14, field(1, key.encode()) + field(2, text.encode()))


FILES = {
    "empty": held(b"", "it is empty"),
    "one zero": held(b"\0", "damaged"),
    "zeros": held(bytes(64), "damaged"),
    "ones": held(b"\xff" * 64, "damaged"),
    "noise": held(random.Random(1).randbytes(4096), "damaged"),
    "text": held(b"hello world, this is no model", "found: text"),
    "json": held(b'{"a": 1}', "JSON"),
    "html": held(b"<html>404</html>", "HTML"),
    "gzip": held(gzip.compress(GOOD), "gzip"),
    "zip": held(zipped(), "zip archive"),
    "png": held(b"\x89PNG\r\n\x1a\n" + bytes(50), "PNG"),
    "jpeg": held(b"\xff\xd8\xff\xe0" + bytes(50), "JPEG"),
    "pdf": held(b"%PDF-1.7 ..", "PDF"),
    "gguf": held(b"GGUF" + bytes(50), "GGUF"),
    "hdf5": held(b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5"),
    "pickle": held(b"\x80\x04\x95" + bytes(50), "pickle"),
    "old pickle": held(b"\x80\x02}q\0." + bytes(50), "pickle"),
    "LFS pointer": held(b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "ORT format": held(b"\x10\0\0\0ORTM" + bytes(50), "ORT-format"),
    "TensorFlow Lite": held(b"\x10\0\0\0TFL3" + bytes(50), "TensorFlow Lite"),
    "half a model": held(GOOD[: len(GOOD) // 2], "damaged"),
    "all but a byte": held(GOOD[:-1], "damaged"),
    "a byte too many": held(GOOD + b"\0", "damaged"),
    "text behind it": held(GOOD + b"and more", "damaged"),
    "another message": held(b"\x08\x07", "not an ONNX model"),
    "endless number": held(b"\x08" + b"\xff" * 30, "damaged"),
    "number of eleven bytes": held(b"\x08" + b"\x80" * 10 + b"\x01" + GOOD, "damaged"),
    "field longer than the file": held(GOOD + b"\x3a\x7f", "damaged"),
    "field of 2**63 bytes": held(GOOD + b"\x3a" + varint(1 << 63), "damaged"),
    "groups": held(b"\x0b" * 5000 + GOOD, "damaged"),
    "manifest of brackets": Case(
        lambda _: GOOD + noted("sardonyx.manifest", "[" * 100_000),
        accepted="a manifest that is none says nothing",
    ),
    "false digest": held(GOOD + noted("sardonyx.sha256", "0" * 64), "not as it was written"),
    "manifest of a newer version": held(
        GOOD + noted("sardonyx.manifest", '{"format": 999}'), "newer Sardonyx"
    ),
    "directory": at(Path.mkdir, "is a directory"),
    "pipe": at(os.mkfifo, "no regular file"),
    "endless device": Case(lambda _: Path("/dev/zero"), "no regular file"),
    "link to itself": at(loop, "cannot be read"),
    "no file": at(lambda path: None, "cannot be read"),
}


def nested_graphs(depth: int) -> bytes:
    """A graph in an attribute of a node of a graph in ..., written from the inside out."""
    content = b""
    for _ in range(depth):
        attribute = field(1, b"body") + field(6, content) + b"\xa0\x01\x05"
        content = field(1, field(4, b"Loop") + field(5, attribute))
    return in_graph(content)


def nested_types(depth: int) -> bytes:
    """An input that is a sequence of sequences of ..."""
    content = field(1, b"\x08\x01")
    for _ in range(depth):
        content = field(4, field(1, content))
    return in_graph(field(11, field(1, b"s") + field(2, content)))


def many(number: int, content: bytes = b"", count: int = MILLION) -> bytes:
    """A graph with a million of something of two bytes."""
    return in_graph(field(number, content) * count)


def of_model(number: int, content: bytes = b"") -> bytes:
    return GOOD + field(number, content) * MILLION


NODE, INITIALIZER, VALUE, ANNOTATION = 1, 5, 13, 14
FIELDS = "too many protobuf fields"
BOMBS = {
    "a million nodes": held(many(NODE), "too many nodes"),
    "a million weights": held(many(INITIALIZER), "too many tensors"),
    "a million sparse weights": held(many(15, field(1, b"")), FIELDS),
    "a million values": held(many(VALUE, count=MILLION), FIELDS),
    "a million annotations": held(many(ANNOTATION, count=MILLION), FIELDS),
    "a million functions": held(of_model(25), "too many functions"),
    "a million notes": held(of_model(14), FIELDS),
    "a million imports": held(of_model(8), FIELDS),
    "a million training steps": held(of_model(20), FIELDS),
    "a million unknown fields": held(of_model(99), FIELDS),
    "a million attributes": held(many(NODE, field(5, b"") * MILLION, 1), FIELDS),
    "a million operands": held(many(NODE, field(1, b"") * MILLION, 1), FIELDS),
    "a million numbers": held(
        many(NODE, field(5, field(1, b"a") + b"\x40\x01" * MILLION), 1), FIELDS
    ),
    "a million dimensions": held(many(INITIALIZER, b"\x08\x01" * MILLION, 1), FIELDS),
    "a million strings": held(many(INITIALIZER, field(6, b"") * MILLION, 1), FIELDS),
    "a million symbols": held(
        in_graph(field(11, field(2, field(1, field(2, field(1, b"") * MILLION))))), FIELDS
    ),
    "65 MiB of text": held(
        in_graph(field(NODE, field(5, field(4, bytes(65 << 20))))), "attributes of the model's"
    ),
    "25 graphs inside each other": held(nested_graphs(24), "nested too deeply"),
    "40 graphs inside each other": held(nested_graphs(40), "nested too deeply"),
    "5000 graphs inside each other": held(nested_graphs(5000), "nested too deeply"),
    "30 types inside each other": held(nested_types(30), "nested too deeply"),
    "5000 types inside each other": held(nested_types(5000), "nested too deeply"),
    "a graph in two parts": Case(
        lambda _: GOOD + field(GRAPH, relu().graph.SerializeToString()), "name of another one"
    ),
}


def named(edit) -> Case:
    def make():
        made = model(("Relu", ["x"], ["h"]), ("Neg", ["h"], ["y"]))
        edit(made)
        return made

    return Case(grown(make), "cannot be printed")


def renamed(name: str):
    def edit(made):
        made.graph.node[0].output[0] = made.graph.node[1].input[0] = name

    return edit


def swapped(old: bytes, new: bytes) -> bytes:
    made = model(("Relu", ["x"], ["hhhh"]), ("Neg", ["hhhh"], ["y"])).SerializeToString()
    assert old in made
    return made.replace(old, new)


def symbol(text: str):
    return lambda: model(("Relu", ["x"], ["y"]), inputs={"x": [text, 3]})


RENAMED = "a dimension may be called anything; it gets another name"
NAMES = {
    "line break in a node": named(lambda m: setattr(m.graph.node[0], "name", "a\nb")),
    "line break in a value": named(renamed("a\nERROR: all is lost")),
    "zero in a value": named(renamed("a\0b")),
    "colours in a graph": named(lambda m: setattr(m.graph, "name", "\x1b[31mred\x1b[0m")),
    "text from right to left": named(renamed("x\u202egpj.exe")),
    "invisible letter": named(renamed("x\u200b")),
    "line break in a domain": named(
        lambda m: m.opset_import.append(helper.make_opsetid("a\nb", 1))
    ),
    "line break in an operator": named(lambda m: setattr(m.graph.node[0], "op_type", "Re\nlu")),
    "line break in an attribute": named(
        lambda m: m.graph.node[0].attribute.append(helper.make_attribute("a\rb", 1))
    ),
    "line break in a key": named(lambda m: m.metadata_props.add(key="a\nb", value="")),
    "line break in a note's key": named(
        lambda m: m.graph.node[0].metadata_props.add(key="a\nb", value="")
    ),
    "name of a megabyte": Case(
        grown(lambda: model(("Relu", ["x"], ["z" * MILLION]), ("Neg", ["z" * MILLION], ["y"]))),
        "is too long",
    ),
    "operator of a megabyte": Case(
        grown(lambda: model(("Z" * MILLION, ["x"], ["y"]))), "is too long"
    ),
    "value that is no text": held(swapped(b"hhhh", b"h\xff\xfeh"), "not UTF-8"),
    "operator that is no text": held(swapped(b"Relu", b"R\xc3\x28u"), "not UTF-8"),
    "note that is no text": held(GOOD + field(14, field(1, b"k") + field(2, b"\xff")), "not UTF-8"),
    "tower of powers as a dimension": Case(grown(symbol("9**9**9**9**9")), accepted=RENAMED),
    "brackets as a dimension": Case(grown(symbol("(" * 5000)), accepted=RENAMED),
    "division by zero as a dimension": Case(grown(symbol("n//0")), accepted=RENAMED),
    "code as a dimension": Case(grown(symbol("__import__('os').abort()")), accepted=RENAMED),
    "line break in a dimension": Case(grown(symbol("a\nb")), accepted=RENAMED),
}
