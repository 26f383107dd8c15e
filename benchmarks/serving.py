"""Start-up, shared memory and batches of `sardonyx.runtime`; BERT-base of any batch and length.

    python -m benchmarks.serving start [--rounds 7]              seconds until a session is there
    python -m benchmarks.serving processes [--clients 8]         so many on one cold cache at once
    python -m benchmarks.serving memory [--sessions 4]           what each session more costs
    python -m benchmarks.serving batcher [--lengths 16 64 128]   requests of threads, in batches
    options: --model bert_base|mlp  --threads N  --seconds S  --clients N  --json FILE

Every figure comes from a process of its own, contenders in turn, each round with another one first;
files are in the page cache. Ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import REPOSITORY, describe, fingerprint, usable_cores
from benchmarks.ratios import in_turn, ratio

WORK = REPOSITORY / "benchmarks" / ".work" / "serving"
PLAIN = "onnxruntime"
CACHED = "sardonyx, from the cache"
EXTERNAL = "session.optimized_model_external_initializers_file_name"
PACKED = "session.save_external_prepacked_constant_initializers"
# Ways to keep an optimised model that ONNX Runtime offers: what it is told when it writes the file,
# and when it loads it. Ours is "packed and mapped", checked, with the key and the locks around it.
WAYS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "optimised": ("model.onnx", {}, {}),
    "optimised, weights mapped": ("model.onnx", {EXTERNAL: "w"}, {}),
    "not packed, weights mapped": (
        "model.onnx",
        {EXTERNAL: "w"},
        {"session.disable_prepacking": "1"},
    ),
    "packed and mapped": ("model.onnx", {EXTERNAL: "w", PACKED: "1"}, {}),
    "ORT format": ("model.ort", {"session.save_model_format": "ORT"}, {}),
    "ORT format, mapped": (
        "model.ort",
        {"session.save_model_format": "ORT"},
        {
            "session.use_memory_mapped_ort_model": "1",
            "session.use_ort_model_bytes_for_initializers": "1",
        },
    ),
}


def model_file(name: str) -> Path:
    """The compiled model, made when it is not there or what it depends on has changed."""
    key = fingerprint("compiler", "frontends", "benchmarks/models.py", "benchmarks/networks.py")
    path = WORK / f"{name}-{key}.onnx"
    if not path.exists():
        import torch

        from benchmarks.models import MODELS
        from sardonyx import compiler, frontends

        WORK.mkdir(parents=True, exist_ok=True)
        for old in WORK.glob(f"{name}-*.onnx"):
            old.unlink()
        row = MODELS[name]
        example = {key: torch.cat([value, value]) for key, value in row.example().items()}
        axes = {0: "batch"} if name == "mlp" else {0: "batch", 1: "sequence"}
        source = frontends.from_torch(
            row.module(), tuple(example.values()), dynamic=dict.fromkeys(example, axes)
        )
        compiler.compile(source, target="cpu", proof="off").save(path)
    return path


def request(name: str, length: int, seed: int, rows: int = 1) -> list[np.ndarray]:
    """Inputs of one call."""
    rng = np.random.default_rng(seed)
    if name == "mlp":
        return [rng.standard_normal((rows, 64), np.float32)]
    ids = rng.integers(0, 30_000, (rows, length))
    return [ids, np.ones_like(ids)]


# ----------------------------------------------------------------- in the child


def _options(threads: int, entries: dict[str, str]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    return options


def _plain(path: str, options: Any) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _load(job: dict[str, Any]) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    import onnxruntime

    path, threads, how = job["path"], job["threads"], job["how"]
    if how in {PLAIN, "sardonyx", CACHED}:
        if how != PLAIN:
            from sardonyx import runtime

            cache = job["cache"] if how == CACHED else False
            session = runtime.load(path, threads=threads, cache=cache)
            return lambda inputs: session(*inputs)
        raw = _plain(path, _options(threads, {}))
    else:
        file, _, reading = WAYS[how]
        options = _options(threads, reading)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        raw = _plain(str(Path(job["folder"]) / file), options)
    names = [value.name for value in raw.get_inputs()]
    return lambda inputs: raw.run(None, dict(zip(names, inputs, strict=True)))


def child_write(job: dict[str, Any]) -> dict[str, Any]:
    """Write an optimised model in one of the ways."""
    file, writing, _ = WAYS[job["how"]]
    folder = Path(job["folder"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    options = _options(job["threads"], writing)
    options.optimized_model_filepath = str(folder / file)
    _plain(job["path"], options)
    return {"mb": sum(each.stat().st_size for each in folder.iterdir()) / 1e6}


def child_start(job: dict[str, Any]) -> dict[str, Any]:
    """Seconds until the session is there, and until its first answer."""
    import onnxruntime  # noqa: F401

    from sardonyx import runtime  # noqa: F401

    inputs = request(job["model"], 16, 0)
    start, used = time.perf_counter(), time.process_time()
    call = _load(job)
    ready, used = time.perf_counter(), time.process_time() - used
    outputs = call(inputs)
    first = time.perf_counter()
    digest = hashlib.sha256(b"".join(y.tobytes() for y in outputs)).hexdigest()
    times = {"load_s": ready - start, "first_s": first - start, "cpu_s": used}
    return {**times, "digest": digest, **_memory()}


def _memory() -> dict[str, float]:
    from sardonyx.runtime.memory import read_memory

    found = read_memory(None)
    return {"private_mb": (found.private or 0) / 1e6, "resident_mb": (found.resident or 0) / 1e6}


def child_memory(job: dict[str, Any]) -> dict[str, Any]:
    """Private memory after each of several sessions of one model."""
    calls, sizes = [], []
    for _ in range(job["sessions"]):
        calls.append(_load(job))
        calls[-1](request(job["model"], 16, 0))
        sizes.append(_memory()["private_mb"])
    from sardonyx import runtime

    session = runtime.load(job["path"], threads=job["threads"], cache=job["cache"])
    session(*request(job["model"], 128, 0, rows=8))
    return {"private_mb": sizes, "given_back_mb": session.release_memory() / 1e6}


def child_serve(job: dict[str, Any]) -> dict[str, Any]:
    """Throughput and latency of threads that call as fast as they are answered."""
    from sardonyx import runtime

    session = runtime.load(job["path"], threads=job["threads"], cache=job["cache"])
    lengths = job["lengths"]
    calls = [
        [request(job["model"], lengths[(n + k) % len(lengths)], n) for k in range(len(lengths))]
        for n in range(job["clients"])
    ]
    for length in lengths:
        session(*request(job["model"], length, 0))
    if job["how"] == "unbatched":
        return _race(session, calls, job["seconds"])
    with runtime.Batcher(
        _padded(session, job) if len(lengths) > 1 else session,
        max_batch=job["max_batch"],
        max_delay=job["max_delay"],
    ) as batcher:
        _race(batcher, calls, job["seconds"])  # It learns which sizes pay.
        found = _race(batcher, calls, job["seconds"])
        return {**found, "statistics": str(batcher.statistics())}


def _padded(session: Any, job: dict[str, Any]) -> Any:
    from sardonyx import runtime

    names = [spec.name for spec in session.inputs]
    shortest = request(job["model"], min(job["lengths"]) - 1, 0)
    sizes = sorted({-(-length // 32) * 32 for length in job["lengths"]})
    sample = dict(zip(names, shortest, strict=True))
    return runtime.Buckets(session, {"sequence": sizes}, samples=[sample], atol=1e-4)


def _race(call: Any, calls: list[list[Any]], seconds: float) -> dict[str, Any]:
    latencies: list[float] = []
    begin = time.perf_counter()

    def client(requests: list[Any]) -> None:
        number = 0
        while time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            call(*requests[number % len(requests)])
            latencies.append(time.perf_counter() - start)
            number += 1

    threads = [threading.Thread(target=client, args=(requests,)) for requests in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    p50, p99 = np.percentile(latencies, [50, 99]) * 1e3
    return {"per_s": len(latencies) / took, "p50_ms": p50, "p99_ms": p99, "calls": len(latencies)}


# ---------------------------------------------------------------- in the parent


def spawn(do: str, **job: Any) -> subprocess.Popen[str]:
    """Start a child that does one thing."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "benchmarks.serving", "child", do, json.dumps(job)]
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True
    )


