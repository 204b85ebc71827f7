"""Who holds which message: claimed by a subscription, settled by it, or waiting to be claimed again."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ...errors import TransportError
from ...group_commit import Insert
from .. import Message
from .tables import Channel, Seat, message_of

Place: TypeAlias = tuple[int, int, int]
"""What is pending: consumer, position, subscription."""


class NotHeld(TransportError):
    """A message is not its subscription's any more, so it is not for it to settle."""


_insert_pending: Final = Insert("pending", "consumer", "position", "subscription", "due", "attempt")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a subscription has got: position, attempt and message of each.

    If it got less than it asked for, `due` tells when more can be had, as far as that is known.
    """

    messages: list[tuple[int, int, Message]]
    due: int | None


def claim(connection: sqlite3.Connection, seat: Seat, limit: int, *, in_order: bool, now: int) -> Claim:
    """Give a subscription up to `limit` messages that nobody holds; `in_order`, nothing overtakes what waits.

    Raises `TransportError` where the file does not know the subscription any more.
    """
    found = connection.execute(
        "SELECT taken FROM consumers JOIN subscriptions ON consumers.id = consumer WHERE subscriptions.id = ?",
        (seat.subscription,),
    ).fetchone()
    if found is None:
        raise TransportError("the subscription is over: its consumer, or the file that says who owns it, was deleted")
    if in_order:
        again, due = _next_waiting(connection, seat.consumer, now)
    else:
        again, due = _all_waiting(connection, seat.consumer, now, limit)
    claimed = _claim_again(connection, seat, again)
    if not (in_order and (again or due is not None)):
        claimed += _claim_new(connection, seat, found[0], limit - len(claimed))
    return Claim(claimed, due)


_Waiting: TypeAlias = tuple[list[tuple[int, int]], int | None]
"""Position and attempt of what can be had, and when there may be more."""


def _next_waiting(connection: sqlite3.Connection, consumer: int, now: int) -> _Waiting:
    """Find the first message that is to come again, if it is due."""
    found = connection.execute(
        "SELECT position, attempt, due FROM pending WHERE consumer = ? AND subscription IS NULL "
        "ORDER BY position LIMIT 1",
        (consumer,),
    ).fetchone()
    if found is None:
        return [], None
    position, attempt, due = found
    return ([(position, attempt)], None) if due <= now else ([], due)


def _all_waiting(connection: sqlite3.Connection, consumer: int, now: int, limit: int) -> _Waiting:
    """Find what is to come again and is due, and when the next will be."""
    waiting = connection.execute(
        "SELECT position, attempt, due FROM pending WHERE consumer = ? AND subscription IS NULL "
        "ORDER BY due, position LIMIT ?",
        (consumer, limit),
    ).fetchall()
    later = [due for _, _, due in waiting if due > now]
    return [(position, attempt) for position, attempt, due in waiting if due <= now], min(later, default=None)


def _claim_again(
    connection: sqlite3.Connection, seat: Seat, waiting: list[tuple[int, int]]
) -> list[tuple[int, int, Message]]:
    claimed: list[tuple[int, int, Message]] = []
    for position, attempt in waiting:
        connection.execute(
            "UPDATE pending SET subscription = ?, attempt = ? WHERE consumer = ? AND position = ?",
            (seat.subscription, attempt + 1, seat.consumer, position),
        )
        query = f"SELECT id, headers, body FROM {seat.channel.messages} WHERE position = ?"
        claimed.append((position, attempt + 1, message_of(*connection.execute(query, (position,)).fetchone())))
    return claimed


def _claim_new(connection: sqlite3.Connection, seat: Seat, taken: int, limit: int) -> list[tuple[int, int, Message]]:
    query = (
        f"SELECT position, id, headers, body FROM {seat.channel.messages} WHERE position > ? ORDER BY position LIMIT ?"
    )
    rows = connection.execute(query, (taken, limit)).fetchall()
    if rows:
        _insert_pending(connection, [(seat.consumer, row[0], seat.subscription, 0, 1) for row in rows])
        connection.execute("UPDATE consumers SET taken = ? WHERE id = ?", (rows[-1][0], seat.consumer))
    return [(position, 1, message_of(*columns)) for position, *columns in rows]


_HELD: Final = "WHERE consumer = ? AND position = ? AND subscription = ?"


def acknowledge(connection: sqlite3.Connection, places: Sequence[Place]) -> None:
    """Settle messages for good. Raises `NotHeld`."""
    _check_held(connection.executemany(f"DELETE FROM pending {_HELD}", places), places)


def put_back(connection: sqlite3.Connection, place: Place, attempt: int, due: int) -> None:
    """Have a message come again after an attempt. Raises `NotHeld`."""
    put = connection.execute(
        f"UPDATE pending SET subscription = NULL, attempt = ?, due = ? {_HELD}", (attempt, due, *place)
    )
    _check_held(put, [place])


def is_held(connection: sqlite3.Connection, place: Place, attempt: int) -> bool:
    """Whether a message has not been settled since that attempt; it may be held anew since then."""
    held = connection.execute(f"SELECT 1 FROM pending {_HELD} AND attempt <= ?", (*place, attempt))
    return held.fetchone() is not None


def put_aside(connection: sqlite3.Connection, channel: Channel, place: Place, reason: str, now: int) -> None:
    """Make a dead letter of a message. Raises `NotHeld`."""
    acknowledge(connection, [place])
    connection.execute(
        "INSERT INTO dead_letters (consumer, time, reason, position, id, headers, body) "
        f"SELECT ?, ?, ?, position, id, headers, body FROM {channel.messages} WHERE position = ?",
        (place[0], now, reason, place[1]),
    )


def _check_held(settled: sqlite3.Cursor, places: Sequence[Place]) -> None:
    if settled.rowcount < len(places):
        positions = ", ".join(str(position) for _, position, _ in places)
        raise NotHeld(
            f"message {positions} cannot be settled here any more: its consumer was forgotten, or has gone back, or "
            "the file that says who owns it was deleted, and others took over"
        )


def give_back(connection: sqlite3.Connection, seat: Seat, unseen: Sequence[int]) -> None:
    """Let others have messages that a subscription has claimed and nobody has seen."""
    connection.executemany(
        f"UPDATE pending SET subscription = NULL, due = 0, attempt = attempt - 1 {_HELD}",
        [(seat.consumer, position, seat.subscription) for position in unseen],
    )


def leave_seat(connection: sqlite3.Connection, consumer: int, subscription: int) -> None:
    """End a subscription: what it holds comes again at once."""
    connection.execute(
        "UPDATE pending SET subscription = NULL, due = 0 WHERE consumer = ? AND subscription = ?",
        (consumer, subscription),
    )
    connection.execute("DELETE FROM subscriptions WHERE id = ?", (subscription,))
