"""Writes `standard.pyi`, how each of ONNX's operators is called.

`python -m tests.support.operator_stubs` writes it; editors and type checkers
read it; a test says when it is not what the schemas say.
"""

from __future__ import annotations

import inspect
import keyword
import re
import textwrap
from pathlib import Path

import onnx
import onnx_ir as ir

from sardonyx.compiler.ir.signature import DOMAIN_VERSIONS, attribute_parameters, signature
from sardonyx.frontends.dsl import operators

STUB = Path(operators.__file__).with_name("standard.pyi")
_WIDTH = 100
_CLASSES = {"": ("Standard", "op"), "ai.onnx.ml": ("MachineLearning", "ml")}
_TYPES = {
    ir.AttributeType.INT: "int",
    ir.AttributeType.FLOAT: "float",
    ir.AttributeType.STRING: "str",
    ir.AttributeType.INTS: "Sequence[int]",
    ir.AttributeType.FLOATS: "Sequence[float]",
    ir.AttributeType.STRINGS: "Sequence[str]",
    ir.AttributeType.TENSOR: "TensorLike",
    ir.AttributeType.GRAPH: "ir.Graph",
}
_HEAD = """\
# Written by `python -m tests.support.operator_stubs` from the schemas of the onnx package.
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from sardonyx.frontends.dsl.dims import Dim
from sardonyx.frontends.dsl.symbol import Symbol
from sardonyx.frontends.dsl.tensor import Tensor

TensorLike: TypeAlias = np.ndarray[Any, Any] | ir.TensorProtocol
Operand: TypeAlias = (
    Symbol | Dim | TensorLike | np.generic | bool | int | float | str | Sequence[Any]
)
"""


def text() -> str:
    """The whole stub."""
    classes = [_class(domain, name) for domain, (name, _) in _CLASSES.items()]
    ends = "".join(f"{word}: {name}\n" for name, word in _CLASSES.values())
    return "\n".join([_HEAD, *classes, ends])


def _class(domain: str, name: str) -> str:
    methods = [_method(domain, op_type) for op_type in operators.operator_names(domain)]
    return f"class {name}:\n    domain: str\n" + "".join(methods)


def _method(domain: str, op_type: str) -> str:
    known = operators.python_signature(domain, op_type)
    words = _words(domain, op_type)
    if known is None:
        return f"    def {op_type}(self, *operands: Operand, **named: Any) -> Any:\n{words}\n"
    parameters = ["self"]
    has_star = False
    for parameter in known.parameters.values():
        if parameter.kind == parameter.KEYWORD_ONLY and not has_star:
            parameters.append("*")
            has_star = True
        has_star = has_star or parameter.kind == parameter.VAR_POSITIONAL
        parameters.append(_parameter(domain, op_type, parameter))
    head = f"    def {op_type}({', '.join(parameters)}) -> {_result(domain, op_type)}:"
    if len(head) > _WIDTH:
        lines = "".join(f"        {p},\n" for p in parameters)
        head = f"    def {op_type}(\n{lines}    ) -> {_result(domain, op_type)}:"
    return f"{head}\n{words}\n" if words else f"{head} ...\n"


def _parameter(domain: str, op_type: str, parameter: inspect.Parameter) -> str:
    name = parameter.name
    assert name.isidentifier(), name
    assert not keyword.iskeyword(name), name
    if parameter.kind == parameter.VAR_POSITIONAL:
        return f"*{name}: Operand"
    attributes = attribute_parameters(domain, op_type)
    kind = "Operand"
    if parameter.kind == parameter.KEYWORD_ONLY:
        known = attributes.get(name)
        kind = "int" if known is None else _TYPES.get(known.type, "Any")
    if parameter.default is parameter.empty:
        return f"{name}: {kind}"
    if parameter.default is None:
        return f"{name}: {kind} = ..." if kind == "Any" else f"{name}: {kind} | None = None"
    return f"{name}: {kind} = {_default(parameter.default)}"


def _default(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace('"', '\\"') + '"'
    return repr(value) if isinstance(value, (int, float)) else "..."


def _result(domain: str, op_type: str) -> str:
    known = signature(domain, op_type)
    assert known is not None
    outputs = known.outputs
    if any(o.variadic or not o.required for o in outputs[1:]) or outputs[0].variadic:
        return "Any"
    is_tensor = all(
        isinstance(t, ir.TensorType) for o in outputs for t in o.type_constraint.allowed_types
    )
    if not is_tensor:
        return "Any"
    return "Tensor" if len(outputs) == 1 else f"tuple[{', '.join(['Tensor'] * len(outputs))}]"


def _words(domain: str, op_type: str) -> str:
    """The first sentence of an operator's documentation, as a docstring."""
    schema = onnx.defs.get_schema(op_type, DOMAIN_VERSIONS[domain], domain)
    plain = " ".join((schema.doc or "").split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.:])\s", plain + " ")[0].strip().rstrip(":")
    sentence = re.sub(r"[^ -~]", "", sentence).replace("\\", "").replace('"', "'")
    if not sentence:
        return ""
    lines = textwrap.wrap(sentence, _WIDTH - 14)[:3]
    if len(lines) == 1:
        return f'        """{lines[0]}"""'
    inner = "\n".join(f"        {line}".rstrip() for line in lines)
    return f'        """{inner.strip()}\n        """'


if __name__ == "__main__":
    STUB.write_text(text(), encoding="utf-8")
