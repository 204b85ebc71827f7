"""Publishes with confirmation, as many messages at a time as one likes."""

import asyncio
from typing import Final

from aio_pika import ExchangeType
from aio_pika import Message as AmqpMessage
from aio_pika.abc import AbstractChannel

from .link import Link
from .queues import Queue


class Publisher:
    """Publishes over one channel of a link.

    Its methods return when the broker has confirmed. They raise what aio-pika raises, and wait without end while the
    broker lets nobody publish.
    """

    def __init__(self, link: Link) -> None:
        self._link: Final = link
        self._channel: AbstractChannel | None = None
        self._exchanges: set[str] = set()
        self._opening = asyncio.Lock()
        self._sending: dict[str | None, asyncio.Future[None]] = {}

    async def open(self) -> AbstractChannel:
        """Open the channel, unless it is."""
        if self._channel is None or self._channel.is_closed:
            async with self._opening:
                if self._channel is None or self._channel.is_closed:
                    self._exchanges = set()
                    self._channel = await self._link.channel()
        return self._channel

    async def publish(self, exchange: str, message: AmqpMessage) -> None:
        """Publish to all queues that are bound to an exchange, and make the exchange if there is none."""
        channel = await self.open()
        if exchange not in self._exchanges:
            async with self._opening:
                if exchange not in self._exchanges:
                    await self._declare(exchange)
        await self._send(channel, exchange, "", message)

    async def publish_to(self, queue: Queue, message: AmqpMessage) -> None:
        """Publish to one queue."""
        await self._send(await self.open(), "", queue.name, message)

    async def _declare(self, exchange: str) -> None:
        # On a channel of its own: if the broker refuses, it closes that one.
        async with await self._link.channel() as own:
            await own.declare_exchange(exchange, ExchangeType.FANOUT, durable=True)
        self._exchanges.add(exchange)

    async def _send(self, channel: AbstractChannel, exchange: str, key: str, message: AmqpMessage) -> None:
        underlay = await channel.get_underlay_channel()
        await underlay.connection.ready()
        # aiormq knows which message came back by its id alone.
        while (same := self._sending.get(message.message_id)) is not None:
            await asyncio.wait([same])
        sent = self._sending[message.message_id] = asyncio.get_running_loop().create_future()
        try:
            await underlay.basic_publish(
                message.body, exchange=exchange, routing_key=key, properties=message.properties, mandatory=True
            )
        finally:
            del self._sending[message.message_id]
            sent.set_result(None)
