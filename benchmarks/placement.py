"""Writes the table of the opsets at which ONNX Runtime's CUDA provider takes each operator.

python -m benchmarks.placement                  # on a machine with a device
python -m benchmarks.placement --provider cpu   # prints what it finds there, writes nothing

A provider's list of kernels cannot be had without its libraries, and does not say what the
provider leaves to the CPU nevertheless. So each operator's node cases of the onnx package are
loaded, at each opset, and ONNX Runtime is asked where it placed the node.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from benchmarks.machine import REPOSITORY

TABLE = REPOSITORY / "compiler/sardonyx/compiler/targets/placement_cuda.json"
OPSETS = range(18, 24)
"""The opsets that models are written at."""

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def cases() -> dict[str, list[Any]]:
    """Models of one standard node each, by operator; those of float32 first."""
    import onnx
    from onnx.backend.test.case.node import collect_testcases

    found: dict[str, list[Any]] = defaultdict(list)
    for case in collect_testcases(None):
        nodes = case.model.graph.node if case.model is not None else []
        if len(nodes) == 1 and not nodes[0].domain and not case.model.functions:
            found[nodes[0].op_type].append(case.model)

    def is_other(model: Any) -> bool:
        kinds = [value.type.tensor_type.elem_type for value in model.graph.input]
        return onnx.TensorProto.FLOAT not in kinds

    return {name: sorted(models, key=is_other) for name, models in sorted(found.items())}


def forms(op_type: str) -> dict[int, list[int]]:
    """The forms of an operator that the opsets have: since which version, at which opsets."""
    import onnx

    found: dict[int, list[int]] = defaultdict(list)
    for opset in OPSETS:
        if onnx.defs.has(op_type, opset, ""):
            found[onnx.defs.get_schema(op_type, opset, "").since_version].append(opset)
    return found


def is_placed(model: Any, opset: int, provider: str) -> bool:
    """Whether a provider takes all of a model at an opset."""
    import onnx
    import onnxruntime

    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    moved.ir_version = min(moved.ir_version, 10)
    del moved.opset_import[:]
    moved.opset_import.append(onnx.helper.make_opsetid("", opset))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        session = onnxruntime.InferenceSession(
            moved.SerializeToString(), options, providers=[provider], enable_fallback=0
        )
    except Exception:  # This case is not valid at this opset, or nobody has a kernel.
        return False
    placed = {part.ep_name for part in session.get_provider_graph_assignment_info()}
    return placed == {provider}


def placement(provider: str) -> Iterator[tuple[str, dict[int, bool]]]:
    """For each operator the opsets, and whether the provider takes it there."""
    for op_type, models in cases().items():
        answers: dict[int, bool] = {}
        for opsets in forms(op_type).values():
            taken = any(is_placed(m, opsets[-1], provider) for m in models)
            answers.update(dict.fromkeys(opsets, taken))
        yield op_type, answers


def newest(answers: dict[int, bool]) -> int | None:
    """The newest opset at which a provider takes an operator; None where it never does."""
    return max((opset for opset, taken in answers.items() if taken), default=None)


def main() -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description="Where ONNX Runtime places each operator.")
    parser.add_argument("--provider", choices=PROVIDERS, default="cuda")
    name = parser.parse_args().provider
    import onnxruntime

    if PROVIDERS[name] not in onnxruntime.get_available_providers():
        print(f"this ONNX Runtime has no {PROVIDERS[name]}", file=sys.stderr)
        return 1
    rows = {op_type: newest(answers) for op_type, answers in placement(PROVIDERS[name])}
    if name == "cpu":
        print(json.dumps({n: opset for n, opset in rows.items() if opset != OPSETS[-1]}))
        return 0
    if all(opset is None for opset in rows.values()):
        print("the provider takes no operator: is there a device?", file=sys.stderr)
        return 1
    lines = ",\n".join(f"{json.dumps(n)}: {json.dumps(opset)}" for n, opset in rows.items())
    text = f'{{"onnxruntime": "{onnxruntime.__version__}", "newest": {{\n{lines}\n}}}}\n'
    TABLE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
