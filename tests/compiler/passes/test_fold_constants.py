"""What depends on constants alone is computed, unless that would be unsafe, wrong or too large."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.passes.fold_constants import FoldConstants
from tests.support.models import clone, model, normal
from tests.support.rules import apply, check_rule, check_same, counts
from tests.support.run import check_valid, run_ort

FOLD = FoldConstants()


def folded(given: ir.Model, fold: FoldConstants = FOLD) -> ir.Model:
    after = clone(given)
    apply(fold, after)
    return after


def bytes_of(given: ir.Model) -> int:
    return sum(v.const_value.nbytes for v in given.graph.initializers.values())


def test_chains_of_constants_become_one():
    given = model(
        """g (float[2,3] x) => (float[2,3] y) {
            a = Transpose(w) b = Mul(a, two) c = Neg(b) y = Add(x, c)
        }""",
        w=normal(3, 2),
        two=np.float32(2),
    )
    after = check_rule(FOLD, given, {"Add": 1}, atol=0, rtol=0)
    assert list(after.graph.initializers) == ["c"]


def test_all_outputs_of_a_node_are_folded():
    given = model(
        """g (float[3] x) => (float[3] y) {
            a, b = Split<num_outputs = 2>(w) s = Sub(a, b) y = Add(x, s)
        }""",
        w=normal(6),
    )
    check_rule(FOLD, given, {"Add": 1}, atol=0, rtol=0)


def test_folding_reaches_into_subgraphs():
    given = model(
        """g (bool c, float[2] x) => (float[2] y) {
            y = If(c) <
                then_branch = t () => (float[2] p) { a = Neg(w) p = Add(x, a) },
                else_branch = e () => (float[2] q) { b = Abs(w) q = Mul(x, b) }
            >
        }""",
        w=normal(2),
    )
    check_rule(FOLD, given, {"If": 1, "Add": 1, "Mul": 1}, atol=0, rtol=0)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8, np.uint64])
def test_division_of_integers_by_zero_is_left_to_the_runtime(dtype):
    given = model(
        "g () => (y, z) { y = Div(a, b) z = Mod(a, b) }",
        a=np.array([1, 2], dtype),
        b=np.array([1, 0], dtype),
    )
    assert counts(folded(given)) == {"Div": 1, "Mod": 1}


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_the_least_integer_is_not_divided_by_minus_one(dtype):
    least = np.iinfo(dtype).min
    given = model(
        "g () => (y, z) { y = Div(a, b) z = Mod(a, b) }",
        a=np.array([least, 2], dtype),
        b=np.array([-1, 1], dtype),
    )
    assert counts(folded(given)) == {"Div": 1, "Mod": 1}


def test_integers_are_divided_toward_zero():
    given = model(
        """g (int64[4] x) => (int64[4] y, int64[4] z) {
            d = Div(a, b) m = Mod(a, b) y = Add(x, d) z = Add(x, m)
        }""",
        a=np.array([7, -7, 7, -7]),
        b=np.array([2, 2, -2, -2]),
    )
    check_rule(FOLD, given, {"Add": 2}, atol=0, rtol=0)


DTYPES = [
    *(np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
    *(np.float16, np.float32, np.float64, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn),
    *(ml_dtypes.float8_e5m2, ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.float4_e2m1fn),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_moving_elements_keeps_dtype_and_bits(dtype):
    held = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    given = model("g () => (y) { t = Transpose(w) y = Identity(t) }", w=held)
    after = folded(given)
    assert counts(after) == {"Identity": 1}
    (found,) = after.graph.initializers.values()
    assert found.dtype == given.graph.initializers["w"].dtype
    assert found.const_value.numpy().dtype == np.dtype(dtype)
    assert found.const_value.numpy().tobytes() == held.T.tobytes()


def test_moving_elements_keeps_the_bits_of_nan_and_negative_zero():
    bits = np.array([0x7FC00001, 0xFFC12345, 0x80000000, 0x00000001], np.uint32)
    given = model(
        "g () => (y) { t = Reshape(w, s) y = Identity(t) }",
        w=bits.view(np.float32),
        s=np.array([2, 2]),
    )
    (found,) = folded(given).graph.initializers.values()
    assert found.const_value.numpy().view(np.uint32).reshape(-1).tolist() == bits.tolist()


def test_strings_are_moved():
    given = model(
        """g (int64[2] i) => (string[2] y) {
            w = Constant<value_strings = ["a", "bc", "", "dé"]>()
            r = Reshape(w, s) t = Transpose(r) f = Reshape(t, flat) y = Gather(f, i)
        }""",
        s=np.array([2, 2]),
        flat=np.array([-1]),
    )
    after = folded(given)
    assert counts(after) == {"Gather": 1}
    (found,) = after.graph.initializers.values()
    assert found.dtype == ir.DataType.STRING
    assert found.const_value.numpy().tolist() == [b"a", b"", b"bc", "dé".encode()]
    check_valid(after)
    assert run_ort(after, {"i": np.array([2, 1])})[0].tolist() == ["bc", ""]


@pytest.mark.parametrize(
    "text",
    [
        "y = RandomNormalLike(w)",
        "y = RandomUniformLike<seed = 3.0>(w)",
        "y = Bernoulli(w)",
        "y = Multinomial(w)",
        "y, mask = Dropout(w, ratio, yes)",
    ],
)
def test_what_is_drawn_at_random_is_not_folded(text):
    given = model(
        f"g () => (y) {{ {text} }}",
        w=np.full((2, 3), 0.5, np.float32),
        ratio=np.float32(0.5),
        yes=np.array(True),
    )
    before = counts(given)
    assert counts(folded(given)) == before


def test_sequences_and_optional_values_are_not_folded():
    given = model(
        "g () => (float[3] y) { s = SequenceConstruct(w, w) y = SequenceAt(s, i) }",
        w=normal(3),
        i=np.array(1),
    )
    assert counts(folded(given)) == {"SequenceConstruct": 1, "SequenceAt": 1}


def test_an_initializer_that_callers_may_override_is_no_constant():
    given = model("g (float[3] w) => (float[3] y) { y = Neg(w) }")
    given.graph.inputs[0].const_value = ir.tensor(normal(3), name="w")
    given.graph.register_initializer(given.graph.inputs[0])
    assert counts(folded(given)) == {"Neg": 1}


def test_a_constant_that_is_a_graph_output_stays_and_keeps_its_name():
    given = model("g () => (float[3] w, float[3] y) { y = Neg(w) }", w=normal(3))
    after = folded(given)
    assert [v.name for v in after.graph.outputs] == ["w", "y"]
    check_same(given, after, atol=0, rtol=0)


def test_a_folded_graph_output_is_given_by_a_node():
    given = model("g () => (float[2] y, float[2] z) { y = Neg(w) z = Abs(y) }", w=normal(2))
    after = folded(given)
    assert counts(after) == {"Identity": 2}
    assert not apply(FOLD, after).applied
    check_same(given, after, atol=0, rtol=0)


BOMBS = [
    "y = ConstantOfShape(big)",
    "y = Expand(one, big)",
    "y = Tile(pair, big)",
    "y = Range(zero, many, step)",
    "y = Pad(pair, pads)",
    "y = OneHot(one64, many, values)",
    "a = ConstantOfShape(big) y = NonZero(a)",
    "e = ConstantOfShape(big) y = EyeLike(e)",
]


@pytest.mark.parametrize("text", BOMBS)
def test_a_small_file_does_not_become_a_large_one(text):
    given = model(
        f"g () => (y) {{ {text} }}",
        big=np.array([100_000, 100_000]),
        one=np.ones((1, 1), np.float32),
        one64=np.ones((1,), np.int64),
        pair=np.ones((1, 2), np.float32),
        zero=np.array(0),
        many=np.array(1 << 40),
        step=np.array(1),
        pads=np.array([0, 0, 50_000, 50_000]),
        values=np.array([0, 1], np.float32),
    )
    before = bytes_of(given)
    after = folded(given)
    assert counts(after) == counts(given)
    assert bytes_of(after) <= before


def test_many_small_bombs_are_no_way_round_the_cap():
    names = [f"y{i}" for i in range(12)]
    body = " ".join(f"{n} = Expand(w{i}, big)" for i, n in enumerate(names))
    weights = {f"w{i}": np.full((1,), i, np.float32) for i in range(12)}
    given = model(f"g () => ({', '.join(names)}) {{ {body} }}", big=np.array([1000]), **weights)
    fold = FoldConstants(most_growth=5000, most_growth_in_all=18_000)
    after = folded(given, fold)
    assert 3996 * 4 <= bytes_of(after) - bytes_of(given) <= 18_000
    again = apply(fold, after)
    assert not again.applied, "a second run has a new budget"


def test_doubling_a_constant_comes_to_an_end():
    steps = " ".join(f"a{i + 1} = Concat<axis = 0>(a{i}, a{i})" for i in range(30))
    given = model(f"g () => (y) {{ {steps} y = Neg(a30) }}", a0=normal(64))
    assert bytes_of(folded(given)) < 5 << 20


def test_what_replaces_its_operand_may_be_large():
    given = model(
        "g (float[2,1000] x) => (float[2,900] y) { t = Transpose(w) y = MatMul(x, t) }",
        w=normal(900, 1000),
    )
    check_rule(FOLD, given, {"MatMul": 1}, atol=1e-3, rtol=1e-5)


def test_a_large_weight_with_other_readers_is_not_stored_twice():
    given = model(
        """g (float[2,1000] x, float[2,900] z) => (float[2,900] y, float[2,1000] u) {
            t = Transpose(w) y = MatMul(x, t) u = MatMul(z, w)
        }""",
        w=normal(900, 1000),
    )
    assert counts(folded(given)) == {"Transpose": 1, "MatMul": 2}


def test_a_large_weight_that_is_an_output_is_not_stored_twice():
    given = model(
        """g (float[2,1000] x) => (float[2,900] y, float[900,1000] w) {
            t = Transpose(w) y = MatMul(x, t)
        }""",
        w=normal(900, 1000),
    )
    assert counts(folded(given)) == {"Transpose": 1, "MatMul": 1}
