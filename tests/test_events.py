"""Events, named events, keys and the factory that makes them (E1 to E4)."""

import copy
import enum
import json
import pickle
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from async_nexus import AsyncEventNexus, Event, EventFactory, NamedEvent
from async_nexus.events import (
    AutoId,
    assemble_event,
    check_event_type,
    describe_event,
    format_event_type,
    is_plain,
    overlap,
    own_key,
    parse_event_type,
    payload_type,
)

T = TypeVar("T")


class Teapot(BaseModel):
    temp: int


class Kind(enum.IntEnum):
    TEAPOT = 99


class Name(enum.StrEnum):
    TREACLE = "treacle"


class OldName(str, enum.Enum):  # noqa: UP042 # as programs for older Pythons have it
    TREACLE = "treacle"


class TeapotEvent(NamedEvent[Teapot], type=99): ...


class LoudTeapotEvent(TeapotEvent, type=99):
    volume: int = 11


class Unkeyed(NamedEvent[Teapot]): ...


class Changed(NamedEvent[T], Generic[T], type="changed"): ...


class Late(NamedEvent["Later"], type="late"): ...


class Later(BaseModel):
    when: int


class Stamped(Event[Teapot]):
    at: float


pot = Teapot(temp=90)


# Events (E1)


def test_an_event_is_built_by_position_or_by_keyword() -> None:
    """E1: `Event(id, type, priority, payload)`."""
    event = Event(1, 99, 5, pot)
    assert (event.id, event.type, event.priority, event.payload) == (1, 99, 5, pot)
    assert Event(id=1, type=99, priority=5, payload=pot) == event


@pytest.mark.parametrize("field", ["id", "type", "priority", "payload", "anything"])
@pytest.mark.parametrize("event", [Event(1, 99, 0, pot), TeapotEvent(id=1, payload=pot)], ids=["plain", "named"])
def test_events_are_frozen(event: Any, field: str) -> None:
    """E1: no field can be set, and none be added."""
    with pytest.raises(ValidationError, match="frozen"):
        setattr(event, field, 2)


@pytest.mark.parametrize(
    "envelope, field",
    [
        (("x", 99, 0), "id"),
        (("1", 99, 0), "id"),
        ((1.0, 99, 0), "id"),
        ((True, 99, 0), "id"),
        ((None, 99, 0), "id"),
        ((1, 1.5, 0), "type"),
        ((1, True, 0), "type"),
        ((1, None, 0), "type"),
        ((1, [], 0), "type"),
        ((1, b"99", 0), "type"),
        ((1, 99, "0"), "priority"),
        ((1, 99, 0.5), "priority"),
        ((1, 99, False), "priority"),
    ],
)
def test_building_checks_the_envelope(envelope: Any, field: str) -> None:
    """E1: `ValidationError` for what is not of the envelope's types, nothing is converted."""
    build: Any = Event
    with pytest.raises(ValidationError) as caught:
        build(*envelope, 1)
    assert {each["loc"][0] for each in caught.value.errors()} == {field}


def test_a_plain_event_does_not_check_the_payload() -> None:
    """E1: `Event` is `Event[Any]`: it holds any object, as it is."""
    payload = object()
    assert Event(1, 99, 0, payload).payload is payload


def test_an_event_of_a_payload_checks_it() -> None:
    """E1: `Event[Teapot](…)` checks the payload too."""
    assert Event[Teapot](1, 99, 0, {"temp": 90}).payload == pot  # type: ignore[arg-type] # raw input
    with pytest.raises(ValidationError, match=r"payload\.temp"):
        Event[Teapot](1, 99, 0, {"temp": "hot"})  # type: ignore[arg-type] # raw input


@pytest.mark.parametrize("event_class", [Event, Event[Teapot], Stamped])
@pytest.mark.parametrize("missing", ["id", "type", "priority", "payload"])
def test_missing_fields_when_validating(event_class: Any, missing: str) -> None:
    """E1: in `model_validate*` they are a `ValidationError`, not a `TypeError`."""
    values = {"id": 1, "type": 99, "priority": 0, "payload": {"temp": 90}, "at": 0.5}
    del values[missing]
    for validate, raw in (
        (event_class.model_validate, values),
        (event_class.model_validate_json, json.dumps(values)),
        (event_class.model_validate_strings, {}),
    ):
        with pytest.raises(ValidationError) as caught:
            validate(raw)
        assert (missing,) in [each["loc"] for each in caught.value.errors()]


