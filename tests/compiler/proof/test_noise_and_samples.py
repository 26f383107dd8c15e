"""How far outputs may move, and what inputs are made up."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.export import legalise
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.proof.compare import MARGIN, Reference
from sardonyx.compiler.proof.noise import add_noise
from sardonyx.compiler.proof.samples import SIZES, generate
from sardonyx.compiler.targets import CPU
from tests.support.models import model, normal
from tests.support.run import run_ort


def disturbed(text, feeds, seed=0, rounding=None, **weights):
    source = legalise(model(text, **weights), CPU)
    Types.inferred(source)
    places = add_noise(source, seed, rounding)
    return places, run_ort(source, feeds)


def test_noise_is_of_the_size_of_a_rounding():
    x = normal(1000, seed=3)
    places, (y,) = disturbed("g (float[n] x) => (float[n] y) { y = Neg(x) }", {"x": x})
    assert places == 1
    moved = np.abs(y + x) / np.abs(x)
    assert 0 < moved.max() <= 2**-21
    assert (moved > 0).mean() > 0.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e-12, 1e-4, 1, 1e5, 1e12])
def test_large_and_small_numbers_lose_as_many_digits(size, dtype):
    name = {"float32": "float", "float64": "double"}[np.dtype(dtype).name]
    x = (np.linspace(1, 3, 200) * size).astype(dtype)
    _, (y,) = disturbed(f"g ({name}[n] x) => ({name}[n] y) {{ y = Neg(x) }}", {"x": x}, seed=1)
    moved = np.abs(y + x) / np.abs(x) / np.finfo(dtype).eps
    assert 1 < moved.max() <= 2.5
    assert 0.5 < moved.mean() < 1.5


def test_another_seed_is_another_noise_and_one_seed_is_one():
    x = normal(100, seed=4)
    text = "g (float[n] x) => (float[n] y) { y = Exp(x) }"
    first, again, other = (disturbed(text, {"x": x}, seed)[1][0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_constants_that_are_summed_with_nothing_else_are_disturbed():
    """50.1 * 2.9 rounds by 1e-5, however small the sum is that it is a part of."""
    a, b = np.float32([[50.1, -48.4]]), np.float32([[2.9], [3.0019]])
    text = "g (float[1] x) => (float[1,1] y) { t = Transpose(a) u = Transpose(t)"
    exact = a.astype(float) @ b
    places, (y,) = disturbed(f"{text} y = MatMul(u, b) }}", {"x": a[0, :1]}, a=a, b=b)
    assert places == 4
    assert 1e-6 < abs(y - exact) < 1e-4
    assert abs(exact) < 0.5
    # Beside an input they are not, nor are their readers that do not sum.
    for rest in ("v = Mul(u, x) y = MatMul(v, b) }", "v = Exp(u) y = MatMul(v, b) }"):
        assert disturbed(f"{text} {rest}", {"x": a[0, :1] / 50}, a=a / 50, b=b)[0] == 3


def test_whole_constants_stay_whole():
    """A mask of keys that are hidden is made of them, times the lowest number."""
    text = "g (float[1] x) => (float[4] m, float[4] y) { m = Sub(one, mask) y = Mul(m, lowest) }"
    whole = {"one": np.float32(1), "mask": np.float32([1, 0, 1, 0]), "lowest": np.float32(-1e30)}
    places, (m, y) = disturbed(text, {"x": np.float32([1])}, **whole)
    assert places == 3
    np.testing.assert_array_equal(m, [0, 1, 0, 1])
    np.testing.assert_allclose(y, [0, -1e30, 0, -1e30], atol=0, rtol=1e-6)
    # Also beside one that is not whole.
    whole["mask"] = np.float32([1, 0, 1, 0.1])
    places, (m, y) = disturbed(text, {"x": np.float32([1])}, **whole)
    assert places == 5
    np.testing.assert_allclose(m, [0, 1, 0, 0.9], atol=0, rtol=1e-6)
    np.testing.assert_allclose(y, [0, -1e30, 0, -9e29], atol=0, rtol=1e-6)


def test_outputs_that_are_left_out_are_not_disturbed():
    x, w, r = normal(3, 2, 4), normal(1, 20, 4), normal(1, 20, 5)
    text = """g (float[s,2,4] x) => (float[1,2,5] y) {
        "", "", y = LSTM <hidden_size = 5> (x, w, r) }"""
    given = model(text, w=w, r=r)
    assert [value.name for value in given.graph[0].outputs][:2] == ["", ""]
    places, (y,) = disturbed(text, {"x": x}, w=w, r=r)
    assert places == 2
    (right,) = run_ort(given, {"x": x})
    assert 0 < np.abs(y - right).max() < 1e-5


def test_cancellation_makes_it_large():
    x = np.linspace(1, 2, 64, dtype=np.float32)
    text = "g (float[n] x) => (float[n] y) { a = Add(x, big) y = Sub(a, big) }"
    big = np.float32(1e6)
    _, (y,) = disturbed(text, {"x": x}, big=big)
    assert np.abs(y - x).max() > 0.01


NORMS = [
    "InstanceNormalization <epsilon = 1e-5> (x, one, zero)",
    "BatchNormalization <epsilon = 1e-5> (x, one, zero, one, little)",
]


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("norm", NORMS)
def test_norms_cancel_also_what_was_not_rounded_before(norm, length):
    """The product with the scale may be rounded before that of the mean is taken off."""
    text = f"g () => (float[n,c,l] y) {{ x = Identity(equal) y = {norm} }}"
    numbers = {
        "equal": np.ones((1, 2, length), np.float32),
        "one": np.ones(2, np.float32),
        "zero": np.zeros(2, np.float32),
        "little": np.zeros(2, np.float32),
    }
    y = np.stack([disturbed(text, {}, seed, **numbers)[1][0] for seed in range(5)])
    assert 1e-6 < np.abs(y).max() < 1e-3


@pytest.mark.parametrize("dtype", ["float", "float16"])
@pytest.mark.parametrize("norm", NORMS)
def test_norms_of_other_numbers_move_by_their_rounding_only(norm, dtype):
    numeric = np.float32 if dtype == "float" else np.float16
    x = normal(2, 2, 50, seed=6).astype(numeric)
    numbers = {
        "one": np.ones(2, numeric),
        "zero": np.zeros(2, numeric),
        "little": np.full(2, 0.5, numeric),
    }
    text = f"g ({dtype}[n,c,l] x) => ({dtype}[n,c,l] y) {{ y = {norm} }}"
    (right,) = run_ort(model(text, **numbers), {"x": x})
    _, (y,) = disturbed(text, {"x": x}, **numbers)
    unit = np.finfo(numeric).eps
    moved = np.abs(np.float32(y) - np.float32(right)).max()
    assert unit / 2 < moved < 20 * unit


@pytest.mark.parametrize("opset", [13, 17, 18])
@pytest.mark.parametrize("norm", NORMS)
def test_norms_of_models_that_are_compared_as_they_are_move_too(norm, opset):
    numbers = dict.fromkeys(("one", "zero", "little"), np.ones(2, np.float32))
    given = model(f"g (float[1,2,5] x) => (float[1,2,5] y) {{ y = {norm} }}", **numbers)
    given.opset_imports[""] = opset
    Types.inferred(given)
    (right,) = run_ort(given, {"x": normal(1, 2, 5)})
    add_noise(given, 0)
    (y,) = run_ort(given, {"x": normal(1, 2, 5)})
    assert 0 < np.abs(y - right).max() < 1e-5


@pytest.mark.parametrize(("rounding", "least"), [(ir.DataType.FLOAT16, 2**-12), (None, 0)])
def test_it_can_be_that_of_half_precision(rounding, least):
    x = normal(200, seed=5)
    _, (y,) = disturbed("g (float[n] x) => (float[n] y) { y = Tanh(x) }", {"x": x}, 0, rounding)
    moved = np.abs(y - np.tanh(x)).max()
    assert moved > least
    assert (moved > 1e-5) == (rounding is not None)


def test_infinities_and_masks_stay_what_they_are():
    lowest = np.finfo(np.float32).min
    x = np.array([np.inf, -np.inf, lowest, 0.0, np.nan], np.float32)
    _, (y,) = disturbed("g (float[5] x) => (float[5] y) { y = Add(x, x) }", {"x": x / 2})
    np.testing.assert_array_equal(np.isinf(y), [True, True, False, False, False])
    assert y[3] == 0
    assert np.isnan(y[4])


def test_an_element_may_move_as_those_of_its_size_do():
    right = np.geomspace(1e-6, 1e6, 640).astype(np.float32)
    reference = Reference(["y"], [right], [[right * np.float32(1 + 1e-6)]])
    (small,) = reference.differences([right * np.float32(1 + 1e-6)])
    assert small.ratio < 1
    wrong = right.copy()
    wrong[5] *= 1.01
    (found,) = reference.differences([wrong])
    assert found.ratio > 10
    assert "element [5]" in found.why


@pytest.mark.parametrize(
    ("dtype", "small"), [(np.float16, 1e-7), (np.float32, 1e-38), (np.float64, 1e-308)]
)
def test_numbers_that_are_nearly_zero_have_no_digits(dtype, small):
    right = np.array([1, 0, -1], dtype) * dtype(small)
    reference = Reference(["y"], [right], [[right]])
    assert reference.differences([right * dtype(0.5)])[0].ratio <= 1
    far = right + dtype(1e5 * small)
    assert reference.differences([far])[0].ratio > 1000


def test_discrete_outputs_are_equal_unless_noise_turns_them():
    right = np.arange(50)
    flipped = np.where(right == 7, -1, right)
    (found,) = Reference(["i"], [right], [[right]]).differences([flipped])
    assert found.ratio == np.inf
    assert found.why == "1 of 50 elements differ"
    (known,) = Reference(["i"], [right], [[flipped]]).differences([flipped])
    assert known.ratio == 1 / MARGIN


def test_shapes_and_dtypes_have_to_agree():
    right = np.zeros((2, 3), np.float32)
    reference = Reference(["y"], [right], [[right]])
    for other in (right[:1], right.astype(np.float64)):
        (found,) = reference.differences([other])
        assert found.ratio == np.inf


SEEN = np.array([0, 2, 0, -3], np.float32)


@pytest.mark.parametrize(
    ("right", "noisy", "why"),
    [
        (SEEN, SEEN, ""),
        (SEEN[:1], SEEN[:1], "it is zero everywhere"),
        (0 * SEEN, 0 * SEEN, "it is zero everywhere"),
        (np.full(3, np.inf, np.float32), np.full(3, np.inf, np.float32), "no element is finite"),
        (SEEN[:0], SEEN[:0], "it has no elements"),
        (SEEN, SEEN[:3], "its shape depends on rounding"),
        (SEEN, SEEN * np.float32(1.5), "rounding explains all of it"),
        (SEEN, SEEN * np.float32("nan"), "rounding explains all of it"),
        (np.arange(3), np.arange(3), ""),
        (np.arange(3), 1 + np.arange(3), "rounding may change all of it"),
        (np.zeros(3, bool), np.zeros(3, bool), "it is zero everywhere"),
        (np.zeros(1, int), np.zeros(1, int), ""),
    ],
)
def test_what_says_nothing(right, noisy, why):
    reference = Reference(["y"], [right], [[noisy]])
    assert reference.blind == (why,)
    assert reference.differences([right])[0].blind == why


def test_ids_stay_within_their_table_and_masks_are_zero_and_one():
    text = """g (int64[b,s] ids, int64[b,s] attention_mask, int64[b,s] kinds, bool[b] keep,
        float[b,s] x) => (float[b,s,4] y) {
        c = Unsqueeze(ids, two) d = Squeeze(c, two) e = Gather(table, d) f = Gather(few, kinds)
        y = Add(e, f) }"""
    source = model(text, table=normal(50, 4), few=normal(2, 4), two=np.array([2]))
    Types.inferred(source)
    made = generate(source, (30, 40))
    assert {name: x.shape for name, x in made.items()} == {
        "ids": (30, 40),
        "attention_mask": (30, 40),
        "kinds": (30, 40),
        "keep": (30,),
        "x": (30, 40),
    }
    assert 40 < made["ids"].max() < 50
    assert set(np.unique(made["kinds"])) == {0, 1}
    assert set(np.unique(made["attention_mask"])) == {0, 1}
    assert made["attention_mask"][:, 0].all()
    assert made["keep"].dtype == bool
    assert abs(float(made["x"].mean())) < 0.2


@pytest.mark.parametrize(
    "user",
    [
        "y = ConstantOfShape(n)",
        "y = Expand(x, n)",
        "t = Squeeze(n, zero) y = Range(first, t, step)",
        "y = Tile(x, n)",
        "y, i = TopK(x, n)",
        "y = Reshape(x, n)",
        "y = Resize(x, , , n)",
        "t = Squeeze(n, zero) y = Loop <body = b (int64 i, bool c, float[9] s) => (bool d, "
        "float[9] e) { d = Identity(c) e = Neg(s) }> (t, , x)",
    ],
)
def test_what_is_counted_is_at_least_one(user):
    source = model(
        f"g (int64[1] n, float[9] x) => (y) {{ {user} }}",
        zero=np.int64([0]),
        first=np.int64(0),
        step=np.int64(1),
    )
    found = {int(generate(source, SIZES[0], seed)["n"][0]) for seed in range(40)}
    assert found == set(range(1, 8))


def test_lengths_that_are_computed_from_others_fit():
    source = model("g (float[n] x, float[k] y) => (float[m] z) { z = Concat<axis = 0>(x, y) }")
    source.graph.inputs[1].shape = ir.Shape([ir.SymbolicDim("2*n")])
    made = generate(source, (3, 5))
    assert (made["x"].shape, made["y"].shape) == ((3,), (6,))


def test_inputs_that_are_no_tensors_are_told():
    source = model("g (seq(float[2]) x) => (int64 n) { n = SequenceLength(x) }")
    with pytest.raises(UnsupportedError, match="No sample can be made"):
        generate(source, (2,))


def test_a_shape_that_depends_on_rounding_is_not_compared():
    right, fewer = np.arange(4.0, dtype=np.float32), np.arange(3.0, dtype=np.float32)
    for x, y in ((right, fewer), (right.astype(np.int64), fewer.astype(np.int64))):
        (difference,) = Reference(["y"], [x], [[y]]).differences([y])
        assert difference.ratio == 0
        (difference,) = Reference(["y"], [x], [[x]]).differences([y])
        assert difference.ratio == np.inf


def test_an_element_that_rounding_may_make_nan_is_not_compared():
    right = normal(40, seed=8)
    noisy = right * np.float32(1 + 1e-6)
    noisy[3] = np.nan
    reference = Reference(["y"], [right], [[noisy]])
    for at, may in ((3, True), (4, False)):
        for other in (5.0, np.inf, np.nan):
            found = right.copy()
            found[at] = other
            assert (reference.differences([found])[0].ratio <= 1) == may


def test_an_axis_that_the_table_does_not_have_is_no_limit():
    given = model(
        "g (int64[3] i) => (y) { y = Gather<axis = 5>(table, i) }", table=np.zeros((4, 2), "f")
    )
    assert generate(given, SIZES[0])["i"].shape == (3,)
