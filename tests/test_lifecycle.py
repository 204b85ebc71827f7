"""From READY to STOPPED: starting, supervising and stopping sources, and what becomes of events on the way."""

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import nullcontext
from typing import Any

import pytest
from log_records import logged

from async_nexus import (
    AsyncEventNexus,
    AsyncNexusError,
    BadCall,
    Event,
    EventConverter,
    EventProducer,
    LoopAlreadyStarted,
    LoopStopped,
    NoMoreEvents,
    NotStarted,
    SimpleEventConverter,
    State,
)
from async_nexus.testing import run

EVENT = Event(1, 99, 0, None)


def nexus_with(handler: Callable[..., Any] = lambda e: None, *, multiple: bool = False) -> AsyncEventNexus:
    """Make a nexus that takes every event to one handler."""
    nexus = AsyncEventNexus(multiple=multiple)
    nexus.default(handler)
    return nexus


async def slow(event: Event) -> None:
    """Take as many seconds as the payload says."""
    await asyncio.sleep(event.payload or 0)


class Producer(EventProducer):
    """Does in `start` and `close` what a test says."""

    def __init__(
        self,
        start: Callable[["Producer"], Awaitable[object]] | None = None,
        close: Callable[["Producer"], Any] = lambda _: None,
    ) -> None:
        super().__init__()
        self._start, self._close = start, close
        self.closed = 0

    async def start(self) -> None:
        await super().start()
        if self._start is not None:
            await self._start(self)

    def close(self) -> Any:
        self.closed += 1
        return self._close(self)


class Converter(SimpleEventConverter):
    """Hands out events a second apart."""

    def __init__(self, *payloads: object) -> None:
        self._payloads = iter(payloads)
        self.closed = 0

    async def obtain_event(self) -> Event:
        await asyncio.sleep(1)
        for payload in self._payloads:
            return Event(1, 99, 0, payload)
        raise NoMoreEvents

    def close(self) -> None:
        self.closed += 1


async def forever(_: object = None) -> None:
    """Wait until cancelled."""
    await asyncio.get_running_loop().create_future()


def failing(error: BaseException) -> Callable[..., Coroutine[Any, Any, object]]:
    """Make a coroutine function that raises."""

    async def fail(*_: object) -> None:
        raise error

    return fail


# L1


def test_the_four_states() -> None:
    """L1: READY, STARTING once started, LOOPING once the loop task runs, STOPPED when it has ended."""

    async def main() -> None:
        nexus = nexus_with()
        states = [nexus.state]
        task = nexus.start()
        states.append(nexus.state)
        await asyncio.sleep(1)
        states.append(nexus.state)
        nexus.stop()
        states.append(nexus.state)
        await task
        states.append(nexus.state)
        assert states == [State.READY, State.STARTING, State.LOOPING, State.LOOPING, State.STOPPED]
        assert str(nexus.state) == "STOPPED"

    run(main())


def test_start_accepts_at_once() -> None:
    """L1: no need to wait for the loop task to begin."""

    async def main() -> None:
        seen = list[int]()
        nexus = nexus_with(lambda e: seen.append(e.id))
        nexus.start()
        await nexus.ingest(EVENT)
        assert (seen, nexus.state) == ([1], State.STARTING)

    run(main())


async def test_ingest_before_the_start() -> None:
    """L1: `NotStarted`, which says what to do."""
    with pytest.raises(NotStarted, match=r"call `start\(\)`"):
        await nexus_with().ingest(EVENT)
    with pytest.raises(NotStarted):
        await nexus_with().emit(99, None)


async def test_ingest_after_the_end() -> None:
    """L1: `LoopStopped`, both from `ingest` and from `emit`."""
    nexus = nexus_with()
    task = nexus.start()
    nexus.stop()
    await task
    with pytest.raises(LoopStopped):
        await nexus.ingest(EVENT)
    with pytest.raises(LoopStopped):
        await nexus.emit(99, None)


async def test_starting_twice() -> None:
    """L1: `LoopAlreadyStarted`, whether the loop task has begun or not, and while it stops."""
    nexus = nexus_with()
    task = nexus.start()
    with pytest.raises(LoopAlreadyStarted):
        nexus.start()
    await asyncio.sleep(0)
    with pytest.raises(LoopAlreadyStarted):
        nexus.loop_forever()
    nexus.stop()
    with pytest.raises(LoopAlreadyStarted):
        nexus.run_until_complete()
    await task
    with pytest.raises(LoopStopped, match="make a new one"):
        nexus.start()


def test_errors_of_state_are_bad_calls() -> None:
    """L1: one class to catch."""
    assert all(issubclass(error, BadCall) for error in (NotStarted, LoopAlreadyStarted, LoopStopped))


REGISTRATIONS: dict[str, Callable[[AsyncEventNexus], object]] = {
    "add_handler": lambda nexus: nexus.add_handler(1, lambda e: None),
    "on": lambda nexus: nexus.on(1)(lambda e: None),
    "default": lambda nexus: nexus.default(lambda e: None),
    "add_filter": lambda nexus: nexus.add_filter(lambda e: False),
    "filter": lambda nexus: nexus.filter(lambda e: False),
    "declare": lambda nexus: nexus.declare(1, int),
    "add_converter": lambda nexus: nexus.add_converter(Converter()),
    "add_producer": lambda nexus: nexus.add_producer(Producer()),
    "register": lambda nexus: nexus.register(Producer()),
}


