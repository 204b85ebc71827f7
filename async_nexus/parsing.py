"""Events from JSON: how each is parsed, and how most are parsed in one pass (V4).

Which schema an event has is known only when its key has been read, and whether an error is the payload's only when
all has been. So `parse_exactly` reads JSON two or three times. An `EventParser` learns from that which keys there are,
and lets pydantic find the key and validate the event in one pass. What does not pass is parsed exactly.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Never, TypeAlias, cast

from pydantic import ValidationError
from pydantic_core import SchemaValidator, from_json, to_json
from pydantic_core.core_schema import (
    TypedDictField,
    definitions_schema,
    int_schema,
    none_schema,
    str_schema,
    tagged_union_schema,
    typed_dict_schema,
)
from typing_extensions import override

from .events import (
    Event,
    EventType,
    assemble_event,
    assemble_fields,
    is_plain,
    own_key,
    payload_type,
    takes_any_payload,
)
from .specs import EventSpec, event_of, raise_unless_payload
from .subtyping import show_type

Json: TypeAlias = str | bytes | bytearray
Find: TypeAlias = Callable[[EventType], EventSpec[Any] | None]
"""Finds what is known of a key, as `Catalog.find` does."""
Validate: TypeAlias = Callable[[Json], Event[Any]]
Read: TypeAlias = Callable[[Json], dict[str, Any] | Event[Any]]
Schema: TypeAlias = dict[str, Any]
"""A schema of pydantic's core, which it types as a union of some sixty kinds."""

FEW: Final = 1_000
"""Keys that nobody has claimed one by one are learned while fewer than these are known: there is no end of them."""
SHORT: Final = 100
"""How long such a key may be, written as text."""


class EventParser:
    """Parses the events of a catalog, for as long as that does not change.

    `read` parses any event in one pass: of one that has no class of its own it returns the fields. `classes` holds what
    does so for the events of a class. Where these raise `KeyError` or `ValidationError`, `parse` knows what is right,
    and learns from it.
    """

    __slots__ = ("_union", "classes", "read")

    def __init__(self) -> None:
        self.read: Read = _read_nothing
        self.classes: dict[type[Event[Any]], Validate] = {}
        self._union = _Union()

    def parse(self, find: Find, data: Json, event_class: type[Event[Any]] | None) -> Event[Any]:
        """Parse an event exactly, and learn how others like it are parsed in one pass."""
        event = parse_exactly(find, data, event_class)
        asked = None if event_class is Event else event_class
        key = event.type if asked is None else own_key(asked)
        if key is not None:  # what a class without a key reads depends on the event's key as well
            self._learn(key, find(key), asked)
        return event

    def _learn(self, key: EventType, spec: EventSpec[Any] | None, asked: type[Event[Any]] | None) -> None:
        """Note how the events of a key, or of a class that was asked for, are parsed, if that is always the same."""
        model = Event if spec is None else spec.model
        if not (asked is None or issubclass(model, asked)) or not (spec is None or spec.reads_whole):
            return
        if asked is not None:
            self.classes[asked] = model.__pydantic_validator__.validate_json
        elif self._union.add(key, model, is_claimed=spec is not None and spec.key == key):
            self.read = self._union.compile()


def _read_nothing(data: Json) -> Never:
    raise KeyError("no event has been parsed")


class _Union:
    """The keys that pydantic tells apart in JSON, and the schemas of their events.

    It is compiled as a whole. That is due when the keys it lacks have been met so often, compared to the number of
    those it has, that compiling it costs little for each time.
    """

    __slots__ = ("_choices", "_definitions", "_fresh", "_misses")

    def __init__(self) -> None:
        self._choices: dict[Any, Any] = {}
        self._fresh: dict[Any, Any] = {}
        self._definitions: dict[str, Any] = {}
        self._misses: int = 0

    def add(self, key: EventType, model: type[Event[Any]], *, is_claimed: bool) -> bool:
        """Note that a key was met, and tell whether compiling is due."""
        if key in self._choices or (isinstance(key, int) and key.bit_length() > 63):
            return False  # it was refused, or is larger than the numbers that pydantic tells from floats
        if key not in self._fresh:
            if not is_claimed and (len(self._choices) + len(self._fresh) >= FEW or len(str(key)) > SHORT):
                return False
            self._fresh[key] = self._inline(key, model)
            if isinstance(key, int) and own_key(model) is not None:
                self._fresh[_Inexact(key)] = _REFUSED
        self._misses += 1
        return self._misses * 4 > len(self._choices)

    def compile(self) -> Read:
        """Compile the union of all keys that were met."""
        self._choices = {**self._choices, **self._fresh}
        self._fresh, self._misses = {}, 0
        # An own error is cheap; pydantic's would list all keys.
        union = tagged_union_schema(self._choices, "type", custom_error_type="key", custom_error_message="unknown")
        return SchemaValidator(definitions_schema(union, list(self._definitions.values()))).validate_json

    def _inline(self, key: EventType, model: type[Event[Any]]) -> Schema:
        """Return a model's schema without the definitions of recursive types, which the union holds for all."""
        schema = cast(Schema, model.__pydantic_core_schema__)
        if schema["type"] == "definitions":
            for each in schema["definitions"]:
                if self._definitions.setdefault(each["ref"], each) != each:
                    return _REFUSED  # the configuration of a model around it makes it another definition
            schema = schema["schema"]
        return _of_fields(key, schema) if is_plain(model) and schema["type"] == "model" else schema


