"""Streams of events, waiting for one, and waiting in vain: W1, W2, Z1."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from contextvars import Context
from typing import Any

import pytest
from pydantic import BaseModel

from async_nexus import (
    AsyncEventNexus,
    BadCall,
    Deadlock,
    Event,
    EventConverter,
    EventProducer,
    EventQueue,
    LoopStopped,
    NamedEvent,
    UnhandledEvent,
    deadlocks,
)
from async_nexus.failures import FailedEvent
from async_nexus.plan import CallNext
from async_nexus.testing import run


class Teapot(BaseModel):
    """A payload."""

    temp: int


class TeapotEvent(NamedEvent[Teapot], type=99):
    """A named event."""


class Treacle(NamedEvent[str], type="treacle"):
    """Another one."""


def event(id: int, key: int | str = 1, payload: Any = None) -> Event[Any]:
    """Make an event."""
    return Event(id, key, 0, payload)


async def lookup(event: Event) -> bool:
    """Tell nothing of an event before it is awaited."""
    return False


def quiet_nexus(**options: Any) -> AsyncEventNexus:
    """Make a nexus that takes every event."""
    nexus: AsyncEventNexus = AsyncEventNexus(**options)
    nexus.add_handler(-1, lambda event: None)
    return nexus


def is_watched(nexus: AsyncEventNexus) -> bool:
    """Whether anything is noted of events."""
    return bool(nexus._dispatch._plan.watches)  # pyright: ignore[reportPrivateUsage] # what it costs is not to be seen otherwise


# Streams


def test_a_stream_gives_events_of_a_class_as_handlers_get_them() -> None:
    """W1: validated, instances of the class; the handler gets them too."""

    async def main() -> None:
        handled = list[Event]()
        async with AsyncEventNexus() as nexus:
            nexus.on(TeapotEvent)(handled.append)
            nexus.add_handler(1, lambda event: None)
            nexus.start()
            async with nexus.stream(TeapotEvent) as events:
                await nexus.emit(1, None)
                await nexus.emit(99, {"temp": 80})
                first = await anext(events)
            assert type(first) is TeapotEvent
            assert first.payload == Teapot(temp=80)
            assert handled == [first]

    run(main())


@pytest.mark.parametrize(
    "named, ids",
    [
        ((), [1, 2, 3, 4]),
        ((99,), [1]),
        (("treacle", 5), [2, 3]),
        (((5, 7),), [3, 4]),
        ((range(6, 8),), [4]),
        (("5",), []),
        ((TeapotEvent, Treacle), [1, 2]),
    ],
)
def test_which_events_a_stream_gives(named: tuple[Any, ...], ids: list[int]) -> None:
    """W1: those of keys, of ranges, of classes; all where nothing is named."""

    async def main() -> list[int]:
        async with quiet_nexus() as nexus:
            nexus.declare(TeapotEvent, Treacle)
            nexus.start()
            async with nexus.stream(*named) as events:
                for each in (event(1, 99, {"temp": 1}), event(2, "treacle", "x"), event(3, 5), event(4, 7)):
                    await nexus.ingest(each)
                nexus.stop()
                return [each.id async for each in events]

    assert run(main()) == ids


def test_a_stream_of_a_class_gives_instances_of_its_subclasses() -> None:
    """W1: whatever their key."""

    class Samovar(TeapotEvent, type=100): ...

    async def main() -> list[int]:
        async with quiet_nexus() as nexus:
            nexus.declare(TeapotEvent, Samovar)
            nexus.start()
            async with nexus.stream(TeapotEvent) as events:
                await nexus.ingest(Samovar(id=1, payload=Teapot(temp=1)))
                await nexus.ingest(event(2, 100, {"temp": 1}))
                nexus.stop()
                return [each.id async for each in events]

    assert run(main()) == [1, 2]


def test_a_class_that_nobody_declared_makes_no_instances() -> None:
    """W1: a stream of a class never gives what is none of it."""

    async def main() -> list[int]:
        async with quiet_nexus() as nexus:
            nexus.start()
            async with nexus.stream(TeapotEvent) as events:
                await nexus.ingest(event(1, 99, {"temp": 1}))
                await nexus.ingest(TeapotEvent(id=2, payload=Teapot(temp=1)))
                nexus.stop()
                return [each.id async for each in events]

    assert run(main()) == [2]


@pytest.mark.parametrize("named", [True, 1.5, int, NamedEvent, (2, 1)])
def test_what_names_no_events_is_refused(named: Any) -> None:
    """W1: where the stream is made."""
    with pytest.raises((TypeError, ValueError)):
        AsyncEventNexus().stream(named)


def test_a_stream_sees_secondary_events_and_unhandled_ones_but_not_what_a_filter_consumed() -> None:
    """W1, D2: whatever filters let pass, whether anything handles it or not."""

    async def main() -> list[int]:
        async with AsyncEventNexus() as nexus:
            nexus.add_filter(lambda event: event.type == "consumed")
            nexus.add_handler(1, lambda event, queue: queue.put_nowait(Event(2, 2, 0, None)))
            nexus.start()
            async with nexus.stream() as events:
                with pytest.raises(UnhandledEvent):
                    await nexus.ingest(event(1))
                await nexus.ingest(event(3, "consumed"))
                nexus.stop()
                return [each.id async for each in events]

    assert run(main()) == [1, 2]


def test_a_full_stream_drops_the_oldest() -> None:
    """W1: and counts it."""

    async def main() -> None:
        async with quiet_nexus() as nexus:
            nexus.start()
            async with nexus.stream(maxsize=2) as events:
                for number in range(5):
                    await nexus.ingest(event(number))
                assert events.dropped == 3
                assert [(await anext(events)).id, (await anext(events)).id] == [3, 4]

    run(main())


def test_a_stream_ends_with_the_nexus_or_its_block() -> None:
    """W1: what it holds is given first when the nexus stops; after its block there is nothing."""

    async def main() -> None:
        async with quiet_nexus() as nexus:
            nexus.start()
            async with nexus.stream() as left:
                await nexus.ingest(event(1))
            assert [each async for each in left] == []
            assert not is_watched(nexus)
            async with nexus.stream() as events:
                await nexus.ingest(event(2))
                nexus.stop()
                assert [each.id async for each in events] == [2]
            await asyncio.sleep(1)
            with pytest.raises(LoopStopped):
                async with nexus.stream():
                    pass

    run(main())


@pytest.mark.parametrize("is_over", [False, True])
def test_a_stream_is_not_iterated_without_its_block(is_over: bool) -> None:
    """W1: without `async with` nothing would ever come, be the nexus running or not."""

    async def main() -> None:
        async with quiet_nexus() as nexus:
            nexus.start()
            events = nexus.stream()
            if is_over:
                nexus.stop()
            with pytest.raises(BadCall, match="async with"):
                await anext(events)

    run(main())


def test_an_attempt_more_is_no_event_more() -> None:
    """W1, M3: a stream gives an event once, however often it is tried."""

    async def main() -> list[int]:
        async with AsyncEventNexus() as nexus:
            answers = iter([ValueError(), None])

            async def again(event: Event, call_next: CallNext) -> None:
                try:
                    await call_next(event)
                except ValueError:
                    await call_next(event)

            nexus.middleware(again)

            @nexus.on(1)
            def handle(event: Event) -> None:
                if (error := next(answers)) is not None:
                    raise error

            nexus.start()
            async with nexus.stream() as events:
                await nexus.ingest(event(1))
                nexus.stop()
                return [each.id async for each in events]

    assert run(main()) == [1]


def test_an_event_that_filters_let_pass_at_a_later_attempt_is_not_missed() -> None:
    """W1, M3: it does not matter what became of the first one."""

    async def main() -> list[int]:
        async with AsyncEventNexus() as nexus:
            answers = iter([ValueError(), None])

            async def again(event: Event, call_next: CallNext) -> None:
                try:
                    await call_next(event)
                except ValueError:
                    await call_next(event)

            nexus.middleware(again)

            @nexus.filter
            def look(event: Event) -> bool:
                if (error := next(answers)) is not None:
                    raise error
                return False

            nexus.add_handler(1, lambda event: None)
            nexus.start()
            async with nexus.stream() as events:
                await nexus.ingest(event(1))
                nexus.stop()
                return [each.id async for each in events]

    assert run(main()) == [1]


@pytest.mark.parametrize("maxsize", [0, True])
def test_a_stream_holds_at_least_one_event(maxsize: int) -> None:
    """W1: a bound that is none is refused."""
    with pytest.raises(ValueError, match="at least one"):
        AsyncEventNexus().stream(maxsize=maxsize)


# Expectations


def test_expect_gives_the_next_event_and_costs_nothing_afterwards() -> None:
    """W2: the waiting begins when it is called: an event that comes before the `await` is not missed."""

    async def main() -> None:
        async with quiet_nexus() as nexus:
            nexus.start()
            expected = nexus.expect(1, where=lambda event: event.id > 1)
            assert is_watched(nexus)
            for number in (1, 2, 3):
                await nexus.emit(1, None, id=number)
            assert not is_watched(nexus)
            assert (await expected).id == 2
            assert (await expected).id == 2

    run(main())


def test_an_event_that_waits_in_line_already_is_not_missed() -> None:
    """W2: its lane was looked up before anybody watched, its turn comes after."""

    async def main() -> None:
        async with AsyncEventNexus() as nexus:

            @nexus.on(1)
            async def handle(event: Event[int]) -> None:
                await asyncio.sleep(event.payload)

            nexus.start()
            await nexus.emit(1, 0)
            emits = [asyncio.create_task(nexus.emit(1, seconds)) for seconds in (5, 1)]
            await asyncio.sleep(1)
            expected = nexus.expect(1, timeout=10)
            assert (await expected).payload == 1
            await asyncio.gather(*emits)

    run(main())


def test_expect_ends_after_its_timeout() -> None:
    """W2: counted from the call."""

    async def main() -> None:
        async with quiet_nexus() as nexus:
            nexus.start()
            loop = asyncio.get_running_loop()
            expected = nexus.expect(TeapotEvent, timeout=5)
            await asyncio.sleep(3)
            with pytest.raises(TimeoutError, match=r"no TeapotEvent came within 5 s"):
                await expected
            assert loop.time() == 5
            assert not is_watched(nexus)

    run(main())


def test_expect_ends_with_the_nexus() -> None:
    """W2: with `LoopStopped`, also where it is called after the end."""

    async def main() -> None:
        async with quiet_nexus() as nexus:
            nexus.start()
            expected = nexus.expect(1)
            nexus.stop()
            with pytest.raises(LoopStopped, match="before event type 1 came"):
                await expected
            with pytest.raises(LoopStopped):
                nexus.expect(1)

    run(main())


def test_what_where_raises_reaches_whoever_expects() -> None:
    """W2: and not whoever ingests."""

    async def main() -> None:
        async with quiet_nexus() as nexus:
            nexus.start()
            expected = nexus.expect(where=lambda event: 1 // event.payload > 0)
            await nexus.emit(1, 0)
            with pytest.raises(ZeroDivisionError):
                await expected

    run(main())


def test_an_expectation_that_nobody_can_await_any_more_watches_no_more() -> None:
    """W2: forgotten or cancelled, it costs nothing."""

    async def main() -> None:
        async with quiet_nexus() as nexus:
            nexus.start()
            nexus.expect(1)
            gc.collect()
            await asyncio.sleep(0)
            assert not is_watched(nexus)
            waiting = asyncio.ensure_future(nexus.expect(1))
            await asyncio.sleep(1)
            waiting.cancel()
            await asyncio.wait((waiting,))
            del waiting  # the error that it ended with knows where that was raised
            await asyncio.sleep(0)
            assert not is_watched(nexus)

    run(main())


@pytest.mark.parametrize("where", [lookup, "payload"])
def test_where_is_a_plain_function(where: Any) -> None:
    """W2: what an `async` one returns would be true of every event."""

    async def main() -> None:
        async with quiet_nexus() as nexus:
            with pytest.raises(TypeError, match="`where` is a plain function of the event"):
                nexus.expect(where=where)

    run(main())


def test_a_time_limit_is_a_number() -> None:
    """W2: one that never passes, and never has, is refused."""

    async def main() -> None:
        async with quiet_nexus() as nexus:
            with pytest.raises(ValueError, match="`timeout` is a number of seconds"):
                nexus.expect(timeout=float("nan"))

    run(main())


def test_what_was_awaited_in_vain_can_be_awaited_again() -> None:
    """W2: a task that waits no longer takes nothing from itself, should it come back."""

    async def main() -> None:
        seen = list[int]()
        async with quiet_nexus(concurrency=2) as nexus:

            @nexus.on(1)
            async def handle(event: Event) -> None:
                expected = nexus.expect(2)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(expected, 1)
                seen.append((await expected).id)

            nexus.start()
            waiting = asyncio.create_task(nexus.ingest(event(1)))
            await asyncio.sleep(2)
            await nexus.ingest(event(2, 2))
            await waiting
        assert seen == [2]

    run(main())


def test_of_two_that_await_one_expectation_one_may_be_cancelled() -> None:
    """W2: the other goes on waiting."""

    async def main() -> None:
        async with quiet_nexus() as nexus:
            nexus.start()
            expected = nexus.expect(1)

            async def wait() -> int:
                return (await expected).id

            cancelled, other = asyncio.create_task(wait()), asyncio.create_task(wait())
            await asyncio.sleep(1)
            cancelled.cancel()
            await nexus.ingest(event(5))
            assert await other == 5
            assert cancelled.cancelled()

    run(main())


# Deadlocks


def test_a_handler_that_expects_what_comes_after_it_is_told_so() -> None:
    """Z1: its own secondary event, which is handled when it has returned."""

    async def main() -> None:
        async with quiet_nexus() as nexus:

            @nexus.on(1)
            async def brew(event: Event, queue: EventQueue) -> None:
                queue.put_nowait(Event(2, 2, 0, None))
                await nexus.expect(2)

            nexus.start()
            with pytest.raises(Deadlock, match=r"brew with event 1 of type 1 > expects event type 2"):
                await nexus.ingest(event(1))
            await nexus.ingest(event(3, 3))

    run(main())


def test_the_path_names_each_handler() -> None:
    """Z1: from the outermost turn, in secondary events too."""

    async def main() -> None:
        async with quiet_nexus() as nexus:

            @nexus.on(1)
            async def first(event: Event, queue: EventQueue) -> None:
                queue.put_nowait(Event(2, 2, 0, None))

            @nexus.on(2)
            async def second(event: Event) -> None:
                await nexus.ingest(Event(3, 3, 0, None))

            @nexus.on(3)
            async def third(event: Event) -> None:
                await nexus.expect(TeapotEvent)

            nexus.start()
            path = r"second with event 2 of type 2 > .*third with event 3 of type 3 > expects TeapotEvent"
            with pytest.raises(Deadlock, match=path):
                await nexus.ingest(event(1))

    run(main())


def test_a_handler_may_expect_what_it_ingests_itself() -> None:
    """Z1, W2: the event is there when it is awaited."""

    async def main() -> None:
        seen = list[int]()
        async with quiet_nexus() as nexus:

            @nexus.on(1)
            async def handle(event: Event) -> None:
                expected = nexus.expect(2)
                await nexus.ingest(Event(2, 2, 0, None))
                seen.append((await expected).id)

            nexus.start()
            await nexus.ingest(event(1))
        assert seen == [2]

    run(main())


@pytest.mark.parametrize("begins_first", [True, False])
def test_a_handler_may_expect_what_a_task_of_its_own_ingests(begins_first: bool) -> None:
    """Z1, T4: such an ingest is nested in its turn and needs no room."""

    async def main() -> None:
        seen = list[int]()
        async with quiet_nexus() as nexus:

            async def bring() -> None:
                if not begins_first:
                    await asyncio.sleep(1)
                await nexus.ingest(Event(2, 2, 0, None))

            @nexus.on(2)
            async def slow(event: Event) -> None:
                await asyncio.sleep(1)
                await nexus.ingest(Event(3, 3, 0, None))

            @nexus.on(1)
            async def handle(event: Event) -> None:
                task = asyncio.create_task(bring())
                if begins_first:
                    await asyncio.sleep(0)
                seen.append((await nexus.expect(3)).id)
                await task

            nexus.start()
            await nexus.ingest(event(1))
        assert seen == [3]

    run(main())


def test_who_waits_in_vain_is_told_when_its_own_tasks_have_ended() -> None:
    """Z1: tasks that were born elsewhere, and those that are over, could not bring the event."""

    async def main() -> None:
        async with quiet_nexus() as nexus:

            @nexus.on(1)
            async def handle(event: Event) -> None:
                await asyncio.create_task(asyncio.sleep(1))
                await nexus.expect(2)

            nexus.start()
            elsewhere = asyncio.create_task(asyncio.sleep(9))
            with pytest.raises(Deadlock):
                await nexus.ingest(event(1))
            await elsewhere

    run(main())


def test_a_task_that_does_not_tell_where_it_was_born_may_bring_the_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Z1: where it cannot be known whether the wait would end, nothing is raised."""

    def untold(_: asyncio.Task[Any]) -> list[Context]:
        return []

    monkeypatch.setattr(deadlocks, "_contexts_of", untold)

    async def main() -> None:
        async with quiet_nexus() as nexus:

            @nexus.on(1)
            async def handle(event: Event) -> None:
                async with asyncio.timeout(5):
                    await nexus.expect(2)

            nexus.start()
            elsewhere = asyncio.create_task(asyncio.sleep(9))
            with pytest.raises(TimeoutError):
                await nexus.ingest(event(1))
            await elsewhere

    run(main())


