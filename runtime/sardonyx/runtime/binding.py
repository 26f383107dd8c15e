"""Calls through ONNX Runtime's IO binding: memory stays where it is, and can be used again."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from .arrays import describe
from .device_tensors import device_of, is_ort_value
from .devices import CPU
from .engine import Engine, cannot_renew
from .errors import InputError
from .forks import after_fork_in_child, never_delete
from .narrow import NARROW
from .specs import Spec
from .turns import Turns

Failed = Callable[[Exception, Mapping[str, Any]], Exception]
GRAPH_ID = "gpu_graph_id"
NO_GRAPH = "-1"


def device_of_feed(feed: Mapping[str, Any]) -> str | None:
    """The device that the values of a call are on; None when all are in CPU memory."""
    for value in feed.values():
        if type(value) is not np.ndarray and is_ort_value(value):
            found = device_of(value)
            if found is not None:
                return found
    return None


def bind_feed(binding: Any, feed: Mapping[str, Any]) -> None:
    """Bind inputs: arrays in CPU memory, ``OrtValue`` wherever they are.

    ONNX Runtime copies a value that is not where its kernel reads it now, not when it runs.
    """
    from onnxruntime import OrtValue

    for name, value in feed.items():
        # ONNX Runtime binds arrays to required inputs alone, but values to all.
        shared = value if is_ort_value(value) else OrtValue.ortvalue_from_numpy(value)
        binding.bind_ortvalue_input(name, shared)


def run_on_device(
    engine: Engine,
    specs: Sequence[Spec],
    feed: Mapping[str, Any],
    device: str,
    options: Any,
    *,
    is_apart: bool,
) -> list[Any]:
    """Run with outputs that stay on the device, as ``OrtValue``.

    If one of them is a string, sequence or optional, all are brought into CPU memory.

    Args:
        engine: The session and its calls.
        specs: The outputs wanted.
        feed: Inputs by name.
        device: For example ``cuda:0``.
        options: ONNX Runtime's options of the run, or None.
        is_apart: Put the outputs where no captured graph of the session works. Their sizes are
            known after a run only: the model runs twice.
    """
    raw = engine.raw
    binding = raw.io_binding()
    if not all(map(is_numbers, specs)):
        names = [spec.name for spec in specs]
        results: list[Any] = engine.call(_run_to_cpu, (raw, binding, names, feed), options)
        return results
    kind, index = device.split(":")
    for spec in specs:
        binding.bind_output(spec.name, kind, int(index))
    engine.call(run_bound, (raw, binding, feed), options)
    if is_apart:
        for spec, value in zip(specs, binding.get_outputs(), strict=True):
            binding.bind_ortvalue_output(spec.name, _memory_like(value, kind, int(index)))
        engine.call(run_bound, (raw, binding, feed), options)
    return list(binding.get_outputs())


def _run_to_cpu(
    raw: Any, binding: Any, names: list[str], feed: Mapping[str, Any], options: Any
) -> Any:
    bind_feed(binding, feed)
    binding.synchronize_inputs()
    # Not the binding's own copies: ONNX Runtime's of strings are damaged.
    return raw.run(names, dict(feed), options)


def run_bound(raw: Any, binding: Any, feed: Mapping[str, Any], options: Any) -> None:
    """Run an ``onnxruntime.IOBinding`` of a session with devices on what the inputs hold now."""
    bind_feed(binding, feed)
    # The kernels that make the inputs may still run, on another stream than ONNX Runtime's.
    binding.synchronize_inputs()
    raw.run_with_iobinding(binding, options)


def is_numbers(spec: Spec) -> bool:
    """Whether this is a tensor of numbers, which can be in a device's memory."""
    return spec.kind == "tensor" and spec.dtype != "string"


def _memory_like(value: Any, kind: str, index: int) -> Any:
    """Memory of a device that is not in a session's arena, for what an ``OrtValue`` holds."""
    from onnxruntime import OrtValue

    return OrtValue.ortvalue_from_shape_and_type(value.shape(), value.element_type(), kind, index)


