"""Measures members at full size: PyTorch and Sardonyx in turn, each in its own process."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks.ratios import ratio
from examples.zoo.member import Member
from examples.zoo.registry import MEMBERS

WARM_UP_CALLS = 2
Facts = dict[str, Any]


def by_pytorch(member: Member) -> tuple[Facts, Callable[[], object]]:
    """The twin, eager, in single precision on one thread."""
    import torch

    from examples.zoo import twins

    torch.set_num_threads(1)
    found = twins.pair(member, is_small=False)
    feeds = member.feeds(found.model, member.full_at or member.at[0])
    tensors = [torch.from_numpy(x) for x in feeds.values()]

    def call() -> object:
        with torch.no_grad():
            return found.twin(*tensors)

    return {}, call


def by_sardonyx(member: Member) -> tuple[Facts, Callable[[], object]]:
    """The model, compiled for the CPU, on one thread; with what the table says of it."""
    from examples.zoo import twins
    from sardonyx import compiler, runtime

    found = twins.pair(member, is_small=False)
    feeds = member.feeds(found.model, member.full_at or member.at[0])
    program = compiler.compile(found.model, target="cpu", proof="end")
    session = runtime.load(program, providers=["cpu"], threads=1)
    got = list(session.run_named(feeds).values())
    facts = {
        "parameters": sum(int(np.prod(p.shape)) for p in found.model.parameters().values()),
        "nodes_before": program.report.source_nodes,
        "nodes_after": sum(1 for _ in program.model.graph.all_nodes()),
        "error": twins.relative_error(got, twins.wanted(found, feeds)),
        "proven": program.proof.holds,
    }
    arrays = list(feeds.values())
    return facts, lambda: session(*arrays)


SIDES = {"pytorch": by_pytorch, "sardonyx": by_sardonyx}


def serve(side: str, connection: Connection) -> None:
    """Answer, in a process of its own, until there is nothing more to do.

    A member's name loads it and is answered by its facts, a number of seconds by the median
    milliseconds of a call.
    """
    call: Callable[[], object] = list
    while asked := connection.recv():
        if isinstance(asked, float):
            connection.send(median_ms(call, asked))
            continue
        try:
            facts, call = SIDES[side](MEMBERS[asked])
            for _ in range(WARM_UP_CALLS):
                call()
        except Exception as error:
            facts = {"failed": f"{asked}: {type(error).__name__}: {error}"}
        connection.send(facts)


def median_ms(call: Callable[[], object], seconds: float) -> float:
    """The median time of a call, from as many calls as fit, at least one."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


@contextmanager
def children() -> Iterator[dict[str, Connection]]:
    """A process for each side; what they are asked by."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        found = {}
        for side in SIDES:
            here, there = context.Pipe()
            process = context.Process(target=serve, args=(side, there), daemon=True)
            process.start()
            there.close()
            stack.callback(process.join)
            stack.callback(_end, here)
            found[side] = here
        yield found


def _end(connection: Connection) -> None:
    with suppress(BrokenPipeError):  # one that failed has ended
        connection.send(None)


def measure(name: str, asked: dict[str, Connection], rounds: int, seconds: float) -> Facts:
    """The row of one member: its facts, both times, and how many times faster it is.

    Raises:
        RuntimeError: One of the two failed; the message says how.
    """
    record: Facts = {}
    for connection in asked.values():
        connection.send(name)
        record |= connection.recv()
    if "failed" in record:
        raise RuntimeError(record["failed"])
    times: dict[str, list[float | None]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side in list(SIDES) if number % 2 else reversed(SIDES):
            asked[side].send(seconds)
            times[side].append(asked[side].recv())
    found = ratio(times["pytorch"], times["sardonyx"])
    assert found is not None
    milliseconds = {f"{side}_ms": float(np.median(times[side])) for side in SIDES}
    return record | milliseconds | {"ratio": vars(found)}
