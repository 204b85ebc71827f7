"""Deliveries stay with who holds them, come again when nobody does, and never too many."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable

import pytest
from log_records import logged
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerInfo
from nats_servers import jetstream, private_server
from waiting import until

from async_nexus import AsyncEventNexus, Event
from async_nexus.errors import BadCall, TransportError
from async_nexus.transports import Message
from async_nexus.transports.boundary import TransportBoundary
from async_nexus.transports.nats import NatsTransport
from async_nexus.transports.nats.names import consumer_name, stream_name
from async_nexus.transports.nats.subscription import NatsDelivery, NatsSubscription

Open = Callable[..., NatsTransport]

PATIENCE = 60.0
"""Seconds that anything may last; only a broken program takes that long."""


async def publish(transport: NatsTransport, channel: str, count: int, first: int = 0) -> None:
    """Publish messages whose ids are numbers."""
    for number in range(first, first + count):
        await transport.publish(channel, Message(str(number), b"x"))


async def take(subscription: NatsSubscription, count: int = 1, seconds: float = PATIENCE) -> list[NatsDelivery]:
    """Take so many deliveries."""
    async with asyncio.timeout(seconds):
        return [await anext(aiter(subscription)) for _ in range(count)]


def ids(deliveries: list[NatsDelivery]) -> list[str]:
    """Return the ids of their messages."""
    return [delivery.message.id for delivery in deliveries]


async def nothing_comes(subscription: NatsSubscription, seconds: float = 0.05) -> None:
    """Wait, and fail if something does."""
    with pytest.raises(TimeoutError):
        await take(subscription, 1, seconds)


async def look(url: str, channel: str) -> ConsumerInfo:
    """Ask the server what it knows of the consumer."""
    async with jetstream(url) as context:
        found: ConsumerInfo = await context.consumer_info(stream_name(channel), consumer_name("billing"))
        return found


async def until_known(url: str, channel: str, condition: Callable[[ConsumerInfo], bool]) -> None:
    """Wait until what the server knows of the consumer is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition(await look(url, channel)):  # noqa: ASYNC110 # nobody could set an event
            await asyncio.sleep(0.01)


async def test_what_is_held_for_long_does_not_come_again(url: str, channel: str, opened: Open) -> None:
    """The server hears of it, for all that is held, as long as the loop runs."""
    # The server waits as long as the other one says: many times as long as it hears nothing of the first.
    transport = opened(url, ack_wait=0.2)
    await publish(transport, channel, 3)
    first = await transport.subscribe(channel, "billing", in_flight=2)
    other = await opened(url, ack_wait=2.0).subscribe(channel, "billing", in_flight=5)
    held = await take(first, 2)
    assert ids(await take(other)) == ["2"]
    await nothing_comes(other, 4.0)
    assert (await look(url, channel)).num_redelivered == 0
    for delivery in held:
        await delivery.ack()
    assert held[0].attempt == 1


async def test_what_comes_again_while_it_is_held_is_not_yielded_again(url: str, channel: str, opened: Open) -> None:
    """The loop stood still for too long: the server has given up, but we have not; the last one settles it."""
    transport = opened(url, ack_wait=1.0)
    await publish(transport, channel, 1)
    subscription = await transport.subscribe(channel, "billing", in_flight=3)
    (delivery,) = await take(subscription)
    giving_up = until_known(url, channel, lambda info: info.delivered is not None and info.delivered.consumer_seq > 1)
    elsewhere = threading.Thread(target=asyncio.run, args=(giving_up,))
    elsewhere.start()
    elsewhere.join()  # the loop stands still: that is the point
    await nothing_comes(subscription)
    assert (await look(url, channel)).num_redelivered == 1
    await delivery.ack()
    await until_known(url, channel, lambda info: (info.num_ack_pending, info.num_redelivered) == (0, 0))


