"""Events that are built, read or changed wrongly."""

from dataclasses import dataclass
from typing import Annotated, Literal, NewType, TypedDict

from annotated_types import Gt
from teahouse import Samovar, SamovarEvent, Stray, Tea, Teapot, TeapotEvent, Tick, Treacle

from async_nexus import AsyncEventNexus, AutoId, Event, EventFactory, NamedEvent


def envelope() -> None:
    Event(1, 99, 0)  # E
    Event("1", 99, 0, "x")  # E
    Event(1, 9.9, 0, "x")  # E
    Event(1, 99, None, "x")  # E
    Event(1, None, 0, "x")  # E
    Event[Teapot](1, 99, 0, "x")  # E
    Event[int](1, 99, 0, "x")  # E
    Event(1, 99, 0, "x", "y")  # E


def named_events() -> None:
    pot = Teapot(name="Betty")
    TeapotEvent(id=1, payload="Betty")  # E
    TeapotEvent(id=1)  # E
    TeapotEvent(payload=pot)  # E
    TeapotEvent(id="1", payload=pot)  # E
    TeapotEvent(id=1, payload=pot, priority="high")  # E
    TeapotEvent(id=1, payload=pot, prority=1)  # E
    TeapotEvent(1, pot)  # E
    TeapotEvent(1, 99, 0, pot)  # E
    Treacle(id=1, payload=1)  # E
    Tick(id=1, payload="1")  # E
    SamovarEvent(id=1, payload=pot)  # E


def create() -> None:
    pot = Teapot(name="Betty")
    TeapotEvent.create("Betty", id=1)  # E
    TeapotEvent.create(pot)  # E
    TeapotEvent.create(id=1)  # E
    TeapotEvent.create(pot, id="1")  # E
    TeapotEvent.create(pot, 1)  # E
    TeapotEvent.create(pot, id=1, priority=None)  # E
    TeapotEvent.create(pot, id=1, type=99)  # E
    treacle: Treacle = TeapotEvent.create(pot, id=1)  # E
    print(treacle)


def frozen() -> None:
    event = Event(1, 99, 0, "x")
    event.id = 2  # E
    event.payload = "y"  # E
    event.type = 98  # E
    event.priority += 1  # E
    named = Treacle(id=1, payload="golden")
    named.payload = "black"  # E
    named.id = 2  # E


def attributes() -> None:
    event = TeapotEvent(id=1, payload=Teapot(name="Betty"))
    event.paylod  # E
    event.payload.temprature  # E
    print(event.payload.name + 1)  # E
    print(event.id.upper())  # E
    TeapotEvent.even_type  # E
    number: int = event.payload  # E
    print(number)


def covariance() -> None:
    pot: Event[Teapot] = Event(1, 99, 0, Teapot(name="Betty"))
    samovar: Event[Samovar] = pot  # E
    named: NamedEvent[Teapot] = pot  # E
    treacle: Event[str] = TeapotEvent(id=1, payload=Teapot(name="Betty"))  # E
    tea: TeapotEvent = pot  # E
    print(samovar, named, treacle, tea)


class Address(TypedDict):
    street: str
    number: int


class Delivery(NamedEvent[Address], type="delivery"): ...


def typed_dict_payload() -> None:
    Delivery.create({"street": "Baker Street"}, id=1)  # E
    Delivery.create({"street": "Baker Street", "number": "221b"}, id=1)  # E
    event = Delivery.create({"street": "Baker Street", "number": 221}, id=1)
    event.payload["town"]  # E
    number: str = event.payload["number"]  # E
    print(number)


@dataclass
class Cup:
    size: int


class CupEvent(NamedEvent[Cup]): ...


def dataclass_payload() -> None:
    CupEvent(id=1, payload=3)  # E
    CupEvent(id=1, payload={"size": 3})  # E
    CupEvent(id=1, payload=Cup(3)).payload.height  # E


class Portion(NamedEvent[Annotated[int, Gt(0)]]): ...


class Names(NamedEvent[list[str]]): ...


class Maybe(NamedEvent[str | None]): ...


class Size(NamedEvent[Literal["small", "large"]]): ...


class Point(NamedEvent[tuple[float, float]]): ...


PotId = NewType("PotId", int)


class PotSold(NamedEvent[PotId]): ...


