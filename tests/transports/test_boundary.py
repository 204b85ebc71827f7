"""The boundary over a transport: a handler in one domain that is a producer in another, on virtual time."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from typing_extensions import override

import async_nexus
from async_nexus import (
    AsyncEventNexus,
    BadCall,
    Event,
    EventQueue,
    FailedEvent,
    InvalidPayload,
    LoopStopped,
    MisconfiguredEventProducer,
    NamedEvent,
    TransportBoundary,
    TransportError,
    TransportUnavailable,
    transports,
)
from async_nexus.handover import traceparent
from async_nexus.testing import run
from async_nexus.transports import Abilities, Delivery, Message, Subscription, Transport
from async_nexus.transports.memory import MemoryTransport

SECRET = "n0t-t0-be-sh0wn"  # it opens nothing
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Teapot(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    filled: datetime


class TeapotEvent(NamedEvent[Teapot], type=99): ...


class Kitchen:
    """Two domains over one transport, and what the receiving one has seen."""

    def __init__(
        self, handler: Callable[..., Any] | None = None, transport: Transport | None = None, **options: Any
    ) -> None:
        self.transport = transport or MemoryTransport()
        self.seen: list[Any] = []
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self.sending, self.receiving = AsyncEventNexus[Any](), AsyncEventNexus[Any](concurrency=10)
        self.sender: TransportBoundary = TransportBoundary(self.transport, "tea")
        self.sending.add_handler(-1, self.sender)
        options = {"delay": 2.0, "random": Highest(), **options}
        self.boundary: TransportBoundary = TransportBoundary(self.transport, "tea", **options)
        self.receiving.add_producer(self.boundary)
        self.receiving.add_handler(-1, handler or self.note)

    async def note(self, event: Event) -> None:
        """Note an event's payload, and when it came."""
        self.seen.append((asyncio.get_running_loop().time(), event.payload))

    def start(self) -> asyncio.Task[None]:
        """Start both, and return the task of the receiving one."""
        self._tasks = self.sending.start(), self.receiving.start()
        return self._tasks[1]

    async def send(self, *payloads: object, key: int | str = 99) -> None:
        """Send an event for each payload."""
        for payload in payloads:
            await self.sending.emit(key, payload)

    async def letters(self, channel: str = "tea") -> list[str]:
        """The reasons why messages were put aside."""
        return [reason async for _, reason in self.transport.dead_letters(channel, "async_nexus")]

    async def publish(self, id: str, **given: object) -> None:
        """Publish an envelope as others may write it."""
        written = {"specversion": "1.0", "id": id, "source": "/foreign", "type": "99", **given}
        await self.transport.publish("tea", Message(f"foreign {id}", json.dumps(written).encode()))

    async def left(self) -> list[object]:
        """The payloads of what has not been settled when the domains have stopped."""
        return [each["data"] for each in await written(self.transport, self.boundary.consumer)]

    @property
    def payloads(self) -> list[Any]:
        """What has been noted."""
        return [payload for _, payload in self.seen]

    async def stop(self) -> None:
        """Stop both and wait for it; raises what went wrong."""
        self.sending.stop()
        self.receiving.stop()
        for task in self._tasks:
            await task


class Highest(Random):
    """Draws the highest number there is: delays are as long as they may be."""

    @override
    def uniform(self, a: float, b: float) -> float:
        return b


async def idle(seconds: float = 1000) -> None:
    """Let happen what happens meanwhile."""
    await asyncio.sleep(seconds)


def now() -> float:
    """The virtual time."""
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def going_on(kitchen: Kitchen) -> AsyncIterator[None]:
    """Run both domains; in the end they have stopped."""
    kitchen.start()
    yield
    await kitchen.stop()


# Sending and receiving


def test_events_cross_it() -> None:
    """Each is handled in a turn of the receiving domain, in order; the sending one does not wait for that."""

    async def main() -> None:
        async def handle(event: Event) -> None:
            await asyncio.sleep(10)
            await kitchen.note(event)

        kitchen = Kitchen(handle)
        async with going_on(kitchen):
            await kitchen.send(1, 2, 3)
            assert now() == 0
            await idle()
            assert kitchen.seen == [(10, 1), (20, 2), (30, 3)]

    run(main())


def test_events_are_what_they_were() -> None:
    """Id, type, priority and payload; a named event is an instance of its class, by the receiving catalog."""

    async def main() -> None:
        received: list[Event] = []
        kitchen = Kitchen(received.append)
        kitchen.receiving.declare(TeapotEvent)
        filled = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        events = [
            TeapotEvent(id=5, payload=Teapot(name="Betty", filled=filled), priority=-3),
            Event(6, "99", 7, {"any": ["thing"]}),
        ]
        async with going_on(kitchen):
            for event in events:
                await kitchen.sending.ingest(event)
            await idle()
        assert received == events
        assert type(received[0]) is TeapotEvent

    run(main())


def test_what_was_sent_before_anybody_listened_comes() -> None:
    """The engine keeps it."""

    async def main() -> None:
        kitchen = Kitchen()
        kitchen.sending.start()
        await kitchen.send(1, 2)
        over = kitchen.receiving.start()
        await idle()
        kitchen.receiving.stop()
        await over
        assert kitchen.seen == [(0, 1), (0, 2)]

    run(main())


