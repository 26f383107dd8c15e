"""Whatever is wrong with a model, the frontend says so in one error of its own family."""

from __future__ import annotations

import gzip
import os
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sardonyx.compiler.errors import InvalidModelError, SardonyxError, UnsupportedError
from sardonyx.frontends import from_onnx
from tests.frontends.onnx_models import BRANCHES, CALLS, MLP, parse, plain


def refusal(source, error=InvalidModelError):
    """The text of the error, which must come without a foreign one behind it."""
    with pytest.raises(error) as caught:
        from_onnx(source)
    assert caught.value.__cause__ is None or isinstance(caught.value.__cause__, SardonyxError)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"x")


FILES = {
    "missing": (lambda p: None, "cannot be read"),
    "directory": (lambda p: p.mkdir(), "is a directory"),
    "empty": (lambda p: p.touch(), "nothing: it is empty"),
    "text": (lambda p: p.write_text("hello world, this is no model"), "found: text"),
    "json": (lambda p: p.write_text('{"a": 1}'), "JSON"),
    "html": (lambda p: p.write_text("<html>404</html>"), "HTML"),
    "gzip": (lambda p: p.write_bytes(gzip.compress(b"x" * 100)), "gzip"),
    "zip": (zipped, "zip archive"),
    "png": (lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50), "PNG"),
    "pickle": (lambda p: p.write_bytes(b"\x80\x04\x95" + b"\0" * 50), "pickle"),
    "lfs": (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    "zeros": (lambda p: p.write_bytes(b"\0" * 64), "damaged"),
    "other message": (lambda p: p.write_bytes(b"\x08\x07"), "not an ONNX model"),
    "fifo": (os.mkfifo, "no regular file"),
    "ort": (lambda p: p.write_bytes(b"\x10\0\0\0ORTM" + b"\0" * 50), "ORT-format"),
}


@pytest.mark.parametrize("kind", FILES)
def test_files_that_hold_no_model(kind, tmp_path):
    make, message = FILES[kind]
    path = tmp_path / "net.onnx"
    make(path)
    said = refusal(path)
    assert message in said
    assert str(path) in said


@pytest.mark.parametrize("path", ["a\0b.onnx", "x" * 5000, ""])
def test_odd_paths(path):
    assert "cannot be read" in refusal(path)


def test_a_file_cut_at_any_byte_is_refused():
    content = parse(MLP).SerializeToString()
    for size in range(len(content)):
        with pytest.raises(SardonyxError):
            from_onnx(content[:size])


def test_any_flipped_byte_is_refused_or_taken_but_never_another_error():
    content = bytearray(parse(CALLS).SerializeToString())
    rng = np.random.default_rng(1)
    outcomes = set()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= int(rng.integers(1, 256))
        try:
            from_onnx(bytes(damaged))
            outcomes.add("taken")
        except SardonyxError:
            outcomes.add("refused")
    assert outcomes == {"taken", "refused"}


RELU = ("Relu", ["x"], ["y"])


def edited(text, edit):
    proto = parse(text)
    edit(proto)
    return proto


def extra_attribute(proto, **attributes):
    for name, value in attributes.items():
        proto.graph.node[0].attribute.append(helper.make_attribute(name, value))
    return proto


def recursive(*calls):
    """Functions of the domain own: each row is a name and the functions that it calls."""
    proto = plain([RELU])
    proto.opset_import.append(helper.make_opsetid("own", 1))
    for name, callees in calls:
        nodes, last = [], "a"
        for index, callee in enumerate(callees):
            nodes.append(helper.make_node(callee, [last], [f"t{index}"], domain="own"))
            last = f"t{index}"
        nodes.append(helper.make_node("Identity", [last], ["b"]))
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        proto.functions.append(helper.make_function("own", name, ["a"], ["b"], nodes, imports))
    proto.graph.node[0].op_type, proto.graph.node[0].domain = calls[-1][0], "own"
    return proto


def two_inputs_of_one_name():
    return plain([RELU], inputs=("x", "x"))


def subgraph(edit):
    def apply(proto):
        edit(proto.graph.node[1].attribute[0].g)

    return edited(BRANCHES, apply)


