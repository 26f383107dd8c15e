"""Loading a model and running it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from .arrays import describe, is_torch
from .binding import NO_GRAPH, Bound, device_of_feed, run_on_device, run_options
from .device_tensors import to_torch
from .devices import (
    CPU,
    Requested,
    did_not_start,
    load_wheels_libraries,
    missing_library,
    report,
    resolve,
    short_name,
    unused_problem,
    used_providers,
)
from .errors import InputError, LoadError, OutOfMemoryError, RunError, SettingsError
from .inputs import Binder
from .integrity import Weights, check_model
from .modelfile import Header, open_model, read_header, scalars
from .narrow import NARROW, run_as_values
from .settings import Settings, merge_settings, session_options
from .specs import Spec, spec_of

_MOST_TRIES = 50
"""How often a file is read again that another process replaces while it is read."""

PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
NO_MEMORY = (
    "Failed to allocate memory",
    "Available memory of",
    "bad allocation",
    "bad_alloc",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
"""How ONNX Runtime says that memory is short."""

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
) -> Session:
    """Make a session that runs a model.

    Args:
        source: Path of an ``.onnx`` file, its bytes, or an object with ``to_bytes()`` or
            ``save(path)``, as a compiled program.
        providers: Execution providers in order of preference: ``"cuda"``, ONNX Runtime's name, or
            with options ``("cuda", {"device_id": 1})``. By default, and for the rest, the CPU.
        threads: Threads of the compute pool; by default the cores of this process and its cgroup.
        config: ONNX Runtime session config entries; they override the artifact's and the defaults.
        disabled_optimizers: ONNX Runtime graph transformers to switch off.
        graph_optimization: ``"off"``, ``"basic"``, ``"extended"`` or ``"all"``, the default.
        fallback: ``"error"``: a provider that is asked for and then not used is an error.
            ``"warn"``: it is a warning, and the other providers run the model.
        verify: Check that a file which Sardonyx wrote, and the weights beside it, are as they were
            written, by the SHA-256 that they carry. Files that others wrote carry none.

    Settings in the model's metadata (key ``sardonyx.session``) are applied below the caller's.
    Denormal numbers are flushed to zero by default, for speed: in ONNX Runtime's threads, and in
    the thread that makes the process' first session. Calls from other threads still compute with
    denormals in their own thread: slower, and numbers below 1.2e-38 may come out different.
    ``config={"session.set_denormal_as_zero": "0"}`` switches it off.

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
    requested = resolve(providers, fallback)
    disabled = disabled_optimizers
    chosen = {
        "threads": threads,
        "config": config,
        # An iterator would be empty at the second try.
        "disabled_optimizers": list(disabled) if isinstance(disabled, Iterator) else disabled,
        "graph_optimization": graph_optimization,
    }
    with contextlib.ExitStack() as stack:
        model, where = _model_of(source, stack)
        # What this process has just made needs no check.
        is_checked = verify and isinstance(source, str | bytes | os.PathLike)
        for left in reversed(range(_MOST_TRIES)):
            before = _identity(model)
            try:
                session = _load(
                    model,
                    where,
                    requested=requested,
                    chosen=chosen,
                    fallback=fallback,
                    is_checked=is_checked,
                )
            except LoadError:
                if not left or _identity(model) == before:
                    raise
            else:
                if not left or _identity(model) == before:
                    return session
    raise AssertionError("the last try returns or raises")


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
    *,
    requested: Mapping[str, dict[str, Any]],
    chosen: Mapping[str, Any],
    fallback: str,
    is_checked: bool,
) -> Session:
    with open_model(model) as data:
        path = model if isinstance(model, str) else None
        if is_checked:
            header, weights = check_model(data, where, path)
        else:
            header, weights = read_header(data, where), None
    settings = merge_settings(header.metadata, where, **chosen)
    requested = {
        name: {**settings.provider_options.get(short_name(name), {}), **options}
        for name, options in requested.items()
    }
    # Weights are only numbers: ONNX Runtime may read them while they are checked.
    with _checked_meanwhile(weights):
        raw = _create(model, where, settings, requested, fallback)
    problem = unused_problem(raw, list(requested), where)
    if problem is not None:
        report(problem, fallback)
    try:
        return Session(raw, where, settings, _scalars(raw, model, header))
    except UnicodeDecodeError as error:
        raise _refused(where, f"a name or a metadata entry is not UTF-8: {error}") from error


