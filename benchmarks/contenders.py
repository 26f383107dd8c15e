"""The contenders: one row each.

`prepare` turns a model into a file in the contender's folder, in a process of its own; what it
returns is kept next to the file. `load` makes something that runs, in the process that is timed.
"""

from __future__ import annotations

import importlib.metadata
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from benchmarks.models import Model

Arrays = dict[str, np.ndarray]
ARTIFACT = "model.onnx"


@dataclass(frozen=True)
class Job:
    """One model for one contender.

    Attributes:
        name: The model's name in its table.
        folder: The contender's own folder; `prepare` writes there.
        source: The folder of the contender it starts from, if its row names one.
        device: "cpu" or "cuda".
    """

    name: str
    folder: Path
    source: Path | None
    threads: int
    device: str

    @property
    def model(self) -> Model:
        """The model's row; imports PyTorch, which a process that only runs a file never needs."""
        from benchmarks.models import MODELS

        return MODELS[self.name]


@dataclass(frozen=True)
class Runner:
    """Three steps, of which only the second is timed: to its own tensors, run, back to numpy."""

    feed: Callable[[Arrays], Any]
    call: Callable[[Any], Any]
    fetch: Callable[[Any], list[np.ndarray]]


@dataclass(frozen=True)
class Contender:
    """A way to run a model.

    Attributes:
        title: For the table.
        packages: Distributions whose versions decide the result.
        load: Makes the runner.
        prepare: Writes the artifact; None when the contender needs none.
        source: The contender whose artifact it starts from.
        devices: Where it runs.
    """

    title: str
    packages: tuple[str, ...]
    load: Callable[[Job], Runner]
    prepare: Callable[[Job], dict[str, Any]] | None = None
    source: str | None = None
    devices: tuple[str, ...] = field(default=("cpu",))

    def versions(self) -> dict[str, str]:
        """The versions of its packages; raises PackageNotFoundError when one is missing."""
        return {name: version(name) for name in self.packages}


def version(distribution: str) -> str:
    """The installed version; onnxruntime goes by the name of its GPU build where that is used."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        if distribution != "onnxruntime":
            raise
        return importlib.metadata.version("onnxruntime-gpu")


# PyTorch


def load_eager(job: Job) -> Runner:
    """The module as it is, in inference mode."""
    return _torch_runner(job, lambda module: module)


def load_torch_compile(job: Job) -> Runner:
    """The module through Inductor at its defaults, its cache in the contender's folder."""
    import torch

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(job.folder / "inductor")
    return _torch_runner(job, torch.compile)


def _torch_runner(job: Job, transform: Callable[[Any], Any]) -> Runner:
    import torch

    torch.set_num_threads(job.threads)
    network = transform(job.model.module().to(job.device))

    def call(inputs: list[Any]) -> list[Any]:
        with torch.inference_mode():
            result = network(*(x.to(job.device) for x in inputs))
            outputs = result if isinstance(result, tuple) else (result,)
            return [y.cpu() for y in outputs]

    return Runner(
        feed=lambda arrays: [torch.from_numpy(a) for a in arrays.values()],
        call=call,
        fetch=lambda outputs: [y.numpy() for y in outputs],
    )


# torch.onnx.export, ONNX Runtime and the graph tools on top


def prepare_export(job: Job) -> dict[str, Any]:
    """`torch.onnx.export(dynamo=True)` as its documentation shows it: default opset, optimised."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    module, inputs, notes = job.model.module(), job.model.example(), []
    arguments = {
        "dynamo": True,
        "verbose": False,
        "input_names": list(inputs),
        "dynamic_shapes": _dynamic_shapes(job.model),
    }
    try:
        program = torch.onnx.export(module, tuple(inputs.values()), **arguments)
    except Exception as error:  # its failures have no common type
        notes.append(f"exported with the MATH attention backend after {type(error).__name__}")
        with sdpa_kernel(SDPBackend.MATH):
            program = torch.onnx.export(module, tuple(inputs.values()), **arguments)
    program.save(job.folder / ARTIFACT)
    return {"notes": notes}


def _dynamic_shapes(model: Model) -> Any:
    if model.dynamic is None:
        return None
    import torch

    names = sorted({name for axes in model.dynamic.values() for name in axes.values()})
    dims = {name: torch.export.Dim(name) for name in names}
    return tuple(
        {axis: dims[name] for axis, name in model.dynamic.get(input_name, {}).items()}
        for input_name in model.inputs()
    )


def load_onnxruntime(job: Job) -> Runner:
    """An inference session at ENABLE_ALL."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = job.threads
    wanted = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider"]}[job.device]
    path = job.folder / ARTIFACT
    session = onnxruntime.InferenceSession(path, options, providers=wanted)
    if session.get_providers()[0] != wanted[0]:
        raise RuntimeError(f"asked for {wanted[0]}, got {session.get_providers()}")
    return Runner(
        feed=lambda arrays: arrays, call=lambda x: session.run(None, x), fetch=lambda y: y
    )


