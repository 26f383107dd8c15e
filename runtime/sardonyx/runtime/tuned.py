"""What tuning left in an artifact, and whether it holds here.

The entry names the machine it was measured on; on another one it is ignored, with a warning.
"""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import SettingsError
from .machine import machine
from .settings import FIELDS, check_allowed, checked

KEY = "sardonyx.tuning"
FORMAT = 1
_LONGEST = 100
"""Characters of a value that is shown in full."""


@dataclass(frozen=True)
class Tuned:
    """Settings that were measured to be fast on one machine.

    Attributes:
        provider: Short name of the provider they are for.
        threads: Threads of the compute pool; None leaves them to the default.
        settings: The others, as the artifact's own.
        gain: How many times faster than without them; None where nothing was gained.
        machine: Where they were measured, as ``Machine.as_dict`` gives it.
        note: What becomes of them, for ``session.settings``.
    """

    provider: str
    threads: int | None
    settings: Mapping[str, Any]
    gain: float | None
    machine: Mapping[str, Any]
    note: str = ""

    def to_text(self) -> str:
        """The entry of a model's metadata."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return json.dumps({"format": FORMAT, **fields}, sort_keys=True)


def read_tuned(metadata: Mapping[str, str], where: str) -> Tuned | None:
    """What the metadata of a model carry; None without such an entry, or with a newer one.

    Raises:
        SettingsError: The entry is damaged, or sets what a model file may not.
    """
    if KEY not in metadata:
        return None
    place = f"{KEY} of {where}"
    try:
        said = json.loads(metadata[KEY])
    except (ValueError, RecursionError) as error:
        raise _damaged(place, str(error)) from None
    if not isinstance(said, dict) or not isinstance(said.get("format"), int):
        raise _damaged(place, said)
    if said["format"] > FORMAT:
        return None
    provider, threads, gain = said.get("provider"), said.get("threads"), said.get("gain")
    settings, measured = said.get("settings"), said.get("machine")
    if not (
        isinstance(provider, str)
        and (threads is None or (type(threads) is int and 1 <= threads <= 4096))
        and (gain is None or type(gain) in (int, float))
        and isinstance(settings, dict)
        and isinstance(measured, dict)
    ):
        raise _damaged(place, said)
    settings = {key: value for key, value in settings.items() if key in FIELDS}
    check_allowed(settings, place)
    return Tuned(provider, threads, checked(settings, place), gain, measured)


def tuned_here(
    metadata: Mapping[str, str], where: str, asked: Sequence[str] | None
) -> Tuned | None:
    """What tuning found, if it holds here; otherwise empty settings whose note says why not.

    Args:
        metadata: The model's metadata.
        where: What to call the model.
        asked: Short names of the providers that the caller asks for; None leaves them to tuning.

    Warns:
        RuntimeWarning: It was found on another machine.
    """
    found = read_tuned(metadata, where)
    if found is None:
        return None
    other = _differences(found.machine)
    if other:
        note = f"ignored: measured on another machine ({other})"
        warnings.warn(f"{where}: tuned settings are {note}", RuntimeWarning, stacklevel=5)
        return unused(found, note)
    if asked is not None and asked not in ([found.provider], [found.provider, "cpu"]):
        return unused(found, f"not used: it is for provider {found.provider}")
    if found.gain is None:
        return unused(found, "no gain on this machine")
    return dataclasses.replace(found, note=f"measured here, {found.gain:.2f} times faster")


def unused(found: Tuned, note: str) -> Tuned:
    """Settings that change nothing, with what became of those that were found."""
    return Tuned("cpu", None, {}, None, found.machine, note)


def _differences(measured: Mapping[str, Any]) -> str:
    """In what this machine is another, on one line; empty if it is the same."""
    here = machine().as_dict()
    return "; ".join(
        difference
        for name, value in here.items()
        if measured.get(name) != value
        for difference in _difference(name, measured.get(name), value)
    )


def _difference(name: str, there: Any, here: Any) -> list[str]:
    if isinstance(there, dict) and isinstance(here, dict):
        keys = [key for key in {**there, **here} if there.get(key) != here.get(key)]
        return [text for key in keys for text in _difference(key, there.get(key), here.get(key))]
    if isinstance(there, list) and isinstance(here, list):
        there, here = (
            ", ".join(str(each) for each in one if each not in other)
            for one, other in ((there, here), (here, there))
        )
    texts = [str(value) if value not in (None, "") else "none" for value in (there, here)]
    if max(map(len, texts)) > _LONGEST:
        return [f"another {name}"]
    return [f"{name} {texts[0]} there, {texts[1]} here"]


def _damaged(place: str, found: Any) -> SettingsError:
    return SettingsError(
        "the tuned settings of the model are damaged",
        where=place,
        found=str(found)[:200],
        expected="what sardonyx tune wrote",
        remedy="tune the model again, or load it with tuned=False",
    )
