"""Two independent implementations differ by no more than a row's tolerance class says."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.ops import Tolerance
from tests.compiler.ops.drawing import NO_KERNEL, draw, row_id, sampled_rows
from tests.support.run import run_ort, run_reference

# Where ONNX's own evaluator cannot be the second implementation, and why.
NO_REFERENCE = {
    "Attention": "its evaluator does not group heads",
    "ConvTranspose": "its evaluator fails for one spatial axis with a group",
    "GatherElements": "its evaluator wants indices as long as the data along the other axes",
    "GlobalMaxPool": "its evaluator drops an axis for one spatial axis",
    "LRN": "its evaluator counts channels by the length of the batch",
    "MaxPool": "its evaluator gives other shapes with dilations and automatic padding",
    "Mean": "its evaluator adds in place and does not broadcast the first operand",
    "OneHot": "its evaluator does not take a depth of one axis",
    "Pad": "its evaluator does not crop",
}
U = 2.0**-24  # float32

# In units of `U`: relative to the element; and relative to the largest element of the result,
# which stands in for the sum of magnitudes that ACCUMULATING means.
BOUNDS = {
    Tolerance.ROUNDING: (16, 4),
    Tolerance.TRANSCENDENTAL: (200, 40),
    Tolerance.ACCUMULATING: (200, 400),
}


def compared_rows():
    return [
        row
        for row in sampled_rows()
        if row.domain == ""
        and row.op_type not in NO_KERNEL | set(NO_REFERENCE)
        and row.op_type != "SimplifiedLayerNormalization"
        and row.tolerance != Tolerance.RANDOM
    ]


@pytest.mark.parametrize("row", compared_rows(), ids=row_id)
def test_the_reference_agrees_within_the_class(row):
    for seed in range(6):
        model, feeds = draw(row, seed)
        for actual, expected in zip(
            run_ort(model, feeds), run_reference(model, feeds), strict=True
        ):
            expected = np.asarray(expected)
            assert actual.shape == expected.shape
            if actual.size == 0:
                continue
            if row.tolerance == Tolerance.EXACT:
                np.testing.assert_array_equal(actual, expected)
            elif actual.dtype.kind in "iu":
                steps = np.abs(actual.astype(np.int64) - expected.astype(np.int64))
                assert steps.max() <= 1
            else:
                of_element, of_largest = BOUNDS[row.tolerance]
                floor = of_largest * U * max(1.0, np.abs(expected).max())
                np.testing.assert_allclose(actual, expected, rtol=of_element * U, atol=floor)
