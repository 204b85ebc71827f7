"""The catalog: a nexus's map from key to payload schema, and the validation of events against it."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast, overload

from pydantic import ValidationError
from typing_extensions import override

from .claims import Asked, Claim, Keys, Reading, Readings, annotate, check_range, claim_class, declare
from .events import (
    Event,
    EventType,
    NamedEvent,
    assemble_event,
    assemble_fields,
    check_event_type,
    format_event_type,
    own_key,
)
from .parsing import EventParser
from .specs import EventSpec, adapt_payload, are_equal, raise_unless_payload

P = TypeVar("P")
E = TypeVar("E", bound=Event[Any])


class Catalog(Mapping[EventType, EventSpec[Any]]):
    """A read-only map from key to `EventSpec`; an event class stands for its key.

    `ranges` holds what ranges of keys claim, which is used for keys without a claim of their own.
    """

    def __init__(self) -> None:
        self._claims: dict[EventType, Claim] = {}
        self._specs: dict[EventType, EventSpec[Any]] = {}
        self._range_claims: list[Claim] = []
        self._ranges: tuple[EventSpec[Any], ...] = ()
        self._validators: dict[Any, Callable[[Any], Any]] = {}
        self.parser: EventParser = EventParser()
        self.readings: Readings = {}
        """What parameters ask for that are annotated with just a class; handlers share it."""

    @property
    def ranges(self) -> Sequence[EventSpec[Any]]:
        """What ranges of keys claim, in the order in which they are asked; `key` is the `range`."""
        return self._ranges

    @overload
    def __getitem__(self, key: EventType, /) -> EventSpec[Any]: ...
    @overload
    def __getitem__(self, key: "type[Event[P]]", /) -> EventSpec[P]: ...
    @override
    def __getitem__(self, key: EventType | type[Event[Any]], /) -> EventSpec[Any]:
        if isinstance(key, type):
            spec = self._specs[own_key(key)] if own_key(key) is not None else None  # type: ignore[index] # just asked
            if spec is None or spec.event_class is None or not issubclass(spec.event_class, key):
                raise KeyError(key)
            return spec
        if isinstance(key, bool):
            raise KeyError(key)
        return self._specs[key]

    @override
    def __iter__(self) -> Iterator[EventType]:
        return iter(self._specs)

    @override
    def __len__(self) -> int:
        return len(self._specs)

    def find(self, key: EventType) -> EventSpec[Any] | None:
        """Return what validates events of a key: its own claim, else that of a range that holds it."""
        spec = self._specs.get(key)
        if spec is None and isinstance(key, int):
            return next((each for each in self._ranges if key in cast("range", each.key)), None)
        return spec

    def title_of(self, key: EventType) -> str:
        """Name the schema of a key that has one."""
        spec = self.find(key)
        return format_event_type(key) if spec is None else spec.title

    def validate(self, event: Event[Any]) -> Event[Any]:
        """Validate an event's payload against the schema of its key, if it has one (V1).

        Returns the event itself where nothing changes. Raises `InvalidPayload`, `TypeError` for what is no
        event.
        """
        if not isinstance(event, Event):  # pyright: ignore[reportUnnecessaryIsInstance] # a checker may not have been asked
            raise TypeError(f"an Event is expected, not {event!r}")
        key = event.__dict__["type"]
        spec = self._specs.get(key) or self.find(key)
        return event if spec is None else spec.validate(event)

    def create(
        self, event_type: "EventType | type[NamedEvent[Any]]", payload: Any, id: int, priority: int
    ) -> Event[Any]:
        """Make an event of a payload, validated against the schema of its key (T7).

        Raises `InvalidPayload` for the payload, `ValidationError` for the rest of the event.
        """
        if not isinstance(event_type, type):
            try:
                spec = self.find(event_type)
            except TypeError:  # not even hashable: `Event` says what a key is
                spec = None
            if spec is None:
                return Event(id, event_type, priority, payload)
            return spec.create(id, event_type, priority, payload)
        key = own_key(event_type)
        if key is None:
            raise TypeError(f"an event type is an int, a str or a subclass of NamedEvent[Payload], not {event_type!r}")
        spec = self.find(key)
        if spec is not None and spec.event_class is not None and issubclass(spec.event_class, event_type):
            return spec.create(id, key, priority, payload)
        try:
            event = event_type.create(payload, id=id, priority=priority)
        except ValidationError as error:
            raise_unless_payload(assemble_event(id, key, priority, payload), event_type.__name__, error)
        return event if spec is None else spec.validate(event)

    @overload
    def parse_json(self, data: str | bytes | bytearray, event_class: None = None) -> Event[Any]: ...
    @overload
    def parse_json(self, data: str | bytes | bytearray, event_class: type[E]) -> E: ...
    def parse_json(self, data: str | bytes | bytearray, event_class: type[Event[Any]] | None = None) -> Event[Any]:
        """Turn the JSON of a whole event into a validated event; fields that no event has are ignored (V4).

        Raises `InvalidPayload` for the payload, pydantic's `ValidationError` for the rest: broken JSON, an
        envelope that does not fit, another type than that of `event_class`.
        """
        parser = self.parser
        try:
            if event_class is not None and event_class is not Event:
                return parser.classes[event_class](data)
            read = parser.read(data)
            return assemble_fields(read) if isinstance(read, dict) else read
        except (KeyError, ValidationError):
            pass  # what is raised below shall not quote this
        return parser.parse(self.find, data, event_class)

    def draft(self) -> "Draft":
        """Begin a change that happens as a whole or not at all."""
        return Draft(self)

    def commit(self, claims: Mapping[EventType, Claim], range_claims: list[Claim]) -> None:
        """Take over what a draft has found to agree."""
        # Pydantic may refuse a type: that is seen before anything changes.
        specs = {key: self._compile(claim) for key, claim in claims.items()}
        ranges = self._ranges if range_claims is self._range_claims else tuple(map(self._compile, range_claims))
        self._claims.update(claims)
        self._specs.update(specs)
        self._range_claims, self._ranges = range_claims, ranges
        self.parser = EventParser()

    def claim_of(self, key: EventType) -> Claim | None:
        """Return what has been said of a key."""
        return self._claims.get(key)

    @property
    def range_claims(self) -> list[Claim]:
        """What has been said of ranges."""
        return self._range_claims

    def _compile(self, claim: Claim) -> EventSpec[Any]:
        return EventSpec(claim.key, claim.payload, claim.event_class, self._validator(claim.payload))

    def _validator(self, payload: Any) -> Callable[[Any], Any]:
        """Return pydantic's validator for a payload type, the same one for all keys that share it."""
        try:
            return self._validators[payload]
        except KeyError:
            return self._validators.setdefault(payload, _compile_validator(payload))
        except TypeError:  # constraints may be unhashable
            return _compile_validator(payload)


