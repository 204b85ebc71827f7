"""Redis Streams, against a real server: the one that there is, and private ones that are stopped, killed and filled."""

import asyncio
import logging
import os
import re
import shutil
import signal
import ssl
import subprocess
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from log_records import logged
from redis import Redis
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis_servers import CLAIM_AFTER, PrivateRedis, any_server, forget, private_server
from waiting import until

from async_nexus import BadCall, TransportError, TransportUnavailable
from async_nexus.testing.conformance import SECRET, Engine, TransportConformance, free_port
from async_nexus.transports import Delivery, Message, Subscription
from async_nexus.transports.redis import RedisTransport
from async_nexus.transports.redis.connections import Refusal, translate
from async_nexus.transports.redis.layout import (
    id_before,
    name_keys,
    position_of,
    read_dead_letter,
    read_message,
    write_fields,
)
from async_nexus.transports.redis.member import Member
from async_nexus.transports.redis.server import Server
from async_nexus.transports.redis.subscription import RedisSubscription

PATIENCE = 60.0
"""Seconds that anything may last; only a broken program takes that long."""
FOR_EVER = 1000.0
"""Seconds that no test lasts: nobody is taken for dead, nothing comes due, where it is not the point."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a server, which others may use too."""
    with any_server() as address:
        yield address


class TestConformance(TransportConformance):
    """What every engine has to hold."""

    patience = 30.0
    outage_patience = crash_patience = PATIENCE

    @pytest.fixture
    def engine(self, url: str) -> Engine:
        """Channels on the server that there is; private servers to be killed and filled."""

        async def forget_channel(channel: str) -> None:
            await asyncio.to_thread(forget, url, channel)

        return Engine(
            factory="async_nexus.transports.redis:RedisTransport",
            arguments={"url": url, "claim_after": CLAIM_AFTER},
            refused={"url": f"redis://someone:{SECRET}@127.0.0.1:1"},
            server=private_server,
            room=private_server,
            forget=forget_channel,
        )


# Names, positions, fields


