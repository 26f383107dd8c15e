"""`sardonyx devices`."""

from __future__ import annotations

from sardonyx import runtime
from sardonyx.frontends.cli.show import print_json, print_rows, status


def run_devices(as_json: bool) -> None:
    """List the execution providers, each started in a process of its own."""
    with status("starting each provider", as_json):
        found = runtime.providers(start=True)
    rows = [
        {
            "provider": each.name,
            "starts": each.problem is None,
            "devices": list(each.devices),
            "version": each.version,
            "library": each.library,
            "problem": each.problem,
        }
        for each in found
    ]
    if as_json:
        print_json({"providers": rows})
        return
    for row in rows:
        row["starts"] = "yes" if row["starts"] else "no"
        row["problem"] = row["problem"] or ""
    print_rows("execution providers", rows)
