"""The envelope in which events travel: CloudEvents 1.0, structured as JSON; what comes may be in binary mode too.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md says how it is written. An event's
`type` is its key as text (rule E3), its `id` in digits, its payload `data`. The extension `priority` is a CloudEvents
Integer, of 32 bits; `eventfields` is the JSON of what an event class adds to the fields of an event.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from time import time_ns
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, cast
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from ..errors import TransportError
from ..events import Event, describe_event, format_event_type, is_plain, parse_event_type, payload_json
from ..lossless import check_written
from . import Message
from .reasons import describe_invalid, one_line

MAX_BODY: Final = 2**20
"""How many bytes a message may have, unless told otherwise."""

CONTENT_TYPE: Final = "application/cloudevents+json"

_LARGEST: Final = 2**31 - 1
_SHORT: Final = 100
_FIELDS: Final = {"id", "type", "priority", "payload"}
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,999}")
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_STRUCTURED: Final = re.compile(r"application/cloudevents(\+json)?\s*(;.*)?", re.IGNORECASE | re.DOTALL)
_JSON: Final = re.compile(r"(application|text)/([^;+]+\+)?json\s*(;.*)?", re.IGNORECASE | re.DOTALL)

Text: TypeAlias = Annotated[str, StringConstraints(min_length=1)]
Integer: TypeAlias = Annotated[int, Field(ge=-_LARGEST - 1, le=_LARGEST)]


@dataclass(frozen=True, slots=True)
class Received:
    """What came in an envelope: `key` is the same for the same source and id, `event` the JSON for catalogs."""

    key: bytes
    event: bytes
    traceparent: str | None
    _id: int
    _type: str

    def __str__(self) -> str:
        return f"event {self._id} of type {one_line(self._type)}"


def encode(
    event: Event[Any],
    source: str,
    *,
    dataschema: str | None = None,
    traceparent: str | None = None,
    max_body: int = MAX_BODY,
) -> Message:
    """Write an event of a source as a message.

    Raises `TransportError` for what the envelope cannot hold: a priority of more than 32 bits, an empty type, a payload
    that pydantic cannot write as JSON or nobody could read from it, more than `max_body` bytes.
    """
    key, priority = event.type, event.priority
    if not -_LARGEST - 1 <= priority <= _LARGEST:
        raise TransportError(f"{describe_event(event)} has the priority {priority}: an envelope holds 32 bits")
    if key == "":
        raise TransportError(f"event {event.id} has an empty type: an envelope holds one that is not")
    optional: dict[str, str] = {"traceparent": traceparent} if traceparent else {}
    event_class = type(event)
    try:
        if not is_plain(event_class) and (event_class.model_fields.keys() != _FIELDS or event.model_extra):
            optional["eventfields"] = event.model_dump_json(
                exclude=_FIELDS, by_alias=True, round_trip=True, warnings=False
            )
        # Long types are not kept: there may be no end of them.
        common = _common if isinstance(key, int) or len(key) <= _SHORT else _common.__wrapped__
        head = common(source, key, dataschema)
        rest = b"," + to_json(optional)[1:-1] if optional else b""
        seconds, microseconds = divmod(time_ns() // 1000, 1_000_000)
        time = b"%b.%06dZ" % (_second(seconds), microseconds)
        data = payload_json(event)
        added = optional.get("eventfields")
        check_written(event, data if added is None else b"[%b,%b]" % (added.encode(), data))
        body = b'%b,"id":"%d","time":"%b","priority":%d%b,"data":%b}' % (head, event.id, time, priority, rest, data)
    except PydanticSerializationError as error:
        raise TransportError(f"{describe_event(event)} cannot be written as JSON: {error}") from error
    if len(body) > max_body:
        raise TransportError(f"{describe_event(event)} makes a message of {len(body)} bytes, at most {max_body} may be")
    return Message(f"{source}:{event.id}", body, {"content-type": CONTENT_TYPE})


@lru_cache(1)
def _second(seconds: int) -> bytes:
    """Write a time as RFC 3339 has it, up to its second: many events have that in common."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


@lru_cache(1024)
def _common(source: str, event_type: int | str, dataschema: str | None) -> bytes:
    """Write the beginning of an envelope, which most events of a type and source have in common."""
    attributes = {
        "specversion": "1.0",
        "source": source,
        "type": format_event_type(event_type),
        "datacontenttype": "application/json",
    }
    return to_json({**attributes, "dataschema": dataschema} if dataschema else attributes)[:-1]


