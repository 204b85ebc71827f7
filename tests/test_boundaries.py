"""The boundary: a handler in one domain that is a producer in another."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from async_nexus import (
    AsyncEventBoundary,
    AsyncEventNexus,
    BadCall,
    Event,
    EventQueue,
    InvalidPayload,
    LoopStopped,
    MisconfiguredEventProducer,
)
from async_nexus.testing import run


def domains(
    boundary: AsyncEventBoundary[Any], handler: Callable[..., Any]
) -> tuple[AsyncEventNexus[Any], AsyncEventNexus[Any]]:
    """Connect one nexus to another, whose handler is given."""
    sending, receiving = AsyncEventNexus[Any](), AsyncEventNexus[Any]()
    sending.add_handler(99, boundary)
    receiving.add_producer(boundary)
    receiving.add_handler(-1, handler)
    return sending, receiving


def test_events_cross_it() -> None:
    """S4: each is handled in a turn of the receiving domain; the sending one does not wait for that."""

    async def main() -> None:
        seen = list[object]()

        async def handle(event: Event) -> None:
            await asyncio.sleep(10)
            seen.append(event.payload)

        sending, receiving = domains(AsyncEventBoundary(), handle)
        sending.start()
        task = receiving.start()
        for number in range(3):
            await sending.emit(99, number)
        assert asyncio.get_running_loop().time() == 0
        await asyncio.sleep(100)
        assert seen == [0, 1, 2]
        await sending.emit(99, 3)
        await asyncio.sleep(100)
        assert seen == [0, 1, 2, 3]
        receiving.stop()
        await task

    run(main())


def test_it_waits_while_it_is_full() -> None:
    """S4: `handle` returns when there is room."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        sending, receiving = domains(AsyncEventBoundary(maxsize=2), lambda e: asyncio.sleep(10))
        sending.start()
        for number in range(2):
            await sending.emit(99, number)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await sending.emit(99, 2)
        over = receiving.start()
        times = list[float]()
        for number in range(4):
            await sending.emit(99, number)
            times.append(loop.time())
        # Two are held and a third one is being handled.
        assert times == [5, 15, 25, 35]
        receiving.stop()
        await over

    run(main())


@pytest.mark.parametrize("maxsize", [0, -1])
def test_it_holds_at_least_one_event(maxsize: int) -> None:
    """S4: `ValueError` for less."""
    with pytest.raises(ValueError, match=f"at least one event, not {maxsize}"):
        AsyncEventBoundary(maxsize=maxsize)


def test_the_receiving_domain_validates() -> None:
    """S4: against its own catalog; what does not fit stops that domain and is raised from it."""

    async def main() -> None:
        sending, receiving = domains(AsyncEventBoundary(), print)
        receiving.declare(99, int)
        sending.start()
        over = receiving.start()
        await sending.emit(99, "no number")
        with pytest.raises(InvalidPayload, match="event 1 of type 99"):
            await over

    run(main())


def test_it_delivers_what_it_holds_when_its_domain_stops() -> None:
    """S4, L3: before that domain has ended; from the moment of `stop` it takes nothing more."""

    async def main() -> None:
        seen = list[object]()

        async def handle(event: Event) -> None:
            await asyncio.sleep(10)
            seen.append(event.payload)

        sending, receiving = domains(AsyncEventBoundary(), handle)
        sending.start()
        over = receiving.start()
        for number in range(4):
            await sending.emit(99, number)
        await asyncio.sleep(1)
        receiving.stop()
        await asyncio.sleep(1)
        with pytest.raises(BadCall, match=r"boundary is closed: it does not take event \d of type 99"):
            await sending.emit(99, "late")
        await over
        assert seen == [0, 1, 2, 3]

    run(main())


def test_a_closed_one_turns_away_all_who_waited_for_room() -> None:
    """S4: nobody is left waiting."""

    async def main() -> None:
        boundary = AsyncEventBoundary[Event[Any]](maxsize=1)
        _, receiving = domains(boundary, lambda e: asyncio.sleep(10))
        event = Event(1, 99, 0, None)
        task = receiving.start()
        await asyncio.sleep(1)
        handled = [asyncio.create_task(boundary.handle(event, EventQueue())) for _ in range(5)]
        await asyncio.sleep(1)
        receiving.stop()
        await task
        await asyncio.wait(handled)
        assert [type(each.exception()) for each in handled] == [type(None)] * 2 + [BadCall] * 3

    run(main())