def test_sending_ends_when_the_engine_has_confirmed_it() -> None:
    """Whoever ingests waits for that (T6)."""

    class Slow(MemoryTransport):
        @override
        async def publish(self, channel: str, message: Message) -> None:
            await asyncio.sleep(5)
            await super().publish(channel, message)

    async def main() -> None:
        kitchen = Kitchen(transport=Slow())
        async with going_on(kitchen):
            await kitchen.send(1)
            assert now() == 5

    run(main())


def test_what_the_engine_refuses_is_raised() -> None:
    """By the ingest in the sending domain."""

    class Away(MemoryTransport):
        @override
        async def publish(self, channel: str, message: Message) -> None:
            raise TransportUnavailable("nobody answers")

    async def main() -> None:
        kitchen = Kitchen(transport=Away())
        kitchen.sending.start()
        with pytest.raises(TransportUnavailable, match="nobody answers"):
            await kitchen.send(1)

    run(main())


def test_what_no_envelope_holds_is_raised() -> None:
    """It is not sent."""

    async def main() -> None:
        kitchen = Kitchen()
        async with going_on(kitchen):
            with pytest.raises(TransportError, match="priority 2147483648"):
                await kitchen.sending.emit(99, 1, priority=2**31)
            narrow = TransportBoundary[Event](kitchen.transport, "tea", max_body=500)
            with pytest.raises(TransportError, match=r"event 1 of type 99 makes a message of .* bytes, at most 500"):
                await narrow.handle(Event(1, 99, 0, "x" * 500), EventQueue())
            await idle()
        assert kitchen.seen == []

    run(main())


def test_the_envelope_names_domain_and_schema() -> None:
    """`domain` is the channel's name if nothing else; ids count in each process, so each is an instance."""

    async def main() -> None:
        transport = MemoryTransport()
        queue = EventQueue[Any]()
        first = TransportBoundary[Event](transport, "tea", domain="my kitchen", dataschema="urn:tea")
        second = TransportBoundary[Event](transport, "tea")
        for boundary in (first, second, second):
            await boundary.handle(Event(1, 99, 0, None), queue)
        found = await written(transport)
        sources = [each["source"].rpartition(":")[0] for each in found]
        assert sources == ["urn:async-nexus:my%20kitchen", "urn:async-nexus:tea", "urn:async-nexus:tea"]
        assert [each.get("dataschema") for each in found] == ["urn:tea", None, None]
        assert len({each["source"] for each in found}) == 3

    run(main())


async def written(transport: Transport, consumer: str = "looking on") -> list[dict[str, Any]]:
    """The envelopes that come to a consumer, none of them settled."""
    subscription = await transport.subscribe("tea", consumer, in_flight=100)
    found: list[dict[str, Any]] = []
    asyncio.get_running_loop().call_later(1000, lambda: asyncio.create_task(subscription.drain()))
    async for delivery in subscription:
        found.append(json.loads(delivery.message.body))
    await subscription.close()
    return found


def test_domains_get_every_event_each() -> None:
    """As consumers of different names; those of one name share them."""

    async def main() -> None:
        transport = MemoryTransport()
        kitchen = Kitchen(transport=transport)
        parlours = [Kitchen(transport=transport, consumer="parlour") for _ in range(2)]
        async with going_on(kitchen), going_on(parlours[0]), going_on(parlours[1]):
            await kitchen.send(1, 2, 3)
            await idle()
        assert kitchen.payloads == [1, 2, 3]
        assert sorted(parlours[0].payloads + parlours[1].payloads) == [1, 2, 3]

    run(main())


def test_events_of_one_id_are_not_taken_for_one() -> None:
    """Ids count in each nexus, and an event that is passed on keeps its own: each of them comes."""

    async def main() -> None:
        kitchen, other = Kitchen(), AsyncEventNexus()
        other.add_handler(-1, kitchen.sender)
        other.start()
        async with going_on(kitchen):
            for number in range(3):
                await kitchen.send(number)
                await other.emit(99, -number)
            await idle()
        assert kitchen.payloads == [0, 0, 1, -1, 2, -2]
        other.stop()

    run(main())


# Acknowledging


def test_an_event_is_acknowledged_when_its_turn_has_succeeded() -> None:
    """Until then it would come again."""

    async def main() -> None:
        kitchen = Kitchen(lambda event: asyncio.sleep(10))
        async with going_on(kitchen):
            await kitchen.send(1, 2, 3)
            await idle(11)
            kitchen.receiving.stop(grace=0)
        assert await kitchen.left() == [2, 3]

    run(main())


def test_a_secondary_event_that_fails_fails_the_event() -> None:
    """T3: its turn has not succeeded."""

    async def main() -> None:
        async def put(event: Event, queue: EventQueue) -> None:
            await kitchen.note(event)
            await queue.put(Event(1, "water", 0, None))

        kitchen = Kitchen(tries=2)
        kitchen.receiving.add_handler(99, put)
        kitchen.receiving.add_handler("water", spill)
        async with going_on(kitchen):
            await kitchen.send(1)
            await idle()
        assert kitchen.seen == [(0, 1), (2, 1)]
        assert await kitchen.letters() == ["OSError: spilt"]

    run(main())


def spill(event: Event) -> None:
    """Fail."""
    raise OSError("spilt")


