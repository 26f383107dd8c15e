"""Where the time of each benchmark model goes, by operator: plain export and Sardonyx side by side.

python -m benchmarks.operators --models bert_base swin_tiny

Reads the artifacts that `benchmarks.run` prepared (or prepares them) and ONNX Runtime's own profile
of each, taken in a process of its own. The bound is what a model would gain if all but its matrix
products and convolutions cost nothing: no rewriting around them can gain more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import artifacts, report
from benchmarks.artifacts import Settings
from benchmarks.contenders import ARTIFACT, BASELINE
from benchmarks.machine import describe
from benchmarks.models import MODELS
from benchmarks.run import console, store, with_progress
from benchmarks.worker import pin, read

CONTENDERS = (BASELINE, "sardonyx")
SUFFIX = "_kernel_time"


def session_of(path: Path, prefix: Path, threads: int) -> Any:
    """A profiled session at the settings that the artifact carries."""
    import onnxruntime

    from sardonyx.runtime.modelfile import open_model, read_header
    from sardonyx.runtime.settings import merge_settings, session_options

    with open_model(str(path)) as data:
        metadata = read_header(data, str(path)).metadata
    if metadata:
        options = session_options(merge_settings(metadata, str(path), threads=threads))
    else:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
    options.enable_profiling = True
    options.profile_file_prefix = str(prefix)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def profile(path: Path, inputs: Path, threads: int, runs: int) -> dict[str, float]:
    """Milliseconds by operator in the fastest of so many runs; as many again warm up."""
    with tempfile.TemporaryDirectory() as folder:
        session = session_of(path, Path(folder) / "profile", threads)
        names = [arg.name for arg in session.get_inputs()]
        feed = dict(zip(names, read(str(inputs)).values(), strict=True))
        for _ in range(2 * runs):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return by_operator(events, runs, runs)


def by_operator(events: list[dict[str, Any]], warm_up: int, runs: int) -> dict[str, float]:
    """Each operator's milliseconds in the fastest run after the warm-up, largest first.

    Raises ValueError when the profile does not hold so many runs.
    """
    sums: list[Counter[str]] = [Counter()]
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(SUFFIX):
            sums[-1][event["args"]["op_name"]] += event["dur"]
        elif event["name"] == "model_run":
            sums.append(Counter())
    if len(sums) - 1 != warm_up + runs:
        raise ValueError(f"the profile holds {len(sums) - 1} runs, expected {warm_up + runs}")
    fastest = min(sums[warm_up:-1], key=Counter.total)
    return {name: microseconds / 1000 for name, microseconds in fastest.most_common()}


def measure(model: str, settings: Settings, runs: int) -> dict[str, dict[str, float]]:
    """Both contenders on one model, each profiled in a process of its own."""
    found = {}
    for contender in CONTENDERS:
        artifacts.prepare(model, contender, settings, lambda text: None)
        path = artifacts.folder(model, contender, settings) / ARTIFACT
        inputs = artifacts.inputs(model, settings)
        words = ["--profile", path, inputs, "--threads", settings.threads, "--runs", runs]
        command = [sys.executable, "-m", "benchmarks.operators", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{model}, {contender}: {done.stderr.strip()[-500:]}")
        found[contender] = json.loads(done.stdout)
    return found


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    every_model = [name for name, model in MODELS.items() if model.by_default]
    parser = argparse.ArgumentParser(description="Time by operator, before and after.")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=every_model, metavar="NAME")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--profile", nargs=2, type=Path, metavar="FILE", help="model and inputs")
    return parser.parse_args(arguments)


def main() -> None:
    """The command."""
    options = parse()
    if options.profile:
        pin(options.threads)
        print(json.dumps(profile(*options.profile, options.threads, options.runs)))
        return
    settings = Settings(threads=options.threads)
    place = report.RESULTS / f"operators-cpu-{options.threads}.json"
    result = {
        "settings": {"threads": options.threads, "runs": options.runs},
        "machine": describe(),
        "operators": {},
    }

    def work(tell: Any, advance: Any) -> None:
        for model in options.models:
            tell(model)
            result["operators"][model] = measure(model, settings, options.runs)
            advance()

    with_progress(len(options.models), work)
    store(place, result)
    report.write()
    console.print(f"stored in {place.relative_to(report.REPOSITORY)}")


if __name__ == "__main__":
    main()
