"""W12: Redis Streams: publishing with confirmation, and consuming with an acknowledgement each; beside redis-py.

Both do the same with the same streams and groups, and with as many messages in flight at the same time. Those that
are consumed are acknowledged one after another, or each in a task of its own; they were published before the clock
runs. The server is that of `REDIS_URL`, else of loopback.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final
from uuid import uuid4

from redis.asyncio import Redis

from async_nexus.errors import TransportError
from async_nexus.transports import Delivery, Message
from async_nexus.transports.addresses import find_address, show_address
from async_nexus.transports.redis import RedisTransport
from async_nexus.transports.redis.layout import name_log
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.tasks import in_tasks

Prepare = Callable[[Count], AbstractAsyncContextManager[Send]]
Publish = Callable[[str], Awaitable[object]]

URL: Final = find_address(None, "REDIS_URL", "redis://127.0.0.1:6379")
IN_FLIGHT: Final = (1, 16, 100)
BODY: Final = b'{"specversion": "1.0", "data": "' + b"x" * 200 + b'"}'
NEEDS: Final = "a Redis server, 7.0 or later: redis-server"
GROUP: Final = "consumer"


class NoServerError(Exception):
    """There is nothing to measure with."""


@asynccontextmanager
async def server() -> AsyncIterator[tuple[Any, RedisTransport, str, str]]:
    """Connect with both; give the name of a channel and of its stream, too, which is deleted when the block ends."""
    channel = f"benchmark-{uuid4().hex[:12]}"
    log = name_log("async-nexus", channel)
    transport = RedisTransport(URL)
    try:
        await transport.start()
    except TransportError as error:
        raise NoServerError(f"no answer at {show_address(URL)}; this work needs {NEEDS}") from error
    async with transport, Redis.from_url(URL) as client:
        try:
            await client.xgroup_create(log, GROUP, "0", mkstream=True)
            await client.expire(log, 3600)  # should this process be killed
            yield client, transport, channel, log
        finally:
            await client.delete(log)


async def publish_all(events: int, in_flight: int, publish: Publish) -> None:
    """Publish so many messages, from as many tasks as may be in flight."""
    ids = map(str, itertools.count())

    async def publish_some(share: int) -> None:
        for _ in range(share):
            await publish(next(ids))

    await in_tasks(publish_some, in_flight)(events)


def publishing_directly(in_flight: int) -> Prepare:
    """Each message is confirmed to redis-py's `xadd`."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async with server() as (client, _, _, log):

            async def publish(number: str) -> None:
                await client.xadd(log, {"id": number, "body": BODY})
                count.handled += 1

            yield lambda events: publish_all(events, in_flight, publish)

    return prepare


def publishing(in_flight: int) -> Prepare:
    """Each message is confirmed to `RedisTransport.publish`."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async with server() as (_, transport, channel, _):

            async def publish(number: str) -> None:
                await transport.publish(channel, Message(number, BODY))
                count.handled += 1

            yield lambda events: publish_all(events, in_flight, publish)

    return prepare


def consuming_directly(in_flight: int, *, at_once: bool) -> Prepare:
    """`xreadgroup` of redis-py reads as many as may be in flight, and each is acknowledged by `xack`."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async with server() as (client, transport, channel, log):

            async def handle(entry_id: bytes) -> None:
                await client.xack(log, GROUP, entry_id)
                count.handled += 1

            async def send(events: int) -> float:
                await publish_all(events, 100, lambda number: transport.publish(channel, Message(number, BODY)))
                begin, expected = time.perf_counter_ns(), count.handled + events
                while count.handled < expected:
                    room = min(in_flight, expected - count.handled)
                    ((_, entries),) = await client.xreadgroup(GROUP, "member", {log: ">"}, count=room, block=1000)
                    if at_once:
                        async with asyncio.TaskGroup() as group:
                            for entry_id, _ in entries:
                                group.create_task(handle(entry_id))
                    else:
                        for entry_id, _ in entries:
                            await handle(entry_id)
                return time.perf_counter_ns() - begin

            yield send

    return prepare


def consuming(in_flight: int, *, at_once: bool) -> Prepare:
    """A subscription of a `RedisTransport` yields them, and each is acknowledged."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async with server() as (_, transport, channel, _):

            async def handle(delivery: Delivery) -> None:
                await delivery.ack()
                count.handled += 1

            async def send(events: int) -> float:
                await publish_all(events, 100, lambda number: transport.publish(channel, Message(number, BODY)))
                begin = time.perf_counter_ns()
                # Subscribed to now, so that nothing has been read before the clock runs.
                subscription = await transport.subscribe(channel, GROUP, in_flight=in_flight)
                deliveries = aiter(subscription)
                async with asyncio.TaskGroup() as group:
                    for _ in range(events):
                        delivery = await anext(deliveries)
                        if at_once:
                            group.create_task(handle(delivery))
                        else:
                            await handle(delivery)
                elapsed = time.perf_counter_ns() - begin
                await subscription.close()
                return elapsed

            yield send

    return prepare


def beside(text: str, direct: Prepare, own: Prepare) -> tuple[Contender, Contender]:
    """Set the transport beside the client."""
    floor = f"redis-py, {text}"
    return Contender(floor, direct, floor), Contender(f"RedisTransport, {text}", own, floor)


PUBLISHING: Final = Work(
    "W12-redis-publish",
    "publishing to Redis Streams",
    tuple(
        contender
        for number in IN_FLIGHT
        for contender in beside(f"{number} in flight", publishing_directly(number), publishing(number))
    ),
    batch=100,
    needs=NEEDS,
)
CONSUMING: Final = Work(
    "W12-redis-consume",
    "consuming from Redis Streams",
    tuple(
        contender
        for number, at_once in (
            (1, False),
            *((number, at_once) for number in IN_FLIGHT[1:] for at_once in (False, True)),
        )
        for contender in beside(
            f"{number} in flight{', in tasks' if at_once else ''}",
            consuming_directly(number, at_once=at_once),
            consuming(number, at_once=at_once),
        )
    ),
    batch=100,
    needs=NEEDS,
)
