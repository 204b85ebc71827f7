"""Events: immutable, generic in their payload, found by their key."""

import itertools
import json
import math
import secrets
from collections.abc import Callable
from enum import Enum
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypeAlias,
    cast,
    overload,
)

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Strict

# The metaclass of pydantic's models has no public name, and a checker does not accept `type(BaseModel)` as a base.
from pydantic._internal._model_construction import ModelMetaclass
from typing_extensions import Format, TypeVar, dataclass_transform, get_annotations

EventType: TypeAlias = int | str
"""A key: `99` and `"99"` are different keys, `True` is none."""

# Annotations that hold an `Event` of one of these are strings: evaluated, each would be a class that pydantic makes.
P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True, default=Any)
P_contra = TypeVar("P_contra", contravariant=True)

DEFAULT: Final = -1
"""The key that names the default handler when handlers are registered."""


def check_event_type(value: object) -> EventType:
    """Return the key as a plain `int` or `str`; members of enums equal their value.

    Raises `TypeError` for anything else, `bool` included.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"an event type is an int or a str, not {value!r} ({type(value).__name__})")
    return int(value) if isinstance(value, int) else str.__str__(value)


def format_event_type(key: EventType) -> str:
    """Write a key as text, such that no two keys read alike: `99`, `"99"`, `brew`.

    A string that would read as an integer, or that begins with a quote, is written as JSON.
    """
    if isinstance(key, int):
        return str(int(key))
    return json.dumps(key) if key.startswith('"') or _reads_as_integer(key) else str.__str__(key)


def parse_event_type(text: str) -> EventType:
    """Read what `format_event_type` wrote. Raises `ValueError` for a broken quoted string."""
    if text.startswith('"'):
        key: str = json.loads(text)
        return key
    return int(text) if _reads_as_integer(text) else text


def _reads_as_integer(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def overlap(one: range, other: range) -> bool:
    """Whether two ascending ranges have a key in common."""
    if one[-1] < other[0] or other[-1] < one[0]:
        return False
    common = math.gcd(one.step, other.step)
    apart, rest = divmod(other[0] - one[0], common)
    if rest:
        return False
    # The Chinese remainder theorem: from the first key that both would hold on, they meet every lcm keys.
    modulus = other.step // common
    meeting = one[0] + apart * pow(one.step // common, -1, modulus) % modulus * one.step
    period = math.lcm(one.step, other.step)
    first = meeting + -((meeting - max(one[0], other[0])) // period) * period
    return first <= min(one[-1], other[-1])


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
class EventMeta(ModelMetaclass):
    """Makes every checker see that events are frozen and that their subclasses are built by keyword.

    PEP 681: the class that names the metaclass is itself neither frozen nor not, hence `_Frozen`.
    """

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> "EventMeta":
        """Mark what pydantic makes for `Changed[int]`: the same event class, not one with a key of its own."""
        if "__pydantic_generic_metadata__" in kwargs:
            namespace["__parametrised__"] = True
        return cast("EventMeta", super().__new__(mcs, name, bases, namespace, **kwargs))


class _Frozen(BaseModel, metaclass=EventMeta):
    # Checkers that know pydantic take what it would convert or ignore, unless they are told of this strictness.
    if TYPE_CHECKING:
        model_config: ClassVar[ConfigDict] = ConfigDict(
            frozen=True, strict=True, extra="forbid", arbitrary_types_allowed=True
        )
    else:
        model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)


_type: Final = type
"""The built-in one, where `type` is an event's."""

Envelope: TypeAlias = Annotated[int, Strict()]
Key: TypeAlias = Annotated[int, Strict()] | Annotated[str, Strict()]


