"""The checks of `sardonyx.compiler.testing`, judged by ONNX Runtime with its rewriting off."""

from __future__ import annotations

import functools

from sardonyx.compiler import testing
from sardonyx.compiler.testing import apply, check_miss, check_unchanged, counts
from tests.support.run import run_ort

__all__ = [
    "apply",
    "check_miss",
    "check_rewrite",
    "check_rule",
    "check_same",
    "check_shared",
    "check_unchanged",
    "counts",
]

check_rewrite = functools.partial(testing.check_rewrite, run=run_ort)
check_rule = functools.partial(testing.check_match, run=run_ort)
check_shared = functools.partial(testing.check_shared, run=run_ort)
check_same = functools.partial(testing.check_same, run=run_ort)