def test_every_receiving_nexus_has_to_succeed() -> None:
    """Each gets the event, by its own catalog; where one fails, all get it again."""

    async def main() -> None:
        failures = iter([OSError("cold"), OSError("spilt")])

        async def handle(event: Event[Teapot]) -> None:
            await kitchen.note(event)
            for failure in failures:
                raise failure

        kitchen = Kitchen()
        parlour = AsyncEventNexus()
        parlour.add_producer(kitchen.boundary)
        parlour.add_handler(99, handle)
        async with going_on(kitchen), parlour:
            parlour.start()
            await kitchen.send({"name": "Betty", "filled": "2026-01-02T03:04:05Z"})
            await idle()
        raw, model = kitchen.seen[0], kitchen.seen[1]
        assert raw == (0, {"name": "Betty", "filled": "2026-01-02T03:04:05Z"})
        assert model == (0, Teapot(name="Betty", filled=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)))
        assert [when for when, _ in kitchen.seen] == [0, 0, 2, 2, 6, 6]
        assert await kitchen.letters() == []
        assert await kitchen.left() == []

    run(main())


def test_a_receiving_nexus_that_has_not_started_is_waited_for() -> None:
    """No attempt is lost to that."""

    async def main() -> None:
        kitchen, parlour = Kitchen(tries=1), AsyncEventNexus()
        parlour.add_producer(kitchen.boundary)
        parlour.add_handler(-1, kitchen.note)
        async with going_on(kitchen), parlour:
            await kitchen.send(1)
            await idle(100)
            assert kitchen.seen == []
            parlour.start()
            await idle()
            assert [payload for _, payload in kitchen.seen] == [1, 1]

    run(main())


def test_stopping_waits_for_no_nexus_that_has_not_started() -> None:
    """The event is not settled: it comes again."""

    async def main() -> None:
        kitchen, parlour = Kitchen(tries=1), AsyncEventNexus()
        parlour.add_producer(kitchen.boundary)
        async with going_on(kitchen):
            await kitchen.send(1)
            await idle(100)
        assert await kitchen.left() == [1]

    run(main())


def test_a_receiving_nexus_that_has_ended_is_none_any_more() -> None:
    """S1: the others are all there are."""

    async def main() -> None:
        kitchen, parlour = Kitchen(), AsyncEventNexus()
        parlour.add_producer(kitchen.boundary)
        parlour.start()
        parlour.stop()
        async with going_on(kitchen):
            await kitchen.send(1)
            await idle()
        assert kitchen.payloads == [1]
        assert await kitchen.left() == []

    run(main())


# What is not handled


def test_a_payload_that_does_not_fit_is_put_aside_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """V2: with what is wrong, without its values; the nexus goes on."""

    async def main() -> None:
        kitchen = Kitchen()
        kitchen.receiving.declare(98, int)
        kitchen.receiving.declare(97, Teapot)
        async with going_on(kitchen):
            await kitchen.send(SECRET, 1, key=98)
            await kitchen.send({"name": 1, "filled": SECRET}, key=97)
            await idle()
        assert kitchen.seen == [(0, 1)]
        assert await kitchen.left() == []
        wrong, other = await kitchen.letters()
        assert wrong.startswith("async_nexus.errors.InvalidPayload: event 1 of type 98: its payload is no int: ")
        assert "name: Input should be a valid string (given int); filled: Input should be a valid datetime" in other
        assert SECRET not in wrong + other + caplog.text
        assert "event 1 of type 98 goes to the dead letters after attempt 1: async_nexus.errors.Inv" in caplog.text

    run(main())


def test_a_payload_of_a_secondary_event_that_does_not_fit_is_a_failure_of_the_handler() -> None:
    """V3: it may succeed in the next attempt, whatever id and type that event had."""

    async def main() -> None:
        payloads = iter(["no number", 3])

        async def put(event: Event, queue: EventQueue) -> None:
            if event.payload == 1:
                await queue.put(Event(event.id, 99, 0, next(payloads)))
            await kitchen.note(event)

        kitchen = Kitchen()
        kitchen.receiving.declare(99, int)
        kitchen.receiving.add_handler(99, put)
        async with going_on(kitchen):
            await kitchen.send(1)
            await idle()
        assert kitchen.seen == [(2, 1), (2, 3)]
        assert await kitchen.letters() == []

    run(main())


def test_an_error_handler_may_see_to_payloads_that_do_not_fit() -> None:
    """F4: then the event has been dealt with."""

    async def main() -> None:
        kitchen = Kitchen()
        kitchen.receiving.declare(99, int)

        @kitchen.receiving.on_error(InvalidPayload)
        def see_to(failed: FailedEvent) -> None:
            kitchen.seen.append(failed.event.payload)

        async with going_on(kitchen):
            await kitchen.send("no number")
            await idle()
        assert kitchen.seen == ["no number"]
        assert await kitchen.letters() == []
        assert await kitchen.left() == []

    run(main())


class Sealed(NamedEvent[int], type="sealed"):
    """An event class that wants more than a payload."""

    seal: int = 1