class Event(_Frozen, Generic[P_co]):
    """Something that happened: what, of which type, how urgent.

    `id` tells it apart from others, `type` is the key under which its schema and handlers are found,
    a lower `priority` is handled first. `Event(…)` checks all but the payload, `Event[Teapot](…)` that
    too; pydantic's `ValidationError` is raised for what does not fit.
    """

    id: Envelope
    type: Key
    priority: Envelope
    payload: P_co

    def __init__(self, id: int, type: EventType, priority: int, payload: P_co, **fields: Any) -> None:
        values = {"id": id, "type": type, "priority": priority, "payload": payload}
        # In plain numbers and a plain key pydantic would find nothing wrong, and change nothing.
        if (
            _type(self) is Event
            and _type(id) is int
            and _type(priority) is int
            and (_type(type) is int or _type(type) is str)
            and not fields
        ):
            set_values(self, values)
        else:
            # Only subclasses that add fields have more of them; the names of the four are pydantic's keys.
            self.__pydantic_validator__.validate_python({**values, **fields}, self_instance=self)

    # Without this mark, as on pydantic's own `RootModel`, validation would call `__init__` with keywords
    # only, so that a missing field were a `TypeError`.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined] # pyright: ignore[reportFunctionMemberAccess]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Say what pydantic notes of a model, of an event that was made without it: all of it is as usual."""
            if name == "__pydantic_fields_set__":
                return set(self.__dict__)
            if name in ("__pydantic_extra__", "__pydantic_private__"):
                return None
            return super().__getattr__(name)


