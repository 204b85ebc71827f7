"""The catalog: what is known of each key, and the validation of events against it."""

import json
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from async_nexus import AsyncEventNexus, Event, InvalidPayload, NamedEvent
from async_nexus.catalog import Catalog
from async_nexus.specs import EventSpec
from async_nexus.testing import run


class Teapot(BaseModel):
    """A vessel for brewing."""

    temp: int


class HotTeapot(Teapot):
    steam: bool = True


class StrictDay(BaseModel):
    model_config = ConfigDict(strict=True)

    day: date


class Parcel(BaseModel):
    payload: Teapot


class Nameless(BaseModel):
    a: int


class Plain:
    """Nothing that pydantic knows."""


class TeapotEvent(NamedEvent[Teapot], type=99):
    """A teapot was seen."""


class LoudTeapotEvent(TeapotEvent, type=99):
    volume: int


class HotTeapotEvent(NamedEvent[HotTeapot], type=99): ...


class Day(NamedEvent[StrictDay], type="day"): ...


class Loose(NamedEvent[Any], type="day"): ...


class Quiet(NamedEvent[Nameless], type="quiet"): ...


def catalog(*classes: Any, **payloads: Any) -> Catalog:
    """Make a catalog of event classes and of payloads by their keys; `_5` stands for 5."""
    nexus = AsyncEventNexus()
    if classes:
        nexus.declare(*classes)
    for key, payload in payloads.items():
        nexus.declare(int(key[1:]) if key.startswith("_") else key, payload)
    return nexus.catalog


def ranged(payload: Any) -> Catalog:
    """Make a catalog in which the keys from 0 to 9 have a payload."""
    nexus = AsyncEventNexus()

    async def handler(event: Any) -> None: ...

    handler.__annotations__["event"] = Event[payload]
    nexus.add_handler((0, 9), handler)
    return nexus.catalog


# What it holds (C3)


def test_a_catalog_is_a_mapping() -> None:
    """C3: from key to `EventSpec`, in the order of claims."""
    known = catalog(TeapotEvent, brew=str, _1=int)
    assert isinstance(known, Mapping)
    assert list(known) == [99, "brew", 1]
    assert len(known) == 3
    assert {key: spec.payload_type for key, spec in known.items()} == {99: Teapot, "brew": str, 1: int}
    assert all(isinstance(spec, EventSpec) and spec.key == key for key, spec in known.items())


@pytest.mark.parametrize("change", ["__setitem__", "__delitem__", "pop", "update", "clear"])
def test_a_catalog_is_read_only(change: str) -> None:
    """C3: claims are made by the nexus, nothing else changes its catalog."""
    assert not hasattr(Catalog, change)


def test_a_nexus_has_one_catalog() -> None:
    """C3: `nexus.catalog` shows later claims as well, and cannot be replaced."""
    nexus = AsyncEventNexus()
    before = nexus.catalog
    nexus.declare(1, int)
    assert list(before) == [1]
    with pytest.raises(AttributeError):
        nexus.catalog = Catalog()  # type: ignore[misc] # read-only


def test_a_spec_of_a_named_event() -> None:
    """C3: a spec has key, payload type, event class, title and description."""
    spec = catalog(TeapotEvent)[99]
    assert (spec.key, spec.payload_type, spec.event_class) == (99, Teapot, TeapotEvent)
    assert (spec.title, spec.description) == ("TeapotEvent", "A teapot was seen.")


def test_a_spec_of_a_payload() -> None:
    """C3: without an event class, title and description are the payload's."""
    spec = catalog(brew=Teapot)["brew"]
    assert (spec.key, spec.payload_type, spec.event_class) == ("brew", Teapot, None)
    assert (spec.title, spec.description) == ("Teapot", "A vessel for brewing.")


@pytest.mark.parametrize(
    "payload, title", [(int, "int"), (list[int], "list[int]"), (int | None, "int | None"), (Nameless, "Nameless")]
)
def test_a_spec_without_a_description(payload: Any, title: str) -> None:
    """C3: nothing is made up from the docstrings of built-ins or of pydantic's base class."""
    spec = catalog(x=payload)["x"]
    assert (spec.title, spec.description) == (title, None)


