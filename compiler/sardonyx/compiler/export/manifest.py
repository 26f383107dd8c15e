"""What an artifact says about how it was made."""

from __future__ import annotations

import functools
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir

from sardonyx.compiler.targets.target import Target

MANIFEST = "sardonyx.manifest"
SESSION = "sardonyx.session"
TUNING = "sardonyx.tuning"
DIGEST = "sardonyx.sha256"
"""Keys of a model's metadata."""

_PRODUCER = "sardonyx"
_PACKAGES = ("sardonyx", "onnx", "onnx-ir", "onnx-shape-inference")


def manifest(
    source: ir.Model,
    exported: ir.Model,
    target: Target,
    pipeline: Sequence[str] = (),
    rules: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return what there is to know about an export; nothing of it depends on time or place.

    Args:
        source: The model as it came in.
        exported: The model as it goes out, at stage target.
        target: What it was made for.
        pipeline: Names of the passes that ran, in order.
        rules: How often each rule was applied.
    """
    return {
        "format": 1,
        "source": {
            "producer": " ".join(filter(None, (source.producer_name, source.producer_version))),
            "opset": dict(sorted(source.opset_imports.items())),
            "nodes": count_nodes(source),
        },
        "target": target.name,
        "opset": dict(sorted(exported.opset_imports.items())),
        "nodes": count_nodes(exported),
        "pipeline": list(pipeline),
        "rules": dict(sorted((rules or {}).items())),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


@functools.cache
def _version(package: str) -> str:
    """The version that is installed; reading it takes longer than some models."""
    return importlib.metadata.version(package)


def note(model: ir.Model, key: str, said: Mapping[str, Any]) -> None:
    """Add an entry to the manifest that a model has already."""
    made = json.loads(model.metadata_props[MANIFEST])
    model.metadata_props[MANIFEST] = json.dumps({**made, key: said}, sort_keys=True)


def stamp(model: ir.Model, target: Target, made: Mapping[str, Any]) -> None:
    """Write the manifest and the target's session settings into a model's metadata."""
    for key in (MANIFEST, SESSION, TUNING, DIGEST):
        model.metadata_props.pop(key, None)
    model.metadata_props[MANIFEST] = json.dumps(made, sort_keys=True)
    if target.session is not None:
        model.metadata_props[SESSION] = target.session.to_json()
    model.producer_name = _PRODUCER
    model.producer_version = _version(_PRODUCER)


def disabled_optimizers(model: ir.Model) -> list[str]:
    """Return which optimisers of ONNX Runtime a file asks its session to switch off."""
    try:
        said = json.loads(model.metadata_props.get(SESSION, "{}"))["disabled_optimizers"]
    except (ValueError, KeyError, TypeError):
        return []
    return [str(name) for name in said] if isinstance(said, list) else []


def switch_off(model: ir.Model, optimizers: Sequence[str]) -> None:
    """Let a file ask its session to switch off these optimisers of ONNX Runtime too."""
    said = json.loads(model.metadata_props.get(SESSION, "{}"))
    said["disabled_optimizers"] = [*disabled_optimizers(model), *optimizers]
    model.metadata_props[SESSION] = json.dumps(said, sort_keys=True)


def count_nodes(model: ir.Model) -> int:
    """Return how many nodes a model has, those of subgraphs included."""
    return sum(1 for _ in model.graph.all_nodes())