@pytest.mark.parametrize(
    "one, other",
    [
        (("p", "a", "b"), ("p", "a:due:b", "")),
        (("p", "a", "b"), ("p:a", "", "b")),
        (("p", "a", "b}"), ("p", "a}:due:b", "")),
        (("p", "a:b", "c"), ("p:a", "b", "c")),
        (("p", "é", "b"), ("p", "%C3%A9", "b")),
        (("p", "a", "b"), ("p", "a", "B")),
    ],
)
def test_different_names_have_different_keys(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    """What separates the parts of a key does not occur in them."""
    first, second = name_keys(*one), name_keys(*other)
    assert {first.due, first.dead}.isdisjoint({second.due, second.dead, second.log})
    assert first.log not in {second.due, second.dead}
    assert (first.log == second.log) == (one[:2] == other[:2])


@pytest.mark.parametrize("channel", ["orders", "", "{", "}", "a{b}c", "ä b\n\0", "x" * 300])
def test_all_keys_of_a_channel_have_its_hash_tag(channel: str) -> None:
    """A cluster has them in one slot: it looks at what is between the first brace and the next closing one."""
    names = name_keys("async-nexus", channel, "{some}consumer")
    tags = {key.partition("{")[2].partition("}")[0] for key in (names.log, names.due, names.dead)}
    assert len(tags) == 1
    assert tags != {""}


def test_positions_grow_as_ids_do() -> None:
    """An id is one number, and two ids never are the same."""
    ids = [b"0-1", b"0-2", b"1-0", b"1-18446744073709551615", b"2-0", b"1700000000000-0", b"1700000000000-1"]
    positions = [position_of(each) for each in ids]
    assert positions == sorted(set(positions))


@pytest.mark.parametrize("entry_id", ["0-1", "1-0", "1-18446744073709551615", "1700000000000-7"])
def test_what_is_before_a_position_is_the_id_before(entry_id: str) -> None:
    """To go back to a position is to have read what is before it."""
    before = position_of(id_before(position_of(entry_id.encode())).encode())
    assert before == position_of(entry_id.encode()) - 1


def test_what_is_before_a_time() -> None:
    """Going back to a time begins with its millisecond."""
    assert id_before(datetime(1970, 1, 1, 0, 0, 1, 5900, tzinfo=UTC)) == "1004-18446744073709551615"
    assert id_before(datetime(1960, 1, 1, tzinfo=UTC)) == id_before(0) == id_before(-5) == "0-0"
    assert id_before(1 << 300) == "18446744073709551615-18446744073709551615"


def test_a_time_without_a_zone_is_refused() -> None:
    """Nobody could tell when it is."""
    with pytest.raises(ValueError, match="has a zone"):
        id_before(datetime(2020, 1, 1))


def test_a_message_is_read_as_it_was_written() -> None:
    """A header may have the name of a field."""
    message = Message("é", b"\xff\0", {"id": "1", "body": "2", "reason": "3", "header:x": "4", "": "5"})
    fields = list(write_fields(message))
    assert read_message(b"1-0", fields) == message
    assert read_dead_letter(b"1-0", [b"reason", b"why", *fields]) == (message, "why")


def test_an_entry_of_others_is_read_as_far_as_possible() -> None:
    """It has the id of the entry, its fields for headers, and what is no text is escaped."""
    message = read_message(b"7-1", [b"temp", b"\xff99"])
    assert message == Message("7-1", b"", {"temp": "\\xff99"})


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        f"http://u:{SECRET}@localhost",
        f"redis://u:{SECRET}/@localhost:6379",
        f"redis://u:p@localhost/0?no_such={SECRET}",
        f"redis://u:{SECRET}@localhost:99999",
        f"redis://u:{SECRET}@localhost?db=x",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_it(address: str) -> None:
    """The error, and the errors behind it, name no part of a password."""
    with pytest.raises(ValueError, match="cannot be used") as caught:
        RedisTransport(address)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "wrong",
    [
        {"claim_after": 0},
        {"claim_after": float("nan")},
        {"timeout": -1},
        {"replicas": -1},
        {"retain": timedelta(-1)},
        {"tls": ssl.create_default_context()},
    ],
)
def test_numbers_that_cannot_be_used_are_refused(wrong: dict[str, Any]) -> None:
    """A mistake shows when the transport is made."""
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}|replicas"):
        RedisTransport("redis://localhost", **wrong)


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is given; what is shown of it has no credentials."""
    monkeypatch.setenv("REDIS_URL", f"redis://someone:{SECRET}@example.org:1234/5")
    assert repr(RedisTransport()) == "RedisTransport('redis://example.org:1234')"
    assert repr(RedisTransport("redis://here")) == "RedisTransport('redis://here')"
    monkeypatch.delenv("REDIS_URL")
    assert repr(RedisTransport()) == "RedisTransport('redis://127.0.0.1:6379')"


# A channel, and waits that end


class Trial:
    """A channel of a server, which is deleted in the end."""

    def __init__(self, address: str) -> None:
        self.url = address
        self.channel = f"test-{uuid4().hex[:12]}"
        self.names = name_keys("async-nexus", self.channel, "first")
        self.client = Redis.from_url(address)

    @asynccontextmanager
    async def transport(self, **arguments: Any) -> AsyncIterator[RedisTransport]:
        """Open a transport."""
        async with RedisTransport(self.url, **{"claim_after": FOR_EVER, **arguments}) as transport:
            yield transport

    async def publish(self, transport: RedisTransport, *ids: str) -> None:
        """Publish messages of these ids."""
        for each in ids:
            await transport.publish(self.channel, Message(each, each.encode()))

    def read_as(self, member: str, count: int = 1) -> None:
        """Have a member that does nothing else read entries."""
        self.client.xreadgroup("first", member, {self.names.log: ">"}, count=count)

    def members(self) -> dict[str, int]:
        """Return the members of the group, and how many entries each holds."""
        found: Any = self.client.xinfo_consumers(self.names.log, "first")
        return {each["name"].decode(): each["pending"] for each in found}

    def have_all_come_due(self) -> None:
        """Have what is delayed come again, as if its time were over."""
        found: Any = self.client.zrange(self.names.due, 0, -1)
        self.client.zadd(self.names.due, dict.fromkeys(found, 0))

    def pending(self) -> int:
        """Return how many entries are not settled."""
        found: Any = self.client.xpending(self.names.log, "first")
        return int(found["pending"])


@contextmanager
def trying(address: str) -> Generator[Trial]:
    """Clear up after a trial."""
    found = Trial(address)
    try:
        yield found
    finally:
        found.client.close()
        forget(address, found.channel)


@pytest.fixture
def trial(url: str) -> Iterator[Trial]:
    """A channel on the server that there is."""
    with trying(url) as found:
        yield found


async def take(subscription: Subscription, count: int) -> list[Delivery]:
    """Take so many deliveries."""
    iterator = aiter(subscription)
    async with asyncio.timeout(PATIENCE):
        return [await anext(iterator) for _ in range(count)]


async def one(subscription: Subscription) -> Delivery:
    """Take one delivery."""
    return (await take(subscription, 1))[0]


def ids(deliveries: list[Delivery]) -> list[str]:
    """Return the ids of messages."""
    return [delivery.message.id for delivery in deliveries]


def is_reading(subscription: Subscription) -> bool:
    """Whether it waits for what is new."""
    assert isinstance(subscription, RedisSubscription)
    return subscription.member._reading_as is not None


async def at_last(action: Callable[[], Awaitable[None]]) -> None:
    """Try again for as long as the server cannot be used."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await action()
            except TransportUnavailable:
                await asyncio.sleep(0.02)


# Members


async def test_what_the_dead_held_comes_elsewhere(trial: Trial) -> None:
    """After `claim_after` seconds, at its next attempt; who was dead and holds nothing any more is no member."""
    async with trial.transport(claim_after=0.2) as transport:
        await (await transport.subscribe(trial.channel, "first")).close()
        await trial.publish(transport, "m0", "m1", "m2")
        trial.read_as("dead", 2)
        subscription = await transport.subscribe(trial.channel, "first", in_flight=5)
        held = await take(subscription, 3)
        assert {each.message.id: each.attempt for each in held} == {"m0": 2, "m1": 2, "m2": 1}
        for each in held:
            await each.ack()
        await until(lambda: "dead" not in trial.members())


