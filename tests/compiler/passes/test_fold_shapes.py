"""Shape arithmetic of dynamic models is done at compile time, and only what holds for every run."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.passes.canonicalize import Canonicalize
from sardonyx.compiler.passes.dead_code import RemoveDeadCode
from sardonyx.compiler.passes.fold_constants import FoldConstants
from sardonyx.compiler.passes.fold_shapes import FoldShapes
from sardonyx.compiler.passes.infer_types import InferTypes
from sardonyx.compiler.passes.manager import PassManager, Repeat
from tests.support.models import clone, model, normal
from tests.support.rules import check_rule, check_same, counts
from tests.support.run import run_ort

FOLD = FoldShapes()
ROUND = Repeat((InferTypes(), FoldConstants(), FOLD, Canonicalize(), RemoveDeadCode()))
SIZES = [{"b": 2, "s": 3}, {"b": 1, "s": 1}, {"b": 5, "s": 1}, {"b": 1, "s": 4}]


def cleaned(given, sizes=({},), expected=None):
    """Run the passes that fold shapes to the end, and demand the same results."""
    after = clone(given)
    PassManager(Editor(after, Types.inferred(after)), level=2).run([ROUND])
    check_same(given, after, atol=0, rtol=0, dims=sizes)
    if expected is not None:
        assert counts(after) == expected
    return after


INDICES = {
    "zero": np.array(0),
    "one": np.array(1),
    "two": np.array(2),
    "ax0": np.array([0]),
    "i0": np.array([0]),
    "i1": np.array([1]),
    "i2": np.array([2]),
    "i9": np.array([2**63 - 1]),
    "heads": np.array([2]),
    "width": np.array([3]),
    "rest": np.array([-1]),
    "six": np.array([6]),
}

CHAINS = {
    "legacy export": """
        s = Shape(x) b = Gather(s, zero) t = Gather(s, one)
        bu = Unsqueeze(b, ax0) tu = Unsqueeze(t, ax0)
        c = Concat<axis = 0>(bu, tu, heads, width) r = Reshape(x, c) y = Neg(r)""",
    "slices of a shape": """
        s = Shape(x) lead = Slice(s, i0, i2)
        c = Concat<axis = 0>(lead, heads, width) r = Reshape(x, c) y = Neg(r)""",
    "parts of a shape": """
        b = Shape<start = 0, end = 1>(x) t = Shape<start = 1, end = 2>(x)
        c = Concat<axis = 0>(b, t, heads, width) r = Reshape(x, c) y = Neg(r)""",
    "a shape from another tensor": """
        a = Abs(x) s = Shape(a) lead = Slice(s, i0, i2)
        c = Concat<axis = 0>(lead, rest, width) r = Reshape(x, c) y = Neg(r)""",
    "a shape in single integers": """
        s = Shape(x) k = Cast<to = 6>(s) b = Gather(k, i0) t = Gather(k, i1)
        c = Concat<axis = 0>(b, t, h32, w32) c64 = Cast<to = 7>(c)
        r = Reshape(x, c64) y = Neg(r)""",
    "a product that is divided again": """
        s = Shape(x) b = Gather(s, i0) t = Gather(s, i1) d = Gather(s, i2)
        n = Mul(d, heads) w = Div(six, heads)
        c = Concat<axis = 0>(b, t, heads, w) r = Reshape(x, c) y = Neg(r)""",
}


@pytest.mark.parametrize("chain", CHAINS)
def test_chains_disappear(chain):
    given = model(
        f"g (float[b,s,6] x) => (float[b,s,2,3] y) {{ {CHAINS[chain]} }}",
        h32=np.array([2], np.int32),
        w32=np.array([3], np.int32),
        **INDICES,
    )
    after = cleaned(given, SIZES, {"Reshape": 1, "Neg": 1})
    (shape,) = after.graph.initializers.values()
    assert shape.const_value.numpy().tolist() == [0, 0, 2, 3] or -1 in shape.const_value.numpy()


def test_one_dimension_that_is_computed_is_left_to_the_runtime():
    given = model(
        """g (float[b,s,6] x) => (float[n,6] y) {
            s0 = Shape(x) b = Gather(s0, i0) t = Gather(s0, i1) n = Mul(b, t)
            c = Concat<axis = 0>(n, six) r = Reshape(x, c) y = Neg(r)
        }""",
        **INDICES,
    )
    cleaned(given, SIZES, {"Reshape": 1, "Neg": 1})


def test_a_size_that_only_the_caller_knows_stays_where_there_may_be_no_elements():
    """With a batch of none, -1 could be anything, and ONNX Runtime refuses it."""
    given = model(
        """g (float[batch,6] x, int64[1] rows) => (float[b,r,c] y) {
            s = Shape<start = 0, end = 1>(x) t = Concat<axis = 0>(s, rows, i2) y = Reshape(x, t)
        }""",
        **INDICES,
    )
    after = clone(given)
    PassManager(Editor(after, Types.inferred(after)), level=2).run([ROUND])
    assert counts(after) == {"Shape": 1, "Concat": 1, "Reshape": 1}
    for count in (0, 4):
        (y,) = run_ort(after, {"x": normal(count, 6), "rows": np.array([3])})
        assert y.shape == (count, 3, 2)


@pytest.mark.parametrize("sizes", [(0, 0), (0, 3), (2, 0), (2, 3)])
def test_a_declared_size_is_not_left_open_beside_another_that_may_be_none(sizes):
    given = model(
        """g (float[batch,2,seq,3] x) => (float[b,r,c] y) {
            b = Shape<start = 0, end = 1>(x) s = Shape<start = 2, end = 3>(x)
            t = Concat<axis = 0>(b, s, i6) y = Reshape<allowzero = 1>(x, t)
        }""",
        i6=np.array([6]),
    )
    after = clone(given)
    PassManager(Editor(after, Types.inferred(after)), level=2).run([ROUND])
    (y,) = run_ort(after, {"x": normal(sizes[0], 2, sizes[1], 3)})
    assert y.shape == (*sizes, 6)


def test_a_size_that_only_the_caller_knows_may_be_left_open_beside_numbers():
    given = model(
        """g (float[4,6] x, int64[1] rows) => (float[r,c] y) {
            t = Concat<axis = 0>(rows, i2) y = Reshape(x, t)
        }""",
        **INDICES,
    )
    PassManager(Editor(given, Types.inferred(given)), level=2).run([FOLD])
    (shape,) = (v for v in given.graph.initializers.values() if v.uses())
    assert shape.const_value.numpy().tolist() == [-1, 2]


def test_an_output_that_is_declared_to_be_what_it_cannot_be_is_left_to_the_runtime():
    given = model(
        """g (float[3,4] x) => (float[3,1] y) {
            s = Shape(x) b = Slice(s, i0, i1) n = Neg(rest) u = ConstantOfShape(n)
            k = Cast<to = 7>(u) c = Concat<axis = 0>(b, k) y = Reshape(x, c)
        }""",
        **INDICES,
    )
    PassManager(Editor(given, Types.inferred(given)), level=2).run([FOLD])
    assert counts(given)["Reshape"] == 1


def test_expand_as_legacy_exporters_write_it():
    given = model(
        """g (float[b,1,6] x, float[b,s] m) => (float[b,s,6] y) {
            sm = Shape(m) b = Gather(sm, i0) t = Gather(sm, i1)
            c = Concat<axis = 0>(b, t, rest)
            n = Shape(c) ones = ConstantOfShape<value = int64[1] {1}>(n) minus = Mul(ones, rest)
            e = Equal(c, minus) w = Where(e, ones, c) r = Expand(x, w) y = Neg(r)
        }""",
        **INDICES,
    )
    cleaned(given, SIZES, {"Shape": 2, "Concat": 1, "Expand": 1, "Neg": 1})


def test_expanding_to_its_own_shape_does_nothing():
    given = model(
        "g (float[b,s,6] x) => (float[b,s,6] y) { s0 = Shape(x) e = Expand(x, s0) y = Neg(e) }"
    )
    cleaned(given, SIZES, {"Neg": 1})


def test_of_two_expands_the_last_counts():
    given = model(
        """g (float[6] x, float[b,s,1] m) => (float[b,s,6] y) {
            sm = Shape<start = 1, end = 2>(m) c = Concat<axis = 0>(sm, one1) e = Expand(x, c)
            t = Shape<end = 2>(m) w = Concat<axis = 0>(t, six) f = Expand(e, w) y = Neg(f)
        }""",
        one1=np.array([1]),
        **INDICES,
    )
    cleaned(given, SIZES, {"Shape": 1, "Concat": 1, "Expand": 1, "Neg": 1})


def test_the_first_of_two_expands_stays_where_the_last_does_not_say_it_all():
    given = model(
        """g (float[1,6] x, float[s,1] m) => (float[1,s,6] y) {
            t = Shape(m) e = Expand(x, t) f = Expand(e, ones3) y = Neg(f)
        }""",
        ones3=np.array([1, 1, 1]),
        **INDICES,
    )
    after = cleaned(given, [{"s": 3}, {"s": 1}])
    assert counts(after)["Expand"] >= 1


def test_what_is_computed_for_nothing_but_its_shape_goes():
    given = model(
        """g (bool[1,1,1] x, float[b,s] m) => (bool[1,s,1] y) {
            t = Shape(m) k = Gather(t, one) r = Range(zero, k, one) u = Unsqueeze(r, outer)
            w = Shape(u) f = Expand(x, w) y = Not(f)
        }""",
        outer=np.array([0, 2]),
        **INDICES,
    )
    cleaned(given, SIZES, {"Shape": 1, "Concat": 1, "Expand": 1, "Not": 1})


def test_a_range_over_a_dimension_reads_it_from_the_input():
    given = model(
        """g (float[b,s,6] x) => (int64[s] y) {
            a = Abs(x) s0 = Shape(a) n = Gather(s0, one) y = Range(zero, n, one)
        }""",
        **INDICES,
    )
    cleaned(given, SIZES, {"Shape": 1, "Squeeze": 1, "Range": 1})


def test_scalars_stay_scalars_and_integers_keep_their_dtype():
    given = model(
        """g (float[b,s,6] x) => (int32 y, int32[1] z) {
            a = Abs(x) s0 = Shape(a) k = Cast<to = 6>(s0)
            n = Gather(k, one) y = Neg(n) v = Gather(k, i0) z = Neg(v)
        }""",
        **INDICES,
    )
    cleaned(given, SIZES)


def test_static_shapes_become_constants():
    given = model(
        """g (float[4,5] x) => (int64[2] y, int64 z) {
            a = Abs(x) s = Shape(a) y = Neg(s) n = Size(a) z = Neg(n)
        }"""
    )
    cleaned(given, [{}], {"Identity": 2})


def test_a_shape_that_is_a_graph_output_keeps_its_name():
    given = model(
        """g (float[b,s,6] x) => (float[b,s,2,3] y, int64[4] c) {
            s0 = Shape(x) lead = Slice(s0, i0, i2) c = Concat<axis = 0>(lead, heads, width)
            y = Reshape(x, c)
        }""",
        **INDICES,
    )
    after = cleaned(given, SIZES)
    assert [v.name for v in after.graph.outputs] == ["y", "c"]


def test_folding_reaches_into_subgraphs():
    given = model(
        """g (bool p, float[b,s,6] x) => (float[b,s,2,3] y) {
            y = If(p) <
                then_branch = t () => (float[b,s,2,3] u) {
                    s1 = Shape(x) l1 = Slice(s1, i0, i2) c1 = Concat<axis = 0>(l1, heads, width)
                    u = Reshape(x, c1)
                },
                else_branch = e () => (float[b,s,2,3] v) {
                    n = Neg(x) s2 = Shape(n) l2 = Slice(s2, i0, i2)
                    c2 = Concat<axis = 0>(l2, heads, width) v = Reshape(n, c2)
                }
            >
        }""",
        **INDICES,
    )
    cleaned(given, SIZES, {"If": 1, "Reshape": 2, "Neg": 1})


def test_two_inputs_that_share_a_name_share_the_dimension():
    given = model(
        """g (float[b,s] x, float[b,s] z) => (float[b,s] y) {
            sx = Shape(x) r = Reshape(z, sx) y = Add(x, r)
        }"""
    )
    after = cleaned(given, SIZES)
    assert "Shape" not in counts(after)


def test_a_second_run_changes_nothing():
    given = model(
        f"g (float[b,s,6] x) => (float[b,s,2,3] y) {{ {CHAINS['legacy export']} }}", **INDICES
    )
    check_rule(FOLD, given, {"Reshape": 1, "Neg": 1}, atol=0, rtol=0, dims=SIZES)
