"""Tests and benchmarks that need a CUDA device; says what it skips, and why."""

from __future__ import annotations

import shutil
import subprocess
import sys

from rich.console import Console

from benchmarks.machine import REPOSITORY

NO_TESTS_COLLECTED = 5
MODELS = ["resnet50", "convnext_tiny", "vit_small", "bert_base", "gpt2", "llama_8_layers"]
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
    code = subprocess.call([sys.executable, "-m", "pytest", "-m", "gpu"], cwd=REPOSITORY)
    if code == NO_TESTS_COLLECTED:
        skip("tests marked gpu", "there are none")
        code = 0
    problem = onnxruntime_problem()
    if problem:
        skip("CUDA benchmarks", problem)
        return code
    fused = [sys.executable, "-m", "benchmarks.fusions", "--device", "cuda"]
    code = code or subprocess.call(fused, cwd=REPOSITORY)
    contenders = ["export", "sardonyx"]
    problem = torch_problem()
    if problem:
        skip("PyTorch as a contender", problem)
    else:
        contenders = ["eager", "torch_compile", *contenders]
    command = [sys.executable, "-m", "benchmarks.run", "--device", "cuda", "--models", *MODELS]
    return code or subprocess.call([*command, "--contenders", *contenders], cwd=REPOSITORY)


if __name__ == "__main__":
    sys.exit(main())
