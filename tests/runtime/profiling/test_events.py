"""Traces of ONNX Runtime, written by hand."""

from __future__ import annotations

import json

from sardonyx.runtime.profiling.events import read_events, runs_of
from sardonyx.runtime.profiling.measure import middle, spread
from tests.runtime.profiling.nets import ran, run


def times(found):
    return {node.name: (node.microseconds, node.calls) for node in found.nodes.values()}


def test_nodes_go_to_the_run_in_which_they_ran():
    first, second = runs_of(
        [ran("a", 110, 5), run(100, 50), ran("a", 210, 7), ran("b", 220, 9), run(200, 50)]
    )
    assert times(first) == {"a": (5, 1)}
    assert times(second) == {"a": (7, 1), "b": (9, 1)}
    assert (second.microseconds, second.busy) == (50, 16)


def test_a_run_that_the_trace_does_not_hold_whole_is_left_out():
    (only,) = runs_of([ran("a", 110, 5), run(100, 50), ran("a", 210, 7)])
    assert times(only) == {"a": (5, 1)}


def test_a_loop_does_not_count_what_its_body_counts():
    """The body's nodes come first in the trace, and lie inside the loop's time."""
    (found,) = runs_of(
        [
            ran("body", 112, 10),
            ran("inner", 131, 2),
            ran("branch", 130, 20),
            ran("body", 155, 10),
            ran("loop", 110, 90),
            ran("after", 200, 5),
            run(100, 150),
        ]
    )
    assert times(found) == {
        "loop": (90 - 10 - 20 - 10, 1),
        "body": (20, 2),
        "branch": (18, 1),
        "inner": (2, 1),
        "after": (5, 1),
    }
    assert found.busy == 95


def test_of_two_that_begin_together_the_longer_is_around_the_other():
    (found,) = runs_of([ran("body", 110, 10), ran("loop", 110, 90), run(100, 150)])
    assert times(found) == {"loop": (80, 1), "body": (10, 1)}


def test_nodes_that_run_at_the_same_time_are_busy_once():
    (found,) = runs_of([ran("a", 110, 40), {**ran("b", 120, 40), "tid": 2}, run(100, 100)])
    assert found.busy == 50
    assert sum(node.microseconds for node in found.nodes.values()) == 80


def test_shapes_bytes_and_memory_are_read():
    more = {
        "input_type_shape": [{"float": [2, 3]}, {"int64": []}, {}],
        "output_type_shape": [{"float": [2, 5]}],
        "output_size": "40",
        "activation_size": "24",
        "mem_in_use_peak": "1000",
    }
    (found,) = runs_of([ran("a", 110, 5, **more), ran("b", 120, 5), run(100, 50)])
    a, b = found.nodes.values()
    assert (a.inputs, a.outputs, a.dtypes) == (((2, 3), ()), ((2, 5),), ("float",))
    assert (a.output_bytes, a.input_bytes, a.provider) == (40, 24, "CPUExecutionProvider")
    assert (b.inputs, b.outputs, b.output_bytes) == ((), (), 0)
    assert found.peak_bytes == 1000


def test_what_is_no_event_is_left_out(tmp_path):
    place = tmp_path / "trace.json"
    place.write_text(json.dumps([run(0, 1), 3, None]), encoding="utf-8")
    assert [event["name"] for event in read_events(place)] == ["model_run"]


def test_the_middle_half_of_the_runs_is_kept():
    """One run that was disturbed, and one that was lucky, do not count."""
    found = runs_of([run(start * 1000, taken) for start, taken in enumerate([9, 50, 10, 1, 11])])
    assert [one.microseconds for one in middle(found)] == [9, 10, 11]
    assert [one.microseconds for one in middle(found[:3])] == [9, 10, 50]
    assert spread(found) == (11 - 9) / 10
