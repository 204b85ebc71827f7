"""The nexus as its users see it: registration, ingest and turns."""

import asyncio
import contextvars
import enum
import itertools
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from async_nexus import (
    AsyncEventNexus,
    BadCall,
    Event,
    EventConsumer,
    EventFactory,
    EventQueue,
    HandlerConflict,
    InvalidHandler,
    InvalidPayload,
    LoopStopped,
    NamedEvent,
    NotStarted,
    SimpleEventConverter,
    UnhandledEvent,
)
from async_nexus.testing import run


class Teapot(BaseModel):
    temp: int


class TeapotEvent(NamedEvent[Teapot], type=99):
    pass


class Treacle(NamedEvent[str]):
    pass


class Key(enum.IntEnum):
    BREW = 7


def event(key: int | str = 99, payload: object = None, *, id: int = 1, priority: int = 0) -> Event[Any]:
    """Make an event of a key."""
    return Event(id, key, priority, payload)


def started() -> AsyncEventNexus:
    """Make a nexus that takes events."""
    nexus = AsyncEventNexus()
    nexus.start()
    return nexus


# D1, D2, E4


async def test_order_of_dispatch() -> None:
    """D1: filters, the key's handler, the range's, the default one, else `UnhandledEvent`."""
    nexus, order = started(), list[object]()

    @nexus.filter
    def consume(event: Event) -> bool:
        order.append("filter")
        return bool(event.payload == "consumed")

    nexus.on(1)(lambda e: order.append("key"))
    nexus.on((1, 5))(lambda e: order.append("range"))
    with pytest.raises(UnhandledEvent, match="event 1 of type 'x'"):
        await nexus.ingest(event("x"))
    nexus.default(lambda e: order.append("default"))
    for each in (event(1), event(2), event("x"), event(1, "consumed")):
        await nexus.ingest(each)
    assert order == ["filter", "filter", "key", "filter", "range", "filter", "default", "filter"]


async def test_secondary_events_are_dispatched_alike() -> None:
    """D2: a filter consumes them too, and without a handler they are unhandled."""
    nexus = started()
    nexus.add_filter(lambda e: e.type == "consumed")
    nexus.add_handler(1, lambda e, q: q.put_nowait(event("consumed")))
    nexus.add_handler(2, lambda e, q: q.put_nowait(event("unknown")))
    await nexus.ingest(event(1))
    with pytest.raises(UnhandledEvent, match="unknown"):
        await nexus.ingest(event(2))


def test_a_nexus_is_an_event_factory() -> None:
    """E4: with a count of its own."""
    nexus = AsyncEventNexus()
    assert isinstance(nexus, EventFactory)
    assert [nexus.next_id(), nexus.create_event("x", event_type=5).id, AsyncEventNexus().next_id()] == [1, 2, 1]
    assert type(nexus.create_event(Teapot(temp=1), event_type=TeapotEvent)) is TeapotEvent


# D4, D5, D6


@pytest.mark.parametrize(
    "registered, hits, misses",
    [
        ((99,), [99], ["99", 98]),
        ((98, "x"), [98, "x"], [99]),
        ((Key.BREW,), [7], ["BREW"]),
        (((100, 102),), [100, 102], [99, 103]),
        ((range(200, 300),), [200, 299], [199, 300]),
        ((range(0, 10, 5), "y", (20, 20)), [0, 5, "y", 20], [1, 10, 21]),
        ((-1,), [1, -1, "any"], []),
    ],
)
async def test_what_on_takes(registered: tuple[Any, ...], hits: list[Any], misses: list[Any]) -> None:
    """D4: keys, pairs with both ends, Python's ranges, mixed; -1 is the default."""
    nexus, seen = started(), list[object]()
    nexus.on(*registered)(lambda e: seen.append(e.type))
    for key in hits:
        await nexus.ingest(event(key))
    assert seen == hits
    for key in misses:
        with pytest.raises(UnhandledEvent):
            await nexus.ingest(event(key))


