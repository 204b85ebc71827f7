"""The queue that a handler is given: validation, its end, what becomes of what was put."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from async_nexus import AsyncEventNexus, BadCall, Event, EventQueue, InvalidPayload
from async_nexus.handler_queue import HandlerQueue, open_queue
from async_nexus.notes import Step
from async_nexus.testing import run


class Teapot(BaseModel):
    """A payload."""

    temp: int


class Boom(Exception):
    """What handlers of these tests raise."""


def event(id: int) -> Event[None]:
    """Make an event that is told apart by its id."""
    return Event(id, "brew", 0, None)


def handler_queue() -> HandlerQueue:
    """Make the queue of a handler, with validation that lets everything pass."""
    return open_queue({}, lambda event: event)


@pytest.mark.parametrize("touch", [False, True], ids=["fresh", "whole"])
def test_a_handlers_queue_validates_what_is_put(touch: bool) -> None:
    """V3: a payload is converted when it is put, and one that does not fit is refused there."""
    nexus = AsyncEventNexus()
    nexus.declare("brew", Teapot)
    queue = open_queue({}, nexus.catalog.validate)
    if touch:
        queue.full()
    queue.put_nowait(Event(1, "brew", 0, {"temp": 90}))
    with pytest.raises(InvalidPayload):
        queue.put_nowait(Event(2, "brew", 0, "cold"))
    assert queue.qsize() == 1
    assert queue.get_nowait().payload == Teapot(temp=90)


def test_the_error_points_into_the_handler() -> None:
    """V3: `InvalidPayload` for a secondary event is raised by the handler's own `put`, which may catch it."""

    async def main() -> list[int]:
        nexus = AsyncEventNexus()
        nexus.declare(2, Teapot)
        caught: list[int] = []

        @nexus.on(1)
        async def brew(event: Event, queue: EventQueue) -> None:
            try:
                await queue.put(Event(5, 2, 0, "cold"))
            except InvalidPayload as error:
                caught.append(error.event.id)

        async with nexus:
            nexus.start()
            await nexus.emit(1, None)
        return caught

    assert run(main()) == [5]


@pytest.mark.parametrize("touch", [False, True], ids=["fresh", "whole"])
async def test_a_closed_handlers_queue_refuses(touch: bool) -> None:
    """T3: once its handler has ended, `put` raises `BadCall`, which names the event and what to do."""
    queue = handler_queue()
    if touch:
        queue.full()
    queue.close()
    with pytest.raises(BadCall, match=r"event 3 of type 'brew' .* handler that has ended.*ingest the event"):
        await queue.put(event(3))
    with pytest.raises(BadCall):
        queue.put_nowait(event(3))
    assert queue.qsize() == 0


@pytest.mark.parametrize("touch", [False, True], ids=["fresh", "whole"])
def test_an_attribute_that_no_queue_has(touch: bool) -> None:
    """A misspelt name is an `AttributeError` on a handler's queue too."""
    queue = handler_queue()
    if touch:
        queue.full()
    with pytest.raises(AttributeError, match=r"'HandlerQueue'.*'puts'"):
        _ = queue.puts  # type: ignore[attr-defined] # that is the mistake


async def put_a_variable(queue: EventQueue, key: int) -> Event[Any]:
    """Put what one variable holds."""
    given = Event(1, key, 0, {"temp": 90})
    await queue.put(given)
    return given


async def put_by_a_partial(queue: EventQueue, key: int) -> Event[Any]:
    """Put by a callable that holds the event."""
    put = partial(queue.put, Event(1, key, 0, {"temp": 90}))
    await put()
    given: Event[Any] = put.args[0]
    return given


async def put_in_a_task(queue: EventQueue, key: int) -> Event[Any]:
    """Put in a task of its own."""
    given = Event(1, key, 0, {"temp": 90})
    await asyncio.create_task(queue.put(given))
    return given


async def put_from_a_list(queue: EventQueue, key: int) -> Event[Any]:
    """Put what only a list holds."""
    events = [Event(1, key, 0, {"temp": 90})]
    await queue.put(events[0])
    return events[0]


async def put_at_once(queue: EventQueue, key: int) -> Event[Any]:
    """Put without waiting."""
    given = Event(1, key, 0, {"temp": 90})
    queue.put_nowait(given)
    return given


