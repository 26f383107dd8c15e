"""The networks in other languages say what those of the zoo say; their lines are counted."""

from __future__ import annotations

import pytest

from benchmarks.languages.__main__ import LIMIT, error_of
from benchmarks.languages.counting import FUNCTIONS, counts, lines


@pytest.mark.parametrize("other", ["onnxscript", "spox"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_network_in_another_language_is_the_same(name, other):
    pytest.importorskip(other)
    assert error_of(name, other) <= LIMIT


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_zoo_is_the_shortest(name):
    found = counts(name)
    assert found["the zoo"] == min(found.values())


def test_lines_of_code_are_counted():
    source = '"""Said."""\n\nimport a\nfrom b import c\n\n\n# why\ndef f():\n    return c  # so\n'
    assert lines(source) == 2