def test_the_description_falls_back_to_the_payloads() -> None:
    """C3: an event class without a docstring is described by its payload's."""
    assert catalog(HotTeapotEvent)[99].description is None
    assert catalog(Day)["day"].description is None
    silent: Any = type("Silent", (NamedEvent[Teapot],), {"__module__": __name__}, type="silent")
    assert catalog(silent)["silent"].description == "A vessel for brewing."


def test_a_spec_can_be_read() -> None:
    """C3: its `repr` tells key, payload and title."""
    assert repr(catalog(TeapotEvent)[99]) == "EventSpec(key=99, payload_type=Teapot, title='TeapotEvent')"


def test_event_classes_are_keys_too() -> None:
    """C3: the catalog may be indexed by event class, the base of the key's class included."""
    known: Any = catalog(LoudTeapotEvent)
    assert known[LoudTeapotEvent] is known[TeapotEvent] is known[99]
    assert TeapotEvent in known


@pytest.mark.parametrize(
    "key", [98, "99", True, None, (), HotTeapotEvent, Quiet, Event, Event[Teapot], NamedEvent, Teapot, int], ids=repr
)
def test_what_is_not_in_a_catalog(key: Any) -> None:
    """C3: other keys, also `True` where 1 is known, and other classes than the key's are `KeyError`s."""
    known = catalog(TeapotEvent, _1=int)
    assert key not in known
    assert known.get(key) is None
    with pytest.raises(KeyError):
        known[key]


def test_a_class_that_was_not_declared() -> None:
    """C3: a key whose payload alone was declared has no event class to be found by."""
    known: Any = catalog(_99=Teapot)
    assert TeapotEvent not in known


def test_ranges_are_apart() -> None:
    """C3: `catalog.ranges` lists what ranges claim; no key of theirs is in the mapping."""
    known = ranged(Teapot)
    assert [(spec.key, spec.title) for spec in known.ranges] == [(range(10), "Teapot")]
    assert 5 not in known
    assert not hasattr(known.ranges, "append")


def test_ranges_validate_keys_without_a_claim() -> None:
    """C3: a key's own claim comes first, outside of the range nothing holds."""
    nexus = AsyncEventNexus()

    @nexus.on((0, 9))
    async def brew(event: Event[Teapot]) -> None: ...

    nexus.declare(5, str)
    known = nexus.catalog
    assert known.validate(Event(1, 3, 0, {"temp": 90})).payload == Teapot(temp=90)
    assert known.validate(Event(1, 5, 0, "tea")).payload == "tea"
    for free in (10, "3"):
        event = Event(1, free, 0, {"temp": 90})
        assert known.validate(event) is event


# Validation (V1)

PAYLOADS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.one_of(st.integers(), st.text(), st.floats(), st.booleans(), st.none())),
    (Annotated[int, Field(gt=0)], st.integers()),
    (str | None, st.one_of(st.text(), st.none(), st.binary(), st.integers())),
    (Literal["a", 1], st.sampled_from(["a", 1, "1", True, None])),
    (list[int], st.one_of(st.lists(st.one_of(st.integers(), st.text())), st.tuples(st.integers()), st.none())),
    (dict[str, float], st.dictionaries(st.one_of(st.text(), st.integers()), st.one_of(st.floats(), st.text()))),
    (tuple[int, ...], st.lists(st.one_of(st.integers(), st.none()))),
    (date, st.one_of(st.dates(), st.datetimes(), st.text(), st.integers(0, 10**6))),
    (Teapot, st.fixed_dictionaries({"temp": st.one_of(st.integers(), st.text())}) | st.builds(Teapot)),
    (HotTeapot, st.builds(Teapot) | st.builds(HotTeapot) | st.dictionaries(st.text(), st.integers())),
    (StrictDay, st.fixed_dictionaries({"day": st.one_of(st.dates(), st.just("2024-02-29"))})),
    (Any, st.one_of(st.integers(), st.text(), st.none())),
]


def outcome(validate: Callable[[], object]) -> tuple[str, str]:
    """Tell what becomes of a payload: itself, or what is wrong with it."""
    try:
        return "valid", repr(validate())
    except InvalidPayload as error:
        return "invalid", repr(error.errors())
    except ValidationError as error:
        return "invalid", repr(error.errors(include_url=False))


