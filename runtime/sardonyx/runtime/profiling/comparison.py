"""Two profiles side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from . import table
from .report import NodeTime, Profile
from .tree import Module, build, fold, open_to

Side = tuple[int, NodeTime]


@dataclass(frozen=True)
class ProfileComparison:
    """One model before, and another after; ``print`` shows them side by side.

    Names of nodes differ between the two, module paths do not.

    Attributes:
        before: The one.
        after: The other.
    """

    before: Profile
    after: Profile

    @property
    def speedup(self) -> float:
        """How many times as fast the second is, by the calls without the profiler."""
        return self.before.plain_ms / self.after.plain_ms

    def by_operator(self) -> dict[str, tuple[float, float]]:
        """Milliseconds before and after by operator, the longest first."""
        sides = [{k: t.ms for k, t in p.by_operator().items()} for p in self._profiles]
        return _joined(*sides)

    def by_module(self) -> dict[str, tuple[float, float]]:
        """Milliseconds before and after by module path, with all that is below it."""
        return {".".join(m.path): _ms(m.items) for m in self._tree().walk()}

    def rows(
        self, by: str = "module", *, most: int = 30, depth: int | None = None, fold: bool = True
    ) -> list[dict[str, Any]]:
        """The table as rows; arguments as for ``Profile.rows``, but no nodes.

        Raises:
            ValueError: ``by`` is neither ``module`` nor ``operator``.
        """
        if by == "module":
            made = self._module_rows(most, depth, fold)
        elif by == "operator":
            made = self._operator_rows(most)
        else:
            raise ValueError(
                f"by is {by!r}; expected 'module' or 'operator': names of nodes differ"
            )
        between = (self.before.framework_ms, self.after.framework_ms)
        return [*made, _row(by, table.FRAMEWORK, *between)]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data, for JSON."""
        return {
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "speedup": self.speedup,
            "operators": {name: list(ms) for name, ms in self.by_operator().items()},
            "modules": {name: list(ms) for name, ms in self.by_module().items()},
        }

    def summary(self) -> list[str]:
        """A few lines above the table."""
        before, after = (profile.summary() for profile in self._profiles)
        return [
            *(f"before: {line}" for line in before),
            *(f"after:  {line}" for line in after),
            f"{self.speedup:.3g} times as fast without the profiler, "
            "measured one after the other (`sardonyx bench --against` takes turns)",
        ]

    def text(self, by: str | None = None, **view: Any) -> str:
        """A summary and the table, as text; arguments as for ``rows``."""
        has_modules = self.before.has_modules and self.after.has_modules
        by = by or ("module" if has_modules else "operator")
        return "\n".join([*self.summary(), "", table.as_text(self.rows(by, **view))])

    def __str__(self) -> str:
        return self.text()

    @property
    def _profiles(self) -> tuple[Profile, Profile]:
        return self.before, self.after

    def _tree(self) -> Module[Side]:
        return build((n.path, (side, n)) for side, p in enumerate(self._profiles) for n in p.nodes)

    def _operator_rows(self, most: int) -> list[dict[str, Any]]:
        pairs = list(self.by_operator().items())
        made = [_row("operator", name, *ms) for name, ms in pairs[:most]]
        if rest := pairs[most:]:
            sums = (sum(ms[0] for _, ms in rest), sum(ms[1] for _, ms in rest))
            made.append(_row("operator", f"({len(rest)} others)", *sums))
        return made

    def _module_rows(self, most: int, depth: int | None, is_folded: bool) -> list[dict[str, Any]]:
        root = fold(self._tree()) if is_folded else self._tree()
        if depth is None:
            opened = open_to(root, lambda m: sum(_ms(m.items)), most, table.LEAST_SHARE)
        else:
            opened = {m.path for m in root.walk() if len(m.path) < depth}
        weigh = None if depth is not None else lambda m: sum(_ms(m.items))
        lines = table.shown(root, opened, most, weigh)
        return [_row("module", "  " * n + title, *_ms(items)) for n, title, items in lines]


def _ms(items: Iterable[Side]) -> tuple[float, float]:
    before = after = 0.0
    for side, node in items:
        before, after = (before, after + node.ms) if side else (before + node.ms, after)
    return before, after


def _row(by: str, title: str, before: float, after: float) -> dict[str, Any]:
    return {
        by: title,
        "before ms": round(before, 3),
        "after ms": round(after, 3),
        "saved ms": round(before - after, 3),
        "times": round(before / after, 2) if before and after else "",
    }


def _joined(before: dict[str, float], after: dict[str, float]) -> dict[str, tuple[float, float]]:
    pairs = {name: (before.get(name, 0.0), after.get(name, 0.0)) for name in {**before, **after}}
    return dict(sorted(pairs.items(), key=lambda item: -max(item[1])))
