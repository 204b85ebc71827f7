"""What is known of one key: the type of its events' payload, their class, and how pydantic validates both."""

from collections.abc import Callable
from typing import Any, Generic, Never

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import TypeVar

from .claims import Keys
from .errors import InvalidPayload
from .events import Event, EventType, assemble_event
from .events import payload_type as _payload_of
from .subtyping import show_type

P_co = TypeVar("P_co", covariant=True, default=Any)


class EventSpec(Generic[P_co]):
    """What is known of the events of one key: the type of their payload and, if named, their class.

    `key` is a `range` in `Catalog.ranges`.
    """

    __slots__ = ("_model", "event_class", "key", "payload_type", "reads_whole", "validate_payload")

    def __init__(
        self,
        key: Keys,
        payload_type: Any,
        event_class: "type[Event[P_co]] | None",
        validate_payload: Callable[[Any], Any],
    ) -> None:
        self.key: Keys = key
        self.payload_type: Any = payload_type
        self.event_class: type[Event[P_co]] | None = event_class
        self.validate_payload: Callable[[Any], Any] = validate_payload
        self.reads_whole: bool = event_class is None or _payload_of(event_class) == payload_type
        """Whether `model` has the payload as it is claimed: a class may have it otherwise than it was declared."""
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
        event_class = self.event_class
        if event_class is not None and not isinstance(event, event_class):
            return self._name(event, event_class)
        # Not `event.payload`: each look at a model's attribute costs as much as two in its `__dict__`.
        values = event.__dict__
        given = values["payload"]
        try:
            payload = self.validate_payload(given)
        except ValidationError as error:
            raise invalid_payload(event, self.title, error) from None
        if payload is given:
            return event
        if type(event) is Event:
            return assemble_event(values["id"], values["type"], values["priority"], payload)
        return event.model_copy(update={"payload": payload})

    def _name(self, event: Event[Any], event_class: type[Event[Any]]) -> Event[Any]:
        """Make an instance of the key's class: where that has the payload as it is claimed, its validators run once."""
        values = dict(event)
        if not self.reads_whole:
            try:
                values["payload"] = self.validate_payload(event.payload)
            except ValidationError as error:
                raise invalid_payload(event, self.title, error) from None
        try:
            return event_class.model_validate(values)
        except ValidationError as error:
            raise invalid_event(event, self.title, error) from None

    def create(self, id: int, event_type: EventType, priority: int, payload: Any) -> Event[Any]:
        """Validate a payload and make its event. Raises `InvalidPayload`, `ValidationError` for the rest."""
        return self.validate(Event(id, event_type, priority, payload))

    @property
    def model(self) -> type[Event[Any]]:
        """The class that pydantic reads a whole event of this key with."""
        if self._model is None:
            self._model = self.event_class or event_of(self.payload_type)
        return self._model


def event_of(payload: Any) -> type[Event[Any]]:
    """Return the class of the events that have a payload and no class of their own."""
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


def raise_unless_payload(event: Event[Any], schema: str, error: ValidationError) -> Never:
    """Raise `InvalidPayload` if only the payload is wrong, the error itself if the envelope is."""
    if not all(map(_is_of_payload, error.errors())):
        raise error
    raise invalid_event(event, schema, error) from None


def are_equal(one: Any, other: Any) -> bool:
    """Whether pydantic validates two payload types alike, also where their constraints were written out twice."""
    return bool(one == other or adapt_payload(one).core_schema == adapt_payload(other).core_schema)


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
