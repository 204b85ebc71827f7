"""Has recorded events handled again."""

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ..events import Event
from .reading import HANDLED, Entry, State, read


class Parser(Protocol):
    """A catalog, as a replay needs it."""

    def parse_json(self, data: str, /) -> Event[Any]:
        """Turn the JSON of an event into a validated event."""
        ...


class Receiver(Protocol):
    """A nexus, as a replay needs it."""

    @property
    def catalog(self) -> Parser:
        """What reads the events."""
        ...

    def ingest(self, event: Any, /) -> Coroutine[Any, Any, None]:
        """Take an event."""
        ...


@dataclass(frozen=True, slots=True)
class Replayed:
    """A recorded event that was handled again, or the `error` that prevented it."""

    entry: Entry
    error: BaseException | None = None
    is_valid: bool = True
    """Whether today's catalog accepts it; if not, nothing has handled it."""


@dataclass(frozen=True, slots=True)
class Replay:
    """How many events were handled again, and those that were not."""

    replayed: int
    failed: tuple[Replayed, ...]


async def replay(
    path: str | os.PathLike[str],
    nexus: Receiver,
    *,
    since: datetime | int | None = None,
    until: datetime | int | None = None,
    states: Collection[State] = HANDLED,
) -> Replay:
    """Ingest what a journal has recorded, one event after another, in the order of acceptance.

    The nexus has been started, and has another journal or none. No event ends the replay, and the journal stays as it
    is. Raises as `read` does.
    """
    count = 0
    failed: list[Replayed] = []
    with closing(read(path, since=since, until=until, states=states)) as entries:
        async for replayed in replay_each(entries, nexus):
            count += replayed.error is None
            failed += [] if replayed.error is None else [replayed]
    return Replay(count, tuple(failed))


async def replay_each(entries: Iterator[Entry], nexus: Receiver) -> AsyncIterator[Replayed]:
    """Ingest entries, as `read` gives them, one after another; yield what came of each, so that nothing is kept."""
    while (entry := await asyncio.to_thread(next, entries, None)) is not None:
        yield await _handle(entry, nexus)


async def _handle(entry: Entry, nexus: Receiver) -> Replayed:
    try:
        event = nexus.catalog.parse_json(entry.event)
    except Exception as error:  # validators raise whatever they like
        return Replayed(entry, error, is_valid=False)
    task = asyncio.current_task()
    try:
        await nexus.ingest(event)
    except asyncio.CancelledError as error:
        if task is None or task.cancelling():
            raise
        return Replayed(entry, error)  # a handler cancelled itself
    except Exception as error:
        return Replayed(entry, error)
    return Replayed(entry)
