"""Which event types a nexus knows: those that are claimed, handled, or emitted by its sources and handlers."""

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..claims import Keys
from ..events import Event, EventType, payload_type
from ..handlers import Handler
from ..nexus import AsyncEventNexus
from .emissions import Emission, Emitted, emitted_by_handler, emitted_by_source
from .names import keys_text


@dataclass(frozen=True, slots=True)
class Described:
    """One event type, or the range of them that share a schema.

    `others` are the keys and ranges within `keys` that are described on their own. `is_read_as_class` tells
    whether the nexus reads such events by `model`, and not as plain ones because only an emitter names their class.
    """

    keys: Keys
    title: str
    text: str | None
    payload: Any
    model: type[Event[Any]]
    event_class: type[Event[Any]] | None = None
    others: tuple[Keys, ...] = ()
    is_read_as_class: bool = True


def describe(nexus: AsyncEventNexus[Any]) -> tuple[Described, ...]:
    """List the event types: integers, then strings, in order, then ranges in the order in which they are asked."""
    exact: dict[EventType, Described] = {
        key: Described(key, spec.title, _clean(spec.description), spec.payload_type, spec.model, spec.event_class)
        for key, spec in nexus.catalog.items()
    }
    ranges = [
        Described(spec.key, keys_text(spec.key), _clean(spec.description), spec.payload_type, spec.model)
        for spec in nexus.catalog.ranges
    ]
    targets = [target for target, _ in nexus.handlers if target is not None]
    for target in targets:
        if isinstance(target, range) and all(target != each.keys for each in ranges):
            ranges.append(_unclaimed(target))
    claimed = ranges[: len(nexus.catalog.ranges)]
    unclaimed = [*emitted(nexus), *(Emitted(key, None) for key in targets if not isinstance(key, range))]
    for key, event_class in unclaimed:
        if key not in exact and not any(_holds(each.keys, key) for each in claimed):
            exact[key] = _unclaimed(key) if event_class is None else _of_class(key, event_class)
    keys = sorted(exact, key=lambda key: (isinstance(key, str), key))
    return (*(exact[key] for key in keys), *_apart(ranges, keys))


def emitters(nexus: AsyncEventNexus[Any]) -> Iterator[tuple[object, Emission]]:
    """List sources, then handlers, with what they emit; a handler once, however often it is registered."""
    for source in nexus.sources:
        yield source, emitted_by_source(source)
    for handler in handlers_once(nexus):
        yield handler, emitted_by_handler(handler)


def handlers_once(nexus: AsyncEventNexus[Any]) -> list[Handler]:
    """List filters, handlers and error handlers, each once."""
    registered = (*nexus.handlers, *nexus.error_handlers)
    handlers = (*nexus.filters, *(handler for _, handler in registered))
    return list({id(handler.given): handler for handler in handlers}.values())


def emitted(nexus: AsyncEventNexus[Any]) -> list[Emitted]:
    """List the kinds of events that are known to be emitted, those of a class first."""
    found = dict.fromkeys(each for _, emission in emitters(nexus) for each in emission.events)
    return sorted(found, key=lambda each: each.event_class is None)


def locate(types: Iterable[Described], key: EventType) -> Described | None:
    """Return the description that holds for a key: its own, else that of the first range that holds it."""
    ranges: list[Described] = []
    for each in types:
        if isinstance(each.keys, range):
            ranges.append(each)
        elif type(each.keys) is type(key) and each.keys == key:
            return each
    return next((each for each in ranges if _holds(each.keys, key)), None)


def _holds(keys: Keys, key: EventType) -> bool:
    return isinstance(keys, range) and isinstance(key, int) and key in keys


def _unclaimed(keys: Keys) -> Described:
    return Described(keys, keys_text(keys), None, Any, Event)


def _of_class(key: EventType, event_class: type[Event[Any]]) -> Described:
    text = _clean(event_class.__dict__.get("__doc__"))
    return Described(key, event_class.__name__, text, payload_type(event_class), event_class, event_class, (), False)


def _apart(ranges: list[Described], keys: list[EventType]) -> Iterator[Described]:
    """Tell each range what it leaves to single keys and to the ranges that are asked before it."""
    for index, each in enumerate(ranges):
        inside = [key for key in keys if _holds(each.keys, key)]
        before = [earlier.keys for earlier in ranges[:index] if _meet(earlier.keys, each.keys)]
        yield Described(each.keys, each.title, each.text, each.payload, each.model, None, (*inside, *before))


def _meet(one: Keys, other: Keys) -> bool:
    return isinstance(one, range) and isinstance(other, range) and one[0] <= other[-1] and other[0] <= one[-1]


def _clean(docstring: str | None) -> str | None:
    return inspect.cleandoc(docstring) if docstring else None