def decode(message: Message, *, max_body: int = MAX_BODY) -> Received:
    """Read a message, also one that others have written; attributes that are not known are ignored.

    An id that is no integer becomes one of 63 bits, the same for the same source and id. Data that is no JSON is read
    as text. Raises `TransportError` that says what is wrong, but nothing of the payload.
    """
    if len(message.body) > max_body:
        raise TransportError(f"the message has {len(message.body)} bytes, at most {max_body} are read")
    try:
        envelope = _open(message)
        event = envelope.event()
        data = to_json(event, inf_nan_mode="constants")
    except ValidationError as error:
        raise TransportError(f"the message is no CloudEvent: {describe_invalid(error)}") from None
    except ValueError as error:
        raise TransportError(f"the message is no CloudEvent that can be read: {error}") from None
    trace = envelope.traceparent
    trace = trace if trace and _TRACEPARENT.fullmatch(trace) else None
    return Received(envelope.key, data, trace, event["id"], envelope.type)


class _Envelope(BaseModel):
    """The attributes that are read, and the data."""

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True)

    specversion: Literal["1.0"]
    id: Text
    source: Text
    type: Text
    datacontenttype: str | None = None
    priority: Integer | None = None
    traceparent: str | None = None
    eventfields: str | None = None
    data: Any = None
    data_base64: str | None = None

    @property
    def key(self) -> bytes:
        """Tell the event apart from all others, in a few bytes however long its source and id are."""
        text = f"{len(self.source)} {self.source}{self.id}"
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def event(self) -> dict[str, Any]:
        """Make what becomes the JSON of an event. Raises `ValueError`."""
        is_integer = _INTEGER.fullmatch(self.id) is not None
        return {
            **self._added(),
            "id": int(self.id) if is_integer else int.from_bytes(self.key[:8], "big") >> 1,
            "type": self._key_of_type(),
            "priority": self.priority or 0,
            "payload": self._payload(),
        }

    def _key_of_type(self) -> int | str:
        try:
            return parse_event_type(self.type)
        except ValueError:
            raise ValueError("its type begins with a quote, but is no string of JSON") from None

    def _payload(self) -> Any:
        if self.data_base64 is None:
            return self.data
        if self.data is not None:
            raise ValueError("it has data and data_base64")
        try:
            return _read_data(b64decode(self.data_base64, validate=True), self.datacontenttype)
        except ValueError:
            raise ValueError("its data_base64 is no base64, or no JSON or text") from None

    def _added(self) -> dict[str, Any]:
        """Read what an event class adds; it cannot be what the envelope says otherwise."""
        added: object = {} if self.eventfields is None else from_json(self.eventfields)
        if not isinstance(added, dict):
            raise ValueError("its eventfields are no JSON object")
        return cast("dict[str, Any]", added)


def _open(message: Message) -> _Envelope:
    """Find out in which mode a message is, and read it."""
    headers = {name.lower(): value for name, value in message.headers.items()}
    content_type = headers.get("content-type", "")
    if content_type.lower().startswith("application/cloudevents"):
        if _STRUCTURED.fullmatch(content_type) is None:
            raise ValueError(f"its content type is {one_line(content_type)}, but {CONTENT_TYPE!r} is what is read")
    elif "ce-specversion" in headers:
        return _from_headers(headers, message.body)
    return _Envelope.model_validate_json(message.body)


def _from_headers(headers: Mapping[str, str], body: bytes) -> _Envelope:
    """Read binary mode, as the binding for NATS has it: attributes in headers, escaped as they are in HTTP.

    https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/nats-protocol-binding.md
    """
    given: dict[str, Any] = {
        name.removeprefix("ce-"): _unescape(value) for name, value in headers.items() if name.startswith("ce-")
    }
    kind = given.setdefault("datacontenttype", headers.get("content-type"))
    priority = given.get("priority")
    if priority is not None and _INTEGER.fullmatch(priority):
        given["priority"] = int(priority)
    try:
        data = _read_data(body, kind)
    except ValueError:
        raise ValueError(f"its data is neither JSON nor text, its type being {one_line(str(kind))}") from None
    return _Envelope.model_validate({**given, "data": data, "data_base64": None})


def _unescape(value: str) -> str:
    """Undo what is escaped in a header: percent-encoding, and quotes around the whole."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return unquote(value, errors="strict")


def _read_data(content: bytes, kind: str | None) -> Any:
    """Read data as JSON or as text: as the one that it says it is, else as the first that it can be.

    Raises `ValueError` where it is neither.
    """
    if not content:
        return None
    if kind is not None:
        return from_json(content) if _JSON.fullmatch(kind) else content.decode()
    with suppress(ValueError):
        return from_json(content)
    return content.decode()