def test_an_event_that_is_none_of_its_class_is_put_aside_at_once() -> None:
    """Also where it is not the payload that is wrong."""

    async def main() -> None:
        kitchen = Kitchen()
        kitchen.receiving.declare(Sealed)
        async with going_on(kitchen):
            await kitchen.publish("1", type="sealed", data=1, eventfields=json.dumps({"seal": SECRET}))
            await idle(1)
            (reason,) = await kitchen.letters()
            assert reason.startswith("pydantic.ValidationError: Sealed: seal: Input should be a valid integer")
            assert SECRET not in reason

    run(main())


def test_where_several_nexuses_refuse_it_all_are_named() -> None:
    """Each has a catalog of its own."""

    async def main() -> None:
        kitchen, parlour = Kitchen(), AsyncEventNexus()
        parlour.add_producer(kitchen.boundary)
        kitchen.receiving.declare(99, int)
        parlour.declare(99, float)
        async with going_on(kitchen), parlour:
            parlour.start()
            await kitchen.send("no number")
            await idle()
        (reason,) = await kitchen.letters()
        assert "its payload is no int" in reason
        assert "its payload is no float" in reason

    run(main())


def test_one_that_fails_comes_before_one_that_refuses() -> None:
    """The event is tried again, so that no nexus goes without it."""

    async def main() -> None:
        kitchen, parlour = Kitchen(tries=2), AsyncEventNexus()
        parlour.add_producer(kitchen.boundary)
        parlour.declare(99, int)
        kitchen.receiving.add_handler(99, spill)
        async with going_on(kitchen), parlour:
            parlour.start()
            await kitchen.send("no number")
            await idle(1)
            assert await kitchen.letters() == []
            await idle()
            assert await kitchen.letters() == ["OSError: spilt"]

    run(main())


TOO_LARGE = json.dumps({"specversion": "1.0", "id": "1", "source": "s", "type": "99", "data": "x" * 1000}).encode()


