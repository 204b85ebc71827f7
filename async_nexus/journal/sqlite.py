"""The journal in a SQLite file."""

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic_core import PydanticSerializationError

from ..errors import TransportError, TransportUnavailable
from ..events import Event, describe_event, event_json
from ..group_commit import Durability, GroupCommit, lock_file
from ..journaling import Outcome, Unfinished
from ..lossless import check_written
from .tables import CODES, LAYOUT, PENDING, Accepted, Marks, Row, delete_portion, newest, unfinished, write

logger: Final = logging.getLogger("async_nexus")

_PATIENCE: Final = 0.05
"""Seconds that outcomes wait for an event to be written with."""
_BETWEEN_REMOVALS: Final = 1000
"""How many events are accepted between two looks at what is old; a look removes up to twice as many."""


class SqliteJournal:
    """Keeps the events of one nexus in a file: `AsyncEventNexus(journal=SqliteJournal("journal.db"))`.

    What has been accepted survives the end of the process, and with `durability="power"` that of the machine.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "power",
        retain: float | None = 604_800.0,
        retain_events: int | None = 1_000_000,
        max_bytes: int = 16 * 2**20,
        busy_timeout: float = 5.0,
    ) -> None:
        """Name the file; it is made, for this user alone, where there is none.

        What has an outcome can be replayed for `retain` seconds, as long as it is one of the newest `retain_events`;
        `None` is for ever, and any number. An event has up to `max_bytes` bytes as JSON. `busy_timeout` is for how many
        seconds others may have the file locked. Raises `ValueError`.
        """
        for name, number in {"retain": retain, "retain_events": retain_events}.items():
            if number is not None and not 0 <= number < 1e12:
                raise ValueError(f"`{name}` is a number from 0, or `None`, not {number!r}")
        if max_bytes < 1:
            raise ValueError(f"`max_bytes` is 1 or more, not {max_bytes!r}")
        self._commits = GroupCommit(path, LAYOUT, durability=durability, busy_timeout=busy_timeout)
        self._retain = None if retain is None else round(retain * 1e6)
        self._retain_events = retain_events
        self._max_bytes = max_bytes
        self._lock: int | None = None
        self._position = self._time = 0
        self._until_removal = 0
        self._marks: list[tuple[int, int]] = []
        self._is_marking = False
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"SqliteJournal({os.fspath(self.path)!r})"

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._commits.path

    async def start(self) -> Sequence[Unfinished]:
        """Open the file, and return what it has unfinished. Raises `TransportError`, also where it is open already."""
        lock = _lock(self.path)
        try:
            await self._commits.start()
            self._position, self._time = await self._commits.read(newest)
            pending = await self._commits.read(unfinished)
        except BaseException:
            await self._commits.close()
            os.close(lock)
            raise
        self._lock = lock
        self._remove_old()
        return pending

    async def accept(self, event: Event[Any]) -> int:
        """Write an event, and return its position when it has been committed.

        Raises `TransportError` for an event that has no JSON, or too much, and where the file does not take it.
        """
        text = self._encode(event)
        if not self._is_marking:  # else more come meanwhile, and are written together
            self._write_marks()  # in the same transaction
        self._position = position = self._position + 1
        self._time = max(self._time, time.time_ns() // 1000)  # later positions have later times
        try:
            await self._add(Accepted(position, self._time, PENDING, text))
        except (asyncio.CancelledError, TransportUnavailable):
            self.finish(position, Outcome.WITHDRAWN)  # it may be written all the same, before this
            raise
        self._until_removal -= 1
        if self._until_removal < 0:
            self._remove_old()
        return position

    def _encode(self, event: Event[Any]) -> str:
        try:
            text = event_json(event)
            written = text.encode()
            check_written(event, written)
        except (PydanticSerializationError, UnicodeError) as error:
            raise TransportError(f"{describe_event(event)} cannot be written as JSON: {error}") from error
        if (size := len(written)) > self._max_bytes:
            raise TransportError(f"{describe_event(event)} has {size} bytes as JSON, at most {self._max_bytes} may be")
        return text

    def _add(self, row: Row) -> "asyncio.Future[None]":
        return self._commits.add(write, row)

    # Outcomes

    def finish(self, position: int, outcome: Outcome) -> None:
        """Have an outcome written with the next event, or after a moment."""
        self._marks.append((position, CODES[outcome]))
        self._write_marks_later()

    def _write_marks_later(self) -> None:
        if self._timer is None and self._lock is not None:
            self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self._write_marks_now)

    def _write_marks_now(self) -> None:
        self._timer = None
        if not self._is_marking:
            self._write_marks()

    def _write_marks(self) -> None:
        if self._marks:
            marks = Marks(tuple(self._marks))
            self._marks.clear()
            self._is_marking = True
            self._add(marks).add_done_callback(partial(self._have_marked, marks))

    def _have_marked(self, marks: Marks, written: "asyncio.Future[None]") -> None:
        """Keep outcomes that the file did not take, to be written with the next event."""
        self._is_marking = False
        error = None if written.cancelled() else written.exception()
        if error is not None:
            logger.error("%s did not take %d outcomes, and is asked again: %s", self.path, len(marks.marks), error)
            self._marks[:0] = marks.marks
        elif self._marks:
            self._write_marks_later()

    # What is old

    def _remove_old(self) -> None:
        """Have a portion of what is old removed, and more of it as long as there is."""
        self._until_removal = _BETWEEN_REMOVALS
        if self._lock is None or (self._retain is None and self._retain_events is None):
            return
        before = 0 if self._retain is None else time.time_ns() // 1000 - self._retain
        up_to = 0 if self._retain_events is None else self._position - self._retain_events
        self._commits.submit(partial(delete_portion, before=before, up_to=up_to)).add_done_callback(self._have_removed)

    def _have_removed(self, removed: "asyncio.Future[bool]") -> None:
        error = None if removed.cancelled() else removed.exception()
        if error is not None:
            logger.warning("removing what is old from %s failed: %s", self.path, error)
        elif not removed.cancelled() and removed.result():
            self._remove_old()

    async def close(self) -> None:
        """Write the outcomes that wait, and let go of the file. Raises `TransportError`."""
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        if self._timer is not None:
            self._timer.cancel()
        try:
            self._write_marks()
            await self._commits.close()
        finally:
            os.close(lock)


def _lock(path: Path) -> int:
    """Lock a file beside the journal, which stays there: the journal itself is for SQLite to lock.

    Raises `TransportError`.
    """
    real = path.resolve()  # it may have several names
    beside = real.with_name(f"{real.name}-lock")
    try:
        file = os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise TransportError(f"{beside}: the file cannot be made: {error.strerror}") from error
    try:
        lock_file(file)
    except OSError as error:
        os.close(file)
        raise TransportError(
            f"{path} is the journal of another nexus that runs: a journal belongs to one at a time ({error.strerror})"
        ) from error
    return file
