"""A subscription: it reads while there is room, keeps what it holds, and takes over what comes again."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final

from ...errors import BadCall, TransportError, TransportUnavailable
from .. import Delivery, Message
from ..checks import check_delay
from .connections import Refusal
from .layout import position_of
from .member import Entry, Member
from .schedule import Schedule
from .server import growing_pauses

logger: Final = logging.getLogger("async_nexus")


class RedisDelivery:
    """An entry that a member of the group holds."""

    def __init__(self, subscription: "RedisSubscription", entry: Entry) -> None:
        self.entry: Final = entry
        self.is_settled = False
        self._subscription, self._member = subscription, subscription.member

    @property
    def message(self) -> Message:
        """What was published."""
        return self.entry.message

    @property
    def attempt(self) -> int:
        """How often it has been delivered."""
        return self.entry.attempt

    @property
    def position(self) -> int:
        """The id of the entry, as one number."""
        return position_of(self.entry.id)

    async def ack(self) -> None:
        """Acknowledge it. Where that raises `TransportError`, it comes again, unless it succeeds when tried again."""
        with self._subscription.settling(self):
            await self._member.ack(self.entry)

    async def retry(self, delay: float) -> None:
        """Have it delivered again, in `delay` seconds. Raises as `ack` does, and `ValueError` for no such number."""
        check_delay(delay)
        with self._subscription.settling(self):
            await self._member.put_back(self.entry, delay)
            self._subscription.expect(delay)

    async def dead_letter(self, reason: str) -> None:
        """Put it among the consumer's dead letters. Raises as `ack` does."""
        with self._subscription.settling(self):
            await self._member.dead_letter(self.entry, reason)