@given(st.sampled_from(PAYLOADS).flatmap(lambda case: st.tuples(st.just(case[0]), case[1])))
def test_payloads_are_validated_by_pydantics_rules(case: tuple[Any, Any]) -> None:
    """V1: what the payload becomes, and what is wrong with it, is what pydantic's `TypeAdapter` says."""
    payload_type, raw = case
    known = catalog(x=payload_type)
    expected = outcome(lambda: TypeAdapter(payload_type).validate_python(raw))
    assert outcome(lambda: known.validate(Event(1, "x", 0, raw)).payload) == expected
    assert outcome(lambda: known.create("x", raw, 1, 0).payload) == expected


@given(st.integers() | st.text(), st.integers() | st.text(), st.integers() | st.none())
def test_events_made_by_key_are_those_that_are_ingested(key: int | str, other: int | str, payload: Any) -> None:
    """T7: `emit` validates as `ingest` does, in one pass."""
    nexus = AsyncEventNexus()
    nexus.declare(key, int)
    for each in (key, other):
        expected = outcome(partial(nexus.catalog.validate, Event(1, each, 2, payload)))
        assert outcome(partial(nexus.catalog.create, each, payload, 1, 2)) == expected


@pytest.mark.parametrize(
    "payload_type, payload",
    [(int, 3), (Teapot, Teapot(temp=90)), (Teapot, HotTeapot(temp=90)), (Any, {}), (Plain, Plain()), (str, "tea")],
)
def test_an_event_that_fits_is_the_same_event(payload_type: Any, payload: Any) -> None:
    """V1: models stay models and are not copied; where nothing changes, no event is made."""
    event = Event(1, "x", 0, payload)
    validated = catalog(x=payload_type).validate(event)
    assert validated is event
    assert validated.payload is payload


def test_an_unknown_key_is_not_validated() -> None:
    """V1: where nothing was said of a key, any payload fits."""
    event = Event(1, "x", 0, object())
    assert catalog(y=int).validate(event) is event


def test_the_callers_event_is_not_altered() -> None:
    """V1: a new event is made where the payload changes, all else is as it was."""
    raw = {"temp": 90}
    event = Event(7, "x", 5, raw)
    validated = catalog(x=Teapot).validate(event)
    assert event.payload is raw
    assert raw == {"temp": 90}
    assert (validated.id, validated.type, validated.priority, validated.payload) == (7, "x", 5, Teapot(temp=90))


@pytest.mark.parametrize("payload", [{"temp": 90}, Teapot(temp=90)])
def test_named_keys_get_named_events(payload: Any) -> None:
    """V1: where the key has a named event class, the handler gets an instance of it."""
    validated = catalog(TeapotEvent).validate(Event(7, 99, 5, payload))
    assert type(validated) is TeapotEvent
    assert (validated.id, validated.priority, validated.payload) == (7, 5, Teapot(temp=90))


def test_an_instance_of_the_class_is_not_made_anew() -> None:
    """V1: nor is one of a subclass."""
    known = catalog(TeapotEvent)
    for event in (TeapotEvent(id=1, payload=Teapot(temp=90)), LoudTeapotEvent(id=1, payload=Teapot(temp=9), volume=3)):
        assert known.validate(event) is event


def test_another_class_of_the_key_becomes_the_keys() -> None:
    """V1: an event of a class beside the key's becomes an instance of the key's class."""
    payload = HotTeapot(temp=90)
    validated = catalog(TeapotEvent).validate(HotTeapotEvent(id=1, payload=payload))
    assert type(validated) is TeapotEvent
    assert validated.payload is payload


def test_a_declaration_narrows_its_classs_payload() -> None:
    """C2, V1: the payload is as declared, in an event of the class."""
    known = catalog(Loose, day=StrictDay)
    validated = known.validate(Loose(id=1, payload={"day": date(2024, 2, 29)}))
    assert type(validated) is Loose
    assert validated.payload == StrictDay(day=date(2024, 2, 29))
    with pytest.raises(InvalidPayload):
        known.validate(Loose(id=1, payload={"day": "2024-02-29"}))


def test_the_payloads_own_validators_run_once() -> None:
    """V1: each payload is validated in one pass, also where an event class is made."""
    seen: list[int] = []

    class Counted(BaseModel):
        temp: int

        @field_validator("temp")
        @classmethod
        def see(cls, value: int) -> int:
            seen.append(value)
            return value

    class CountedEvent(NamedEvent[Counted], type="counted"): ...

    catalog(CountedEvent).validate(Event(1, "counted", 0, {"temp": 1}))
    catalog(CountedEvent).create("counted", {"temp": 2}, 1, 0)
    catalog(x=Counted).create("x", {"temp": 3}, 1, 0)
    assert seen == [1, 2, 3]


