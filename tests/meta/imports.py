"""Reads the imports of source files, for the layering test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ROOTS = {part: REPOSITORY / part for part in ("compiler", "runtime", "frontends")}


@dataclass(frozen=True)
class Import:
    """One imported dotted name: a module, or a name in one (``sardonyx.compiler.ir.types``)."""

    file: str
    line: int
    importer: str
    target: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.importer} imports {self.target}"


def module_name(root: Path, path: Path) -> str:
    """``compiler/sardonyx/compiler/ir/text.py`` is ``sardonyx.compiler.ir.text``."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str, module: str, *, is_package: bool, file: str) -> Iterator[Import]:
    """Every import of a source text, wherever it stands: top level, function, type checking."""
    for node in ast.walk(ast.parse(source)):
        for target in _targets(node, module, is_package):
            yield Import(file, node.lineno, module, target)


def _targets(node: ast.AST, module: str, is_package: bool) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            up = node.level - 1 if is_package else node.level
            kept = module.split(".")[: len(module.split(".")) - up]
            base = ".".join([*kept, *([node.module] if node.module else [])])
        return [f"{base}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and node.args:
        name = getattr(node.func, "attr", getattr(node.func, "id", None))
        first = node.args[0]
        is_import = name in {"import_module", "__import__"}
        if is_import and isinstance(first, ast.Constant) and isinstance(first.value, str):
            return [first.value]
    return []


def all_imports() -> list[Import]:
    """Every import of the three packages."""
    found: list[Import] = []
    for root in ROOTS.values():
        for path in sorted(root.rglob("*.py")):
            found += imports_of(
                path.read_text(encoding="utf-8"),
                module_name(root, path),
                is_package=path.name == "__init__.py",
                file=str(path.relative_to(REPOSITORY)),
            )
    return found