async def test_no_more_is_asked_for_than_may_be_in_flight(url: str, channel: str, transport: NatsTransport) -> None:
    """What is held, yielded or not, and what may still come: the server has that many out, not more."""
    await publish(transport, channel, 30)
    subscription = await transport.subscribe(channel, "billing", in_flight=5)
    async with jetstream(url) as context:

        async def out() -> int:
            info = await context.consumer_info(stream_name(channel), consumer_name("billing"))
            return info.num_ack_pending or 0

        held = await take(subscription, 5)
        assert await out() == 5
        await nothing_comes(subscription)
        seen = list(held)
        while len(seen) < 30:
            await held.pop(0).ack()
            assert await out() <= 6  # the server takes the request and the acknowledgement before it side by side
            (delivery,) = await take(subscription)
            held.append(delivery)
            seen.append(delivery)
    assert ids(seen) == [str(number) for number in range(30)]


async def test_with_one_in_flight_a_consumer_has_one_out(channel: str, url: str, opened: Open) -> None:
    """Also with several subscriptions, so that order is kept among them; what waits to be retried holds up the rest."""
    transport = opened(url)
    await publish(transport, channel, 2)
    one = await transport.subscribe(channel, "billing")
    other = await opened(url).subscribe(channel, "billing")
    (delivery,) = await take(one)
    await nothing_comes(other)
    await delivery.retry(0.3)
    came: list[str] = []

    async def run(subscription: NatsSubscription) -> None:
        async for delivery in subscription:
            came.append(f"{delivery.message.id} in attempt {delivery.attempt}")
            await delivery.ack()

    running = [asyncio.create_task(run(each)) for each in (one, other)]
    await until(lambda: len(came) == 2)
    assert came == ["0 in attempt 2", "1 in attempt 1"]
    await one.close()
    await other.close()
    await asyncio.gather(*running)


async def test_with_several_in_flight_what_waits_does_not_hold_up_the_rest(
    channel: str, transport: NatsTransport
) -> None:
    """However many wait to be retried."""
    await publish(transport, channel, 20)
    subscription = await transport.subscribe(channel, "billing", in_flight=2)
    for delivery in await take(subscription, 1):
        await delivery.retry(60.0)
    for _ in range(18):
        for delivery in await take(subscription, 1):
            await delivery.retry(60.0)
    assert ids(await take(subscription)) == ["19"]


async def test_draining_gives_back_at_once_what_was_not_yielded(url: str, channel: str, opened: Open) -> None:
    """Not after `ack_wait`."""
    transport = opened(url, ack_wait=10 * PATIENCE)
    await publish(transport, channel, 5)
    subscription = await transport.subscribe(channel, "billing", in_flight=5)
    (held,) = await take(subscription)
    await subscription.drain()
    other = await opened(url, ack_wait=10 * PATIENCE).subscribe(channel, "billing", in_flight=10)
    assert ids(await take(other, 4)) == ["1", "2", "3", "4"]
    await held.ack()


async def test_what_was_yielded_before_draining_stays(url: str, channel: str, opened: Open) -> None:
    """Also for long, until it is settled."""
    transport = opened(url, ack_wait=0.2)
    await publish(transport, channel, 1)
    subscription = await transport.subscribe(channel, "billing", in_flight=5)
    (held,) = await take(subscription)
    await subscription.drain()
    # The server waits so long, which is many times as long as it hears nothing of the first.
    other = await opened(url, ack_wait=2.0).subscribe(channel, "billing", in_flight=10)
    await nothing_comes(other, 4.0)
    await held.ack()


async def test_settling_is_refused_when_it_has_been_done(channel: str, transport: NatsTransport) -> None:
    """Also through a delivery that came before."""
    await publish(transport, channel, 1)
    subscription = await transport.subscribe(channel, "billing")
    (first,) = await take(subscription)
    await first.retry(0)
    (second,) = await take(subscription)
    with pytest.raises(BadCall, match=r"'0' at 1, attempt 1.* settled already"):
        await first.ack()
    await second.ack()
    with pytest.raises(BadCall):
        await second.dead_letter("why")


@pytest.mark.parametrize("delay", [-1.0, float("nan"), float("inf")])
async def test_a_delay_that_is_none_is_refused(channel: str, transport: NatsTransport, delay: float) -> None:
    """And the delivery can still be settled."""
    await publish(transport, channel, 1)
    (delivery,) = await take(await transport.subscribe(channel, "billing"))
    with pytest.raises(ValueError, match="delay"):
        await delivery.retry(delay)
    await delivery.ack()


