"""Python in processes of its own, for what changes a process or ends it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_python():
    """Runs a program; what it printed. It fails when the program does, and after a minute."""

    def run(code: str, *flags: str, status: int = 0) -> str:
        command = [sys.executable, "-W", "error", "-X", "faulthandler", *flags, "-c", code]
        # The package beside these tests, not another one that is installed.
        here = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "runtime"), str(ROOT)])}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, env=here
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout.strip()

    return run
