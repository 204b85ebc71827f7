"""Middleware and error handlers around filters and handlers: F1 to F5, M1 to M4."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC
from typing import Any

import pytest
from log_records import logged
from pydantic import BaseModel

from async_nexus import (
    AsyncEventNexus,
    BadCall,
    Event,
    EventQueue,
    HandlerConflict,
    InvalidHandler,
    InvalidPayload,
    UnhandledEvent,
)
from async_nexus.failures import FailedEvent
from async_nexus.middleware import (
    circuit_breaker,
    deduplicate,
    limit,
    log,
    opentelemetry,
    rate_limit,
    retry,
    timeout,
)
from async_nexus.plan import CallNext
from async_nexus.testing import run


class Teapot(BaseModel):
    """A payload."""

    temp: float


class Boom(Exception):
    """What handlers of these tests raise."""


class Bang(Boom):
    """A more specific one."""


def play(prepare: Callable[[AsyncEventNexus], None], use: Callable[[AsyncEventNexus], Awaitable[Any]]) -> Any:
    """Run a nexus that `prepare` has set up for as long as `use` takes."""

    async def main() -> Any:
        async with AsyncEventNexus() as nexus:
            prepare(nexus)
            nexus.start()
            return await use(nexus)

    return run(main())


def failing(nexus: AsyncEventNexus, error: Exception) -> None:
    """Register a handler of key 1 that puts a secondary event and raises."""

    @nexus.on(1)
    async def fails(event: Event, queue: EventQueue) -> None:
        queue.put_nowait(Event(2, "secondary", 0, None))
        raise error


def test_an_error_handler_is_told_what_failed_and_where() -> None:
    """F1: it gets event, error, the handler's name, an aware time and the attempt."""
    seen: list[FailedEvent] = []

    def prepare(nexus: AsyncEventNexus) -> None:
        failing(nexus, Boom("no"))
        nexus.on_error(Boom)(lambda failed: seen.append(failed))

    play(prepare, lambda nexus: nexus.emit(1, "x", id=7))
    (failed,) = seen
    assert (failed.event.id, failed.attempt, str(failed.error)) == (7, 1, "no")
    assert failed.handler is not None
    assert failed.handler.endswith("fails")
    assert failed.when.tzinfo is UTC


def test_one_that_returns_has_dealt_with_the_error() -> None:
    """F2: whoever ingested is not told, the failed handler's events are dropped, what the error handler puts counts."""
    order: list[object] = []

    def prepare(nexus: AsyncEventNexus) -> None:
        failing(nexus, Boom())
        nexus.default(lambda event: order.append(event.type))

        @nexus.on_error(Boom)
        async def deal(failed: FailedEvent, queue: EventQueue) -> None:
            await queue.put(Event(3, "instead", 0, None))

    play(prepare, lambda nexus: nexus.emit(1, None))
    assert order == ["instead"]


def test_one_that_raises_passes_on_what_it_raises() -> None:
    """F2, F3: whoever ingested gets it, and no other error handler does."""

    def prepare(nexus: AsyncEventNexus) -> None:
        failing(nexus, Boom())
        nexus.on_error(KeyError)(lambda failed: None)

        @nexus.on_error(Boom)
        def pass_on(failed: FailedEvent) -> None:
            raise KeyError("other") from failed.error

    with pytest.raises(KeyError, match="other"):
        play(prepare, lambda nexus: nexus.emit(1, None))


def test_the_most_specific_class_wins() -> None:
    """F3: the nearest in the error's method resolution order, whichever was registered first."""
    seen: list[str] = []

    def prepare(nexus: AsyncEventNexus) -> None:
        failing(nexus, Bang())
        for each in (Exception, Bang, Boom):
            nexus.on_error(each)(lambda failed, name=each.__name__: seen.append(name))

    play(prepare, lambda nexus: nexus.emit(1, None))
    assert seen == ["Bang"]


