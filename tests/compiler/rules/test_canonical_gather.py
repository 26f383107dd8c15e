"""Gathers in order: matches, near misses, shared values, numerics."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.canonical_gather import RULES
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared, check_stays, check_unchanged

BY_NAME = {rule.name: rule for rule in RULES}
EXACT = {"atol": 0, "rtol": 0}
SIZES = [{"b": 3, "s": 5, "c": 3}, {"b": 1, "s": 1, "c": 1}]


def pairs(*shape: int, rows: slice = slice(None), turned: bool = False) -> np.ndarray:
    """The index of each element of a matrix, [rows, 1, columns, 2]."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)[rows]
    return index[:, None, :, ::-1] if turned else index[:, None]


STATIC = "g (float[3,4] x) => (float[i,1,j] y) { n = Neg(x) z = GatherND(n, at) y = Abs(z) }"


@pytest.mark.parametrize(
    ("at", "made"),
    [
        (pairs(3, 4), {"Unsqueeze": 1}),
        (pairs(2, 4), {"Slice": 1, "Unsqueeze": 1}),
        (pairs(3, 4, rows=slice(1, 3)), {"Slice": 1, "Unsqueeze": 1}),
        (pairs(3, 4, rows=slice(2, 3))[:, :, 1:2], {"Slice": 2, "Unsqueeze": 1}),
    ],
)
def test_gather_nd_of_constant_places(at: np.ndarray, made: dict[str, int]):
    rule = BY_NAME["gather_nd_of_window"]
    text = STATIC.replace("[i,1,j]", str(list(at.shape[:-1])))
    check_rule(rule, model(text, at=at), {"Neg": 1, "Abs": 1, **made}, **EXACT)
    check_shared(rule, model(text, at=at), **EXACT)


def test_gather_nd_of_one_page():
    at = np.insert(pairs(3, 4), 0, 0, axis=-1)
    text = "g (float[2,3,4] x) => (float[3,1,4] y) { z = GatherND(x, at) y = Abs(z) }"
    made = {"Slice": 1, "Reshape": 1, "Abs": 1}
    check_rule(BY_NAME["gather_nd_of_window"], model(text, at=at), made, **EXACT)


COLUMN = """g (float[2,ROWS] x, float[b,s] like) => (float[b,1] y) {
    nb = Shape<end = 1>(like) kb = Squeeze(nb) rb = Range(zero, kb, step)
    pb = Unsqueeze(rb, ends) w = Shape(pb) ps = Expand(zero, w) at = Concat<axis = -1>(ps, pb)
    z = GatherND(x, at) y = Abs(z) }"""


def test_gather_nd_of_a_range_in_one_row():
    text = COLUMN.replace("ROWS", "b")
    given = model(text, **PLACES, ends=np.array([1, 2]))
    made = {"Slice": 1, "Squeeze": 1, "Unsqueeze": 1, "Abs": 1}
    check_rule(BY_NAME["gather_nd_of_window"], given, made, dims=SIZES, **EXACT)


def test_gather_nd_of_one_sequence_keeps_its_axis():
    text = "g (float[1,4] x) => (float[1,1,4] y) { z = GatherND(x, at) y = Abs(z) }"
    given = model(text, at=pairs(1, 4))
    check_rule(BY_NAME["gather_nd_of_window"], given, {"Unsqueeze": 1, "Abs": 1}, **EXACT)


def test_gather_nd_of_one_row_among_several():
    at = pairs(3, 4)[2, 0]  # [4, 2]
    text = "g (float[3,4] x) => (float[4] y) { z = GatherND(x, at) y = Abs(z) }"
    made = {"Slice": 1, "Squeeze": 1, "Abs": 1}
    check_rule(BY_NAME["gather_nd_of_window"], model(text, at=at), made, **EXACT)


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (pairs(3, 4, turned=True)[:, :, :3], "the gather transposes"),
        (pairs(3, 4)[:, :, ::-1], "the indices do not count along their axes"),
        (pairs(3, 4) - 1, "an index is negative"),
        (pairs(3, 4)[:, :, :1].repeat(2, axis=2), "the gather repeats what it reads"),
    ],
)
def test_other_constant_places(at: np.ndarray, reason: str):
    text = STATIC.replace("[i,1,j]", str(list(at.shape[:-1])))
    check_miss(BY_NAME["gather_nd_of_window"], model(text, at=np.ascontiguousarray(at)), reason)


