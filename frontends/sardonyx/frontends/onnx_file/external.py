"""External data: which files beside a model its tensors may come from.

A location in a model file is a stranger's text. It has to be a plain path below the model's
folder that leads, links followed, to a regular file below that folder with no second name. Caches
such as Hugging Face's keep model and weights elsewhere, under links; so the folder of the file
that the given path links to counts as well. onnx_ir checks the path again when it maps the file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import MutableMapping
from dataclasses import dataclass

import onnx
import onnx_ir as ir

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.frontends.onnx_file.where import quoted

_KEYS = frozenset({"location", "offset", "length", "checksum"})
"""What an entry may be called. What others are called has been set as attributes of objects."""

_IN_MEMORY = "_ORT_MEM_ADDR_"
"""How ONNX Runtime marks an address in its own memory."""


@dataclass(frozen=True)
class Folders:
    """Where external data may lie: beside the path given, or beside the file it links to."""

    path: str

    @property
    def candidates(self) -> list[str]:
        """The folders, the one of the given path first."""
        given = os.path.dirname(os.path.abspath(self.path))
        real = os.path.dirname(os.path.realpath(self.path))
        return list(dict.fromkeys((given, real)))

    def resolve(self, location: str) -> tuple[str, str] | None:
        """Return (real folder, path relative to it) of external data, None if it is outside."""
        for folder in self.candidates:
            real = os.path.realpath(os.path.join(folder, location))
            for inside in self.candidates:
                base = os.path.realpath(inside)
                if os.path.commonpath([base, real]) == base and os.path.exists(real):
                    return base, os.path.relpath(real, base)
        return None


def check_external(
    tensor: onnx.TensorProto, size: int, folders: Folders | None, where: str
) -> None:
    """Check where a tensor says that its elements are, and that they are there.

    Args:
        tensor: The tensor.
        size: Bytes of its elements.
        folders: Where they may lie; None for a model that came without a path.
        where: The place of the tensor, for messages.

    Raises:
        InvalidModelError: They lie elsewhere, or nowhere, or are too few.
    """
    entries = _entries(tensor, where)
    location = entries.get("location", "")
    if folders is None:
        raise InvalidModelError(
            "The model keeps weights in another file, and where that lies is not known.",
            where=where,
            found=f"external data {quoted(location)}",
            remedy="pass the path of the model file instead of its content",
        )
    if not _is_plain_relative(location):
        raise _bad_location(location, where, "is not a plain path below the model's folder")
    resolved = folders.resolve(location)
    if resolved is None:
        inside = any(os.path.lexists(os.path.join(f, location)) for f in folders.candidates)
        raise _bad_location(
            location, where, "leads out of the model's folder" if inside else "does not exist"
        )
    info = os.stat(os.path.join(*resolved))
    if not stat.S_ISREG(info.st_mode):
        raise _bad_location(location, where, "is no regular file")
    if info.st_nlink > 1:
        raise _bad_location(location, where, "has several hard links; copy the file")
    offset, length = (_natural(entries, key, where) for key in ("offset", "length"))
    if length is not None and length != size:
        raise InvalidModelError(
            "A tensor does not hold what its shape says.",
            where=where,
            found=f"{length} bytes of external data",
            expected=f"{size} for dims {list(tensor.dims)}",
            remedy="the file is damaged, or its writer is broken: export the model again",
        )
    if (offset or 0) + size > info.st_size:
        raise InvalidModelError(
            "An external data file is too short.",
            where=where,
            found=f"{quoted(location)} has {info.st_size} bytes",
            expected=f"at least {(offset or 0) + size}",
            remedy="copy the whole data file beside the model",
        )


def read_external(tensor: onnx.TensorProto, size: int, folders: Folders, where: str) -> bytes:
    """Return the bytes of a tensor whose external data was checked before.

    Raises:
        InvalidModelError: The file is not what it was.
    """
    entries = _entries(tensor, where)
    resolved = folders.resolve(entries["location"])
    offset = _natural(entries, "offset", where) or 0
    held = b""
    if resolved is not None:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        with open(os.open(os.path.join(*resolved), flags), "rb") as file:
            file.seek(offset)
            held = file.read(size)
    if len(held) != size:
        raise _bad_location(entries["location"], where, "has changed while the model was read")
    return held


def _entries(tensor: onnx.TensorProto, where: str) -> dict[str, str]:
    entries: dict[str, str] = {}
    for entry in tensor.external_data:
        if entry.key not in _KEYS or entry.key in entries:
            raise InvalidModelError(
                "External data has an entry that is not known, or one twice.",
                where=where,
                found=quoted(entry.key),
                expected=f"each of {', '.join(sorted(_KEYS))} at most once",
            )
        entries[entry.key] = entry.value
    return entries


def _is_plain_relative(location: str) -> bool:
    if not isinstance(location, str) or not location.isprintable() or _IN_MEMORY in location:
        return False
    parts = location.split("/")
    has_drive = len(location) > 1 and location[1] == ":"
    is_odd = "\\" in location or "://" in location or has_drive
    return bool(location) and not is_odd and not location.startswith("/") and ".." not in parts


def _natural(entries: dict[str, str], key: str, where: str) -> int | None:
    if key not in entries:
        return None
    text = entries[key]
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise InvalidModelError(f"External data has a bad {key}.", where=where, found=quoted(text))
    return int(text)


def _bad_location(location: str, where: str, why: str) -> InvalidModelError:
    return InvalidModelError(
        f"An external data file {why}.",
        where=where,
        found=quoted(location),
        remedy="keep the data file beside the model file, under the name it was saved with",
    )


def set_folders(model: ir.Model, folders: Folders) -> None:
    """Tell every external tensor, wherever it is, the folder that its path starts from."""
    for function in model.functions.values():
        _place_attributes(function.attributes, folders)
    for graph in (model.graph, *(f.graph for f in model.functions.values())):
        for inner in (graph, *graph.subgraphs()):
            for value in inner.initializers.values():
                value.const_value = _placed(value.const_value, folders)
            for node in inner:
                _place_attributes(node.attributes, folders)


def _place_attributes(attributes: MutableMapping[str, ir.Attr], folders: Folders) -> None:
    for name, attr in list(attributes.items()):
        if attr.is_ref() or attr.value is None:
            continue
        if attr.type == ir.AttributeType.TENSOR:
            attributes[name] = ir.AttrTensor(name, _attached(attr.as_tensor(), folders))
        elif attr.type == ir.AttributeType.TENSORS:
            held = [_attached(tensor, folders) for tensor in attr.as_tensors()]
            attributes[name] = ir.AttrTensors(name, held)


def _attached(tensor: ir.TensorProtocol, folders: Folders) -> ir.TensorProtocol:
    """Return a tensor that is written with its node, wherever that goes, and read only then."""
    placed = _placed(tensor, folders)
    if placed is None or placed is tensor:
        return tensor
    return ir.LazyTensor(
        lambda: placed, dtype=placed.dtype, shape=ir.Shape(placed.shape.numpy()), name=placed.name
    )


def _placed(tensor: ir.TensorProtocol | None, folders: Folders) -> ir.TensorProtocol | None:
    if not isinstance(tensor, ir.ExternalTensor):
        return tensor
    resolved = folders.resolve(str(tensor.location))
    if resolved is None:
        raise _bad_location(
            str(tensor.location), f"tensor {quoted(str(tensor.name))}", "has changed meanwhile"
        )
    base, location = resolved
    return ir.ExternalTensor(
        location,
        tensor.offset,
        tensor.length,
        tensor.dtype,
        shape=tensor.shape,
        name=tensor.name,
        doc_string=tensor.doc_string,
        metadata_props=dict(tensor.metadata_props),
        base_dir=base,
    )
