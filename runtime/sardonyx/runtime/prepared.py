"""Models prepared for this machine: optimised by ONNX Runtime, weights packed, mapped into memory.

ONNX Runtime optimises a model and packs its weights anew in every process. Here the result is kept
in files: what the first process writes, the following map, so they share one copy of the weights.
Only sessions on the CPU are prepared. The layout of packed weights depends on the CPU and on the
build of ONNX Runtime, so both are part of an entry's key.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .content import Content
from .denormals import unchanged
from .devices import CPU
from .errors import LoadError, SettingsError, ort_words
from .machine import cpu_and_features, digest, onnxruntime_versions
from .settings import Settings, session_options
from .store import DamagedError, Entry, Store

FORMAT = 1
FOLDER = "sardonyx-prepared"
"""The subfolder of a caller's folder that holds what is prepared, and nothing of the caller's."""

VARIABLE, LIMIT_VARIABLE = "SARDONYX_CACHE", "SARDONYX_CACHE_BYTES"
DEFAULT_LIMIT = 10 << 30
MODEL = "model.onnx"
WORDS = {
    **dict.fromkeys(("", "0", "false", "no", "off"), False),
    **dict.fromkeys(("1", "true", "yes", "on"), True),
}
GROWTH = 2.5
"""An entry has the weights twice, as they are and packed; a little is left for the rest."""

WORKERS = 4
"""Threads that read an entry at most; more do not read memory faster."""

# With these the caller writes or reads prepared models, or weights elsewhere.
CONFLICTS = (
    "session.optimized_model",
    "session.save_",
    "session.load_model_format",
    "session.use_ort_model",
    "session.use_memory_mapped_ort_model",
    "session.model_external_initializers",
    "session.use_external_initializer",
    "ep.",
)

Create = Callable[[str | bytes, Settings], Any]
"""Makes ONNX Runtime's session of a model."""


def open_store(cache: bool | str | os.PathLike[str] | None) -> Store | None:
    """The store that ``load(cache=...)`` names; None for none, and for one that cannot be used.

    Raises:
        SettingsError: The value, or that of an environment variable, is not valid.
    """
    if cache is None:
        cache = environment()
    if cache is False:
        return None
    try:
        return Store(cache_folder(cache), size_limit())
    except (OSError, ValueError) as error:
        warnings.warn(f"models are not cached: {error}", RuntimeWarning, stacklevel=3)
        return None


def environment() -> bool | str:
    """What the environment says of the cache: whether there is one, or its folder."""
    said = os.environ.get(VARIABLE, "")
    return WORDS.get(said.strip().lower(), said)


def cache_folder(cache: Any) -> Path:
    """Where a cache keeps its files: one of its own, or below the folder of the caller.

    Args:
        cache: True, or the caller's folder.

    Raises:
        SettingsError: It is neither.
        OSError: It has a name that cannot be used, or the user has no folder.
    """
    if cache is True:
        folder = default_folder()
    elif not isinstance(cache, str | os.PathLike) or not os.fspath(cache):
        raise _wrong(cache)
    else:
        try:
            folder = Path(os.fsdecode(cache)).expanduser() / FOLDER
        except RuntimeError:
            raise _wrong(cache, " of a user who has a home") from None
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise OSError(f"{str(folder)!r} is not UTF-8, as ONNX Runtime wants it") from None
    return folder


def _wrong(cache: Any, more: str = "") -> SettingsError:
    expected = f"True, False or a folder{more}"
    return SettingsError("cache is not valid", found=repr(cache), expected=expected)


def default_folder() -> Path:
    """Where ``load(cache=True)`` keeps prepared models: the user's folder for caches.

    Raises:
        OSError: The user has none.
    """
    try:
        if sys.platform == "win32":
            base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:
        raise OSError(f"{error}; name a folder, as in cache='folder'") from None
    return Path(base) / "sardonyx" / "prepared"


def size_limit() -> int:
    """Bytes that prepared models may have together, as the environment says."""
    said = os.environ.get(LIMIT_VARIABLE, str(DEFAULT_LIMIT))
    try:
        limit = int(float(said))
    except (ValueError, OverflowError):
        limit = -1
    if limit < 0:
        raise SettingsError(
            f"{LIMIT_VARIABLE} is not valid", found=repr(said), expected="a number of bytes"
        )
    return limit


def unfit(requested: Mapping[str, Any], settings: Settings, graph: tuple[int, int]) -> str | None:
    """Why sessions of these providers and settings are not prepared; None when they are."""
    if graph == (0, 0):
        return "it is in ONNX Runtime's own format"
    others = [name for name in requested if name != CPU]
    if others:
        return f"provider {others[0]} prepares models itself"
    for key in settings.config:
        if key.startswith(CONFLICTS):
            return f"'{key}' is set"
    return None


@dataclass(frozen=True)
class Prepared:
    """What came of ``load(cache=...)``.

    Attributes:
        what: ``off``, ``prepared now``, ``from the cache``, or why the model is not prepared.
        folder: The entry that the session's weights are mapped from; None when there is none.
    """

    what: str = "off"
    folder: Path | None = None

    def __str__(self) -> str:
        return self.what if self.folder is None else f"{self.what}: {self.folder}"


@dataclass(frozen=True)
class Order:
    """What is to be prepared.

    Attributes:
        source: The model: its path, or its bytes.
        where: How to call it.
        content: What it is made of.
        settings: The settings of the session.
    """

    source: str | bytes
    where: str
    content: Content
    settings: Settings

    def key(self) -> str:
        """All that what is prepared depends on."""
        settings = self.settings
        options = (settings.graph_optimization, settings.disabled_optimizers)
        machine = (cpu_and_features(), onnxruntime_versions())
        return digest(FORMAT, self.content.digest, options, dict(settings.config), machine)


