"""Calls through ONNX Runtime's IO binding: memory stays where it is, and can be used again."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from .arrays import describe
from .device_tensors import device_of, is_ort_value
from .engine import Engine, cannot_renew
from .errors import InputError
from .forks import after_fork_in_child, never_delete
from .narrow import NARROW
from .specs import Spec

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


def bind_feed(raw: Any, feed: Mapping[str, Any]) -> Any:
    """An IO binding with these inputs: arrays in CPU memory, ``OrtValue`` wherever they are."""
    binding = raw.io_binding()
    for name, value in feed.items():
        if is_ort_value(value):
            binding.bind_ortvalue_input(name, value)
        else:
            binding.bind_cpu_input(name, value)
    return binding


def run_on_device(
    engine: Engine, names: Sequence[str], feed: Mapping[str, Any], device: str, options: Any
) -> list[Any]:
    """Run with outputs that stay on the device, as ``OrtValue``."""
    raw = engine.raw
    binding = bind_feed(raw, feed)
    kind, index = device.split(":")
    for name in names:
        binding.bind_output(name, kind, int(index))
    # The kernels that make the inputs may still run, on another stream than ONNX Runtime's.
    binding.synchronize_inputs()
    engine.call(raw.run_with_iobinding, (binding,), options)
    return list(binding.get_outputs())


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
        specs: Sequence[Spec],
        feed: Mapping[str, Any],
        *,
        where: str,
        has_graphs: bool,
        convert: Callable[[Any], Any],
        failed: Failed,
    ) -> None:
        self._engine, self._where, self._feed, self._failed = engine, where, feed, failed
        self._device = device_of_feed(feed)
        self._lock = threading.Lock()
        _refuse(specs, feed, self._device, has_graphs=has_graphs)
        graph = {GRAPH_ID: str(next(self._graph_ids))} if has_graphs else {}
        self._options = engine.options(**graph)
        values = self._first_run(specs)
        self._binding = bind_feed(engine.raw, feed)
        for spec, value in zip(specs, values, strict=True):
            self._bind_output(spec, value)
        self.inputs = {name: _view(value, convert) for name, value in feed.items()}
        self.outputs = {spec.name: _view(y, convert) for spec, y in zip(specs, values, strict=True)}
        self._results = list(self.outputs.values())
        self._run = engine.bound_run(self._binding)
        after_fork_in_child(self)

    def __call__(self) -> list[Any]:
        """Compute ``outputs`` from ``inputs``; returns the outputs in order.

        Raises:
            RunError: ONNX Runtime failed, or this process is a fork of the one that bound it.
        """
        function, args = self._run
        with self._lock:
            try:
                if self._device is not None:
                    self._binding.synchronize_inputs()
                self._engine.call(function, args, self._options)
            except self._engine.errors as error:
                raise self._failed(error, self._feed) from error
        return self._results.copy()

    def after_fork(self) -> None:
        """Refuse to run in a forked child: the memory is bound to the parent's session."""
        never_delete(self._binding, self._binding._iobinding, self._results)
        self._lock = threading.Lock()
        self._run = self._refuse_in_child, ()

    def _refuse_in_child(self, options: object) -> NoReturn:
        raise cannot_renew(self._where, "memory bound to the session of the parent process")

    def _first_run(self, specs: Sequence[Spec]) -> list[Any]:
        """Memory for the outputs of these inputs: ``OrtValue`` on a device, else arrays."""
        names = [spec.name for spec in specs]
        try:
            if self._device is not None:
                return run_on_device(self._engine, names, self._feed, self._device, None)
            results = self._engine.call(self._engine.session.run, (names, self._feed))
            return [np.require(y, requirements="C") for y in results]
        except self._engine.errors as error:
            raise self._failed(error, self._feed) from error

    def _bind_output(self, spec: Spec, value: Any) -> None:
        if is_ort_value(value):
            self._binding.bind_ortvalue_output(spec.name, value)
            return
        where = value.ctypes.data
        self._binding.bind_output(spec.name, "cpu", 0, value.dtype.type, value.shape, where)


def _view(value: Any, convert: Callable[[Any], Any]) -> Any:
    return convert(value) if is_ort_value(value) else value


def _refuse(
    specs: Sequence[Spec], feed: Mapping[str, Any], device: str | None, *, has_graphs: bool
) -> None:
    """Raise InputError for what has no memory that could be bound."""
    for spec in specs:
        is_narrow = spec.dtype in NARROW and device is None
        if spec.kind != "tensor" or spec.dtype == "string" or is_narrow:
            _fail(f"output '{spec.name}' cannot be bound", None, spec.type)
    for name, value in feed.items():
        is_array = isinstance(value, np.ndarray) and value.dtype.kind != "O"
        if not is_array and not is_ort_value(value):
            _fail(f"input '{name}' cannot be bound", name, describe(value))
        if has_graphs and (is_array or device_of(value) is None):
            raise InputError(
                "a CUDA graph reads fixed memory of the device",
                kind="device",
                input=name,
                found=f"'{name}' in CPU memory",
                expected="tensors on the device",
                remedy="session.bind(x.cuda())",
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