async def test_on_takes_event_classes() -> None:
    """D4: one or several; they do not mix with plain keys."""
    nexus, seen = started(), list[object]()
    nexus.on(TeapotEvent, Treacle)(lambda e: seen.append(type(e)))
    await nexus.ingest(event(99, {"temp": 5}))
    await nexus.ingest(event("Treacle", "syrup"))
    assert seen == [TeapotEvent, Treacle]
    with pytest.raises(TypeError, match="do not mix"):
        nexus.on(TeapotEvent, 98)  # type: ignore[call-overload] # that is it
    with pytest.raises(TypeError, match="at least one event type"):
        nexus.on()  # type: ignore[call-overload] # that is it


def test_decorators_return_the_function_itself() -> None:
    """D4: so they stack."""
    nexus = AsyncEventNexus()

    def handler(event: Event) -> None: ...

    def consume(event: Event) -> bool:
        return False

    assert nexus.on(98)(nexus.on(range(5))(nexus.default(handler))) is handler
    assert nexus.filter(consume) is consume


@pytest.mark.parametrize("key", [True, 1.5, None, b"x", ("a", "b"), (1, 2, 3), (1, True), [1]])
def test_what_is_no_key(key: Any) -> None:
    """D4, E3: `TypeError`, unhashable ones included."""
    for register in (AsyncEventNexus().on, lambda k: AsyncEventNexus().add_handler(k, print)):
        with pytest.raises(TypeError, match="not"):
            register(key)


@pytest.mark.parametrize("keys", [(5, 1), range(0), range(5, 1), range(5, 1, -1)])
def test_ranges_that_hold_nothing_or_step_down(keys: Any) -> None:
    """D5: `ValueError` when `on` is called."""
    with pytest.raises(ValueError, match="range of event types"):
        AsyncEventNexus().on(keys)


@pytest.mark.parametrize(
    "first, second",
    [(99, 99), (99, TeapotEvent), (-1, -1), ((1, 5), range(5, 9)), (range(0, 9, 3), range(3, 100, 5)), (Key.BREW, 7)],
)
def test_one_handler_a_key(first: Any, second: Any) -> None:
    """D5: a second one is a `HandlerConflict`, a `LookupError` that names what is taken."""
    nexus = AsyncEventNexus()
    nexus.add_handler(first, lambda e: None)
    with pytest.raises(HandlerConflict, match="has a handler already") as raised:
        nexus.add_handler(second, lambda e: None)
    assert isinstance(raised.value, LookupError)


@pytest.mark.parametrize("first, second", [(99, "99"), (99, (90, 100)), (range(0, 9, 2), range(1, 9, 2)), (99, -1)])
def test_what_is_no_conflict(first: Any, second: Any) -> None:
    """D5: different keys, a key in a range, ranges that share none."""
    nexus = AsyncEventNexus()
    nexus.add_handler(first, lambda e: None)
    nexus.add_handler(second, lambda e: None)


@pytest.mark.parametrize("key", [99, (90, 100), -1])
async def test_several_handlers_a_key(key: Any) -> None:
    """D5: `multiple` runs all of the key's, or of its ranges', or the default ones."""
    nexus, order = AsyncEventNexus(multiple=True), list[int]()
    nexus.start()
    nexus.add_handler(key, lambda e: order.append(0))
    nexus.add_handler(key, lambda e: order.append(1))
    nexus.add_handler(key, lambda e: order.append(2))
    await nexus.ingest(event(99))
    assert order == [0, 1, 2]


async def test_a_registration_that_raises_has_registered_nothing() -> None:
    """D5: neither the keys before the one that failed, nor their claims."""
    nexus = started()
    nexus.add_handler(2, lambda e: None)

    def handler(event: Event[int]) -> None: ...

    with pytest.raises(HandlerConflict):
        nexus.on(1, 2)(handler)
    with pytest.raises(InvalidHandler):
        nexus.on(3)(lambda: None)  # type: ignore[call-overload] # that is it
    assert not nexus.catalog
    for key in (1, 3):
        with pytest.raises(UnhandledEvent):
            await nexus.ingest(event(key))


class Own(Exception):
    """An error of user code."""


