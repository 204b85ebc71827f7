"""Sources, timers, boundaries and fan-outs of foreign events, or misused."""

from collections.abc import AsyncIterator
from typing import Any

from teahouse import SamovarEvent, Stray, Tea, Teapot, TeapotEvent, Tick, Treacle

from async_nexus import (
    AsyncEventBoundary,
    AsyncEventNexus,
    Event,
    EventConsumer,
    EventConverter,
    EventDiscarder,
    EventFanout,
    EventProducer,
    EventQueue,
    EventSource,
    SimpleEventConverter,
    Timer,
    TransportBoundary,
)
from async_nexus.transports import Delivery, Message, Transport
from async_nexus.transports.memory import MemoryTransport


class Shelf(SimpleEventConverter[Stray]):
    async def obtain_event(self) -> Stray:
        return Stray(id=1, payload=b"")


class Stove(EventConverter[TeapotEvent | Stray]):
    async def event_generator(self) -> AsyncIterator[TeapotEvent | Stray]:
        yield Stray(id=1, payload=b"")


class Bell(EventProducer[Stray]): ...


class Pots(SimpleEventConverter[TeapotEvent]):
    async def obtain_event(self) -> TeapotEvent:
        return TeapotEvent(id=1, payload=Teapot(name="Betty"))


def foreign_sources() -> None:
    nexus = AsyncEventNexus[Tea]()
    nexus.add_converter(Shelf())  # E
    nexus.add_converter(Stove())  # E
    nexus.add_producer(Bell())  # E
    nexus.register(Shelf())  # E
    nexus.register(Bell())  # E


def what_is_no_source() -> None:
    nexus = AsyncEventNexus[Tea]()
    nexus.add_converter(Bell())  # E
    nexus.add_producer(Pots())  # E
    nexus.register(Teapot(name="Betty"))  # E
    nexus.register(Pots)  # E
    nexus.add_producer(None)  # E


class Untyped(SimpleEventConverter):
    async def obtain_event(self) -> Event:
        return Event(1, 99, 0, None)


def untyped_source_of_a_domain() -> None:
    AsyncEventNexus[Tea]().register(Untyped())  # E


class WrongEvent(SimpleEventConverter[TeapotEvent]):
    async def obtain_event(self) -> Treacle:  # E
        return Treacle(id=1, payload="golden")


class WrongReturn(SimpleEventConverter[TeapotEvent]):
    async def obtain_event(self) -> TeapotEvent:
        return Treacle(id=1, payload="golden")  # E


class NotAsync(SimpleEventConverter[TeapotEvent]):
    def obtain_event(self) -> TeapotEvent:  # E
        return TeapotEvent(id=1, payload=Teapot(name="Betty"))


class WrongYield(EventConverter[TeapotEvent]):
    async def event_generator(self) -> AsyncIterator[TeapotEvent]:
        yield Treacle(id=1, payload="golden")  # E


class WrongGenerator(EventConverter[TeapotEvent]):
    async def event_generator(self) -> AsyncIterator[Treacle]:  # E
        yield Treacle(id=1, payload="golden")


class Unfinished(EventConverter[TeapotEvent]): ...


class NoEvents(SimpleEventConverter[int]):  # E
    async def obtain_event(self) -> int:
        return 1


def unfinished() -> None:
    Unfinished()  # E
    SimpleEventConverter[TeapotEvent]()  # E: not pyrefly (it forgets that a parametrised class is abstract)


class Gong(EventProducer[Treacle]):
    async def start(self) -> None:
        await self.distribute_event(Tick(id=1, payload=1))  # E
        await self.distribute_event("ding")  # E
        self.distribute_event(Treacle(id=1, payload="ding"))  # E
        self.event_factory.create_event("ding")  # E
        self.event_factory.create_evnt("ding", event_type=1)  # E
        self.event_factory = None  # E
        self.spawn(3)  # E
        self.spawn(self.start)  # E


class Early(EventProducer[Treacle]):
    def start(self) -> None: ...  # E


def producers() -> None:
    Gong("factory")  # E
    Gong(event_factory=3)  # E


def source_covariance(wide: EventSource[Event]) -> None:
    narrow: EventSource[TeapotEvent] = wide  # E
    other: EventSource[Treacle] = Pots()  # E
    print(narrow, other)
    AsyncEventNexus[Tea]().register(wide)  # E


