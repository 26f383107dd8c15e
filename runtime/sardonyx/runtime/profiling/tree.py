"""Modules as a tree: what each holds in all, and rows of it that fit on a screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .modules import Path

Item = TypeVar("Item")


@dataclass
class Module(Generic[Item]):
    """A module and what is below it.

    Attributes:
        path: Its path, empty for the whole model. The last part of several modules that are built
            alike and stand beside each other is ``0-11``.
        own: The nodes that are its own, and no child's.
        children: Its submodules, in the order in which they first run.
        repeats: How many modules it stands for.
    """

    path: Path = ()
    own: list[Item] = field(default_factory=list)
    children: list[Module[Item]] = field(default_factory=list)
    repeats: int = 1

    @property
    def items(self) -> list[Item]:
        """Its own nodes and those of all modules below it."""
        return [*self.own, *(item for child in self.children for item in child.items)]

    def walk(self) -> Iterator[Module[Item]]:
        """This module and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def build(items: Iterable[tuple[Path, Item]]) -> Module[Item]:
    """The tree of items, each at its path."""
    root: Module[Item] = Module()
    known: dict[Path, Module[Item]] = {(): root}
    for path, item in items:
        for depth in range(1, len(path) + 1):
            place = path[:depth]
            if place not in known:
                known[place] = Module(place)
                known[place[:-1]].children.append(known[place])
        known[path].own.append(item)
    return root


def fold(module: Module[Item]) -> Module[Item]:
    """Numbered modules one after another that are built alike become one: ``layer.0-11``."""
    children: list[Module[Item]] = []
    run: list[Module[Item]] = []
    # They first run in another order where one fusion reaches over their border.
    ordered = sorted(module.children, key=_number)
    for child in ordered:
        if run and not (_follows(run[-1], child) and _structure(run[-1]) == _structure(child)):
            children.append(_merged(run))
            run = []
        run.append(child)
    if run:
        children.append(_merged(run))
    return Module(module.path, module.own, [fold(child) for child in children], module.repeats)


def _number(module: Module[Item]) -> int:
    """Numbered modules by number, after those that come before the first of them."""
    part = module.path[-1]
    return int(part) if part.isdecimal() else -1


def _follows(first: Module[Item], second: Module[Item]) -> bool:
    a, b = first.path[-1], second.path[-1]
    return a.isdecimal() and b.isdecimal() and int(b) == int(a) + 1


def _structure(module: Module[Item]) -> frozenset[Path]:
    """The paths below a module."""
    depth = len(module.path)
    found: set[Path] = set()
    waiting = list(module.children)
    while waiting:
        child = waiting.pop()
        found.add(child.path[depth:])
        waiting += child.children
    return frozenset(found)


def _merged(modules: list[Module[Item]]) -> Module[Item]:
    if len(modules) == 1:
        return modules[0]
    first, last = modules[0].path, modules[-1].path
    path = (*first[:-1], f"{first[-1]}-{last[-1]}")
    merged: Module[Item] = Module(path, repeats=sum(module.repeats for module in modules))
    _pour(modules, merged)
    return merged


def _pour(modules: Sequence[Module[Item]], into: Module[Item]) -> None:
    """Put what these modules hold into one, child by child."""
    into.own = [item for module in modules for item in module.own]
    names = list(dict.fromkeys(child.path[-1] for module in modules for child in module.children))
    for name in names:
        alike = [c for module in modules for c in module.children if c.path[-1] == name]
        repeats = sum(child.repeats for child in alike)
        child: Module[Item] = Module((*into.path, name), repeats=repeats)
        _pour(alike, child)
        into.children.append(child)


def open_to(
    root: Module[Item], weigh: Callable[[Module[Item]], float], most: int, least_share: float
) -> set[Path]:
    """Paths of the modules to open so that at most so many rows are shown.

    The heaviest are opened first, none that holds less than a share of the whole.
    """
    opened: set[Path] = set()
    rows = 1
    total = weigh(root)
    shown = [root]
    while shown:
        heaviest = max(shown, key=weigh)
        shown.remove(heaviest)
        if weigh(heaviest) < least_share * total or not heaviest.children:
            continue
        added = len(heaviest.children) + bool(heaviest.own)
        if rows + added > most and opened:
            continue
        opened.add(heaviest.path)
        rows += added
        shown += heaviest.children
    return opened
