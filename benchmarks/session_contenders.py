"""What `benchmarks.sessions` times: one contender in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from sardonyx.runtime.child import Child

KEEP = {"session.set_denormal_as_zero": "0"}
FLUSH = {"session.set_denormal_as_zero": "1"}
SWIN = "swin_tiny"
TIMEOUT = 600.0
"""Seconds after which a contender is given up; Swin may have to be exported first."""
Call = Callable[[], Any]
rng = np.random.default_rng(20)


def serialised(text: str, **weights: np.ndarray) -> bytes:
    """A model from ONNX text and its weights."""
    import onnx.numpy_helper
    import onnx.parser

    proto = onnx.parser.parse_model('<ir_version: 10, opset_import: ["": 23]>\n' + text)
    for name, array in weights.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return bytes(proto.SerializeToString())


def normal(*shape: int) -> np.ndarray:
    """Random float32."""
    return rng.standard_normal(shape, np.float32)


def mlp() -> tuple[bytes, dict[str, np.ndarray]]:
    """A network so small that its time is the call's: 16 - 32 - 32 - 4."""
    text = """g (float[n, 16] x) => (float[n, 4] y) {
        a = MatMul(x, u) b = Relu(a) c = MatMul(b, v) d = Relu(c) y = MatMul(d, w) }"""
    return serialised(text, u=normal(16, 32), v=normal(32, 32), w=normal(32, 4)), {
        "x": normal(1, 16)
    }


def attention(masked: float) -> tuple[bytes, dict[str, np.ndarray]]:
    """Causal attention of 12 heads of 64 over 512 positions, and what masked scores are."""
    text = """g (float[1, 12, 512, 64] q, float[1, 12, 64, 512] k, float[1, 12, 512, 64] v)
        => (float[1, 12, 512, 64] y) {
        s = MatMul(q, k) t = Mul(s, scale) m = Add(t, mask) p = Softmax(m) y = MatMul(p, v) }"""
    mask = np.where(np.tri(512, dtype=bool), 0, masked).astype(np.float32)
    data = serialised(text, scale=np.array(0.125, np.float32), mask=mask)
    q, k, v = normal(1, 12, 512, 64), normal(1, 12, 64, 512), normal(1, 12, 512, 64)
    return data, {"q": q, "k": k, "v": v}


def swin(threads: int) -> tuple[str, dict[str, np.ndarray]]:
    """Swin as PyTorch exports it, with its masks of -100."""
    from benchmarks import artifacts
    from benchmarks.contenders import ARTIFACT
    from benchmarks.worker import read

    settings = artifacts.Settings(threads=threads)
    path = artifacts.folder(SWIN, "export", settings) / ARTIFACT
    if not path.exists():
        artifacts.prepare(SWIN, "export", settings, lambda said: print(said, file=sys.stderr))
    return str(path), read(str(artifacts.inputs(SWIN, settings)))


def layers(count: int = 8, width: int = 512) -> tuple[bytes, dict[str, np.ndarray]]:
    """Some matrix products in a row: about 10 ms on one core."""
    steps = "".join(f" h{i + 1} = MatMul(h{i}, w{i})" for i in range(count - 1))
    text = f"""g (float[128, {width}] h0) => (float[128, {width}] y) {{
        {steps} y = MatMul(h{count - 1}, w{count - 1}) }}"""
    weights = {f"w{i}": normal(width, width) / width**0.5 for i in range(count)}
    return serialised(text, **weights), {"h0": normal(128, width)}


def model_of(name: str, threads: int) -> tuple[bytes | str, dict[str, np.ndarray]]:
    """A model and its inputs by name."""
    makers: dict[str, Callable[[], tuple[bytes | str, dict[str, np.ndarray]]]] = {
        "mlp": mlp,
        "attention": lambda: attention(-1e9),
        "attention_100": lambda: attention(-100.0),
        "swin": lambda: swin(threads),
        "layers": layers,
    }
    return makers[name]()


