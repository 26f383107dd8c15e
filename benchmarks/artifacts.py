"""Prepared artifacts, kept on disk until what they depend on changes."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.child import Child, ContenderError
from benchmarks.contenders import ARTIFACT, CONTENDERS
from benchmarks.machine import REPOSITORY, fingerprint, version
from benchmarks.models import MODELS

WORK = REPOSITORY / "benchmarks" / ".work"
HARNESS = ("models.py", "networks.py", "contenders.py")


@dataclass(frozen=True)
class Settings:
    """How to measure; part of the stored result.

    Attributes:
        precision: What the networks compute in: "fp32" or "fp16".
        seconds: Time spent on one contender in one round.
        timeout: Seconds after which one command of one contender is given up.
        at_once: How many contenders are prepared and loaded at the same time; timed is one.
    """

    threads: int = 1
    device: str = "cpu"
    precision: str = "fp32"
    rounds: int = 7
    seconds: float = 0.5
    timeout: float = 600.0
    at_once: int = 1


def setup(model: str, contender: str, settings: Settings) -> dict[str, Any]:
    """What a worker needs to know."""
    source = CONTENDERS[contender].source
    return {
        "model": model,
        "contender": contender,
        "folder": str(folder(model, contender, settings)),
        "source": str(folder(model, source, settings)) if source else None,
        "threads": settings.threads,
        "device": settings.device,
        "precision": settings.precision,
    }


def folder(model: str, contender: str, settings: Settings) -> Path:
    """Where a contender keeps what it made of a model."""
    return _place(model, settings) / contender


def _place(model: str, settings: Settings) -> Path:
    return WORK / f"{settings.device}-{settings.precision}" / model


def inputs(model: str, settings: Settings) -> Path:
    """The file with the model's example inputs, written now."""
    path = _place(model, settings) / "inputs.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: x.numpy() for name, x in MODELS[model].example().items()})
    return path


def key(contender: str) -> dict[str, str]:
    """Everything the artifact depends on; another key means another artifact."""
    row = CONTENDERS[contender]
    found = {**row.versions(), "transformers": version("transformers")}
    found["harness"] = fingerprint(*(f"benchmarks/{name}" for name in HARNESS))
    if contender.startswith("sardonyx"):
        found["sources"] = fingerprint("compiler", "frontends")
    if row.source:
        found.update({f"{row.source}.{name}": text for name, text in key(row.source).items()})
    return found


def prepare(
    model: str, contender: str, settings: Settings, tell: Callable[[str], None]
) -> dict[str, Any]:
    """The facts about a contender's artifact; made now unless a fitting one is on disk.

    Raises ContenderError when it, or the contender it starts from, cannot make it.
    """
    row = CONTENDERS[contender]
    if row.source:
        prepare(model, row.source, settings, tell)
    if row.prepare is None:
        return {}
    try:
        wanted = key(contender)
    except importlib.metadata.PackageNotFoundError as missing:
        raise ContenderError(f"not available: package {missing.name} is not installed") from None
    place = folder(model, contender, settings)
    facts_file = place / "facts.json"
    with contextlib.suppress(OSError, ValueError, KeyError):
        stored = json.loads(facts_file.read_text(encoding="utf-8"))
        if not row.is_fresh and stored["key"] == wanted and (place / ARTIFACT).exists():
            return stored
    tell(f"{model}: {row.title} prepares")
    shutil.rmtree(place, ignore_errors=True)
    with Child(
        setup(model, contender, settings), log(model, contender, settings, "prepare")
    ) as child:
        facts = child.ask("prepare", settings.timeout)
    facts |= {"key": wanted, "nodes": count_nodes(place / ARTIFACT)}
    facts_file.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return facts


def log(model: str, contender: str, settings: Settings, step: str) -> Path:
    """Where the output of a worker goes."""
    return WORK / "logs" / f"{model}.{contender}.{settings.device}-{settings.precision}.{step}.log"


def count_nodes(path: Path) -> int:
    """Nodes of the graph and its subgraphs; bodies of functions are not counted."""
    import onnx

    def count(graph: onnx.GraphProto) -> int:
        inner = [
            part
            for node in graph.node
            for attribute in node.attribute
            for part in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else []))
        ]
        return len(graph.node) + sum(map(count, inner))

    return count(onnx.load(path, load_external_data=False).graph)
