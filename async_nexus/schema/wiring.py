"""Proves the wiring of a nexus from its registry and annotations alone, before an event has come.

Pure: a nexus goes in, findings come out, and nothing is called, started or changed.
"""

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from ..annotations import read_annotation
from ..catalog import Catalog
from ..events import Event, EventType, format_event_type, payload_type
from ..handlers import Handler
from ..nexus import AsyncEventNexus
from ..routes import Target
from ..sources import EventSource
from ..specs import EventSpec
from ..subtyping import Relation, compare, show_type
from ..timers import Timer
from .domains import Domain, Station, emitted_name, event_name, identity, receiving_domains, stations, target_name
from .emissions import Emission, Emitted, emitted_by_handler, emitted_by_source
from .places import NOWHERE, Place, place_of_class, place_of_handler


class Code(StrEnum):
    """What a finding is about; findings are silenced by it."""

    UNHANDLED = "unhandled-event"
    UNREACHABLE = "unreachable-handler"
    CYCLE = "event-cycle"
    CLAIMS = "claims-disagree"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the wiring.

    `event` is the event's class or, where it has none, its key as text; `handler` the handler's name. What is not
    known or does not apply is `None`.
    """

    code: Code
    event: str | None
    handler: str | None
    file: str | None
    line: int | None
    message: str


def check_wiring(
    nexus: AsyncEventNexus[Any], *, ignore: Collection[str] = (), place: Place = NOWHERE
) -> tuple[Finding, ...]:
    """Return what is wrong with the wiring of a nexus, without the codes in `ignore`.

    `place` stands in where a finding has none of its own, as with a `Timer`. Raises `ValueError` for a code that
    there is not.
    """
    silent = {Code(each) for each in ignore}
    wiring = _Wiring(nexus)
    found = (*wiring.unhandled(), *wiring.unreachable(), *wiring.cycles(), *wiring.claims())
    kept = (each for each in dict.fromkeys(found) if each.code not in silent)
    return tuple(each if each.file else replace(each, file=place.file, line=place.line) for each in kept)


class _Emitter(NamedTuple):
    """A source or any handler, with what it can emit; `handler` is its name unless it is a source."""

    label: str
    handler: str | None
    emission: Emission
    place: Place


class _Wiring:
    """The wiring of one nexus, read once."""

    def __init__(self, nexus: AsyncEventNexus[Any]) -> None:
        self._catalog = nexus.catalog
        self._sources = nexus.sources
        self._domain = Domain(nexus)
        self._source_emissions = {id(each): emitted_by_source(each) for each in nexus.sources}
        error_handlers = {id(each.given): each for _, each in nexus.error_handlers}.values()
        self._around = [
            *(_emitter_of("filter", each) for each in nexus.filters),
            *(_emitter_of("error handler", each) for each in error_handlers),
        ]
        self._stations = list(stations(nexus))

    # What can be emitted and nobody handles

    def unhandled(self) -> Iterator[Finding]:
        """Yield what would raise `UnhandledEvent`, here or beyond a boundary."""
        for emitter in self._emitters():
            for emitted in emitter.emission.events:
                if not self._domain.handles(emitted.key):
                    event = emitted_name(self._catalog, emitted)
                    yield Finding(
                        Code.UNHANDLED,
                        event,
                        emitter.handler,
                        *emitter.place,
                        f"{emitter.label} can emit {event}, which nothing handles: it would raise UnhandledEvent",
                    )
        for station in self._stations:
            yield from self._unhandled_beyond(station)

    def _unhandled_beyond(self, station: Station) -> Iterator[Finding]:
        """Follow a boundary: what it is registered for here has to be handled there."""
        for boundary, domain in receiving_domains(station.handler):
            for key in station.targets:
                if isinstance(key, int | str) and not domain.handles(key):
                    event = event_name(self._catalog, key)
                    yield Finding(
                        Code.UNHANDLED,
                        event,
                        station.handler.name,
                        *place_of_class(type(boundary)),
                        f"{type(boundary).__qualname__} carries {event} to a domain where nothing handles it: "
                        "it would raise UnhandledEvent",
                    )

    def _emitters(self) -> Iterator[_Emitter]:
        for source in self._sources:
            yield _Emitter(_source_label(source), None, self._source_emissions[id(source)], _place_of_source(source))
        yield from self._around
        for station in self._stations:
            name = station.handler.name
            yield _Emitter(name, name, station.emission, place_of_handler(station.handler))

    # What nothing can reach

    def unreachable(self) -> Iterator[Finding]:
        """Yield nothing where events may come from outside: without a source, or with one that emits any event."""
        emissions = self._source_emissions.values()
        if not emissions or any(emission.is_open for emission in emissions):
            return
        reached = self._reached()
        for station in self._stations:
            if id(station.handler) in reached:
                continue
            events = ", ".join(target_name(self._catalog, target) for target in station.targets)
            yield Finding(
                Code.UNREACHABLE,
                events,
                station.handler.name,
                *place_of_handler(station.handler),
                f"{station.handler.name} handles {events}, which no source and no handler that is reached can emit",
            )

    def _reached(self) -> set[int]:
        """Follow what is emitted from handler to handler; a default handler may get anything.

        A filter sees every event, and any event may fail, be it that nothing handles it.
        """
        pending = deque(self._source_emissions.values())
        pending += [each.emission for each in self._around]
        reached: set[int] = set()
        todo = [station for station in self._stations if station.is_default]
        while pending or todo:
            while todo:
                station = todo.pop()
                if id(station.handler) not in reached:
                    reached.add(id(station.handler))
                    pending.append(station.emission)
            if pending:
                todo = [station for key in pending.popleft().keys for station in self._takers(key)]
        return reached

    def _takers(self, key: EventType) -> list[Station]:
        """Return who handles a key."""
        handlers = {identity(handler.given) for handler in self._domain.find(key)}
        return [station for station in self._stations if identity(station.handler.given) in handlers]

    # What goes round

    def cycles(self) -> Iterator[Finding]:
        """Yield one finding for each set of handlers that can keep each other busy for ever."""
        done: set[int] = set()
        for station in self._stations:
            if id(station.handler) in done:
                continue
            way = self._way_back(station)
            if way is not None:
                done.update(id(each.handler) for _, each in way)
                text = "".join(f" -> {event} -> {each.handler.name}" for event, each in way)
                yield Finding(
                    Code.CYCLE,
                    way[0][0],
                    station.handler.name,
                    *place_of_handler(station.handler),
                    f"secondary events can go round without end: {station.handler.name}{text}",
                )

    def _way_back(self, start: Station) -> list[tuple[str, Station]] | None:
        """Return the shortest way on which a handler's secondary events lead back to it, if there is one."""
        ways: deque[list[tuple[str, Station]]] = deque([[]])
        seen: set[int] = set()
        while ways:
            way = ways.popleft()
            for emitted in (way[-1][1] if way else start).emission.events:
                for taker in self._takers(emitted.key):
                    step = (emitted_name(self._catalog, emitted), taker)
                    if taker.handler is start.handler:
                        return [*way, step]
                    if id(taker.handler) not in seen:
                        seen.add(id(taker.handler))
                        ways.append([*way, step])
        return None

    # Claims that disagree

    def claims(self) -> Iterator[Finding]:
        """Yield what would raise `InvalidPayload`, or give a handler what it does not take."""
        yield from self._claims_of_emitters()
        yield from self._claims_of_ranges()
        for station in self._stations:
            yield from self._claims_beyond(station)

    def _claims_of_emitters(self) -> Iterator[Finding]:
        """Compare the class of what is emitted with the claim of its key."""
        for emitter in self._emitters():
            for emitted in emitter.emission.events:
                spec = self._catalog.find(emitted.key)
                if spec is not None and emitted.event_class is not None and _disagrees(spec, emitted.event_class):
                    yield self._claims_finding(emitter, emitted, spec, show_type(payload_type(emitted.event_class)))
        for source in self._sources:
            if isinstance(source, Timer):
                for emitted in self._source_emissions[id(source)].events:
                    spec = self._catalog.find(emitted.key)
                    if spec is not None and emitted.event_class is None and _refuses(spec.payload_type, int):
                        emitter = _Emitter(_source_label(source), None, Emission(), _place_of_source(source))
                        yield self._claims_finding(emitter, emitted, spec, "int")

    def _claims_finding(self, emitter: _Emitter, emitted: Emitted, spec: EventSpec[Any], given: str) -> Finding:
        event = emitted_name(self._catalog, emitted)
        return Finding(
            Code.CLAIMS,
            event,
            emitter.handler,
            *emitter.place,
            f"{emitter.label} can emit {event} with a payload {given}, but event type {format_event_type(emitted.key)} "
            f"is claimed as {spec.title} with a payload {show_type(spec.payload_type)}",
        )

    def _claims_of_ranges(self) -> Iterator[Finding]:
        """Compare what a range's handler asks for with the claims of the keys that it gets."""
        for station in self._stations:
            asked = _asked(station.handler) if any(isinstance(each, range) for each in station.targets) else ()
            for key, spec in self._catalog.items() if asked else ():
                mine = station in self._takers(key)
                if not mine or not all(_refuses(payload_type(each), spec.payload_type) for each in asked):
                    continue
                wanted = " | ".join(map(show_type, asked))
                yield Finding(
                    Code.CLAIMS,
                    spec.title if spec.event_class else format_event_type(key),
                    station.handler.name,
                    *place_of_handler(station.handler),
                    f"{station.handler.name} takes {wanted} for a range, but gets event type {format_event_type(key)} "
                    f"of it, which is claimed with a payload {show_type(spec.payload_type)}",
                )

    def _claims_beyond(self, station: Station) -> Iterator[Finding]:
        """Compare the claims on both sides of a boundary."""
        for boundary, domain in receiving_domains(station.handler):
            for key in station.targets:
                here, there = (_spec(catalog, key) for catalog in (self._catalog, domain.catalog))
                if here is None or there is None or not _refuses(there.payload_type, here.payload_type):
                    continue
                event = target_name(self._catalog, key)
                yield Finding(
                    Code.CLAIMS,
                    event,
                    station.handler.name,
                    *place_of_class(type(boundary)),
                    f"{type(boundary).__qualname__} carries {event} with a payload {show_type(here.payload_type)} to a "
                    f"domain that claims {show_type(there.payload_type)}",
                )


