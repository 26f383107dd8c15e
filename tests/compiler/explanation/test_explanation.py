"""What becomes of sites: fused, fused before, decided, missed with the reason; requirements."""

from __future__ import annotations

import json

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx import compiler
from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.explanation import Count
from sardonyx.compiler.passes.fuse import Fuse
from sardonyx.compiler.passes.recognize import Recognize
from sardonyx.compiler.rewrite import no, rule
from tests.support.models import batch_norm_weights, model, normal

NUMBERS = {
    "zero": np.float32(0),
    "three": np.float32(3),
    "six": np.float32(6),
    "eps": np.float32(1e-5),
    "tall": np.full((1, 1, 1), 3, np.float32),
    "last": np.array([-1], np.int64),
}
SWISH = "a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) y = Div(m, six)"


def net(body: str, **weights: np.ndarray) -> ir.Model:
    text = f"g (float[b,8] x) => (float[b,8] y) {{ {body} }}"
    return model(text, **NUMBERS, **weights)


def the_site(given: ir.Model, family: str = "activation"):
    (site,) = compiler.explain(given).of(family)
    return site


def test_a_fused_site_names_its_rule_and_operator():
    site = the_site(net(SWISH))
    assert (site.kind, site.outcome, site.rule) == ("hard_swish", "fused", "hard_swish")
    assert site.operators == ("HardSwish",)
    assert site.is_fused
    assert site.reason == ""


def test_a_site_that_was_one_operator_before_says_so():
    site = the_site(net("y = HardSwish(x)"))
    assert (site.outcome, site.rule, site.operators) == ("already", "", ("HardSwish",))
    assert site.is_fused


def test_a_site_that_nobody_reads_is_decided():
    site = the_site(net("h = Relu(x) s = Shape(h) y = Expand(x, s)"))
    assert (site.kind, site.outcome, site.operators) == ("relu", "already", ())
    root = "e = Mul(x, x) w = ReduceMean(e, last) t = Add(w, eps) r = Sqrt(t) n = Div(x, r) "
    explained = compiler.explain(net(root + "s = Shape(n) y = Expand(x, s)"))
    (site,) = explained.of("norm")
    assert (site.kind, site.outcome, site.operators) == ("rms_norm", "decided", ())
    assert explained.count("norm") == Count(found=1, fused=0, decided=1, missed=0)
    assert explained.unmet(["norm=all"]) == {}


def test_a_miss_says_which_rule_came_nearest_and_why():
    given = model(
        "g (float[b,8] x) => (float[1,b,8] y) { a = Add(x, tall) c = Clip(a, zero, six) "
        "y = Div(c, six) }",
        **NUMBERS,
    )
    site = the_site(given)
    assert (site.kind, site.outcome, site.rule) == ("hard_sigmoid", "missed", "")
    assert site.nearest.rule == "hard_sigmoid"
    assert site.reason == "a constant has more axes than the value (x: float[b, 8])"
    assert site.operators == ("Clip",)
    assert not site.is_fused


def test_a_miss_in_the_pattern_says_what_differs():
    site = the_site(net("a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) y = Div(m, eps)"))
    assert site.outcome == "missed"
    assert site.nearest.rule == "hard_swish"
    assert site.reason == "eps: float[] is not 6"


def test_a_refusal_of_the_replacement_is_a_reason(monkeypatch):
    picky = rule(
        "picky",
        lambda op: op.Div(op.Mul("x", op.Clip(op.Add("x", 3), 0, 6)), 6),
        lambda op, m: no("the replacement is picky", m.x),
    )
    monkeypatch.setattr(Recognize, "stages", ((picky,),))
    site = the_site(net(SWISH))
    assert (site.nearest.rule, site.reason) == (
        "picky",
        "the replacement is picky (x: float[b, 8])",
    )


def test_a_rule_that_is_gone_is_seen(monkeypatch):
    stages = [[r for r in s if not r.name.startswith("hard_")] for s in Recognize.stages]
    assert the_site(net(SWISH)).is_fused
    monkeypatch.setattr(Recognize, "stages", tuple(map(tuple, stages)))
    site = the_site(net(SWISH))
    assert (site.kind, site.outcome) == ("hard_swish", "missed")
    assert site.nearest is None or not site.nearest.rule.startswith("hard_")


def test_a_miss_that_no_rule_is_near_to_says_so(monkeypatch):
    monkeypatch.setattr(Recognize, "stages", ())
    site = the_site(net(SWISH))
    assert (site.outcome, site.nearest) == ("missed", None)
    assert site.reason == "no rule knows a part of it as it is here"


