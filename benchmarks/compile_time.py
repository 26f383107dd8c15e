"""Seconds and memory of the compiler itself, next to other tools that rewrite ONNX graphs.

    python -m benchmarks.compile_time [--models bert_base resnet50] [--repeats 3] [--big-gb 3]

Each tool runs in a process of its own on the same exported file. Time and memory are those of the
rewriting alone: the model is loaded before the clock starts, and growth is the largest resident
size while it runs minus the resident size before. The big model is loaded, compiled and saved, and
its number is the largest resident size of the whole process.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import artifacts, report
from benchmarks.contenders import ARTIFACT, BASELINE
from benchmarks.machine import REPOSITORY, describe
from benchmarks.run import store, with_progress

Tool = tuple[Callable[[str], Any], Callable[[Any], Any], Callable[[Any], int]]
WIDTH = 8192


def _sardonyx(proof: str = "pass") -> Tool:
    from sardonyx import compiler, frontends

    def rewrite(model: Any) -> Any:
        return compiler.compile(model, target="cpu", proof=proof).model

    return frontends.from_onnx, rewrite, lambda model: sum(1 for _ in model.graph.all_nodes())


def _onnxslim() -> Tool:
    import onnx
    import onnxslim

    return onnx.load, onnxslim.slim, lambda model: len(model.graph.node)


def _onnxsim() -> Tool:
    import onnx
    import onnxsim

    def rewrite(model: Any) -> Any:
        return onnxsim.simplify(model)[0]

    return onnx.load, rewrite, lambda model: len(model.graph.node)


# What loads a file, what rewrites the loaded model, what counts its nodes.
TOOLS = {
    "sardonyx": _sardonyx,
    # What the others do: rewriting alone.
    "sardonyx_proof_off": lambda: _sardonyx("off"),
    "onnxslim": _onnxslim,
    "onnxsim": _onnxsim,
}


def memory(field: str) -> float | None:
    """VmRSS or VmHWM of this process in MB; None where the system does not tell."""
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(rf"^{field}:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else None


def forget_peak() -> None:
    """Make VmHWM start again from the present size."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError as error:
        print(f"peak memory includes loading: {error}", file=sys.stderr)


def rewrite_once(tool: str, path: str) -> dict[str, Any]:
    """In a child: load, then rewrite under the clock."""
    load, rewrite, count = TOOLS[tool]()
    model = load(path)
    forget_peak()
    before = memory("VmRSS")
    start, start_cpu = time.perf_counter(), time.process_time()
    result = rewrite(model)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
    peak = memory("VmHWM")
    growth = peak - before if peak is not None and before is not None else None
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "growth_mb": growth,
        "nodes": count(result),
    }


def compile_big(path: str) -> dict[str, Any]:
    """In a child: load, compile and save."""
    from sardonyx import compiler, frontends

    start = time.perf_counter()
    program = compiler.compile(frontends.from_onnx(path), target="cpu")
    program.save(Path(path).with_name("out.onnx"))
    return {"seconds": time.perf_counter() - start, "peak_mb": memory("VmHWM")}


def in_child(function: str, *arguments: str, timeout: float) -> dict[str, Any]:
    """The answer of one of the functions above, run in a fresh process."""
    program = (
        "import json, sys; from benchmarks import compile_time as here; "
        f"answer = here.{function}(*sys.argv[1:]); print('\\n' + json.dumps(answer))"
    )
    command = [sys.executable, "-c", program, *arguments]
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {timeout:.0f} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1][:300]}
    return json.loads(done.stdout.splitlines()[-1])


