"""No shape is folded that need not hold: models that declare too much or decide while they run."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.passes.canonicalize import Canonicalize
from sardonyx.compiler.passes.cse import ShareCommonSubexpressions
from sardonyx.compiler.passes.dead_code import RemoveDeadCode
from sardonyx.compiler.passes.fold_constants import FoldConstants
from sardonyx.compiler.passes.fold_shapes import FoldShapes
from sardonyx.compiler.passes.infer_types import InferTypes
from sardonyx.compiler.passes.inline_if import InlineIf
from sardonyx.compiler.passes.manager import PassManager, Repeat
from tests.support.models import clone, model
from tests.support.run import run_ort

ROUND = Repeat(
    (
        InferTypes(),
        FoldConstants(),
        InlineIf(),
        FoldShapes(),
        Canonicalize(),
        ShareCommonSubexpressions(),
        RemoveDeadCode(),
    )
)
NUMBERS = {
    "zero": np.array(0),
    "one": np.array(1),
    "i0": np.array([0]),
    "i1": np.array([1]),
    "i2": np.array([2]),
    "i3": np.array([3]),
    "rest": np.array([-1]),
    "three": np.array(3),
    "yes": np.array(True),
}


def check(text: str, *feeds: dict, **weights: np.ndarray) -> ir.Model:
    """Demand that the passes keep the results of a model on these feeds."""
    given = model(text, **NUMBERS, **weights)
    return check_model(given, *feeds)


def check_model(given: ir.Model, *feeds: dict) -> ir.Model:
    after = clone(given)
    PassManager(Editor(after, Types.inferred(after)), level=2).run([ROUND])
    for feed in feeds:
        wanted, got = run_ort(given, feed), run_ort(after, feed)
        for a, b in zip(wanted, got, strict=True):
            np.testing.assert_array_equal(b, a, strict=True)
    return after


def numbers(*shape: int) -> np.ndarray:
    return np.arange(1, 1 + int(np.prod(shape)), dtype=np.float32).reshape(shape)


def test_what_is_declared_of_an_intermediate_value_counts_for_nothing():
    check(
        """g (float[n] x) => (int64[1] y) < float[7] a, int64[1] s > {
            a = Abs(x) s = Shape(a) y = Neg(s)
        }""",
        {"x": numbers(3)},
    )


def test_what_is_declared_of_an_output_counts_for_nothing_inside():
    check(
        """g (float[n] x, float[b] z) => (float[b] a, int64[1] y) {
            a = Abs(x) s = Shape(a) y = Neg(s)
        }""",
        {"x": numbers(3), "z": numbers(5)},
    )


@pytest.mark.parametrize("op", ["Add", "Max", "Pow"])
@pytest.mark.parametrize(("n", "m"), [(1, 4), (4, 1), (4, 4)])
def test_dimensions_that_are_broadcast_need_not_be_equal(op, n, m):
    check(
        f"g (float[n] x, float[m] z) => (int64[1] y) {{ a = {op}(x, z) s = Shape(a) y = Neg(s) }}",
        {"x": numbers(n), "z": numbers(m)},
    )


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_slice_may_be_longer_than_the_axis(n):
    check(
        "g (float[n] x) => (int64[1] y) { a = Slice(x, i0, i3) s = Shape(a) y = Neg(s) }",
        {"x": numbers(n)},
    )


@pytest.mark.parametrize("start", [-9, -1, 0, 2, 9])
@pytest.mark.parametrize("end", [-(2**63), -2, 0, 2, 9, 2**31 - 1, 2**63 - 1])
@pytest.mark.parametrize("step", [-2, -1, 1, 2])
@pytest.mark.parametrize("lengths", [(1, 2, 5), (5,)])
def test_slices_of_any_bounds(start, end, step, lengths):
    declared = "n" if len(lengths) > 1 else lengths[0]
    check(
        f"""g (float[2,{declared}] x) => (int64[2] y, int64[k] z) {{
            a = Slice(x, b, e, i1, t) s = Shape(a) y = Neg(s) z = Slice(five, b, e, i0, t)
        }}""",
        *({"x": numbers(2, n)} for n in lengths),
        five=np.arange(5),
        b=np.array([start]),
        e=np.array([end]),
        t=np.array([step]),
    )


@pytest.mark.parametrize("start", [-9, -3, -1, 0, 1, 9])
@pytest.mark.parametrize("end", [-(2**63), -9, -2, 0, 2, 9, 2**63 - 1])
@pytest.mark.parametrize("step", [-2, -1, 1, 2])
def test_slices_of_shapes(start, end, step):
    check(
        """g (float[n,2,m,5] x) => (int64[k] y) {
            s = Shape(x) t = Slice(s, b, e, i0, d) y = Neg(t)
        }""",
        {"x": np.zeros((3, 2, 4, 5), np.float32)},
        b=np.array([start]),
        e=np.array([end]),
        d=np.array([step]),
    )


def test_a_slice_by_a_dimension():
    check(
        """g (float[6,2] w, float[n] x) => (int64[2] y) {
            s = Shape(x) a = Slice(w, i1, s, i0) t = Shape(a) y = Neg(t)
        }""",
        *({"w": numbers(6, 2), "x": numbers(n)} for n in (1, 2, 6, 9)),
    )


def test_squeezing_ones_that_are_not_known():
    check(
        "g (float[n,1,m] x) => (int64[k] y) { a = Squeeze(x) s = Shape(a) y = Neg(s) }",
        {"x": numbers(1, 1, 3)},
        {"x": numbers(2, 1, 1)},
        {"x": numbers(2, 1, 3)},
    )


def test_arithmetic_in_floating_point_is_not_that_of_integers():
    check(
        """g (float[7,2] x) => (int64 y) {
            s = Shape(x) f = Cast<to = 1>(s) a = Gather(f, zero) b = Gather(f, one)
            d = Div(a, b) c = Ceil(d) i = Cast<to = 7>(c) y = Neg(i)
        }""",
        {"x": numbers(7, 2)},
    )


def test_a_number_that_becomes_a_truth_value_is_one():
    check(
        """g (float[n,3] x) => (int64[2] y) {
            s = Shape(x) t = Cast<to = 9>(s) i = Cast<to = 7>(t) y = Neg(i)
        }""",
        {"x": numbers(4, 3)},
    )


def test_numbers_that_do_not_fit_wrap_around():
    check(
        """g (float[300,n] x) => (int8[2] y) { s = Shape(x) i = Cast<to = 3>(s) y = Neg(i) }""",
        {"x": numbers(300, 4)},
    )


def test_elements_in_a_matrix():
    check(
        """g (float[n,2,3,4] x) => (int64[2] y, int64[2,2] z) {
            s = Shape(x) m = Reshape(s, two_by_two) y = Gather(m, one) z = Add(m, i3)
        }""",
        {"x": numbers(5, 2, 3, 4)},
        two_by_two=np.array([2, 2]),
    )


def test_a_choice_between_shapes():
    check(
        """g (bool p, float[n,3] x) => (int64[2] y) {
            s = Shape(x) c = Where(p, s, r) y = Neg(c)
        }""",
        *({"p": np.array(p), "x": numbers(5, 3)} for p in (True, False)),
        r=np.array([7, 3]),
    )


def test_a_choice_that_is_broadcast():
    check(
        """g (bool[3] p, float[n] x) => (int64[3] y) {
            s = Shape(x) c = Where(p, s, s) y = Neg(c)
        }""",
        {"p": np.array([True, False, True]), "x": numbers(5)},
    )


def test_a_length_from_data_is_no_dimension():
    # As an element k is -1 here; as a dimension of r it is 4.
    check(
        """g (float[n,3] x, int64[1] k) => (int64[2] y) {
            c = Concat<axis = 0>(k, i3) r = Reshape(x, c) s = Shape(r) d = Sub(s, c) y = Neg(d)
        }""",
        {"x": numbers(4, 3), "k": np.array([-1])},
        {"x": numbers(4, 3), "k": np.array([4])},
        {"x": numbers(4, 3), "k": np.array([0])},
    )


def test_equal_lengths_from_data_are_no_equal_dimensions():
    check(
        """g (float[n,3] x, float[m,3] z, int64[1] k) => (int64[2] y) {
            c = Concat<axis = 0>(k, i3) a = Reshape(x, c) b = Reshape(z, c)
            s = Shape(a) t = Shape(b) y = Sub(s, t)
        }""",
        {"x": numbers(4, 3), "z": numbers(2, 3), "k": np.array([-1])},
    )


@pytest.mark.parametrize("found", [0, 1, 3])
def test_what_is_found_in_data_may_be_nothing(found):
    data = np.zeros((4, 6), np.float32)
    data[:found, 0] = 1
    check(
        """g (float[4,6] x) => (float[k,l] y) {
            nz = NonZero(x) t = Transpose(nz) f = Cast<to = 1>(t)
            s = Shape(f) n = Gather(s, i0) m = Gather(s, i1) d = Mul(n, m) e = Div(m, i2)
            a = Shape<start = 0, end = 1>(f) c = Concat<axis = 0>(a, m) y = Reshape(f, c)
        }""",
        {"x": data},
    )


@pytest.mark.parametrize("found", [0, 2])
def test_an_inferred_length_beside_a_length_that_may_be_nothing(found):
    data = np.zeros(4, np.float32)
    data[:found] = 1
    check(
        """g (float[4] x, float[h,w] z) => (float[k,l] y) {
            nz = NonZero(x) n = Shape<start = 1>(nz) e = Concat<axis = 0>(n, i1, i1)
            r = Expand(z, e) s = Shape(z) p = ReduceProd<keepdims = 1>(s)
            h = Shape<start = 0, end = 1>(z) v = Shape<start = 1, end = 2>(z) hw = Mul(h, v)
            c = Concat<axis = 0>(n, hw) y = Reshape(r, c)
        }""",
        {"x": data, "z": numbers(2, 3)},
    )


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_an_empty_batch(batch):
    check(
        """g (float[b,s,6] x) => (float[b,s,2,3] y) {
            s0 = Shape(x) l = Slice(s0, i0, i2) c = Concat<axis = 0>(l, i2, i3) y = Reshape(x, c)
        }""",
        {"x": numbers(batch, 4, 6)},
    )


def test_a_shape_of_unknown_rank():
    given = model("g (float x) => (y) { a = Abs(x) s = Shape(a) y = Neg(s) }")
    given.graph.inputs[0].shape = None
    check_model(given, {"x": numbers(2, 3)}, {"x": numbers(4)})


def test_a_default_that_callers_may_override_is_no_constant():
    given = model(
        "g (float[n] x, int64[2] t) => (int64[2] y) { r = Reshape(x, t) s = Shape(r) y = Neg(s) }"
    )
    shape = given.graph.inputs[1]
    shape.const_value = ir.tensor(np.array([2, 3]), name="t")
    given.graph.register_initializer(shape)
    check_model(given, {"x": numbers(6)}, {"x": numbers(8), "t": np.array([4, 2])})


def test_an_input_whose_default_has_another_shape_than_what_callers_give():
    given = model("g (float[n] x) => (int64[1] y) { s = Shape(x) y = Neg(s) }")
    given.graph.inputs[0].const_value = ir.tensor(numbers(3), name="x")
    given.graph.register_initializer(given.graph.inputs[0])
    after = check_model(given, {"x": numbers(5)}, {})
    assert str(after.graph.inputs[0].shape) == "[n]"


def test_names_of_dimensions_that_are_no_expressions():
    given = model(
        """g (float[n,m,k] x, float[p,q] z) => (int64[3] y, int64[2] w) {
            a = Abs(x) s = Shape(a) y = Neg(s) t = Shape(z) w = Neg(t)
        }"""
    )
    given.graph.inputs[0].shape = ir.Shape(["batch size", "?", "1"])
    given.graph.inputs[1].shape = ir.Shape(["?", "3x"])
    check_model(given, {"x": numbers(2, 3, 4), "z": numbers(5, 2)})