def test_with_room_for_another_turn_it_waits() -> None:
    """Z1, K1: another turn brings the event."""

    async def main() -> None:
        seen = list[int]()
        async with quiet_nexus(concurrency=2) as nexus:

            @nexus.on(1)
            async def handle(event: Event) -> None:
                seen.append((await nexus.expect(2)).id)

            nexus.start()
            waiting = asyncio.create_task(nexus.ingest(event(1)))
            await asyncio.sleep(1)
            await nexus.ingest(event(2, 2))
            await waiting
        assert seen == [2]

    run(main())


def test_the_turn_that_takes_the_last_room_to_wait_is_told() -> None:
    """Z1, K1: all room is taken by turns that wait likewise; the error names them, the others go on."""

    async def main() -> None:
        async with quiet_nexus(concurrency=2) as nexus:

            @nexus.on(1)
            async def handle(event: Event) -> None:
                await nexus.expect(2)

            nexus.start()
            waiting = asyncio.create_task(nexus.ingest(event(1)))
            await asyncio.sleep(1)
            with pytest.raises(Deadlock, match=r"event 1 of type 1 > expects event type 2; .*event 9 of type 1"):
                await nexus.ingest(event(9))
            await nexus.ingest(event(2, 2))
            await waiting

    run(main())


def test_the_handler_of_another_nexus_may_wait() -> None:
    """Z1: only turns of the nexus that is asked count."""

    async def main() -> None:
        seen = list[int]()
        async with quiet_nexus() as inner, quiet_nexus() as outer:

            @outer.on(1)
            async def handle(event: Event) -> None:
                seen.append((await inner.expect(2)).id)

            inner.start()
            outer.start()
            waiting = asyncio.create_task(outer.ingest(event(1)))
            await asyncio.sleep(1)
            await inner.ingest(event(2, 2))
            await waiting
        assert seen == [2]

    run(main())


