"""Sessions under stress: what calls cost, denormals, threads, memory, forks, limits.

python -m benchmarks.sessions                 all of them
python -m benchmarks.sessions overhead fork   some

Times are ratios between contenders that run in turn, each in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import session_contenders as contenders
from benchmarks.ratios import Rounds, Spread, in_turn, ratio

Row = dict[str, Any]
OURS, RAW, KEEPING = "sardonyx", "onnxruntime", "sardonyx, keeping denormals"


def compare(
    model: str,
    rivals: Sequence[tuple[str, int]],
    options: argparse.Namespace,
    *,
    elsewhere: bool = False,
    quota: float | None = None,
) -> list[Row]:
    """Rivals in turn: microseconds, and how many times the first one's."""
    with ExitStack() as stack:
        children = {
            (name, threads): stack.enter_context(
                contenders.started(name, model, threads, elsewhere=elsewhere)
            )
            for name, threads in rivals
        }
        if quota is not None:
            for child in children.values():
                stack.enter_context(contenders.Quota(child.pid, quota))
        rounds: dict[tuple[str, int], Rounds] = in_turn(
            rivals, options.rounds, lambda rival: contenders.ask(children[rival], options.seconds)
        )
    return [
        {
            "model": model,
            "contender": f"{name}, {threads or 'its own number of'} threads",
            "us": round(float(np.median(np.array(times, float))), 1),
            "times the first": _text(ratio(times, rounds[rivals[0]])),
        }
        for (name, threads), times in rounds.items()
    ]


def _text(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread.median:.2f} ({spread.low:.2f} - {spread.high:.2f})"


def overhead(options: argparse.Namespace) -> list[Row]:
    """A call of a tiny network: ours against ONNX Runtime's own."""
    return compare("mlp", [(RAW, 1), (OURS, 1), ("sardonyx, bound", 1)], options)


def denormals(options: argparse.Namespace) -> list[Row]:
    """Masked attention and Swin, called in a second thread, another session made first."""
    rivals = [(OURS, options.threads), (KEEPING, options.threads)]
    rivals += [("onnxruntime, flushing", options.threads), (RAW, options.threads)]
    return [
        row for model in options.models for row in compare(model, rivals, options, elsewhere=True)
    ]


def quota(options: argparse.Namespace) -> list[Row]:
    """Held to half a core: ours, ONNX Runtime told the right number of threads, and untold."""
    rivals = [("sardonyx, in half a core", 0), (RAW, 1), (RAW, 0)]
    return compare("layers", rivals, options, quota=0.5)


def bits(options: argparse.Namespace) -> list[Row]:
    """Many threads on one session: results that differ from those of one thread in any bit."""
    from sardonyx import runtime

    model, inputs = contenders.layers(3, 64)
    session = runtime.load(model, threads=options.threads)
    calls = [inputs["h0"] * np.float32(scale) for scale in range(8)]
    expected = [session(x)[0].tobytes() for x in calls]

    def work(seed: int) -> int:
        order = np.random.default_rng(seed).integers(0, len(calls), options.runs)
        return sum(session(calls[i])[0].tobytes() != expected[i] for i in order)

    with ThreadPoolExecutor(options.callers) as pool:
        wrong = sum(pool.map(work, range(options.callers)))
    return [
        {"threads": options.callers, "runs of each": options.runs, "results that differ": wrong}
    ]


