"""Sources, timers, boundaries and fan-outs."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, assert_type

from teahouse import Samovar, SamovarEvent, Tea, Teapot, TeapotEvent, Tick, Treacle

from async_nexus import (
    AsyncEventBoundary,
    AsyncEventNexus,
    Event,
    EventConsumer,
    EventConverter,
    EventDiscarder,
    EventFactory,
    EventFanout,
    EventProducer,
    EventQueue,
    EventSource,
    NoMoreEvents,
    SimpleEventConverter,
    Timer,
    TimerType,
    TransportBoundary,
    TransportError,
    TransportUnavailable,
)
from async_nexus.transports import Abilities, Delivery, Message, Subscription, Transport
from async_nexus.transports import TransportBoundary as SameBoundary
from async_nexus.transports.memory import MemoryEngine, MemoryTransport
from async_nexus.transports.nats import NatsTransport
from async_nexus.transports.rabbitmq import RabbitTransport
from async_nexus.transports.redis import RedisTransport
from async_nexus.transports.sqlite import SqliteTransport


class Shelf(SimpleEventConverter[TeapotEvent]):
    async def obtain_event(self) -> TeapotEvent:
        raise NoMoreEvents


class Stove(EventConverter[TeapotEvent | Treacle]):
    async def event_generator(self) -> AsyncIterator[TeapotEvent | Treacle]:
        yield TeapotEvent(id=1, payload=Teapot(name="Betty"))
        yield Treacle(id=2, payload="golden")


class Hob(EventConverter[Tick]):
    async def event_generator(self) -> AsyncGenerator[Tick, None]:
        yield Tick(id=1, payload=1)


class Bell(EventProducer[Treacle]):
    async def start(self) -> None:
        assert_type(self.event_factory, EventFactory)
        event = self.event_factory.create_event("ding", event_type=Treacle)
        await self.distribute_event(event)
        assert_type(self.spawn(asyncio.sleep(1)), asyncio.Task[object])


class Post(EventProducer):
    """Yields any event."""

    def __init__(self, factory: EventFactory) -> None:
        super().__init__(factory)

    async def start(self) -> None:
        await self.distribute_event(self.event_factory.create_event("letter", event_type="post"))

    def close(self) -> None: ...


def simple_converter() -> None:
    """A converter of a part of the domain."""
    nexus = AsyncEventNexus[Tea]()
    nexus.add_converter(Shelf())


def generator_converter() -> None:
    """An async generator, annotated as iterator or as generator."""
    nexus = AsyncEventNexus[Tea]()
    nexus.add_converter(Stove())
    nexus.register(Hob())


def producer() -> None:
    """A producer with the nexus as its event factory."""
    nexus = AsyncEventNexus[Tea]()
    nexus.add_producer(Bell(nexus))
    nexus.add_producer(Bell(event_factory=nexus))
    nexus.register(Bell())


def untyped_sources() -> None:
    """A source of any event goes to a nexus of any."""
    nexus = AsyncEventNexus()
    nexus.register(Post(nexus))
    nexus.register(Shelf())


class Anything(SimpleEventConverter[Any]):
    async def obtain_event(self) -> Any:
        raise NoMoreEvents


def source_of_any() -> None:
    """`Any` is within every domain."""
    AsyncEventNexus[Tea]().register(Anything())


def source_covariance() -> None:
    """A source of less is a source of more."""
    source: EventSource[TeapotEvent | Treacle] = Shelf()
    wider: EventSource[Event[Teapot]] = Shelf()
    sources: list[EventSource[Event]] = [Shelf(), Stove(), Bell(), source, wider]
    nexus = AsyncEventNexus()
    for each in sources[:3]:
        nexus.register(each)


class Samovars(SimpleEventConverter[SamovarEvent]):
    async def obtain_event(self) -> SamovarEvent:
        return SamovarEvent(id=1, payload=Samovar(name="Tula"))


def domain_of_a_payload() -> None:
    """A nexus of `Event[Teapot]` takes every event of a teapot."""
    nexus = AsyncEventNexus[Event[Teapot]]()
    nexus.register(Samovars())
    nexus.register(Shelf())


def timer_of_a_key() -> None:
    """A timer of a plain key makes events of a number."""
    nexus = AsyncEventNexus()
    timer = Timer(0.5, event_type=3, type=Timer.COUNT_UP, count=3, event_factory=nexus)
    assert_type(timer, Timer[Event[int]])
    nexus.add_producer(timer)
    nexus.register(Timer(1, event_type="late", event_factory=nexus))
    assert_type(timer.stop(), bool)


def timer_of_a_class() -> None:
    """A timer of a named event whose payload is a number fits the domain."""
    nexus = AsyncEventNexus[Tea]()
    timer = Timer(0.5, event_type=Tick, type=TimerType.ONGOING, event_factory=nexus)
    assert_type(timer, Timer[Tick])
    nexus.add_producer(timer)


async def producers_distribute() -> None:
    """From outside, too."""
    bell = Bell()
    await bell.distribute_event(Treacle(id=1, payload="ding"))
    assert_type(bell.event_factory.next_id(), int)


def boundary() -> None:
    """A handler here, a producer there."""
    kitchen, parlour = AsyncEventNexus[Tea](), AsyncEventNexus[TeapotEvent | SamovarEvent]()
    door = AsyncEventBoundary[TeapotEvent](maxsize=3)
    kitchen.add_handler(TeapotEvent, door)
    parlour.add_producer(door)


def boundary_of_a_plain_key() -> None:
    """Without event classes."""
    kitchen, parlour = AsyncEventNexus(), AsyncEventNexus()
    door = AsyncEventBoundary()
    kitchen.add_handler(99, door)
    kitchen.add_handler((1, 5), door)
    kitchen.add_handler(Treacle, door)
    parlour.register(door)


def boundary_of_a_payload() -> None:
    """A boundary of a wider event carries narrower ones into a wider domain."""
    kitchen, parlour = AsyncEventNexus[Tea](), AsyncEventNexus[Event[Teapot]]()
    door = AsyncEventBoundary[Event[Teapot]]()
    kitchen.add_handler(SamovarEvent, door)
    kitchen.add_handler(TeapotEvent, door)
    parlour.add_producer(door)


async def boundary_between_processes() -> None:
    """A handler here, a producer elsewhere, over any transport."""
    kitchen, parlour = AsyncEventNexus[Tea](), AsyncEventNexus[TeapotEvent | SamovarEvent]()
    async with MemoryTransport() as transport:
        door = TransportBoundary[TeapotEvent](transport, "tea")
        kitchen.add_handler(TeapotEvent, door)
        hatch = TransportBoundary[TeapotEvent](
            transport, "tea", consumer="parlour", domain="kitchen", in_flight=8, tries=3, delay=0.5, max_delay=9
        )
        parlour.add_producer(hatch)
        parlour.register(hatch)
        assert_type(hatch.name, str)
        await door.handle(TeapotEvent(id=1, payload=Teapot(name="Betty")), EventQueue())


def boundary_between_processes_of_a_plain_key(transport: Transport) -> None:
    """Without event classes."""
    kitchen, parlour = AsyncEventNexus(), AsyncEventNexus()
    door = SameBoundary(transport, "tea")
    kitchen.add_handler(99, door)
    kitchen.add_handler((1, 5), door)
    kitchen.add_handler(Treacle, door)
    parlour.register(door)


async def transports(engine: MemoryEngine) -> None:
    """What an engine does, one by one."""
    transport: Transport = SqliteTransport("events.db")
    transport = NatsTransport()
    transport = RedisTransport()
    transport = RabbitTransport()
    transport = MemoryTransport(engine)
    assert_type(transport.abilities, Abilities)
    try:
        await transport.publish("tea", Message("1", b"", {"a": "b"}))
    except TransportUnavailable as error:
        again: TransportError = error
        print(again)
    subscription = await transport.subscribe("tea", "parlour", in_flight=3, since=7)
    assert_type(subscription, Subscription)
    async for delivery in subscription:
        assert_type(delivery, Delivery)
        await (delivery.ack() if delivery.attempt > 1 else delivery.retry(0.5))
    async for message, reason in transport.dead_letters("tea", "parlour"):
        assert_type(message, Message)
        assert_type(reason, str)


class Log(EventConsumer):
    async def handle(self, event: Event, queue: EventQueue, /) -> None: ...


def fanout() -> None:
    """Handlers of the fan-out's event, or of wider ones."""
    nexus = AsyncEventNexus[Tea]()
    fanout = EventFanout[TeapotEvent]()

    async def brew(event: TeapotEvent, queue: EventQueue[Any]) -> None: ...
    async def pour(event: Event[Teapot]) -> None: ...

    fanout.register(brew)
    fanout.register(pour)
    fanout.register(Log())
    fanout.register(EventDiscarder())
    fanout.register(lambda event: print(event.payload.name))
    nexus.add_handler(TeapotEvent, fanout)
    fanout.deregister(brew)


def fanout_of_any() -> None:
    """A fan-out of any event for every key."""
    nexus = AsyncEventNexus[Tea]()
    fanout = EventFanout(copy=True)
    fanout.register(Log())
    nexus.add_handler(TeapotEvent, fanout)
    nexus.add_handler(-1, fanout)


def discarder() -> None:
    """Discards whatever comes."""
    nexus = AsyncEventNexus[Tea]()
    nexus.add_handler(Treacle, EventDiscarder())
    nexus.add_handler("brew", EventDiscarder())


def consumer_contravariance() -> None:
    """Who consumes more can stand for who consumes less."""
    log: EventConsumer[TeapotEvent] = Log()
    discard: EventConsumer[Treacle] = EventDiscarder()
    print(log, discard)
