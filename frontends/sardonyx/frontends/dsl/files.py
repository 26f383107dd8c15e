"""Parameters in files: `.safetensors` and numpy's `.npz`."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from sardonyx.compiler.export.files import check_destination, new_file
from sardonyx.frontends.dsl.errors import DslError

Arrays = dict[str, np.ndarray[Any, Any]]

_SAFETENSORS_DTYPES: dict[str, Any] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
    "C64": np.complex64,
}


def read(path: str | os.PathLike[str]) -> Arrays:
    """Return the arrays of a file by name.

    Raises:
        DslError: The file cannot be read, is of another kind, or is damaged.
    """
    where = Path(path)
    reader = _kind_of(where)[0]
    try:
        data = where.read_bytes()
    except OSError as error:
        raise DslError(
            "The file of parameters cannot be read.",
            found=f"{where}: {error.strerror or error}",
            expected="a .safetensors or .npz file",
            remedy="check the path; a relative one starts at the working directory",
        ) from None
    return reader(where, data)


def write(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write arrays by name; the file is complete, or as it was before.

    Raises:
        DslError: The suffix names no kind of file, or the kind does not have one of the dtypes.
        ExportError: The file cannot be written.
    """
    where = Path(path)
    data = _kind_of(where)[1](where, arrays)
    with new_file(check_destination(where)) as file:
        file.write([data])
        file.publish()


def _kind_of(path: Path) -> _Kind:
    kind = _KINDS.get(path.suffix)
    if kind is not None:
        return kind
    is_pickle = path.suffix in (".pt", ".pth", ".bin", ".ckpt", ".pkl")
    raise DslError(
        "There is no such kind of file of parameters.",
        found=str(path),
        expected=" or ".join(_KINDS),
        remedy="a pickle can run any program: read it with torch.load(path, weights_only=True), "
        "and load the state_dict"
        if is_pickle
        else "name the file weights.safetensors, or weights.npz",
    )


def _library() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise DslError(
            "The package safetensors is not installed.",
            expected="safetensors, which reads and writes .safetensors files",
            remedy="pip install 'sardonyx[safetensors]', or use a .npz file",
        ) from None
    return safetensors


def _read_safetensors(path: Path, data: bytes) -> Arrays:
    library = _library()
    try:
        tensors = library.deserialize(data)
        found = {}
        for name, held in tensors:
            dtype = np.dtype(_SAFETENSORS_DTYPES[held["dtype"]])
            found[name] = np.frombuffer(held["data"], dtype).reshape(held["shape"])
    except library.SafetensorError as error:
        raise _damaged(path, error, "safetensors") from None
    except KeyError as error:
        raise DslError(
            "The file of parameters has a dtype that cannot be read here.",
            found=f"{path}: {name!r} of dtype {error.args[0]}",
            expected=", ".join(_SAFETENSORS_DTYPES),
        ) from None
    return found


def _write_safetensors(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    library = _library()
    plain = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}
    known = {np.dtype(dtype) for dtype in _SAFETENSORS_DTYPES.values()}
    _refuse_dtypes(path, {n: a for n, a in plain.items() if a.dtype not in known})
    return bytes(library.numpy.save(plain))


def _read_npz(path: Path, data: bytes) -> Arrays:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    # A .npy file is one array without a name: no context manager.
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise _damaged(path, error, "numpy archive (np.savez)") from None


def _write_npz(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    # numpy would write a dtype of ml_dtypes as bytes without a meaning.
    _refuse_dtypes(path, {n: a for n, a in arrays.items() if a.dtype.kind not in "biufc"})
    held = io.BytesIO()
    np.savez(held, **dict(arrays))  # type: ignore[arg-type]
    return held.getvalue()


def _refuse_dtypes(path: Path, wrong: Mapping[str, np.ndarray[Any, Any]]) -> None:
    for name, array in wrong.items():
        raise DslError(
            f"A {path.suffix} file does not have this dtype.",
            found=f"{name!r} of dtype {array.dtype}",
            expected="another dtype, or another kind of file",
            remedy="write a .safetensors file" if path.suffix == ".npz" else "cast it first",
        )


def _damaged(path: Path, error: Exception, kind: str) -> DslError:
    return DslError(
        "The file of parameters is damaged, or of another kind than its name says.",
        found=f"{path}: {error}",
        expected=f"a {kind} file",
        remedy="write or download it again",
    )


_Kind = tuple[
    Callable[[Path, bytes], Arrays], Callable[[Path, Mapping[str, np.ndarray[Any, Any]]], bytes]
]
_KINDS: dict[str, _Kind] = {
    ".safetensors": (_read_safetensors, _write_safetensors),
    ".npz": (_read_npz, _write_npz),
}
