"""Every ONNX operator by name, generated from its schema: `dsl.op.HardSwish(x)`."""

from __future__ import annotations

import difflib
import functools
import inspect
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import onnx
import onnx_ir as ir

from sardonyx.compiler.ir.signature import (
    DOMAIN_VERSIONS,
    attribute_parameters,
    plain,
    signature,
)
from sardonyx.frontends.dsl.emit import emit_all
from sardonyx.frontends.dsl.errors import DslError, UnknownNameError
from sardonyx.frontends.dsl.symbol import describe_value

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor

_MOST_DATA = 1024


class Operators:
    """The operators of one domain as methods.

    `op.Conv(x, w, strides=[2, 2])`: operands by position or by name, attributes by name,
    `outputs=3` for more outputs than the operator must have. A call returns one tensor, or a
    tuple where there are several outputs.

    Attributes:
        domain: The operators' domain, "" for the standard one.
    """

    def __init__(self, domain: str = "") -> None:
        self.domain = domain

    def __getattr__(self, op_type: str) -> Callable[..., Any]:
        if op_type.startswith("_"):
            raise AttributeError(op_type)
        domain = self.domain
        names = operator_names(domain)
        if names and op_type not in names:
            near = difflib.get_close_matches(op_type, names, n=1)
            raise UnknownNameError(
                f"There is no operator {op_type!r} in {domain or 'ONNX'} at opset "
                f"{DOMAIN_VERSIONS[domain]}.",
                found=op_type,
                expected=f"one of {len(names)} operators",
                remedy=f"did you mean {near[0]!r}?" if near else "see dir(dsl.op)",
            )

        def call(*operands: Any, outputs: int | None = None, **named: Any) -> Any:
            if outputs is not None and outputs < 1:
                raise DslError(
                    f"{op_type} needs an output.",
                    found=f"outputs={outputs}",
                    expected="1 or more, or nothing for those that it must have",
                    remedy="leave out outputs=",
                )
            made = emit_all(op_type, *operands, domain=domain, outputs=outputs, **named)
            _ask_onnx(made)
            return made[0] if len(made) == 1 else made

        call.__name__ = call.__qualname__ = op_type
        known = python_signature(domain, op_type)
        if known is not None:
            schema = onnx.defs.get_schema(op_type, DOMAIN_VERSIONS[domain], domain)
            call.__doc__ = f"{signature(domain, op_type)}\n\n{schema.doc}"
            call.__signature__ = known  # type: ignore[attr-defined]
        # The next time it is found without asking.
        self.__dict__[op_type] = call
        return call

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *operator_names(self.domain)]


@functools.cache
def operator_names(domain: str = "") -> tuple[str, ...]:
    """Return the names of a domain's operators at the version that models here import.

    Deprecated operators are not among them; a domain without schemas has none.
    """
    version = DOMAIN_VERSIONS.get(domain, 1)
    found = {
        s.name
        for s in onnx.defs.get_all_schemas_with_history()
        if s.domain == domain and s.since_version <= version
    }
    schemas = [onnx.defs.get_schema(name, version, domain) for name in found]
    return tuple(sorted(s.name for s in schemas if not s.deprecated))


def python_signature(domain: str, op_type: str) -> inspect.Signature | None:
    """Return how an operator is called: operands by place or name, attributes by name.

    An optional operand is None by default, an attribute its default of the schema; an attribute
    without one is None, and one that must be given has no default.
    """
    known = signature(domain, op_type)
    if known is None:
        return None
    found = []
    for operand in known.inputs:
        is_optional = not operand.required and not operand.variadic
        found.append(
            inspect.Parameter(
                operand.name,
                inspect.Parameter.VAR_POSITIONAL
                if operand.variadic
                else inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=None if is_optional else inspect.Parameter.empty,
            )
        )
    for name, attribute in sorted(attribute_parameters(domain, op_type).items()):
        default = None if attribute.default is None else plain(attribute.default)
        found.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if attribute.required else default,
            )
        )
    found.append(inspect.Parameter("outputs", inspect.Parameter.KEYWORD_ONLY, default=None))
    return inspect.Signature(found)


def _ask_onnx(made: tuple[Tensor, ...]) -> None:
    """Let onnx infer the node once more: it knows demands that the schema does not spell out.

    Raises:
        DslError: onnx finds that the operands do not fit.
    """
    node = made[0].value.producer()
    assert node is not None
    version = DOMAIN_VERSIONS.get(node.domain, 1)
    has_body = any(a.type == ir.AttributeType.GRAPH for a in node.attributes.values())
    if has_body or signature(node.domain, node.op_type) is None:
        return
    read = {str(value.name): value for value in node.inputs if value is not None}
    known = {name: value for name, value in read.items() if value.type is not None}
    if len(known) < len(read):
        return
    data = {
        name: ir.to_proto(value.const_value)
        for name, value in known.items()
        if value.const_value is not None and value.const_value.nbytes <= _MOST_DATA
    }
    try:
        onnx.shape_inference.infer_node_outputs(
            onnx.defs.get_schema(node.op_type, version, node.domain),
            ir.to_proto(node),
            {name: ir.to_proto(value).type for name, value in known.items()},
            data,
            opset_imports=[onnx.helper.make_opsetid(node.domain, version)],
        )
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        raise DslError(
            f"{node.op_type} does not accept these operands.",
            found=f"{str(error).splitlines()[0]}; "
            f"operands {', '.join(map(describe_value, node.inputs))}",
            expected=f"what the standard says of {node.op_type}",
            remedy=f"see https://onnx.ai/onnx/operators/onnx__{node.op_type}.html",
        ) from None


contrib = Operators("com.microsoft")
"""ONNX Runtime's own operators."""

_ATTRIBUTES = {"": "dsl.op", "com.microsoft": "dsl.contrib", "ai.onnx.ml": "dsl.ml"}


def domain(name: str) -> Operators:
    """Return the operators of a domain, known or not: `dsl.domain("my.domain").Name(x)`."""
    return Operators(name)


def dotted(domain: str, op_type: str) -> str:
    """Return how a program calls an operator: `dsl.op.Relu`."""
    known = _ATTRIBUTES.get(domain) or f"dsl.domain({json.dumps(domain)})"
    return f"{known}.{op_type}"
