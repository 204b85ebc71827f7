"""The table of a journal's file, and what is done to it; every function runs in a transaction of its caller."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from ..group_commit import Insert, Layout
from ..journaling import Outcome, Unfinished

# All of one size in the file: only so does SQLite change a long row in its place.
PENDING: Final = 2
CODES: Final = {Outcome.DONE: 3, Outcome.FAILED: 4, Outcome.WITHDRAWN: 5}

LAYOUT: Final = Layout(
    "journal of async_nexus",
    0x416E4A6C,  # "AnJl"
    (
        (
            "CREATE TABLE entries (position INTEGER PRIMARY KEY, time INTEGER, state INTEGER, event TEXT)",
            f"CREATE INDEX pending ON entries (position) WHERE state = {PENDING}",
        ),
    ),
)
_ROWS: Final = 2000
_BYTES: Final = 4 * 2**20

_insert: Final = Insert("entries", "position", "time", "state", "event")
# Few statements, for the reason that `Insert` gives.
_UPDATES: Final = [
    (size, f"UPDATE entries SET state = ? WHERE position IN ({', '.join('?' * size)})") for size in (64, 16, 4, 1)
]


class Accepted(NamedTuple):
    """The row of an event; `time` in microseconds since 1970."""

    position: int
    time: int
    state: int
    event: str


class Marks(NamedTuple):
    """Outcomes, as positions and codes."""

    marks: tuple[tuple[int, int], ...]


Row: TypeAlias = Accepted | Marks


def write(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Write events and outcomes. An outcome never comes before its event, so all events may go first."""
    accepted = [row for row in rows if isinstance(row, Accepted)]
    if accepted:
        _insert(connection, accepted)
    positions: dict[int, list[int]] = {}
    for row in rows:
        if isinstance(row, Marks):
            for position, code in row.marks:
                positions.setdefault(code, []).append(position)
    for code, marked in positions.items():
        _mark(connection, code, marked)


def _mark(connection: sqlite3.Connection, code: int, positions: Sequence[int]) -> None:
    begin = 0
    for size, statement in _UPDATES:
        while len(positions) - begin >= size:
            connection.execute(statement, (code, *positions[begin : begin + size]))
            begin += size


def newest(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return the position and time of the newest event, zeros where there is none."""
    row = connection.execute("SELECT position, time FROM entries ORDER BY position DESC LIMIT 1").fetchone()
    return (0, 0) if row is None else (row[0], row[1])


def unfinished(connection: sqlite3.Connection) -> list[Unfinished]:
    """Return what has no outcome, in the order in which it was accepted."""
    rows = connection.execute(f"SELECT position, event FROM entries WHERE state = {PENDING} ORDER BY position")
    return [Unfinished(*row) for row in rows]


def delete_portion(connection: sqlite3.Connection, before: int, up_to: int) -> bool:
    """Delete some of the oldest events that have an outcome, and tell whether there may be more to delete.

    `before` is a time; events at positions up to `up_to` go, be they younger. The newest event stays in any case, for
    positions are counted from it.
    """
    last, _ = newest(connection)
    oldest = connection.execute(
        "SELECT position, time, state, length(event) FROM entries WHERE position < ? ORDER BY position LIMIT ?",
        (last, _ROWS),
    )
    doomed: list[int] = []
    size = seen = 0
    for position, time, state, length in oldest:
        if size > _BYTES or not (time < before or position <= up_to):
            break
        seen += 1
        if state != PENDING:
            doomed.append(position)
            size += length
    oldest.close()
    connection.execute("DELETE FROM entries WHERE position IN (SELECT value FROM json_each(?))", (json.dumps(doomed),))
    return bool(doomed) and (seen == _ROWS or size > _BYTES)
