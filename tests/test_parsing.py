"""JSON in one pass: it finds what parsing it exactly finds, whatever the catalog and the JSON (V4)."""

import json
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator
from typing_extensions import TypedDict

from async_nexus import AsyncEventNexus, Event, InvalidPayload, NamedEvent
from async_nexus.catalog import Catalog
from async_nexus.events import assemble_fields
from async_nexus.parsing import FEW, EventParser, parse_exactly

LARGE = 2**63


class Teapot(BaseModel):
    temp: int


class HotTeapot(Teapot):
    steam: bool = True


class StrictDay(BaseModel):
    model_config = ConfigDict(strict=True)

    day: date


class Tree(BaseModel):
    kids: list["Tree"] = []


class One(NamedEvent[int], type=1): ...


class Zero(NamedEvent[StrictDay], type=0): ...


class TeapotEvent(NamedEvent[Teapot], type=99): ...


class LoudTeapotEvent(TeapotEvent, type=99):
    volume: int


class HotTeapotEvent(NamedEvent[HotTeapot], type=99): ...


class Text(NamedEvent[Tree], type="99"): ...


class Large(NamedEvent[Tree], type=LARGE): ...


class Capital(NamedEvent[int], type="capital"):
    model_config = ConfigDict(alias_generator=str.upper)


class Stern(NamedEvent[Any], type="stern"):
    @model_validator(mode="after")
    def refuse_text(self) -> "Stern":
        if isinstance(self.payload, str):
            raise ValueError("no text")
        return self


class Node(TypedDict):
    """Lax or strict, as what it is in."""

    number: int
    nodes: list["Node"]


class LaxNode(NamedEvent[Node], type="lax"):
    """Its validator has pydantic compile it anew as a part of something else."""

    @model_validator(mode="after")
    def accept(self) -> "LaxNode":
        return self


class StrictNode(NamedEvent[Node], type="strict"):
    model_config = ConfigDict(strict=True)

    @model_validator(mode="after")
    def accept(self) -> "StrictNode":
        return self


# For each key what may be said of it, in order; the first says nothing.
CLAIMS: dict[int | str, list[list[Any]]] = {
    1: [[], [One], [(1, int)], [One, (1, bool)]],
    0: [[], [Zero], [(0, StrictDay)]],
    99: [
        [],
        [TeapotEvent],
        [LoudTeapotEvent],
        [TeapotEvent, LoudTeapotEvent],
        [(99, Teapot)],
        [TeapotEvent, (99, HotTeapot)],
    ],
    "99": [[], [Text], [("99", Tree)]],
    -1: [[], [(-1, Tree)], [(-1, JsonValue)]],
    LARGE: [[], [Large], [(LARGE, int)]],
    "capital": [[], [Capital]],
    "stern": [[], [Stern]],
    "": [[], [("", Annotated[int, Field(gt=2)])]],
}
CLASSES = [None, Event, Event[Teapot], One, TeapotEvent, LoudTeapotEvent, HotTeapotEvent, Text, Capital]
RANGES: list[Any] = [None, int, Teapot]


def catalog(*claims: Any, ranged: Any = None) -> Catalog:
    """Make a catalog of event classes, of keys with payloads, and of one payload for the keys from 0 to 9."""
    nexus = AsyncEventNexus()

    async def handler(event: Any) -> None: ...

    if ranged is not None:
        handler.__annotations__["event"] = Event[ranged]
        nexus.add_handler((0, 9), handler)
    for claim in claims:
        if isinstance(claim, tuple):
            nexus.declare(*claim)
        else:
            nexus.declare(claim)
    return nexus.catalog


def as_json(**values: Any) -> str:
    """Write the JSON of an event, which differs from a common one in some fields."""
    return json.dumps({"id": 7, "type": 99, "priority": 5, "payload": {"temp": 90}, **values})


def outcome(parse: Callable[[], Event[Any]]) -> object:
    """What came of parsing: the event with its class and the types of its values, or the error with what it says."""
    try:
        event = parse()
    except (InvalidPayload, ValidationError) as error:
        raised = repr(getattr(error, "event", None))
        return type(error), str(error), repr(error.errors()), raised, type(error.__context__)
    except TypeError as error:
        return type(error), str(error)
    return type(event), repr(event), event.model_fields_set


# What comes of it


