"""What is tried, in groups: the most promising first, so that a short budget loses the least.

Each group is searched with what the groups before it settled (coordinate descent): the product of
all settings would take days, and most of them do not depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .choice import Choice

SKIP_NORMS = ("SkipLayerNormFusion", "BiasSkipLayerNormFusion")
"""ONNX Runtime's CPU kernel of the fused form is serial: up to 7 times slower than its parts."""


@dataclass(frozen=True)
class Space:
    """What bounds the search.

    Attributes:
        providers: Short names of the providers that may be tried.
        threads: The most threads that a session may have.
        disabled: Optimisers that the artifact or the default switch off.
        is_lossy: An accuracy was given, so that lower precision may be tried.
        is_bound: Calls are made on bound memory, as CUDA graphs need it.
        variants: Names of other forms of the model.
        mentions: Says whether the model's file contains this name of an operator.
    """

    providers: tuple[str, ...] = ("cpu",)
    threads: int = 1
    disabled: tuple[str, ...] = ()
    is_lossy: bool = False
    is_bound: bool = False
    variants: tuple[str, ...] = ()
    mentions: Callable[[str], bool] = lambda name: True


@dataclass(frozen=True)
class Knob:
    """One setting to try.

    Attributes:
        name: For the report.
        changes: What changes in the choice.
        providers: Where it has a meaning; empty for everywhere.
        operators: It can matter only if the model has one of them; empty for any model.
        is_lossy: Numbers lose precision, beyond rounding.
        is_bound: It has an effect on bound calls only.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    providers: tuple[str, ...] = ("cpu",)
    operators: tuple[str, ...] = ()
    is_lossy: bool = False
    is_bound: bool = False

    def applies(self, space: Space, current: Choice) -> bool:
        """Whether there is any point in trying it."""
        return (
            (not self.providers or current.provider in self.providers)
            and (space.is_lossy or not self.is_lossy)
            and (space.is_bound or not self.is_bound)
            and (not self.operators or any(map(space.mentions, self.operators)))
        )


def _config(name: str, key: str, value: str, **more: Any) -> Knob:
    return Knob(name, {"config": {key: value}}, **more)


def _option(name: str, key: str, value: str, provider: str, **more: Any) -> Knob:
    return Knob(name, {"options": {key: value}}, providers=(provider,), **more)


NORMS = ("LayerNormalization", "RMSNormalization")
OPTIMISERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "skip norms apart": (SKIP_NORMS, NORMS),
    "bias apart from MatMul": (("MatMulAddFusion",), ("MatMul",)),
    "both apart": ((*SKIP_NORMS, "MatMulAddFusion"), NORMS),
    "no NCHWc": (("NchwcTransformer",), ("Conv",)),
}
"""Optimisers that are worth switching off, and operators without which they do nothing."""

PRECISION = "precision"
"""The option of OpenVINO; elsewhere precision is an option of its own."""

PRECISIONS = (
    _option("bfloat16", PRECISION, "bf16", "openvino", is_lossy=True),
    _option("float16", PRECISION, "f16", "openvino", is_lossy=True),
    _option("TF32", "use_tf32", "1", "cuda", is_lossy=True),
)
LEVELS = tuple(
    Knob(f"optimise {level}", {"graph_optimization": level}) for level in ("extended", "basic")
)
CUDA = (
    _option("channels last", "prefer_nhwc", "1", "cuda", operators=("Conv",)),
    _option("channels first", "prefer_nhwc", "0", "cuda", operators=("Conv",)),
    _option("heuristic search", "cudnn_conv_algo_search", "HEURISTIC", "cuda", operators=("Conv",)),
    _option("CUDA graph", "enable_cuda_graph", "1", "cuda", is_bound=True),
)
SCHEDULE = (
    _config("no spinning", "session.intra_op.allow_spinning", "0"),
    _config("dynamic blocks", "session.dynamic_block_base", "4"),
    _config("order by priority", "execution_order", "priority", providers=()),
    _config("parallel nodes", "execution_mode", "parallel"),
)
MEMORY = (
    _config("no arena", "enable_cpu_mem_arena", "0"),
    _config("no memory pattern", "enable_mem_pattern", "0", providers=()),
    _config("denormals kept", "session.set_denormal_as_zero", "0"),
)
APPROXIMATE = (
    _config(
        "GELU by tanh",
        "optimization.enable_gelu_approximation",
        "1",
        operators=("Gelu", "Erf"),
        is_lossy=True,
    ),
)

Group = tuple[str, Callable[[Space, Choice], Iterator[tuple[str, Choice]]]]


def _knobs(knobs: Sequence[Knob]) -> Callable[[Space, Choice], Iterator[tuple[str, Choice]]]:
    def tried(space: Space, current: Choice) -> Iterator[tuple[str, Choice]]:
        for knob in knobs:
            if knob.applies(space, current):
                yield knob.name, current.but(**knob.changes)

    return tried


def start_with(provider: str) -> Choice:
    """A provider at the precision of the model."""
    exact = {"cuda": {"use_tf32": "0"}}
    return Choice(provider, exact.get(provider, {}))


def _models(space: Space, current: Choice) -> Iterator[tuple[str, Choice]]:
    for provider in space.providers:
        if provider != current.provider:
            other = start_with(provider)
            yield provider, other.but(threads=current.threads)
            for knob in PRECISIONS:
                if knob.applies(space, other):
                    yield f"{provider}, {knob.name}", other.but(**knob.changes)
    for knob in PRECISIONS:
        # A session on CUDA that nobody tuned has TF32 as it is.
        if knob.applies(space, current) and current.provider != "cuda":
            yield f"{current.provider}, {knob.name}", current.but(**knob.changes)
    for variant in space.variants:
        yield f"variant {variant}", current.but(variant=variant)


def _threads(space: Space, current: Choice) -> Iterator[tuple[str, Choice]]:
    if current.provider == "cuda":
        return
    counts = {1 << power for power in range(space.threads.bit_length())} | {space.threads // 2}
    now = current.threads or space.threads
    for count in sorted(counts - {0, now}, reverse=True):
        yield f"{count} thread{'s' * (count > 1)}", current.but(threads=count)


def _optimisers(space: Space, current: Choice) -> Iterator[tuple[str, Choice]]:
    if current.provider != "cpu":
        return
    off = set(current.disabled_optimizers or space.disabled)
    for name, (optimisers, operators) in OPTIMISERS.items():
        if not off.issuperset(optimisers) and any(map(space.mentions, operators)):
            yield name, current.but(disabled_optimizers=tuple(sorted(off.union(optimisers))))
    if off:
        yield "all optimisers", current.but(disabled_optimizers=())
    for knob in LEVELS:
        yield knob.name, current.but(**knob.changes)


GROUPS: tuple[Group, ...] = (
    ("provider and precision", _models),
    ("optimisers", _optimisers),
    ("device", _knobs(CUDA)),
    ("schedule", _knobs(SCHEDULE)),
    ("threads", _threads),
    ("memory", _knobs(MEMORY)),
    ("approximation", _knobs(APPROXIMATE)),
)