class Csv(NamedEvent[Annotated[list[str], BeforeValidator(lambda text: text.split(","))]], type="csv"): ...


class Plus(NamedEvent[Annotated[int, AfterValidator(lambda number: number + 1)]], type="plus"): ...


class Quoted(NamedEvent[Json[list[int]]], type="quoted"): ...


@pytest.mark.parametrize(
    "event_class, raw, expected", [(Csv, "a,b", ["a", "b"]), (Plus, 1, 2), (Quoted, "[1]", [1])], ids=repr
)
def test_a_named_events_payload_is_validated_in_one_pass(event_class: Any, raw: Any, expected: Any) -> None:
    """V1, T7: what its validators make of it is not given to them again."""
    known = catalog(event_class)
    key = event_class.event_type
    assert known.validate(Event(1, key, 0, raw)) == event_class(id=1, payload=raw)
    assert known.create(key, raw, 1, 0).payload == known.create(event_class, raw, 1, 0).payload == expected


class Exact(NamedEvent[int], type="exact"):
    model_config = ConfigDict(strict=True)


class Poured(NamedEvent[Teapot], type="poured"):
    @field_validator("payload", mode="before")
    @classmethod
    def of_a_number(cls, given: Any) -> Any:
        """Take a temperature for a teapot."""
        return {"temp": given} if isinstance(given, int) else given


def test_what_a_class_says_of_its_payload_counts_at_ingest() -> None:
    """V1: strictness and validators of the event class hold as where one of it is made."""
    known = catalog(Exact, Poured)
    with pytest.raises(InvalidPayload, match="valid integer"):
        known.validate(Event(1, "exact", 0, "5"))
    assert known.validate(Event(1, "poured", 0, 90)) == Poured(id=1, payload=Teapot(temp=90))


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"


class Pet(NamedEvent[Annotated[Cat | Dog, Field(discriminator="kind")]], type="pet"): ...


@pytest.mark.parametrize("how", ["class", "annotation"])
def test_a_discriminator_is_kept(how: str) -> None:
    """V1: what tells a union's members apart is a constraint like others, written in a class or an annotation."""
    nexus = AsyncEventNexus()
    if how == "class":
        nexus.declare(Pet)
    else:

        @nexus.on("pet")
        async def greet(event: Event[Annotated[Cat | Dog, Field(discriminator="kind")]]) -> None: ...

    with pytest.raises(InvalidPayload, match="Unable to extract tag"):
        nexus.catalog.validate(Event(1, "pet", 0, {}))
    assert nexus.catalog.validate(Event(1, "pet", 0, {"kind": "dog"})).payload == Dog()


def test_any_class_may_be_a_payload() -> None:
    """V1: what pydantic does not know is checked by `isinstance`."""
    known = catalog(x=Plain)
    with pytest.raises(InvalidPayload, match="instance of Plain"):
        known.validate(Event(1, "x", 0, "tea"))


@pytest.mark.parametrize(
    "payload",
    [Annotated[list[int], Field(max_length=1)], Annotated[list[int], {"un": "hashable"}]],
    ids=["length", "unhashable"],
)
def test_constraints_hold(payload: Any) -> None:
    """V1: the constraints of an `Annotated` payload are pydantic's, also where they cannot be hashed."""
    known = catalog(x=payload)
    assert known.create("x", ["1"], 1, 0).payload == [1]
    with pytest.raises(InvalidPayload):
        known.create("x", ["tea"], 1, 0)


def test_what_pydantic_cannot_compile() -> None:
    """C1: a payload type that pydantic refuses is refused with pydantic's own error, and nothing is claimed."""
    nexus = AsyncEventNexus()
    with pytest.raises(PydanticUserError, match="kind"):
        nexus.declare(1, Annotated[Teapot | Nameless, Field(discriminator="kind")])
    assert dict(nexus.catalog) == {}


@pytest.mark.parametrize("given", [None, 99, {"type": 99}, Teapot(temp=90)])
def test_only_events_are_validated(given: Any) -> None:
    """V1: anything else is a `TypeError` that shows what was given."""
    with pytest.raises(TypeError, match="an Event is expected, not"):
        catalog().validate(given)


# Invalid payloads (V2)


