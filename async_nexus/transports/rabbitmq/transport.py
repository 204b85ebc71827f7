"""The transport over RabbitMQ."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterable
from datetime import datetime
from typing import Final, Self

from ...errors import BadCall, raise_together
from .. import Abilities, Message
from .letters import read_letters
from .link import Access, Link
from .messages import read_message, read_reason, write_message
from .publisher import Publisher
from .queues import ConsumerQueues, exchange_name
from .subscription import RabbitSubscription

_ABILITIES: Final = Abilities(delayed_retry=True, dead_letters=True, shared_consumers=True)
_MOST_IN_FLIGHT: Final = 65_535
"""AMQP counts them in 16 bits."""


class RabbitTransport:
    """Carries messages over RabbitMQ.

    `url` is an address, `amqp://user:password@host:port/vhost`, or `amqps://` for TLS, with the context `tls` where one
    is given. By default it is what the environment variable `AMQP_URL` says, which is where credentials belong, else
    `amqp://guest:guest@127.0.0.1/`. `timeout` is how many seconds the broker has for what it is asked to do; it is
    longer away, or lets nobody publish for want of memory or disk, where `TransportUnavailable` is raised.

    A message is for the consumers that there are: one that is published to a channel without any is refused.
    Raises `ValueError` for what cannot be used of these.
    """

    def __init__(self, url: str | None = None, *, tls: ssl.SSLContext | None = None, timeout: float = 10.0) -> None:
        self._access = Access(url, tls, timeout)
        # Two: a broker that lets nobody publish reads nothing from a connection that does.
        self._outward, self._inward = Link(self._access), Link(self._access)
        self._publisher, self._mover = Publisher(self._outward), Publisher(self._outward)
        self._subscriptions: list[RabbitSubscription] = []
        self._unconfirmed = 0
        self._all_confirmed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<RabbitTransport at {self._access}>"

    @property
    def abilities(self) -> Abilities:
        """No order under retries, since what waits holds nothing up, and no replay, since queues keep nothing."""
        return _ABILITIES

    async def start(self) -> None:
        """Connect, if that has not been done. Raises `TransportUnavailable`; if we are not let in, `TransportError`."""
        async with self._access.asked_to("connect"):
            await self._publisher.open()

    async def publish(self, channel: str, message: Message) -> None:
        """Hand a message over, and return when the broker has confirmed that it is in the queue of every consumer.

        Raises `TransportUnavailable` if that is not so in time, `TransportError` if there is no consumer yet or the
        broker refuses, and `ValueError` for a name that cannot be used.
        """
        exchange, written = exchange_name(channel), write_message(message)
        self._unconfirmed += 1
        try:
            async with self._access.asked_to(f"publish to the channel {channel!r}"):
                await self._publisher.publish(exchange, written)
        finally:
            self._unconfirmed -= 1
            if not self._unconfirmed:
                self._all_confirmed.set()

    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> RabbitSubscription:
        """Go on where the consumer left off; a new one gets what is published from now on.

        Raises `BadCall` for `since`, `TransportError`, and `ValueError` for what cannot be used.
        """
        if since is not None:
            raise BadCall("RabbitMQ cannot go back: its queues keep nothing that has been settled; leave out `since`")
        if not 1 <= in_flight <= _MOST_IN_FLIGHT:
            raise ValueError(f"in_flight is a number from 1 to {_MOST_IN_FLIGHT}, not {in_flight!r}")
        subscription = RabbitSubscription(
            self._inward, self._mover, exchange_name(channel), ConsumerQueues(channel, consumer), in_flight
        )
        await subscription.open()
        self._subscriptions = [each for each in self._subscriptions if not each.is_closed]
        self._subscriptions.append(subscription)
        return subscription

    async def dead_letters(self, channel: str, consumer: str) -> AsyncIterator[tuple[Message, str]]:
        """Read what was put aside so far, oldest first, with the reasons; it stays there. Raises `TransportError`.

        They are read one by one, and all of them before the first is yielded; others who read wait for that.
        """
        for letter in await read_letters(self._access, ConsumerQueues(channel, consumer).put_aside):
            yield read_message(letter), read_reason(letter)

    async def drain(self) -> None:
        """Drain the subscriptions, and wait until what was published is confirmed or refused."""
        await _all(subscription.drain() for subscription in self._subscriptions)
        while self._unconfirmed:
            self._all_confirmed.clear()
            await self._all_confirmed.wait()

    async def close(self) -> None:
        """Let go of the connections: what is in flight comes again, what is not confirmed may be kept, or not."""
        subscriptions, self._subscriptions = self._subscriptions, []
        await _all(subscription.close() for subscription in subscriptions)
        await _all(link.close() for link in (self._outward, self._inward))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


async def _all(work: Iterable[Coroutine[None, None, None]]) -> None:
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    raise_together([each for each in outcomes if each is not None], "connections or subscriptions failed to end")
