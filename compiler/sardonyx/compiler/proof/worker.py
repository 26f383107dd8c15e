"""Runs models in a process of its own: what native code does there, it does to nobody else.

Reads requests as lines of JSON and answers each with a line. It is started by its path, so that
it loads numpy and ONNX Runtime and nothing else.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np


def limit_memory(nbytes: int | None) -> None:
    """Let this process have at most so much address space, where the system can hold it to that."""
    try:
        import resource
    except ImportError:  # Windows has no such limits.
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if nbytes is None:  # The request before this one may have had a limit.
        soft = hard
    else:
        soft = nbytes if hard == resource.RLIM_INFINITY else min(nbytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


LEVELS = {
    "off": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
DISABLED = "optimization.disable_specified_optimizers"
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def run(
    model: str,
    inputs: list[str],
    outputs: list[str],
    *,
    level: str,
    disabled: list[str],
    provider: str,
    threads: int,
) -> None:
    """Run a model on the arrays of some files, and write what it gives to others."""
    import onnxruntime

    wanted = PROVIDERS[provider]
    if wanted not in onnxruntime.get_available_providers():
        raise RuntimeError(f"ONNX Runtime has no {wanted} here")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, LEVELS[level])
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    # Planning it takes time that grows with the square of the number of nodes of unknown shape.
    options.enable_mem_reuse = False
    if disabled:
        options.add_session_config_entry(DISABLED, ";".join(disabled))
    if level == "off":
        # Reordered weights would be a copy of all of them for a single run.
        options.add_session_config_entry("session.disable_prepacking", "1")
    providers = list(dict.fromkeys([wanted, PROVIDERS["cpu"]]))
    session = onnxruntime.InferenceSession(model, options, providers=providers)
    if session.get_providers()[0] != wanted:
        raise RuntimeError(f"{wanted} cannot be used here")
    for source, destination in zip(inputs, outputs, strict=True):
        with np.load(source, allow_pickle=False) as stored:
            feeds = {name: stored[name] for name in stored.files}
        strings = {a.name for a in session.get_inputs() if a.type == "tensor(string)"}
        feeds = {n: x.astype(object) if n in strings else x for n, x in feeds.items()}
        results = session.run(None, feeds)
        np.savez(destination, **{f"{i:06}": plain(result) for i, result in enumerate(results)})


def plain(result: Any) -> Any:
    """An array that can be stored; strings as numpy's own."""
    if not isinstance(result, np.ndarray):
        raise TypeError(f"an output is a {type(result).__name__}, not a tensor")
    return result.astype(np.str_) if result.dtype == object else result


def main() -> None:
    """Serve until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    # Whatever native code prints goes where errors go.
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            limit_memory(request.pop("memory"))
            run(**request)
            answer: dict[str, str] = {}
        except MemoryError:
            answer = {"error": "out of memory"}
        except Exception as error:
            answer = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:1000]}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