@pytest.mark.parametrize("registration", REGISTRATIONS)
def test_registering_works_before_the_end(registration: str) -> None:
    """L1: in READY, STARTING and LOOPING, also when it is stopping; then it raises `BadCall`."""

    async def main() -> None:
        register = REGISTRATIONS[registration]
        ready = AsyncEventNexus()
        register(ready)
        starting = AsyncEventNexus()
        starting.start()
        register(starting)
        looping = AsyncEventNexus()
        looping.start()
        await asyncio.sleep(0)
        register(looping)
        stopping = AsyncEventNexus()
        task = stopping.start()
        await asyncio.sleep(0)
        stopping.stop()
        register(stopping)
        await task
        with pytest.raises(BadCall, match="has stopped"):
            register(stopping)

    run(main())


def test_a_source_added_while_running_is_started() -> None:
    """L1, L4: also from inside of a handler; its events take turns of their own."""

    async def main() -> None:
        seen = list[object]()
        nexus = AsyncEventNexus()

        @nexus.default
        async def add(event: Event) -> None:
            seen.append(event.payload)
            if event.payload is None:
                nexus.register(Converter("from the source"))
                await asyncio.sleep(5)
                seen.append("first turn over")

        task = nexus.start()
        await nexus.ingest(EVENT)
        await asyncio.sleep(1)
        assert seen == [None, "first turn over", "from the source"]
        nexus.stop()
        await task

    run(main())


def test_a_source_added_while_stopping_is_closed_at_the_latest_by_the_with_block() -> None:
    """L5: it is not started any more, and still let go of."""

    async def main() -> None:
        producer = Producer(failing(AssertionError()))
        async with AsyncEventNexus() as nexus:
            nexus.start()
            await asyncio.sleep(1)
            nexus.stop()
            nexus.add_producer(producer)
        assert producer.closed == 1

    run(main())


# L2


def test_loop_forever_in_a_running_loop_is_awaited() -> None:
    """L2: it starts at once, and what it returns ends with the nexus."""

    async def main() -> None:
        nexus = nexus_with()
        over = nexus.loop_forever()
        assert nexus.state is State.STARTING
        asyncio.get_running_loop().call_later(3, nexus.stop)
        await over
        assert asyncio.get_running_loop().time() == 3

    run(main())


def test_loop_forever_goes_on_without_sources() -> None:
    """L2: with none at all, or with exhausted ones, it just waits."""

    async def main() -> None:
        for sources in [], [Converter(0)]:
            nexus = nexus_with()
            for source in sources:
                nexus.register(source)
            over = asyncio.ensure_future(nexus.loop_forever())
            await asyncio.sleep(1000)
            assert nexus.state is State.LOOPING
            nexus.stop()
            await over

    run(main())


def test_run_until_complete_ends_with_the_last_source() -> None:
    """L2: every source is exhausted, and every event handled, also secondary ones."""

    async def main() -> None:
        seen = list[object]()
        nexus = AsyncEventNexus()

        @nexus.default
        async def handle(event: Event, queue: asyncio.Queue[Event]) -> None:
            await asyncio.sleep(10)
            seen.append(event.payload)
            if event.payload == "b":
                await queue.put(Event(2, 99, 0, "secondary"))

        async def produce(producer: Producer) -> None:
            producer.spawn(later(producer))

        async def later(producer: Producer) -> None:
            await asyncio.sleep(15)
            await producer.distribute_event(Event(1, 99, 0, "c"))

        nexus.register(Converter("a", "b"))
        nexus.register(Producer(produce))
        await nexus.run_until_complete()
        assert seen == ["a", "b", "secondary", "c"]
        assert nexus.state is State.STOPPED

    run(main())


def test_run_until_complete_handles_what_is_in_line() -> None:
    """L2: events of others that wait when the last source ends are handled as well."""

    async def main() -> None:
        nexus = nexus_with(slow)
        over = nexus.run_until_complete()
        ingests = [asyncio.create_task(nexus.emit(99, 5)) for _ in range(3)]
        nexus.register(Converter(2))
        await over
        assert [task.exception() for task in ingests] == [None] * 3

    run(main())


# L3


def test_stop_refuses_outsiders_at_once() -> None:
    """L3: who comes after `stop` is refused, who is in line has its turn."""

    async def main() -> None:
        nexus = nexus_with(slow)
        task = nexus.start()
        waiting = [asyncio.create_task(nexus.emit(99, 5)) for _ in range(3)]
        await asyncio.sleep(1)
        nexus.stop()
        with pytest.raises(LoopStopped):
            await nexus.ingest(EVENT)
        await task
        assert asyncio.get_running_loop().time() == 15
        assert [each.exception() for each in waiting] == [None] * 3

    run(main())


@pytest.mark.parametrize("begun", [False, True])
def test_stop_lets_turns_ingest(begun: bool) -> None:
    """L3, T4: a handler is no outsider, also in the task that has just called `start`."""

    async def main() -> None:
        seen = list[object]()
        nexus = AsyncEventNexus()

        @nexus.on(99)
        async def stop(event: Event) -> None:
            nexus.stop()
            await nexus.emit("nested", 1)
            await asyncio.create_task(nexus.emit("nested", 2))

        nexus.add_handler("nested", lambda e: seen.append(e.payload))
        task = nexus.start()
        if begun:
            await asyncio.sleep(1)
        await nexus.ingest(EVENT)
        assert seen == [1, 2]
        await task

    run(main())


def test_a_stopped_converter_finishes_what_it_holds() -> None:
    """L3: the event that it has obtained is handled, then it is closed; it is not asked again."""

    async def main() -> None:
        seen = list[object]()
        nexus = AsyncEventNexus()
        converter = Converter(10, 20)

        @nexus.on(99)
        async def handle(event: Event) -> None:
            await slow(event)
            seen.append((event.payload, converter.closed))

        nexus.register(converter)
        task = nexus.start()
        await asyncio.sleep(5)
        nexus.stop()
        await task
        assert (seen, converter.closed) == ([(10, 0)], 1)

    run(main())