def answer(child: subprocess.Popen[str]) -> dict[str, Any]:
    """What a child says on its last line."""
    out, _ = child.communicate()
    if child.returncode:
        sys.exit(f"a child ended with code {child.returncode}")
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def tell(said: str) -> None:
    """Show how far it is."""
    print(f"  {said}", file=sys.stderr, flush=True)


def compared(found: dict[str, Any], baseline: str, key: str, *, is_rate: bool = False) -> None:
    """Print medians, and ratios to the baseline."""
    base = [row[key] for row in found[baseline]]
    for name, rows in found.items():
        own = [row[key] for row in rows]
        pair = (own, base) if is_rate else (base, own)
        times = ratio(*pair)
        assert times is not None
        spread = f"{times.median:5.2f} x [{times.low:.2f}, {times.high:.2f}]"
        print(f"  {name:28} {key} {np.median(own):9.3f}   {spread}")


def start(arguments: argparse.Namespace, job: dict[str, Any]) -> dict[str, Any]:
    """Second starts, and the ways that were not taken."""
    for how in WAYS:
        folder = str(WORK / "ways" / how.replace(" ", "_"))
        size = answer(spawn("write", **job, how=how, folder=folder))
        print(f"  {how:28} {size['mb']:.0f} MB")
    answer(spawn("start", **job, how=CACHED))

    def ask(how: str) -> dict[str, Any]:
        folder = str(WORK / "ways" / how.replace(" ", "_"))
        return answer(spawn("start", **job, how=how, folder=folder))

    found = in_turn([PLAIN, "sardonyx", *WAYS, CACHED], arguments.rounds, ask, tell)
    for key in ("load_s", "first_s", "cpu_s", "private_mb"):
        compared(found, PLAIN, key)
    bits = {name: {row["digest"] for row in rows} for name, rows in found.items()}
    same = [name for name in bits if bits[name] == bits[PLAIN]]
    print(f"  the same bits as {PLAIN}: {', '.join(same)}")
    return found


