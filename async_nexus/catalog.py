"""The catalog: a nexus's map from key to payload schema, and the validation of events against it."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Never, cast, overload

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json
from typing_extensions import TypeVar, override

from .claims import Asked, Claim, Keys, annotate, check_range, claim_class, declare
from .errors import InvalidPayload
from .events import (
    Event,
    EventType,
    NamedEvent,
    assemble_event,
    check_event_type,
    format_event_type,
    own_key,
    payload_type,
)
from .subtyping import show_type

P_co = TypeVar("P_co", covariant=True, default=Any)
P = TypeVar("P")
E = TypeVar("E", bound=Event[Any])


class EventSpec(Generic[P_co]):
    """What is known of the events of one key: the type of their payload and, if named, their class.

    `key` is a `range` in `Catalog.ranges`.
    """

    __slots__ = ("_model", "event_class", "key", "payload_type", "validate_payload")

    def __init__(
        self,
        key: Keys,
        payload_type: Any,
        event_class: type[Event[P_co]] | None,
        validate_payload: Callable[[Any], Any],
    ) -> None:
        self.key: Keys = key
        self.payload_type: Any = payload_type
        self.event_class: type[Event[P_co]] | None = event_class
        self.validate_payload: Callable[[Any], Any] = validate_payload
        self._model: type[Event[Any]] | None = None

    @property
    def title(self) -> str:
        """The name of the event class or, where there is none, of the payload's type."""
        return show_type(self.event_class or self.payload_type)

    @property
    def description(self) -> str | None:
        """The docstring of the event class or, where there is none, of the payload's class."""
        for tp in (self.event_class, self.payload_type):
            text = tp.__dict__.get("__doc__") if isinstance(tp, type) and tp.__module__ != "builtins" else None
            if text:
                return str(text)
        return None

    def __repr__(self) -> str:
        return f"EventSpec(key={self.key!r}, payload_type={show_type(self.payload_type)}, title={self.title!r})"

    def validate(self, event: Event[Any]) -> Event[Any]:
        """Return the event, or a new one where its payload or its class has to change.

        Raises `InvalidPayload`.
        """
        given = event.payload
        try:
            payload = self.validate_payload(given)
        except ValidationError as error:
            raise invalid_payload(event, self.title, error) from None
        event_class = self.event_class
        if payload is given and (event_class is None or event.__class__ is event_class):
            return event
        return self._renew(event, payload)

    def _renew(self, event: Event[Any], payload: Any) -> Event[Any]:
        if self.event_class is not None and not isinstance(event, self.event_class):
            try:
                return self.event_class.model_validate({**dict(event), "payload": payload})
            except ValidationError as error:
                raise invalid_event(event, self.title, error) from None
        if payload is event.payload:
            return event
        if event.__class__ is Event:
            return assemble_event(event.id, event.type, event.priority, payload)
        return event.model_copy(update={"payload": payload})

    def create(self, id: int, event_type: EventType, priority: int, payload: Any) -> Event[Any]:
        """Validate a payload and make its event. Raises `InvalidPayload`, `ValidationError` for the rest."""
        if id.__class__ is not int or priority.__class__ is not int or event_type.__class__ not in (int, str):
            return self.validate(Event(id, event_type, priority, payload))
        try:
            valid = self.validate_payload(payload)
        except ValidationError as error:
            raise invalid_payload(assemble_event(id, event_type, priority, payload), self.title, error) from None
        if self.event_class is None:
            return assemble_event(id, event_type, priority, valid)
        values = {"id": id, "type": event_type, "priority": priority, "payload": valid}
        try:
            return self.event_class.model_validate(values)
        except ValidationError as error:
            raise invalid_event(assemble_event(id, event_type, priority, payload), self.title, error) from None

    @property
    def reads_whole(self) -> bool:
        """Whether `model` has the payload as it is claimed: a class may have it otherwise than it was declared."""
        return self.event_class is None or payload_type(self.event_class) == self.payload_type

    @property
    def model(self) -> type[Event[Any]]:
        """The class that pydantic reads a whole event of this key with."""
        if self._model is None:
            self._model = self.event_class or _event_of(self.payload_type)
        return self._model


