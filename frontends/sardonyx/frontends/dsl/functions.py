"""Functions of the user's that stay functions: `@dsl.function`, called as often as one likes."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec, overload

import onnx_ir as ir

from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.signature import CANONICAL_OPSET, DOMAIN_VERSIONS
from sardonyx.frontends.dsl.bodies import build, discard
from sardonyx.frontends.dsl.dtypes import spec_of
from sardonyx.frontends.dsl.emit import emit_all
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.symbol import describe, is_tensor
from sardonyx.frontends.dsl.trace import Trace, current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor

P = ParamSpec("P")
_DOMAIN = "local"
_WORD = re.compile(r"[A-Za-z_][\w]*(\.[\w]+)*")


@overload
def function(made: Callable[P, Any], /) -> Callable[P, Any]: ...


@overload
def function(*, name: str | None = None, domain: str = _DOMAIN) -> Callable[..., Any]: ...


def function(
    made: Callable[..., Any] | None = None, /, *, name: str | None = None, domain: str = _DOMAIN
) -> Any:
    """Let a Python function of tensors be a function of the ONNX model, called by one node.

    Inside it is as any other part of a model: it may make layers, whose parameters each call has
    for itself, and read tensors around it; both become operands of the call. What it returns is a
    tensor or a tuple of tensors. Other arguments than tensors are a part of the function: calls
    that give it another body (another number, another constant) make another one, `name_1`.

    `to_onnx()` keeps the functions; the compiler writes them into the graphs that call them.

    Args:
        made: The function that is decorated.
        name: Its name in the model; the Python one by default.
        domain: The domain it belongs to in the model.

    Raises:
        DslError: The name is no word, or the domain is one of an operator set.
    """
    if made is None:
        return functools.partial(_decorated, name=name, domain=domain)
    return _decorated(made, name, domain)


def _decorated(made: Callable[..., Any], name: str | None, domain: str) -> Callable[..., Any]:
    known = name or made.__name__
    if not known.isidentifier() or not _WORD.fullmatch(domain) or domain in DOMAIN_VERSIONS:
        raise DslError(
            "A function needs a name and a domain of its own.",
            found=f"{known!r} in {domain!r}",
            expected=f"words, and none of the domains {', '.join(filter(None, DOMAIN_VERSIONS))}",
            remedy='write @dsl.function(name="swish", domain="my.functions")',
        )

    @functools.wraps(made)
    def call(*args: Any, **named: Any) -> Any:
        return _call(made, known, domain, args, named)

    return call


def _call(
    made: Callable[..., Any],
    name: str,
    domain: str,
    args: tuple[Any, ...],
    named: dict[str, Any],
) -> Any:
    trace = current()
    try:
        bound = inspect.signature(made).bind(*args, **named)
    except TypeError as error:
        raise DslError(
            f"The function {name!r} is called with other arguments than it has.",
            found=str(error),
            expected=f"{name}{inspect.signature(made)}",
            remedy="call it as its def says",
        ) from None
    places = {key: value for key, value in bound.arguments.items() if is_tensor(value)}
    if not places:
        raise DslError(
            f"The function {name!r} is called without a tensor.",
            found=", ".join(map(describe, [*args, *named.values()])) or "no arguments",
            expected="at least one tensor as an argument of its own",
            remedy="pass tensors one by one, not in lists; for a part that takes none, leave out "
            "@dsl.function",
        )
    for tensor in places.values():
        trace.require_visible(tensor)

    def inside(*tensors: Tensor) -> Any:
        bound.arguments.update(zip(places, tensors, strict=True))
        return made(*bound.args, **bound.kwargs)

    path = ".".join(trace.path)
    graph, results = build(f"{name}.body", inside, [spec_of(x.value) for x in places.values()])
    trace.block.bodies.pop()  # its names are its own
    if not results:
        raise DslError(
            f"The function {name!r} returns nothing.",
            found="no tensors",
            expected="a tensor, or a tuple of tensors",
            remedy="return what its last line computed",
        )
    types = [(value.type, value.shape) for value in graph.outputs]
    lifted = _lift(trace, graph)
    _rename(graph, [*places, *(str(value.name) for value in lifted)], path)
    called = _register(trace, name, domain, graph)
    operands = [*places.values(), *(trace.tensor(value) for value in lifted)]
    outputs = emit_all(called, *operands, domain=domain, outputs=len(types))
    for output, (kind, shape) in zip(outputs, types, strict=True):
        output.value.type, output.value.shape = kind, shape
    return outputs[0] if len(outputs) == 1 else outputs


def _lift(trace: Trace, graph: ir.Graph) -> list[ir.Value]:
    """Make operands of what a body reads of its surroundings, constants apart; return those."""
    nodes = list(graph.all_nodes())
    own = {id(value) for node in nodes for value in node.outputs}
    own |= {id(value) for inner in _graphs(graph) for value in inner.inputs}
    constants = {id(value) for value in trace.names.constants.values()}
    found: dict[int, tuple[ir.Value, ir.Value]] = {}
    for node in nodes:
        for index, value in enumerate(node.inputs):
            if value is None or id(value) in own:
                continue
            if id(value) not in found:
                inner = ir.Value(name=value.name, type=value.type, shape=value.shape)
                if id(value) in constants:
                    inner = _constant_in(graph, value)
                found[id(value)] = (value, inner)
            node.replace_input_with(index, found[id(value)][1])
    lifted = [(outer, inner) for outer, inner in found.values() if inner.producer() is None]
    graph.inputs.extend(inner for _, inner in lifted)
    return [outer for outer, _ in lifted]


def _constant_in(graph: ir.Graph, value: ir.Value) -> ir.Value:
    assert value.const_value is not None
    node = ir.Node("", "Constant", [], [ir.AttrTensor("value", value.const_value)])
    graph.insert_before(graph[0], node)
    return node.outputs[0]


def _graphs(graph: ir.Graph) -> Iterator[ir.Graph]:
    yield graph
    for node in graph.all_nodes():
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                yield attribute.as_graph()


def _rename(graph: ir.Graph, arguments: list[str], path: str) -> None:
    """Name what is inside so that two calls of one function give one text.

    Shapes go: the calls may have other ones. Sources lose the scopes of the call.
    """
    taken: dict[str, int] = {}

    def unique(name: str) -> str:
        number = taken[name] = taken.get(name, -1) + 1
        return f"{name}_{number}" if number else name

    for inner in _graphs(graph):
        names = arguments if inner is graph else [f"argument_{i}" for i in range(len(inner.inputs))]
        for value, name in zip(inner.inputs, names, strict=True):
            value.name = unique(name.rpartition(".")[2])
        if inner is not graph:
            inner.name = unique("body")
        for node in inner:
            node.name = unique(node.op_type)
            for index, value in enumerate(node.outputs):
                value.name = f"{node.name}.{index}" if index else node.name
            source = next(iter(provenance.sources(node)), "")
            provenance.set_source(node, source.removeprefix(path).lstrip(". "))
    for value in [*graph.inputs, *(v for node in graph for v in node.outputs)]:
        value.shape = value.type = None


def _register(trace: Trace, name: str, domain: str, graph: ir.Graph) -> str:
    """Add a function to the model, unless one with this body is there; return its name."""
    used = {node.domain for node in graph.all_nodes()}
    graph.opset_imports.update({"": CANONICAL_OPSET})
    graph.opset_imports.update({other: DOMAIN_VERSIONS.get(other, 1) for other in used})
    made = ir.Function(domain, name, graph=graph, attributes=[])
    key = _key(made)
    number = 0
    while True:
        wanted = f"{name}_{number}" if number else name
        known = trace.model.functions.get((domain, wanted, ""))
        if known is None:
            made.name = wanted
            graph.name = wanted
            trace.model.functions[made.identifier()] = made
            return wanted
        if _key(known) == key:
            discard(graph)
            return wanted
        number += 1


def _key(made: ir.Function) -> bytes:
    proto = ir.to_proto(made)
    proto.name = "function"
    for node in proto.node:
        _forget_sources(node)
    return bytes(proto.SerializeToString(deterministic=True))


def _forget_sources(node: Any) -> None:
    node.ClearField("metadata_props")
    for attribute in node.attribute:
        for inner in attribute.g.node:
            _forget_sources(inner)