def test_a_miss_says_what_stands_between():
    given = model(
        """g (float[2,3,8] q, float[2,3,8] k, float[2,3,8] v) => (float[1,2,3,8] y) {
        t = Transpose<perm=[0,2,1]>(k) s = MatMul(q, t) p = Softmax(s) r = Unsqueeze(p, first)
        w = Abs(r) y = MatMul(w, v) }""",
        first=np.array([0]),
    )
    # Weights are not taken the size of, ...
    assert compiler.explain(given).of("attention") == []
    # ... but they may be reshaped.
    given = model(
        """g (float[2,3,8] q, float[2,3,8] k, float[2,3,8] v) => (float[1,2,3,8] y) {
        t = Transpose<perm=[0,2,1]>(k) s = MatMul(q, t) p = Softmax(s) r = Unsqueeze(p, first)
        y = MatMul(r, v) }""",
        first=np.array([0]),
    )
    site = the_site(given, "attention")
    assert (site.outcome, site.nearest.rule) == ("missed", "scaled_dot_product")
    assert site.reason.startswith("r: float[1, 2, 3, 3] comes from Unsqueeze, not from ")


# --- sites of several parts ----------------------------------------------------------------------

IMAGE = "g (float[b,3,5,5] x, float[b,4,3,3] z) => (float[b,4,3,3] y) "


def test_a_batch_norm_that_goes_into_the_weights_is_fused():
    given = model(
        IMAGE + "{ c = Conv(x, w) n = BatchNormalization(c, s, t, m, v) y = Relu(n) }",
        w=normal(4, 3, 3, 3),
        **batch_norm_weights(4),
    )
    site = the_site(given, "conv_block")
    assert (site.outcome, site.rule, site.operators) == ("fused", "conv_batch_norm", ("Conv",))
    assert site.said == "Conv + BatchNormalization + Relu"


def test_a_batch_norm_that_stays_is_missed():
    # In training mode it has statistics of its own.
    given = model(
        IMAGE + "{ c = Conv(x, w) n, o, p = BatchNormalization<training_mode=1>(c, s, t, m, v) "
        "y = Relu(n) }",
        w=normal(4, 3, 3, 3),
        **batch_norm_weights(4),
    )
    site = the_site(given, "conv_block")
    assert site.outcome == "missed"
    assert site.nearest.rule == "conv_batch_norm"
    assert "training" in site.reason


PAIRED = """g (float[b,3,5,5] x) => (float[b,4,i,j] y, float[b,4,k,l] z) {
    c = Conv(x, w) BODY z = Relu(c) }"""


@pytest.mark.parametrize(
    ("body", "rule_name", "said"),
    [
        (
            "y = BatchNormalization(c, s, t, m, v)",
            "conv_batch_norm",
            "Conv + BatchNormalization",
        ),
        (
            "a = AveragePool<kernel_shape=[2,2]>(c) y = BatchNormalization(a, s, t, m, v)",
            "pooled_batch_norm",
            "Conv + AveragePool + BatchNormalization",
        ),
    ],
)
def test_a_batch_norm_of_a_convolution_that_others_read_is_missed(body, rule_name, said):
    given = model(PAIRED.replace("BODY", body), w=normal(4, 3, 3, 3), **batch_norm_weights(4))
    next(n for n in given.graph if n.op_type == "Relu").metadata_props["sardonyx.source"] = "net.6"
    explained = compiler.explain(given)
    (site,) = explained.of("conv_block")
    assert (site.outcome, site.nearest.rule, site.said) == ("missed", rule_name, said)
    assert site.reason.startswith("a value in between is also read by net.6 (Relu) (c: float")
    assert site.operators == ("Conv", "BatchNormalization")
    assert explained.of("norm") == []
    assert list(explained.unmet(["conv_block=all"])) == ["conv_block=all"]


def test_a_batch_norm_of_a_convolution_that_is_an_output_is_missed():
    given = model(
        IMAGE.replace("y)", "y, float[b,4,3,3] c)")
        + "{ c = Conv(x, w) y = BatchNormalization(c, s, t, m, v) }",
        w=normal(4, 3, 3, 3),
        **batch_norm_weights(4),
    )
    site = the_site(given, "conv_block")
    assert site.outcome == "missed"
    assert site.reason.startswith("a value in between is an output of the graph (c: float")


