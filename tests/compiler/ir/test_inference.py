"""Inferred shapes hold: for every operator, and for the sizes that its inputs then have."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import sympy

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.ops import Absent, rows
from sardonyx.compiler.ops.sample import model_of
from tests.support.models import model, normal
from tests.support.run import run_ort

SAMPLED = [row for row in rows() if not isinstance(row.sample, Absent)]


@pytest.mark.parametrize("row", SAMPLED, ids=lambda row: f"{row.domain}.{row.op_type}".lstrip("."))
def test_symbols_stand_for_what_the_runtime_finds(row):
    for seed in range(4):
        random = np.random.default_rng(seed)
        given, feed = model_of(row.op_type, row.domain, row.sample(random))
        for index, value in enumerate(given.graph.outputs):
            value.name = value.name or f"y{index}"
        try:
            wanted = run_ort(given, feed)
        except Exception as error:
            if "NOT_IMPLEMENTED" in str(error):
                continue
            raise
        sizes = _make_symbolic(given, random)
        Types.inferred(given)
        for value, found in zip(given.graph.outputs, wanted, strict=True):
            if isinstance(found, np.ndarray):
                _check_shape(value.shape, found.shape, sizes)


def _make_symbolic(given: ir.Model, random: np.random.Generator) -> dict[str, int]:
    """Give most dimensions a name of their own, and forget the outputs' shapes."""
    sizes: dict[str, int] = {}
    for value in given.graph.inputs:
        dims: list[int | str] = []
        for axis, length in enumerate(value.shape):
            is_symbol = random.random() < 0.7
            dims.append(f"{value.name}_{axis}" if is_symbol else length)
            if is_symbol:
                sizes[dims[-1]] = length
        value.shape = ir.Shape(dims)
    for value in given.graph.outputs:
        value.shape = None
    return sizes


def _check_shape(inferred: ir.Shape | None, found: tuple[int, ...], sizes: dict[str, int]) -> None:
    if inferred is None:
        return
    assert len(inferred) == len(found)
    for dim, length in zip(inferred, found, strict=True):
        if isinstance(dim, int):
            assert dim == length
        elif dim.free_symbols() <= sizes.keys():
            assert _evaluate(dim, sizes) == length


def _evaluate(dim: ir.SymbolicDim, sizes: dict[str, int]) -> int:
    names = {name: sympy.Integer(size) for name, size in sizes.items()}
    known = {"floor": sympy.floor, "Max": sympy.Max, "Min": sympy.Min, "Mod": sympy.Mod}
    return int(sympy.sympify(str(dim.value), locals={**names, **known}))


def test_a_small_file_that_asks_for_very_many_axes_or_elements():
    steps = " ".join(f"a{i + 1} = Concat<axis = 0>(a{i}, a{i})" for i in range(40))
    given = model(
        f"g (float[6] x, int64[4] a0) => (y, z) {{ {steps} y = Reshape(x, a40) z = Neg(a40) }}"
    )
    Types.inferred(given)
    assert given.graph.outputs[0].shape is None
    assert str(given.graph.outputs[1].shape) == f"[{4 << 40}]"


def test_a_function_is_inferred_for_each_call():
    text = """<ir_version: 10, opset_import: ["" : 23, "own" : 1]>
    g (float[n,3] x, float[4,m] z) => (y, w) { y = own.f<k = 1>(x) w = own.f<k = 0>(z) }
    <domain: "own", opset_import: ["" : 23]>
    f<k>(a) => (c) { b = Abs(a) c = Flatten<axis: int = @k>(b) }"""
    given = ir.from_onnx_text(text)
    Types.inferred(given)
    assert [str(v.shape) for v in given.graph.outputs] == ["[n,3]", "[1,4*m]"]


def test_metadata_of_a_file_is_no_fact():
    given = model("g (float[n] x) => (int64[1] y) { s = Shape(x) y = Neg(s) }")
    shape = given.graph.node(0).outputs[0]
    shape.metadata_props["pkg.onnx_shape_inference.sym_data"] = "[7]"
    types = Types.inferred(given)
    assert [str(e) for e in types.elements(shape)] == ["n"]