async def test_one_that_cannot_be_put_aside_is_still_held(url: str, channel: str, opened: Open) -> None:
    """There is no room for it: it is lost in neither place."""
    transport = opened(url, max_bytes=300)
    await publish(transport, channel, 1)
    (delivery,) = await take(await transport.subscribe(channel, "billing"))
    with pytest.raises(TransportError, match="make room"):
        await delivery.dead_letter("x" * 1000)
    await delivery.dead_letter("short")
    assert [reason async for _, reason in transport.dead_letters(channel, "billing")] == ["short"]


async def test_one_that_is_put_aside_twice_is_kept_once(url: str, channel: str, opened: Open) -> None:
    """The consumer was killed in between: the server knows it by its id."""
    transport = opened(url)
    await publish(transport, channel, 1)
    subscription = await transport.subscribe(channel, "billing")
    (delivery,) = await take(subscription)
    await subscription._put_aside(delivery.message, "first")
    await delivery.dead_letter("second")
    assert [reason async for _, reason in transport.dead_letters(channel, "billing")] == ["first"]


# When consumers and streams change underneath


async def test_a_replay_goes_on_with_all_subscriptions(channel: str, url: str, opened: Open) -> None:
    """One goes back, and the other one of the same consumer gets its part of it."""
    transport = opened(url)
    await publish(transport, channel, 10)
    other = await transport.subscribe(channel, "billing", in_flight=2)
    for delivery in await take(other, 2):
        await delivery.ack()
    one = await opened(url).subscribe(channel, "billing", in_flight=2, since=1)
    held = await take(one, 2)
    rest = {str(number) for number in range(10)} - set(ids(held))
    came: set[str] = set()
    async with asyncio.timeout(PATIENCE):
        async for delivery in other:
            came.add(delivery.message.id)
            await delivery.ack()
            if came >= rest:
                break


