"""What a target is: a record of what it accepts and prefers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import onnx_ir as ir

from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.ir.schema import KNOWN_VERSIONS, is_standard
from sardonyx.compiler.ir.scope import scopes
from sardonyx.compiler.ir.signature import CANONICAL_OPSET
from sardonyx.compiler.opset.down import LOWEST_OPSET


@dataclass(frozen=True)
class SessionSettings:
    """How ONNX Runtime is to be set up for what a target's pipeline makes.

    Attributes:
        config: Session config entries.
        disabled_optimizers: Names of its graph transformers to switch off.
        graph_optimization: How far it optimises: "off", "basic", "extended" or "all".
        provider_options: Options of its execution providers, by the short name of the provider.
    """

    config: Mapping[str, str] = field(default_factory=dict)
    disabled_optimizers: tuple[str, ...] = ()
    graph_optimization: str = "all"
    provider_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the text that goes into a model's metadata."""
        options = {name: dict(given) for name, given in self.provider_options.items()}
        return json.dumps(
            {
                "config": dict(self.config),
                "disabled_optimizers": list(self.disabled_optimizers),
                "graph_optimization": self.graph_optimization,
                **({"provider_options": options} if options else {}),
            },
            sort_keys=True,
        )


@dataclass(frozen=True)
class Target:
    """Something that models are compiled for.

    Attributes:
        name: Its name on the command line and in reports.
        sentence: What it is, in one sentence.
        contrib: Operators it accepts beyond the ONNX standard, by domain; None accepts all of one.
        newest_opset: The newest opset of the standard domain that it loads.
        newest_ir_version: The newest IR version that it loads.
        kernel_gaps: Operators whose newest form it has no kernel for, and the newest opset that
            it runs them at.
        missing_kernel: Says why it cannot run a node of the standard at a version, None where it
            can or nobody knows; by default nobody does.
        needs_body: Says of a node at a version whether it is to be written out by the function
            that ONNX defines its operator by; by default none is.
        selections: Names of the rule sets (`rules.select.SELECTIONS`) that put operators into the
            form that it runs fastest, in the order in which they are applied.
        session: How ONNX Runtime is to be set up; None leaves it alone.
        precisions: Names of the half precisions that it computes in faster than in single.
        half_kernels: By half precision, what gives the operators of the standard that it has
            kernels for at an opset; a precision that is not named has all.
        layouts: For each layout of images that it can be asked for, the options of its provider
            that make it compute so: {"nhwc": {"prefer_nhwc": "1"}}.
        layout_gaps: By layout, the precisions ("f64" is double) and the operators that it cannot
            compute in it.
        image_layout: The one of these that a model of several convolutions is given when nobody
            asks for one.
    """

    name: str
    sentence: str
    contrib: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    newest_opset: int = 26
    newest_ir_version: int = 13
    kernel_gaps: Mapping[str, int] = field(default_factory=dict)
    missing_kernel: Callable[[ir.Node, int], str | None] | None = None
    needs_body: Callable[[ir.Node, int], bool] | None = None
    selections: tuple[str, ...] = ()
    session: SessionSettings | None = None
    precisions: tuple[str, ...] = ()
    half_kernels: Mapping[str, Callable[[int], frozenset[str]]] = field(default_factory=dict)
    layouts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    layout_gaps: Mapping[str, frozenset[str]] = field(default_factory=dict)
    image_layout: str | None = None

    def check_opset(self, opset: int | None) -> None:
        """Check that models can be exported at an opset; None stands for the best one.

        Raises:
            UnsupportedError: They cannot.
        """
        if opset is not None and not LOWEST_OPSET <= opset <= CANONICAL_OPSET:
            raise UnsupportedError(
                f"Models cannot be exported at opset {opset}.",
                expected=f"opset {LOWEST_OPSET} to {CANONICAL_OPSET}",
                remedy="leave the opset out to take the best one",
            )

    def check_precision(self, precision: str | None) -> None:
        """Check that models can be had in a precision; None stands for that of the model.

        Raises:
            UnsupportedError: They cannot.
        """
        if precision is not None and precision not in self.precisions:
            raise UnsupportedError(
                f"Target {self.name!r} does not compute in {precision!r}.",
                expected=", ".join(self.precisions) or "the precision that the model has",
                remedy="leave the precision out, or compile for another target",
            )

    def kernels_in(self, precision: str, opset: int) -> frozenset[str] | None:
        """Return the operators that it has kernels for in a half precision; None for all."""
        kernels = self.half_kernels.get(precision)
        return None if kernels is None else kernels(opset)

    def with_layout(
        self, layout: str | None, model: ir.Model, precision: str | None = None
    ) -> Target:
        """Return the target set up for a layout of the images in a model.

        Args:
            layout: Name of the layout; None leaves the choice to the target.
            model: The model; not changed.
            precision: Half precision that it is to compute in.

        Raises:
            UnsupportedError: It cannot be asked for that layout.
        """
        if layout is None and self.image_layout is not None and _is_of_images(model):
            is_possible = not self._lacks(self.image_layout, model, precision)
            layout = self.image_layout if is_possible else None
        if layout is None:
            return self
        if layout not in self.layouts:
            raise UnsupportedError(
                f"Target {self.name!r} cannot be asked for the layout {layout!r}.",
                expected=", ".join(self.layouts) or "no layout: it takes what is fastest",
            )
        lacking = self._lacks(layout, model, precision)
        if lacking:
            raise UnsupportedError(
                f"Target {self.name!r} cannot compute this model in the layout {layout!r}.",
                found=", ".join(sorted(lacking)),
                remedy="leave the layout out",
            )
        if not self.layouts[layout]:
            return self
        session = self.session or SessionSettings()
        before = session.provider_options.get(self.name, {})
        options = {**session.provider_options, self.name: {**before, **self.layouts[layout]}}
        return replace(self, session=replace(session, provider_options=options))

    def _lacks(self, layout: str, model: ir.Model, precision: str | None) -> frozenset[str]:
        """Return what of a model it cannot compute in a layout."""
        nodes = list(_standard_nodes(model))
        found = {precision or "", *(node.op_type for node in nodes), *_precisions(nodes)}
        return self.layout_gaps.get(layout, frozenset()) & found

    def refuses(self, node: ir.Node, version: int) -> str | None:
        """Return why the target does not accept a node, or None where it does.

        Args:
            node: A node that calls no model-local function.
            version: The version at which the node's domain is imported.
        """
        if is_standard(node.domain, node.op_type):
            if not node.domain and version > self.newest_opset:
                return f"{self.name} loads opset {self.newest_opset} at most, not {version}"
            return self.missing_kernel(node, version) if self.missing_kernel else None
        accepted = self.contrib.get(node.domain, frozenset())
        if accepted is None or node.op_type in accepted:
            return None
        if node.domain in KNOWN_VERSIONS or node.domain == "com.microsoft":
            return f"{node.op_type} is ONNX Runtime's own, not of the ONNX standard"
        return f"{self.name} knows no domain {node.domain!r}"


_CONVOLUTIONS = ("Conv", "ConvTranspose")


def _standard_nodes(model: ir.Model) -> Iterator[ir.Node]:
    return (node for scope in scopes(model) for node in scope.nodes if not node.domain)


def _precisions(nodes: Iterable[ir.Node]) -> set[str]:
    """Return the dtypes that convolutions are computed in, by the names that precisions have."""
    operands = (v for n in nodes if n.op_type in _CONVOLUTIONS for v in n.inputs[:2])
    return {v.dtype.short_name() for v in operands if v is not None and v.dtype is not None}


def _is_of_images(model: ir.Model) -> bool:
    """Say whether a model has several convolutions of images: not just patches at its start."""
    kernels = (
        node.inputs[1]
        for node in _standard_nodes(model)
        if node.op_type in _CONVOLUTIONS and len(node.inputs) > 1
    )
    shapes = (weight.shape for weight in kernels if weight is not None)
    return sum(shape is not None and len(shape) == 4 for shape in shapes) > 1
