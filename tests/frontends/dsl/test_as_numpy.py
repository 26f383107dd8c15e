"""Methods and operators of tensors that numpy has too give what numpy gives."""

from __future__ import annotations

import operator

import numpy as np
import pytest

from sardonyx.frontends import dsl
from tests.frontends.dsl.support import agree

CALLS = {
    "std": lambda x: x.std(axis=1),
    "prod": lambda x: x.prod(0),
    "any": lambda x: (x > 1).any(),
    "all": lambda x: (x < 1.5).all(1, keepdims=True),
    "argmax": lambda x: x.argmax(axis=1),
    "argmin": lambda x: x.argmin(axis=2),
    "clip": lambda x: x.clip(-0.5, 0.5),
    "cumsum": lambda x: x.cumsum(axis=1),
    "count": lambda x: (x > 0).sum(axis=0),
    "divmod": lambda x: divmod(x, 2)[1] + divmod(x, 2)[0],
    "left": lambda x: x.astype("int32") << 3,
    "right": lambda x: (x * 9).astype("int32") >> 2,
    "unsigned": lambda x: (x * x * 9).astype("uint32") >> 1,
    "mask": lambda x: x[:, np.array([True, False, True])],
    "mask_first": lambda x: x[[False, True]],
    "unpacked": lambda x: operator.sub(*x),
    "length": lambda x: x * len(x),
    "backwards": lambda x: x[::-1, ::2, 3:0:-1],
    "beyond": lambda x: x[:100, -100:, 2:1],
    "lists": lambda x: x[[[0, 1], [1, 0]], :, [[0], [2]]],
    "new_axes": lambda x: x[..., None, 0],
}


@pytest.mark.parametrize("name", CALLS)
def test_as_numpy(name):
    call = CALLS[name]
    x = np.random.default_rng(3).standard_normal((2, 3, 4)).astype(np.float32)
    wanted = np.asarray(call(x))
    wanted = wanted.astype({"f": np.float32}.get(wanted.dtype.kind, wanted.dtype))
    agree(dsl.model(x=dsl.f32[2, 3, 4])(call), wanted, rtol=1e-5, x=x)


@pytest.mark.parametrize("call", [lambda x: x << 1, lambda x: (x > 0).any(3), lambda x: x.any()])
def test_mistakes(call):
    with pytest.raises(dsl.DslError) as caught:
        dsl.model(x=dsl.f32[2, 3])(call).to_ir()
    assert caught.value.found
    assert caught.value.expected
    assert caught.value.remedy