def write_big_model(folder: Path, gigabytes: float) -> Path:
    """A chain of MatMul, Add and Relu with so many GB of weights beside the file.

    Every other weight is stored transposed, as PyTorch keeps the weights of its linear layers.
    """
    import numpy as np
    import onnx
    from onnx import TensorProto, helper

    layers = max(1, round(gigabytes * 2**30 / (4 * WIDTH * WIDTH)))
    random = np.random.default_rng(5)
    nodes, weights, value = [], [], "x"
    with (folder / "big.data").open("wb") as data:
        for layer in range(layers):
            names = f"weight{layer}", f"bias{layer}"
            for name, shape in zip(names, ([WIDTH, WIDTH], [WIDTH]), strict=True):
                tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
                tensor.data_location = TensorProto.EXTERNAL
                block = random.standard_normal(shape, np.float32) / WIDTH**0.5
                place = {"location": "big.data", "offset": data.tell(), "length": block.nbytes}
                for key, entry in place.items():
                    tensor.external_data.add(key=key, value=str(entry))
                data.write(block.tobytes())
                weights.append(tensor)
            weight = names[0]
            if layer % 2:
                nodes.append(helper.make_node("Transpose", [weight], [f"t{layer}"], perm=[1, 0]))
                weight = f"t{layer}"
            nodes.append(helper.make_node("MatMul", [value, weight], [f"m{layer}"]))
            nodes.append(helper.make_node("Add", [f"m{layer}", names[1]], [f"a{layer}"]))
            nodes.append(helper.make_node("Relu", [f"a{layer}"], [f"r{layer}"]))
            value = f"r{layer}"
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])]
    outputs = [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["batch", WIDTH])]
    graph = helper.make_graph(nodes, "big", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, folder / "big.onnx")
    return folder / "big.onnx"


def summarize(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Median seconds and largest growth of the repeats, or the first error."""
    failed = [answer for answer in answers if "error" in answer]
    if failed:
        return failed[0]
    growths = [a["growth_mb"] for a in answers if a["growth_mb"] is not None]
    return {
        "seconds": statistics.median(answer["seconds"] for answer in answers),
        "cpu_seconds": statistics.median(answer["cpu_seconds"] for answer in answers),
        "growth_mb": max(growths, default=None),
        "nodes": answers[0]["nodes"],
    }


def compare(options: argparse.Namespace, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """One row for each tool on each model."""
    settings = artifacts.Settings(timeout=options.timeout)
    rows = []
    for model in options.models:
        facts = artifacts.prepare(model, BASELINE, settings, tell)
        path = artifacts.folder(model, BASELINE, settings) / ARTIFACT
        common = {
            "model": model,
            "nodes_before": facts["nodes"],
            "file_mb": path.stat().st_size >> 20,
        }
        answers: dict[str, list[dict[str, Any]]] = {tool: [] for tool in options.tools}
        for repeat in range(options.repeats):
            for tool in options.tools:
                tell(f"{model}: {tool}, {repeat + 1} of {options.repeats}")
                found = in_child("rewrite_once", tool, str(path), timeout=options.timeout)
                answers[tool].append(found)
        rows += [{**common, "tool": tool, **summarize(found)} for tool, found in answers.items()]
    return rows


def big(options: argparse.Namespace, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """One row for the synthetic model; none when its size is 0."""
    if not options.big_gb:
        return []
    with tempfile.TemporaryDirectory(prefix="sardonyx-") as folder:
        tell(f"writing a model of {options.big_gb:g} GB")
        path = write_big_model(Path(folder), options.big_gb)
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) >> 20
        tell(f"compiling a model of {options.big_gb:g} GB")
        answer = in_child("compile_big", str(path), timeout=options.timeout)
    return [{"model": "synthetic", "tool": "sardonyx", "file_mb": size, **answer}]


def show(rows: list[dict[str, Any]]) -> None:
    """The rows on the terminal."""
    header, *body = report.compile_time_rows(rows)
    table = Table(*header)
    for row in body:
        table.add_row(*row)
    console = Console()
    console.print(table)
    for row in rows:
        if "error" in row:
            console.print(
                f"{row['model']}, {row['tool']}: {row['error']}", style="red", markup=False
            )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Seconds and memory of graph tools.")
    parser.add_argument("--models", nargs="*", default=["bert_base", "resnet50"])
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--big-gb", type=float, default=3.0, help="0 leaves the big model out")
    parser.add_argument("--timeout", type=float, default=900.0)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []

    def work(tell: Callable[[str], None], advance: Callable[[], None]) -> None:
        rows.extend(compare(options, tell))
        advance()
        rows.extend(big(options, tell))
        advance()

    with_progress(2, work)
    show(rows)
    store(report.RESULTS / "compile-time.json", {"machine": describe(), "compile_time": rows})
    report.write()


if __name__ == "__main__":
    main()
