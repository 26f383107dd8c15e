"""A loaded model and its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NoReturn

from .arrays import describe, is_torch
from .binding import GRAPH_ID, NO_GRAPH, Bound, device_of_feed, run_on_device, view
from .device_tensors import to_torch
from .devices import CPU, REMEDIES, used_providers
from .engine import Engine, Renew
from .errors import (
    InputError,
    NotPicklableError,
    OutOfMemoryError,
    RunError,
    RunTimeoutError,
    SardonyxError,
    ort_words,
)
from .inputs import Binder
from .limits import Limits, read_limits
from .memory import Memory, read_memory, shrink
from .narrow import NARROW, run_as_values
from .pending import start, wait
from .placement import Placement, read_placement
from .plugins import short_name
from .prepared import Prepared
from .samples import random_inputs
from .settings import FLUSH, Settings
from .specs import Spec, spec_of
from .turns import Turns

if TYPE_CHECKING:
    from .loading import Recipe
    from .profiling.report import Profile

NO_MEMORY = (
    "Failed to allocate memory",
    "Available memory of",
    "bad allocation",
    "bad_alloc",
    "out of memory",
    "CUBLAS failure 3:",
    "the resource allocation failed",
    "ALLOC_FAILED",
    "ALLOCATION_FAILED",
)
"""How ONNX Runtime, CUDA, cuBLAS and cuDNN say that memory is short."""

NO_CUDNN = "cuDNN is unavailable"

Given = Iterable[Iterable[Any]]
"""What a caller passed, before it was made ready: positional arguments, and those by name."""


class Session:
    """A loaded model; made by :func:`sardonyx.runtime.load`. Threads may share it.

    Attributes:
        inputs: Specs of the inputs, in positional order; those with a default in the model last.
        outputs: Specs of the outputs, in the order in which calls return them.
        settings: The settings it was made with, and where each came from.
        providers: Short names of the execution providers that run its nodes.
        metadata: The model's metadata.
        prepared: Where the prepared model is from, with ``load(cache=...)``, or why there is none.
    """

    def __init__(
        self, raw: Any, where: str, settings: Settings, scalars: set[str], renew: Renew
    ) -> None:
        self.metadata: dict[str, str] = dict(raw.get_modelmeta().custom_metadata_map)
        limits = read_limits(self.metadata, where)
        defaults = [
            spec_of(arg, is_scalar=arg.name in scalars, has_default=True, limits=limits)
            for arg in raw.get_overridable_initializers()
        ]
        self.inputs = (*_specs(raw.get_inputs(), scalars, limits), *defaults)
        self.outputs = _specs(raw.get_outputs(), scalars)
        self.settings = settings
        self.providers = used_providers(raw)
        self.prepared = Prepared()
        self._where = where
        self._recipe: Recipe | None = None
        accelerators = _accelerators(raw)
        self._bind = Binder(self.inputs, where, frozenset(accelerators)).bind
        self._has_devices = bool(accelerators)
        self._has_graphs = any(map(_captures_graphs, accelerators.values()))
        self._turns = Turns(has_graphs=self._has_graphs) if accelerators else None
        self._engine = Engine(
            raw,
            is_flushed=settings.config.get(FLUSH) == "1",
            entries={GRAPH_ID: NO_GRAPH} if self._has_graphs else {},
            renew=renew,
            turn=None if self._turns is None else self._turns.take,
        )
        self._outputs = {spec.name: spec for spec in self.outputs}
        self._names = list(self._outputs)
        self._has_narrow = any(spec.dtype in NARROW for spec in self.outputs)
        self._is_plain = not (self._has_narrow or self._has_devices)

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
            for an absent optional. When an input is on the session's device the outputs are too,
            if all are tensors of numbers: torch tensors when it is one, else
            ``onnxruntime.OrtValue``, which others read by DLPack.

        Raises:
            InputError: The arguments do not fit ``session.inputs``.
            OutOfMemoryError: The device has no room for this call.
            RunError: ONNX Runtime failed.
        """
        feed = self._bind(args, named)
        if not self._is_plain:
            return self._run(self._names, feed, (args, named.values()))
        try:
            engine = self._engine
            results: list[Any] = engine.call(engine.session.run, (self._names, feed))
        except self._engine.errors as error:
            raise self._failed(error, feed) from error
        return results

    def run(self, /, *args: Any, timeout: float | None = None, **named: Any) -> list[Any]:
        """Run the model as a call of the session does, for a limited time.

        Args:
            args: Inputs by position, as for a call.
            timeout: Seconds after which the call is given up; infinity is no limit. What ONNX
                Runtime is computing then ends after the operator it is in, and reads the inputs
                until it does.
            named: Inputs by name; one called ``timeout`` goes by position, or by ``run_named``.

        Raises:
            InputError, OutOfMemoryError, RunError: As for a call.
            RunTimeoutError: It took longer; the session can be used as before.
        """
        feed = self._bind(args, named)
        return self._run_within(timeout, self._names, feed, (args, named.values()))

    def run_async(self, /, *args: Any, **named: Any) -> Future[list[Any]]:
        """Start a call in another thread.

        As many of these calls run at once as the process has cores; others wait in a queue.

        Args:
            args: Inputs by position, as for a call; they are read until it is done.
            named: Inputs by name.

        Returns:
            A future of what a call returns; ``await asyncio.wrap_future(future)`` in coroutines.
            ``cancel`` stops the call even while it runs.

        Raises:
            InputError: The arguments do not fit; other errors are the future's.
            RunError: No thread can be started.
        """
        feed = self._bind(args, named)
        options = self._engine.options()
        given = (args, named.values())
        return start(options, self._run, self._names, feed, given, options, is_prompt=False)

    def bind(self, /, *args: Any, **named: Any) -> Bound:
        """Bind memory to inputs and outputs, for a call that is made again and again.

        On CUDA, with ``load(providers=[("cuda", {"enable_cuda_graph": True})])``, the first call
        of what is returned captures a CUDA graph, and the following ones replay it: one graph for
        each thread that calls, kept as long as the session. Nothing else may use CUDA while one is
        captured; other sessions of this process wait.

        Args:
            args: Inputs by position, as for a call: tensors of numbers.
            named: Inputs by name.

        Raises:
            InputError: The arguments do not fit, are not tensors of numbers, or, where graphs are
                captured, are in CPU memory or read there.
            RunError: ONNX Runtime failed.
        """
        feed = self._bind(args, named)
        return Bound(
            self._engine,
            self.inputs,
            self.outputs,
            feed,
            where=self._where,
            turns=self._turns if self._has_graphs else None,
            convert=_converter((args, named.values())),
            failed=self._failed,
        )

    def profile(self, /, *args: Any, runs: int = 10, warm_up: int = 3, **named: Any) -> Profile:
        """Run the model so many times under ONNX Runtime's profiler, and say where the time goes.

        That is by operator and by module path, with floating-point operations and memory. A
        second session is made for it, with the same settings; the model is loaded once more.

        Args:
            args: Inputs by position, as for a call.
            runs: Runs that are measured.
            warm_up: Runs before, which do not count.
            named: Inputs by name; inputs called ``runs`` or ``warm_up`` go by position.

        Raises:
            InputError: The arguments do not fit ``session.inputs``.
            LoadError: The model is not at hand any more: it was loaded from bytes, or its file or
                program is gone.
            RunError: ONNX Runtime failed.
        """
        from .profiling.measure import profile

        return profile(self, args, named, runs=runs, warm_up=warm_up)

    def memory(self) -> Memory:
        """What this process has in memory, and how much of it are this session's prepared weights.

        ``print`` shows it as a table.
        """
        return read_memory(self.prepared.folder)

    def release_memory(self, feed: Mapping[str, Any] | None = None) -> int:
        """Give back the memory that calls used and later calls may want again.

        ONNX Runtime keeps the working memory of the largest call. Weights stay, and so does the
        memory of bound calls. The next call is a little slower.

        Args:
            feed: Inputs by name that the model takes; made up by default. Nothing is computed.

        Returns:
            Bytes of private memory that the process has less; 0 where the system does not say.

        Raises:
            InputError: Inputs cannot be made up, or do not fit.
            RunError: ONNX Runtime refuses them.
        """
        given = self._bind((), random_inputs(self.inputs, {}) if feed is None else feed)
        try:
            return shrink(self._engine, given)
        except self._engine.errors as error:
            raise self._failed(error, given) from error

    @property
    def placement(self) -> Placement:
        """Which provider runs which node; ``print`` shows it as a table."""
        return read_placement(self._raw)

    def run_named(
        self,
        feed: Mapping[str, Any],
        outputs: Sequence[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Run the model on inputs by name, for names that are no Python words; outputs by name.

        Args:
            feed: Values by input name, as for a call.
            outputs: Names of the outputs wanted, or one name; all by default.
            timeout: Seconds after which the call is given up, as for ``run``.

        Raises:
            InputError: The arguments do not fit, or there is no output of that name.
            OutOfMemoryError, RunError, RunTimeoutError: As for ``run``.
        """
        if isinstance(outputs, str):
            outputs = [outputs]
        names = self._names if outputs is None else list(outputs)
        for name in names:
            if name not in self._outputs:
                raise InputError(
                    f"the model has no output '{name}'",
                    kind="unknown",
                    where=self._where,
                    expected=", ".join(map(str, self.outputs)),
                )
        results = self._run_within(timeout, names, self._bind((), feed), [feed.values()])
        return dict(zip(names, results, strict=True))

    @property
    def _raw(self) -> Any:
        """ONNX Runtime's session."""
        return self._engine.raw

    def _run_within(
        self, timeout: float | None, names: list[str], feed: dict[str, Any], given: Given
    ) -> list[Any]:
        if timeout is None:
            return self._run(names, feed, given)
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
            raise InputError(
                "the time limit of a call is a number of seconds",
                where=self._where,
                found=repr(timeout),
                expected="more than 0, or None for no limit",
            )
        options = self._engine.options()
        pending = start(options, self._run, names, feed, given, options, is_prompt=True)
        try:
            results: list[Any] = wait(pending, timeout)
        except SardonyxError:
            raise
        except TimeoutError:
            raise RunTimeoutError(
                f"the call did not end within {timeout:g} s",
                where=self._where,
                remedy="give it more time; the session can be used as before",
            ) from None
        return results

    def _run(
        self, names: list[str], feed: dict[str, Any], given: Given, options: Any = None
    ) -> list[Any]:
        device = device_of_feed(feed) if self._has_devices else None
        try:
            if device is not None:
                specs = [self._outputs[name] for name in names]
                kept = run_on_device(
                    self._engine, specs, feed, device, options, is_apart=self._has_graphs
                )
                return [view(y, _converter(given)) for y in kept]
            if self._has_narrow:
                specs = [self._outputs[name] for name in names]
                results: list[Any] = run_as_values(self._engine, names, feed, specs, options)
            else:
                results = self._engine.call(self._engine.session.run, (names, feed), options)
        except self._engine.errors as error:
            raise self._failed(error, feed) from error
        return results

    def _failed(self, error: Exception, feed: Mapping[str, Any]) -> RunError:
        """The error to raise for one of ONNX Runtime's."""
        values = ", ".join(f"{name}: {describe(value)}" for name, value in feed.items())
        where = f"{self._where}, called with {values or 'no inputs'}"
        found = ort_words(error)
        if any(said in found for said in NO_MEMORY):
            return OutOfMemoryError(
                "there is not enough memory for this call",
                where=where,
                found=found,
                remedy="call it with smaller inputs; the session can be used as before",
            )
        remedy = REMEDIES["cuda"] if NO_CUDNN in found else None
        return RunError(
            "ONNX Runtime failed to run the model", where=where, found=found, remedy=remedy
        )

    def __reduce__(self) -> NoReturn:
        raise NotPicklableError(
            "a session cannot be pickled",
            where=self._where,
            remedy="send the path of the model, and load it in the other process",
        )

    def __repr__(self) -> str:
        rows = [f"Session({self._where!r}, providers={list(self.providers)})"]
        rows += [f"  {spec}" for spec in self.inputs]
        rows += [f"  -> {spec}" for spec in self.outputs]
        return "\n".join(rows)


def _converter(groups: Given) -> Callable[[Any], Any]:
    """What makes an ``OrtValue`` of the kind that the caller passed."""
    wants_torch = any(is_torch(value) for values in groups for value in values)
    return to_torch if wants_torch else lambda value: value


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


def _specs(
    args: Iterable[Any], scalars: set[str], limits: Limits | None = None
) -> tuple[Spec, ...]:
    return tuple(spec_of(arg, is_scalar=arg.name in scalars, limits=limits) for arg in args)