def timers() -> None:
    nexus = AsyncEventNexus[Tea]()
    Timer(0.5, event_type=Treacle, event_factory=nexus)  # E
    Timer(0.5, event_type=TeapotEvent, event_factory=nexus)  # E
    Timer("0.5", event_type=Tick, event_factory=nexus)  # E
    Timer(0.5, event_type=Tick)  # E
    Timer(0.5, event_factory=nexus)  # E
    Timer(0.5, event_type=Tick, type=3, event_factory=nexus)  # E
    Timer(0.5, event_type=Tick, type="ONGOING", event_factory=nexus)  # E
    Timer(0.5, event_type=Tick, count="3", event_factory=nexus)  # E
    Timer(0.5, event_type=1.5, event_factory=nexus)  # E
    Timer(0.5, event_type=Tick, event_factory=EventDiscarder())  # E


class Tock(Event[int]): ...


class Foreign(Stray, type="foreign"): ...


def timers_of_foreign_events() -> None:
    kitchen = AsyncEventNexus[TeapotEvent | Treacle]()
    kitchen.add_producer(Timer(0.5, event_type=Tick, event_factory=kitchen))  # E
    kitchen.register(Timer(0.5, event_type=7, event_factory=kitchen))  # E
    Timer(0.5, event_type=Tock, event_factory=kitchen)  # E


def boundaries() -> None:
    kitchen, parlour = AsyncEventNexus[Tea](), AsyncEventNexus[Treacle | Tick]()
    door = AsyncEventBoundary[TeapotEvent]()
    kitchen.add_handler(Treacle, door)  # E
    parlour.add_producer(door)  # E
    AsyncEventBoundary[TeapotEvent](maxsize="3")  # E
    AsyncEventBoundary[int]()  # E
    wide: AsyncEventBoundary[Event[Teapot]] = door  # E
    kitchen.register(wide)  # E


async def boundary_handles() -> None:
    door = AsyncEventBoundary[TeapotEvent]()
    await door.handle(Treacle(id=1, payload="golden"), EventQueue())  # E
    door.handle(TeapotEvent(id=1, payload=Teapot(name="Betty")), EventQueue())  # E


def boundaries_between_processes(transport: Transport) -> None:
    kitchen, parlour = AsyncEventNexus[Tea](), AsyncEventNexus[Treacle | Tick]()
    door = TransportBoundary[TeapotEvent](transport, "tea")
    kitchen.add_handler(Treacle, door)  # E
    parlour.add_producer(door)  # E
    TransportBoundary[TeapotEvent](transport)  # E
    TransportBoundary[TeapotEvent]("tea", transport)  # E
    TransportBoundary[TeapotEvent](transport, "tea", in_flight="3")  # E
    TransportBoundary[TeapotEvent](transport, "tea", "parlour")  # E
    TransportBoundary[int](transport, "tea")  # E
    wide: TransportBoundary[Event[Teapot]] = door  # E
    kitchen.register(wide)  # E


async def boundary_between_processes_handles(transport: Transport) -> None:
    door = TransportBoundary[TeapotEvent](transport, "tea")
    await door.handle(Treacle(id=1, payload="golden"), EventQueue())  # E
    door.handle(TeapotEvent(id=1, payload=Teapot(name="Betty")), EventQueue())  # E


async def transports(transport: Transport, delivery: Delivery) -> None:
    await transport.publish("tea", b"golden")  # E
    transport.publish("tea", Message("1", b""))  # E
    Message(1, b"")  # E
    Message("1", "golden")  # E
    await transport.subscribe("tea", "parlour", 3)  # E
    await transport.subscribe("tea", "parlour", since="yesterday")  # E
    await delivery.retry()  # E
    await delivery.dead_letter()  # E
    delivery.attempt = 3  # E
    MemoryTransport("memory")  # E


class Log(EventConsumer[Tick]):
    async def handle(self, event: Tick, queue: EventQueue[Any], /) -> None: ...


def fanouts() -> None:
    nexus = AsyncEventNexus[Tea]()
    fanout = EventFanout[TeapotEvent]()

    async def pour(event: Treacle) -> None: ...
    async def boil(event: SamovarEvent, queue: EventQueue[Any]) -> None: ...
    async def number(event: TeapotEvent) -> int:
        return 1

    fanout.register(pour)  # E
    fanout.register(boil)  # E
    fanout.register(number)  # E
    fanout.register(Log())  # E
    fanout.register(lambda event: print(event.payload.temprature))  # E
    fanout.register(None)  # E
    nexus.add_handler(Treacle, fanout)  # E
    EventFanout[TeapotEvent](copy="yes")  # E


def consumer_contravariance() -> None:
    log: EventConsumer[TeapotEvent] = Log()  # E
    wide: EventConsumer[Event] = Log()  # E
    print(log, wide)
