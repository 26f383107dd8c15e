"""`sardonyx profile`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sardonyx import runtime
from sardonyx.compiler.errors import ExportError, UnsupportedError
from sardonyx.frontends.cli.feeds import make_feeds
from sardonyx.frontends.cli.options import parse_dims, parse_inputs
from sardonyx.frontends.cli.running import model_of
from sardonyx.frontends.cli.show import print_json, status
from sardonyx.frontends.cli.writing import check_file
from sardonyx.runtime.profiling import Profile

VIEWS = ("module", "operator", "node")


def run_profile(
    source: str,
    inputs: Sequence[str],
    dims: Sequence[str],
    *,
    against: str | None,
    by: str | None,
    view: Mapping[str, Any],
    trace: Path | None,
    runs: int,
    warm_up: int,
    seed: int,
    threads: int | None,
    provider: list[str] | None,
    as_json: bool,
) -> None:
    """Say where the time of a model goes, or of two side by side; `view` as of `Profile.rows`."""
    _check(by, against)
    if trace is not None:
        check_file(trace, "--trace")
    files, lengths = parse_inputs(inputs), parse_dims(dims)
    profiles: list[Profile] = []
    feeds: dict[str, Any] = {}
    for which in filter(None, (source, against)):
        model = model_of(which, as_json)
        session = runtime.load(model, provider, threads=threads)
        feeds = _fitting(session, feeds) or make_feeds(session.inputs, files, lengths, seed)
        with status(f"profiling {which}", as_json):
            made = session.profile(*_positional(session, feeds), runs=runs, warm_up=warm_up)
        profiles.append(made)
    if trace is not None:
        _save(profiles[-1], trace)
    shown = profiles[0].compare(profiles[1]) if against else profiles[0]
    if as_json:
        print_json(shown.to_dict())
        return
    print(shown.text(by, **view))


def _check(by: str | None, against: str | None) -> None:
    expected = VIEWS[:2] if against else VIEWS
    if by is not None and by not in expected:
        raise UnsupportedError(
            "--by is not one of the views there are.",
            found=repr(by),
            expected=", ".join(expected),
        )


def _fitting(session: runtime.Session, feeds: Mapping[str, Any]) -> dict[str, Any] | None:
    """The same values for the other model, by name or else by order."""
    required = [spec.name for spec in session.inputs if spec.required]
    if not feeds or set(required) == set(feeds):
        return dict(feeds) or None
    if len(required) != len(feeds):
        raise UnsupportedError(
            "The two models have other inputs.",
            found=", ".join(required) or "none",
            expected=", ".join(feeds),
        )
    return dict(zip(required, feeds.values(), strict=True))


def _positional(session: runtime.Session, feeds: Mapping[str, Any]) -> list[Any]:
    """Values by position: names of inputs may be anything."""
    names = [spec.name for spec in session.inputs]
    last = max((names.index(name) for name in feeds), default=-1)
    return [feeds[name] for name in names[: last + 1]]


def _save(profile: Profile, trace: Path) -> None:
    try:
        profile.save_trace(trace)
    except OSError as error:
        raise ExportError(
            "The trace cannot be written.",
            where=str(trace),
            found=error.strerror,
            remedy="choose a folder that is there, is writable and has space",
        ) from error
