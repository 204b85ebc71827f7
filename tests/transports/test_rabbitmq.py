"""RabbitMQ carries messages as every transport does, and what is its own."""

import asyncio
import logging
import ssl
import traceback
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import aio_pika
import pamqp.encode
import pytest
from aio_pika.abc import AbstractChannel, HeadersType
from hypothesis import given
from hypothesis import strategies as st
from pamqp.constants import DOMAIN_REGEX
from rabbit_servers import TIMEOUT, Broker, private_broker
from waiting import until

from async_nexus import BadCall, TransportError, TransportUnavailable
from async_nexus.testing.conformance import SECRET, Engine, TransportConformance, free_port
from async_nexus.transports import Message
from async_nexus.transports.envelope import decode
from async_nexus.transports.rabbitmq import RabbitTransport, queues
from async_nexus.transports.rabbitmq.failures import Request
from async_nexus.transports.rabbitmq.link import Access, Link
from async_nexus.transports.rabbitmq.queues import ConsumerQueues, Queue, exchange_name, make_queue
from async_nexus.transports.rabbitmq.subscription import RabbitDelivery, RabbitSubscription

PATIENCE = 60.0
"""Seconds that anything may last; only a broken program takes that long."""
FACTORY = "async_nexus.transports.rabbitmq:RabbitTransport"


@pytest.fixture(scope="session")
def broker() -> Generator[Broker]:
    """One for all tests: it takes seconds to start."""
    with private_broker() as broker:
        yield broker


