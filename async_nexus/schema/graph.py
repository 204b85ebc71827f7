"""The picture of a nexus: sources, filters, handlers, the events between them, and the domains beyond boundaries.

Here it is nodes and edges; `mermaid` and `dot` write them.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..consumers import EventFanout
from ..events import EventType
from ..handlers import Handler
from ..nexus import AsyncEventNexus
from ..routes import Target
from ..sources import EventSource
from .domains import (
    Domain,
    Station,
    boundaries_of,
    emitted_name,
    identity,
    receiving_nexuses,
    stations,
    target_name,
)
from .emissions import BOUNDARIES, Emission, emitted_by_handler, emitted_by_source


class Kind(StrEnum):
    """What a node stands for."""

    SOURCE = "source"
    NEXUS = "nexus"
    FILTER = "filter"
    EVENT = "event"
    UNHANDLED = "unhandled"
    HANDLER = "handler"
    BOUNDARY = "boundary"


@dataclass(frozen=True, slots=True)
class Node:
    """One thing in the picture; a boundary belongs to no domain."""

    id: str
    kind: Kind
    label: str
    domain: int | None


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow along which events, or errors, go; events of `secondary` ones are put by a handler or filter."""

    tail: str
    head: str
    label: str = ""
    secondary: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """The whole picture; `domains` are the names of the nexuses in it, the first being the one that was asked for."""

    domains: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def graph(nexus: AsyncEventNexus[Any], *, names: Mapping[int, str] | None = None) -> Graph:
    """Draw a nexus and every domain that its boundaries lead to; `names` has names of nexuses by their `id`."""
    canvas = _Canvas()
    pending, seen = [nexus], [nexus]
    domains: list[str] = []
    while pending:
        each = pending.pop(0)
        number = len(domains)
        name = (names or {}).get(id(each), f"nexus {number + 1}" if number else "nexus")
        domains.append(name)
        for beyond in _DomainDrawing(canvas, each, number, name).draw():
            if not any(beyond is known for known in seen):
                seen.append(beyond)
                pending.append(beyond)
    return Graph(tuple(domains), tuple(canvas.nodes.values()), tuple(dict.fromkeys(canvas.edges)))


@dataclass(slots=True)
class _Canvas:
    """What has been drawn so far, over all domains; a node is known by what it stands for."""

    nodes: dict[Hashable, Node] = field(default_factory=dict[Hashable, Node])
    edges: list[Edge] = field(default_factory=list[Edge])

    def node(self, what: Hashable, kind: Kind, label: str, domain: int | None) -> str:
        """Draw a node unless it is there already; return its id."""
        if what not in self.nodes:
            number = sum(each.kind is kind for each in self.nodes.values()) + 1
            self.nodes[what] = Node(f"{kind}{number}", kind, label, domain)
        return self.nodes[what].id

    def edge(self, tail: str, head: str, label: str = "", *, secondary: bool = False) -> None:
        """Draw an arrow."""
        self.edges.append(Edge(tail, head, label, secondary))


