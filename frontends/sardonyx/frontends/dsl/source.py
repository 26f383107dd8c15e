"""A model as a program of the language that builds it again."""

from __future__ import annotations

import keyword
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.export.files import check_destination, new_file
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.calls import inline_calls
from sardonyx.compiler.ir.constants import tensor as constant_of
from sardonyx.compiler.ir.signature import CANONICAL_OPSET, signature
from sardonyx.frontends.dsl import files, literals
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.operators import dotted

_MOST_WRITTEN = 16
"""Constants of no more elements, and none of floats but scalars, stand in the program."""

_SCOPE = re.compile(r"[\w\-]+(\.[\w\-]+)*")
_WORD = re.compile(r"\W+")
_INDENT = "    "
_USED = frozenset({"np", "dsl", "Path", "float", "complex"})
"""What a program uses itself."""

_KEYWORDS = frozenset({"op_type", "domain", "outputs", "dims"})
"""What a call of an operator takes beside its attributes."""


@dataclass(frozen=True)
class Source:
    """A program that builds a model again.

    Attributes:
        name: The model's name in it.
        text: The program; it reads no file.
        state: The numbers of its parameters, for `load`.
    """

    name: str
    text: str
    state: dict[str, np.ndarray[Any, Any]]

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the program to a `.py` file, and the numbers beside it as `.safetensors`.

        Raises:
            DslError: The suffix is another one, or the numbers have a dtype that such files lack.
            ExportError: A file cannot be written.
        """
        where = Path(path)
        if where.suffix != ".py":
            raise DslError(
                "A program goes into a .py file.", found=str(where), expected="such as net.py"
            )
        text = self.text
        if self.state:
            files.write(where.with_suffix(".safetensors"), self.state)
            text = text.replace('"""\n\n', '"""\n\nfrom pathlib import Path\n\n', 1)
            text += f'\n{self.name}.load(Path(__file__).with_suffix(".safetensors"))\n'
        with new_file(check_destination(where)) as file:
            file.write([text.encode()])
            file.publish()


def source(model: ir.Model, name: str | None = None) -> Source:
    """Return a program of the language that builds a model again.

    Each node is a call of its operator, in the scopes that its source names; parameters have their
    names, and their numbers are in `state`. The rebuilt model has the same nodes, attributes and
    types; its nodes and values have names of their own. Functions of the model are written out.

    Args:
        model: A model at opset 23, for example of `frontends.from_onnx`.
        name: Name of the function; the graph's by default.

    Raises:
        DslError: The model is of another opset, or has something that the language does not.
    """
    if model.opset_imports.get("", CANONICAL_OPSET) != CANONICAL_OPSET:
        raise DslError(
            "The language writes another opset than this model has.",
            found=f"opset {model.opset_imports['']}",
            expected=f"opset {CANONICAL_OPSET}",
            remedy="bring it in with frontends.from_onnx, which raises older ones",
        )
    working = model.clone()
    try:
        inline_calls(working)
    except ValueError as error:
        raise DslError(
            "The model's functions cannot be written out.",
            found=str(error),
            expected="functions that take tensors",
        ) from None
    separate_outputs(working.graph)
    writer = _Writer(working, _word(name or str(working.graph.name or ""), "net"))
    return Source(writer.name, writer.text(), writer.state)


def separate_outputs(graph: ir.Graph) -> None:
    """Give each output a node of its own, in bodies too, as the language does."""
    for node in list(graph):
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                separate_outputs(attribute.as_graph())
    own = {id(value) for node in graph if not _is_constant(node) for value in node.outputs}
    seen: set[int] = set()
    for index, value in enumerate(graph.outputs):
        if id(value) in own and id(value) not in seen:
            seen.add(id(value))
            continue
        node = ir.Node("", "Identity", [value])
        copy = node.outputs[0]
        copy.name, copy.type, copy.shape = f"{value.name}.copy{index}", value.type, value.shape
        graph.append(node)
        graph.outputs[index] = copy


def _is_constant(node: ir.Node) -> bool:
    is_one = node.op_type == "Constant" and not node.domain
    return is_one and constant_of(node.outputs[0]) is not None


def _word(text: str, otherwise: str) -> str:
    """Return a text as a Python name."""
    word = _WORD.sub("_", text).strip("_")
    return word if _is_word(word) and word not in _USED else otherwise


def _is_word(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _refuse_other_names(node: ir.Node) -> None:
    """Refuse an operator or attribute that no call can name.

    The names of a file may be anything: in a program they would be run.
    """
    names = [node.op_type, *node.attributes]
    if node.op_type.startswith("_") or not all(map(_is_word, names)) or _KEYWORDS & {*names[1:]}:
        raise DslError(
            "An operator or attribute has a name that a program cannot have.",
            found=f"{node.op_type!r} of {node.domain!r}, attributes {names[1:]}",
            expected=f"words of Python; attributes other than {', '.join(sorted(_KEYWORDS))}",
        )


@dataclass
class _Writer:
    """Writes one model.

    Attributes:
        model: The model, without functions.
        name: The function's name.
        words: Python names by the identity of a value.
        taken: Names in use.
        state: Parameters so far.
        sizes: Names of symbolic sizes that are no words, and the words for them.
    """

    model: ir.Model
    name: str
    words: dict[int, str] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    state: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    sizes: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the program."""
        graph = self.model.graph
        self._unique(self.name)
        inputs = [value for value in graph.inputs if not value.is_initializer()]
        types = []
        for value in inputs:
            word = self._unique(_word(str(value.name), "x"))
            self.words[id(value)] = word
            named = "" if word == value.name else f".named({literals.of_text(str(value.name))})"
            types.append(f"{word}={literals.of_type(value, self.sizes)}{named}")
        arguments = ", ".join(self.words[id(value)] for value in inputs)
        body = "".join(f"{_INDENT}{line}".rstrip() + "\n" for line in self._lines(graph))
        returned = ", ".join(
            f"{literals.of_text(str(v.name))}: {self._read(v)}" for v in graph.outputs
        )
        count = sum(1 for _ in graph.all_nodes())
        head = f'"""{self.name}: {count} nodes, written by `sardonyx inspect --dsl`."""\n\n'
        numpy = "import numpy as np\n\n" if "np." in body else ""
        return (
            f"{head}{numpy}from sardonyx.frontends import dsl\n\n\n"
            f"@dsl.model({', '.join(types)})\ndef {self.name}({arguments}):\n"
            f"{body}{_INDENT}return {{{returned}}}\n"
        )

    def _lines(self, graph: ir.Graph) -> Iterator[str]:
        """Go through the lines of a graph, grouped by scopes."""
        opened = ""
        for node in graph:
            if _is_constant(node):
                continue
            before = list(self._parameters(node))
            scope = _scope(node)
            if before or scope != opened:
                yield from before
                if scope:
                    yield f'with dsl.scope("{scope}"):'
                opened = scope
            indent = _INDENT if scope else ""
            yield from (f"{indent}{line}" for line in self._call(node))

    def _parameters(self, node: ir.Node) -> Iterator[str]:
        """Make the parameters that a node or its bodies read, and that are not made yet."""
        for value in _operands(node):
            held = constant_of(value)
            if held is None or id(value) in self.words or _is_written(held):
                continue
            name = str(value.name)
            word = self._unique(_word(name.rpartition(".")[2], "weight"))
            self.words[id(value)] = word
            self.state[name] = np.asarray(held.numpy())
            arguments = [literals.of_text(name), literals.of_sizes(held.shape.numpy())]
            if held.dtype != ir.DataType.FLOAT:
                arguments.append(f"dtype={literals.of_dtype(held.dtype)}")
            yield f"{word} = dsl.parameter({', '.join(arguments)})"

    def _call(self, node: ir.Node) -> Iterator[str]:
        """Write the bodies of a node, and its call."""
        _refuse_other_names(node)
        arguments = [self._read(value) for value in node.inputs]
        while arguments and arguments[-1] == "None":
            arguments.pop()
        for attribute in node.attributes.values():
            if attribute.is_ref():
                raise DslError(
                    "An attribute is one of a function's.",
                    found=f"{attribute.name!r} of {node.op_type}",
                    expected="attributes with values",
                )
            text = f"{attribute.name}="
            if attribute.type == ir.AttributeType.GRAPH:
                word = self._unique(_word(attribute.name, "body"))
                yield from self._body(word, attribute.as_graph())
                kinds = [literals.of_type(v, self.sizes) for v in attribute.as_graph().inputs]
                text += f"dsl.body({', '.join([word, *kinds])})"
            else:
                text += literals.of_attribute(attribute)
            arguments.append(text)
        outputs = list(node.outputs)
        while len(outputs) > 1 and not outputs[-1].name:
            outputs.pop()
        if len(outputs) != _least(node):
            arguments.append(f"outputs={len(outputs)}")
        for value in outputs:
            self.words[id(value)] = self._unique(_word(node.op_type.lower(), "y"))
        words = ", ".join(self.words[id(value)] for value in outputs)
        yield f"{words} = {dotted(node.domain, node.op_type)}({', '.join(arguments)})"

    def _body(self, name: str, graph: ir.Graph) -> Iterator[str]:
        for value in graph.inputs:
            self.words[id(value)] = self._unique(_word(str(value.name), "x"))
        yield ""
        yield f"def {name}({', '.join(self.words[id(value)] for value in graph.inputs)}):"
        yield from (f"{_INDENT}{line}" for line in self._lines(graph))
        results = [self._read(value) for value in graph.outputs]
        yield f"{_INDENT}return {results[0] if len(results) == 1 else ', '.join(results)}"
        yield ""

    def _read(self, value: ir.Value | None) -> str:
        if value is None:
            return "None"
        if id(value) in self.words:
            return self.words[id(value)]
        held = constant_of(value)
        if held is None:
            raise DslError(
                "A node reads something that nothing makes.",
                found=str(value.name),
                expected="inputs, constants, and what nodes before it give",
            )
        return literals.of_array(held)

    def _unique(self, word: str) -> str:
        number = self.taken.get(word)
        self.taken[word] = 1 if number is None else number + 1
        return word if number is None else self._unique(f"{word}_{number or 1}")


def _operands(node: ir.Node) -> Iterator[ir.Value]:
    """Go through what a node and the nodes of its bodies read, bodies' outputs too."""
    yield from (value for value in node.inputs if value is not None)
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            for inner in attribute.as_graph():
                yield from _operands(inner)


def _is_written(held: ir.TensorProtocol) -> bool:
    """Say whether a constant stands in the program rather than in a file beside it."""
    if held.dtype == ir.DataType.STRING:
        return True
    size = math.prod(held.shape.numpy())
    return size <= (1 if held.dtype.is_floating_point() else _MOST_WRITTEN)


def _least(node: ir.Node) -> int:
    known = signature(node.domain, node.op_type)
    needed = sum(o.required and not o.variadic for o in known.outputs) if known else 1
    return max(1, needed)


def _scope(node: ir.Node) -> str:
    """Return the scopes that a node's source names, "" for none."""
    first = next(iter(provenance.sources(node)), "")
    path = first.rpartition(" ")[0] if " " in first else first
    if "/" in path:
        path = ".".join(part for part in path.split("/")[:-1] if part)
    elif " " not in first:
        path = path if "." in path else ""
    return path if _SCOPE.fullmatch(path) else ""