class TestRabbit(TransportConformance):
    """Every claim that is made of transports."""

    patience = 30.0
    outage_patience = crash_patience = PATIENCE

    @pytest.fixture
    def engine(self, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Engine:
        """A broker that belongs to these tests, so nothing has to be deleted."""
        patient = queues.UNTIL_WRITTEN
        monkeypatch.setattr(queues, "UNTIL_WRITTEN", 0)

        @contextmanager
        def mortal() -> Generator[Broker]:
            monkeypatch.setattr(queues, "UNTIL_WRITTEN", patient)
            with broker.lent():
                yield broker

        return Engine(
            factory=FACTORY,
            arguments=broker.arguments,
            refused={"url": f"amqp://user:{SECRET}@127.0.0.1:{free_port()}", "timeout": TIMEOUT},
            server=mortal,
            # Of its own: a policy is set on all queues that a broker has, which takes it minutes where it has hundreds.
            room=private_broker,
        )


# What is its own


@pytest.fixture
def channel() -> str:
    """The name of a channel that nobody else has."""
    return f"own-{uuid4().hex[:12]}"


@pytest.fixture
async def transport(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RabbitTransport]:
    """A transport of the broker, which is not killed: it is not waited for to write down what queues it has."""
    monkeypatch.setattr(queues, "UNTIL_WRITTEN", 0)
    async with RabbitTransport(broker.url, timeout=TIMEOUT) as transport:
        yield transport


@pytest.fixture
async def aside(broker: Broker) -> AsyncIterator[AbstractChannel]:
    """A channel of aio-pika, for what others do with the same broker."""
    async with await aio_pika.connect(broker.url) as connection:
        yield await connection.channel()


async def take(subscription: RabbitSubscription) -> RabbitDelivery:
    """Take the next delivery."""
    async with asyncio.timeout(PATIENCE):
        return await anext(aiter(subscription))


async def handle(subscription: RabbitSubscription, *expected: str) -> None:
    """Take and acknowledge deliveries until all that are expected were taken, in any order."""
    left = set(expected)
    while left:
        delivery = await take(subscription)
        left.remove(delivery.message.id)
        await delivery.ack()


def message(number: object, **headers: str) -> Message:
    """Make a message."""
    return Message(str(number), b"%d" % len(headers), headers)


class Forward:
    """A way to the broker that can be cut."""

    def __init__(self, server: asyncio.Server, writers: list[asyncio.StreamWriter]) -> None:
        self._server = server
        self._writers = writers

    def stop(self) -> None:
        """Cut it."""
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def forwarding(broker: Broker, port: int) -> AsyncIterator[Forward]:
    """Forward connections from a port to the broker."""
    writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", int(broker.url.rpartition(":")[2].strip("/")))
        writers.extend((writer, there[1]))
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    server = await asyncio.start_server(forward, "127.0.0.1", port)
    cut = Forward(server, writers)
    try:
        yield cut
    finally:
        cut.stop()


# Publishing


async def test_without_a_consumer_publishing_is_refused(transport: RabbitTransport, channel: str) -> None:
    """There is no queue that would keep it: it is not confirmed."""
    with pytest.raises(TransportError, match="no consumer has subscribed to it yet"):
        await transport.publish(channel, message(1))
    subscription = await transport.subscribe(channel, "c")
    await transport.publish(channel, message(2))
    await handle(subscription, "2")


async def test_messages_of_one_id_are_told_apart(transport: RabbitTransport, channel: str) -> None:
    """What comes back is blamed on the message that came back, also if others of its id are under way."""
    subscription = await transport.subscribe(channel, "c", in_flight=50)
    there = [transport.publish(channel, message(1)) for _ in range(20)]
    nowhere = [transport.publish(f"{channel}-nowhere", message(1)) for _ in range(20)]
    outcomes = await asyncio.gather(
        *(each for pair in zip(nowhere, there, strict=True) for each in pair), return_exceptions=True
    )
    assert all(type(each) is TransportError for each in outcomes[::2])
    assert outcomes[1::2] == [None] * 20
    for _ in range(20):
        await handle(subscription, "1")


async def test_an_exchange_that_is_deleted_is_made_again(
    transport: RabbitTransport, channel: str, aside: AbstractChannel
) -> None:
    """Publishing fails once, as unavailable, and a subscription that is made anew has it go on."""
    subscription = await transport.subscribe(channel, "c")
    await transport.publish(channel, message(1))
    await handle(subscription, "1")
    await aside.exchange_delete(channel)
    with pytest.raises(TransportUnavailable, match="no exchange"):
        await transport.publish(channel, message(2))
    await subscription.close()
    subscription = await transport.subscribe(channel, "c")
    await transport.publish(channel, message(3))
    await handle(subscription, "3")


async def test_an_exchange_of_another_type_is_refused(
    transport: RabbitTransport, channel: str, aside: AbstractChannel
) -> None:
    """What is there for something else is not used, and others' messages are not held up by that."""
    await aside.declare_exchange(channel, "direct", durable=True)
    other = await transport.subscribe(f"{channel}-other", "c")
    with pytest.raises(TransportError, match="inequivalent arg 'type'") as caught:
        await transport.publish(channel, message(1))
    assert not isinstance(caught.value, TransportUnavailable)
    with pytest.raises(TransportError, match="inequivalent arg 'type'"):
        await transport.subscribe(channel, "c")
    await transport.publish(f"{channel}-other", message(2))
    await handle(other, "2")


@pytest.mark.slow
async def test_a_full_disk_ends_in_time(channel: str, broker: Broker) -> None:
    """While the broker lets nobody publish, publishing raises in time; what was published before is consumed."""
    async with RabbitTransport(broker.url, timeout=2) as transport:
        await live_through_a_full_disk(transport, channel, broker)


async def live_through_a_full_disk(transport: RabbitTransport, channel: str, broker: Broker) -> None:
    """Publish, settle and consume while the disk is full, and afterwards."""
    subscription = await transport.subscribe(channel, "c", in_flight=2)
    await transport.publish(channel, message(1))
    await transport.publish(channel, message(2))
    first, second = await take(subscription), await take(subscription)
    with broker.disk_full():
        async with asyncio.timeout(16):
            for _ in range(2):
                with pytest.raises(TransportUnavailable, match="for want of memory or disk"):
                    await transport.publish(channel, message("late"))
            await first.ack()
            with pytest.raises(TransportUnavailable, match="for want of memory or disk"):
                await second.dead_letter("not now")
        again = await take(subscription)
        assert (again.message.id, again.attempt) == ("2", 2)
        await again.ack()
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(TransportUnavailable):
                await transport.publish(channel, message(3))
                break
    ids = set()
    while "3" not in ids:
        delivery = await take(subscription)
        ids.add(delivery.message.id)
        await delivery.ack()
    assert ids <= {"late", "3"}


# Messages


async def test_what_others_publish_comes(transport: RabbitTransport, channel: str, aside: AbstractChannel) -> None:
    """A CloudEvent of others comes with its content type, and attributes in AMQP's headers come as text."""
    subscription = await transport.subscribe(channel, "c")
    exchange = await aside.get_exchange(channel)
    cloud_event = b'{"specversion": "1.0", "id": "a", "source": "urn:x", "type": "99", "data": 1}'
    headers: HeadersType = {
        "cloudEvents:type": "99",
        "cloudEvents_priority": 3,
        "yes": True,
        "half": 0.5,
        "time": datetime(2026, 1, 2, tzinfo=UTC),
        "raw": bytearray(b"\xff"),
        "table": {"a": 1},
        "nothing": None,
    }
    given = aio_pika.Message(cloud_event, content_type="application/cloudevents+json; charset=utf-8", headers=headers)
    await exchange.publish(given, "")
    delivery = await take(subscription)
    assert delivery.message.headers == {
        "content-type": "application/cloudevents+json; charset=utf-8",
        "cloudEvents:type": "99",
        "cloudEvents_priority": "3",
        "yes": "true",
        "half": "0.5",
        "time": "2026-01-02T00:00:00+00:00",
        "raw": "\ufffd",
    }
    assert b'"type":99,' in decode(delivery.message).event
    await delivery.ack()


async def test_a_retried_message_is_what_it_was(
    transport: RabbitTransport, channel: str, aside: AbstractChannel
) -> None:
    """But for its expiry, which would end it while it is kept, and its user, whom the broker would not believe."""
    subscription = await transport.subscribe(channel, "c")
    exchange = await aside.get_exchange(channel)
    given = aio_pika.Message(
        b"body",
        headers={"n": 5},
        message_id="1",
        content_type="text/plain",
        content_encoding="utf-8",
        correlation_id="c",
        type="t",
        app_id="a",
        user_id="guest",
        expiration=600,
    )
    await exchange.publish(given, "")
    delivery = await take(subscription)
    await delivery.retry(0.01)
    again = await take(subscription)
    assert (again.message, again.attempt) == (delivery.message, 2)
    await again.dead_letter("why")
    queue = await aside.get_queue(ConsumerQueues(channel, "c").put_aside.name)
    put_aside = await queue.get()
    assert (put_aside.content_encoding, put_aside.correlation_id, put_aside.type, put_aside.app_id) == (
        "utf-8",
        "c",
        "t",
        "a",
    )
    assert (put_aside.expiration, put_aside.user_id, put_aside.headers["n"]) == (None, None, 5)
    await put_aside.nack()


async def test_a_long_id_is_carried_whole(transport: RabbitTransport, channel: str) -> None:
    """An id that AMQP has no room for goes in a header, also through retries and to the dead letters."""
    long = "é" * 500
    subscription = await transport.subscribe(channel, "c")
    await transport.publish(channel, Message(long, b""))
    await (await take(subscription)).retry(0.01)
    delivery = await take(subscription)
    assert delivery.message == Message(long, b"")
    await delivery.dead_letter("too long")
    assert [each async for each in transport.dead_letters(channel, "c")] == [(Message(long, b""), "too long")]


async def test_a_message_goes_nowhere_else(transport: RabbitTransport, channel: str, aside: AbstractChannel) -> None:
    """Headers that a broker obeys are not sent, nor sent again with what others had published with them."""
    other = await aside.declare_queue(exclusive=True)
    subscription = await transport.subscribe(channel, "c")
    await transport.publish(channel, message(1, CC=other.name, BCC=other.name))
    delivery = await take(subscription)
    assert delivery.message.headers == {}
    await delivery.ack()
    exchange = await aside.get_exchange(channel)
    await exchange.publish(aio_pika.Message(b"", headers={"CC": [other.name]}), "")
    await (await take(subscription)).retry(0.01)
    await (await take(subscription)).dead_letter("why")
    assert await other.get(fail=False) is None


@pytest.mark.parametrize("headers", [{"a": "x" * 70_000}, {"k" * 300: "x"}, {"content-type": "x" * 300}])
async def test_headers_without_room_are_refused(
    transport: RabbitTransport, channel: str, headers: dict[str, str]
) -> None:
    """They would end the connection: `TransportError` says so before, and other messages go on."""
    subscription = await transport.subscribe(channel, "c")
    with pytest.raises(TransportError, match=r"go over RabbitMQ|on RabbitMQ"):
        await transport.publish(channel, Message("1", b"", headers))
    await transport.publish(channel, message(2))
    await handle(subscription, "2")


async def test_what_cannot_be_moved_comes_again(
    transport: RabbitTransport, channel: str, aside: AbstractChannel
) -> None:
    """A message of others whose headers leave no room for ours is given back, with an error."""
    subscription = await transport.subscribe(channel, "c")
    exchange = await aside.get_exchange(channel)
    await exchange.publish(aio_pika.Message(b"", headers={"a": "x" * 100_000}), "")
    with pytest.raises(TransportError, match="headers"):
        await (await take(subscription)).dead_letter("too large")
    again = await take(subscription)
    assert again.attempt == 2
    await again.ack()


@pytest.mark.parametrize("count", ["many", -5, True])
async def test_attempts_that_others_claim(
    transport: RabbitTransport, channel: str, aside: AbstractChannel, count: Any
) -> None:
    """What is no count of attempts does not count."""
    subscription = await transport.subscribe(channel, "c")
    exchange = await aside.get_exchange(channel)
    await exchange.publish(aio_pika.Message(b"", headers={"async-nexus-attempts": count}), "")
    delivery = await take(subscription)
    assert delivery.attempt == 1
    assert delivery.position is None
    await delivery.ack()


# Settling


async def test_a_retry_holds_nothing_up(transport: RabbitTransport, channel: str) -> None:
    """What waits for long does not hold up what waits less, nor what comes after it, with one in flight."""
    subscription = await transport.subscribe(channel, "c")
    for number in (1, 2, 3):
        await transport.publish(channel, message(number))
    await (await take(subscription)).retry(5)
    await (await take(subscription)).retry(0.3)
    came = []
    for _ in range(3):
        delivery = await take(subscription)
        came.append((delivery.message.id, delivery.attempt))
        await delivery.ack()
    assert came == [("3", 1), ("2", 2), ("1", 2)]


@pytest.mark.slow
async def test_what_waits_while_the_broker_is_away_comes(broker: Broker, channel: str) -> None:
    """A message whose delay ends before the broker that was killed is back comes when it is."""
    async with RabbitTransport(broker.url, timeout=TIMEOUT) as transport:
        subscription = await transport.subscribe(channel, "c")
        await transport.publish(channel, message(1))
        with broker.lent():
            await (await take(subscription)).retry(1)
            # So that it has heard the acknowledgement: else the message would come from where it was.
            await asyncio.sleep(0.3)
            await asyncio.to_thread(broker.kill)
            await asyncio.sleep(1)
        delivery = await take(subscription)
        assert (delivery.message, delivery.attempt) == (message(1), 2)
        await delivery.ack()


async def test_the_broker_hands_on_at_least_once(transport: RabbitTransport, channel: str, broker: Broker) -> None:
    """The broker itself has the queues of a consumer as quorum queues, which keep a message until another has it."""
    subscription = await transport.subscribe(channel, "c")
    await transport.publish(channel, message(1))
    await (await take(subscription)).retry(0.01)
    await handle(subscription, "1")
    told = await asyncio.to_thread(broker.control, "list_queues", "name", "type", "arguments")
    ours = {line.split()[0]: line for line in told.splitlines() if line.startswith(f"{channel}:")}
    assert set(ours) == {f"{channel}:c", f"{channel}:c:dead", f"{channel}:c:delay:10"}
    assert all(line.split()[1] == "quorum" for line in ours.values())
    for name, target in ((f"{channel}:c:delay:10", f"{channel}:c"), (f"{channel}:c", f"{channel}:c:dead")):
        for key, value in (
            ("x-dead-letter-routing-key", target),
            ("x-dead-letter-strategy", "at-least-once"),
            ("x-overflow", "reject-publish"),
        ):
            assert f'{{"{key}","{value}"}}' in ours[name], ours[name]
        assert "x-expires" not in ours[name]


async def test_attempts_count_on(transport: RabbitTransport, channel: str) -> None:
    """Retries with and without a delay, and what comes back unsettled, count alike."""
    subscription = await transport.subscribe(channel, "c")
    await transport.publish(channel, message(1))
    for attempt, delay in ((1, 0.0), (2, 0.01), (3, 0.0), (4, 0.01)):
        delivery = await take(subscription)
        assert delivery.attempt == attempt
        await delivery.retry(delay)
    assert (await take(subscription)).attempt == 5
    await subscription.close()
    subscription = await transport.subscribe(channel, "c")
    delivery = await take(subscription)
    assert delivery.attempt == 6
    await delivery.ack()


@pytest.mark.parametrize("delay", [-1.0, float("nan"), float("inf"), 5_000_000.0])
async def test_impossible_delays_are_refused(transport: RabbitTransport, channel: str, delay: float) -> None:
    """They raise `ValueError`, and the delivery can still be settled."""
    subscription = await transport.subscribe(channel, "c")
    await transport.publish(channel, message(1))
    delivery = await take(subscription)
    with pytest.raises(ValueError, match="RabbitMQ holds a message back for up to 4000000 seconds"):
        await delivery.retry(delay)
    await delivery.ack()


async def test_a_long_reason_is_cut(transport: RabbitTransport, channel: str) -> None:
    """As much of it is kept as has room."""
    subscription = await transport.subscribe(channel, "c")
    await transport.publish(channel, message(1))
    await (await take(subscription)).dead_letter("x" * 10_000)
    (letter,) = [each async for each in transport.dead_letters(channel, "c")]
    assert letter[1] == "x" * 1999 + "…"


async def test_dead_letters_are_read_by_one_at_a_time(
    transport: RabbitTransport, channel: str, broker: Broker, aside: AbstractChannel
) -> None:
    """Each reader gets all of them; one that keeps others waiting for too long has them raise."""
    subscription = await transport.subscribe(channel, "c", in_flight=20)
    for number in range(20):
        await transport.publish(channel, message(number))
        await (await take(subscription)).dead_letter("why")

    async def read() -> list[str]:
        return [each.id async for each, _ in transport.dead_letters(channel, "c")]

    expected = [str(number) for number in range(20)]
    for letters in await asyncio.gather(read(), read(), read()):
        assert letters == expected
    reader = await aside.declare_queue(f"{ConsumerQueues(channel, 'c').put_aside.name}:reader", exclusive=True)
    with pytest.raises(TransportUnavailable):
        await anext(RabbitTransport(broker.url, timeout=0.2).dead_letters(channel, "c"))
    await aside.queue_delete(reader.name)
    assert await read() == expected


async def test_nothing_was_put_aside_where_nobody_was(transport: RabbitTransport, channel: str) -> None:
    """A consumer that there never was has no dead letters, and is not made by asking."""
    assert [each async for each in transport.dead_letters(channel, "c")] == []
    with pytest.raises(TransportError, match="no consumer"):
        await transport.publish(channel, message(1))


@pytest.mark.slow
async def test_what_cannot_be_read_is_put_aside_by_the_broker(
    transport: RabbitTransport, channel: str, aside: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message at which the client gives up its connection comes so often, then no more, and the others come."""
    monkeypatch.setattr(queues, "_RETURNS", 5)
    subscription = await transport.subscribe(channel, "c")
    write = pamqp.encode.METHODS["shortstr"]
    with monkeypatch.context() as patched:
        patched.setitem(
            pamqp.encode.METHODS, "shortstr", lambda text: b"\x02\xff\xfe" if text == "bad" else write(text)
        )
        await (await aside.get_exchange(channel)).publish(aio_pika.Message(b"", message_id="bad"), "")
    await transport.publish(channel, message(1))
    await handle(subscription, "1")
    queue = await aside.get_queue(ConsumerQueues(channel, "c").put_aside.name)
    assert queue.declaration_result.message_count == 1
    with pytest.raises(TransportUnavailable, match=r"utf-8|connection"):
        await anext(transport.dead_letters(channel, "c"))


async def test_what_the_broker_put_aside_has_its_reason(
    transport: RabbitTransport, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that came back unsettled too often is among the dead letters."""
    monkeypatch.setattr(queues, "_RETURNS", 2)
    subscription = await transport.subscribe(channel, "c")
    await transport.publish(channel, message(1))
    for _ in range(3):
        await (await take(subscription)).retry(0)
    letters: list[tuple[Message, str]] = []
    async with asyncio.timeout(PATIENCE):
        while not letters:
            letters = [each async for each in transport.dead_letters(channel, "c")]
    assert letters == [(message(1), "the broker put it aside: delivery_limit")]


# Queues


async def declare(channel: AbstractChannel, queue: Queue) -> None:
    """Declare a queue, and do no more."""
    await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))


