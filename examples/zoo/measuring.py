"""Measures members at full size: PyTorch and Sardonyx in turn, each in its own process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.ratios import in_turn, ratio
from examples.zoo.member import Member, learned
from examples.zoo.registry import MEMBERS
from sardonyx.runtime.child import Child

WARM_UP_CALLS = 2
TIMEOUT = 600.0
"""Seconds that a side may take to load, or for a round."""

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
        "parameters": learned(found.model),
        "nodes_before": program.report.source_nodes,
        "nodes_after": sum(1 for _ in program.model.graph.all_nodes()),
        "error": twins.relative_error(got, twins.wanted(found, feeds)),
        "proven": program.proof.holds,
    }
    arrays = list(feeds.values())
    return facts, lambda: session(*arrays)


SIDES = {"pytorch": by_pytorch, "sardonyx": by_sardonyx}


class Worker:
    """One side, in a process of its own."""

    def open(self, side: str, name: str) -> Facts:
        """Load a member; its facts."""
        facts, self.call = SIDES[side](MEMBERS[name])
        for _ in range(WARM_UP_CALLS):
            self.call()
        return facts

    def time(self, seconds: float) -> Facts:
        """The median milliseconds of a call."""
        return {"ms": median_ms(self.call, seconds)}


def main() -> None:
    """Serve until standard input ends."""
    from sardonyx.runtime.worker import serve

    serve(Worker())


def median_ms(call: Callable[[], object], seconds: float) -> float:
    """The median time of a call, from as many calls as fit, at least one."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def measure(name: str, children: Mapping[str, Child], rounds: int, seconds: float) -> Facts:
    """The row of one member: its facts, both times, and how many times faster it is.

    Raises:
        ChildError: One of the two failed.
    """
    record: Facts = {}
    for side, child in children.items():
        record |= child.ask("open", TIMEOUT, side=side, name=name)
    times = in_turn(
        SIDES, rounds, lambda side: children[side].ask("time", TIMEOUT, seconds=seconds)["ms"]
    )
    found = ratio(times["pytorch"], times["sardonyx"])
    assert found is not None
    milliseconds = {f"{side}_ms": float(np.median(times[side])) for side in SIDES}
    return record | milliseconds | {"ratio": vars(found)}
