"""The attempts of middleware at one event: M2 to M4."""

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from async_nexus import AsyncEventNexus, BadCall, Event, EventQueue
from async_nexus.failures import FailedEvent
from async_nexus.middleware import CallNext, Middleware, log
from async_nexus.testing import run

FIRST = Event(1, "first", 0, None)


def play(
    prepare: Callable[[AsyncEventNexus], object],
    use: Callable[[AsyncEventNexus], Awaitable[Any]],
    *,
    multiple: bool = False,
) -> None:
    """Run a nexus that `prepare` has set up for as long as `use` takes."""

    async def main() -> None:
        async with AsyncEventNexus(multiple=multiple) as nexus:
            prepare(nexus)
            nexus.start()
            await use(nexus)

    run(main())


def around_first(middleware: Callable[[Event, CallNext], Awaitable[None]]) -> Callable[[Event, CallNext], Any]:
    """Leave all events but the first one alone."""

    async def only_first(event: Event, call_next: CallNext) -> None:
        await (middleware if event is FIRST else _leave_alone)(event, call_next)

    return only_first


async def _leave_alone(event: Event, call_next: CallNext) -> None:
    await call_next(event)


async def _keep_turn_open(_: Event) -> None:
    await asyncio.sleep(5)


def test_what_is_put_after_the_middleware_has_given_up_is_refused() -> None:
    """M3: the handler of an attempt that goes on is told so, and another event's handling does not get its events."""
    refused: list[str] = []
    handled: list[object] = []

    @around_first
    async def impatient(event: Event, call_next: CallNext) -> None:
        await asyncio.wait_for(asyncio.shield(call_next(event)), 1)

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.middleware(impatient)
        nexus.default(lambda event: handled.append(event.type))
        nexus.on("open")(_keep_turn_open)

        @nexus.on_error(TimeoutError)
        async def late(failed: object, queue: EventQueue) -> None:
            await queue.put(Event(3, "open", 0, None))

        @nexus.on("first")
        async def slow(event: Event, queue: EventQueue) -> None:
            await asyncio.sleep(2)
            with pytest.raises(BadCall) as caught:
                await queue.put(Event(2, "second", 0, None))
            refused.append(str(caught.value))

    play(prepare, lambda nexus: nexus.ingest(FIRST))
    (text,) = refused
    assert text == (
        "event 2 of type second was put in an attempt at event 1 of type first that outlived its middleware: "
        "have that await `call_next`, or ingest the event"
    )
    assert handled == []


def test_an_attempt_that_outlives_its_middleware_says_that_what_it_put_is_lost() -> None:
    """M3: `call_next` raises it in the task that the middleware left behind."""
    tasks: list[asyncio.Task[None]] = []

    @around_first
    async def forgetful(event: Event, call_next: CallNext) -> None:
        async def attempt() -> None:
            await call_next(event)

        tasks.append(asyncio.create_task(attempt()))
        await asyncio.sleep(1)

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.middleware(forgetful)

        @nexus.on("first")
        async def slow(event: Event, queue: EventQueue) -> None:
            await queue.put(Event(2, "second", 0, None))
            await asyncio.sleep(2)

    async def use(nexus: AsyncEventNexus) -> None:
        await nexus.ingest(FIRST)
        with pytest.raises(BadCall, match="event 2 of type second was put in an attempt"):
            await tasks[0]

    play(prepare, use)


def test_call_next_is_refused_once_the_middleware_has_ended() -> None:
    """M3: also where its turn goes on."""
    kept: list[CallNext] = []
    refused: list[str] = []

    @around_first
    async def keep(event: Event, call_next: CallNext) -> None:
        kept.append(call_next)
        await call_next(event)

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.middleware(keep)
        nexus.on("first")(lambda event, queue: queue.put_nowait(Event(2, "second", 0, None)))

        @nexus.on("second")
        async def again(event: Event) -> None:
            with pytest.raises(BadCall) as caught:
                await kept[0](FIRST)
            refused.append(str(caught.value))

    play(prepare, lambda nexus: nexus.ingest(FIRST))
    (text,) = refused
    assert text == (
        "`call_next` was called after the middleware around event 1 of type first had ended: "
        "await it inside of the middleware"
    )


@pytest.mark.parametrize("inside", [(), (_leave_alone,), (log(),)], ids=["handlers", "middleware", "log"])
def test_call_next_takes_an_event(inside: tuple[Middleware, ...]) -> None:
    """M4: anything else is a `TypeError`, as of `ingest`."""

    @around_first
    async def forget_it(event: Event, call_next: CallNext) -> None:
        await call_next(None)  # type: ignore[arg-type] # what is tried

    def prepare(nexus: AsyncEventNexus) -> None:
        for each in (forget_it, *inside):
            nexus.middleware(each)

    with pytest.raises(TypeError, match="`call_next` is called with an Event, not None"):
        play(prepare, lambda nexus: nexus.ingest(FIRST))


