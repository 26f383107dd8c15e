"""The way in for ONNX models: checked, brought to the canonical opset, and ready to compile."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir

from sardonyx.compiler.errors import InvalidModelError, SardonyxError
from sardonyx.compiler.ir.signature import CANONICAL_OPSET
from sardonyx.compiler.opset import raise_stamped, stamp_versions
from sardonyx.frontends.onnx_file import dims, external, names, sparse, tensors
from sardonyx.frontends.onnx_file.functions import inline_functions as _inline_functions
from sardonyx.frontends.onnx_file.limits import Limits as Limits
from sardonyx.frontends.onnx_file.operators import check_operators
from sardonyx.frontends.onnx_file.read import parse, read_file
from sardonyx.frontends.onnx_file.structure import check_structure

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | onnx.ModelProto | ir.Model

STAGE = "sardonyx.stage"
_FIRST_IR_WITH_CONSTANT_INITIALIZERS = 4
_DEFAULT = Limits()


@dataclass(frozen=True)
class _File:
    """A parsed model: how to call it in messages, and where its external data may lie."""

    proto: onnx.ModelProto
    label: str
    limits: Limits
    folders: external.Folders | None = None
    is_ours: bool = True


def from_onnx(
    source: Source,
    *,
    inline_functions: bool = True,
    verify: bool = True,
    limits: Limits = _DEFAULT,
) -> ir.Model:
    """Bring an ONNX model in, at the canonical opset 23.

    Older opsets (6 to 22) are raised; a model of opset 24 to 26 is brought to 23 if none of its
    nodes needs more, and keeps its own otherwise. Nodes are put in an order in which they can
    run. External data is not read: it stays in its file, memory-mapped when used.

    The file may come from anybody: nothing of it is run, no path in it leads out of its folder,
    and what it holds is counted before it is read.

    Args:
        source: A path, the bytes of a model, an onnx.ModelProto or an onnx_ir.Model. The latter
            two are not changed.
        inline_functions: Replace calls of model-local functions by their bodies; with False
            they stay functions.
        verify: Check that a file which Sardonyx wrote, and the weights beside it, are as they were
            written.
        limits: What the file may hold; wider ones for larger files that you trust.

    Returns:
        The model at stage "source", with the origin of each node in its metadata.

    Raises:
        InvalidModelError: The source is no valid ONNX model, or Sardonyx wrote it and it is not as
            it was written.
        UnsupportedError: It is valid, but of a version or kind that cannot be taken in, or holds
            more than the limits allow.
    """
    return _read(source, limits, verify, lambda model: _finished(model, inline_functions))


def read_onnx(source: Source, *, verify: bool = True, limits: Limits = _DEFAULT) -> ir.Model:
    """Bring an ONNX model in as it is: checked, at its own opset, with its functions.

    Arguments and errors are those of `from_onnx`.

    Returns:
        The model, with the origin of each node in its metadata.
    """
    return _read(source, limits, verify, _recorded)


def _read(
    source: Source, limits: Limits, verify: bool, finish: Callable[[ir.Model], ir.Model]
) -> ir.Model:
    """Return what a function makes of a model; whatever goes wrong is an error of ours."""
    if isinstance(source, ir.Model):
        return finish(source.clone())
    label = os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else "the model"
    try:
        return finish(_build(_parse(source, limits, verify)))
    except SardonyxError:
        raise
    except Exception as error:  # Whatever else a stranger's file makes a library raise.
        raise InvalidModelError(
            "The model cannot be read.",
            where=label,
            found=_last_words(error),
            remedy="if it is valid, please report this with the model",
        ) from None


def _recorded(model: ir.Model) -> ir.Model:
    names.record_sources(model)
    return model


def _finished(model: ir.Model, inline_functions: bool) -> ir.Model:
    """Return a model as compilation wants it."""
    dims.tidy(model)
    names.record_sources(model)
    names.make_unique(model)
    stamp_versions(model)
    if inline_functions:
        _inline_functions(model)
        names.make_unique(model)
    model = raise_stamped(model, CANONICAL_OPSET)
    model.metadata_props[STAGE] = "source"
    return model


def _parse(source: Source, limits: Limits, verify: bool) -> _File:
    if isinstance(source, onnx.ModelProto):
        return _File(source, "the ModelProto", limits, is_ours=False)
    if isinstance(source, (bytes, bytearray, memoryview)):
        label = f"{len(source)} bytes"
        return _File(parse(source, label, limits, verify), label, limits)
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        return _File(read_file(path, limits, verify), path, limits, external.Folders(path))
    raise InvalidModelError(
        "This is nothing that holds an ONNX model.",
        found=type(source).__name__,
        expected="a path, bytes, an onnx.ModelProto or an onnx_ir.Model",
    )


def _build(file: _File) -> ir.Model:
    """Check a parsed model and make graphs of it."""
    proto = file.proto
    findings = check_structure(proto, file.label, file.limits)
    check_operators(proto, file.label)
    tensors.check_tensors(proto, file.folders, file.label, file.limits)
    if sparse.has_sparse(proto):
        if not file.is_ours:
            proto = onnx.ModelProto.FromString(proto.SerializeToString())
        sparse.make_dense(proto, file.folders, file.label, file.limits)
    model = ir.from_proto(proto)
    if file.folders is not None:
        external.set_folders(model, file.folders)
    if not findings.is_sorted:
        model.graph.sort()
        for function in model.functions.values():
            function.sort()
    if model.ir_version < _FIRST_IR_WITH_CONSTANT_INITIALIZERS:
        _forget_input_of_weights(model.graph)
    return model


def _forget_input_of_weights(graph: ir.Graph) -> None:
    """Before IR version 4 weights had to be listed as inputs; that did not make them inputs."""
    kept = [v for v in graph.inputs if v.name not in graph.initializers]
    graph.inputs[:] = kept


def _last_words(error: BaseException) -> str:
    """Return what an error says, and which line said it; libraries wrap them in their own."""
    while error.__cause__ is not None:
        error = error.__cause__
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{place}"
