"""What a model's inputs and outputs are: name, kind, dtype and symbolic shape."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .limits import Limits

# ONNX Runtime's element names where they differ from numpy's (or ml_dtypes') names.
DTYPES = {
    "float": "float32",
    "double": "float64",
    "float8e4m3fn": "float8_e4m3fn",
    "float8e4m3fnuz": "float8_e4m3fnuz",
    "float8e5m2": "float8_e5m2",
    "float8e5m2fnuz": "float8_e5m2fnuz",
}
ELEMENT = re.compile(r"tensor\((\w+)\)")

Dim = int | str | None


@dataclass(frozen=True)
class Spec:
    """One input or output of a model.

    Attributes:
        name: Its name in the model.
        kind: ``tensor``, ``sequence``, ``optional`` (of a tensor), ``optional sequence``,
            ``sparse`` or ``map``.
        dtype: Element type by numpy's name (``float32``, ``bfloat16``, ``int4``, ``string``).
        shape: One entry per axis: a size, a symbolic name, or None for a size nobody named.
            None as a whole means that the rank is unknown.
        required: False for an optional value, or for an input that has a default in the model.
        ort_type: The type as ONNX Runtime writes it.
        limits: Axis, least and largest size (None: any) of each symbolic dimension that the model
            was captured for some sizes of; calls with others are refused.
    """

    name: str
    kind: str
    dtype: str
    shape: tuple[Dim, ...] | None
    required: bool
    ort_type: str
    limits: tuple[tuple[int, int, int | None], ...] = ()

    @property
    def type(self) -> str:
        """The type as text, for example ``float32[batch, 3]``; ``...`` stands for any rank."""
        dims = "..." if self.shape is None else ", ".join(map(dim_text, self.shape))
        text = self.dtype if self.shape == () else f"{self.dtype}[{dims}]"
        return text if self.kind == "tensor" else f"{self.kind}({text})"

    def __str__(self) -> str:
        return f"{self.name}: {self.type}"

    def __repr__(self) -> str:
        return f"<{self}>"


def dim_text(dim: Dim) -> str:
    """A dimension as text; ``?`` for one without size and name."""
    return "?" if dim is None else str(dim)


def spec_of(
    arg: Any, *, is_scalar: bool = False, has_default: bool = False, limits: Limits | None = None
) -> Spec:
    """The spec of an ONNX Runtime ``NodeArg``; it reports a scalar's shape as an unknown one's."""
    kind = _kind(arg.type)
    element = ELEMENT.search(arg.type)
    dtype = element.group(1) if element else arg.type
    shape = tuple(arg.shape) if arg.shape or is_scalar else None
    shape = None if "sequence" in kind else shape
    known = limits or {}
    return Spec(
        name=arg.name,
        kind=kind,
        dtype=DTYPES.get(dtype, dtype),
        shape=shape,
        required=not (has_default or kind.startswith("optional")),
        ort_type=arg.type,
        limits=tuple((axis, *known[dim]) for axis, dim in enumerate(shape or ()) if dim in known),
    )


def _kind(ort_type: str) -> str:
    for start, kind in (
        ("tensor(", "tensor"),
        ("seq(tensor(", "sequence"),
        ("optional(seq(tensor(", "optional sequence"),
        ("optional(tensor(", "optional"),
        ("sparse_tensor(", "sparse"),
    ):
        if ort_type.startswith(start):
            return kind
    return "map"
