"""What a session is loaded with while it is measured: one point of the space that is searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Choice:
    """Settings of one contender; what is None or empty is left to the artifact and the defaults.

    Attributes:
        provider: Short name of the execution provider.
        options: Its options.
        threads: Threads of the compute pool.
        graph_optimization: How far ONNX Runtime optimises.
        disabled_optimizers: Optimisers of ONNX Runtime that are switched off.
        config: Session config entries.
        variant: Name of the variant of the model; empty for the model itself.
    """

    provider: str = "cpu"
    options: Mapping[str, str] = field(default_factory=dict)
    threads: int | None = None
    graph_optimization: str | None = None
    disabled_optimizers: tuple[str, ...] | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    variant: str = ""

    def but(self, **changes: Any) -> Choice:
        """The same with some settings more; entries of ``options`` and ``config`` are added."""
        for name in ("options", "config"):
            if name in changes:
                changes[name] = {**getattr(self, name), **changes[name]}
        return replace(self, **changes)

    def load_options(self) -> dict[str, Any]:
        """Arguments of ``load``, as JSON has them."""
        given = {
            "providers": [[self.provider, dict(self.options)]],
            "threads": self.threads,
            "config": dict(self.config) or None,
            "disabled_optimizers": self.disabled_optimizers,
            "graph_optimization": self.graph_optimization,
        }
        return {name: value for name, value in given.items() if value is not None}

    def settings(self) -> dict[str, Any]:
        """What an artifact carries of it, beside provider and threads."""
        given = {
            "config": dict(self.config),
            "disabled_optimizers": self.disabled_optimizers,
            "graph_optimization": self.graph_optimization,
            "provider_options": {self.provider: dict(self.options)} if self.options else {},
        }
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given.items()
            if value is not None and value != {}
        }

    def differences(self, other: Choice) -> dict[str, Any]:
        """What was chosen beyond another choice, by the name of the setting."""
        mine, theirs = (
            {"provider": c.provider, "threads": c.threads, "variant": c.variant, **c.settings()}
            for c in (self, other)
        )
        return {name: value for name, value in mine.items() if value != theirs.get(name)}
