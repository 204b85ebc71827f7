"""Queues: a handler asks for less than its domain holds, and puts only that."""

import asyncio
from typing import Any, assert_type

from teahouse import SamovarEvent, Tea, Teapot, TeapotEvent, Tick, Treacle

from async_nexus import AsyncEventNexus, Event, EventQueue, NamedEvent


def every_annotation_that_fits() -> None:
    """`EventQueue` of a part, of all or of any, and the standard library's queue of events."""
    nexus = AsyncEventNexus[Tea](multiple=True)

    @nexus.on(TeapotEvent)
    async def part(event: TeapotEvent, queue: EventQueue[Treacle]) -> None: ...

    @nexus.on(TeapotEvent)
    async def two(event: TeapotEvent, queue: EventQueue[Treacle | Tick]) -> None: ...

    @nexus.on(TeapotEvent)
    async def whole(event: TeapotEvent, queue: EventQueue[Tea]) -> None: ...

    @nexus.on(TeapotEvent)
    async def bare(event: TeapotEvent, queue: EventQueue) -> None: ...

    @nexus.on(TeapotEvent)
    async def untold(event: TeapotEvent, queue: EventQueue[Any]) -> None: ...


def queues_of_the_standard_library() -> None:
    """An `EventQueue` is an `asyncio.Queue` of events."""
    nexus = AsyncEventNexus[Tea](multiple=True)

    @nexus.on(TeapotEvent)
    async def untold(event: TeapotEvent, queue: asyncio.Queue[Any]) -> None: ...

    @nexus.on(TeapotEvent)
    async def events(event: TeapotEvent, queue: asyncio.Queue[Event]) -> None: ...

    @nexus.on(TeapotEvent)
    async def the_same(event: TeapotEvent, queue: asyncio.Queue[Event[Any]]) -> None: ...

    @nexus.on(TeapotEvent)
    async def wide(event: TeapotEvent, queue: object) -> None: ...


def queues_of_filters_and_defaults() -> None:
    """The same holds for filters and default handlers."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.filter
    async def known(event: Event, queue: EventQueue[Tick]) -> bool:
        await queue.put(Tick(id=1, payload=1))
        return True

    @nexus.default
    async def rest(event: Event, queue: asyncio.Queue[Any]) -> None: ...


async def put() -> None:
    """What fits may be put, also a subclass of what is wanted."""
    queue = EventQueue[Treacle | Tick]()
    await queue.put(Treacle(id=1, payload="golden"))
    queue.put_nowait(Tick(id=1, payload=1))
    pots = EventQueue[Event[Teapot]](maxsize=3)
    await pots.put(TeapotEvent(id=1, payload=Teapot(name="Betty")))
    await pots.put(Event(1, 99, 0, Teapot(name="Betty")))


async def get() -> None:
    """What comes out is an event."""
    queue = EventQueue[Treacle]()
    assert_type(await queue.get(), Event[Any])
    assert_type(queue.get_nowait(), Event[Any])
    assert_type(queue.qsize(), int)
    queue.task_done()
    await queue.join()


def contravariance() -> None:
    """A queue that takes more can stand for one that takes less."""
    wide: EventQueue[Treacle | Tick] = EventQueue()
    narrow: EventQueue[Tick] = wide
    anything: EventQueue[Event] = EventQueue()
    narrow = anything
    print(narrow)


async def sweeten(queue: EventQueue[Treacle]) -> None:
    await queue.put(Treacle(id=1, payload="golden"))


def a_queue_is_handed_on() -> None:
    """A handler gives its queue to a function that puts a part."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(SamovarEvent)
    async def boil(event: SamovarEvent, queue: EventQueue[Treacle | Tick]) -> None:
        await sweeten(queue)


async def put_named() -> None:
    """A queue of a common base takes its subclasses."""
    queue: EventQueue[NamedEvent[Any]] = EventQueue()
    await queue.put(Tick(id=1, payload=1))
