"""What a program still has of a family stems from a site that is told, fused or missed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx import compiler
from sardonyx.compiler.explanation import Explanation, Site, Tracker
from sardonyx.compiler.explanation.families import FAMILIES
from sardonyx.compiler.explanation.flow import Flow
from sardonyx.compiler.explanation.report import MISSED
from sardonyx.compiler.explanation.site import Found, spelled
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.types import Types
from tests.support.models import batch_norm_weights, clone, model, normal

IMAGE, ROWS = "float[b,4,6,6] x", "float[b,3,8] x"
HEADS = "float[b,2,n,8] x, float[b,2,n,8] k, float[b,2,n,8] v, float[b,2,p,8] past"
NORM = "BatchNormalization"
BLOCKS = {
    "conv, norm": (IMAGE, f"c = Conv(x, w) n = {NORM}(c, s, t, m, u) y = Relu(n)"),
    "conv, scale, shift": (IMAGE, "c = Conv(x, w) d = Mul(c, scale) e = Add(d, scale) y = Tanh(e)"),
    "conv, averages, norm": (
        IMAGE,
        f"c = Conv(x, w) a = AveragePool<kernel_shape=[2,2]>(c) n = {NORM}(a, s, t, m, u) "
        "y = Relu(n)",
    ),
    "conv, averages of padding, norm": (
        IMAGE,
        "c = Conv(x, w) a = AveragePool<kernel_shape=[2,2], pads=[1,1,1,1], count_include_pad=1>(c)"
        f" n = {NORM}(a, s, t, m, u) y = Relu(n)",
    ),
    "conv, maximum, norm": (
        IMAGE,
        f"c = Conv(x, w) a = MaxPool<kernel_shape=[2,2]>(c) n = {NORM}(a, s, t, m, u) y = Relu(n)",
    ),
    "transposed conv, norm": (IMAGE, f"c = ConvTranspose(x, w) y = {NORM}(c, s, t, m, u)"),
    "norm, conv": (IMAGE, f"n = {NORM}(x, s, t, m, u) y = Conv(n, w)"),
    "norm, padded conv": (IMAGE, f"n = {NORM}(x, s, t, m, u) y = Conv<pads=[1,1,1,1]>(n, w)"),
    "norm alone": (IMAGE, f"r = Tanh(x) n = {NORM}(r, s, t, m, u) y = Relu(n)"),
    "linear, norm": (
        "float[b,8] x",
        f"c = MatMul(x, square) d = Add(c, gain) n = {NORM}(d, s8, t8, m8, u8) y = Relu(n)",
    ),
    "norm, linear": ("float[b,8] x", f"n = {NORM}(x, s8, t8, m8, u8) y = Gemm(n, square)"),
    "layer norm": (
        ROWS,
        "a = ReduceMean(x, last) d = Sub(x, a) e = Mul(d, d) f = ReduceMean(e, last) "
        "g = Add(f, eps) r = Sqrt(g) n = Div(d, r) h = Mul(n, gain) y = Add(h, gain)",
    ),
    "rms norm": (
        ROWS,
        "e = Mul(x, x) f = ReduceMean(e, last) g = Add(f, eps) r = Sqrt(g) n = Div(x, r) "
        "y = Mul(n, gain)",
    ),
    "hard swish": (ROWS, "a = Add(x, three) c = Clip(a, zero, six) d = Mul(x, c) y = Div(d, six)"),
    "gelu": (ROWS, "a = Div(x, root) e = Erf(a) b_ = Add(e, one) c = Mul(x, b_) y = Mul(c, half)"),
    "silu": (ROWS, "n = Neg(x) e = Exp(n) a = Add(e, one) y = Div(x, a)"),
    "mish": (ROWS, "p = Softplus(x) h = Tanh(p) y = Mul(x, h)"),
    "relu6": (ROWS, "r = Relu(x) y = Min(r, six)"),
    "relu6 of a maximum": (ROWS, "r = Max(x, zero) y = Clip(r, zero, six)"),
    "attention": (
        HEADS,
        "i = Transpose<perm=[0,1,3,2]>(k) a = MatMul(x, i) d = Mul(a, half) q = Softmax(d) "
        "y = MatMul(q, v)",
    ),
    "attention with a cache": (
        HEADS,
        "j = Concat<axis=2>(past, k) i = Transpose<perm=[0,1,3,2]>(j) a = MatMul(x, i) "
        "q = Softmax(a) y = MatMul(q, j)",
    ),
    "rotary": (
        "float[b,2,4,8] x",
        "l, r = Split<axis=-1, num_outputs=2>(x) n = Neg(r) j = Concat<axis=-1>(n, l) "
        "c = Mul(x, cos) d = Mul(j, sin) y = Add(c, d)",
    ),
    "linear layers side by side": (ROWS, "c = MatMul(x, square) d = MatMul(x, wide) y = Relu(c)"),
}
WEIGHTS = {
    "w": normal(4, 4, 3, 3),
    "scale": normal(4, 1, 1),
    **batch_norm_weights(4),
    **{f"{k}8": v for k, v in batch_norm_weights(8).items()},
    "square": normal(8, 8),
    "wide": normal(8, 16),
    "gain": normal(8),
    "cos": normal(4, 8),
    "sin": normal(4, 8, seed=1),
    "last": np.array([-1], np.int64),
    **{name: np.float32(x) for name, x in {"zero": 0, "half": 0.5, "one": 1}.items()},
    **{name: np.float32(x) for name, x in {"three": 3, "six": 6, "root": 1.4142135}.items()},
    "eps": np.float32(1e-5),
}
# The variance of a batch norm is u here: v is a value of attention.
WEIGHTS |= {name.replace("v", "u"): WEIGHTS.pop(name) for name in ("v", "v8")}


def block(name: str) -> ir.Model:
    inputs, body = BLOCKS[name]
    given = model(f"g ({inputs}) => (float[...] y) {{ {body} }}".replace("[...]", ""), **WEIGHTS)
    Types.inferred(given)
    return given


def variants(given: ir.Model) -> Iterator[tuple[str, ir.Model]]:
    """The model itself, and with one inner value read by others too, or an output."""
    yield "as it is", given
    for index, node in enumerate(given.graph):
        if node.outputs[0].is_graph_output():
            continue
        kept, read = clone(given), clone(given)
        value = kept.graph.node(index).outputs[0]
        kept.graph.outputs.append(value)
        yield f"{value.name} is an output", kept
        other = ir.node("Abs", [read.graph.node(index).outputs[0]])
        other.outputs[0].name = "other"
        other.outputs[0].type, other.outputs[0].shape = value.type, value.shape
        read.graph.append(other)
        read.graph.outputs.append(other.outputs[0])
        yield f"{value.name} is read twice", read


ALIKE = {"conv_block": {"norm"}, "norm": {"conv_block"}}
"""A batch norm belongs to either."""


OPERATORS = {
    "norm": {NORM, "LayerNormalization", "InstanceNormalization", "RMSNormalization", "Sqrt"},
    "conv_block": {"Conv", "ConvTranspose"},
    "activation": {"Relu", "Tanh", "HardSwish", "Gelu", "Sigmoid", "Mish", "Clip", "Erf"},
    "attention": {"Attention", "Softmax"},
    "rotary": {"RotaryEmbedding"},
}
"""What each family is about, in these models, whatever stands around it."""
LINEAR = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


def unmarked(program: ir.Model, explanation: Explanation) -> Iterator[str]:
    """Say which operators are of no site, and which batch norms are left and not missed."""
    for node in program.graph:
        sites = list(sites_of(node, explanation))
        for family, names in OPERATORS.items():
            families = {site.family for site in sites} & {family, *ALIKE.get(family, ())}
            if node.op_type in names and not families:
                yield f"{node.op_type} is of no site of {family}"
        is_open = node.op_type == NORM and is_beside_linear(node)
        if is_open and MISSED not in {site.outcome for site in sites}:
            yield "a batch norm is left beside a linear layer, and not missed"


def is_beside_linear(norm: ir.Node) -> bool:
    before = norm.inputs[0].producer()
    if before is not None and before.op_type in {"AveragePool", "MaxPool"}:
        before = before.inputs[0].producer()
    if before is not None and before.op_type == "Add":
        before = before.inputs[0].producer()
    after = [node.op_type for node in norm.successors()]
    return (before is not None and before.op_type in LINEAR) or bool(LINEAR & {*after})


def sites_of(node: ir.Node, explanation: Explanation) -> Iterator[Site]:
    for mark in provenance.sites(node):
        yield explanation.sites[int(mark.split("/")[0])]


def untold(program: ir.Model, explanation: Explanation) -> Iterator[str]:
    """Say what a program still has of each family that no site of the explanation is about."""
    flow = Flow(program)
    for family, known in FAMILIES.items():
        for found in known.find(flow):
            yield from _untold(family, found, explanation)


def _untold(family: str, found: Found, explanation: Explanation) -> Iterator[str]:
    for node in found.anchors:
        held = sites_of(node, explanation)
        sites = [site for site in held if site.family in {family, *ALIKE.get(family, ())}]
        if not sites:
            yield f"{found.kind}: {spelled(node)} is of no site"
        elif spelled(node) not in found.accepted and MISSED not in {s.outcome for s in sites}:
            yield f"{found.kind}: {spelled(node)} is left, and not missed"


@pytest.mark.parametrize("name", BLOCKS)
def test_what_is_left_of_each_family_is_told(name, monkeypatch):
    held: list[ir.Model] = []

    class Kept(Tracker):
        def explanation(self) -> Explanation:
            held.append(self._editor.model)
            return super().explanation()

    monkeypatch.setattr("sardonyx.compiler.pipeline.Tracker", Kept)
    for what, given in variants(block(name)):
        explanation = compiler.explain(given, "portable")
        found = [f for check in (untold, unmarked) for f in check(held[-1], explanation)]
        assert (what, found) == (what, [])
        assert all(site.reason for site in explanation.missed)
