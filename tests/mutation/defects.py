"""What a tired author could have written instead: one small defect at a time, in a syntax tree."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

Defects = Iterator[ast.AST]
"""What may stand in a node's place."""

_OPPOSITE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OTHER_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
_ORDERED = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)
_ORDERED_OPERATORS = {"Sub", "Div", "Pow", "MatMul", "Gemm", "Where", "Less", "Greater", "Concat"}
_OTHER_NAME = {
    "Add": "Sub",
    "Sub": "Add",
    "Mul": "Div",
    "Div": "Mul",
    "Max": "Min",
    "Min": "Max",
    "any": "all",
    "all": "any",
    "min": "max",
    "max": "min",
    "Unsqueeze": "Squeeze",
    "Squeeze": "Unsqueeze",
    "And": "Or",
    "Or": "And",
}
_KEPT_KEYWORDS = {"output", "attributes", "name", "outputs", "domain", "strict"}
"""Without these a pattern or a call is another one at once, or the same."""


def called(node: ast.AST) -> str:
    """The last word of what a call calls: `Conv` for `op.Conv(...)`."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def is_refusal(node: ast.AST) -> bool:
    """Whether an expression is `no(...)`."""
    return called(node) == "no"


def _without(node: ast.AST, field: str, index: int) -> ast.AST:
    changed = copy.copy(node)
    items = list(getattr(node, field))
    del items[index]
    setattr(changed, field, items)
    return changed


def _of_type(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def accept_all(node: ast.AST) -> Defects:
    """`x or no(...)` accepts whatever x is."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and is_refusal(node.values[-1]):
        yield ast.Constant(True)


def forget_early_return(node: ast.AST) -> Defects:
    """`if x: return ...` is not there."""
    if isinstance(node, ast.If) and not node.orelse and isinstance(node.body[-1], ast.Return):
        yield ast.Pass()


def drop_condition(node: ast.AST) -> Defects:
    """One part of `a and b`, or of `a or b`, is missing."""
    if not isinstance(node, ast.BoolOp) or is_refusal(node.values[-1]):
        return
    for index in range(len(node.values)):
        rest = node.values[:index] + node.values[index + 1 :]
        yield rest[0] if len(rest) == 1 else _of_type(node, values=rest)


def drop_not(node: ast.AST) -> Defects:
    """`not x` is x."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand


def change_comparison(node: ast.AST) -> Defects:
    """A comparison is its opposite, or has or lacks equality."""
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            for other in _OPPOSITE[type(operator)]:
                ops = list(node.ops)
                ops[index] = other()
                yield _of_type(node, ops=ops)


def swap_operands(node: ast.AST) -> Defects:
    """The operands of what is not commutative are in the other order."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, _ORDERED):
        yield _of_type(node, left=node.right, right=node.left)
    if called(node) in _ORDERED_OPERATORS and isinstance(node, ast.Call) and len(node.args) > 1:
        first = 1 if called(node) == "Where" else 0
        if len(node.args) > first + 1 and not isinstance(node.args[first], ast.Starred):
            args = list(node.args)
            args[first], args[first + 1] = args[first + 1], args[first]
            if ast.dump(args[first]) != ast.dump(args[first + 1]):
                yield _of_type(node, args=args)


def change_operator(node: ast.AST) -> Defects:
    """Another operator: Sub for Add, max for min."""
    if isinstance(node, ast.BinOp) and type(node.op) in _OTHER_ARITHMETIC:
        is_text = any(
            isinstance(side, ast.JoinedStr | ast.List | ast.Tuple)
            for side in (node.left, node.right)
        )
        if not is_text:
            yield _of_type(node, op=_OTHER_ARITHMETIC[type(node.op)]())
    if isinstance(node, ast.Call) and called(node) in _OTHER_NAME:
        other = _OTHER_NAME[called(node)]
        field = "attr" if isinstance(node.func, ast.Attribute) else "id"
        yield _of_type(node, func=_of_type(node.func, **{field: other}))


def change_number(node: ast.AST) -> Defects:
    """An integer is one more or one less, a fraction a hundredth larger."""
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
        return
    if isinstance(node.value, int):
        yield ast.Constant(node.value + 1)
        if node.value > 0:
            yield ast.Constant(node.value - 1)
    elif isinstance(node.value, float) and node.value:
        yield ast.Constant(node.value * 1.01)


def change_flag(node: ast.AST) -> Defects:
    """True is False."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)


def reorder(node: ast.AST) -> Defects:
    """The numbers of a list, such as a permutation, are in the opposite order."""
    if isinstance(node, ast.List | ast.Tuple) and len(node.elts) > 1:
        is_load = isinstance(node.ctx, ast.Load)
        is_plain = all(isinstance(e, ast.Constant | ast.Name | ast.UnaryOp) for e in node.elts)
        values = [ast.dump(element) for element in node.elts]
        is_new = values != values[::-1] and not _holds_text(node) and not _holds_rules(node)
        if is_load and is_plain and is_new:
            yield _of_type(node, elts=node.elts[::-1])


def drop_element(node: ast.AST) -> Defects:
    """One operator of those that a set or tuple of names lists is missing."""
    if (
        isinstance(node, ast.List | ast.Tuple | ast.Set)
        and len(node.elts) > 1
        and _holds_text(node)
    ):
        for index in range(len(node.elts)):
            yield _without(node, "elts", index)


def _holds_text(node: ast.List | ast.Tuple | ast.Set) -> bool:
    return all(isinstance(e, ast.Constant) and isinstance(e.value, str) for e in node.elts)


def _holds_rules(node: ast.List | ast.Tuple) -> bool:
    """Whether a tuple lists rules, whose order says nothing."""
    return all(isinstance(e, ast.Name) and e.id.isupper() for e in node.elts)


def drop_alternative(node: ast.AST) -> Defects:
    """One of the spellings that a pattern knows is missing."""
    if isinstance(node, ast.Call) and called(node) == "any_of" and len(node.args) > 1:
        for index in range(len(node.args)):
            yield _without(node, "args", index)


def drop_keyword(node: ast.AST) -> Defects:
    """An attribute of an operator, or an option of a rule, is left out."""
    if isinstance(node, ast.Call) and (called(node)[:1].isupper() or called(node) in _OPTIONS):
        for index, keyword in enumerate(node.keywords):
            if keyword.arg not in _KEPT_KEYWORDS:
                yield _without(node, "keywords", index)


_OPTIONS = {"rule", "call", "about", "maybe", "const"}


def drop_guard(node: ast.AST) -> Defects:
    """A rule has no guard."""
    if isinstance(node, ast.Call) and called(node) == "rule" and len(node.args) > 3:
        yield _without(node, "args", 3)


def drop_sign(node: ast.AST) -> Defects:
    """`-x` is x."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand


KINDS: dict[str, Callable[[ast.AST], Defects]] = {
    function.__name__: function
    for function in (
        accept_all,
        forget_early_return,
        drop_condition,
        drop_not,
        change_comparison,
        swap_operands,
        change_operator,
        change_number,
        change_flag,
        reorder,
        drop_element,
        drop_alternative,
        drop_keyword,
        drop_guard,
        drop_sign,
    )
}
"""Kinds of defects, by name."""