@pytest.mark.parametrize("body", [b"", b"no JSON", b'{"specversion": "1.0", "id": "1"}', TOO_LARGE])
def test_a_message_that_cannot_be_read_is_put_aside_at_once(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """With what is wrong with it; the log names the message."""

    async def main() -> None:
        kitchen = Kitchen(max_body=1000)
        async with going_on(kitchen):
            await kitchen.transport.publish("tea", Message("m\n1", body))
            await kitchen.send(1)
            await idle()
        assert kitchen.payloads == [1]
        (reason,) = await kitchen.letters()
        assert reason.startswith("async_nexus.errors.TransportError: the message ")
        assert "channel 'tea': message m 1 goes to the dead letters after attempt 1: " in caplog.text

    run(main())


def test_foreign_events_are_handled() -> None:
    """Whatever their id; they have no priority but 0."""

    async def main() -> None:
        received: list[Event] = []
        kitchen = Kitchen(received.append)
        async with going_on(kitchen):
            await kitchen.publish("a-b", type="com.example.tea", data={"temp": 1.5})
            await idle()
        (event,) = received
        assert (event.type, event.priority, event.payload) == ("com.example.tea", 0, {"temp": 1.5})

    run(main())


# Trying again


def test_what_fails_comes_again_later_each_time(caplog: pytest.LogCaptureFixture) -> None:
    """Twice the delay before, up to the longest; after the last try it is put aside."""

    async def main() -> None:
        async def fail(event: Event) -> None:
            await kitchen.note(event)
            raise KeyError(event.type)

        kitchen = Kitchen(fail, tries=6, delay=2.0, max_delay=10.0)
        async with going_on(kitchen):
            await kitchen.send(SECRET)
            await idle()
        assert [when for when, _ in kitchen.seen] == [0, 2, 6, 14, 24, 34]
        assert await kitchen.letters() == ["KeyError: 99"]
        assert await kitchen.left() == []
        assert (
            "channel 'tea': event 1 of type 99 failed in attempt 2 of 6 and comes again in 4 s: KeyError" in caplog.text
        )
        assert "channel 'tea': event 1 of type 99 goes to the dead letters after attempt 6: KeyError: 99" in caplog.text
        assert SECRET not in caplog.text

    run(main())


def test_what_was_never_settled_is_put_aside_after_its_tries(caplog: pytest.LogCaptureFixture) -> None:
    """An event with which every process dies that handles it does not come for ever."""

    async def main() -> None:
        kitchen = Kitchen(tries=3)
        await kitchen.publish("1", type="99", data=SECRET)
        for _ in range(3):
            subscription = await kitchen.transport.subscribe("tea", kitchen.boundary.consumer)
            assert await anext(aiter(subscription))
            await subscription.close()  # as if its process had died
        async with going_on(kitchen):
            await idle()
        assert kitchen.seen == []
        (reason,) = await kitchen.letters()
        assert "it was delivered 3 times and never settled" in reason
        assert "goes to the dead letters after attempt 4" in caplog.text
        assert SECRET not in caplog.text

    run(main())


def test_delays_are_drawn() -> None:
    """Up to a half is left off, so that what failed together does not come again together."""

    async def main() -> list[float]:
        async def fail(event: Event) -> None:
            await kitchen.note(event)
            raise OSError

        kitchen = Kitchen(fail, tries=40, delay=8.0, max_delay=8.0, random=Random(5))
        async with going_on(kitchen):
            await kitchen.send(1)
            await idle()
        return [later - sooner for (sooner, _), (later, _) in pairwise(kitchen.seen)]

    delays = run(main())
    assert len(delays) == 39
    assert 4 <= min(delays) < 4.5 < 7.5 < max(delays) <= 8
    assert delays == run(main())


def test_after_the_greatest_number_of_attempts_a_delay_is_still_a_number() -> None:
    """Two to the power of it would be none."""

    async def main() -> None:
        boundary = TransportBoundary[Event](MemoryTransport(), "tea", delay=1.0, max_delay=60.0, random=Highest())
        assert boundary._choose_delay(10**9) == 60

    run(main())


def test_with_one_in_flight_order_is_kept() -> None:
    """Later ones wait for what comes again."""

    async def main() -> None:
        chance = Random(7)

        async def handle(event: Event) -> None:
            if chance.random() < 0.4:
                raise OSError
            await kitchen.note(event)

        kitchen = Kitchen(handle, tries=100)
        async with going_on(kitchen):
            await kitchen.send(*range(30))
            await idle()
        assert kitchen.payloads == list(range(30))

    run(main())


def test_with_several_in_flight_others_go_on() -> None:
    """So many events are handled at a time, begun in the order in which they came."""

    async def main() -> None:
        begun: list[tuple[float, object]] = []

        async def handle(event: Event) -> None:
            begun.append((now(), event.payload))
            await asyncio.sleep(10)
            if event.payload == 1 and now() == 10:
                raise OSError

        kitchen = Kitchen(handle, in_flight=3)
        async with going_on(kitchen):
            await kitchen.send(*range(7))
            await idle()
        assert begun == [(0, 0), (0, 1), (0, 2), (10, 3), (10, 4), (10, 5), (20, 1), (20, 6)]

    run(main())


class Simple(MemoryTransport):
    """An engine that can neither hold a message back nor put it aside; `refusals` are raised by settling."""

    def __init__(self, *refusals: TransportError) -> None:
        super().__init__()
        self.settled: list[tuple[float, str]] = []
        self.refusals = list(refusals)

    @property
    @override
    def abilities(self) -> Abilities:
        return replace(super().abilities, delayed_retry=False, dead_letters=False)

    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        return SimpleSubscription(self, await super().subscribe(channel, consumer, in_flight=in_flight, since=since))


class SimpleSubscription:
    """Hands out deliveries that note how they are settled."""

    def __init__(self, transport: Simple, inner: Subscription) -> None:
        self._transport, self._inner = transport, inner
        self.drain = inner.drain

    async def __aiter__(self) -> AsyncIterator[Delivery]:
        async for delivery in self._inner:
            yield SimpleDelivery(self._transport, delivery)

    async def close(self) -> None:
        await self._inner.close()
        if self._transport.refusals:
            raise self._transport.refusals.pop(0)


class SimpleDelivery:
    """Settled at once, or not at all."""

    def __init__(self, transport: Simple, inner: Delivery) -> None:
        self._transport, self._inner = transport, inner
        self.message, self.attempt, self.position = inner.message, inner.attempt, inner.position

    async def _settle(self, how: str, settle: Callable[[], Awaitable[None]]) -> None:
        self._transport.settled.append((now(), how))
        if self._transport.refusals:
            await self._inner.retry(0)
            raise self._transport.refusals.pop(0)
        await settle()

    async def ack(self) -> None:
        await self._settle("ack", self._inner.ack)

    async def retry(self, delay: float) -> None:
        await self._settle("retry", lambda: self._inner.retry(0))

    async def dead_letter(self, reason: str) -> None:
        await self._settle("dead letter", self._inner.ack)


def test_an_engine_that_cannot_hold_a_message_back_is_waited_for() -> None:
    """The boundary holds the delivery for as long as the engine should, and lets it come again then."""

    async def main() -> None:
        async def fail(event: Event) -> None:
            await kitchen.note(event)
            raise OSError("spilt")

        transport = Simple()
        kitchen = Kitchen(fail, transport, tries=3)
        async with going_on(kitchen):
            await kitchen.send(1)
            await idle()
        assert kitchen.seen == [(0, 1), (2, 1), (6, 1)]
        assert transport.settled == [(2, "retry"), (6, "retry"), (6, "dead letter")]

    run(main())


class Refusing(MemoryTransport):
    """An engine that puts nothing aside, and leaves the delivery with whoever has it."""

    refused = 0

    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        return RefusingSubscription(self, await super().subscribe(channel, consumer, in_flight=in_flight, since=since))


class RefusingSubscription(SimpleSubscription):
    """Hands out deliveries that cannot be put aside."""

    def __init__(self, transport: Refusing, inner: Subscription) -> None:
        super().__init__(Simple(), inner)
        self._refusing = transport

    @override
    async def __aiter__(self) -> AsyncIterator[Delivery]:
        async def refuse(reason: str) -> None:
            self._refusing.refused += 1
            raise TransportError("too large")

        async for delivery in self._inner:
            delivery.dead_letter = refuse  # type: ignore[method-assign]
            yield delivery


def test_what_cannot_be_put_aside_comes_again_later_each_time(caplog: pytest.LogCaptureFixture) -> None:
    """The boundary lets go of it, so that it is neither held for ever nor tried in a circle."""

    async def main() -> None:
        transport = Refusing()
        kitchen = Kitchen(transport=transport, delay=1.0, max_delay=10.0)
        async with going_on(kitchen):
            await transport.publish("tea", Message("m", b"no JSON"))
            await idle(100)
            assert 10 <= transport.refused <= 14
        assert "message m could not be put aside and comes again in 4 s: too large" in caplog.text

    run(main())


def test_what_the_engine_has_taken_back_instead_of_putting_it_aside_is_waited_for() -> None:
    """It comes again at once, so the boundary takes nothing for as long as the engine should have held it."""

    async def main() -> None:
        transport = Simple(TransportError("no room"))
        kitchen = Kitchen(spill, transport, tries=1, delay=1.0)
        async with going_on(kitchen):
            await kitchen.send(1)
            await idle()
        assert transport.settled == [(0, "dead letter"), (1, "retry"), (2, "dead letter")]

    run(main())


def test_an_engine_without_dead_letters_drops_the_message(caplog: pytest.LogCaptureFixture) -> None:
    """Which is logged, as all there is left of it."""

    async def main() -> None:
        kitchen = Kitchen(spill, Simple(), tries=1)
        async with going_on(kitchen):
            await kitchen.send(1)
            await idle()

    run(main())
    said = "channel 'tea': event 1 of type 99 is dropped after attempt 1: OSError: spilt"
    assert [record.levelno for record in caplog.records if said in record.message] == [logging.ERROR]


@pytest.mark.parametrize("in_flight", [1, 4])
def test_what_cannot_be_settled_comes_again(in_flight: int, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged; what has been handled is not handled again then."""

    async def main() -> None:
        transport = Simple(TransportUnavailable("gone"), TransportError("closed"))
        kitchen = Kitchen(transport=transport, in_flight=in_flight)
        async with going_on(kitchen):
            await kitchen.send(1)
            await idle()
        assert kitchen.seen == [(0, 1)]
        assert transport.settled == [(0, "ack"), (0, "ack"), (0, "ack")]

    run(main())
    assert "channel 'tea': event 1 of type 99 could not be settled and comes again: gone" in caplog.text


# Duplicates


def test_a_duplicate_is_not_handled_again() -> None:
    """By source and id: it is acknowledged, whatever else it says."""

    async def main() -> None:
        kitchen = Kitchen()
        async with going_on(kitchen):
            await kitchen.publish("1", data=1)
            await kitchen.publish("2", data=2)
            await kitchen.publish("1", data=3)
            await kitchen.publish("1", data=4, source="/another")
            await idle()
        assert kitchen.payloads == [1, 2, 4]
        assert await kitchen.left() == []

    run(main())


def test_an_event_that_is_sent_twice_is_handled_once() -> None:
    """A sender who does not know whether it was confirmed tries again."""

    async def main() -> None:
        kitchen, event = Kitchen(), Event(7, 99, 0, 1)
        async with going_on(kitchen):
            for _ in range(3):
                await kitchen.sending.ingest(event)
            await idle()
        assert kitchen.payloads == [1]

    run(main())


def test_only_the_last_events_are_remembered() -> None:
    """As many as the window holds."""

    async def main() -> None:
        kitchen = Kitchen(window=2)
        async with going_on(kitchen):
            for number in (1, 2, 1, 3, 2, 1):
                await kitchen.publish(str(number), data=number)
            await idle()
        assert kitchen.payloads == [1, 2, 3, 1]

    run(main())


def test_what_failed_is_no_duplicate() -> None:
    """Of two that are the same, the second is handled where the first was put aside."""

    async def main() -> None:
        async def fail_first(event: Event) -> None:
            await kitchen.note(event)
            if event.payload == "first":
                raise OSError

        kitchen = Kitchen(fail_first, tries=1)
        async with going_on(kitchen):
            await kitchen.publish("1", data="first")
            await kitchen.publish("1", data="second")
            await kitchen.publish("1", data="third")
            await idle()
        assert kitchen.payloads == ["first", "second"]

    run(main())


@pytest.mark.parametrize("fails", [False, True])
def test_two_that_are_the_same_are_not_handled_at_the_same_time(fails: bool) -> None:
    """The second waits for the first, and is handled if that failed."""

    async def main() -> None:
        async def handle(event: Event) -> None:
            await kitchen.note(event)
            await asyncio.sleep(10)
            if fails and now() == 10:
                raise OSError

        kitchen = Kitchen(handle, in_flight=5, tries=1)
        async with going_on(kitchen):
            for number in range(4):
                await kitchen.publish("1", data=number)
            await kitchen.publish("2", data="other")
            await idle()
        assert kitchen.seen == [(0, 0), (0, "other"), *([(10, 1)] if fails else [])]
        assert await kitchen.left() == []

    run(main())


# Starting and stopping


def test_without_a_receiver_it_does_not_start() -> None:
    """S4."""

    async def main() -> None:
        with pytest.raises(MisconfiguredEventProducer):
            await TransportBoundary[Event](MemoryTransport(), "tea").start()

    run(main())


def test_an_engine_that_cannot_be_subscribed_to_stops_the_nexus() -> None:
    """L4: which raises why."""

    class Away(MemoryTransport):
        @override
        async def subscribe(self, *args: Any, **options: Any) -> Subscription:
            raise TransportUnavailable("nobody answers")

    async def main() -> None:
        with pytest.raises(TransportUnavailable, match="nobody answers"):
            await Kitchen(transport=Away()).start()

    run(main())


def test_an_event_under_way_is_finished_and_settled_when_the_nexus_stops() -> None:
    """L3: nothing more is taken; what is left comes to the next who listens."""

    async def main() -> None:
        async def handle(event: Event) -> None:
            await asyncio.sleep(10)
            await kitchen.note(event)

        kitchen = Kitchen(handle, in_flight=2)
        async with going_on(kitchen):
            await kitchen.send(1, 2, 3)
            await idle(5)
        assert kitchen.seen == [(10, 1), (10, 2)]
        assert await kitchen.left() == [3]

    run(main())


def test_an_event_that_fails_while_the_nexus_stops_comes_again() -> None:
    """It is not waited for."""

    async def main() -> None:
        async def handle(event: Event) -> None:
            await asyncio.sleep(10)
            raise OSError

        kitchen = Kitchen(handle, Simple(), delay=60.0)
        async with going_on(kitchen):
            await kitchen.send(1)
            await idle(5)
        assert now() == 10
        assert await kitchen.left() == [1]

    run(main())


def test_what_waits_to_be_tried_again_does_not_keep_the_nexus_from_stopping() -> None:
    """It is given back at once."""

    async def main() -> None:
        transport = Simple()
        kitchen = Kitchen(spill, transport, delay=60.0)
        async with going_on(kitchen):
            await kitchen.send(1)
            await idle(5)
        assert transport.settled == [(5, "retry")]
        assert await kitchen.left() == [1]

    run(main())


@pytest.mark.parametrize("in_flight", [1, 3])
def test_what_was_cut_off_comes_again(in_flight: int) -> None:
    """L3: it is not settled, and counts as no failure."""

    async def main() -> None:
        kitchen = Kitchen(lambda event: asyncio.sleep(1000), in_flight=in_flight, tries=1)
        async with going_on(kitchen):
            await kitchen.send(1, 2)
            await idle(5)
            kitchen.receiving.stop(grace=3)
        assert now() == 8
        assert await kitchen.letters() == []
        assert await kitchen.left() == [1, 2]

    run(main())


def test_where_no_nexus_is_left_nothing_is_settled() -> None:
    """S1: what comes is for those who start later."""

    async def main() -> None:
        kitchen = Kitchen(tries=1)
        await kitchen.publish("1", data=1)
        kitchen.receiving.stop()
        going = asyncio.create_task(kitchen.boundary.start())
        await idle()
        await kitchen.boundary.close()
        await going
        assert await kitchen.letters() == []
        assert await kitchen.left() == [1]

    run(main())


def test_a_nexus_that_is_cancelled_leaves_what_it_had() -> None:
    """It comes again."""

    async def main() -> None:
        kitchen = Kitchen(lambda event: asyncio.sleep(1000), tries=1)
        task = kitchen.start()
        await kitchen.send(1)
        await idle(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await kitchen.left() == [1]

    run(main())


@pytest.mark.parametrize("error", [LoopStopped("another nexus"), asyncio.CancelledError()])
def test_an_error_of_the_handler_is_not_taken_for_the_end(error: BaseException) -> None:
    """A handler that calls a nexus which has stopped, or awaits a task that was cancelled, has failed."""

    async def main() -> None:
        def fail(event: Event) -> None:
            if event.payload == 1:
                raise error

        kitchen = Kitchen(fail, tries=2)
        async with going_on(kitchen):
            await kitchen.send(1, 2)
            await idle()
        assert [each.split(":")[0].rpartition(".")[2] for each in await kitchen.letters()] == [type(error).__name__]
        assert await kitchen.left() == []

    run(main())


def test_a_closed_boundary_takes_nothing() -> None:
    """S4: `BadCall`, which names the event."""

    async def main() -> None:
        boundary = TransportBoundary[Event](MemoryTransport(), "tea")
        await boundary.close()
        with pytest.raises(BadCall, match="the boundary is closed: it does not take event 1 of type 99"):
            await boundary.handle(Event(1, 99, 0, None), EventQueue())

    run(main())


def test_a_boundary_that_is_closed_while_it_subscribes_takes_nothing() -> None:
    """The subscription that it gets is let go of."""
    subscriptions: list[Subscription] = []

    class Slow(MemoryTransport):
        @override
        async def subscribe(self, *args: Any, **options: Any) -> Subscription:
            await asyncio.sleep(100)
            subscriptions.append(await super().subscribe(*args, **options))
            return subscriptions[-1]

    async def main() -> None:
        kitchen = Kitchen(transport=Slow())
        async with going_on(kitchen):
            await kitchen.publish("1", data=1)
            await idle(5)
            await kitchen.boundary.close()
            await idle()
        assert kitchen.seen == []
        (subscription,) = subscriptions
        assert [each async for each in subscription] == []

    run(main())


def test_closing_it_again_waits_for_the_end() -> None:
    """What is in flight is finished, however many wait for that."""

    async def main() -> None:
        kitchen = Kitchen(lambda event: asyncio.sleep(10))
        async with going_on(kitchen):
            await kitchen.send(1)
            await idle(5)
            await asyncio.gather(kitchen.boundary.close(), kitchen.boundary.close())
            assert now() == 10
            await kitchen.boundary.close()
        assert await kitchen.left() == []

    run(main())


@pytest.mark.parametrize("how", ["drain", "close"])
def test_a_boundary_ends_with_its_transport(how: str, caplog: pytest.LogCaptureFixture) -> None:
    """Which is logged, for the nexus goes on without it; L2: one that runs until all is complete, ends."""

    async def main() -> None:
        kitchen = Kitchen()
        kitchen.sending.start()
        over = asyncio.ensure_future(kitchen.receiving.run_until_complete())
        await kitchen.send(1)
        await idle()
        await (kitchen.transport.drain() if how == "drain" else kitchen.transport.close())
        await over
        assert kitchen.payloads == [1]

    run(main())
    assert "channel 'tea': no more comes, for its transport was drained or closed" in caplog.text


def test_what_goes_wrong_in_a_subscription_stops_the_nexus() -> None:
    """L4."""

    class Broken(Simple):
        @override
        async def subscribe(self, *args: Any, **options: Any) -> Subscription:
            return BrokenSubscription(self, await super().subscribe(*args, **options))

    class BrokenSubscription(SimpleSubscription):
        @override
        async def __aiter__(self) -> AsyncIterator[Delivery]:
            raise TransportError("the channel was deleted")
            yield

    async def main() -> None:
        with pytest.raises(TransportError, match="the channel was deleted"):
            await Kitchen(transport=Broken()).start()

    run(main())


def test_trouble_with_the_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is lost by it: what was in flight comes again."""

    class Broken(Simple):
        @override
        async def subscribe(self, *args: Any, **options: Any) -> Subscription:
            subscription = SimpleSubscription(self, await super().subscribe(*args, **options))
            subscription.drain = self.fail
            return subscription

        async def fail(self) -> None:
            raise TransportUnavailable("gone")

    async def main() -> None:
        kitchen = Kitchen(transport=Broken(TransportUnavailable("gone for good")))
        async with going_on(kitchen):
            await idle()

    run(main())
    assert "channel 'tea': what is in flight comes again: gone" in caplog.text
    assert "channel 'tea': the subscription was not closed in good order: gone for good" in caplog.text


# Traces


def test_a_trace_goes_along() -> None:
    """What the surroundings of the sender say of it is what those of the receiver say, event by event."""

    async def main() -> None:
        async def handle(event: Event) -> None:
            kitchen.seen.append((event.payload, traceparent.get()))

        kitchen = Kitchen(handle)
        async with going_on(kitchen):
            for payload, trace in ((1, None), (2, TRACE), (3, None)):
                token = traceparent.set(trace)
                await kitchen.send(payload)
                traceparent.reset(token)
            await idle()
        assert kitchen.seen == [(1, None), (2, TRACE), (3, None)]

    run(main())


# Making one


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"in_flight": 0}, "in_flight is a positive number, not 0"),
        ({"tries": -1}, "tries is a positive number, not -1"),
        ({"window": 0}, "window is a positive number, not 0"),
        ({"max_body": 0}, "max_body is a positive number, not 0"),
        ({"delay": 0.0}, "delay is a positive number, not 0.0"),
        ({"delay": float("nan")}, "delay is a positive number, not nan"),
        ({"max_delay": float("inf")}, "max_delay is a positive number, not inf"),
        ({"consumer": ""}, "a channel and its consumer have names, not 'tea' and ''"),
        ({"domain": ""}, "a domain has a name"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], complaint: str) -> None:
    """`ValueError` names what was given."""
    with pytest.raises(ValueError, match=complaint):
        TransportBoundary[Event](MemoryTransport(), "tea", **options)