def test_gather_nd_with_batch_axes_and_out_of_range():
    text = "g (float[3,4] x) => (float[3] y) { y = GatherND<batch_dims = 1>(x, at) }"
    at = np.arange(3)[:, None]
    check_miss(BY_NAME["gather_nd_of_window"], model(text, at=at), "the gather has batch axes")
    text = "g (float[3,4] x) => (float[5,4] y) { y = GatherND(x, at) }"
    at = np.arange(5)[:, None]
    check_miss(BY_NAME["gather_nd_of_window"], model(text, at=at), "go beyond the data")


COUNTED = """g (float[ROWS,s] x, float[b,s] like) => (float[b,1,1,s] y) {
    n = Neg(x) nb = Shape<start = 0, end = 1>(like) ns = Shape<start = 1, end = 2>(like)
    kb = Squeeze(nb) ks = Squeeze(ns) rb = Range(zero, kb, step) rs = Range(zero, ks, step)
    ub = Unsqueeze(rb, behind) us = Unsqueeze(rs, before) t = Add(ub, us) w = Shape(t)
    eb = Expand(ub, w) es = Expand(us, w) pb = Unsqueeze(eb, last) ps = Unsqueeze(es, last)
    at = Concat<axis = -1>(pb, ps) z = GatherND(n, at) y = Abs(z) }"""
PLACES = {
    "zero": np.array(0),
    "step": np.array(1),
    "behind": np.array([1, 2, 3]),
    "before": np.array([0, 1, 2]),
    "last": np.array([-1]),
}


def test_gather_nd_of_ranges():
    rule = BY_NAME["gather_nd_of_window"]
    given = model(COUNTED.replace("ROWS", "b"), **PLACES)
    check_rule(rule, given, {"Neg": 1, "Unsqueeze": 1, "Abs": 1}, dims=SIZES, **EXACT)
    check_shared(rule, given, dims=SIZES, **EXACT)


def test_gather_nd_of_ranges_of_another_length():
    """Rows are gathered by themselves, which fails where there are fewer, as it did."""
    given = model(COUNTED.replace("ROWS", "c"), **PLACES)
    made = {"Neg": 1, "Gather": 1, "Unsqueeze": 1, "Abs": 1}
    # What counts the rows reads their number off the indices that there were.
    kept = {"Shape": 4, "Squeeze": 3, "Range": 3, "Add": 1, "Expand": 2, "Concat": 1}
    sizes = [*SIZES, {"b": 2, "s": 5, "c": 3}]
    kept |= {"Unsqueeze": 5}
    check_rule(BY_NAME["gather_nd_of_window"], given, made | kept, dims=sizes, **EXACT)
    given = model(COUNTED.replace("ROWS", "3"), **PLACES)
    sizes = [{"b": 3, "s": 5}, {"b": 1, "s": 1}]
    check_rule(BY_NAME["gather_nd_of_window"], given, made | kept, dims=sizes, **EXACT)


def test_gather_nd_of_ranges_of_other_columns():
    given = model(COUNTED.replace("[ROWS,s]", "[b,c]"), **PLACES)
    kept = {"Shape": 4, "Squeeze": 3, "Range": 3, "Add": 1, "Expand": 2, "Concat": 1}
    kept |= {"Neg": 1, "Gather": 1, "Unsqueeze": 5, "Abs": 1}
    sizes = [{"b": 2, "s": 3, "c": 5}, *SIZES[1:]]
    check_rule(BY_NAME["gather_nd_of_window"], given, kept, dims=sizes, **EXACT)