def ingested(known: Catalog, key: int | str, payload: Any) -> InvalidPayload:
    """Return the error of a payload that fails, when it is validated and when an event is made of it."""
    event = Event(7, key, 5, payload)
    with pytest.raises(InvalidPayload) as first:
        known.validate(event)
    assert first.value.event is event
    with pytest.raises(InvalidPayload) as second:
        known.create(key, payload, 7, 5)
    assert second.value.event == event
    assert str(first.value) == str(second.value)
    assert repr(first.value.errors()) == repr(second.value.errors())
    assert first.value.__cause__ is None
    return first.value


@pytest.mark.parametrize("known", [catalog(_99=Teapot), catalog(TeapotEvent)], ids=["payload", "class"])
def test_a_bad_payload(known: Catalog) -> None:
    """V2: the text names the event's id and type, the schema and each bad field."""
    error = ingested(known, 99, {"temp": "hot"})
    assert str(error).startswith(f"event 7 of type 99: its payload is no {known[99].title}: temp: Input should be")
    assert [(each["loc"], each["type"]) for each in error.errors()] == [(("temp",), "int_parsing")]


def test_a_bad_payload_of_a_range() -> None:
    """V2: keys in a range are validated and named alike."""
    assert str(ingested(ranged(Teapot), 5, {})).startswith("event 7 of type 5: its payload is no Teapot: temp: Field")


def test_loc_is_relative_to_the_payload() -> None:
    """V2: also where the payload itself has a field called `payload`."""
    (error,) = ingested(catalog(x=Parcel), "x", {"payload": {"temp": "hot"}}).errors()
    assert error["loc"] == ("payload", "temp")


def test_loc_of_a_class_that_says_no() -> None:
    """V2: what the event class finds wrong with a payload that fits the declaration is relative as well."""

    class Cold(NamedEvent[Annotated[Teapot, Field()]], type="cold"):
        @field_validator("payload")
        @classmethod
        def is_cold(cls, payload: Teapot) -> Teapot:
            if payload.temp > 10:
                raise ValueError("too hot")
            return payload

    error = ingested(catalog(Cold), "cold", {"temp": 90})
    assert error.errors()[0]["loc"] == ()
    assert "payload: Value error, too hot" in str(error)


def test_what_a_class_needs_besides_its_payload() -> None:
    """V2: an event that lacks a field of its key's class cannot become one: the field is named."""
    (error,) = ingested(catalog(LoudTeapotEvent), 99, Teapot(temp=90)).errors()
    assert (error["loc"], error["type"]) == (("volume",), "missing")


def test_nothing_runs_for_a_bad_payload() -> None:
    """V2: filters and handlers do not see the event, and the nexus goes on."""

    async def main() -> list[Any]:
        nexus = AsyncEventNexus()
        seen: list[Any] = []
        nexus.declare(99, Teapot)

        @nexus.filter
        def see(event: Event) -> bool:
            seen.append("filter")
            return False

        nexus.add_handler(99, lambda event: seen.append(event.payload.temp))
        async with nexus:
            nexus.start()
            with pytest.raises(InvalidPayload):
                await nexus.ingest(Event(1, 99, 0, "cold"))
            with pytest.raises(InvalidPayload):
                await nexus.emit(99, "cold")
            await nexus.emit(99, {"temp": 90})
        return seen

    assert run(main()) == ["filter", 90]


# Making events (T7)


def test_creating_by_class() -> None:
    """T7: a named event class makes its event, declared or not."""
    for known in (catalog(), catalog(TeapotEvent), catalog(_99=Teapot)):
        event = known.create(TeapotEvent, Teapot(temp=90), 1, 2)
        assert event == TeapotEvent(id=1, payload=Teapot(temp=90), priority=2)


def test_creating_by_the_base_of_the_keys_class() -> None:
    """T7: the event is of the key's own class, which here adds a default."""

    class Sweet(TeapotEvent, type=99):
        lumps: int = 2

    assert type(catalog(Sweet).create(TeapotEvent, {"temp": 90}, 1, 0)) is Sweet


@pytest.mark.parametrize("known", [catalog(), catalog(TeapotEvent), catalog(_99=Teapot)], ids=["none", "class", "type"])
def test_a_bad_payload_by_class(known: Catalog) -> None:
    """T7: it is `InvalidPayload`, whatever was declared."""
    with pytest.raises(InvalidPayload, match="event 7 of type 99: its payload is no TeapotEvent: temp: ") as caught:
        known.create(TeapotEvent, {"temp": "hot"}, 7, 0)
    assert caught.value.event.payload == {"temp": "hot"}


