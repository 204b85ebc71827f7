"""Converters and producers, mostly seen from the nexuses that they are added to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from async_nexus import (
    AsyncEventNexus,
    BadCall,
    Event,
    EventConverter,
    EventFactory,
    EventProducer,
    EventSource,
    LoopStopped,
    MisconfiguredEventProducer,
    NoMoreEvents,
    NotStarted,
    SimpleEventConverter,
)
from async_nexus.testing import run

EVENT = Event(1, 99, 0, "payload")


class Numbers(EventConverter):
    """Yields 0, 1, 2."""

    async def event_generator(self) -> AsyncIterator[Event]:
        for number in range(3):
            yield Event(number, 99, 0, number)


class Once(SimpleEventConverter):
    """Hands out one event."""

    left = 1

    async def obtain_event(self) -> Event:
        if not self.left:
            raise NoMoreEvents
        self.left -= 1
        return EVENT


def nexus_with(handler: Callable[[Event], Any]) -> AsyncEventNexus:
    """Make a nexus that takes every event to one handler."""
    nexus = AsyncEventNexus()
    nexus.add_handler(-1, handler)
    return nexus


@pytest.mark.parametrize("source", [Numbers, Once])
@pytest.mark.parametrize("method", ["add_converter", "register"])
def test_converters_are_asked_until_they_are_exhausted(source: type[SimpleEventConverter], method: str) -> None:
    """S1: a generator's end and `NoMoreEvents` mean the same."""
    seen = list[Event]()
    nexus = nexus_with(seen.append)
    getattr(nexus, method)(source())
    nexus.run_until_complete()
    assert [event.payload for event in seen] == ([0, 1, 2] if source is Numbers else ["payload"])


def test_a_converter_is_asked_when_the_event_before_has_been_handled() -> None:
    """S1, T6: it is never ahead of the handler."""
    order = list[str]()

    class Noting(EventConverter):
        async def event_generator(self) -> AsyncIterator[Event]:
            for _ in range(2):
                order.append("asked")
                yield EVENT

    async def handle(event: Event) -> None:
        await asyncio.sleep(5)
        order.append("handled")

    async def main() -> None:
        nexus = nexus_with(handle)
        nexus.register(Noting())
        await nexus.run_until_complete()

    run(main())
    assert order == ["asked", "handled"] * 2


async def test_a_generator_can_be_driven_by_hand() -> None:
    """S1: `obtain_event` says that it has ended, `close` works before, within and after."""
    await Numbers().close()
    numbers = Numbers()
    assert [(await numbers.obtain_event()).id for _ in range(3)] == [0, 1, 2]
    with pytest.raises(NoMoreEvents, match="generator of Numbers has ended"):
        await numbers.obtain_event()
    await numbers.close()


async def test_an_iterator_without_aclose_is_closed_too() -> None:
    """S1: any asynchronous iterator will do."""

    class Iterator:
        def __aiter__(self) -> "Iterator":
            return self

        async def __anext__(self) -> Event:
            return EVENT

    class Handmade(EventConverter):
        def event_generator(self) -> AsyncIterator[Event]:
            return Iterator()

    source = Handmade()
    assert await source.obtain_event() is EVENT
    await source.close()


def test_a_producer_sends_to_every_nexus() -> None:
    """S1: in the order in which it was added, each event when all have handled the one before."""
    seen = list[tuple[str, object]]()

    class Two(EventProducer):
        async def start(self) -> None:
            for payload in (1, 2):
                await self.distribute_event(Event(1, 99, 0, payload))

    async def main() -> None:
        producer = Two()
        first = nexus_with(lambda e: seen.append(("first", e.payload)))
        second = nexus_with(lambda e: seen.append(("second", e.payload)))
        for nexus in (first, second):
            nexus.add_producer(producer)
        second.start()
        await first.run_until_complete()
        second.stop()

    run(main())
    assert seen == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]


def test_the_first_nexus_runs_a_producer_the_others_only_receive() -> None:
    """S1: it is started and closed once, by the first; the end of a second one does not touch it."""
    calls = list[str]()

    class Noting(EventProducer):
        async def start(self) -> None:
            calls.append("start")

        def close(self) -> None:
            calls.append("close")

    async def main() -> None:
        producer = Noting()
        first, second = nexus_with(print), nexus_with(print)
        first.register(producer)
        second.register(producer)
        one, two = first.start(), second.start()
        await asyncio.sleep(1)
        second.stop()
        await two
        assert calls == ["start"]
        first.stop()
        await one
        assert calls == ["start", "close"]

    run(main())


def test_nexuses_that_have_ended_are_no_receivers_any_more() -> None:
    """S1: the others get the event; with none left it is `LoopStopped`."""

    async def main() -> None:
        seen = list[str]()
        producer = EventProducer[Event[Any]]()
        first, second = nexus_with(lambda e: seen.append("first")), nexus_with(lambda e: seen.append("second"))
        for nexus in (first, second):
            nexus.register(producer)
        one, two = first.start(), second.start()
        first.stop()
        await one
        await producer.distribute_event(EVENT)
        assert seen == ["second"]
        second.stop()
        await two
        with pytest.raises(LoopStopped, match="every nexus that EventProducer was added to"):
            await producer.distribute_event(EVENT)

    run(main())


def test_a_nexus_that_ends_while_another_handles_the_event_is_no_receiver() -> None:
    """S1: whether it takes events is asked when it is its turn."""

    async def main() -> None:
        producer = EventProducer[Event[Any]]()
        second = nexus_with(print)

        async def stop_second(event: Event) -> None:
            second.stop()
            await over

        first = nexus_with(stop_second)
        for nexus in (first, second):
            nexus.register(producer)
        first.start()
        over = second.start()
        await asyncio.sleep(1)
        await producer.distribute_event(EVENT)
        first.stop()

    run(main())


