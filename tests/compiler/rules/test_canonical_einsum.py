"""Einsum as MatMul, Mul, ReduceSum and Transpose."""

from __future__ import annotations

import pytest

from sardonyx.compiler.rules.canonical_einsum import RULES
from sardonyx.compiler.rules.einsum_equation import Equation, parse, roles
from tests.support.models import clone, model, normal
from tests.support.rules import apply, check_miss, check_rule, check_shared, counts
from tests.support.run import run_ort

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
LENGTHS = {letter: 2 + i % 4 for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
SIZES = [{"N": 3, "M": 4}, {"N": 1, "M": 4}, {"N": 1, "M": 1}]


def einsum(equation: str, *shapes: str, dtype: str = "float", result: str = ""):
    """A model of one Einsum; shapes such as "N,3,4", the result's rank in `result`."""
    names = "uvwz"[: len(shapes)]
    given = ", ".join(f"{dtype}[{s}] {n}" for s, n in zip(shapes, names, strict=True))
    body = f'y = Einsum <equation = "{equation}"> ({", ".join(names)})'
    return model(f"g ({given}) => ({dtype}[{result}] y) {{ {body} }}")


# What attention, relative positions, mixtures and bilinear layers write, and the operators left.
WRITTEN = {
    "bhid,bhjd->bhij": {"Transpose": 1, "MatMul": 1},
    "bhij,bhjd->bhid": {"MatMul": 1},
    "bqhd,bkhd->bhqk": {"Transpose": 2, "MatMul": 1},
    "bhqk,bkhd->bqhd": {"Transpose": 2, "MatMul": 1},
    "bsd,dhk->bshk": {"Reshape": 2, "MatMul": 1},
    "bhsd,hdo->bso": {"Transpose": 1, "Reshape": 2, "MatMul": 1},
    "bhqd,qkd->bhqk": {"Transpose": 3, "Reshape": 2, "MatMul": 1},
    "bhld,lrd->bhlr": {"Transpose": 3, "Reshape": 2, "MatMul": 1},
    "bn,bm->bnm": {"Unsqueeze": 2, "Mul": 1},
    "i,j->ij": {"Unsqueeze": 2, "Mul": 1},
    "bd,bd->b": {"Unsqueeze": 2, "MatMul": 1, "Squeeze": 1},
    "i,i->": {"Unsqueeze": 2, "MatMul": 1, "Squeeze": 1},
    "bsd,d->bs": {"Unsqueeze": 1, "MatMul": 1, "Squeeze": 1},
    "bld,bd->bld": {"Unsqueeze": 1, "Mul": 1},
    "bchw,cd->bdhw": {"Transpose": 2, "MatMul": 1},
    "dc,bchw->bdhw": {"Transpose": 3, "MatMul": 1},
    "bkhd,bqhd->bhqk": {"Transpose": 2, "MatMul": 1},
    "bse,sec->bsc": {"Transpose": 2, "MatMul": 1},
    "ab,cd->ad": {"ReduceSum": 2, "Unsqueeze": 2, "Mul": 1},
    "ij,jk": {"MatMul": 1},
    "ba,cb": {"Transpose": 2, "MatMul": 1},
    "b i j , b j k -> b i k": {"MatMul": 1},
}


def shapes_of(equation: str, batch: str | int = 2) -> list[str]:
    terms = equation.replace(" ", "").split("->")[0].split(",")
    lengths = {**LENGTHS, "b": batch}
    return [",".join(str(lengths[c]) for c in term) for term in terms]


def rank_of(equation: str) -> str:
    if "->" not in equation:
        return "?,?"
    return ",".join("?" * len(equation.replace(" ", "").split("->")[1]))


@pytest.mark.parametrize(("equation", "left"), WRITTEN.items())
def test_product_of_two(equation, left):
    given = einsum(equation, *shapes_of(equation), result=rank_of(equation))
    check_rule(RULES, given, left, **CLOSE)


@pytest.mark.parametrize("equation", [e for e in WRITTEN if "b" in e])
def test_the_batch_may_be_dynamic(equation):
    given = einsum(equation, *shapes_of(equation, "N"), result=rank_of(equation))
    check_rule(RULES, given, WRITTEN[equation], dims=SIZES, **CLOSE)


MANY = [
    ("bhqd,qkd->bhqk", ("N,2,M,3", "M,5,3"), 4, "Reshape"),
    ("bsd,dhk->bshk", ("N,M,3", "3,2,4"), 4, "Reshape"),
    ("bihd,jhd->hbij", ("N,M,2,3", "M,2,3"), 4, "Reshape"),
    ("bqhd,bkhd->bhqk", ("N,M,2,3", "N,5,2,3"), 4, "Transpose"),
    ("bij,bkl->bijkl", ("N,M,2", "N,2,3"), 5, "Mul"),
    ("bij,bjkl->bikl", ("N,3,M", "N,M,M,2"), 4, "Reshape"),
    ("abij,jk->abik", ("N,M,3,4", "4,5"), 4, "MatMul"),
]


@pytest.mark.parametrize(("equation", "shapes", "rank", "op_type"), MANY)
def test_more_than_one_dynamic_dim(equation, shapes, rank, op_type):
    given = einsum(equation, *shapes, result=",".join("?" * rank))
    after = check_written(given, dims=SIZES)
    assert after[op_type] >= 1


def test_dims_that_stay_are_copied_and_not_computed():
    given = einsum("bsd,dhk->bshk", "N,M,3", "3,2,4", result="?,?,?,?")
    after = check_written(given, dims=SIZES)
    assert not {"Shape", "Concat"} & after.keys()


ELLIPSES = [
    ("...ij,...jk->...ik", ("N,3,2,4", "N,3,4,5"), 4),
    ("...ij,...jk->...ik", ("N,1,2,4", "1,2,4,5"), 4),
    ("...d,hd->...h", ("N,3,4", "5,4"), 3),
    ("...d,dhk->...hk", ("N,3,4", "4,5,2"), 4),
    ("...d,...d->...", ("N,3,4", "N,3,4"), 2),
    ("...ij,...jk", ("N,2,4", "N,4,5"), 3),
    ("b...,b...->b...", ("N,3,4", "N,3,4"), 3),
]


@pytest.mark.parametrize(("equation", "shapes", "rank"), ELLIPSES)
def test_an_ellipsis(equation, shapes, rank):
    given = einsum(equation, *shapes, result=",".join("?" * rank))
    check_written(given, dims=SIZES)


@pytest.mark.parametrize(
    ("equation", "left"),
    [
        ("bij->bji", {"Transpose": 1}),
        ("bij->b", {"ReduceSum": 1}),
        ("bij->jb", {"ReduceSum": 1, "Transpose": 1}),
        ("bij->", {"ReduceSum": 1}),
        ("b...->...b", {"Transpose": 1}),
        ("bij->bij", {"Identity": 1}),
    ],
)
def test_one_operand(equation, left):
    rank = len(equation.split("->")[1].replace("...", "ij"))
    given = einsum(equation, "N,3,4", result=",".join("?" * rank))
    check_rule(RULES, given, left, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    ("equation", "shapes", "rank"),
    [
        ("bn,anm,bm->ba", ("N,3", "5,3,4", "N,4"), 2),
        ("i,j,k->ijk", ("2", "3", "4"), 3),
        ("ij,jk,kl,lm->im", ("N,3", "3,4", "4,2", "2,5"), 2),
    ],
)
def test_more_than_two_operands(equation, shapes, rank):
    check_written(einsum(equation, *shapes, result=",".join("?" * rank)), dims=SIZES)


def test_integers_and_doubles():
    for dtype in ("int64", "int32", "double"):
        given = einsum("bij,bjk->bik", "N,2,3", "N,3,4", dtype=dtype, result="?,?,?")
        check_rule(RULES, given, {"MatMul": 1}, dims=SIZES, **CLOSE)


def test_an_operand_read_twice_or_by_others():
    text = """g (float[N,3,4] u) => (float[N,3,3] y, float[N,3,4] z) {
        y = Einsum <equation = "bid,bjd->bij"> (u, u)
        z = Relu(u) }"""
    left = {"Transpose": 1, "MatMul": 1, "Relu": 1}
    check_rule(RULES, model(text), left, dims=SIZES, **CLOSE)
    text = """g (float[N,3,4] u) => (float[N,3,3] y) {
        v = Relu(u) y = Einsum <equation = "bid,bjd->bij"> (v, u) }"""
    check_shared(RULES, model(text), dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    ("equation", "shapes", "rule", "reason"),
    [
        ("bii->b", ("N,3,3",), "einsum_sum", "a letter stands twice in one operand"),
        ("bij,bjk->bik", ("N,2,3", "N,1,4"), "einsum_product", "axis 'j' may be 1 long"),
        ("bij,bjk->bik", ("N,2,3", "N,M,4"), "einsum_product", ""),
        ("...ij,jk,kl->...il", ("N,2,3", "3,4", "4,5"), "einsum_pairs", "and an ellipsis"),
        ("bij,bjk->bik", ("N,0,3", "N,3,4"), "einsum_product", "an operand is empty"),
    ],
)
def test_near_misses(equation, shapes, rule, reason):
    rank = len(equation.split("->")[1].replace("...", "b"))
    given = einsum(equation, *shapes, result=",".join("?" * rank))
    if reason:
        check_miss(RULES, given, reason, rule)
    else:
        check_written(given, dims=[{"N": 2, "M": 3}])


def test_small_integers_have_no_matrix_product():
    given = einsum("bij,bjk->bik", "N,2,3", "N,3,4", dtype="int8", result="?,?,?")
    check_miss(RULES, given, "MatMul does not take its dtype (u: int8[N, 2, 3])", "einsum_product")


def test_unknown_ranks_are_left_alone():
    text = """g (float[N,3] x, int64[k] s, float[3,4] w) => (float[?,?] y) {
        u = Reshape(x, s) y = Einsum <equation = "ij,jk->ik"> (u, w) }"""
    check_miss(RULES, model(text), "the rank of an operand is not known", "einsum_product")


def check_written(given, *, dims):
    """Demand that no Einsum is left, whatever takes its place, and return how many of what."""
    after = clone(given)
    apply(RULES, after)
    left = counts(after)
    assert "Einsum" not in left
    check_rule(RULES, given, left, dims=dims, **CLOSE)
    return left


# --- equations -----------------------------------------------------------------------------------


def test_parse():
    assert parse("bij,bjk->bik", (3, 3)) == Equation(
        (("b", "i", "j"), ("b", "j", "k")), ("b", "i", "k")
    )
    assert parse("...i,i->...", (3, 1)) == Equation(((-2, -1, "i"), ("i",)), (-2, -1))
    assert parse("ba,cb", (2, 2)).result == ("a", "c")
    assert parse("...b,ab", (2, 2)).result == (-1, "a")
    for text, ranks in [
        ("ij,jk->ik", (2,)),
        ("ij->ij", (3,)),
        ("ijk->ijk", (2,)),
        ("ij->ik", (2,)),
        ("...ij->ij", (3,)),
        ("...ij->...k", (3,)),
    ]:
        assert parse(text, ranks) is None


def test_roles():
    by = roles(parse("bkhd,bqhd->bhqk", (4, 4)))
    assert not by.is_in_order
    assert (by.batch, by.left, by.right, by.summed) == (("b", "h"), ("q",), ("k",), ("d",))
    by = roles(parse("ab,cd->ad", (2, 2)))
    assert by.is_in_order
    assert (by.left_only, by.right_only) == (("b",), ("c",))


def test_a_batch_of_one_in_one_operand_with_folded_axes():
    given = einsum("bij,bjkl->bikl", "1,2,3", "4,3,2,5", result="?,?,?,?")
    check_rule(RULES, given, {"Reshape": 2, "MatMul": 1}, **CLOSE)


def test_what_matmul_does_not_take_is_multiplied():
    given = einsum("i,j->ij", "3", "4", dtype="int16", result="?,?")
    apply(RULES, given)
    assert counts(given) == {"Unsqueeze": 2, "Mul": 1}


def test_no_length_is_left_open_beside_one_that_may_be_none():
    """ONNX Runtime's Einsum dies of empty operands; what becomes of it does not."""
    after = einsum("abcd,aecd->abe", "N,2,M,3", "N,4,M,3", result="?,?,?")
    apply(RULES, after)
    u, v = normal(0, 2, 5, 3), normal(0, 4, 5, 3)
    (y,) = run_ort(after, {"u": u, "v": v})
    assert y.shape == (0, 2, 4)