@pytest.mark.parametrize(
    ("pool", "reason"),
    [
        ("AveragePool<kernel_shape=[2,2]>(c)", ""),
        ("GlobalAveragePool(c)", ""),
        (
            "MaxPool<kernel_shape=[2,2]>(c)",
            "a factor of the batch norm is negative, so that the largest element is another",
        ),
        (
            "AveragePool<kernel_shape=[2,2], pads=[1,1,1,1], count_include_pad=1>(c)",
            "the average pool counts its padding, which the shift does not reach",
        ),
    ],
)
def test_a_batch_norm_of_averages_is_fused_or_missed(pool, reason):
    text = f"""g (float[b,3,5,5] x) => (float[b,4,i,j] y) {{ c = Conv(x, w) a = {pool}
        n = BatchNormalization(a, s, t, m, v) y = Relu(n) }}"""
    explained = compiler.explain(model(text, w=normal(4, 3, 3, 3), **batch_norm_weights(4)))
    (site,) = explained.of("conv_block")
    operators = ("Conv", "BatchNormalization") if reason else ("Conv",)
    assert (site.reason, site.operators) == (reason, operators)
    assert site.rule == ("" if reason else "pooled_batch_norm")
    assert explained.of("norm") == []


LINEAR = "g (float[b,8] x, float[b,8] q) => (float[b,n] y, float[b,n] z) "


@pytest.mark.parametrize(
    ("body", "rule_name", "reason"),
    [
        (
            "c = MatMul(x, w) y = BatchNormalization(c, s, t, m, v) z = Relu(c)",
            "matmul_batch_norm",
            "a value in between is also read by ",
        ),
        (
            "c = Gemm(x, w) y = BatchNormalization(c, s, t, m, v) z = Relu(c)",
            "gemm_batch_norm",
            "a value in between is also read by ",
        ),
        (
            "a = Tanh(x) c = BatchNormalization(a, s, t, m, v) y = MatMul(c, w) z = Neg(c)",
            "batch_norm_matmul",
            "a value in between is also read by ",
        ),
        (
            "a = MatMul(x, w) u = Transpose(a) c = Transpose(u) z = Neg(u) "
            "y = BatchNormalization(c, s, t, m, v)",
            "matmul_batch_norm",
            "a value in between is also read by ",
        ),
        # Beside no linear layer it stays what it is: there is nothing to do.
        ("a = Tanh(x) y = BatchNormalization(a, s, t, m, v) z = Neg(y)", "", ""),
        # A product of two computed values has no weight that it could go into.
        (
            "u = Transpose(q) a = MatMul(x, u) y = BatchNormalization(a, s, t, m, v) z = Neg(y)",
            "",
            "",
        ),
        ("c = Gemm(x, w) y = BatchNormalization(c, s, t, m, v) z = Relu(y)", "", ""),
    ],
)
def test_a_batch_norm_beside_a_linear_layer_goes_into_it_or_is_missed(body, rule_name, reason):
    given = model(LINEAR + f"{{ {body} }}", w=normal(8, 8), **batch_norm_weights(8))
    site = the_site(given, "norm")
    assert site.kind == "batch_norm"
    assert site.is_fused is not bool(reason)
    assert site.reason.startswith(reason)
    assert (site.nearest.rule if site.nearest else "") == rule_name


def test_a_batch_norm_before_a_convolution_that_pads_says_so():
    given = model(
        "g (float[b,4,5,5] x) => (float[b,4,5,5] y) { a = Relu(x) h = Mul(a, half) "
        "n = BatchNormalization(h, s, t, m, v) y = Conv<pads=[1,1,1,1]>(n, w) }",
        w=normal(4, 4, 3, 3),
        half=np.float32(0.5),
        **batch_norm_weights(4),
    )
    site = the_site(given, "norm")
    assert (site.outcome, site.nearest.rule) == ("missed", "batch_norm_conv")
    assert site.reason.startswith("the convolution pads with zeros, which the shift does not")


def layers(body: str) -> ir.Model:
    text = "g (float[b,8] x) => (float y, float z, float w) { " + body + " }"
    weights = {name: normal(8, 5, seed=i) for i, name in enumerate("klm")}
    return model(text, **weights, c=normal(5))


def test_parallel_linears_are_fused_once_one_node_stands_for_all():
    given = layers("y = MatMul(x, k) d = MatMul(x, l) z = Add(d, c) w = MatMul(x, m)")
    site = the_site(given, "parallel_linears")
    assert (site.outcome, site.rule, site.said) == ("fused", "parallel_linear", "3 x MatMul")
    assert "MatMul" in site.operators


def test_parallel_linears_that_stay_apart_are_missed(monkeypatch):
    given = layers("y = MatMul(x, k) z = MatMul(x, l) w = MatMul(x, m)")
    stages = [[r for r in s if r.name != "parallel_linear"] for s in Fuse.stages]
    monkeypatch.setattr(Fuse, "stages", tuple(map(tuple, stages)))
    site = the_site(given, "parallel_linears")
    assert (site.outcome, site.operators) == ("missed", ("MatMul",))


# --- the whole -----------------------------------------------------------------------------------