def _compile_validator(payload: Any) -> Callable[[Any], Any]:
    return adapt_payload(payload).validator.validate_python


class Draft:
    """A change of the catalog that is being checked: commit it, or let it go and nothing has been claimed."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._claims: dict[EventType, Claim] = {}
        self._range_claims = catalog.range_claims
        self._where = _caller()

    def _claim(self, key: EventType) -> Claim | None:
        return self._claims.get(key) or self._catalog.claim_of(key)

    def claim_class(self, event_class: type[Event[Any]]) -> EventType:
        """Claim a named event class's key for it, and return that key."""
        key = own_key(event_class)
        claim = claim_class(None if key is None else self._claim(key), event_class, self._where)
        key = check_event_type(claim.key)
        self._claims[key] = claim
        return key

    def declare(self, key: EventType, payload: Any) -> None:
        """Declare a key's payload."""
        claim = self._claim(key)
        if claim is not None and are_equal(claim.payload, payload):
            payload = claim.payload
        self._claims[key] = declare(claim, key, payload, self._where)

    def annotate(self, keys: Keys, reading: Reading, handler: str) -> None:
        """Check, or claim by, what the annotation of a handler, of which the name is given, asks for."""
        asked = Asked(reading, handler, self._where)
        if isinstance(keys, range):
            self._range_claims = check_range(self._range_claims, keys, asked)
        else:
            self._claims[keys] = annotate(self._claim(keys), keys, asked)

    def is_claimed(self, keys: Keys) -> bool:
        """Whether a class or a declaration has claimed a key, so that an annotation is not needed."""
        claim = None if isinstance(keys, range) else self._claim(keys)
        return claim is not None and claim.is_strong

    def commit(self) -> None:
        """Make the change."""
        self._catalog.commit(self._claims, self._range_claims)


def _caller() -> str:
    """Name the line outside of this package that is running, as file:line."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__package__") == __package__:
        frame = frame.f_back
    return "?" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