@pytest.mark.parametrize("in_a_turn_of_its_own", [True, False])
def test_a_task_of_a_handler_may_wait_while_the_handler_goes_on(in_a_turn_of_its_own: bool) -> None:
    """Z1, T4: the handler itself can still bring what its task, or what that ingests, expects."""

    async def main() -> None:
        seen = list[int]()
        async with quiet_nexus() as nexus:

            async def wait() -> None:
                seen.append((await nexus.expect(2)).id)

            @nexus.on(3)
            async def nested(event: Event) -> None:
                await wait()

            @nexus.on(1)
            async def handle(event: Event) -> None:
                task = asyncio.create_task(nexus.ingest(Event(3, 3, 0, None)) if in_a_turn_of_its_own else wait())
                await asyncio.sleep(1)
                await nexus.ingest(Event(2, 2, 0, None))
                await task

            nexus.start()
            await nexus.ingest(event(1))
        assert seen == [2]

    run(main())


@pytest.mark.parametrize("has_waited", [True, False])
def test_a_turn_that_does_not_wait_can_bring_it(has_waited: bool) -> None:
    """Z1, K1: all room is taken, but not all of it by turns that wait; one that has waited waits no more."""

    async def main() -> None:
        seen = list[int]()
        async with quiet_nexus(concurrency=2) as nexus:

            @nexus.on(1)
            async def busy(event: Event) -> None:
                if has_waited:
                    with pytest.raises(TimeoutError):
                        await nexus.expect(3, timeout=1)
                await asyncio.sleep(10)
                await nexus.ingest(Event(2, 2, 0, None))

            @nexus.on(9)
            async def handle(event: Event) -> None:
                seen.append((await nexus.expect(2)).id)

            nexus.start()
            first = asyncio.create_task(nexus.ingest(event(1)))
            await asyncio.sleep(5)
            await nexus.ingest(event(9, 9))
            await first
        assert seen == [2]

    run(main())


