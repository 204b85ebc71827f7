"""So many events in a time."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_nexus import Event
from async_nexus.middleware import Middleware, rate_limit
from async_nexus.testing import run

EVENT = Event(1, 99, 0, None)


async def nothing(_: Event) -> None:
    """Handle an event."""


async def begin_times(limited: Middleware, arrivals: list[float]) -> list[tuple[int, float]]:
    """Deliver events at given times; tells which began when."""
    begun: list[tuple[int, float]] = []

    async def handler(event: Event) -> None:
        begun.append((event.id, asyncio.get_running_loop().time()))

    async def deliver(number: int, at: float) -> None:
        await asyncio.sleep(at)
        await limited(Event(number, 99, 0, None), handler)

    await asyncio.gather(*(deliver(number, at) for number, at in enumerate(arrivals)))
    return begun


def test_what_is_within_the_rate_does_not_wait() -> None:
    """M1: slow events are left alone."""
    assert run(begin_times(rate_limit(2, per=10), [0, 1, 10, 11])) == [(0, 0), (1, 1), (2, 10), (3, 11)]


def test_what_is_beyond_the_rate_waits_in_its_order() -> None:
    """T6: whoever is too fast is slowed down, first come first served."""
    assert run(begin_times(rate_limit(2, per=10), [0] * 5)) == [(0, 0), (1, 0), (2, 10), (3, 10), (4, 20)]


@given(
    st.integers(1, 5),
    st.floats(0.01, 100),
    st.lists(st.floats(0, 1000), max_size=30),
)
def test_no_span_of_time_holds_more_than_the_rate(rate: int, per: float, arrivals: list[float]) -> None:
    """Of any `rate` + 1 events the last begins `per` seconds after the first, and all begin in the end."""
    begun = [time for _, time in run(begin_times(rate_limit(rate, per), arrivals))]
    assert len(begun) == len(arrivals)
    assert all(later - first >= per * (1 - 1e-6) - 1e-6 for first, later in zip(begun, begun[rate:], strict=False))


def test_one_that_is_cancelled_while_it_waits_takes_no_place() -> None:
    """T5: the next in line begins when the cancelled one would have."""
    begun: list[float] = []

    async def handler(_: Event) -> None:
        begun.append(asyncio.get_running_loop().time())

    async def main() -> None:
        limited = rate_limit(1, per=10)

        async def deliver() -> None:
            await limited(Event(1, 99, 0, None), handler)

        tasks = [asyncio.create_task(deliver()) for _ in range(3)]
        await asyncio.sleep(5)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(main())
    assert begun == [0, 10]


def test_one_that_is_cancelled_when_it_could_begin_leaves_no_error_behind() -> None:
    """T5: nobody is told of a timer that came due for nobody."""
    told: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["message"]))
        limited = rate_limit(1, per=10)
        await limited(EVENT, nothing)
        waiting = asyncio.create_task(limited(EVENT, nothing))
        loop.call_at(10, waiting.cancel)
        await asyncio.wait([waiting])
        assert waiting.cancelled()

    run(main())
    assert told == []


def test_handlers_may_overlap() -> None:
    """K1: it is the beginning that is limited, not how long it takes."""

    async def main() -> None:
        limited = rate_limit(2)

        async def handler(_: Event) -> None:
            await asyncio.sleep(5)

        await asyncio.gather(*(limited(Event(i, 99, 0, None), handler) for i in range(2)))
        assert asyncio.get_running_loop().time() == 5

    run(main())


@pytest.mark.parametrize("rate, per", [(0, 1), (1, 0)])
def test_settings_that_make_no_sense_are_refused(rate: int, per: float) -> None:
    """A mistake in the settings shows where they are made."""
    with pytest.raises(ValueError, match=r"rate|per"):
        rate_limit(rate, per)
