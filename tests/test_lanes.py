"""The ways of events, compiled: what may be called directly, and that it is called as a round would call it."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from log_records import logged

from async_nexus import Event, EventQueue, UnhandledEvent
from async_nexus.handlers import adapt
from async_nexus.lanes import Lane, direct_way
from async_nexus.testing import run

event = Event(1, 99, 0, "tea")


class Boom(Exception):
    """What handlers of these tests raise."""


def way(*handlers: Callable[..., Any], filters: tuple[Callable[..., Any], ...] = ()) -> Any:
    """Compile the way through filters and handlers."""
    return direct_way(tuple(map(adapt, filters)), tuple(map(adapt, handlers)))


def test_an_async_handler_alone_is_its_own_way() -> None:
    """D3: nothing stands between the turn and the function."""

    async def handle(event: Event) -> None: ...

    assert way(handle) is handle


@pytest.mark.parametrize("place", ["handler", "filter"])
def test_who_takes_a_queue_needs_a_round(place: str) -> None:
    """T3: what is put has to be collected."""

    def take(event: Event, queue: EventQueue) -> None: ...

    assert (way(take) if place == "handler" else way(print, filters=(take,))) is None


def test_filters_then_handlers_are_called_in_order() -> None:
    """D1, D2: plain and async ones alike, until a filter returns `True`."""
    order: list[str] = []

    async def first(event: Event) -> bool:
        order.append("first")
        return False

    def second(event: Event) -> bool:
        order.append("second")
        return len(order) > 4

    async def handle(event: Event) -> None:
        order.append("handle")

    run(way(handle, order.append, filters=(first, second))(event))
    assert order == ["first", "second", "handle", event]
    run(way(handle, filters=(first, second))(event))
    assert order[4:] == ["first", "second"]


def test_a_filter_that_raises_fails_the_event() -> None:
    """D2: no handler sees it, and the error is itself."""
    seen: list[Event] = []

    def fail(event: Event) -> bool:
        raise Boom

    with pytest.raises(Boom):
        run(way(seen.append, filters=(fail,))(event))
    assert seen == []


@pytest.mark.parametrize("filters", [(), (lambda e: False,)])
def test_no_handler_is_an_unhandled_event(filters: tuple[Callable[..., Any], ...]) -> None:
    """D1: unless a filter has consumed the event."""
    with pytest.raises(UnhandledEvent):
        run(way(filters=filters)(event))
    run(way(filters=(*filters, lambda e: True))(event))


def test_all_handlers_run_and_their_failures_are_raised_together() -> None:
    """D5: in one flat group; one failure is raised as itself."""
    seen: list[Event] = []

    def fail(event: Event) -> None:
        raise Boom

    with pytest.raises(ExceptionGroup) as caught:
        run(way(fail, fail, seen.append)(event))
    assert [type(each) for each in caught.value.exceptions] == [Boom, Boom]
    with pytest.raises(Boom):
        run(way(seen.append, fail)(event))
    assert seen == [event, event]


def test_failures_before_the_end_of_the_program_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """T3: `KeyboardInterrupt` ends the turn as itself, and the failure before it is not lost."""

    def fail(event: Event) -> None:
        raise Boom

    def interrupt(event: Event) -> None:
        raise KeyboardInterrupt

    with caplog.at_level(logging.ERROR, "async_nexus"), pytest.raises(KeyboardInterrupt):
        run(way(fail, interrupt)(event))
    assert [type(record.exc_info[1]) for record in logged(caplog) if record.exc_info] == [Boom]


def test_a_key_of_which_nothing_is_known_takes_any_payload() -> None:
    """C1: its events are made as they are."""

    async def handle(event: Event) -> None: ...

    lane = Lane("brew", None, (), (adapt(handle),), handle, is_bare=True)
    assert lane.is_fast
    assert lane.validate is None
    assert lane.build({"id": 1, "type": "brew", "priority": 2, "payload": [3]}) == Event(1, "brew", 2, [3])
