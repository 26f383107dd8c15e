"""GELU from the error function and from the hyperbolic tangent."""

from __future__ import annotations

import itertools
import math

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.activation import RULES
from sardonyx.compiler.rules.activation.gelu import GELU, GELU_TANH
from tests.support.models import model
from tests.support.rules import apply, check_miss, check_rule, check_shared, counts
from tests.support.run import only_on_cpu

NOISE = {"atol": 1e-6, "rtol": 2e-6}
SIZES = [{"b": 40}, {"b": 1}]
HEAD = "g (float[b,5] x) => (float[b,5] y) "
ROOT, PI = math.sqrt(2), math.sqrt(2 / math.pi)
EXACT = {
    "one": 1,
    "half": 0.5,
    "root": ROOT,
    "over": 1 / ROOT,
    "pi": PI,
    "k": 0.044715,
    "two": 2,
    "three": 3,
    "off": 1.41,
    "wide": [[[0.5]]],
    "long": [0.5] * 4,
}


def numbers(dtype=np.float32, **more):
    return {name: np.asarray(value, dtype) for name, value in (EXACT | more).items()}


def net(lines: str, dtype: str = "float", **more) -> ir.Model:
    held = np.dtype(ir.DataType[dtype.upper()].numpy())
    return model(HEAD.replace("float", dtype) + "{ " + lines + " }", **numbers(held, **more))


ERF = ["u = Div(x, root)", "u = Mul(x, over)", "u = Mul(over, x)"]
GATE = ["e = Erf(u) f = Add(e, one)", "e = Erf(u) f = Add(one, e)"]
PRODUCTS = [
    "h = Mul(x, half) y = Mul(h, f)",
    "h = Mul(half, x) y = Mul(f, h)",
    "h = Mul(half, f) y = Mul(x, h)",
    "h = Mul(f, half) y = Mul(h, x)",
    "h = Mul(x, f) y = Mul(h, half)",
    "h = Mul(f, x) y = Mul(half, h)",
]


@pytest.mark.parametrize(("gate", "last"), list(itertools.product(GATE, PRODUCTS)))
@pytest.mark.parametrize("first", ERF)
def test_every_order_of_factors(first, gate, last):
    given = net(f"{first} {gate} {last}")
    check_rule(GELU, given, {"Gelu": 1}, dims=SIZES, **NOISE)


@pytest.mark.parametrize("last", PRODUCTS)
def test_shared_values_stay(last):
    check_shared(GELU, net(f"{ERF[0]} {GATE[0]} {last}"), dims=SIZES, **NOISE)
    check_shared(GELU_TANH, net(f"{INNER[0]} {TANH} {last}"), dims=SIZES, **NOISE)


@pytest.mark.parametrize(
    ("root", "over"), [(1.414214, 0.707107), (1.4142135, 0.70710677), (1.41421354, 0.707106781)]
)
def test_roots_as_people_write_them(root, over):
    for first in ERF:
        given = net(f"{first} {GATE[0]} {PRODUCTS[0]}", root=root, over=over)
        check_rule(GELU, given, {"Gelu": 1}, dims=SIZES, atol=2e-6, rtol=4e-6)


def test_a_number_may_have_axes():
    given = net(f"{ERF[0]} {GATE[0]} {PRODUCTS[0]}", root=[[ROOT]], half=[0.5], one=[1])
    check_rule(GELU, given, {"Gelu": 1}, dims=SIZES, **NOISE)


CUBE = [
    "q = Pow(x, three) c = Mul(q, k)",
    "q = Pow(x, two) r = Mul(x, q) c = Mul(k, r)",
    "q = Mul(x, x) r = Mul(x, q) c = Mul(k, r)",
    "q = Mul(x, x) r = Mul(q, x) c = Mul(r, k)",
    "q = Mul(k, x) r = Mul(q, x) c = Mul(r, x)",
    "q = Mul(x, x) r = Mul(k, x) c = Mul(q, r)",
    "q = Mul(x, x) r = Mul(q, k) c = Mul(r, x)",
]
EVEN = [
    "q = Mul(k, x) r = Mul(q, x) v = Add(one, r)",
    "q = Mul(x, x) r = Mul(k, q) v = Add(r, one)",
    "q = Pow(x, two) r = Mul(q, k) v = Add(r, one)",
]
INNER = [
    *(c + s + p for c in CUBE for s in (" s = Add(x, c)",) for p in (" u = Mul(pi, s)",)),
    CUBE[0] + " s = Add(c, x) u = Mul(s, pi)",
    *(e + " p = Mul(pi, x) u = Mul(p, v)" for e in EVEN),
    EVEN[0] + " p = Mul(v, x) u = Mul(p, pi)",
    EVEN[0] + " p = Mul(v, pi) u = Mul(x, p)",
]
TANH = "t = Tanh(u) f = Add(one, t)"


@pytest.mark.parametrize("inner", INNER)
def test_every_spelling_of_the_cube(inner):
    for last in PRODUCTS[::2]:
        given = net(f"{inner} {TANH} {last}")
        after = check_rule(GELU_TANH, given, {"Gelu": 1}, dims=SIZES, atol=2e-6, rtol=5e-6)
        assert after.graph[-1].attributes["approximate"].as_string() == "tanh"


@pytest.mark.parametrize("pi", [0.7978845608, 0.79788456, 0.797885, 0.797884])
def test_the_root_of_two_over_pi_as_people_write_it(pi):
    given = net(f"{INNER[0]} {TANH} {PRODUCTS[0]}", pi=pi)
    check_rule(GELU_TANH, given, {"Gelu": 1}, dims=SIZES, atol=2e-6, rtol=1e-5)


