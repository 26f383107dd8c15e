"""A PyTorch module, run as it is, as the side of a comparison that says what is right."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from sardonyx.compiler.divergence import Disturbance, OnnxSide
from sardonyx.compiler.divergence.match import Pairs, can_be_equal
from sardonyx.compiler.divergence.origins import Origins
from sardonyx.compiler.divergence.side import rename
from sardonyx.compiler.errors import CaptureError
from sardonyx.compiler.proof.exact import EPSILON
from sardonyx.frontends.torch import tree
from sardonyx.frontends.torch.capture import FlatModule, describe_call, inference_state
from sardonyx.frontends.torch.disturb import DisturbedArithmetic

Array = npt.NDArray[Any]
Feeds = Mapping[str, Array]

_ROUNDING = {torch.float16: ir.DataType.FLOAT16, torch.bfloat16: ir.DataType.BFLOAT16}


@dataclass(frozen=True)
class _Called:
    """A module that was called once.

    Attributes:
        cls: Its class.
        shape: The shape of what it gave.
        order: How many modules were done before.
    """

    cls: str
    shape: tuple[int, ...]
    order: int


class ModuleSide:
    """A PyTorch module in eval mode.

    Args:
        module: The module.
        args: Example positional arguments.
        kwargs: Example keyword arguments.

    Raises:
        CaptureError: The arguments do not fit the module, or it fails with them.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self._call = describe_call(module, args, kwargs)
        self._flat = FlatModule(self._call)
        self.module = module
        self.label = f"{type(module).__name__} in PyTorch"
        self.inputs = [item.name for item in self._call.inputs]
        self.examples = {item.name: _array(item.example) for item in self._call.inputs}
        self._called: dict[str, _Called] = {}
        self.outputs = list(self._first_run())

    @property
    def rounding(self) -> ir.DataType | None:
        """The coarsest dtype that it rounds to; None where that is float32 or finer."""
        parameters = (*self.module.parameters(), *self.module.buffers())
        tensors = (*parameters, *(item.example for item in self._call.inputs))
        coarse = {_ROUNDING[t.dtype] for t in tensors if t.dtype in _ROUNDING}
        return max(coarse, key=lambda d: EPSILON[d], default=None)

    def fit(self, sample: Feeds) -> Feeds:
        """Return a sample by the names of the module's arguments."""
        return rename(sample, self.inputs, self.label)

    def run(self, sample: Feeds, disturbance: Disturbance | None = None) -> list[Array]:
        """Return what the module returns."""
        made = self._forward(sample, disturbance)
        return [_array(made[name]) for name in self.outputs]

    def value(self, sample: Feeds, key: str, disturbance: Disturbance | None = None) -> Array:
        """Return what the submodule of a path gives."""
        kept: list[Array] = []

        def keep(module: torch.nn.Module, args: object, result: object) -> None:
            tensor = _main_tensor(result)
            if tensor is not None:
                kept.append(_array(tensor))

        handle = self.module.get_submodule(key).register_forward_hook(keep)
        try:
            self._forward(sample, disturbance)
        finally:
            handle.remove()
        if not kept:
            raise CaptureError("A module is not called with this sample.", where=key)
        return kept[0]

    def pairs(self, other: OnnxSide) -> Pairs:
        """Return, for values of an ONNX model, the paths of the modules that give them."""
        origins = Origins(other.flow)
        prefix = self._prefix(origins)
        pairs: Pairs = {}
        for path, called in self._called.items():

            def is_before(first: str, _: str, done: int = called.order) -> bool:
                known = self._called.get(first.removeprefix(prefix))
                return known is not None and known.order < done

            value = origins.exit(prefix + path, is_before)
            if value is not None and _fits(value.shape, called.shape):
                pairs.setdefault(str(value.name), path)
        return pairs

    def describe(self, key: str) -> str:
        """Return the path and class of a module."""
        called = self._called.get(key)
        return f"{key} ({called.cls})" if called is not None else f"{key!r}"

    def between(self, known: Sequence[str], key: str) -> list[str]:
        """Return the modules that were done after others and no later than the one of a path."""
        last = self._called.get(key)
        end = last.order if last is not None else len(self._called)
        done = [self._called[name].order for name in known if name in self._called]
        start = max((order for order in done if order < end), default=-1)
        return [
            f"{path} ({called.cls})"
            for path, called in sorted(self._called.items(), key=lambda item: item[1].order)
            if start < called.order <= end and not any(self.module.get_submodule(path).children())
        ]

    def _prefix(self, origins: Origins) -> str:
        """Return what stands before a path in an ONNX model, which may be of a module around."""
        candidates = {""}
        for path in origins.members:
            for known in self._called:
                if path.endswith(f".{known}"):
                    candidates.add(path.removesuffix(known))
        return max(
            sorted(candidates, key=len),
            key=lambda prefix: sum(prefix + path in origins.members for path in self._called),
        )

    def _first_run(self) -> dict[str, Any]:
        """Run the module on its examples, and note the order in which its modules are done."""
        repeated: set[str] = set()
        order = 0

        def note(path: str) -> Any:
            def hook(module: torch.nn.Module, args: object, result: object) -> None:
                nonlocal order
                order += 1
                tensor = _main_tensor(result)
                if path in self._called:
                    repeated.add(path)
                elif tensor is not None:
                    shape = tuple(tensor.shape)
                    self._called[path] = _Called(type(module).__name__, shape, order)

            return hook

        handles = [
            module.register_forward_hook(note(path))
            for path, module in self.module.named_modules(remove_duplicate=False)
            if path
        ]
        try:
            made = self._forward(self.examples, None)
        except Exception as error:
            raise CaptureError(
                f"the module fails with its example arguments: {type(error).__name__}: {error}",
                where=type(self.module).__name__,
            ) from error
        finally:
            for handle in handles:
                handle.remove()
        for path in repeated:
            del self._called[path]
        return made

    def _forward(self, sample: Feeds, disturbance: Disturbance | None) -> dict[str, Any]:
        tensors = [
            torch.from_numpy(np.array(sample[item.name])).to(item.example)
            for item in self._call.inputs
        ]
        with inference_state(self.module), _disturbed(disturbance) as mode:
            if mode is not None:
                tensors = [mode.disturbed(tensor) for tensor in tensors]
            made: dict[str, Any] = self._flat(*tensors)
        return made


@contextlib.contextmanager
def _disturbed(disturbance: Disturbance | None) -> Iterator[DisturbedArithmetic | None]:
    if disturbance is None:
        yield None
        return
    rounding = disturbance.rounding
    mode = DisturbedArithmetic(disturbance.seed, EPSILON[rounding] if rounding else 0.0)
    # Attention in one operator would round once where its parts round often.
    with sdpa_kernel(SDPBackend.MATH), mode:
        yield mode


def _main_tensor(result: object) -> torch.Tensor | None:
    """Return the first floating-point tensor in what a module returned."""
    leaves = (leaf for _, leaf in tree.flatten(result))
    return next((t for t in leaves if isinstance(t, torch.Tensor) and t.is_floating_point()), None)


def _fits(shape: ir.Shape | None, found: Sequence[int]) -> bool:
    return can_be_equal(shape, ir.Shape(found))


def _array(tensor: torch.Tensor) -> Array:
    """A copy of a tensor; in float32 where numpy does not have its dtype."""
    held = tensor.detach().cpu()
    try:
        return np.array(held.numpy())
    except TypeError:
        return held.float().numpy()
