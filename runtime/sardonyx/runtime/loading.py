"""Loading a model: from a path, bytes or a program to a session that runs it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import os
import tempfile
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from .arrays import describe
from .content import read_content
from .denormals import unchanged
from .devices import (
    CPU,
    Requested,
    did_not_start,
    load_wheels_libraries,
    missing_library,
    report,
    resolve,
    unused_problem,
    with_plugins,
)
from .engine import cannot_renew
from .errors import LoadError, ProviderError, SettingsError, ort_words
from .integrity import Weights, beside, check_model
from .modelfile import Header, external_files, open_model, read_header, scalars
from .plugins import short_name
from .prepared import Order, Prepared, create_prepared, open_store, renew_prepared, unfit
from .session import Session
from .settings import Settings, merge_settings, session_options
from .store import Store
from .tuned import Tuned, tuned_here, unused

T = TypeVar("T")

_MOST_TRIES = 50
"""How often a file is read again that another process replaces while it is read."""

# What ONNX Runtime says, from where it becomes readable, and what to do about it.
REFUSALS = {
    "Unsupported model IR version": "save it with a lower ir_version, or use a newer onnxruntime",
    "ONNX Runtime only *guarantees*": "export it at a lower opset, or use a newer onnxruntime",
    "External data path": "put the weights file beside the model, and load the model by its path",
    "Could not find an implementation": "compile the model for this target, or cast to a type "
    "that this provider has a kernel for",
    "No opset import for domain": "name the domain in the model's opset imports",
}


@runtime_checkable
class HasBytes(Protocol):
    """A compiled program, or anything else that gives its model as bytes."""

    def to_bytes(self) -> bytes:
        """The model, serialised."""
        ...


@runtime_checkable
class CanSave(Protocol):
    """Something that writes its model to a path, with its weights beside it."""

    def save(self, path: str) -> Any:
        """Write the model."""
        ...


def load(
    source: str | os.PathLike[str] | bytes | HasBytes | CanSave,
    providers: Requested | Sequence[Requested] | None = None,
    *,
    threads: int | None = None,
    config: Mapping[str, Any] | None = None,
    disabled_optimizers: Iterable[str] | None = None,
    graph_optimization: str | None = None,
    fallback: str = "error",
    verify: bool = True,
    tuned: bool = True,
    cache: bool | str | os.PathLike[str] | None = None,
) -> Session:
    """Make a session that runs a model.

    Args:
        source: Path of an ``.onnx`` file, its bytes, or an object with ``to_bytes()`` or
            ``save(path)``, as a compiled program.
        providers: Execution providers in order of preference: ``"cuda"``, ONNX Runtime's name, or
            with options ``("cuda", {"device_id": 1})``. By default, and for the rest, the CPU.
        threads: Threads of the compute pool; by default the cores of this process and its cgroup.
        config: ONNX Runtime session config entries; they override the artifact's and the defaults.
            Keys without a dot are attributes of its session options: ``enable_cpu_mem_arena``,
            ``enable_mem_pattern``, ``enable_mem_reuse``, ``execution_mode`` (``sequential`` or
            ``parallel``), ``execution_order`` (``default`` or ``priority``).
        disabled_optimizers: ONNX Runtime graph transformers to switch off.
        graph_optimization: ``"off"``, ``"basic"``, ``"extended"`` or ``"all"``, the default.
        fallback: ``"error"``: a provider that is asked for and then not used is an error.
            ``"warn"``: it is a warning, and the other providers run the model.
        verify: Check that a file which Sardonyx wrote, and the weights beside it, are as they were
            written, by the SHA-256 that they carry. Files that others wrote carry none.
        tuned: Use what :func:`tune` left in the file, if it measured it on this machine: a provider
            where ``providers`` is None, and settings below the caller's.
        cache: Keep the model as ONNX Runtime prepared it for the next process: True for the user's
            folder for caches, or a folder to have one in; by default what ``SARDONYX_CACHE`` says
            (1, 0 or a folder), else nothing is kept. ``session.prepared`` says what came of it.

    Settings in the model's metadata (key ``sardonyx.session``) are applied below the caller's.
    Denormal numbers, those below 1.2e-38, are flushed to zero during calls, for speed; the calling
    thread's mode is as before afterwards. ``config={"session.set_denormal_as_zero": "0"}`` keeps
    them. On other systems than Linux on x86-64 it is left to ONNX Runtime, which sets its own
    threads, and once the thread that makes the process' first session.

    Raises:
        LoadError: The model is missing, damaged, of a newer format, or refused by ONNX Runtime.
        IntegrityError: Bits of the model or of its weights are not as they were written.
        ProviderError: A provider is unknown, does not start, or gets no node.
        SettingsError: A setting of the caller or of the artifact is not valid.
    """
    if fallback not in ("error", "warn"):
        raise SettingsError(
            "fallback is not valid", found=repr(fallback), expected="'error' or 'warn'"
        )
    store = open_store(cache)
    disabled = disabled_optimizers
    chosen = {
        "threads": threads,
        "config": config,
        # An iterator would be empty at the second try.
        "disabled_optimizers": list(disabled) if isinstance(disabled, Iterator) else disabled,
        "graph_optimization": graph_optimization,
    }
    requested = resolve(providers, fallback) if providers else None
    recipe = Recipe(_reference(source), requested, chosen, fallback, is_tuned=tuned)
    with contextlib.ExitStack() as stack:
        model, where = _model_of(source, stack)
        # What this process has just made needs no check.
        is_checked = verify and isinstance(source, str | bytes | os.PathLike)
        for left in reversed(range(_MOST_TRIES)):
            before = _identity(model)
            try:
                session = _load(model, where, recipe, is_checked=is_checked, store=store)
            except LoadError:
                if not left or _identity(model) == before:
                    raise
            else:
                if not left or _identity(model) == before:
                    return session
    raise AssertionError("the last try returns or raises")


@dataclass(frozen=True)
class Recipe:
    """How a session was loaded.

    Attributes:
        source: Gives the path or the program, or None when the program is gone or was bytes:
            a session keeps no second copy of its model.
        requested: Execution providers by ONNX Runtime's name, with their options; None leaves
            them to what was tuned.
        chosen: The caller's settings.
        fallback: What an unused provider is.
        is_tuned: Whether what was tuned counts.
    """

    source: Callable[[], Any]
    requested: Mapping[str, dict[str, Any]] | None
    chosen: Mapping[str, Any]
    fallback: str
    is_tuned: bool


def _reference(source: Any) -> Callable[[], Any]:
    if isinstance(source, str | os.PathLike):
        path = _absolute(os.fsdecode(source))
        return lambda: path
    try:
        return weakref.ref(source)
    except TypeError:
        return lambda: None


def _absolute(path: str) -> str:
    """A path that stays right when the process goes to another folder.

    Raises:
        LoadError: It is relative to a folder that does not exist any more.
    """
    try:
        return os.path.abspath(path)
    except OSError as error:
        raise LoadError(
            "the model file cannot be read",
            where=path,
            found=f"the folder of this process: {error.strerror}",
            remedy="give an absolute path",
        ) from None


def load_again(
    session: Session, prepare: Callable[[Any], None], read: Callable[[str | bytes], T]
) -> tuple[Session, T]:
    """Another session of a session's model, providers and settings, and what is read of its file.

    Args:
        session: A session that ``load`` made.
        prepare: Changes the ``onnxruntime.SessionOptions`` before they are used.
        read: Reads the model's path or bytes.

    Raises:
        LoadError: The model is gone, or ONNX Runtime refuses what ``prepare`` asks for.
    """
    recipe = session._recipe
    source = recipe.source() if recipe else None
    if recipe is None or source is None:
        raise LoadError(
            "the model of this session is not at hand any more",
            where=session._where,
            found="it was loaded from bytes, or from a program that is gone",
            remedy="load it from a file, or keep the program",
        )
    with contextlib.ExitStack() as stack:
        model, where = _model_of(source, stack)
        return _load(model, where, recipe, is_checked=False, prepare=prepare), read(model)


def _identity(model: str | bytes) -> tuple[int, int, int] | None:
    """What changes when another file takes a model's place; weights beside it may then vanish."""
    if isinstance(model, str):
        with contextlib.suppress(OSError, ValueError):
            found = os.stat(model)
            return found.st_ino, found.st_size, found.st_mtime_ns
    return None


