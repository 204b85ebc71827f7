"""Takes messages from a durable consumer, and holds them until they are settled."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Final, TypeAlias

from nats.aio.msg import Msg

from ...errors import BadCall, TransportError, TransportUnavailable
from .. import Message
from ..checks import check_delay
from .headers import read_message
from .inbox import Inbox
from .jetstream import Consumer, JetStream
from .link import Link

logger: Final = logging.getLogger("async_nexus")

# What is answered to a delivery: https://docs.nats.io/reference/reference-protocols/nats_api_reference
_ACK: Final = b"+ACK"
_RETRY: Final = b"-NAK"
_IN_PROGRESS: Final = b"+WPI"

_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_BEATS: Final = 3
"""How often, in the time after which a delivery would come again, the server hears that it is being worked on."""

_REMEMBERED: Final = 1000
"""How many acknowledgements are given again over a new connection: the last may have been lost with the old one."""

PutAside: TypeAlias = Callable[[Message, str], Awaitable[None]]
Stored: TypeAlias = tuple[str, str]
"""What tells a stored message from all others: its position, and its time, as a stream may have been made anew."""


class NatsDelivery:
    """A message that was delivered, until it is settled."""

    __slots__ = ("_subscription", "attempt", "message", "position", "reply", "stored")

    def __init__(self, subscription: "NatsSubscription", message: Msg) -> None:
        # $JS.ACK.<stream>.<consumer>.<attempt>.<position>.<…>.<time>.<…>, or with two more after ACK.
        tokens = message.reply.split(".")
        begin = 4 if len(tokens) == 9 else 6
        attempt, position, _, time = tokens[begin : begin + 4]
        self._subscription = subscription
        self.reply = message.reply
        self.stored: Stored = position, time
        self.attempt: int = int(attempt)
        self.position: int = int(position)
        self.message: Message = read_message(
            message.data, message.headers or {}, f"{tokens[begin - 2]}:{position}:{time}"
        )

    def __repr__(self) -> str:
        return f"<NatsDelivery of {self.message.id!r} at {self.position}, attempt {self.attempt}>"

    async def ack(self) -> None:
        """Settle it; the server hears of it before it can deliver another in its place.

        Raises `TransportUnavailable` if there is no connection in time: then it comes again.
        """
        await self._subscription.settle(self, _ACK)

    async def retry(self, delay: float) -> None:
        """Have it delivered again in `delay` seconds; without a connection in time it comes after `ack_wait`."""
        check_delay(delay)
        await self._subscription.settle(self, b'%b {"delay": %d}' % (_RETRY, round(delay * 1e9)) if delay else _RETRY)

    async def dead_letter(self, reason: str) -> None:
        """Put it among the consumer's dead letters, and settle it once that is confirmed."""
        await self._subscription.put_aside(self, reason)