catalogs = st.builds(
    lambda claims, ranged: catalog(*(each for key in claims for each in key), ranged=ranged),
    st.tuples(*map(st.sampled_from, CLAIMS.values())),
    st.sampled_from(RANGES),
)
ABSENT = "absent"
# Ways to write a key, and what merely looks like it; payloads that may fit it, and some that do not.
KINDS: list[tuple[list[str], list[str]]] = [
    (["1", "true", "1.0", '"1"', "[1]"], ["3", "true", "3.0", '"x"']),
    (["0", "false", "-0", "0.0", "-0.0"], ['{"day": "2024-02-29"}', '{"day": 20}', "3", '{"temp": 90}']),
    (["99", "99.0", "9.9e1"], ['{"temp": 90}', '{"temp": "90", "steam": false}', '{"temp": 90, "steam": "?"}', "{}"]),
    (['"99"', '"\\u0039\\u0039"'], ['{"kids": [{"kids": [{}]}]}', '{"kids": [{"kids": 3}]}']),
    (["-1", "-1.0"], ['{"kids": []}', "null", "NaN"]),
    ([str(LARGE), f"{LARGE}.0"], ["3", '{"kids": []}']),
    (['"capital"'], ["3", "true"]),
    (['"stern"'], ["3", '"text"', "1e400"]),
    (['""'], ["3", "1"]),
    (["5", '"x"', "null", "{}", ABSENT], ["3", '{"temp": 90}', '{"temp": 90, "temp": ""}']),
]
FIELDS: dict[str, list[str]] = {
    "id": ["7", "7.0", "true", '"7"', "null", ABSENT, str(LARGE)],
    "priority": ["0", "-3", "0.0", "false", "null", ABSENT],
    "type": [ABSENT, "98", "true", '"99"'],
    "payload": [ABSENT, "3", "null", '{"temp": "hot"}'],
    "volume": ["3", ABSENT, '"high"'],
    "ID": [ABSENT, "7"],
    "TYPE": [ABSENT, '"capital"', "99"],
    "PAYLOAD": [ABSENT, "3"],
    "PRIORITY": [ABSENT, "0"],
    "source": [ABSENT, '"kitchen"'],
}
FLAWS = st.lists(st.sampled_from([(name, value) for name, values in FIELDS.items() for value in values]), max_size=2)


@st.composite
def objects(draw: st.DrawFn) -> str:
    """Draw the JSON of something like an event, often a right one, or with wrong, missing or repeated fields."""
    types, payloads = draw(st.sampled_from(KINDS))
    right = {name: values[0] for name, values in FIELDS.items()}
    right |= {"type": draw(st.sampled_from(types)), "payload": draw(st.sampled_from(payloads))}
    flaws = draw(FLAWS)
    pairs = [*right.items(), *flaws] if draw(st.booleans()) else list({**right, **dict(flaws)}.items())
    if draw(st.booleans()):
        pairs = draw(st.permutations(pairs))
    return "{" + ", ".join(f'"{name}": {value}' for name, value in pairs if value != ABSENT) + "}"


@st.composite
def broken(draw: st.DrawFn) -> str | bytes:
    """Draw JSON that something has happened to."""
    text = draw(objects())
    place = draw(st.integers(0, len(text)))
    head, rest = text[:place], text[place:]
    junk = draw(st.binary(max_size=2))
    whole: list[str | bytes] = [head, rest, f"{head}\ud800{rest}", f"[{text}]", f" {text}\n", text + text]
    return draw(st.sampled_from([*whole, head.encode() + junk + rest.encode()]))


def encoded(text: str | bytes) -> st.SearchStrategy[Any]:
    """Draw a form that JSON may come in."""
    if isinstance(text, bytes) or "\ud800" in text:
        return st.just(text)
    return st.sampled_from([text, text.encode(), bytearray(text.encode())])


COMMON = [
    f'{{"id": 7, "priority": 0, "type": {written}, "payload": {payload}, "volume": 3}}'
    for types, payloads in KINDS
    for written in types
    for payload in payloads
]


@settings(deadline=None, max_examples=200)  # pydantic compiles for each example
@given(catalogs, st.lists(st.tuples(objects().flatmap(encoded) | broken().flatmap(encoded), st.sampled_from(CLASSES))))
def test_it_is_what_comes_of_parsing_exactly(known: Catalog, events: list[tuple[Any, Any]]) -> None:
    """V4: event or error, the first time and when every key has been met."""
    for data, event_class in [*events, *((common, None) for common in COMMON), *events]:
        expected = outcome(lambda: parse_exactly(known.find, data, event_class))  # noqa: B023 # called at once
        assert outcome(lambda: known.parse_json(data, event_class)) == expected  # noqa: B023 # called at once


@pytest.mark.parametrize("data", [3, None, memoryview(b"{}")], ids=repr)
def test_what_is_no_json_stays_a_type_error(data: Any) -> None:
    """V4: whether or not something has been learned."""
    known = catalog(TeapotEvent)
    for _ in range(2):
        with pytest.raises(TypeError, match="Expected bytes, bytearray or str"):
            known.parse_json(data)
        known.parse_json(as_json())


