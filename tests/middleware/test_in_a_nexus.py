"""The ready middleware around the handlers of a nexus."""

import asyncio

import pytest

from async_nexus import AsyncEventNexus, Event, EventQueue
from async_nexus.failures import FailedEvent
from async_nexus.middleware import circuit_breaker, deduplicate, limit, rate_limit, retry, timeout
from async_nexus.testing import run


def test_only_the_last_attempts_secondary_events_count() -> None:
    """M3: what an attempt put that failed is dropped; the error handler hears of the attempt (F1)."""
    seen: list[object] = []

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            nexus.middleware(retry(OSError, attempts=3, wait_jitter=0))
            fail = iter([True, True, False, True, True, True])

            @nexus.on(1)
            async def handler(event: Event, queue: EventQueue) -> None:
                await queue.put(Event(1, 2, 0, asyncio.get_running_loop().time()))
                if next(fail):
                    raise OSError

            @nexus.on(2)
            async def secondary(event: Event) -> None:
                seen.append(event.payload)

            @nexus.on_error(OSError)
            async def failed(failure: FailedEvent) -> None:
                seen.append(failure.attempt)

            nexus.start()
            await nexus.emit(1, None)
            await nexus.emit(1, None)

    run(main())
    assert seen == [pytest.approx(0.3), 3]


def test_a_handler_that_times_out_does_not_end_the_turn() -> None:
    """M2: the timeout fails its event; the rest of the turn goes on (T3)."""
    seen: list[int] = []

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            nexus.middleware(timeout(1))

            @nexus.on(1)
            async def handler(event: Event, queue: EventQueue) -> None:
                for number in (2, 3):
                    await queue.put(Event(number, 2, 0, None))

            @nexus.on(2)
            async def slow(event: Event) -> None:
                await asyncio.sleep(9 if event.id == 2 else 0)
                seen.append(event.id)

            nexus.start()
            with pytest.raises(TimeoutError, match="event 2 of type 2"):
                await nexus.emit(1, None)

    run(main())
    assert seen == [3]


def test_they_stack() -> None:
    """M1: what consumes or refuses outside keeps the event from what is inside."""
    seen: list[int] = []

    async def main() -> float:
        async with AsyncEventNexus() as nexus:
            for each in (deduplicate(), circuit_breaker(), rate_limit(1, per=10)):
                nexus.middleware(each)

            @nexus.default
            @limit(1)
            async def handler(event: Event) -> None:
                seen.append(event.id)

            nexus.start()
            for number in (1, 1, 2):
                await nexus.emit(99, None, id=number)
            return asyncio.get_running_loop().time()

    assert run(main()) == 10
    assert seen == [1, 2]