@pytest.mark.parametrize("takes_queue", [False, True], ids=["event", "event and queue"])
def test_a_secondary_event_that_fails_goes_to_the_error_handler(takes_queue: bool) -> None:
    """F1, T3: with its handler's name, as an ingested one does; what follows is handled."""
    seen: list[object] = []

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.on_error(Boom)(lambda failed: seen.append((failed.event.id, failed.handler.rpartition(".")[2])))

        @nexus.on(1)
        async def put(event: Event, queue: EventQueue) -> None:
            for number, key in [(2, "fails"), (3, "works")]:
                await queue.put(Event(number, key, 0, None))

        async def fail(event: Event) -> None:
            raise Boom

        async def fail_late(event: Event, queue: EventQueue) -> None:
            await queue.put(Event(4, "works", 0, None))
            raise Boom

        nexus.add_handler("fails", fail_late if takes_queue else fail)
        nexus.on("works")(lambda event: seen.append(event.id))

    play(prepare, lambda nexus: nexus.emit(1, None))
    assert seen == [(2, "fail_late" if takes_queue else "fail"), 3]


@pytest.mark.parametrize("key", [1, 2], ids=["ingested", "secondary"])
def test_the_queue_of_a_handler_that_failed_has_ended_when_its_error_handler_runs(key: int) -> None:
    """F2: a task that the handler left behind is told that what it puts would not be handled."""
    refused: list[BadCall] = []

    def prepare(nexus: AsyncEventNexus) -> None:
        queues: list[EventQueue] = []

        @nexus.on(2)
        async def put(event: Event, queue: EventQueue) -> None:
            await queue.put(Event(2, 1, 0, None))

        @nexus.on(1)
        async def fails(event: Event, queue: EventQueue) -> None:
            queues.append(queue)
            raise Boom

        @nexus.on_error(Boom)
        async def put_late(failed: FailedEvent) -> None:
            with pytest.raises(BadCall) as caught:
                queues[0].put_nowait(Event(2, 1, 0, None))
            refused.append(caught.value)

    play(prepare, lambda nexus: nexus.emit(key, None))
    assert len(refused) == 1


async def nothing() -> None:
    """Do nothing."""


async def fail(event: Event) -> None:
    """Raise, as handlers do."""
    raise Boom


def fail_alone(nexus: AsyncEventNexus, meanwhile: Callable[[], Awaitable[None]]) -> None:
    """Register a lone handler of key 1 that fails."""

    @nexus.on(1)
    async def fails(event: Event) -> None:
        await meanwhile()
        raise Boom


def fail_with_a_queue(nexus: AsyncEventNexus, meanwhile: Callable[[], Awaitable[None]]) -> None:
    """Register a lone handler of key 1 that takes a queue and fails."""

    @nexus.on(1)
    async def fails(event: Event, queue: EventQueue) -> None:
        await meanwhile()
        raise Boom


def fail_secondly(nexus: AsyncEventNexus, meanwhile: Callable[[], Awaitable[None]]) -> None:
    """Register a handler of key 1 that puts an event whose handler fails."""

    @nexus.on(1)
    async def put(event: Event, queue: EventQueue) -> None:
        await meanwhile()
        await queue.put(Event(2, 2, 0, None))

    nexus.on(2)(fail)


def fail_in_a_filter(nexus: AsyncEventNexus, meanwhile: Callable[[], Awaitable[None]]) -> None:
    """Register a filter that fails."""

    @nexus.filter
    async def fails(event: Event, queue: EventQueue) -> bool:
        if event.type != 1:
            return False
        await meanwhile()
        raise Boom

    nexus.on(1)(fail)


ways_to_fail = pytest.mark.parametrize("prepare", [fail_alone, fail_with_a_queue, fail_secondly, fail_in_a_filter])


@ways_to_fail
def test_an_error_is_logged_if_who_would_be_told_is_cancelled(
    prepare: Callable[[AsyncEventNexus, Callable[[], Awaitable[None]]], None], caplog: pytest.LogCaptureFixture
) -> None:
    """T3: while the turn waits for one that is nested in it, to raise it is not possible any more."""

    async def main() -> None:
        async with AsyncEventNexus[Any]() as nexus:
            nested: list[asyncio.Task[None]] = []

            @nexus.on("nested")
            async def last(event: Event) -> None:
                await asyncio.sleep(10)

            async def nest() -> None:
                nested.append(asyncio.create_task(nexus.emit("nested", None)))
                await asyncio.sleep(0)

            prepare(nexus, nest)
            nexus.start()
            task = asyncio.create_task(nexus.emit(1, None))
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await nested[0]

    run(main())
    (record,) = logged(caplog)
    assert record.exc_info is not None
    assert record.exc_info[0] is Boom


