"""No file of the repository names a place on one particular machine."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.meta.imports import REPOSITORY

MACHINE_PATH = re.compile(
    r"(?<![\w.])(?:/(?:root|work|home/\w+|Users/\w+|opt/\w+|mnt/\w+)/|[A-Z]:\\Users\\)"
)
TEXT = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".cfg", ".sh", "", ".jsonl"}


def tracked_files():
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return [REPOSITORY / name for name in listed.stdout.split("\0") if name]


def test_no_machine_paths():
    files = [p for p in tracked_files() if p.suffix in TEXT and p.is_file()]
    assert REPOSITORY / "pyproject.toml" in files
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()[:100]}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", ["root", "home/jo", "Users/jo", "opt/tools"])
def test_a_machine_path_is_found(folder):
    assert MACHINE_PATH.search(f"open('/{folder}/model.onnx')")
    assert not MACHINE_PATH.search(f"open('models/{folder}/model.onnx')")