def test_closing_it_exhausts_it() -> None:
    """L4: a domain that runs until complete ends when its boundary has been closed."""

    async def main() -> None:
        seen = list[Event]()
        boundary = AsyncEventBoundary[Event[Any]]()
        sending, receiving = domains(boundary, seen.append)
        sending.start()
        over = receiving.run_until_complete()
        await sending.emit(99, 1)
        await asyncio.sleep(100)
        assert not asyncio.ensure_future(over).done()
        await boundary.close()
        await over
        assert len(seen) == 1

    run(main())


def test_failures_of_what_it_held_are_raised_together() -> None:
    """S4, L4: each of its events is tried; none is lost when the domain has failed."""

    async def main() -> None:
        seen = list[object]()

        async def handle(event: Event) -> None:
            seen.append(event.payload)
            await asyncio.sleep(1)
            raise KeyError(event.payload)

        sending, receiving = domains(AsyncEventBoundary(), handle)
        sending.start()
        over = receiving.start()
        for number in range(3):
            await sending.emit(99, number)
        with pytest.raises(ExceptionGroup) as raised:
            await over
        assert seen == [0, 1, 2]
        assert raised.group_contains(KeyError, match="0")
        assert raised.group_contains(KeyError, match="2")

    run(main())


def test_one_that_was_closed_with_nobody_left_to_take_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """S4: what it holds when its domain never ran is counted in a log record."""

    async def main() -> None:
        boundary = AsyncEventBoundary[Event[Any]]()
        async with AsyncEventNexus[Any]() as receiving:
            receiving.add_producer(boundary)
            for number in range(3):
                await boundary.handle(Event(number, 99, 0, None), EventQueue())

    caplog.set_level(logging.WARNING)
    run(main())
    assert "closed with 3 events undelivered" in caplog.text


def test_a_closing_that_nobody_awaits_leaves_nothing() -> None:
    """S4: `close` works at once, without a warning of a coroutine that was never awaited."""

    async def main() -> None:
        boundary = AsyncEventBoundary[Event[Any]]()
        domains(boundary, print)
        boundary.close()
        with pytest.raises(BadCall, match="closed"):
            await boundary.handle(Event(1, 99, 0, None), EventQueue())

    run(main())


async def test_one_without_a_receiver() -> None:
    """S4: `MisconfiguredEventProducer` at its start."""
    with pytest.raises(MisconfiguredEventProducer, match="AsyncEventBoundary has no nexus to send to"):
        await AsyncEventBoundary[Event[Any]]().start()


def test_a_cut_takes_what_it_holds_with_it() -> None:
    """S4, L3: with no grace left, what was not delivered is not handled, and the domain ends."""

    async def main() -> None:
        seen = list[object]()

        async def handle(event: Event) -> None:
            await asyncio.sleep(10)
            seen.append(event.payload)

        sending, receiving = domains(AsyncEventBoundary(), handle)
        sending.start()
        over = receiving.start()
        for number in range(3):
            await sending.emit(99, number)
        await asyncio.sleep(1)
        receiving.stop(grace=12)
        await over
        assert seen == [0]
        assert asyncio.get_running_loop().time() == 13

    run(main())


def test_a_handler_that_raises_loop_stopped_does_not_lose_what_a_closed_boundary_holds() -> None:
    """S4, D6: only a nexus that takes nothing more ends the delivery."""
    seen: list[int] = []

    async def main() -> None:
        boundary = AsyncEventBoundary[Event[int]]()
        nexus = AsyncEventNexus()
        nexus.add_producer(boundary)

        @nexus.on(1)
        async def handler(event: Event[int]) -> None:
            seen.append(event.id)
            await asyncio.sleep(1)
            raise LoopStopped("of another nexus")

        task = nexus.start()
        await asyncio.sleep(0)
        for number in range(3):
            await boundary.handle(Event(number, 1, 0, number), EventQueue())
        nexus.stop()
        with pytest.raises(ExceptionGroup):
            await task

    run(main())
    assert seen == [0, 1, 2]
