"""Tests and benchmarks that need a CUDA device; says what it skips, and why."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.contenders import CONTENDERS
from benchmarks.machine import REPOSITORY, usable_cores

MODELS = ["resnet50", "unet_block", "vit_small", "bert_base", "llama_8_layers"]
SUITES = [
    "tests/compiler/rules",
    "tests/compiler/passes",
    # Forms of the CPU's own kernels, and corners where a device's Attention is wrong.
    *(f"--ignore=tests/compiler/rules/{name}" for name in ("attention", "lower", "select")),
]
"""What runs there too, with models run on the device instead of the CPU."""
VARIANTS = ([], ["--precision", "fp16"], ["--graphs"], ["--precision", "fp16", "--graphs"])
console = Console()


def driver_problem() -> str | None:
    """Why no NVIDIA device can be used, or None."""
    if shutil.which("nvidia-smi") is None:
        return "no NVIDIA driver (nvidia-smi is not there)"
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 and done.stdout.strip() else "nvidia-smi lists no device"


def onnxruntime_problem() -> str | None:
    """Why ONNX Runtime cannot run on CUDA, or None."""
    from sardonyx import runtime

    found = {provider.name: provider for provider in runtime.providers()}
    if "cuda" not in found:
        return f"the installed ONNX Runtime has no CUDA provider, only {', '.join(found)}"
    return found["cuda"].problem


def torch_problem() -> str | None:
    """Why PyTorch cannot run on CUDA, or None."""
    import torch

    return None if torch.cuda.is_available() else f"PyTorch {torch.__version__} sees no CUDA device"


def skip(what: str, why: str) -> None:
    """Say it."""
    console.print(f"[yellow]skipped[/yellow] {what}: {why}")


def main() -> int:
    """Run what this machine can; returns the exit code."""
    problem = driver_problem()
    if problem:
        skip("tests marked gpu, CUDA benchmarks", problem)
        return 0
    problem = onnxruntime_problem()
    if problem:
        skip("tests marked gpu, CUDA benchmarks", problem)
        return 0
    at_once = str(max(1, min(16, usable_cores())))
    marked = [str(path) for path in sorted((REPOSITORY / "tests").rglob("test_*.py"))]
    marked = [path for path in marked if "mark.gpu" in Path(path).read_text(encoding="utf-8")]
    codes = [
        call("pytest", "-n", at_once, "-m", "gpu", *marked),
        call("pytest", "-n", at_once, *SUITES, SARDONYX_TEST_DEVICE="cuda"),
    ]
    cuda = ["--device", "cuda", "--at-once", at_once]
    problem = torch_problem()
    contenders = [n for n, row in CONTENDERS.items() if "cuda" in row.devices]
    if problem:
        skip("PyTorch as a contender", problem)
        contenders = [name for name in contenders if CONTENDERS[name].packages != ("torch",)]
    for precision in ("fp32", "fp16"):
        chosen = ["--precision", precision, "--models", *MODELS, "--contenders", *contenders]
        codes.append(call("benchmarks.run", *cuda, *chosen))
    codes += [call("benchmarks.fusions", *cuda, *variant) for variant in VARIANTS]
    return max(map(abs, codes))


def call(module: str, *arguments: str, **environment: str) -> int:
    """Run a module with some variables set; returns its exit code."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.call(command, cwd=REPOSITORY, env={**os.environ, **environment})


if __name__ == "__main__":
    sys.exit(main())
