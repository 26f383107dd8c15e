"""Sessions to batch requests for."""

from __future__ import annotations

import pytest

from sardonyx import runtime
from tests.runtime.models import unary
from tests.runtime.serving.gate import Gate


@pytest.fixture
def relu():
    return runtime.load(unary("Relu", 1, shape=("batch", "n")), threads=1)


@pytest.fixture
def gate(relu):
    return Gate(relu)
