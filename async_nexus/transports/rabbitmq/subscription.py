"""What a consumer takes from its queue, and how it settles it."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

from aio_pika import ExchangeType
from aio_pika import Message as AmqpMessage
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import CONNECTION_EXCEPTIONS

from ...errors import BadCall, TransportError, TransportUnavailable
from .link import Link
from .messages import read_attempt, read_message, to_put_aside, to_retry
from .publisher import Publisher
from .queues import ConsumerQueues, Queue, make_queues

logger: Final = logging.getLogger("async_nexus")

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0


class RabbitDelivery:
    """A message that its subscription holds."""

    __slots__ = ("_came", "_is_settled", "_subscription", "attempt", "message")

    position: Final = None
    """RabbitMQ's queues do not number what is in them."""

    def __init__(self, subscription: "RabbitSubscription", came: AbstractIncomingMessage) -> None:
        self.message: Final = read_message(came)
        self.attempt: Final = read_attempt(came)
        self._came = came
        self._subscription = subscription
        self._is_settled = False

    def __repr__(self) -> str:
        return f"message {self.message.id!r:.100}"

    async def ack(self) -> None:
        """Settle it. Raises `TransportUnavailable` if the connection it came by was lost: then it comes again."""
        await self._settle(self._came.ack)

    async def retry(self, delay: float) -> None:
        """Have it delivered again in `delay` seconds, or up to a half later, after what is in the queue by then.

        Without a delay it comes back to where it was in the queue. Raises `TransportUnavailable`, and then it comes
        again sooner, and `ValueError` for less than no time or for years.
        """
        if delay == 0:
            await self._settle(self._came.nack)
        else:
            queue = self._subscription.queues.delayed(delay)
            await self._settle(self._came.ack, lambda: self._subscription.move(queue, to_retry(self._came)))

    async def dead_letter(self, reason: str) -> None:
        """Put it aside, with as much of the reason as fits. Raises `TransportError`, and then it comes again."""
        queue = self._subscription.queues.put_aside
        await self._settle(self._came.ack, lambda: self._subscription.move(queue, to_put_aside(self._came, reason)))

    async def _settle(
        self, finish: Callable[[], Awaitable[None]], move: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Move it elsewhere, if it is to be moved, then tell the broker; it is let go of whatever comes of that."""
        if self._is_settled:
            raise BadCall(f"{self!r} has been settled already: a delivery is settled once")
        self._is_settled = True
        try:
            async with self._subscription.asked_to(f"settle {self!r}"):
                _ = self._came.channel  # raises if it is lost: what comes again must not be moved as well
            if move is not None:
                await self._move(move)
            async with self._subscription.asked_to(f"settle {self!r}"):
                await finish()
        finally:
            self._subscription.release()

    async def _move(self, move: Callable[[], Awaitable[None]]) -> None:
        try:
            await move()
        except BaseException:
            with suppress(TransportError):
                async with self._subscription.asked_to(f"take {self!r} back"):
                    await self._came.nack()
            raise


class RabbitSubscription:
    """Yields what comes to a consumer's queue, from a channel that it opens again when it is lost."""

    def __init__(self, link: Link, publisher: Publisher, exchange: str, queues: ConsumerQueues, in_flight: int) -> None:
        self.queues: Final = queues
        self.asked_to: Final = link.access.asked_to
        self._link = link
        self._publisher = publisher
        self._exchange = exchange
        self._limit = in_flight
        self._in_flight = 0
        self._came: deque[AbstractIncomingMessage] = deque()
        self._news = asyncio.Event()
        self._ending = asyncio.Event()
        self._opening = asyncio.Lock()
        self._channel: AbstractChannel | None = None
        self._queue: AbstractQueue | None = None
        self._tag: str | None = None

    def __aiter__(self) -> AsyncIterator[RabbitDelivery]:
        return self

    async def __anext__(self) -> RabbitDelivery:
        while not self._ending.is_set():
            if not self._is_consuming:
                await self._consume_again()
            elif self._came and self._in_flight < self._limit:
                self._in_flight += 1
                return RabbitDelivery(self, self._came.popleft())
            else:
                self._news.clear()
                await self._news.wait()
        raise StopAsyncIteration

    async def open(self) -> None:
        """Make what the consumer needs, and consume. Raises `TransportError`."""
        async with self._opening, self.asked_to(f"deliver from the queue {self.queues.own.name!r}"):
            if self._is_consuming or self._ending.is_set():
                return
            if self._channel is None or self._channel.is_closed:
                self._came.clear()
                self._channel = await self._link.channel()
            try:
                await self._consume(self._channel)
            except BaseException:
                await self._give_up()
                raise

    async def drain(self) -> None:
        """Yield no more, and give back at once what came and was not yielded."""
        self._end()
        async with self._opening:
            with suppress(TransportUnavailable):  # then the broker takes it back by itself
                async with self.asked_to(f"deliver no more from the queue {self.queues.own.name!r}"):
                    if self._queue is not None and self._tag is not None and self._is_consuming:
                        await self._queue.cancel(self._tag)
                    while self._came:
                        await self._came.popleft().nack()

    async def close(self) -> None:
        """Yield no more, and give everything back at once."""
        self._end()
        async with self._opening:
            await self._give_up()

    async def move(self, queue: Queue, message: AmqpMessage) -> None:
        """Put a message that came into another queue. Raises `TransportError`."""
        async with self.asked_to(f"put a message into the queue {queue.name!r}"):
            await self._publisher.publish_to(queue, message)

    def release(self) -> None:
        """Make room for another delivery."""
        self._in_flight -= 1
        self._news.set()

    @property
    def is_closed(self) -> bool:
        """Whether it holds nothing any more."""
        return self._ending.is_set() and self._channel is None

    @property
    def _is_consuming(self) -> bool:
        return self._tag is not None and self._channel is not None and not self._channel.is_closed

    async def _consume(self, channel: AbstractChannel) -> None:
        await channel.set_qos(prefetch_count=self._limit)
        exchange = await channel.declare_exchange(self._exchange, ExchangeType.FANOUT, durable=True)
        await make_queues(self._link, self.queues.put_aside, self.queues.own)
        self._queue = queue = await channel.get_queue(self.queues.own.name)
        await queue.bind(exchange, "")
        channel.close_callbacks.add(self._lose)
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self._stop_consuming)
        self._tag = await queue.consume(partial(self._take, channel))

    async def _consume_again(self) -> None:
        """Try for as long as it takes, unless the broker refuses. Raises `TransportError`."""
        pause = _FIRST_PAUSE
        while not self._ending.is_set():
            try:
                await self.open()
            except TransportUnavailable as error:
                logger.warning("Nothing comes from the queue %s for now: %s", self.queues.own.name, error)
            else:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._ending.wait()
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _take(self, channel: AbstractChannel, message: AbstractIncomingMessage) -> None:
        if self._ending.is_set():
            with suppress(*CONNECTION_EXCEPTIONS):  # then the broker takes it back by itself
                await message.nack()
        elif channel is self._channel:
            self._came.append(message)
            self._news.set()

    def _lose(self, *_: object) -> None:
        self._news.set()

    def _stop_consuming(self, _: object) -> None:
        """The broker cancels a consumer when its queue is deleted, or moves to where it cannot be consumed."""
        self._tag = None
        self._news.set()

    def _end(self) -> None:
        self._ending.set()
        self._news.set()

    async def _give_up(self) -> None:
        channel, self._channel, self._tag = self._channel, None, None
        self._came.clear()
        if channel is not None:
            with suppress(TransportError):  # then the broker takes all back by itself
                async with self.asked_to(f"take back what came from the queue {self.queues.own.name!r}"):
                    await channel.close()
