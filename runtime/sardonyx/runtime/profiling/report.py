"""What a profile says: per node, and summed by operator, by module path and by kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from . import table
from .events import Event
from .modules import Path
from .tree import Module, build

if TYPE_CHECKING:
    from .comparison import ProfileComparison

VIEWS = ("module", "operator", "node")


@dataclass(frozen=True)
class NodeTime:
    """One node as ONNX Runtime ran it; figures are of one run.

    Attributes:
        name: Its name in the graph that ran.
        operator: Its operator, with the domain unless that is ONNX's own.
        path: The module path that its time is counted for; empty for the model itself.
        sources: Every place of the model that it stems from, in the model file's words.
        replaced: Names of the nodes of the file that it stands for: one, or several fused ones.
        provider: Short name of the execution provider that ran it.
        kind: ``compute``, ``copy`` between devices, ``layout``, ``shape``, ``cast`` or ``data``.
        ms: Milliseconds of its own, without nodes in its branches or loop body.
        calls: How often it ran.
        flops: Floating-point operations, a multiplication with its addition as two; None where
            they are not known.
        shapes: Shapes of its outputs.
        output_bytes: Bytes that it wrote.
        input_bytes: Bytes of the inputs that are no weights.
        weight_bytes: Bytes of the weights that it reads, as the file has them.
    """

    name: str
    operator: str
    path: Path
    sources: tuple[str, ...]
    replaced: tuple[str, ...]
    provider: str
    kind: str
    ms: float
    calls: float
    flops: float | None
    shapes: tuple[tuple[int, ...], ...]
    output_bytes: float
    input_bytes: float
    weight_bytes: int

    @property
    def module(self) -> str:
        """The module path as text."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Total:
    """Several nodes together.

    Attributes:
        nodes: How many.
        ms: Their milliseconds in one run.
        share: Of the time of the whole run, 0 to 1.
        flops: Floating-point operations of those that have a formula.
        gflops_per_second: Of those nodes, in their time; None where none has a formula.
        output_bytes: Bytes that they write.
        weight_bytes: Bytes of weights that they read.
    """

    nodes: int
    ms: float
    share: float
    flops: float
    gflops_per_second: float | None
    output_bytes: float
    weight_bytes: int


