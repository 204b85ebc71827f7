"""Events that were delivered several times."""

import asyncio
from types import NoneType

import pytest

from async_nexus import BadCall, Event
from async_nexus.middleware import CallNext, deduplicate
from async_nexus.testing import run

EVENT = Event(1, 99, 0, None)


class Handler:
    """Notes what it handles; takes `seconds` for it and fails as often as it is told."""

    def __init__(self, *, seconds: float = 0, failures: int = 0) -> None:
        self.seen: list[tuple[int | str, int]] = []
        self.seconds, self.failures = seconds, failures

    async def __call__(self, event: Event) -> None:
        self.seen.append((event.type, event.id))
        await asyncio.sleep(self.seconds)
        if self.failures:
            self.failures -= 1
            raise OSError


def test_an_event_that_was_handled_is_consumed() -> None:
    """M2: the same id and type within the window does not come through again."""
    handler, once = Handler(), deduplicate()

    async def main() -> None:
        await once(EVENT, handler)
        await once(EVENT, handler)

    run(main())
    assert handler.seen == [(99, 1)]


def test_the_same_id_of_another_type_is_another_event() -> None:
    """E3: `99` and `"99"` are different keys."""
    handler, once = Handler(), deduplicate()

    async def main() -> None:
        for key in (99, "99", 98):
            await once(Event(1, key, 0, None), handler)

    run(main())
    assert handler.seen == [(99, 1), ("99", 1), (98, 1)]


def test_the_window_is_measured_by_the_loops_clock() -> None:
    """An event comes through again when the window is over, and not before."""
    handler, once = Handler(), deduplicate(window=10)
    counts: list[int] = []

    async def main() -> None:
        for _ in range(3):
            await once(EVENT, handler)
            counts.append(len(handler.seen))
            await asyncio.sleep(5)

    run(main())
    assert counts == [1, 1, 2]


def test_an_event_whose_handling_failed_may_come_again() -> None:
    """A failed event is not remembered, or at-least-once delivery would lose it."""
    handler, once = Handler(failures=1), deduplicate()

    async def main() -> None:
        with pytest.raises(OSError):  # noqa: PT011
            await once(EVENT, handler)
        await once(EVENT, handler)
        await once(EVENT, handler)

    run(main())
    assert len(handler.seen) == 2


@pytest.mark.parametrize("failures, handled", [(0, 1), (1, 2)])
def test_a_second_delivery_waits_for_how_the_first_ends(failures: int, handled: int) -> None:
    """K1: of two at the same time one is handled, the other only if that one fails."""
    handler, once = Handler(seconds=3, failures=failures), deduplicate()

    async def main() -> None:
        await asyncio.gather(once(EVENT, handler), once(EVENT, handler), return_exceptions=True)

    run(main())
    assert len(handler.seen) == handled


def test_an_event_ingested_inside_of_its_own_handling_is_consumed() -> None:
    """T4: nesting never deadlocks, also where the outer event is the same one."""
    once = deduplicate()
    depth = 0

    async def handler(event: Event) -> None:
        nonlocal depth
        depth += 1
        await once(event, handler)

    run(once(EVENT, handler))
    assert depth == 1


def test_events_that_would_wait_for_each_other_are_refused() -> None:
    """T4: of handlers that ingest each other's events one at least goes on, and nothing is lost."""
    once = deduplicate()
    events = [Event(number, 99, 0, None) for number in range(3)]
    handled: list[int] = []

    async def handler(event: Event) -> None:
        await asyncio.sleep(event.id)
        await once(events[(event.id + 1) % 3], handler)
        handled.append(event.id)

    async def main() -> list[BaseException | None]:
        return await asyncio.gather(*(once(event, handler) for event in events), return_exceptions=True)

    outcomes = run(main())
    assert [type(each) for each in outcomes] == [NoneType, BadCall, BadCall]
    assert str(outcomes[2]).startswith("event 0 of type 99 is being handled, which waits for an event")
    assert handled == [2, 1, 0]


def test_an_event_ingested_inside_of_anothers_handling_waits_for_how_the_first_ends() -> None:
    """K1: it is handled if the first one fails, since nothing there waits for it."""
    handler, once = Handler(seconds=3, failures=1), deduplicate()

    async def nests(_: Event) -> None:
        await asyncio.sleep(1)
        await once(EVENT, handler)

    async def main() -> None:
        await asyncio.gather(once(EVENT, handler), once(Event(2, 99, 0, None), nests), return_exceptions=True)

    run(main())
    assert len(handler.seen) == 2


def test_a_task_that_outlives_a_handling_waits_like_anyone_else() -> None:
    """T4: what it ingests is handled if the other delivery fails, also where that came from the same handler."""
    handler, once = Handler(seconds=3, failures=1), deduplicate()
    tasks: list[asyncio.Task[None]] = []

    async def later() -> None:
        await asyncio.sleep(1)
        await once(EVENT, handler)

    async def starts(_: Event) -> None:
        tasks.append(asyncio.create_task(later()))

    async def main() -> None:
        await once(Event(2, 99, 0, None), starts)
        with pytest.raises(OSError):  # noqa: PT011
            await once(EVENT, handler)
        await tasks[0]

    run(main())
    assert len(handler.seen) == 2


def test_memory_is_bounded() -> None:
    """At most `size` events are remembered; the oldest is forgotten first."""
    handler, once = Handler(), deduplicate(size=2)

    async def main() -> None:
        for number in (1, 2, 3, 2, 3, 1):
            await once(Event(number, 99, 0, None), handler)

    run(main())
    assert [each[1] for each in handler.seen] == [1, 2, 3, 1]


@pytest.mark.parametrize("settings", [{"window": 0}, {"size": 0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, int]) -> None:
    """A mistake in the settings shows where they are made."""
    with pytest.raises(ValueError, match=next(iter(settings))):
        deduplicate(**settings)


def test_a_cancelled_delivery_lets_the_waiting_one_go_on() -> None:
    """T5: who waits for a delivery that is cancelled handles the event itself."""
    handler, once = Handler(seconds=3), deduplicate()

    async def deliver(call_next: CallNext) -> None:
        await once(EVENT, call_next)

    async def main() -> None:
        first, second = (asyncio.create_task(deliver(handler)) for _ in range(2))
        await asyncio.sleep(1)
        first.cancel()
        await second

    run(main())
    assert len(handler.seen) == 2
