"""What was decided of each event, the numbers of a nexus, and handlers that take too long: W3, W4, Z2."""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from log_records import logged
from pydantic import BaseModel

from async_nexus import AsyncEventNexus, Event, EventQueue, InvalidPayload, UnhandledEvent
from async_nexus.notes import Note, Step
from async_nexus.plan import CallNext
from async_nexus.testing import run


class Teapot(BaseModel):
    """A payload."""

    temp: int


class Boom(Exception):
    """What handlers of these tests raise."""


def event(id: int, key: int | str = 1, payload: Any = None) -> Event[Any]:
    """Make an event."""
    return Event(id, key, 0, payload)


async def brew(event: Event, queue: EventQueue) -> None:
    """Take two seconds and put a secondary event."""
    await asyncio.sleep(2)
    queue.put_nowait(Event(event.id + 100, "share", 0, None))


def share(event: Event) -> None:
    """Do nothing."""


def fail(event: Event) -> None:
    """Fail."""
    raise Boom


def consume(event: Event) -> bool:
    """Consume what is of key "hidden"."""
    return event.type == "hidden"


def tea_house(**options: Any) -> AsyncEventNexus:
    """Make a nexus with those handlers."""
    nexus: AsyncEventNexus = AsyncEventNexus(**options)
    nexus.add_handler("brew", brew)
    nexus.add_handler("share", share)
    nexus.add_handler("fail", fail)
    nexus.add_filter(consume)
    nexus.declare("brew", Teapot)
    return nexus


# Explanations


def test_a_record_says_what_was_decided() -> None:
    """W3: validated, handled by, how long, secondary events; these have records of their own."""

    async def main() -> None:
        async with tea_house() as nexus:
            nexus.start()
            with nexus.explain() as explanation:
                await nexus.emit("brew", {"temp": 80}, id=1)
            first, second = explanation
            assert (first.event.payload, first.schema, first.is_valid) == (Teapot(temp=80), "Teapot", True)
            assert (first.handled_by, first.filtered_by, first.outcome) == (("brew",), None, Step.HANDLED)
            assert [(call.handler, call.took) for call in first.calls] == [("consume", 0), ("brew", 2)]
            assert first.took == 2
            assert (first.cause, first.errors) == (None, [])
            assert first.secondary == [second.event]
            assert (second.event.id, second.cause, second.schema) == (101, first.event, None)

    run(main())


def test_a_record_of_what_was_consumed_failed_or_refused() -> None:
    """W3: filtered by, failed with, invalid."""

    async def main() -> None:
        async with tea_house() as nexus:
            nexus.start()
            with nexus.explain() as explanation:
                await nexus.ingest(event(1, "hidden"))
                with pytest.raises(Boom):
                    await nexus.ingest(event(2, "fail"))
                with pytest.raises(InvalidPayload):
                    await nexus.ingest(event(3, "brew", {"temp": "hot"}))
            hidden, failed, refused = explanation
            assert (hidden.filtered_by, hidden.handled_by, hidden.outcome) == ("consume", (), Step.HANDLED)
            assert ([type(error) for error in failed.errors], failed.outcome) == ([Boom], Step.FAILED)
            assert type(failed.calls[-1].error) is Boom
            assert (refused.is_valid, refused.calls, refused.outcome) == (False, [], Step.FAILED)
            assert explanation.of(event(2, "fail")) is failed
            with pytest.raises(LookupError):
                explanation.of(event(9))

    run(main())


def test_a_record_reads_as_a_line() -> None:
    """W3: without payloads, which may be secret."""

    async def main() -> str:
        async with tea_house() as nexus:
            nexus.start()
            with nexus.explain() as explanation:
                await nexus.ingest(event(1, "brew", {"temp": 80}))
                await nexus.ingest(event(2, "hidden"))
            return str(explanation)

    assert run(main()) == (
        "event 1 of type brew: handled, valid as Teapot, brew took 2.000000 s, put event 101 of type share\n"
        "event 101 of type share: handled, share took 0.000000 s\n"
        "event 2 of type hidden: handled, consumed by consume"
    )


def test_attempts_of_a_middleware_are_calls_of_one_record() -> None:
    """W3, M3, M4: whatever event it passes on."""

    async def main() -> None:
        async with AsyncEventNexus() as nexus:

            @nexus.middleware
            async def again(event: Event, call_next: CallNext) -> None:
                await call_next(event)
                await call_next(event.model_copy(update={"payload": 2}))

            nexus.add_handler("share", share)
            nexus.start()
            with nexus.explain() as explanation:
                await nexus.ingest(event(1, "share"))
            (record,) = explanation
            assert record.handled_by == ("share", "share")

    run(main())


