"""Every ONNX operator by name, generated from its schema: `dsl.op.HardSwish(x)`."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import onnx

from sardonyx.compiler.ir.signature import DOMAIN_VERSIONS, signature
from sardonyx.frontends.dsl.emit import emit_all
from sardonyx.frontends.dsl.errors import DslError, UnknownNameError


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
        known = signature(self.domain, op_type)
        names = operator_names(self.domain)
        if known is None and names:
            near = difflib.get_close_matches(op_type, names, n=1)
            raise UnknownNameError(
                f"There is no operator {op_type!r} in {self.domain or 'ONNX'} at opset "
                f"{DOMAIN_VERSIONS[self.domain]}.",
                remedy=f"did you mean {near[0]!r}?" if near else "see dir(dsl.op)",
            )
        domain = self.domain

        def call(*operands: Any, outputs: int | None = None, **named: Any) -> Any:
            if outputs is not None and outputs < 1:
                raise DslError(f"{op_type} needs an output.", found=f"outputs={outputs}")
            made = emit_all(op_type, *operands, domain=domain, outputs=outputs, **named)
            return made[0] if len(made) == 1 else made

        call.__name__ = call.__qualname__ = op_type
        if known is not None:
            schema = onnx.defs.get_schema(op_type, DOMAIN_VERSIONS[domain], domain)
            call.__doc__ = f"{known}\n\n{schema.doc}"
        return call

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *operator_names(self.domain)]


def operator_names(domain: str = "") -> list[str]:
    """Return the names of a domain's operators at the version that models here import."""
    version = DOMAIN_VERSIONS.get(domain, 1)
    found = {
        s.name
        for s in onnx.defs.get_all_schemas_with_history()
        if s.domain == domain and s.since_version <= version
    }
    return sorted(name for name in found if signature(domain, name) is not None)


op = Operators()
"""The operators of standard ONNX at opset 23."""

contrib = Operators("com.microsoft")
"""ONNX Runtime's own operators."""