def _of_fields(key: EventType, schema: Schema) -> Schema:
    """Turn the schema of a model into that of its fields: to make an event of them here costs less than in pydantic."""
    # What else is said of a field, such as its alias, is said alike in both.
    fields = {name: {**field, "type": "typed-dict-field"} for name, field in schema["schema"]["fields"].items()}
    # The key has been found: what equals it needs to be told from it, but not whether it is a number or a text.
    fields["type"]["schema"] = int_schema(strict=True) if isinstance(key, int) else str_schema(strict=True)
    return cast(Schema, typed_dict_schema(cast("dict[str, TypedDictField]", fields), config=schema["config"]))


_REFUSED: Final[Schema] = cast(Schema, none_schema())
"""Accepts no event, so that it is parsed exactly."""


class _Inexact(int):
    """What merely equals a key, as `true` does 1 and `99.0` does 99.

    Pydantic looks for a tag among equal ones too, after the exact ones, and so does the type of a named event. To be a
    choice of its own, this does not equal the key.
    """

    @override
    def __eq__(self, other: object) -> bool:
        return other.__class__ is not int and int(self) == other

    __hash__ = int.__hash__


def parse_exactly(find: Find, data: Json, event_class: type[Event[Any]] | None = None) -> Event[Any]:
    """Turn the JSON of an event into a validated event. `Catalog.parse_json` says what is raised."""
    model = event_class or Event
    if not (isinstance(model, type) and issubclass(model, Event)):  # pyright: ignore[reportUnnecessaryIsInstance] # a checker may not have been asked
        raise TypeError(
            f"an event class is expected, such as `Event` or one of NamedEvent[Payload], not {event_class!r}"
        )
    values = _read_object(data)
    spec = _find_spec(find, values, event_class)
    if spec is not None and issubclass(spec.model, model):
        model = spec.model
    schema = show_type(model) if spec is None or model is not spec.model else spec.title
    try:
        event = model.model_validate_json(data)
        if spec is not None and spec.payload_type != payload_type(model):
            # Declared otherwise than its class has it: read once more, as pydantic reads JSON.
            schema = spec.title
            whole = to_json({**values, "id": event.id, "type": event.type, "priority": event.priority})
            payload = event_of(spec.payload_type).model_validate_json(whole).payload
            if model is spec.event_class or takes_any_payload(model):
                event = event.model_copy(update={"payload": payload})
    except ValidationError as error:
        if "payload" not in values or not isinstance(values.get("id"), int):
            raise
        raise_unless_payload(_raw_event(values, model), schema, error)
    return assemble_fields({**event.__dict__}) if event_class in (None, Event) and is_plain(model) else event


def _read_object(data: Json) -> dict[str, Any]:
    """Read JSON for its keys; whatever is wrong with it is left for pydantic's own reading to say."""
    try:
        values = from_json(data)
    except ValueError:
        return {}
    except TypeError:  # also of half a surrogate pair, of which pydantic says what it is
        if not isinstance(data, str):
            raise
        return {}
    return cast("dict[str, Any]", values) if isinstance(values, dict) else {}


def _find_spec(find: Find, values: Mapping[str, Any], event_class: type[Event[Any]] | None) -> EventSpec[Any] | None:
    key = None if event_class is None else own_key(event_class)
    if key is None:
        key = values.get("type")
    return find(key) if isinstance(key, int | str) and not isinstance(key, bool) else None


def _raw_event(values: Mapping[str, Any], model: type[Event[Any]]) -> Event[Any]:
    """Make the event of an envelope that is known to fit and a payload that does not."""
    key = values.get("type", own_key(model))
    return assemble_event(values["id"], key, values.get("priority", 0), values["payload"])
