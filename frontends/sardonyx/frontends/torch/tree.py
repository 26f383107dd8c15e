"""Nested inputs and outputs as flat lists of tensors, each with the path that leads to it.

``torch.export`` knows only the containers that were registered with its pytree library. Models
also take and return dataclasses, Hugging Face outputs and key-value caches: here they need no
registration.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree


@dataclasses.dataclass(frozen=True)
class Container:
    """One kind of container.

    Attributes:
        accepts: Whether a value is such a container.
        children: The named parts of the value, in order.
        rebuild: A copy of the value that holds other parts, given in the same order.
    """

    accepts: Callable[[Any], bool]
    children: Callable[[Any], list[tuple[str, Any]]]
    rebuild: Callable[[Any, list[Any]], Any]


def flatten(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """All leaves below ``value`` with their dotted paths; a leaf's own path is ``path``."""
    container = _container(value)
    if container is None:
        return [(path, value)]
    rows = []
    for name, child in container.children(value):
        rows += flatten(child, f"{path}.{name}" if path else name)
    return rows


def rebuild(value: Any, leaves: Iterator[Any]) -> Any:
    """A copy of ``value`` whose leaves are taken from ``leaves``, in the order of `flatten`."""
    container = _container(value)
    if container is None:
        return next(leaves)
    parts = [rebuild(child, leaves) for _, child in container.children(value)]
    return container.rebuild(value, parts)


def output_name(path: str) -> str:
    """The name of a model output: its path, which for a tuple starts with an index."""
    return f"output_{path}" if path[:1].isdigit() else path or "output"


def _container(value: Any) -> Container | None:
    if value is None or isinstance(value, LEAVES):
        return None
    return next((kind for kind in CONTAINERS if kind.accepts(value)), None)


def _items(value: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    return [(str(key), part) for key, part in value.items()]


def _with_items(value: Mapping[Any, Any], parts: list[Any]) -> Any:
    items = dict(zip(value.keys(), parts, strict=True))
    if type(value) is dict or not isinstance(value, MutableMapping):
        return items
    result = copy.copy(value)
    for key, part in items.items():
        result[key] = part
    return result


def _elements(value: Any) -> list[tuple[str, Any]]:
    return [(str(index), part) for index, part in enumerate(value)]


def _with_attributes(value: Any, names: list[str], parts: list[Any]) -> Any:
    result = copy.copy(value)
    for name, part in zip(names, parts, strict=True):
        object.__setattr__(result, name, part)  # a frozen dataclass refuses setattr
    return result


def _attributes(accepts: Callable[[Any], bool], names: Callable[[Any], list[str]]) -> Container:
    """A container whose parts are the attributes called ``names(value)``."""
    return Container(
        accepts,
        lambda value: [(SINGULAR.get(name, name), getattr(value, name)) for name in names(value)],
        lambda value, parts: _with_attributes(value, names(value), parts),
    )


def _is_cache(attribute: str) -> Callable[[Any], bool]:
    """Whether a value is a Hugging Face cache, or a layer of one, with this attribute."""

    def accepts(value: Any) -> bool:
        modules = {cls.__module__ for cls in type(value).__mro__}
        return "transformers.cache_utils" in modules and hasattr(value, attribute)

    return accepts


def _field_names(value: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(value)]


def _tensor_names(value: Any) -> list[str]:
    public = {name: part for name, part in vars(value).items() if not name.startswith("_")}
    return [name for name, part in public.items() if any(map(torch.is_tensor, _parts(part)))]


def _parts(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else [value]


def _registered(value: Any) -> list[tuple[str, Any]]:
    keyed, _ = pytree.tree_flatten_with_path(value, is_leaf=lambda part: part is not value)
    return [(pytree.keystr(path).strip("[].'\""), part) for path, part in keyed]


def _with_registered(value: Any, parts: list[Any]) -> Any:
    _, spec = pytree.tree_flatten(value, is_leaf=lambda part: part is not value)
    return pytree.tree_unflatten(parts, spec)


# Checked first, since TorchDynamo cannot look into their classes.
LEAVES = (torch.Tensor, np.ndarray, str, bytes, bool, int, float)

# The singular names are those of ONNX models for decoding ("past_key_values.0.key").
SINGULAR = {"keys": "key", "values": "value"}

# The first row that accepts wins: a Hugging Face output is a mapping before it is a dataclass.
CONTAINERS = (
    Container(lambda value: isinstance(value, Mapping), _items, _with_items),
    Container(
        lambda value: isinstance(value, tuple) and hasattr(value, "_fields"),
        lambda value: list(zip(value._fields, value, strict=True)),
        lambda value, parts: type(value)(*parts),
    ),
    Container(lambda value: isinstance(value, tuple), _elements, lambda _, parts: tuple(parts)),
    Container(lambda value: isinstance(value, list), _elements, lambda _, parts: parts),
    _attributes(
        _is_cache("self_attention_cache"),
        lambda _: ["self_attention_cache", "cross_attention_cache"],
    ),
    Container(
        _is_cache("layers"),
        lambda cache: _elements(cache.layers),
        lambda cache, parts: _with_attributes(cache, ["layers"], [parts]),
    ),
    _attributes(_is_cache("offload"), _tensor_names),
    _attributes(
        lambda value: dataclasses.is_dataclass(value) and not isinstance(value, type), _field_names
    ),
    Container(lambda value: type(value) in pytree.SUPPORTED_NODES, _registered, _with_registered),
)
