"""Steps made of the sample generators of operator rows: every operator that has one."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ops import Row, Trait, rows
from sardonyx.compiler.ops.row import Absent
from sardonyx.compiler.ops.sample import Case
from tests.fuzz.scope import Known, Refused, Scope
from tests.fuzz.steps import Step, allowed
from tests.fuzz.values import Array, chance, pick

D = ir.DataType

ROWS = [
    row
    for row in rows()
    if not row.domain
    and not isinstance(row.sample, Absent)
    and Trait.RANDOM not in row.traits
    and row.op_type != "Constant"
    # ONNX has no schema of it.
    and row.op_type != "SimplifiedLayerNormalization"
]
_STRUCTURAL = [row for row in ROWS if Trait.ELEMENTWISE not in row.traits]


def sampled(s: Scope) -> None:
    """One node of a row's sample, its operands made of values that are there."""
    row = pick(s.random, ROWS if chance(s.random, 0.3) else _STRUCTURAL)
    place(s, row)


def place(s: Scope, row: Row) -> tuple[Known, ...]:
    """Make a node of a row's sample.

    Raises:
        Refused: It does not fit.
    """
    assert not isinstance(row.sample, Absent)
    case = _retyped(s, row, row.sample(s.random))
    operands: list[Known | None] = []
    for index, array in enumerate(case.inputs):
        if array is None:
            operands.append(None)
        elif index in case.constants and chance(s.random, 0.9):
            operands.append(s.constant(array))
        else:
            operands.append(_operand(s, array, is_first=index == 0))
    made: tuple[Known, ...] = s.emit(
        row.op_type, *operands, outputs=case.outputs, as_tuple=True, **case.attributes
    )
    return made


def _retyped(s: Scope, row: Row, case: Case) -> Case:
    """Now and then another floating-point dtype than single precision."""
    if not chance(s.random, 0.15):
        return case
    dtype = pick(s.random, [D.DOUBLE, D.FLOAT16])
    wanted = {allowed(row.op_type, i)[0] for i, x in enumerate(case.inputs) if _is_single(x)}
    inputs = list(case.inputs)
    for index, array in enumerate(case.inputs):
        variable, dtypes = allowed(row.op_type, index)
        if array is not None and _is_single(array) and variable in wanted and dtype in dtypes:
            inputs[index] = array.astype(dtype.numpy())
    return Case(tuple(inputs), case.attributes, case.constants, case.outputs)


def _is_single(array: Array | None) -> bool:
    return array is not None and array.dtype == np.float32


def _operand(s: Scope, array: Array, *, is_first: bool) -> Known:
    dtype = ir.DataType.from_numpy(array.dtype)
    draw = s.random.random()
    if draw < 0.5 and dtype in {D.FLOAT, D.DOUBLE, D.FLOAT16} and array.size:
        found = s.recent(lambda k: k.dtype == dtype)
        if found is not None:
            return _fitted(s, found, array)
    if draw < 0.75 or is_first:
        if is_first and array.ndim and chance(s.random, 0.6):
            return _with_dynamic_batch(s, array, dtype)
        return s.input(dtype, array.shape, [array for _ in s.lengths])
    return s.constant(array)


def _fitted(s: Scope, x: Known, array: Array) -> Known:
    """The first elements of a value, filled up with others, in the shape that is wanted."""
    if [*array.shape] == x.dims:
        return x
    flat = s.Concat(s.Reshape(x, np.array([-1])), s.constant(array.reshape(-1)), axis=0)
    cut = s.Slice(flat, np.array([0]), np.array([array.size]), np.array([0]))
    made: Known = s.Reshape(cut, np.array(array.shape, np.int64))
    return made


def _with_dynamic_batch(s: Scope, array: Array, dtype: ir.DataType) -> Known:
    """An input whose first dim is dynamic: more rows, or fewer, of the same kind."""
    symbol = pick(s.random, ["b", "s", "n"])
    repeated = np.concatenate([array] * 8) if len(array) else array
    made = [repeated[: n[symbol]] for n in s.lengths]
    if any(len(each) != n[symbol] for each, n in zip(made, s.lengths, strict=True)):
        raise Refused("short")
    return s.input(dtype, [symbol, *array.shape[1:]], made)


STEPS: list[tuple[Step, float]] = [(sampled, 1.0)]
"""The step, alone."""