async def test_who_lives_keeps_what_it_holds(trial: Trial) -> None:
    """However long its handlers take, nobody else gets it."""
    # The other one waits many times as long as the first keeps silent: a loop that stands still is not what is tried.
    async with trial.transport(claim_after=0.2) as transport, trial.transport(claim_after=2) as others:
        subscription = await transport.subscribe(trial.channel, "first", in_flight=2)
        await trial.publish(transport, "m0", "m1")
        held = await take(subscription, 2)
        await subscription.drain()
        other = await others.subscribe(trial.channel, "first", in_flight=2)
        waiting = asyncio.create_task(one(other))
        done, _ = await asyncio.wait({waiting}, timeout=3.5)
        assert not done
        await held[0].retry(0)
        assert (await waiting).message.id == "m0"
        await held[1].ack()


async def test_a_member_by_name_goes_on_at_once(trial: Trial) -> None:
    """What a process of its name held comes again without waiting for it to count as dead."""
    async with trial.transport(member="a b") as transport:
        await (await transport.subscribe(trial.channel, "first")).close()
        await trial.publish(transport, "m0", "m1", "m2")
        trial.read_as("a%20b", 2)
        subscription = await transport.subscribe(trial.channel, "first")
        for expected in (("m0", 2), ("m1", 2), ("m2", 1)):
            delivery = await one(subscription)
            assert (delivery.message.id, delivery.attempt) == expected
            await delivery.ack()


async def test_a_member_by_name_subscribes_once(trial: Trial) -> None:
    """Two of one name would take each other's messages."""
    async with trial.transport(member="a") as transport:
        subscription = await transport.subscribe(trial.channel, "first")
        with pytest.raises(BadCall, match="'a' has a subscription"):
            await transport.subscribe(trial.channel, "first")
        await transport.subscribe(trial.channel, "second")
        await subscription.close()
        await transport.subscribe(trial.channel, "first")


async def test_members_have_names_of_their_own(trial: Trial) -> None:
    """Each subscription is one member, and none when it is closed."""
    async with trial.transport() as transport:
        subscriptions = [await transport.subscribe(trial.channel, "first") for _ in range(3)]
        await trial.publish(transport, "m0", "m1", "m2")
        for each in subscriptions:
            await one(each)
        assert list(trial.members().values()) == [1, 1, 1]
        for each in subscriptions:
            await each.close()
        assert trial.members() == {"(delayed)": 3}


async def test_what_was_not_yielded_has_not_been_delivered(trial: Trial) -> None:
    """Drained, a subscription gives back what it had read, and others get it at its first attempt."""
    async with trial.transport() as transport:
        subscription = await transport.subscribe(trial.channel, "first", in_flight=10)
        await trial.publish(transport, *(f"m{number}" for number in range(5)))
        held = await take(subscription, 2)
        await until(lambda: trial.pending() == 5)
        await subscription.drain()
        rest = await take(await transport.subscribe(trial.channel, "first", in_flight=10), 3)
        assert {each.message.id: each.attempt for each in rest} == {"m2": 1, "m3": 1, "m4": 1}
        for each in (*held, *rest):
            await each.ack()
        assert trial.pending() == 0


async def test_a_living_subscription_gets_what_another_let_go(trial: Trial) -> None:
    """Also while it waits for what is new."""
    async with trial.transport() as transport:
        closing = await transport.subscribe(trial.channel, "first", in_flight=3)
        await trial.publish(transport, "m0", "m1", "m2")
        await take(closing, 3)
        living = await transport.subscribe(trial.channel, "first", in_flight=3)
        waiting = asyncio.ensure_future(take(living, 3))
        await closing.close()
        assert sorted(ids(await waiting)) == ["m0", "m1", "m2"]


async def test_what_another_has_taken_over_is_its_own(trial: Trial) -> None:
    """Who was taken for dead may come back and settle: an `ack` counts, a `retry` leaves it where it is."""
    async with trial.transport() as transport:
        subscription = await transport.subscribe(trial.channel, "first", in_flight=2)
        await trial.publish(transport, "m0", "m1")
        held = await take(subscription, 2)
        entries: Any = trial.client.xrange(trial.names.log)
        trial.client.xclaim(trial.names.log, "first", "other", 0, [each[0] for each in entries])
        await held[0].retry(0)
        assert trial.members()["other"] == 2
        await held[1].ack()
        assert trial.members()["other"] == 1


async def test_what_another_has_settled_is_no_dead_letter(trial: Trial) -> None:
    """It was handled, after all."""
    async with trial.transport() as transport:
        subscription = await transport.subscribe(trial.channel, "first")
        await trial.publish(transport, "m0")
        delivery = await one(subscription)
        entries: Any = trial.client.xrange(trial.names.log)
        trial.client.xack(trial.names.log, "first", entries[0][0])
        await delivery.dead_letter("why")
        assert [reason async for _, reason in transport.dead_letters(trial.channel, "first")] == []


