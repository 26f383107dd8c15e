"""Measures members of the zoo and writes docs/zoo.md: `make zoo`, or names of members."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from typing import Any

from rich.console import Console

from benchmarks import machine
from examples.zoo import table
from examples.zoo.registry import MEMBERS
from sardonyx.runtime.child import Child, ChildError

console = Console()


def main() -> int:
    """Measure; returns 1 when a member failed or is off by more than the bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("members", nargs="*", help="all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each round and side")
    parser.add_argument("--table", action="store_true", help="only write the page anew")
    options = parser.parse_args()
    unknown = [name for name in options.members if name not in MEMBERS]
    if unknown:
        parser.error(f"no such member: {', '.join(unknown)}; there are {', '.join(MEMBERS)}")
    found = table.load()
    found["members"] = {n: found["members"][n] for n in MEMBERS if n in found["members"]}
    wrong: list[str] = []
    if not options.table:
        fill(found, options.members or list(MEMBERS), options.rounds, options.seconds, wrong)
    table.save(found)
    for line in wrong:
        console.print(line, style="red", markup=False)
    return 1 if wrong else 0


def fill(
    found: dict[str, Any], names: list[str], rounds: int, seconds: float, wrong: list[str]
) -> None:
    """Measure members, keep each as soon as it is there, and list what went wrong."""
    from examples.zoo.measuring import SIDES, measure

    with ExitStack() as stack:
        children = {side: stack.enter_context(Child("examples.zoo.measuring")) for side in SIDES}
        for name in names:
            try:
                record = measure(name, children, rounds, seconds)
            except ChildError as error:
                wrong.append(f"{name}: {error}")
                continue
            found["members"][name] = record
            found["machine"] = machine.describe()
            table.save(found)
            console.print(table.row(MEMBERS[name], record), markup=False, soft_wrap=True)
            if not record["error"] <= table.LIMIT:
                wrong.append(f"{name} is off by {record['error']:.1e}")


if __name__ == "__main__":
    sys.exit(main())