def processes(arguments: argparse.Namespace, job: dict[str, Any]) -> dict[str, Any]:
    """Many processes at once on a cache that is empty, then on a full one."""
    found = {}
    shutil.rmtree(job["cache"], ignore_errors=True)
    for what in ("cold", "warm"):
        children = [spawn("start", **job, how=CACHED) for _ in range(arguments.clients)]
        rows = found[what] = [answer(child) for child in children]
        seconds = sorted(row["load_s"] for row in rows)
        entries = list(Path(job["cache"]).glob("*/*/entry.json"))
        print(
            f"  {what}: {len(rows)} processes, 0 errors, {len({r['digest'] for r in rows})} "
            f"different answers, {len(entries)} entry, load {seconds[0]:.2f} to {seconds[-1]:.2f} s"
        )
    children = [spawn("start", **job, how=PLAIN) for _ in range(arguments.clients)]
    rows = found[PLAIN] = [answer(child) for child in children]
    seconds = sorted(row["load_s"] for row in rows)
    print(f"  {PLAIN}: load {seconds[0]:.2f} to {seconds[-1]:.2f} s")
    for what in ("warm", PLAIN):
        private = sum(row["private_mb"] for row in found[what])
        print(f"  private memory of all, {what}: {private:.0f} MB")
    return found


def memory(arguments: argparse.Namespace, job: dict[str, Any]) -> dict[str, Any]:
    """What each session more costs."""
    job |= {"sessions": arguments.sessions}
    answer(spawn("start", **job, how=CACHED))
    found = {how: answer(spawn("memory", **job, how=how)) for how in ("sardonyx", CACHED)}
    for how, row in found.items():
        sizes = row["private_mb"]
        more = (sizes[-1] - sizes[0]) / max(1, len(sizes) - 1)
        print(f"  {how:28} first {sizes[0]:.0f} MB, each more {more:.0f} MB private")
    given = found[CACHED]["given_back_mb"]
    print(f"  release_memory() after a call of 8 rows gave back {given:.0f} MB")
    return found


def batcher(arguments: argparse.Namespace, job: dict[str, Any]) -> dict[str, Any]:
    """Threads that call a session, and the same threads with a batcher between."""
    found = {}
    answer(spawn("start", **job, how=CACHED))
    names = ("clients", "seconds", "max_batch", "max_delay")
    job |= {name: getattr(arguments, name) for name in names}
    lengths: list[list[int]] = [[length] for length in arguments.lengths]
    if len(lengths) > 1 and job["model"] != "mlp":
        lengths.append(list(arguments.lengths))

    for chosen in lengths:
        print(f"  {arguments.clients} clients, lengths {', '.join(map(str, chosen))}")

        def ask(how: str, chosen: list[int] = chosen) -> dict[str, Any]:
            return answer(spawn("serve", **job, how=how, lengths=chosen))

        rows = in_turn(["unbatched", "batcher"], arguments.rounds, ask, tell)
        compared(rows, "unbatched", "per_s", is_rate=True)
        compared(rows, "unbatched", "p50_ms")
        compared(rows, "unbatched", "p99_ms")
        print("    " + rows["batcher"][-1]["statistics"].replace("\n", "\n    "))
        found["+".join(map(str, chosen))] = rows
    return found


COMMANDS = {"start": start, "processes": processes, "memory": memory, "batcher": batcher}
CHILD = {
    "write": child_write,
    "start": child_start,
    "memory": child_memory,
    "serve": child_serve,
}


def main(words: list[str]) -> None:
    """The command, or a child of it."""
    if words[:1] == ["child"]:
        print(json.dumps(CHILD[words[1]](json.loads(words[2]))))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--model", default="bert_base", choices=["bert_base", "mlp"])
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clients", type=int)
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 64, 128])
    parser.add_argument("--max-batch", type=int, default=32)
    parser.add_argument("--max-delay", type=float, default=0.005)
    parser.add_argument("--json", type=Path, help="write every round's figures to this file")
    arguments = parser.parse_args(words)
    arguments.clients = arguments.clients or (8 if arguments.what == "processes" else 32)
    job = {
        "model": arguments.model,
        "path": str(model_file(arguments.model)),
        "threads": arguments.threads,
        "cache": str(WORK / "cache"),
    }
    print(f"{arguments.what}: {arguments.model}, {arguments.threads} threads")
    found = COMMANDS[arguments.what](arguments, job)
    if arguments.json:
        settings = {key: str(value) for key, value in vars(arguments).items()}
        whole = {"machine": describe(), "settings": settings, "found": found}
        arguments.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
