"""Every step between the opsets is accounted for, and the schemas are read right."""

from __future__ import annotations

import pytest

from sardonyx.compiler.opset import history
from sardonyx.compiler.opset.down_adapters import BY_BODY, DOWN
from sardonyx.compiler.opset.history import Bump
from sardonyx.compiler.opset.table import ADDITIVE, UP


def unaccounted(after, until):
    """Steps that change what a node shows, and have neither an adapter nor a reason for none."""
    return [
        f"{bump}: {history.difference(bump)}"
        for bump in history.bumps(after, until)
        if not history.difference(bump).is_same_form
        and (bump.op_type, bump.new) not in UP
        and not (history.difference(bump).is_additive and (bump.op_type, bump.new) in ADDITIVE)
    ]


def test_every_step_up_has_an_adapter_or_a_reason():
    assert unaccounted(6, 23) == []


def test_a_missing_adapter_is_noticed(monkeypatch):
    monkeypatch.delitem(UP, ("Squeeze", 13))
    monkeypatch.delitem(ADDITIVE, ("TopK", 11))
    assert [line.split(":")[0] for line in unaccounted(6, 23)] == [
        "Squeeze 11 -> 13",
        "TopK 10 -> 11",
    ]


def test_every_step_down_is_additive_or_has_an_adapter():
    open_steps = [
        str(bump)
        for bump in history.bumps(18, 26)
        if history.difference(bump).other and (bump.op_type, bump.new) not in DOWN
    ]
    assert open_steps == []
    assert BY_BODY.isdisjoint(DOWN)


def test_tables_name_steps_that_exist():
    steps = {(bump.op_type, bump.new) for bump in history.bumps(1, history.newest_opset())}
    named = {*UP, *ADDITIVE, *DOWN, *BY_BODY}
    assert named - steps == set()
    assert set(UP) & set(ADDITIVE) == set()
    assert all(len(reason) > 10 for reason in ADDITIVE.values())


@pytest.mark.parametrize(
    ("bump", "kind"),
    [
        (Bump("Relu", 6, 13), "same"),
        (Bump("TopK", 10, 11), "additive"),
        (Bump("Pad", 13, 18), "additive"),
        (Bump("MaxPool", 1, 8), "additive"),
        (Bump("Squeeze", 11, 13), "other"),
        (Bump("Softmax", 11, 13), "other"),
        (Bump("Dropout", 7, 10), "other"),
        (Bump("Scatter", 9, 11), "other"),
    ],
)
def test_steps_are_told_apart(bump, kind):
    difference = history.difference(bump)
    found = "same" if difference.is_same_form else "additive" if difference.is_additive else "other"
    assert found == kind


def test_next_steps_of_a_node():
    assert history.next_bump("Softmax", 7) == Bump("Softmax", 1, 11)
    assert history.next_bump("Softmax", 11) == Bump("Softmax", 11, 13)
    assert history.next_bump("Softmax", 13) is None
    assert history.next_bump("Gelu", 19) is None
    assert history.at("Gelu", 19) is None
    assert history.at("Upsample", 12).deprecated