def test_a_stopped_converter_is_not_waited_for() -> None:
    """L3: one that has nothing yet is cancelled and closed at once."""

    async def main() -> None:
        nexus = nexus_with()
        converter = Converter(1)
        nexus.register(converter)
        task = nexus.start()
        await asyncio.sleep(0.5)
        nexus.stop()
        await task
        assert converter.closed == 1
        assert asyncio.get_running_loop().time() == 0.5

    run(main())


def test_a_generator_is_closed_by_the_stop() -> None:
    """L3: the `finally` blocks of a converter's generator run before the loop task ends."""

    async def main() -> None:
        closed = list[bool]()

        class Numbers(EventConverter):
            async def event_generator(self) -> AsyncIterator[Event]:
                try:
                    yield EVENT
                    await forever()
                finally:
                    closed.append(True)

        nexus = nexus_with()
        nexus.register(Numbers())
        task = nexus.start()
        await asyncio.sleep(1)
        nexus.stop()
        await task
        assert closed == [True]

    run(main())


def test_a_producers_tasks_end_after_its_close_and_its_delivery() -> None:
    """L3: closed first; a `distribute_event` under way ends; then `start` and the other tasks are cancelled."""

    async def main() -> None:
        order = list[str]()

        async def start(producer: Producer) -> None:
            producer.spawn(noting(forever(), "task cancelled"))
            await producer.distribute_event(Event(1, 99, 0, 10))
            order.append("delivered")
            await noting(forever(), "start cancelled")

        async def noting(work: Awaitable[object], text: str) -> None:
            try:
                await work
            except asyncio.CancelledError:
                order.append(text)
                raise

        nexus = nexus_with(slow)
        nexus.register(Producer(start, lambda _: order.append("closed")))
        task = nexus.start()
        await asyncio.sleep(1)
        nexus.stop()
        await task
        assert order[:2] == ["closed", "delivered"]
        assert sorted(order[2:]) == ["start cancelled", "task cancelled"]

    run(main())


@pytest.mark.parametrize("seed", range(3))
def test_a_producer_that_never_pauses_is_stopped(seed: int) -> None:
    """L3: it ends after the delivery under way; none is begun after it, and none is cut."""

    async def main() -> None:
        begun, ended = list[int](), list[int]()
        nexus = AsyncEventNexus()

        @nexus.default
        async def handle(event: Event) -> None:
            begun.append(event.id)
            await asyncio.sleep(1)
            ended.append(event.id)

        async def start(producer: Producer) -> None:
            producer.spawn(without_pause(producer))
            await without_pause(producer)

        async def without_pause(producer: Producer) -> None:
            while True:
                await producer.distribute_event(EVENT)

        nexus.register(Producer(start))
        task = nexus.start()
        await asyncio.sleep(4.5)
        nexus.stop()
        await task
        # One was in its turn, the other one in line.
        assert (len(begun), len(ended)) == (6, 6)

    run(main(), seed=seed)


def test_a_producer_may_deliver_from_a_handler_while_it_is_stopped() -> None:
    """L3, T4: what comes out of a turn is not held back, or the turn would never end."""

    async def main() -> None:
        seen = list[object]()
        nexus = AsyncEventNexus()
        producer = Producer(lambda p: p.distribute_event(Event(1, 99, 0, None)))

        @nexus.on(99)
        async def again(event: Event) -> None:
            await asyncio.sleep(2)
            await producer.distribute_event(Event(2, "nested", 0, None))

        nexus.add_handler("nested", lambda e: seen.append(e.type))
        nexus.register(producer)
        task = nexus.start()
        await asyncio.sleep(1)
        nexus.stop()
        await task
        assert seen == ["nested"]

    run(main())


def test_who_was_held_back_at_the_end_hears_that_it_has_ended() -> None:
    """L3: an outsider that distributes an event meanwhile gets `LoopStopped`, it does not hang."""

    async def main() -> None:
        nexus = nexus_with(slow)
        producer = Producer(lambda p: p.distribute_event(Event(1, 99, 0, 5)))
        nexus.register(producer)
        task = nexus.start()
        await asyncio.sleep(1)
        nexus.stop()
        await asyncio.sleep(1)
        with pytest.raises(LoopStopped):
            await producer.distribute_event(EVENT)
        await task

    run(main())


def test_stop_with_grace_cuts_off(caplog: pytest.LogCaptureFixture) -> None:
    """L3: handlers that still run are cancelled, ingests raise `LoopStopped`, a log record names the events."""

    async def main() -> None:
        cancelled = list[object]()
        nexus = AsyncEventNexus()

        @nexus.default
        async def handle(event: Event) -> None:
            try:
                await asyncio.sleep(event.payload)
            except asyncio.CancelledError:
                cancelled.append(event.id)
                raise

        task = nexus.start()
        ingests = [asyncio.create_task(nexus.emit("slow", 2, id=i)) for i in (1, 2, 3)]
        await asyncio.sleep(1)
        nexus.stop(grace=2.0)
        await task
        assert asyncio.get_running_loop().time() == 3
        assert [type(each.exception()) for each in ingests] == [type(None), LoopStopped, LoopStopped]
        assert cancelled == [2]

    run(main())
    assert [record.getMessage() for record in logged(caplog)] == [
        "the nexus was stopped before it had handled event 2 of type slow, event 3 of type slow"
    ]


def test_grace_that_is_not_needed_is_not_spent(caplog: pytest.LogCaptureFixture) -> None:
    """L3: what ends in time is not cut, and nothing is logged."""

    async def main() -> None:
        nexus = nexus_with(slow)
        task = nexus.start()
        ingest = asyncio.create_task(nexus.emit(99, 2))
        await asyncio.sleep(1)
        nexus.stop(grace=50)
        await task
        await ingest
        assert asyncio.get_running_loop().time() == 2

    run(main())
    assert not logged(caplog)