def test_a_turn_waits_no_longer_than_its_time_limit() -> None:
    """Z1, W2: it does not wait for ever, though nothing can come."""

    async def main() -> None:
        async with quiet_nexus() as nexus:

            @nexus.on(1)
            async def handle(event: Event) -> None:
                with pytest.raises(TimeoutError):
                    await nexus.expect(2, timeout=1)

            nexus.start()
            await nexus.ingest(event(1))

    run(main())


def take_all_room(nexus: AsyncEventNexus, seen: list[int]) -> None:
    """Register a handler that waits for an event of key 3."""

    @nexus.on(2)
    async def wait(event: Event) -> None:
        seen.append((await nexus.expect(3)).id)


def test_a_turn_that_waits_for_some_time_only_makes_room() -> None:
    """Z1, K1: another turn may wait for what comes then."""

    async def main() -> None:
        seen = list[int]()
        async with quiet_nexus(concurrency=2) as nexus:

            @nexus.on(1)
            async def limited(event: Event) -> None:
                with pytest.raises(TimeoutError):
                    await nexus.expect(9, timeout=1)

            take_all_room(nexus, seen)
            nexus.start()
            await asyncio.gather(*(nexus.ingest(event(key, key)) for key in (1, 2, 3)))
        assert seen == [3]

    run(main())