def test_a_declaration_is_checked_by_class_as_well() -> None:
    """T7: what the class accepts is validated against what its key is declared as."""
    with pytest.raises(InvalidPayload):
        catalog(day=StrictDay).create(Loose, {"day": "2024-02-29"}, 1, 0)


@pytest.mark.parametrize("known", [catalog(), catalog(TeapotEvent), catalog(_99=Teapot)], ids=["none", "class", "type"])
@pytest.mark.parametrize("event_type", [99, TeapotEvent], ids=["key", "class"])
@pytest.mark.parametrize("id, priority", [("7", 0), (True, 0), (7, 1.5), (None, None)], ids=repr)
def test_a_bad_envelope(known: Catalog, event_type: Any, id: Any, priority: Any) -> None:
    """T7: it is pydantic's `ValidationError`, as for `Event(…)`, though the payload fits."""
    with pytest.raises(ValidationError):
        known.create(event_type, Teapot(temp=90), id, priority)


@pytest.mark.parametrize("event_type", [True, 1.0, None, [], {}], ids=repr)
def test_what_is_no_key(event_type: Any) -> None:
    """E3: `True` is no key, though 1 is known; what cannot be hashed is none either."""
    with pytest.raises(ValidationError, match=r"type\.int"):
        catalog(_1=int).create(event_type, 3, 1, 0)


@pytest.mark.parametrize("event_type", [int, Teapot, Event, NamedEvent, Event[Teapot]])
def test_what_is_no_named_event_class(event_type: Any) -> None:
    """E2: a class without a key is a `TypeError` that says what is expected."""
    with pytest.raises(TypeError, match=r"an event type is an int, a str or a subclass of NamedEvent"):
        catalog().create(event_type, 3, 1, 0)


def test_an_envelope_is_checked_before_the_payload() -> None:
    """T7: where both are wrong, the caller's own mistake is told."""
    with pytest.raises(ValidationError) as caught:
        catalog().create(TeapotEvent, "cold", "x", 0)  # type: ignore[arg-type] # the mistake
    assert not isinstance(caught.value, InvalidPayload)


# JSON (V4)


def as_json(**values: Any) -> str:
    """Write the JSON of an event, which differs from a common one in some fields."""
    return json.dumps({"id": 7, "type": 99, "priority": 5, "payload": {"temp": 90}, **values})


@pytest.mark.parametrize(
    "convert", [str, str.encode, lambda text: bytearray(text.encode())], ids=["str", "bytes", "array"]
)
def test_json_becomes_an_event(convert: Any) -> None:
    """V4: of a whole event, in any of the forms that JSON comes in."""
    event = catalog(TeapotEvent).parse_json(convert(as_json()))
    assert type(event) is TeapotEvent
    assert event == TeapotEvent(id=7, payload=Teapot(temp=90), priority=5)


@pytest.mark.parametrize("known", [catalog(_99=Teapot), catalog(_99=Any), catalog()], ids=["model", "any", "unknown"])
def test_json_of_plain_keys(known: Catalog) -> None:
    """V4: the payload is what the key's is; where nothing is known, what JSON says."""
    event = known.parse_json(as_json())
    assert isinstance(event, Event)
    assert event.payload == (Teapot(temp=90) if known.get(99) and known[99].payload_type is Teapot else {"temp": 90})


def test_json_of_a_key_in_a_range() -> None:
    """V4: what a range claims holds for JSON too."""
    assert ranged(Teapot).parse_json(as_json(type=5)).payload == Teapot(temp=90)


def test_keys_in_json_are_told_apart() -> None:
    """E3: `"99"` is another key than `99`."""
    event = catalog(TeapotEvent).parse_json(as_json(type="99"))
    assert (event.type, event.payload) == ("99", {"temp": 90})


def test_booleans_are_no_keys_in_json() -> None:
    """E3: `true` is not 1, though it equals it."""

    class One(NamedEvent[int], type=1): ...

    with pytest.raises(ValidationError, match=r"type\.int"):
        catalog(One).parse_json(as_json(type=True, payload=3))