def test_a_nexus_that_has_not_started_is_an_error() -> None:
    """S1: `NotStarted`, when the others have handled the event."""

    async def main() -> None:
        seen = list[str]()
        producer = EventProducer[Event[Any]]()
        first, second = nexus_with(print), nexus_with(lambda e: seen.append("second"))
        for nexus in (first, second):
            nexus.register(producer)
        second.start()
        with pytest.raises(NotStarted):
            await producer.distribute_event(EVENT)
        assert seen == ["second"]
        second.stop()

    run(main())


def test_failures_of_several_nexuses_are_raised_together() -> None:
    """S1: all have been tried before."""

    async def main() -> None:
        def fail(event: Event) -> None:
            raise KeyError

        producer = EventProducer[Event[Any]]()
        for _ in range(2):
            nexus = nexus_with(fail)
            nexus.register(producer)
            nexus.start()
        with pytest.raises(ExceptionGroup, match="2 nexuses failed"):
            await producer.distribute_event(EVENT)

    run(main())


def test_a_producer_without_a_nexus() -> None:
    """S1: `MisconfiguredEventProducer` says how to add it."""

    async def main() -> None:
        producer = EventProducer[Event[Any]]()
        for attempt in (producer.start, lambda: producer.distribute_event(EVENT)):
            with pytest.raises(MisconfiguredEventProducer, match="has no nexus to send to"):
                await attempt()
        with pytest.raises(MisconfiguredEventProducer):
            producer.spawn(asyncio.sleep(0))

    run(main())


def test_an_event_factory_is_given_or_missed() -> None:
    """S1: it makes the producer's events; a producer without one says so when it is asked for it."""
    factory = EventFactory()
    assert EventProducer[Event[Any]](event_factory=factory).event_factory is factory
    with pytest.raises(MisconfiguredEventProducer, match="`event_factory=nexus`"):
        _ = EventProducer[Event[Any]]().event_factory


def test_a_subclass_that_does_not_call_super_init_works() -> None:
    """S1: it has no factory, and everything else."""

    class Careless(EventProducer):
        def __init__(self) -> None:
            pass

        async def start(self) -> None:
            await self.distribute_event(EVENT)

    seen = list[Event]()
    nexus = nexus_with(seen.append)
    nexus.register(Careless())
    nexus.run_until_complete()
    assert len(seen) == 1


def test_a_source_is_added_once() -> None:
    """S1: `BadCall` for the second time, for converters and producers."""
    for source in (Once(), EventProducer[Event[Any]]()):
        nexus = AsyncEventNexus()
        nexus.register(source)
        with pytest.raises(BadCall, match="added to the nexus already"):
            nexus.register(source)


class Foreign(EventSource):
    """A source that is neither."""


@pytest.mark.parametrize(
    "method, source",
    [
        ("add_converter", EventProducer()),
        ("add_producer", Once()),
        ("register", Foreign()),
        ("register", object()),
        ("register", Once),
    ],
)
def test_what_is_no_source_is_refused(method: str, source: object) -> None:
    """S1: `TypeError` says what was expected."""
    with pytest.raises(TypeError, match=r"(converter|producer).*, not (EventProducer|Once|Foreign|object|ABCMeta)"):
        getattr(AsyncEventNexus(), method)(source)


def test_sources_of_an_event_class_are_typed_by_it() -> None:
    """S1: `E` defaults to any event."""
    assert EventProducer[Event[int]] is not EventProducer
    assert Foreign().close() is None


class Count(EventProducer):
    """Sends 0, 1, 2."""

    async def start(self) -> None:
        for number in range(3):
            await asyncio.sleep(1)
            await self.distribute_event(Event(number, 99, 0, number))


def test_a_producer_that_another_nexus_runs_counts_until_it_is_exhausted() -> None:
    """L2, S1: `run_until_complete` waits for every source, wherever it runs, also for one that begins later."""
    seen: list[tuple[str, object]] = []

    async def main() -> None:
        first = nexus_with(lambda event: seen.append(("first", event.payload)))
        second = nexus_with(lambda event: seen.append(("second", event.payload)))
        counter = Count()
        first.add_producer(counter)
        second.add_producer(counter)
        assert not counter.is_exhausted
        done = asyncio.ensure_future(second.run_until_complete())
        await asyncio.sleep(5)
        assert not done.done()
        await asyncio.gather(first.run_until_complete(), done)
        assert counter.is_exhausted

    run(main())
    assert seen == [(name, number) for number in range(3) for name in ("first", "second")]


def test_a_producer_of_a_nexus_that_has_ended_is_exhausted() -> None:
    """L2, S1: a nexus that only receives does not wait for what nobody runs any more."""

    async def main() -> None:
        first, second = nexus_with(lambda event: None), nexus_with(lambda event: None)
        counter = Count()
        first.add_producer(counter)
        second.add_producer(counter)
        first.stop()
        await second.run_until_complete()

    run(main())


def test_a_nexus_that_is_cut_off_while_it_handles_an_event_is_no_receiver() -> None:
    """S1: it has told of the event; the producer, and the nexus that runs it, go on."""
    seen: list[object] = []

    async def hang(event: Event) -> None:
        await asyncio.sleep(100)

    async def main() -> None:
        first, second = nexus_with(lambda event: seen.append(event.payload)), nexus_with(hang)
        counter = Count()
        first.add_producer(counter)
        second.add_producer(counter)
        ended = second.start()
        done = asyncio.ensure_future(first.run_until_complete())
        await asyncio.sleep(1.5)
        second.stop(grace=0)
        await asyncio.gather(ended, done)

    run(main())
    assert seen == [0, 1, 2]
