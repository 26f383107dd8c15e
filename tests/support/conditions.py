"""Which way the conditions of rules went: every part of them, and how what they compare relates."""

from __future__ import annotations

import ast
import sys
from typing import Any

from tests.meta.imports import REPOSITORY, module_name
from tests.mutation.run import Planted

COMPILER = REPOSITORY / "compiler"
RULES = COMPILER / "sardonyx" / "compiler" / "rules"
_Place = tuple[str, int, int, str]
"""A file, a line, a column, and what is there."""
seen: set[tuple[_Place, object]] = set()
"""Each place with what was there; whoever wants to know what one call adds clears it before."""
_left: dict[_Place, Any] = {}


def watch() -> None:
    """Let the modules of rules note their conditions; call it before any of them is imported."""
    codes = {}
    for path in sorted(RULES.rglob("*.py")):
        tree = _Watched(path.name).visit(ast.parse(path.read_text(encoding="utf-8")))
        code = compile(ast.fix_missing_locations(tree), str(path), "exec")
        codes[module_name(COMPILER, path)] = code
    known = [name for name in codes if name in sys.modules]
    assert not known, f"too late: {known}"
    sys.meta_path.insert(0, Planted(codes, __is__=_is, __one__=_one, __other__=_other))


def _is(place: _Place, value: Any) -> Any:
    """Note whether a value is true."""
    try:
        seen.add((place, "none" if value is None else bool(value)))
    except ValueError:
        seen.add((place, "several"))
    return value


def _one(place: _Place, value: Any) -> Any:
    """Keep what is compared."""
    _left[place] = value
    return value


def _other(place: _Place, value: Any) -> Any:
    """Note how what is compared relates."""
    left = _left.get(place)
    numbers = int | float
    if isinstance(left, numbers) and isinstance(value, numbers):
        seen.add((place, int(left > value) - int(left < value)))
    elif isinstance(left, numbers | str) and not isinstance(value, str):
        seen.add((place, f"{left} among several"))
    return value


class _Watched(ast.NodeTransformer):
    """Puts calls around conditions and around what is compared."""

    def __init__(self, file: str) -> None:
        self._file = file

    def _call(self, name: str, at: ast.expr, value: ast.expr, what: str = "") -> ast.expr:
        place = (self._file, at.lineno, at.col_offset, what or type(at).__name__)
        call = ast.Call(ast.Name(name, ast.Load()), [ast.Constant(place), value], [])
        return ast.copy_location(call, value)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        """Each part of `a and b` or `a or b`."""
        parts = [
            self._call("__is__", v, self.visit(v), f"part {i}") for i, v in enumerate(node.values)
        ]
        return ast.copy_location(ast.BoolOp(node.op, parts), node)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Whether a comparison holds, and if of two numbers which is larger."""
        changed = ast.Compare(
            self.visit(node.left), node.ops, list(map(self.visit, node.comparators))
        )
        if len(node.ops) == 1 and not isinstance(node.ops[0], ast.Is | ast.IsNot):
            changed.left = self._call("__one__", node, changed.left, "pair")
            changed.comparators = [self._call("__other__", node, changed.comparators[0], "pair")]
        ast.copy_location(changed, node)
        return self._call("__is__", node, changed)

    def visit_If(self, node: ast.If) -> ast.If:
        """Whether a branch is taken."""
        self.generic_visit(node)
        node.test = self._call("__is__", node.test, node.test, "if")
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.IfExp:
        """Whether the first value is taken."""
        self.generic_visit(node)
        node.test = self._call("__is__", node.test, node.test, "if")
        return node

    def visit_Return(self, node: ast.Return) -> ast.Return:
        """What is returned, as far as it is true or false."""
        self.generic_visit(node)
        if node.value is not None:
            node.value = self._call("__is__", node.value, node.value, "return")
        return node