class Bound:
    """A call on memory of its own, to be made again and again; made by ``Session.bind``.

    Write new values into ``inputs`` and call it: the results are in ``outputs``, in the same memory
    at every call. Sizes stay those of the call it was bound with. Calls of several threads go one
    after the other.

    Attributes:
        inputs: What to write into, by name: the memory that it was bound with, unless ONNX Runtime
            could not read that as it was.
        outputs: What the last call computed, by name.
    """

    _graph_ids = itertools.count(1)

    def __init__(
        self,
        engine: Engine,
        inputs: Sequence[Spec],
        outputs: Sequence[Spec],
        feed: Mapping[str, Any],
        *,
        where: str,
        turns: Turns | None,
        convert: Callable[[Any], Any],
        failed: Failed,
    ) -> None:
        self._engine, self._where, self._feed, self._failed = engine, where, feed, failed
        self._device = device_of_feed(feed)
        self._turns, self._thread = turns, threading.local()
        self._turn = None if turns is None else self._take_turn
        self._lock = threading.RLock()
        refuse_unbindable(inputs, outputs, feed, self._device)
        if turns is not None:
            refuse_in_graph(engine.raw, feed)
        graph = {} if turns is None else {GRAPH_ID: str(next(self._graph_ids))}
        self._options = engine.options(**graph)
        values = self._first_run(outputs)
        self._binding = engine.raw.io_binding()
        for spec, value in zip(outputs, values, strict=True):
            self._bind_output(spec, value)
        if engine.raw.get_providers() == [CPU]:
            bind_feed(self._binding, feed)
            self._run: Any = (engine.session.run_with_iobinding, (self._binding._iobinding,))
        else:
            self._run = (run_bound, (engine.raw, self._binding, feed))
        self.inputs = {name: view(value, convert) for name, value in feed.items()}
        views = [view(value, convert) for value in values]
        self.outputs = {spec.name: view for spec, view in zip(outputs, views, strict=True)}
        self._results = views
        after_fork_in_child(self)

    def __call__(self) -> list[Any]:
        """Compute ``outputs`` from ``inputs``; returns the outputs in order.

        Raises:
            RunError: ONNX Runtime failed, or this process is a fork of the one that bound it.
        """
        function, args = self._run
        with self._lock:
            try:
                self._engine.call(function, args, self._options, self._turn)
            except self._engine.errors as error:
                raise self._failed(error, self._feed) from error
        return self._results.copy()

    def after_fork(self) -> None:
        """Refuse to run in a forked child: the memory is bound to the parent's session."""
        never_delete(self._binding, self._binding._iobinding, self._results)
        self._lock = threading.RLock()
        self._run = self._refuse_in_child, ()

    def _refuse_in_child(self, options: object) -> NoReturn:
        raise cannot_renew(self._where, "memory bound to the session of the parent process")

    def _take_turn(self, function: Callable[..., Any], *args: Any) -> Any:
        """Alone in the first call of a thread: ONNX Runtime captures a graph for each of them."""
        assert self._turns is not None
        if getattr(self._thread, "has_graph", False):
            return self._turns.take(function, *args)
        result = self._turns.take_alone(function, *args)
        self._thread.has_graph = True
        return result

    def _first_run(self, outputs: Sequence[Spec]) -> list[Any]:
        """Memory for the outputs of these inputs: ``OrtValue`` on a device, else arrays."""
        engine, feed = self._engine, self._feed
        try:
            if self._device is not None:
                is_apart = self._turns is not None
                return run_on_device(engine, outputs, feed, self._device, None, is_apart=is_apart)
            names = [spec.name for spec in outputs]
            results = engine.call(engine.session.run, (names, feed))
            return [np.require(y, requirements="C") for y in results]
        except engine.errors as error:
            raise self._failed(error, feed) from error

    def _bind_output(self, spec: Spec, value: Any) -> None:
        if is_ort_value(value):
            self._binding.bind_ortvalue_output(spec.name, value)
            return
        where = value.ctypes.data
        self._binding.bind_output(spec.name, "cpu", 0, value.dtype.type, value.shape, where)


def view(value: Any, convert: Callable[[Any], Any]) -> Any:
    """An ``OrtValue`` as the caller wants it; what is in CPU memory as it is."""
    return convert(value) if is_ort_value(value) else value


def refuse_unbindable(
    inputs: Sequence[Spec], outputs: Sequence[Spec], feed: Mapping[str, Any], device: str | None
) -> None:
    """Raise InputError for what has no memory that could be bound."""
    for spec in outputs:
        if not is_numbers(spec) or (spec.dtype in NARROW and device is None):
            _fail(f"output '{spec.name}' cannot be bound", None, spec.type)
    known = {spec.name: spec for spec in inputs}
    for name, value in feed.items():
        is_array = isinstance(value, np.ndarray) and value.dtype.kind != "O"
        if not is_array and not is_ort_value(value):
            _fail(f"input '{name}' cannot be bound", name, describe(value))
        spec = known[name]
        if spec.kind != "tensor":
            _fail(f"input '{name}' cannot be bound", name, spec.type)


def refuse_in_graph(raw: Any, feed: Mapping[str, Any]) -> None:
    """Raise InputError for what a CUDA graph would not read again."""
    places = zip(raw.get_inputs(), raw.get_input_memory_infos(), strict=True)
    on_cpu = {spec.name for spec, memory in places if memory.name == "Cpu"}
    for name, value in feed.items():
        if isinstance(value, np.ndarray) or device_of(value) is None:
            raise InputError(
                "a CUDA graph reads fixed memory of the device",
                kind="device",
                input=name,
                found=f"'{name}' in CPU memory",
                expected="tensors on the device",
                remedy="session.bind(x.cuda())",
            )
        if name in on_cpu:
            raise InputError(
                "a CUDA graph would keep the value that an input has when it is captured",
                kind="device",
                input=name,
                found=f"no kernel reads '{name}' on the device",
                remedy="load the model without enable_cuda_graph, or make this input a constant",
            )


def _fail(what: str, name: str | None, found: str) -> NoReturn:
    raise InputError(
        what,
        kind="type",
        input=name,
        found=found,
        expected="tensors of numbers",
        remedy="call the session itself",
    )