@pytest.mark.parametrize("error", [KeyError(99), Own(), AttributeError("x"), UnhandledEvent(event()), BadCall()])
@pytest.mark.parametrize("place", ["handler", "queue handler", "filter", "consumer"])
async def test_errors_of_user_code_stay_what_they_are(error: Exception, place: str) -> None:
    """D6: the very same object arrives at the ingester."""
    nexus = started()

    def fail(e: Event) -> Any:
        raise error

    async def fail_later(e: Event, q: EventQueue) -> None:
        await asyncio.sleep(0)
        raise error

    class Failing(EventConsumer):
        async def handle(self, event: Event, queue: EventQueue, /) -> None:
            raise error

    if place == "filter":
        nexus.add_filter(fail)
    else:
        handlers: dict[str, Any] = {"handler": fail, "queue handler": fail_later, "consumer": Failing()}
        nexus.default(handlers[place])
    with pytest.raises(type(error)) as raised:
        await nexus.ingest(event())
    assert raised.value is error


async def test_stop_iteration_is_turned_by_python() -> None:
    """D6: a coroutine cannot raise it; the line is free again."""
    nexus = started()
    nexus.add_handler(1, lambda e: next(iter(())))
    nexus.add_handler(2, lambda e: None)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await nexus.ingest(event(1))
    await nexus.ingest(event(2))


# Turns


def test_turns_run_one_at_a_time() -> None:
    """T1: by priority, then arrival; secondary events belong to the turn."""

    async def main() -> list[object]:
        nexus, order = started(), list[object]()

        @nexus.on(1)
        async def handle(e: Event, queue: EventQueue) -> None:
            order.append(e.payload)
            await queue.put(event(2, f"{e.payload}2"))
            await asyncio.sleep(1)

        @nexus.on(2)
        async def secondary(e: Event) -> None:
            order.append(e.payload)
            await asyncio.sleep(1)
            order.append("over")

        events = [event(1, "a"), event(1, "b", priority=1), event(1, "c", priority=-1), event(1, "d", priority=1)]
        await asyncio.gather(*map(nexus.ingest, events))
        return order

    expected = list(itertools.chain(*([name, f"{name}2", "over"] for name in "acbd")))
    assert run(main()) == expected


async def test_ingest_returns_when_all_that_follows_is_handled() -> None:
    """T1: secondary events of secondary events included."""
    nexus, seen = started(), list[object]()

    @nexus.on(1)
    async def count_down(e: Event, queue: EventQueue) -> None:
        seen.append(e.payload)
        if e.payload:
            await asyncio.sleep(0)
            await queue.put(event(1, e.payload - 1))

    await nexus.ingest(event(1, 3))
    assert seen == [3, 2, 1, 0]


async def test_the_turn_runs_in_the_task_that_ingests() -> None:
    """T2: with its context variables, in both directions, and its traceback."""
    nexus = started()
    variable = contextvars.ContextVar("variable", default="unset")

    @nexus.on(1)
    async def handler(e: Event) -> None:
        assert asyncio.current_task() is task
        assert variable.get() == "of the ingester"
        variable.set("of the handler")

    @nexus.on(2)
    async def culprit(e: Event) -> None:
        raise Own

    task = asyncio.current_task()
    variable.set("of the ingester")
    await nexus.ingest(event(1))
    assert variable.get() == "of the handler"
    with pytest.raises(Own) as raised:
        await nexus.ingest(event(2))
    names = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert names[0] == "test_the_turn_runs_in_the_task_that_ingests"
    assert names[-1] == "culprit"


async def test_an_idle_nexus_has_only_its_loop_task() -> None:
    """T2: there is no dispatcher task."""
    before = asyncio.all_tasks()
    nexus = started()
    nexus.default(lambda e: None)
    await nexus.ingest(event())
    assert [task.get_name() for task in asyncio.all_tasks() - before] == ["async_nexus loop"]


