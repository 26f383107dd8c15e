"""What rows claim of operators is true of random nodes of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sardonyx.compiler.ops import Tolerance, Trait
from sardonyx.compiler.ops.sample import Case, model_of, unary
from tests.compiler.ops.drawing import draw, draw_case, row_id, run, sampled_rows

SEEDS = range(8)


def result(row, case):
    return run(row, *model_of(row.op_type, row.domain, case))


def claimed(*traits):
    return pytest.mark.parametrize("row", sampled_rows(*traits), ids=row_id)


def assert_same(row, actual, expected):
    """Same elements; kernels may use other instructions for other positions in memory."""
    for a, b in zip(actual, expected, strict=True):
        if row.tolerance == Tolerance.EXACT or a.dtype.kind != "f":
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=4e-6, atol=1e-6)


@pytest.mark.parametrize("row", sampled_rows(), ids=row_id)
def test_samples_are_well_formed(row):
    some_output = False
    for seed in SEEDS:
        case, (model, feeds) = draw_case(row, seed), draw(row, seed)
        outputs = run(row, model, feeds)
        again = draw_case(row, seed)
        assert len(case.inputs) == len(again.inputs)
        for a, b in zip(case.inputs, again.inputs, strict=True):
            np.testing.assert_array_equal(a, b)
        for value, array in zip(model.graph.outputs, outputs, strict=True):
            if value.shape is not None:
                pairs = list(zip(value.shape, array.shape, strict=True))
                assert all(d == n for d, n in pairs if isinstance(d, int))
            if array.dtype.kind == "f" and row.op_type != "Constant":
                assert np.isfinite(array).all()
        some_output |= any(array.size for array in outputs)
    assert some_output


@claimed(Trait.ELEMENTWISE)
def test_elementwise_operators_do_not_look_at_positions(row):
    random = np.random.default_rng(7)
    for seed in SEEDS:
        case = draw_case(row, seed)
        (whole, *_) = result(row, case)
        order = random.permutation(whole.size)
        # Operands that the row's `axes` leaves out (bounds, ratios) stay as they are.
        shuffled = [
            x
            if x is None or _is_setting(row, index)
            else np.broadcast_to(x, whole.shape).reshape(-1)[order]
            for index, x in enumerate(case.inputs)
        ]
        (parts, *_) = result(row, dataclasses.replace(case, inputs=tuple(shuffled)))
        assert_same(row, [parts], [whole.reshape(-1)[order]])


def _is_setting(row, index):
    return index > 0 and row.op_type in {"CastLike", "Clip", "Dropout"}


@claimed(Trait.COMMUTATIVE)
def test_the_first_two_operands_may_be_swapped(row):
    for seed in SEEDS:
        case = draw_case(row, seed)
        first, second, *rest = case.inputs
        swapped = Case((second, first, *rest), case.attributes)
        assert_same(row, result(row, swapped), result(row, case))


def _twice(row, seed):
    case = draw_case(row, seed)
    once = result(row, case)
    return case, once, result(row, dataclasses.replace(case, inputs=(once[0], *case.inputs[1:])))


@claimed(Trait.IDEMPOTENT)
def test_applying_it_again_changes_nothing(row):
    for seed in SEEDS:
        _, once, twice = _twice(row, seed)
        np.testing.assert_array_equal(twice[0], once[0])


@claimed(Trait.INVOLUTION)
def test_applying_it_again_undoes_it(row):
    for seed in SEEDS:
        case, _, twice = _twice(row, seed)
        np.testing.assert_array_equal(twice[0], case.inputs[0])


@claimed(Trait.READS_SHAPE_ONLY)
def test_it_does_not_look_at_elements(row):
    for seed in SEEDS:
        case = draw_case(row, seed)
        other = dataclasses.replace(case, inputs=(case.inputs[0] * 2 - 7,))
        for a, b in zip(result(row, other), result(row, case), strict=True):
            np.testing.assert_array_equal(a, b)


@claimed(Trait.DATA_MOVEMENT)
def test_it_makes_no_new_elements(row):
    for seed in SEEDS:
        case = draw_case(row, seed)
        known = [x.reshape(-1) for x in case.inputs if x is not None and x.dtype.kind == "f"]
        allowed = np.concatenate([*known, np.zeros(1, known[0].dtype)])
        for array in result(row, case):
            assert np.isin(array, allowed).all()


def test_the_checks_notice_a_wrong_claim():
    by_name = {row.op_type: row for row in sampled_rows() if row.domain == ""}
    by_name["Softmax"] = dataclasses.replace(by_name["Softmax"], sample=unary())
    for name, check in (
        ("CumSum", test_it_makes_no_new_elements),
        ("Sub", test_the_first_two_operands_may_be_swapped),
        ("LeakyRelu", test_applying_it_again_changes_nothing),
        ("Abs", test_applying_it_again_undoes_it),
        ("Identity", test_it_does_not_look_at_elements),
        ("Softmax", test_elementwise_operators_do_not_look_at_positions),
    ):
        with pytest.raises(AssertionError):
            check(by_name[name])