@ways_to_fail
@pytest.mark.parametrize("beside", ["nothing", "an error handler of another class", "a close watch"])
def test_what_was_raised_is_forgotten_with_its_event(
    prepare: Callable[[AsyncEventNexus, Callable[[], Awaitable[None]]], None], beside: str
) -> None:
    """T3: the error is part of no cycle, so that its traceback keeps nothing until garbage is collected."""

    async def use(nexus: AsyncEventNexus) -> None:
        for _ in range(2):  # the first one's way is longer
            gc.collect()
            gc.disable()
            try:
                with pytest.raises(Boom) as caught:
                    await nexus.emit(1, None)
                gone = weakref.ref(caught.value)
                del caught
                assert gone() is None
            finally:
                gc.enable()

    def prepare_all(nexus: AsyncEventNexus) -> None:
        prepare(nexus, nothing)
        if beside == "an error handler of another class":
            nexus.on_error(Bang)(lambda failed: None)
        elif beside == "a close watch":
            nexus._dispatch.watch(lambda note: None, closely=True)  # pyright: ignore[reportPrivateUsage] # as stats do

    play(prepare_all, use)


def test_several_that_were_raised_are_forgotten_with_their_events() -> None:
    """T3: neither is one of a group."""
    gone: list[weakref.ref[BaseException]] = []

    async def main() -> None:
        async with AsyncEventNexus[Any](multiple=True) as nexus:
            nexus.on(1)(fail)

            @nexus.on(1)
            async def fail_too(event: Event) -> None:
                raise Boom

            nexus.start()
            gc.disable()
            try:
                with pytest.raises(ExceptionGroup) as caught:
                    await nexus.emit(1, None)
                gone.extend(map(weakref.ref, caught.value.exceptions))
                del caught
                assert [each() for each in gone] == [None, None]
            finally:
                gc.enable()

    run(main())


def test_a_class_has_one_error_handler() -> None:
    """F3: a second raises `HandlerConflict`, and the other classes of that call are not registered either."""
    nexus = AsyncEventNexus()
    nexus.on_error(Boom)(lambda failed: None)
    with pytest.raises(HandlerConflict, match="Boom has an error handler"):
        nexus.on_error(KeyError, Boom)(lambda failed: None)
    nexus.on_error(KeyError)(lambda failed: None)


@pytest.mark.parametrize("classes", [(), (int,), (BaseException,), ("Boom",)])
def test_only_exception_classes_have_error_handlers(classes: Any) -> None:
    """F1, F5: anything else is refused before a handler is decorated."""
    with pytest.raises(TypeError, match="subclasses of Exception"):
        AsyncEventNexus().on_error(*classes)


@pytest.mark.parametrize("use_emit", [True, False])
@pytest.mark.parametrize("by_class", [True, False])
def test_an_invalid_payload_is_dealt_with_in_a_turn_of_its_own(use_emit: bool, by_class: bool) -> None:
    """F4: the error handler runs when no other turn is open, and what it puts is handled."""
    order: list[object] = []

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.declare(1, Teapot)

        @nexus.on("slow")
        async def slow(event: Event) -> None:
            await asyncio.sleep(1)
            order.append("slow")

        @nexus.on_error(InvalidPayload if by_class else Exception)
        def deal(failed: FailedEvent, queue: EventQueue) -> None:
            order.append((failed.event.payload, failed.handler))
            queue.put_nowait(Event(1, "after", 0, None))

        nexus.default(lambda event: order.append(event.type))

    async def use(nexus: AsyncEventNexus) -> None:
        slow = asyncio.create_task(nexus.emit("slow", None))
        await asyncio.sleep(0)
        await (nexus.emit(1, "bad") if use_emit else nexus.ingest(Event(1, 1, 0, "bad")))
        await slow

    play(prepare, use)
    assert order == ["slow", ("bad", None), "after"]


