"""What all tests share."""

from __future__ import annotations

import os

import pytest

# Most tests compare with an oracle of their own; those of the proof ask for it.
os.environ.setdefault("SARDONYX_PROOF", "off")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` writes the files that golden tests otherwise compare with."""
    parser.addoption("--update-golden", action="store_true", help="write golden files anew")