def test_of_attempts_side_by_side_one_that_fails_drops_only_what_it_put() -> None:
    """M3: what the others put counts."""
    handled: list[int] = []

    @around_first
    async def both(event: Event, call_next: CallNext) -> None:
        await asyncio.gather(call_next(event), call_next(event), return_exceptions=True)

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.middleware(both)
        numbers = iter((2, 3))
        nexus.on("second")(lambda event: handled.append(event.id))

        @nexus.on("first")
        async def one_fails(event: Event, queue: EventQueue) -> None:
            number = next(numbers)
            await queue.put(Event(number, "second", 0, None))
            await asyncio.sleep(3 - number)
            if number == 2:
                raise OSError

    play(prepare, lambda nexus: nexus.ingest(FIRST))
    assert handled == [3]


def brew(_: Event) -> None:
    """Raise an error."""
    raise ValueError("brew")


def pour(_: Event) -> None:
    """Raise an error that is a group."""
    raise ExceptionGroup("pour", [ValueError("spilt")])


def test_of_several_handlers_errors_each_goes_to_its_own_error_handler() -> None:
    """F2, F3: middleware that lets the handlers' group through changes nothing; a handler's own group is one error."""
    told: list[tuple[str, str | None]] = []

    def tell(failed: FailedEvent) -> None:
        told.append((str(failed.error), failed.handler))

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.middleware(_leave_alone)
        nexus.on_error(ValueError, ExceptionGroup)(tell)
        nexus.on("first")(brew)
        nexus.on("first")(pour)

    play(prepare, lambda nexus: nexus.ingest(FIRST), multiple=True)
    assert told == [("brew", "brew"), ("pour (1 sub-exception)", "pour")]


def test_of_several_handlers_errors_those_without_an_error_handler_are_raised() -> None:
    """F5: the group that reaches who ingested has only those that nobody dealt with."""

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.middleware(_leave_alone)
        nexus.on_error(ExceptionGroup)(lambda failed: None)
        nexus.on("first")(brew)
        nexus.on("first")(pour)

    with pytest.raises(ValueError, match="brew"):
        play(prepare, lambda nexus: nexus.ingest(FIRST), multiple=True)


def test_a_group_that_middleware_makes_is_one_error() -> None:
    """M2: what the middleware raises fails the event, as it is, and no handler has raised it."""
    told: list[tuple[str, str | None]] = []

    @around_first
    async def regroup(event: Event, call_next: CallNext) -> None:
        try:
            await call_next(event)
        except ExceptionGroup as group:
            raise ExceptionGroup("regrouped", group.exceptions) from None

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.middleware(regroup)
        nexus.on_error(Exception)(lambda failed: told.append((str(failed.error), failed.handler)))
        nexus.on("first")(brew)
        nexus.on("first")(pour)

    play(prepare, lambda nexus: nexus.ingest(FIRST), multiple=True)
    assert told == [("regrouped (2 sub-exceptions)", None)]


def test_an_error_of_the_middleware_names_no_handler() -> None:
    """F1: none had raised it, though one had failed before."""
    told: list[str | None] = []

    @around_first
    async def translate(event: Event, call_next: CallNext) -> None:
        try:
            await call_next(event)
        except ValueError:
            raise LookupError from None

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.middleware(translate)
        nexus.on_error(LookupError)(lambda failed: told.append(failed.handler))
        nexus.on("first")(brew)

    play(prepare, lambda nexus: nexus.ingest(FIRST))
    assert told == [None]


@pytest.mark.parametrize("is_dealt_with", [False, True])
def test_what_an_attempt_raised_is_forgotten_with_its_event(is_dealt_with: bool) -> None:
    """T3: the error is part of no cycle, so that its traceback keeps nothing until garbage is collected."""
    gone: list[weakref.ref[BaseException]] = []

    class Boom(Exception):
        """What can be referred to weakly."""

    @around_first
    async def watched(event: Event, call_next: CallNext) -> None:
        try:
            await call_next(event)
        except Boom as error:
            gone.append(weakref.ref(error))
            if not is_dealt_with:
                raise

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.middleware(watched)

        @nexus.on("first")
        def fail(_: Event) -> None:
            raise Boom

    async def use(nexus: AsyncEventNexus) -> None:
        gc.disable()
        try:
            with contextlib.suppress(Boom):
                await nexus.ingest(FIRST)
            assert [each() for each in gone] == [None]
        finally:
            gc.enable()

    play(prepare, use)