# What is learned


def quick(parser: EventParser, data: str, event_class: type[Event[Any]] | None = None) -> Event[Any] | None:
    """Parse in one pass, if that is possible."""
    try:
        if event_class is not None and event_class is not Event:
            return parser.classes[event_class](data)
        read = parser.read(data)
        return assemble_fields(read) if isinstance(read, dict) else read
    except (KeyError, ValidationError):
        return None


@pytest.mark.parametrize(
    "known, key",
    [
        (catalog(TeapotEvent), 99),
        (catalog((99, Teapot)), 99),
        (catalog(("x", Tree)), "x"),
        (catalog(ranged=Teapot), 5),
        (catalog(), 5),
        (catalog(), "x"),
    ],
    ids=["class", "declared", "recursive", "range", "unclaimed", "unclaimed text"],
)
@pytest.mark.parametrize("event_class", [None, Event])
def test_a_key_that_was_met_is_parsed_in_one_pass(known: Catalog, key: Any, event_class: Any) -> None:
    """V4: whatever is known of it, and its events are the same."""
    parser = EventParser()
    data = as_json(type=key)
    assert quick(parser, data) is None
    event = parser.parse(known.find, data, event_class)
    again = quick(parser, data, event_class)
    assert (type(again), again) == (type(event), event)


def test_a_class_that_was_met_is_parsed_in_one_pass() -> None:
    """V4: `type` may be left out of its events."""
    parser = EventParser()
    data = '{"id": 7, "payload": {"temp": 90}}'
    event = parser.parse(catalog(TeapotEvent).find, data, TeapotEvent)
    assert quick(parser, data, TeapotEvent) == event
    assert quick(parser, data) is None


def test_a_base_stands_for_the_keys_class() -> None:
    """V4: an event of the class that the key has is parsed in one pass for its base too."""
    parser = EventParser()
    parser.parse(catalog(LoudTeapotEvent).find, as_json(volume=3), TeapotEvent)
    assert type(quick(parser, as_json(volume=3), TeapotEvent)) is LoudTeapotEvent


@pytest.mark.parametrize(
    "known, event_class",
    [
        (catalog(TeapotEvent, (99, HotTeapot)), None),
        (catalog(TeapotEvent, (99, HotTeapot)), TeapotEvent),
        (catalog(TeapotEvent), HotTeapotEvent),
        (catalog((99, Teapot)), Event[Teapot]),
        (catalog(), TeapotEvent),
    ],
)
def test_what_one_pass_would_get_wrong_is_not_learned(known: Catalog, event_class: Any) -> None:
    """V4: a payload that is declared otherwise than its class has it, a class beside the key's, one without a key."""
    parser = EventParser()
    parser.parse(known.find, as_json(), event_class)
    assert quick(parser, as_json()) is None
    assert quick(parser, as_json(), event_class) is None


@pytest.mark.parametrize("written", ["true", "1.0", "1e0"])
def test_what_merely_equals_a_key_is_not_taken_for_it(written: str) -> None:
    """E3: also where pydantic takes it for the literal type of a named event."""
    known = catalog(One)
    for key in ("1", written, "1"):
        data = as_json(payload=3).replace("99", key)
        if key == written:
            with pytest.raises(ValidationError, match=r"type\.int"):
                known.parse_json(data)
        else:
            assert type(known.parse_json(data)) is One


def test_a_change_of_the_catalog_counts_at_once() -> None:
    """V4, C2: what was learned before is forgotten."""
    nexus = AsyncEventNexus()
    claims: list[tuple[Any, ...]] = [(), (99, Teapot), (TeapotEvent,), (LoudTeapotEvent,)]
    for claim in claims:
        if claim:
            nexus.declare(*claim)
        for _ in range(3):
            event = nexus.catalog.parse_json(as_json(volume=3))
            assert event.payload == (Teapot(temp=90) if claim else {"temp": 90})
    assert type(event) is LoudTeapotEvent
    with pytest.raises(ValidationError, match="volume"):
        nexus.catalog.parse_json(as_json())


