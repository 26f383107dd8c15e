"""Sardonyx' artifacts, tuned on this machine before they are measured.

python -m benchmarks.run --threads 2 --name tuned-2 \
    --contenders export sardonyx sardonyx_tuned sardonyx_portable_tuned_low openvino

`SARDONYX_BENCH_TUNE` is how many seconds each tuning may take, 60 by default.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.contenders import Job, Runner

SECONDS = "SARDONYX_BENCH_TUNE"
ACCURACY = 1e-2
"""How far outputs may be apart where lower precision is allowed."""


def prepare(job: Job) -> dict[str, Any]:
    """The artifact tuned by rounding only, on the CPU's own provider."""
    return _tuned(job, providers=["cpu"])


def prepare_low(job: Job) -> dict[str, Any]:
    """The artifact tuned over all providers that start, lower precision allowed."""
    return _tuned(job, accuracy=ACCURACY)


def prepare_on_cpu(job: Job) -> dict[str, Any]:
    """The same over the CPU's own provider and OpenVINO's plugin, whatever devices there are."""
    return _tuned(job, providers=["cpu", "openvino"], accuracy=ACCURACY)


def _tuned(job: Job, **options: Any) -> dict[str, Any]:
    from benchmarks.contenders import ARTIFACT, source_file
    from sardonyx import runtime

    source, path = source_file(job), job.folder / ARTIFACT
    for file in source.parent.glob(f"{source.name}*"):
        shutil.copy(file, job.folder / file.name)
    sample = {name: x.numpy() for name, x in job.model.example().items()}
    seconds = float(os.environ.get(SECONDS, "60"))
    found = runtime.tune(path, [sample], seconds=seconds, threads=job.threads, **options)
    print(found, file=sys.stderr)
    # Results are kept, and say nothing of the machine's folders.
    return {"tuning": {**found.to_dict(), "model": ARTIFACT, "stored": ARTIFACT}}


def load(job: Job) -> Runner:
    """runtime.load, which has to use what was tuned."""
    import numpy as np

    from benchmarks.contenders import Runner, artifact
    from sardonyx import runtime

    session = runtime.load(artifact(job))
    if session.settings.tuning.startswith("ignored"):
        raise RuntimeError(f"tuned settings are {session.settings.tuning}")
    return Runner(
        feed=lambda arrays: list(arrays.values()),
        call=lambda x: session(*x),
        fetch=lambda y: [np.asarray(part) for part in y],
    )
