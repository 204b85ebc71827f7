"""The queue that a handler puts secondary events on: priority order, validation, its end."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from async_nexus import AsyncEventNexus, Event, EventQueue
from async_nexus.handler_queue import HandlerQueue, open_queue
from async_nexus.testing import run


class Teapot(BaseModel):
    temp: int


def event(id: int, priority: int = 0) -> Event[None]:
    """Make an event that is told apart by its id."""
    return Event(id, "brew", priority, None)


def handler_queue() -> HandlerQueue:
    """Make the queue of a handler, with validation that lets everything pass."""
    return open_queue({}, lambda event: event)


def drain(queue: EventQueue) -> list[int]:
    """Get all there is, by id."""
    return [queue.get_nowait().id for _ in range(queue.qsize())]


@given(st.lists(st.integers(-3, 3)))
def test_order_is_priority_then_arrival(priorities: list[int]) -> None:
    """T1: the lowest `priority` first, and what arrived first among equals, as a stable sort has it."""
    queue = EventQueue()
    for place, priority in enumerate(priorities):
        queue.put_nowait(event(place, priority))
    assert drain(queue) == sorted(range(len(priorities)), key=priorities.__getitem__)


@given(st.lists(st.integers(-3, 3)), st.lists(st.integers(-3, 3)))
def test_a_handlers_queue_has_the_same_order(before: list[int], after: list[int]) -> None:
    """T1: also for what a handler put before it first asked its queue for anything else than room."""
    queue = handler_queue()
    for place, priority in enumerate(before):
        queue.put_nowait(event(place, priority))
    assert not queue.full()
    for place, priority in enumerate(after, len(before)):
        queue.put_nowait(event(place, priority))
    priorities = before + after
    assert drain(queue) == sorted(range(len(priorities)), key=priorities.__getitem__)


@pytest.mark.parametrize("make", [EventQueue, handler_queue])
def test_it_takes_the_keywords_of_its_base(make: Any) -> None:
    """An `EventQueue` is an `asyncio.Queue`: what is put may be named, as there."""

    async def main() -> None:
        queue: asyncio.Queue[Event[Any]] = make()
        await queue.put(item=event(1))
        queue.put_nowait(item=event(2))
        assert [(await queue.get()).id, queue.get_nowait().id] == [1, 2]

    run(main())


@pytest.mark.parametrize("make", [EventQueue, handler_queue])
def test_it_knows_its_size(make: Any) -> None:
    """An `EventQueue` is an `asyncio.Queue`: `qsize` and `empty` follow what is put and got."""
    queue = make()
    assert isinstance(queue, asyncio.Queue)
    assert (queue.qsize(), queue.empty()) == (0, True)
    queue.put_nowait(event(1))
    assert (queue.qsize(), queue.empty()) == (1, False)
    queue.get_nowait()
    assert (queue.qsize(), queue.empty()) == (0, True)


@pytest.mark.parametrize("make", [EventQueue, handler_queue])
def test_getting_from_an_empty_one(make: Any) -> None:
    """An `EventQueue` is an `asyncio.Queue`: `get_nowait` raises `QueueEmpty`."""
    with pytest.raises(asyncio.QueueEmpty):
        make().get_nowait()


def test_getters_wait_for_putters() -> None:
    """An `EventQueue` is an `asyncio.Queue`: `get` waits until something is put."""

    async def main() -> int:
        queue = EventQueue()
        getter = asyncio.create_task(queue.get())
        await asyncio.sleep(1)
        assert not getter.done()
        await queue.put(event(7))
        return (await getter).id

    assert run(main()) == 7


def test_a_full_queue_makes_putters_wait() -> None:
    """T6: only a turn's own queue is unbounded; one made by hand has the bound that it is given."""

    async def main() -> list[int]:
        queue = EventQueue(maxsize=1)
        queue.put_nowait(event(1))
        with pytest.raises(asyncio.QueueFull):
            queue.put_nowait(event(2))
        putter = asyncio.create_task(queue.put(event(3)))
        await asyncio.sleep(1)
        assert not putter.done()
        first = await queue.get()
        await putter
        return [first.id, *drain(queue)]

    assert run(main()) == [1, 3]


@pytest.mark.parametrize("make", [EventQueue, handler_queue])
def test_join_waits_for_what_was_put(make: Any) -> None:
    """An `EventQueue` is an `asyncio.Queue`: `join` returns when each event put is marked as done."""

    async def main() -> None:
        queue = make()
        queue.put_nowait(event(1))
        joining = asyncio.create_task(queue.join())
        await asyncio.sleep(1)
        assert not joining.done()
        queue.get_nowait()
        queue.task_done()
        await joining

    run(main())


def test_a_handlers_queue_can_be_waited_on() -> None:
    """A task that a handler starts can `get` what the handler puts meanwhile."""

    async def main() -> int:
        queue = handler_queue()
        getter = asyncio.create_task(queue.get())
        await asyncio.sleep(1)
        await queue.put(event(7))
        return (await getter).id

    assert run(main()) == 7


@pytest.mark.parametrize("item", [None, 99, {"type": 99}])
def test_it_holds_events_only(item: Any) -> None:
    """Anything but an event is a `TypeError` that says what was given, and is not put."""
    queue = EventQueue()
    with pytest.raises(TypeError, match=f"holds events, not {type(item).__name__}"):
        queue.put_nowait(item)
    assert queue.empty()


def test_one_made_by_hand_does_not_validate() -> None:
    """T3: an `EventQueue()` made by hand is just a queue."""
    queue = EventQueue()
    AsyncEventNexus().declare("brew", Teapot)
    queue.put_nowait(event(1))
    assert drain(queue) == [1]
