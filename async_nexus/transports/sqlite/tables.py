"""The tables of a transport's file, and what is done to them; every function runs in a transaction of its caller.

Times are microseconds since 1970 by the clock of the machine.
"""

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from pydantic_core import from_json, to_json

from ...group_commit import Insert, Layout
from .. import Message

_TABLES: Final = (
    """
    CREATE TABLE channels (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)
    """,
    """
    CREATE TABLE consumers (
        id INTEGER PRIMARY KEY,
        channel INTEGER NOT NULL,
        name TEXT NOT NULL,
        taken INTEGER NOT NULL,  -- up to this position all has been claimed
        UNIQUE (channel, name)
    )
    """,
    """
    CREATE TABLE owners (id INTEGER PRIMARY KEY)
    """,
    """
    CREATE TABLE subscriptions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- not used again: what settles late is not to settle another's
        consumer INTEGER NOT NULL,
        owner INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE pending (
        consumer INTEGER NOT NULL,
        position INTEGER NOT NULL,
        subscription INTEGER,  -- whose it is; nobody's where it waits
        due INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        PRIMARY KEY (consumer, position)
    ) WITHOUT ROWID
    """,
    """
    CREATE INDEX waiting ON pending (consumer, due, position) WHERE subscription IS NULL
    """,
    """
    CREATE TABLE dead_letters (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        consumer INTEGER NOT NULL,
        time INTEGER NOT NULL,
        reason TEXT NOT NULL,
        position INTEGER NOT NULL,
        id TEXT NOT NULL,
        headers TEXT,
        body BLOB NOT NULL
    )
    """,
    """
    CREATE INDEX dead_letters_of ON dead_letters (consumer, number)
    """,
)
_MESSAGES: Final = """
    CREATE TABLE {} (
        position INTEGER PRIMARY KEY,
        time INTEGER NOT NULL,
        id TEXT NOT NULL,
        headers TEXT,
        body BLOB NOT NULL
    )
"""
LAYOUT: Final = Layout("transport of async_nexus", 0x4E657854, (_TABLES,))

_LAST_POSITION: Final = 2**63 - 1
"""That SQLite can count to."""
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

Row: TypeAlias = tuple[int, str, str | None, bytes]
"""Time, id, headers and body of a message."""


class Channel:
    """A channel, by its number: its messages are a table of their own."""

    def __init__(self, number: int) -> None:
        self.messages: Final = f"messages_{number:d}"
        self.number: Final = number
        self.insert: Final = Insert(self.messages, "time", "id", "headers", "body")
        """Appends rows of messages."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A subscription, as the file knows it."""

    channel: Channel
    consumer: int
    subscription: int
    owner: int


# Channels and consumers


def find_channel(connection: sqlite3.Connection, name: str) -> Channel:
    """Return a channel, which begins to be when it is first asked for."""
    found = connection.execute("SELECT id FROM channels WHERE name = ?", (name,)).fetchone()
    if found is not None:
        return Channel(found[0])
    channel = Channel(_number(connection.execute("INSERT INTO channels (name) VALUES (?)", (name,))))
    connection.execute(_MESSAGES.format(channel.messages))
    return channel


def _number(inserted: sqlite3.Cursor) -> int:
    assert inserted.lastrowid is not None
    return inserted.lastrowid


def find_consumer(connection: sqlite3.Connection, channel: Channel, name: str) -> int:
    """Return the number of a consumer; one that is new begins before the oldest message."""
    found = connection.execute("SELECT id FROM consumers WHERE channel = ? AND name = ?", (channel.number, name))
    row = found.fetchone()
    if row is not None:
        return int(row[0])
    new = (channel.number, name, ends_of(connection, channel)[0] - 1)
    return _number(connection.execute("INSERT INTO consumers (channel, name, taken) VALUES (?, ?, ?)", new))


