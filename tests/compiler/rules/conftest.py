"""Where tables of neighbours are written, rules say which way their conditions go."""

from __future__ import annotations

from tests.support import conditions
from tests.support.outcomes import IS_WRITING

if IS_WRITING:
    conditions.watch()
