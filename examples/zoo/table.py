"""docs/zoo.md, from the registry and what was measured."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.languages.counting import FUNCTIONS, counts
from examples.zoo.member import Member
from examples.zoo.registry import FAMILIES

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "zoo.md"
RESULTS = REPOSITORY / "benchmarks" / "results" / "zoo.json"
LIMIT = 1e-5
"""The largest relative error of a member."""

HEAD = """# The zoo

The architectures of the deep-learning canon, each written in [the language](dsl.md) beside its
twin in PyTorch (`resnet.py`, `resnet_torch.py`). With the twin's weights each gives the twin's
answer: within 1e-5 of the largest element. The twin answers in double precision with the same
numbers: of a deep network, PyTorch's own single precision is no truth. The tests build each member
small, at two shapes, and compile it for every target; `-m slow` takes them at their full sizes.

`make zoo` writes this page; `make zoo ARGS="resnet50 lenet5"` measures these anew. Nodes: of the
model as it is written, and as it is compiled for the CPU. Times PyTorch: how many times faster than
the twin (eager, one thread each, in turn) the compiled model answers, at full size; the median of
the rounds.

Lines of LeNet-5 and of a GPT block with its cache, here and in two other languages that write ONNX
graphs (`python -m benchmarks.languages` runs them all, and compares):

"""

TITLES = "| member | what it shows | parameters | nodes | error | times PyTorch |"
RULE = "| --- | --- | --: | --: | --: | --: |"


def load() -> dict[str, Any]:
    """What was measured last; nothing when there is nothing."""
    if not RESULTS.exists():
        return {"machine": {}, "members": {}}
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def save(found: dict[str, Any]) -> None:
    """Keep what was measured, and write the page anew."""
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(render(found), encoding="utf-8")


def render(found: dict[str, Any]) -> str:
    """The text of the page."""
    parts = [HEAD, _languages(), "\n"]
    for family, members in FAMILIES.items():
        rows = [row(member, found["members"].get(member.name, {})) for member in members]
        parts += [f"\n## {family}\n\n", "\n".join([TITLES, RULE, *rows]), "\n"]
    if found["machine"]:
        cpu = found["machine"]["cpu"]
        versions = found["machine"]["versions"]
        parts.append(
            f"\nMeasured on {cpu['name']}, PyTorch {versions['torch']}, "
            f"ONNX Runtime {versions['onnxruntime']}.\n"
        )
    return "".join(parts)


def _languages() -> str:
    """The table of lines in other languages."""
    found = {name: counts(name) for name in FUNCTIONS}
    titles = list(next(iter(found.values())))
    rows = [f"| {name} | {' | '.join(map(str, c.values()))} |" for name, c in found.items()]
    return "\n".join([f"| | {' | '.join(titles)} |", f"| --- |{' --: |' * len(titles)}", *rows])


def row(member: Member, record: dict[str, Any]) -> str:
    """The line of one member; what was not measured yet is left empty."""
    place = os.path.relpath(member.file, PAGE.parent).replace(os.sep, "/")
    cells = [f"[{member.name}]({place})", member.teaches.rstrip(".")]
    if record:
        cells += [
            f"{record['parameters']:,}",
            f"{record['nodes_before']} → {record['nodes_after']}",
            f"{record['error']:.1e}",
            f"{record['ratio']['median']:.2f}",
        ]
    else:
        cells += [""] * 4
    return f"| {' | '.join(cells)} |"
