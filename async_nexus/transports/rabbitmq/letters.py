"""Reads a queue from end to end, and leaves it as it was."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity
from aiormq.exceptions import ChannelLockedResource

from ...errors import TransportError
from .link import Access, Link
from .queues import Queue

_PAUSE: Final = 0.05


async def read_queue(access: Access, queue: Queue) -> AsyncIterator[AbstractIncomingMessage]:
    """Yield what is in a queue so far, the oldest first. Raises `TransportError`.

    It is held on a channel, and put back in the end. One reads at a time: another would get what is left.
    """
    link, what = Link(access), f"read the queue {queue.name!r}"
    try:
        async with access.asked_to(what):
            channel = await _reserve(link, queue)
            try:
                source = await channel.get_queue(queue.name)
            except ChannelNotFoundEntity:
                return
        reading = _Reading(channel, source)
        try:
            while True:
                async with access.asked_to(what):
                    message = await reading.next()
                if message is None:
                    break
                yield message
        finally:
            # At the end of the connection it would be put back, too, but behind what is left.
            with suppress(TransportError):
                async with access.asked_to(f"put back what was read of the queue {queue.name!r}"):
                    await reading.put_back()
    finally:
        await link.close()


class _Reading:
    """What has been read of a queue, until it is put back."""

    def __init__(self, channel: AbstractChannel, source: AbstractQueue) -> None:
        self._channel = channel
        self._source = source
        self._held: list[int] = []
        self._left: int | None = None

    async def next(self) -> AbstractIncomingMessage | None:
        """Take the next message, of those that there were when the first was taken."""
        message = None if self._left == 0 else await self._source.get(fail=False)
        if message is not None:
            # The first one tells how many are behind it.
            self._left = (message.message_count or 0) if self._left is None else self._left - 1
            self._held.append(message.delivery_tag or 0)
        return message

    async def put_back(self) -> None:
        """Put all back in its order, and wait until it can be read: the broker is not done when it answers.

        What is returned to a quorum queue goes behind what was returned before, so the whole queue has to come round.
        """
        while self._held and await self.next() is not None:
            pass
        underlay = await self._channel.get_underlay_channel()
        for tag in self._held:
            await underlay.basic_nack(tag, requeue=True, wait=False)
        while self._held:
            declared = await self._channel.declare_queue(self._source.name, passive=True)
            if (declared.declaration_result.message_count or 0) >= len(self._held):
                return
            await asyncio.sleep(_PAUSE)


async def _reserve(link: Link, queue: Queue) -> AbstractChannel:
    """Wait until no other reads; the queue that says so ends with the connection, however that ends."""
    while True:
        channel = await link.channel()
        try:
            await channel.declare_queue(f"{queue.name}:reader", exclusive=True)
        except ChannelLockedResource:
            await asyncio.sleep(_PAUSE)
        else:
            return channel
