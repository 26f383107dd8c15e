"""Writes the table of ONNX Runtime's CPU kernels that the compiler reads.

python -m benchmarks.kernels                  # asks the installed ONNX Runtime
python -m benchmarks.kernels --python PATH    # that of another environment

The GPU build asks all of its providers at once and ends the process where CUDA is absent: so the
question is put in a process of its own, and where that dies the table must come from an environment
with the CPU build (`pip install onnxruntime`) of the same version.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.machine import REPOSITORY

TABLE = REPOSITORY / "compiler/sardonyx/compiler/targets/kernels_cpu.json"
DOMAINS = ("", "com.microsoft")
OLDEST = 18
"""Forms of operators that are older than this are never written."""

_OPEN = 2**31 - 1
_ASK = """
import json, onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state
rows = [
    (k.domain, k.op_name, *k.version_range, k.type_constraints)
    for k in state.get_all_opkernel_def() if k.provider == "CPUExecutionProvider"
]
print(json.dumps({"version": onnxruntime.__version__, "rows": rows}))
"""


def ask(python: str = sys.executable) -> dict[str, Any] | None:
    """What an ONNX Runtime says of its CPU kernels; None where asking ends its process."""
    done = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, check=False)
    if done.returncode < 0:
        return None
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def table(answer: dict[str, Any]) -> dict[str, Any]:
    """Domain, then operator, then its kernels: [first, last or null, [{variable: dtypes}]]."""
    grouped: dict[tuple[str, str], dict[tuple[int, int | None], list[Any]]] = defaultdict(dict)
    for domain, name, first, last, types in answer["rows"]:
        if domain in DOMAINS and (domain or last >= OLDEST):
            versions = (first, None if last == _OPEN else last)
            plain = {variable: list(map(short, kinds)) for variable, kinds in sorted(types.items())}
            grouped[domain, name].setdefault(versions, []).append(plain)
    made: dict[str, Any] = {"onnxruntime": answer["version"], "kernels": {d: {} for d in DOMAINS}}
    for (domain, name), kernels in sorted(grouped.items()):
        made["kernels"][domain][name] = [
            [first, last, [{v: " ".join(kinds) for v, kinds in k.items()} for k in merged(types)]]
            for (first, last), types in sorted(kernels.items(), key=lambda item: item[0][0])
        ]
    return made


def short(kind: str) -> str:
    """`float` for `tensor(float)`; other types are spelled out."""
    return kind[len("tensor(") : -1] if kind.startswith("tensor(") else kind


def merged(kernels: list[dict[str, list[str]]]) -> list[dict[str, list[str]]]:
    """Kernels that differ in one variable only, as one: `Abs` has one for each dtype."""
    if all(len(k) == 1 for k in kernels) and len({*map(tuple, kernels)}) == 1:
        (variable,) = kernels[0]
        return [{variable: sorted({kind for k in kernels for kind in k[variable]})}]
    return sorted(({v: sorted(kinds) for v, kinds in k.items()} for k in kernels), key=repr)


def write(answer: dict[str, Any], path: Path = TABLE) -> None:
    """Write the table, one operator a line."""
    made = table(answer)
    lines = [f'{{"onnxruntime": {json.dumps(made["onnxruntime"])}, "kernels": {{']
    for domain, operators in made["kernels"].items():
        rows = ",\n".join(f"{json.dumps(n)}: {json.dumps(k)}" for n, k in operators.items())
        comma = "," if domain != DOMAINS[-1] else ""
        lines.append(f"{json.dumps(domain)}: {{\n{rows}\n}}{comma}")
    path.write_text("\n".join([*lines, "}}"]) + "\n", encoding="utf-8")


def main() -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description="Writes the table of CPU kernels.")
    parser.add_argument("--python", default=sys.executable, help="whose ONNX Runtime to ask")
    answer = ask(parser.parse_args().python)
    if answer is None:
        print("this build of ONNX Runtime cannot be asked here; see --help", file=sys.stderr)
        return 1
    write(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