def other_payloads() -> None:
    Portion(id=1, payload="a third")  # E
    Names(id=1, payload=[1])  # E
    Names(id=1, payload="Betty")  # E
    Maybe(id=1, payload=1)  # E
    Maybe(id=1, payload="x").payload.upper()  # E
    Size.create("medium", id=1)  # E
    Point(id=1, payload=(1.0, 2.0, 3.0))  # E
    PotSold(id=1, payload=3)  # E


def handlers_of_other_payloads() -> None:
    nexus = AsyncEventNexus[Names | Maybe | Portion | PotSold | Delivery]()

    @nexus.on(Names)  # E
    async def first(event: Event[list[int]]) -> None: ...

    @nexus.on(Maybe)  # E
    async def second(event: Event[str]) -> None: ...

    @nexus.on(Portion)  # E
    async def third(event: Event[str]) -> None: ...

    @nexus.on(PotSold)  # E
    async def fourth(event: Event[str]) -> None: ...

    @nexus.on(Delivery)  # E
    async def fifth(event: Event[Cup]) -> None: ...


class Whisper(Treacle, type="whisper"): ...


def base_of_a_named_event() -> None:
    nexus = AsyncEventNexus[Whisper]()

    @nexus.on(Treacle)  # E
    async def hear(event: Treacle) -> None: ...


def factory() -> None:
    factory = EventFactory()
    pot = Teapot(name="Betty")
    factory.create_event(pot)  # E
    factory.create_event("Betty", event_type=TeapotEvent)  # E
    factory.create_event(pot, event_type=Treacle)  # E
    factory.create_event(pot, event_type=1.5)  # E
    factory.create_event(pot, event_type=Teapot)  # E
    factory.create_event(pot, event_type=99, id="one")  # E
    factory.create_event(pot, event_type=99, id=None)  # E
    factory.create_event(pot, 99)  # E
    event: Event[str] = factory.create_event(pot, event_type=99)  # E
    treacle: Treacle = factory.create_event(pot, event_type=TeapotEvent)  # E
    print(event, treacle)
    auto: AutoId = 1  # E
    print(auto)
    factory.next_id().upper()  # E


class Series(NamedEvent[list[float | None]]): ...


async def displays_of_payloads() -> None:
    nexus = AsyncEventNexus()
    await nexus.emit(Delivery, {"stret": "Baker Street", "number": 221})  # E
    await nexus.emit(Delivery, {"street": "Baker Street", "number": "221b"})  # E
    await nexus.emit(Delivery, {})  # E
    await nexus.emit(Size, "medium")  # E
    await nexus.emit(Series, [20, "60"])  # E
    await nexus.emit(Series, 20)  # E
    await nexus.emit(Series, payload=["20"])  # E
    await nexus.emit(Series, [20], prority=3)  # E
    await nexus.emit(Series, [20], priority="3")  # E
    await nexus.emit(event_type=Series, payload="20")  # E


async def emit() -> None:
    nexus = AsyncEventNexus[Tea]()
    await nexus.emit(Treacle, 3)  # E
    await nexus.emit(TeapotEvent, "Betty")  # E
    await nexus.emit(TeapotEvent, {"name": "Betty"})  # E
    await nexus.emit(Stray, b"")  # E
    await nexus.emit(Teapot, Teapot(name="Betty"))  # E
    await nexus.emit(Treacle)  # E
    await nexus.emit(Treacle, "golden", 3)  # E
    await nexus.emit(Treacle, "golden", id="one")  # E
    await nexus.emit(1.5, "golden")  # E
    nexus.emit(Treacle, "golden")  # E


async def ingest() -> None:
    nexus = AsyncEventNexus[Tea]()
    await nexus.ingest(Stray(id=1, payload=b""))  # E
    await nexus.ingest("golden")  # E
    await nexus.ingest(Teapot(name="Betty"))  # E
    await nexus.ingest(Event(1, 99, 0, "golden"))  # E
    await nexus.ingest(TeapotEvent)  # E
    await nexus.ingest(Treacle(id=1, payload="golden"), Treacle(id=1, payload="golden"))  # E
    nexus.ingest(Treacle(id=1, payload="golden"))  # E


async def ingest_anything() -> None:
    nexus = AsyncEventNexus()
    await nexus.ingest({"id": 1, "type": 99})  # E
    nexus.ingest(Event(1, 99, 0, None))  # E
