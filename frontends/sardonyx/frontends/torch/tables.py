"""What the exporter looks up for each export again, looked up once.

Reading its table of lowerings, and listing PyTorch's operators some hundred times over, takes five
times as long as lowering a small model. Both are private to PyTorch: where a version has them no
longer, its exporter is left as it is, and slow.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sardonyx.frontends.torch.decompositions.left import LEFT

# Operators of these are in the table only once they have been imported.
DEFINE_OPERATORS = ("torchvision", "torch.ao.quantization.fx._decomposed")

_REGISTRY = "torch.onnx._internal.exporter._registration"
_OPERATORS = "torch._export.utils"


_DECOMPOSITIONS = "torch.onnx._internal.exporter._decomp"

Table = Mapping[Any, Callable[..., Any]]


@contextlib.contextmanager
def tables_kept(decompositions: Table, of_complex: Table) -> Iterator[bool]:
    """Let one export start from a copy of the table read before, and list operators once.

    Args:
        decompositions: Of operators, in the place of what the exporter would do with them.
        of_complex: Lowerings of operators on complex numbers, for which it has no other door.

    Yields:
        Whether the exporter uses the decompositions.
    """
    with contextlib.ExitStack() as stack:
        registry: Any = getattr(_module(_REGISTRY), "ONNXRegistry", None)
        if registry is not None and hasattr(registry, "from_torchlib"):
            read = registry.from_torchlib
            known = staticmethod(functools.partial(_copy_of_table, read, of_complex))
            stack.enter_context(_replaced(registry, "from_torchlib", known))
        operators = _module(_OPERATORS)
        register = getattr(operators, "_materialize_cpp_cia_ops", None)
        if register is not None:
            # It makes operators that exist in C++ known in Python; an export defines none.
            once = functools.cache(register)
            stack.enter_context(_replaced(operators, "_materialize_cpp_cia_ops", once))
        exporter = _module(_DECOMPOSITIONS)
        create = getattr(exporter, "create_onnx_friendly_decomposition_table", None)
        if create is not None:

            def with_ours(*args: Any, **kwargs: Any) -> dict[Any, Any]:
                theirs = create(*args, **kwargs)
                ours = {
                    operator: _either(made, theirs[operator]) if operator in theirs else made
                    for operator, made in decompositions.items()
                }
                return {**theirs, **ours}

            stack.enter_context(_replaced(exporter, create.__name__, with_ours))
        yield create is not None


def _either(ours: Callable[..., Any], theirs: Callable[..., Any]) -> Callable[..., Any]:
    """Our decomposition, or PyTorch's of what that leaves."""

    def decompose(*args: Any, **kwargs: Any) -> Any:
        made = ours(*args, **kwargs)
        return theirs(*args, **kwargs) if made is LEFT else made

    return decompose


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    before = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_tables: dict[object, Any] = {}


def _copy_of_table(read: Callable[..., Any], of_complex: Table, opset_version: int) -> Any:
    """What ``ONNXRegistry.from_torchlib`` gives; lowerings can be added to it."""
    key = (opset_version, *(name in sys.modules for name in DEFINE_OPERATORS))
    if key not in _tables:
        _tables[key] = read(opset_version=opset_version)
    known = _tables[key]
    copied = type(known)()
    copied.__dict__.update(known.__dict__)
    copied.functions = {target: list(rows) for target, rows in known.functions.items()}
    for target, function in of_complex.items():
        copied.register_op(target, function, is_complex=True)
    return copied
