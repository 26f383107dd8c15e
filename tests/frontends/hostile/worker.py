"""Loads and compiles model files in a process of its own, and says how each went.

Reads a path a line, answers with a line of JSON. The memory that it may take beyond what it needs
itself is limited.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from sardonyx import compiler
from sardonyx.compiler.errors import SardonyxError
from sardonyx.compiler.proof import Limits
from sardonyx.frontends import from_onnx

MEMORY = 512 << 20
PROOF = Limits(seconds=1.0, memory=2 << 30, threads=1)


def status(name: str) -> int:
    """A field of this process's status, in bytes."""
    rows = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    row = next(row for row in rows if row.startswith(name))
    return int(row.split()[1]) << 10


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def load(path: str, level: str) -> dict[str, Any]:
    """Import and compile a file; what is said of it."""
    try:
        model = from_onnx(path)
        program = compiler.compile(model, proof=level, proof_limits=PROOF)
        data = program.to_bytes()
    except SardonyxError as error:
        is_ours = error.__cause__ is None or error.__suppress_context__
        return {"error": str(error), "kind": type(error).__name__, "is_clean": is_ours}
    except Exception:
        return {"crash": traceback.format_exc()[-1500:]}
    proof = program.proof
    assert "onnxruntime" not in sys.modules
    return {"holds": proof.holds, "unchecked": proof.unchecked, "bytes": len(data)}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    most = status("VmSize") + 2 * MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for line in sys.stdin:
        request = json.loads(line)
        forget_peak()
        started, wall = time.process_time(), time.perf_counter()
        answer = load(request["path"], request["level"])
        answer["seconds"] = time.process_time() - started
        answer["wall"] = time.perf_counter() - wall
        answer["peak"] = status("VmHWM")
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