@dataclass(frozen=True)
class Profile:
    """Where the time of one model goes; ``print`` shows it as a table.

    The figures are means over the middle half of the runs, by their time, so that they add up:
    the nodes and ``framework_ms`` make ``ms``.

    Attributes:
        model: What the model is called.
        ms: Milliseconds of one run while it is profiled.
        plain_ms: Median milliseconds of the same session's calls without the profiler.
        framework_ms: Part of ``ms`` in which no node runs: ONNX Runtime's own work between nodes.
        spread: How far the runs lie apart: the middle half of them, as a part of the median.
        runs: How many runs were measured.
        nodes: The nodes that ran, in the order in which they first ran.
        inputs: The type and shape of each input.
        threads: Threads of the compute pool.
        providers: Short names of the execution providers that run nodes.
        peak_bytes: Most memory that its allocator had in use, with the weights that it holds;
            None where ONNX Runtime does not tell.
        has_modules: The model says where its nodes come from, by module path or line.
        is_attributed: ONNX Runtime's own graph was at hand, so that fused nodes are traced back.
        onnxruntime: Its version.
    """

    model: str
    ms: float
    plain_ms: float
    framework_ms: float
    spread: float
    runs: int
    nodes: tuple[NodeTime, ...]
    inputs: Mapping[str, str]
    threads: int
    providers: tuple[str, ...]
    peak_bytes: int | None
    has_modules: bool
    is_attributed: bool
    onnxruntime: str
    events: Sequence[Event] = field(default=(), repr=False, compare=False)

    def by_operator(self) -> dict[str, Total]:
        """Totals by operator, the longest first."""
        return self._by(lambda node: node.operator)

    def by_kind(self) -> dict[str, Total]:
        """Totals by what the time goes into, the longest first."""
        return self._by(lambda node: node.kind)

    def by_provider(self) -> dict[str, Total]:
        """Totals by execution provider, the longest first."""
        return self._by(lambda node: node.provider)

    def by_module(self) -> dict[str, Total]:
        """Totals of each module with all that is below it, by dotted path; ``""`` is the model."""
        return {".".join(m.path): self.total(m.items) for m in self.tree().walk()}

    def tree(self) -> Module[NodeTime]:
        """The modules as a tree."""
        return build((node.path, node) for node in self.nodes)

    def total(self, nodes: Iterable[NodeTime]) -> Total:
        """Several nodes together."""
        nodes = list(nodes)
        counted = [node for node in nodes if node.flops]
        flops = sum(node.flops or 0 for node in counted)
        seconds = sum(node.ms for node in counted) / 1e3
        ms = sum(node.ms for node in nodes)
        return Total(
            nodes=len(nodes),
            ms=ms,
            share=ms / self.ms if self.ms else 0.0,
            flops=flops,
            gflops_per_second=flops / seconds / 1e9 if flops and seconds else None,
            output_bytes=sum(node.output_bytes for node in nodes),
            weight_bytes=sum(node.weight_bytes for node in nodes),
        )

    def rows(
        self, by: str = "module", *, most: int = 30, depth: int | None = None, fold: bool = True
    ) -> list[dict[str, Any]]:
        """The table as rows, keyed by its column titles.

        Args:
            by: ``module``, ``operator`` or ``node``.
            most: How many rows there may be, about; the heaviest modules are opened first.
            depth: Open every module to this depth instead.
            fold: Show numbered modules that are built alike as one: ``layer.0-11``.

        Raises:
            ValueError: ``by`` is none of these.
        """
        return table.rows(self, by, most=most, depth=depth, fold=fold)

    def compare(self, other: Profile) -> ProfileComparison:
        """This model before, and another after: side by side, by module path or operator."""
        from .comparison import ProfileComparison

        return ProfileComparison(self, other)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data, for JSON."""
        return {
            "model": self.model,
            "inputs": dict(self.inputs),
            "ms": self.ms,
            "plain_ms": self.plain_ms,
            "framework_ms": self.framework_ms,
            "spread": self.spread,
            "runs": self.runs,
            "threads": self.threads,
            "providers": list(self.providers),
            "peak_bytes": self.peak_bytes,
            "has_modules": self.has_modules,
            "is_attributed": self.is_attributed,
            "onnxruntime": self.onnxruntime,
            "kinds": {name: asdict(total) for name, total in self.by_kind().items()},
            "by_provider": {name: asdict(total) for name, total in self.by_provider().items()},
            "operators": {name: asdict(total) for name, total in self.by_operator().items()},
            "modules": {name: asdict(total) for name, total in self.by_module().items()},
            "nodes": [
                {**asdict(node), "path": list(node.path), "module": node.module}
                for node in self.nodes
            ],
        }

    def save_trace(self, path: str | FilePath) -> None:
        """Write the Chrome trace, for chrome://tracing or ui.perfetto.dev.

        Nodes are named after their operators and have their module paths as categories; modules
        are a track of their own above them.

        Raises:
            OSError: It cannot be written.
        """
        from .trace import with_modules

        text = json.dumps(with_modules(self.events, self.nodes))
        FilePath(path).write_text(text, encoding="utf-8")

    def text(self, by: str | None = None, **view: Any) -> str:
        """A summary and the table, as text; arguments as for ``rows``."""
        by = by or ("module" if self.has_modules else "operator")
        return "\n".join([*self.summary(), "", table.as_text(self.rows(by, **view))])

    def __str__(self) -> str:
        return self.text()

    def summary(self) -> list[str]:
        """A few lines above the table."""
        return table.summary(self)

    def _by(self, key: Callable[[NodeTime], str]) -> dict[str, Total]:
        groups: dict[str, list[NodeTime]] = {}
        for node in self.nodes:
            groups.setdefault(key(node), []).append(node)
        totals = {name: self.total(nodes) for name, nodes in groups.items()}
        return dict(sorted(totals.items(), key=lambda item: -item[1].ms))