def test_what_two_lengths_broadcast_to_is_not_the_larger_one():
    """Of 0 and 1 it is 0; the same two give the same again, whichever comes first."""
    given = model("g (float[n] x, float[m] z) => (y, w) { y = Add(x, z) w = Sub(z, x) }")
    Types.inferred(given)
    (first,), (second,) = (v.shape for v in given.graph.outputs)
    assert first == second
    assert not first.free_symbols() & {"m", "n"}


@pytest.mark.parametrize(
    ("equation", "shapes", "expected"),
    [
        ("bij,bjk->bik", ("1,2,3", "4,3,5"), "[4,2,5]"),
        ("bij,bjk->kib", ("4,2,3", "1,3,5"), "[5,2,4]"),
        ("a...b, b...a -> a...", ("1,7,3", "3,7,n"), "[n,7]"),
        ("i...b,...bj->...bij", ("4,7,1", "7,3,2"), "[7,3,4,2]"),
        ("ij,jk", ("2,1", "3,4"), "[2,4]"),
    ],
)
def test_an_axis_of_an_einsum_may_be_1_long_in_one_operand(equation, shapes, expected):
    x, z = shapes
    text = f'g (float[{x}] x, float[{z}] z) => (y) {{ y = Einsum<equation = "{equation}">(x, z) }}'
    given = model(text)
    Types.inferred(given)
    assert str(given.graph.outputs[0].shape) == expected


def test_an_einsum_of_lengths_that_do_not_fit():
    given = model('g (float[2] x, float[3] z) => (y) { y = Einsum<equation = "i,i->i">(x, z) }')
    with pytest.raises(InvalidModelError, match="'i' is 2 and 3 long"):
        Types.inferred(given)


@pytest.mark.parametrize(("end", "is_known"), [(512, True), (-1, False)])
def test_a_length_and_one_that_is_cut_from_it_broadcast_to_the_longer(end, is_known):
    """But for one less: of 1 that leaves 0, and 1 and 0 give 0."""
    text = """g (float[n] x, float[n] z) => (y, w) {
        s = Slice(z, zero, end) y = Add(x, s) w = Add(s, x) }"""
    given = model(text, zero=np.int64([0]), end=np.int64([end]))
    Types.inferred(given)
    assert [str(v.shape) == "[n]" for v in given.graph.outputs] == [is_known, is_known]


def test_the_larger_and_the_smaller_of_numbers_and_dimensions():
    text = """g (float[n] x, float[m] z) => (float[k] y) {
        s = Shape(x) t = Shape(z) less = Sub(zero, s) none = Max(less, zero) w = Sub(ten, s)
        some = Max(zero, w) all = Max(s, t) few = Min(ten, s) r = Slice(x, none, some)
        y = Neg(r) }"""
    numbers = {"zero": np.int64([0]), "ten": np.int64([10])}
    given = model(text, **numbers)
    types = Types.inferred(given)
    values = {v.name: v for node in given.graph for v in node.outputs}
    found = {name: str(*types.elements(values[name])) for name in ("none", "some", "all", "few")}
    assert found == {
        "none": "0",
        "some": "Max(0, 10 - n)",
        "all": "Max(m, n)",
        "few": "Min(10, n)",
    }
    assert str(values["r"].shape[0]) == "Min(n, Max(0, 10 - n))"


@pytest.mark.parametrize("less", ["zero", "five"])
def test_a_start_below_zero_counts_from_the_end(less: str):
    """Max(0, 10 - n) - 5 may be negative, although it begins as what may not."""
    text = f"""g (float[n] x) => (float[k] y) {{ s = Shape(x) w = Sub(ten, s) some = Max(zero, w)
        start = Sub(some, {less}) r = Slice(x, start, end) y = Neg(r) }}"""
    numbers = {"zero": 0, "ten": 10, "five": 5, "end": 2**40}
    given = model(text, **{k: np.int64([v]) for k, v in numbers.items()})
    Types.inferred(given)
    (r,) = (v for node in given.graph for v in node.outputs if v.name == "r")
    assert r.shape is not None
    is_known = "Max" in str(r.shape[0])
    assert is_known == (less == "zero")