@pytest.mark.parametrize("suppressing", [False, True])
def test_a_handler_that_swallows_its_cancellation_is_cut_all_the_same(suppressing: bool) -> None:
    """L3: its ingest raises `LoopStopped`, and its secondary events are not handled."""

    async def main() -> None:
        seen = list[object]()
        nexus = AsyncEventNexus()

        @nexus.on(99)
        async def stubborn(event: Event, queue: asyncio.Queue[Event]) -> None:
            await queue.put(Event(2, "secondary", 0, None))
            try:
                await forever()
            except asyncio.CancelledError:
                if not suppressing:
                    raise ValueError from None

        nexus.add_handler("secondary", seen.append)
        task = nexus.start()
        ingest = asyncio.create_task(nexus.ingest(EVENT))
        await asyncio.sleep(1)
        nexus.stop(0)
        with pytest.raises(LoopStopped) as raised:
            await ingest
        assert isinstance(raised.value.__cause__, type(None) if suppressing else ValueError)
        await task
        assert not seen

    run(main())


@pytest.mark.parametrize("with_queue", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_a_turn_that_waits_for_nested_ones_is_cut_too(with_queue: bool, fails: bool) -> None:
    """L3, T4: its handler has ended, its ingest has not: that raises `LoopStopped`, its task is not cancelled."""

    async def main() -> None:
        nexus, nested = AsyncEventNexus(), list[asyncio.Task[None]]()

        async def handle(event: Event) -> None:
            nested.append(asyncio.create_task(nexus.emit("nested", 100)))
            await asyncio.sleep(0)
            if fails:
                raise ValueError

        async def handle_with_queue(event: Event, queue: asyncio.Queue[Event]) -> None:
            await handle(event)

        async def outsider() -> str:
            with pytest.raises(LoopStopped, match="event 1 of type 99"):
                await nexus.ingest(EVENT)
            await asyncio.sleep(0)
            return "went on"

        nexus.add_handler("nested", slow)
        nexus.default(handle_with_queue if with_queue else handle)
        task = nexus.start()
        ingest = asyncio.create_task(outsider())
        await asyncio.sleep(1)
        nexus.stop(0)
        await task
        assert await ingest == "went on"
        with pytest.raises(LoopStopped):
            await nested[0]

    run(main())


def test_what_ignores_its_cancellation_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """L3: after a last moment the loop ends without it, and says so."""

    async def main() -> None:
        async def deaf(_: object) -> None:
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    continue

        released = asyncio.Event()
        nexus = nexus_with()
        nexus.register(Producer(deaf))
        task = nexus.start()
        await asyncio.sleep(1)
        nexus.stop(0)
        await task
        assert asyncio.get_running_loop().time() == 2
        released.set()
        await asyncio.sleep(0)

    run(main())
    assert "ignores cancellation: ['Producer']" in caplog.text


def test_a_close_that_hangs_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """L3: also a `close` that never returns cannot keep the loop from ending; the log says whose it is."""

    async def main() -> None:
        nexus = nexus_with()
        nexus.register(Producer(close=forever))
        task = nexus.start()
        await asyncio.sleep(1)
        nexus.stop(0)
        await task
        assert nexus.state is State.STOPPED

    run(main())
    assert "ignores cancellation: ['Producer']" in caplog.text


def test_nothing_is_taken_after_the_cut() -> None:
    """L3: a task of a source that goes on after its cancellation is refused as well."""

    async def main() -> None:
        refused = list[type[BaseException]]()
        seen = list[object]()

        async def start(producer: Producer) -> None:
            try:
                await forever()
            finally:
                for attempt in (producer.distribute_event, nexus.ingest):
                    try:
                        await attempt(EVENT)
                    except LoopStopped as error:
                        refused.append(type(error))
                work = forever()
                with pytest.raises(BadCall, match="only while its nexus runs"):
                    producer.spawn(work)

        nexus = nexus_with(seen.append)
        nexus.register(Producer(start))
        task = nexus.start()
        await asyncio.sleep(1)
        nexus.stop(0)
        await task
        assert (refused, seen) == ([LoopStopped, LoopStopped], [])

    run(main())


def test_a_shorter_grace_replaces_a_longer_one() -> None:
    """L3: a second `stop` does nothing unless it ends sooner."""

    async def ended_at(*graces: float | None) -> float:
        nexus = nexus_with(slow)
        task = nexus.start()
        ingest = asyncio.create_task(nexus.emit(99, 100))
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        start = loop.time()
        for grace in graces:
            nexus.stop(grace)
        await task
        await asyncio.wait([ingest])
        ingest.exception()
        return loop.time() - start

    async def main() -> None:
        assert await ended_at(None, None) == 100
        assert await ended_at(None, 7) == 7
        assert await ended_at(7, None) == 7
        assert await ended_at(7, 8) == 7
        assert await ended_at(7, 3) == 3

    run(main())


@pytest.mark.parametrize("grace", [-1, float("nan")])
def test_grace_is_no_less_than_nothing(grace: float) -> None:
    """L3: `ValueError` says what a grace is."""
    with pytest.raises(ValueError, match="number of seconds from 0"):
        AsyncEventNexus().stop(grace)


async def test_stop_before_the_start() -> None:
    """L3: READY leads to STOPPED; once more does nothing."""
    nexus = nexus_with()
    nexus.stop()
    assert nexus.state is State.STOPPED
    nexus.stop(0)
    with pytest.raises(LoopStopped):
        nexus.start()
    with pytest.raises(LoopStopped):
        await nexus.ingest(EVENT)


def test_stop_before_the_loop_task_begins() -> None:
    """L3: sources are not started any more, but closed; the turn under way ends."""

    async def main() -> None:
        producer = Producer(failing(AssertionError()))
        nexus = nexus_with()
        nexus.register(producer)
        task = nexus.start()
        nexus.stop()
        await task
        assert producer.closed == 1

    run(main())


@pytest.mark.parametrize("times", [1, 2])
def test_cancelling_the_loop_task_cuts_off(times: int) -> None:
    """L3: it is `stop(grace=0)`, and the task ends cancelled; a second time changes nothing."""

    async def main() -> None:
        nexus = nexus_with(slow)
        producer = Producer(forever)
        nexus.register(producer)
        task = nexus.start()
        ingest = asyncio.create_task(nexus.emit(99, 100))
        await asyncio.sleep(1)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([task])
        assert task.cancelled()
        assert producer.closed == 1
        with pytest.raises(LoopStopped):
            await ingest
        assert asyncio.get_running_loop().time() == 1

    run(main())


def test_cancelling_the_loop_task_while_it_stops() -> None:
    """L3: the grace is over at once."""

    async def main() -> None:
        nexus = nexus_with(slow)
        task = nexus.start()
        ingest = asyncio.create_task(nexus.emit(99, 100))
        await asyncio.sleep(1)
        nexus.stop()
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        with pytest.raises(LoopStopped):
            await ingest

    run(main())


def test_cancelling_the_loop_task_before_it_begins(caplog: pytest.LogCaptureFixture) -> None:
    """L3: sources are closed, ingests are cut, and a failing `close` is logged."""

    async def main() -> None:
        nexus = nexus_with(slow)
        bad = Producer(close=failing(ValueError("no")))
        good = Producer()
        nexus.register(bad)
        nexus.register(good)
        task = nexus.start()
        task.cancel()
        ingest = asyncio.create_task(nexus.emit(99, 1))
        await asyncio.sleep(0.5)
        assert task.cancelled()
        assert nexus.state is State.STOPPED
        with pytest.raises(LoopStopped):
            await ingest
        assert (bad.closed, good.closed) == (1, 1)

    run(main())
    assert "ValueError: no" in caplog.text


def test_a_program_that_ends_right_after_the_start_leaves_nothing() -> None:
    """L3: no task is left pending when the loop closes."""

    async def main() -> Producer:
        nexus = nexus_with()
        producer = Producer(forever)
        nexus.register(producer)
        nexus.start()
        return producer

    assert run(main()).closed == 1
    gc.collect()


def test_what_was_cut_off_is_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    """L3: what a source's task raises when it is cut is logged, the loop ends without an error."""

    async def main() -> None:
        async def start(_: object) -> None:
            try:
                await forever()
            finally:
                raise ValueError("of the cut")

        nexus = nexus_with()
        nexus.register(Producer(start))
        task = nexus.start()
        await asyncio.sleep(1)
        nexus.stop(0)
        await task

    caplog.set_level(logging.INFO)
    run(main())
    assert "ValueError: of the cut" in caplog.text


# L4


def test_a_source_that_fails_stops_the_others_and_is_heard() -> None:
    """L4: what `start` raises is raised from the loop; the others finish what they hold and are closed."""

    async def main() -> None:
        seen = list[object]()
        nexus = AsyncEventNexus()

        @nexus.default
        async def handle(event: Event) -> None:
            await slow(event)
            seen.append(event.payload)

        async def start(_: object) -> None:
            await asyncio.sleep(2)
            raise ValueError("cannot connect")

        converter, other, failed = Converter(5, 6), Producer(forever), Producer(start)
        for source in (converter, failed, other):
            nexus.register(source)
        with pytest.raises(ValueError, match="cannot connect"):
            await nexus.loop_forever()
        assert seen == [5]
        assert (converter.closed, other.closed, failed.closed) == (1, 1, 1)
        assert nexus.state is State.STOPPED
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_a_source_that_fails_at_start_is_a_clear_error() -> None:
    """L4: also where `start` was written without `async` and raises before any task is made."""

    async def main() -> None:
        class Sync(EventProducer):
            def start(self) -> Any:
                raise ValueError("at once")

        nexus = nexus_with()
        other = Producer(forever)
        nexus.register(Sync())
        nexus.register(other)
        with pytest.raises(ValueError, match="at once"):
            await nexus.loop_forever()
        assert (nexus.state, other.closed) == (State.STOPPED, 1)

    run(main())


def test_failures_of_several_sources_are_raised_together() -> None:
    """L4: none hides another one."""

    async def main() -> None:
        nexus = nexus_with()
        nexus.register(Producer(failing(ValueError("one"))))
        nexus.register(Producer(failing(KeyError("two"))))
        nexus.register(Producer(close=failing(OSError("three"))))
        with pytest.raises(ExceptionGroup) as raised:
            await nexus.loop_forever()
        assert [type(error) for error in raised.value.exceptions] == [ValueError, KeyError, OSError]

    run(main())


@pytest.mark.parametrize("error", [ValueError("of a handler"), NoMoreEvents("of a handler")])
@pytest.mark.parametrize("pull", [True, False])
def test_what_a_handler_raises_for_a_sources_event_stops_the_nexus(pull: bool, error: Exception) -> None:
    """L4: the source ingested it, so its task fails; a handler's `NoMoreEvents` exhausts nobody."""

    async def main() -> None:
        nexus = nexus_with(failing(error))
        nexus.register(Converter(1) if pull else Producer(lambda producer: producer.distribute_event(EVENT)))
        with pytest.raises(type(error), match="of a handler"):
            await nexus.loop_forever()

    run(main())


def test_what_a_further_task_raises_stops_the_nexus() -> None:
    """L4: `spawn` gives supervised tasks."""

    async def main() -> None:
        async def start(producer: Producer) -> None:
            task = producer.spawn(failing(ValueError("in a task"))())
            assert isinstance(task, asyncio.Task)
            await forever()

        nexus = nexus_with()
        nexus.register(Producer(start))
        with pytest.raises(ValueError, match="in a task"):
            await nexus.loop_forever()

    run(main())


def test_a_task_that_its_producer_cancelled_is_no_failure() -> None:
    """L4: it has ended, and the others go on."""

    async def main() -> None:
        async def start(producer: Producer) -> None:
            producer.spawn(forever()).cancel()
            await asyncio.sleep(5)

        nexus = nexus_with()
        nexus.register(Producer(start))
        await nexus.run_until_complete()
        assert asyncio.get_running_loop().time() == 5

    run(main())


def test_sources_start_side_by_side() -> None:
    """L4: a `start` that takes long holds no other source up."""

    async def main() -> None:
        started = list[float]()

        async def start(_: object) -> None:
            started.append(asyncio.get_running_loop().time())
            await asyncio.sleep(10)

        nexus = nexus_with()
        for _ in range(3):
            nexus.register(Producer(start))
        await nexus.run_until_complete()
        assert started == [0, 0, 0]

    run(main())


def test_spawn_needs_a_nexus_that_runs() -> None:
    """L4: `BadCall` before the start and after the end, and the coroutine is not left behind."""

    async def main() -> None:
        nexus = nexus_with()
        producer = Producer()
        nexus.register(producer)
        with pytest.raises(BadCall, match="only while its nexus runs"):
            producer.spawn(forever())
        task = nexus.start()
        await asyncio.sleep(1)
        nexus.stop()
        await task
        with pytest.raises(BadCall, match="only while its nexus runs"):
            producer.spawn(forever())

    run(main())


def test_spawn_is_refused_once_the_producers_tasks_have_been_ended() -> None:
    """L4: a task made later, while the nexus still handles what is in line, would be nobody's."""

    async def main() -> None:
        nexus = nexus_with(slow)
        producer = Producer(forever)
        nexus.register(producer)
        task = nexus.start()
        ingest = asyncio.create_task(nexus.emit(99, 10))
        await asyncio.sleep(1)
        nexus.stop()
        await asyncio.sleep(1)
        assert nexus.state is State.LOOPING
        with pytest.raises(BadCall, match="only while its nexus runs it"):
            producer.spawn(forever())
        await task
        await ingest

    run(main())


def test_tasks_made_by_tasks_that_are_cancelled_end_too() -> None:
    """L4: nothing of a producer is left when the loop has ended."""

    async def main() -> None:
        tasks = list[asyncio.Task[Any]]()

        async def start(producer: Producer) -> None:
            try:
                await forever()
            finally:
                tasks.append(producer.spawn(forever()))

        nexus = nexus_with()
        nexus.register(Producer(start))
        task = nexus.start()
        await asyncio.sleep(1)
        nexus.stop()
        await task
        assert tasks[0].cancelled()

    run(main())


def test_a_close_that_awaits_the_task_it_cancelled_has_closed() -> None:
    """L3, L4: the cancellation that comes out of `close` is not the nexus's own."""

    async def main() -> None:
        class Careless(EventProducer):
            task: asyncio.Task[object]

            async def start(self) -> None:
                self.task = self.spawn(forever())

            async def close(self) -> None:
                self.task.cancel()
                await self.task

        nexus = nexus_with(slow)
        nexus.register(Careless())
        task = nexus.start()
        ingest = asyncio.create_task(nexus.emit(99, 10))
        await asyncio.sleep(1)
        nexus.stop()
        await task
        assert ingest.done()
        assert asyncio.get_running_loop().time() == 10

    run(main())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_source_whose_event_ends_the_program(error: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    """T3, L4: it comes out of the event loop as itself; the other sources are closed, nothing is left."""
    other = Producer(forever)

    def handle(event: Event) -> None:
        raise error

    async def main() -> None:
        nexus = nexus_with(handle)
        nexus.register(other)
        nexus.register(Converter(1))
        await nexus.loop_forever()

    with pytest.raises(error):
        run(main())
    assert other.closed == 1
    gc.collect()
    assert "a source failed while the nexus was cancelled" in caplog.text


# L5


def test_with_cleans_up_after_a_blocking_loop() -> None:
    """L5: sources are closed once, handlers and filters are forgotten, the catalog stays."""
    producer = Producer()
    with AsyncEventNexus() as nexus:
        nexus.declare(99, int)
        nexus.add_handler(99, lambda e: None)
        nexus.add_producer(producer)
        nexus.run_until_complete()
    assert (producer.closed, nexus.state) == (1, State.STOPPED)
    assert 99 in nexus.catalog


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_with_cleans_up_on_every_way_out(error: type[BaseException] | None) -> None:
    """L5: also without a start, after an exception, and where `close` is a coroutine function."""
    closed = list[str]()

    class Async(EventProducer):
        async def close(self) -> None:
            await asyncio.sleep(0)
            closed.append("async")

    producer = Producer()
    nexus = AsyncEventNexus()
    with nullcontext() if error is None else pytest.raises(error), nexus:
        nexus.add_producer(Async())
        nexus.add_producer(producer)
        if error is not None:
            raise error
    assert (closed, producer.closed, nexus.state) == (["async"], 1, State.STOPPED)


async def test_handlers_and_filters_are_forgotten() -> None:
    """L5: `cleanup` lets go of them."""

    class Handler:
        def __call__(self, event: Event) -> None: ...

    class Filter:
        def __call__(self, event: Event) -> bool:
            return False

    handler, consumed = Handler(), Filter()
    references: list[weakref.ref[Any]] = [weakref.ref(handler), weakref.ref(consumed)]
    with AsyncEventNexus() as nexus:
        nexus.add_handler(1, handler)
        nexus.add_filter(consumed)
        del handler, consumed
    gc.collect()
    assert all(reference() is None for reference in references)


def test_closing_is_tried_for_each_and_failures_are_raised_together() -> None:
    """L5: in a `with` block without a loop, whether `close` is plain or not."""
    good = Producer()
    with pytest.raises(ExceptionGroup) as raised, AsyncEventNexus() as nexus:  # noqa: PT012 # the exit is tested
        for close in (lambda _: 1 // 0, failing(ValueError()), lambda _: None):
            nexus.add_producer(Producer(close=close))
        nexus.add_producer(good)
    assert sorted(type(error).__name__ for error in raised.value.exceptions) == ["ValueError", "ZeroDivisionError"]
    assert good.closed == 1


def test_what_closing_raises_has_no_context() -> None:
    """L5: nothing of how `cleanup` found out that no loop runs is told along with it."""
    with pytest.raises(ValueError, match="own") as raised, AsyncEventNexus() as nexus:
        nexus.add_producer(Producer(close=failing(ValueError("own"))))
    assert raised.value.__context__ is None


def test_cleanup_in_a_running_loop_closes_later(caplog: pytest.LogCaptureFixture) -> None:
    """L5: a plain `with` cannot wait there; what an asynchronous `close` raises is logged."""

    async def main() -> None:
        producer = Producer(close=failing(ValueError("late")))
        with AsyncEventNexus() as nexus:
            nexus.add_producer(producer)
        await asyncio.sleep(1)
        assert producer.closed == 1

    run(main())
    assert "ValueError: late" in caplog.text


@pytest.mark.parametrize("begun", [False, True])
def test_with_cancels_a_loop_that_runs(begun: bool) -> None:
    """L5, L3: the loop task ends cancelled, sources are closed, ingests are cut off."""

    async def main() -> None:
        producer = Producer(forever)
        with nexus_with(slow) as nexus:
            nexus.add_producer(producer)
            task = nexus.start()
            ingest = asyncio.create_task(nexus.emit(99, 100))
            if begun:
                await asyncio.sleep(1)
        assert nexus.state is State.STOPPED
        with pytest.raises(LoopStopped):
            await ingest
        await asyncio.wait([task])
        await asyncio.sleep(0.1)
        assert (task.cancelled(), producer.closed) == (True, 1)
        assert asyncio.get_running_loop().time() < 2
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_async_with_stops_gracefully() -> None:
    """L5: what is in line is handled before the block is left; then the nexus is cleaned up."""

    async def main() -> None:
        seen = list[object]()
        nexus = AsyncEventNexus()

        @nexus.default
        async def handle(event: Event) -> None:
            await slow(event)
            seen.append(event.payload)

        async with nexus as entered:
            assert entered is nexus
            nexus.start()
            ingests = [asyncio.create_task(nexus.emit(99, n)) for n in (1, 2)]
            await asyncio.sleep(0)
        assert (seen, nexus.state) == ([1, 2], State.STOPPED)
        await asyncio.gather(*ingests)

    run(main())


def test_async_with_raises_what_nobody_has_heard() -> None:
    """L4, L5: a source's failure comes out of the block, unless the loop task has raised it already."""

    async def main() -> None:
        with pytest.raises(ValueError, match="unheard"):  # noqa: PT012 # the exit is tested
            async with AsyncEventNexus() as nexus:
                nexus.register(Producer(failing(ValueError("unheard"))))
                nexus.start()
                await asyncio.sleep(1)
        async with AsyncEventNexus() as nexus:
            nexus.register(Producer(failing(ValueError("heard"))))
            with pytest.raises(ValueError, match="heard"):
                await nexus.start()

    run(main())


def test_async_with_never_started() -> None:
    """L5: sources are closed, and what that raises is raised."""

    async def main() -> None:
        good = Producer()
        with pytest.raises(ValueError, match="no"):  # noqa: PT012 # the exit is tested
            async with AsyncEventNexus() as nexus:
                nexus.register(Producer(close=failing(ValueError("no"))))
                nexus.register(good)
        assert (good.closed, nexus.state) == (1, State.STOPPED)

    run(main())


def test_async_with_raises_what_a_late_source_raises() -> None:
    """L5: one that was added while the nexus was stopping fails to close, though the loop ended well."""

    async def main() -> None:
        with pytest.raises(ValueError, match="late"):  # noqa: PT012 # the exit is tested
            async with AsyncEventNexus() as nexus:
                task = nexus.start()
                await asyncio.sleep(1)
                nexus.stop()
                nexus.register(Producer(close=failing(ValueError("late"))))
                await task

    run(main())


def test_async_with_that_is_cancelled_cuts_off() -> None:
    """L5, L3: whoever cancels the block's exit does not wait for handlers."""

    async def main() -> None:
        nexus = nexus_with(slow)
        ingests = list[asyncio.Task[None]]()

        async def block() -> None:
            async with nexus:
                nexus.start()
                ingests.append(asyncio.create_task(nexus.emit(99, 100)))
                await asyncio.sleep(0)

        task = asyncio.create_task(block())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        with pytest.raises(LoopStopped):
            await ingests[0]
        assert asyncio.get_running_loop().time() == 1

    run(main())


async def test_entering_twice() -> None:
    """L5: only a nexus in READY may be entered."""
    with AsyncEventNexus() as nexus:
        nexus.start()
        with pytest.raises(BadCall, match="entered before it is started"), nexus:
            pass
    with pytest.raises(BadCall, match="STOPPED"):
        async with nexus:
            pass


def test_cleanup_after_the_event_loop_is_gone() -> None:
    """L5: a loop task of a loop that runs no more is not waited for, and sources are closed."""
    producer = Producer(forever)
    loop = asyncio.new_event_loop()
    with AsyncEventNexus() as nexus:
        nexus.add_producer(producer)

        async def main() -> asyncio.Task[None]:
            return nexus.start()

        task = loop.run_until_complete(main())
    assert (producer.closed, nexus.state) == (1, State.STOPPED)
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()


def test_cleanup_after_the_event_loop_was_closed(caplog: pytest.LogCaptureFixture) -> None:
    """L5: a loop task that waits, and can never be woken again, does not keep sources from being closed."""

    def closed_and_state() -> tuple[int, State]:
        producer = Producer(forever)
        loop = asyncio.new_event_loop()
        with AsyncEventNexus() as nexus:
            nexus.add_producer(producer)

            async def main() -> None:
                nexus.start()
                await asyncio.sleep(0)
                await asyncio.sleep(0)

            loop.run_until_complete(main())
            assert nexus.state is State.LOOPING
            loop.close()
        return producer.closed, nexus.state

    assert closed_and_state() == (1, State.STOPPED)
    # When they are collected, asyncio logs the tasks that the loop left: here, and not into the log of another test.
    gc.collect()
    assert {record.name for record in caplog.records} == {"asyncio"}


# Ends that leave no time (L3, L5)


def leave(nexus: AsyncEventNexus, how: str, task: "asyncio.Task[None]") -> None:
    """Have a nexus end without waiting for it."""
    match how:
        case "cleanup":
            nexus.cleanup()
        case "cancel":
            task.cancel()
        case "stop":
            nexus.stop()
        case "cut off":
            nexus.stop(grace=0)


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("how", ["cleanup", "cancel", "stop", "cut off", "nothing"])
def test_sources_are_closed_though_the_program_ends_at_once(how: str, steps: int) -> None:
    """L3, L5: also where `asyncio.run` cancels all tasks that are left, whatever they are at."""
    plain, slow_one = Producer(forever), Producer(close=lambda _: asyncio.sleep(0))

    async def main() -> None:
        nexus = nexus_with()
        nexus.register(plain)
        nexus.register(slow_one)
        task = nexus.start()
        if how != "nothing":
            await asyncio.sleep(0.01)
        leave(nexus, how, task)
        for _ in range(steps):
            await asyncio.sleep(0)

    asyncio.run(main())
    assert (plain.closed, slow_one.closed) == (1, 1)


def test_a_source_is_closed_that_was_added_while_the_nexus_stopped() -> None:
    """L1, L3: registering works before STOPPED; what is not started any more is still closed."""
    late = Producer(forever)

    async def main() -> None:
        nexus = AsyncEventNexus()

        @nexus.default
        async def handle(event: Event) -> None:
            await asyncio.sleep(1)
            nexus.add_producer(late)

        task = nexus.start()
        ingest = asyncio.create_task(nexus.ingest(EVENT))
        await asyncio.sleep(0.5)
        nexus.stop()
        await asyncio.gather(task, ingest)

    run(main())
    assert late.closed == 1


class Odd(BaseException):
    """No `Exception`."""


@pytest.mark.parametrize("how", ["cleanup", "stop"])
def test_whatever_a_close_raises_the_others_are_closed(how: str) -> None:
    """L5: each close is tried; what is no `Exception` is raised when all have been."""

    def fail(_: object) -> None:
        raise Odd

    first, second = Producer(close=fail), Producer()

    async def main() -> None:
        nexus = nexus_with()
        nexus.register(first)
        nexus.register(second)
        if how == "cleanup":
            nexus.cleanup()
        else:
            task = nexus.start()
            await asyncio.sleep(1)
            nexus.stop()
            await task

    with pytest.raises(Odd):
        run(main())
    assert (first.closed, second.closed) == (1, 1)


def test_another_thread_may_stop_a_nexus() -> None:
    """L3: it is done in the thread of the loop."""
    nexus = nexus_with()
    started = threading.Event()

    async def start(_: object) -> None:
        started.set()

    nexus.register(Producer(start))
    thread = threading.Thread(target=nexus.loop_forever)
    thread.start()
    started.wait(10)
    nexus.stop()
    thread.join(10)
    assert (thread.is_alive(), nexus.state) == (False, State.STOPPED)


# Sources that end, or do not, in odd ways (L4)


class Busy(SimpleEventConverter):
    """Always has an event, at once."""

    async def obtain_event(self) -> Event:
        return EVENT


def test_a_converter_that_never_waits_lets_others_run() -> None:
    """L4: other sources go on beside it, and the nexus can be stopped."""

    async def main() -> None:
        nexus = nexus_with()
        nexus.register(Busy())

        async def stop(_: object) -> None:
            await asyncio.sleep(0)
            nexus.stop()

        nexus.register(Producer(stop))
        await nexus.loop_forever()

    run(main())


async def await_what_is_cancelled(_: object) -> None:
    """Wait for a task that somebody cancels."""
    task = asyncio.create_task(asyncio.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    await task


@pytest.mark.parametrize("where", ["converter", "producer", "spawned"])
def test_a_cancellation_that_was_not_meant_for_a_source_is_told(where: str) -> None:
    """L4: a source that it ended has not ended well: that stops the loop and is raised, with where it came from."""

    async def spawn(producer: Producer) -> None:
        producer.spawn(await_what_is_cancelled(None))

    async def main() -> None:
        nexus = nexus_with(await_what_is_cancelled)
        nexus.register(
            {"converter": Busy(), "producer": Producer(await_what_is_cancelled), "spawned": Producer(spawn)}[where]
        )
        with pytest.raises(AsyncNexusError, match="ended by a cancellation that nobody had asked of it") as caught:
            await nexus.loop_forever()
        assert isinstance(caught.value.__cause__, asyncio.CancelledError)
        assert nexus.state is State.STOPPED

    run(main())