@pytest.mark.parametrize("classes", [[LaxNode, StrictNode], [StrictNode, LaxNode]])
def test_one_type_may_be_strict_in_one_event_and_lax_in_another(classes: list[Any]) -> None:
    """V4: pydantic then has two definitions of it under one name; the second is not taken for the first."""
    known = catalog(*classes, (1, Tree), (2, Tree))
    payload = {"number": 3, "nodes": [{"number": "3", "nodes": []}]}
    for _ in range(5):
        for each in classes:
            known.parse_json(as_json(type=each.event_type, payload={"number": 3, "nodes": []}))
        assert known.parse_json(as_json(type="lax", payload=payload)).payload["nodes"][0]["number"] == 3
        with pytest.raises(InvalidPayload, match=r"nodes\.0\.number"):
            known.parse_json(as_json(type="strict", payload=payload))
        for key in (1, 2):
            assert known.parse_json(as_json(type=key, payload={"kids": [{}]})).payload == Tree(kids=[Tree()])


def test_payloads_are_validated_once() -> None:
    """V4: one pass is one pass."""
    seen: list[int] = []

    class Counted(BaseModel):
        temp: int

        @field_validator("temp")
        @classmethod
        def note(cls, temp: int) -> int:
            seen.append(temp)
            return temp

    known = catalog((99, Counted))
    for temp in range(5):
        known.parse_json(as_json(payload={"temp": temp}))
    assert seen == [0, 1, 2, 3, 4]


def test_what_a_validator_raises_is_raised() -> None:
    """V4, D6: a `KeyError` too, of which there is one for what has not been learned."""

    class Listed(BaseModel):
        temp: int

        @field_validator("temp")
        @classmethod
        def look_up(cls, temp: int) -> int:
            return {90: 91}[temp]

    known = catalog((99, Listed))
    for _ in range(3):
        assert known.parse_json(as_json()).payload.temp == 91
        with pytest.raises(KeyError, match="3") as caught:
            known.parse_json(as_json(payload={"temp": 3}))
        assert caught.value.__context__ is None


# What learning costs


def test_what_cannot_be_learned_is_not_compiled_each_time() -> None:
    """V4: a definition that differs from one of the same name, or a number that pydantic does not find."""
    parser, known = EventParser(), catalog(LaxNode, StrictNode, (LARGE, Node))
    datas = [as_json(type=key, payload={"number": 3, "nodes": []}) for key in ("lax", "strict", LARGE)]
    for data in datas * 5:
        parser.parse(known.find, data, None)
    compiled = parser.read
    for data in datas * 5:
        parser.parse(known.find, data, None)
    assert parser.read == compiled
    assert [quick(parser, data) is not None for data in datas] == [True, False, False]


def test_there_is_an_end_to_the_keys_of_a_range_that_are_learned() -> None:
    """V4: whoever sends each key once fills no memory; all of them are parsed."""
    parser, known = EventParser(), catalog()
    datas = [as_json(type=key) for key in range(2 * FEW)]
    assert [parser.parse(known.find, data, None).type for data in datas] == list(range(2 * FEW))
    learned = [quick(parser, data) is not None for data in datas]
    assert 0.5 * FEW < sum(learned) <= FEW
    assert not any(learned[FEW:])


def test_long_keys_that_nobody_claimed_are_not_learned() -> None:
    """V4: nor does whoever sends few, but long ones."""
    parser = EventParser()
    for claims, learned in [((), False), ((("x" * 1_000, int),), True)]:
        data = as_json(type="x" * 1_000, payload=3)
        parser.parse(catalog(*claims).find, data, None)
        assert (quick(parser, data) is not None) == learned


def test_keys_are_compiled_together() -> None:
    """V4: the more there are, the more come to each time of compiling, and in the end all are there."""
    parser, known, keys = EventParser(), catalog(*((key, int) for key in range(1_000))), range(1_000)
    compiled: list[object] = []
    for _ in range(2):
        for key in keys:
            data = as_json(type=key, payload=3)
            if quick(parser, data) is None:
                parser.parse(known.find, data, None)
                if parser.read not in compiled:
                    compiled.append(parser.read)
    assert len(compiled) < 50
    assert all(quick(parser, as_json(type=key, payload=3)) is not None for key in keys)


@pytest.mark.filterwarnings("ignore::pydantic.warnings.UnsupportedFieldAttributeWarning")
@pytest.mark.parametrize("said", [{"gt": 0}, {"alias": "load"}, {"default": 3}, {"exclude": True}])
def test_what_is_said_of_the_payload_as_a_field_counts_in_one_pass(said: dict[str, Any]) -> None:
    """V4: an event is read alike, and is of the same class, each time."""
    known = catalog((1, Annotated[int, Field(**said)]))
    for fields in ('"payload": 1', '"payload": 1, "load": 2', '"load": 2', '"load": "x", "payload": 1'):
        data = f'{{"id": 7, "type": 1, "priority": 0, {fields}}}'
        assert len({repr(outcome(partial(known.parse_json, data))) for _ in range(3)}) == 1, data
