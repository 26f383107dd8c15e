"""One row per operator: what the ONNX schemas do not say, read by everything else.

Importing this package fills the table; `row`, `find` and `rows` read it.
"""

from sardonyx.compiler.ops.row import Row, Trait, find, has_trait, row, rows

__all__ = ["Row", "Trait", "find", "has_trait", "row", "rows"]