class NamedEvent(Event[P_co], Generic[P_co]):
    """The base of event classes that carry their own key.

    `class TeapotEvent(NamedEvent[Teapot], type=99): ...`; without `type=` the key is the class's
    qualified name. Instances are built by keyword, `TeapotEvent(id=1, payload=pot)`, or by `create`.
    """

    event_type: ClassVar[EventType]
    """The key of this class."""

    type: Key = Field(default=cast(Any, None), validate_default=True)
    priority: Envelope = 0

    if not TYPE_CHECKING:  # pragma: no branch
        __init__ = BaseModel.__init__

    @classmethod
    def create(cls, payload: P_co, /, *, id: int, priority: int = 0) -> Self:  # type: ignore[misc] # a constructor: variance does not matter
        """Make an event of this class. Raises `ValidationError` for a payload that does not fit."""
        return cls(id=id, payload=payload, priority=priority)

    if TYPE_CHECKING:

        @classmethod
        def __emits__(cls, payload: P_co, *, id: "int | AutoId" = ..., priority: int = 0) -> Self:  # type: ignore[misc] # likewise
            """Say what `emit` takes with this class: a checker reads the payload by it, and not the other way round."""
            ...

    def __init_subclass__(cls, *, type: EventType | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__parametrised__" not in cls.__dict__:
            cls._set_key(check_event_type(cls.__qualname__ if type is None else type))

    @classmethod
    def _set_key(cls, key: EventType) -> None:
        cls.event_type = key
        # pydantic reads the annotations after `__init_subclass__`, so the field is typed here.
        annotations = {**get_annotations(cls, format=Format.FORWARDREF), "type": Literal[key]}
        type.__setattr__(cls, "__annotations__", annotations)  # an assignment would look like a field to checkers
        cls.type = key


class AutoId(Enum):
    """How an event factory chooses an id: the next in its count, or 63 random bits."""

    AUTO = "auto"
    RANDOM = "random"


E_co = TypeVar("E_co", covariant=True)


class EventClass(Protocol[P_contra, E_co]):
    """A named event class, seen as what makes an `E` of a payload `P`."""

    def create(self, payload: P_contra, /, *, id: int, priority: int = 0) -> E_co:
        """Make an event of this class."""
        ...


Given = ParamSpec("Given")


class Emits(Protocol[Given, E_co]):
    """A named event class, seen as what `emit` takes with it, and the event that this makes."""

    def __emits__(self, *payload: Given.args, **options: Given.kwargs) -> E_co:
        """Tell a checker."""
        ...


class Later(Generic[P]):
    """Nothing is one: beside a parameter's type, a function's type in it has mypy read the argument by the others."""


E = TypeVar("E", bound=Event[Any])


class EventFactory:
    """Makes events and their ids; every nexus is one."""

    AUTO: Final = AutoId.AUTO
    RANDOM: Final = AutoId.RANDOM

    def __init__(self) -> None:
        self._ids = itertools.count(1)

    def next_id(self) -> int:
        """Count from 1."""
        return next(self._ids)

    def random_id(self) -> int:
        """Draw from 63 bits, so that ids of several processes do not meet."""
        return secrets.randbits(63)

    def choose_id(self, id: int | AutoId) -> int:
        """Return the id itself, or the one that `AUTO` or `RANDOM` stands for."""
        if id is AutoId.AUTO:
            return self.next_id()
        return self.random_id() if id is AutoId.RANDOM else id

    @overload
    def create_event(
        self, payload: P, *, event_type: EventType, id: int | AutoId = AUTO, priority: int = 0
    ) -> "Event[P]": ...
    @overload
    def create_event(
        self,
        payload: P | Later[Callable[[P], P]],
        *,
        event_type: EventClass[P, E],
        id: int | AutoId = AUTO,
        priority: int = 0,
    ) -> E: ...
    def create_event(
        self,
        payload: Any,
        *,
        event_type: EventType | EventClass[Any, Event[Any]],
        id: int | AutoId = AUTO,
        priority: int = 0,
    ) -> Event[Any]:
        """Make an event of a key, or of a named event class.

        Raises `ValidationError` for an envelope, or a payload of a named event class, that does not fit.
        """
        if isinstance(event_type, int | str) or not hasattr(event_type, "create"):
            return Event(self.choose_id(id), cast(EventType, event_type), priority, payload)
        return event_type.create(payload, id=self.choose_id(id), priority=priority)


new_object: Final = object.__new__
set_values = BaseModel.__dict__["__dict__"].__set__


def assemble_event(id: int, type: EventType, priority: int, payload: P) -> "Event[P]":
    """Make an `Event` of parts that have been checked already."""
    event: Event[P] = new_object(Event)
    set_values(event, {"id": id, "type": type, "priority": priority, "payload": payload})
    return event


def assemble_fields(fields: dict[str, Any]) -> "Event[Any]":
    """Make an `Event` of all its fields, which have been checked already and are its own from now on.

    It costs little because only the fields are set: `Event.__getattr__` says what else pydantic asks models for.
    """
    event: Event[Any] = new_object(Event)
    set_values(event, fields)
    return event


def payload_type(event_class: type[Event[Any]]) -> Any:
    """Return the payload's type as it was written, constraints and what tells the members of a union apart included."""
    if not event_class.__pydantic_complete__:  # its payload's class may have come after it
        event_class.model_rebuild(raise_errors=False)
    field = event_class.__pydantic_fields__["payload"]
    annotation, tag = field.rebuild_annotation(), field.discriminator
    return Annotated[annotation, Discriminator(tag)] if isinstance(tag, str) else annotation


def own_key(event_class: type[Event[Any]]) -> EventType | None:
    """Return the key that a named event class carries; other event classes have none."""
    return getattr(event_class, "event_type", None)


def is_plain(event_class: type[Event[Any]]) -> bool:
    """Whether an event class is `Event`, perhaps with its payload's type, and adds nothing to it."""
    return (event_class.__pydantic_generic_metadata__["origin"] or event_class) is Event


def takes_any_payload(event_class: type[Event[Any]]) -> bool:
    """Whether an event class is `Event` or `NamedEvent`, of any payload: it says nothing of what its events are."""
    if (event_class.__pydantic_generic_metadata__["origin"] or event_class) not in (Event, NamedEvent):
        return False
    payload = payload_type(event_class)
    return payload is Any or isinstance(payload, TypeVar)


def payload_json(event: Event[Any]) -> bytes:
    """Write an event's payload as pydantic writes JSON, for a catalog to read it again."""
    payload = event.payload
    if isinstance(payload, BaseModel):  # by its own class, for the event's class may know only a base of it
        return payload.__pydantic_serializer__.to_json(payload, by_alias=True, round_trip=True, warnings=False)
    whole = event.model_dump_json(include={"payload"}, by_alias=True, round_trip=True, warnings=False)
    return whole.partition(":")[2][:-1].encode()


def event_json(event: Event[Any]) -> str:
    """Write a whole event as pydantic writes JSON, for `Catalog.parse_json` to read it again."""
    envelope = event.model_dump_json(exclude={"payload"}, by_alias=True, round_trip=True, warnings=False)
    return f'{envelope[:-1]},"payload":{payload_json(event).decode()}}}'


def describe_event(event: Event[Any]) -> str:
    """Name an event in a message, without its payload, which may be large or secret."""
    return f"event {event.id} of type {format_event_type(event.type)}"