STRUCTURES = {
    "cycle": (
        lambda: plain([("Add", ["x", "b"], ["a"]), ("Neg", ["a"], ["b"]), ("Relu", ["b"], ["y"])]),
        "in a circle",
    ),
    "self cycle": (lambda: plain([("Add", ["x", "y"], ["y"])]), "in a circle"),
    "cycle through a subgraph": (
        lambda: edited(BRANCHES, lambda p: p.graph.node[0].input.__setitem__(0, "y")),
        "in a circle",
    ),
    "dangling input": (lambda: plain([("Relu", ["nobody"], ["y"])]), "reads 'nobody'"),
    "dangling output": (lambda: plain([("Relu", ["x"], ["z"])]), "output 'y' is not defined"),
    "defined twice": (lambda: plain([RELU, ("Neg", ["x"], ["y"])]), "'y' is defined twice"),
    "output is an input": (lambda: plain([("Relu", ["x"], ["x"]), RELU]), "'x' is defined twice"),
    "inputs of one name": (two_inputs_of_one_name, "name of another one"),
    "initializers of one name": (
        lambda: plain([RELU], initializer=[helper.make_tensor("w", 1, [1], [1.0])] * 2),
        "name of another one",
    ),
    "initializer without name": (
        lambda: plain([RELU], initializer=[helper.make_tensor("", 1, [1], [1.0])]),
        "no name",
    ),
    "subgraph reads nothing": (
        lambda: subgraph(lambda g: g.node[0].input.__setitem__(0, "ghost")),
        "reads 'ghost'",
    ),
    "subgraph returns nothing": (
        lambda: subgraph(lambda g: setattr(g.output[0], "name", "ghost")),
        "output 'ghost' is not defined",
    ),
    "subgraph returns an outer value": (
        lambda: subgraph(lambda g: setattr(g.output[0], "name", "n")),
        "through an Identity",
    ),
    "branch missing": (
        lambda: edited(BRANCHES, lambda p: p.graph.node[1].attribute.pop()),
        "else_branch",
    ),
    "function reads nothing": (
        lambda: edited(CALLS, lambda p: p.functions[0].node[0].input.__setitem__(0, "ghost")),
        "reads 'ghost'",
    ),
    "function returns nothing": (
        lambda: edited(CALLS, lambda p: p.functions[0].output.__setitem__(0, "ghost")),
        "'ghost' is not defined",
    ),
    "function of a standard name": (
        lambda: edited(CALLS, lambda p: setattr(p.functions[0], "domain", "")),
        "redefines the standard",
    ),
    "function defined twice": (
        lambda: edited(CALLS, lambda p: setattr(p.functions[1], "name", "twice")),
        "defined twice",
    ),
    "function that calls itself": (lambda: recursive(("f", ["f"])), "'f' -> 'f'"),
    "functions in a ring": (
        lambda: recursive(("f", ["g"]), ("g", ["h"]), ("h", ["f"])),
        "in a circle",
    ),
    "opset given twice": (
        lambda: edited(MLP, lambda p: p.opset_import.append(helper.make_opsetid("", 13))),
        "versions 17 and 13",
    ),
    "no opset": (lambda: edited(MLP, lambda p: p.opset_import.pop()), "without importing an opset"),
    "too many operands": (lambda: plain([("Relu", ["x", "x"], ["y"])]), "wrong number of operands"),
    "too few operands": (lambda: plain([("Add", ["x"], ["y"])]), "wrong number of operands"),
    "too many outputs": (lambda: plain([("Relu", ["x"], ["y", "z"])]), "wrong number of outputs"),
    "unknown attribute": (lambda: extra_attribute(plain([RELU]), sharpness=3), "no such attribute"),
    "attribute of another type": (
        lambda: extra_attribute(plain([("Softmax", ["x"], ["y"])]), axis=1.5),
        "found: FLOAT",
    ),
    "attribute twice": (
        lambda: extra_attribute(
            extra_attribute(plain([("Softmax", ["x"], ["y"])]), axis=1), axis=1
        ),
        "given twice",
    ),
    "axis of no tensor": (
        lambda: extra_attribute(plain([("Softmax", ["x"], ["y"])]), axis=-(1 << 63)),
        "an axis that no tensor has",
    ),
    "attribute missing": (lambda: plain([("Cast", ["x"], ["y"])]), "expected: to"),
    "operator of a later opset": (
        lambda: plain([("Gelu", ["x"], ["y"])]),
        "no operator of opset 17",
    ),
}