@pytest.mark.parametrize("fails", [True, False])
async def test_secondary_events_count_if_the_handler_succeeds(fails: bool) -> None:
    """T3: those of one that raised are dropped with it."""
    nexus, seen = started(), list[object]()

    @nexus.on(1)
    async def handler(e: Event, queue: EventQueue) -> None:
        await queue.put(event(2))
        if fails:
            raise Own

    nexus.add_handler(2, lambda e: seen.append(e.type))
    if fails:
        with pytest.raises(Own):
            await nexus.ingest(event(1))
    else:
        await nexus.ingest(event(1))
    assert seen == ([] if fails else [2])


async def test_the_rest_of_the_turn_goes_on() -> None:
    """T3: several failures are one flat group; a handler's own group is one member of it."""
    nexus, seen = started(), list[object]()
    own = ExceptionGroup("of a handler", [ValueError(), TypeError()])

    @nexus.on(1)
    async def handler(e: Event, queue: EventQueue) -> None:
        for key in (2, 3, 4):
            await queue.put(event(key))

    @nexus.on(2, 3)
    async def fail(e: Event) -> None:
        seen.append(e.type)
        raise own if e.type == 2 else Own

    nexus.add_handler(4, lambda e: seen.append(e.type))
    with pytest.raises(ExceptionGroup) as raised:
        await nexus.ingest(event(1))
    assert seen == [2, 3, 4]
    assert raised.value.exceptions[0] is own
    assert [type(each) for each in raised.value.exceptions] == [ExceptionGroup, Own]


async def test_a_queue_ends_with_its_handler() -> None:
    """T3: what a task that kept it puts later is a `BadCall`, whether the turn is open or not."""
    nexus, queues = started(), list[EventQueue]()

    @nexus.on(1)
    async def keep(e: Event, queue: EventQueue) -> None:
        queues.append(queue)
        await queue.put(event(2))

    @nexus.on(2)
    async def put_on_kept(e: Event) -> None:
        await queues[0].put(event(3))

    with pytest.raises(BadCall, match="handler that has ended"):
        await nexus.ingest(event(1))
    with pytest.raises(BadCall, match="handler that has ended"):
        queues[0].put_nowait(event(3))
    await EventQueue[Any]().put(event(3))


class Fatal(BaseException):
    """Neither an `Exception` nor one that an event loop treats in a way of its own."""


