"""The timer, on virtual time."""

import asyncio
from typing import Any

import pytest

from async_nexus import (
    AsyncEventNexus,
    BadCall,
    Event,
    LoopStopped,
    MisconfiguredEventProducer,
    MultipleStart,
    NamedEvent,
    Timer,
    TimerType,
)
from async_nexus.testing import run


class Tick(NamedEvent[int], type=7):
    pass


def ticks(*, until: float = 100, takes: float = 0, **options: Any) -> list[tuple[float, object]]:
    """Run a timer; return when its events came and what they carried."""
    seen = list[tuple[float, object]]()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        nexus = AsyncEventNexus()

        @nexus.on(options.setdefault("event_type", 98))
        async def handle(event: Event) -> None:
            seen.append((loop.time(), event.payload))
            await asyncio.sleep(takes)

        nexus.add_producer(Timer(event_factory=nexus, **options))
        loop.call_at(until, nexus.stop)
        await nexus.run_until_complete()

    run(main())
    return seen


def test_count_down() -> None:
    """S2: from `count` it emits count - 1 to 0, the first after one interval."""
    assert ticks(interval=1.5, type=Timer.COUNT_DOWN, count=3) == [(1.5, 2), (3, 1), (4.5, 0)]


def test_count_up() -> None:
    """S2: 1 to `count`."""
    assert ticks(interval=2, type=Timer.COUNT_UP, count=3) == [(2, 1), (4, 2), (6, 3)]


def test_ongoing() -> None:
    """S2: 1, 2, … without end."""
    assert ticks(interval=10, type=Timer.ONGOING, until=35) == [(10, 1), (20, 2), (30, 3)]


@pytest.mark.parametrize("options", [{}, {"count": 1}, {"type": Timer.ONE_SHOT}])
def test_one_shot(options: dict[str, Any]) -> None:
    """S2: 1, once; it is the default."""
    assert ticks(interval=3, **options) == [(3, 1)]


def test_ticks_keep_to_their_schedule() -> None:
    """S2: the time that handling takes does not add up."""
    assert ticks(interval=2, takes=1, type=Timer.COUNT_UP, count=4) == [(2, 1), (4, 2), (6, 3), (8, 4)]


def test_a_late_tick_comes_at_once() -> None:
    """S2: after handling that took longer than the interval, until the schedule is caught up with."""
    assert [when for when, _ in ticks(interval=2, takes=3, type=Timer.COUNT_UP, count=4)] == [2, 5, 8, 11]


def test_an_event_class_for_its_type() -> None:
    """S2: the events are instances of it."""

    async def main() -> None:
        seen = list[Event]()
        nexus = AsyncEventNexus()
        nexus.add_handler(Tick, lambda e: seen.append(e))
        timer = Timer(1, event_type=Tick, event_factory=nexus)
        assert timer.event_type is Tick
        nexus.add_producer(timer)
        await nexus.run_until_complete()
        assert seen == [Tick(id=1, payload=1)]

    run(main())


def test_starting_a_timer_that_runs() -> None:
    """S2: `MultipleStart`; it goes on undisturbed."""

    async def main() -> None:
        seen = list[object]()
        nexus = AsyncEventNexus()
        nexus.default(lambda e: seen.append(e.payload))
        timer = Timer(1, event_type=98, type=Timer.COUNT_UP, count=2, event_factory=nexus)
        nexus.add_producer(timer)
        over = nexus.run_until_complete()
        await asyncio.sleep(0.5)
        with pytest.raises(MultipleStart):
            await timer.start()
        await over
        assert seen == [1, 2]

    run(main())