FAR = 2**40


@pytest.mark.parametrize(
    ("start", "end", "step", "is_said"),
    [
        (0, FAR, 1, True),
        (2, FAR, 1, True),
        (-3, FAR, 1, True),
        (1, -1, 1, True),
        (0, FAR, 2, True),
        (1, FAR, 2, True),
        (1, FAR, 1, False),
        (0, 1, 1, False),
        (-1, FAR, 1, False),
        (0, -1, 1, False),
        (1, 5, 1, False),
    ],
)
def test_the_length_of_a_slice_holds_for_an_empty_axis_too(
    start: int, end: int, step: int, is_said: bool
):
    """n - 1, for one, is the length of what is behind the first element of some."""
    numbers = {"zero": 0, "start": start, "end": end, "step": step}
    given = model(
        "g (float[n] x) => (float[k] y) { r = Slice(x, start, end, zero, step) y = Neg(r) }",
        **{k: np.array([v]) for k, v in numbers.items()},
    )
    Types.inferred(given)
    (length,) = given.graph.node(0).outputs[0].shape
    for n in (0, 1, 2, 7):
        found = length.evaluate({"n": n})
        assert not isinstance(found, int) or found == len(range(n)[start:end:step])
    assert ({"n"} == length.free_symbols()) == is_said


def test_slices_of_the_same_length_are_known_to_be_as_long():
    given = model(
        """g (float[n] x, float[n] z) => (float[k] y) {
            r = Slice(x, one, far) s = Slice(z, one, far) t = Slice(z, zero, one) u = Add(r, s)
            y = Neg(u)
        }""",
        **{k: np.array([v]) for k, v in {"zero": 0, "one": 1, "far": FAR}.items()},
    )
    Types.inferred(given)
    r, s, t, u = (node.outputs[0].shape for node in list(given.graph)[:4])
    assert r == s == u
    assert r != t


def test_a_multiple_of_a_number_is_divided_by_it():
    text = """g (float[n] x) => (float[4,n] y) {
        t = Concat<axis=0>(x, x, x, x) s = Shape(t) q = Div(s, four) h = Div(s, eight)
        shape = Concat<axis=0>(four, q) y = Reshape(t, shape) z = Reshape(t, h) }"""
    given = model(text, four=np.int64([4]), eight=np.int64([8]))
    types = Types.inferred(given)
    values = {v.name: v for node in given.graph for v in node.outputs}
    assert [str(e) for e in types.elements(values["q"])] == ["n"]
    assert [str(e) for e in types.elements(values["h"])] == ["floor(n/2)"]
    assert [str(dim) for dim in values["y"].shape] == ["4", "n"]


@pytest.mark.parametrize(
    ("attributes", "shapes"),
    [
        ("", ["[_d0]", "[_d0]", "[_d1]", "[_d0]"]),
        ("<axis = 1>", ["[n,_d0,2]", "[_d0]", "[3]", "[_d0]"]),
        ("<axis = -3>", ["[_d0,3,2]", "[_d0]", "[n]", "[_d0]"]),
    ],
)
def test_unique_keeps_all_axes_but_one(attributes: str, shapes: list[str]):
    given = model(
        f"""g (float[n,3,2] x) => (float[k] y, int64[i] j, int64[a] b, int64[c] d) {{
            u, f, g, h = Unique{attributes}(x)
            y = Neg(u) j = Neg(f) b = Neg(g) d = Neg(h)
        }}"""
    )
    Types.inferred(given)
    assert [str(v.shape) for v in given.graph.node(0).outputs] == shapes


