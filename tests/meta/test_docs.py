"""The examples of the documentation run: ```python blocks, and `$ sardonyx` lines of ```console."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.imports import REPOSITORY, ROOTS

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINKS = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)")


def blocks(page: Path) -> list[tuple[str, str]]:
    """The runnable blocks of a page, in order: (language, text)."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def run(command: list[str], folder: Path) -> None:
    path = os.pathsep.join(str(root) for root in ROOTS.values())
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "PYTHONWARNINGS": "error::DeprecationWarning:__main__",
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.name)
def test_examples_run(page, tmp_path):
    """Blocks share a folder and run in order: an example may use the file an earlier one wrote."""
    python = [text for language, text in blocks(page) if language == "python"]
    pending: list[str] = []
    for language, text in blocks(page):
        if language == "python":
            pending.append(text)
            continue
        run_python(pending, tmp_path)
        pending.clear()
        run_console(text, tmp_path)
    run_python(pending, tmp_path)
    assert python or "```console" in page.read_text(encoding="utf-8")


def run_python(texts: list[str], folder: Path) -> None:
    """The blocks as one program, each seeing the names of those before it."""
    if texts:
        script = folder / "example.py"
        script.write_text("\n".join(texts), encoding="utf-8")
        run([sys.executable, str(script)], folder)


def run_console(text: str, folder: Path) -> None:
    """The lines that start with `$ sardonyx`."""
    for line in text.splitlines():
        if line.startswith("$ sardonyx "):
            entry = "import sys; from sardonyx.frontends.cli import main; sys.exit(main())"
            run([sys.executable, "-c", entry, *shlex.split(line)[2:]], folder)


def test_the_readme_has_examples():
    assert {language for language, _ in blocks(REPOSITORY / "README.md")} == {"python", "console"}


@pytest.mark.parametrize(
    "page", [*sorted(REPOSITORY.glob("*.md")), *PAGES[1:]], ids=lambda p: p.name
)
def test_links_to_files_lead_somewhere(page):
    targets = LINKS.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
