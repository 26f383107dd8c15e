"""A flipped bit is refused wherever it is, and so is what a newer version wrote."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from sardonyx import compiler, frontends, runtime
from sardonyx.compiler.errors import InvalidModelError
from sardonyx.compiler.export import manifest, note, to_bytes, wire
from sardonyx.compiler.export.manifest import DIGEST, MANIFEST
from sardonyx.compiler.targets import find_target
from sardonyx.runtime import integrity, modelfile
from tests.support.models import model, normal

from .artifacts import MODELS, write

KINDS = [(name, False) for name in MODELS] + [("linear", True), ("block", True)]
"""Models, and whether their weights are beside them."""


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file, in place."""
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def loads(path: Path) -> bool:
    """Whether a damaged artifact gets past one of the two readers."""
    readers = ((runtime.load, runtime.IntegrityError), (frontends.from_onnx, InvalidModelError))
    for read, wanted in readers:
        said = None
        try:
            read(path)
        except wanted as error:
            said = error
        if said is None:
            return True
        assert "as it was written" in said.what or "as they were written" in said.what
        assert "SHA-256 " in said.found
        assert said.found != said.expected
        assert "verify=False" in said.remedy
    return False


def check_flips(folder: Path, flips: int, seed: int, every_bit_of_digest: bool = False) -> int:
    """Flip single bits all over files of all kinds; return how many. None may get through."""
    print(f"seed {seed}")
    random = np.random.default_rng(seed)
    whole = [write(name, folder / f"{name}{beside}", beside) for name, beside in KINDS]
    files = [file for path in whole for file in sorted(path.parent.iterdir())]
    missed, tried = [], 0
    for file in files:
        (path,) = file.parent.glob("*.onnx")
        bits = 8 * file.stat().st_size
        chosen = set(random.choice(bits, min(bits, -(-flips // len(files))), replace=False))
        if every_bit_of_digest and file == path:
            chosen |= set(range(bits - 8 * wire.DIGEST_BYTES, bits))
        for bit in map(int, sorted(chosen)):
            flip(file, bit)
            missed += [(file, bit)] if loads(path) else []
            flip(file, bit)
        tried += len(chosen)
        runtime.load(path, threads=1)
        assert runtime.check_integrity(path)
    assert not missed
    return tried


def test_a_flipped_bit_is_refused(tmp_path):
    assert check_flips(tmp_path, 200, seed=3) >= 200


@pytest.mark.slow
def test_three_thousand_flipped_bits_are_refused(tmp_path):
    seed = int.from_bytes(os.urandom(4), "big")
    tried = check_flips(tmp_path, 3000, seed, every_bit_of_digest=True)
    print(f"{tried} flipped bits, all refused")
    assert tried >= 3000


@pytest.mark.parametrize("beside", [False, True])
def test_what_is_said(tmp_path, beside):
    path = write("linear", tmp_path / "a", beside)
    (file,) = path.parent.glob("*.data") if beside else [path]
    expected = hashlib.sha256(path.read_bytes()[: -wire.DIGEST_BYTES]).hexdigest()
    if beside:
        expected = hashlib.sha256(file.read_bytes()).hexdigest()
    flip(file, 8 * 3000 + 5)
    end = None if beside else -wire.DIGEST_BYTES
    found = hashlib.sha256(file.read_bytes()[:end]).hexdigest()
    size = f"{file.stat().st_size:,} bytes, " if beside else ""
    with pytest.raises(runtime.IntegrityError) as caught:
        runtime.load(path)
    assert str(caught.value) == (
        f"the {'weights of the model are' if beside else 'model is'} not as "
        f"{'they were' if beside else 'it was'} written\n"
        f"  where: {file}\n"
        f"  found: {size}SHA-256 {found}\n"
        f"  expected: {size}SHA-256 {expected}, as {f'{path} says' if beside else 'it says itself'}"
        "\n  try: copy the file again or compile the model anew; if another tool changed it on "
        "purpose, pass verify=False"
    )
    with pytest.raises(InvalidModelError) as of_frontend:
        frontends.from_onnx(path)
    assert str(of_frontend.value).lower().replace(".\n", "\n", 1) == str(caught.value).lower()
    runtime.load(path, verify=False)
    frontends.from_onnx(path, verify=False)


def test_bytes_are_checked_too(tmp_path):
    data = write("linear", tmp_path / "a").read_bytes()
    assert runtime.check_integrity(data)
    damaged = data[:2000] + bytes([data[2000] ^ 4]) + data[2001:]
    with pytest.raises(runtime.IntegrityError) as caught:
        runtime.load(damaged)
    assert caught.value.where == f"a model of {len(data)} bytes"
    with pytest.raises(InvalidModelError, match="not as it was written"):
        frontends.from_onnx(damaged)
    x = normal(2, 64)
    assert not np.array_equal(runtime.load(damaged, verify=False)(x), runtime.load(data)(x))


def test_weights_that_are_cut_or_gone(tmp_path):
    path = write("linear", tmp_path / "a", external_data=True)
    (data,) = path.parent.glob("*.data")
    os.truncate(data, 8000)
    with pytest.raises(runtime.IntegrityError) as caught:
        runtime.load(path)
    assert caught.value.found == "8,000 bytes"
    assert caught.value.expected.startswith("8,192 bytes, SHA-256 ")
    data.unlink()
    with pytest.raises(runtime.LoadError) as caught:
        runtime.load(path)
    assert caught.value.what == "the weights of the model cannot be read"
    assert caught.value.where == str(data)
    assert caught.value.found == "No such file or directory"
    os.mkfifo(data)
    with pytest.raises(runtime.LoadError, match="are no regular file"):
        runtime.load(path)


def test_weights_of_another_model_are_refused(tmp_path):
    paths = [write("linear", tmp_path / "a", True), write("block", tmp_path / "b", True)]
    ours, theirs = (next(path.parent.glob("*.data")) for path in paths)
    shutil.copy(theirs, ours)
    with pytest.raises(runtime.IntegrityError, match="the weights of the model are not"):
        runtime.load(paths[0])


def test_a_linked_model_has_its_weights_beside_the_real_one(tmp_path):
    path = write("linear", tmp_path / "a", external_data=True)
    (data,) = path.parent.glob("*.data")
    (tmp_path / "linked.onnx").symlink_to(path)
    assert runtime.check_integrity(tmp_path / "linked.onnx")
    flip(data, 77)
    with pytest.raises(runtime.IntegrityError):
        runtime.check_integrity(tmp_path / "linked.onnx")


def test_a_model_without_its_digest_is_cut(tmp_path):
    """All that is left are whole fields: nothing else tells that the end is missing."""
    data = write("linear", tmp_path / "a").read_bytes()[: -wire.DIGEST_BYTES]
    onnx.checker.check_model(onnx.ModelProto.FromString(data))
    with pytest.raises(runtime.IntegrityError) as caught:
        runtime.load(data)
    assert caught.value.found == "a model whose last bytes are not its digest"


def test_what_another_tool_made_of_it(tmp_path):
    """It keeps the digest, which holds no longer; without the digest it is that tool's model."""
    path = write("linear", tmp_path / "a")
    proto = onnx.load(path)
    proto.graph.name = "edited"
    with pytest.raises(runtime.IntegrityError):
        runtime.load(proto.SerializeToString())
    runtime.load(proto.SerializeToString(), verify=False)
    assert proto.metadata_props.pop().key == integrity.DIGEST
    assert not runtime.check_integrity(proto.SerializeToString())
    runtime.load(proto.SerializeToString())
    frontends.from_onnx(proto.SerializeToString())


def test_models_of_others_carry_no_digest(tmp_path):
    path = tmp_path / "net.onnx"
    given = model("g (float[3] x) => (float[3] y) { y = Relu(x) }")
    path.write_bytes(ir.to_proto(given).SerializeToString())
    assert not runtime.check_integrity(path)
    runtime.load(path)
    path.write_bytes(b"hello, world")
    assert not runtime.check_integrity(path)
    assert not runtime.check_integrity(memoryview(b""))


def versioned(**said: object) -> bytes:
    """An artifact whose manifest says something else, its digest right."""
    text, weights = MODELS["linear"]
    program = compiler.compile(model(text, **weights), target="cpu")
    for key, value in said.items():
        note(program.model, key, value)  # type: ignore[arg-type]
    return to_bytes(program.model)


def test_what_a_newer_version_wrote_says_what_to_do():
    data = versioned(format=2, versions={"sardonyx": "9.1.0"})
    for given in (data, data[: -wire.DIGEST_BYTES]):
        with pytest.raises(runtime.LoadError) as caught:
            runtime.load(given)
        assert str(caught.value) == (
            "a newer Sardonyx wrote the model\n"
            f"  where: a model of {len(given)} bytes\n"
            "  found: format 2, by sardonyx 9.1.0\n"
            "  expected: format 1 or older\n"
            "  try: upgrade sardonyx, or compile the model with the version that is installed here"
        )
        with pytest.raises(InvalidModelError, match="A newer Sardonyx wrote the model"):
            frontends.from_onnx(given)
    runtime.load(data, verify=False)


@pytest.mark.parametrize(
    "said",
    [
        {"format": 0},
        {"format": None},
        {"format": "one"},
        {"versions": {"sardonyx": "9.1.0"}},
        {"versions": None},
        {"of_later": [1]},
    ],
    ids=str,
)
def test_what_an_older_version_or_another_of_the_same_format_wrote_loads(said):
    assert runtime.load(versioned(**said))(normal(2, 64))[0].shape == (2, 32)


@pytest.mark.parametrize(
    "said",
    [{}, [], "net.data", {"file": "../net.data", "bytes": 1, "sha256": ""}, {"file": "net.data"}],
    ids=str,
)
def test_a_manifest_that_does_not_name_the_weights(tmp_path, said):
    path = tmp_path / "net.onnx"
    path.write_bytes(versioned(data=said))
    with pytest.raises(runtime.IntegrityError, match="does not name the file of its weights"):
        runtime.load(path)


def test_both_sides_mean_the_same_entries():
    assert (integrity.MANIFEST, integrity.DIGEST) == (MANIFEST, DIGEST)
    assert MANIFEST.startswith(modelfile.OWN)
    given = model("g (float[3] x) => (float[3] y) { y = Relu(x) }")
    assert manifest(given, given, find_target("cpu"))["format"] == integrity.FORMAT
    assert len(integrity._LEAD) + 64 == wire.DIGEST_BYTES
    assert wire.digest_entry("0" * 64).startswith(integrity._LEAD)


def test_a_program_that_was_just_made_is_not_read_twice(monkeypatch):
    text, weights = MODELS["linear"]
    program = compiler.compile(model(text, **weights), target="cpu")
    monkeypatch.setattr(integrity, "_check_digest", None)
    assert runtime.load(program)(normal(2, 64))[0].shape == (2, 32)


def test_a_file_replaced_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    """The weights of the model before are gone when its metadata have been read."""
    path = write("linear", tmp_path / "a", external_data=True)
    other = write("block", tmp_path / "b", external_data=True)
    replaced = []
    check = integrity._weights

    def replace_first(*arguments: object) -> integrity.Weights:
        if not replaced:
            replaced.extend(path.parent.glob("*.data"))
            replaced[0].unlink()
            for file in other.parent.iterdir():
                shutil.copy(file, path.parent / f".{file.name}")
                os.replace(path.parent / f".{file.name}", path.parent / file.name)
        return check(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(integrity, "_weights", replace_first)
    assert runtime.load(path)(normal(1, 7, 24))[0].shape == (1, 7, 24)
    assert replaced