def test_it_is_exported_where_one_looks_for_it() -> None:
    """From the root, and beside the protocol that it stands on."""
    assert async_nexus.TransportBoundary is transports.TransportBoundary is TransportBoundary
    with pytest.raises(AttributeError, match=r"'async_nexus\.transports' has no attribute 'no_such_name'"):
        _ = transports.no_such_name  # type: ignore[attr-defined] # that is the mistake


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("in_flight", [1, 5])
def test_no_event_is_lost_whatever_the_order(seed: int, in_flight: int) -> None:
    """Handlers that fail at random, poison, and a receiving domain that is cut off twice: each is handled once."""

    async def main() -> None:
        transport, chance = MemoryTransport(), Random(seed)
        handled: list[int] = []

        async def handle(event: Event[int]) -> None:
            await asyncio.sleep(chance.random())
            if chance.random() < 0.3:
                raise OSError
            handled.append(event.payload)

        kitchens = [Kitchen(handle, transport, in_flight=in_flight, tries=100, random=Random(seed)) for _ in range(3)]
        for kitchen in kitchens:
            kitchen.receiving.declare(99, int)
        kitchens[0].sending.start()
        for number in range(60):
            await kitchens[0].send("poison" if number % 10 == 0 else number)
        for kitchen in kitchens:
            kitchen.receiving.start()
            await idle(1000 if kitchen is kitchens[-1] else 5)
            kitchen.receiving.stop(grace=0)
            await idle(5)
        assert sorted(handled) == [number for number in range(60) if number % 10]
        assert len(await kitchens[0].letters()) == 6
        assert await kitchens[0].left() == []

    run(main(), seed=seed)
