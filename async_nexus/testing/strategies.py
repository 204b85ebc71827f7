"""Hypothesis strategies of the events that a nexus accepts, and of those that it must refuse, from its catalog."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast

from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from ..catalog import Catalog
from ..errors import InvalidPayload
from ..events import Event, EventType, assemble_event, own_key
from ..nexus import AsyncEventNexus
from ..specs import EventSpec, adapt_payload
from .json_strategies import JSON, JsonStrategies

E = TypeVar("E", bound=Event[Any])

Keys: TypeAlias = EventType | range | type[Event[Any]]
"""A key, a range of keys, or an event class."""

Given: TypeAlias = Mapping[Any, st.SearchStrategy[Any]]
"""Strategies of payloads, by key, range or event class, or by the type of the payload."""

_Strategy: TypeAlias = Callable[[EventType | range], st.SearchStrategy[Event[Any]]]

_REFUSED: Final = object()
_IDS: Final = st.integers(1, 2**63 - 1)
_PRIORITIES: Final = st.integers(-3, 3)


def events_of(nexus: AsyncEventNexus[E], *keys: Keys, payloads: Given | None = None) -> st.SearchStrategy[E]:
    """Draw valid events of some keys, ranges or event classes; where none is named, of all that the nexus knows.

    Those are the keys and ranges with a claim, whose payloads fit it, and those with a handler only, whose
    payloads are any JSON values. What is drawn is as handlers get it. `payloads` draws what pydantic's schema
    cannot tell, by key or payload type. Raises `ValueError` where the nexus knows no key.
    """
    catalog = nexus.catalog
    return cast("st.SearchStrategy[E]", _one_of(nexus, keys, lambda key: _valid(catalog, key, payloads or {})))


def payloads_of(nexus: AsyncEventNexus[Any], key: EventType | type[Event[Any]]) -> st.SearchStrategy[Any]:
    """Draw valid payloads of a key, as handlers get them; any JSON value where the key has no claim."""
    return _valid(nexus.catalog, _plain(key), {}).map(lambda event: event.payload)


def invalid_events_of(nexus: AsyncEventNexus[Any], *keys: Keys) -> st.SearchStrategy[Event[Any]]:
    """Draw events that the nexus refuses with `InvalidPayload`: valid ones with a flaw, and ones that are all wrong.

    Keys whose payload may be anything are left out; where only such are left, nothing can be drawn.
    """
    catalog = nexus.catalog
    return _one_of(nexus, keys, lambda key: _invalid(catalog, key))


def keys_of(nexus: AsyncEventNexus[Any]) -> tuple[EventType | range, ...]:
    """List the keys and ranges that have a claim, then those that only have a handler."""
    catalog = nexus.catalog
    known: list[EventType | range] = [*catalog, *(spec.key for spec in catalog.ranges)]
    for target, _ in nexus.handlers:
        if target is not None and not any(target is each or target == each for each in known):
            known.append(target)
    return tuple(known)


def _one_of(nexus: AsyncEventNexus[Any], keys: tuple[Keys, ...], strategy: _Strategy) -> st.SearchStrategy[Event[Any]]:
    chosen = [_plain(key) for key in keys] or keys_of(nexus)
    if not chosen:
        raise ValueError("the nexus knows no event type: declare one, or register a handler for it")
    return st.one_of([strategy(key) for key in chosen])


def _plain(key: Any) -> EventType | range:
    """Return what an event class stands for."""
    if not isinstance(key, type):
        return cast("EventType | range", key)
    own = own_key(cast("type[Event[Any]]", key))
    if own is None:
        raise TypeError(f"{key.__qualname__} has no key of its own: name a subclass of NamedEvent[Payload]")
    return own


def _types(catalog: Catalog, key: EventType | range) -> st.SearchStrategy[EventType]:
    """Draw a key; of a range one that the range decides on and no claim of the key's own."""
    if not isinstance(key, range):
        return st.just(key)
    own = _spec(catalog, key)
    drawn = st.integers(0, len(key) - 1).map(key.__getitem__)
    return drawn.filter(lambda each: catalog.find(each) is own)


def _spec(catalog: Catalog, key: EventType | range) -> EventSpec[Any] | None:
    if isinstance(key, range):
        return next((spec for spec in catalog.ranges if spec.key == key), None)
    return catalog.find(key)