@contextlib.contextmanager
def _checked_meanwhile(weights: Weights | None) -> Iterator[None]:
    """Check weights in another thread; what is wrong with them explains any other error."""
    if weights is None:
        yield
        return
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        check = pool.submit(weights.check)
        try:
            yield
        finally:
            check.result()


def _load(
    model: str | bytes,
    where: str,
    recipe: Recipe,
    *,
    is_checked: bool,
    prepare: Callable[[Any], None] | None = None,
    store: Store | None = None,
) -> Session:
    content = weights = None
    started = time.time_ns()
    with open_model(model) as data:
        path = model if isinstance(model, str) else None
        if store is not None:
            header, content = read_content(store, data, where, path, is_checked=is_checked)
        elif is_checked:
            header, weights = check_model(data, where, path)
        else:
            header = read_header(data, where)
    found, requested = _tuned(header, where, recipe)
    settings = merge_settings(header.metadata, where, **recipe.chosen, tuned=found)
    requested = {
        name: {**settings.provider_options.get(short_name(name), {}), **options}
        for name, options in (requested or {CPU: {}}).items()
    }

    def create(model: str | bytes, settings: Settings) -> Any:
        return _create(model, where, settings, requested, fallback=recipe.fallback, prepare=prepare)

    raw, order, prepared = None, None, Prepared()
    if store is not None and content is not None:
        source = _absolute(model) if isinstance(model, str) else model
        order = Order(source, where, content, settings)
        problem = unfit(requested, settings, header.graph)
        raw, prepared = create_prepared(store, order, create, problem)
    if raw is None:
        # Weights are only numbers: ONNX Runtime may read them while they are checked.
        with _checked_meanwhile(weights):
            raw = create(model, settings)
    not_used = unused_problem(raw, list(requested), where)
    if not_used is not None:
        report(not_used, recipe.fallback)
    # Not with the model itself: that would keep its bytes.
    file = _File(_absolute(model), _identity(model), started) if isinstance(model, str) else None
    renew = functools.partial(_renew, file, where, settings, requested)
    if store is not None and order is not None and file and prepared.folder is not None:
        renew = functools.partial(renew_prepared, store, order, create, renew)
    try:
        session = Session(raw, where, settings, _scalars(raw, model, header), renew)
    except UnicodeDecodeError as error:
        raise _refused(where, f"a name or a metadata entry is not UTF-8: {error}") from error
    session.prepared, session._recipe = prepared, recipe
    return session


