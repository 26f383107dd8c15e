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

from benchmarks import tuned

if TYPE_CHECKING:
    import torch
    from torch import nn

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
        precision: "fp32" or "fp16": what the network computes in.
    """

    name: str
    folder: Path
    source: Path | None
    threads: int
    device: str
    precision: str = "fp32"

    @property
    def model(self) -> Model:
        """The model's row; imports PyTorch, which a process that only runs a file never needs."""
        from benchmarks.models import MODELS

        return MODELS[self.name]

    def network(self) -> tuple[nn.Module, dict[str, torch.Tensor]]:
        """The module and its example inputs, both in the precision."""
        module, inputs = self.model.module(), self.model.example()
        if self.precision == "fp32":
            return module, inputs
        return module.half(), {
            name: x.half() if x.is_floating_point() else x for name, x in inputs.items()
        }

    def cast(self, arrays: Arrays) -> Arrays:
        """Input arrays in the precision."""
        if self.precision == "fp32":
            return arrays
        return {n: a.astype(np.float16) if a.dtype == np.float32 else a for n, a in arrays.items()}


@dataclass(frozen=True)
class Runner:
    """Three steps, of which only the second is timed: to its own tensors, run, back to numpy.

    On a device the tensors of the second step are there, before and after; it ends when they are.
    """

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
        is_fresh: The artifact is made anew each time: it depends on machine and threads too.
        by_default: It is measured where no contenders are named.
    """

    title: str
    packages: tuple[str, ...]
    load: Callable[[Job], Runner]
    prepare: Callable[[Job], dict[str, Any]] | None = None
    source: str | None = None
    devices: tuple[str, ...] = field(default=("cpu",))
    is_fresh: bool = False
    by_default: bool = True

    def versions(self) -> dict[str, str]:
        """The versions of its packages; raises PackageNotFoundError when one is missing."""
        return {name: version(name) for name in self.packages}


def version(distribution: str) -> str:
    """The installed version; of onnxruntime, whose builds have several names, that which runs."""
    if distribution != "onnxruntime":
        return importlib.metadata.version(distribution)
    import onnxruntime

    return str(onnxruntime.__version__)


# PyTorch


def load_eager(job: Job) -> Runner:
    """The module as it is, in inference mode."""
    return _torch_runner(job, lambda module: module)


def load_torch_compile(job: Job) -> Runner:
    """The module through Inductor at its defaults, its cache in the contender's folder."""
    import torch

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(job.folder / "inductor")
    return _torch_runner(job, torch.compile)


def load_torch_graphs(job: Job) -> Runner:
    """The module through Inductor with CUDA graphs."""
    import torch

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str((job.source or job.folder) / "inductor")
    return _torch_runner(job, lambda module: torch.compile(module, mode="reduce-overhead"))


def _torch_runner(job: Job, transform: Callable[[Any], Any]) -> Runner:
    import torch

    torch.set_num_threads(job.threads)
    if job.device == "cuda":
        # ONNX Runtime multiplies in TF32 by default, and so do PyTorch's convolutions.
        torch.set_float32_matmul_precision("high")
    network = transform(job.network()[0].to(job.device))

    def call(inputs: list[Any]) -> list[Any]:
        with torch.inference_mode():
            result = network(*inputs)
        if job.device == "cuda":
            torch.cuda.synchronize()
        return list(result) if isinstance(result, tuple) else [result]

    return Runner(
        feed=lambda x: [torch.from_numpy(a).to(job.device) for a in job.cast(x).values()],
        call=call,
        fetch=lambda outputs: [y.cpu().numpy() for y in outputs],
    )


# torch.onnx.export, ONNX Runtime and the graph tools on top


def prepare_export(job: Job) -> dict[str, Any]:
    """`torch.onnx.export(dynamo=True)` as its documentation shows it: default opset, optimised."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    (module, inputs), notes = job.network(), []
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
    """An inference session at ENABLE_ALL; on a device with inputs and outputs bound there."""
    return _onnxruntime_runner(job, {})


def load_onnxruntime_graphs(job: Job) -> Runner:
    """The same, replaying a CUDA graph."""
    return _onnxruntime_runner(job, {"enable_cuda_graph": "1"})


def _onnxruntime_runner(job: Job, provider_options: dict[str, str]) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = job.threads
    wanted = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[job.device]
    session = onnxruntime.InferenceSession(
        artifact(job), options, providers=[(wanted, provider_options)]
    )
    if session.get_providers()[0] != wanted:
        raise RuntimeError(f"asked for {wanted}, got {session.get_providers()}")
    if job.device == "cpu":
        return Runner(
            feed=lambda arrays: arrays, call=lambda x: session.run(None, x), fetch=lambda y: y
        )

    def call(binding: Any) -> Any:
        session.run_with_iobinding(binding)
        return binding

    return Runner(
        feed=lambda x: bound(session, job.cast(x), has_graph=bool(provider_options)),
        call=call,
        fetch=lambda binding: binding.copy_outputs_to_cpu(),
    )


def bound(session: Any, arrays: Arrays, *, has_graph: bool) -> Any:
    """An IO binding whose inputs and outputs have memory on the device."""
    import onnxruntime

    values = {n: onnxruntime.OrtValue.ortvalue_from_numpy(a, "cuda", 0) for n, a in arrays.items()}
    names = [output.name for output in session.get_outputs()]
    found = session.io_binding()
    for name, value in values.items():
        found.bind_ortvalue_input(name, value)
    for name in names:
        found.bind_output(name, "cuda")
    options = onnxruntime.RunOptions()
    if has_graph:
        options.add_run_config_entry("gpu_graph_id", "-1")
    session.run_with_iobinding(found, options)
    outputs = found.get_outputs()
    found.clear_binding_outputs()
    for name, value in zip(names, outputs, strict=True):
        found.bind_ortvalue_output(name, value)
    return found


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


def artifact(job: Job) -> Path:
    """What this contender runs: its own artifact, or that of the one it only runs otherwise."""
    own = job.folder / ARTIFACT
    return own if own.exists() else source_file(job)


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
    return _compiled(job)


def prepare_sardonyx_nhwc(job: Job) -> dict[str, Any]:
    """The same, asking for channels last."""
    return _compiled(job, layout="nhwc")


def prepare_sardonyx_portable(job: Job) -> dict[str, Any]:
    """The same in ONNX's own operators up to opset 20, which other runtimes know too."""
    return _compiled(job, target="portable", opset=20)