@pytest.mark.parametrize(
    ("made", "result"),
    [
        ("r = Range(zero, step, step) at = Concat<axis = -1>(r)", "float[4]"),
        ("e = Expand(step, none) f = Expand(two, both) at = Concat<axis = -1>(e, f)", "float"),
    ],
)
def test_gather_nd_of_pieces_that_are_no_columns(made: str, result: str):
    text = f"g (float[3,4] x) => ({result} y) {{ {made} z = GatherND(x, at) y = Abs(z) }}"
    given = model(text, **PLACES, none=np.array([0]), both=np.array([2]), two=np.array(2))
    check_miss(BY_NAME["gather_nd_of_window"], given, "do not count along their axes")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("zero, kb", "step, kb"), "the places that are gathered are not known"),
        (("kb, step", "kb, stride"), "the indices do not count along their axes"),
        (("(pb, ps)", "(ps, pb)"), "the gather transposes"),
        (("Add(ub, us)", "Add(ut, us)"), "the gather repeats what it reads"),
    ],
)
def test_ranges_that_are_no_window(change: tuple[str, str], reason: str):
    text = COUNTED.replace("ROWS", "b").replace(*change)
    if "(ut" in text:
        text = text.replace("float[b,1,1,s] y", "float[b,1,7,s] y")
        text = text.replace("t = Add", "ut = Expand(ub, seven) t = Add")
    seven = np.array([1, 1, 7, 1])
    given = model(text, **PLACES, stride=np.array(2), seven=seven)
    check_miss(BY_NAME["gather_nd_of_window"], given, reason)


def test_gather_of_all():
    text = "g (float[b,6,3] x) => (float[b,2,3,3] y) { z = Gather<axis = 1>(x, at) y = Abs(z) }"
    given = model(text, at=np.arange(6).reshape(2, 3))
    check_rule(BY_NAME["gather_of_all"], given, {"Reshape": 1, "Abs": 1}, dims=SIZES, **EXACT)
    given = model(text.replace("3] ", "1] "), at=np.arange(6).reshape(2, 3))
    check_rule(BY_NAME["gather_of_all"], given, {"Reshape": 1, "Abs": 1}, dims=SIZES, **EXACT)


@pytest.mark.parametrize(
    ("change", "at", "reason"),
    [
        (("", ""), np.array([[0, 1, 2], [3, 5, 4]]), "the indices are not all there are, in order"),
        (("b,6", "b,7"), np.arange(6).reshape(2, 3), "the indices are not all there are, in order"),
        (("3] ", "0] "), np.arange(6).reshape(2, 3), "the shape of what is gathered is not known"),
        (("3] ", "s] "), np.arange(6).reshape(2, 3), "the shape of what is gathered is not known"),
    ],
)
def test_gather_of_some(change: tuple[str, str], at: np.ndarray, reason: str):
    text = "g (float[b,6,3] x) => (float[b,2,3,3] y) { z = Gather<axis = 1>(x, at) y = Abs(z) }"
    check_miss(BY_NAME["gather_of_all"], model(text.replace(*change), at=at), reason)


def test_gather_before_an_axis_of_unknown_length():
    text = "g (float[6,3,s] x) => (float[2,3,3,s] y) { z = Gather(x, at) y = Abs(z) }"
    given = model(text, at=np.arange(6).reshape(2, 3))
    check_miss(BY_NAME["gather_of_all"], given, "the shape of what is gathered is not known")


def test_gather_of_the_one_element_of_an_axis():
    text = "g (float[b,1] x) => (float[b,1] y) { z = Gather<axis = 1>(x, at) y = Abs(z) }"
    given = model(text, at=np.array([0]))
    check_rule(BY_NAME["gather_of_whole_axis"], given, {"Abs": 1}, dims=SIZES, **EXACT)
    near = model(text.replace("[b,1]", "[b,2]"), at=np.array([0, 0]))
    check_miss(BY_NAME["gather_of_whole_axis"], near, "not known to be all there are")


