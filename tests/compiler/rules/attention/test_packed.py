"""Query, key and value as parts of one projection."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.attention.packed import PART_OF_PROJECTION, TRANSPOSE_WITHOUT_ONES
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared

EXACT = {"atol": 0, "rtol": 0}
SIZES = [{"b": 3, "s": 5}, {"b": 1, "s": 1}]
NUMBERS = {
    "parted": np.int64([0, 0, 3, 2, 4]),
    "by_head": np.int64([0, 0, 2, 3, 4]),
    "flat": np.int64([0, 0, 3, 8]),
    "only": np.int64([0, 0, 1, 6, 4]),
    "zero": np.int64([0]),
    "one": np.int64([1]),
    "two": np.int64([2]),
    "three": np.int64([3]),
    "minus": np.int64([-1]),
    "first": np.int64(0),
    "second": np.int64(1),
    "last": np.int64(-1),
    "ones": np.int64([1, 1, 1]),
}


def part(*lines: str, result: str = "float[b,2,s,4]"):
    body = "\n".join(lines)
    return model(f"g (float[b,s,24] x) => ({result} y) {{ {body} }}", **NUMBERS)


PARTED = "r = Reshape(x, parted) t = Transpose<perm=[2,0,3,1,4]>(r)"


@pytest.mark.parametrize(
    "take",
    [
        "y = Gather<axis=0>(t, second)",
        "p = Slice(t, one, two, zero) y = Squeeze(p, zero)",
        "p = Slice(t, one, two, zero, one) y = Squeeze(p, zero)",
        "p, q, o = Split<axis=0>(t, ones) y = Squeeze(q, zero)",
        "p, q, o = Split<axis=-5,num_outputs=3>(t) y = Squeeze(q, zero)",
    ],
)
def test_a_part_of_a_transposed_projection_is_a_piece_of_a_split(take):
    left = {"Split": 1, "Reshape": 1, "Transpose": 1}
    after = check_rule(PART_OF_PROJECTION, part(PARTED, take), left, dims=SIZES, **EXACT)
    assert after.graph[-1].attributes["perm"].as_ints() == (0, 2, 1, 3)
    check_shared(PART_OF_PROJECTION, part(PARTED, take), dims=SIZES, **EXACT)


def test_a_part_of_what_is_no_projection_is_refused():
    text = """g (float[b,s,3,2,4] r) => (float[b,2,s,4] y) {
        t = Transpose<perm=[2,0,3,1,4]>(r) y = Gather<axis=0>(t, second) }"""
    given = model(text, second=NUMBERS["second"])
    check_miss(PART_OF_PROJECTION, given, "what parts are taken of is no reshaped projection")


def test_a_part_that_is_not_transposed():
    lines = ("r = Reshape(x, flat)", "y = Gather<axis=2>(r, first)")
    given = part(*lines, result="float[b,s,8]")
    check_rule(PART_OF_PROJECTION, given, {"Split": 1}, dims=SIZES, **EXACT)


def test_parts_of_each_head_stay_where_they_are():
    lines = ("r = Reshape(x, by_head)", "t = Transpose<perm=[3,0,2,1,4]>(r)")
    given = part(*lines, "y = Gather<axis=0>(t, second)")
    left = {"Reshape": 1, "Gather": 1, "Transpose": 1}
    check_rule(PART_OF_PROJECTION, given, left, dims=SIZES, **EXACT)


@pytest.mark.parametrize(
    ("lines", "result", "reason"),
    [
        ((PARTED, "y = Gather<axis=0>(t, one)"), "float[1,b,2,s,4]", "more than one part is taken"),
        ((PARTED, "y = Gather<axis=0>(t, last)"), "float[b,2,s,4]", "counted from the end"),
        (
            ("r = Reshape(x, by_head)", "y = Gather<axis=3>(r, first)"),
            "float[b,s,2,4]",
            "the parts do not lie one after the other on the last axis",
        ),
        (
            ("r = Reshape(x, by_head)", "t = Transpose(r)", "y = Gather<axis=0>(t, first)"),
            "float[3,2,s,b]",
            "the permutation is not given",
        ),
        (
            ("t = Transpose<perm=[2,0,1]>(x)", "y = Gather<axis=0>(t, first)"),
            "float[b,s]",
            "what parts are taken of is no reshaped projection",
        ),
        (
            ("r = Reshape(x, parted)", "n = Neg(r)", "p = ReduceSum(n, two) y = Squeeze(p, two)"),
            "float[b,s,2,4]",
            "what is squeezed is no single part",
        ),
    ],
)
def test_near_misses(lines, result, reason):
    check_miss(PART_OF_PROJECTION, part(*lines, result=result), reason)


def test_the_only_part_of_a_reshaped_scalar():
    given = model(
        "g (float x) => (float y) { r = Reshape(x, one) y = Gather<axis=0>(r, first) }", **NUMBERS
    )
    check_miss(PART_OF_PROJECTION, given, "do not lie one after the other on the last axis")


def test_the_only_part_of_a_projection_is_all_of_it():
    given = part("r = Reshape(x, only)", "y = Gather<axis=2>(r, first)", result="float[b,s,6,4]")
    after = check_rule(PART_OF_PROJECTION, given, {"Reshape": 1}, dims=SIZES, **EXACT)
    assert [v.name for v in after.graph[-1].inputs][:1] == ["x"]


UNFLATTENED = "u = Unsqueeze(r, zero) t = Transpose<perm=[3,1,2,0,4]>(u) y = Squeeze(t, three)"


def test_an_axis_that_is_inserted_and_removed():
    given = part("r = Reshape(x, flat)", UNFLATTENED, result="float[3,b,s,8]")
    left = {"Reshape": 1, "Transpose": 1}
    check_rule(TRANSPOSE_WITHOUT_ONES, given, left, dims=SIZES, **EXACT)
    check_shared(TRANSPOSE_WITHOUT_ONES, given, dims=SIZES, **EXACT)


@pytest.mark.parametrize("inserted", ["minus", "one"])
def test_an_axis_that_is_inserted_elsewhere(inserted):
    at = 4 if inserted == "minus" else 1
    perm = [3, at, 0, *({1, 2, 4} - {at})]
    lines = f"u = Unsqueeze(r, {inserted}) t = Transpose<perm={perm}>(u) y = Squeeze(t, one)"
    order = [axis - (axis > at) for axis in perm if axis != at]
    result = ",".join(["b", "s", "3", "8"][axis] for axis in order)
    given = part("r = Reshape(x, flat)", lines, result=f"float[{result}]")
    after = check_rule(
        TRANSPOSE_WITHOUT_ONES, given, {"Reshape": 1, "Transpose": 1}, dims=SIZES, **EXACT
    )
    assert list(after.graph[-1].attributes["perm"].as_ints()) == order


def test_another_axis_is_removed():
    text = """g (float[1,s,24] x) => (float[s,24,1] y) {
        u = Unsqueeze(x, zero) t = Transpose<perm=[1,2,3,0]>(u) y = Squeeze(t, zero) }"""
    given = model(text, **NUMBERS)
    check_miss(TRANSPOSE_WITHOUT_ONES, given, "another axis is removed than was inserted")
    several = text.replace("(t, zero)", "(t, ends)").replace("[s,24,1] y", "[s,24] y")
    given = model(several, zero=np.int64([0]), ends=np.int64([0, 3]))
    check_miss(TRANSPOSE_WITHOUT_ONES, given, "it is not one axis that is inserted and removed")
    text = text.replace("(x, zero)", "(x, two_axes)").replace("[1,2,3,0]", "[1,2,3,0,4]")
    text = text.replace("(t, zero)", "(t, three)").replace("[s,24,1] y", "[1,1,s,24] y")
    given = model(text, two_axes=np.int64([0, 1]), three=np.int64([3]))
    check_miss(TRANSPOSE_WITHOUT_ONES, given, "it is not one axis that is inserted and removed")
