"""Deletes what nobody needs any more, a portion at a time, so that others get their turn to write."""

import sqlite3
from dataclasses import dataclass
from typing import Final

from .tables import Channel

_ROWS: Final = 1000
_BYTES: Final = 4 * 2**20
_PAGES: Final = 256


@dataclass(frozen=True, slots=True)
class Retention:
    """Which of the messages that every consumer has settled are kept: the newest, while they are young."""

    microseconds: int
    messages: int


def delete_portion(connection: sqlite3.Connection, retention: Retention, now: int) -> bool:
    """Delete some messages of each channel, and tell whether there may be more to delete."""
    portions = [
        _delete_oldest(connection, Channel(number), retention, now)
        for (number,) in connection.execute("SELECT id FROM channels").fetchall()
    ]
    return _shrink(connection) or any(portions)


def _delete_oldest(connection: sqlite3.Connection, channel: Channel, retention: Retention, now: int) -> bool:
    (newest,) = connection.execute(f"SELECT max(position) FROM {channel.messages}").fetchone()
    settled = _last_settled(connection, channel)
    if newest is None or settled is None:
        return False
    # The newest stays in any case: positions are counted from it.
    last = min(settled, newest - 1)
    young, surplus = now - retention.microseconds, newest - retention.messages
    oldest = connection.execute(
        f"SELECT position, time, length(body) FROM {channel.messages} WHERE position <= ? ORDER BY position LIMIT ?",
        (last, _ROWS),
    )
    deleted = count = size = 0
    for position, time, length in oldest:
        if size > _BYTES or not (time < young or position <= surplus):
            break
        deleted, count, size = position, count + 1, size + length
    if deleted:
        oldest.close()
        connection.execute(f"DELETE FROM {channel.messages} WHERE position <= ?", (deleted,))
    return count == _ROWS or size > _BYTES


def _last_settled(connection: sqlite3.Connection, channel: Channel) -> int | None:
    """Return up to where every consumer has settled all; nothing where there is none, for one may come."""
    settled: int | None
    (settled,) = connection.execute(
        "SELECT min(coalesce((SELECT min(position) - 1 FROM pending WHERE consumer = consumers.id), taken)) "
        "FROM consumers WHERE channel = ?",
        (channel.number,),
    ).fetchone()
    return settled


def _shrink(connection: sqlite3.Connection) -> bool:
    """Give some room back to the disk, when much of the file is empty, and tell whether it did."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if free <= _PAGES or free * 4 <= pages:
        return False
    for _ in range(_PAGES):
        connection.execute("PRAGMA incremental_vacuum(1)")  # Python's module steps once, so no more than one page goes
    return True
