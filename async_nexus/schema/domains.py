"""Which handler of a nexus takes a key, how events and handlers are named, which nexuses lie beyond boundaries."""

from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

from ..catalog import Catalog
from ..consumers import EventFanout
from ..events import EventType, format_event_type
from ..handlers import Handler
from ..nexus import AsyncEventNexus
from ..routes import Routes, Target
from .emissions import BOUNDARIES, Boundary, Emission, Emitted, emitted_by_handler


class Domain:
    """One nexus, seen as a table of who handles what."""

    def __init__(self, nexus: AsyncEventNexus[Any]) -> None:
        self.nexus = nexus
        self._routes: Routes[Handler] = Routes(multiple=True)
        for target, handler in nexus.handlers:
            self._routes.add(target, handler)

    @property
    def catalog(self) -> Catalog:
        """What the domain claims of its events."""
        return self.nexus.catalog

    def find(self, key: EventType) -> tuple[Handler, ...]:
        """Return the handlers of a key, in the order of dispatch."""
        return self._routes.find(key)

    def handles(self, key: EventType) -> bool:
        """Whether an event of this key has a handler; what filters consume cannot be told."""
        return bool(self._routes.find(key))


def boundaries_of(handler: Handler) -> Iterator[Boundary]:
    """Return the boundary that a handler is, or those that it hands its events on to."""
    given: Any = handler.given
    if isinstance(given, BOUNDARIES):
        yield given
    elif isinstance(given, EventFanout):
        for each in given.handlers:
            yield from boundaries_of(each)


def receiving_nexuses(boundary: Boundary) -> tuple[AsyncEventNexus[Any], ...]:
    """Return the nexuses that a boundary carries its events to."""
    # A producer knows its receivers only by what it calls, which is a method of the nexus.
    owners: list[Any] = [getattr(receiver.ingest, "__self__", None) for receiver in boundary.receivers]
    nexuses: list[AsyncEventNexus[Any]] = [owner for owner in owners if isinstance(owner, AsyncEventNexus)]
    return tuple(nexuses)


def receiving_domains(handler: Handler) -> Iterator[tuple[Boundary, Domain]]:
    """Return the domains that a handler carries its events to, each with the boundary on the way."""
    for boundary in boundaries_of(handler):
        for nexus in receiving_nexuses(boundary):
            yield boundary, Domain(nexus)


class Station(NamedTuple):
    """A handler with all that it is registered for and all that it may put."""

    handler: Handler
    targets: tuple[Target, ...]
    emission: Emission

    @property
    def is_default(self) -> bool:
        """Whether the handler gets what nobody else takes."""
        return None in self.targets


def stations(nexus: AsyncEventNexus[Any]) -> Iterator[Station]:
    """Put together what one handler is registered for, also by several decorators."""
    grouped: dict[Hashable, tuple[Handler, list[Target]]] = {}
    for target, handler in nexus.handlers:
        grouped.setdefault(identity(handler.given), (handler, []))[1].append(target)
    for handler, targets in grouped.values():
        yield Station(handler, tuple(targets), emitted_by_handler(handler))


def identity(given: object) -> Hashable:
    """Tell handlers apart: a method is made anew each time that it is asked for."""
    method = getattr(given, "__func__", None)
    return id(given) if method is None else (id(method), id(getattr(given, "__self__", None)))


def event_name(catalog: Catalog, key: EventType) -> str:
    """Name the events of a key: by their class or, where they have none, by the key."""
    spec = catalog.get(key)
    return spec.event_class.__name__ if spec is not None and spec.event_class is not None else format_event_type(key)


def emitted_name(catalog: Catalog, emitted: Emitted) -> str:
    """Name what is emitted: by its class or, where it has none, as its key is named."""
    return emitted.event_class.__name__ if emitted.event_class else event_name(catalog, emitted.key)


def target_name(catalog: Catalog, target: Target) -> str:
    """Name what a handler is registered for: a range by both ends, and its step where that is not 1."""
    if isinstance(target, range):
        return f"{target[0]} … {target[-1]}" + (f" by {target.step}" if target.step > 1 else "")
    return "any other" if target is None else event_name(catalog, target)