def _compiled(job: Job, target: str = "", **options: Any) -> dict[str, Any]:
    from sardonyx import compiler, frontends

    module, inputs = job.model.module(), job.model.example()
    if job.precision != "fp32":
        options["precision"] = job.precision
    start = time.perf_counter()
    source = frontends.from_torch(module, tuple(inputs.values()), dynamic=job.model.dynamic)
    captured = time.perf_counter()
    program = compiler.compile(source, target=target or job.device, **options)
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
    """runtime.load; on a device, a bound call."""
    return _sardonyx_runner(job, {})


def load_sardonyx_graphs(job: Job) -> Runner:
    """The same, replaying a CUDA graph."""
    return _sardonyx_runner(job, {"enable_cuda_graph": True})


def _sardonyx_runner(job: Job, options: dict[str, Any]) -> Runner:
    from sardonyx import runtime

    session = runtime.load(artifact(job), providers=[(job.device, options)], threads=job.threads)
    if job.device == "cpu":
        return Runner(
            feed=lambda arrays: list(arrays.values()),
            call=lambda x: session(*x),
            fetch=lambda y: [np.asarray(part) for part in y],
        )
    import onnxruntime

    def feed(arrays: Arrays) -> Any:
        values = (onnxruntime.OrtValue.ortvalue_from_numpy(x, "cuda") for x in arrays.values())
        return session.bind(*values)

    return Runner(feed=feed, call=lambda bound: bound(), fetch=lambda y: [z.numpy() for z in y])


BASELINE = "export"
REFERENCE = "eager"
EVERYWHERE = ("cpu", "cuda")
DEVICE = ("cuda",)
_EXPORT = ("torch", "onnx", "onnxscript")
_ORT = ("onnxruntime",)
_OURS = ("torch", "onnx-ir", *_ORT)

CONTENDERS = {
    "eager": Contender("PyTorch eager", ("torch",), load_eager, devices=EVERYWHERE),
    "torch_compile": Contender("torch.compile", ("torch",), load_torch_compile, devices=EVERYWHERE),
    "torch_graphs": Contender(
        "torch.compile, CUDA graphs",
        ("torch",),
        load_torch_graphs,
        source="torch_compile",
        devices=DEVICE,
    ),
    "export": Contender(
        "export + ORT", (*_EXPORT, *_ORT), load_onnxruntime, prepare_export, devices=EVERYWHERE
    ),
    "export_graphs": Contender(
        "export + ORT, CUDA graph",
        (*_EXPORT, *_ORT),
        load_onnxruntime_graphs,
        source="export",
        devices=DEVICE,
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
        _OURS,
        load_sardonyx,
        prepare_sardonyx,
        devices=EVERYWHERE,
    ),
    "sardonyx_tuned": Contender(
        "Sardonyx, tuned",
        _OURS,
        tuned.load,
        tuned.prepare,
        source="sardonyx",
        is_fresh=True,
        by_default=False,
    ),
    "sardonyx_tuned_low": Contender(
        f"Sardonyx, tuned within {tuned.ACCURACY:g}",
        _OURS,
        tuned.load,
        tuned.prepare_low,
        source="sardonyx",
        is_fresh=True,
        by_default=False,
    ),
    "sardonyx_portable": Contender(
        "Sardonyx, portable", _OURS, load_sardonyx, prepare_sardonyx_portable, by_default=False
    ),
    "sardonyx_portable_tuned_low": Contender(
        f"Sardonyx, portable, tuned within {tuned.ACCURACY:g}",
        _OURS,
        tuned.load,
        tuned.prepare_on_cpu,
        source="sardonyx_portable",
        is_fresh=True,
        by_default=False,
    ),
    "sardonyx_graphs": Contender(
        "Sardonyx, CUDA graph", _OURS, load_sardonyx_graphs, source="sardonyx", devices=DEVICE
    ),
    "sardonyx_nhwc": Contender(
        "Sardonyx, NHWC", _OURS, load_sardonyx, prepare_sardonyx_nhwc, devices=DEVICE
    ),
    "sardonyx_nhwc_graphs": Contender(
        "Sardonyx, NHWC, CUDA graph",
        _OURS,
        load_sardonyx_graphs,
        source="sardonyx_nhwc",
        devices=DEVICE,
    ),
}