def resident_mb() -> float:
    """The resident size of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(options: argparse.Namespace) -> list[Row]:
    """Growth of the process over many runs, and over many shapes."""
    from sardonyx import runtime

    text = """g (float[n, m] x) => (float[n, m] y) { a = Mul(x, x) b = Relu(a) y = Softmax(b) }"""
    session = runtime.load(contenders.serialised(text), threads=options.threads)
    largest = contenders.normal(64, 64)
    kinds: dict[str, Callable[[int], np.ndarray]] = {
        "runs of one shape": lambda _: largest,
        "shapes": lambda i: largest[: 1 + i % 40, : 1 + i // 40 % 60],
        "runs of one shape, in time": lambda _: largest,
    }
    counts = {"runs of one shape": 10_000, "shapes": 1_000, "runs of one shape, in time": 10_000}
    rows = []
    for kind, make in kinds.items():
        call = _timed(session) if "time" in kind else session
        for i in range(200):
            call(make(i))
        before = resident_mb()
        for i in range(counts[kind]):
            call(make(i))
        rows.append({"calls": f"{counts[kind]} {kind}", "growth MB": resident_mb() - before})
    return rows


def _timed(session: Any) -> Callable[[np.ndarray], Any]:
    return lambda x: session.run(x, timeout=60)


def fork(options: argparse.Namespace) -> list[Row]:
    """Children that use, delete or leave what they inherit, of us and of ONNX Runtime."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        path.write_bytes(contenders.layers(3, 64)[0])
        rows = []
        for name in (OURS, RAW):
            for what in ("uses", "deletes", "exits"):
                command = [sys.executable, "-m", "benchmarks.sessions", "forks", name, what]
                done = subprocess.run(
                    [*command, str(path), str(options.threads)],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                rows.append({"session": name, "the child": what, "ends": done.stdout.strip()})
    return rows


def forks(name: str, what: str, path: str, threads: int) -> None:
    """Fork a process that has a session; print how the child ended, which was to exit with 7."""
    x = contenders.layers(3, 64)[1]["h0"]
    if name == OURS:
        from sardonyx import runtime

        held = [runtime.load(path, threads=threads)]
        held[0](x)
    else:
        held = [contenders.raw_session(path, threads)]
        held[0].run(None, {"h0": x})
    child = os.fork()
    if child == 0:
        if what == "uses":
            held[0](x) if name == OURS else held[0].run(None, {"h0": x})
        elif what == "deletes":
            held.clear()
            os._exit(7)
        sys.exit(7)
    print(_end_of(child))


def _end_of(child: int, seconds: float = 10) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return "as it should" if code == 7 else f"with {code}"
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "never"


LOOP = """g (int64 n, float x) => (float y) {
    go = Constant<value = bool {1}>()
    one = Constant<value = float {1}>()
    y = Loop(n, go, x) <body = b (int64 i, bool was, float a) => (bool still, float b) {
        still = Identity(was)
        b = Add(a, one)
    }>
}"""


def stop(options: argparse.Namespace) -> list[Row]:
    """Seconds from Ctrl-C, or from the end of a time limit, until the caller goes on."""
    from sardonyx import runtime

    session = runtime.load(contenders.serialised(LOOP), threads=options.threads)
    big, inputs = contenders.layers(64, 1024)
    products = runtime.load(big, threads=options.threads)
    forever = 2**62
    calls: dict[str, Callable[[float | None], Any]] = {
        "a loop without end": lambda limit: session.run(forever, 0.0, timeout=limit),
        "a row of products": lambda limit: _again(products, inputs["h0"], limit),
    }
    rows = []
    for name, call in calls.items():
        start = time.monotonic()
        with contextlib.suppress(runtime.RunTimeoutError):
            call(0.5)
        rows.append({"call": name, "stopped by": "timeout", "s": time.monotonic() - start - 0.5})
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        start = time.monotonic()
        with contextlib.suppress(KeyboardInterrupt):
            call(None)
        rows.append({"call": name, "stopped by": "Ctrl-C", "s": time.monotonic() - start - 0.5})
    assert session(3, 1.0)[0] == 4
    return rows


def _again(session: Any, x: np.ndarray, limit: float | None) -> None:
    end = time.monotonic() + (limit or 60)
    while time.monotonic() < end:
        session.run(x, timeout=None if limit is None else max(0.001, end - time.monotonic()))


PARTS: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "overhead": overhead,
    "denormals": denormals,
    "quota": quota,
    "bits": bits,
    "memory": memory,
    "fork": fork,
    "stop": stop,
}


def show(part: str, rows: list[Row]) -> None:
    """A table."""
    print(f"\n{part}: {PARTS[part].__doc__}")
    cells = [list(rows[0])] + [
        [f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  " + "  ".join(f"{c:{w}}" for c, w in zip(line, widths, strict=True)).rstrip())


def main() -> None:
    """Measure what was asked for; a part of its own process each, for they change it."""
    if sys.argv[1:2] == ["forks"]:
        forks(*sys.argv[2:5], int(sys.argv[5]))
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=list(PARTS))
    parser.add_argument("--threads", type=int, default=2, help="of the compute pool")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one contender in a round")
    parser.add_argument("--callers", type=int, default=32, help="threads that share a session")
    parser.add_argument("--runs", type=int, default=200, help="of each of them")
    parser.add_argument(
        "--models", nargs="+", default=["attention", "attention_100", "swin"], help="for denormals"
    )
    parser.add_argument("--json", type=Path, help="write the rows there too")
    options = parser.parse_args()
    found = {}
    for part in options.parts:
        found[part] = PARTS[part](options)
        show(part, found[part])
        sys.stdout.flush()
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
