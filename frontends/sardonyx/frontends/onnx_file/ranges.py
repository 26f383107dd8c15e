"""Which numbers an attribute may have: those on which kernels divide by zero, overflow or trap
are refused.

Attributes mean the same under the same name, in the standard and in ONNX Runtime's own domain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx
import onnx_ir as ir

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.frontends.onnx_file.where import quoted

_HIGHEST_RANK = 64
_INT_32 = (1 << 31) - 1
_INT_64 = (1 << 63) - 1
_LARGEST = 1 << 40
_STANDARD = ("", "ai.onnx")
_KNOWN = frozenset({*_STANDARD, "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft"})
"""Domains whose attributes are known; those of a model's own functions may mean anything."""
_ANY = (-_INT_64 - 1, _INT_64)

_AXIS = (-_HIGHEST_RANK, _HIGHEST_RANK)
_COUNT = (1, _INT_32)
_FLAG = (0, 1)
_SIZE = (0, _LARGEST - 1)

_BOUNDS: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("axis", "axes", "batch_axis", "time_axis", "batch_dims"), _AXIS),
    **dict.fromkeys(("scan_input_axes", "scan_output_axes", "chunk_axis"), _AXIS),
    "start": _ANY,
    "perm": (0, _HIGHEST_RANK),
    # Windows.
    "kernel_shape": _COUNT,
    "strides": _COUNT,
    "dilations": _COUNT,
    "group": _COUNT,
    "pads": (-_INT_32, _INT_32),
    "output_padding": (0, _INT_32),
    "blocksize": (1, 1 << 16),
    "output_height": _COUNT,
    "output_width": _COUNT,
    "sampling_ratio": (0, 1 << 16),
    "num_groups": _COUNT,
    "groups": _COUNT,
    # Sequences and attention.
    "hidden_size": _COUNT,
    "num_heads": _COUNT,
    "q_num_heads": _COUNT,
    "kv_num_heads": _COUNT,
    "rotary_embedding_dim": (0, _INT_32),
    "num_scan_inputs": _COUNT,
    "num_outputs": (1, 1 << 16),
    "unidirectional": _FLAG,
    "is_causal": _FLAG,
    # Made up numbers and pieces.
    "sample_size": _COUNT,
    "block_size": (0, _INT_32),
    "split": _SIZE,
}
"""Lowest and highest number of an attribute, whatever operator has it."""

_BOUNDS_OF: Mapping[tuple[str, str], tuple[int, int]] = {
    ("EyeLike", "k"): (-_INT_32, _INT_32),
    ("LRN", "size"): _COUNT,
    ("LpNormalization", "p"): (1, 2),
    ("LpPool", "p"): _COUNT,
    ("MaxPool", "storage_order"): _FLAG,
    ("RandomNormal", "shape"): _SIZE,
    ("RandomUniform", "shape"): _SIZE,
    ("Reshape", "shape"): (-1, _LARGEST - 1),
    ("Shape", "end"): _ANY,
    ("TopK", "k"): _SIZE,
    ("Tile", "axis"): _AXIS,
}
"""The same, of an attribute of one operator."""

_DTYPES = frozenset({"to", "dtype", "output_dtype"})
_KNOWN_DTYPES = frozenset(int(dtype) for dtype in ir.DataType if dtype)
_MOST_ELEMENTS = 1 << 31
_MOST_EQUATION = 1024


def check_ranges(node: onnx.NodeProto, where: str) -> None:
    """Check the numbers in the attributes of a node.

    Raises:
        InvalidModelError: One is beyond what its operator can take.
    """
    untyped = [a.name for a in node.attribute if a.type == onnx.AttributeProto.UNDEFINED]
    if untyped:
        raise InvalidModelError("An attribute has no type.", where=where, found=quoted(untyped[0]))
    if node.domain not in _KNOWN:
        return
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            continue
        if attribute.type in (onnx.AttributeProto.INT, onnx.AttributeProto.INTS):
            numbers = [attribute.i] if attribute.type == onnx.AttributeProto.INT else attribute.ints
            _check_numbers(node, attribute.name, list(numbers), where)
    check = _CHECKS.get(node.op_type)
    if check is not None and node.domain in _STANDARD:
        why = check({attribute.name: attribute for attribute in node.attribute})
        if why:
            raise InvalidModelError(f"{node.op_type} cannot be computed: {why}.", where=where)


def _check_numbers(node: onnx.NodeProto, name: str, numbers: list[int], where: str) -> None:
    if name in _DTYPES and node.domain in _STANDARD:
        is_optional = name == "output_dtype"
        known = _KNOWN_DTYPES | {0} if is_optional else _KNOWN_DTYPES
        wrong = next((n for n in numbers if n not in known), None)
        expected = "a dtype of ONNX"
    else:
        low, high = _BOUNDS_OF.get((node.op_type, name), _BOUNDS.get(name, _ANY))
        wrong = next((n for n in numbers if not low <= n <= high), None)
        expected = f"{low} to {high}"
    if wrong is not None:
        what = "names an axis that no tensor has" if _BOUNDS.get(name) == _AXIS else "is impossible"
        raise InvalidModelError(
            f"The attribute {name} {what}.", where=where, found=str(wrong), expected=expected
        )


_Attributes = Mapping[str, onnx.AttributeProto]


def _transpose(attributes: _Attributes) -> str:
    perm = list(attributes["perm"].ints) if "perm" in attributes else []
    return "" if sorted(perm) == list(range(len(perm))) else f"perm {perm[:9]} is no permutation"


def _uniform(attributes: _Attributes) -> str:
    low = attributes["low"].f if "low" in attributes else 0.0
    high = attributes["high"].f if "high" in attributes else 1.0
    return "" if low <= high else f"its numbers are between {low:g} and {high:g}"


def _random(attributes: _Attributes) -> str:
    count = 1
    for dim in attributes["shape"].ints if "shape" in attributes else ():
        count *= dim
        if count > _MOST_ELEMENTS:
            return "it asks for more numbers than any memory holds"
    return ""


def _random_uniform(attributes: _Attributes) -> str:
    return _uniform(attributes) or _random(attributes)


def _einsum(attributes: _Attributes) -> str:
    equation = attributes["equation"].s if "equation" in attributes else b""
    if len(equation) > _MOST_EQUATION:
        return f"its equation has {len(equation)} characters"
    terms = equation.replace(b"->", b",").split(b",")
    if any(term.count(b"...") > 1 for term in terms):
        return "an operand has several ellipses"
    return ""


_CHECKS: Mapping[str, Callable[[_Attributes], str]] = {
    "Einsum": _einsum,
    "RandomNormal": _random,
    "RandomUniform": _random_uniform,
    "RandomUniformLike": _uniform,
    "Transpose": _transpose,
}
"""What no range can say; an empty text means that nothing is wrong."""
