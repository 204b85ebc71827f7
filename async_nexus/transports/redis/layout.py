"""How channels, consumers and messages are laid out in Redis: names of keys, positions, fields of entries."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from .. import Message

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SEQUENCE_BITS: Final = 64
_LAST_POSITION: Final = (1 << 2 * _SEQUENCE_BITS) - 1
_MOST_HEADERS: Final = 3500
"""Lua calls nothing with more than 8000 arguments, of which a header is two."""


@dataclass(frozen=True, slots=True)
class Names:
    """What belongs to one consumer. By their hash tag all keys of a channel are in one slot of a cluster."""

    log: str
    """The stream with the channel's messages."""
    group: str
    """The consumer group."""
    due: str
    """The sorted set of the ids that are held back, each with the time in milliseconds at which it is due."""
    dead: str
    """The stream of dead letters."""


def name_keys(prefix: str, channel: str, consumer: str) -> Names:
    """Name the keys; different names never meet in one key."""
    log, group = name_log(prefix, channel), quote_name(consumer)
    return Names(log, group, f"{log}:due:{group}", f"{log}:dead:{group}")


def name_log(prefix: str, channel: str) -> str:
    """Name the stream of a channel."""
    return f"{{{quote_name(prefix)}:{quote_name(channel)}}}"


def quote_name(name: str) -> str:
    """Write a name with letters, digits and `_.-~%` only, so that it can stand between separators."""
    return quote(name, safe="")


def position_of(entry_id: bytes) -> int:
    """Make one number of the id of an entry, milliseconds and a sequence number: it grows as ids do."""
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds) << _SEQUENCE_BITS | int(sequence)


def id_before(since: datetime | int) -> str:
    """Return the last id before a time or position. Raises `ValueError` for a time without a zone."""
    if isinstance(since, datetime):
        if since.tzinfo is None:
            raise ValueError(f"the time to go back to has a zone, not {since!r}")
        since = (since - _EPOCH) // timedelta(milliseconds=1) << _SEQUENCE_BITS
    before = min(max(since - 1, 0), _LAST_POSITION)
    return f"{before >> _SEQUENCE_BITS}-{before & (1 << _SEQUENCE_BITS) - 1}"


def write_fields(message: Message) -> Iterator[bytes]:
    """Write a message as the fields of an entry, names and values in turn."""
    yield from (b"id", message.id.encode(), b"body", message.body)
    for name, value in message.headers.items():
        yield from (b"header:" + name.encode(), value.encode())


def read_message(entry_id: bytes, fields: list[bytes]) -> Message:
    """Read an entry; one that was added by others may lack an id, for which its own stands, and a body."""
    return _as_message(entry_id, _by_name(fields))


def write_dead_letter(message: Message, reason: str) -> list[bytes]:
    """Write a message to put aside as fields, without its headers where a script cannot have so many."""
    count = len(message.headers)
    if count > _MOST_HEADERS:
        message, reason = Message(message.id, message.body), f"{reason} (its {count} headers are left out)"
    return [b"reason", reason.encode("utf-8", "backslashreplace"), *write_fields(message)]


def read_dead_letter(entry_id: bytes, fields: list[bytes]) -> tuple[Message, str]:
    """Read a message that was put aside, and the reason."""
    values = _by_name(fields)
    reason = _text(values.pop(b"reason", b""))
    return _as_message(entry_id, values), reason


def _by_name(fields: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(fields[::2], fields[1::2], strict=True))


def _as_message(entry_id: bytes, values: dict[bytes, bytes]) -> Message:
    message_id, body = _text(values.pop(b"id", entry_id)), values.pop(b"body", b"")
    return Message(message_id, body, {_text(name.removeprefix(b"header:")): _text(values[name]) for name in values})


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")
