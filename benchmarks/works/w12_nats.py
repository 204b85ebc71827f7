"""W12: NATS JetStream: publishing with confirmation, and consuming with an acknowledgement each; beside nats-py.

Both do the same with the same streams and durable consumers, and with as many messages in flight at the same time.
What is consumed has been published before the clock runs. The server is that of `NATS_URL`, else of loopback.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import uuid4

import nats
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DiscardPolicy, StorageType, StreamConfig

from async_nexus.errors import TransportError
from async_nexus.transports.addresses import find_address, show_address
from async_nexus.transports.nats import NatsTransport
from benchmarks.contenders import Count, Send, Work
from benchmarks.engines import BODY, NoServerError, Prepare, each_in_flight, fill, publish_all, publishing

URL: Final = find_address(None, "NATS_URL", "nats://127.0.0.1:4222")
NEEDS: Final = "a NATS server with JetStream: nats-server -js"


@asynccontextmanager
async def server() -> AsyncIterator[tuple[JetStreamContext, NatsTransport, str]]:
    """Connect with both; give the name of a stream, too, which is there until the block ends."""
    name = f"benchmark-{uuid4().hex[:12]}"
    transport = NatsTransport(URL)
    try:
        await transport.start()
    except TransportError as error:
        raise NoServerError(f"no answer at {show_address(URL)}; this work needs {NEEDS}") from error
    async with transport:
        client = await nats.connect(URL)
        stream = client.jetstream()
        await stream.add_stream(
            StreamConfig(name, subjects=[name], storage=StorageType.FILE, discard=DiscardPolicy.NEW)
        )
        try:
            yield stream, transport, name
        finally:
            await stream.delete_stream(name)
            await client.close()


def publishing_directly(in_flight: int) -> Prepare:
    """Each message is confirmed to nats-py's `publish`."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async with server() as (stream, _, name):

            async def publish(number: str) -> None:
                await stream.publish(name, BODY, headers={"Nats-Msg-Id": number})
                count.handled += 1

            yield lambda events: publish_all(events, in_flight, publish)

    return prepare


def consuming_directly(in_flight: int) -> Prepare:
    """A pull subscription of nats-py fetches as many as may be in flight, and each is acknowledged."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async with server() as (stream, transport, name):
            config = ConsumerConfig(ack_wait=10, max_ack_pending=in_flight)
            subscription = await stream.pull_subscribe(name, "consumer", stream=name, config=config)

            async def send(events: int) -> float:
                await fill(transport, name, events)
                begin = time.perf_counter_ns()
                expected = count.handled + events
                while count.handled < expected:
                    for message in await subscription.fetch(min(in_flight, expected - count.handled)):
                        count.handled += 1
                        await message.ack()
                return time.perf_counter_ns() - begin

            yield send

    return prepare


def consuming(in_flight: int) -> Prepare:
    """A subscription of a `NatsTransport` yields them, and each is acknowledged."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async with server() as (_, transport, name):
            subscription = await transport.subscribe(name, "consumer", in_flight=in_flight)
            deliveries = aiter(subscription)

            async def send(events: int) -> float:
                # Away while there is something to publish, so that nothing is taken before the clock runs.
                nonlocal subscription, deliveries
                await subscription.close()
                await fill(transport, name, events)
                subscription = await transport.subscribe(name, "consumer", in_flight=in_flight)
                deliveries = aiter(subscription)
                begin = time.perf_counter_ns()
                for _ in range(events):
                    delivery = await anext(deliveries)
                    count.handled += 1
                    await delivery.ack()
                return time.perf_counter_ns() - begin

            yield send

    return prepare


PUBLISHING: Final = Work(
    "W12-nats-publish",
    "publishing to NATS JetStream",
    each_in_flight("nats-py", "NatsTransport", publishing_directly, publishing(server)),
    batch=100,
    needs=NEEDS,
)
CONSUMING: Final = Work(
    "W12-nats-consume",
    "consuming from NATS JetStream",
    each_in_flight("nats-py", "NatsTransport", consuming_directly, consuming),
    batch=100,
    needs=NEEDS,
)
