"""`sardonyx cache`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sardonyx import runtime
from sardonyx.frontends.cli.options import refuse_python
from sardonyx.frontends.cli.show import print_json, print_rows, status
from sardonyx.runtime.prepared import cache_folder, environment, size_limit
from sardonyx.runtime.store import Entry, Store


def manage(models: Sequence[str], *, folder: Path | None, clear: bool, as_json: bool) -> None:
    """Prepare models, or take all entries away; then say what is in the cache.

    Raises:
        SardonyxError: A model cannot be loaded, or the folder is no cache.
    """
    for model in models:
        refuse_python(model)
    cache = folder or environment() or True
    try:
        store = Store(cache_folder(cache), size_limit())
    except OSError as error:
        raise runtime.SettingsError(
            "the cache cannot be used",
            where=None if cache is True else str(cache),
            found=str(error),
            expected="a folder that can be written to",
        ) from None
    removed = store.clear() if clear else 0
    outcomes = {}
    for model in models:
        with status(f"preparing {model}", as_json):
            outcomes[model] = str(runtime.load(model, cache=cache).prepared)
    entries = store.entries()
    if as_json:
        rows = [_fields(entry) for entry in entries]
        result = {"folder": str(store.folder), "limit": store.limit, "entries": rows}
        print_json({**result, "removed": removed, "prepared": outcomes})
        return
    if outcomes:
        print_rows("prepared", [{"model": m, "outcome": o} for m, o in outcomes.items()])
    total = sum(entry.bytes for entry in entries)
    title = f"{store.folder}: {total / 2**20:,.0f} of {store.limit / 2**20:,.0f} MiB"
    if removed:
        title += f"; {removed} taken away"
    rows = [_row(entry) for entry in entries]
    print_rows(title, rows or [{"model": "none"}])


def _fields(entry: Entry) -> dict[str, Any]:
    return {"key": entry.key, "bytes": entry.bytes, "used": entry.used, **entry.facts}


def _row(entry: Entry) -> dict[str, Any]:
    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
    return {
        "model": str(entry.facts.get("source", "?")),
        "MiB": f"{entry.bytes / 2**20:,.1f}",
        "last used": used,
        "note": str(entry.facts.get("refusal", "")),
    }