def _valid(catalog: Catalog, key: EventType | range, given: Given) -> st.SearchStrategy[Event[Any]]:
    spec = _spec(catalog, key)
    drawn = _payloads(spec, key, given)

    def make(id: int, event_type: EventType, priority: int, payload: Any) -> Any:
        """Make the event as an ingest would; where that cannot be validated again, as it is ingested."""
        raw = assemble_event(id, event_type, priority, payload)
        try:
            event = catalog.validate(raw)
        except InvalidPayload:
            return _REFUSED
        try:
            return catalog.validate(event)
        except InvalidPayload:
            return raw

    made = st.builds(make, _IDS, _types(catalog, key), _PRIORITIES, drawn)
    return made.filter(lambda event: event is not _REFUSED)


def _payloads(spec: EventSpec[Any] | None, key: EventType | range, given: Given) -> st.SearchStrategy[Any]:
    """Choose the strategy of raw or ready payloads that most often draws valid ones."""
    if spec is None:
        return given.get(key, JSON)
    for name in (key, spec.event_class, spec.payload_type):
        try:
            if name is not None and name in given:
                return given[name]
        except TypeError:  # constraints may be unhashable
            continue
    adapter = adapt_payload(spec.payload_type)
    values = _json_values(adapter)
    if values is None:
        return JSON if spec.payload_type in (Any, object) else st.from_type(spec.payload_type)
    return values.map(lambda value: _read(adapter, value)).filter(lambda payload: payload is not _REFUSED)


def _json_values(adapter: TypeAdapter[Any]) -> st.SearchStrategy[Any] | None:
    """Draw JSON values of a type; `None` where its schema tells nothing of them."""
    try:
        schema = adapter.json_schema()
    except PydanticInvalidForJsonSchema:
        return None
    if _is_empty(schema):
        return None
    return JsonStrategies(schema.get("$defs", {})).accepted_by(schema)


def _is_empty(schema: Mapping[str, Any]) -> bool:
    """Whether a schema says nothing of the values that it accepts."""
    return schema.keys() <= {"title", "description", "default", "examples"}


def _read(adapter: TypeAdapter[Any], value: Any) -> Any:
    """Read a JSON value as pydantic reads JSON, strict types too; what cannot be validated again stays as it is."""
    try:
        payload = adapter.validate_json(json.dumps(value))
    except ValidationError:
        return _REFUSED
    for candidate in (payload, value):
        try:
            adapter.validate_python(candidate)
        except ValidationError:
            continue
        return candidate
    return _REFUSED


def _invalid(catalog: Catalog, key: EventType | range) -> st.SearchStrategy[Event[Any]]:
    spec = _spec(catalog, key)
    if spec is None:
        return st.nothing()
    if spec.payload_type in (Any, object):
        return st.nothing()
    values = _json_values(adapt_payload(spec.payload_type))
    # Mostly flaws: what is all wrong tests one check, and is easily drawn.
    flawed = JSON if values is None else values.flatmap(_flawed)
    drawn = st.integers(0, 3).flatmap(lambda choice: flawed if choice else JSON)

    def is_refused(event: Event[Any]) -> bool:
        try:
            catalog.validate(event)
        except InvalidPayload:
            return True
        return False

    return st.builds(assemble_event, _IDS, _types(catalog, key), _PRIORITIES, drawn).filter(is_refused)


def _flawed(value: Any) -> st.SearchStrategy[Any]:
    """Draw from a JSON value what it is with one part of it taken away or replaced by something else."""
    return st.builds(_changed, st.just(value), st.sampled_from([*_places(value)]), JSON, removes=st.booleans())


def _places(value: Any) -> Iterator[tuple[Any, ...]]:
    yield ()
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = cast("Iterable[tuple[Any, Any]]", value.items())  # pyright: ignore[reportUnknownMemberType] # of JSON
    elif isinstance(value, list):
        items = enumerate(cast("Iterable[Any]", value))
    for name, inner in items:
        for place in _places(inner):
            yield (name, *place)


def _changed(value: Any, place: tuple[Any, ...], other: Any, *, removes: bool) -> Any:
    if not place:
        return other
    copied = value.copy()
    if len(place) == 1 and removes:
        del copied[place[0]]
    else:
        copied[place[0]] = _changed(value[place[0]], place[1:], other, removes=removes)
    return copied