ways_to_put = pytest.mark.parametrize(
    "put", [put_a_variable, put_by_a_partial, put_in_a_task, put_from_a_list, put_at_once]
)


@ways_to_put
@pytest.mark.parametrize("length", [1, 3], ids=["the first", "a later one"])
def test_an_event_that_somebody_has_is_never_altered(
    put: Callable[[EventQueue, int], Awaitable[Event[Any]]], length: int
) -> None:
    """V1: what is handled is another event where the payload changed; the one that was put stays as it was."""
    kept: list[Any] = []
    handled: list[Event[Any]] = []

    async def main() -> None:
        async with AsyncEventNexus[Any]() as nexus:

            @nexus.on(*range(length))
            async def pass_on(event: Event[Teapot], queue: EventQueue) -> None:
                given = await put(queue, int(event.type) + 1)
                kept.append(given.payload)

            @nexus.on(length)
            async def note(event: Event[Teapot]) -> None:
                handled.append(event)

            nexus.start()
            for _ in range(2):  # the first one's way is longer
                await nexus.emit(0, {"temp": 90})

    run(main())
    assert kept == [{"temp": 90}] * 2 * length
    assert [each.payload for each in handled] == [Teapot(temp=90)] * 2


@pytest.mark.parametrize("touch", [False, True], ids=["fresh", "whole"])
def test_an_event_that_nobody_has_is_handled_with_its_valid_payload(touch: bool) -> None:
    """V3: made in the call of `put`, it has the model as any other has."""
    handled: list[Event[Any]] = []

    async def main() -> None:
        async with AsyncEventNexus[Any]() as nexus:

            @nexus.on(1)
            async def pass_on(event: Event[None], queue: EventQueue) -> None:
                assert not touch or not queue.full()
                await queue.put(Event(7, 2, 3, {"temp": 90}))

            @nexus.on(2)
            async def note(event: Event[Teapot]) -> None:
                handled.append(event)

            nexus.start()
            for _ in range(2):
                await nexus.emit(1, None)

    run(main())
    assert handled == [Event(7, 2, 3, Teapot(temp=90))] * 2


def chain(*steps: Callable[[Event[int], EventQueue], Awaitable[None]]) -> None:
    """Run handlers one after another in one turn: each puts the event of the next."""

    async def main() -> None:
        async with AsyncEventNexus[Any]() as nexus:

            @nexus.on(*range(len(steps)))
            async def take(event: Event[int], queue: EventQueue) -> None:
                place = event.payload
                await steps[place](event, queue)
                if place + 1 < len(steps):
                    await queue.put(Event(event.id, place + 1, 0, place + 1))

            nexus.start()
            await nexus.emit(0, 0)

    run(main())


async def nothing(event: Event[int], queue: EventQueue) -> None:
    """Do nothing."""


WAYS_TO_KEEP: dict[str, Callable[[EventQueue], Callable[[Event[Any]], Awaitable[None]]]] = {
    "the queue": lambda queue: lambda event: queue.put(event),
    "its method": lambda queue: queue.put,
    "a call": lambda queue: partial(lambda call, _: call, queue.put(Event(1, 1, 0, 1))),
}


@pytest.mark.parametrize("keep", WAYS_TO_KEEP.values(), ids=WAYS_TO_KEEP)
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("touch", [False, True], ids=["fresh", "whole"])
def test_a_queue_that_is_kept_has_ended_with_its_handler(
    keep: Callable[[EventQueue], Callable[[Event[Any]], Awaitable[None]]], place: int, touch: bool
) -> None:
    """T3: whichever handler of a turn it was made for, `put` raises `BadCall` in those that come after it."""
    kept: list[Callable[[Event[Any]], Awaitable[None]]] = []
    refused: list[str] = []

    async def keep_it(event: Event[int], queue: EventQueue) -> None:
        assert not touch or not queue.full()
        kept.append(keep(queue))

    async def use_it(event: Event[int], queue: EventQueue) -> None:
        with pytest.raises(BadCall) as caught:
            await kept[0](event)
        refused.append(str(caught.value))

    steps = [nothing, nothing, nothing, use_it]
    steps[place] = keep_it
    chain(*steps)
    assert len(refused) == 1


