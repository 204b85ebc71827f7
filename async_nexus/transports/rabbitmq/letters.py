"""Reads a queue from end to end, and leaves it as it was."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity
from aiormq.exceptions import ChannelLockedResource

from .link import Access, Link
from .queues import Queue

_PAUSE: Final = 0.05


async def read_queue(access: Access, queue: Queue) -> AsyncIterator[AbstractIncomingMessage]:
    """Yield what is in a queue so far, the oldest first. Raises `TransportError`.

    It is held on a connection of its own, at whose end the broker puts all back where it was. One reads at a time:
    another would get what is left.
    """
    link, what = Link(access), f"read the queue {queue.name!r}"
    left: int | None = None
    try:
        async with access.asked_to(what):
            channel = await _reserve(link, queue)
            try:
                source = await channel.get_queue(queue.name)
            except ChannelNotFoundEntity:
                return
        while left != 0:
            async with access.asked_to(what):
                message = await source.get(fail=False)
            if message is None:
                return
            # The first one tells how many are behind it.
            left = (message.message_count or 0) if left is None else left - 1
            yield message
    finally:
        await link.close()


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
