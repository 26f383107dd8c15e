"""Which part of the user's model a node comes from: its module path."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping

SOURCE = "sardonyx.source"
TORCH_SCOPES = "pkg.torch.onnx.name_scopes"
_LINE = re.compile(r"\S+:\d+$")

Path = tuple[str, ...]
"""A module path by its parts: ``("encoder", "layer", "3", "attention")``."""


def sources_of(metadata: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Where a node says that it comes from, the most telling first; else its name, if it has one.

    Sardonyx writes ``sardonyx.source``, PyTorch's exporter the scopes of modules, older exporters
    put the path into the name: ``/encoder/layer.0/MatMul``.
    """
    if SOURCE in metadata:
        return tuple(filter(None, metadata[SOURCE].split(", ")))
    scope = _torch_scope(metadata.get(TORCH_SCOPES, ""))
    return (scope,) if scope else ((name,) if name else ())


def _torch_scope(text: str) -> str:
    """The innermost module of ``['', 'encoder', 'encoder.layer@1', 'linear_3']``."""
    try:
        scopes = [str(scope) for scope in ast.literal_eval(text)][:-1] if text else []
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return ""
    return scopes[-1].split("@")[0] if scopes else ""


def path_of(source: str) -> Path:
    """The module path that a source names; empty when it names none.

    ``encoder.layer.3`` is a path, so is the folder of ``/encoder/layer.3/MatMul``, and of
    ``block.attention net.py:12``, as the DSL writes, the line is the last part.
    """
    if "/" in source and not _LINE.search(source):
        *folders, _ = source.strip("/").split("/")
        return tuple(part for folder in folders for part in folder.split(".") if part)
    line = _LINE.search(source)
    dotted = source[: line.start()].strip() if line else source
    parts = tuple(part for part in dotted.split(".") if part)
    return (*parts, line.group()) if line else parts


def has_paths(sources: Iterable[str]) -> bool:
    """Whether the sources of nodes are paths, and not only names of nodes.

    Those have no parts, and each node has another; modules have several nodes.
    """
    sources = list(sources)
    if any(len(path_of(source)) > 1 or _LINE.search(source) for source in sources):
        return True
    return 2 * len(set(sources)) <= len(sources) > 0
