"""What a consumer takes from its queue, and how it settles it."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final

from aio_pika import ExchangeType, IncomingMessage
from aio_pika import Message as AmqpMessage
from aio_pika.abc import AbstractChannel
from aiormq.abc import DeliveredMessage

from ...errors import BadCall, TransportError, TransportUnavailable
from .link import Link
from .messages import read_attempt, read_message, to_put_aside, to_retry
from .publisher import Publisher
from .queues import ConsumerQueues, Queue, make_queue, make_queues

logger: Final = logging.getLogger("async_nexus")

_TAKEN: Final = True
_GIVEN_BACK: Final = False

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0


class RabbitDelivery:
    """A message that its subscription holds."""

    __slots__ = ("_came", "_is_settled", "_subscription", "attempt", "message")

    position: None = None
    """RabbitMQ's queues do not number what is in them."""

    def __init__(self, subscription: "RabbitSubscription", came: IncomingMessage) -> None:
        self.message: Final = read_message(came)
        self.attempt: Final = read_attempt(came)
        self._subscription = subscription
        self._came = came
        self._is_settled = False

    def __repr__(self) -> str:
        return f"message {self.message.id[:100]!r}"

    async def ack(self) -> None:
        """Settle it. Raises `TransportUnavailable` if the connection by which it came was lost: then it comes again."""
        self._begin_to_settle()
        try:
            await self._subscription.tell(self._came, _TAKEN)
        finally:
            self._subscription.release()

    async def retry(self, delay: float) -> None:
        """Have it delivered again in `delay` seconds, or up to a half later, after what is in the queue by then.

        Without a delay it goes back to where it was in the queue. Raises `TransportError`, and then it comes again
        sooner, and `ValueError` for less than no time or for years.
        """
        queue = self._subscription.queues.delayed(delay) if delay else None
        self._begin_to_settle()
        try:
            if queue is None:
                await self._subscription.tell(self._came, _GIVEN_BACK)
            else:
                await self._move(queue, lambda: to_retry(self._came))
        finally:
            self._subscription.release()

    async def dead_letter(self, reason: str) -> None:
        """Put it aside, with as much of the reason as fits. Raises `TransportError`, and then it comes again."""
        self._begin_to_settle()
        try:
            await self._move(self._subscription.queues.put_aside, lambda: to_put_aside(self._came, reason))
        finally:
            self._subscription.release()

    def _begin_to_settle(self) -> None:
        if self._is_settled:
            raise BadCall(f"{self!r} has been settled already: a delivery is settled once")
        self._is_settled = True

    async def _move(self, queue: Queue, write: Callable[[], AmqpMessage]) -> None:
        """Put it into another queue, then settle it here. What cannot be moved is given back."""
        try:
            await self._subscription.move(self._came, queue, write())
        except BaseException:
            with suppress(TransportError):
                await self._subscription.tell(self._came, _GIVEN_BACK)
            raise
        await self._subscription.tell(self._came, _TAKEN)


class RabbitSubscription:
    """Yields what comes to a consumer's queue, from a channel that it opens again when it is lost."""

    def __init__(self, link: Link, mover: Publisher, exchange: str, queues: ConsumerQueues, in_flight: int) -> None:
        self.queues: Final = queues
        self._asked_to = link.access.asked_to
        self._link = link
        self._mover = mover
        self._exchange = exchange
        self._limit = in_flight
        self._in_flight = 0
        self._came: deque[IncomingMessage] = deque()
        self._news = asyncio.Event()
        self._ending = asyncio.Event()
        self._opening = asyncio.Lock()
        self._telling = asyncio.Lock()
        self._channel: AbstractChannel | None = None
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
        async with self._opening:
            if self._is_consuming or self._ending.is_set():
                return
            await make_queues(self._link, self.queues.put_aside, self.queues.own)
            try:
                async with self._asked_to(f"deliver from the queue {self.queues.own.name!r}"):
                    if self._channel is None or self._channel.is_closed:
                        self._came.clear()
                        self._channel = await self._link.channel()
                    await self._consume(self._channel)
            except BaseException:
                await self._give_up()
                raise

    async def drain(self) -> None:
        """Yield no more, and give back at once what came and was not yielded."""
        self._end()
        async with self._opening:
            if self._channel is not None and self._tag is not None and self._is_consuming:
                with suppress(TransportUnavailable):  # then the broker takes all back by itself
                    async with self._asked_to(f"deliver no more from the queue {self.queues.own.name!r}"):
                        await (await self._channel.get_underlay_channel()).basic_cancel(self._tag)
            while self._came:
                await self._give_back(self._came.popleft())

    async def close(self) -> None:
        """Yield no more, and give everything back at once."""
        self._end()
        async with self._opening:
            await self._give_up()

    async def tell(self, came: IncomingMessage, is_taken: bool, /) -> None:
        """Tell the broker that a message is done with, or to come again. Raises `TransportUnavailable` if it is lost.

        One at a time, and none while the channel is being closed: a broker that is told something after that ends the
        connection. Not even the socket is waited for, as nothing is answered.
        """
        async with self._asked_to("settle a message"), self._telling:
            tell = came.channel.basic_ack if is_taken else came.channel.basic_nack
            await tell(came.delivery_tag or 0, wait=False)

    async def move(self, came: IncomingMessage, queue: Queue, copy: AmqpMessage) -> None:
        """Put the copy of a message into another queue, if the message is not lost. Raises `TransportError`."""
        queue = await make_queue(self._link, queue)
        async with self._asked_to("move a message"):
            _ = came.channel  # raises if it is lost: what comes again is not to be moved, too
        async with self._asked_to(f"put a message into the queue {queue.name!r}"):
            await self._mover.publish_to(queue, copy)

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
        queue = await channel.get_queue(self.queues.own.name)
        await queue.bind(exchange, "")
        channel.close_callbacks.add(self._look)
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self._stop_consuming)

        # Of aiormq's, for aio-pika's makes one more task for each message.
        self._tag = (await underlay.basic_consume(queue.name, self._take)).consumer_tag

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

    async def _take(self, delivered: DeliveredMessage) -> None:
        message = IncomingMessage(delivered)
        if self._ending.is_set():
            await self._give_back(message)
        else:
            self._came.append(message)
            self._news.set()

    async def _give_back(self, message: IncomingMessage) -> None:
        with suppress(TransportUnavailable):  # then the broker takes it back by itself
            await self.tell(message, _GIVEN_BACK)

    def _look(self, *_: object) -> None:
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
                async with (
                    self._asked_to(f"take back what came from the queue {self.queues.own.name!r}"),
                    self._telling,
                ):
                    await channel.close()