async def make(broker: Broker, queue: Queue) -> Queue:
    """Make a queue by a connection of its own, and return what was made."""
    link = Link(Access(broker.url, None, TIMEOUT))
    try:
        async with asyncio.timeout(PATIENCE):
            return await make_queue(link, queue)
    finally:
        await link.close()


class Waits:
    """What those who make queues wait for, in place of time: until `written` is set, and how often they look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writing, self.written = asyncio.Event(), asyncio.Event()
        """Whether somebody waits until a queue is written down, and whether it is."""
        self.made = self.looks = 0
        namespace = SimpleNamespace(sleep=self._sleep, get_running_loop=asyncio.get_running_loop)
        monkeypatch.setattr(queues, "asyncio", namespace)

    async def _sleep(self, seconds: float) -> None:
        if seconds == queues.UNTIL_WRITTEN:
            self.made += 1
            self.writing.set()
            await self.written.wait()
        else:
            self.looks += 1
            await asyncio.sleep(seconds)

    async def are_for(self, making: asyncio.Task[Queue]) -> None:
        """Wait until a queue is waited for, and say that it is written down."""
        async with asyncio.timeout(PATIENCE):
            await self.writing.wait()
        assert not making.done()
        self.written.set()


async def test_a_queue_is_waited_for_once(broker: Broker, channel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who makes it waits until it will stay, and who comes meanwhile does, too; who comes later does not."""
    monkeypatch.setattr(queues, "UNTIL_MADE", 10 * PATIENCE)
    waits, queue = Waits(monkeypatch), ConsumerQueues(channel, "c").delayed(1)
    first = asyncio.create_task(make(broker, queue))
    async with asyncio.timeout(PATIENCE):
        await waits.writing.wait()
    second = asyncio.create_task(make(broker, queue))
    await until(lambda: waits.looks > 1)
    assert not second.done()
    await waits.are_for(first)
    assert await first == await second == queue
    looks = waits.looks
    assert await make(broker, queue) == queue
    assert (waits.made, waits.looks) == (1, looks)


