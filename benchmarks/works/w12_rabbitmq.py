"""W12: RabbitMQ: publishing with confirmation, and consuming with an acknowledgement each; beside aio-pika.

Both do the same with the same exchanges and quorum queues, and with as many messages in flight at the same time.
What is consumed has been published before the clock runs. The broker is that of `AMQP_URL`, else of loopback.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import uuid4

import aio_pika

from async_nexus.errors import TransportError
from async_nexus.transports.addresses import find_address, show_address
from async_nexus.transports.rabbitmq import RabbitTransport
from async_nexus.transports.rabbitmq.queues import ConsumerQueues
from benchmarks.contenders import Count, Send, Work
from benchmarks.engines import BODY, NoServerError, Prepare, each_in_flight, fill, publish_all, publishing

URL: Final = find_address(None, "AMQP_URL", "amqp://guest:guest@127.0.0.1/")
NEEDS: Final = "a RabbitMQ broker of 3.10 or later: rabbitmq-server"
CONSUMER: Final = "consumer"


@asynccontextmanager
async def broker() -> AsyncIterator[tuple[aio_pika.abc.AbstractConnection, RabbitTransport, str]]:
    """Connect with both; give the name of a channel, too, which has a consumer until the block ends."""
    name = f"benchmark-{uuid4().hex[:12]}"
    transport = RabbitTransport(URL)
    try:
        await (await transport.subscribe(name, CONSUMER)).close()
    except TransportError as error:
        raise NoServerError(f"no answer at {show_address(URL)}; this work needs {NEEDS}") from error
    async with transport, await aio_pika.connect(URL) as connection:
        try:
            yield connection, transport, name
        finally:
            queues = ConsumerQueues(name, CONSUMER)
            channel = await connection.channel()
            await channel.queue_delete(queues.own.name)
            await channel.queue_delete(queues.put_aside.name)
            await channel.exchange_delete(name)


def publishing_directly(in_flight: int) -> Prepare:
    """Each message is confirmed to aio-pika's `publish`, which raises if there is no queue for it."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async with broker() as (connection, _, name):
            channel = await connection.channel(on_return_raises=True)
            exchange = await channel.get_exchange(name)

            async def publish(number: str) -> None:
                message = aio_pika.Message(BODY, message_id=number, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await exchange.publish(message, "", mandatory=True, timeout=10)
                count.handled += 1

            yield lambda events: publish_all(events, in_flight, publish)

    return prepare


def consuming_directly(in_flight: int) -> Prepare:
    """aio-pika's iterator of a queue yields them, as many ahead as may be in flight, and each is acknowledged."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async with broker() as (connection, transport, name):

            async def send(events: int) -> float:
                await fill(transport, name, events)
                channel = await connection.channel()
                await channel.set_qos(prefetch_count=in_flight)
                queue = await channel.get_queue(ConsumerQueues(name, CONSUMER).own.name)
                async with queue.iterator() as messages:
                    begin = time.perf_counter_ns()
                    for _ in range(events):
                        message = await anext(messages)
                        count.handled += 1
                        await message.ack()
                    took = time.perf_counter_ns() - begin
                await channel.close()
                return took

            yield send

    return prepare


def consuming(in_flight: int) -> Prepare:
    """A subscription of a `RabbitTransport` yields them, and each is acknowledged."""

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async with broker() as (_, transport, name):

            async def send(events: int) -> float:
                await fill(transport, name, events)
                subscription = await transport.subscribe(name, CONSUMER, in_flight=in_flight)
                deliveries = aiter(subscription)
                begin = time.perf_counter_ns()
                for _ in range(events):
                    delivery = await anext(deliveries)
                    count.handled += 1
                    await delivery.ack()
                took = time.perf_counter_ns() - begin
                await subscription.close()
                return took

            yield send

    return prepare


PUBLISHING: Final = Work(
    "W12-rabbitmq-publish",
    "publishing to RabbitMQ",
    each_in_flight("aio-pika", "RabbitTransport", publishing_directly, publishing(broker)),
    batch=100,
    needs=NEEDS,
)
CONSUMING: Final = Work(
    "W12-rabbitmq-consume",
    "consuming from RabbitMQ",
    each_in_flight("aio-pika", "RabbitTransport", consuming_directly, consuming),
    batch=100,
    needs=NEEDS,
)