def test_an_unhandled_event_is_an_error_like_any_other() -> None:
    """F1: no handler was running."""
    seen: list[FailedEvent] = []
    play(
        lambda nexus: nexus.add_error_handler(UnhandledEvent, seen.append),
        lambda nexus: nexus.emit("nobody", None),
    )
    assert [failed.handler for failed in seen] == [None]


def test_a_cancellation_is_not_handled() -> None:
    """F5: it ends the turn as itself."""
    seen: list[FailedEvent] = []

    async def hang(event: Event) -> None:
        await asyncio.Event().wait()

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.on(1)(hang)
        nexus.add_error_handler(Exception, seen.append)

    async def use(nexus: AsyncEventNexus) -> None:
        task = asyncio.create_task(nexus.emit(1, None))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    play(prepare, use)
    assert seen == []


def tracing(order: list[str], name: str) -> Callable[[Event[Any], CallNext], Coroutine[Any, Any, None]]:
    """Make a middleware that notes when it begins and ends."""

    async def middleware(event: Event[Any], call_next: CallNext) -> None:
        order.append(f"{name} {event.type}")
        await call_next(event)
        order.append(f"/{name}")

    return middleware


READY = (circuit_breaker, deduplicate, limit, log, opentelemetry, rate_limit, retry, timeout)


async def _takes_an_event_alone(event: Event) -> None:
    """Stand for a middleware that cannot call on."""


@pytest.mark.parametrize("given", [3, *READY, _takes_an_event_alone])
def test_what_cannot_be_called_as_middleware_is_refused_at_registration(given: Any) -> None:
    """M1, D4: nothing is registered; a ready middleware has to be called with its settings."""
    nexus: AsyncEventNexus = AsyncEventNexus()
    with pytest.raises(InvalidHandler, match=r"\(event, call_next\)"):
        nexus.middleware(given)


def test_the_first_middleware_is_the_outermost_and_sees_secondary_events_too() -> None:
    """M1: each event is wrapped by all, in the order of registration; filters are inside."""
    order: list[str] = []

    def prepare(nexus: AsyncEventNexus) -> None:
        for name in "abc":
            nexus.middleware(tracing(order, name))

        @nexus.filter
        def sees(event: Event) -> bool:
            order.append("filter")
            return False

        @nexus.on(1)
        def first(event: Event, queue: EventQueue) -> None:
            order.append("first")
            queue.put_nowait(Event(2, 2, 0, None))

        nexus.on(2)(lambda event: order.append("second"))

    play(prepare, lambda nexus: nexus.emit(1, None))
    assert " ".join(order) == "a 1 b 1 c 1 filter first /c /b /a a 2 b 2 c 2 filter second /c /b /a"


def test_a_middleware_that_does_not_call_on_has_consumed_the_event() -> None:
    """M2: no filter and no handler runs, and nobody is told that it was unhandled."""

    async def consume(event: Event[Any], call_next: CallNext) -> None: ...

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.middleware(consume)

    play(prepare, lambda nexus: nexus.emit(1, None))


def test_errors_come_out_of_call_next_and_may_be_dealt_with_there() -> None:
    """M2: a middleware that returns after an error has dealt with it."""
    caught: list[Exception] = []

    async def catch(event: Event[Any], call_next: CallNext) -> None:
        try:
            await call_next(event)
        except Boom as error:
            caught.append(error)

    def prepare(nexus: AsyncEventNexus) -> None:
        failing(nexus, Boom())
        nexus.middleware(catch)

    play(prepare, lambda nexus: nexus.emit(1, None))
    assert len(caught) == 1


