"""Prints results: tables for people, JSON for programs."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_FILE_WIDTH = 160


def print_json(result: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    print(json.dumps(result, indent=2, default=str))


def print_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows with the same keys as a table; what goes into a file is not cut to a width."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for name in columns:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        # As text: brackets are shapes here and no markup.
        table.add_row(*(Text(_cell(row.get(name, ""))) for name in columns))
    Console(width=None if sys.stdout.isatty() else _FILE_WIDTH).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


@contextlib.contextmanager
def status(text: str, quiet: bool = False) -> Iterator[Any]:
    """Show on standard error that something takes long, if a person looks at it."""
    if quiet or not sys.stderr.isatty():
        yield _Silent()
        return
    from rich.console import Console

    with Console(stderr=True).status(text) as shown:
        yield shown


class _Silent:
    def update(self, text: str) -> None:
        """Show nothing."""