def records_of(nexus: AsyncEventNexus, use: Callable[[Event[Any]], Awaitable[object]]) -> list[tuple[int, str | None]]:
    """Use a nexus with one event, and tell how many calls each record has, and its outcome."""

    async def main() -> list[tuple[int, str | None]]:
        async with nexus:
            nexus.start()
            with nexus.explain() as explanation:
                await use(event(1))
        return [(len(record.calls), record.outcome) for record in explanation]

    return run(main())


async def wait(event: Event) -> None:
    """Take a second."""
    await asyncio.sleep(1)


@pytest.mark.parametrize("concurrency", [1, 2])
def test_an_event_that_is_ingested_twice_has_two_records(concurrency: int) -> None:
    """W3: in line or side by side, and though the second is cancelled."""
    nexus = AsyncEventNexus(concurrency=concurrency)
    nexus.add_handler(1, wait)

    async def ingest(event: Event[Any]) -> None:
        tasks = [asyncio.create_task(nexus.ingest(event)) for _ in range(3)]
        await asyncio.sleep(0.5)
        tasks[1].cancel()
        await asyncio.wait(tasks)

    cancelled = (concurrency - 1, "interrupted")
    assert records_of(nexus, ingest) == [(1, "handled"), cancelled, (1, "handled")]


def test_an_event_that_is_put_twice_has_two_records() -> None:
    """W3: as it is handled twice."""
    nexus: AsyncEventNexus = AsyncEventNexus()
    again = event(2, 2)
    nexus.add_handler(2, lambda event: None)

    @nexus.on(1)
    async def put(event: Event, queue: EventQueue) -> None:
        await queue.put(again)
        await queue.put(again)

    assert records_of(nexus, nexus.ingest) == [(1, "handled")] * 3


def test_an_event_that_its_own_handler_ingests_or_puts_again_has_a_record_each_time() -> None:
    """W3, T4: the inner ones end first; the steps that follow are those of the outer one."""
    nexus = AsyncEventNexus(multiple=True)
    times = iter(("ingest", "put"))

    @nexus.on(1)
    async def again(event: Event, queue: EventQueue) -> None:
        match next(times, None):
            case "ingest":
                await nexus.ingest(event)
            case "put":
                await queue.put(event)
            case _:
                raise Boom

    nexus.on(1)(lambda event: None)

    async def ingest(event: Event) -> None:
        with pytest.raises(Boom):
            await nexus.ingest(event)

    assert records_of(nexus, ingest) == [(2, "failed"), (2, "handled"), (2, "failed")]


def test_an_event_that_is_refused_twice_has_two_records() -> None:
    """W3, V2: as it was given twice."""
    nexus: AsyncEventNexus = AsyncEventNexus()
    nexus.declare(1, Teapot)

    async def ingest(event: Event) -> None:
        for _ in range(2):
            with pytest.raises(InvalidPayload):
                await nexus.ingest(event)

    assert records_of(nexus, ingest) == [(0, "failed")] * 2


def test_an_explanation_is_bounded_and_ends_with_its_block() -> None:
    """W3: the last ones are kept; afterwards nothing is noted."""

    async def main() -> None:
        async with tea_house() as nexus:
            nexus.start()
            with nexus.explain(limit=2) as explanation:
                for number in range(5):
                    await nexus.ingest(event(number, "share"))
            await nexus.ingest(event(9, "share"))
            assert [record.event.id for record in explanation] == [3, 4]
            assert (len(explanation), explanation[-1].event.id, len(explanation[:1])) == (2, 4, 1)
            with pytest.raises(ValueError, match="at least one"), nexus.explain(limit=0):
                pass

    run(main())


def test_who_observes_and_fails_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """W3: isolated: the events are handled, one log record tells of it."""

    async def main() -> None:
        seen = list[Step]()
        async with tea_house() as nexus:

            def broken(note: Note) -> None:
                raise Boom

            nexus.watch(broken)
            nexus.watch(lambda note: seen.append(note.step))
            nexus.start()
            await nexus.ingest(event(1, "share"))
            await nexus.ingest(event(2, "share"))
        assert seen == [Step.INGESTED, Step.HANDLED] * 2

    run(main())
    assert [record.getMessage() for record in logged(caplog)] == ["what watched the nexus failed, and is told no more"]


# Numbers


def test_stats_count_what_becomes_of_events() -> None:
    """W4: an event ends as handled, failed, refused or interrupted."""

    async def main() -> None:
        async with tea_house(stats=True) as nexus:
            nexus.start()
            await nexus.ingest(event(1, "brew", {"temp": 1}))
            await nexus.ingest(event(2, "hidden"))
            for key in ("fail", "unknown"):
                with pytest.raises((Boom, UnhandledEvent)):
                    await nexus.ingest(event(3, key))
            with pytest.raises(InvalidPayload):
                await nexus.ingest(event(4, "brew", {}))
            cancelled = asyncio.create_task(nexus.ingest(event(5, "brew", {"temp": 1})))
            await asyncio.sleep(1)
            cancelled.cancel()
            await asyncio.wait((cancelled,))
            stats = nexus.stats()
            assert (stats.ingested, stats.put, stats.handled) == (5, 1, 3)
            assert (stats.failed, stats.refused, stats.interrupted) == (2, 1, 1)

    run(main())


