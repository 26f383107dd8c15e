"""Runs the command line in this process, and files for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx_ir as ir
import pytest

from sardonyx.frontends.cli import main
from tests.support.models import model, normal


class Commands:
    """Runs commands and keeps what they print.

    Attributes:
        out: What the last command printed.
        err: What it printed as errors.
    """

    def __init__(self, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._capsys, self._patch = capsys, patch
        self.out = self.err = ""

    def __call__(self, *arguments: object) -> int:
        """Run a command and return its exit code."""
        self._patch.setattr(sys, "argv", ["sardonyx", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        self.out, self.err = self._capsys.readouterr()
        return int(ended.value.code or 0)

    def json(self, *arguments: object) -> dict:
        """Run a command that ends well and return the JSON that it prints."""
        assert self(*arguments, "--json") == 0, self.out
        return json.loads(self.out)

    def refused(self, *arguments: object) -> str:
        """Run a command that is refused, in both forms, and return the message for people."""
        assert self(*arguments, "--json") == 2, self.out
        error = json.loads(self.out)["error"]
        assert set(error) == {"kind", "what", "where", "found", "expected", "remedy"}
        assert self(*arguments) == 2
        assert self.out == ""
        assert "error: " in self.err
        assert "Traceback" not in self.err
        assert error["what"] in self.err
        return self.err


def write_model(path: Path, width: int = 3) -> Path:
    """A linear layer with a dynamic batch, and some nodes that compilation removes."""
    given = model(
        f"""linear (float[batch,4] x) => (float[batch,{width}] y) {{
            a = Identity(x) m = MatMul(a, w) n = Neg(m) k = Neg(n) y = Relu(k)
        }}""",
        w=normal(4, width),
    )
    ir.save(given, path)
    return path