class _DomainDrawing:
    """Draws one nexus."""

    def __init__(self, canvas: _Canvas, nexus: AsyncEventNexus[Any], number: int, name: str) -> None:
        self._canvas = canvas
        self._nexus = nexus
        self._number = number
        self._domain = Domain(nexus)
        self._stations = list(stations(nexus))
        self._hub = canvas.node(("nexus", number), Kind.NEXUS, name, number)

    def draw(self) -> Iterator[AsyncEventNexus[Any]]:
        """Draw the domain from its sources to its boundaries; yield the nexuses beyond them."""
        emissions = [self._draw_source(source) for source in self._nexus.sources]
        from_outside = not emissions or any(each.is_open for each in emissions)
        after_filters = self._draw_filters()
        for emission in emissions:
            for emitted in emission.events:
                for event, _ in self._events_of(emitted.key, emitted_name(self._domain.catalog, emitted)):
                    self._canvas.edge(after_filters, event)
        for station in self._stations:
            yield from self._draw_station(station)
        self._draw_error_handlers()
        self._draw_secondary()
        if from_outside:
            self._draw_from_outside(after_filters)

    def _draw_source(self, source: EventSource[Any]) -> Emission:
        emission = emitted_by_source(source)
        if isinstance(source, BOUNDARIES):
            self._canvas.edge(self._draw_boundary(source), self._hub)
            return emission
        node = self._canvas.node(id(source), Kind.SOURCE, type(source).__qualname__, self._number)
        names = [emitted_name(self._domain.catalog, each) for each in emission.events]
        self._canvas.edge(node, self._hub, ", ".join(names + ["any"] * emission.is_open))
        return emission

    def _draw_boundary(self, boundary: EventSource[Any]) -> str:
        return self._canvas.node(id(boundary), Kind.BOUNDARY, type(boundary).__qualname__, None)

    def _draw_filters(self) -> str:
        """Draw the filters one after another; return what events come from when they have passed them all."""
        last = self._hub
        for index, each in enumerate(self._nexus.filters):
            node = self._canvas.node(("filter", self._number, index), Kind.FILTER, each.name, self._number)
            self._canvas.edge(last, node)
            self._draw_emission(node, emitted_by_handler(each))
            last = node
        return last

    def _events_of(self, key: EventType, name: str) -> list[tuple[str, str]]:
        """Return the nodes where the events of a key arrive, each with what to write on the arrow."""
        targets = self._targets_of(key)
        if not targets:
            return [(self._canvas.node(("event", self._number, key), Kind.UNHANDLED, name, self._number), "")]
        return [(self._draw_event(each), name if isinstance(each, range) else "") for each in targets]

    def _targets_of(self, key: EventType) -> Sequence[Target]:
        """Return which of the registered targets takes a key; a default handler gets it under its own name."""
        takers = {identity(handler.given) for handler in self._domain.find(key)}
        found = [
            target
            for station in self._stations
            if identity(station.handler.given) in takers
            for target in station.targets
        ]
        if key in [target for target in found if not isinstance(target, range)]:
            return (key,)
        ranges = [target for target in found if isinstance(target, range) and key in target]
        return ranges or ((key,) if found else ())

    def _draw_event(self, target: Target) -> str:
        node = self._canvas.node(
            ("event", self._number, target), Kind.EVENT, target_name(self._domain.catalog, target), self._number
        )
        if isinstance(target, int | str) and target not in self._registered():
            # Only the default handler takes it.
            for station in self._stations:
                if station.is_default:
                    self._canvas.edge(node, self._draw_handler(station.handler))
        return node

    def _registered(self) -> set[Target]:
        return {target for station in self._stations for target in station.targets}

    def _draw_station(self, station: Station) -> Iterator[AsyncEventNexus[Any]]:
        node = self._draw_handler(station.handler)
        for target in station.targets:
            if target is not None:
                self._canvas.edge(self._draw_event(target), node)
        for boundary in boundaries_of(station.handler):
            yield from receiving_nexuses(boundary)

    def _draw_handler(self, handler: Handler) -> str:
        given: Any = handler.given
        if isinstance(handler.given, BOUNDARIES):
            return self._draw_boundary(given)
        what = ("handler", self._number, identity(given))
        is_new = what not in self._canvas.nodes
        node = self._canvas.node(what, Kind.HANDLER, handler.name, self._number)
        if is_new and isinstance(given, EventFanout):
            for each in given.handlers:
                self._canvas.edge(node, self._draw_handler(each))
        return node

    def _draw_error_handlers(self) -> None:
        """Draw what the nexus hands errors to, the classes of exceptions on the arrow."""
        classes: dict[str, list[str]] = {}
        for error, handler in self._nexus.error_handlers:
            classes.setdefault(self._draw_handler(handler), []).append(error.__name__)
        for node, names in classes.items():
            self._canvas.edge(self._hub, node, ", ".join(names))

    def _draw_secondary(self) -> None:
        """Draw what handlers may put; a fan-out's handlers put it themselves."""
        registered = (*(each.handler for each in self._stations), *(each for _, each in self._nexus.error_handlers))
        for handler in (callee for each in registered for callee in _callees(each)):
            self._draw_emission(self._draw_handler(handler), emitted_by_handler(handler))

    def _draw_emission(self, node: str, emission: Emission) -> None:
        for emitted in emission.events:
            for event, label in self._events_of(emitted.key, emitted_name(self._domain.catalog, emitted)):
                self._canvas.edge(node, event, label, secondary=True)

    def _draw_from_outside(self, after_filters: str) -> None:
        """Draw that any event may come, but for those that handlers are known to put: the picture is to show a flow."""
        put = {edge.head for edge in self._canvas.edges if edge.secondary}
        for station in self._stations:
            for target in station.targets:
                event = self._draw_event(target)
                if target is None:
                    self._canvas.edge(event, self._draw_handler(station.handler))
                if event not in put:
                    self._canvas.edge(after_filters, event)


def _callees(handler: Handler) -> Iterator[Handler]:
    """Return who really handles: the handlers that a fan-out hands its events to, else the handler itself."""
    given: Any = handler.given
    if isinstance(given, EventFanout):
        for each in given.handlers:
            yield from _callees(each)
    else:
        yield handler
