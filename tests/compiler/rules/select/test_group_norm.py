"""Group normalisation by instance normalisation."""

import pytest

from sardonyx.compiler.rules.select.group_norm import GROUP_NORM_BY_INSTANCE_NORM as RULE
from tests.support.models import model, normal, positive
from tests.support.rules import check_miss, check_rule, check_shared

# Means over up to 84 elements, in another order.
CLOSE = {"atol": 2e-6, "rtol": 2e-6}


def net(shape, groups=3, dtype="float", **more):
    text = (
        f"g ({dtype}[{shape}] x) => ({dtype}[{shape}] y) {{ r = Abs(x) "
        f"n = GroupNormalization <num_groups={groups}, epsilon=0.01> (r, s, c) y = Neg(n) }}"
    )
    return model(text, **({"s": positive(6), "c": normal(6)} | more))


@pytest.mark.parametrize(
    ("shape", "groups", "shapes"),
    [
        ("b,6,4,7", 3, 0),
        ("2,6,4,7", 6, 0),
        ("b,6,5", 1, 0),
        ("b,6,h,7", 2, 0),
        ("b,6,h,w", 3, 1),
        ("b,6,2,3,4", 2, 0),
        ("1,6,1,1", 3, 0),
    ],
)
def test_is_one_kernel_and_an_affine(shape, groups, shapes):
    expected = {"Abs": 1, "Neg": 1, "Reshape": 2, "InstanceNormalization": 1}
    expected |= {"Unsqueeze": 2, "Mul": 1, "Add": 1} | ({"Shape": 1} if shapes else {})
    dims = [{"b": 3, "h": 4, "w": 5}, {"b": 1, "h": 1, "w": 2}]
    check_rule(RULE, net(shape, groups), expected, dims=dims, **CLOSE)


def test_shared_operands():
    check_shared(RULE, net("b,6,4,7"), dims={"b": 2}, **CLOSE)


def test_refuses_with_a_reason():
    half = {"s": positive(6).astype("float16"), "c": normal(6).astype("float16")}
    check_miss(RULE, net("b,6,4", dtype="float16", **half), "not float32")
    check_miss(RULE, net("b,6", groups=3), "no known rank")
    check_miss(RULE, net("b,c,4", groups=3), "number of channels")
    reason = "its scale and bias are not known to be of each channel (r: float[b, 6, 4])"
    check_miss(RULE, net("b,6,4", groups=3, c=normal(1, 6)), reason)
    check_miss(RULE, net("b,6,4", groups=3, s=positive(1, 6)), reason)
