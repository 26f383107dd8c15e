"""`python -m tests.frontends.hostile` says how many hostile files end how, and what they take."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from tests.frontends.hostile.mutants import outcome
from tests.frontends.hostile.outside import LEADS, SECRET, tricked
from tests.frontends.hostile.suite import CASES
from tests.frontends.hostile.watched import Watched


def main() -> None:
    """Print the figures, and the slowest cases."""
    outcomes: Counter[str] = Counter()
    taken: list[tuple[float, float, int, str]] = []
    leaks = 0
    with tempfile.TemporaryDirectory() as place, Watched(Path(place)) as watched:
        for index, (name, case) in enumerate(CASES.items()):
            folder = Path(place) / str(index)
            folder.mkdir()
            answer = watched.ask(case.path(folder))
            is_right = case.says in answer["error"] if "error" in answer else bool(case.accepted)
            outcomes[outcome(answer) if is_right else "wrong"] += 1
            taken.append((answer["seconds"], answer["wall"], answer["peak"], name))
        for index, row in enumerate(LEADS.values()):
            folder = Path(place) / f"lead{index}"
            folder.mkdir()
            answer = watched.ask(tricked(folder, *row))
            leaks += "error" not in answer or SECRET.decode() in str(answer)
    print(f"{len(CASES)} files: {dict(outcomes)}; {watched.deaths} deaths")
    print(f"{len(LEADS)} ways out of the folder: {leaks} leaks")
    print(f"largest {max(peak for _, _, peak, _ in taken) >> 20} MiB; slowest:")
    for seconds, wall, peak, name in sorted(taken, reverse=True)[:5]:
        print(f"  {seconds:.2f} s of processor, {wall:.2f} s, {peak >> 20} MiB: {name}")


if __name__ == "__main__":
    main()
