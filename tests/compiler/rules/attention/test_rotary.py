"""Rotary embeddings, as `x * cos + rotated(x) * sin` and for parts of a head."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.attention import RULES
from sardonyx.compiler.rules.attention.rotary import ROTARY
from sardonyx.compiler.rules.attention.rotary_partial import PARTIAL_ROTARY
from sardonyx.compiler.rules.attention.rotary_sequence import ROTARY_BY_POSITION
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared, check_unchanged

NOISE = {"atol": 2e-6, "rtol": 1e-5}
SIZES = [{"b": 2, "s": 5}, {"b": 1, "s": 1}]
HALVES = """a = Slice(x, zero, half, last) c = Slice(x, half, far, last)
    n = Neg(c) r = Concat<axis = -1>(n, a)"""
SPLIT = "a, c = Split<axis = -1, num_outputs = 2>(x) n = Neg(c) r = Concat<axis = 3>(n, a)"
PAIRS = """a = Slice(x, zero, far, last, two) c = Slice(x, one, far, last, two) n = Neg(c)
    n1 = Unsqueeze(n, end) a1 = Unsqueeze(a, end) p = Concat<axis = -1>(n1, a1)
    r = Reshape(p, copied)"""
SUM = "m = Mul(x, cos) t = Mul(r, sin) y = Add(m, t)"
ROTATED = {"RotaryEmbedding": 1}
NUMBERS = {
    "zero": np.array([0]),
    "one": np.array([1]),
    "two": np.array([2]),
    "half": np.array([3]),
    "far": np.array([2**62]),
    "last": np.array([3]),
    "end": np.array([-1]),
    "copied": np.array([0, 0, 0, 6]),
    "first": np.array([0]),
    "heads_axis": np.array([1]),
    "twice": np.array([1, 1, 1, 1, 2]),
}


def angles(*shape: int, interleaved: bool = False) -> dict[str, np.ndarray]:
    """Tables of cosines and sines whose last axis has each element twice."""
    half = normal(*shape[:-1], shape[-1] // 2, seed=7)
    f = np.repeat(half, 2, axis=-1) if interleaved else np.concatenate([half, half], axis=-1)
    return {"cos": np.cos(f), "sin": np.sin(f)}


def rotary(body: str, dims: str = "b,4,5,6", head: str = "", **weights: np.ndarray):
    text = f"g (float[{dims}] x{head}) => (float[{dims}] y) {{ {body} }}"
    return model(text, **{**NUMBERS, **weights})


@pytest.mark.parametrize("body", [HALVES, SPLIT])
@pytest.mark.parametrize("shape", [(1, 1, 5, 6), (1, 5, 6), (5, 6)])
def test_halves_of_a_head(body: str, shape: tuple[int, ...]):
    given = rotary(body + SUM, "2,4,5,6", **angles(*shape))
    after = check_rule(ROTARY, given, {**ROTATED, "Expand": 2} | _moved(shape), **NOISE)
    (node,) = (node for node in after.graph if node.op_type == "RotaryEmbedding")
    assert list(node.inputs[1].shape) == [2, 5, 3]


def _moved(shape: tuple[int, ...]) -> dict[str, int]:
    inserted = {"Unsqueeze": 2} if len(shape) < 4 else {}
    return inserted | ({"Squeeze": 2} if len(shape) > 2 else {})


def test_neighbours_in_a_head():
    given = rotary(PAIRS + SUM, "2,4,5,6", **angles(2, 1, 5, 6, interleaved=True))
    after = check_rule(ROTARY, given, {**ROTATED, "Squeeze": 2}, **NOISE)
    (node,) = (node for node in after.graph if node.op_type == "RotaryEmbedding")
    assert node.attributes["interleaved"].as_int() == 1


def test_angles_that_depend_on_positions():
    tables = """f = Mul(p, w) d = Concat<axis = -1>(f, f) c3 = Cos(d) s3 = Sin(d)
        c2 = Mul(c3, k) s2 = Mul(s3, k)
        cos = Unsqueeze(c2, heads_axis) sin = Unsqueeze(s2, heads_axis) """
    given = rotary(
        tables + HALVES + SUM,
        "b,4,s,6",
        ", float[1,s,1] p",
        w=normal(3),
        k=np.float32(1.25),
    )
    left = {"Mul": 3, "Cos": 1, "Sin": 1, "Unsqueeze": 2, "Squeeze": 2}
    expanded = {"Shape": 2, "Concat": 2, "Expand": 2}
    check_rule(ROTARY, given, {**ROTATED, **left, **expanded}, **NOISE, dims=SIZES)
    check_shared(ROTARY, given, **NOISE, dims=SIZES)


def test_angles_read_from_a_table():
    tables = """cos3 = Gather(cosines, i) sin3 = Gather(sines, i)
        cos = Unsqueeze(cos3, heads_axis) sin = Unsqueeze(sin3, heads_axis) """
    held = angles(120, 6)
    given = rotary(
        tables + HALVES + SUM, "b,4,s,6", ", int64[b,s] i", cosines=held["cos"], sines=held["sin"]
    )
    left = {"Gather": 2, "Unsqueeze": 2, "Squeeze": 2}
    check_rule(ROTARY, given, {**ROTATED, **left}, **NOISE, dims=SIZES)


def test_neighbours_with_repeated_angles():
    tables = """c1 = Cos(f) s1 = Sin(f) c2 = Unsqueeze(c1, end) s2 = Unsqueeze(s1, end)
        c3 = Expand(c2, twice) s3 = Concat<axis = -1>(s2, s2)
        cos = Reshape(c3, copied) sin = Reshape(s3, copied) """
    given = rotary(tables + PAIRS + SUM, "b,4,s,6", ", float[b,1,s,3] f")
    check_rule(ROTARY, given, {**ROTATED, "Cos": 1, "Sin": 1, "Squeeze": 2}, **NOISE, dims=SIZES)


def test_positions_before_heads():
    tables = """c1 = Cos(f) s1 = Sin(f) cos = Concat<axis = -1>(c1, c1)
        sin = Concat<axis = -1>(s1, s1) """
    given = rotary(tables + HALVES + SUM, "b,s,4,6", ", float[b,s,1,3] f")
    left = {"Cos": 1, "Sin": 1, "Squeeze": 2, "Transpose": 2}
    check_rule(ROTARY, given, {**ROTATED, **left}, **NOISE, dims=SIZES)


@pytest.mark.parametrize(
    ("body", "weights", "why"),
    [
        (
            HALVES + SUM,
            {"cos": normal(5, 6), "sin": normal(5, 6)},
            "the angles of the two halves of a head differ",
        ),
        (HALVES + SUM, angles(4, 5, 6), "the angles are not one row for each position"),
        (HALVES + SUM, angles(1, 6), "the angles are not one row for each position"),
        (
            HALVES.replace("Slice(x, zero", "Slice(z, zero") + SUM,
            angles(5, 6),
            "what is rotated is not the halves of a head",
        ),
        *(
            (
                f"{first} {HALVES.replace('Slice(x, zero, half, last)', a)} {SUM}",
                angles(5, 6),
                "what is rotated is not the halves of a head",
            )
            for first, a in (
                ("w = Slice(x, zero, one, two)", "Slice(w, zero, half, last)"),
                ("w, o = Split<axis = 2>(x, parts)", "Slice(w, zero, half, last)"),
                ("", "Slice(x, zeros, ends, axes)"),
                ("", "Slice(z, zero, two)"),
            )
        ),
        (
            HALVES.replace("n = Neg(c)", "n = Neg(a)").replace("(n, a)", "(n, c)") + SUM,
            angles(5, 6),
            "what is rotated is not the halves of a head",
        ),
        (
            PAIRS + SUM,
            angles(5, 6),
            "the angles of the two halves of a head differ",
        ),
    ],
)
def test_what_is_no_rotary_embedding(body: str, weights: dict[str, np.ndarray], why: str):
    cut = {"parts": np.array([1, 4]), "zeros": np.array([0, 0]), "axes": np.array([3, 2])}
    shape = "4,4,5,3" if "Slice(z, zero, two)" in body else "2,4,5,6"
    given = rotary(body, "2,4,5,6", f", float[{shape}] z", ends=np.array([3, 1]), **cut, **weights)
    check_miss(ROTARY, given, why)


@pytest.mark.parametrize("start", [-6, -100])
def test_halves_that_are_counted_from_the_end(start: int):
    body = HALVES.replace("x, zero, half", "x, start, half").replace("x, half", "x, middle")
    given = rotary(body + SUM, "2,4,5,6", start=np.array([start]), middle=np.array([-3]),
        **angles(1, 1, 5, 6))  # fmt: skip
    check_rule(ROTARY, given, {**ROTATED, "Expand": 2, "Squeeze": 2}, **NOISE)


def test_halves_that_are_cut_of_what_the_head_is_cut_of():
    cut = "x = Slice(q, one, far, last, two) a = Slice(q, one, seven, last, two)"
    body = cut + HALVES.replace("a = Slice(x, zero, half, last)", "")
    body = body.replace("c = Slice(x, half, far, last)", "c = Slice(q, seven, far, last, two)")
    text = f"g (float[2,4,5,12] q) => (float[2,4,5,6] y) {{ {body} {SUM} }}"
    given = model(text, **NUMBERS, seven=np.array([7]), **angles(1, 1, 5, 6))
    check_rule(ROTARY, given, {**ROTATED, "Slice": 1, "Expand": 2, "Squeeze": 2}, **NOISE)


def test_every_other_of_every_other():
    cut = "x = Slice(q, one, far, last, two) a = Slice(q, one, far, last, four)"
    body = cut + PAIRS.replace("a = Slice(x, zero, far, last, two)", "")
    body = body.replace("c = Slice(x, one, far, last, two)", "c = Slice(q, half, far, last, four)")
    text = f"g (float[2,4,5,12] q) => (float[2,4,5,6] y) {{ {body} {SUM} }}"
    tables = angles(1, 1, 5, 6, interleaved=True)
    given = model(text, **NUMBERS, four=np.array([4]), **tables)
    check_rule(ROTARY, given, {**ROTATED, "Slice": 1, "Expand": 2, "Squeeze": 2}, **NOISE)


def test_a_row_of_angles_for_each_position_and_none_for_heads():
    """A table of two axes gets the one of the heads between positions and size."""
    tables = "cos = Unsqueeze(cos2, one) sin = Unsqueeze(sin2, one) "
    f = angles(5, 6)
    given = rotary(tables + HALVES + SUM, "2,5,4,6", cos2=f["cos"], sin2=f["sin"])
    left = {"Expand": 2, "Squeeze": 2, "Unsqueeze": 4, "Transpose": 2}
    check_rule(ROTARY, given, {**ROTATED, **left}, **NOISE)


def test_tables_of_one_column_or_one_row():
    given = rotary(HALVES + SUM, "2,4,5,6", cos=normal(5, 1), sin=normal(5, 1, seed=1))
    check_miss(ROTARY, given, "the table of angles has no known, even length")
    f = angles(1, 6)
    cut = """d = Shape(x) l = Gather(d, two) cos = Slice(c1, zero, l, zero)
        sin = Slice(s1, zero, l, zero)"""
    given = rotary(f"{cut} {HALVES} {SUM}", "2,4,s,6", c1=f["cos"], s1=f["sin"])
    check_miss(ROTARY, given, "the angles are not one row for each position")
    given = rotary(HALVES + SUM, "2,4,5,6", **angles(1, 1, 1, 5, 6))
    given.graph.outputs[0].shape = ir.Shape([1, 2, 4, 5, 6])
    check_miss(ROTARY, given, "the angles are not one row for each position")


def test_angles_from_elsewhere():
    given = rotary(HALVES + SUM, "2,4,5,6", ", float[5,6] cos, float[5,6] sin")
    check_miss(ROTARY, given, "are not known to be equal")
    given = rotary(
        "cos = CumSum(k, axis) " + HALVES + SUM,
        "2,4,5,6",
        ", float[5,6] k, float[5,6] sin",
        axis=np.array(1),
    )
    check_miss(ROTARY, given, "CumSum may give the two halves of a head other angles")


@pytest.mark.parametrize("cut", ["Slice(LONG, zero, six, one)", "Slice(LONG, starts, ends)"])
def test_angles_that_are_a_part_of_longer_rows(cut):
    """The halves of a longer row are not those of its part."""
    tables = " ".join(f"{n} = {cut.replace('LONG', f'long_{n}')}" for n in ("cos", "sin"))
    joined = " ".join(f"long_{n} = Concat<axis = 1>(f_{n}, f_{n})" for n in ("cos", "sin"))
    given = rotary(
        f"{joined} {tables} {HALVES} {SUM}",
        "2,4,5,6",
        ", float[5,4] f_cos, float[5,4] f_sin",
        six=np.array([6]),
        starts=np.array([0, 0]),
        ends=np.array([5, 6]),
    )
    check_miss(ROTARY, given, "Slice may give the two halves of a head other angles")


def test_other_ranks_and_dtypes():
    body = "a, c = Split<axis = -1, num_outputs = 2>(x) n = Neg(c) r = Concat<axis = -1>(n, a) "
    given = rotary(body + SUM, "4,5,6", **angles(5, 6))
    check_miss(ROTARY, given, "it is no tensor of heads with a known, even size")
    text = f"g (double[2,4,5,6] x) => (double[2,4,5,6] y) {{ {HALVES} {SUM} }}"
    doubles = {name: table.astype(np.float64) for name, table in angles(5, 6).items()}
    check_miss(ROTARY, model(text, **NUMBERS, **doubles), "does not compute in its dtype")


# --- parts of a head -----------------------------------------------------------------------------

PART = """a = Slice(x, zero, four, last) c = Slice(x, four, far, last)
    t = RotaryEmbedding(a, cos, sin) y = Concat<axis = -1>(t, c)"""
CACHES = ", float[b,s,2] cos, float[b,s,2] sin"


def test_first_part_of_a_head():
    given = rotary(PART, "b,4,s,6", CACHES, four=np.array([4]))
    check_rule(PARTIAL_ROTARY, given, ROTATED, **NOISE, dims=SIZES)
    check_shared(PARTIAL_ROTARY, given, **NOISE, dims=SIZES)


def test_first_part_of_a_head_that_is_a_part_itself():
    body = f"w, x = Split<axis = -1>(q, sizes) {PART}"
    text = f"g (float[b,4,s,9] q{CACHES}) => (float[b,4,s,6] y) {{ {body} }}"
    given = model(text, **NUMBERS, four=np.array([4]), sizes=np.array([3, 6]))
    check_rule(PARTIAL_ROTARY, given, {**ROTATED, "Split": 1}, **NOISE, dims=SIZES)


def test_first_part_with_positions_before_heads():
    body = """a = Slice(x, zero, four, last) c = Slice(x, four, far, last)
        h = Transpose<perm = [0, 2, 1, 3]>(a) t = RotaryEmbedding(h, cos, sin)
        b = Transpose<perm = [0, 2, 1, 3]>(t) y = Concat<axis = -1>(b, c)"""
    given = rotary(body, "b,s,4,6", CACHES, four=np.array([4]))
    check_rule(PARTIAL_ROTARY, given, {**ROTATED, "Transpose": 2}, **NOISE, dims=SIZES)


@pytest.mark.parametrize(("first", "second"), [("0,1,2,3", "0,2,1,3"), ("0,2,1,3", "0,1,2,3")])
def test_first_part_that_is_transposed_once(first: str, second: str):
    body = f"""a = Slice(x, zero, four, last) c = Slice(x, four, far, last)
        h = Transpose<perm = [{first}]>(a) t = RotaryEmbedding(h, cos, sin)
        b = Transpose<perm = [{second}]>(t) y = Concat<axis = -1>(b, c)"""
    tables = CACHES.replace("b,s", "b,4")
    given = rotary(body, "b,4,4,6", tables, four=np.array([4]))
    check_unchanged(PARTIAL_ROTARY, given)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (PART.replace("(t, c)", "(t, a)"), "it is not the first part of a head that is turned"),
        (PART.replace("(x, four, far", "(x, two, four"), "it is not the first part"),
        (PART.replace("four", "half"), "it is not the first part"),
        (
            PART.replace("RotaryEmbedding", "RotaryEmbedding<rotary_embedding_dim = 4>"),
            "a part of the part is rotated already",
        ),
        (PART.replace("axis = -1", "axis = 1"), "the parts are not those of a head"),
    ],
)
def test_what_is_no_first_part(body: str, why: str):
    text = f"g (float[b,4,s,6] x{CACHES}) => (float[b,n,s,k] y) {{ {body} }}"
    check_miss(PARTIAL_ROTARY, model(text, **NUMBERS, four=np.array([4])), why)


def test_no_first_part_of_a_head_of_unknown_size():
    text = f"g (float[b,4,s,d] x{CACHES}) => (float[b,4,s,k] y) {{ {PART} }}"
    given = model(text, **NUMBERS, four=np.array([4]))
    check_miss(PARTIAL_ROTARY, given, "it is not the first part of a head that is turned")


# --- the transpose of heads ----------------------------------------------------------------------

HEADS = "h = Transpose<perm = [0, 2, 1, 3]>(x) y = RotaryEmbedding<interleaved = 1>(h, cos, sin)"


def test_transpose_goes_after_the_rotary_embedding():
    text = f"g (float[b,s,4,6] x{CACHES}) => (float[b,4,s,6] y) {{ {HEADS} }}".replace(",2]", ",3]")
    given = model(text)
    after = {**ROTATED, "Transpose": 1, "Reshape": 2}
    check_rule(ROTARY_BY_POSITION, given, after, **NOISE, dims=SIZES)
    check_shared(ROTARY_BY_POSITION, given, **NOISE, dims=SIZES)


def test_transpose_stays_where_the_number_of_heads_is_not_known():
    text = f"g (float[b,s,n,6] x{CACHES}) => (float[b,n,s,6] y) {{ {HEADS} }}".replace(",2]", ",3]")
    check_miss(ROTARY_BY_POSITION, model(text), "the number of heads is not known")


def test_all_rules_together_on_a_part_of_a_head():
    body = f"""xx = Slice(q, zero, six, last) k = Slice(q, six, far, last)
        {HALVES.replace("x,", "xx,")} {SUM.replace("x,", "xx,").replace("y", "t2")}
        y = Concat<axis = -1>(t2, k)"""
    text = f"g (float[2,4,5,8] q) => (float[2,4,5,8] y) {{ {body} }}"
    given = model(text, **NUMBERS, six=np.array([6]), **angles(2, 1, 5, 6))
    after = check_rule(RULES, given, {**ROTATED, "Squeeze": 2}, **NOISE)
    (node,) = (node for node in after.graph if node.op_type == "RotaryEmbedding")
    assert node.attributes["rotary_embedding_dim"].as_int() == 6