def test_missing_arguments_when_building() -> None:
    """E1: leaving an argument out of a call is Python's own `TypeError`."""
    with pytest.raises(TypeError, match="payload"):
        Event(1, 99, 0)  # type: ignore[call-arg] # the mistake


def test_validated_events_are_built_ones() -> None:
    """E1: `model_validate` gives what the call gives."""
    values = {"id": 1, "type": 99, "priority": 0, "payload": {"temp": 90}}
    assert Event[Teapot].model_validate(values) == Event(1, 99, 0, pot)
    assert Event[Teapot].model_validate_json(json.dumps(values)) == Event(1, 99, 0, pot)
    assert type(Event[Teapot].model_validate(values)) is Event[Teapot]


def test_subclasses_of_event_add_fields() -> None:
    """E1: they are built by keyword beside the four."""
    event = Stamped(id=1, type=99, priority=0, payload=pot, at=0.5)
    assert (event.payload, event.at) == (pot, 0.5)
    with pytest.raises(ValidationError, match="at"):
        Stamped(id=1, type=99, priority=0, payload=pot)  # type: ignore[call-arg] # the mistake


@pytest.mark.parametrize(
    "event", [Event(1, 99, 0, pot), Event[Teapot](1, "x", 0, pot), LoudTeapotEvent(id=1, payload=pot)], ids=str
)
@pytest.mark.parametrize(
    "again",
    [
        copy.copy,
        copy.deepcopy,
        lambda e: e.model_copy(),
        lambda e: e.model_validate(dict(e)),
        lambda e: e.model_copy(deep=True),
    ],
    ids=["copy", "deepcopy", "model_copy", "validated", "model_copy deep"],
)
def test_events_can_be_copied(event: Event, again: Any) -> None:
    """E1: a copy equals its original and is of the same class."""
    copied = again(event)
    assert copied == event
    assert type(copied) is type(event)


@pytest.mark.parametrize("event", [Event(1, 99, 0, pot), LoudTeapotEvent(id=1, payload=pot)], ids=str)
def test_events_can_be_pickled(event: Event) -> None:
    """E1: as any model."""
    assert pickle.loads(pickle.dumps(event)) == event


def test_events_can_be_hashed_if_their_payload_can() -> None:
    """E1: they are immutable."""
    assert len({Event(1, 99, 0, "tea"), Event(1, 99, 0, "tea")}) == 1


@given(st.integers(), st.integers() | st.text(), st.integers(), st.integers() | st.text())
def test_an_event_of_checked_parts_is_like_a_validated_one(
    id: int, key: int | str, priority: int, payload: Any
) -> None:
    """E1: what pydantic has not seen, as nothing was to be checked, cannot be told from what it has made."""
    validated = Event.model_validate({"id": id, "type": key, "priority": priority, "payload": payload})
    for event in (assemble_event(id, key, priority, payload), Event(id, key, priority, payload)):
        assert event == validated
        assert hash(event) == hash(validated)
        assert repr(event) == repr(validated)
        assert event.model_dump_json(exclude_unset=True) == validated.model_dump_json(exclude_unset=True)
        assert event.model_fields_set == validated.model_fields_set
        assert (event.model_extra, event.__pydantic_private__) == (None, None)
        assert pickle.loads(pickle.dumps(event)) == validated
        assert copy.deepcopy(event) == copy.copy(event) == validated
        assert event.model_copy(update={"payload": 1}) == validated.model_copy(update={"payload": 1})


def test_what_an_event_does_not_have_is_an_attribute_error() -> None:
    """E1: as of any model, however the event was made."""
    for event in (assemble_event(1, 99, 0, "tea"), Event[str](1, 99, 0, "tea")):
        with pytest.raises(AttributeError, match="object has no attribute 'pay'"):
            _ = event.pay  # type: ignore[attr-defined] # that is the mistake


# Named events (E2)