def prepare_onnxslim(job: Job) -> dict[str, Any]:
    """onnxslim on the exported file."""
    import onnxslim

    onnxslim.slim(str(source_file(job)), str(job.folder / ARTIFACT))
    return {}


def prepare_onnxsim(job: Job) -> dict[str, Any]:
    """onnxsim on the exported file."""
    import onnx
    import onnxsim

    model, is_equal = onnxsim.simplify(onnx.load(source_file(job)))
    onnx.save(model, job.folder / ARTIFACT)
    return {"notes": [] if is_equal else ["onnxsim's own check failed"]}


def source_file(job: Job) -> Path:
    """The artifact this contender starts from."""
    if job.source is None:
        raise ValueError("the contender's row names no source")
    return job.source / ARTIFACT


# OpenVINO


def load_openvino_f32(job: Job) -> Runner:
    """OpenVINO on the exported file, held to float32."""
    return _openvino(job, {"INFERENCE_PRECISION_HINT": "f32"})


def load_openvino(job: Job) -> Runner:
    """OpenVINO on the exported file with its default precision (bf16 where the CPU has AMX)."""
    return _openvino(job, {})


def _openvino(job: Job, settings: dict[str, Any]) -> Runner:
    import openvino

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": job.threads, **settings}
    compiled = openvino.compile_model(source_file(job), "CPU", settings)
    request = compiled.create_infer_request()
    return Runner(
        feed=lambda arrays: arrays,
        call=lambda x: request.infer(x, share_inputs=True),
        fetch=lambda y: [np.array(y[port]) for port in compiled.outputs],
    )


# Sardonyx


def prepare_sardonyx(job: Job) -> dict[str, Any]:
    """from_torch, compile, save."""
    from sardonyx import compiler, frontends

    module, inputs = job.model.module(), job.model.example()
    start = time.perf_counter()
    source = frontends.from_torch(module, tuple(inputs.values()), dynamic=job.model.dynamic)
    captured = time.perf_counter()
    program = compiler.compile(source, target=job.device)
    compiled = time.perf_counter()
    program.save(job.folder / ARTIFACT)
    return {
        "captured_nodes": sum(1 for _ in source.graph.all_nodes()),
        "capture_s": captured - start,
        "compile_s": compiled - captured,
        "proof": {
            "holds": program.proof.holds,
            "checks": len(program.proof.checks),
            "worst": program.proof.worst,
            "said": str(program.proof),
        },
    }


def load_sardonyx(job: Job) -> Runner:
    """runtime.load."""
    from sardonyx import runtime

    path = job.folder / ARTIFACT
    session = runtime.load(path, providers=[job.device], threads=job.threads)
    return Runner(
        feed=lambda arrays: list(arrays.values()),
        call=lambda x: session(*x),
        fetch=lambda y: [np.asarray(part) for part in y],
    )


BASELINE = "export"
REFERENCE = "eager"
EVERYWHERE = ("cpu", "cuda")
_EXPORT = ("torch", "onnx", "onnxscript")
_ORT = ("onnxruntime",)

CONTENDERS = {
    "eager": Contender("PyTorch eager", ("torch",), load_eager, devices=EVERYWHERE),
    "torch_compile": Contender("torch.compile", ("torch",), load_torch_compile, devices=EVERYWHERE),
    "export": Contender(
        "export + ORT", (*_EXPORT, *_ORT), load_onnxruntime, prepare_export, devices=EVERYWHERE
    ),
    "onnxslim": Contender(
        "onnxslim + ORT", ("onnxslim", *_ORT), load_onnxruntime, prepare_onnxslim, source="export"
    ),
    "onnxsim": Contender(
        "onnxsim + ORT", ("onnxsim", *_ORT), load_onnxruntime, prepare_onnxsim, source="export"
    ),
    "openvino_f32": Contender("OpenVINO f32", ("openvino",), load_openvino_f32, source="export"),
    "openvino": Contender("OpenVINO default", ("openvino",), load_openvino, source="export"),
    "sardonyx": Contender(
        "Sardonyx",
        ("torch", "onnx-ir", *_ORT),
        load_sardonyx,
        prepare_sardonyx,
        devices=EVERYWHERE,
    ),
}
