"""The reference engine: channels in memory, with every ability there is, for tests and for domains of one process."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Final, Self

from ..errors import BadCall, TransportError
from . import Abilities, Delivery, Message, Subscription
from .checks import check_delay, check_name

AT_ONCE: Final = float("-inf")


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryEngine:
    """Channels in memory: several `MemoryTransport`s may share them, as connections share a server."""

    def __init__(self, *, keep: int = 100_000, clock: Callable[[], datetime] = _now) -> None:
        """Make an engine without channels; `clock` tells when a message is published, for `since`.

        Of each channel `keep` messages stay to be replayed, and all that one of its consumers has not settled; where
        it has none yet, all stay. Raises `ValueError` for less than none.
        """
        if keep < 0:
            raise ValueError(f"an engine keeps no fewer than 0 messages, not {keep}")
        self._keep, self._clock = keep, clock
        self._channels: dict[str, _Channel] = {}

    def channel(self, name: str) -> "_Channel":
        """Return a channel, which begins to be when it is first asked for."""
        return self._channels.setdefault(name, _Channel(self._keep, self._clock))


class MemoryTransport:
    """Carries messages within one process; they are lost with it."""

    def __init__(self, engine: MemoryEngine | None = None) -> None:
        """Use channels of its own, or those of an engine."""
        self._engine = MemoryEngine() if engine is None else engine
        self._subscriptions: list[_Subscription] = []

    @property
    def abilities(self) -> Abilities:
        """All that there are."""
        return Abilities(ordered=True, delayed_retry=True, dead_letters=True, shared_consumers=True, replay=True)

    async def start(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def publish(self, channel: str, message: Message) -> None:
        """Append a message to its channel. Raises `ValueError` for a name of no characters, or of more than 1000."""
        check_name(channel)
        self._engine.channel(channel).append(message)

    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        """Go on where the consumer left off, or at a time or position, which count from 1; both are included.

        Raises `ValueError` for less than one in flight, for a time without a zone, and for the names that `publish`
        refuses.
        """
        check_name(channel)
        check_name(consumer)
        if in_flight < 1:
            raise ValueError(f"at least one delivery is in flight, not {in_flight}")
        of_channel = self._engine.channel(channel)
        position = None if since is None else of_channel.find(since)
        subscription = _Subscription(of_channel.consumer(consumer), in_flight)
        if position is not None:
            subscription.consumer.go_to(position)
        self._subscriptions = [each for each in self._subscriptions if not each.is_closed]
        self._subscriptions.append(subscription)
        return subscription

    async def dead_letters(self, channel: str, consumer: str) -> AsyncIterator[tuple[Message, str]]:
        """Read what was put aside so far, oldest first, with the reasons."""
        for letter in tuple(self._engine.channel(channel).consumer(consumer).dead):
            yield letter

    async def drain(self) -> None:
        """Drain the subscriptions; what was published is confirmed already."""
        for subscription in self._subscriptions:
            await subscription.drain()

    async def close(self) -> None:
        """Close the subscriptions; the messages stay with the engine."""
        for subscription in self._subscriptions:
            await subscription.close()
        self._subscriptions.clear()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class _Channel:
    """The messages that are kept, by their position, and who consumes them."""

    def __init__(self, keep: int, clock: Callable[[], datetime]) -> None:
        self._keep, self._clock = keep, clock
        self._messages: deque[tuple[datetime, Message]] = deque()
        self._consumers: dict[str, _Consumer] = {}
        self.first: int = 1

    @property
    def end(self) -> int:
        """The position of the message that comes next."""
        return self.first + len(self._messages)

    def __getitem__(self, position: int) -> Message:
        return self._messages[position - self.first][1]

    def consumer(self, name: str) -> "_Consumer":
        return self._consumers.setdefault(name, _Consumer(self))

    def find(self, since: datetime | int) -> int:
        """Return the first position of a time, or the position itself."""
        if isinstance(since, int):
            return max(since, self.first)
        if since.tzinfo is None:
            raise ValueError(f"the time to go back to has a zone, not {since!r}")
        return next((self.first + n for n, (when, _) in enumerate(self._messages) if when >= since), self.end)

    def append(self, message: Message) -> None:
        self._messages.append((self._clock(), message))
        if len(self._messages) > self._keep:
            unsettled = min((each.unsettled for each in self._consumers.values()), default=self.first)
            while len(self._messages) > self._keep and self.first < unsettled:
                self._messages.popleft()
                self.first += 1
        for each in self._consumers.values():
            each.wake()


class _Consumer:
    """How far a consumer has come: it has taken what stands before `next`, but for what waits or is in flight."""

    def __init__(self, channel: _Channel) -> None:
        self.channel: Final[_Channel] = channel
        self.next: int = channel.first
        self.subscriptions: list[_Subscription] = []
        self.dead: list[tuple[Message, str]] = []
        self._waiting: dict[int, float] = {}
        self._attempts: dict[int, int] = {}

    @property
    def unsettled(self) -> int:
        """The lowest position that is still needed."""
        return min((self.next, *self._waiting, *(each.position for each in self._in_flight())))

    def _in_flight(self) -> Iterator["_Delivery"]:
        for subscription in self.subscriptions:
            yield from subscription.held

    def go_to(self, position: int) -> None:
        """Take what comes from a position on, as if it had not come yet, and nothing else."""
        self.next = position
        self._waiting.clear()
        self._attempts.clear()
        self.wake()

    def take(self, now: float, *, in_order: bool) -> tuple[int, int] | None:
        """Return position and attempt of what may be delivered now; `in_order`, nothing overtakes what waits."""
        due = [position for position, when in self._waiting.items() if in_order or when <= now]
        if due:
            position = min(due)
            if self._waiting[position] > now:
                return None
            del self._waiting[position]
        elif self.next < self.channel.end:
            position, self.next = self.next, self.next + 1
        else:
            return None
        self._attempts[position] = attempt = self._attempts.get(position, 0) + 1
        return position, attempt

    def due(self, *, in_order: bool) -> float | None:
        """Return the loop time at which what waits can be delivered."""
        if in_order:
            return self._waiting[min(self._waiting)] if self._waiting else None
        return min(self._waiting.values(), default=None)

    def forget(self, position: int) -> None:
        """Count attempts anew, should the message be replayed."""
        self._attempts.pop(position, None)

    def put_back(self, position: int, when: float) -> None:
        """Deliver a message again, no sooner than at a loop time."""
        self._waiting[position] = when
        self.wake()

    def wake(self) -> None:
        for subscription in self.subscriptions:
            subscription.wake()


class _Subscription:
    """Hands out what its consumer has not taken, while it holds less than may be in flight."""

    def __init__(self, consumer: _Consumer, in_flight: int) -> None:
        self.consumer: Final[_Consumer] = consumer
        self.held: set[_Delivery] = set()
        self.is_closed: bool = False
        self._in_flight = in_flight
        self._is_drained = False
        self._changed = asyncio.Event()
        consumer.subscriptions.append(self)

    def __aiter__(self) -> AsyncIterator[Delivery]:
        return self

    async def __anext__(self) -> Delivery:
        while not self._is_drained:
            self._changed.clear()
            delivery = self._take()
            if delivery is not None:
                return delivery
            await self._wait()
        raise StopAsyncIteration

    def _take(self) -> Delivery | None:
        if len(self.held) >= self._in_flight:
            return None
        taken = self.consumer.take(asyncio.get_running_loop().time(), in_order=self._in_flight == 1)
        if taken is None:
            return None
        delivery = _Delivery(self, *taken)
        self.held.add(delivery)
        return delivery

    async def _wait(self) -> None:
        """Wait until something has changed, or something that was held back is due."""
        due = self.consumer.due(in_order=self._in_flight == 1)
        has_room = len(self.held) < self._in_flight
        timer = asyncio.get_running_loop().call_at(due, self.wake) if has_room and due is not None else None
        try:
            await self._changed.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        self._changed.set()

    async def drain(self) -> None:
        self._is_drained = True
        self.wake()

    async def close(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        await self.drain()
        self.consumer.subscriptions.remove(self)
        for delivery in self.held:
            self.consumer.put_back(delivery.position, AT_ONCE)
        self.held.clear()


class _Delivery:
    """A message in flight."""

    def __init__(self, subscription: _Subscription, position: int, attempt: int) -> None:
        self.position: Final[int] = position
        self.attempt: Final[int] = attempt
        self.message: Final[Message] = subscription.consumer.channel[position]
        self._subscription = subscription

    async def ack(self) -> None:
        self._settle().forget(self.position)

    async def retry(self, delay: float) -> None:
        check_delay(delay)
        self._settle().put_back(self.position, asyncio.get_running_loop().time() + delay)

    async def dead_letter(self, reason: str) -> None:
        consumer = self._settle()
        consumer.forget(self.position)
        consumer.dead.append((self.message, reason))

    def _settle(self) -> _Consumer:
        """Give the place in flight free."""
        if self._subscription.is_closed:
            raise TransportError(
                f"message {self.position} comes again: its subscription was closed before it was settled"
            )
        if self not in self._subscription.held:
            raise BadCall(f"message {self.position} has been settled already")
        self._subscription.held.remove(self)
        self._subscription.wake()
        return self._subscription.consumer
