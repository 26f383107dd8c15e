"""`sardonyx explain`, `compile --explain` and `--require`."""

from __future__ import annotations

import json

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.models import batch_norm_weights, model, normal

NUMBERS = {"tall": np.full((1, 1, 1), 3, np.float32), "l": np.float32(0), "h": np.float32(6)}


@pytest.fixture
def acts(tmp_path):
    """A model with one activation that is fused, and one that cannot be."""
    given = model(
        """acts (float[b,8] x) => (float[1,b,8] y) { s = Add(x, three) c = Clip(s, l, h)
        m = Mul(x, c) a = Div(m, h) d = Add(a, tall) e = Clip(d, l, h) y = Div(e, h) }""",
        three=np.float32(3),
        **NUMBERS,
    )
    ir.save(given, tmp_path / "acts.onnx")
    return tmp_path / "acts.onnx"


def test_each_site_is_told_with_the_reason_of_a_miss(sardonyx, acts):
    assert sardonyx("explain", acts) == 0
    for text in (
        *("activation: 1 of 2 fused, 1 missed", "hard_swish", "fused by hard_swish", "HardSwish"),
        *("hard_sigmoid", "missed", "a constant has more axes than the value"),
    ):
        assert text in sardonyx.out
    assert sardonyx.err == ""


def test_programs_read_the_same(sardonyx, acts):
    told = sardonyx.json("explain", acts, "--target", "portable")
    assert told["counts"]["activation"] == {"found": 2, "fused": 1, "decided": 0, "missed": 1}
    assert [site["outcome"] for site in told["sites"]] == ["fused", "missed"]
    assert told["unmet"] == {}


def test_a_family_a_kind_and_misses_can_be_asked_for(sardonyx, acts):
    told = sardonyx.json("explain", acts, "--family", "hard_swish")
    assert [site["kind"] for site in told["sites"]] == ["hard_swish"]
    told = sardonyx.json("explain", acts, "--family", "activation", "--missed")
    assert [site["kind"] for site in told["sites"]] == ["hard_sigmoid"]
    assert sardonyx.json("explain", acts, "--family", "attention")["sites"] == []


def test_counts_are_of_what_is_asked_for(sardonyx, acts):
    told = sardonyx.json("explain", acts, "--family", "hard_swish", "--family", "norm")
    assert told["counts"] == {
        "hard_swish": {"found": 1, "fused": 1, "decided": 0, "missed": 0},
        "norm": {"found": 0, "fused": 0, "decided": 0, "missed": 0},
    }
    assert sardonyx("explain", acts, "--require", "hard_sigmoid=1", "--json") == 1
    counts = json.loads(sardonyx.out)["counts"]
    assert counts == {"hard_sigmoid": {"found": 1, "fused": 0, "decided": 0, "missed": 1}}
    assert sardonyx("explain", acts, "--family", "hard_swish") == 0
    assert "hard_swish: 1 of 1 fused" in sardonyx.out
    assert "activation: " not in sardonyx.out
    assert sardonyx("explain", acts, "--family", "norm") == 0
    assert sardonyx.out.strip() == "norm: 0 of 0 fused"


def test_a_model_without_sites_says_so(sardonyx, tmp_path):
    given = model("g (float[2] x) => (float[2] y) { y = Neg(x) }")
    ir.save(given, tmp_path / "net.onnx")
    assert sardonyx("explain", tmp_path / "net.onnx") == 0
    assert "There is no attention, norm, activation" in sardonyx.out


def test_where_nothing_is_missed_the_counts_are_told(sardonyx, tmp_path):
    ir.save(model("g (float[2] x) => (float[2] y) { y = Relu(x) }"), tmp_path / "net.onnx")
    assert sardonyx("explain", tmp_path / "net.onnx", "--missed") == 0
    assert sardonyx.out.strip() == "activation: 1 of 1 fused"


@pytest.mark.parametrize(
    "required", ["hard_swish=1", "activation>=1,hard_swish=all", "attention=0"]
)
def test_requirements_that_hold_change_nothing(sardonyx, acts, required):
    assert sardonyx("explain", acts, "--require", required) == 0
    assert sardonyx("compile", acts, "-o", acts.parent / "made.onnx", "--require", required) == 0
    assert (acts.parent / "made.onnx").exists()


def test_a_requirement_that_fails_explains_its_family_and_ends_with_1(sardonyx, acts):
    wanted = ("--require", "hard_sigmoid=all", "--require", "attention=0,activation=2")
    assert sardonyx("explain", acts, *wanted) == 1
    assert "a constant has more axes than the value" in sardonyx.out
    assert sardonyx.err.splitlines() == [
        "error: hard_sigmoid=all does not hold: hard_sigmoid: 0 of 1 fused, 1 missed",
        "error: activation=2 does not hold: activation: 1 of 2 fused, 1 missed",
    ]
    assert sardonyx("explain", acts, "--require", "hard_sigmoid=1", "--json") == 1
    told = json.loads(sardonyx.out)
    assert told["unmet"] == {"hard_sigmoid=1": "hard_sigmoid: 0 of 1 fused, 1 missed"}
    assert [site["kind"] for site in told["sites"]] == ["hard_sigmoid"]


def test_a_batch_norm_that_another_reader_keeps_fails_the_gate(sardonyx, tmp_path):
    given = model(
        """g (float[b,3,5,5] x) => (float[b,4,3,3] y, float[b,4,3,3] z) { c = Conv(x, w)
        y = BatchNormalization(c, s, t, m, v) z = Relu(c) }""",
        w=normal(4, 3, 3, 3),
        **batch_norm_weights(4),
    )
    next(n for n in given.graph if n.op_type == "Relu").name = "shortcut"
    ir.save(given, tmp_path / "net.onnx")
    assert sardonyx("explain", tmp_path / "net.onnx", "--require", "conv_block=all") == 1
    assert "also read by shortcut (Relu)" in " ".join(sardonyx.out.split())


def test_compile_writes_nothing_where_a_requirement_fails(sardonyx, acts):
    made = acts.parent / "made.onnx"
    assert sardonyx("compile", acts, "-o", made, "--require", "activation=all") == 1
    assert "a constant has more axes than the value" in sardonyx.out
    assert not made.exists()


def test_compile_explains_when_asked_and_writes_the_same_file(sardonyx, acts):
    plain, explained = acts.parent / "plain.onnx", acts.parent / "explained.onnx"
    assert "explanation" not in sardonyx.json("compile", acts, "-o", plain)
    told = sardonyx.json("compile", acts, "-o", explained, "--explain")
    assert told["explanation"]["counts"]["activation"]["missed"] == 1
    assert plain.read_bytes() == explained.read_bytes()
    assert sardonyx("compile", acts, "-o", explained, "--explain") == 0
    assert "activation: 1 of 2 fused, 1 missed" in sardonyx.out


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--family", "atention"), "There is no such family or kind of fusion."),
        (("--require", "atention=1"), "There is no such family or kind of fusion."),
        (("--require", "attention"), "A requirement is malformed."),
    ],
)
def test_what_is_not_known_is_refused_before_the_model_is_read(sardonyx, acts, options, text):
    acts.unlink()
    assert text in sardonyx.refused("explain", acts, *options)
