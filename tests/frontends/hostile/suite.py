"""All hostile cases, by name."""

from __future__ import annotations

from tests.frontends.hostile.attributes import ATTRIBUTES
from tests.frontends.hostile.case import Case
from tests.frontends.hostile.computing import COMPUTING
from tests.frontends.hostile.files import BOMBS, FILES, NAMES
from tests.frontends.hostile.graphs import FUNCTIONS, GRAPHS
from tests.frontends.hostile.outside import OUTSIDE
from tests.frontends.hostile.tensors import TENSORS

_FAMILIES = {
    "file": FILES,
    "bomb": BOMBS,
    "name": NAMES,
    "graph": GRAPHS,
    "function": FUNCTIONS,
    "tensor": TENSORS,
    "attribute": ATTRIBUTES,
    "computing": COMPUTING,
    "outside": OUTSIDE,
}

CASES: dict[str, Case] = {
    f"{family}: {name}": case for family, cases in _FAMILIES.items() for name, case in cases.items()
}