def take_seat(
    connection: sqlite3.Connection, channel_name: str, consumer_name: str, since: datetime | int | None, owner: int
) -> Seat:
    """Begin a subscription of an owner; `since` has the consumer go back, and forget what is pending."""
    channel = find_channel(connection, channel_name)
    consumer = find_consumer(connection, channel, consumer_name)
    if since is not None:
        first = _find_time(connection, channel, since) if isinstance(since, datetime) else since
        taken = min(max(first, ends_of(connection, channel)[0]), _LAST_POSITION) - 1
        connection.execute("UPDATE consumers SET taken = ? WHERE id = ?", (taken, consumer))
        connection.execute("DELETE FROM pending WHERE consumer = ?", (consumer,))
    connection.execute("INSERT OR IGNORE INTO owners (id) VALUES (?)", (owner,))
    inserted = connection.execute("INSERT INTO subscriptions (consumer, owner) VALUES (?, ?)", (consumer, owner))
    return Seat(channel, consumer, _number(inserted), owner)


def ends_of(connection: sqlite3.Connection, channel: Channel) -> tuple[int, int]:
    """Return the position of the oldest message, and the one that comes next."""
    # Two statements: SQLite finds either end at once, but not both.
    (first,) = connection.execute(f"SELECT min(position) FROM {channel.messages}").fetchone()
    (last,) = connection.execute(f"SELECT max(position) FROM {channel.messages}").fetchone()
    return (1, 1) if first is None else (first, last + 1)


def _find_time(connection: sqlite3.Connection, channel: Channel, moment: datetime) -> int:
    """Return the first position that is not older, by halving: later messages have later times."""
    wanted = microseconds(moment)
    low, high = ends_of(connection, channel)
    query = f"SELECT position, time FROM {channel.messages} WHERE position >= ? ORDER BY position LIMIT 1"
    while low < high:
        middle = (low + high) // 2
        position, found = connection.execute(query, (middle,)).fetchone()
        if found < wanted:
            low = position + 1
        else:
            high = middle
    return low


def now() -> int:
    """Return the time as the file has it."""
    return time.time_ns() // 1000


def microseconds(moment: datetime) -> int:
    """Write a time with a zone as the file does."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def forget_consumer(connection: sqlite3.Connection, channel_name: str, name: str) -> None:
    """Delete a consumer, with what is pending, its subscriptions and its dead letters."""
    found = connection.execute(
        "SELECT id FROM consumers WHERE name = ? AND channel = (SELECT id FROM channels WHERE name = ?)",
        (name, channel_name),
    )
    for (consumer,) in found.fetchall():
        for table in ("pending", "subscriptions", "dead_letters"):
            connection.execute(f"DELETE FROM {table} WHERE consumer = ?", (consumer,))
        connection.execute("DELETE FROM consumers WHERE id = ?", (consumer,))


# Messages


class HeaderWriter:
    """Writes headers as JSON; those of one message are mostly those of the one before."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}
        self._written: str | None = None

    def __call__(self, headers: Mapping[str, str], /) -> str | None:
        """Return the JSON, nothing for no headers. Raises `ValueError` for half a character."""
        if headers != self._last:
            copy = dict(headers)
            self._written = to_json(copy).decode() if copy else None
            self._last = copy
        return self._written


def message_of(id: str, headers: str | None, body: bytes) -> Message:
    """Read what a row holds of a message."""
    return Message(id, body, from_json(headers) if headers else {})


def append_to(connection: sqlite3.Connection, channel_name: str, row: Row) -> Channel:
    """Append a message to a channel that may be new, and return the channel."""
    channel = find_channel(connection, channel_name)
    channel.insert(connection, [row])
    return channel


# Dead letters


def last_dead_letter(connection: sqlite3.Connection) -> int:
    """Return the number of the newest dead letter of all."""
    (last,) = connection.execute("SELECT max(number) FROM dead_letters").fetchone()
    return last or 0


def dead_letters_after(
    connection: sqlite3.Connection, channel_name: str, consumer_name: str, after: int, last: int, limit: int
) -> list[tuple[int, Message, str]]:
    """Return numbers, messages and reasons of dead letters of a consumer."""
    rows = connection.execute(
        "SELECT number, reason, dead_letters.id, headers, body FROM dead_letters "
        "JOIN consumers ON consumers.id = consumer JOIN channels ON channels.id = channel "
        "WHERE channels.name = ? AND consumers.name = ? AND number > ? AND number <= ? ORDER BY number LIMIT ?",
        (channel_name, consumer_name, after, last, limit),
    )
    return [(number, message_of(*columns), reason) for number, reason, *columns in rows]