WHOLE = """g (float[b,s] x, float[b,s] like) => (float[b,s] y) { n = Shape<start = 1, end = 2>(like)
    k = Squeeze(n) at = Range(zero, k, step) z = Gather<axis = 1>(x, at) y = Abs(z) }"""


def test_gather_of_a_whole_axis():
    given = model(WHOLE, **PLACES)
    check_rule(BY_NAME["gather_of_whole_axis"], given, {"Abs": 1}, dims=SIZES, **EXACT)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("float[b,s] x", "float[b,c] x"), "not known to be all there are"),
        (("zero, k", "step, k"), "do not count from 0"),
        (("float[b,s] y", "float[b] y"), "do not count from 0"),
    ],
)
def test_gather_of_part_of_an_axis(change: tuple[str, str], reason: str):
    text = WHOLE.replace(*change)
    text = (
        text.replace("Gather<axis = 1>(x, at)", "Gather<axis = 1>(x, k)")
        if "[b] y" in text
        else text
    )
    check_miss(BY_NAME["gather_of_whole_axis"], model(text, **PLACES), reason)


FLAT = """g (float[b,s] x) => (float[b,1,1,s,1] y) {
    n = Neg(x) f = Flatten<axis = 2>(n) nb = Shape<end = 1>(x) ns = Shape<start = 1>(x)
    kb = Squeeze(nb) ks = Squeeze(ns) rb = Range(zero, kb, step) rs = Range(zero, ks, step)
    ub = Unsqueeze(rb, behind) us = Unsqueeze(rs, before) skip = Mul(ub, ns)
    at = Add(us, skip) z = Gather(f, at) y = Abs(z) }"""


def test_gather_of_a_flat_matrix():
    rule = BY_NAME["gather_of_flat_matrix"]
    made = {"Neg": 1, "Unsqueeze": 1, "Abs": 1}
    check_rule(rule, model(FLAT, **PLACES), made, dims=SIZES, **EXACT)
    check_shared(rule, model(FLAT, **PLACES), dims=SIZES, **EXACT)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("Mul(ub, ns)", "Mul(ub, nb)"), "does not count by the length of a row"),
        (("zero, kb", "step, kb"), "do not count the elements of a matrix"),
        (("zero, ks", "step, ks"), "do not count the elements of a matrix"),
        (("Mul(ub, ns)", "Mul(none, ns)"), "do not count the elements of a matrix"),
        (("Add(us, skip)", "Add(none, skip)"), "do not count the elements of a matrix"),
        (("Gather(f, at)", "Gather<axis = 1>(f, at)"), "what is gathered from is no flat matrix"),
        (("Mul(ub, ns)", "Mul(ut, ns)"), "the gather repeats what it reads"),
        (("kb, step", "kb, stride"), "the indices do not count along their axes"),
        (("axis = 2>(n)", "axis = 1>(n)"), "what is gathered from is no flat matrix"),
        (("rb = Range(zero, kb", "rb = Range(zero, ks"), "not known to be all there are"),
    ],
)
def test_gather_of_a_flat_matrix_otherwise(change: tuple[str, str], reason: str):
    text = FLAT.replace(*change)
    if "axis = 1>(n)" in text:
        text = text.replace("[b,1,1,s,1] y", "[b,1,1,s,s] y")
    text = text.replace("[b,1,1,s,1] y", "[s,1,1,s,1] y") if "rb = Range(zero, ks" in text else text
    text = text.replace("skip = Mul(ut", "ut = Expand(ub, seven) skip = Mul(ut")
    more = {"none": np.zeros((1, 1, 1, 1), np.int64), "seven": np.array([1, 1, 7, 1])}
    given = model(text, **PLACES, **more, stride=np.array(2))
    given.graph.outputs[0].shape = None
    check_miss(BY_NAME["gather_of_flat_matrix"], given, reason)