def test_a_named_event_carries_its_key() -> None:
    """E2: `TeapotEvent.event_type` is the key that its class statement gave."""
    assert TeapotEvent.event_type == 99
    assert TeapotEvent(id=1, payload=pot).type == 99


def test_without_a_type_the_key_is_the_qualified_name() -> None:
    """E2: also of a class inside of a function or a class."""

    class Local(NamedEvent[Teapot]): ...

    assert Unkeyed.event_type == "Unkeyed"
    assert Local.event_type == "test_without_a_type_the_key_is_the_qualified_name.<locals>.Local"
    assert Local(id=1, payload=pot).type == Local.event_type


def test_subclasses_have_their_own_key() -> None:
    """E2: what holds for any named event holds for a subclass of one: it names its key or is named by it."""

    class Louder(LoudTeapotEvent): ...

    assert LoudTeapotEvent.event_type == 99
    assert Louder.event_type.endswith("Louder")  # type: ignore[union-attr] # no `type=` was given
    assert Louder(id=1, payload=pot).volume == 11


def test_an_event_class_with_an_argument_is_the_same_event_class() -> None:
    """E2: `Changed[int]` has the key of `Changed`, a class derived from it its own."""

    class IntChanged(Changed[int]): ...

    assert Changed.event_type == Changed[int].event_type == Changed[T].event_type == "changed"  # type: ignore[valid-type] # T is free here
    assert Changed[int](id=1, payload=3).type == "changed"
    assert IntChanged.event_type.endswith("IntChanged")  # type: ignore[union-attr] # no `type=` was given


def test_a_named_event_is_built_by_keyword() -> None:
    """E2: `priority` is 0 where none is given."""
    event = TeapotEvent(id=1, payload=pot)
    assert (event.id, event.type, event.priority, event.payload) == (1, 99, 0, pot)
    assert TeapotEvent(id=1, payload=pot, priority=5).priority == 5
    with pytest.raises(TypeError, match="positional"):
        TeapotEvent(1, pot)  # type: ignore[call-arg, arg-type] # by keyword only


def test_a_named_event_is_created_of_its_payload() -> None:
    """E2: `TeapotEvent.create(pot, id=1)`."""
    assert TeapotEvent.create(pot, id=1) == TeapotEvent(id=1, payload=pot)
    assert TeapotEvent.create(pot, id=1, priority=5).priority == 5
    assert type(LoudTeapotEvent.create(pot, id=1)) is LoudTeapotEvent


@pytest.mark.parametrize(
    "values, field",
    [
        ({"id": 1}, "payload"),
        ({"payload": pot}, "id"),
        ({"id": "x", "payload": pot}, "id"),
        ({"id": 1, "payload": pot, "priority": None}, "priority"),
        ({"id": 1, "payload": "cold"}, "payload"),
    ],
)
def test_building_a_named_event_checks_all_of_it(values: Any, field: str) -> None:
    """E1, E2: envelope and payload, when it is built, created or validated."""
    builds: tuple[Callable[[], object], ...] = (
        lambda: TeapotEvent(**values),
        lambda: TeapotEvent.model_validate(values),
    )
    for build in builds:
        with pytest.raises(ValidationError) as caught:
            build()
        assert {each["loc"][0] for each in caught.value.errors()} == {field}


@pytest.mark.parametrize("key", [98, "99", 99.5, None, "TeapotEvent"])
def test_its_type_can_be_nothing_else(key: Any) -> None:
    """E2: another key is a `ValidationError`, however the event is made."""
    values = {"id": 1, "type": key, "payload": {"temp": 90}}
    builds: tuple[Callable[[], object], ...] = (
        lambda: TeapotEvent(**values),
        lambda: TeapotEvent.model_validate(values),
        lambda: TeapotEvent.model_validate_json(json.dumps(values)),
    )
    for build in builds:
        with pytest.raises(ValidationError) as caught:
            build()
        assert [each["loc"] for each in caught.value.errors()] == [("type",)]


