"""Saves a model at stage target as a file, its weights in it or beside it.

Weights that are beside a model are in a file whose name holds a part of their SHA-256, as in
`net.onnx-2c26b46b68ffc68f.data`. It is in place before the model that names it, and the data of
the model before stays until the new model is in place. So at every moment the model file is
complete and stands next to the very weights it was written with; a crash can only leave a file
too many. Whoever has the old files open or mapped keeps them. Of several processes that save to
one path one at a time puts its files in place, so that none removes data that another relies on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import onnx
import onnx_ir as ir

from sardonyx.compiler.errors import ExportError
from sardonyx.compiler.export.files import NewFile, check_destination, new_file, only_writer
from sardonyx.compiler.export.manifest import MANIFEST
from sardonyx.compiler.export.skeleton import skeleton
from sardonyx.compiler.export.wire import Initializer, model_chunks, model_size, tensor_chunks
from sardonyx.compiler.ir.text import stage

LARGE = 1_500_000_000
"""Models of more bytes than this have their weights beside them, unless told otherwise."""

_MOST_BYTES = (1 << 31) - 1
_LEAST_BESIDE = 1024
_PAGE = 4096
_MOST_OLD_MODEL = 1 << 28


def to_bytes(model: ir.Model) -> bytes:
    """Return a model as the bytes of an ONNX file; the same model gives the same bytes.

    Raises:
        ExportError: The model is not at stage target, or has more than 2 GiB.
    """
    _check_stage(model)
    proto, initializers = skeleton(model)
    _check_size(proto, initializers, "save it to a file, with external_data=True")
    return b"".join(model_chunks(proto, initializers))


def save(model: ir.Model, path: str | os.PathLike[str], external_data: bool | None = None) -> Path:
    """Write a model to a file; a file that is there is replaced at once or not at all.

    Args:
        model: A model at stage target.
        path: Where to; a link is followed.
        external_data: Put the weights in a file beside it; None does so where the model has
            more than 1.5 GB.

    Returns:
        The path of the model file.

    Raises:
        ExportError: The model is not at stage target or too large for one file, or the file
            cannot be written; what was there is then untouched.
    """
    _check_stage(model)
    real = check_destination(Path(path))
    proto, initializers = skeleton(model)
    if external_data is None:
        external_data = model_size(proto, initializers) > LARGE
    is_beside = external_data and any(_goes_beside(i) for i in initializers)
    with contextlib.ExitStack() as stack:
        beside = None
        if is_beside:
            made = stack.enter_context(new_file(real.with_name(f"{real.name}.data")))
            proto, initializers, data = _write_data(proto, initializers, real, made)
            beside = (made, data)
        _check_size(proto, initializers, "put the weights beside it, with external_data=True")
        made = stack.enter_context(new_file(real))
        made.write(model_chunks(proto, initializers))
        with only_writer(real.parent) as is_alone:
            before = _data_of(real)
            _publish(made, real, beside)
            is_left = before is not None and not (beside and before == beside[1])
            if is_alone and is_left and before is not None and not _is_read(before, model):
                with contextlib.suppress(OSError):
                    before.unlink(missing_ok=True)
    return Path(path)


def _publish(made: NewFile, real: Path, beside: tuple[NewFile, Path] | None) -> None:
    """Put a model in place, after the data that it names; if that fails, the data go again."""
    if beside is None:
        made.publish()
        return
    file, data = beside
    is_new = not data.exists()
    file.publish(data)
    try:
        made.publish()
    except BaseException:
        if is_new and _data_of(real) != data:
            data.unlink(missing_ok=True)
        raise


def _check_stage(model: ir.Model) -> None:
    if (found := stage(model)) != "target":
        raise ExportError(
            "Only a model at stage target can be written.",
            found=f"a model at stage {found}",
            remedy="compile it: sardonyx.compiler.compile(model).save(path)",
        )


def _check_size(proto: onnx.ModelProto, initializers: Sequence[Initializer], remedy: str) -> None:
    if (size := model_size(proto, initializers)) > _MOST_BYTES:
        raise ExportError(
            "The model is too large for one file: protobuf ends at 2 GiB.",
            found=f"{size:,} bytes",
            expected=f"at most {_MOST_BYTES:,} bytes",
            remedy=remedy,
        )


def _goes_beside(initializer: Initializer) -> bool:
    return initializer.nbytes >= _LEAST_BESIDE


def _write_data(
    proto: onnx.ModelProto,
    initializers: Sequence[Initializer],
    model_path: Path,
    made: NewFile,
) -> tuple[onnx.ModelProto, list[Initializer], Path]:
    """Write the weights, and return the model that says where they will be."""
    beside = [i for i in initializers if _goes_beside(i)]
    offsets, size = _offsets(beside)
    digest = hashlib.sha256()
    made.write(_hashed(_data_chunks(beside, offsets), digest))
    name = f"{model_path.name}-{digest.hexdigest()[:16]}.data"
    placed = {
        initializer.proto.name: _placed(initializer, name, offset)
        for initializer, offset in zip(beside, offsets, strict=True)
    }
    _note_data(proto, {"file": name, "bytes": size, "sha256": digest.hexdigest()})
    initializers = [placed.get(i.proto.name, i) for i in initializers]
    return proto, initializers, model_path.with_name(name)


def _offsets(initializers: Iterable[Initializer]) -> tuple[list[int], int]:
    """Return where each tensor begins, large ones on a page of their own, and the end of all."""
    offsets, end = [], 0
    for initializer in initializers:
        if initializer.nbytes >= _PAGE:
            end = (end + _PAGE - 1) // _PAGE * _PAGE
        offsets.append(end)
        end += initializer.nbytes
    return offsets, end


def _data_chunks(
    initializers: Iterable[Initializer], offsets: Iterable[int]
) -> Iterator[bytes | memoryview]:
    end = 0
    for initializer, offset in zip(initializers, offsets, strict=True):
        yield bytes(offset - end)
        assert initializer.tensor is not None
        yield from tensor_chunks(initializer.tensor)
        end = offset + initializer.nbytes


def _hashed(
    chunks: Iterable[bytes | memoryview], digest: hashlib._Hash
) -> Iterator[bytes | memoryview]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _placed(initializer: Initializer, name: str, offset: int) -> Initializer:
    proto = onnx.TensorProto()
    proto.CopyFrom(initializer.proto)
    proto.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", name), ("offset", offset), ("length", initializer.nbytes)):
        proto.external_data.add(key=key, value=str(value))
    return replace(initializer, proto=proto, tensor=None)


def _note_data(proto: onnx.ModelProto, note: dict[str, str | int]) -> None:
    for entry in proto.metadata_props:
        if entry.key == MANIFEST:
            entry.value = json.dumps({**json.loads(entry.value), "data": note}, sort_keys=True)


def _data_of(path: Path) -> Path | None:
    """Return the data file that a model file which we wrote has beside it, or None."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_OLD_MODEL:
            return None
        proto = onnx.ModelProto.FromString(path.read_bytes())
        props = {entry.key: entry.value for entry in proto.metadata_props}
        name = json.loads(props.get(MANIFEST, "{}"))["data"]["file"]
    except Exception:  # Whatever is there is no model of ours; it is going to be replaced.
        return None
    pattern = re.escape(path.name) + r"-[0-9a-f]{16}\.data"
    return path.with_name(name) if isinstance(name, str) and re.fullmatch(pattern, name) else None


def _is_read(path: Path, model: ir.Model) -> bool:
    """Say whether constants of a model are in a file."""
    held = (value.const_value for value in model.graph.initializers.values())
    return any(
        isinstance(tensor, ir.ExternalTensor) and os.path.realpath(tensor.path) == str(path)
        for tensor in held
    )