async def test_a_consumer_that_is_deleted_is_made_again(
    url: str, channel: str, transport: NatsTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """It begins at the oldest message that is kept, as nothing else is certain to lose none; that is logged."""
    await publish(transport, channel, 1)
    subscription = await transport.subscribe(channel, "billing")
    for delivery in await take(subscription):
        await delivery.ack()
    waiting = asyncio.create_task(take(subscription))
    async with jetstream(url) as context:
        await context.delete_consumer(stream_name(channel), consumer_name("billing"))
    assert [(each.message.id, each.attempt) for each in await waiting] == [("0", 1)]
    assert "the consumer billing was gone: it begins at the oldest message kept" in caplog.text


async def test_a_stream_that_is_deleted_is_made_again(
    url: str, channel: str, opened: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The server says nothing to who asks it for messages of none; that is noticed, and what is published comes."""
    monkeypatch.setattr("async_nexus.transports.nats.inbox._EXPIRY_SECONDS", 0.1)
    monkeypatch.setattr("async_nexus.transports.nats.inbox._SILENCE_SECONDS", 0.3)
    transport = opened(url, ack_wait=0.3)
    await publish(transport, channel, 2)
    subscription = await transport.subscribe(channel, "billing")
    (held,) = await take(subscription)
    async with jetstream(url) as context:
        await context.delete_stream(stream_name(channel))
    await publish(transport, channel, 1, first=7)
    await held.ack()
    (again,) = await take(subscription)
    assert (again.message.id, again.position) == ("7", 1)
    assert "NATS says nothing of the consumer billing" in caplog.text


async def test_a_request_whose_time_is_over_is_made_again(
    channel: str, transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing came for long; what comes then is taken."""
    monkeypatch.setattr("async_nexus.transports.nats.inbox._EXPIRY_SECONDS", 0.1)
    subscription = await transport.subscribe(channel, "billing", in_flight=5)
    inbox = subscription._inbox
    assert inbox is not None
    asked: list[int] = []
    ask = inbox.ask

    async def note(count: int) -> None:
        asked.append(count)
        await ask(count)

    monkeypatch.setattr(inbox, "ask", note)
    await until(lambda: len(asked) >= 3)
    await publish(transport, channel, 5)
    assert len(await take(subscription, 5)) == 5
    assert asked[:3] == [5, 5, 5]


async def test_what_stays_wrong_is_raised_from_the_iteration(opened: Open) -> None:
    """The server came back without JetStream: waiting longer does not help."""
    with private_server() as server:
        transport = opened(server.url)
        subscription = await transport.subscribe("orders", "billing")
        waiting = asyncio.create_task(take(subscription))
        await asyncio.sleep(0)
        await asyncio.to_thread(server.kill)
        server.configure("", jetstream=False)
        await asyncio.to_thread(server.restart)
        with pytest.raises(TransportError, match="it has no JetStream"):
            await waiting
        with pytest.raises(TransportError, match="it has no JetStream"):
            await take(subscription)
        await subscription.close()


async def test_acknowledgements_that_a_killed_server_forgot_are_given_again(opened: Open) -> None:
    """It would wait for them until `ack_wait` is over, and hold up what comes next."""
    with private_server() as server:
        transport = opened(server.url, ack_wait=10 * PATIENCE)
        subscription = await transport.subscribe("orders", "billing")
        await publish(transport, "orders", 5)
        for _ in range(4):
            for delivery in await take(subscription):
                await delivery.ack()
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.restart)
        last = None
        async with asyncio.timeout(PATIENCE):
            async for delivery in subscription:
                last = delivery.message.id
                await delivery.ack()
                if last == "4":
                    break


# What others have published


async def test_cloudevents_of_others_are_handled(url: str, channel: str, transport: NatsTransport) -> None:
    """In binary mode, with attributes in headers, and structured; published by any client of NATS."""
    boundary: TransportBoundary = TransportBoundary(transport, channel)
    nexus: AsyncEventNexus = AsyncEventNexus()
    nexus.add_producer(boundary)
    came: list[Event] = []

    @nexus.on("tea", "99")
    async def handle(event: Event) -> None:
        came.append(event)
        if len(came) == 3:
            nexus.stop()

    await (await transport.subscribe(channel, "async_nexus")).close()
    attributes = {"specversion": "1.0", "source": "urn:kettle", "type": "tea", "id": "1"}
    async with jetstream(url) as context:
        headers = {f"ce-{name}": value for name, value in attributes.items()} | {"content-type": "application/json"}
        await context.publish(stream_name(channel), b'{"temp": 99}', headers=headers)
        structured = json.dumps({**attributes, "id": "2", "data": {"temp": 80}}).encode()
        await context.publish(
            stream_name(channel), structured, headers={"content-type": "application/cloudevents+json"}
        )
        await context.publish(stream_name(channel), json.dumps({**attributes, "id": "3"}).encode())
        async with nexus, asyncio.timeout(PATIENCE):
            await nexus.loop_forever()
    assert [(event.id, event.type, event.payload) for event in came] == [
        (1, "tea", {"temp": 99}),
        (2, "tea", {"temp": 80}),
        (3, "tea", None),
    ]


async def test_messages_without_an_id_get_one_of_their_own(url: str, channel: str, transport: NatsTransport) -> None:
    """No two have the same; it is the same when one comes again."""
    subscription = await transport.subscribe(channel, "billing", in_flight=2)
    async with jetstream(url) as context:
        for _ in range(2):
            await context.publish(stream_name(channel), b"x")
    first, second = await take(subscription, 2)
    assert first.message.id != second.message.id
    assert first.message.id.startswith(f"{stream_name(channel)}:1:")
    await first.retry(0)
    assert ids(await take(subscription)) == [first.message.id]


@pytest.mark.parametrize("more", ["", "hub.account.", "_.account."])
def test_places_are_read_from_both_kinds_of_replies(more: str) -> None:
    """Of servers that know of domains, and of those that do not."""
    reply = f"$JS.ACK.{more}orders.billing.3.17.20.1795634877761679999.4" + (".token" if more else "")
    delivery = NatsDelivery(None, Msg(Client(), reply=reply, data=b""))  # type: ignore[arg-type] # not asked for
    assert (delivery.attempt, delivery.position, delivery.stored) == (3, 17, ("17", "1795634877761679999"))
    assert delivery.message.id == "orders:17:1795634877761679999"


async def test_warnings_are_not_given_in_good_order(
    channel: str, transport: NatsTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """From the first message to the end."""
    caplog.set_level(logging.INFO, "async_nexus")
    await publish(transport, channel, 3)
    subscription = await transport.subscribe(channel, "billing", in_flight=2)
    for delivery in await take(subscription, 2):
        await delivery.ack()
    await transport.drain()
    await transport.close()
    assert logged(caplog) == []
