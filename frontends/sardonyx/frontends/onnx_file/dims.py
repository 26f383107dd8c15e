"""Symbolic dimensions of a file: what their text may say before it is parsed as an expression.

Shape inference parses dimension names as arithmetic ("4*batch"). A file may hold anything there:
no text at all, or a tower of powers that takes for ever to compute.
"""

from __future__ import annotations

import re
import zlib

import onnx_ir as ir

from sardonyx.frontends.onnx_file.value_types import UNKNOWN_DIM

_MOST_CHARACTERS = 200
_TOKEN = r"(?:[^\W\d][\w.]*|\d{1,9}|//?|[-+*%(),\s])"
_EXPRESSION = re.compile(f"{_TOKEN}+")
_DANGEROUS = re.compile(r"\*\s*\*|[/%]\s*(?:0|\()")


def tidy(model: ir.Model) -> None:
    """Make every symbolic dimension of a model unknown, a name or plain arithmetic, in place.

    Dimensions of the same text stay equal.
    """
    for scope in (model.graph, *(f.graph for f in model.functions.values())):
        for graph in (scope, *scope.subgraphs()):
            for value in (*graph.inputs, *graph.initializers.values(), *graph.outputs):
                _tidy_value(value)
            for node in graph:
                for value in node.outputs:
                    _tidy_value(value)


def _tidy_value(value: ir.Value) -> None:
    if value.shape is None or all(_is_plain(dim) for dim in value.shape):
        return
    value.shape = ir.Shape([dim if _is_plain(dim) else _renamed(dim) for dim in value.shape])


def _is_plain(dim: int | ir.SymbolicDim) -> bool:
    if isinstance(dim, int):
        return dim != UNKNOWN_DIM
    if dim.value is None:
        return True
    text = str(dim.value)
    is_short = 0 < len(text) <= _MOST_CHARACTERS
    return is_short and _EXPRESSION.fullmatch(text) is not None and not _DANGEROUS.search(text)


def _renamed(dim: int | ir.SymbolicDim) -> int | ir.SymbolicDim:
    text = str(dim.value) if isinstance(dim, ir.SymbolicDim) else ""
    words = re.sub(r"\W+", "_", text).strip("_")[:40]
    if not words:
        return ir.SymbolicDim(None)
    # The checksum keeps dimensions apart whose texts differ in punctuation only.
    return ir.SymbolicDim(f"dim_{words}_{zlib.crc32(text.encode()):08x}")