def test_its_type_may_be_given_or_left_out() -> None:
    """E2: also in JSON, and as the member of an enum."""
    event = TeapotEvent(id=1, payload=pot)
    assert TeapotEvent(id=1, payload=pot, type=99) == event
    assert TeapotEvent(id=1, payload=pot, type=Kind.TEAPOT) == event
    assert TeapotEvent.model_validate_json('{"id": 1, "payload": {"temp": 90}}') == event
    assert TeapotEvent.model_validate_json('{"id": 1, "payload": {"temp": 90}, "type": 99}') == event


def test_its_json_has_the_type() -> None:
    """E2: so that whoever reads it knows what it is."""
    assert json.loads(TeapotEvent(id=1, payload=pot).model_dump_json())["type"] == 99


def test_its_schema_fixes_the_type() -> None:
    """E2: pydantic's JSON schema has the key as a constant."""
    schema = TeapotEvent.model_json_schema()
    assert schema["properties"]["type"]["const"] == 99
    assert sorted(schema["required"]) == ["id", "payload"]


@pytest.mark.parametrize("key", [True, 1.5, b"x", [], object()], ids=repr)
def test_a_key_in_a_class_statement_is_checked(key: Any) -> None:
    """E3: a class statement with what is no key is a `TypeError` that shows what was given."""
    with pytest.raises(TypeError, match="an event type is an int or a str, not"):

        class Wrong(NamedEvent[Teapot], type=key): ...


@pytest.mark.parametrize(
    "given, key",
    [(Kind.TEAPOT, 99), (Name.TREACLE, "treacle"), (OldName.TREACLE, "treacle"), (0, 0), ("", ""), (-1, -1)],
    ids=repr,
)
def test_enum_members_are_keys_of_classes(given: Any, key: Any) -> None:
    """E3: the key is the member's value; any integer or string will do."""

    class Made(NamedEvent[Teapot], type=given): ...

    assert Made.event_type == key
    assert type(Made.event_type) is type(key)
    assert type(Made(id=1, payload=pot).type) is type(key)


def test_named_events_add_fields() -> None:
    """E2: an event class is a model: it may have more fields, with defaults or without."""
    event = LoudTeapotEvent(id=1, payload=pot, volume=3)
    assert (event.volume, event.type) == (3, 99)


def test_a_payload_may_be_named_before_it_exists() -> None:
    """E2: `NamedEvent["Later"]` is resolved once it is asked for."""
    assert Late(id=1, payload=Later(when=3)).payload.when == 3


def test_a_class_may_be_declared_whose_payload_came_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """E2: declaring asks for the payload that was only named, if no event has been made yet."""

    class Unmade(NamedEvent["Tomorrow"], type="unmade"): ...  # type: ignore[name-defined] # comes with the next line

    monkeypatch.setitem(globals(), "Tomorrow", Later)
    nexus = AsyncEventNexus()
    nexus.declare(Unmade)
    assert nexus.catalog["unmade"].payload_type is Later


def test_named_events_of_two_functions_do_not_meet() -> None:
    """E2: defining a class twice, as tests do, leaves nothing behind that would clash."""

    def define() -> type[NamedEvent[Teapot]]:
        class Twice(NamedEvent[Teapot], type=99): ...

        return Twice

    assert define() is not define()


# Keys (E3)

KEYS = st.one_of(
    st.integers(),
    st.text(),
    st.integers().map(str),
    st.sampled_from(['"', '"99"', "+1", " 7 ", "1_000", "٣", "007", "-0", "", "-1", "1.0", "brew", "null"]),
)


@pytest.mark.parametrize(
    "key, text",
    [
        (99, "99"),
        ("99", '"99"'),
        ("brew", "brew"),
        (-1, "-1"),
        ("-1", '"-1"'),
        ("", ""),
        ('"', r'"\""'),
        ('say "hi"', 'say "hi"'),
        ("1.5", "1.5"),
        (Kind.TEAPOT, "99"),
        (Name.TREACLE, "treacle"),
        (OldName.TREACLE, "treacle"),
    ],
    ids=repr,
)
def test_keys_in_text(key: Any, text: str) -> None:
    """E3: a key is written as it reads; JSON where it would read as an integer or begins with a quote."""
    assert format_event_type(key) == text
    assert type(format_event_type(key)) is str