@pytest.mark.parametrize(
    "known, event_class",
    [
        (catalog(Day), None),
        (catalog(Day), Day),
        (catalog(), Day),
        (catalog(day=StrictDay), None),
        (catalog(Loose, day=StrictDay), None),
        (catalog(Loose, day=StrictDay), Loose),
        (catalog(day=StrictDay), Event),
    ],
)
def test_json_is_read_by_pydantics_json_rules(known: Catalog, event_class: Any) -> None:
    """V4: a strict model takes the text of a date from JSON, wherever it was said that it is the payload."""
    data = as_json(type="day", payload={"day": "2024-02-29"})
    assert known.parse_json(data, event_class).payload == StrictDay(day=date(2024, 2, 29))


def test_json_rules_are_no_laxer() -> None:
    """V4: a strict model refuses from JSON what it refuses there anyway."""
    with pytest.raises(InvalidPayload):
        catalog(Loose, day=StrictDay).parse_json(as_json(type="day", payload={"day": 20}))


def test_a_declaration_narrower_than_its_class() -> None:
    """V4, C2: JSON becomes an event of the class, with the payload that was declared and its other fields."""
    known = catalog(LoudTeapotEvent, _99=HotTeapot)
    event = known.parse_json(as_json(volume=3, payload={"temp": 90, "steam": False}))
    assert event == LoudTeapotEvent(id=7, priority=5, volume=3, payload=HotTeapot(temp=90, steam=False))
    with pytest.raises(InvalidPayload, match="steam: "):
        known.parse_json(as_json(volume=3, payload={"temp": 90, "steam": "?"}))


@pytest.mark.parametrize("known", [catalog(), catalog(TeapotEvent), catalog(_99=Teapot)], ids=["none", "class", "type"])
def test_json_by_class(known: Catalog) -> None:
    """V4: with a class the result is of that class, and `type` and `priority` may be left out."""
    event = known.parse_json('{"id": 7, "payload": {"temp": 90}}', TeapotEvent)
    assert type(event) is TeapotEvent
    assert event == TeapotEvent(id=7, payload=Teapot(temp=90))


def test_json_by_the_base_of_the_keys_class() -> None:
    """V4: the event is of the key's class, which is one of those asked for."""
    known = catalog(LoudTeapotEvent)
    assert type(known.parse_json(as_json(volume=3), TeapotEvent)) is LoudTeapotEvent
    assert type(known.parse_json(as_json(volume=3), Event)) is LoudTeapotEvent


def test_json_by_a_class_beside_the_keys() -> None:
    """V4: the result is of the class that was asked for, and its payload still fits the catalog."""
    event = catalog(TeapotEvent).parse_json(as_json(), HotTeapotEvent)
    assert event == HotTeapotEvent(id=7, priority=5, payload=HotTeapot(temp=90))
    with pytest.raises(InvalidPayload):
        catalog(_99=Nameless).parse_json(as_json(), HotTeapotEvent)


def test_json_by_a_class_without_a_key() -> None:
    """V4: `Event[Teapot]` says what the payload is; that of the key still holds."""
    event = catalog(brew=Teapot).parse_json(as_json(type="brew"), Event[Teapot])
    assert event.payload == Teapot(temp=90)
    with pytest.raises(InvalidPayload):
        catalog(brew=Nameless).parse_json(as_json(type="brew"), Event[Teapot])


@pytest.mark.parametrize("event_class", [Event[Any], NamedEvent, NamedEvent[Any]], ids=repr)
def test_json_by_a_class_of_any_payload(event_class: Any) -> None:
    """V4: the payload is what the key's claim makes of it."""
    event = catalog(_5=Teapot).parse_json('{"id": 1, "type": 5, "priority": 0, "payload": {"temp": "90"}}', event_class)
    assert (isinstance(event, event_class), event.payload) == (True, Teapot(temp=90))


def test_json_by_a_class_that_contradicts_a_declaration() -> None:
    """V4: the message names the schema that the payload is not; what the class may leave out it may leave out."""
    known = catalog(plus=Teapot)
    for payload, schema in (("{}", "Plus"), ("3", "Teapot")):
        with pytest.raises(InvalidPayload, match=f"its payload is no {schema}: "):
            known.parse_json(f'{{"id": 1, "payload": {payload}}}', Plus)


def test_json_by_what_is_no_event_class() -> None:
    """V4: a `TypeError` that says what is expected."""
    with pytest.raises(TypeError, match="an event class is expected"):
        catalog().parse_json("{}", int)  # type: ignore[type-var] # pyright: ignore[reportArgumentType] # on purpose


