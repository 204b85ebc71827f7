"""The envelope: what is sent is a CloudEvent, what others send is read, and what cannot be read says why."""

import base64
import json
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

import jsonschema
import pytest
from cloudevents.core.bindings.http import from_structured_event, to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st
from json_values import JSON
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from async_nexus import AsyncEventNexus, Event, NamedEvent, TransportError, format_event_type
from async_nexus.schema.cloudevents import cloudevents
from async_nexus.transports import Message, envelope
from async_nexus.transports.envelope import MAX_BODY, Received, decode, encode

SOURCE = "urn:async-nexus:kitchen:0123456789abcdef"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SECRET = "n0t-t0-be-sh0wn"  # it opens nothing

TYPES = st.integers() | st.text(min_size=1)
PRIORITIES = st.integers(-(2**31), 2**31 - 1)


class Teapot(BaseModel):
    """A payload that JSON has no types for, and that takes nothing for something else."""

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True, frozen=True)

    name: Annotated[str, Field(alias="called")]
    filled: datetime
    steeps: timedelta
    price: Decimal
    leaves: bytes
    kinds: frozenset[str]
    at: tuple[int, float]
    serial: UUID | None = None


class Glazed(Teapot):
    """More than its event class knows of."""

    glaze: str


class TeapotEvent(NamedEvent[Teapot], type=99): ...


class Labelled(NamedEvent[int], type="labelled"):
    """An event class that has a field of its own."""

    label: str = "cold"
    since: datetime | None = None


class Open(NamedEvent[int], type="open"):
    """An event class that takes whatever comes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")


WHEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
POT = {
    "called": "Brown Betty",
    "filled": WHEN,
    "steeps": timedelta(minutes=4),
    "price": Decimal("1.10"),
    "leaves": b"\x00tea",
    "kinds": frozenset({"green", "black"}),
    "at": (1, 0.1),
    "serial": UUID(int=7),
}


def attributes(message: Message) -> dict[str, Any]:
    """The JSON of a message."""
    found: dict[str, Any] = json.loads(message.body)
    return found


def read(received: Received, nexus: AsyncEventNexus[Any] | None = None) -> Event[Any]:
    """Read an event as a nexus does."""
    return (nexus or AsyncEventNexus()).catalog.parse_json(received.event)


def structured(**given: Any) -> Message:
    """A message as others may write it; `None` leaves an attribute out."""
    written = {"specversion": "1.0", "id": "7", "source": "/kitchen", "type": "99", **given}
    return Message("m", json.dumps({name: value for name, value in written.items() if value is not None}).encode())


def binary(body: bytes, **given: str) -> Message:
    """A message in binary mode: attributes in headers, `content_type` too."""
    headers = {"specversion": "1.0", "id": "7", "source": "/kitchen", "type": "99", **given}
    kind = headers.pop("content_type", None)
    content_type = {} if kind is None else {"Content-Type": kind}
    return Message("m", body, {**content_type, **{f"ce-{name}": value for name, value in headers.items()}})


# What is sent


def test_an_event_is_written_as_a_cloud_event() -> None:
    """Attributes as the specification names them, the payload as data."""
    before = datetime.now(UTC)
    message = encode(Event(7, 99, -3, {"temp": 1.5}), SOURCE, dataschema="https://tea.example/s", traceparent=TRACE)
    written = attributes(message)
    assert before <= datetime.fromisoformat(written.pop("time")) <= datetime.now(UTC)
    assert written == {
        "specversion": "1.0",
        "id": "7",
        "source": SOURCE,
        "type": "99",
        "datacontenttype": "application/json",
        "priority": -3,
        "dataschema": "https://tea.example/s",
        "traceparent": TRACE,
        "data": {"temp": 1.5},
    }
    assert message.headers == {"content-type": "application/cloudevents+json"}


def test_what_is_not_there_is_not_written() -> None:
    """Neither a schema nor a trace that there is none of."""
    assert attributes(encode(Event(7, 99, 0, None), SOURCE, dataschema="")).keys() == {
        *("specversion", "id", "source", "type", "time", "datacontenttype", "priority", "data")
    }


def test_a_message_has_the_id_of_source_and_event() -> None:
    """The same when an event is written again, another for another event or source."""
    ids = [encode(Event(number, 99, 0, None), source).id for source in (SOURCE, SOURCE[:-1]) for number in (1, 1, 2)]
    assert [ids.count(each) for each in ids] == [2, 2, 1, 2, 2, 1]


@given(st.integers(-(10**50), 10**50), TYPES, PRIORITIES, JSON)
def test_what_is_sent_arrives(id: int, key: int | str, priority: int, payload: object) -> None:
    """Id, type, priority and payload of an event of any key."""
    received = decode(encode(Event(id, key, priority, payload), SOURCE))
    event = read(received)
    assert (event.id, event.type, type(event.type), event.priority, event.payload) == (
        *(id, key, type(key), priority, payload),
    )


@given(TYPES, TYPES)
def test_types_that_differ_are_written_differently(one: int | str, other: int | str) -> None:
    """E3: `99` is none of `"99"`."""
    texts = [attributes(encode(Event(1, key, 0, None), SOURCE))["type"] for key in (one, other)]
    assert (texts[0] == texts[1]) == (one == other and type(one) is type(other))


@pytest.mark.parametrize("pot", [Teapot.model_validate(POT), Glazed.model_validate({**POT, "glaze": "blue"})])
def test_payloads_are_read_by_the_rules_of_json(pot: Teapot) -> None:
    """V4: strict models get their times, bytes, numbers and sets back from the receiving nexus's catalog."""
    nexus: AsyncEventNexus = AsyncEventNexus()
    nexus.declare(99, type(pot))
    event = read(decode(encode(TeapotEvent(id=1, payload=pot), SOURCE)), nexus)
    assert event.payload == pot
    assert type(event.payload) is type(pot)