def create_prepared(
    store: Store, order: Order, create: Create, problem: str | None
) -> tuple[Any | None, Prepared]:
    """ONNX Runtime's session of a prepared model, which is prepared now when nobody did.

    Args:
        store: Where prepared models are.
        order: What is to be prepared.
        create: Makes a session of a prepared model.
        problem: What :func:`unfit` says.

    Returns:
        The session, and where its model is from; None, and why the model is not prepared.
    """
    problem = problem or order.content.problem
    if problem:
        return None, Prepared(problem)
    key, damaged = order.key(), list[Entry]()
    for _ in range(3):
        try:
            entry, is_new = store.find(key), False
            if entry is None or entry in damaged:
                entry, is_new = _make(store, key, order, damaged)
        except OSError as error:
            return None, Prepared(f"the cache cannot be used: {error}")
        if entry is None:
            return None, Prepared("another process takes too long to prepare it")
        if "refusal" in entry.facts:
            return _refused(store, entry, order, create, is_new=is_new)
        try:
            raw = _open(entry, order.settings, create)
        except DamagedError as error:
            problem = str(error)
        except LoadError as error:
            problem = f"ONNX Runtime refuses what it prepared: {error.found or error}"
            if not store.holds(entry):
                problem = "another process takes away what was prepared"
            elif is_new:
                _refuse(store, entry, problem)
                break
        else:
            entry.touch()
            return raw, Prepared("prepared now" if is_new else "from the cache", entry.folder)
        damaged.append(entry)
    return None, Prepared(problem)


def _refused(
    store: Store, entry: Entry, order: Order, create: Create, *, is_new: bool
) -> tuple[Any | None, Prepared]:
    """No session of a model that cannot be prepared; one of the model itself if that is new."""
    said = Prepared(str(entry.facts["refusal"]))
    if not is_new:
        entry.touch()
        return None, said
    try:
        return create(order.source, order.settings), said
    except LoadError:
        # It was no model, or not its weights: the same content may do well elsewhere.
        store.discard(entry)
        raise


def renew_prepared(store: Store, order: Order, create: Create, plainly: Callable[[], Any]) -> Any:
    """A session once more, in a forked child: of what is prepared, or else made plainly."""
    raw, _ = create_prepared(store, order, create, None)
    return plainly() if raw is None else raw


def _make(store: Store, key: str, order: Order, damaged: list[Entry]) -> tuple[Entry | None, bool]:
    """The entry that this or another process makes now, and whether it was this one."""
    with store.making(key) as is_mine:
        if not is_mine:
            return None, False
        entry = store.find(key)
        if entry is not None and entry not in damaged:
            return entry, False
        return store.add(key, lambda folder: _write(folder, store, order)), True


def _write(folder: Path, store: Store, order: Order) -> dict[str, Any]:
    """Write what is prepared; returns what to note of it."""
    content = order.content
    facts = {"source": order.where, "made": time.time(), "bytes": content.bytes}
    refusal = _no_room(store, content) or _prepare(folder, order.source, order.settings)
    if not content.is_unchanged():
        raise OSError(f"{order.where} changed while it was read")
    if refusal is None:
        return facts
    for path in folder.iterdir():
        path.unlink()
    return {**facts, "refusal": refusal}


def _refuse(store: Store, entry: Entry, refusal: str) -> None:
    """Note that a model cannot be prepared, so that nobody tries it again."""
    with contextlib.suppress(OSError), store.making(entry.key) as is_mine:
        if is_mine:
            store.add(entry.key, lambda folder: {**entry.facts, "refusal": refusal})


def _no_room(store: Store, content: Content) -> str | None:
    needed = int(content.bytes * GROWTH)
    if needed > store.limit:
        return f"it takes about {needed:,} bytes, and the cache has a limit of {store.limit:,}"
    free = shutil.disk_usage(store.folder).free
    if needed > free:
        raise OSError(f"it takes about {needed:,} bytes, and the disk has {free:,}")
    return None


def _prepare(folder: Path, source: str | bytes, settings: Settings) -> str | None:
    """Write the optimised model and its weights; returns ONNX Runtime's words if it cannot."""
    import onnxruntime

    options = session_options(settings)
    options.optimized_model_filepath = str(folder / MODEL)
    # The name is in the model: no reader ever takes the weights of another writer's model.
    entries = {
        "session.optimized_model_external_initializers_file_name": secrets.token_hex(8) + ".bin",
        "session.save_external_prepacked_constant_initializers": "1",
    }
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    try:
        with unchanged():
            onnxruntime.InferenceSession(source, options, providers=[CPU], enable_fallback=0)
    except Exception as error:
        return f"ONNX Runtime does not prepare it: {ort_words(error)}"
    return None if (folder / MODEL).exists() else "ONNX Runtime does not prepare it"


def _open(entry: Entry, settings: Settings, create: Create) -> Any:
    """A session of what an entry holds, every byte of which is checked meanwhile.

    Raises:
        DamagedError: It is not as it was written.
        LoadError: ONNX Runtime refuses it.
    """
    # A map of a file that is too short is a bus error, and no parser is fed what nobody checked.
    entry.check_lengths()
    entry.check(MODEL)
    weights = [name for name in entry.files if name != MODEL]
    ready = replace(settings, graph_optimization="off")
    with ThreadPoolExecutor(1) as pool:
        workers = max(1, min(WORKERS, settings.threads))
        checks = [pool.submit(entry.check, name, workers) for name in weights]
        with contextlib.ExitStack() as stack:
            # What is wrong with the weights explains any other error.
            for check in checks:
                stack.callback(check.result)
            return create(str(entry.folder / MODEL), ready)
