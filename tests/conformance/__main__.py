"""Judges both routes and says where they differ: `python -m tests.conformance [GROUP ...]`."""

from __future__ import annotations

import sys

from tests.conformance.cases import GROUPS
from tests.conformance.expected import LIST, complaints, read_list
from tests.conformance.judge import RIGHT, judge_group


def main(groups: list[str]) -> None:
    for group in groups or GROUPS:
        ours, alone = (judge_group(group, route) for route in ("deploy", "ort_alone"))
        right = {name for name, verdict in ours.items() if verdict == RIGHT}
        anchor = {name for name, verdict in alone.items() if verdict == RIGHT}
        print(f"{group}: {len(ours)} cases, right {len(right)}, ONNX Runtime alone {len(anchor)}")
        for name in sorted(anchor - right):
            print(f"  lost: {name}: {ours[name]}")
        for name in sorted(right - anchor):
            print(f"  won: {name}: {alone[name]}")
        for line in complaints(group, ours, read_list(LIST.read_text())):
            print(f"  list: {line}")


if __name__ == "__main__":
    main(sys.argv[1:])