def _emitter_of(kind: str, handler: Handler) -> _Emitter:
    return _Emitter(f"the {kind} {handler.name}", handler.name, emitted_by_handler(handler), place_of_handler(handler))


def _disagrees(spec: EventSpec[Any], event_class: type[Event[Any]]) -> bool:
    own = spec.event_class
    if own is not None and (issubclass(event_class, own) or issubclass(own, event_class)):
        return False
    return _refuses(spec.payload_type, payload_type(event_class))


def _refuses(claimed: Any, given: Any) -> bool:
    """Whether a claim has no room for some of what is given, as far as that can be told (C2)."""
    return compare(claimed, given) in (Relation.NARROWER, Relation.DISJOINT)


def _asked(handler: Handler) -> tuple[type[Event[Any]], ...]:
    try:
        reading = read_annotation(handler)
    except TypeError:  # what cannot be read claims nothing; registration has said so where it matters
        return ()
    return () if reading is None else reading.members


def _spec(catalog: Catalog, target: Target) -> EventSpec[Any] | None:
    return catalog.find(target) if isinstance(target, int | str) else None


def _source_label(source: EventSource[Any]) -> str:
    return f"the source {type(source).__qualname__}"


def _place_of_source(source: EventSource[Any]) -> Place:
    return place_of_class(type(source))