def test_an_event_that_fails_twice_failed_once() -> None:
    """W4: with `multiple`, both handlers raise."""

    async def main() -> None:
        async with AsyncEventNexus(multiple=True, stats=True) as nexus:
            nexus.add_handler(1, fail)
            nexus.add_handler(1, fail)
            nexus.start()
            with pytest.raises(ExceptionGroup):
                await nexus.ingest(event(1))
            assert (nexus.stats().failed, nexus.stats().handled) == (1, 0)

    run(main())


@pytest.mark.parametrize("concurrency", [1, 2])
def test_what_is_in_line_and_in_turn_is_always_told(concurrency: int) -> None:
    """W4: without `stats=True`; the rest is `None` then."""

    async def main() -> None:
        async with tea_house(concurrency=concurrency) as nexus:
            nexus.start()
            posts = [nexus.post(event(number, "brew", {"temp": 1})) for number in range(4)]
            await asyncio.sleep(1)
            stats = nexus.stats()
            assert (stats.in_turn, stats.in_line) == (concurrency, 4 - concurrency)
            assert (stats.posted, stats.dropped) == (4, 0)
            assert stats.ingested is stats.handled is stats.failed is stats.refused is None
            await asyncio.gather(*map(asyncio.wrap_future, posts))
            assert (nexus.stats().in_turn, nexus.stats().in_line) == (0, 0)

    run(main())


# Stalls


def test_a_handler_that_holds_its_turn_is_reported_once_with_its_stack(caplog: pytest.LogCaptureFixture) -> None:
    """Z2: when it has, not when it ends; who is quick enough is not reported."""

    async def main() -> None:
        async with tea_house(stall_after=30.0) as nexus:

            @nexus.on("slow")
            async def slow(event: Event[float]) -> None:
                await asyncio.sleep(event.payload)

            nexus.start()
            await nexus.emit("slow", 20)
            await nexus.emit("slow", 20)
            assert logged(caplog) == []
            slow_one = asyncio.create_task(nexus.emit("slow", 100))
            await asyncio.sleep(31)
            assert len(logged(caplog)) == 1
            await slow_one
            await nexus.emit("slow", 1)

    run(main())
    (record,) = logged(caplog)
    assert record.levelno == logging.WARNING
    assert "slow has held its turn with event 3 of type slow for more than 30 s" in record.getMessage()
    assert "await asyncio.sleep(event.payload)" in record.getMessage()


def test_stalls_side_by_side_are_each_reported_in_time(caplog: pytest.LogCaptureFixture) -> None:
    """Z2, K1: by one timer."""

    async def main() -> list[tuple[float, int]]:
        counted = list[tuple[float, int]]()
        async with AsyncEventNexus(concurrency=3, stall_after=10) as nexus:

            @nexus.on(1)
            async def slow(event: Event) -> None:
                await asyncio.sleep(100)

            nexus.start()
            loop = asyncio.get_running_loop()
            for number in range(2):
                nexus.post(event(number))
                await asyncio.sleep(5)
            for _ in range(3):
                counted.append((loop.time(), len(logged(caplog))))
                await asyncio.sleep(3)
            nexus.stop(0)
        return counted

    assert run(main()) == [(10, 1), (13, 1), (16, 2)]


async def test_a_handler_that_blocks_the_event_loop_is_reported_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    """Z2: no timer can fire meanwhile."""
    async with AsyncEventNexus(stall_after=0.001) as nexus:

        @nexus.on(1)
        def block(event: Event) -> None:
            begun = time.monotonic()
            while time.monotonic() < begun + 0.01:
                pass

        nexus.start()
        before = time.monotonic()
        await nexus.ingest(event(1))
        after = time.monotonic()
    (record,) = logged(caplog)
    told = re.fullmatch(r"\S*block blocked the event loop with event 1 of type 1 for (\S+) s", record.getMessage())
    assert told is not None, record.getMessage()
    assert 0.01 <= float(told[1]) <= 1.01 * (after - before)  # it is rounded


@pytest.mark.parametrize("after", [0, -1, float("inf"), float("nan")])
def test_stall_after_is_a_time(after: float) -> None:
    """Z2: what is none is refused."""
    with pytest.raises(ValueError, match="stall_after"):
        AsyncEventNexus(stall_after=after)