def test_a_mel_matrix_has_a_row_for_each_frequency_and_a_column_for_each_bin():
    given = model(
        "g (float low) => (float[r, c] y) { y = MelWeightMatrix(bins, length, rate, low, high) }",
        bins=np.array(4),
        length=np.array(16),
        rate=np.array(8000),
        high=np.array(4000, np.float32),
    )
    Types.inferred(given)
    assert given.graph.outputs[0].shape == ir.Shape([9, 4])


@pytest.mark.parametrize(
    ("node", "known"),
    [("Squeeze(x, axes)", None), ("Unsqueeze(x, axes)", 4), ("Pad(x, both, , axes)", 3)],
)
def test_axes_that_are_computed_are_not_taken_for_left_out(node: str, known: int | None):
    """One axis of length 1 of two goes, or another one than the first is padded."""
    text = f"g (float[1,1,4] x, int64[1] axes) => (float[n] y) {{ y = {node} }}"
    given = model(text, both=np.array([1, 2]))
    (result,) = given.graph.outputs
    result.shape = None
    Types.inferred(given)
    assert (None if result.shape is None else len(result.shape)) == known
    assert not any(isinstance(dim, int) for dim in result.shape or ())
    (found,) = run_ort(given, {"x": np.zeros((1, 1, 4), np.float32), "axes": np.array([1])})
    assert found.shape == {None: (1, 4), 3: (1, 4, 4), 4: (1, 1, 1, 4)}[known]


def test_an_operand_of_unknown_rank_may_have_more_axes_than_it_is_expanded_to():
    text = """g (float[2,1,n] x, int64[k] axes, int64[1] whole) => (float[a] y, float[m] z) {
        s = Squeeze(x, axes)  y = Expand(s, one)
        r = Reshape(x, whole)  z = Expand(r, one) }"""
    given = model(text, one=np.array([1]))
    for value in given.graph.outputs:
        value.shape = None
    Types.inferred(given)
    y, z = given.graph.outputs
    assert y.shape is None
    assert len(z.shape) == 1
    feeds = {"x": normal(2, 1, 3), "axes": np.array([1]), "whole": np.array([6])}
    assert [found.shape for found in run_ort(given, feeds)] == [(2, 3), (6,)]


def test_lengths_that_are_computed_are_not_taken_for_equal_ones():
    given = model(
        """g (float[4,5] x, int64[2] lengths, float[n,3] z) => (float[a,5] u, float[b,5] v,
            float[4,c] s, float[4,d] t) {
            u, v = Split(x, lengths)
            i = Shape(z) s, t = Split<axis = -1>(x, i) }""",
    )
    for value in given.graph.outputs:
        value.shape = None
    Types.inferred(given)
    assert [str(v.shape) for v in given.graph.outputs] == ["[_d0,5]", "[_d1,5]", "[4,n]", "[4,3]"]
    feeds = {"x": normal(4, 5), "lengths": np.array([1, 3]), "z": normal(2, 3)}
    assert [y.shape for y in run_ort(given, feeds)] == [(1, 5), (3, 5), (4, 2), (4, 3)]


@pytest.mark.parametrize(
    ("node", "element"),
    [
        ("Min(s, one)", None),
        ("Max(s, one)", None),
        ("Max(s, zero)", "n"),
        ("Min(s, zero)", "0"),
        ("Min(s, two)", "Min(2, n)"),
        ("Max(two, s)", "Max(2, n)"),
        ("Min(t, one)", None),
        ("Max(t, zero)", None),
        ("Min(one, two)", "1"),
    ],
)
def test_a_length_may_be_0_and_an_element_anything(node: str, element: str | None):
    given = model(
        f"g (float[n] x, int64[1] t) => (int64[1] y) {{ s = Shape(x) c = {node} y = Neg(c) }}",
        **{name: np.int64([i]) for i, name in enumerate(["zero", "one", "two"])},
    )
    types = Types.inferred(given)
    (known,) = types.elements({v.name: v for n in given.graph for v in n.outputs}["c"]) or (None,)
    found = str(known)
    assert found == element or (element is None and found.startswith(("_", "None")))