def _event_of(payload: Any) -> type[Event[Any]]:
    return Event.__class_getitem__(payload)  # type: ignore[return-value] # a type at run time


def invalid_payload(event: Event[Any], schema: str, error: ValidationError) -> InvalidPayload:
    """Turn what pydantic found wrong with a payload into the error that names the event."""
    return InvalidPayload(event, schema, error.errors(include_url=False))


def invalid_event(event: Event[Any], schema: str, error: ValidationError) -> InvalidPayload:
    """Turn what pydantic found wrong with an event as a whole; `loc` becomes relative to the payload."""
    return InvalidPayload(event, schema, [_relative(detail) for detail in error.errors(include_url=False)])


def _relative(detail: ErrorDetails) -> ErrorDetails:
    return {**detail, "loc": detail["loc"][1:]} if _is_of_payload(detail) else detail


def _is_of_payload(detail: ErrorDetails) -> bool:
    return detail["loc"][:1] == ("payload",)


def _raise_unless_payload(event: Event[Any], schema: str, error: ValidationError) -> Never:
    """Raise `InvalidPayload` if only the payload is wrong, the error itself if the envelope is."""
    if not all(map(_is_of_payload, error.errors())):
        raise error
    raise invalid_event(event, schema, error) from None


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

    @property
    def ranges(self) -> Sequence[EventSpec[Any]]:
        """What ranges of keys claim, in the order in which they are asked; `key` is the `range`."""
        return self._ranges

    @overload
    def __getitem__(self, key: EventType, /) -> EventSpec[Any]: ...
    @overload
    def __getitem__(self, key: type[Event[P]], /) -> EventSpec[P]: ...
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
        spec = self.find(event.type)
        return event if spec is None else spec.validate(event)

    def create(self, event_type: EventType | type[NamedEvent[Any]], payload: Any, id: int, priority: int) -> Event[Any]:
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
            _raise_unless_payload(assemble_event(id, key, priority, payload), event_type.__name__, error)
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
        values = _read_object(data)
        spec = self._spec_for(values, event_class)
        model = event_class or Event
        if spec is not None and issubclass(spec.model, model):
            model = spec.model
        try:
            event = model.model_validate_json(data)
            if spec is None or spec.payload_type == payload_type(model):
                return event
            # Declared otherwise than its class has it: read once more, as pydantic reads JSON.
            whole = to_json({**values, "type": event.type})
            payload = _event_of(spec.payload_type).model_validate_json(whole).payload
        except ValidationError as error:
            if "payload" not in values or not isinstance(values.get("id"), int):
                raise
            _raise_unless_payload(_raw_event(values, model), spec.title if spec else show_type(model), error)
        return event.model_copy(update={"payload": payload}) if model is spec.event_class else event

    def _spec_for(self, values: Mapping[str, Any], event_class: type[Event[Any]] | None) -> EventSpec[Any] | None:
        key = None if event_class is None else own_key(event_class)
        if key is None:
            key = values.get("type")
        return self.find(key) if isinstance(key, int | str) and not isinstance(key, bool) else None

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


def adapt_payload(payload: Any) -> TypeAdapter[Any]:
    """Make pydantic's adapter of a payload type, which may be any class (V1)."""
    try:
        adapter = TypeAdapter[Any](payload, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        adapter = TypeAdapter(payload)
    adapter.rebuild(raise_errors=True)
    return adapter


def _read_object(data: str | bytes | bytearray) -> dict[str, Any]:
    """Read JSON for its keys; whatever is wrong with it is left for pydantic's own reading to say."""
    try:
        values = from_json(data)
    except ValueError:
        return {}
    return cast("dict[str, Any]", values) if isinstance(values, dict) else {}


def _raw_event(values: Mapping[str, Any], model: type[Event[Any]]) -> Event[Any]:
    """Make the event of an envelope that is known to fit and a payload that does not."""
    key = values.get("type", own_key(model))
    return assemble_event(values["id"], key, values.get("priority", 0), values["payload"])


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
        self._claims[key] = declare(self._claim(key), key, payload, self._where)

    def annotate(self, keys: Keys, members: tuple[type[Event[Any]], ...], text: str) -> None:
        """Check, or claim by, what a handler's annotation asks for; `text` quotes it in messages."""
        asked = Asked(members, text, self._where)
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
