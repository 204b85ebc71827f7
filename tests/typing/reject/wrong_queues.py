"""Queues of events that the domain does not hold, and events that the queue does not."""

import asyncio

from teahouse import SamovarEvent, Stray, Tea, Teapot, TeapotEvent, Tick, Treacle

from async_nexus import AsyncEventNexus, Event, EventQueue


def queue_of_a_foreign_event() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent)  # E
    async def first(event: TeapotEvent, queue: EventQueue[Stray]) -> None: ...

    @nexus.on(TeapotEvent)  # E
    async def second(event: TeapotEvent, queue: EventQueue[Treacle | Stray]) -> None: ...

    @nexus.on(TeapotEvent)  # E
    async def third(event: TeapotEvent, queue: EventQueue[Event[bytes]]) -> None: ...

    async def fourth(event: TeapotEvent, queue: EventQueue[Stray]) -> None: ...

    nexus.add_handler(TeapotEvent, fourth)  # E


def queue_of_more_than_the_domain() -> None:
    nexus = AsyncEventNexus[TeapotEvent | Treacle]()

    @nexus.on(TeapotEvent)  # E
    async def first(event: TeapotEvent, queue: EventQueue[Event]) -> None: ...

    @nexus.on(TeapotEvent)  # E
    async def second(event: TeapotEvent, queue: EventQueue[Tea]) -> None: ...


def queue_under_a_plain_key() -> None:
    nexus = AsyncEventNexus[TeapotEvent | Treacle]()

    @nexus.on(99)  # E
    async def first(event: Event[Teapot], queue: EventQueue[Stray]) -> None: ...

    async def second(event: Event[Teapot], queue: EventQueue[Stray]) -> None: ...

    nexus.add_handler(99, second)  # E


def other_queues() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent)  # E
    async def numbers(event: TeapotEvent, queue: asyncio.Queue[int]) -> None: ...

    @nexus.on(TeapotEvent)  # E
    async def narrower(event: TeapotEvent, queue: asyncio.Queue[TeapotEvent]) -> None: ...

    @nexus.on(TeapotEvent)  # E
    async def none(event: TeapotEvent, queue: int) -> None: ...

    @nexus.on(TeapotEvent)  # E
    async def sequence(event: TeapotEvent, queue: list[Treacle]) -> None: ...

    @nexus.on(TeapotEvent)  # E
    async def priorities(event: TeapotEvent, queue: asyncio.PriorityQueue[Event]) -> None: ...


def queues_of_filters_and_defaults() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.filter  # E
    async def known(event: Event, queue: EventQueue[Stray]) -> bool:
        return True

    @nexus.default  # E
    async def rest(event: Event, queue: EventQueue[Stray]) -> None: ...

    async def late(event: Event, queue: asyncio.Queue[int]) -> bool:
        return True

    nexus.add_filter(late)  # E


class Listener:
    async def handle(self, event: TeapotEvent, queue: EventQueue[Stray]) -> None: ...


def queue_of_a_consumer() -> None:
    nexus = AsyncEventNexus[Tea]()
    nexus.add_handler(TeapotEvent, Listener())  # E
    nexus.add_handler(99, Listener())  # E


def put_what_does_not_belong() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent)
    async def brew(event: TeapotEvent, queue: EventQueue[Treacle | Tick]) -> None:
        await queue.put(event)  # E
        queue.put_nowait(Stray(id=1, payload=b""))  # E
        await queue.put("golden")  # E
        await queue.put(event.payload)  # E
        await queue.put(Event(1, 99, 0, event.payload))  # E
        await queue.put()  # E
        queue.put(Treacle(id=1, payload="golden"))  # E
        print(queue.putt)  # E


async def a_queue_of_payloads() -> None:
    queue = EventQueue[Event[Teapot]]()
    await queue.put(Event(1, 99, 0, "Betty"))  # E
    await queue.put(Treacle(id=1, payload="Betty"))  # E
    EventQueue[int]()  # E
    EventQueue[Treacle]("three")  # E


def contravariance() -> None:
    narrow: EventQueue[Tick] = EventQueue()
    wide: EventQueue[Treacle | Tick] = narrow  # E
    anything: EventQueue[Event] = narrow  # E
    print(wide, anything)


async def sweeten(queue: EventQueue[Treacle]) -> None:
    await queue.put(Treacle(id=1, payload="golden"))


def a_queue_is_handed_on() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(SamovarEvent)
    async def boil(event: SamovarEvent, queue: EventQueue[Tick]) -> None:
        await sweeten(queue)  # E