def test_gather_of_a_flat_matrix_of_one_axis():
    text = FLAT.replace("Flatten<axis = 2>(n)", "Reshape(n, all)").replace("s,1] y", "s] y")
    made = {"Neg": 1, "Unsqueeze": 1, "Abs": 1}
    given = model(text, **PLACES, all=np.array([-1]))
    check_rule(BY_NAME["gather_of_flat_matrix"], given, made, dims=SIZES, **EXACT)


def test_gather_of_a_diagonal_of_a_flat_matrix():
    text = """g (float[s,s] x) => (float[s,1] y) {
        n = Neg(x) f = Flatten<axis = 2>(n) ns = Shape<start = 1>(x) ks = Squeeze(ns)
        rs = Range(zero, ks, step) skip = Mul(rs, ns) at = Add(rs, skip) z = Gather(f, at)
        y = Abs(z) }"""
    reason = "not known to be all there are"
    check_miss(BY_NAME["gather_of_flat_matrix"], model(text, **PLACES), reason)


def test_gather_elements_of_equal_ones():
    text = """g (bool[b,s] odd) => (int64[b,s] y) {
        at = Cast<to = 7>(odd) z = GatherElements<axis = 1>(t, at) y = Neg(z) }"""
    given = model(text, t=np.full((9, 12), 3))
    made = {"Cast": 1, "Shape": 1, "Expand": 1, "Neg": 1}
    check_rule(BY_NAME["gather_elements_of_one_value"], given, made, dims=SIZES, **EXACT)
    for other in (np.arange(108).reshape(9, 12), np.zeros((0, 2), np.int64)):
        near = model(text, t=other)
        check_miss(BY_NAME["gather_elements_of_one_value"], near, "is not one value")


def test_gather_elements_of_the_only_one():
    text = """g (int64[b,s] k) => (int64[b,s] y) {
        at = Mul(k, zero) z = GatherElements(t, at) y = Neg(z) }"""
    given = model(text, zero=np.array(0), t=np.array([[7]]))
    made = {"Mul": 1, "Shape": 1, "Expand": 1, "Neg": 1}
    sizes = {"b": 1, "s": 1}
    check_rule(BY_NAME["gather_elements_of_one_value"], given, made, dims=sizes, **EXACT)


def test_gather_elements_of_equal_texts():
    near = model("""g (int64[s] at) => (string[s] y) {
        t = Constant<value_strings = ["a", "a"]>() y = GatherElements(t, at) }""")
    check_miss(BY_NAME["gather_elements_of_one_value"], near, "is not one value")


ROW = """g (float[b,s] like) => (float[b,s,4] y) {
    n = Shape(like) at = Expand(k, n) z = Gather(t, at) y = Abs(z) }"""


@pytest.mark.parametrize("k", [np.array(1), np.array([-2]), np.array(-3)])
def test_gather_of_one_row(k: np.ndarray):
    rule, given = BY_NAME["gather_of_one_row"], model(ROW, k=k, t=normal(3, 4))
    made = {"Shape": 1, "Concat": 1, "Expand": 1, "Abs": 1}
    check_rule(rule, given, made, dims=SIZES, **EXACT)
    check_shared(rule, given, dims=SIZES, **EXACT)


def test_gather_of_one_row_to_an_unknown_rank():
    text = "g (int64[r] n) => (float y) { at = Expand(k, n) z = Gather(t, at) y = Abs(z) }"
    given = model(text, k=np.array(1), t=normal(3, 4))
    given.graph.outputs[0].shape = None
    check_miss(BY_NAME["gather_of_one_row"], given, "the shape of the indices is not known")


@pytest.mark.parametrize(
    ("k", "reason"),
    [
        (np.array([0, 1]), "the indices differ"),
        (np.array(3), "outside of the table"),
        (np.array(-4), "outside of the table"),
    ],
)
def test_gather_of_other_rows(k: np.ndarray, reason: str):
    text = ROW.replace("float[b,s]", "float[b,2]").replace("b,s,4", "b,2,4")
    check_miss(BY_NAME["gather_of_one_row"], model(text, k=k, t=normal(3, 4)), reason)


