"""W12: Redis Streams: publishing with confirmation, and consuming with an acknowledgement each; beside redis-py.

Both do the same with the same streams and groups, and with as many messages in flight at the same time. Those that
are consumed are acknowledged one after another, or each in a task of its own; they were published before the clock
runs. The server is that of `REDIS_URL`, else of loopback.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import uuid4

from redis.asyncio import Redis

from async_nexus.errors import TransportError
from async_nexus.transports import Delivery
from async_nexus.transports.addresses import find_address, show_address
from async_nexus.transports.redis import RedisTransport
from async_nexus.transports.redis.layout import name_log
from benchmarks.contenders import Count, Send, Work
from benchmarks.engines import (
    BODY,
    IN_FLIGHT,
    NoServerError,
    Prepare,
    beside,
    each_in_flight,
    fill,
    publish_all,
    publishing,
)

URL: Final = find_address(None, "REDIS_URL", "redis://127.0.0.1:6379")
NEEDS: Final = "a Redis server, 7.0 or later: redis-server"
GROUP: Final = "consumer"


@asynccontextmanager
async def server() -> AsyncIterator[tuple[Any, RedisTransport, str]]:
    """Connect with both; give the name of a channel, too, whose stream is deleted when the block ends."""
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
            yield client, transport, channel
        finally:
            await client.delete(log)


def publishing_directly(in_flight: int) -> Prepare:
    """Each message is confirmed to redis-py's `xadd`."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async with server() as (client, _, channel):
            log = name_log("async-nexus", channel)

            async def publish(number: str) -> None:
                await client.xadd(log, {"id": number, "body": BODY})
                count.handled += 1

            yield lambda events: publish_all(events, in_flight, publish)

    return prepare


def consuming_directly(in_flight: int, *, at_once: bool) -> Prepare:
    """`xreadgroup` of redis-py reads as many as may be in flight, and each is acknowledged by `xack`."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async with server() as (client, transport, channel):
            log = name_log("async-nexus", channel)

            async def handle(entry_id: bytes) -> None:
                await client.xack(log, GROUP, entry_id)
                count.handled += 1

            async def send(events: int) -> float:
                await fill(transport, channel, events)
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
        async with server() as (_, transport, channel):

            async def handle(delivery: Delivery) -> None:
                await delivery.ack()
                count.handled += 1

            async def send(events: int) -> float:
                await fill(transport, channel, events)
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


PUBLISHING: Final = Work(
    "W12-redis-publish",
    "publishing to Redis Streams",
    each_in_flight("redis-py", "RedisTransport", publishing_directly, publishing(server)),
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
            "redis-py",
            "RedisTransport",
            f"{number} in flight{', in tasks' if at_once else ''}",
            consuming_directly(number, at_once=at_once),
            consuming(number, at_once=at_once),
        )
    ),
    batch=100,
    needs=NEEDS,
)