@only_on_cpu("Gelu by tanh leaves the last of five elements out there")
def test_half_precision():
    loose = {"atol": 2e-3, "rtol": 4e-3}
    given = net(f"{ERF[0]} {GATE[0]} {PRODUCTS[0]}", "float16")
    check_rule(GELU, given, {"Gelu": 1}, dims=SIZES, **loose)
    given = net(f"{INNER[0]} {TANH} {PRODUCTS[2]}", "float16")
    check_rule(GELU_TANH, given, {"Gelu": 1}, dims=SIZES, **loose)


def test_double_precision_is_kept():
    reason = "ONNX Runtime has no kernel of it in double precision (x: double[b, 5])"
    check_miss(GELU, net(f"{ERF[0]} {GATE[0]} {PRODUCTS[0]}", "double"), reason)
    check_miss(GELU_TANH, net(f"{INNER[0]} {TANH} {PRODUCTS[0]}", "double"), reason)


@pytest.mark.parametrize("rule", [GELU, GELU_TANH])
def test_bfloat16(rule):
    assert np.dtype(ml_dtypes.bfloat16) == ir.DataType.BFLOAT16.numpy()
    parts = f"{ERF[1]} {GATE[0]}" if rule is GELU else f"{INNER[0]} {TANH}"
    given = net(f"{parts} {PRODUCTS[0]}", "bfloat16")
    apply(rule, given)
    assert counts(given) == {"Gelu": 1}


def test_casts_to_single_precision_stay_around_it():
    text = f"""g (float16[b,5] z) => (float16[b,5] w)
        {{ x = Cast<to = 1>(z) {ERF[0]} {GATE[0]} {PRODUCTS[0]} w = Cast<to = 10>(y) }}"""
    given = model(text, **numbers())
    check_rule(GELU, given, {"Cast": 2, "Gelu": 1}, dims=SIZES, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (f"u = Div(x, off) {GATE[0]} {PRODUCTS[0]}", "off: float[] is not 1.414214"),
        (f"{ERF[0]} {GATE[0]} h = Mul(x, two) y = Mul(h, f)", "two: float[] is not 0.5"),
        (f"{ERF[0]} e = Erf(u) f = Add(e, two) {PRODUCTS[0]}", "two: float[] is not 1"),
    ],
)
def test_other_numbers_are_refused(lines, reason):
    check_miss(GELU, net(lines), reason)


def test_a_root_with_few_digits_would_give_other_numbers():
    lines = f"{ERF[0]} {GATE[0]} {PRODUCTS[0]}"
    check_miss(GELU, net(lines, root=1.4142), "root: float[] is not 1.414214")


def test_another_cubic_term_is_refused():
    lines = f"{INNER[0]} {TANH} {PRODUCTS[0]}"
    check_miss(GELU_TANH, net(lines, k=0.0447), "k: float[] is not 0.044715")
    check_miss(GELU_TANH, net(lines, pi=0.7), "pi: float[] is not 0.7978846")
    check_miss(GELU_TANH, net(lines, pi=0.79788), "pi: float[] is not 0.7978846")
    check_miss(GELU_TANH, net(lines, three=4), "three: float[] is not 3")


def test_another_factor_than_x_is_refused():
    text = HEAD.replace(") =>", ", float[b,5] z) =>")
    lines = f"{ERF[0]} {GATE[0]} h = Mul(z, half) y = Mul(h, f)"
    given = model(text + "{ " + lines + " }", **numbers())
    check_miss(GELU, given, "z: float[b, 5] is not the 'x' seen before, x: float[b, 5]")


def test_numbers_that_broadcast_the_value_up_are_refused():
    lines = f"{ERF[0]} {GATE[0]} h = Mul(x, wide) y = Mul(h, f)"
    given = model(HEAD.replace("[b,5] y", "[1,b,5] y") + "{ " + lines + " }", **numbers())
    check_miss(GELU, given, "a constant has more axes than the value (x: float[b, 5])")
    text = "g (float[b,1] x) => (float[b,4] y) { " + lines.replace("wide", "long") + " }"
    given = model(text, **numbers())
    check_miss(GELU, given, "a constant is longer than the value (x: float[b, 1])")


GATED = f"{ERF[0]} {GATE[0]} "


@pytest.mark.parametrize("tail", ["Mul(up, a)", "Mul(a, up)"])
@pytest.mark.parametrize("last", PRODUCTS)
@pytest.mark.parametrize(
    "halves",
    [
        "x, up = Split<axis = -1, num_outputs = 2>(w)",
        "up, x = Split<axis = -1, num_outputs = 2>(w)",
        "x = Slice(w, n0, n3, n1) up = Slice(w, n3, n6, n1)",
    ],
)
def test_the_gate_of_a_gated_unit(halves, last, tail):
    """The factor from the other half stays outside, whichever way the products are nested."""
    lines = halves + " " + GATED + last.replace("y =", "a =") + f" y = {tail}"
    places = {f"n{i}": np.array([i]) for i in (0, 1, 3, 6)}
    given = model("g (float[b,6] w) => (float[b,3] y) { " + lines + " }", **numbers(), **places)
    cut = {"Slice": 2} if "Slice" in halves else {"Split": 1}
    check_rule(RULES, given, {"Gelu": 1, "Mul": 1} | cut, dims=SIZES, **NOISE)
