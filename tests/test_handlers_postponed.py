"""Handlers of a module whose annotations are all strings: the claims are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from async_nexus import AsyncEventNexus, Event, EventConsumer, EventQueue, InvalidHandler, NamedEvent

if TYPE_CHECKING:
    from collections.abc import Sequence


class Teapot(BaseModel):
    temp: int


class TeapotEvent(NamedEvent[Teapot], type=99): ...


class Brews(EventConsumer[Any]):
    async def handle(self, event: Event[Teapot], queue: EventQueue[Any], /) -> None: ...


def test_a_function_claims() -> None:
    """C1: `from __future__ import annotations` changes nothing for a handler's annotation."""
    nexus = AsyncEventNexus()

    @nexus.on(1)
    async def brew(event: Event[Teapot], queue: EventQueue[Any]) -> None: ...

    assert nexus.catalog[1].payload_type is Teapot


def test_a_consumer_claims() -> None:
    """C1: nor for that of `EventConsumer.handle`."""
    nexus = AsyncEventNexus()
    nexus.add_handler(1, Brews())
    assert nexus.catalog[1].payload_type is Teapot


def test_local_classes_are_found() -> None:
    """C1: nor for classes that are local to the function which the handler is in."""

    class Sugar(BaseModel): ...

    class SugarEvent(NamedEvent[Sugar], type="sugar"): ...

    nexus = AsyncEventNexus()

    @nexus.on(99, "sugar")
    async def either(event: TeapotEvent | SugarEvent) -> None: ...

    assert nexus.catalog[99].event_class is TeapotEvent
    assert nexus.catalog["sugar"].event_class is SugarEvent


def test_named_events_have_their_own_type() -> None:
    """E2: nor for the fields of event classes."""
    assert TeapotEvent(id=1, payload=Teapot(temp=90)).type == 99


def test_names_for_checkers_only_cannot_be_resolved() -> None:
    """C2: what is imported under `TYPE_CHECKING` is not there at run time: the error says what to do."""
    nexus = AsyncEventNexus()

    async def brew(event: Event[Sequence[int]]) -> None: ...

    with pytest.raises(InvalidHandler, match=r"'Sequence' is not defined.*importable at run time.*declare"):
        nexus.add_handler(1, brew)
    nexus.declare(1, list[int])
    nexus.add_handler(1, brew)