@given(KEYS)
def test_keys_survive_text(key: int | str) -> None:
    """E3: what is written is read as the same key, an integer as an integer and a string as a string."""
    again = parse_event_type(format_event_type(key))
    assert again == key
    assert type(again) is type(key)


@given(KEYS, KEYS)
@example(99, "99")
@example('"99"', "99")
@example("1_0", 10)
@example("٣", 3)
def test_no_two_keys_read_alike(one: int | str, other: int | str) -> None:
    """E3: different keys are written differently."""
    assume(one != other)
    assert format_event_type(one) != format_event_type(other)


@pytest.mark.parametrize("text", ['"', '"brew', '"brew" x', r'"\x"'])
def test_a_broken_quotation(text: str) -> None:
    """E3: text that begins with a quote and is no JSON string is a `ValueError`."""
    with pytest.raises(ValueError, match=r".+"):
        parse_event_type(text)


@given(st.text(alphabet='"\\x ab{}[],:0', max_size=6))
def test_any_text_is_a_key_or_a_value_error(text: str) -> None:
    """E3: reading a key does not fail in another way, and what was read can be written."""
    try:
        key = parse_event_type(text)
    except ValueError:
        assert text.startswith('"')
    else:
        assert parse_event_type(format_event_type(key)) == key


@pytest.mark.parametrize("value", [True, False, 1.0, None, b"x", (), [], {}, Teapot, object()], ids=repr)
def test_what_is_no_key(value: Any) -> None:
    """E3: anything but an integer or a string is a `TypeError` that says what was given; `bool` is no integer."""
    with pytest.raises(TypeError, match=rf"an event type is an int or a str, not .* \({type(value).__name__}\)"):
        check_event_type(value)


@pytest.mark.parametrize(
    "value, key",
    [(99, 99), ("99", "99"), (-1, -1), (Kind.TEAPOT, 99), (Name.TREACLE, "treacle"), (OldName.TREACLE, "treacle")],
    ids=repr,
)
def test_what_is_a_key(value: Any, key: Any) -> None:
    """E3: integers and strings stay what they are, members of enums become their values."""
    assert check_event_type(value) == key
    assert type(check_event_type(value)) is type(key)


def test_enum_members_in_events() -> None:
    """E3: an event whose type is a member of an enum is that of its value."""
    for member in (Kind.TEAPOT, Name.TREACLE, OldName.TREACLE):
        event = Event(1, member, 0, None)
        assert event == Event(1, member.value, 0, None)
        assert type(event.type) in (int, str)


def test_numbers_and_their_text_are_different_keys() -> None:
    """E3: `99` and `"99"` have each their own schema and handlers."""
    nexus = AsyncEventNexus()
    nexus.declare(99, int)
    nexus.declare("99", str)
    nexus.add_handler(99, lambda event: None)
    nexus.add_handler("99", lambda event: None)
    assert (nexus.catalog[99].payload_type, nexus.catalog["99"].payload_type) == (int, str)


def ranges() -> st.SearchStrategy[range]:
    """Make ascending ranges of some keys."""
    return st.builds(
        lambda first, count, step: range(first, first + count * step, step),
        st.integers(-40, 40),
        st.integers(1, 12),
        st.integers(1, 12),
    )


@given(ranges(), ranges())
def test_overlap(one: range, other: range) -> None:
    """D5: two ranges overlap if a key is in both, as sets have it."""
    assert overlap(one, other) is bool(set(one) & set(other))


@given(st.integers(0, 10**30), st.integers(1, 10**9), st.integers(1, 10**9))
def test_overlap_of_ranges_that_are_too_long_to_list(first: int, one: int, other: int) -> None:
    """D5: ranges are compared by arithmetic: those that begin together overlap, however long they are."""
    assert overlap(range(first, first + 10**40, one), range(first, first + 10**40, other))
    assert overlap(range(first, first + 10**40, one), range(first + one * other, first + 10**40, other))


# The factory (E4)


def test_ids_count_from_one() -> None:
    """E4: each factory by itself."""
    factory = EventFactory()
    assert [factory.next_id() for _ in range(3)] == [1, 2, 3]
    assert EventFactory().next_id() == 1


