"""How messages are written in AMQP: body, id and headers, and what this package and the broker add to them."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from time import time_ns
from typing import Final

from aio_pika import DeliveryMode
from aio_pika import Message as AmqpMessage
from aio_pika.abc import AbstractIncomingMessage, HeadersType
from pamqp.common import FieldValue
from pamqp.encode import field_table

from ...errors import TransportError
from .. import Message

_CONTENT_TYPE: Final = "content-type"
_ID: Final = "async-nexus-id"
_ATTEMPTS: Final = "async-nexus-attempts"
_REASON: Final = "async-nexus-reason"
_PUT_ASIDE_AT: Final = "async-nexus-put-aside-at"
_RETURNS: Final = "x-delivery-count"
_FIRST_DEATH: Final = "x-first-death-reason"
_OBEYED: Final = ("CC", "BCC")
"""Headers by which a broker sends a message to more queues."""
_BROKERS_OWN: Final = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count")

_LONGEST: Final = 255
"""Bytes of a property in AMQP."""
_MOST_HEADERS: Final = 65_536
"""Bytes; all of them go in one frame, of 131,072 where nobody has set less. A larger one would end the connection."""
_LONGEST_KEY: Final = 128
"""Bytes; pamqp cuts what is longer."""
_LONGEST_REASON: Final = 2_000


def write_message(message: Message) -> AmqpMessage:
    """Return what to publish. Raises `TransportError` for headers that are too large.

    What the broker obeys is not for a message to say, which may come from elsewhere.
    """
    headers: HeadersType = {key: value for key, value in message.headers.items() if not _is_added(key)}
    content_type = headers.pop(_CONTENT_TYPE, None)
    return _persistent(message.body, message.id, headers, str(content_type) if content_type else None)


def read_message(came: AbstractIncomingMessage) -> Message:
    """Return what came, also from elsewhere: headers that are no text as text, those of tables and lists left out."""
    texts = ((key, _as_text(value)) for key, value in came.headers.items() if not _is_added(key))
    headers = {key: text for key, text in texts if text is not None}
    if came.content_type:
        headers[_CONTENT_TYPE] = came.content_type
    long_id = came.headers.get(_ID)
    return Message(long_id if isinstance(long_id, str) else came.message_id or "", came.body, headers)


def read_attempt(came: AbstractIncomingMessage) -> int:
    """Count this delivery, those before the last retry, and those that came back unsettled since."""
    return 1 + _as_count(came.headers.get(_ATTEMPTS)) + _as_count(came.headers.get(_RETURNS))


def read_reason(came: AbstractIncomingMessage) -> str:
    """Return why a message was put aside; the broker does that, too."""
    reason = _as_text(came.headers.get(_REASON))
    if reason is None:
        return f"the broker put it aside: {_as_text(came.headers.get(_FIRST_DEATH)) or 'it does not say why'}"
    return reason


def read_moment(came: AbstractIncomingMessage) -> int:
    """Return when a message was put aside, in nanoseconds, by the clock of who did it."""
    match came.headers:
        case {"async-nexus-put-aside-at": int(moment)}:
            return moment
        case {"x-death": [{"time": datetime() as time}, *_]}:
            return int(time.timestamp() * 1e9)
        case _:
            return 0


def to_retry(came: AbstractIncomingMessage) -> AmqpMessage:
    """Return a message that came, to be delivered at its next attempt. Raises `TransportError`."""
    return _again(came, {_ATTEMPTS: read_attempt(came)})


def to_put_aside(came: AbstractIncomingMessage, reason: str) -> AmqpMessage:
    """Return a message that came, to be put aside. Raises `TransportError`."""
    shown = reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 1]}…"
    return _again(came, {_REASON: shown, _PUT_ASIDE_AT: time_ns()})


def _again(came: AbstractIncomingMessage, added: Mapping[str, FieldValue]) -> AmqpMessage:
    """Copy what was published, but not when it expires, nor its user: the broker lets none publish for another."""
    kept = {key: value for key, value in came.headers.items() if key == _ID or not _is_added(key)}
    copy = _persistent(came.body, came.message_id or "", {**kept, **added}, came.content_type)
    copy.content_encoding, copy.correlation_id, copy.reply_to = (
        came.content_encoding,
        came.correlation_id,
        came.reply_to,
    )
    copy.timestamp, copy.type, copy.app_id = came.timestamp, came.type, came.app_id
    return copy


def _persistent(body: bytes, message_id: str, headers: HeadersType, content_type: str | None) -> AmqpMessage:
    if len(encoded := message_id.encode()) > _LONGEST:
        headers[_ID], message_id = message_id, blake2b(encoded, digest_size=32).hexdigest()
    if headers or content_type:
        _check_headers(headers, content_type or "")
    return AmqpMessage(
        body,
        headers=headers,
        message_id=message_id,
        content_type=content_type,
        delivery_mode=DeliveryMode.PERSISTENT,
    )


def _check_headers(headers: HeadersType, content_type: str) -> None:
    if long := next((key for key in headers if len(key.encode()) > _LONGEST_KEY), None):
        raise TransportError(
            f"the name {long[:100]!r}… is too long for headers on RabbitMQ, {_LONGEST_KEY} bytes may be"
        )
    if len(content_type.encode()) > _LONGEST:
        raise TransportError(f"a content type has {len(content_type)} characters, {_LONGEST} bytes go over RabbitMQ")
    size = len(field_table(headers))
    if size > _MOST_HEADERS:
        raise TransportError(f"a message has headers of {size} bytes, {_MOST_HEADERS} at most go over RabbitMQ")


def _is_added(key: str) -> bool:
    return key in (_ID, _ATTEMPTS, _REASON, _PUT_ASIDE_AT, *_OBEYED) or key.startswith(_BROKERS_OWN)


def _as_count(value: FieldValue) -> int:
    """Read a number that others may have written."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _as_text(value: FieldValue) -> str | None:
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case int() | float() | Decimal():
            return str(value)
        case datetime():
            return value.isoformat()
        case bytes() | bytearray():
            return value.decode(errors="replace")
        case _:
            return None
