"""Reads what is in a queue, and leaves it there."""

import asyncio
from typing import Final

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity
from aiormq.exceptions import ChannelLockedResource

from .link import Access, Link
from .messages import read_moment
from .queues import Queue

_PAUSE: Final = 0.05


async def read_letters(access: Access, queue: Queue) -> list[AbstractIncomingMessage]:
    """Return what has been put into a queue so far, oldest first. Raises `TransportError`.

    It is taken on a channel, at whose end the broker puts all back; but in a quorum queue not where it was, so it is
    sorted. One reads at a time: another would get what is left.
    """
    link, what = Link(access), f"read the queue {queue.name!r}"
    letters: list[AbstractIncomingMessage] = []
    try:
        async with access.asked_to(what):
            channel = await _reserve(link, queue)
            try:
                source = await channel.get_queue(queue.name)
            except ChannelNotFoundEntity:
                return []
        left: int | None = None
        while left != 0:
            async with access.asked_to(what):
                letter = await source.get(fail=False)
            if letter is None:
                break
            letters.append(letter)
            # The first one tells how many are behind it.
            left = (letter.message_count or 0) if left is None else left - 1
        async with access.asked_to(what):
            await channel.close()
            await _wait_until_back(link, queue, len(letters))
    finally:
        await link.close()
    return sorted(letters, key=read_moment)


async def _wait_until_back(link: Link, queue: Queue, count: int) -> None:
    """Wait until so many messages can be read again: the broker is not done when it answers."""
    channel = await link.channel()
    while True:
        declared = await channel.declare_queue(queue.name, passive=True)
        if (declared.declaration_result.message_count or 0) >= count:
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
