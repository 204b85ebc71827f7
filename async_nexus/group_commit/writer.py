"""The thread that writes, and how asyncio's tasks hand their operations over to it."""

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from ..errors import BadCall
from .files import Durability, Layout, as_transport_error, check_options, is_busy, open_file

T = TypeVar("T")
R = TypeVar("R")


class _Kind(Enum):
    """What stands in the place of a row where an operation has none."""

    WRITE = "write"
    READ = "read"
    END = "end"


_Operation: TypeAlias = tuple["asyncio.Future[Any]", Callable[..., Any], Any]
"""Whom to tell, what to call, and with which row: a `_Kind` where it is called without one."""
_Outcome: TypeAlias = tuple["asyncio.Future[Any]", Any, BaseException | None]

_action: Final = itemgetter(1)

# SQLite itself sleeps for 100 ms in the end, while a process that writes all the time takes the lock again and again.
_SHORTEST_PAUSE: Final = 0.0005
_LONGEST_PAUSE: Final = 0.005
_GROWTH: Final = 1.5


class GroupCommit:
    """A SQLite file that the tasks of one event loop write to, one transaction for all operations that wait.

    What is handed over is done in that order, and one operation sees what those before it have written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        layout: Layout,
        *,
        durability: Durability = "process",
        busy_timeout: float = 5.0,
    ) -> None:
        """Name a file; `busy_timeout` is how many seconds to wait for another process. Raises `ValueError`."""
        check_options(durability, busy_timeout)
        self.path: Final = Path(path).absolute()
        self._layout = layout
        self._durability: Durability = durability
        self._busy_timeout = busy_timeout
        self._waiting: queue.SimpleQueue[_Operation] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_free = True

    async def start(self) -> None:
        """Open the file, made for this user alone where there is none. Raises `TransportError`, `BadCall` when open."""
        if not self._is_free:
            raise BadCall(f"{self.path} is open already")
        self._is_free = False
        loop, waiting = asyncio.get_running_loop(), queue.SimpleQueue[_Operation]()
        opened = loop.create_future()
        run = partial(self._run, loop, waiting, opened)
        # It must not keep a program alive that ends without `close`: what nobody was told is done need not be done.
        threading.Thread(target=run, name=f"writes {self.path}", daemon=True).start()
        try:
            await opened
        except BaseException:
            waiting.put((loop.create_future(), _do_nothing, _Kind.END))
            self._is_free = True
            raise
        self._loop, self._waiting = loop, waiting

    def submit(self, write: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """Have `write` called in the thread, within a transaction; the future has what it returned, once committed.

        It may be called again when it, or another operation beside it, has failed, so it does nothing but use the
        connection, and neither begins nor ends a transaction. Who cancels the future withdraws nothing. What `write`
        raises is raised; of SQLite's errors `TransportError`. Raises `BadCall` when the file is not open.
        """
        return self._hand_over(write, _Kind.WRITE)

    def read(self, read: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """Do the same for what only reads: alone, it waits for no other process."""
        return self._hand_over(read, _Kind.READ)

    def add(self, write: Callable[[sqlite3.Connection, Sequence[R]], object], row: R) -> "asyncio.Future[None]":
        """Have a row written, as `submit` does; neighbours with the same `write` reach it in one call, in order.

        `Insert` makes such a `write`. Where it raises, it is called for each row alone.
        """
        if self._loop is None:
            raise BadCall(f"{self.path} is not open")
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.put((future, write, row))
        return future

    async def close(self) -> None:
        """Take nothing more, finish what waits and let go of the file. Raises `TransportError`."""
        if self._loop is not None:
            closed = self._hand_over(_do_nothing, _Kind.END)
            self._loop = None
            try:
                await closed
            finally:
                self._is_free = True

    def _hand_over(self, action: Callable[..., Any], row: Any) -> "asyncio.Future[Any]":
        if self._loop is None:
            raise BadCall(f"{self.path} is not open")
        future = self._loop.create_future()
        self._waiting.put((future, action, row))
        return future

    # In the thread

    def _run(
        self,
        loop: asyncio.AbstractEventLoop,
        waiting: "queue.SimpleQueue[_Operation]",
        opened: "asyncio.Future[None]",
    ) -> None:
        try:
            connection = open_file(self.path, self._layout, self._durability, self._busy_timeout)
        except BaseException as error:
            _tell(loop, [(opened, None, error)])
            return
        is_wanted = _tell(loop, [(opened, None, None)])
        while is_wanted:
            batch = _take_all(waiting)
            is_wanted = batch[-1][2] is not _Kind.END
            outcomes = self._do(connection, batch if is_wanted else batch[:-1])
            if not is_wanted:
                outcomes.append((batch[-1][0], *self._attempt(connection.close)))
            is_wanted = _tell(loop, outcomes) and is_wanted
        self._attempt(connection.close)

    def _do(self, connection: sqlite3.Connection, batch: list[_Operation]) -> list[_Outcome]:
        """Do a batch in one transaction; where one of it fails, each in a transaction of its own."""
        results, error = self._attempt(partial(self._transact, connection, batch))
        if error is None:
            return [(future, result, None) for (future, _, _), result in zip(batch, results or (), strict=True)]
        if len(batch) == 1:
            return [(batch[0][0], None, error)]
        return [outcome for operation in batch for outcome in self._do(connection, [operation])]

    def _transact(self, connection: sqlite3.Connection, batch: list[_Operation]) -> list[Any]:
        """Do all operations and commit, or none; while other processes have the file, try again and again."""
        deadline = time.monotonic() + self._busy_timeout
        pause = _SHORTEST_PAUSE
        while True:
            try:
                return _transact(connection, batch)
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > deadline:
                    raise
            time.sleep(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    def _attempt(self, step: Callable[[], T]) -> tuple[T | None, BaseException | None]:
        """Return what came out of it, or what went wrong, in our words: this thread raises nothing."""
        try:
            return step(), None
        except sqlite3.Error as error:
            refusal = as_transport_error(error, self.path)
            refusal.__cause__ = error
            return None, refusal
        except BaseException as error:
            return None, error


def _take_all(waiting: "queue.SimpleQueue[_Operation]") -> list[_Operation]:
    """Wait for an operation, and take with it all that have come meanwhile."""
    batch = [waiting.get()]
    with suppress(queue.Empty):
        while True:
            batch.append(waiting.get_nowait())
    return batch


def _transact(connection: sqlite3.Connection, batch: list[_Operation]) -> list[Any]:
    """Do all operations and commit, or none."""
    if not batch:
        return []
    only_reads = all(row is _Kind.READ for _, _, row in batch)
    connection.execute("BEGIN" if only_reads else "BEGIN IMMEDIATE")
    results: list[Any] = []
    try:
        for action, group in groupby(batch, key=_action):
            rows = [row for _, _, row in group]
            if isinstance(rows[0], _Kind):
                results.extend([action(connection) for _ in rows])
            else:
                action(connection, rows)
                results.extend([None] * len(rows))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors have ended it
            connection.execute("ROLLBACK")
        raise
    return results


def _do_nothing() -> None: ...


def _tell(loop: asyncio.AbstractEventLoop, outcomes: list[_Outcome]) -> bool:
    """End futures in their loop; tell whether there is one still."""
    try:
        loop.call_soon_threadsafe(_end_futures, outcomes)
    except RuntimeError:  # it has been closed: nobody waits any more
        return False
    return True


def _end_futures(outcomes: list[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.done():  # cancelled
            continue
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):  # a future refuses it, and Python itself makes this of it elsewhere
            future.set_exception(RuntimeError(f"an operation raised {error!r}"))
        else:
            future.set_exception(error)