def test_json_of_half_a_character() -> None:
    """V4: text that cannot be encoded is broken JSON, and a `ValidationError`."""
    with pytest.raises(ValidationError, match="unable to parse"):
        catalog().parse_json('{"id": 1, "type": 5, "priority": 0, "payload": "\ud800"}')


@pytest.mark.parametrize("known", [catalog(), catalog(TeapotEvent), catalog(_98=Teapot)], ids=["none", "class", "type"])
def test_json_of_another_type_than_the_classs(known: Catalog) -> None:
    """V4: that is a `ValidationError`, also where the payload does not fit either."""
    for payload in ({"temp": 90}, "cold"):
        with pytest.raises(ValidationError) as caught:
            known.parse_json(as_json(type=98, payload=payload), TeapotEvent)
        assert ("type",) in [each["loc"] for each in caught.value.errors()]


def test_unknown_envelope_fields_are_ignored() -> None:
    """V4: whoever sends more than an event is no less understood."""
    for known in (catalog(), catalog(TeapotEvent), catalog(_99=Teapot)):
        event = known.parse_json(as_json(source="kitchen", event_type=3))
        assert event.model_dump().keys() == {"id", "type", "priority", "payload"}


@pytest.mark.parametrize(
    "known, event_class",
    [(catalog(TeapotEvent), None), (catalog(_99=Teapot), None), (catalog(), TeapotEvent), (catalog(), Event[Teapot])],
)
def test_a_bad_payload_in_json(known: Catalog, event_class: Any) -> None:
    """V2, V4: `InvalidPayload`, with the event as it was given."""
    with pytest.raises(InvalidPayload, match=r"event 7 of type 99: its payload is no .*: temp: Input") as caught:
        known.parse_json(as_json(payload={"temp": "hot"}), event_class)
    assert caught.value.event == Event(7, 99, 5, {"temp": "hot"})
    assert caught.value.errors()[0]["loc"] == ("temp",)


def test_a_bad_payload_in_json_that_leaves_out_what_it_may() -> None:
    """V4: type and priority are then the class's own."""
    with pytest.raises(InvalidPayload) as caught:
        catalog().parse_json('{"id": 7, "payload": 3}', TeapotEvent)
    assert caught.value.event == Event(7, 99, 0, 3)


@pytest.mark.parametrize("known", [catalog(), catalog(TeapotEvent), catalog(_99=Teapot)], ids=["none", "class", "type"])
@pytest.mark.parametrize("event_class", [None, TeapotEvent], ids=["any", "by class"])
@pytest.mark.parametrize(
    "data",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        b"\xff",
        "{}",
        '{"id": 7, "type": 99, "priority": 0}',
        '{"type": 99, "priority": 0, "payload": {"temp": 90}}',
        as_json(id="7"),
        as_json(id=True),
        as_json(id=7.5),
        as_json(priority="high"),
        as_json(priority=None),
        as_json(type=None),
        as_json(type=[99]),
        as_json(type={}),
        as_json(id="7", payload="cold"),
        as_json(priority="high", payload="cold"),
    ],
    ids=str,
)
def test_a_bad_envelope_in_json(known: Catalog, event_class: Any, data: Any) -> None:
    """V4: broken JSON, and an envelope that does not fit, are pydantic's `ValidationError`."""
    with pytest.raises(ValidationError):
        known.parse_json(data, event_class)


def test_a_field_of_the_class_is_envelope() -> None:
    """V4: what is wrong with a field beside the payload is a `ValidationError`."""
    with pytest.raises(ValidationError) as caught:
        catalog(LoudTeapotEvent).parse_json(as_json(volume="high"))
    assert caught.value.errors()[0]["loc"] == ("volume",)


@given(st.integers(), st.integers() | st.text(), st.integers(), st.integers(), st.booleans())
def test_events_survive_json(id: int, key: int | str, priority: int, temp: int, declared: bool) -> None:
    """V4: what `model_dump_json` writes, `parse_json` reads."""
    nexus = AsyncEventNexus()
    if declared:
        nexus.declare(key, Teapot)
    event = Event(id, key, priority, Teapot(temp=temp))
    again = nexus.catalog.parse_json(event.model_dump_json())
    assert (again.id, again.type, again.priority) == (id, key, priority)
    assert again.payload == (Teapot(temp=temp) if declared else {"temp": temp})