def _tuned(
    header: Header, where: str, recipe: Recipe
) -> tuple[Tuned | None, Mapping[str, dict[str, Any]] | None]:
    """What tuning left in a model, and the providers to load it with."""
    requested = recipe.requested
    if not recipe.is_tuned:
        return None, requested
    asked = None if requested is None else [short_name(name) for name in requested]
    found = tuned_here(header.metadata, where, asked)
    if found is None or requested is not None:
        return found, requested
    try:
        return found, resolve(found.provider)
    except ProviderError as error:
        # Nobody asked for it by name: the model runs without.
        said = f"not used: {error.what} ({error.found})"
        warnings.warn(f"{where}: tuned settings are {said}", RuntimeWarning, stacklevel=4)
        return unused(found, said), None


def _model_of(source: Any, stack: contextlib.ExitStack) -> tuple[str | bytes, str]:
    """The model as a path or bytes, and what to call it in errors."""
    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        return path, path
    if isinstance(source, bytes):
        return source, f"a model of {len(source)} bytes"
    kind = type(source).__name__
    # int.to_bytes() is something else.
    if isinstance(source, HasBytes) and not isinstance(source, int):
        data = source.to_bytes()
        if isinstance(data, bytes):
            return data, kind
    elif isinstance(source, CanSave):
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="sardonyx-", ignore_cleanup_errors=True)
        )
        path = os.path.join(folder, "model.onnx")
        source.save(path)
        return path, kind
    raise LoadError(
        "the model cannot be loaded from this object",
        found=describe(source),
        expected="a path, bytes, or an object whose to_bytes() gives bytes or that has save(path)",
    )


