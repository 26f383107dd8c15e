"""How much a model file may hold, and what is said of one that holds more."""

from __future__ import annotations

from dataclasses import dataclass

from sardonyx.compiler.errors import UnsupportedError


@dataclass(frozen=True)
class Limits:
    """What a model file may hold. The defaults are far beyond any model that people publish.

    Most are counted on the serialised bytes, before objects are made of them.

    Attributes:
        file_bytes: Size of the model file; the weights beside it do not count.
        fields: Protobuf fields of all kinds.
        nodes: Nodes, before and after model-local functions are inlined.
        tensors: Weights, constants and other tensors.
        functions: Model-local functions.
        attribute_bytes: Attributes of all nodes; tensors and graphs in them do not count.
        dense_bytes: What all sparse tensors take when they are made dense.
        name_length: Characters of a name.
        rank: Dimensions of a tensor.
        nesting: Graphs inside each other, calls of functions included; types inside each other.
    """

    file_bytes: int = (1 << 31) - 1
    fields: int = 1_000_000
    nodes: int = 100_000
    tensors: int = 100_000
    functions: int = 10_000
    attribute_bytes: int = 64 << 20
    dense_bytes: int = 64 << 20
    name_length: int = 1024
    rank: int = 64
    nesting: int = 24

    def check(self, limit: str, found: int, what: str, where: str = "") -> None:
        """Refuse what is beyond a limit.

        Args:
            limit: The attribute that says how much there may be.
            found: How much there is; at least, where counting stopped.
            what: One sentence that says what there is too much of.
            where: The place in the file.

        Raises:
            UnsupportedError: There is more.
        """
        most = getattr(self, limit)
        if found > most:
            raise UnsupportedError(
                what,
                where=where or None,
                found=str(found),
                expected=f"at most {most}, the limit {limit!r}",
                remedy=f"if you trust the file: from_onnx(..., limits=Limits({limit}=...))",
            )
