"""What a pattern matches, what it captures, and why it does not match."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.errors import RewriteError
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.rewrite import about, any_of, const, maybe, rest, rule, through
from sardonyx.compiler.rewrite.match import Attempt, Match, may_match, search
from tests.support.models import model, normal


def find(pattern, text: str, **weights) -> tuple[list[Match], Attempt]:
    """All matches of a pattern at the last node of a model."""
    parsed = model(text, **weights)
    Types.inferred(parsed)
    made = rule("r", pattern, lambda op, m: m.root)
    attempt = Attempt()
    root = parsed.graph[-1]
    found = [m for p in made.patterns for m in search(p, root, attempt, made.names)]
    return found, attempt


def matches(pattern, text: str, **weights) -> bool:
    return bool(find(pattern, text, **weights)[0])


def why(pattern, text: str, **weights) -> str:
    found, attempt = find(pattern, text, **weights)
    assert not found
    return attempt.why()


TWO = "g (float[2,3] x, float[2,3] z) => (float[2,3] y) "


def test_a_name_captures_a_value():
    (match,), _ = find(lambda op: op.Sub("a", "b"), TWO + "{ y = Sub(x, z) }")
    assert (match.a.name, match.b.name) == ("x", "z")
    assert match.value("a") is match.a
    assert match.root.op_type == "Sub"


def test_an_unknown_capture_is_named_with_those_there_are():
    (match,), _ = find(lambda op: op.Sub("a", "b"), TWO + "{ y = Sub(x, z) }")
    with pytest.raises(AttributeError, match=r"captures no 'c'; it has \['a', 'b'\]"):
        _ = match.c
    with pytest.raises(AttributeError, match="captures no 'c'"):
        match.value("c")


def test_the_same_name_twice_demands_the_same_value():
    twice = lambda op: op.Mul("a", op.Sigmoid("a"))  # noqa: E731
    assert matches(twice, TWO + "{ s = Sigmoid(x) y = Mul(x, s) }")
    reason = why(twice, TWO + "{ s = Sigmoid(z) y = Mul(x, s) }")
    assert "z: float[2, 3] is not the 'a' seen before, x: float[2, 3]" in reason


def test_commutative_operands_are_tried_in_both_orders():
    pattern = lambda op: op.Add(op.Relu("a"), "b")  # noqa: E731
    for text in ("{ r = Relu(x) y = Add(r, z) }", "{ r = Relu(x) y = Add(z, r) }"):
        (match,), _ = find(pattern, TWO + text)
        assert (match.a.name, match.b.name) == ("x", "z")
    ordered = lambda op: op.Sub(op.Relu("a"), "b")  # noqa: E731
    assert not matches(ordered, TWO + "{ r = Relu(x) y = Sub(z, r) }")


def test_an_order_chosen_first_is_taken_back_when_the_rest_fails():
    pattern = lambda op: op.Mul(op.Add("a", "b"), op.Neg("b"))  # noqa: E731
    for inner in ("Add(x, z)", "Add(z, x)"):
        for outer in ("Mul(s, n)", "Mul(n, s)"):
            text = TWO + f"{{ s = {inner} n = Neg(z) y = {outer} }}"
            (match,), _ = find(pattern, text)
            assert (match.a.name, match.b.name) == ("x", "z")


def test_both_orders_are_reported_when_both_fit():
    found, _ = find(lambda op: op.Add("a", "b"), TWO + "{ y = Add(x, z) }")
    assert [(m.a.name, m.b.name) for m in found] == [("x", "z"), ("z", "x")]
    assert len(find(lambda op: op.Add("a", "b"), TWO + "{ y = Add(x, x) }")[0]) == 1


def test_an_output_name_binds_like_any_other():
    first = lambda op: op.Mul(op.Relu("a", output="r"), op.Neg("r"))  # noqa: E731
    last = lambda op: op.Mul(op.Neg("r"), op.Relu("a", output="r"))  # noqa: E731
    for pattern in (first, last):
        assert matches(pattern, TWO + "{ r = Relu(x) n = Neg(r) y = Mul(r, n) }")
        assert matches(pattern, TWO + "{ r = Relu(x) n = Neg(r) y = Mul(n, r) }")
        assert not matches(pattern, TWO + "{ r = Relu(x) n = Neg(z) y = Mul(n, r) }")


def test_alternatives_fall_back_to_the_next():
    pattern = lambda op: op.Mul(any_of(op.Relu("a"), op.Neg("a")), "b")  # noqa: E731
    assert matches(pattern, TWO + "{ n = Neg(x) y = Mul(n, z) }")
    assert matches(pattern, TWO + "{ n = Relu(x) y = Mul(n, z) }")
    assert not matches(pattern, TWO + "{ n = Abs(x) y = Mul(n, z) }")


def test_an_alternative_that_fits_is_given_up_when_the_rest_fails():
    # Div is not commutative: the first alternative takes x, then "a" cannot be Relu's operand.
    pattern = lambda op: op.Div(any_of("a", op.Relu("a")), op.Neg("a"))  # noqa: E731
    (match,), _ = find(pattern, TWO + "{ r = Relu(x) n = Neg(x) y = Div(r, n) }")
    assert match.a.name == "x"


def test_captures_of_the_other_alternative_read_as_none():
    pattern = lambda op: any_of(op.Mul(op.Relu("a"), const("k")), op.Relu("a"))  # noqa: E731
    (match,), _ = find(pattern, TWO + "{ y = Relu(x) }")
    assert match.k is None
    assert match.value("k") is None


def test_an_operator_may_have_several_names():
    pattern = lambda op: op.call(("Relu", "Neg"), "a")  # noqa: E731
    assert matches(pattern, TWO + "{ y = Neg(x) }")
    assert "from Abs, not from Relu or Neg" in why(
        lambda op: op.Neg(op.call(("Relu", "Neg"), "a")), TWO + "{ b = Abs(x) y = Neg(b) }"
    )


def test_domain_is_part_of_the_operator():
    pattern = lambda op: op.call("Gelu", "a", domain="com.microsoft")  # noqa: E731
    assert matches(pattern, TWO + "{ y = com.microsoft.Gelu(x) }")
    assert not matches(pattern, TWO + "{ y = Gelu(x) }")


def test_through_skips_one_operator():
    pattern = lambda op: op.Neg(through(("Cast", "Identity"), op.Relu("a")))  # noqa: E731
    assert matches(pattern, TWO + "{ r = Relu(x) y = Neg(r) }")
    assert matches(pattern, TWO + "{ r = Relu(x) i = Identity(r) y = Neg(i) }")
    assert not matches(pattern, TWO + "{ r = Relu(x) i = Abs(r) y = Neg(i) }")


CLIP = "g (float[2,3] x) => (float[2,3] y) "


def test_maybe_gives_its_default_where_the_operand_is_left_out():
    pattern = lambda op: op.Clip("a", maybe(const("low"), -1), maybe(const("high")))  # noqa: E731
    low, high = np.float32(2), np.float32(5)
    (match,), _ = find(pattern, CLIP + "{ y = Clip(x) }")
    assert (match.low, match.high) == (-1, None)
    assert match.value("low") is None
    (match,), _ = find(pattern, CLIP + "{ y = Clip(x, lo) }", lo=low)
    assert (float(match.low), match.high) == (2, None)
    assert match.value("low").name == "lo"
    (match,), _ = find(pattern, CLIP + "{ y = Clip(x, , hi) }", hi=high)
    assert (match.low, float(match.high)) == (-1, 5)


def test_none_demands_that_an_operand_is_left_out():
    pattern = lambda op: op.Clip("a", None, "high")  # noqa: E731
    assert matches(pattern, CLIP + "{ y = Clip(x, , hi) }", hi=np.float32(1))
    reason = why(pattern, CLIP + "{ y = Clip(x, lo, hi) }", lo=np.float32(0), hi=np.float32(1))
    assert reason == "has the operand lo: float[]"


def test_operands_beyond_the_pattern_are_a_miss():
    reason = why(lambda op: op.Clip("a"), CLIP + "{ y = Clip(x, lo) }", lo=np.float32(0))
    assert reason == "has more operands than the pattern"


def test_a_value_must_be_there():
    reason = why(lambda op: op.Clip("a", "low"), CLIP + "{ y = Clip(x) }")
    assert reason == "operand 'low' is left out"


SIX = "g (float[2,3] x, float[2,3] z) => (float[6,3] y) "


def test_rest_captures_the_remaining_operands():
    pattern = lambda op: op.Max("a", rest("others"))  # noqa: E731
    joined = lambda op: op.Concat("a", rest("others"))  # noqa: E731
    (match,), _ = find(joined, SIX + "{ y = Concat<axis = 0>(x, z, x) }")
    assert [v.name for v in match.others] == ["z", "x"]
    (match, *_), _ = find(pattern, TWO + "{ y = Max(x) }")
    assert match.others == []


def test_constants_are_captured_as_arrays():
    w = normal(2, 3)
    (match,), _ = find(lambda op: op.Mul("a", const("k")), TWO + "{ y = Mul(w, x) }", w=w)
    np.testing.assert_array_equal(match.k, w)
    assert match.value("k").name == "w"
    assert match.a.name == "x"


def test_a_constant_node_is_a_constant():
    pattern = lambda op: op.Mul("a", const("k"))  # noqa: E731
    text = TWO + "{ c = Constant <value = float[3] {1, 2, 3}> () y = Mul(x, c) }"
    (match,), _ = find(pattern, text)
    assert match.k.tolist() == [1, 2, 3]


def test_a_value_computed_at_run_time_is_no_constant():
    reason = why(lambda op: op.Sub("a", const("k")), TWO + "{ y = Sub(x, z) }")
    assert reason == "z: float[2, 3] is computed when the model runs"


def test_an_initializer_that_is_an_input_too_is_no_constant():
    text = "g (float[2,3] x, float[3] w = {1, 2, 3}) => (float[2,3] y) { y = Sub(x, w) }"
    assert "computed when the model runs" in why(lambda op: op.Sub("a", const("k")), text)


def test_where_says_which_constants_are_meant():
    pattern = lambda op: op.Sub("a", const("k", lambda k: k.size == 1, "one number"))  # noqa: E731
    assert matches(pattern, TWO + "{ y = Sub(x, w) }", w=normal(1, 1))
    assert why(pattern, TWO + "{ y = Sub(x, w) }", w=normal(3)) == "w: float[3] is not one number"


def test_a_constant_name_twice_demands_equal_constants():
    pattern = lambda op: op.Sub(op.Div("a", const("k")), const("k"))  # noqa: E731
    text = TWO + "{ d = Div(x, v) y = Sub(d, w) }"
    same = normal(3)
    assert matches(pattern, text, v=same, w=same.copy())
    assert not matches(pattern, text, v=same, w=same + 1)
    assert not matches(pattern, text, v=same, w=same.reshape(1, 3))


@pytest.mark.parametrize(
    ("array", "number", "is_match"),
    [
        (np.float32(6), 6, True),
        (np.float32([6, 6, 6]), 6, True),
        (np.float32([6, 6, 5]), 6, False),
        (np.float32(1 / 6), 1 / 6, True),
        (np.float16(1 / 6), 1 / 6, True),
        (np.float16(np.inf), 1e9, False),
        (np.float32(np.inf), float("inf"), True),
        (np.float32(np.nan), float("nan"), False),
        (np.float32(0), 1e-60, True),
        (np.int64(3), 3, True),
        (np.int64(3), 3.5, False),
        (np.uint8(255), -1, False),
        (np.int8(-1), 255, False),
        (np.bool_(True), 1, True),
        (np.zeros(0, np.float32), 0, False),
        (np.full(100, 6, np.float32), 6, False),
        (ir.tensor(np.array([2]).astype(ir.DataType.BFLOAT16.numpy())).numpy(), 2, True),
    ],
)
def test_numbers_compare_in_the_dtype_of_the_constant(array, number, is_match):
    array = np.asarray(array)
    dtype = ir.DataType.from_numpy(array.dtype).name.lower()
    text = f"g ({dtype}[100] x) => ({dtype}[100] y) {{ y = Where(c, x, w) }}"
    found = matches(lambda op: op.Where("c", "a", number), text, c=np.ones(100, bool), w=array)
    assert found is is_match


@pytest.mark.parametrize(
    ("array", "number", "is_match"),
    [
        (np.float32(1.414214), 2**0.5, True),
        (np.float64(1.4142135), 2**0.5, True),
        (np.float16(2**0.5), 2**0.5, True),
        (ir.tensor(np.array([2**0.5]).astype(ir.DataType.BFLOAT16.numpy())).numpy(), 2**0.5, True),
        (np.float32(-0.707107), -(0.5**0.5), True),
        (np.float32(1.41421), 2**0.5, False),
        (np.float32(-1.414214), 2**0.5, False),
        (np.float32([1.414214, 1.5]), 2**0.5, False),
        (np.float32(np.inf), 2**0.5, False),
        (np.float32(np.nan), 2**0.5, False),
    ],
)
def test_numbers_may_lack_their_last_digits(array, number, is_match):
    array = np.asarray(array)
    dtype = ir.DataType.from_numpy(array.dtype).name.lower()
    text = f"g ({dtype}[2] x) => ({dtype}[2] y) {{ y = Mul(x, w) }}"
    assert matches(lambda op: op.Mul("a", about(number)), text, w=array) is is_match


def test_strings_are_not_numbers():
    text = """g (string[2] x) => (bool[2] y) <string[2] w = {"0", "0"}> { y = Equal(x, w) }"""
    assert not matches(lambda op: op.Equal("a", 0), text)
    assert matches(lambda op: op.Equal("a", const("w")), text)


@pytest.mark.parametrize(
    ("demanded", "text", "is_match"),
    [
        ({"alpha": 0.2}, "Elu<alpha = 0.2>(x)", True),
        ({"alpha": 0.2}, "Elu<alpha = 0.3>(x)", False),
        ({"alpha": 1.0}, "Elu(x)", True),
        ({"perm": (1, 0)}, "Transpose<perm = [1, 0]>(x)", True),
        ({"perm": [1, 0]}, "Transpose<perm = [1, 0]>(x)", True),
        ({"perm": [1, 0]}, "Transpose(x)", False),
        ({"approximate": "tanh"}, 'Gelu<approximate = "tanh">(x)', True),
        ({"approximate": "tanh"}, "Gelu(x)", False),
        ({"axes": None}, "Relu(x)", True),
    ],
)
def test_attributes_are_demanded_by_value(demanded, text, is_match):
    op_type = text.split("(")[0].split("<")[0]
    if "axes" in demanded:
        demanded = {}
    found = matches(lambda op: op.call(op_type, "a", **demanded), CLIP + f"{{ y = {text} }}")
    assert found is is_match


GEMM = "g (float[2,3] x, float[3,4] z) => (float[2,4] y) { y = Gemm(x, z) }"


def test_attributes_are_captured_with_their_defaults():
    (match,), _ = find(lambda op: op.Gemm("a", "b", attributes="g"), GEMM)
    assert (match.g.alpha, match.g.transB) == (1.0, 0)


def test_only_the_first_output_of_a_node_matches():
    text = "g (float[2,6] x) => (float[2,3] y) { a, b = Split<num_outputs = 2, axis = 1>(x) "
    pattern = lambda op: op.Neg(op.Split("a"))  # noqa: E731
    assert matches(pattern, text + "y = Neg(a) }")
    assert why(pattern, text + "y = Neg(b) }") == "reads another output of Split than its first"


def test_the_failure_that_came_furthest_is_kept():
    pattern = lambda op: op.Neg(any_of(op.Exp(op.Exp("a")), op.Relu("a")))  # noqa: E731
    reason = why(pattern, TWO + "{ a = Abs(x) e = Exp(a) y = Neg(e) }")
    assert reason == "a: float[2, 3] comes from Abs, not from Exp"


def test_a_pattern_is_made_of_patterns_only():
    with pytest.raises(TypeError, match="is no pattern; write a capture name"):
        rule("r", lambda op: op.Relu(object()), lambda op, m: m.root)
    with pytest.raises(TypeError, match="rule 'r' must start with an operator"):
        rule("r", lambda op: "x", lambda op, m: m.root)


def made(pattern) -> str:
    """What is said of a rule of that pattern when it is made."""
    with pytest.raises(RewriteError) as caught:
        rule("r", pattern, lambda op, m: m.root)
    return str(caught.value)


def test_a_pattern_names_operators_that_exist():
    assert made(lambda op: op.Relu(op.Softmx("x"))) == (
        "There is no operator 'Softmx' in the standard domain.\n"
        "  where: pattern of rule 'r'\n"
        "  try: write 'Softmax', if that is meant"
    )
    assert "There is no operator 'Upsample'" in made(lambda op: op.Upsample("x", "scales"))
    rule("newer", lambda op: op.Swish("x"), lambda op, m: m.x)
    rule("theirs", lambda op: op.call("Foo", "x", domain="my.domain"), lambda op, m: m.x)


def test_a_pattern_has_operands_that_a_node_can_have():
    too_many = made(lambda op: op.Neg("x", "y"))
    assert too_many == (
        "Neg never has as many operands as the pattern.\n"
        "  where: pattern of rule 'r'\n"
        "  found: 2\n"
        "  expected: X\n"
        "  try: write None for an operand that is left out, rest(...) for all remaining ones"
    )
    assert "Add never has" in made(lambda op: op.Neg(any_of("x", op.Add("y"))))
    rule("any", lambda op: op.Concat(rest("all")), lambda op, m: m.root)
    rule("either", lambda op: op.call(("Flatten", "Reshape"), "x"), lambda op, m: m.x)


def test_a_pattern_demands_attributes_that_exist():
    assert made(lambda op: op.Softmax("x", axsi=1)) == (
        "Softmax has no attribute 'axsi'.\n"
        "  where: pattern of rule 'r'\n"
        "  expected: axis\n"
        "  try: write 'axis', if that is meant"
    )


@pytest.mark.parametrize("name", ["root", "value", "nodes", "_x"])
def test_a_capture_has_a_name_of_its_own(name):
    assert made(lambda op: op.Neg(op.Exp(name))).startswith(
        f"A capture cannot be called {name!r}: matches have that already."
    )


def test_the_parts_of_a_rule_are_functions():
    with pytest.raises(TypeError, match="the pattern of rule 'r' must be a function, not 'Neg'"):
        rule("r", "Neg", lambda op, m: m.root)


# --- a quick look before the search --------------------------------------------------------------

MADE = "{ r = Relu(x) n = Neg(r) "


@pytest.mark.parametrize(
    ("pattern", "body", "may"),
    [
        (lambda op: op.Exp(op.Neg("x")), "y = Exp(n) }", True),
        (lambda op: op.Exp(op.Neg("x")), "y = Exp(r) }", False),
        (lambda op: op.Exp(op.Neg("x")), "y = Exp(x) }", False),
        (lambda op: op.Sub("a", op.Neg("x")), "y = Sub(x, n) }", True),
        (lambda op: op.Sub("a", op.Neg("x")), "y = Sub(n, x) }", False),
        (lambda op: op.Add("a", op.Neg("x")), "y = Add(n, x) }", True),
        (lambda op: op.Add(op.Neg("x"), op.Relu("x")), "y = Add(r, n) }", True),
        (lambda op: op.Add(op.Neg("x"), 1), "y = Add(x, r) }", False),
        (lambda op: op.Exp(any_of(op.Relu("x"), op.Neg("x"))), "y = Exp(n) }", True),
        (lambda op: op.Exp(any_of(op.Relu("x"), op.Abs("x"))), "y = Exp(n) }", False),
        (lambda op: op.Exp(any_of(op.Abs("x"), "x")), "y = Exp(n) }", True),
        (lambda op: op.Exp(through("Cast", op.Neg("x"))), "y = Exp(n) }", True),
        (lambda op: op.Exp(through("Cast", op.Neg("x"))), "y = Exp(r) }", False),
        (lambda op: op.Exp(through("Cast", "x")), "y = Exp(r) }", True),
        # What comes after an operand that may match nodes is not looked at.
        (lambda op: op.Clip(maybe(op.Abs("x")), op.Neg("l")), "y = Clip(n, r) }", True),
        (lambda op: op.Clip("x", maybe(const("l")), op.Neg("h")), "y = Clip(x, , r) }", False),
        (lambda op: op.Clip("x", maybe(const("l")), op.Neg("h")), "y = Clip(x, , n) }", True),
        (lambda op: op.Clip("x", maybe("l"), op.Neg("h")), "y = Clip(x) }", False),
        (lambda op: op.Max(op.Neg("x"), rest("more")), "y = Max(n, x, r) }", True),
        (lambda op: op.Neg("x"), "y = Neg(n) }", True),
    ],
)
def test_a_quick_look_never_says_no_to_what_matches(pattern, body, may):
    parsed = model(TWO + MADE + body)
    (root,) = rule("r", pattern, lambda op, m: m.root).patterns
    attempt = Attempt()
    found = list(search(root, parsed.graph[-1], attempt))
    assert may_match(root, parsed.graph[-1]) is may
    assert may or (not found and attempt.depth == 1)