def _create(
    model: str | bytes,
    where: str,
    settings: Settings,
    requested: Mapping[str, dict[str, Any]],
    *,
    fallback: str,
    prepare: Callable[[Any], None] | None = None,
) -> Any:
    import onnxruntime

    options = session_options(settings)
    if prepare is not None:
        prepare(options)
    for name in requested:
        load_wheels_libraries(name)
        # ONNX Runtime would say so too, in its log, and then again.
        if fallback == "error" and missing_library(name):
            raise did_not_start(name, where)
    try:
        listed = with_plugins(options, requested, settings.threads)
        with unchanged():
            # Without the last argument ORT prints, drops the providers and tries again.
            raw = onnxruntime.InferenceSession(model, options, providers=listed, enable_fallback=0)
        # ORT keeps the bytes to make the session anew with other providers, which we never do.
        raw._model_bytes = None
        return raw
    except ProviderError:
        raise
    except Exception as error:
        broken = next((name for name in requested if missing_library(name)), None)
        if broken is None:
            raise _refused(where, str(error)) from error
        if fallback == "error":
            raise did_not_start(broken, where) from error
    rest = {name: chosen for name, chosen in requested.items() if name != broken}
    rest = rest or {CPU: {}}
    return _create(model, where, settings, rest, fallback=fallback, prepare=prepare)


@dataclass(frozen=True)
class _File:
    """A model's file when it was loaded.

    Attributes:
        path: Where it is, from the root.
        identity: What :func:`_identity` says of it.
        loaded: When its reading began, in nanoseconds since the epoch.
    """

    path: str
    identity: tuple[int, int, int] | None
    loaded: int

    def change(self) -> str | None:
        """What has changed of it or of the weights beside it; None when nothing has."""
        if self.identity is None or _identity(self.path) != self.identity:
            return "the file of the model has changed, or is gone"
        with open_model(self.path) as data:
            names = external_files(data)
        for name in names:
            try:
                # Set by every write, and when a file takes another one's place.
                changed = os.stat(beside(self.path, name)).st_ctime_ns
            except (OSError, ValueError):
                return f"the file of its weights, '{name}', is gone"
            if changed > self.loaded:
                return f"the file of its weights, '{name}', has changed"
        return None


def _renew(
    file: _File | None,
    where: str,
    settings: Settings,
    requested: Mapping[str, dict[str, Any]],
) -> Any:
    """ONNX Runtime's session of a file once more, in a forked child; what its Session calls."""
    if set(requested) != {CPU}:
        raise cannot_renew(where, "accelerators cannot be used in a forked process")
    if file is None:
        raise cannot_renew(where, "the model is not in a file")
    try:
        change = file.change()
        if change is None:
            return _create(file.path, where, settings, requested, fallback="error")
    except LoadError as error:
        change = f"{error.what}: {error.found}"
    raise cannot_renew(where, change)


def _refused(where: str, message: str) -> LoadError:
    found, remedy = ort_words(message), None
    for start, advice in REFUSALS.items():
        if start in found:
            found, remedy = found[found.index(start) :], advice
            break
    return LoadError("ONNX Runtime refuses the model", where=where, found=found, remedy=remedy)


def _scalars(raw: Any, model: str | bytes, header: Header) -> set[str]:
    """Names of the inputs and outputs of rank 0, which only the model itself tells."""
    args = [*raw.get_inputs(), *raw.get_outputs(), *raw.get_overridable_initializers()]
    if all(arg.shape or not arg.type.startswith("tensor") for arg in args):
        return set()
    with open_model(model) as data:
        return scalars(data, header)
