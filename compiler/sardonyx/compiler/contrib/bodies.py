"""Gives each contrib operator in a model a function of its name with the same meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx
import onnx_ir as ir

from sardonyx.compiler.contrib.attention import multi_head_attention, packed_attention
from sardonyx.compiler.contrib.fused_conv import fused_conv
from sardonyx.compiler.contrib.gelu import exact_gelu, fast_gelu, quick_gelu
from sardonyx.compiler.contrib.norms import group_norm, skip_layer_norm, skip_rms_norm

Write = Callable[[ir.Node, int], str]
"""`(call, opset of the standard domain) -> function in ONNX text`."""

BODIES: Mapping[tuple[str, str], Write] = {
    ("com.microsoft", "Attention"): packed_attention,
    ("com.microsoft", "BiasGelu"): exact_gelu,
    ("com.microsoft", "FastGelu"): fast_gelu,
    ("com.microsoft", "FusedConv"): fused_conv,
    ("com.microsoft", "Gelu"): exact_gelu,
    ("com.microsoft", "MultiHeadAttention"): multi_head_attention,
    ("com.microsoft", "QuickGelu"): quick_gelu,
    ("com.microsoft", "GroupNorm"): group_norm,
    ("com.microsoft", "SkipLayerNormalization"): skip_layer_norm,
    ("com.microsoft", "SkipSimplifiedLayerNormalization"): skip_rms_norm,
}
"""For each operator, as (domain, name), what writes its body."""

WITHOUT_BODY: Mapping[tuple[str, str], str] = {}
"""Operators that rules make and that have no body, each with the reason."""


def add_function_bodies(model: ir.Model) -> int:
    """Add, in place, a model-local function for the contrib operators that the model uses.

    Calls that leave out different operands or attributes need different bodies: these are
    overloads of one function (ONNX IR version 10). A second call changes nothing. Operators that
    are not in `BODIES` stay without.

    Returns:
        How many functions the model has of these operators.

    Raises:
        UnsupportedError: An operator is used in a way that has no body.
    """
    for identifier in [i for i in model.functions if i[:2] in BODIES]:
        del model.functions[identifier]
    overloads: dict[tuple[str, str], dict[str, str]] = {}
    opset = model.opset_imports.get("", 1)
    for node in model.graph.all_nodes():
        write = BODIES.get((node.domain, node.op_type))
        if write is None:
            continue
        known = overloads.setdefault((node.domain, node.op_type), {})
        text = write(node, opset)
        if text not in known:
            # A runtime that knows no overloads is right wherever one body serves all calls.
            known[text] = f"v{len(known) + 1}" if known else ""
            _add(model, text, known[text])
        node.overload = known[text]
    return sum(map(len, overloads.values()))


def _add(model: ir.Model, text: str, overload: str) -> None:
    proto = onnx.parser.parse_function(text)
    proto.overload = overload
    function = ir.serde.deserialize_function(proto)
    model.functions[function.identifier()] = function
