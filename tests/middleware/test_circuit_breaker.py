"""Leaving alone what keeps failing."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from async_nexus import AsyncNexusError, Event
from async_nexus.middleware import CircuitOpen, Middleware, circuit_breaker
from async_nexus.testing import run

EVENT = Event(7, "brew", 0, "secret")


async def succeed(_: Event) -> None:
    """Handle an event."""


def fail(error: BaseException) -> Callable[[Event], Awaitable[None]]:
    """Make a handler that raises an error."""

    async def handler(_: Event) -> None:
        raise error

    return handler


async def outcomes(breaker: Middleware, *handlers: Callable[[Event], Awaitable[None]]) -> str:
    """Deliver an event to each handler: `.` for success, `x` for failure, `o` for an open circuit."""
    found = ""
    for handler in handlers:
        try:
            await breaker(EVENT, handler)
            found += "."
        except CircuitOpen:
            found += "o"
        except Exception:
            found += "x"
    return found


DOWN = fail(OSError())
BUG = fail(KeyError())


def test_failures_in_a_row_open_the_circuit() -> None:
    """M2: after so many failures events are refused without reaching their handler."""
    assert run(outcomes(circuit_breaker(failures=3), DOWN, DOWN, DOWN, succeed)) == "xxxo"


def test_a_success_in_between_begins_the_count_anew() -> None:
    """Failures count in a row."""
    assert run(outcomes(circuit_breaker(failures=2), DOWN, succeed, DOWN, succeed)) == "x.x."


def test_errors_of_other_classes_do_not_count() -> None:
    """A handler's bug says nothing of the service behind it."""
    assert run(outcomes(circuit_breaker(failures=1, on=OSError), BUG, BUG, DOWN, succeed)) == "xxxo"


def test_a_group_counts_if_all_its_members_do() -> None:
    """M2: errors of several handlers come as one group."""
    mixed, all_down = fail(ExceptionGroup("", [OSError(), KeyError()])), fail(ExceptionGroup("", [OSError()]))
    assert run(outcomes(circuit_breaker(failures=1, on=OSError), mixed, succeed, all_down, succeed)) == "x.xo"


def test_the_error_says_which_event_and_when_to_try_again() -> None:
    """`CircuitOpen` names the event, without its payload, and the seconds until one is let through."""

    async def main() -> CircuitOpen:
        breaker = circuit_breaker(failures=1, reset_after=30)
        await outcomes(breaker, DOWN)
        await asyncio.sleep(10)
        with pytest.raises(CircuitOpen) as caught:
            await breaker(EVENT, succeed)
        return caught.value

    error = run(main())
    assert str(error) == "event 7 of type brew was not handled: its circuit is open and may close in 20 s"
    assert (error.event, error.retry_after) == (EVENT, 20)
    assert isinstance(error, AsyncNexusError)


@pytest.mark.parametrize("trial, after", [(succeed, ".."), (DOWN, "xo"), (BUG, "x.")])
def test_after_a_while_one_event_is_tried(trial: Callable[[Event], Awaitable[None]], after: str) -> None:
    """Half open, a success or another error closes the circuit, and a failure keeps it open."""

    async def main() -> str:
        breaker = circuit_breaker(failures=2, reset_after=30, on=OSError)
        assert await outcomes(breaker, DOWN, DOWN, succeed) == "xxo"
        await asyncio.sleep(30)
        return await outcomes(breaker, trial, succeed)

    assert run(main()) == after


def test_while_one_event_is_tried_others_are_refused() -> None:
    """Half open, one event at a time is let through."""

    async def main() -> None:
        breaker = circuit_breaker(failures=1, reset_after=30)
        await outcomes(breaker, DOWN)
        await asyncio.sleep(30)

        async def slow(_: Event) -> None:
            await asyncio.sleep(5)

        trial = asyncio.create_task(outcomes(breaker, slow))
        await asyncio.sleep(1)
        with pytest.raises(CircuitOpen, match="if the event that is being tried succeeds"):
            await breaker(EVENT, succeed)
        assert await trial == "."
        assert await outcomes(breaker, succeed) == "."

    run(main())


def test_a_cancelled_trial_decides_nothing() -> None:
    """F5: after a trial that was cancelled the next event is the trial."""

    async def main() -> None:
        breaker = circuit_breaker(failures=1, reset_after=30)
        await outcomes(breaker, DOWN)
        await asyncio.sleep(30)
        trial = asyncio.create_task(outcomes(breaker, lambda _: asyncio.sleep(99)))
        await asyncio.sleep(1)
        trial.cancel()
        await asyncio.wait([trial])
        assert await outcomes(breaker, DOWN, succeed) == "xo"

    run(main())


def test_what_a_trial_ingests_belongs_to_it() -> None:
    """T4: an event nested in the trial is let through, or the trial could not succeed."""

    async def main() -> None:
        breaker = circuit_breaker(failures=1, reset_after=30)
        await outcomes(breaker, DOWN)
        await asyncio.sleep(30)
        assert await outcomes(breaker, lambda event: breaker(event, succeed)) == "."

    run(main())


def test_what_a_closed_circuits_event_ingests_counts_by_itself() -> None:
    """T4: a nested event is an event like any other, and is refused when too many before it have failed."""

    async def main() -> None:
        breaker = circuit_breaker(failures=2)
        found = ""

        async def batch(_: Event) -> None:
            nonlocal found
            found = await outcomes(breaker, DOWN, DOWN, succeed)

        assert await outcomes(breaker, batch) == "."
        assert found == "xxo"

    run(main())


@pytest.mark.parametrize("trial", [succeed, DOWN])
def test_a_task_that_outlives_the_trial_it_was_born_in_is_as_any_other(
    trial: Callable[[Event], Awaitable[None]],
) -> None:
    """T4: the trial that has ended lets nothing more through, nor does the next one."""

    async def main() -> None:
        breaker = circuit_breaker(failures=1, reset_after=30)
        await outcomes(breaker, DOWN)
        await asyncio.sleep(30)

        async def later() -> str:
            await asyncio.sleep(1)
            return await outcomes(breaker, DOWN, succeed)

        async def starts(event: Event) -> None:
            tasks.append(asyncio.create_task(later()))
            await trial(event)

        tasks: list[asyncio.Task[str]] = []
        await outcomes(breaker, starts)
        assert await tasks[0] == ("xo" if trial is succeed else "oo")

    run(main())


@pytest.mark.parametrize("late", [succeed, DOWN])
def test_what_began_before_the_circuit_opened_does_not_count(late: Callable[[Event], Awaitable[None]]) -> None:
    """K1: the outcome of an old event neither closes the circuit nor keeps it open for longer."""

    async def main() -> None:
        breaker = circuit_breaker(failures=1, reset_after=30)

        async def slow(event: Event) -> None:
            await asyncio.sleep(10)
            await late(event)

        old = asyncio.create_task(outcomes(breaker, slow))
        await asyncio.sleep(1)
        await outcomes(breaker, DOWN)
        await old
        assert await outcomes(breaker, succeed) == "o"
        await asyncio.sleep(21)
        assert await outcomes(breaker, succeed) == "."

    run(main())


@pytest.mark.parametrize("settings", [{"failures": 0}, {"reset_after": 0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, int]) -> None:
    """A mistake in the settings shows where they are made."""
    with pytest.raises(ValueError, match=next(iter(settings))):
        circuit_breaker(**settings)  # type: ignore[arg-type] # one of several keywords