def test_a_timer_starts_again() -> None:
    """S2: from its first number, after its end and after `stop`, which tells whether it was running."""

    async def main() -> None:
        seen = list[object]()
        nexus = AsyncEventNexus()
        nexus.default(lambda e: seen.append(e.payload))
        timer = Timer(1, event_type=98, type=Timer.COUNT_UP, count=2, event_factory=nexus)
        ongoing = Timer(1, event_type=98, type=Timer.ONGOING, event_factory=nexus)
        assert not timer.stop()
        nexus.add_producer(timer)
        task = nexus.start()
        await asyncio.sleep(5)
        assert seen == [1, 2]
        assert not timer.stop()
        await timer.start()
        await asyncio.sleep(1.5)
        assert timer.stop()
        assert not timer.stop()
        await timer.start()
        await asyncio.sleep(5)
        assert seen == [1, 2, 1, 1, 2]
        seen.clear()
        nexus.add_producer(ongoing)
        await asyncio.sleep(2.5)
        ongoing.stop()
        await ongoing.start()
        await asyncio.sleep(1.5)
        assert seen == [1, 2, 1]
        nexus.stop()
        await task

    run(main())


def test_a_stopped_timer_finishes_its_tick() -> None:
    """S2, L3: the event being handled is handled to its end, and no other one comes."""

    async def main() -> None:
        handled = list[float]()
        nexus = AsyncEventNexus()

        @nexus.default
        async def slow(event: Event) -> None:
            await asyncio.sleep(10)
            handled.append(asyncio.get_running_loop().time())

        nexus.add_producer(Timer(1, event_type=98, type=Timer.ONGOING, event_factory=nexus))
        task = nexus.start()
        await asyncio.sleep(5)
        nexus.stop()
        await task
        assert handled == [11]

    run(main())


def test_a_timer_whose_handler_failed_is_not_running() -> None:
    """S2, L4: the error stops the nexus, the timer with it."""

    async def main() -> None:
        nexus = AsyncEventNexus()
        nexus.add_handler(-1, lambda e: print(1 // 0))
        timer = Timer(1, event_type=98, type=Timer.ONGOING, event_factory=nexus)
        nexus.add_producer(timer)
        with pytest.raises(ZeroDivisionError):
            await nexus.loop_forever()
        assert not timer.stop()
        with pytest.raises(BadCall):
            await timer.start()

    run(main())


async def test_a_timer_that_cannot_run_has_not_started() -> None:
    """S2, S1: without a nexus, or before it runs, `start` raises, and may be tried again."""
    nexus = AsyncEventNexus()
    timer = Timer(1, event_type=98, event_factory=nexus)
    with pytest.raises(MisconfiguredEventProducer):
        await timer.start()
    nexus.add_producer(timer)
    for _ in range(2):
        with pytest.raises(BadCall, match="only while its nexus runs") as raised:
            await timer.start()
        assert not isinstance(raised.value, MultipleStart | LoopStopped)


@pytest.mark.parametrize("interval", [0, -1, float("inf"), float("nan")])
def test_intervals_are_positive_and_finite(interval: float) -> None:
    """S2: `ValueError` names what was given."""
    with pytest.raises(ValueError, match=f"positive, finite number of seconds, not {interval}"):
        Timer(interval, event_type=98, event_factory=AsyncEventNexus())


@pytest.mark.parametrize(
    "type, count, expected",
    [
        (Timer.COUNT_UP, 0, "a positive count"),
        (Timer.COUNT_DOWN, 0, "a positive count"),
        (Timer.COUNT_DOWN, -3, "a positive count"),
        (Timer.ONGOING, 1, "no count"),
        (Timer.ONGOING, -1, "no count"),
        (Timer.ONE_SHOT, 2, "no count"),
        (Timer.COUNT_UP, True, "an int"),
        (Timer.COUNT_UP, 2.0, "an int"),
    ],
)
def test_counts_fit_their_type(type: TimerType, count: Any, expected: str) -> None:
    """S2: `ValueError` says what the type takes."""
    with pytest.raises(ValueError, match=f"{expected}, not {count}"):
        Timer(1, event_type=98, type=type, count=count, event_factory=AsyncEventNexus())


def test_types_are_members_of_an_enum() -> None:
    """S2: `Timer.COUNT_UP` and the like are; another number is a `ValueError`."""
    assert [member.name for member in TimerType] == ["COUNT_UP", "COUNT_DOWN", "ONGOING", "ONE_SHOT"]
    with pytest.raises(ValueError, match="9"):
        Timer(1, event_type=98, type=9, event_factory=AsyncEventNexus())  # type: ignore[call-overload] # that is it
