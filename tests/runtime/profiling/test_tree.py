"""Modules as a tree, folded and opened."""

from __future__ import annotations

from sardonyx.runtime.profiling.table import shown
from sardonyx.runtime.profiling.tree import Module, build, fold, open_to


def tree(*paths: str) -> Module[str]:
    return build((tuple(path.split(".")), path) for path in paths)


def lines(root: Module[str], opened=None, most=100) -> list[str]:
    chosen = {m.path for m in root.walk()} if opened is None else opened
    weigh = lambda module: len(module.items)  # noqa: E731
    return [
        "  " * indent + f"{title} {len(items)}"
        for indent, title, items in shown(root, chosen, most, weigh)
    ]


def test_a_module_holds_what_is_below_it():
    root = tree("a.x", "a.y", "b", "a")
    assert [module.items for module in root.walk()] == [
        ["a.x", "a.y", "b", "a"][:0] or ["a", "a.x", "a.y", "b"],
        ["a", "a.x", "a.y"],
        ["a.x"],
        ["a.y"],
        ["b"],
    ]


def test_what_is_only_its_one_child_has_no_row():
    assert lines(tree("net.encoder.a", "net.encoder.b")) == ["net.encoder 2", "  a 1", "  b 1"]


def test_what_is_a_modules_own_has_a_row_beside_its_children():
    assert lines(tree("net", "net.a")) == ["net 2", "  a 1", "  (itself) 1"]


def test_numbered_modules_built_alike_are_one_row():
    paths = [f"layer.{i}.{part}" for i in range(11, -1, -1) for part in ("norm", "mlp.up")]
    assert lines(fold(tree(*paths))) == ["layer.0-11  x12 24", "  norm 12", "  mlp.up 12"]


def test_numbered_modules_built_otherwise_stand_by_themselves():
    paths = ["0.down", "0.a", "1.a", "2.a", "4.a", "5.a", "last"]
    folded = fold(tree(*[f"net.{path}" for path in paths]))
    assert lines(folded) == [
        "net 7",
        "  last 1",
        "  0 2",
        "    down 1",
        "    a 1",
        "  1-2.a  x2 2",
        "  4-5.a  x2 2",
    ]


def test_numbered_modules_in_numbered_modules_are_folded_too():
    paths = [f"stage.{i}.block.{j}.conv" for i in range(2) for j in range(3)]
    assert lines(fold(tree(*paths))) == ["stage.0-1.block.0-2.conv  x6 6"]


def test_folding_loses_nothing():
    paths = ["0.a", "1.a", "1.a", "2.a.b", "x", "3.c.0", "3.c.1"]
    assert sorted(fold(tree(*paths)).items) == sorted(paths)


def test_the_heaviest_modules_are_opened_within_the_rows():
    root = tree(*["a.x"] * 6, *["a.y"] * 3, *["b.x"] * 2, "b.y", "c.x.z", "c.y")
    weigh = lambda module: len(module.items)  # noqa: E731
    assert open_to(root, weigh, most=7, least_share=0.01) == {(), ("a",)}
    assert open_to(root, weigh, most=9, least_share=0.01) == {(), ("a",), ("b",)}
    assert open_to(root, weigh, most=99, least_share=0.2) == {(), ("a",), ("b",)}


def test_the_model_is_opened_whatever_the_rows():
    assert open_to(tree("a", "b", "c"), lambda m: len(m.items), most=2, least_share=0) == {()}


def test_a_modules_own_row_is_counted():
    weigh = lambda module: len(module.items)  # noqa: E731
    root = tree("a", "a.x", "a.y", "b")
    assert open_to(root, weigh, most=5, least_share=0) == {()}
    assert open_to(root, weigh, most=6, least_share=0) == {(), ("a",)}


def test_of_too_many_beside_each_other_the_heaviest_are_shown():
    root = tree(*["a"] * 3, "b", *["c"] * 2, "d")
    assert lines(root, most=2) == ["(model) 7", "  a 3", "  c 2", "  (2 others) 2"]