async def test_a_consumers_queue_that_another_is_making_is_waited_for(
    broker: Broker, channel: str, aside: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has no spares is used as it is, when it has had time to be written down."""
    waits, own = Waits(monkeypatch), ConsumerQueues(channel, "c").own
    await declare(aside, own)
    making = asyncio.create_task(make(broker, own))
    await waits.are_for(making)
    assert await making == own
    assert await make(broker, own) == own
    assert (waits.made, waits.looks) == (1, 0)


async def test_a_delay_that_may_not_work_is_replaced(
    broker: Broker, channel: str, aside: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue that nobody has said will stay may be one that the broker has forgotten: a spare is used from then on."""
    monkeypatch.setattr(queues, "UNTIL_MADE", 0.5)
    waits, queue = Waits(monkeypatch), ConsumerQueues(channel, "c").delayed(1)
    waits.written.set()
    await declare(aside, queue)
    begun = asyncio.get_running_loop().time()
    assert (await make(broker, queue)).name == f"{queue.name}:1"
    assert asyncio.get_running_loop().time() - begun >= 0.5
    looks = waits.looks
    assert looks > 0
    assert (await make(broker, queue)).name == f"{queue.name}:1"
    assert (waits.made, waits.looks) == (1, looks)


async def test_what_shows_that_a_queue_stays_ends_with_it(
    broker: Broker, channel: str, aside: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue that is made anew is waited for."""
    own = ConsumerQueues(channel, "c").own
    with monkeypatch.context() as hurried:
        hurried.setattr(queues, "UNTIL_WRITTEN", 0)
        await make(broker, own)
    await aside.queue_delete(own.name)
    await declare(aside, own)
    waits = Waits(monkeypatch)
    making = asyncio.create_task(make(broker, own))
    await waits.are_for(making)
    assert await making == own


@pytest.mark.slow
async def test_a_delay_that_the_broker_forgot_is_replaced(
    broker: Broker, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that is killed as it makes a queue for a delay has the message come again, and others by that delay."""
    async with RabbitTransport(broker.url, timeout=TIMEOUT) as transport:
        subscription = await transport.subscribe(channel, "c")
        await transport.publish(channel, message(1))
        delivery = await take(subscription)
        waits = Waits(monkeypatch)
        with broker.lent():
            retrying = asyncio.create_task(delivery.retry(0.1))
            async with asyncio.timeout(PATIENCE):
                await waits.writing.wait()
            await asyncio.to_thread(broker.kill)
            waits.written.set()
        with pytest.raises(TransportUnavailable):
            await retrying
        delivery = await take(subscription)
        await delivery.retry(0.1)
        delivery = await take(subscription)
        assert (delivery.message, delivery.attempt) == (message(1), 3)
        await delivery.ack()


# Subscriptions


async def test_a_queue_that_is_deleted_is_made_again(
    transport: RabbitTransport, channel: str, aside: AbstractChannel
) -> None:
    """The broker cancels its consumer, which consumes from a new one; what is held from the old one can be settled."""
    subscription = await transport.subscribe(channel, "c", in_flight=2)
    await transport.publish(channel, message(1))
    held = await take(subscription)
    waiting = asyncio.create_task(take(subscription))
    await asyncio.sleep(0)
    await aside.queue_delete(ConsumerQueues(channel, "c").own.name)
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(TransportError):
                await transport.publish(channel, message(2))
                break
    delivery = await waiting
    assert delivery.message.id == "2"
    await delivery.ack()
    await held.ack()


async def test_a_connection_that_is_closed_is_made_again(
    transport: RabbitTransport, channel: str, broker: Broker
) -> None:
    """What was held comes again, and settling it raises; no more are out than may be in flight."""
    subscription = await transport.subscribe(channel, "c", in_flight=2)
    for number in (1, 2, 3):
        await transport.publish(channel, message(number))
    held = [await take(subscription), await take(subscription)]
    lost = subscription._channel
    assert lost is not None
    await asyncio.to_thread(broker.control, "close_all_connections", "maintenance")
    await until(lambda: lost.is_closed)
    waiting = asyncio.create_task(take(subscription))
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not done, "a third is out while two are held"
    with pytest.raises(TransportUnavailable, match="asked to settle"):
        await held[0].ack()
    again = await waiting
    assert again.attempt == 2
    await again.ack()
    with pytest.raises(TransportUnavailable):
        await held[1].retry(0.01)
    await handle(subscription, *({"1", "2", "3"} - {again.message.id}))


async def test_a_subscription_that_ends_in_a_flood_harms_no_other(
    transport: RabbitTransport, channel: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker is told nothing of a channel that is being closed, so the connection stays."""
    other = await transport.subscribe(f"{channel}-other", "c")
    await (await transport.subscribe(channel, "c")).close()
    await asyncio.gather(*(transport.publish(channel, message(number)) for number in range(300)))
    for end in ("close", "drain") * 3:
        subscription = await transport.subscribe(channel, "c", in_flight=200)
        held = [await take(subscription) for _ in range(20)]
        settling = asyncio.gather(*(each.ack() for each in held), return_exceptions=True)
        await (subscription.close() if end == "close" else subscription.drain())
        assert {type(each) for each in await settling} <= {type(None), TransportUnavailable}
        await subscription.close()
    await transport.publish(f"{channel}-other", message("other"))
    await handle(other, "other")
    assert "Unexpected connection close" not in caplog.text


async def test_what_was_not_yielded_goes_to_others_at_once(transport: RabbitTransport, channel: str) -> None:
    """A subscription that is drained keeps what was yielded, and gives back the rest."""
    first = await transport.subscribe(channel, "c", in_flight=10)
    for number in range(5):
        await transport.publish(channel, message(number))
    held = await take(first)
    second = await transport.subscribe(channel, "c", in_flight=10)
    await first.drain()
    await first.drain()
    await handle(second, "1", "2", "3", "4")
    await held.ack()
    with pytest.raises(StopAsyncIteration):
        await anext(aiter(first))


async def test_draining_while_the_broker_is_away_ends(broker: Broker, channel: str) -> None:
    """A subscription that tries to reconnect gives up trying when it is drained."""
    port = free_port()
    async with forwarding(broker, port) as forward:
        transport = RabbitTransport(f"amqp://guest:guest@127.0.0.1:{port}/", timeout=TIMEOUT)
        subscription = await transport.subscribe(channel, "c")
        waiting = asyncio.create_task(anext(aiter(subscription), None))
        await asyncio.sleep(0)
        forward.stop()
        async with asyncio.timeout(PATIENCE):
            await asyncio.sleep(0.05)
            await transport.drain()
            assert await waiting is None
            await transport.close()


async def test_a_broker_that_says_nothing_is_unavailable(channel: str) -> None:
    """It takes connections and is silent: each way to connect ends in time, and so does closing."""
    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    async with silent:
        transport = RabbitTransport(f"amqp://127.0.0.1:{silent.sockets[0].getsockname()[1]}", timeout=0.2)
        async with asyncio.timeout(PATIENCE):
            for connect in (
                transport.start(),
                transport.publish(channel, message(1)),
                transport.subscribe(channel, "c"),
            ):
                with pytest.raises(TransportUnavailable, match="no answer in time"):
                    await connect
            await transport.close()
        for writer in writers:
            writer.close()


# What cannot be used


@pytest.mark.parametrize("in_flight", [0, -1, 70_000])
async def test_in_flight_has_limits(in_flight: int) -> None:
    """As many may be in flight as AMQP can say."""
    with pytest.raises(ValueError, match="in_flight is a number from 1 to 65535"):
        await RabbitTransport().subscribe("orders", "billing", in_flight=in_flight)


async def test_going_back_is_refused() -> None:
    """RabbitMQ's queues keep nothing that has been settled."""
    with pytest.raises(BadCall, match="leave out `since`"):
        await RabbitTransport().subscribe("orders", "billing", since=1)


@pytest.mark.parametrize(
    "url", ["amqp://me:s3cret@host:port/", "redis://me:s3cret@host", "s3cret", "amqp://me:s3cret@[::1/", "amqp://"]
)
def test_an_address_that_cannot_be_read_is_not_shown(url: str) -> None:
    """It may hold a password: neither the error nor what it stands on shows it."""
    with pytest.raises(ValueError, match="The address of RabbitMQ cannot be read") as caught:
        RabbitTransport(url)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_an_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is given comes first; shown is neither its user nor its password."""
    monkeypatch.setenv("AMQP_URL", "amqps://me:s3cret@broker.example:5671/shop")
    assert repr(RabbitTransport()) == "<RabbitTransport at amqps://broker.example:5671>"
    assert repr(RabbitTransport("amqp://other")) == "<RabbitTransport at amqp://other>"
    monkeypatch.delenv("AMQP_URL")
    assert repr(RabbitTransport()) == "<RabbitTransport at amqp://127.0.0.1>"


def test_tls_is_not_forgotten() -> None:
    """A context for an address that is spoken to in the clear is a mistake."""
    with pytest.raises(ValueError, match="tls is for an address amqps://"):
        RabbitTransport("amqp://127.0.0.1", tls=ssl.create_default_context())


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_is_a_number_of_seconds(timeout: float) -> None:
    """What would never end, or at once, is refused."""
    with pytest.raises(ValueError, match="timeout is a number of seconds"):
        RabbitTransport(timeout=timeout)


# Security


async def test_tls(broker: Broker, channel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a context that trusts the broker all is as without; one that does not know it refuses."""
    if not broker.certificate.exists():
        pytest.skip("openssl is not installed, so TLS was NOT tested: on Debian, `apt install openssl`")
    monkeypatch.setattr(queues, "UNTIL_WRITTEN", 0)
    url = f"amqps://guest:guest@127.0.0.1:{broker.tls_port}/"
    context = ssl.create_default_context(cafile=str(broker.certificate))
    async with RabbitTransport(url, tls=context, timeout=TIMEOUT) as transport:
        subscription = await transport.subscribe(channel, "c")
        await transport.publish(channel, message(1))
        await handle(subscription, "1")
    with pytest.raises(TransportUnavailable, match="certificate verify failed"):
        await RabbitTransport(url, timeout=TIMEOUT).start()


@pytest.mark.parametrize("url", ["amqp://guest:{secret}@{host}/", "amqp://guest:guest@{host}/nowhere-{secret}"])
async def test_who_is_not_let_in_shows_no_password(broker: Broker, url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong password is no matter of trying again; it is nowhere to be seen, also not in what the client logs."""
    caplog.set_level(logging.DEBUG)
    host = broker.url.partition("@")[2].strip("/")
    transport = RabbitTransport(url.format(secret=SECRET, host=host), timeout=TIMEOUT)
    with pytest.raises(TransportError) as caught:
        await transport.start()
    await transport.close()
    if "nowhere" not in url:
        assert not isinstance(caught.value, TransportUnavailable)
        assert SECRET not in caplog.text + repr(transport) + "".join(traceback.format_exception(caught.value))


# Names


def test_names_are_told_apart() -> None:
    """Whatever channels and consumers are called, no two of them have a queue in common, nor one of the broker's."""
    names = ["a", "a:b", "a@3Ab", "b", "a b", "A", "é", "a.b", "amq.a", "amq@2Ea", "~", "%7E", "a:dead", "a/b"]
    exchanges = {exchange_name(name) for name in names}
    assert len(exchanges) == len(names)
    own = {ConsumerQueues(channel, consumer).own.name for channel in names for consumer in names}
    dead = {ConsumerQueues(channel, consumer).put_aside.name for channel in names for consumer in names}
    assert len(own | dead) == 2 * len(names) ** 2
    for name in own | dead | exchanges:
        assert DOMAIN_REGEX["queue-name"].fullmatch(name)
        assert not name.startswith("amq.")
    assert exchange_name("orders.eu-west_1") == "orders.eu-west_1"
    assert ConsumerQueues("orders", "billing").own.name == "orders:billing"


@pytest.mark.parametrize("channel, consumer", [("", "c"), ("c", ""), ("x" * 250, "c"), ("c", "é" * 50)])
def test_names_without_room_are_refused(channel: str, consumer: str) -> None:
    """What has no name, or one of more than 255 bytes with all that is added to it, raises `ValueError`."""
    with pytest.raises(ValueError, match="a name"):
        ConsumerQueues(channel, consumer)


def test_an_exchange_has_a_limit_of_its_own() -> None:
    """Who only publishes has a little more room."""
    assert exchange_name("x" * 255) == "x" * 255
    with pytest.raises(ValueError, match="it makes 256 bytes, 255 at most"):
        exchange_name("x" * 256)


@given(seconds=st.floats(min_value=1e-9, max_value=4_000_000))
def test_delays_are_rounded_up_a_little(seconds: float) -> None:
    """A message waits no less than it is to, nor more than a half longer and a millisecond; queues are few."""
    waits = int(str(ConsumerQueues("o", "b").delayed(seconds).arguments["x-message-ttl"])) / 1000
    assert seconds <= waits <= seconds * 1.5 + 0.0015


def test_usual_delays_are_kept() -> None:
    """What people write is a step."""
    steps = {s: ConsumerQueues("o", "b").delayed(s).arguments["x-message-ttl"] for s in (0.1, 1, 2, 10, 30, 60, 600)}
    assert steps == {s: s * 1000 for s in steps}


def test_a_third_party_error_that_is_no_clients_stays() -> None:
    """Only what the client raises becomes ours."""

    async def fail() -> None:
        async with Request("do it", 1):
            raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        asyncio.run(fail())


def test_what_shows_a_user_is_left_out() -> None:
    """Errors of aio-pika that are no AMQP's show the connection, whose address has the user in it."""

    async def fail() -> None:
        async with Request("do it", 1):
            raise RuntimeError('<Connection: "amqp://me:******@host/"> closed')

    with pytest.raises(TransportUnavailable) as caught:
        asyncio.run(fail())
    assert str(caught.value) == "do it: the connection is closed"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_wait_that_the_client_gives_up_is_unavailable() -> None:
    """Its `CancelledError`, that nobody has asked for, is an error; one that somebody has asked for is not."""

    async def give_up() -> None:
        async with Request("do it", 1):
            raise asyncio.CancelledError

    async def cancelled() -> None:
        async with Request("do it", 60):
            await asyncio.Event().wait()

    async def cancel() -> None:
        task = asyncio.create_task(cancelled())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(TransportUnavailable, match="do it: the connection was given up"):
        asyncio.run(give_up())
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())
