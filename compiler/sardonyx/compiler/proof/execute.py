"""Runs models on ONNX Runtime in a child process, within limits of time and memory."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.errors import SardonyxError
from sardonyx.compiler.export import disabled_optimizers
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.proof.runnable import WeightStore, write_runnable

Feeds = Mapping[str, Array]
_REFUSED = "ONNX Runtime cannot run the model."
_OUT_OF_MEMORY = "out of memory"
_WORKER = Path(__file__).with_name("worker.py")


class ExecutionError(SardonyxError):
    """A model could not be run: ONNX Runtime refused it, died, or went beyond a limit."""

    @property
    def lacks_kernel(self) -> bool:
        """Whether ONNX Runtime has no kernel for one of its operators on this device."""
        return "NOT_IMPLEMENTED" in (self.found or "")

    @property
    def is_final(self) -> bool:
        """Whether the process died or went beyond a limit: it would on larger inputs too."""
        is_refusal = self.what == _REFUSED and self.found != _OUT_OF_MEMORY
        return not is_refusal


class DisturbedError(ExecutionError):
    """A model runs, but not when its arithmetic is rounded otherwise.

    Args:
        error: What became of it then.
    """

    def __init__(self, error: ExecutionError) -> None:
        super().__init__(
            "The model does not run when its arithmetic is rounded otherwise.",
            found=error.found or error.what,
        )
        self._is_final = error.is_final

    @property
    def is_final(self) -> bool:
        """Whether the process died or went beyond a limit: it would on larger inputs too."""
        return self._is_final


@dataclass(frozen=True)
class Limits:
    """What one model may take.

    Attributes:
        seconds: Wall time of loading it and running it on all inputs.
        memory: Bytes of address space, the mapped weights left out; None for no limit. It
            holds on the CPU only.
        threads: Threads of ONNX Runtime.
    """

    seconds: float = 120.0
    memory: int | None = 16 << 30
    threads: int = 0


class Executor:
    """Runs models; use it as a context manager. Constants are written to disk once.

    Args:
        limits: What each run may take.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._place = tempfile.TemporaryDirectory(prefix="sardonyx-", ignore_cleanup_errors=True)
        self.folder = Path(self._place.name)
        self._store = WeightStore(self.folder / "weights")
        self._fed: dict[int, tuple[Feeds, Path]] = {}

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *exception: object) -> None:
        self._store.close()
        self._place.cleanup()

    def run(
        self,
        model: ir.Model,
        samples: Sequence[Feeds],
        *,
        level: str = "off",
        provider: str = "cpu",
    ) -> list[list[Array]]:
        """Return what a model computes, for each sample its outputs in order.

        Outputs of dtypes that numpy does not have come as float32 or int8.

        Args:
            model: A model at stage target; it is changed.
            samples: Inputs by name.
            level: How far ONNX Runtime optimises it: "off", "basic", "extended" or "all"; without
                the optimisers that the model's own metadata switch off.
            provider: Where it runs, "cpu" or "cuda".

        Raises:
            ExecutionError: It cannot be run within the limits.
        """
        try:
            path = write_runnable(model, self.folder / "model.onnx", self._store)
            fed = [self._feed(sample) for sample in samples]
        except OSError as error:
            raise ExecutionError(
                "The model cannot be written to where it would be run.",
                where=str(self.folder),
                found=str(error),
                remedy="make room there, point TMPDIR elsewhere, or compile with proof='off'",
            ) from error
        made = [self.folder / f"output-{index}.npz" for index in range(len(samples))]
        # CUDA reserves addresses for the memory of the device and of the host at once.
        memory = self.limits.memory if provider == "cpu" else None
        request = {
            "model": str(path),
            "inputs": [str(file) for file in fed],
            "outputs": [str(file) for file in made],
            "level": level,
            "disabled": disabled_optimizers(model),
            "provider": provider,
            "threads": self.limits.threads,
            "memory": memory + self._store.size if memory is not None else None,
        }
        with _LOCK:
            _worker().ask(request, self.limits.seconds)
        return [_read(file) for file in made]

    def _feed(self, sample: Feeds) -> Path:
        known = self._fed.get(id(sample))
        if known is None:
            path = self.folder / f"input-{len(self._fed)}.npz"
            arrays = {n: x.astype(np.str_) if x.dtype == object else x for n, x in sample.items()}
            np.savez(path, **arrays)  # type: ignore[arg-type]
            known = self._fed[id(sample)] = (sample, path)
        return known[1]


def _read(path: Path) -> list[Array]:
    with np.load(path, allow_pickle=False) as stored:
        return [stored[name] for name in stored.files]


class _Worker:
    """The parent's end of the child process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, request: Mapping[str, object], seconds: float) -> None:
        """Have a request done.

        Raises:
            ExecutionError: It was not.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=seconds)
        except queue.Empty:
            self.end()
            raise ExecutionError(
                "The model could not be run in time.", expected=f"at most {seconds:g} s"
            ) from None
        except BrokenPipeError:
            line = None
        if line is None:
            how = self._how_it_ended()
            self.end()
            raise ExecutionError("ONNX Runtime ended its process.", found=how)
        error = json.loads(line).get("error")
        if error:
            raise ExecutionError(_REFUSED, found=error)

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def _how_it_ended(self) -> str:
        code = self._process.wait()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


_LOCK = threading.Lock()
_started: dict[int, _Worker] = {}


def _worker() -> _Worker:
    """The one of this process, started when it is needed; that of a parent is none of ours."""
    known = _started.get(os.getpid())
    if known is None or not known.is_alive:
        known = _started[os.getpid()] = _Worker()
    return known


@atexit.register
def _end() -> None:
    with contextlib.suppress(KeyError):
        _started.pop(os.getpid()).end()