class NatsSubscription:
    """Yields deliveries of a durable consumer, and keeps them its own by telling the server that they are worked on.

    What is held, and what was asked for and has not come yet, are never more than may be in flight.
    """

    def __init__(self, link: Link, jetstream: JetStream, consumer: Consumer, put_aside: PutAside) -> None:
        self._link = link
        self._jetstream = jetstream
        self._consumer = consumer
        self._put_aside = put_aside
        self._held: dict[Stored, NatsDelivery] = {}
        self._queue: deque[NatsDelivery] = deque()
        self._acked: deque[str] = deque(maxlen=_REMEMBERED)
        self._news = asyncio.Event()
        self._inbox: Inbox | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._is_draining = False
        self.is_closed: bool = False

    def __aiter__(self) -> AsyncIterator[NatsDelivery]:
        return self

    async def __anext__(self) -> NatsDelivery:
        while not self._is_draining:
            if self._queue:
                return self._queue.popleft()
            if self._failure is not None:
                raise self._failure
            self._news.clear()
            await self._pull()
            await self._news.wait()
        raise StopAsyncIteration

    async def start(self, since: datetime | int | None) -> None:
        """Begin to take messages. Raises `TransportError`."""
        if since is not None:
            await self._jetstream.make_stream(self._consumer.stream)
            await self._jetstream.make_consumer(self._consumer, since)
        inbox = await self._open()
        self._keeper = asyncio.create_task(self._keep(inbox), name=f"subscription of {self._consumer}")

    async def drain(self) -> None:
        """Yield no more, and give back at once what has been taken and not been yielded."""
        self._is_draining = True
        self._news.set()
        await self._stop_asking()
        await self._give_back(self._queue)

    async def close(self) -> None:
        """Yield no more, and give everything back at once."""
        self._is_draining = self.is_closed = True
        self._news.set()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._stop_asking()
        await self._give_back(self._held.values())

    async def settle(self, delivery: NatsDelivery, answer: bytes) -> None:
        """Let a delivery go with an answer. Raises `BadCall` if that has been done, and `TransportUnavailable`."""
        self._check_held(delivery)
        del self._held[delivery.stored]
        if answer is _ACK:
            self._acked.append(delivery.reply)
        await self._link.publish(delivery.reply, answer)
        await self._pull()

    async def put_aside(self, delivery: NatsDelivery, reason: str) -> None:
        """Have a delivery put aside, then let it go. Raises `BadCall` if that has been done, and `TransportError`."""
        self._check_held(delivery)
        await self._put_aside(delivery.message, reason)
        await self.settle(delivery, _ACK)

    def _check_held(self, delivery: NatsDelivery) -> None:
        if self.is_closed:
            raise TransportError(f"{delivery!r} cannot be settled: its subscription is closed, so it comes again")
        if self._held.get(delivery.stored) is not delivery:
            raise BadCall(f"{delivery!r} has been settled already: a delivery is settled once")

    async def _pull(self) -> None:
        """Ask for as many as may be in flight, in large portions, but never let who waits here wait for that."""
        free, inbox = self._consumer.in_flight - len(self._held), self._inbox
        if inbox is None or inbox.wanted or self._is_draining or not free:
            return
        if not self._queue or 2 * free >= self._consumer.in_flight:
            await inbox.ask(free)

    async def _take(self, message: Msg | None) -> None:
        if message is not None:
            delivery = NatsDelivery(self, message)
            if held := self._held.get(delivery.stored):
                held.reply = delivery.reply  # the server has not heard of us for too long, but it is ours still
            else:
                self._held[delivery.stored] = delivery
                self._queue.append(delivery)
                self._news.set()
        await self._pull()

    async def _stop_asking(self) -> None:
        if self._inbox is not None and not self._inbox.is_drained:
            await self._inbox.drain()

    async def _give_back(self, deliveries: Iterable[NatsDelivery]) -> None:
        deliveries, self._queue = list(deliveries), deque()
        for delivery in deliveries:
            self._held.pop(delivery.stored, None)
            with suppress(TransportUnavailable):  # then it comes after `ack_wait`
                await self._link.tell(delivery.reply, _RETRY)

    async def _keep(self, inbox: Inbox) -> None:
        clock, pause = asyncio.get_running_loop().time, _PAUSE_SECONDS
        try:
            while True:
                since = clock()
                await self._beat(inbox)
                await inbox.drain()
                # What goes wrong as soon as it is begun is begun more and more seldom.
                pause = min(pause * 2, _LONGEST_PAUSE) if clock() - since < _LONGEST_PAUSE else _PAUSE_SECONDS
                inbox = await self._renew(pause)
        except Exception as error:
            self._failure = error
            self._news.set()

    async def _beat(self, inbox: Inbox) -> None:
        """Tell the server of what is held for long, until the inbox is stale."""
        before: set[Stored] = set()
        while not inbox.stale.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._consumer.ack_wait / _BEATS):
                    await inbox.stale.wait()
            for stored in before.intersection(self._held):
                with suppress(TransportUnavailable, KeyError):
                    await self._link.tell(self._held[stored].reply, _IN_PROGRESS)
            before = set(self._held)
            inbox.listen_for_silence()

    async def _renew(self, pause: float) -> Inbox:
        while True:
            await asyncio.sleep(pause)
            try:
                return await self._open()
            except TransportUnavailable as error:
                if self._link.is_closed:
                    raise
                logger.info("nothing can be had of the consumer %s yet: %s", self._consumer.name, error)

    async def _open(self) -> Inbox:
        consumer = self._consumer
        if not self._is_draining:
            await self._jetstream.make_stream(consumer.stream)
            if await self._jetstream.make_consumer(consumer) and self._inbox is not None:
                logger.warning("the consumer %s was gone: it begins at the oldest message kept", consumer.name)
        inbox = Inbox(await self._link.session(self._link.timeout), consumer, self._take)
        await inbox.open()
        # What was said last may have been lost with the connection; it does no harm to say it twice.
        for reply in list(self._acked):
            await self._link.tell(reply, _ACK)
        for delivery in list(self._held.values()):
            await self._link.tell(delivery.reply, _IN_PROGRESS)
        self._inbox = inbox
        await self._pull()
        return inbox