@pytest.mark.parametrize("keepers", ["1011", "0110", "0011", "01010", "0010100"])
def test_each_handler_of_a_turn_has_a_queue_of_its_own_to_keep(keepers: str) -> None:
    """T3: none that is kept is given to a second handler, whichever of them keep theirs."""
    kept: list[EventQueue] = []

    async def keep(event: Event[int], queue: EventQueue) -> None:
        kept.append(queue)

    chain(*(keep if each == "1" else nothing for each in keepers), nothing)
    assert len(set(map(id, kept))) == keepers.count("1")


@pytest.mark.parametrize("touch", [False, True], ids=["fresh", "whole"])
def test_what_a_secondary_events_handler_put_before_it_raised_is_dropped(touch: bool) -> None:
    """T3: that of the handlers before and after it is handled, in the order of priority and arrival."""
    seen: list[str] = []

    async def main() -> None:
        async with AsyncEventNexus[Any]() as nexus:

            @nexus.default
            async def note(event: Event[Any], queue: EventQueue) -> None:
                seen.append(str(event.type))
                assert not touch or not queue.full()
                for each in ("d", "a", "b", "c") if event.type == "start" else ():
                    await queue.put(Event(1, each, int(each == "d"), None))
                if event.type in ("a", "b"):
                    await queue.put(Event(1, f"{event.type} put", 0, None))
                if event.type == "b":
                    raise Boom

            nexus.start()
            with pytest.raises(Boom):
                await nexus.emit("start", None)

    run(main())
    assert seen == ["start", "a", "b", "c", "a put", "d"]


def test_what_a_handler_takes_back_is_not_handled() -> None:
    """T3: its queue is an `asyncio.Queue`, also where handlers before it had the same one."""
    taken: list[int] = []

    async def take_back(event: Event[int], queue: EventQueue) -> None:
        await queue.put(Event(9, 0, 0, 0))
        taken.append(queue.get_nowait().id)

    chain(nothing, nothing, take_back, nothing)
    assert taken == [9]


@pytest.mark.parametrize("number", [0, 1, 2, 3])
@pytest.mark.parametrize("place", [0, 1], ids=["the first", "a later one"])
def test_a_queue_that_is_kept_still_shows_what_was_put(number: int, place: int) -> None:
    """T3: its events have been taken for handling, the queue has only ended."""
    kept: list[EventQueue] = []
    sizes: list[int] = []

    async def main() -> None:
        async with AsyncEventNexus[Any]() as nexus:

            @nexus.on(0)
            async def begin(event: Event, queue: EventQueue) -> None:
                await queue.put(Event(1, 1, 0, None))

            @nexus.on(1)
            async def keep(event: Event, queue: EventQueue) -> None:
                kept.append(queue)
                for _ in range(number):
                    await queue.put(Event(2, 2, 0, None))

            @nexus.on(2)
            async def look(event: Event) -> None:
                sizes.append(kept[0].qsize())

            nexus.start()
            await nexus.emit(1 - place, None)

    run(main())
    assert kept[0].qsize() == number
    assert sizes == [number] * number


@pytest.mark.parametrize("touch", [False, True], ids=["fresh", "whole"])
def test_what_was_put_is_told_in_the_order_of_arrival(touch: bool) -> None:
    """T1: whoever watches sees events as they were put, also where another order is due to their priorities."""
    told: list[int] = []

    async def main() -> None:
        async with AsyncEventNexus[Any]() as nexus:

            @nexus.on(1)
            async def put(event: Event, queue: EventQueue) -> None:
                assert not touch or not queue.full()
                for number in (7, 8, 9):
                    await queue.put(Event(number, 2, -number, None))

            nexus.on(2)(lambda event: None)
            nexus.watch(lambda note: told.append(note.event.id) if note.step is Step.PUT else None)
            nexus.start()
            await nexus.emit(1, None)

    run(main())
    assert told == [7, 8, 9]


def test_an_attribute_that_was_looked_for_in_vain_loses_nothing() -> None:
    """A handler's queue answers as any object: also for what the generic class sets on instances."""
    queue = handler_queue()
    queue.put_nowait(event(1))
    assert not hasattr(queue, "__orig_class__")
    assert queue.qsize() == 1
    assert not hasattr(queue, "__orig_class__")
    assert [each.id for each in queue.close()] == [1]
