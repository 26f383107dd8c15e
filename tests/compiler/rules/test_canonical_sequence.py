"""Sequences whose elements are known become plain tensors."""

import numpy as np
import pytest

from sardonyx.compiler.rules.canonical_sequence import RULES
from tests.support.models import model
from tests.support.rules import apply, check_miss, check_rule, counts

BY_NAME = {rule.name: rule for rule in RULES}
EXACT = {"atol": 0, "rtol": 0}


def at(value):
    return np.array(value, dtype=np.int64)


SPLITS = [
    # the whole model, weights, nodes after
    (
        "g (float[b,7] x) => (float[b,3] y) { s = SplitToSequence<axis=1>(x, n) "
        "y = SequenceAt(s, i) }",
        {"n": at(3), "i": at(1)},
        {"Split": 1},
    ),
    (
        "g (float[b,7] x) => (float[b,1] y) { s = SplitToSequence<axis=-1>(x, n) "
        "y = SequenceAt(s, i) }",
        {"n": at(3), "i": at(-1)},
        {"Split": 1},
    ),
    (
        "g (float[b,7] x) => (float[b,5] y) { s = SplitToSequence<axis=1>(x, n) "
        "y = SequenceAt(s, i) }",
        {"n": at([2, 5]), "i": at(1)},
        {"Split": 1},
    ),
    (
        "g (float[b,3] x) => (float[b] y) { s = SplitToSequence<axis=1, keepdims=0>(x) "
        "y = SequenceAt(s, i) }",
        {"i": at(2)},
        {"Split": 1, "Squeeze": 1},
    ),
    (
        "g (float[b,1024] x) => (float[b,1] y) { s = SplitToSequence<axis=1>(x) "
        "y = SequenceAt(s, i) }",
        {"i": at(1000)},
        {"Split": 1},
    ),
    (
        "g (float[b,3] x) => (float[b,1] y) { s = SplitToSequence<axis=1>(x) "
        "y = SequenceAt(s, i) }",
        {"i": at(0)},
        {"Split": 1},
    ),
]


@pytest.mark.parametrize(("text", "weights", "expected"), SPLITS)
def test_a_piece_of_a_split_sequence_is_an_output_of_split(text, weights, expected):
    check_rule(
        BY_NAME["piece_of_split"],
        model(text, **weights),
        expected,
        dims=[{"b": 2}, {"b": 1}],
        **EXACT,
    )


def test_pieces_of_given_lengths_keep_their_axis():
    """ONNX Runtime takes it away, and fails."""
    text = """g (float[b,7] x) => (float[b,3] y) {
        s = SplitToSequence<axis=1, keepdims=0>(x, n) y = SequenceAt(s, i) }"""
    given = model(text, n=at(3), i=at(1))
    apply(BY_NAME["piece_of_split"], given)
    assert counts(given) == {"Split": 1}


SPLIT_MISSES = [
    ("g (float[3,b] x) => (float[3,c] y)", "n", at(2), at(0), "number of pieces is not known"),
    ("g (float[3,4] x) => (float[3,2] y)", "n", at(2), at(5), "does not exist"),
    ("g (float[3,4] x) => (float[3,2] y)", "n", at(0), at(0), "too many"),
    ("g (float[3,0] x) => (float[3,2] y)", "n", at(0), at(0), "too many"),
    ("g (float[3,1025] x) => (float[3,1] y)", "n", at(1), at(0), "too many"),
]


@pytest.mark.parametrize(("signature", "operand", "sizes", "index", "reason"), SPLIT_MISSES)
def test_a_split_of_unknown_pieces_stays(signature, operand, sizes, index, reason):
    text = f"{signature} {{ s = SplitToSequence<axis=1>(x, {operand}) y = SequenceAt(s, i) }}"
    check_miss(BY_NAME["piece_of_split"], model(text, n=sizes, i=index), reason)


BUILT = [
    (
        "concat_of_sequence",
        "g (float[b,2] x, float[b,3] z) => (float[b,5] y) "
        "{ s = SequenceConstruct(x, z) y = ConcatFromSequence<axis=-1>(s) }",
        {},
        {"Concat": 1},
    ),
    (
        "concat_of_sequence",
        "g (float[b,2] x, float[b,2] z) => (float[b,2,2] y) "
        "{ s = SequenceConstruct(x, z) y = ConcatFromSequence<axis=-1, new_axis=1>(s) }",
        {},
        {"Concat": 1, "Unsqueeze": 2},
    ),
]


@pytest.mark.parametrize(("name", "text", "weights", "expected"), BUILT)
def test_a_constructed_sequence_disappears(name, text, weights, expected):
    given = model(text, **weights)
    check_rule(BY_NAME[name], given, expected, dims=[{"b": 3}, {"b": 1}], **EXACT)


def test_pieces_that_others_read_too():
    text = (
        "g (float[b,4] x) => (float[b,2] y) { s = SplitToSequence<axis=1>(x, n) "
        "p = SequenceAt(s, i) q = SequenceAt(s, j) y = Sub(p, q) }"
    )
    given = model(text, n=at(2), i=at(0), j=at(1))
    after = check_rule(
        BY_NAME["piece_of_split"], given, {"Split": 2, "Sub": 1}, dims={"b": 2}, **EXACT
    )
    assert not any("Sequence" in node.op_type for node in after.graph)


EQUAL = """g (float[b,PARTS] x, float[s] like) => (float[b,s] y) {
    n = Shape(like) k = Squeeze(n) q = SplitToSequence<axis = 1>(x, k) y = SequenceAt(q, i) }"""


@pytest.mark.parametrize("index", [0, 2])
def test_a_piece_of_equal_ones_is_a_slice(index):
    given = model(EQUAL.replace("PARTS", "c"), i=at(index))
    expected = {"Shape": 1, "Squeeze": 1, "Reshape": 1, "Mul": 2, "Slice": 1}
    dims = [{"b": 2, "s": 3, "c": 9}, {"b": 1, "s": 1, "c": 3}]
    check_rule(BY_NAME["piece_of_equal_ones"], given, expected, dims=dims, **EXACT)


def test_pieces_of_several_lengths_and_the_last_piece_stay():
    rule = BY_NAME["piece_of_equal_ones"]
    several = EQUAL.replace("PARTS", "c").replace("(x, k)", "(x, n)")
    check_miss(rule, model(several, i=at(0)), "the pieces differ in length")
    short = EQUAL.replace("PARTS", "c").replace("Squeeze(n)", "Squeeze(m)")
    short = short.replace("k = ", "m = Cast<to = 6>(n) k = ")
    check_miss(rule, model(short, i=at(0)), "the pieces differ in length")
    last = model(EQUAL.replace("PARTS", "c"), i=at(-1))
    check_miss(rule, last, "the pieces are counted from the last")
