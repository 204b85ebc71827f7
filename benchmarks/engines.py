"""What the works with a server share: the message, how many are in flight, a transport that publishes, pairs."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeAlias
from uuid import uuid4

from async_nexus.transports import Message, Transport
from benchmarks.contenders import Contender, Count, Send
from benchmarks.tasks import in_tasks

Prepare: TypeAlias = Callable[[Count], AbstractAsyncContextManager[Send]]
Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[tuple[Any, Transport, str]]]
"""Connects the client and the transport, and makes a channel that is there until the block ends."""

IN_FLIGHT: Final = (1, 16, 100)
BODY: Final = b'{"specversion": "1.0", "data": "' + b"x" * 200 + b'"}'


class NoServerError(Exception):
    """There is nothing to measure with."""


async def publish_all(events: int, in_flight: int, publish: Callable[[str], Awaitable[object]]) -> None:
    """Publish so many messages, each under an id of its own, from as many tasks as may be in flight."""
    ids = map(str, itertools.count())
    run = uuid4().hex

    async def publish_some(share: int) -> None:
        for _ in range(share):
            await publish(f"{run}-{next(ids)}")

    await in_tasks(publish_some, in_flight)(events)


async def fill(transport: Transport, channel: str, events: int) -> None:
    """Publish what is to be consumed."""
    await publish_all(events, 100, lambda number: transport.publish(channel, Message(number, BODY)))


def publishing(connect: Connect) -> Callable[[int], Prepare]:
    """Each message is confirmed to the transport's `publish`."""

    def with_in_flight(in_flight: int) -> Prepare:
        @asynccontextmanager
        async def prepare(count: Count) -> AsyncIterator[Send]:
            async with connect() as (_, transport, channel):

                async def publish(number: str) -> None:
                    await transport.publish(channel, Message(number, BODY))
                    count.handled += 1

                yield lambda events: publish_all(events, in_flight, publish)

        return prepare

    return with_in_flight


def beside(client: str, transport: str, text: str, direct: Prepare, own: Prepare) -> tuple[Contender, Contender]:
    """Set a transport beside the client that it uses."""
    floor = f"{client}, {text}"
    return Contender(floor, direct, floor), Contender(f"{transport}, {text}", own, floor)


def each_in_flight(
    client: str, transport: str, direct: Callable[[int], Prepare], own: Callable[[int], Prepare]
) -> tuple[Contender, ...]:
    """Set them beside each other for each number in flight."""
    return tuple(
        contender
        for number in IN_FLIGHT
        for contender in beside(client, transport, f"{number} in flight", direct(number), own(number))
    )
