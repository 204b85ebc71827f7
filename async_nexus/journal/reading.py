"""Reads what a journal has recorded, also while its nexus runs."""

import os
import sqlite3
from collections.abc import Collection, Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from ..group_commit import as_transport_error, open_to_read
from .tables import CODES, LAYOUT, PENDING

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class State(StrEnum):
    """What is known of a recorded event (J3)."""

    PENDING = "pending"
    """It was accepted, and has no outcome yet."""
    DONE = "done"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


_STATES: Final = {PENDING: State.PENDING, **{code: State(outcome.value) for outcome, code in CODES.items()}}

HANDLED: Final = frozenset({State.PENDING, State.DONE, State.FAILED})
"""What a replay handles unless told otherwise: all but what was taken back."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as a journal has it."""

    position: int
    """Counts from 1, in the order in which events were accepted."""
    time: datetime
    """When it was accepted: aware, in UTC."""
    state: State
    event: str
    """The JSON of the whole event."""


def read(
    path: str | os.PathLike[str],
    *,
    since: datetime | int | None = None,
    until: datetime | int | None = None,
    states: Collection[State] = HANDLED,
) -> Generator[Entry]:
    """Read what a journal has recorded, in the order of acceptance, one event after another.

    `since` and `until` are times or positions, and are included. What is recorded while it reads is not read. Raises
    `ValueError` for a time without a zone, `TransportError` for what is no journal or cannot be read.
    """
    wanted = Path(path)
    for end in (since, until):
        if isinstance(end, datetime) and end.tzinfo is None:
            raise ValueError(f"a time in a journal has a zone, not {end!r}")
    return _read(wanted, since, until, states)


def _read(
    path: Path, since: datetime | int | None, until: datetime | int | None, states: Collection[State]
) -> Generator[Entry]:
    try:
        with closing(open_to_read(path, LAYOUT)) as connection:
            position, last = _bounds(connection, since, until)
            codes = ", ".join(str(code) for code, state in _STATES.items() if state in states)
            # A statement for each, so that the writer is not held up by a reader who takes time.
            query = (
                "SELECT position, time, state, event FROM entries "
                f"WHERE position >= ? AND position <= ? AND state IN ({codes}) ORDER BY position LIMIT 1"
            )
            while (row := connection.execute(query, (position, last)).fetchone()) is not None:
                position = row[0] + 1
                yield Entry(row[0], _EPOCH + timedelta(microseconds=row[1]), _STATES[row[2]], row[3])
    except sqlite3.Error as error:
        raise as_transport_error(error, path) from error


def _bounds(
    connection: sqlite3.Connection, since: datetime | int | None, until: datetime | int | None
) -> tuple[int, int]:
    """Return the first position and the last, of those that there are."""
    (first,) = connection.execute("SELECT min(position) FROM entries").fetchone()
    (last,) = connection.execute("SELECT max(position) FROM entries").fetchone()
    if first is None:
        return 1, 0
    if isinstance(since, datetime):
        (since,) = connection.execute(
            "SELECT position FROM entries WHERE time >= ? ORDER BY position LIMIT 1", (_microseconds(since),)
        ).fetchone() or (last + 1,)
    if isinstance(until, datetime):
        (until,) = connection.execute(
            "SELECT position FROM entries WHERE time <= ? ORDER BY position DESC LIMIT 1", (_microseconds(until),)
        ).fetchone() or (0,)
    # No further than one beyond the ends: SQLite counts to 2**63 only.
    begin = max(first, first if since is None else since)
    end = min(last, last if until is None else until)
    return min(last + 1, begin), max(first - 1, end)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
