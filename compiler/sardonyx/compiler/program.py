"""What compilation gives: a model that is ready to run, and what was done to it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx_ir as ir

from sardonyx.compiler import export
from sardonyx.compiler.explanation import Explanation
from sardonyx.compiler.ir.text import to_text
from sardonyx.compiler.ir.types import keep_declared
from sardonyx.compiler.passes.manager import PassRecord
from sardonyx.compiler.proof import Proof
from sardonyx.compiler.rewrite import Miss
from sardonyx.compiler.targets import Target


@dataclass(frozen=True)
class Report:
    """What compilation did.

    Attributes:
        passes: Each run of each pass, in order.
        seconds: Wall time of all of it.
        source_nodes: Nodes of the source model, those of subgraphs included.
    """

    passes: tuple[PassRecord, ...]
    seconds: float
    source_nodes: int

    @property
    def rules(self) -> dict[str, int]:
        """How often each rule or kind of change was applied."""
        total: Counter[str] = Counter()
        for record in self.passes:
            total.update(record.applied)
        return dict(sorted(total.items()))

    @property
    def misses(self) -> dict[str, Miss]:
        """For each rule its failed match that came furthest when it ran last, and why it failed."""
        return {name: miss for record in self.passes for name, miss in record.misses.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the report as numbers, strings, lists and dicts."""
        return {
            "seconds": self.seconds,
            "source_nodes": self.source_nodes,
            "rules": self.rules,
            "passes": [
                {
                    "name": record.name,
                    "seconds": record.seconds,
                    "nodes_before": record.nodes_before,
                    "nodes_after": record.nodes_after,
                    "applied": dict(record.applied),
                }
                for record in self.passes
            ],
        }

    def __str__(self) -> str:
        rows = [("pass", "ms", "nodes", "applied")]
        for record in self.passes:
            nodes = f"{record.nodes_before} -> {record.nodes_after}"
            applied = ", ".join(f"{name} {n}" for name, n in record.applied.items())
            rows.append((record.name, f"{1000 * record.seconds:.1f}", nodes, applied))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        return "\n".join(
            f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d}".rstrip()
            for a, b, c, d in rows
        )


@dataclass(frozen=True)
class Program:
    """A compiled model.

    Attributes:
        model: The model at stage target; treat it as read-only.
        target: What it was compiled for.
        report: What was done to it.
        explanation: What became of each site where a fusion can be expected, if that was asked
            for (`compile(..., explain=True)`).
        proof: How it was compared with its source, and what was undone.
    """

    model: ir.Model
    target: Target
    report: Report = field(repr=False)
    explanation: Explanation | None = field(default=None, repr=False)
    proof: Proof = field(default_factory=lambda: Proof("off"), repr=False)

    @classmethod
    def legalised(
        cls,
        core: ir.Model,
        target: Target,
        opset: int | None,
        report: Report,
        source: ir.Model | None = None,
    ) -> Program:
        """Return the program of a model at stage core.

        Args:
            core: The model; not changed.
            target: What it is for.
            opset: Opset of the standard domain; None takes the best one.
            report: What the passes did.
            source: The model as it came in, for the manifest; by default what `core` says of it.

        Raises:
            UnsupportedError: The target cannot take it, or it cannot be had at that opset.
        """
        legal = export.legalise(core, target, opset)
        said = source if source is not None else core
        for value, declared in zip(legal.graph.outputs, said.graph.outputs, strict=True):
            keep_declared(value, declared.shape)
        made = export.manifest(
            said,
            legal,
            target,
            [record.name for record in report.passes],
            report.rules,
        )
        made["source"]["nodes"] = report.source_nodes
        export.stamp(legal, target, made)
        return cls(legal, target, report)

    def save(self, path: str | os.PathLike[str], external_data: bool | None = None) -> Path:
        """Write the program to an ONNX file, at once or not at all; returns the path.

        Args:
            path: Where to. A file that is there is replaced.
            external_data: Put the weights in a file beside it; None does so above 1.5 GB.

        Raises:
            ExportError: The file cannot be written; what was there is untouched.
        """
        return export.save(self.model, path, external_data)

    def to_bytes(self) -> bytes:
        """Return the bytes of the ONNX file; the same program gives the same bytes.

        Raises:
            ExportError: The program has more than 2 GiB.
        """
        return export.to_bytes(self.model)

    def text(self) -> str:
        """Return the program as text for reading: large constants are left out."""
        return to_text(self.model, elide=16, brief=True)

    @property
    def metadata(self) -> Mapping[str, str]:
        """The metadata that the file carries."""
        return dict(self.model.metadata_props)

    def __repr__(self) -> str:
        graph = self.model.graph
        inputs = ", ".join(str(v.name) for v in graph.inputs if not v.is_initializer())
        outputs = ", ".join(str(v.name) for v in graph.outputs)
        after = sum(1 for _ in graph.all_nodes())
        opset = self.model.opset_imports.get("", "none")
        nodes = f"{self.report.source_nodes} -> {after} nodes"
        return (
            f"Program(({inputs}) -> ({outputs}), target={self.target.name!r}, "
            f"opset={opset}, {nodes})"
        )
