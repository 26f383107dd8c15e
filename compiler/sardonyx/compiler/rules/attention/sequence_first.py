"""A linear layer between two transposes of batch and length needs neither."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rewrite import Match, No, any_of, no, rest, rule
from sardonyx.compiler.rules.producers import is_operator, made_by, operator

_SWAP = (1, 0, 2)


def _is_swap(node: ir.Node | None) -> bool:
    return is_operator(node, "Transpose") and Attributes(node).perm == _SWAP


def _step(value: ir.Value) -> tuple[ir.Node, int] | None:
    """Return the node that treats each row of its operand alike, and which operand that is."""
    node = operator(value)
    if node is None:
        return None
    if node.op_type == "Split":
        return (node, 0) if Attributes(node).axis in {-1, 2} else None
    if node.op_type not in {"Add", "MatMul"}:
        return None
    for index, other in ((0, node.inputs[1]), (1, node.inputs[0])):
        known = constants.tensor(other)
        rank = len(known.shape) if known is not None else None
        # A product with a vector has too few axes to be transposed back.
        is_weight = node.op_type == "MatMul" and rank == 2 and index == 0
        if rank in {0, 1} or is_weight:
            return node, index
    return None


def _chain(value: ir.Value) -> list[ir.Value] | No:
    """Return the values from `value` down to the other transpose."""
    values = [value]
    while not _is_swap(values[-1].producer()):
        step = _step(values[-1])
        if step is None:
            return no("there is no other transpose before a linear layer", values[-1])
        node, index = step
        operand = node.inputs[index]
        assert operand is not None
        values.append(operand)
    return values


def _is_needless(m: Match) -> bool | No:
    values = _chain(m.x)
    if isinstance(values, No):
        return values
    for value in values[:-1]:
        if value.is_graph_output() or not all(_ends_in_swap(user) for user, _ in value.uses()):
            return no("a value between the transposes has other readers", value)
    return True


def _ends_in_swap(node: ir.Node) -> bool:
    """Say whether all that is made of a node's results is transposed back."""
    if _is_swap(node):
        return True
    for value in node.outputs:
        step = _step(value)
        if step is None or value.is_graph_output() or value.shape is None:
            return False
        if not all(_ends_in_swap(user) for user, _ in value.uses()):
            return False
    return True


def _without(op: Builder, m: Match) -> ir.Value:
    """The linear layer, done on what there was before the first transpose."""
    values = _chain(m.x)
    assert not isinstance(values, No)
    first = made_by(values[-1], "Transpose")
    assert first is not None
    made = first.inputs[0]
    for value in reversed(values[:-1]):
        step = _step(value)
        assert step is not None
        node, index = step
        operands = [made if i == index else v for i, v in enumerate(node.inputs)]
        count = len(node.outputs)
        outputs = op.call(node.op_type, *operands, attributes=node.attributes, outputs=count)
        made = outputs if count == 1 else outputs[list(node.outputs).index(value)]
    assert made is not None
    return made


LINEAR_BETWEEN_TRANSPOSES = rule(
    "linear_between_transposes",
    lambda op: any_of(
        op.Transpose(op.call(("Add", "MatMul"), rest("any"), output="x"), perm=list(_SWAP)),
        op.Transpose("x", perm=list(_SWAP)),
    ),
    _without,
    _is_needless,
    keeps_shared=True,  # The guard looks at all readers, those past a Split too.
)
