"""What all tests share."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` writes the files that golden tests otherwise compare with."""
    parser.addoption("--update-golden", action="store_true", help="write golden files anew")