async def test_closing_does_not_wait_for_what_may_come(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """The read that waits on the server is ended, however long it may wait."""
    monkeypatch.setattr("async_nexus.transports.redis.schedule._BEAT", 20.0)
    async with trial.transport() as transport:
        subscriptions = [await transport.subscribe(trial.channel, "first") for _ in range(5)]
        await until(lambda: all(is_reading(each) for each in subscriptions))
        async with asyncio.timeout(10):
            for subscription in subscriptions:
                await subscription.close()


# Order


async def test_in_order_nothing_overtakes_what_the_dead_held(trial: Trial) -> None:
    """With one in flight, what is new waits until that has come."""
    async with trial.transport(claim_after=0.4) as transport:
        await (await transport.subscribe(trial.channel, "first")).close()
        await trial.publish(transport, "m0", "m1", "m2", "m3")
        trial.read_as("dead", 2)
        subscription = await transport.subscribe(trial.channel, "first")
        came: list[str] = []
        while len(came) < 4:
            delivery = await one(subscription)
            came.append(delivery.message.id)
            await delivery.ack()
        assert came == ["m0", "m1", "m2", "m3"]


async def test_in_order_nobody_waits_for_the_living(trial: Trial) -> None:
    """What another subscription holds is its own; more are in flight then than one."""
    async with trial.transport() as transport:
        slow = await transport.subscribe(trial.channel, "first")
        await trial.publish(transport, "m0", "m1")
        held = await one(slow)
        assert (await one(await transport.subscribe(trial.channel, "first"))).message.id == "m1"
        await held.ack()


async def test_in_order_what_is_delayed_comes_first(trial: Trial) -> None:
    """Also to a subscription that did not delay it."""
    async with trial.transport() as transport:
        subscription = await transport.subscribe(trial.channel, "first")
        await trial.publish(transport, "m0", "m1")
        await (await one(subscription)).retry(0.2)
        await subscription.close()
        again = await transport.subscribe(trial.channel, "first")
        delivery = await one(again)
        assert (delivery.message.id, delivery.attempt) == ("m0", 2)


async def test_with_more_in_flight_what_is_delayed_holds_nothing_up(trial: Trial) -> None:
    """Others come meanwhile."""
    async with trial.transport() as transport:
        subscription = await transport.subscribe(trial.channel, "first", in_flight=2)
        await trial.publish(transport, "m0", "m1", "m2")
        for delivery in await take(subscription, 1):
            await delivery.retry(FOR_EVER)
        others = await take(subscription, 2)
        assert ids(others) == ["m1", "m2"]
        for delivery in others:
            await delivery.ack()
        trial.have_all_come_due()
        assert (await one(subscription)).message.id == "m0"


async def test_what_is_retried_at_once_comes_at_once(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for the next look at the group."""
    monkeypatch.setattr("async_nexus.transports.redis.schedule._BEAT", FOR_EVER)
    async with trial.transport() as transport:
        for in_flight in (1, 2):
            subscription = await transport.subscribe(trial.channel, "first", in_flight=in_flight)
            await trial.publish(transport, "m0")
            for attempt in range(1, 6):
                delivery = await one(subscription)
                assert delivery.attempt == attempt
                await delivery.retry(0)
            await (await one(subscription)).ack()
            await subscription.close()


async def test_what_comes_again_takes_no_places_of_what_is_being_read(trial: Trial) -> None:
    """A read that waits has its places in flight, as many as it may fill."""
    async with trial.transport() as transport:
        closing = await transport.subscribe(trial.channel, "first", in_flight=2)
        await trial.publish(transport, "m0", "m1")
        await take(closing, 2)
        subscription = await transport.subscribe(trial.channel, "first", in_flight=3)
        await trial.publish(transport, "m2")
        held = await one(subscription)
        await until(lambda: is_reading(subscription))
        await closing.close()
        await held.retry(0)
        first = await one(subscription)
        await trial.publish(transport, "m3", "m4")
        others = await take(subscription, 2)
        assert {name: count for name, count in trial.members().items() if name != "(delayed)"}.popitem()[1] == 3
        for delivery in (first, *others):
            await delivery.ack()
        for delivery in await take(subscription, 2):
            await delivery.ack()
        assert trial.pending() == 0


# What is kept


async def test_all_is_kept_for_who_may_come(trial: Trial) -> None:
    """Settled messages stay in the stream."""
    async with trial.transport(claim_after=0.2) as transport:
        subscription = await transport.subscribe(trial.channel, "first")
        await trial.publish(transport, "m0", "m1")
        for _ in range(2):
            await (await one(subscription)).ack()
        await subscription.close()
        assert trial.client.xlen(trial.names.log) == 2


async def test_what_is_retained_no_longer_was_settled_by_all(trial: Trial) -> None:
    """`retain` forgets nothing that a consumer has not settled, one that is away included."""
    total, node = 300, 100  # Redis forgets by nodes of a hundred
    async with trial.transport(claim_after=0.2, retain=timedelta(0)) as transport:
        await (await transport.subscribe(trial.channel, "second")).close()
        async with asyncio.TaskGroup() as group:
            for number in range(total):
                group.create_task(trial.publish(transport, str(number)))
        for consumer in ("first", "second"):
            subscription = await transport.subscribe(trial.channel, consumer, in_flight=50)
            held = await one(subscription)
            for _ in range(total - 1):
                await (await one(subscription)).ack()
            await subscription.drain()
            await trim(trial)
            assert trial.client.xlen(trial.names.log) == total  # the first is in flight
            await held.ack()
            await subscription.close()
        await (await transport.subscribe(trial.channel, "first")).close()
        assert trial.client.xlen(trial.names.log) <= node


async def trim(trial: Trial) -> None:
    """Trim as any subscription does now and then."""
    server = Server(trial.url, timeout=PATIENCE)
    await Member(server, trial.names, "trimmer", 1).forget(timedelta(0))
    await server.close()


async def test_what_is_retained_for_a_time_is_kept_so_long(trial: Trial) -> None:
    """Nothing younger is forgotten."""
    async with trial.transport(claim_after=0.2, retain=timedelta(hours=1)) as transport:
        trial.client.xadd(trial.names.log, {"id": "old"}, id="1-0")
        for number in range(200):
            trial.client.xadd(trial.names.log, {"id": str(number)}, id=f"2-{number}")
        await trial.publish(transport, "young")
        subscription = await transport.subscribe(trial.channel, "first", in_flight=300)
        for delivery in await take(subscription, 202):
            await delivery.ack()
        await until(lambda: trial.client.xlen(trial.names.log) <= 102)
        left: Any = trial.client.xrange(trial.names.log)
        assert left[-1][1][b"id"] == b"young"


async def test_going_back_gives_up_what_was_not_settled(trial: Trial) -> None:
    """What comes is what stands from there on, at its first attempt, and nothing that was delayed or in flight."""
    async with trial.transport() as transport:
        subscription = await transport.subscribe(trial.channel, "first", in_flight=4)
        await trial.publish(transport, "m0", "m1", "m2", "m3")
        held = await take(subscription, 4)
        await held[0].retry(1000)
        await held[2].ack()
        position = held[2].position
        await subscription.close()
        again = await transport.subscribe(trial.channel, "first", since=position)
        for expected in ("m2", "m3"):
            delivery = await one(again)
            assert (delivery.message.id, delivery.attempt) == (expected, 1)
            await delivery.ack()
        assert trial.pending() == 0


async def test_many_dead_letters_are_read_in_portions(trial: Trial) -> None:
    """All of them, in order, and none that came later."""
    async with trial.transport() as transport:
        subscription = await transport.subscribe(trial.channel, "first", in_flight=50)
        async with asyncio.TaskGroup() as group:
            for number in range(230):
                group.create_task(trial.publish(transport, str(number)))
        for number in range(230):
            await (await one(subscription)).dead_letter(f"reason {number}")
        reasons: list[str] = []
        async for _, reason in transport.dead_letters(trial.channel, "first"):
            if not reasons:
                await trial.publish(transport, "late")
                await (await one(subscription)).dead_letter("late")
            reasons.append(reason)
        assert reasons == [f"reason {number}" for number in range(230)]
        assert trial.pending() == 0


async def test_an_entry_of_others_is_delivered(trial: Trial) -> None:
    """What another program adds to the stream comes, too, and can be put aside."""
    async with trial.transport() as transport:
        trial.client.xadd(trial.names.log, {"temp": "99"})
        delivery = await one(await transport.subscribe(trial.channel, "first"))
        assert (delivery.message.body, delivery.message.headers) == (b"", {"temp": "99"})
        await delivery.dead_letter("no body")
        assert [reason async for _, reason in transport.dead_letters(trial.channel, "first")] == ["no body"]


@pytest.mark.parametrize("count", [3500, 5000])
async def test_an_entry_with_very_many_headers_is_put_aside(trial: Trial, count: int) -> None:
    """Without them where they are more than a script may have, which the reason says."""
    async with trial.transport() as transport:
        trial.client.xadd(trial.names.log, {"id": "1", "body": "tea", **{f"header:x{n}": "y" for n in range(count)}})
        await (await one(await transport.subscribe(trial.channel, "first"))).dead_letter("cold")
        ((message, reason),) = [each async for each in transport.dead_letters(trial.channel, "first")]
        assert (message.id, message.body, trial.pending()) == ("1", b"tea", 0)
        assert (len(message.headers), reason) in [(3500, "cold"), (0, "cold (its 5000 headers are left out)")]


# What goes wrong


async def test_what_was_deleted_before_it_came_again_is_told(trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody took it out of the stream, or trimmed that: the log says that it is lost."""
    async with trial.transport() as transport:
        subscription = await transport.subscribe(trial.channel, "first", in_flight=2)
        await trial.publish(transport, "m0", "m1")
        for delivery in await take(subscription, 1):
            await delivery.retry(FOR_EVER)
            entry: Any = trial.client.xrange(trial.names.log, count=1)
            trial.client.xdel(trial.names.log, entry[0][0])
        trial.have_all_come_due()
        await (await one(subscription)).ack()
        await until(lambda: "lost 1 messages" in caplog.text)
        assert trial.pending() == 0


async def test_a_lost_group_begins_anew(trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
    """As when a server that keeps nothing restarts: what is there then comes, and the log says what may be lost."""
    async with trial.transport() as transport:
        subscription = await transport.subscribe(trial.channel, "first", in_flight=2)
        await trial.publish(transport, "before")
        held = await one(subscription)
        trial.client.delete(trial.names.log, trial.names.due)
        with pytest.raises(TransportError, match="NOGROUP"):
            await held.retry(0)
        await trial.publish(transport, "after")
        assert (await one(subscription)).message.id == "after"
        assert "may be lost" in caplog.text
        assert [record.levelname for record in caplog.records if "may be lost" in record.message] == ["ERROR"]


async def test_what_is_no_stream_is_refused(trial: Trial) -> None:
    """Where the key has been taken for something else."""
    trial.client.set(trial.names.log, "something else")
    async with trial.transport() as transport:
        for refused in (trial.publish(transport, "m0"), transport.subscribe(trial.channel, "first")):
            with pytest.raises(TransportError, match="WRONGTYPE") as caught:
                await refused
            assert not isinstance(caught.value, TransportUnavailable)


async def test_what_cannot_go_on_is_raised_from_the_iteration(trial: Trial) -> None:
    """A subscription tries again only where that may help."""
    async with trial.transport() as transport:
        subscription = await transport.subscribe(trial.channel, "first")
        trial.client.delete(trial.names.log)
        trial.client.set(trial.names.log, "something else")
        with pytest.raises(TransportError, match="WRONGTYPE"):
            await one(subscription)
        trial.client.delete(trial.names.log)


async def test_one_that_is_refused_does_not_fail_others(trial: Trial) -> None:
    """Though they are sent together."""
    async with trial.transport() as transport:
        trial.client.set(trial.names.dead, "something else")
        with trying(trial.url) as wrong:
            wrong.client.set(wrong.names.log, "something else")
            results = await asyncio.gather(
                trial.publish(transport, "m0"),
                wrong.publish(transport, "m1"),
                trial.publish(transport, "m2"),
                return_exceptions=True,
            )
        assert [type(result).__name__ for result in results] == ["NoneType", "Refusal", "NoneType"]
        assert trial.client.xlen(trial.names.log) == 2


async def test_who_is_cancelled_takes_nobody_along(trial: Trial) -> None:
    """Of those that are sent together, each may go."""
    async with trial.transport() as transport:
        tasks = [asyncio.create_task(trial.publish(transport, str(number))) for number in range(20)]
        await asyncio.sleep(0)
        tasks[7].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [number for number, result in enumerate(results) if result is not None] == [7]
        subscription = await transport.subscribe(trial.channel, "first", in_flight=20)
        assert set(ids(await take(subscription, 19))) >= {str(number) for number in range(20)} - {"7"}


async def test_nothing_is_waited_for_where_all_have_gone(trial: Trial) -> None:
    """Where there is nothing left to send, there is no answer that could come."""
    async with trial.transport() as transport:
        first = asyncio.create_task(trial.publish(transport, "m0"))
        waiting = asyncio.create_task(trial.publish(transport, "m1"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({first, waiting})
        async with asyncio.timeout(PATIENCE):
            await transport.drain()
            await trial.publish(transport, "m2")
        assert trial.client.xlen(trial.names.log) == 2


async def test_draining_waits_for_one_that_is_sent_alone(trial: Trial) -> None:
    """And for those that came meanwhile."""
    async with trial.transport() as transport:
        for count in (1, 2):
            publishing = [asyncio.create_task(trial.publish(transport, str(number))) for number in range(count)]
            await asyncio.sleep(0)
            await transport.drain()
            await asyncio.sleep(0)
            assert [task.done() for task in publishing] == [True] * count


async def test_large_messages_are_sent_in_turn(trial: Trial) -> None:
    """What is sent together is bounded."""
    async with trial.transport() as transport, asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(transport.publish(trial.channel, Message(str(number), bytes(700_000))))
    assert trial.client.xlen(trial.names.log) == 6


async def test_a_delivery_that_is_closed_says_that_it_comes_again(trial: Trial) -> None:
    """It can be settled no more."""
    async with trial.transport() as transport:
        subscription = await transport.subscribe(trial.channel, "first")
        await trial.publish(transport, "m0")
        delivery = await one(subscription)
        await subscription.close()
        with pytest.raises(TransportError, match="comes again"):
            await delivery.ack()


@pytest.mark.parametrize("delay", [-1.0, float("nan"), float("inf")])
async def test_a_delay_that_is_no_number_leaves_it_unsettled(trial: Trial, delay: float) -> None:
    """It can be settled otherwise."""
    async with trial.transport() as transport:
        subscription = await transport.subscribe(trial.channel, "first")
        await trial.publish(transport, "m0")
        delivery = await one(subscription)
        with pytest.raises(ValueError, match="a delay is a number of seconds from 0"):
            await delivery.retry(delay)
        await delivery.ack()
        assert trial.pending() == 0


async def test_a_closed_transport_is_closed(trial: Trial) -> None:
    """Whatever it is asked for."""
    transport = RedisTransport(trial.url)
    await transport.start()
    await transport.close()
    for late in (transport.start(), trial.publish(transport, "m0"), transport.subscribe(trial.channel, "first")):
        with pytest.raises(BadCall, match="is closed"):
            await late


@pytest.mark.parametrize(
    "error, kind, text",
    [
        (
            NoPermissionError("User someone has no permissions to run it"),
            Refusal,
            "refused: the user has no permissions",
        ),
        (AuthenticationError("Authentication required."), Refusal, "wants some: Authentication required."),
        (OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), Refusal, "used memory"),
        (MovedError("3999 127.0.0.1:6381"), Refusal, "one node of a cluster"),
        (ResponseError("WRONGTYPE Operation against a key"), Refusal, "refused: WRONGTYPE"),
        (ResponseError("NOREPLICAS Not enough good replicas"), TransportUnavailable, "NOREPLICAS"),
        (BusyLoadingError("Redis is loading the dataset in memory"), TransportUnavailable, "loading"),
        (ReadOnlyError("You can't write against a read only replica."), TransportUnavailable, "read only"),
        (TimeoutError(), TransportUnavailable, "no answer in 5 s"),
        (ConnectionResetError("gone"), TransportUnavailable, "gone"),
    ],
)
def test_errors_of_the_engine_become_our_own(error: Exception, kind: type[TransportError], text: str) -> None:
    """Each says where it was, and whether trying again may help."""
    found = translate(error, "redis://here", 5)
    assert type(found) is kind
    assert str(found).startswith("redis://here ")
    assert text in str(found)
    assert "someone" not in str(found)


# Private servers


async def test_what_is_published_together_is_few_round_trips() -> None:
    """So are acknowledgements: those that wait are sent together."""
    with private_server() as server, trying(server.url) as trial:
        async with trial.transport() as transport:
            subscription = await transport.subscribe(trial.channel, "first", in_flight=200)

            def reads() -> int:
                found: Any = server.client.info("stats")
                return int(found["total_reads_processed"])

            before = reads()
            await asyncio.gather(*(trial.publish(transport, str(number)) for number in range(200)))
            assert reads() - before < 40
            held = await take(subscription, 200)
            before = reads()
            await asyncio.gather(*(delivery.ack() for delivery in held))
            assert reads() - before < 40
            assert trial.pending() == 0


async def test_a_password_is_used_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Neither by errors nor in the log, whether it is right, wrong or missing."""
    caplog.set_level(logging.DEBUG)
    with private_server(password=SECRET) as server:
        async with RedisTransport(server.url) as transport:
            await transport.publish("channel", Message("m0", b""))
        for wrong in (f"redis://:not-{SECRET}@127.0.0.1:{server.port}", f"redis://127.0.0.1:{server.port}"):
            transport = RedisTransport(wrong)
            with pytest.raises(TransportError, match="credentials") as caught:
                await transport.start()
            assert not isinstance(caught.value, TransportUnavailable)
            assert SECRET not in "".join(traceback.format_exception(caught.value))
            await transport.close()
    assert SECRET not in caplog.text


async def test_who_may_not_is_not_named() -> None:
    """Redis names the user in its answer."""
    with private_server() as server:
        server.allow("someone", SECRET, "+ping", "+client", "~*")
        async with RedisTransport(f"redis://someone:{SECRET}@127.0.0.1:{server.port}") as transport:
            with pytest.raises(TransportError, match="no permissions") as caught:
                await transport.publish("channel", Message("m0", b""))
            assert "someone" not in "".join(traceback.format_exception(caught.value))


async def test_the_documented_permissions_suffice(caplog: pytest.LogCaptureFixture) -> None:
    """Without `CLIENT UNBLOCK`, for which closing waits until the read returns in its time; nothing is lost."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "transports.md"
    documented = (
        page.read_text(encoding="utf-8").partition("an access list needs")[2].partition("and `CLIENT UNBLOCK`")[0]
    )
    commands = [f"+{name.lower().replace(' ', '|')}" for name in re.findall("`([A-Z ]+)`", documented)]
    with private_server() as server, trying(server.url) as trial:
        server.allow("someone", SECRET, *commands, "~{async-nexus:*")
        address = f"redis://someone:{SECRET}@127.0.0.1:{server.port}"
        async with RedisTransport(address, claim_after=0.4, retain=timedelta(0)) as transport:
            subscription = await transport.subscribe(trial.channel, "first", in_flight=3, since=0)
            await trial.publish(transport, "m0", "m1", "m2")
            held = await take(subscription, 3)
            await held[0].ack()
            await held[1].retry(0)
            await held[2].dead_letter("why")
            await (await one(subscription)).ack()
            assert [reason async for _, reason in transport.dead_letters(trial.channel, "first")] == ["why"]
            async with asyncio.timeout(PATIENCE):
                await subscription.close()
    assert logged(caplog) == []


@contextmanager
def stopped(server: PrivateRedis) -> Generator[None]:
    """Have the server not answer, though it takes connections."""
    found: Any = server.client.info("server")
    os.kill(found["process_id"], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(found["process_id"], signal.SIGCONT)


async def test_a_server_that_does_not_answer_is_unavailable() -> None:
    """In the time that was given; when it answers again, all goes on."""
    with private_server() as server, trying(server.url) as trial:
        async with trial.transport(timeout=2) as transport:
            subscription = await transport.subscribe(trial.channel, "first", in_flight=2)
            await trial.publish(transport, "m0")
            held = await one(subscription)
            with stopped(server):
                async with asyncio.timeout(PATIENCE):
                    for asked in (trial.publish(transport, "m1"), held.ack()):
                        with pytest.raises(TransportUnavailable, match="no answer in 2 s"):
                            await asked
            await at_last(held.ack)
            await at_last(lambda: trial.publish(transport, "m2"))
            while (delivery := await one(subscription)).message.id != "m2":
                await delivery.ack()


async def test_an_acknowledgement_outlasts_a_short_outage() -> None:
    """It is tried again until the server is back; the message does not come again."""
    with private_server() as server, trying(server.url) as trial:
        async with trial.transport(timeout=PATIENCE) as transport:
            subscription = await transport.subscribe(trial.channel, "first", in_flight=2)
            await trial.publish(transport, "m0", "m1")
            first, second = await take(subscription, 2)
            await asyncio.to_thread(server.kill)
            settling = asyncio.gather(first.ack(), second.dead_letter("why not"))
            await asyncio.to_thread(server.restart)
            await settling
            await at_last(lambda: trial.publish(transport, "m2"))
            assert (await one(subscription)).message.id == "m2"
            assert [reason async for _, reason in transport.dead_letters(trial.channel, "first")] == ["why not"]


async def test_what_could_not_be_settled_comes_again() -> None:
    """Its place in flight is free meanwhile, and settling it late is no mistake."""
    with private_server() as server, trying(server.url) as trial:
        async with trial.transport(timeout=2) as transport:
            subscription = await transport.subscribe(trial.channel, "first")
            await trial.publish(transport, "m0")
            held = await one(subscription)
            await asyncio.to_thread(server.kill)
            with pytest.raises(TransportUnavailable):
                await held.ack()
            await asyncio.to_thread(server.restart)
            again = await one(subscription)
            assert (again.message.id, again.attempt) == ("m0", 2)
            await held.ack()
            await again.ack()
            assert trial.pending() == 0


async def test_a_full_server_refuses_to_settle_by_what_needs_room() -> None:
    """What it held comes again when there is room."""
    with private_server() as server, trying(server.url) as trial:
        async with trial.transport() as transport:
            subscription = await transport.subscribe(trial.channel, "first")
            await trial.publish(transport, "m0")
            held = await one(subscription)
            server.client.config_set("maxmemory", 1)
            for refused in (held.retry(0), held.dead_letter("why"), trial.publish(transport, "m1")):
                with pytest.raises(TransportError, match="maxmemory"):
                    await refused
            server.free()
            again = await one(subscription)
            assert again.message.id == "m0"
            await again.dead_letter("why")
            assert [reason async for _, reason in transport.dead_letters(trial.channel, "first")] == ["why"]


async def test_replicas_confirm_too() -> None:
    """Where too few do, publishing raises `TransportUnavailable`, and says that the server has it."""
    with private_server() as server, trying(server.url) as trial:
        async with trial.transport(replicas=1, timeout=2) as transport:
            with pytest.raises(TransportUnavailable, match="0 of 1 replicas"):
                await trial.publish(transport, "m0")
            server.client.config_set("repl-diskless-sync-delay", 0)
            with private_server("--replicaof", f"127.0.0.1 {server.port}") as replica:
                await at_last(lambda: trial.publish(transport, "m1"))
                assert replica.client.xlen(trial.names.log) >= 2
                async with RedisTransport(replica.url) as wrong:
                    before = connections_to(replica)
                    for _ in range(2):
                        with pytest.raises(TransportUnavailable, match="read only replica"):
                            await trial.publish(wrong, "m2")
                    # The second by another connection: after a fail-over, somebody else has the address.
                    assert connections_to(replica) == before + 1


def connections_to(server: PrivateRedis) -> int:
    """Return how many connections a server has had."""
    found: Any = server.client.info("stats")
    return int(found["total_connections_received"])


async def test_a_socket_of_the_file_system(tmp_path: Path) -> None:
    """Such is an address, too."""
    path = tmp_path / "redis.sock"
    with private_server("--unixsocket", str(path)):
        async with RedisTransport(f"unix://{path}") as transport:
            await transport.publish("channel", Message("m0", b""))


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A key and a certificate of 127.0.0.1."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed, so TLS was NOT tested: on Debian, `apt install openssl`")
    key, file = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, *subject, "-keyout", str(key), "-out", str(file)], check=True, capture_output=True)
    return key, file


async def test_tls(certificate: tuple[Path, Path]) -> None:
    """By a context, or by parameters of the address; a certificate that is not trusted is refused."""
    key, file = certificate
    tls_port = ("--tls-port", "0")
    with private_server(*tls_port) as server:
        for name, value in (("tls-key-file", key), ("tls-cert-file", file), ("tls-ca-cert-file", file)):
            server.client.config_set(name, str(value))
        server.client.config_set("tls-auth-clients", "no")
        port = free_port()
        server.client.config_set("tls-port", port)
        context = ssl.create_default_context(cafile=str(file))
        for transport in (
            RedisTransport(f"rediss://127.0.0.1:{port}", tls=context),
            RedisTransport(f"rediss://127.0.0.1:{port}?ssl_ca_certs={file}"),
        ):
            async with transport:
                await transport.publish("channel", Message("m0", b""))
        transport = RedisTransport(f"rediss://127.0.0.1:{port}")
        with pytest.raises(TransportUnavailable, match="certificate verify failed"):
            await transport.start()
        await transport.close()
