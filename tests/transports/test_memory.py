"""The in-memory transport, the reference that engines are held to, on virtual time."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from async_nexus import BadCall, TransportError
from async_nexus.testing import run
from async_nexus.transports import Abilities, Delivery, Message, Subscription, Transport
from async_nexus.transports.memory import MemoryEngine, MemoryTransport


def messages(*numbers: int) -> list[Message]:
    """Make messages of numbers."""
    return [Message(str(number), b"") for number in numbers]


async def publish(transport: Transport, *numbers: int, channel: str = "tea") -> None:
    """Publish messages of numbers."""
    for message in messages(*numbers):
        await transport.publish(channel, message)


async def take(subscription: Subscription, count: int = 1) -> list[Delivery]:
    """Wait for so many deliveries."""
    iterator = aiter(subscription)
    return [await anext(iterator) for _ in range(count)]


async def comes(subscription: Subscription, within: float = 1000) -> Delivery | None:
    """Return the next delivery; nothing if none comes within so many seconds."""
    try:
        async with asyncio.timeout(within):
            return (await take(subscription))[0]
    except TimeoutError:
        return None


async def numbers(subscription: Subscription, count: int) -> list[int]:
    """Acknowledge so many messages and return their numbers."""
    found: list[int] = []
    for _ in range(count):
        (delivery,) = await take(subscription)
        found.append(int(delivery.message.id))
        await delivery.ack()
    return found


def now() -> float:
    """The virtual time."""
    return asyncio.get_running_loop().time()


def test_it_can_do_everything() -> None:
    """It is the reference: each ability is one of its own."""
    assert MemoryTransport().abilities == Abilities(True, True, True, True, True)


def test_messages_come_as_they_were_published() -> None:
    """One after another, the very same, to each consumer, also to one that comes late."""

    async def main() -> None:
        transport: Transport
        async with MemoryTransport() as transport:
            first = await transport.subscribe("tea", "first")
            whole = Message("1", b"\x00\xff", {"a": "b"})
            await transport.publish("tea", whole)
            await publish(transport, 2, 3)
            (delivery,) = await take(first)
            assert delivery.message is whole
            assert (delivery.attempt, delivery.position) == (1, 1)
            await delivery.ack()
            assert await numbers(first, 2) == [2, 3]
            assert await numbers(await transport.subscribe("tea", "second"), 3) == [1, 2, 3]
            assert await comes(first) is None

    run(main())


def test_a_channel_is_none_of_another() -> None:
    """Names tell channels apart."""

    async def main() -> None:
        transport = MemoryTransport()
        await publish(transport, 1, channel="tea")
        await publish(transport, 2, channel="coffee")
        assert await numbers(await transport.subscribe("coffee", "first"), 1) == [2]

    run(main())


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_comes_than_may_be_in_flight(limit: int) -> None:
    """Each delivery that is settled makes room for one."""

    async def main() -> None:
        transport = MemoryTransport()
        subscription = await transport.subscribe("tea", "first", in_flight=limit)
        await publish(transport, *range(10))
        held = await take(subscription, limit)
        assert await comes(subscription) is None
        waiting = asyncio.create_task(take(subscription))
        await asyncio.sleep(5)
        await held[-1].ack()
        (delivery,) = await waiting
        assert (int(delivery.message.id), now()) == (limit, 1005)

    run(main())


def test_a_retried_message_comes_before_later_ones() -> None:
    """With one in flight, later ones wait for it, however long it is held back."""

    async def main() -> None:
        transport = MemoryTransport()
        subscription = await transport.subscribe("tea", "first")
        await publish(transport, 1, 2)
        seen: list[tuple[str, int, float]] = []
        while len(seen) < 4:
            (delivery,) = await take(subscription)
            seen.append((delivery.message.id, delivery.attempt, now()))
            await (delivery.retry(10) if delivery.attempt < 3 and delivery.message.id == "1" else delivery.ack())
        assert seen == [("1", 1, 0), ("1", 2, 10), ("1", 3, 20), ("2", 1, 20)]

    run(main())


def test_others_go_on_while_one_is_held_back() -> None:
    """With several in flight, one that is held back takes no place, and comes when it is due."""

    async def main() -> None:
        transport = MemoryTransport()
        subscription = await transport.subscribe("tea", "first", in_flight=2)
        await publish(transport, 1, 2, 3, 4)
        one, two = await take(subscription, 2)
        await one.retry(10)
        await two.retry(5)
        three, four = await take(subscription, 2)
        assert (three.message.id, four.message.id, now()) == ("3", "4", 0)
        await three.ack()
        await four.ack()
        again = [((await take(subscription))[0].message.id, now()) for _ in range(2)]
        assert again == [("2", 5), ("1", 10)]

    run(main())


def test_what_is_held_back_is_not_waited_for_while_there_is_no_room() -> None:
    """The subscription sleeps until something is settled, whatever falls due meanwhile."""

    async def main() -> None:
        transport = MemoryTransport()
        subscription = await transport.subscribe("tea", "first", in_flight=2)
        await publish(transport, 1, 2, 3)
        one, two = await take(subscription, 2)
        await one.retry(10)
        await take(subscription)
        waiting = asyncio.create_task(take(subscription))
        await asyncio.sleep(50)
        assert not waiting.done()
        await two.ack()
        (delivery,) = await waiting
        assert (delivery.message.id, now()) == ("1", 50)

    run(main())


def test_dead_letters_stay_with_their_reasons() -> None:
    """They are read in the order in which they were put aside, as often as one likes, and do not come again."""

    async def main() -> None:
        transport = MemoryTransport()
        subscription = await transport.subscribe("tea", "first", in_flight=2)
        await publish(transport, 1, 2)
        one, two = await take(subscription, 2)
        await two.dead_letter("cold")
        await one.dead_letter("spilt")
        for _ in range(2):
            letters = [(each.id, reason) async for each, reason in transport.dead_letters("tea", "first")]
            assert letters == [("2", "cold"), ("1", "spilt")]
        assert [each async for each in transport.dead_letters("tea", "second")] == []
        assert await comes(subscription) is None

    run(main())


def test_subscriptions_of_one_consumer_share_its_messages() -> None:
    """None comes twice, also over several transports of one engine."""

    async def main() -> None:
        engine = MemoryEngine()
        one, other = MemoryTransport(engine), MemoryTransport(engine)
        first = await one.subscribe("tea", "first", in_flight=3)
        second = await other.subscribe("tea", "first", in_flight=3)
        waiting = asyncio.create_task(take(second, 2)), asyncio.create_task(take(first, 2))
        await publish(one, *range(4))
        came = [delivery.message.id for each in await asyncio.gather(*waiting) for delivery in each]
        assert sorted(came) == ["0", "1", "2", "3"]

    run(main())


def test_what_was_in_flight_comes_again() -> None:
    """After `close` another subscription gets it at once, at the next attempt, and before what is new."""

    async def main() -> None:
        transport = MemoryTransport()
        first = await transport.subscribe("tea", "first", in_flight=2)
        await publish(transport, 1, 2, 3)
        held = await take(first, 2)
        waiting = asyncio.create_task(comes(await transport.subscribe("tea", "first")))
        await held[0].ack()
        await asyncio.sleep(1)
        await first.close()
        await first.close()
        delivery = await waiting
        assert delivery is not None
        assert (delivery.message.id, delivery.attempt) == ("3", 1)
        await delivery.ack()
        (again,) = await take(await transport.subscribe("tea", "first"))
        assert (again.message.id, again.attempt) == ("2", 2)

    run(main())


def test_a_transport_that_is_closed_lets_go_of_its_subscriptions() -> None:
    """Their iterations end; the messages stay."""

    async def main() -> None:
        async with MemoryTransport() as transport:
            subscription = await transport.subscribe("tea", "first")
            await publish(transport, 1)
            (held,) = await take(subscription)
        assert [each async for each in subscription] == []
        with pytest.raises(TransportError, match="message 1 comes again: its subscription was closed"):
            await held.ack()
        assert await numbers(await transport.subscribe("tea", "first"), 1) == [1]

    run(main())


def test_draining_ends_the_iteration() -> None:
    """Also of whoever waits for a delivery; what is in flight can still be settled."""

    async def main() -> None:
        transport = MemoryTransport()
        subscription = await transport.subscribe("tea", "first", in_flight=2)
        await publish(transport, 1)
        (held,) = await take(subscription)
        waiting = asyncio.create_task(take(subscription))
        await asyncio.sleep(1)
        await transport.drain()
        await publish(transport, 2)
        with pytest.raises(StopAsyncIteration):
            await waiting
        await held.ack()
        assert await numbers(await transport.subscribe("tea", "first"), 1) == [2]

    run(main())


def settle(delivery: Delivery, how: str) -> Coroutine[Any, Any, None]:
    """Settle a delivery by the method of a name."""
    match how:
        case "ack":
            return delivery.ack()
        case "retry":
            return delivery.retry(1)
        case _:
            return delivery.dead_letter("cold")


@pytest.mark.parametrize("first", ["ack", "retry", "dead"])
@pytest.mark.parametrize("second", ["ack", "retry", "dead"])
def test_a_delivery_is_settled_once(first: str, second: str) -> None:
    """`BadCall` for a second time, which changes nothing."""

    async def main() -> None:
        transport = MemoryTransport()
        subscription = await transport.subscribe("tea", "first")
        await publish(transport, 1)
        (delivery,) = await take(subscription)
        await settle(delivery, first)
        with pytest.raises(BadCall, match="message 1 has been settled already"):
            await settle(delivery, second)
        assert (await comes(subscription) is not None) == (first == "retry")
        letters = [each async for each in transport.dead_letters("tea", "first")]
        assert len(letters) == (first == "dead")

    run(main())


def test_a_wait_that_is_cancelled_takes_nothing() -> None:
    """What comes later is for whoever waits then."""

    async def main() -> None:
        transport = MemoryTransport()
        subscription = await transport.subscribe("tea", "first")
        assert await comes(subscription, within=3) is None
        await publish(transport, 1)
        assert await numbers(subscription, 1) == [1]

    run(main())


def test_a_consumer_goes_back_to_a_position() -> None:
    """The message there is the first to come; attempts count from 1 again."""

    async def main() -> None:
        transport = MemoryTransport()
        subscription = await transport.subscribe("tea", "first")
        await publish(transport, *range(1, 6))
        for _ in range(3):
            (delivery,) = await take(subscription)
            await delivery.ack()
        (delivery,) = await take(subscription)
        await delivery.retry(100)
        await subscription.close()
        again = await transport.subscribe("tea", "first", since=3)
        assert [(each.position, each.attempt) for each in [(await take(again))[0]]] == [(3, 1)]
        await again.close()
        (delivery,) = await take(subscription := await transport.subscribe("tea", "first", since=4))
        assert (delivery.position, delivery.attempt) == (4, 1)
        await delivery.ack()
        assert await numbers(subscription, 1) == [5]
        assert await comes(await transport.subscribe("tea", "first")) is None

    run(main())


def test_a_consumer_goes_back_to_a_time() -> None:
    """What was published then, or later, comes again."""

    async def main() -> None:
        times = iter(datetime(2026, 1, 2, hour, tzinfo=UTC) for hour in range(24))
        transport = MemoryTransport(MemoryEngine(clock=lambda: next(times)))
        await publish(transport, 0, 1, 2, 3)
        noon = datetime(2026, 1, 2, 2, tzinfo=UTC)
        assert await numbers(await transport.subscribe("tea", "first", since=noon), 2) == [2, 3]
        between = noon - timedelta(minutes=1)
        assert await numbers(await transport.subscribe("tea", "second", since=between), 2) == [2, 3]
        late = await transport.subscribe("tea", "third", since=noon + timedelta(days=1))
        assert await comes(late) is None
        with pytest.raises(ValueError, match="has a zone"):
            await transport.subscribe("tea", "first", since=datetime(2026, 1, 2))

    run(main())


def test_the_clock_is_that_of_the_wall_unless_told_otherwise() -> None:
    """A time of now is later than what was published, and earlier than what will be."""

    async def main() -> None:
        transport = MemoryTransport()
        await publish(transport, 1)
        await asyncio.to_thread(wait_for_the_clock, since := datetime.now(UTC))
        await publish(transport, 2)
        assert await numbers(await transport.subscribe("tea", "first", since=since), 1) == [2]

    run(main())


def wait_for_the_clock(since: datetime) -> None:
    """Wait until the clock shows another time."""
    while datetime.now(UTC) == since:
        pass


def test_messages_are_kept_within_bounds() -> None:
    """The oldest make room, but none that a consumer has not settled."""

    async def main() -> None:
        transport = MemoryTransport(MemoryEngine(keep=2))
        await publish(transport, *range(1, 4))  # nobody has had any of them
        first = await transport.subscribe("tea", "first", in_flight=3)
        one, two, three = await take(first, 3)
        await one.ack()
        await three.ack()
        await publish(transport, 4)
        assert await numbers(await transport.subscribe("tea", "second"), 3) == [2, 3, 4]
        await two.retry(1)
        await publish(transport, 5)
        assert await numbers(await transport.subscribe("tea", "third"), 4) == [2, 3, 4, 5]
        assert await numbers(first, 3) == [4, 5, 2]
        await publish(transport, 6)
        fourth = await transport.subscribe("tea", "fourth", since=1)
        assert (await take(fourth))[0].position == 5

    run(main())


def test_a_consumer_that_lags_behind_goes_on_with_the_oldest_kept() -> None:
    """Only messages that all consumers have settled are let go of: a position before them leads to the oldest."""

    async def main() -> None:
        transport = MemoryTransport(MemoryEngine(keep=0))
        subscription = await transport.subscribe("tea", "first")
        await publish(transport, 1)
        assert await numbers(subscription, 1) == [1]
        await publish(transport, 2)
        assert await numbers(await transport.subscribe("tea", "first", since=1), 1) == [2]

    run(main())


@pytest.mark.parametrize("in_flight", [0, -1])
def test_at_least_one_is_in_flight(in_flight: int) -> None:
    """`ValueError` for less."""

    async def main() -> None:
        with pytest.raises(ValueError, match=f"at least one delivery is in flight, not {in_flight}"):
            await MemoryTransport().subscribe("tea", "first", in_flight=in_flight)

    run(main())


@pytest.mark.parametrize("delay", [-1.0, float("nan"), float("inf")])
def test_a_delay_that_means_nothing_is_refused(delay: float) -> None:
    """As other engines do, and the delivery can still be settled."""

    async def main() -> None:
        transport = MemoryTransport()
        await publish(transport, 1)
        subscription = await transport.subscribe("tea", "first")
        delivery = await anext(aiter(subscription))
        with pytest.raises(ValueError, match="a delay is a number of seconds from 0"):
            await delivery.retry(delay)
        await delivery.ack()

    run(main())


@pytest.mark.parametrize("name", ["", "x" * 1001])
def test_a_name_without_characters_or_with_too_many_is_refused(name: str) -> None:
    """As SQLite does, which a program may take next."""

    async def main() -> None:
        transport = MemoryTransport()
        for refused in (
            transport.publish(name, Message("1", b"")),
            transport.subscribe(name, "first"),
            transport.subscribe("tea", name),
        ):
            with pytest.raises(ValueError, match="a name of 1 to 1000 characters"):
                await refused

    run(main())


def test_an_engine_keeps_no_fewer_than_none() -> None:
    """`ValueError` for less."""
    with pytest.raises(ValueError, match="no fewer than 0 messages, not -1"):
        MemoryEngine(keep=-1)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_lost_or_doubled_whatever_the_order(seed: int) -> None:
    """Three subscriptions, retries and a subscription that is closed in between: each is acknowledged once."""

    async def main() -> list[str]:
        transport = MemoryTransport()
        acknowledged: list[str] = []
        all_came = asyncio.Event()

        async def consume(limit: int, leave_after: int | None) -> None:
            subscription = await transport.subscribe("tea", "first", in_flight=limit)
            count = 0
            async for delivery in subscription:
                count += 1
                if count == leave_after:
                    await subscription.close()
                    return
                await asyncio.sleep(int(delivery.message.id) % 3)
                if delivery.attempt == 1 and int(delivery.message.id) % 4 == 0:
                    await delivery.retry(2)
                else:
                    await delivery.ack()
                    acknowledged.append(delivery.message.id)
                if len(acknowledged) == 40:
                    all_came.set()

        async with asyncio.TaskGroup() as group:
            for limit, leave_after in ((1, None), (3, None), (4, 5)):
                group.create_task(consume(limit, leave_after))
            await publish(transport, *range(40))
            await all_came.wait()
            await transport.drain()
        return acknowledged

    assert sorted(map(int, run(main(), seed=seed))) == list(range(40))
