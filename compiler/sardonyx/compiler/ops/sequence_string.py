"""Rows of the operators on sequences, optional values and strings, and of the image decoder."""

from __future__ import annotations

from sardonyx.compiler.ops.axes import Fixed
from sardonyx.compiler.ops.cost import free, per_element
from sardonyx.compiler.ops.row import Trait, define, none
from sardonyx.compiler.ops.tolerance import Tolerance

_SEQUENCE = Fixed("a sequence has no axes")
_TENSORS_ONLY = none("its operand or output is no tensor; the node corpus of ONNX covers it")

define(
    "ConcatFromSequence",
    "SequenceAt",
    "SequenceConstruct",
    "SequenceEmpty",
    "SequenceErase",
    "SequenceInsert",
    "SplitToSequence",
    traits={Trait.DATA_MOVEMENT},
    axes=_SEQUENCE,
    cost=none("the sizes of a sequence's tensors are not known"),
    tolerance=Tolerance.EXACT,
    sample=_TENSORS_ONLY,
)
define(
    "Optional",
    "OptionalGetElement",
    traits={Trait.DATA_MOVEMENT},
    axes=Fixed("an optional value has no axes"),
    cost=free,
    tolerance=Tolerance.EXACT,
    sample=_TENSORS_ONLY,
)
define(
    "OptionalHasElement",
    "SequenceLength",
    axes=_SEQUENCE,
    cost=free,
    tolerance=Tolerance.EXACT,
    sample=_TENSORS_ONLY,
)

_STRINGS = none("samples are numbers; the node corpus of ONNX covers it")
_TEXT = Fixed("it is not worth moving text")

define(
    "RegexFullMatch",
    "StringConcat",
    "StringNormalizer",
    "StringSplit",
    axes=_TEXT,
    cost=none("it depends on the lengths of the strings"),
    tolerance=Tolerance.EXACT,
    sample=_STRINGS,
)
define(
    "TfIdfVectorizer",
    axes=Fixed("it counts runs along its last axis"),
    cost=per_element(1),
    tolerance=Tolerance.ROUNDING,
    sample=none("it needs a vocabulary; the node corpus of ONNX covers it"),
)
define(
    "ImageDecoder",
    axes=Fixed("its layout is height, width, channels"),
    cost=none("it depends on the compressed image"),
    # Decoders of lossy formats may differ by a grey level.
    tolerance=none("decoders differ"),
    sample=none("its operand is an image file"),
)