@pytest.mark.parametrize("kind", STRUCTURES)
def test_malformed_models(kind):
    make, message = STRUCTURES[kind]
    proto = make()
    assert message in refusal(proto)
    assert message in refusal(proto.SerializeToString())


UNSUPPORTED = {
    "opset 9999": (lambda: plain([RELU], opset=9999), "Opset 9999"),
    "IR 9999": (lambda: edited(MLP, lambda p: setattr(p, "ir_version", 9999)), "found: 9999"),
    "unknown operator": (lambda: plain([("Bogus", ["x"], ["y"])]), "Bogus is no operator"),
    "exponential functions": (
        lambda: recursive(("f0", []), *((f"f{i}", [f"f{i - 1}"] * 2) for i in range(1, 26))),
        "too many nodes once its functions are inlined",
    ),
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_models_that_ask_for_too_much(kind):
    make, message = UNSUPPORTED[kind]
    assert message in refusal(make(), UnsupportedError)


def weight(**fields):
    """An Add of a [2, 3] float weight whose TensorProto is changed."""
    proto = plain([("Add", ["x", "w"], ["y"])])
    tensor = numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
    for name, value in fields.items():
        if isinstance(value, list):
            tensor.ClearField(name)
            getattr(tensor, name).extend(value)
        else:
            setattr(tensor, name, value)
    proto.graph.initializer.append(tensor)
    return proto


TENSORS = {
    "too short": ({"raw_data": b"\0" * 20}, "found: 20 bytes"),
    "too long": ({"raw_data": b"\0" * 28}, "expected: 24"),
    "no data": ({"raw_data": b""}, "found: 0 bytes"),
    "negative dim": ({"dims": [-2, 3]}, "negative dimension"),
    "two negative dims": ({"dims": [-2, -3]}, "negative dimension"),
    "huge": ({"dims": [1 << 40, 1 << 40]}, "more elements"),
    "large": ({"dims": [1 << 39]}, "does not hold"),
    "no dtype": ({"data_type": 0}, "no known dtype"),
    "unknown dtype": ({"data_type": 99}, "data_type 99"),
    "data twice": ({"float_data": [1.0] * 6}, "twice"),
    "raw strings": ({"data_type": TensorProto.STRING}, "string tensor"),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_that_do_not_hold_what_they_say(kind):
    fields, message = TENSORS[kind]
    said = refusal(weight(**fields))
    assert message in said
    assert "initializer 'w'" in said


@pytest.mark.parametrize(
    ("dtype", "field", "count", "fits"),
    [
        (TensorProto.FLOAT, "float_data", 6, True),
        (TensorProto.FLOAT, "float_data", 5, False),
        (TensorProto.FLOAT, "int32_data", 6, False),
        (TensorProto.FLOAT16, "int32_data", 6, True),
        (TensorProto.BOOL, "int32_data", 6, True),
        (TensorProto.INT4, "int32_data", 3, True),
        (TensorProto.INT4, "int32_data", 6, False),
        (TensorProto.UINT64, "uint64_data", 6, True),
        (TensorProto.COMPLEX64, "float_data", 12, True),
        (TensorProto.COMPLEX64, "float_data", 6, False),
    ],
)
def test_typed_fields_are_counted(dtype, field, count, fits):
    proto = plain([("Identity", ["w"], ["y"])])
    proto.opset_import[0].version = 21
    tensor = proto.graph.initializer.add(name="w", data_type=dtype, dims=[2, 3])
    getattr(tensor, field).extend([1] * count)
    if fits:
        assert from_onnx(proto).graph.initializers["w"].const_value.shape.numpy() == (2, 3)
    else:
        refusal(proto)


def external(folder, placement="initializer", data=24, **entries):
    """Save a model with external data at one of the places where a tensor can be."""
    (folder / "w.bin").write_bytes(b"\0" * data)
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 3])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "w.bin", **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    constant = helper.make_node("Constant", [], ["w"])
    constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
    proto = plain([("Add", ["x", "w"], ["y"])])
    if placement == "initializer":
        proto.graph.initializer.append(tensor)
    elif placement == "attribute":
        proto.graph.node.insert(0, constant)
    elif placement == "subgraph":
        proto = parse(BRANCHES)
        proto.graph.node[1].attribute[0].g.node.append(constant)
    elif placement == "function":
        proto = parse(CALLS)
        proto.functions[0].node.append(constant)
    else:
        indices = numpy_helper.from_array(np.arange(6), "i")
        sparse = onnx.SparseTensorProto(values=tensor, indices=indices, dims=[2, 3])
        if placement == "sparse initializer":
            proto.graph.sparse_initializer.append(sparse)
        else:
            node = helper.make_node("Constant", [], ["w"])
            attribute = node.attribute.add(name="sparse_value")
            attribute.type = onnx.AttributeProto.SPARSE_TENSOR
            attribute.sparse_tensor.CopyFrom(sparse)
            proto.graph.node.insert(0, node)
    path = folder / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