def several() -> ir.Model:
    given = model(
        "g (float[b,8] x) => (float[b,8] y, float[1,b,8] z) { a = Add(x, three) "
        "c = Clip(a, zero, six) m = Mul(x, c) h = Div(m, six) y = Relu(h) d = Add(y, tall) "
        "e = Clip(d, zero, six) z = Div(e, six) }",
        **NUMBERS,
    )
    for node in given.graph:
        node.metadata_props["sardonyx.source"] = "net.act"
        node.metadata_props["sardonyx.class"] = "Act"
    return given


CACHE = """g (float[b,2,s,8] q, float[b,2,s,8] k, float[b,2,p,8] past) =>
    (float[b,2,s,8] y, float[b,2,t,8] nk) {
    nk = Concat<axis=2>(past, k) y = Attention<is_causal=CAUSAL>(q, nk, nk) }"""


def test_a_cache_is_taken_up_or_says_why_not():
    (site,) = compiler.explain(model(CACHE.replace("CAUSAL", "0"))).of("kv_cache")
    assert (site.outcome, site.rule, site.operators) == ("fused", "kv_cache", ("Attention",))
    (site,) = compiler.explain(model(CACHE.replace("CAUSAL", "1"))).missed
    assert (site.kind, site.nearest.rule) == ("kv_cache", "kv_cache")
    assert site.reason.startswith("the first query sees the first past key only")


def test_the_program_is_the_same_with_and_without_explanation():
    plain = compiler.compile(several())
    explained = compiler.compile(several(), explain=True)
    assert plain.explanation is None
    assert explained.to_bytes() == plain.to_bytes()
    assert explained.explanation.missed


def test_counts_are_of_families_and_kinds():
    explained = compiler.explain(several())
    counts = explained.counts()
    assert list(counts) == [
        *("attention", "norm", "activation", "kv_cache", "rotary", "conv_block"),
        "parallel_linears",
    ]
    assert counts["activation"] == Count(found=3, fused=2, decided=0, missed=1)
    assert counts["attention"] == Count()
    assert explained.count("hard_swish") == Count(found=1, fused=1)
    assert [site.kind for site in explained.missed] == ["hard_sigmoid"]


def test_it_reads_as_text_and_as_json():
    explained = compiler.explain(several())
    text = str(explained)
    assert "activation: 2 of 3 fused, 1 missed" in text
    assert "  net.act (Act): hard_swish: fused by hard_swish -> HardSwish" in text
    assert "  net.act (Act): relu: one operator in the source -> Relu" in text
    assert (
        "      nearest rule hard_sigmoid: a constant has more axes than the value (y: float[b, 8])"
    ) in text
    assert "attention" not in text
    told = json.loads(json.dumps(explained.to_dict()))
    assert told["counts"]["activation"] == {"found": 3, "fused": 2, "decided": 0, "missed": 1}
    assert [site["kind"] for site in told["sites"]] == ["hard_swish", "relu", "hard_sigmoid"]
    assert set(told["sites"][0]) == {
        *("family", "kind", "place", "class", "outcome", "rule", "operators", "looks_like"),
        *("nearest_rule", "nearest_at", "reason"),
    }


@pytest.mark.parametrize(
    ("requirement", "instead"),
    [
        ("activation=2", None),
        ("activation>=1", None),
        ("hard_swish=all", None),
        ("attention=0", None),
        ("activation=3", "activation: 2 of 3 fused, 1 missed"),
        ("activation=1", "activation: 2 of 3 fused, 1 missed"),
        ("activation>=3", "activation: 2 of 3 fused, 1 missed"),
        ("activation=all", "activation: 2 of 3 fused, 1 missed"),
        ("hard_sigmoid=all", "hard_sigmoid: 0 of 1 fused, 1 missed"),
        ("gelu=all", "gelu: 0 of 0 fused"),
    ],
)
def test_requirements_hold_or_say_what_holds_instead(requirement, instead):
    explained = compiler.explain(several())
    assert explained.unmet([requirement]) == ({requirement: instead} if instead else {})


def test_unknown_names_are_refused_with_the_known_ones():
    explained = compiler.explain(net("y = Relu(x)"))
    for ask in (explained.of, explained.count, lambda name: explained.unmet([f"{name}=1"])):
        with pytest.raises(UnsupportedError) as refused:
            ask("atention")
        assert refused.value.what == "There is no such family or kind of fusion."
        assert refused.value.found == "'atention'"
        assert refused.value.remedy == "write 'attention', if that is meant"
        for name in ("attention", "layer_norm", "gelu", "conv_block"):
            assert name in refused.value.expected


@pytest.mark.parametrize("text", ["attention", "attention=", "attention<=2", "norm>=all", "=2"])
def test_malformed_requirements_are_refused(text):
    with pytest.raises(UnsupportedError, match=r"A requirement is malformed\."):
        compiler.explain(net("y = Relu(x)")).unmet([text])
