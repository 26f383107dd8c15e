"""What tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cli.commands import Commands, write_model


@pytest.fixture
def sardonyx(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The command line, run in this process."""
    return Commands(capsys, monkeypatch)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A small model file."""
    return write_model(tmp_path / "net.onnx")
