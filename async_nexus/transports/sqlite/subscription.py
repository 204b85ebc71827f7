"""Hands out what a subscription has claimed, never more than may be in flight."""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Final

from ...errors import BadCall, TransportError, TransportUnavailable
from ...group_commit import GroupCommit
from .. import Delivery, Message
from ..checks import check_delay
from .claims import Claim, NotHeld, Place, acknowledge, claim, give_back, is_held, leave_seat, put_aside, put_back
from .owners import take_over
from .tables import Seat, now

logger: Final = logging.getLogger("async_nexus")

_PAUSE: Final = 0.2
"""Seconds until what could not be claimed, as the file was not available, is tried again."""
_LONGEST_REASON: Final = 10_000


class SqliteSubscription:
    """Claims messages for one task when there is room for them in flight.

    A claim goes into the same transaction as the settling that makes the room.
    """

    def __init__(self, commits: GroupCommit, seat: Seat, in_flight: int) -> None:
        self.is_closed: bool = False
        self.has_left: bool = False
        """Whether the file knows it no more."""
        self._commits = commits
        self._seat = seat
        self._in_flight = in_flight
        self._claimed: deque[_Delivery] = deque()
        self._held = 0
        """How many are claimed, but for those that are being settled."""
        self._handed_out = 0
        self._claiming: asyncio.Future[Claim] | None = None
        self._is_exhausted = False
        self._is_woken = False
        """Whether there may be more since the last claim was made."""
        self._is_drained = False
        self._error: Exception | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._leaving = asyncio.Lock()

    def __aiter__(self) -> AsyncIterator[Delivery]:
        return self

    async def __anext__(self) -> Delivery:
        while not self._is_drained:
            if self._claimed and self._handed_out < self._in_flight:
                self._handed_out += 1
                return self._claimed.popleft()
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            self._claim()
            self._changed.clear()
            await self._changed.wait()
        raise StopAsyncIteration

    # Claiming

    def wake(self) -> None:
        """Look for messages again: there may be more."""
        self._is_exhausted, self._is_woken = False, True
        self._changed.set()

    def fail(self, error: Exception) -> None:
        """Have an error raised to whoever waits for a delivery."""
        self._error = error
        self._changed.set()

    def _claim(self) -> None:
        """Claim what there is room for; the claim is taken note of also if nobody waits for it any more."""
        room = self._in_flight - self._held
        if room > 0 and self._claiming is None and not self._is_exhausted and not self._is_drained:
            work = partial(
                _claim_now, path=self._commits.path, seat=self._seat, limit=room, in_order=self._in_flight == 1
            )
            self._is_woken = False
            self._claiming = self._commits.submit(work)
            self._claiming.add_done_callback(partial(self._end_claim, room))

    def _end_claim(self, wanted: int, claiming: "asyncio.Future[Claim]") -> None:
        self._claiming = None
        try:
            claimed = claiming.result()
        except TransportUnavailable as error:
            logger.warning("messages are claimed again in %s s: %s", _PAUSE, error)
            self._look_again(_PAUSE)
        except Exception as error:
            self.fail(error)
        else:
            self._held += len(claimed.messages)
            self._claimed.extend(_Delivery(self, *each) for each in claimed.messages)
            if len(claimed.messages) < wanted and not self._is_woken:
                self._look_again(None if claimed.due is None else (claimed.due - now()) / 1e6)
        self._changed.set()

    def _look_again(self, delay: float | None) -> None:
        """Claim nothing before there is something new, or `delay` seconds have passed."""
        self._is_exhausted = True
        self._stop_timer()
        if delay is not None and not self._is_drained:
            self._timer = asyncio.get_running_loop().call_later(max(delay, 0.0), self.wake)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Settling

    async def ack(self, delivery: "_Delivery") -> None:
        """Settle a delivery for good."""
        place = self._take_back(delivery)
        await self._settle(delivery, self._commits.add(acknowledge, place))

    async def retry(self, delivery: "_Delivery", delay: float) -> None:
        """Have a message come again."""
        check_delay(delay)
        due = now() + round(delay * 1e6)
        work = partial(put_back, place=self._take_back(delivery), attempt=delivery.attempt, due=due)
        putting_back = self._commits.submit(work)
        self.wake()
        await self._settle(delivery, putting_back)

    async def dead_letter(self, delivery: "_Delivery", reason: str) -> None:
        """Make a dead letter of a message."""
        text = reason[:_LONGEST_REASON].encode("utf-8", "backslashreplace").decode()  # it may hold half a character
        place = self._take_back(delivery)
        work = partial(put_aside, channel=self._seat.channel, place=place, reason=text, now=now())
        await self._settle(delivery, self._commits.submit(work))

    def _take_back(self, delivery: "_Delivery") -> Place:
        if self.is_closed or delivery.is_given_up:
            raise TransportError(
                f"message {delivery.position} comes again: its subscription was closed, or settling it has failed"
            )
        if delivery.is_settled:
            raise BadCall(f"message {delivery.position} has been settled already")
        delivery.is_settled = True
        self._held -= 1
        return self._place_of(delivery)

    def _place_of(self, delivery: "_Delivery") -> Place:
        return self._seat.consumer, delivery.position, self._seat.subscription

    async def _settle(self, delivery: "_Delivery", settling: "asyncio.Future[None]") -> None:
        self._claim()
        try:
            await settling
        except NotHeld:
            delivery.is_given_up = True
            self._make_room()
            raise
        except Exception:
            self._give_up(delivery)
            raise
        except asyncio.CancelledError:
            self._make_sure(delivery)
            raise
        self._make_room()

    def _make_sure(self, delivery: "_Delivery") -> None:
        """Look what came of settling a delivery, which goes on though nobody waits for it any more."""
        if not self.is_closed:  # else it has been let go of
            look = partial(is_held, place=self._place_of(delivery), attempt=delivery.attempt)
            self._commits.read(look).add_done_callback(partial(self._have_made_sure, delivery))

    def _have_made_sure(self, delivery: "_Delivery", looking: "asyncio.Future[bool]") -> None:
        if looking.exception() is not None or looking.result():
            self._give_up(delivery)
        else:
            self._make_room()

    def _give_up(self, delivery: "_Delivery") -> None:
        """Have a delivery come again that nobody is going to settle now; not at once, for the file is in trouble."""
        delivery.is_given_up = True
        self._held += 1
        asyncio.get_running_loop().call_later(_PAUSE, self._deliver_again, delivery)

    def _make_room(self) -> None:
        self._handed_out -= 1
        self._changed.set()

    def _deliver_again(self, delivery: "_Delivery") -> None:
        """Hand out what could not be settled, before what has been claimed later."""
        if not self._is_drained:
            again = _Delivery(self, delivery.position, delivery.attempt + 1, delivery.message)
            self._claimed.appendleft(again)
            self._make_room()

    # Ending

    async def drain(self) -> None:
        """Yield no more, and give back what has been claimed and not yielded."""
        self._is_drained = True
        self._stop_timer()
        self._changed.set()
        if self._claiming is not None:
            await asyncio.wait((self._claiming,))
        unseen = [delivery.position for delivery in self._claimed]
        self._claimed.clear()
        self._held -= len(unseen)
        if unseen:
            await self._commits.submit(partial(give_back, seat=self._seat, unseen=unseen))

    async def close(self) -> None:
        """Let go of what is in flight: it comes again."""
        self.is_closed = True
        async with self._leaving:
            if self.has_left:
                return
            leave = partial(leave_seat, consumer=self._seat.consumer, subscription=self._seat.subscription)
            try:
                await self.drain()
            finally:
                await self._commits.submit(leave)
            self.has_left = True


def _claim_now(connection: sqlite3.Connection, path: Path, seat: Seat, limit: int, in_order: bool) -> Claim:
    if in_order:  # what the dead held comes before what is new, and before what waits behind it
        take_over(connection, path, seat)
    return claim(connection, seat, limit, in_order=in_order, now=now())


class _Delivery:
    """A message in flight."""

    __slots__ = ("_subscription", "attempt", "is_given_up", "is_settled", "message", "position")

    def __init__(self, subscription: SqliteSubscription, position: int, attempt: int, message: Message) -> None:
        self.message: Message = message
        self.attempt: int = attempt
        self.position: int = position
        self.is_settled: bool = False
        self.is_given_up: bool = False
        self._subscription = subscription

    async def ack(self) -> None:
        await self._subscription.ack(self)

    async def retry(self, delay: float) -> None:
        await self._subscription.retry(self, delay)

    async def dead_letter(self, reason: str) -> None:
        await self._subscription.dead_letter(self, reason)
