"""Bodies of MultiHeadAttention and packed Attention."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.contrib import add_function_bodies
from sardonyx.compiler.errors import UnsupportedError
from tests.compiler.contrib.test_bodies import check_alike
from tests.support.models import model, normal

INPUTS = "float[2,3,12] q, float[2,5,12] k, float[2,5,12] v, float[2,1,3,5] m"


def multi_head(operands: str, attributes: str = "num_heads = 4", inputs: str = INPUTS):
    text = f"""g ({inputs}) => (float[2,3,h] y) {{
        a = com.microsoft.MultiHeadAttention<{attributes}>({operands}) y = Neg(a) }}"""
    width = "8" if "v8" in inputs else "12"
    return model(text.replace("h]", f"{width}]"), b=normal(36))


@pytest.mark.parametrize("attributes", ["num_heads = 4", "num_heads = 2, scale = 0.3"])
@pytest.mark.parametrize("operands", ["q, k, v", "q, k, v, b", "q, k, v, , , m"])
def test_multi_head_attention(attributes: str, operands: str):
    check_alike(multi_head(operands, attributes))


def test_values_of_another_size():
    check_alike(multi_head("q, k, v8", inputs="float[2,3,12] q, float[2,5,12] k, float[2,5,8] v8"))


@pytest.mark.parametrize("attributes", ["num_heads = 4", "num_heads = 2, scale = 0.3"])
@pytest.mark.parametrize("operands", ["x, w, c", "x, w, c, , , m"])
def test_packed_attention(attributes: str, operands: str):
    text = f"""g (float[2,3,6] x, float[1,1,3,3] m) => (float[2,3,12] y) {{
        a = com.microsoft.Attention<{attributes}>({operands}) y = Neg(a) }}"""
    check_alike(model(text, w=normal(6, 36), c=normal(36)))


@pytest.mark.parametrize("attributes", ["num_heads = 4", "num_heads = 4, mask_filter_value = -3.0"])
@pytest.mark.parametrize("operands", ["x, w, c, i", "x, w, c, i, , m"])
def test_packed_attention_with_hidden_keys(attributes: str, operands: str):
    text = f"""g (float[2,3,6] x, float[1,1,3,3] m) => (float[2,3,12] y) {{
        a = com.microsoft.Attention<{attributes}>({operands}) y = Neg(a) }}"""
    keys = np.array([[1, 0, 2], [-1, 1, 0]], np.int32)
    check_alike(model(text, w=normal(6, 36), c=normal(36), i=keys))


def test_a_mask_of_lengths_has_no_body():
    text = """g (float[2,3,6] x) => (float[2,3,12] y) {
        a = com.microsoft.Attention<num_heads = 4>(x, w, c, i) y = Neg(a) }"""
    given = model(text, w=normal(6, 36), c=normal(36), i=np.array([1, 3], np.int32))
    with pytest.raises(UnsupportedError, match="Attention has an integer mask that is no matrix"):
        add_function_bodies(given)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (multi_head("q, k, v, , p", inputs=f"{INPUTS}, int32[2,5] p"), "'key_padding_mask'"),
        (multi_head("q, k, v, , , , z, z", inputs=f"{INPUTS}, float[2,4,1,3] z"), "'past_key'"),
        (multi_head("q, k, v", "num_heads = 4, unidirectional = 1"), "'unidirectional'"),
        (multi_head("q, k, v8, b", inputs=INPUTS.replace("12] v", "8] v8")), "has a bias, and"),
        (multi_head("q"), "packed operands"),
    ],
)
def test_what_has_no_body(given, what: str):
    with pytest.raises(UnsupportedError, match="MultiHeadAttention has") as raised:
        add_function_bodies(given)
    assert what in str(raised.value)
