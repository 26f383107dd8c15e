"""Reads the trace that ONNX Runtime's profiler writes: which node took how long, in each run."""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .graph import Shape

SUFFIX = "_kernel_time"
RUN = "model_run"

Event = dict[str, Any]
Key = tuple[str, str, str]
"""A node: name, operator as the trace has it, index."""


@dataclass
class Executed:
    """One node as it ran, summed over one run.

    Attributes:
        name: The node's name.
        op_type: Its operator, without a domain.
        provider: ONNX Runtime's name of the provider that ran it.
        microseconds: Its own time, without that of nodes in its branches or its loop's body.
        calls: How often it ran: more than once inside a loop.
        inputs: Shapes of its inputs that are tensors and not packed by its kernel, in their order.
        outputs: Shapes of its outputs.
        dtypes: Types of its outputs, as the trace names them: ``float``, ``int64``.
        output_bytes: Bytes of all its outputs, over its calls.
        input_bytes: Bytes of its inputs that are no weights, over its calls.
    """

    name: str
    op_type: str
    provider: str
    microseconds: float = 0.0
    calls: int = 0
    inputs: tuple[Shape, ...] = ()
    outputs: tuple[Shape, ...] = ()
    dtypes: tuple[str, ...] = ()
    output_bytes: int = 0
    input_bytes: int = 0


@dataclass(frozen=True)
class Run:
    """One run of a model.

    Attributes:
        microseconds: How long ONNX Runtime took for it.
        busy: Microseconds in which some node ran.
        nodes: The nodes that ran, by key, in the order in which they began.
        peak_bytes: Most memory that was in use, weights included; None where it is not told.
    """

    microseconds: float
    busy: float
    nodes: dict[Key, Executed]
    peak_bytes: int | None


def read_events(path: Path) -> list[Event]:
    """The events of a trace."""
    events = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    return [event for event in events if isinstance(event, dict)]


def runs_of(events: Iterable[Event]) -> list[Run]:
    """The runs that a trace holds whole, in their order."""
    events = list(events)
    runs = sorted((e for e in events if e.get("name") == RUN), key=_start)
    starts = [_start(run) for run in runs]
    nodes: list[list[Event]] = [[] for _ in runs]
    for event in node_events(events):
        index = bisect.bisect_right(starts, _start(event)) - 1
        if index >= 0 and _end(event) <= _end(runs[index]):
            nodes[index].append(event)
    return [_run(whole, inside) for whole, inside in zip(runs, nodes, strict=True)]


def node_events(events: Iterable[Event]) -> list[Event]:
    """The events of nodes that ran, by the time at which they began."""
    found = (e for e in events if e.get("cat") == "Node" and e["name"].endswith(SUFFIX))
    # Of two that begin in the same microsecond the longer one is around the other.
    return sorted(found, key=lambda e: (_start(e), -e["dur"]))


def key_of(event: Event) -> Key:
    """What tells one node of a model from the others."""
    arguments = event["args"]
    return (
        event["name"].removesuffix(SUFFIX),
        str(arguments.get("op_name", "")),
        str(arguments.get("node_index", "")),
    )


def _run(whole: Event, events: list[Event]) -> Run:
    nodes: dict[Key, Executed] = {}
    peaks = []
    for event, own in zip(events, _own_times(events), strict=True):
        key, arguments = key_of(event), event["args"]
        node = nodes.setdefault(key, Executed(*key[:2], str(arguments.get("provider", ""))))
        node.microseconds += own
        node.calls += 1
        node.inputs = tuple(shape for _, shape in _tensors(arguments, "input_type_shape"))
        outputs = _tensors(arguments, "output_type_shape")
        node.outputs = tuple(shape for _, shape in outputs)
        node.dtypes = tuple(dtype for dtype, _ in outputs)
        node.output_bytes += _number(arguments, "output_size")
        node.input_bytes += _number(arguments, "activation_size")
        if "mem_in_use_peak" in arguments:
            peaks.append(_number(arguments, "mem_in_use_peak"))
    return Run(float(whole["dur"]), _covered(events), nodes, max(peaks, default=None))


def _own_times(events: list[Event]) -> list[float]:
    """Each event's duration less those of the events inside it, on the same thread."""
    own = [float(event["dur"]) for event in events]
    open_by_thread: dict[Any, list[int]] = {}
    for index, event in enumerate(events):
        around = open_by_thread.setdefault(event.get("tid"), [])
        while around and _end(events[around[-1]]) < _end(event):
            around.pop()
        if around and _start(event) < _end(events[around[-1]]):
            own[around[-1]] -= event["dur"]
        around.append(index)
    return [max(0.0, time) for time in own]


def _covered(events: list[Event]) -> float:
    """Microseconds in which at least one of the events goes on."""
    covered, reached = 0.0, float("-inf")
    for event in events:
        covered += max(0.0, _end(event) - max(reached, _start(event)))
        reached = max(reached, _end(event))
    return covered


def _tensors(arguments: Mapping[str, Any], key: str) -> list[tuple[str, Shape]]:
    """Types and shapes: ``[{"float": [1, 3]}, {"int64": []}]``; entries without one left out."""
    return [
        (str(dtype), tuple(map(int, shape)))
        for one in arguments.get(key) or ()
        if isinstance(one, dict)
        for dtype, shape in one.items()
    ]


def _number(arguments: Mapping[str, Any], key: str) -> int:
    try:
        return int(arguments.get(key, 0))
    except ValueError:
        return 0


def _start(event: Event) -> float:
    return float(event["ts"])


def _end(event: Event) -> float:
    return float(event["ts"]) + float(event["dur"])