def test_an_attempt_that_failed_leaves_nothing_and_the_one_that_succeeded_counts() -> None:
    """M3: secondary events are those of the last attempt; the error handler would be told the attempt."""
    order: list[object] = []

    async def thrice(event: Event[Any], call_next: CallNext) -> None:
        for _ in range(2 if event.type == 1 else 0):
            with pytest.raises(Boom):
                await call_next(event)
        await call_next(event)

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.middleware(thrice)
        attempts = iter((1, 2, 3))

        @nexus.on(1)
        async def flaky(event: Event, queue: EventQueue) -> None:
            attempt = next(attempts)
            await queue.put(Event(attempt, "done", 0, None))
            if attempt < 3:
                raise Boom

        nexus.default(lambda event: order.append(event.id))

    play(prepare, lambda nexus: nexus.emit(1, None))
    assert order == [3]


def test_an_error_handler_is_told_the_last_attempt() -> None:
    """M3, F1: `attempt` counts the calls of `call_next`."""
    seen: list[FailedEvent] = []

    async def twice(event: Event[Any], call_next: CallNext) -> None:
        with pytest.raises(Boom):
            await call_next(event)
        await call_next(event)

    def prepare(nexus: AsyncEventNexus) -> None:
        failing(nexus, Boom())
        nexus.middleware(twice)
        nexus.add_error_handler(Boom, seen.append)

    play(prepare, lambda nexus: nexus.emit(1, None))
    assert [(failed.attempt, str(failed.handler).rpartition(".")[2]) for failed in seen] == [(2, "fails")]


def test_events_of_a_middleware_that_raises_are_dropped() -> None:
    """M3: also those of an attempt that succeeded."""
    order: list[object] = []

    async def spoil(event: Event[Any], call_next: CallNext) -> None:
        await call_next(event)
        raise Boom

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.middleware(spoil)

        @nexus.on(1)
        def puts(event: Event, queue: EventQueue) -> None:
            queue.put_nowait(Event(2, 2, 0, None))

        nexus.default(lambda event: order.append(event))

    with pytest.raises(Boom):
        play(prepare, lambda nexus: nexus.emit(1, None))
    assert order == []


def test_another_event_of_the_same_type_is_validated_and_another_type_refused() -> None:
    """M4: what `call_next` is given."""
    seen: list[object] = []

    async def change(event: Event[Any], call_next: CallNext) -> None:
        with pytest.raises(InvalidPayload):
            await call_next(Event(event.id, event.type, 0, "bad"))
        with pytest.raises(BadCall, match="put that"):
            await call_next(Event(event.id, "other", 0, None))
        await call_next(Event(event.id, event.type, 0, {"temp": 2}))

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.declare(1, Teapot)
        nexus.middleware(change)
        nexus.on(1)(lambda event: seen.append(event.payload))

    play(prepare, lambda nexus: nexus.emit(1, {"temp": 1}))
    assert seen == [Teapot(temp=2)]


def test_call_next_cannot_be_called_after_the_turn() -> None:
    """M2: a middleware that kept it gets `BadCall`."""
    kept: list[tuple[CallNext, Event[Any]]] = []

    async def keep(event: Event[Any], call_next: CallNext) -> None:
        kept.append((call_next, event))

    def prepare(nexus: AsyncEventNexus) -> None:
        nexus.middleware(keep)

    async def use(nexus: AsyncEventNexus) -> None:
        await nexus.emit(1, None)
        call_next, event = kept[0]
        with pytest.raises(BadCall, match="had ended"):
            await call_next(event)

    play(prepare, use)


def test_what_is_registered_late_is_used_and_cleanup_forgets_it() -> None:
    """M1, L5: lanes compiled before are compiled anew; `cleanup` forgets middleware and error handlers."""
    order: list[str] = []

    def prepare(nexus: AsyncEventNexus) -> None:
        @nexus.on(1)
        async def quiet(event: Event) -> None: ...

    async def use(nexus: AsyncEventNexus) -> AsyncEventNexus:
        await nexus.emit(1, None)
        nexus.middleware(tracing(order, "late"))
        await nexus.emit(1, None)
        return nexus

    nexus = play(prepare, use)
    assert order == ["late 1", "/late"]
    with pytest.raises(BadCall):
        nexus.middleware(tracing(order, "later"))
    with pytest.raises(BadCall):
        nexus.on_error(Boom)(lambda failed: None)
