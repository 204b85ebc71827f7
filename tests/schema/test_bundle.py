"""The JSON Schema bundle: valid, whole, deterministic, and of one mind with the nexus."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_values import accepted_by
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from async_nexus import AsyncEventNexus, Event, EventQueue, InvalidPayload, NamedEvent, SimpleEventConverter, Timer
from async_nexus.schema import asyncapi, cloudevents, json_schema, lock, to_json, to_yaml
from async_nexus.schema.generation import references
from async_nexus.schema.names import safe


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=0, examples=[9])


class Dog(BaseModel):
    """A dog."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["dog"]
    tricks: list[str] = []
    friends: "list[Dog]" = []


class Spice(BaseModel):
    names: set[str | None] = {"ginger", "mint", None, "clove"}


class Teapot(BaseModel):
    """A pot of tea."""

    temp: float = Field(description="in degrees")
    size: Annotated[int, Field(multiple_of=2, gt=0)] = 2
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    pair: tuple[int, str] = (1, "a")
    tags: frozenset[str] = frozenset({"b", "a", "c", "d"})
    spice: Spice = Field(Spice(), examples=[{"names": {"sugar", "salt"}}])
    leaves: dict[str, list[set[str]]] = Field({"x": [{"long", "short", "cut"}]})
    notes: dict[str, int | None] = {}


class TeapotEvent(NamedEvent[Teapot], type=99):
    """Tea is ready."""


class Sourced(NamedEvent[Dog]):
    source: str = "somewhere"


class Kettle(SimpleEventConverter[TeapotEvent]):
    async def obtain_event(self) -> TeapotEvent:
        raise NotImplementedError


class Secondary(NamedEvent[int]): ...


def brewery() -> AsyncEventNexus:
    """A nexus with event types of every kind."""
    nexus = AsyncEventNexus()

    @nexus.on(TeapotEvent)
    def brew(event: TeapotEvent, queue: EventQueue[Secondary]) -> None: ...

    @nexus.on((100, 199))
    def cats(event: Event[Cat]) -> None: ...

    @nexus.on(range(0, 60, 5), range(302, 320, 7))
    def numbers(event: Event[int]) -> None: ...

    nexus.declare("99", Teapot)
    nexus.declare(150, list[Dog])
    nexus.declare(Sourced)
    nexus.add_handler("a/b ~é", lambda event: None)
    nexus.register(Timer(1, event_type=-7, event_factory=nexus))
    return nexus


NEXUS = brewery()
BUNDLE = json_schema(NEXUS)
VALIDATOR = Draft202012Validator(BUNDLE)
ENVELOPES = [schema for name, schema in BUNDLE["$defs"].items() if name.partition(".")[0] in ("event", "events")]


def resolve(document: Any, reference: str) -> Any:
    """Follow a JSON pointer."""
    assert reference.startswith("#/")
    for part in reference[2:].split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document