class RedisSubscription:
    """Yields what its consumer has not settled, to one task; with one in flight, in order."""

    def __init__(self, member: Member, in_flight: int, claim_after: float, retain: timedelta | None) -> None:
        self.member: Final = member
        self.is_closed: bool = False
        self._in_flight, self._retain = in_flight, retain
        self._schedule = Schedule(claim_after, in_order=in_flight == 1)
        self._held: dict[bytes, RedisDelivery] = {}
        self._ready: deque[RedisDelivery] = deque()
        """What is held and has not been yielded."""
        self._reserved = 0
        """Places for what is on its way."""
        self._may_hold_more = True
        """Whether for the server this member may hold what has not come here."""
        self._keeper_wakes_at = 0.0
        self._gathering = asyncio.Lock()
        self._failure: BaseException | None = None
        self._drained, self._arrived = asyncio.Event(), asyncio.Event()
        self._room_changed, self._plan_changed = asyncio.Event(), asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take what comes again, and begin to read."""
        await self._gather(recover=True)
        self._reader, self._keeper = asyncio.create_task(self._read_on()), asyncio.create_task(self._keep_on())
        for task in (self._reader, self._keeper):
            task.add_done_callback(self._note_failure)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        """Have the iteration raise what ended a task."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
            self._arrived.set()

    def __aiter__(self) -> AsyncIterator[Delivery]:
        return self

    async def __anext__(self) -> Delivery:
        while not self._drained.is_set():
            if self._failure is not None:
                raise self._failure
            if self._ready:
                delivery = self._ready.popleft()
                self._note_room()
                return delivery
            self._arrived.clear()
            await self._arrived.wait()
        raise StopAsyncIteration

    async def drain(self) -> None:
        """Yield no more: what was not yielded comes again elsewhere."""
        await self._end(closing=False)

    async def close(self) -> None:
        """Let go of all that is in flight, too."""
        if not self.is_closed:
            self.is_closed = True
            await self._end(closing=True)

    async def _end(self, *, closing: bool) -> None:
        self._drained.set()
        while self._ready:
            del self._held[self._ready.popleft().entry.id]
        for event in (self._arrived, self._room_changed, self._plan_changed):
            event.set()
        ending = {task for task in (self._reader, self._keeper if closing else None) if task is not None}
        if closing and self._keeper is not None:
            self._keeper.cancel()
        await self.member.stop_reading()
        if ending:
            await asyncio.wait(ending)
        try:
            await self.member.release([*self._held], closing=closing)
        except TransportError as error:
            logger.warning("%s does not know yet that it ends, and what it held comes again later: %s", self, error)

    @contextmanager
    def settling(self, delivery: RedisDelivery) -> Generator[None]:
        """Give the delivery's place free, once it is settled or has to come again."""
        if self.is_closed:
            raise TransportError(
                f"{delivery.message.id!r} comes again: its subscription was closed before it was settled"
            )
        if delivery.is_settled:
            raise BadCall(f"{delivery.message.id!r} has been settled already")
        delivery.is_settled = True
        try:
            yield
        except BaseException as error:
            delivery.is_settled = False
            if isinstance(error, TransportError):
                self._may_hold_more = True
                self._let_go(delivery)
            raise
        self._let_go(delivery)

    def _let_go(self, delivery: RedisDelivery) -> None:
        if self._held.get(delivery.entry.id) is delivery:
            del self._held[delivery.entry.id]
            self._note_room()

    def expect(self, delay: float) -> None:
        """Look for what comes again in so many seconds."""
        self._schedule.expect(delay)

    def _note_room(self) -> None:
        """Wake whom it concerns that there is room, and nobody else: this is on the way of each message."""
        room = self._free()
        if room and self._is_worth_reading(room):
            self._room_changed.set()
        if room and self._schedule.look_at < self._keeper_wakes_at:
            self._plan_changed.set()

    def _free(self) -> int:
        return 0 if self._drained.is_set() else self._in_flight - len(self._held) - self._reserved

    def _take(self, entries: Iterable[Entry]) -> None:
        if self._drained.is_set():
            return  # the server has them released
        for entry in entries:
            delivery = self._held[entry.id] = RedisDelivery(self, entry)
            self._ready.append(delivery)
            self._arrived.set()

    async def _read_on(self) -> None:
        """Read until the subscription is drained, also when the server has gone and come back."""
        pauses, is_away = growing_pauses(), False
        while not self._drained.is_set():
            try:
                await self._read_some()
            except TransportUnavailable as error:
                if not is_away:
                    logger.warning("%s is tried again until it can go on: %s", self, error)
                is_away = True
                await _wait(self._drained, next(pauses))
            else:
                if is_away:
                    logger.info("%s goes on", self)
                    pauses, is_away = growing_pauses(), False

    async def _read_some(self) -> None:
        room = await self._room()
        if not room:
            return
        try:
            if self._may_hold_more or _now() >= self._schedule.look_at:
                await self._gather(recover=self._may_hold_more)
            else:
                await self._read(room)
        except Refusal as refusal:
            if not _is_group_gone(refusal):
                raise
            logger.error(
                "%s begins anew with what is there: %s. Messages that were published, and what had been delayed, "
                "may be lost; what had been acknowledged may come again",
                *(self, refusal),
            )
            await self.member.make_group()

    async def _room(self) -> int:
        """Wait for places that are worth reading for; none once the subscription is drained."""
        while not self._drained.is_set():
            room = self._free()
            if room and self._is_worth_reading(room):
                return room
            self._room_changed.clear()
            await self._room_changed.wait()
        return 0

    def _is_worth_reading(self, room: int) -> bool:
        """Whether to read what is new now: not in portions that are small while there is something to do."""
        if self._may_hold_more:
            return True
        return self._schedule.is_clear and (not self._ready or room * 2 >= self._in_flight)

    async def _read(self, room: int) -> None:
        self._reserved += room
        try:
            entries = await self.member.read(room, self._schedule.look_at - _now())
        except BaseException:
            self._may_hold_more = True
            raise
        finally:
            self._reserved -= room
        self._take(entries)

    async def _keep_on(self) -> None:
        """Give signs of life, and look for what comes again, while nothing is read."""
        while True:
            look_at, beat_at = self._schedule.look_at, self._schedule.beat_at
            self._keeper_wakes_at = min(look_at, beat_at) if self._free() else beat_at
            self._plan_changed.clear()
            if await _wait(self._plan_changed, self._keeper_wakes_at - _now()):
                continue
            try:
                await self._gather(recover=False)
            except TransportError as error:
                if not isinstance(error, TransportUnavailable) and not _is_group_gone(error):
                    raise
                logger.debug("%s could not give a sign of life: %s", self, error)  # who reads meets it, too
                self._schedule.put_off()
                self._note_room()

    async def _gather(self, *, recover: bool) -> None:
        """Keep what is held, and fill free places with what comes again."""
        async with self._gathering:
            room = self._free()
            self._reserved += room
            try:
                gathered = await self.member.gather(room, [*self._held], recover=recover)
            except BaseException:
                self._may_hold_more = True
                raise
            finally:
                self._reserved -= room
            if recover:
                self._may_hold_more = len(gathered.entries) + gathered.gone >= room
            if gathered.gone:
                logger.error("%s lost %d messages, which were deleted before it had settled them", self, gathered.gone)
            self._take(gathered.entries)
            self._schedule.note(gathered, has_looked=room > 0)
        self._room_changed.set()
        self._plan_changed.set()
        if self._retain is not None:
            await self.member.forget(self._retain)

    def __str__(self) -> str:
        return f"consumer {self.member.names.group!r} of the stream {self.member.names.log!r}"


def _is_group_gone(error: TransportError) -> bool:
    return isinstance(error, Refusal) and error.code == "NOGROUP"


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, no longer than so many seconds; whether it came."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
    return event.is_set()