class Measured(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(ser_json_inf_nan="constants")

    heat: float


def test_numbers_that_are_none_arrive_where_their_class_writes_them() -> None:
    """As pydantic has it, beyond what JSON allows."""
    nexus: AsyncEventNexus = AsyncEventNexus()
    nexus.declare("heat", Measured)
    event = Event(1, "heat", 0, Measured(heat=float("-inf")))
    assert read(decode(encode(event, SOURCE)), nexus) == event


def test_what_an_event_class_adds_arrives() -> None:
    """The fields of its own are carried, and are read by their types."""
    nexus: AsyncEventNexus = AsyncEventNexus()
    nexus.declare(Labelled)
    nexus.declare(Open)
    events = [
        Labelled(id=1, payload=3, priority=2, label="hot", since=WHEN),
        Open.model_validate({"id": 1, "payload": 3, "anything": [1, "a"]}),
    ]
    for event in events:
        assert read(decode(encode(event, SOURCE)), nexus) == event


def test_what_an_event_class_adds_cannot_be_what_the_envelope_says() -> None:
    """Whoever writes it: id, type, priority and payload come from their attributes."""
    added = json.dumps({"id": 1, "type": "a", "priority": 2, "payload": 3, "label": "hot"})
    event = json.loads(decode(structured(data=4, eventfields=added)).event)
    assert event == {"id": 7, "type": 99, "priority": 0, "payload": 4, "label": "hot"}


@pytest.mark.parametrize("priority", [2**31, -(2**31) - 1, 10**30])
def test_a_priority_of_more_than_32_bits_is_refused(priority: int) -> None:
    """A CloudEvents Integer holds no more; the error names what was given."""
    with pytest.raises(TransportError, match=f"event 7 of type 99 has the priority {priority}: .* 32 bits"):
        encode(Event(7, 99, priority, None), SOURCE)


def test_an_empty_type_is_refused() -> None:
    """CloudEvents have a type that is not empty."""
    with pytest.raises(TransportError, match="event 7 has an empty type"):
        encode(Event(7, "", 0, None), SOURCE)


@pytest.mark.parametrize("event", [Event(7, 99, 0, [float("inf")]), Event(7, 99, 0, 10**5000)])
def test_what_nobody_could_read_is_refused(event: Event) -> None:
    """A float without a number would come as null, an integer without an end not at all."""
    with pytest.raises(TransportError, match=r"event 7 of type 99 cannot be written as JSON: (JSON has|.* read back)"):
        encode(event, SOURCE)


class Weighed(Event[Any]):
    weight: float


def test_what_nobody_could_read_is_refused_in_the_fields_that_a_class_adds() -> None:
    """They are JSON within the JSON."""
    encode(Weighed(id=7, type=99, priority=0, payload=None, weight=1.5), SOURCE)
    with pytest.raises(TransportError, match="event 7 of type 99 cannot be written as JSON: JSON has neither NaN"):
        encode(Weighed(id=7, type=99, priority=0, payload=None, weight=float("nan")), SOURCE)


class Unwritable(BaseModel, arbitrary_types_allowed=True):
    what: object


@pytest.mark.parametrize("payload", [b"\xff", Unwritable(what=object()), {"a": object()}])
def test_a_payload_that_is_no_json_is_refused(payload: object) -> None:
    """The error names the event, and what pydantic says of it."""
    with pytest.raises(TransportError, match=r"event 7 of type 99 cannot be written as JSON: .*(utf-8|serialize)"):
        encode(Event(7, 99, 0, payload), SOURCE)


def test_a_message_that_is_too_large_is_not_written() -> None:
    """Its receivers would not read it."""
    event = Event(7, 99, 0, SECRET * 100)
    size = len(encode(event, SOURCE).body)
    assert size <= MAX_BODY
    assert encode(event, SOURCE, max_body=size)
    with pytest.raises(
        TransportError, match=f"event 7 .* makes a message of {size} bytes, at most {size - 1}"
    ) as caught:
        encode(event, SOURCE, max_body=size - 1)
    assert SECRET not in str(caught.value)


# What others read


@given(st.integers(), TYPES, PRIORITIES, JSON)
def test_the_official_sdk_reads_what_is_sent(id: int, key: int | str, priority: int, payload: object) -> None:
    """It finds every attribute valid, and the same data."""
    written = encode(Event(id, key, priority, payload), SOURCE, traceparent=TRACE)
    event = JSONFormat().read(CloudEvent, written.body)
    assert event.get_data() == payload
    assert event.get_attributes() == {
        "specversion": "1.0",
        "id": str(id),
        "source": SOURCE,
        "type": format_event_type(key),
        "time": event.get_time(),
        "datacontenttype": "application/json",
        "priority": priority,
        "traceparent": TRACE,
    }


def test_the_official_sdk_knows_the_mode_by_the_headers() -> None:
    """They say that the body is structured as JSON."""
    message = encode(Labelled(id=1, payload=3, label="hot", since=WHEN), SOURCE)
    http = to_structured_event(CloudEvent({"id": "1", "source": SOURCE, "type": "labelled"}))
    assert message.headers == http.headers
    event = from_structured_event(type(http)(dict(message.headers), message.body))
    assert event.get_type() == "labelled"
    assert event.get_attributes()["eventfields"] == '{"label":"hot","since":"2026-01-02T03:04:05.678901Z"}'


@given(st.integers(), st.sampled_from([98, 1500, "98", "tea"]), PRIORITIES, st.integers())
def test_what_is_sent_fits_the_exported_schema(id: int, key: int | str, priority: int, payload: int) -> None:
    """`async-nexus schema --format cloudevents` describes it."""
    nexus: AsyncEventNexus = AsyncEventNexus()
    for each in (98, "98", "tea"):
        nexus.declare(each, int)

    @nexus.on(range(1000, 2000))
    def _handle(event: Event[int]) -> None: ...

    validator = jsonschema.Draft202012Validator(
        cloudevents(nexus), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    validator.validate(attributes(encode(Event(id, key, priority, payload), SOURCE, dataschema="urn:tea")))


# What others send


@given(st.text(min_size=1), st.text(min_size=1), st.dictionaries(st.text(), JSON) | st.text() | st.binary(min_size=1))
def test_what_the_official_sdk_writes_is_read(id: str, source: str, data: Any) -> None:
    """Whatever its id and source; data that is no text is base64 there, and has to be text or JSON here."""
    event = CloudEvent({"id": id, "source": source, "type": "tea", "datacontenttype": "application/json"}, data)
    message = Message("m", to_structured_event(event).body)
    if isinstance(data, bytes) and not is_json(data):
        with pytest.raises(TransportError, match="data_base64 is no base64, or no JSON or text"):
            decode(message)
        return
    expected = json.loads(data) if isinstance(data, bytes) else data
    assert read(decode(message)).payload == expected


def is_json(data: bytes) -> bool:
    """Whether the standard library reads it."""
    try:
        json.loads(data.decode())
    except ValueError:
        return False
    return True


@given(st.text(min_size=1), st.text(min_size=1), TYPES, st.dictionaries(st.text(), JSON, min_size=1))
def test_what_the_official_sdk_writes_in_binary_mode_is_read(
    id: str, source: str, key: int | str, data: dict[str, Any]
) -> None:
    """Attributes stand in headers, percent-encoded."""
    given = {"id": id, "source": source, "type": format_event_type(key), "priority": "-5", "traceparent": TRACE}
    http = to_binary_event(CloudEvent({**given, "datacontenttype": "application/json"}, data))
    received = decode(Message("m", http.body, http.headers))
    event = read(received)
    assert (event.type, event.priority, event.payload, received.traceparent) == (key, -5, data, TRACE)
    assert received.key == decode(structured(id=id, source=source)).key


@pytest.mark.parametrize(
    "given, payload",
    [
        ({"data": None}, None),
        ({"data": [1, {"a": 0.1}]}, [1, {"a": 0.1}]),
        ({"data": "<tea/>", "datacontenttype": "application/xml"}, "<tea/>"),
        ({"data_base64": base64.b64encode(b'{"a": 1}').decode()}, {"a": 1}),
        ({"data_base64": base64.b64encode(b"no JSON").decode()}, "no JSON"),
        ({"data_base64": base64.b64encode(b"1").decode(), "datacontenttype": "text/plain"}, "1"),
        ({"data_base64": base64.b64encode(b"1").decode(), "datacontenttype": "application/tea+json; v=1"}, 1),
        ({"data_base64": ""}, None),
        ({"subject": "s", "comexampleextension": {"any": "thing"}, "data": 1}, 1),
    ],
)
def test_data_is_read_as_it_says_it_is(given: Mapping[str, Any], payload: object) -> None:
    """JSON as JSON, anything else as text; extensions that are not known are passed over."""
    assert read(decode(structured(**given))).payload == payload


@pytest.mark.parametrize(
    "message, payload",
    [
        (binary(b'{"a": 1}', content_type="application/json"), {"a": 1}),
        (binary(b'{"a": 1}', content_type="Application/Json; charset=utf-8"), {"a": 1}),
        (binary(b'{"a": 1}'), {"a": 1}),
        (binary(b"no JSON"), "no JSON"),
        (binary(b"1", content_type="text/plain"), "1"),
        (binary(b"1", datacontenttype="text/plain", content_type="application/json"), "1"),
        (binary(b"", content_type="application/json"), None),
        (binary(b"1", data="2", data_base64="Mw=="), 1),
    ],
)
def test_binary_mode_has_the_data_in_the_body(message: Message, payload: object) -> None:
    """It is read as `ce-datacontenttype` or the content type says; names of headers are of any case."""
    assert read(decode(message)).payload == payload
    shouted = Message(message.id, message.body, {name.upper(): value for name, value in message.headers.items()})
    assert decode(shouted) == decode(message)


def test_headers_may_be_quoted() -> None:
    """As HTTP lets them be: what is in the quotes counts."""
    assert read(decode(binary(b"1", type='"a \\"b\\" %C3%A9"'))).type == 'a "b" é'


def test_a_structured_message_may_have_headers_of_attributes_too() -> None:
    """The content type decides."""
    headers = {"content-type": "application/cloudevents+json; charset=utf-8", "ce-specversion": "1.0", "ce-id": "1"}
    assert read(decode(Message("m", structured(data=3).body, headers))).payload == 3


@pytest.mark.parametrize("id", ["0", "7", "-7", "9" * 1000])
def test_an_id_in_digits_is_the_id_of_the_event(id: str) -> None:
    """As it was written."""
    assert read(decode(structured(id=id))).id == int(id)


@pytest.mark.parametrize("id", ["a", "07", "+7", "-0", "7.0", " 7", "\u0667", "\u00e9", "9" * 1001, "a\0b"])
def test_another_id_becomes_one_of_63_bits(id: str) -> None:
    """The same for the same source and id, else another."""
    found = [read(decode(structured(id=each, source=source))).id for source in "ab" for each in (id, id + "x")]
    assert len(set(found)) == 4
    assert all(0 <= each < 2**63 for each in found)
    assert read(decode(structured(id=id, source="a", type="other", data=1))).id == found[0]


def test_ids_do_not_change_between_releases() -> None:
    """Who keeps them, by an idempotent handler say, finds them again."""
    assert read(decode(structured(id="a-b", source="/kitchen"))).id == 8223793745618251416


def test_source_and_id_do_not_run_into_each_other() -> None:
    """`a` and `bc` are none of `ab` and `c`."""
    assert decode(structured(source="a", id="bc")).key != decode(structured(source="ab", id="c")).key


def test_an_event_is_named_in_messages() -> None:
    """By id and type, in one line that is not long, whatever its type."""
    assert str(decode(structured())) == "event 7 of type 99"
    label = str(decode(structured(type="a\nb" + "x" * 10_000)))
    assert label.startswith("event 7 of type a bxxx")
    assert len(label) < 150


@pytest.mark.parametrize("trace", [None, "", "00-abc", TRACE.upper(), TRACE + "\n", TRACE + "-x"])
def test_a_trace_that_is_none_is_passed_over(trace: str | None) -> None:
    """What others think of traces does not keep an event away."""
    assert decode(structured(traceparent=trace)).traceparent is None


def test_a_null_is_an_attribute_that_is_not_there() -> None:
    """So the JSON format has it."""
    written = {**json.loads(structured().body), "priority": None, "traceparent": None, "datacontenttype": None}
    assert read(decode(Message("m", json.dumps(written).encode()))).priority == 0


# What cannot be read


@pytest.mark.parametrize(
    "message, complaint",
    [
        (Message("m", b""), "JSON: Invalid JSON"),
        (Message("m", b"[" * 10_000), "JSON: Invalid JSON: recursion limit"),
        (Message("m", b'{"a": "\xff"}'), "JSON: Invalid JSON"),
        (Message("m", b"[]"), "JSON: Input should be an object"),
        (structured(specversion="0.3"), "specversion: Input should be '1.0'"),
        (structured(specversion=None), "specversion: Field required"),
        (structured(id=None, type=None), "id: Field required; type: Field required"),
        (structured(id=7), "id: Input should be a valid string"),
        (structured(id=""), "id: String should have at least 1 character"),
        (structured(source=""), "source: String should have at least 1 character"),
        (structured(type=""), "type: String should have at least 1 character"),
        (structured(type='"tea'), "its type begins with a quote, but is no string of JSON"),
        (structured(type='"\\ud800"'), "cannot be written|surrogates|read"),
        (structured(priority=2**31), "priority: Input should be less than or equal to 2147483647"),
        (structured(priority=True), "priority: Input should be a valid integer"),
        (structured(priority="5"), "priority: Input should be a valid integer"),
        (structured(data=1, data_base64="MQ=="), "it has data and data_base64"),
        (structured(data_base64="%"), "data_base64 is no base64"),
        (structured(data_base64="/w==", datacontenttype="image/png"), "data_base64 is no base64, or no JSON or text"),
        (structured(eventfields="[]"), "eventfields are no JSON object"),
        (structured(eventfields="{"), "read: "),
        (binary(b"{", content_type="application/json"), "its data is neither JSON nor text, its type being app"),
        (binary(b"\xff", content_type="image/png"), "its data is neither JSON nor text, its type being image/png"),
        (binary(b"\xff"), "its data is neither JSON nor text"),
        (binary(b"1", priority="high"), "priority: Input should be a valid integer"),
        (binary(b"1", priority="9" * 5000), "priority: Input should be a valid integer"),
        (binary(b"1", id="%ff"), "utf-8"),
        (binary(b"1", id=""), "id: String should have at least 1 character"),
        (Message("m", b"[]", {"content-type": "application/cloudevents-batch+json"}), "its content type is .*batch"),
        (Message("m", b"[]", {"content-type": "application/cloudevents+avro"}), "its content type is .*avro"),
    ],
)
def test_what_cannot_be_read_says_why(message: Message, complaint: str) -> None:
    """`TransportError`, whose text names what is wrong."""
    with pytest.raises(TransportError, match=f"the message is no CloudEvent.*({complaint})"):
        decode(message)


@pytest.mark.parametrize(
    "message",
    [
        Message("m", f'{{"data": "{SECRET}'.encode()),
        Message("m", json.dumps(SECRET).encode()),
        structured(data=SECRET, id=None),
        structured(data=SECRET, priority="x"),
        structured(data=SECRET, data_base64=base64.b64encode(SECRET.encode()).decode()),
        structured(data_base64=SECRET),
        binary(SECRET.encode(), content_type="application/json"),
        binary(SECRET.encode() + b"\xff", content_type="text/plain"),
    ],
)
def test_what_cannot_be_read_is_not_shown(message: Message) -> None:
    """Nothing of the payload is in the error, nor in what caused it."""
    with pytest.raises(TransportError) as caught:
        decode(message)
    assert SECRET not in "".join(traceback.format_exception(caught.value, chain=True))


def test_a_message_that_is_too_large_is_not_read() -> None:
    """Its size is asked first."""
    message = structured(data="x" * 100)
    assert decode(message, max_body=len(message.body))
    with pytest.raises(TransportError, match=f"the message has {len(message.body)} bytes, at most 50 are read"):
        decode(message, max_body=50)


@given(st.binary() | st.dictionaries(st.text(), JSON).map(lambda each: json.dumps(each).encode()), st.text(), JSON)
def test_whatever_comes_is_read_or_refused(body: bytes, name: str, value: JsonValue) -> None:
    """No other error than `TransportError`; what is read is JSON that a nexus can look at."""
    texts = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", name: str(value)}
    headers = {f"ce-{each}": text for each, text in texts.items()}
    for message in (Message("m", body), Message("m", body, headers), structured(**{name: value})):
        try:
            received = decode(message)
        except TransportError:
            continue
        assert read(received).payload is not Ellipsis


def test_long_types_are_not_kept() -> None:
    """What envelopes of a type have in common is kept for short types only: nobody fills the memory with long ones."""
    common = envelope._common  # pyright: ignore[reportPrivateUsage] # what is kept
    before = common.cache_info().currsize
    for number in range(3):
        encode(Event(1, f"{number}" * 1_000, 0, None), "urn:async-nexus:long:1")
    assert common.cache_info().currsize == before
    encode(Event(1, "short", 0, None), "urn:async-nexus:long:1")
    assert common.cache_info().currsize == min(before + 1, 1024)