CUT = """g (float[b,s] like) => (float[1,m,4] y) { n = Shape<start = 1>(like)
    at = Slice(k, zeros, n, AXES) z = Gather(t, at) y = Abs(z) }"""


def test_gather_of_a_slice():
    text = CUT.replace("AXES", "ones").replace("m,4", "s,4").replace("b,s]", "b,s]")
    given = model(text, k=np.array([[4, 0, 1, 3, 2]]), t=normal(5, 4), **AXES)
    rule = BY_NAME["gather_of_slice"]
    check_rule(rule, given, {"Shape": 1, "Slice": 1, "Abs": 1}, dims=SIZES, **EXACT)
    check_shared(rule, given, dims=SIZES, **EXACT)


@pytest.mark.parametrize("axes", ["zeros", "ones"])
def test_gather_of_a_slice_of_places_from_both_ends(axes):
    text = CUT.replace("AXES", axes).replace("m,4", "5,4" if axes == "zeros" else "s,4")
    given = model(text, k=np.array([[4, 0, 1, 3, -5]]), t=normal(5, 4), **AXES)
    made = {"Shape": 1, "Slice": 1, "Abs": 1}
    check_rule(BY_NAME["gather_of_slice"], given, made, dims=SIZES, **EXACT)


AXES = {"zeros": np.array([0]), "ones": np.array([1]), "minus": np.array([-1])}


@pytest.mark.parametrize(
    ("k", "axes", "reason"),
    [
        (np.array([[4, 0, 1, 3, 2, 0]]), "ones", "the indices are more than the rows"),
        (np.array([[4, 0, 1, 3, 9]]), "ones", "an index is outside of the table"),
        (np.array([[4, 0, 1, 3, -6]]), "ones", "an index is outside of the table"),
        (np.zeros((1, 0), np.int64), "ones", "an index is outside of the table"),
        (np.array([[4, 0, 1, 3, 2]]), "minus", "are not counted from the first"),
    ],
)
def test_gather_of_another_slice(k: np.ndarray, axes: str, reason: str):
    text = CUT.replace("AXES", axes).replace("m,4", "s,4")
    check_miss(BY_NAME["gather_of_slice"], model(text, k=k, t=normal(5, 4), **AXES), reason)


def test_gather_of_a_slice_whose_axes_are_counted_from_both_ends():
    text = CUT.replace("zeros, n, AXES", "zeros, n, both").replace("m,4", "s,4")
    text = text.replace("Shape<start = 1>(like)", "Shape(like)")
    both = {"zeros": np.array([0, 0]), "both": np.array([0, -1])}
    given = model(text, k=np.array([[4, 0, 1, 3, 2]]), t=normal(5, 4), **both)
    check_miss(BY_NAME["gather_of_slice"], given, "are not counted from the first")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gather_nd_of_window", COUNTED.replace("ROWS", "b")),
        ("gather_of_flat_matrix", FLAT),
        ("gather_of_one_row", ROW),
        ("gather_of_slice", CUT.replace("AXES", "ones").replace("m,4", "s,4")),
    ],
)
def test_indices_may_be_read_elsewhere(name, text):
    held = {**PLACES, "k": np.array([[1]]) if "slice" in name else np.array(1)}
    held |= {} if " t = " in text else {"t": normal(3, 4)}
    check_stays(BY_NAME[name], model(text, **held, zeros=np.array([0]), ones=np.array([1])))


def test_a_table_is_read_by_rows():
    text = ROW.replace("Gather(t, at)", "Gather<axis = 1>(t, at)").replace("b,s,4", "3,b,s")
    check_unchanged(BY_NAME["gather_of_one_row"], model(text, k=np.array(1), t=normal(3, 4)))
    text = CUT.replace("AXES", "ones").replace("Gather(t, at)", "Gather<axis = 1>(t, at)")
    given = model(
        text.replace("1,m,4", "5,1,s"), k=np.array([[0, 1, 3, 2]]), t=normal(5, 4), **AXES
    )
    check_unchanged(BY_NAME["gather_of_slice"], given)