@pytest.mark.parametrize("describe", [json_schema, cloudevents])
def test_the_metaschema_accepts_it(describe: Any, tmp_path: Path) -> None:
    """check-jsonschema, without a network, finds nothing against it."""
    file = tmp_path / "bundle.json"
    file.write_text(to_json(describe(NEXUS)), encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--check-metaschema", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("describe", [json_schema, cloudevents])
def test_no_reference_dangles(describe: Any) -> None:
    """Every `$ref` leads to a definition, and every definition but the root's members is referred to."""
    bundle = describe(NEXUS)
    found = list(references(bundle))
    assert found
    assert all(isinstance(resolve(bundle, each), dict) for each in found)
    assert {each.rpartition("/")[2] for each in found} == set(bundle["$defs"])


def test_one_envelope_and_one_payload_per_event_type() -> None:
    """Claimed, handled and emitted event types are described, integers first, then strings, then ranges."""
    names = [each["$ref"].rpartition("/")[2] for each in BUNDLE["oneOf"]]
    assert names == [
        *("event.-7", "event.99", "event.150", "event._x22_99_x22_", "event.Secondary", "event.Sourced"),
        *("event.a_x2f_b_x20__x7e__xe9_", "events.100-199", "events.0-55-by-5", "events.302-316-by-7"),
    ]
    payloads = [name for name in BUNDLE["$defs"] if name.startswith("payload")]
    assert payloads == [name.replace("event", "payload", 1) for name in names]


def test_an_envelope_says_its_type_and_refers_to_its_payload() -> None:
    """`type` is a constant, required although a named event may leave it out elsewhere."""
    envelope = BUNDLE["$defs"]["event.99"]
    assert envelope["properties"]["type"] == {"type": "integer", "const": 99}
    assert envelope["properties"]["payload"] == {"$ref": "#/$defs/payload.99"}
    assert envelope["required"] == ["id", "payload", "type"]


def test_a_range_has_bounds_a_step_and_leaves_out_single_keys() -> None:
    """C3: a key with a claim of its own is not the range's; steps from zero are multiples, others listed too."""
    types = {name: schema["properties"]["type"] for name, schema in BUNDLE["$defs"].items() if name[:7] == "events."}
    assert types == {
        "events.100-199": {"type": "integer", "minimum": 100, "maximum": 199, "not": {"enum": [150]}},
        "events.0-55-by-5": {"type": "integer", "minimum": 0, "maximum": 55, "multipleOf": 5},
        "events.302-316-by-7": {"type": "integer", "minimum": 302, "maximum": 316, "enum": [302, 309, 316]},
    }


def test_titles_descriptions_and_examples() -> None:
    """What people wrote is there: docstrings, descriptions, examples."""
    defs = BUNDLE["$defs"]
    assert (defs["event.99"]["title"], defs["event.99"]["description"]) == ("TeapotEvent", "Tea is ready.")
    assert (defs["Teapot"]["title"], defs["Teapot"]["description"]) == ("Teapot", "A pot of tea.")
    assert defs["Cat"]["properties"]["lives"]["examples"] == [9]
    assert defs["Teapot"]["properties"]["temp"]["description"] == "in degrees"


def test_models_are_shared_and_unused_ones_left_out() -> None:
    """Payloads of two keys refer to one definition; pydantic's own models of the envelopes are gone."""
    models = {name for name in BUNDLE["$defs"] if "." not in name}
    assert models == {"Cat", "Dog", "Spice", "Teapot"}
    assert BUNDLE["$defs"]["payload.99"] == BUNDLE["$defs"]["payload._x22_99_x22_"] == {"$ref": "#/$defs/Teapot"}


def test_a_source_is_described_by_its_type_argument() -> None:
    """What a source emits is an event type, also where nobody handles it."""
    nexus = AsyncEventNexus()
    nexus.register(Kettle())
    assert json_schema(nexus)["oneOf"] == [{"$ref": "#/$defs/event.99"}]


def test_a_nexus_without_events_accepts_none() -> None:
    """An empty `oneOf` would be no schema."""
    bundle = json_schema(AsyncEventNexus())
    Draft202012Validator.check_schema(bundle)
    assert not Draft202012Validator(bundle).is_valid({})


def test_two_models_of_one_name_are_kept_apart() -> None:
    """Names of definitions are unique, whatever the classes are called."""

    def make(tp: Any) -> type[BaseModel]:
        class Same(BaseModel):
            value: tp

        return Same

    nexus = AsyncEventNexus()
    nexus.declare(1, make(int))
    nexus.declare(2, make(str))
    validator = Draft202012Validator(json_schema(nexus))
    assert validator.is_valid({"id": 1, "type": 2, "priority": 0, "payload": {"value": "a"}})
    assert not validator.is_valid({"id": 1, "type": 2, "priority": 0, "payload": {"value": 1}})


def test_a_payload_that_json_cannot_hold_is_named() -> None:
    """The error names the event type, since the program may have a thousand."""
    nexus = AsyncEventNexus()
    nexus.declare(1, int)
    nexus.declare(98, type(NEXUS))
    with pytest.raises(TypeError, match=r"event type 98 \(AsyncEventNexus\) has no JSON Schema"):
        json_schema(nexus)


class Boiling(BaseModel):
    temp: float = float("inf")


class Shown(BaseModel):
    temp: float = Field(examples=[1.0, float("nan")])


@pytest.mark.parametrize(
    "payload, what",
    [
        (Boiling, "Boiling.properties.temp.default is inf"),
        (list[Shown], "Shown.properties.temp.examples is nan"),
    ],
)
def test_a_number_that_json_cannot_hold_is_named(payload: Any, what: str) -> None:
    """The error names the event type and the place, in every document."""
    nexus = AsyncEventNexus()
    nexus.declare(1, int)
    nexus.declare(98, payload)
    for describe in (json_schema, cloudevents, asyncapi, lock):
        with pytest.raises(TypeError, match=rf"event type 98 \(.*\) has no JSON Schema: {what}"):
            describe(nexus)


@given(st.lists(st.text(st.sampled_from("_xe9a .é/"), max_size=6), min_size=2, max_size=2, unique=True))
def test_names_are_injective(texts: list[str]) -> None:
    """No two keys share a name, and names hold only what AsyncAPI allows."""
    one, other = map(safe, texts)
    assert one != other
    assert set(one + other) <= set("_xe9a.0123456789bcdf")


def keyed_apart(first: Any, second: Any) -> bool:
    """Whether two keys have each an envelope of its own."""
    nexus = AsyncEventNexus()
    nexus.declare(first, int)
    nexus.declare(second, str)
    return len(json_schema(nexus)["oneOf"]) == 2


@pytest.mark.parametrize(
    "first, second", [(99, "99"), ("a b", "a_b"), ("a.b", "a_b"), ("100-199", 100), ("é", "_xe9_")]
)
def test_keys_have_their_own_definitions(first: Any, second: Any) -> None:
    """E3: `99` and `"99"` are different keys, here too."""
    assert keyed_apart(first, second)


def events() -> st.SearchStrategy[dict[str, Any]]:
    """The JSON of events that the bundle accepts."""
    return st.sampled_from(ENVELOPES).flatmap(lambda each: accepted_by(each, BUNDLE["$defs"]))


@settings(max_examples=300, deadline=None)
@given(events())
def test_what_the_schema_accepts_the_nexus_accepts(event: dict[str, Any]) -> None:
    """V4: an event made from the schema is valid for `parse_json`."""
    assert VALIDATOR.is_valid(event)
    parsed = NEXUS.catalog.parse_json(json.dumps(event))
    assert parsed.type == event["type"]


@settings(max_examples=300, deadline=None)
@given(events())
def test_what_the_nexus_writes_the_schema_accepts(event: dict[str, Any]) -> None:
    """The JSON of a validated event is valid for the schema."""
    parsed = NEXUS.catalog.parse_json(json.dumps(event))
    VALIDATOR.validate(json.loads(parsed.model_dump_json()))


class Hot(BaseModel):
    kind: Literal["hot"] = "hot"


class Cold(BaseModel):
    kind: Literal["cold"] = "cold"


def test_a_member_of_a_discriminated_union_needs_its_tag() -> None:
    """Pydantic chooses by it before there is a default; read alone, the same model does without."""
    nexus = AsyncEventNexus()
    nexus.declare(1, Annotated[Hot | Cold, Field(discriminator="kind")])
    nexus.declare(2, Hot)
    validator = Draft202012Validator(json_schema(nexus))
    for key, payload, is_read in ((1, {"kind": "hot"}, True), (1, {}, False), (2, {}, True)):
        event = {"id": 1, "type": key, "priority": 0, "payload": payload}
        assert validator.is_valid(event) == is_read
        with nullcontext() if is_read else pytest.raises(InvalidPayload):
            nexus.catalog.parse_json(json.dumps(event))


def damage(event: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy of the event with one thing in it put wrong, or removed by a value of `...`."""
    copy: Any = json.loads(json.dumps(event))
    inner: Any = copy
    for step in path[:-1]:
        inner = inner[step]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return cast("dict[str, Any]", copy)


RIGHT = {"id": 1, "type": 99, "priority": 0, "payload": {"temp": 1.5, "pet": {"kind": "dog"}}}
WRONG: list[tuple[tuple[Any, ...], Any]] = [
    (("id",), ...),
    (("id",), "x"),
    (("id",), True),
    (("type",), ...),
    (("priority",), 1.5),
    (("payload",), ...),
    (("payload",), None),
    (("payload", "temp"), ...),
    (("payload", "temp"), "hot"),
    (("payload", "size"), 3),
    (("payload", "size"), 0),
    (("payload", "pair"), [1]),
    (("payload", "pair"), [1, "a", 2]),
    (("payload", "pet", "kind"), "fish"),
    (("payload", "pet", "wings"), 2),
    (("payload", "notes"), {"a": "b"}),
]


def test_the_right_event_is_right() -> None:
    """What the next test damages is whole before."""
    VALIDATOR.validate(RIGHT)
    NEXUS.catalog.parse_json(json.dumps(RIGHT))


@pytest.mark.parametrize("path, value", WRONG, ids=str)
def test_what_is_wrong_is_wrong_for_both(path: tuple[Any, ...], value: Any) -> None:
    """Neither the schema nor the nexus accepts it."""
    event = damage(RIGHT, path, value)
    assert not VALIDATOR.is_valid(event)
    if path != ("type",):
        with pytest.raises((ValidationError, InvalidPayload)):
            NEXUS.catalog.parse_json(json.dumps(event), TeapotEvent)


CLOUD = {"specversion": "1.0", "id": "7", "source": "/kettle", "type": "99", "data": {"temp": 1}}


@pytest.mark.parametrize(
    "changes, is_valid",
    [
        ({}, True),
        ({"type": '"99"'}, True),
        ({"type": "98"}, False),
        ({"type": "150", "data": []}, True),
        ({"type": "120", "data": {"kind": "cat", "lives": 1}}, True),
        ({"type": "120"}, False),
        ({"type": "302", "data": 1}, True),
        ({"type": "303", "data": 1}, False),
        ({"specversion": "0.3"}, False),
        ({"id": 7}, False),
        ({"source": ""}, False),
        ({"priority": 3}, True),
        ({"priority": 2**31}, False),
        ({"time": "2026-01-01T00:00:00Z", "traceparent": "00-1"}, True),
        ({"data": {}}, False),
        ({"datacontenttype": "text/xml"}, False),
    ],
)
def test_cloudevents(changes: dict[str, Any], is_valid: bool) -> None:
    """An event in structured form has its key as text for `type` and its payload for `data`."""
    assert Draft202012Validator(cloudevents(NEXUS)).is_valid(CLOUD | changes) == is_valid


SCRIPT = """import test_bundle as t
from async_nexus.schema import *
print(to_json(json_schema(t.brewery())) + lock_text(lock(t.brewery())))
"""


def outputs() -> Iterator[str]:
    """What processes with different hashes write."""
    for seed in ("1", "3", "5"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join([str(Path(__file__).parent), *sys.path])},
            capture_output=True,
            text=True,
            check=True,
        )
        yield done.stdout


def test_the_same_program_gives_the_same_bytes() -> None:
    """Neither the hash seed nor a default that is a set changes the text of bundle and lock."""
    one, *others = outputs()
    assert '"a",' in one
    assert others == [one, one]


def test_yaml_says_what_json_says() -> None:
    """A YAML reader gets the same document, without aliases."""
    yaml = pytest.importorskip("yaml")
    text = to_yaml(BUNDLE)
    assert yaml.safe_load(text) == json.loads(to_json(BUNDLE))
    assert "&id" not in text


def test_yaml_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyYAML the error names the extra."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match=r"async-nexus\[cli\]"):
        to_yaml({})


def test_the_package_does_not_import_its_extras() -> None:
    """`import async_nexus` loads neither schema export nor what the extras bring."""
    program = "import async_nexus, sys; print({'yaml', 'jsoncompat', 'async_nexus.schema'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