def test_a_turn_whose_event_has_come_waits_no_more() -> None:
    """Z1, K1: though its task has not gone on yet."""

    async def main() -> None:
        seen = list[int]()
        async with quiet_nexus(concurrency=2) as nexus:

            @nexus.on(1)
            async def first(event: Event) -> None:
                await nexus.expect(4)

            @nexus.on(2)
            async def second(event: Event) -> None:
                await asyncio.sleep(1)
                await nexus.ingest(Event(4, 4, 0, None))
                seen.append((await nexus.expect(3)).id)

            nexus.start()
            await asyncio.gather(*(nexus.ingest(event(key, key)) for key in (1, 2, 3)))
        assert seen == [3]

    run(main())


def test_a_turn_that_is_being_cancelled_waits_no_more() -> None:
    """Z1, T5: though its task has not gone on yet."""

    async def main() -> None:
        seen = list[int]()
        async with quiet_nexus(concurrency=2) as nexus:

            @nexus.on(1)
            async def first(event: Event) -> None:
                await nexus.expect(4)

            @nexus.on(2)
            async def second(event: Event) -> None:
                cancelled.cancel()
                seen.append((await nexus.expect(3)).id)

            nexus.start()
            cancelled = asyncio.create_task(nexus.ingest(event(1)))
            await asyncio.sleep(1)
            await asyncio.gather(*(nexus.ingest(event(key, key)) for key in (2, 3)))
        assert seen == [3]

    run(main())


