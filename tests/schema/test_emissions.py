"""What sources and handlers can emit, as far as their types tell."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Generic, Never, TypeVar

import pytest
from typing_extensions import TypeAliasType

from async_nexus import (
    AsyncEventBoundary,
    Event,
    EventConsumer,
    EventDiscarder,
    EventFactory,
    EventFanout,
    EventProducer,
    EventQueue,
    NamedEvent,
    SimpleEventConverter,
    Timer,
    TransportBoundary,
)
from async_nexus.handlers import adapt
from async_nexus.schema.emissions import Emission, emitted_by_handler, emitted_by_source
from async_nexus.transports.memory import MemoryTransport


class A(NamedEvent[int], type=1): ...


class B(NamedEvent[str]): ...


Both = TypeAliasType("Both", A | B)
E = TypeVar("E", bound=Event[Any])
Bounded = TypeVar("Bounded", bound=A | B)


class Source(SimpleEventConverter[E], Generic[E]):
    async def obtain_event(self) -> E:
        raise NotImplementedError


class OfA(Source[A]): ...


class OrB(Source[E | B], Generic[E]): ...


class AOrB(OrB[A]): ...


class Later(Source["A | B"]): ...


class Lost(Source["Nowhere"]): ...  # type: ignore[name-defined] # the point


class Limited(EventProducer[Bounded]): ...


class Bare(SimpleEventConverter):
    async def obtain_event(self) -> Event:
        raise NotImplementedError


FACTORY = EventFactory()
TRANSPORT = MemoryTransport()


def keys(emission: Emission) -> tuple[Any, ...]:
    """The keys, and an ellipsis where it is open."""
    return (*emission.keys, ...) if emission.is_open else emission.keys


@pytest.mark.parametrize(
    "source, expected",
    [
        (OfA(), (1,)),
        (Source[A](), (1,)),
        (Source[Both](), (1, "B")),
        (Source[A | Event[int]](), (1, ...)),
        (Source[Any](), (...,)),
        (Source(), (...,)),
        (Bare(), (...,)),
        (OrB[A](), (1, "B")),
        (AOrB(), (1, "B")),
        (Later(), (1, "B")),
        (Lost(), (...,)),
        (Limited(), (1, "B")),
        (EventProducer[A](), (1,)),
        (AsyncEventBoundary[A | B](), (1, "B")),
        (AsyncEventBoundary(), (...,)),
        (TransportBoundary[A | B](TRANSPORT, "c"), (1, "B")),
        (Timer(1, event_type=5, event_factory=FACTORY), (5,)),
        (Timer(1, event_type=A, event_factory=FACTORY), (1,)),
    ],
)
def test_sources(source: Any, expected: Any) -> None:
    """The type argument of the base class counts, through unions, aliases, strings and generic subclasses."""
    assert keys(emitted_by_source(source)) == expected


def test_the_class_is_known() -> None:
    """An emission names the event class where there is one."""
    assert [each.event_class for each in emitted_by_source(OfA()).events] == [A]
    assert [each.event_class for each in emitted_by_source(Timer(1, event_type=5, event_factory=FACTORY)).events] == [
        None
    ]


class Functions:
    @staticmethod
    def no_queue(event: A) -> None: ...

    @staticmethod
    def untyped(event, queue): ...  # type: ignore[no-untyped-def] # the point

    @staticmethod
    def bare(event: A, queue: EventQueue) -> None: ...

    @staticmethod
    def anything(event: A, queue: EventQueue[Any]) -> None: ...

    @staticmethod
    def typed(event: A, queue: EventQueue[A | B]) -> None: ...

    @staticmethod
    def in_part(event: A, queue: EventQueue[B | Event[int]]) -> None: ...

    @staticmethod
    def nothing(event: A, queue: EventQueue[Never]) -> None: ...

    @staticmethod
    def plain_queue(event: A, queue: "asyncio.Queue[B]") -> None: ...

    @staticmethod
    def annotated(event: A, queue: Annotated[EventQueue[B], "x"]) -> None: ...

    @staticmethod
    def text(event: A, queue: "EventQueue[B]") -> None: ...

    @staticmethod
    def lost(event: A, queue: "EventQueue[Nowhere]") -> None: ...  # type: ignore[name-defined] # noqa: F821 # the point

    @staticmethod
    def three(extra: int, event: A, queue: EventQueue[B]) -> None: ...


class Consumer(EventConsumer[A]):
    async def handle(self, event: A, queue: EventQueue[B], /) -> None: ...


class CallableObject:
    def __call__(self, event: A, queue: "EventQueue[B]") -> None: ...


def fan_out(*handlers: Any) -> EventFanout:
    """A fan-out of these handlers."""
    fan = EventFanout()
    for handler in handlers:
        fan.register(handler)
    return fan


def enclosed() -> Callable[..., None]:
    """A handler whose annotation names a class of the function around it."""

    class Inner(NamedEvent[int], type=7): ...

    def handler(event: A, queue: "EventQueue[Inner]") -> None:
        Inner.create(1, id=1)

    return handler


@pytest.mark.parametrize(
    "handler, expected",
    [
        (Functions.no_queue, ()),
        (Functions.untyped, (...,)),
        (Functions.bare, (...,)),
        (Functions.anything, (...,)),
        (Functions.typed, (1, "B")),
        (Functions.in_part, ("B", ...)),
        (Functions.nothing, ()),
        (Functions.plain_queue, ("B",)),
        (Functions.annotated, ("B",)),
        (Functions.text, ("B",)),
        (Functions.lost, (...,)),
        (partial(Functions.three, 1), ("B",)),
        (lambda *args: None, (...,)),
        (Consumer(), ("B",)),
        (CallableObject(), ("B",)),
        (enclosed(), (7,)),
        (fan_out(Consumer(), Functions.typed), ("B", 1)),
        (fan_out(Consumer(), Functions.bare), ("B", ...)),
        (AsyncEventBoundary(), ()),
        (TransportBoundary(TRANSPORT, "c"), ()),
        (EventDiscarder(), ()),
    ],
)
def test_handlers(handler: Any, expected: Any) -> None:
    """What the queue's annotation names can be put; a queue of anything is open, no queue at all is closed."""
    assert keys(emitted_by_handler(adapt(handler))) == expected
