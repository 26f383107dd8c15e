"""The Chrome trace with module paths in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .events import SUFFIX, Event, key_of, node_events
from .modules import Path

if TYPE_CHECKING:
    from .report import NodeTime

MODULES = -1
"""The number of the track that shows modules; threads have positive ones."""


def with_modules(events: Iterable[Event], nodes: Sequence[NodeTime]) -> list[Event]:
    """ONNX Runtime's events, those of nodes with their module, and modules around them."""
    events = list(events)
    known = {(node.name, node.operator.rpartition(".")[2]): node for node in nodes}
    made: list[Event] = []
    ran: list[tuple[Path, Event]] = []
    for event in events:
        is_node = event.get("cat") == "Node" and event["name"].endswith(SUFFIX)
        node = known.get(key_of(event)[:2]) if is_node else None
        if node is None:
            made.append(event)
            continue
        arguments = {
            **event["args"],
            "node": node.name,
            "module": node.module,
            "sources": list(node.sources),
            "kind": node.kind,
        }
        if node.flops is not None:
            arguments["flops"] = node.flops / max(node.calls, 1)
        made.append(
            {**event, "name": node.operator, "cat": node.module or "model", "args": arguments}
        )
    for event in node_events(events):
        if node := known.get(key_of(event)[:2]):
            ran.append((node.path, event))
    pid = ran[0][1].get("pid", 0) if ran else 0
    title = {"name": "modules"}
    naming = {"ph": "M", "name": "thread_name", "pid": pid, "tid": MODULES, "args": title}
    return [*made, naming, *_spans(ran, pid)]


def _spans(ran: Sequence[tuple[Path, Event]], pid: Any) -> list[Event]:
    """One event for each module while its nodes run one after another, at each depth."""
    spans: list[Event] = []
    opened: list[tuple[str, float, float]] = []

    def close(depth: int) -> None:
        while len(opened) > depth:
            name, start, end = opened.pop()
            spans.append(
                {
                    "cat": name,
                    "name": name.rpartition(".")[2],
                    "ph": "X",
                    "pid": pid,
                    "tid": MODULES,
                    "ts": start,
                    "dur": end - start,
                    "args": {"module": name},
                }
            )

    for path, event in ran:
        start, end = float(event["ts"]), float(event["ts"]) + float(event["dur"])
        names = [".".join(path[: depth + 1]) for depth in range(len(path))]
        common = 0
        while common < min(len(names), len(opened)) and opened[common][0] == names[common]:
            common += 1
        close(common)
        opened.extend((name, start, end) for name in names[common:])
        opened[:] = [(name, first, max(last, end)) for name, first, last in opened]
    close(0)
    return spans
