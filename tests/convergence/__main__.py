"""Prints the table: for every model and source, what was found and what was fused.

python -m tests.convergence [MODEL ...]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.convergence import decoding
from tests.convergence.cases import Case, cases
from tests.convergence.models import SUBJECTS

FAMILIES = ("attention", "kv_cache", "norm", "activation", "conv_block", "rotary")


def row(case: Case) -> list[str]:
    """One line: fused of found for each family, nodes, the worst of the proof, error."""
    reason = case.source.cannot(case.subject, case.is_dynamic)
    if reason:
        return [case.name, reason]
    program = case.compile()
    counts = program.explanation.counts()
    cells = [f"{counts[f].fused}/{counts[f].found}" if counts[f].found else "" for f in FAMILIES]
    after = sum(1 for _ in program.model.graph.all_nodes())
    with tempfile.TemporaryDirectory() as folder:
        error = f"{case.relative_error(program, Path(folder)):.1e}"
    proof = f"{program.proof.worst:.2f}" if program.proof.holds else "unchecked"
    return [case.name, *cells, str(program.report.source_nodes), str(after), proof, error]


def main() -> None:
    """The command."""
    wanted = sys.argv[1:]
    table = Table("case", *FAMILIES, "nodes", "after", "proof", "error")
    console = Console(width=140)
    with console.status("exporting"):
        for case in cases((*SUBJECTS, *decoding.SUBJECTS)):
            if not wanted or case.subject.name in wanted:
                table.add_row(*row(case))
    console.print(table)


main()