@pytest.mark.parametrize("nested", [True, False])
def test_who_waits_is_told_when_the_last_task_that_could_help_has_ended(nested: bool) -> None:
    """Z1, T4: a task of the handler, or one in a turn of its own, that has not brought the event."""

    async def main() -> None:
        async with quiet_nexus() as nexus:
            tasks = list[asyncio.Task[None]]()

            @nexus.on(3)
            async def slow(event: Event) -> None:
                await asyncio.sleep(1)

            @nexus.on(1)
            async def handle(event: Event) -> None:
                tasks.append(asyncio.create_task(nexus.ingest(Event(3, 3, 0, None)) if nested else asyncio.sleep(1)))
                await asyncio.sleep(0)
                await nexus.expect(2)

            nexus.start()
            with pytest.raises(Deadlock):
                await nexus.ingest(event(1))
            assert asyncio.get_running_loop().time() == 1

    run(main())


def test_a_filter_that_waits_in_vain_is_named() -> None:
    """Z1: as whatever else waits in a turn."""

    async def main() -> None:
        async with AsyncEventNexus() as nexus:

            @nexus.filter
            async def hold(event: Event) -> bool:
                await nexus.expect(2)
                return False

            nexus.start()
            with pytest.raises(Deadlock, match=r": \S*hold with event 1 of type 1 > expects event type 2$"):
                await nexus.ingest(event(1))

    run(main())