def raw_session(model: bytes | str, threads: int, config: dict[str, str] | None = None) -> Any:
    """ONNX Runtime's own session; 0 threads: as it chooses."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    for key, value in (config or {}).items():
        options.add_session_config_entry(key, value)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def raw_call(name: str, threads: int, config: dict[str, str] | None = None) -> Call:
    """ONNX Runtime, called as its documentation shows."""
    model, inputs = model_of(name, threads)
    session = raw_session(model, threads, config)
    return lambda: session.run(None, inputs)


def our_call(name: str, threads: int, config: dict[str, str] | None = None) -> Call:
    """A session of ours, its inputs by position; 0 threads: as it chooses."""
    from sardonyx import runtime

    model, inputs = model_of(name, threads)
    session = runtime.load(model, threads=threads or None, config=config)
    args = [inputs[spec.name] for spec in session.inputs]
    return lambda: session(*args)


def bound_call(name: str, threads: int) -> Call:
    """A bound call of ours, which writes the same memory again."""
    from sardonyx import runtime

    model, inputs = model_of(name, threads)
    return runtime.load(model, threads=threads or None).bind(**inputs)


def limited_call(name: str, threads: int) -> Call:
    """A session of ours that believes to read a quota of half a core in its cgroup."""
    from sardonyx.runtime import threads as counting

    counting.cpu_quota = lambda *_: 0.5  # type: ignore[assignment]
    return our_call(name, threads)


CONTENDERS: dict[str, Callable[[str, int], Call]] = {
    "onnxruntime": raw_call,
    "onnxruntime, flushing": lambda name, threads: raw_call(name, threads, FLUSH),
    "sardonyx": our_call,
    "sardonyx, keeping denormals": lambda name, threads: our_call(name, threads, KEEP),
    "sardonyx, bound": bound_call,
    "sardonyx, in half a core": limited_call,
}


def median_us(call: Call, seconds: float) -> float:
    """Median of blocks of calls; a block takes a millisecond at least, so that clocks do not."""
    block, times = 1, []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(block):
            call()
        took = time.perf_counter() - start
        if took < 1e-3 and block < 1 << 12:
            block *= 2
            continue
        times.append(took / block)
    return float(np.median(times)) * 1e6


class Worker:
    """Answers the requests for one contender."""

    def open(self, contender: str, model: str, threads: int, elsewhere: bool) -> dict[str, Any]:
        """Load and warm up.

        Args:
            contender: A key of CONTENDERS.
            model: What ``model_of`` takes.
            threads: Of the compute pool; 0 leaves them to the contender.
            elsewhere: Make another session first, without any settings, then load and call from a
                thread that did not make it.
        """
        self._pool = ThreadPoolExecutor(1) if elsewhere else None
        if elsewhere:
            first = raw_session(mlp()[0], 1)
            first.run(None, mlp()[1])
        self._call = self._here(CONTENDERS[contender], model, threads)
        return self.time(0.3)

    def time(self, seconds: float) -> dict[str, Any]:
        """The median of a call."""
        return {"us": self._here(median_us, self._call, seconds)}

    def _here(self, function: Callable[..., Any], *args: Any) -> Any:
        return self._pool.submit(function, *args).result() if self._pool else function(*args)


def main() -> None:
    """Serve until standard input ends."""
    from sardonyx.runtime.worker import serve

    serve(Worker())


@contextlib.contextmanager
def started(
    contender: str, model: str, threads: int, *, elsewhere: bool = False
) -> Iterator[Child]:
    """A contender that is ready."""
    with Child("benchmarks.session_contenders") as child:
        child.ask(
            "open", TIMEOUT, contender=contender, model=model, threads=threads, elsewhere=elsewhere
        )
        yield child


def ask(child: Child, seconds: float) -> float:
    """One measurement of a contender, in microseconds."""
    return float(child.ask("time", TIMEOUT + seconds, seconds=seconds)["us"])


class Quota:
    """Holds a process to a share of the CPUs, as the kernel's quota does: in periods of 100 ms.

    What all its threads together may compute in a period is counted; then it stands still until
    the next one. For machines on which no cgroup can be made.
    """

    PERIOD = 0.1

    def __init__(self, process: int, cpus: float) -> None:
        self._process, self._budget = process, cpus * self.PERIOD
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def __enter__(self) -> Quota:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ends.set()
        self._thread.join()

    def _used(self) -> float:
        # The number that clock_getcpuclockid gives, which Python does not offer.
        return time.clock_gettime((~self._process << 3) | 2)

    def _hold(self) -> None:
        while not self._ends.is_set():
            start, before = time.monotonic(), self._used()
            while time.monotonic() < start + self.PERIOD:
                if self._used() - before >= self._budget:
                    os.kill(self._process, signal.SIGSTOP)
                    time.sleep(max(0.0, start + self.PERIOD - time.monotonic()))
                    os.kill(self._process, signal.SIGCONT)
                    break
                time.sleep(0.001)