PLACEMENTS = ["initializer", "attribute", "subgraph", "function", "sparse initializer", "sparse"]
TRICKS = ["../secret.bin", "absolute", "link.bin", "linked/secret.bin", "hard.bin"]


@pytest.fixture
def folder(tmp_path):
    """A model folder beside a secret, with every kind of link to it."""
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"s" * 24)
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "link.bin").symlink_to(secret)
    (inside / "linked").symlink_to(tmp_path)
    os.link(secret, inside / "hard.bin")
    return inside


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("trick", TRICKS)
def test_external_data_cannot_leave_its_folder(folder, placement, trick):
    location = str(folder.parent / "secret.bin") if trick == "absolute" else trick
    said = refusal(external(folder, placement, location=location))
    assert "external data file" in said
    assert "remedy" in said or "try:" in said


EXTERNAL = {
    "missing": ({"location": "gone.bin"}, "does not exist"),
    "empty location": ({"location": ""}, "plain path"),
    "backslash": ({"location": "a\\b"}, "plain path"),
    "url": ({"location": "http://x/y"}, "plain path"),
    "nul": ({"location": "w.bin\0"}, "plain path"),
    "folder": ({"location": "."}, "no regular file"),
    "too short": ({"data": 20}, "too short"),
    "offset": ({"offset": 4}, "at least 28"),
    "negative offset": ({"offset": -4}, "bad offset"),
    "huge offset": ({"offset": 1 << 80}, "bad offset"),
    "word": ({"length": "many"}, "bad length"),
    "wrong length": ({"length": 20}, "20 bytes of external data"),
}


@pytest.mark.parametrize("kind", EXTERNAL)
def test_external_data_that_does_not_fit(kind, tmp_path):
    entries, message = EXTERNAL[kind]
    assert message in refusal(external(tmp_path, **entries))


@pytest.mark.parametrize("placement", PLACEMENTS[:4])
def test_external_data_that_fits_is_taken(tmp_path, placement):
    assert from_onnx(external(tmp_path, placement, offset=0, length=24)) is not None


def test_external_data_needs_a_path(tmp_path):
    path = external(tmp_path)
    assert "pass the path" in refusal(path.read_bytes())
    assert "pass the path" in refusal(onnx.load(path, load_external_data=False))


@pytest.mark.parametrize(
    ("dims", "indices", "message"),
    [
        ([2, 3], [6], "do not fit"),
        ([2, 3], [-1], "do not fit"),
        ([2, 3], [0, 1], "do not fit"),
        ([1 << 20, 1 << 20], [0], "too large"),
    ],
)
def test_sparse_tensors_that_do_not_fit(dims, indices, message):
    proto = plain([("Add", ["x", "w"], ["y"])])
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    places = numpy_helper.from_array(np.array(indices, np.int64), "i")
    proto.graph.sparse_initializer.append(
        onnx.SparseTensorProto(values=values, indices=places, dims=dims)
    )
    assert message in refusal(proto, SardonyxError)


def test_hostile_names_are_escaped_in_messages():
    said = refusal(plain([("Relu", ["a\nb" + "z" * 500], ["y"])]))
    assert "\\n" in said
    assert len(said) < 600


def test_functions_that_cannot_be_inlined_say_what_to_do():
    proto = parse(CALLS)
    proto.opset_import.append(helper.make_opsetid("com.acme", 1))
    proto.functions[0].opset_import.append(helper.make_opsetid("com.acme", 2))
    assert "inline_functions=False" in refusal(proto, UnsupportedError)
    assert len(from_onnx(proto, inline_functions=False).functions) == 2