def test_an_error_handler_that_waits_in_vain_is_named() -> None:
    """Z1, F1: not the handler that failed."""

    async def main() -> None:
        async with AsyncEventNexus() as nexus:

            @nexus.on(1)
            def handle(event: Event) -> None:
                raise ValueError

            @nexus.on_error(ValueError)
            async def look(failed: FailedEvent) -> None:
                await nexus.expect(2)

            nexus.start()
            with pytest.raises(Deadlock, match=r": \S*look with event 1 of type 1 > expects event type 2$"):
                await nexus.ingest(event(1))

    run(main())


# When the nexus stops


def test_a_handler_that_expects_what_does_not_come_is_told_when_the_nexus_stops() -> None:
    """W2, L3: where there is room for what nobody brings, the end would wait for the handler, and it for the end."""

    async def main() -> None:
        async with quiet_nexus(concurrency=2) as nexus:

            @nexus.on(1)
            async def handle(event: Event) -> None:
                await nexus.expect(2)

            ended = nexus.start()
            waiting = asyncio.create_task(nexus.ingest(event(1)))
            await asyncio.sleep(1)
            nexus.stop()
            await asyncio.wait_for(ended, 5)
            with pytest.raises(LoopStopped, match=r"no event comes any more: .*handle with event 1"):
                await waiting

    run(main())