@pytest.mark.parametrize("error", [Fatal, asyncio.CancelledError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("with_queue", [True, False])
def test_base_exceptions_end_the_turn(error: type[BaseException], with_queue: bool) -> None:
    """T3: at once, as themselves; secondary events are not handled, and the line is free."""

    async def main() -> None:
        nexus, seen = started(), list[object]()

        def fail(e: Event) -> None:
            raise error

        def fail_with_queue(e: Event, queue: EventQueue) -> None:
            queue.put_nowait(event(2))
            raise error

        nexus.default(fail_with_queue if with_queue else fail)
        nexus.add_handler(2, lambda e: seen.append(2))
        nexus.add_handler(3, lambda e: seen.append(3))
        with pytest.raises(error):
            await nexus.ingest(event(1))
        await nexus.ingest(event(3))
        assert seen == [3]

    run(main())


@pytest.mark.parametrize("with_queue", [True, False])
def test_a_cancelled_turn_does_not_wait_for_nested_ones(with_queue: bool) -> None:
    """T3, T5: the ingest ends at once; what is nested in it goes on, and keeps the line until it is done."""

    async def main() -> None:
        nexus, loop = started(), asyncio.get_running_loop()
        nested = list[asyncio.Task[None]]()

        async def handle(e: Event) -> None:
            nested.append(asyncio.create_task(nexus.ingest(event(2))))
            await asyncio.sleep(100)

        async def handle_with_queue(e: Event, queue: EventQueue) -> None:
            await handle(e)

        nexus.default(handle_with_queue if with_queue else handle)
        nexus.add_handler(2, lambda e: asyncio.sleep(10))
        nexus.add_handler(3, lambda e: None)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await nexus.ingest(event(1))
        assert loop.time() == 1
        await nexus.ingest(event(3))
        assert loop.time() == 10
        assert nested[0].done()

    run(main())


async def test_nested_ingest_is_handled_at_once() -> None:
    """T4: its secondary events before it returns, its errors are the handler's to catch."""
    nexus, order = started(), list[object]()

    @nexus.on(1)
    async def outer(e: Event, queue: EventQueue) -> None:
        await queue.put(event(4))
        await nexus.ingest(event(2))
        order.append(1)
        with pytest.raises(Own):
            await nexus.ingest(event(5))

    @nexus.on(2)
    async def inner(e: Event, queue: EventQueue) -> None:
        await queue.put(event(3))
        order.append(2)

    nexus.add_handler(3, lambda e: order.append(3))
    nexus.add_handler(4, lambda e: order.append(4))

    @nexus.on(5)
    async def fail(e: Event) -> None:
        raise Own

    await nexus.ingest(event(1))
    assert order == [2, 3, 1, 4]


@pytest.mark.parametrize("with_queue", [True, False])
def test_a_turn_ends_when_its_nested_ingests_have(with_queue: bool) -> None:
    """T4: also those of tasks that the handler did not wait for, and when it raised."""

    async def main() -> None:
        nexus, loop = started(), asyncio.get_running_loop()
        nested = list[asyncio.Task[None]]()

        async def handle(e: Event) -> None:
            nested.append(asyncio.create_task(nexus.ingest(event(2))))
            await asyncio.sleep(0)
            if e.payload:
                raise Own

        async def handle_with_queue(e: Event, queue: EventQueue) -> None:
            await handle(e)

        nexus.default(handle_with_queue if with_queue else handle)
        nexus.add_handler(2, lambda e: asyncio.sleep(10))
        await nexus.ingest(event(1))
        assert loop.time() == 10
        with pytest.raises(Own):
            await nexus.ingest(event(1, "fails"))
        assert loop.time() == 20

    run(main())


def test_an_ingest_cancelled_while_it_waits_for_nested_ones() -> None:
    """T5, T4: its handler has ended; it ends cancelled at once, and the line waits for what is nested."""

    async def main() -> None:
        nexus, loop = started(), asyncio.get_running_loop()
        nested = list[asyncio.Task[None]]()

        @nexus.on(1)
        async def leave(e: Event) -> None:
            nested.append(asyncio.create_task(nexus.ingest(event(2))))
            await asyncio.sleep(0)

        nexus.add_handler(2, lambda e: asyncio.sleep(10))
        nexus.add_handler(3, lambda e: None)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await nexus.ingest(event(1))
        assert loop.time() == 1
        await nexus.ingest(event(3))
        assert loop.time() == 10
        assert nested[0].done()

    run(main())


def test_a_task_that_outlives_the_turn_waits_for_its_own() -> None:
    """T4: like anyone else; so does a source that was registered in a handler."""

    async def main() -> None:
        nexus, order, late = started(), list[object](), list[asyncio.Task[None]]()

        class Once(SimpleEventConverter):
            async def obtain_event(self) -> Event:
                if order.count("source"):
                    await asyncio.sleep(1000)
                return event(3, "source")

        async def later() -> None:
            await asyncio.sleep(1)
            await nexus.ingest(event(3, "late"))

        @nexus.on(1)
        async def leave(e: Event) -> None:
            late.append(asyncio.create_task(later()))
            nexus.register(Once())

        @nexus.on(2)
        async def busy(e: Event) -> None:
            await asyncio.sleep(10)
            order.append("busy")

        nexus.add_handler(3, lambda e: order.append(e.payload))
        await asyncio.sleep(0)
        await nexus.ingest(event(1))
        await nexus.ingest(event(2))
        await late[0]
        assert order == ["busy", "source", "late"]

    run(main())


def test_an_ingest_cancelled_while_it_waits() -> None:
    """T5: its event is not handled; the others are, in their order."""

    async def main() -> None:
        nexus, seen = started(), list[int]()

        @nexus.default
        async def handle(e: Event) -> None:
            await asyncio.sleep(1)
            seen.append(e.id)

        tasks = [asyncio.create_task(nexus.ingest(event(id=number))) for number in range(4)]
        await asyncio.sleep(0.5)
        tasks[1].cancel()
        tasks[2].cancel()
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [False, True, True, False]
        assert seen == [0, 3]

    run(main())


def test_an_ingest_cancelled_in_its_turn() -> None:
    """T5: the handler is cancelled, and the next one has its turn."""

    async def main() -> None:
        nexus, seen = started(), list[object]()

        @nexus.default
        async def handle(e: Event) -> None:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise
            seen.append(e.id)

        tasks = [asyncio.create_task(nexus.ingest(event(id=number))) for number in range(2)]
        await asyncio.sleep(1)
        tasks[0].cancel()
        await asyncio.wait(tasks)
        assert seen == ["cancelled", 1]
        assert asyncio.get_running_loop().time() == 11

    run(main())


def test_whoever_ingests_waits() -> None:
    """T6: a burst is taken at the handler's pace; a handler that puts never waits."""

    async def main() -> None:
        nexus, loop = started(), asyncio.get_running_loop()

        @nexus.on(1)
        async def handle(e: Event, queue: EventQueue) -> None:
            for _ in range(1000):
                await queue.put(event(2))
            assert loop.time() == e.payload
            await asyncio.sleep(1)

        nexus.add_handler(2, lambda e: None)
        for number in range(3):
            await nexus.ingest(event(1, number))
        assert loop.time() == 3

    run(main())


async def test_emit_creates_validates_and_ingests() -> None:
    """T7: of a key or a class, with an id from the count, a drawn one or a given one."""
    nexus, seen = started(), list[Event]()
    nexus.on(TeapotEvent)(seen.append)
    nexus.add_handler("x", seen.append)
    await nexus.emit(99, {"temp": 5})
    await nexus.emit(TeapotEvent, Teapot(temp=6), id=77, priority=3)
    await nexus.emit("x", None, id=EventFactory.RANDOM)
    await nexus.emit("x", None, id=EventFactory.AUTO)
    assert seen[0] == TeapotEvent(id=1, payload=Teapot(temp=5))
    assert seen[1] == TeapotEvent(id=77, priority=3, payload=Teapot(temp=6))
    assert seen[2].id > 1000
    assert seen[3].id == 2
    with pytest.raises(InvalidPayload, match="temp"):
        await nexus.emit(99, {"temp": "warm"})
    assert len(seen) == 4


def test_emits_priority_counts() -> None:
    """T7, T1: as that of an ingested event."""

    async def main() -> None:
        nexus, order = started(), list[object]()

        @nexus.default
        async def handle(e: Event) -> None:
            order.append(e.payload)
            await asyncio.sleep(1)

        await asyncio.gather(*(nexus.emit(1, p, priority=p) for p in (5, 3, 1, 2)))
        assert order == [5, 1, 2, 3]

    run(main())


@pytest.mark.parametrize("state", ["READY", "STOPPED"])
async def test_state_comes_before_validation(state: str) -> None:
    """L1: before the start and after the end the payload does not matter."""
    nexus = AsyncEventNexus()
    nexus.declare(99, int)
    if state == "STOPPED":
        nexus.stop()
    expected = NotStarted if state == "READY" else LoopStopped
    calls: list[Callable[[], Any]] = [lambda: nexus.ingest(event(99, "x")), lambda: nexus.emit(99, "x")]
    for call in calls:
        with pytest.raises(expected):
            await call()


def test_claims_are_declared_by_key_or_class() -> None:
    """C1: a key needs its payload, and anything else is refused."""
    nexus = AsyncEventNexus()
    nexus.declare(5, int)
    nexus.declare(TeapotEvent, Treacle)
    assert set(nexus.catalog) == {5, 99, "Treacle"}
    with pytest.raises(TypeError, match="declare a key with its payload"):
        nexus.declare(5)  # type: ignore[call-overload] # that is it
    with pytest.raises(TypeError, match="declare a key with its payload"):
        nexus.declare()  # type: ignore[call-overload] # that is it
    wrongs: list[Any] = [int, NamedEvent, Event, object()]
    for wrong in wrongs:
        with pytest.raises(TypeError, match="named event class is expected"):
            nexus.declare(wrong)
