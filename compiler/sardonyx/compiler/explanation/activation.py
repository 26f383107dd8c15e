"""Finds activation functions: operators that are one, and the spellings that exporters write."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.explanation.flow import (
    Flow,
    downstream,
    is_near,
    made_by,
    number,
    plain,
    readers,
    upstream,
)
from sardonyx.compiler.explanation.site import Found, microsoft, spelled

_SIGMOID = frozenset({"Sigmoid", "Swish"}) | microsoft("QuickGelu")
ACCEPTED = {
    "gelu": frozenset({"Gelu"}) | microsoft("Gelu", "FastGelu", "BiasGelu"),
    # ONNX has no operator for these two before opset 24: the product with a sigmoid is the form.
    "quick_gelu": _SIGMOID,
    "silu": _SIGMOID,
    "hard_swish": frozenset({"HardSwish"}),
    "hard_sigmoid": frozenset({"HardSigmoid"}),
    "mish": frozenset({"Mish"}),
    "softplus": frozenset({"Softplus"}),
    "relu": frozenset({"Relu", "Clip"}) | microsoft("FusedConv"),
    "relu6": frozenset({"Clip"}),
    "leaky_relu": frozenset({"LeakyRelu"}),
    "prelu": frozenset({"PRelu", "LeakyRelu"}),
    "elu": frozenset({"Elu"}),
    "selu": frozenset({"Selu"}),
    "celu": frozenset({"Celu"}),
    "sigmoid": frozenset({"Sigmoid"}),
    "tanh": frozenset({"Tanh"}),
}
"""For each kind the operators that are the whole of it."""

_ALONE = {
    "Gelu": "gelu",
    "FastGelu": "gelu",
    "BiasGelu": "gelu",
    "QuickGelu": "quick_gelu",
    "HardSwish": "hard_swish",
    "Mish": "mish",
    "Swish": "silu",
    "LeakyRelu": "leaky_relu",
    "PRelu": "prelu",
    "Elu": "elu",
    "Selu": "selu",
    "Celu": "celu",
}


def find(flow: Flow) -> Iterator[Found]:
    """Yield the activations of a model."""
    for node in flow.nodes:
        if not node.inputs or not flow.data_operands(node) or not _is_float(node):
            continue
        kind = _kind(node, flow)
        if kind is not None:
            yield Found(kind, (node,), ACCEPTED[kind])


def _is_float(node: ir.Node) -> bool:
    dtype = node.outputs[0].dtype
    return dtype is None or dtype.is_floating_point()


def _kind(node: ir.Node, flow: Flow) -> str | None:
    if node.op_type in _ALONE and node.domain in {"", "com.microsoft"}:
        return _ALONE[node.op_type]
    look = _LOOK.get(spelled(node))
    return look(node, flow) if look is not None else None


def _sigmoid(node: ir.Node, _: Flow) -> str:
    """Sigmoid(k x) times x is SiLU for k = 1, and quick GELU for k = 1.702."""
    for value, k in _scaled(plain(node.inputs[0])):
        if any(_times(reader, index, value) for reader, index in readers(node.outputs[0])):
            return "quick_gelu" if is_near(k, 1.702) else "silu"
    return "sigmoid"


def _division(node: ir.Node, _: Flow) -> str | None:
    """1 / (1 + exp(-k x)) is a sigmoid; x takes the place of one, or is multiplied in, in SiLU."""
    exponent = _exponent_beside_one(node.inputs[-1])
    found = _negated(exponent) if exponent is not None else []
    if not found:
        return None
    above = node.inputs[0] if node.op_type == "Div" else None
    for value, k in found:
        is_product = any(_times(r, i, value) for r, i in readers(node.outputs[0]))
        if is_product or (above is not None and plain(above) is value):
            return "quick_gelu" if is_near(k, 1.702) else "silu"
    return "sigmoid" if above is None or number(above) == 1 else None


def _scaled(inner: ir.Value | None) -> list[tuple[ir.Value | None, float | None]]:
    """Return the values that one may be a multiple of, itself first, with how often it is them."""
    factor, base = _factor(inner)
    return [(inner, 1.0), (base, factor)]


def _negated(value: ir.Value) -> list[tuple[ir.Value | None, float | None]]:
    """Return the values that one may be a negative multiple of, with how often."""
    negation = made_by(value, "Neg")
    if negation is not None:
        return _scaled(plain(negation.inputs[0]))
    factor, base = _factor(plain(value))
    return [(base, -factor)] if factor is not None and factor < 0 else []


def _hard_sigmoid(node: ir.Node, _: Flow) -> str:
    base = plain(node.inputs[0])
    is_product = any(_times(reader, i, base) for reader, i in readers(node.outputs[0]))
    return "hard_swish" if is_product else "hard_sigmoid"


def _factor(value: ir.Value | None) -> tuple[float | None, ir.Value | None]:
    """Return k and x of a product k x."""
    node = made_by(value, "Mul")
    for a, b in ((0, 1), (1, 0)) if node is not None else ():
        assert node is not None
        known = number(node.inputs[a])
        if known is not None:
            return known, plain(node.inputs[b])
    return None, None


def _times(reader: ir.Node, index: int, value: ir.Value | None) -> bool:
    is_product = reader.op_type == "Mul" and not reader.domain and value is not None
    return is_product and plain(reader.inputs[1 - index]) is value


def _erf(_: ir.Node, __: Flow) -> str:
    return "gelu"


def _tanh(node: ir.Node, flow: Flow) -> str | None:
    """Tanh of a softplus is a part of Mish, tanh of a cubic polynomial one of GELU."""
    if made_by(node.inputs[0], "Softplus") or _is_log_of_one_plus_exp(node.inputs[0]):
        return "mish"
    found = upstream(node.inputs[0], lambda n, _: n.inputs if n.op_type in _ARITHMETIC else (), 6)
    has_factor = is_cubic = False
    for each in found:
        has_factor |= any(is_near(number(v), 0.79788456) for v in each.inputs)
        is_cubic |= any(is_near(number(v), 0.044715) for v in each.inputs)
    return "gelu" if has_factor and is_cubic else "tanh"


_ARITHMETIC = {"Mul", "Add", "Cast", "Pow", "Identity"}


def _softplus(node: ir.Node, _: Flow) -> str | None:
    is_mish = any(reader.op_type == "Tanh" for reader, _ in readers(node.outputs[0]))
    return None if is_mish else "softplus"


def _log(node: ir.Node, flow: Flow) -> str | None:
    return _softplus(node, flow) if _is_log_of_one_plus_exp(node.outputs[0]) else None


def _is_log_of_one_plus_exp(value: ir.Value | None) -> bool:
    log = made_by(value, "Log")
    return log is not None and _exponent_beside_one(log.inputs[0]) is not None


def _exponent_beside_one(value: ir.Value | None) -> ir.Value | None:
    """Return x of 1 + exp(x)."""
    total = made_by(value, "Add")
    if total is None or not any(is_near(number(v), 1) for v in total.inputs):
        return None
    powers = [power for v in total.inputs if (power := made_by(v, "Exp")) is not None]
    return powers[0].inputs[0] if powers else None


def _relu(node: ir.Node, _: Flow) -> str | None:
    return None if _is_limited(node.outputs[0]) else "relu"


def _is_limited(value: ir.Value) -> bool:
    """Say whether a ReLU is nothing but the beginning of another activation."""
    found = readers(value)
    return len(found) == 1 and _top(found[0][0]) == 6 and not value.is_graph_output()


def _top(node: ir.Node) -> float | None:
    if node.op_type == "Min" and len(node.inputs) == 2:
        return next((k for v in node.inputs if (k := number(v)) is not None), None)
    if node.op_type == "Clip" and len(node.inputs) > 2:
        return number(node.inputs[2])
    return None


def _clip(node: ir.Node, _: Flow) -> str | None:
    """Clip(x, 0, 6) is ReLU6; of x + 3 it is a part of a hard sigmoid, or swish.

    So is Clip(x / 6 + 1 / 2, 0, 1).
    """
    before = made_by(node.inputs[0], "Relu", "Max")
    low = 0.0 if before is not None else number(node.inputs[1]) if len(node.inputs) > 1 else None
    if low != 0:
        return None
    top = _top(node)
    if top is None:
        is_open = len(node.inputs) < 3 or node.inputs[2] is None
        return "relu" if is_open and before is None else None
    if top == 6:
        return _shifted(node) or "relu6"
    if top == 1:
        return _halved(node)
    return "relu" if np.isinf(top) else None


def _halved(clip: ir.Node) -> str | None:
    total = made_by(clip.inputs[0], "Add")
    if total is None or not any(is_near(number(v), 0.5) for v in total.inputs):
        return None
    part = next((made_by(v, "Div", "Mul") for v in total.inputs if number(v) is None), None)
    wanted = {"Div": 6, "Mul": 1 / 6}
    known = [v for v in part.inputs if number(v) is not None] if part is not None else []
    if part is None or not known or not is_near(number(known[0]), wanted[part.op_type]):
        return None
    base = next((plain(v) for v in part.inputs if number(v) is None), None)
    is_product = any(_times(reader, i, base) for reader, i in readers(clip.outputs[0]))
    return "hard_swish" if is_product else "hard_sigmoid"


def _shifted(clip: ir.Node) -> str | None:
    start = made_by(clip.inputs[0], "Relu", "Max")
    total = made_by(clip.inputs[0] if start is None else start.inputs[0], "Add")
    if total is None or not any(is_near(number(v), 3) for v in total.inputs):
        return None
    base = next((plain(v) for v in total.inputs if number(v) is None), None)

    def scales(node: ir.Node, _: int) -> bool:
        return node.op_type in {"Div", "Mul", "Cast"} and any(
            number(v) is not None for v in node.inputs
        )

    reached = downstream(clip.outputs[0], scales, 4)
    for node, index in reached:
        other = plain(node.inputs[1 - index]) if node.op_type == "Mul" else None
        if other is not None and (other is base or _is_scaled(other, base)):
            return "hard_swish"
    return "hard_sigmoid"


def _is_scaled(value: ir.Value, base: ir.Value | None) -> bool:
    node = made_by(value, "Div", "Mul")
    return node is not None and any(plain(v) is base for v in node.inputs)


def _max(node: ir.Node, flow: Flow) -> str | None:
    """Max(x, 0) is ReLU, Max(x, a x) leaky ReLU; a limit after it makes it another one."""
    if len(node.inputs) != 2:
        return None
    if any(number(v) == 0 for v in node.inputs):
        return None if _is_limited(node.outputs[0]) else "relu"
    return _leaky(node.inputs[0], node.inputs[1], flow)


def _min(node: ir.Node, _: Flow) -> str | None:
    before = made_by(node.inputs[0], "Relu", "Max") or made_by(node.inputs[-1], "Relu", "Max")
    return "relu6" if before is not None and _top(node) == 6 else None


def _leaky(a: ir.Value | None, b: ir.Value | None, flow: Flow) -> str | None:
    for x, y in ((a, b), (b, a)):
        product = made_by(y, "Mul")
        slopes = [v for v in product.inputs if plain(v) is not plain(x)] if product else []
        if product is not None and len(slopes) == 1 and not flow.is_data(slopes[0]):
            return "leaky_relu" if number(slopes[0]) is not None else "prelu"
    return None


def _where(node: ir.Node, flow: Flow) -> str | None:
    """Where(x > 0, x, a x) is leaky ReLU, Where(x > 0, x, a (exp(x) - 1)) is ELU."""
    test = made_by(node.inputs[0], "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not")
    if test is None or not any(number(v) == 0 for v in test.inputs if v is not None):
        return None
    kind = _leaky(node.inputs[1], node.inputs[2], flow)
    return kind or ("elu" if any(_has_exp(v) for v in node.inputs[1:]) else None)


def _has_exp(value: ir.Value | None) -> bool:
    found = upstream(value, lambda n, _: n.inputs if n.op_type in {"Mul", "Sub", "Add"} else (), 4)
    return any(node.op_type == "Exp" for node in found)


_LOOK: dict[str, Callable[[ir.Node, Flow], str | None]] = {
    "Sigmoid": _sigmoid,
    "Reciprocal": _division,
    "Div": _division,
    "HardSigmoid": _hard_sigmoid,
    "Erf": _erf,
    "Tanh": _tanh,
    "Softplus": _softplus,
    "Log": _log,
    "Relu": _relu,
    "Clip": _clip,
    "Max": _max,
    "Min": _min,
    "Where": _where,
}