@pytest.mark.parametrize("brings", ["nested", "post", "keyed"])
def test_a_handler_may_expect_what_comes_while_the_nexus_stops(brings: str) -> None:
    """W2, L3, K2: from a turn that is open, a post that waits, or who waits for the key of another turn."""

    async def main() -> None:
        seen = list[int]()
        async with quiet_nexus(concurrency=3, key=lambda event: event.payload) as nexus:

            @nexus.on(1)
            async def handle(event: Event) -> None:
                seen.append((await nexus.expect("brought")).id)

            @nexus.on(2)
            async def slow(event: Event) -> None:
                await asyncio.sleep(5)
                if brings == "nested":
                    await nexus.ingest(Event(9, "brought", 0, None))

            nexus.start()
            tasks = [asyncio.create_task(nexus.ingest(event(1)))]
            if brings != "post":
                tasks.append(asyncio.create_task(nexus.ingest(event(2, 2, "key"))))
            await asyncio.sleep(1)
            if brings != "nested":
                nexus.post(event(9, "brought", "key"))
            nexus.stop()
            await asyncio.gather(*tasks)
        assert seen == [9]

    run(main())


def test_who_waits_for_a_key_is_no_hope_for_the_turn_of_that_key() -> None:
    """W2, L3, K2: what is in line behind it comes after it."""

    async def main() -> None:
        handled = list[int]()
        async with quiet_nexus(concurrency=2, key=lambda event: event.payload) as nexus:

            @nexus.on(1)
            async def handle(event: Event) -> None:
                await nexus.expect(2)

            @nexus.on(2)
            def take(event: Event) -> None:
                handled.append(event.id)

            nexus.start()
            first = asyncio.create_task(nexus.ingest(event(1, 1, "key")))
            second = asyncio.create_task(nexus.ingest(event(2, 2, "key")))
            await asyncio.sleep(1)
            nexus.stop()
            with pytest.raises(LoopStopped):
                await first
            await second
        assert handled == [2]

    run(main())


class Orders(EventConverter[Event]):
    """Obtains events, each once the one before has been handled."""

    def __init__(self, *keys: int) -> None:
        super().__init__()
        self.keys = keys

    async def event_generator(self) -> AsyncGenerator[Event, None]:
        """Give events of those keys, and then none for long."""
        for number in self.keys:
            yield event(number, number)
        await asyncio.sleep(1000)


class Letters(EventProducer[Event]):
    """Sends events of keys."""

    def __init__(self, *keys: int, takes: float = 0) -> None:
        super().__init__()
        self.keys = keys
        self.takes = takes

    async def start(self) -> None:
        """Send the events."""
        await super().start()
        for number in self.keys:
            await self.distribute_event(event(number, number))

    async def close(self) -> None:
        """Take some time."""
        await asyncio.sleep(self.takes)


@pytest.mark.parametrize("source", [Orders(1, 2), Letters(1, 2), Letters(1, 2, takes=3)])
def test_a_source_that_is_held_up_by_a_handler_is_no_hope_for_it(source: Any) -> None:
    """W2, L3: its next event comes after this one."""

    async def main() -> None:
        told = list[str]()
        async with quiet_nexus(concurrency=2) as nexus:

            @nexus.on(1)
            async def handle(event: Event) -> None:
                try:
                    await nexus.expect(2)
                except LoopStopped as error:
                    told.append(str(error))

            nexus.register(source)
            ended = nexus.start()
            await asyncio.sleep(1)
            nexus.stop()
            await asyncio.wait_for(ended, 5)
        assert len(told) == 1
        assert "no event comes any more" in told[0]

    run(main())


def test_another_source_may_bring_what_a_handler_expects_while_the_nexus_stops() -> None:
    """W2, L3: it finishes what it holds."""

    class Late(Letters):
        async def close(self) -> None:
            await asyncio.sleep(3)
            await self.distribute_event(event(2, 2))

    async def main() -> None:
        seen = list[int]()
        async with quiet_nexus(concurrency=2) as nexus:

            @nexus.on(1)
            async def handle(event: Event) -> None:
                seen.append((await nexus.expect(2)).id)

            nexus.register(Orders(1))
            nexus.register(Late())
            nexus.start()
            await asyncio.sleep(1)
        assert seen == [2]

    run(main())
