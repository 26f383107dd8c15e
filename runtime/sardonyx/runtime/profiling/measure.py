"""Runs a model under ONNX Runtime's profiler, and makes a profile of what it wrote."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arrays import describe
from ..errors import LoadError, RunError
from ..plugins import short_name
from . import modules
from .attribution import Attribution, Origin
from .events import Executed, Run, read_events, runs_of
from .flops import flops, kind_of
from .graph import Graph, Weight, qualified, read_graph
from .report import NodeTime, Profile

if TYPE_CHECKING:
    from ..session import Session

TRACE, OPTIMIZED, WEIGHTS = "trace", "optimized.onnx", "optimized.weights"
EXTERNAL = "session.optimized_model_external_initializers_"
ROOM = 3
"""Free disk space, in sizes of the model, below which ONNX Runtime's graph is not written."""


def profile(
    session: Session, args: Sequence[Any], named: Mapping[str, Any], *, runs: int, warm_up: int
) -> Profile:
    """See ``Session.profile``."""
    for name, value, least in (("runs", runs, 1), ("warm_up", warm_up, 0)):
        if value < least:
            raise ValueError(f"{name} is {value}; expected at least {least}")
    plain_ms = _plain_ms(session, args, named, runs, warm_up)
    with tempfile.TemporaryDirectory(prefix="sardonyx-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        profiled, file = _profiled(session, place)
        for _ in range(warm_up + runs):
            profiled(*args, **named)
        events = read_events(Path(profiled._raw.end_profiling()))
        optimized = read_graph(place / OPTIMIZED) if (place / OPTIMIZED).exists() else None
    measured = runs_of(events)[-runs:]
    if not measured:
        raise RunError(
            "ONNX Runtime's trace holds no whole run",
            where=session._where,
            found=f"{len(events)} events",
            remedy="profile fewer runs, or smaller inputs",
        )
    kept = middle(measured)
    nodes, has_modules = node_times(kept, file, optimized)
    return Profile(
        model=session._where,
        ms=_mean(run.microseconds for run in kept) / 1e3,
        plain_ms=plain_ms,
        framework_ms=_mean(run.microseconds - run.busy for run in kept) / 1e3,
        spread=spread(measured),
        runs=len(measured),
        nodes=nodes,
        inputs=_described(session, args, named),
        threads=session.settings.threads,
        providers=session.providers,
        peak_bytes=max((run.peak_bytes for run in kept if run.peak_bytes), default=None),
        has_modules=has_modules,
        is_attributed=optimized is not None,
        onnxruntime=_version(),
        events=events,
    )


def _plain_ms(
    session: Session, args: Sequence[Any], named: Mapping[str, Any], runs: int, warm_up: int
) -> float:
    """Median milliseconds of the session's own calls."""
    times = []
    for _ in range(warm_up + runs):
        started = time.perf_counter()
        session(*args, **named)
        times.append(time.perf_counter() - started)
    return statistics.median(times[warm_up:]) * 1e3


def _profiled(session: Session, place: Path) -> tuple[Session, Graph]:
    """The same model under the profiler, and the graph of its file."""
    from ..loading import load_again

    def write_trace(options: Any) -> None:
        options.enable_profiling = True
        options.profile_file_prefix = str(place / TRACE)

    def write_graph_too(options: Any) -> None:
        write_trace(options)
        options.optimized_model_filepath = str(place / OPTIMIZED)
        options.add_session_config_entry(f"{EXTERNAL}file_name", WEIGHTS)
        options.add_session_config_entry(f"{EXTERNAL}min_size_in_bytes", "256")

    if shutil.disk_usage(place).free > ROOM * _file_bytes(session):
        try:
            return load_again(session, write_graph_too, read_graph)
        except LoadError:
            # Providers that compile parts of the graph cannot write it.
            (place / OPTIMIZED).unlink(missing_ok=True)
    return load_again(session, write_trace, read_graph)


def _file_bytes(session: Session) -> int:
    """Bytes of the model file and of the weights beside it, where it is a file."""
    path = Path(session._where)
    if not path.is_file():
        return 0
    beside = path.parent.glob(f"{path.name}*")
    return sum(file.stat().st_size for file in beside if file.is_file())


def middle(runs: Sequence[Run]) -> list[Run]:
    """The half of the runs whose times lie in the middle; all of fewer than four."""
    ordered = sorted(runs, key=lambda run: run.microseconds)
    out = len(ordered) // 4
    return ordered[out : len(ordered) - out]


def spread(runs: Sequence[Run]) -> float:
    """How far the middle half of the runs lie apart, as a part of their median."""
    times = [run.microseconds for run in middle(runs)]
    return (max(times) - min(times)) / statistics.median(times) if max(times) else 0.0


def _mean(numbers: Iterable[float]) -> float:
    return statistics.fmean(numbers)


def node_times(
    runs: Sequence[Run], file: Graph, optimized: Graph | None
) -> tuple[tuple[NodeTime, ...], bool]:
    """Each node's mean over the runs, and whether their modules are known.

    A node that ran in some of them only counts for a part.
    """
    nodes = {key: node for run in runs for key, node in run.nodes.items()}
    origin_of = Attribution(file, optimized, nodes)
    weights = {**file.weights, **(optimized.weights if optimized else {})}
    origins = {key: origin_of(key, node) for key, node in nodes.items()}
    has_modules = modules.has_paths(o.sources[0] for o in origins.values() if o.sources)
    made = []
    for key in nodes:
        each = [run.nodes[key] for run in runs if key in run.nodes]
        made.append(_node_time(each, len(runs), origins[key], weights))
    return tuple(made), has_modules


def _node_time(
    each: Sequence[Executed], runs: int, origin: Origin, weights: Mapping[str, Weight]
) -> NodeTime:
    """One node, from each of the runs in which it ran."""
    node = each[-1]
    calls = sum(one.calls for one in each) / runs
    operations = flops(node, origin.node, weights)
    domain = origin.node.operator.rpartition(".")[0] if origin.node else ""
    read = origin.node.inputs if origin.node else ()
    return NodeTime(
        name=node.name,
        operator=qualified(domain, node.op_type),
        path=modules.path_of(origin.sources[0]) if origin.sources else (),
        sources=origin.sources,
        replaced=origin.replaced,
        provider=short_name(node.provider),
        kind=kind_of(node),
        ms=sum(one.microseconds for one in each) / runs / 1e3,
        calls=calls,
        flops=None if operations is None else operations * calls,
        shapes=node.outputs,
        output_bytes=sum(one.output_bytes for one in each) / runs,
        input_bytes=sum(one.input_bytes for one in each) / runs,
        weight_bytes=sum(weights[name].bytes for name in read if name in weights),
    )


def _described(session: Session, args: Sequence[Any], named: Mapping[str, Any]) -> dict[str, str]:
    """Type and shape of each input of the calls."""
    return {name: describe(value) for name, value in session._bind(args, named).items()}


def _version() -> str:
    import onnxruntime

    return str(onnxruntime.__version__)
