"""The one door for mutation: only what is here changes a graph, and it says what it changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from sardonyx.compiler.errors import RewriteError
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.scope import graphs_in, subgraphs
from sardonyx.compiler.ir.signature import DOMAIN_VERSIONS
from sardonyx.compiler.ir.types import Types, all_values, describe


@dataclass(frozen=True)
class Change:
    """One applied edit.

    Attributes:
        rule: Name of the rule or pass that asked for it.
        site: Where it happened, in the user's terms.
        value: Name of the value that it is about: the first that was replaced.
        added: The nodes that are new.
        erased: Operator names of the nodes that are gone.
        readers: Nodes whose operands changed.
    """

    rule: str
    site: str
    added: tuple[ir.Node, ...] = ()
    erased: tuple[str, ...] = ()
    readers: tuple[ir.Node, ...] = ()
    value: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A state of a model that its editor can go back to.

    Attributes:
        model: A copy of the model; constants are shared.
        serial: What names of new values go on from, so that they are the same a second time.
        restore: What listeners need to be told.
    """

    model: ir.Model
    serial: int
    restore: tuple[Callable[[], None], ...] = ()


@dataclass
class Editor:
    """Changes one model.

    Attributes:
        model: The model that is edited.
        types: Its type facts.
        changes: How many edits were applied so far.
        listeners: Called with each applied change.
        savers: Called for each snapshot; each returns what brings its own state back.
        quarantined: Rules that are not applied to the value of this name; "" for any value.
    """

    model: ir.Model
    types: Types
    changes: int = 0
    listeners: list[Callable[[Change], None]] = field(default_factory=list)
    savers: list[Callable[[], Callable[[], None]]] = field(default_factory=list)
    quarantined: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        # How many values have a name: those of different subgraphs may share one.
        self._names = Counter(v.name for v in all_values(self.model))
        self._serial = 0
        self._typed_at = self.changes

    @classmethod
    def at(cls, snapshot: Snapshot) -> Editor:
        """Return an editor of a copy of a snapshot, for a trial; it has no listeners."""
        model = snapshot.model.clone()
        editor = cls(model, Types.inferred(model))
        editor._serial = snapshot.serial
        return editor

    @property
    def state(self) -> tuple[int, int]:
        """Something else after each change of the graph, or of what is known of its types."""
        return self.changes, self._typed_at

    def snapshot(self) -> Snapshot:
        """Return the model as it is now."""
        return Snapshot(self.model.clone(), self._serial, tuple(save() for save in self.savers))

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to how the model was; it is another object then."""
        self.model = snapshot.model.clone()
        self.types = Types.inferred(self.model)
        self._names = Counter(v.name for v in all_values(self.model))
        self._serial = snapshot.serial
        self.changes += 1
        self._typed_at = self.changes
        for restore in snapshot.restore:
            restore()

    def is_quarantined(self, rule: str, value: ir.Value) -> bool:
        """Say whether a rule is not to be applied to a value."""
        return not self.quarantined.isdisjoint({(rule, str(value.name)), (rule, "")})

    def builder(self) -> Builder:
        """Return a builder of nodes for this model."""
        return Builder(self.types, self.model.opset_imports)

    def infer_types(self) -> None:
        """Infer all types anew, if the model was changed since this was done last."""
        if self._typed_at != self.changes:
            self.types = Types.inferred(self.model)
            self._typed_at = self.changes

    def replace(
        self,
        old: Sequence[ir.Value],
        new: Sequence[ir.Value],
        built: Builder,
        rule: str,
        matched: Iterable[ir.Node] = (),
    ) -> Change:
        """Put `new` in the place of `old` for all readers, and erase what nobody reads any more.

        The nodes of `built` go in before the last producer of `old`. A graph output keeps its
        name. New nodes carry the provenance of `matched` (by default the producers of `old`).

        Raises:
            RewriteError: The types differ, the counts do, or `new` is computed from `old`.
        """
        _check_replacement(old, new, rule)
        _check_operands(old, new, built, rule)
        producers = list(dict.fromkeys(p for v in old if (p := v.producer()) is not None))
        anchor = _last(producers)
        about = str(old[0].name)
        matched = list(matched) or producers
        where = provenance.site(producers[-1])
        readers = [user for value in old for user, _ in value.uses()]
        self._insert(anchor, built, rule, matched)
        makers = [p for v in new if (p := v.producer()) is not None]
        provenance.hand_over((p for p in makers if p not in built.nodes), matched)
        names = {after: before.name for before, after in zip(old, new, strict=True)}
        for before, after in zip(old, new, strict=True):
            _refine_type(after, before)
            self._redirect(before, after, anchor)
        if len(producers) > 1 and anchor.graph is not None:
            # Readers of the first producer may stand before the new nodes.
            anchor.graph.sort()
        kept = {graph for node in built.nodes for graph in subgraphs(node)}
        erased = self._erase_unread(matched + producers, kept)
        self._erase_unread(reversed(built.nodes))
        added = tuple(node for node in built.nodes if node.graph is not None)
        # More than was matched may have led there: what is erased with it is replaced as well.
        provenance.hand_over(added, erased)
        self._register_constants(built, names)
        return self._done(Change(rule, where, added, _names_of(erased), tuple(readers), about))

    def set_operand(
        self,
        node: ir.Node,
        index: int,
        value: ir.Value | None,
        rule: str,
        built: Builder | None = None,
    ) -> Change:
        """Make `node` read `value` as its operand number `index`; None leaves it out.

        The nodes of `built`, if any, go in before `node`.
        """
        before = node.inputs[index]
        if built is not None:
            self._insert(node, built, rule, [node])
        node.replace_input_with(index, value)
        if built is not None:
            self._register_constants(built, {})
        producer = before.producer() if before is not None else None
        erased = self._erase_unread([producer] if producer is not None else [])
        self._drop_unread_constant(before)
        added = tuple(built.nodes) if built is not None else ()
        where, about = provenance.site(node), str(node.outputs[0].name)
        return self._done(Change(rule, where, added, _names_of(erased), (node,), about))

    def inline_branch(self, node: ir.Node, branch: ir.Graph, rule: str) -> Change:
        """Put the nodes of a subgraph without inputs in the place of the node that runs it."""
        graph = node.graph
        if graph is None or len(branch.inputs) or len(branch.outputs) != len(node.outputs):
            raise RewriteError(f"{rule} inlines a subgraph that does not fit its node.")
        ends = list(branch.outputs)
        branch.outputs.clear()
        for value in list(branch.initializers.values()):
            self._lift(value)
        moved = list(branch)
        self._rename_clashes(node, branch)
        branch.remove(moved)
        graph.insert_before(node, moved)
        return self.replace(node.outputs, ends, self.builder(), rule, [node])

    def lift_initializer(self, value: ir.Value) -> None:
        """Move an initializer of a subgraph to the main graph, where all graphs can read it."""
        self._lift(value)
        self._done(Change("lift_constants", str(value.name)))

    def share_constant(self, value: ir.Value, kept: ir.Value, rule: str) -> None:
        """Let the readers of one initializer read an equal one, and drop the first."""
        readers = tuple(user for user, _ in value.uses())
        value.replace_all_uses_with(kept)
        self._drop_unread_constant(value)
        self._done(Change(rule, str(value.name), (), (), readers))

    def erase(self, nodes: Iterable[ir.Node], rule: str) -> Change:
        """Erase nodes that only each other read, and whatever only they read.

        Raises:
            RewriteError: One of them has another reader or gives a graph output.
        """
        nodes = list(nodes)
        for node in nodes:
            if not _is_unread(node, set(nodes)):
                raise RewriteError(
                    f"{rule} erases a node that is still read.", where=provenance.site(node)
                )
        where = provenance.site(nodes[0]) if nodes else ""
        return self._done(Change(rule, where, (), _names_of(self._erase_unread(nodes))))

    def drop_unread_constants(self) -> int:
        """Remove initializers that nobody reads from all graphs; returns how many there were."""
        dropped = 0
        for graph in graphs_in(self.model.graph):
            for value in list(graph.initializers.values()):
                if self._drop_unread_constant(value):
                    self._done(Change("dead_code", str(value.name)))
                    dropped += 1
        return dropped

    def _insert(self, anchor: ir.Node, built: Builder, rule: str, matched: list[ir.Node]) -> None:
        graph = anchor.graph
        if graph is None:
            raise RewriteError(f"{rule} replaces a node that is in no graph.")
        provenance.merge(built.nodes, matched, rule)
        self._name_outputs(built.nodes)
        for node in built.nodes:
            version = DOMAIN_VERSIONS.get(node.domain, 1)
            self.model.opset_imports.setdefault(node.domain, version)
        graph.insert_before(anchor, built.nodes)

    def _name_outputs(self, nodes: Iterable[ir.Node]) -> None:
        """onnx_ir's own names are unique among one graph's nodes only: not in what is around it."""
        for node in nodes:
            for value in node.outputs:
                if value.name is None:
                    value.name = self._free_name("val")

    def _free_name(self, base: str) -> str:
        name = base
        while self._names[name] > 0:
            self._serial += 1
            name = f"{base}_{self._serial}"
        self._names[name] += 1
        return name

    def _rename_clashes(self, node: ir.Node, branch: ir.Graph) -> None:
        """Give values of a branch names that nothing outside of its node has."""
        others = [graph for graph in subgraphs(node) if graph is not branch]
        leaving = Counter(v.name for graph in others for v in _values(graph))
        for value in _values(branch):
            if value.name is not None and self._names[value.name] - leaving[value.name] > 1:
                self._names[value.name] -= 1
                value.name = self._free_name(value.name)

    def _lift(self, value: ir.Value) -> None:
        owner = value.graph
        if owner is None or value.name is None or owner is self.model.graph:
            raise RewriteError("Only an initializer of a subgraph can be lifted.", found=value.name)
        del owner.initializers[value.name]
        self._names[value.name] -= 1
        self._register_constant(value, value.name)

    def _register_constants(self, built: Builder, names: Mapping[ir.Value, str | None]) -> None:
        """Make the constants that are read initializers of the main graph."""
        for value in built.constants:
            if value.uses() and not value.is_initializer():
                self._register_constant(value, names.get(value))

    def _register_constant(self, value: ir.Value, wanted: str | None) -> None:
        if wanted is None:
            reader = next(iter(value.uses())).node
            wanted = f"{reader.outputs[0].name}.{reader.op_type.lower()}"
        # onnx_ir names the tensor with the value, but the caller's model may hold it too.
        held = value.const_value
        before = held.name if held is not None else None
        value.name = self._free_name(wanted)
        if held is not None:
            held.name = before
        self.model.graph.register_initializer(value)

    def _redirect(self, before: ir.Value, after: ir.Value, anchor: ir.Node) -> None:
        """Send the readers of `before` to `after`, and keep the name of a graph output."""
        if before.is_graph_output():
            if not can_be_output(after, before):
                for reader, index in list(before.uses()):
                    reader.replace_input_with(index, after)
                after = self._identity(after, anchor)
            before_name = before.name
            # Its node may stay, for its other outputs; a value in a graph has a name.
            before.name = self._free_name(before_name or "val")
            before.replace_all_uses_with(after, replace_graph_outputs=True)
            after.name = before_name
        else:
            before.replace_all_uses_with(after)

    def _identity(self, value: ir.Value, anchor: ir.Node) -> ir.Value:
        """A graph output must be made by a node of its graph, and may be listed only once."""
        node = ir.Node("", "Identity", [value])
        self._name_outputs([node])
        node.outputs[0].type = value.type
        node.outputs[0].shape = value.shape.copy() if value.shape is not None else None
        provenance.merge([node], [anchor], "graph_output")
        assert anchor.graph is not None
        anchor.graph.insert_before(anchor, node)
        return node.outputs[0]

    def _erase_unread(
        self, nodes: Iterable[ir.Node], kept: Container[ir.Graph] = ()
    ) -> list[ir.Node]:
        """Erase those that nobody reads, but not subgraphs that a new node took over."""
        erased: list[ir.Node] = []
        pending = list(nodes)
        while pending:
            node = pending.pop()
            if node.graph is None or not _is_unread(node):
                continue
            read = [v for v in node.inputs if v is not None]
            for graph in subgraphs(node):
                if graph not in kept:
                    read += _captured(graph)
                    self._names.subtract(v.name for v in _values(graph))
                    _detach(graph)
            node.graph.remove(node, safe=True)
            erased.append(node)
            self._names.subtract(v.name for v in node.outputs)
            for value in dict.fromkeys(read):
                producer = value.producer()
                if producer is not None:
                    pending.append(producer)
                self._drop_unread_constant(value)
        return erased

    def _drop_unread_constant(self, value: ir.Value | None) -> bool:
        if value is None or not value.is_initializer() or value.is_graph_input():
            return False
        if value.uses() or value.is_graph_output() or value.graph is None:
            return False
        assert value.name is not None
        del value.graph.initializers[value.name]
        self._names[value.name] -= 1
        return True

    def _done(self, change: Change) -> Change:
        self.changes += 1
        for listener in self.listeners:
            listener(change)
        return change


def _names_of(nodes: Iterable[ir.Node]) -> tuple[str, ...]:
    return tuple(node.op_type for node in nodes)


def can_be_output(value: ir.Value, output: ir.Value) -> bool:
    """Say whether a value can take the place and the name of a graph output."""
    is_made = value.producer() is not None
    return is_made and not value.is_graph_output() and value.graph is output.graph


def _check_replacement(old: Sequence[ir.Value], new: Sequence[ir.Value], rule: str) -> None:
    if not old or len(old) != len(new):
        raise RewriteError(f"{rule} replaces {len(old)} values by {len(new)}.")
    for before, after in zip(old, new, strict=True):
        if before.producer() is None:
            raise RewriteError(
                f"{rule} replaces a value that no node makes.", found=describe(before)
            )
        is_same = before.type == after.type or before.type is None or after.type is None
        if not is_same or not shapes_agree(before.shape, after.shape):
            raise RewriteError(
                f"{rule} replaces a value by one of another type.",
                where=provenance.site(before.producer()),  # type: ignore[arg-type]
                found=describe(after),
                expected=describe(before),
            )


def _check_operands(
    old: Sequence[ir.Value], new: Sequence[ir.Value], built: Builder, rule: str
) -> None:
    """Check that what takes the place of some values is not computed from them."""
    nodes = dict.fromkeys([*built.nodes, *(p for v in new if (p := v.producer()) is not None)])
    made = {value for node in built.nodes for value in node.outputs}
    pending = [v for node in nodes for v in operands(node) if v not in made]
    is_chained = len({v.producer() for v in old}) > 1
    seen = set(pending)
    while pending:
        value = pending.pop()
        if value in old:
            raise RewriteError(
                f"{rule} computes what replaces a value from that value.", found=describe(value)
            )
        producer = value.producer()
        # One node cannot read, through others, what is made before it and depends on it.
        if is_chained and producer is not None:
            further = set(operands(producer)) - seen
            seen |= further
            pending += further


def operands(node: ir.Node) -> list[ir.Value]:
    """Return what a node reads, by itself and by its subgraphs."""
    read = [v for v in node.inputs if v is not None]
    return read + [v for graph in subgraphs(node) for v in _captured(graph)]


def shapes_agree(a: ir.Shape | None, b: ir.Shape | None) -> bool:
    """Say whether two shapes can be the same; symbols may stand for any number."""
    if a is None or b is None:
        return True
    if len(a) != len(b):
        return False
    return all(
        x == y or not (isinstance(x, int) and isinstance(y, int)) for x, y in zip(a, b, strict=True)
    )


def _refine_type(value: ir.Value, other: ir.Value) -> None:
    """Let `value` know what was known of the value that it replaces."""
    if value.type is None:
        value.type = other.type
    if value.shape is None:
        value.shape = other.shape.copy() if other.shape is not None else None
    elif other.shape is not None and not value.is_graph_input() and not value.is_initializer():
        dims = [
            b if isinstance(b, int) and not isinstance(a, int) else a
            for a, b in zip(value.shape, other.shape, strict=True)
        ]
        value.shape = ir.Shape(dims)


def _last(nodes: Sequence[ir.Node]) -> ir.Node:
    """Return the one of some nodes of one graph that comes last."""
    if len(nodes) == 1:
        return nodes[0]
    wanted = set(nodes)
    graph = nodes[0].graph
    if graph is None:
        raise RewriteError("A replaced node is in no graph.")
    return next(node for node in reversed(graph) if node in wanted)


def _is_unread(node: ir.Node, readers: Container[ir.Node] = ()) -> bool:
    """Say whether nobody reads what a node makes, but for some readers."""
    return all(
        not v.is_graph_output() and all(user in readers for user, _ in v.uses())
        for v in node.outputs
    )


def _detach(graph: ir.Graph) -> None:
    """Take the nodes out of a subgraph that goes away, at any depth; they read nothing any more."""
    for node in list(graph.all_nodes()):
        for index in range(len(node.inputs)):
            node.replace_input_with(index, None)
        assert node.graph is not None
        node.graph.remove(node)


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    """Yield the values of a subgraph and of those inside it."""
    for each in graphs_in(graph):
        yield from each.inputs
        yield from each.initializers.values()
        for node in each:
            yield from node.outputs


def _captured(graph: ir.Graph) -> list[ir.Value]:
    """Return what the nodes of a subgraph, at any depth, read from outside it."""
    inner = set(graphs_in(graph))
    values = [v for node in graph.all_nodes() for v in node.inputs if v is not None]
    return [v for v in dict.fromkeys(values) if v.graph not in inner]
