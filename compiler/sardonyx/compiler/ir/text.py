"""The text form of models: the ONNX textual syntax, printed the same every time, parsed back.

`to_text(model)` says everything that the model computes, and `from_text` makes that model of it
again: names, types, constants to the last bit, functions, metadata of the model (its stage among
it). It does not say documentation strings and metadata of graphs, nodes and values: provenance is
not part of what a model means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx
import onnx_ir as ir

from sardonyx.compiler.errors import InvalidModelError, VerifyError
from sardonyx.compiler.ir.printer import Printer
from sardonyx.compiler.ir.spelling import ELIDED, restore
from sardonyx.compiler.ir.structure import fingerprint

STAGE = "sardonyx.stage"
"""Key of a model's metadata that says at which stage it is."""


def to_text(model: ir.Model, *, elide: int | None = None, brief: bool = False) -> str:
    """Return the text of a model.

    Args:
        model: The model to print.
        elide: Leave out the elements of constants with more elements than this; such a text
            can be parsed only together with the constants (`to_text_and_tensors`).
        brief: Leave out node names, write value types and sources as comments, for reading.
    """
    return Printer(elide, brief).model(model)


def to_text_and_tensors(model: ir.Model, elide: int = 0) -> tuple[str, list[ir.TensorProtocol]]:
    """Return the text of a model without its constants, and the constants left out."""
    printer = Printer(elide)
    return printer.model(model), printer.elided


def from_text(text: str, tensors: Sequence[ir.TensorProtocol] = ()) -> ir.Model:
    """Return the model that a text says.

    Args:
        text: A model in the ONNX textual syntax.
        tensors: The constants that were left out of it, in the order of their numbers.

    Raises:
        InvalidModelError: The text is not in the syntax, or a constant left out is not given.
    """
    try:
        proto = onnx.parser.parse_model(text)
        restore(proto)
        model: ir.Model = ir.from_proto(proto)
    except (onnx.parser.ParseError, ir.serde.SerdeError, ValueError) as error:
        raise InvalidModelError(
            "The text is not a model in the ONNX textual syntax.", found=_first_cause(error)
        ) from error
    _type_function_inputs(proto, model)
    _put_back(model, tensors)
    return model


def stage(model: ir.Model) -> str:
    """Return the stage a model is at: what its metadata says, "source" where it says nothing."""
    return model.metadata_props.get(STAGE, "source")


def check_round_trip(model: ir.Model) -> None:
    """Check that the text of a model says the same model.

    Raises:
        VerifyError: It does not.
    """
    text, tensors = to_text_and_tensors(model)
    try:
        again = from_text(text, tensors)
    except InvalidModelError as error:
        raise VerifyError(
            "text round-trip", "The model's text does not parse.", found=str(error)
        ) from error
    if fingerprint(again) != fingerprint(model):
        raise VerifyError("text round-trip", "The model's text says another model.", found=text)


def _first_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip()


def _type_function_inputs(proto: onnx.ModelProto, model: ir.Model) -> None:
    """onnx_ir reads the types of what a function makes, not of what it takes."""
    for written, function in zip(proto.functions, model.functions.values(), strict=True):
        infos = {info.name: info for info in written.value_info}
        for value in function.inputs:
            if value.name in infos:
                ir.serde.deserialize_value_info_proto(infos[value.name], value)


def _put_back(model: ir.Model, tensors: Sequence[ir.TensorProtocol]) -> None:
    for graph in _all_graphs(model):
        for value in graph.initializers.values():
            if (number := _number(value.const_value)) is not None:
                value.const_value = _given(number, tensors)
    for node in _all_nodes(model):
        for attribute in list(node.attributes.values()):
            if attribute.type != ir.AttributeType.TENSOR or attribute.is_ref():
                continue
            if (number := _number(attribute.as_tensor())) is not None:
                node.attributes[attribute.name] = ir.AttrTensor(
                    attribute.name, _given(number, tensors)
                )


def _all_graphs(model: ir.Model) -> Iterator[ir.Graph]:
    yield from model.graphs()
    for function in model.functions.values():
        yield from function.subgraphs()


def _all_nodes(model: ir.Model) -> Iterator[ir.Node]:
    yield from model.graph.all_nodes()
    for function in model.functions.values():
        yield from function.all_nodes()


def _number(tensor: ir.TensorProtocol | None) -> int | None:
    if not isinstance(tensor, ir.ExternalTensor):
        return None
    kind, _, number = str(tensor.location).partition(":")
    return int(number) if kind == ELIDED else None


def _given(number: int, tensors: Sequence[ir.TensorProtocol]) -> ir.TensorProtocol:
    if number >= len(tensors):
        raise InvalidModelError(
            "The text leaves out the elements of a constant.",
            found=f"constant number {number} of {len(tensors)} given",
            remedy="print the model without elide=, or give the constants to from_text",
        )
    return tensors[number]
