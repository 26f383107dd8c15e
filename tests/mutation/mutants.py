"""The mutants of a source file: each the file with one defect."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

from tests.meta.imports import REPOSITORY, module_name
from tests.mutation.defects import KINDS, is_refusal

COMPILER = REPOSITORY / "compiler"
RULES = COMPILER / "sardonyx" / "compiler" / "rules"
_LONGEST = 100


@dataclass(frozen=True)
class Mutant:
    """One defect in one file.

    Attributes:
        path: The file, as it is.
        index: Which of the file's mutants it is.
        kind: What was done.
        function: Where: the function or constant, `module` for neither.
        line: The line there.
        statement: The line where the innermost statement around it begins.
        before: What is written there.
        after: What the mutant has instead.
        occurrence: Which of the defects of the function that read the same, from 1.
    """

    path: Path
    index: int
    kind: str
    function: str
    line: int
    statement: int
    before: str
    after: str
    occurrence: int = 1

    @property
    def module(self) -> str:
        """The dotted name of the module."""
        return module_name(COMPILER, self.path)

    @property
    def key(self) -> str:
        """What names it in the table of equivalents: no line, which would change."""
        file = self.path.relative_to(RULES)
        text = f"{file} {self.function} {self.kind}: {self.before} -> {self.after}"
        return text if self.occurrence == 1 else f"{text} #{self.occurrence}"

    def code(self) -> CodeType:
        """The code of the file with the defect."""
        tree = ast.parse(self.path.read_text(encoding="utf-8"))
        place = list(_places(tree))[self.index]
        place.put()
        return compile(ast.fix_missing_locations(tree), str(self.path), "exec")


def mutants_of(path: Path) -> list[Mutant]:
    """All mutants of a file, in the order in which they stand in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: list[Mutant] = []
    alike: Counter[tuple[str, ...]] = Counter()
    for index, place in enumerate(_places(tree)):
        says = (place.kind, place.function, _text(place.old), _text(place.new))
        alike[says] += 1
        kind, function, before, after = says
        at = (place.old.lineno, place.statement)
        found.append(Mutant(path, index, kind, function, *at, before, after, alike[says]))
    return found


@dataclass(frozen=True)
class _Place:
    """A node of a tree and what may stand in its place."""

    kind: str
    function: str
    statement: int
    parent: ast.AST
    field: str
    position: int | None
    old: ast.expr | ast.stmt
    new: ast.AST

    def put(self) -> None:
        """Make the change."""
        ast.copy_location(self.new, self.old)
        if self.position is None:
            setattr(self.parent, self.field, self.new)
        else:
            getattr(self.parent, self.field)[self.position] = self.new


def _places(tree: ast.Module) -> Iterator[_Place]:
    yield from _below(tree, "module", 0)


def _below(parent: ast.AST, function: str, statement: int) -> Iterator[_Place]:
    for field, held in ast.iter_fields(parent):
        nodes = held if isinstance(held, list) else [held]
        for position, node in enumerate(nodes):
            if not isinstance(node, ast.AST) or _is_left_alone(node, parent, field):
                continue
            here = _name(node, function)
            line = node.lineno if isinstance(node, ast.stmt) else statement
            if isinstance(node, ast.expr | ast.stmt):
                at = position if isinstance(held, list) else None
                for kind, defects in KINDS.items():
                    for new in defects(node):
                        yield _Place(kind, function, line, parent, field, at, node, new)
            yield from _below(node, here, line)


def _name(node: ast.AST, outside: str) -> str:
    """The function or class, or the constant of the module, that a node is in."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    if outside == "module" and isinstance(node, ast.Assign | ast.AnnAssign):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        return ast.unparse(target)
    return outside


def _is_left_alone(node: ast.AST, parent: ast.AST, field: str) -> bool:
    """Types, documentation, assertions (`strict` is one), and what an error says."""
    is_type = field in {"annotation", "returns", "decorator_list", "bases"}
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    is_check = isinstance(node, ast.keyword) and node.arg == "strict"
    says = isinstance(node, ast.Assert | ast.Raise | ast.JoinedStr) or is_refusal(node)
    is_import = isinstance(node, ast.Import | ast.ImportFrom)
    is_alias = (
        isinstance(parent, ast.Assign)
        and isinstance(node, ast.BinOp)
        and (isinstance(node.op, ast.BitOr))
    )
    return is_type or is_docstring or is_check or says or is_import or is_alias


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(ast.fix_missing_locations(node)).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
