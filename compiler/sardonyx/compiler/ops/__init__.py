"""One row per operator: what the ONNX schemas do not say, read by everything else.

Importing this package fills the table; `row`, `find` and `rows` read it.
"""

from sardonyx.compiler.ops import (
    attention,
    contrib,
    control_flow,
    conv_pool,
    elementwise,
    gather,
    matmul,
    movement,
    norm,
    quantize,
    random,
    recurrent,
    reduce,
    sequence_string,
    shape,
    signal,
)
from sardonyx.compiler.ops.cost import Cost
from sardonyx.compiler.ops.row import Absent, Row, Trait, find, has_trait, none, row, rows
from sardonyx.compiler.ops.tolerance import Tolerance

__all__ = [
    "Absent",
    "Cost",
    "Row",
    "Tolerance",
    "Trait",
    "find",
    "has_trait",
    "none",
    "row",
    "rows",
]

# The modules of rows, in the order in which a reader may want them.
FAMILIES = (
    elementwise,
    reduce,
    movement,
    gather,
    shape,
    conv_pool,
    norm,
    matmul,
    recurrent,
    attention,
    quantize,
    signal,
    random,
    sequence_string,
    control_flow,
    contrib,
)
