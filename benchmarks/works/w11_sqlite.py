"""W11: sixteen tasks write events to a SQLite file, and each waits until its own has been committed.

The floor is `sqlite3` alone: one thread, which nobody waits for, inserts the same rows, one statement each, and commits
after every sixteen, which is what waits for a commit otherwise. Its file has the same settings.
"""

import asyncio
import queue
import sqlite3
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any, Final

from async_nexus import Event, EventQueue
from async_nexus.group_commit import Durability, GroupCommit
from async_nexus.group_commit.files import open_file
from async_nexus.transports import Message
from async_nexus.transports.boundary import TransportBoundary
from async_nexus.transports.envelope import encode
from async_nexus.transports.sqlite import SqliteTransport
from async_nexus.transports.sqlite.tables import LAYOUT, find_channel, now
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.events import KEY, Reading
from benchmarks.tasks import in_tasks, shares

TASKS: Final = 16
CHANNEL: Final = "readings"
INSERT: Final = "INSERT INTO messages_1 (time, id, headers, body) VALUES (?, ?, ?, ?)"

Prepare = Callable[[Count], AbstractAsyncContextManager[Send]]
Row = tuple[int, str, str | None, bytes]


def an_event() -> Event[Reading]:
    """Make an event whose envelope has some 300 bytes."""
    return Event(1, KEY, 0, Reading(temp=1.5, name="x" * 80, tags=["a", "b"]))


def a_message() -> Message:
    """Make the message that a boundary sends for it."""
    return encode(an_event(), "urn:async-nexus:readings:0123456789abcdef")


def a_row(message: Message) -> Row:
    """Make a row of it."""
    return now(), message.id, '{"content-type":"application/cloudevents+json"}', message.body


async def write_all(events: int, write: Callable[[], Awaitable[object]], count: Count) -> None:
    """Write so many, each task one after another."""

    async def write_some(share: int) -> None:
        for _ in range(share):
            await write()
            count.handled += 1

    await in_tasks(write_some, TASKS)(events)


def open_database(directory: str, durability: Durability) -> sqlite3.Connection:
    """Open a file as a transport does, with a channel."""
    connection = open_file(Path(directory) / "events.db", LAYOUT, durability, 5.0)
    find_channel(connection, CHANNEL)
    return connection


def floor(durability: Durability) -> Prepare:
    """`sqlite3` and nothing else."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        message = a_message()
        with tempfile.TemporaryDirectory() as directory, closing(open_database(directory, durability)) as connection:

            async def send(events: int) -> None:
                for share in shares(events, -(-events // TASKS)):
                    connection.execute("BEGIN IMMEDIATE")
                    for _ in range(share):
                        connection.execute(INSERT, a_row(message))
                    connection.execute("COMMIT")
                count.handled += events

            yield send

    return prepare


class ByHand:
    """The least that a program would write for itself: a thread, a queue, a future for each row."""

    def __init__(self, directory: str, durability: Durability) -> None:
        self._open = partial(open_database, directory, durability)
        self._waiting: queue.SimpleQueue[tuple[asyncio.Future[None], Row | None]] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run).start()

    def write(self, row: Row | None) -> "asyncio.Future[None]":
        """Hand a row over, or the end."""
        future = self._loop.create_future()
        self._waiting.put((future, row))
        return future

    def _run(self) -> None:
        is_over = False
        with closing(self._open()) as connection:
            while not is_over:
                batch = [self._waiting.get()]
                while not self._waiting.empty():
                    batch.append(self._waiting.get())
                is_over = batch[-1][1] is None
                connection.execute("BEGIN IMMEDIATE")
                for _, row in batch:
                    if row is not None:
                        connection.execute(INSERT, row)
                connection.execute("COMMIT")
                self._loop.call_soon_threadsafe(self._end, batch)

    def _end(self, batch: "list[tuple[asyncio.Future[None], Row | None]]") -> None:
        for future, _ in batch:
            future.set_result(None)


def by_hand(durability: Durability) -> Prepare:
    """Tasks that hand rows over to a thread, with nothing for what may go wrong."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        message = a_message()
        with tempfile.TemporaryDirectory() as directory:
            by_hand = ByHand(directory, durability)
            yield lambda events: write_all(events, lambda: by_hand.write(a_row(message)), count)
            await by_hand.write(None)

    return prepare


def group_commit(durability: Durability) -> Prepare:
    """The same rows through `GroupCommit.add`."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        message = a_message()
        with tempfile.TemporaryDirectory() as directory:
            commits = GroupCommit(Path(directory) / "events.db", LAYOUT, durability=durability)
            await commits.start()
            channel = await commits.submit(lambda connection: find_channel(connection, CHANNEL))
            yield lambda events: write_all(events, lambda: commits.add(channel.insert, a_row(message)), count)
            await commits.close()

    return prepare


def transport(durability: Durability) -> Prepare:
    """The same message through `SqliteTransport.publish`."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        message = a_message()
        with tempfile.TemporaryDirectory() as directory:
            async with SqliteTransport(Path(directory) / "events.db", durability=durability) as transport:
                yield lambda events: write_all(events, lambda: transport.publish(CHANNEL, message), count)

    return prepare


def boundary(durability: Durability) -> Prepare:
    """An event through `TransportBoundary.handle`, which makes the message of it."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        event, after = an_event(), EventQueue[Any]()
        with tempfile.TemporaryDirectory() as directory:
            async with SqliteTransport(Path(directory) / "events.db", durability=durability) as transport:
                boundary = TransportBoundary[Event[Reading]](transport, CHANNEL)
                yield lambda events: write_all(events, lambda: boundary.handle(event, after), count)

    return prepare


def _work(name: str, title: str, durability: Durability) -> Work:
    return Work(
        name,
        title,
        (
            Contender("sqlite3", floor(durability)),
            Contender("by hand", by_hand(durability)),
            Contender("GroupCommit", group_commit(durability)),
            Contender("SqliteTransport", transport(durability)),
            Contender("TransportBoundary", boundary(durability)),
        ),
        batch=10 * TASKS,
    )


PROCESS: Final = _work("W11", "sixteen tasks, a SQLite file, safe from the end of the process", "process")
POWER: Final = _work("W11-power", "the same, safe from the end of the machine", "power")