class Session:
    """A loaded model; made by :func:`load`. Threads may share it.

    Attributes:
        inputs: Specs of the inputs, in positional order; those with a default in the model last.
        outputs: Specs of the outputs, in the order in which calls return them.
        settings: The settings it was made with, and where each came from.
        providers: Short names of the execution providers that run its nodes.
        metadata: The model's metadata.
    """

    def __init__(self, raw: Any, where: str, settings: Settings, scalars: set[str]) -> None:
        defaults = [
            spec_of(arg, is_scalar=arg.name in scalars, has_default=True)
            for arg in raw.get_overridable_initializers()
        ]
        self.inputs = (*_specs(raw.get_inputs(), scalars), *defaults)
        self.outputs = _specs(raw.get_outputs(), scalars)
        self.settings = settings
        self.providers = used_providers(raw)
        self.metadata: dict[str, str] = dict(raw.get_modelmeta().custom_metadata_map)
        self._raw = raw
        self._where = where
        accelerators = _accelerators(raw)
        self._bind = Binder(self.inputs, where, frozenset(accelerators))
        self._has_devices = bool(accelerators)
        self._has_graphs = any(map(_captures_graphs, accelerators.values()))
        self._options = run_options(NO_GRAPH) if self._has_graphs else None
        self._outputs = {spec.name: spec for spec in self.outputs}
        self._names = list(self._outputs)
        self._has_narrow = any(spec.dtype in NARROW for spec in self.outputs)

    def __call__(self, /, *args: Any, **named: Any) -> list[Any]:
        """Run the model.

        Args:
            args: Inputs by position: numpy arrays, torch tensors, other DLPack or array-like
                objects (all without a copy when contiguous), or Python numbers, strings and
                lists, which are converted when no value is lost. A list of arrays for a sequence,
                None for an absent optional. Tensors on the session's device stay there.
            named: Inputs by name.

        Returns:
            One entry per output, in order: a numpy array, a list of them for a sequence, or None
            for an absent optional. When an input is on the session's device the outputs are too:
            torch tensors when it is one, else ``onnxruntime.OrtValue``, which others read by
            DLPack.

        Raises:
            InputError: The arguments do not fit ``session.inputs``.
            OutOfMemoryError: The device has no room for this call.
            RunError: ONNX Runtime failed.
        """
        return self._run(self._names, self._bind(args, named), (args, named.values()))

    def bind(self, /, *args: Any, **named: Any) -> Bound:
        """Bind memory to inputs and outputs, for a call that is made again and again.

        On CUDA, with ``load(providers=[("cuda", {"enable_cuda_graph": True})])``, the first call
        of what is returned captures a CUDA graph, and the following ones replay it.

        Args:
            args: Inputs by position, as for a call: tensors of numbers.
            named: Inputs by name.

        Raises:
            InputError: The arguments do not fit, are not tensors of numbers, or are in CPU memory
                where graphs are captured.
            RunError: ONNX Runtime failed.
        """
        feed = self._bind(args, named)
        return Bound(
            self._raw,
            self.outputs,
            feed,
            has_graphs=self._has_graphs,
            convert=to_torch if _wants_torch((args, named.values())) else lambda value: value,
            failed=self._failed,
        )

    def run_named(
        self, feed: Mapping[str, Any], outputs: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Run the model on inputs by name, for names that are no Python words; outputs by name.

        Args:
            feed: Values by input name, as for a call.
            outputs: Names of the outputs wanted; all by default.

        Raises:
            InputError: The arguments do not fit, or there is no output of that name.
            RunError: ONNX Runtime failed.
        """
        names = self._names if outputs is None else list(outputs)
        for name in names:
            if name not in self._outputs:
                raise InputError(
                    f"the model has no output '{name}'",
                    kind="unknown",
                    where=self._where,
                    expected=", ".join(map(str, self.outputs)),
                )
        results = self._run(names, self._bind((), feed), [feed.values()])
        return dict(zip(names, results, strict=True))

    def _run(
        self, names: list[str], feed: dict[str, Any], given: Iterable[Iterable[Any]]
    ) -> list[Any]:
        device = device_of_feed(feed) if self._has_devices else None
        try:
            if device is not None:
                kept = run_on_device(self._raw, names, feed, device, self._options)
                return [to_torch(y) for y in kept] if _wants_torch(given) else kept
            if self._has_narrow:
                specs = [self._outputs[name] for name in names]
                results: list[Any] = run_as_values(self._raw, names, feed, specs)
            else:
                results = self._raw.run(names, feed, self._options)
        except RunError:
            raise
        except Exception as error:
            raise self._failed(error, feed) from error
        return results

    def _failed(self, error: Exception, feed: Mapping[str, Any]) -> RunError:
        """The error to raise for one of ONNX Runtime's."""
        values = ", ".join(f"{name}: {describe(value)}" for name, value in feed.items())
        where = f"{self._where}, called with {values or 'no inputs'}"
        found = PREFIX.sub("", str(error)).strip()
        if any(words in found for words in NO_MEMORY):
            return OutOfMemoryError(
                "there is not enough memory for this call",
                where=where,
                found=found,
                remedy="call it with smaller inputs; the session can be used as before",
            )
        return RunError("ONNX Runtime failed to run the model", where=where, found=found)

    def __repr__(self) -> str:
        rows = [f"Session({self._where!r}, providers={list(self.providers)})"]
        rows += [f"  {spec}" for spec in self.inputs]
        rows += [f"  -> {spec}" for spec in self.outputs]
        return "\n".join(rows)


def _wants_torch(groups: Iterable[Iterable[Any]]) -> bool:
    return any(is_torch(value) for values in groups for value in values)


def _accelerators(raw: Any) -> dict[str, Mapping[str, str]]:
    """The devices besides the CPU that a session runs on, with the options of their providers."""
    options = raw.get_provider_options()
    return {
        f"{short_name(name)}:{options.get(name, {}).get('device_id', '0')}": options.get(name, {})
        for name in raw.get_providers()
        if name != CPU
    }


def _captures_graphs(options: Mapping[str, str]) -> bool:
    return options.get("enable_cuda_graph", "0") == "1"


def _specs(args: Iterable[Any], scalars: set[str]) -> tuple[Spec, ...]:
    return tuple(spec_of(arg, is_scalar=arg.name in scalars) for arg in args)


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
    fallback: str,
) -> Any:
    import onnxruntime

    options = session_options(settings, record_assignment=set(requested) != {CPU})
    for name in requested:
        load_wheels_libraries(name)
    try:
        # Without the last argument ORT prints, drops the providers and tries again.
        raw = onnxruntime.InferenceSession(
            model, options, providers=list(requested.items()), enable_fallback=0
        )
        # ORT keeps the bytes to make the session anew with other providers, which we never do.
        raw._model_bytes = None
        return raw
    except Exception as error:
        broken = next((name for name in requested if missing_library(name)), None)
        if broken is None:
            raise _refused(where, str(error)) from error
        if fallback == "error":
            raise did_not_start(broken, where) from error
    rest = {name: chosen for name, chosen in requested.items() if name != broken}
    return _create(model, where, settings, rest or {CPU: {}}, fallback)


def _refused(where: str, message: str) -> LoadError:
    found = PREFIX.sub("", message).strip()
    remedy = None
    for words, advice in REFUSALS.items():
        if words in found:
            found, remedy = found[found.index(words) :], advice
            break
    return LoadError("ONNX Runtime refuses the model", where=where, found=found, remedy=remedy)


def _scalars(raw: Any, model: str | bytes, header: Header) -> set[str]:
    """Names of the inputs and outputs of rank 0, which only the model itself tells."""
    args = [*raw.get_inputs(), *raw.get_outputs(), *raw.get_overridable_initializers()]
    if all(arg.shape or not arg.type.startswith("tensor") for arg in args):
        return set()
    with open_model(model) as data:
        return scalars(data, header)
