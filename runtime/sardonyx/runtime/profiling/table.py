"""A profile as rows and lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .modules import Path
from .tree import Module, fold, open_to

if TYPE_CHECKING:
    from .report import NodeTime, Profile, Total

LEAST_SHARE = 0.01
"""A module with less of the time is not opened."""
FRAMEWORK = "(between nodes)"
ITSELF = "(itself)"
WHOLE = "(model)"
KINDS = {
    "compute": "computing",
    "copy": "copies between devices",
    "layout": "layout changes",
    "shape": "shapes",
    "cast": "casts",
    "data": "moving data",
}


def rows(
    profile: Profile, by: str, *, most: int, depth: int | None, fold: bool
) -> list[dict[str, Any]]:
    """See ``Profile.rows``."""
    if by == "module":
        made = [*_module_rows(profile, most, depth, fold)]
    elif by == "operator":
        made = _operator_rows(profile, most)
    elif by == "node":
        made = _node_rows(profile, most)
    else:
        raise ValueError(f"by is {by!r}; expected 'module', 'operator' or 'node'")
    made.append(_row(profile, by, FRAMEWORK, None))
    if by == "node":
        for row in made:
            row.pop("nodes", None)
    return made


def _row(profile: Profile, by: str, title: str, total: Total | None) -> dict[str, Any]:
    ms = total.ms if total else profile.framework_ms
    return {
        by: title,
        "nodes": total.nodes if total else "",
        "ms": round(ms, 3),
        "%": round(100 * ms / profile.ms, 1) if profile.ms else 0.0,
        "GFLOP/s": _rate(total),
        "out MB": round(total.output_bytes / 1e6, 2) if total else "",
        "weights MB": round(total.weight_bytes / 1e6, 2) if total else "",
    }


def _rate(total: Total | None) -> Any:
    if total is None or total.gflops_per_second is None:
        return ""
    return float(f"{total.gflops_per_second:.3g}")


def _operator_rows(profile: Profile, most: int) -> list[dict[str, Any]]:
    totals = list(profile.by_operator().items())
    made = [_row(profile, "operator", name, t) for name, t in totals[:most]]
    rest = [node for node in profile.nodes if node.operator in dict(totals[most:])]
    return [*made, *_others("operator", profile, rest, len(totals) - most)]


def _node_rows(profile: Profile, most: int) -> list[dict[str, Any]]:
    ordered = sorted(profile.nodes, key=lambda node: -node.ms)
    made = []
    for node in ordered[:most]:
        row = _row(profile, "node", node.name, profile.total([node]))
        shapes = ", ".join("x".join(map(str, shape)) or "scalar" for shape in node.shapes)
        where = {"node": row.pop("node"), "operator": node.operator}
        if len(profile.by_provider()) > 1:
            where["provider"] = node.provider
        made.append({**where, **row, "shape": shapes, "module": node.module})
    return [*made, *_others("node", profile, ordered[most:], len(ordered) - most)]


def _others(
    by: str, profile: Profile, nodes: Sequence[NodeTime], count: int
) -> list[dict[str, Any]]:
    if count <= 0:
        return []
    return [_row(profile, by, f"({count} others)", profile.total(nodes))]


def _module_rows(
    profile: Profile, most: int, depth: int | None, is_folded: bool
) -> Iterator[dict[str, Any]]:
    root = fold(profile.tree()) if is_folded else profile.tree()
    if depth is None:
        opened = open_to(root, lambda m: sum(n.ms for n in m.items), most, LEAST_SHARE)
    else:
        opened = {m.path for m in root.walk() if len(m.path) < depth}
    # The heaviest stay where there are too many beside each other.
    weigh = None if depth is not None else lambda m: sum(n.ms for n in m.items)
    for indent, title, nodes in shown(root, opened, most, weigh):
        yield _row(profile, "module", "  " * indent + title, profile.total(nodes))


def shown(
    root: Module[Any],
    opened: set[Path],
    most: int,
    weigh: Callable[[Module[Any]], float] | None,
) -> Iterator[tuple[int, str, list[Any]]]:
    """Indent, title and items of each row of a tree, opened where it is said.

    With ``weigh``, of modules beside each other only so many are shown, the heaviest.
    """
    yield from _shown(root, 0, Module(), opened, lambda below: _kept(below, most, weigh))


def _kept(
    children: Sequence[Module[Any]], most: int, weigh: Callable[[Module[Any]], float] | None
) -> set[int]:
    if weigh is None or len(children) <= most:
        return set(range(len(children)))
    return set(sorted(range(len(children)), key=lambda i: -weigh(children[i]))[:most])


def _shown(
    module: Module[Any],
    indent: int,
    above: Module[Any],
    opened: set[Path],
    keep: Callable[[Sequence[Module[Any]]], set[int]],
) -> Iterator[tuple[int, str, list[Any]]]:
    # A module that is nothing but its one child needs no row of its own.
    while module.path in opened and len(module.children) == 1 and not module.own:
        module = module.children[0]
    title = ".".join(module.path[len(above.path) :]) or WHOLE
    if module.repeats != above.repeats:
        title += f"  x{module.repeats}"
    yield indent, title, module.items
    if module.path not in opened or not module.children:
        return
    children = module.children
    kept = keep(children)
    for index in sorted(kept):
        yield from _shown(children[index], indent + 1, module, opened, keep)
    left = [child for index, child in enumerate(children) if index not in kept]
    if left:
        yield indent + 1, f"({len(left)} others)", [n for child in left for n in child.items]
    if module.own:
        yield indent + 1, ITSELF, module.own


def summary(profile: Profile) -> list[str]:
    """A few lines above the table."""
    inputs = ", ".join(f"{name}: {text}" for name, text in profile.inputs.items())
    plain = f"{profile.plain_ms:.4g} ms without the profiler"
    lines = [
        f"{profile.model}  {inputs}",
        f"{profile.ms:.4g} ms a run ({plain}), middle half within {100 * profile.spread:.2g} %, "
        f"{profile.runs} runs; {profile.threads} thread{'s' * (profile.threads != 1)}, "
        f"{', '.join(profile.providers)}, onnxruntime {profile.onnxruntime}",
    ]
    parts = [(KINDS[kind], total.share) for kind, total in profile.by_kind().items()]
    parts.append(("between nodes", profile.framework_ms / profile.ms if profile.ms else 0.0))
    lines.append(", ".join(f"{name} {100 * share:.1f} %" for name, share in parts))
    if profile.peak_bytes:
        lines[-1] += f"; at most {profile.peak_bytes / 1e6:.4g} MB allocated"
    if len(profile.by_provider()) > 1:
        placed = profile.by_provider().items()
        lines.append(
            ", ".join(f"{name}: {t.nodes} nodes, {100 * t.share:.1f} %" for name, t in placed)
        )
    if not profile.has_modules:
        lines.append("the model does not say which modules its nodes come from")
    if not profile.is_attributed:
        lines.append("ONNX Runtime's own graph is not at hand: fused nodes stand under no module")
    return lines


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as lines, numbers to the right."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(name, "")) for name in columns] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(columns)]
    is_text = [
        any(isinstance(row.get(name), str) and row[name] for row in rows) for name in columns
    ]

    def line(row: Sequence[str]) -> str:
        padded = (
            text.ljust(width) if left else text.rjust(width)
            for text, width, left in zip(row, widths, is_text, strict=True)
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(columns), *map(line, cells)])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".") if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)
