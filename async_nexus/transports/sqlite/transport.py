"""The transport over a SQLite file."""

import asyncio
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, Self

from ...errors import BadCall, TransportError, raise_together
from ...group_commit import Durability, GroupCommit
from .. import Abilities, Message
from ..checks import check_name
from .owners import Owner, bury, take_over
from .retention import Retention
from .subscription import SqliteSubscription
from .tables import (
    LAYOUT,
    Channel,
    HeaderWriter,
    Seat,
    append_to,
    dead_letters_after,
    forget_consumer,
    last_dead_letter,
    now,
    take_seat,
)
from .upkeep import SHORTEST_PAUSE, Upkeep

logger: Final = logging.getLogger("async_nexus")

_ABILITIES: Final = Abilities(ordered=True, delayed_retry=True, dead_letters=True, shared_consumers=True, replay=True)
_PORTION: Final = 100


class SqliteTransport:
    """Carries messages by a SQLite file, for the processes of one machine.

    Published is what has been committed: it survives the end of the process, and with `durability="power"` that of the
    machine. A subscription in the same transport learns of it at once, one elsewhere within `poll` seconds.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "process",
        retain: float = 86_400.0,
        retain_messages: int = 1_000_000,
        max_bytes: int = 16 * 2**20,
        poll: float = 0.05,
        busy_timeout: float = 5.0,
    ) -> None:
        """Name the file; it is made, for this user alone, where there is none.

        What all consumers of a channel have settled can be replayed for `retain` seconds, as long as it is one of the
        newest `retain_messages`; then it is deleted. What one of them has not settled stays: `forget` a consumer that
        does not come back. A message has up to `max_bytes` bytes of body. `busy_timeout` is for how many seconds others
        may have the file locked. Raises `ValueError`.
        """
        for name, number in {"retain": retain, "retain_messages": retain_messages}.items():
            if not 0 <= number < 1e12:
                raise ValueError(f"`{name}` is a number from 0, not {number!r}")
        if max_bytes < 1 or not SHORTEST_PAUSE <= poll <= 60:
            raise ValueError(
                f"`max_bytes` is 1 or more, `poll` {SHORTEST_PAUSE} to 60 seconds, not {max_bytes!r} and {poll!r}"
            )
        self._commits = GroupCommit(path, LAYOUT, durability=durability, busy_timeout=busy_timeout)
        self._retention = Retention(round(retain * 1e6), retain_messages)
        self._max_bytes = max_bytes
        self._poll = poll
        self._write_headers = HeaderWriter()
        self._channels: dict[str, Channel] = {}
        self._subscriptions: dict[str, list[SqliteSubscription]] = {}
        self._owner: Owner | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._is_open = self._is_closed = False
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        return f"SqliteTransport({os.fspath(self.path)!r})"

    @property
    def abilities(self) -> Abilities:
        """All that there are."""
        return _ABILITIES

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._commits.path

    async def start(self) -> None:
        """Open the file. Raises `TransportError`, for a file of another kind too."""
        async with self._opening:
            if not self._is_open:
                await self._commits.start()
                self._is_open, self._is_closed = True, False

    async def _ensure_open(self) -> None:
        if self._is_closed:
            raise BadCall(f"{self!r} is closed")
        await self.start()

    # Publishing

    async def publish(self, channel: str, message: Message) -> None:
        """Append a message to its channel, and return when it has been committed.

        Raises `ValueError` for a name without characters, or with more than 1000, `TransportError` for a message that
        is too large, or whose id or headers have no UTF-8, and where the file does not take it, `BadCall` when the
        transport is closed.
        """
        if not self._is_open:
            await self._ensure_open()
        if len(message.body) > self._max_bytes:
            raise TransportError(
                f"message {message.id!r} has {len(message.body)} bytes, and `max_bytes` is {self._max_bytes}"
            )
        try:
            message.id.encode()
            row = (now(), message.id, self._write_headers(message.headers), message.body)
        except ValueError as error:  # as pydantic's and Python's are
            raise TransportError(f"message {message.id!r} has an id or headers without UTF-8: {error}") from error
        known = self._channels.get(channel)
        try:
            if known is None:
                check_name(channel)
                self._channels[channel] = await self._commits.submit(partial(append_to, channel_name=channel, row=row))
            else:
                await self._commits.add(known.insert, row)
        except asyncio.CancelledError:
            self._wake_later(channel)  # it may be committed all the same
            raise
        self._wake(channel)

    def _wake(self, channel: str) -> None:
        for subscription in self._subscriptions.get(channel, ()):
            subscription.wake()

    def _wake_later(self, channel: str) -> None:
        """Wake the subscriptions of a channel when all that has been handed over so far is done."""
        if self._is_open:

            def wake(done: "asyncio.Future[None]") -> None:
                done.exception()  # which others hear of
                self._wake(channel)

            self._commits.read(_do_nothing).add_done_callback(wake)

    # Subscribing

    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> SqliteSubscription:
        """Go on where the consumer left off, or at a time or position, which are included; positions count from 1.

        Going back concerns the whole consumer: what waits to come again, or is held elsewhere, is forgotten. Raises
        `ValueError` for less than one in flight, for a time without a zone and for the names that `publish` refuses,
        `TransportError`, and `BadCall` when the transport is closed.
        """
        if in_flight < 1:
            raise ValueError(f"at least one delivery is in flight, not {in_flight}")
        if isinstance(since, datetime) and since.tzinfo is None:
            raise ValueError(f"the time to go back to has a zone, not {since!r}")
        check_name(channel)
        check_name(consumer)
        if not self._is_open:
            await self._ensure_open()
        owner = self._look_after()
        take = partial(
            _sit_down, path=self.path, channel_name=channel, consumer_name=consumer, since=since, owner=owner.id
        )
        subscription = SqliteSubscription(self._commits, await self._commits.submit(take), in_flight)
        others = [each for each in self._subscriptions.get(channel, ()) if not each.has_left]
        self._subscriptions[channel] = [*others, subscription]
        return subscription

    def _look_after(self) -> Owner:
        """Become an owner of messages, and begin to look after the file, with the first subscription."""
        if self._owner is None:
            self._owner = Owner(self.path)
            upkeep = Upkeep(self._commits, self._owner, self._retention, self._poll, self._wake_all)
            self._upkeep = asyncio.create_task(upkeep.run(), name=f"looks after {self.path}")
            self._upkeep.add_done_callback(self._end_upkeep)
        return self._owner

    def _end_upkeep(self, upkeep: "asyncio.Task[None]") -> None:
        """Have an error that nobody expected raised where messages are waited for."""
        error = None if upkeep.cancelled() else upkeep.exception()
        if isinstance(error, Exception):
            logger.error("nobody looks after %s any more", self.path, exc_info=error)
            for subscription in self._all_subscriptions():
                subscription.fail(error)

    def _all_subscriptions(self) -> list[SqliteSubscription]:
        return [each for of_channel in self._subscriptions.values() for each in of_channel if not each.has_left]

    def _wake_all(self) -> None:
        for subscription in self._all_subscriptions():
            subscription.wake()

    async def forget(self, channel: str, consumer: str) -> None:
        """Delete a consumer that does not come back, with its dead letters: nothing is kept for it any more.

        Raises `TransportError`, and so do its subscriptions, if it has any.
        """
        if not self._is_open:
            await self._ensure_open()
        await self._commits.submit(partial(forget_consumer, channel_name=channel, name=consumer))
        self._wake(channel)

    async def dead_letters(self, channel: str, consumer: str) -> AsyncIterator[tuple[Message, str]]:
        """Read what was put aside so far, oldest first, with the reasons; it stays there. Raises `TransportError`."""
        if not self._is_open:
            await self._ensure_open()
        number, last = 0, await self._commits.read(last_dead_letter)
        while number < last:
            read = partial(
                dead_letters_after,
                channel_name=channel,
                consumer_name=consumer,
                after=number,
                last=last,
                limit=_PORTION,
            )
            portion = await self._commits.read(read)
            for number, message, reason in portion:  # noqa: B007 # the next portion begins after the last
                yield message, reason
            if len(portion) < _PORTION:
                break

    # Ending

    async def drain(self) -> None:
        """Drain the subscriptions, and wait until what is being published is confirmed or refused."""
        async with self._opening:
            pass
        if self._is_open:
            draining = [each.drain() for each in self._all_subscriptions()]
            _raise_errors(await asyncio.gather(*draining, self._commits.read(_do_nothing), return_exceptions=True))

    async def close(self) -> None:
        """Finish what is being published, give back what is in flight, and let go of the file."""
        self._is_closed = True
        async with self._opening:
            if not self._is_open:
                return
            self._is_open = False
            try:
                await self._give_back()
            finally:
                await self._commits.close()

    async def _give_back(self) -> None:
        """Close the subscriptions, and own messages no more."""
        closing = [each.close() for each in self._all_subscriptions()]
        self._subscriptions.clear()
        owner, self._owner = self._owner, None
        if owner is None or self._upkeep is None:
            return
        self._upkeep.cancel()
        try:
            results = await asyncio.gather(*closing, return_exceptions=True)
            await asyncio.wait((self._upkeep,))
            await self._commits.submit(partial(bury, path=self.path, dead=[owner.id]))
        finally:
            owner.end()  # should the file not have taken that, others see it
        _raise_errors(results)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


def _sit_down(
    connection: sqlite3.Connection,
    path: Path,
    channel_name: str,
    consumer_name: str,
    since: datetime | int | None,
    owner: int,
) -> Seat:
    """Begin a subscription, with what those held whose place it takes, as after a crash, before what is new."""
    seat = take_seat(connection, channel_name, consumer_name, since, owner)
    take_over(connection, path, seat)
    return seat


def _raise_errors(results: Sequence[object]) -> None:
    raise_together([each for each in results if isinstance(each, Exception)], "subscriptions could not be ended")


def _do_nothing(connection: sqlite3.Connection) -> None: ...