def test_random_ids() -> None:
    """E4: `random_id` draws from 63 bits, so that no two meet in practice and each fits a database's integer."""
    ids = {EventFactory().random_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(0 <= each < 2**63 for each in ids)
    assert max(ids) > 2**60


def test_automatic_ids_are_no_integers() -> None:
    """E4: `AUTO` and `RANDOM` are members of an enum, so that every integer is free to be an id."""
    assert isinstance(EventFactory.AUTO, AutoId)
    assert isinstance(EventFactory.RANDOM, AutoId)
    assert not isinstance(EventFactory.AUTO, int)


def test_created_events_are_numbered() -> None:
    """E4: by default with the next id, else with the one given, or with a random one."""
    factory = EventFactory()
    assert [factory.create_event(pot, event_type=99).id for _ in range(2)] == [1, 2]
    assert factory.create_event(pot, event_type=99, id=-7).id == -7
    assert factory.create_event(pot, event_type=99, id=0).id == 0
    assert factory.create_event(pot, event_type=99, id=EventFactory.RANDOM).id > 2**20
    assert factory.create_event(pot, event_type=99, id=EventFactory.AUTO).id == 3


@pytest.mark.parametrize("key", [99, "brew", Kind.TEAPOT, Name.TREACLE, -1], ids=repr)
def test_creating_an_event_of_a_key(key: Any) -> None:
    """E4: it is a plain event, whose payload is not checked."""
    event = EventFactory().create_event("cold", event_type=key, priority=5)
    assert type(event) is Event
    assert event == Event(1, key, 5, "cold")


def test_creating_an_event_of_a_class() -> None:
    """E4: a named event class makes an instance of itself, and checks it."""
    event = EventFactory().create_event(pot, event_type=TeapotEvent, priority=5)
    assert type(event) is TeapotEvent
    assert event == TeapotEvent(id=1, payload=pot, priority=5)
    with pytest.raises(ValidationError):
        EventFactory().create_event("cold", event_type=TeapotEvent)  # type: ignore[call-overload] # the mistake


@pytest.mark.parametrize("key", [True, 1.5, None, [], Teapot, Event, NamedEvent], ids=repr)
def test_creating_an_event_of_what_is_no_key(key: Any) -> None:
    """E1, E3: a `ValidationError` that points at `type`, as for `Event(…)`."""
    with pytest.raises(ValidationError) as caught:
        EventFactory().create_event(pot, event_type=key)
    assert {each["loc"][0] for each in caught.value.errors()} == {"type"}


@pytest.mark.parametrize("id", ["7", True, None, 1.5], ids=repr)
def test_creating_an_event_of_a_bad_id(id: Any) -> None:
    """E1: `id` is an integer, or one of the two automatic ones."""
    with pytest.raises(ValidationError, match="id"):
        EventFactory().create_event(pot, event_type=99, id=id)


def test_a_nexus_is_a_factory() -> None:
    """E4: it makes events, and counts their ids by itself."""
    nexus = AsyncEventNexus()
    assert isinstance(nexus, EventFactory)
    assert nexus.create_event(pot, event_type=99) == Event(1, 99, 0, pot)
    assert (nexus.AUTO, nexus.RANDOM) == (EventFactory.AUTO, EventFactory.RANDOM)


# What the package knows of event classes


@pytest.mark.parametrize(
    "event_class, payload, key, plain",
    [
        (Event, Any, None, True),
        (Event[Teapot], Teapot, None, True),
        (Stamped, Teapot, None, False),
        (TeapotEvent, Teapot, 99, False),
        (Changed[int], int, "changed", False),
        (NamedEvent, Any, None, False),
        (Late, Later, "late", False),
    ],
)
def test_event_classes_are_known(event_class: Any, payload: Any, key: Any, plain: bool) -> None:
    """C1: an event class tells its payload's type, its key if it has one, and whether it adds anything."""
    assert payload_type(event_class) is payload or event_class in (Event, NamedEvent)
    assert own_key(event_class) == key
    assert is_plain(event_class) is plain


def test_events_are_named_without_their_payload() -> None:
    """Messages show id and type; a payload may be large or secret."""
    assert describe_event(Event(7, "99", 0, "secret")) == 'event 7 of type "99"'
