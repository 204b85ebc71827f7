"""The call loop alone: one event and what follows from it, through filters to handlers."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from async_nexus import Event, HandlerConflict, UnhandledEvent
from async_nexus.catalog import Catalog
from async_nexus.dispatch import Dispatch
from async_nexus.handlers import adapt
from async_nexus.testing import run


def dispatch_with(
    handlers: dict[Any, Callable[..., Any]], *filters: Callable[..., Any], multiple: bool = False
) -> Dispatch:
    """Make a dispatch with handlers by target (`None` is the default) and filters."""
    dispatch = Dispatch(Catalog(), multiple=multiple)
    for target, handler in handlers.items():
        dispatch.add_handler([target], adapt(handler))
    for each in filters:
        dispatch.add_filter(adapt(each))
    return dispatch


def event(key: int | str, payload: object = None, *, priority: int = 0) -> Event[Any]:
    """Make an event of a key."""
    return Event(1, key, priority, payload)


@pytest.mark.parametrize(
    "key, expected", [(5, "exact"), (6, "range"), ("5", "default"), (-1, "default"), (10, "default")]
)
async def test_who_takes_an_event(key: int | str, expected: str) -> None:
    """D1: the handler of its key, else of a range that holds it, else the default one."""
    taken = list[str]()
    dispatch = dispatch_with(
        {
            5: lambda e: taken.append("exact"),
            range(10): lambda e: taken.append("range"),
            None: lambda e: taken.append("default"),
        }
    )
    await dispatch.handle(event(key))
    assert taken == [expected]


async def test_filters_come_first_in_the_order_of_registration() -> None:
    """D1, D2: each sees the event until one returns `True`, and no handler after that."""
    order = list[str]()

    def noting(name: str, answer: object) -> Callable[[Event], object]:
        def note(e: Event) -> object:
            order.append(name)
            return answer

        return note

    handlers = {1: lambda e: order.append("handler")}
    await dispatch_with(handlers, noting("a", False), noting("b", True), noting("c", True)).handle(event(1))
    assert order == ["a", "b"]
    await dispatch_with(handlers, noting("d", False)).handle(event(1))
    assert order[2:] == ["d", "handler"]


@pytest.mark.parametrize("answer", [None, 1, "yes", object()])
async def test_only_true_consumes(answer: object) -> None:
    """D2: what is merely truthy does not."""
    taken = list[Event]()
    await dispatch_with({1: taken.append}, lambda e: answer).handle(event(1))
    assert len(taken) == 1


async def test_an_asynchronous_filter_consumes() -> None:
    """D2, D3: also one without a queue, and a plain one that returns an awaitable."""

    async def consume(e: Event) -> bool:
        return True

    await dispatch_with({}, consume).handle(event(1))
    await dispatch_with({}, lambda e, q: consume(e)).handle(event(1))


async def test_nobody_takes_the_event() -> None:
    """D1: `UnhandledEvent` carries it and says what to do."""
    given = event(7)
    with pytest.raises(UnhandledEvent, match=r"nexus\.on\(7\)") as raised:
        await dispatch_with({1: lambda e: None}).handle(given)
    assert raised.value.event is given


async def test_filters_see_secondary_events() -> None:
    """D2: and may consume them."""
    seen = list[object]()

    def consume(e: Event) -> bool:
        seen.append(e.type)
        return e.type == 2

    dispatch = dispatch_with({1: lambda e, q: q.put_nowait(event(2))}, consume)
    await dispatch.handle(event(1))
    assert seen == [1, 2]


async def test_a_filter_that_raises_fails_the_event() -> None:
    """D2: no filter after it and no handler sees the event; the rest of the turn goes on."""
    seen = list[object]()

    def fail(e: Event) -> bool:
        if e.type == 2:
            raise KeyError(2)
        return False

    def put(e: Event, queue: asyncio.Queue[Event[Any]]) -> None:
        queue.put_nowait(event(2))
        queue.put_nowait(event(3))

    dispatch = dispatch_with({1: put, None: lambda e: seen.append(e.type)}, fail, lambda e: seen.append(e.type))
    with pytest.raises(KeyError):
        await dispatch.handle(event(1))
    assert seen == [1, 3, 3]


@pytest.mark.parametrize("answer", [True, False])
async def test_what_a_filter_put_counts(answer: bool) -> None:
    """D2: whether it consumed the event or not, but not where it raised."""
    seen = list[object]()

    def put(e: Event, queue: asyncio.Queue[Event[Any]]) -> bool:
        if e.type == 1:
            queue.put_nowait(event(2))
            return answer
        return False

    def put_and_fail(e: Event, queue: asyncio.Queue[Event[Any]]) -> bool:
        if e.type == 1:
            queue.put_nowait(event(3))
            raise ValueError
        return False

    await dispatch_with({None: lambda e: seen.append(e.type)}, put).handle(event(1))
    assert seen == ([2] if answer else [1, 2])
    seen.clear()
    with pytest.raises(ValueError, match=r"^$"):
        await dispatch_with({None: lambda e: seen.append(e.type)}, put_and_fail).handle(event(1))
    assert not seen


async def test_secondary_events_go_by_priority_then_arrival() -> None:
    """T1: across all handlers of the turn; each is handled before the line moves on."""
    order = list[object]()

    async def put(e: Event, queue: asyncio.Queue[Event[Any]]) -> None:
        order.append(e.payload)
        if e.payload == "first":
            for name, priority in (("late", 5), ("a", 1), ("b", 1), ("urgent", -1)):
                await queue.put(event(1, name, priority=priority))
        if e.payload == "a":
            await queue.put(event(1, "of a", priority=1))
            await queue.put(event(1, "urgent of a", priority=0))

    await dispatch_with({1: put}).handle(event(1, "first"))
    assert order == ["first", "urgent", "a", "urgent of a", "b", "of a", "late"]


async def test_all_handlers_of_a_key_run() -> None:
    """D5: in the order of registration, one after another; failures are raised when all have run."""
    order = list[object]()
    dispatch = Dispatch(Catalog(), multiple=True)

    async def slowly(e: Event, queue: asyncio.Queue[Event[Any]]) -> None:
        await asyncio.sleep(0)
        order.append("slow")
        queue.put_nowait(event(2))

    def fail(e: Event, queue: asyncio.Queue[Event[Any]]) -> None:
        order.append("failing")
        queue.put_nowait(event(3))
        raise KeyError

    for handler in (fail, slowly, fail):
        dispatch.add_handler([1], adapt(handler))
    dispatch.add_handler([None], adapt(lambda e: order.append(e.type)))
    with pytest.raises(ExceptionGroup, match="2 handlers failed in one turn") as raised:
        await dispatch.handle(event(1))
    assert order == ["failing", "slow", "failing", 2]
    assert [type(error) for error in raised.value.exceptions] == [KeyError, KeyError]


def test_conflicts_are_found_before_anything_is_added() -> None:
    """D5: `check` raises, `add_handler` comes after it."""
    dispatch = dispatch_with({1: print})
    with pytest.raises(HandlerConflict, match="event type 1 has a handler already"):
        dispatch.check([2, 1])
    dispatch.check([2])


async def test_what_is_registered_later_counts_from_the_next_event() -> None:
    """D1: what was looked up for a key is looked up anew after each registration."""
    taken = list[str]()
    dispatch = dispatch_with({None: lambda e: taken.append("default")})
    await dispatch.handle(event(1))
    dispatch.add_handler([1], adapt(lambda e: taken.append("exact")))
    await dispatch.handle(event(1))
    dispatch.add_filter(adapt(lambda e: True))
    await dispatch.handle(event(1))
    dispatch.clear()
    with pytest.raises(UnhandledEvent):
        await dispatch.handle(event(1))
    assert taken == ["default", "exact"]


async def test_keys_from_outside_do_not_pile_up() -> None:
    """C3: what is kept for each key is bounded, whatever keys events carry."""
    count = 0

    def take(e: Event) -> None:
        nonlocal count
        count += 1

    dispatch = dispatch_with({None: take})
    for key in range(10_000):
        await dispatch.handle(event(key))
    assert count == 10_000
    assert len(dispatch.lanes) <= 4096


def test_a_hundred_thousand_secondary_events() -> None:
    """T1, T6: one turn takes them all, without recursion and in order."""
    expected = 100_000
    seen = list[int]()

    def put(e: Event, queue: asyncio.Queue[Event[Any]]) -> None:
        for number in range(expected // 2):
            queue.put_nowait(event(2, number))

    def take(e: Event, queue: asyncio.Queue[Event[Any]]) -> None:
        seen.append(e.payload)
        if e.payload < expected // 2:
            queue.put_nowait(event(2, e.payload + expected // 2))

    run(dispatch_with({1: put, 2: take}).handle(event(1)))
    assert seen == list(range(expected))


def test_failures_before_the_turn_was_ended_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """T3: a `CancelledError` ends the turn as itself; what was raised before is not lost."""

    async def main() -> None:
        async def fail(e: Event, queue: asyncio.Queue[Event[Any]]) -> None:
            await queue.put(event(2))
            raise KeyError("before")

        def put(e: Event, queue: asyncio.Queue[Event[Any]]) -> None:
            queue.put_nowait(event(1))
            queue.put_nowait(event(3))

        dispatch = dispatch_with({0: put, 1: fail, 3: lambda e: asyncio.sleep(100)})
        task = asyncio.create_task(dispatch.handle(event(0)))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    caplog.set_level(logging.ERROR)
    run(main())
    assert "KeyError: 'before'" in caplog.text
