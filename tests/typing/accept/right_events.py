"""Events and their payloads: building, reading, deriving."""

import datetime
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Final, Generic, Literal, NewType, TypeVar, assert_type

from annotated_types import Gt
from pydantic import BaseModel
from teahouse import Samovar, SamovarEvent, Teapot, TeapotEvent, Tick, Treacle
from typing_extensions import TypedDict

from async_nexus import AsyncEventNexus, Event, EventFactory, NamedEvent

T = TypeVar("T")


def envelope() -> None:
    """`Event` is built by position or by keyword, and infers its payload."""
    event = Event(1, 99, 0, Teapot(name="Betty"))
    assert_type(event, Event[Teapot])
    assert_type(event.id, int)
    assert_type(event.type, int | str)
    assert_type(event.priority, int)
    assert_type(event.payload, Teapot)
    now = datetime.datetime.now()
    assert_type(Event(id=1, type="brew", priority=-3, payload=now), Event[datetime.datetime])
    checked = Event[Teapot](1, 99, 0, Teapot(name="Betty"))
    assert_type(checked, Event[Teapot])


def bare_event() -> None:
    """`Event` alone is an event of anything."""

    def read(event: Event) -> None:
        assert_type(event, Event[Any])
        print(event.payload.whatever)

    print(read)


def named_events() -> None:
    """Built by keyword or by `create`."""
    event = TeapotEvent(id=1, payload=Teapot(name="Betty"))
    assert_type(event, TeapotEvent)
    assert_type(event.payload, Teapot)
    assert_type(TeapotEvent.create(Teapot(name="Betty"), id=1), TeapotEvent)
    assert_type(TeapotEvent.create(Teapot(name="Betty"), id=1, priority=2).payload.temperature, float)
    assert_type(TeapotEvent.event_type, int | str)
    assert_type(Tick(id=1, payload=3, priority=2), Tick)
    assert_type(Tick(id=1, payload=3, type=7), Tick)


def a_subclass_payload() -> None:
    """A samovar is a teapot, so an event may carry it."""
    event = TeapotEvent(id=1, payload=Samovar(name="Tula"))
    assert_type(event.payload, Teapot)
    TeapotEvent.create(Samovar(name="Tula"), id=2)


def covariance() -> None:
    """An event of a narrower payload is an event of a wider one."""
    samovar = SamovarEvent(id=1, payload=Samovar(name="Tula"))
    pot: Event[Teapot] = samovar
    named: NamedEvent[Teapot] = samovar
    anything: Event[object] = pot
    either: Event[Teapot | str] = pot
    events: list[Event[Teapot]] = [samovar, pot, named]
    print(anything, either, events)


def pydantic_constructors() -> None:
    """`model_validate` and `model_copy` keep the class."""
    raw = {"id": 1, "payload": {"name": "Betty"}}
    assert_type(TeapotEvent.model_validate(raw), TeapotEvent)
    event = Treacle(id=1, payload="golden")
    assert_type(event.model_copy(), Treacle)
    assert_type(Treacle.model_validate_json(event.model_dump_json()), Treacle)
    assert_type(hash(event), int)
    assert_type(event == event.model_copy(), bool)


class Address(TypedDict):
    street: str
    number: int


class Delivery(NamedEvent[Address], type="delivery"): ...


def typed_dict_payload() -> None:
    """A `TypedDict` is checked key by key."""
    event = Delivery(id=1, payload={"street": "Baker Street", "number": 221})
    assert_type(event.payload["number"], int)
    Delivery.create({"street": "Baker Street", "number": 221}, id=1)


@dataclass
class Cup:
    size: int


class CupEvent(NamedEvent[Cup]): ...


def dataclass_payload() -> None:
    """A dataclass."""
    assert_type(CupEvent(id=1, payload=Cup(3)).payload.size, int)


class Portion(NamedEvent[Annotated[int, Gt(0)]]): ...


def annotated_payload() -> None:
    """To a checker `Annotated` is what it annotates."""
    assert_type(Portion(id=1, payload=3).payload, int)
    nexus = AsyncEventNexus[Portion]()

    @nexus.on(Portion)
    async def serve(event: Event[int]) -> None: ...


class Names(NamedEvent[list[str]]): ...


class Counts(NamedEvent[dict[str, int]]): ...


class Maybe(NamedEvent[str | None]): ...


class Point(NamedEvent[tuple[float, float]]): ...


class Size(NamedEvent[Literal["small", "large"]]): ...


class Series(NamedEvent[list[float | None]]): ...


class Extras(NamedEvent[dict[str, object]]): ...


class Moment(NamedEvent[datetime.datetime]): ...


def container_payloads() -> None:
    """Lists, dicts, unions, tuples, literals, dates."""
    assert_type(Names(id=1, payload=["Betty"]).payload, list[str])
    assert_type(Counts(id=1, payload={"Betty": 1}).payload["Betty"], int)
    assert_type(Maybe(id=1, payload=None).payload, str | None)
    assert_type(Point(id=1, payload=(1.0, 2.0)).payload[0], float)
    assert_type(Size(id=1, payload="small").payload, Literal["small", "large"])
    assert_type(Moment(id=1, payload=datetime.datetime(2024, 1, 1)).payload.year, int)


PotId = NewType("PotId", int)


class PotSold(NamedEvent[PotId]): ...


def new_type_payload() -> None:
    """A `NewType` is narrower than its base."""
    nexus = AsyncEventNexus[PotSold]()

    @nexus.on(PotSold)
    async def count(event: Event[int]) -> None: ...

    assert_type(PotSold(id=1, payload=PotId(3)).payload, PotId)


class Temperature(NamedEvent[float]): ...


def numbers() -> None:
    """An integer is a `float`."""
    assert_type(Temperature(id=1, payload=95).payload, float)
    Temperature.create(95, id=1)
    EventFactory().create_event(95, event_type=Temperature)


class Nothing(NamedEvent[None]): ...


def no_payload() -> None:
    """An event that says all by its type."""
    assert_type(Nothing(id=1, payload=None).payload, None)


class Kitchen(IntEnum):
    STOVE = 40
    SINK = 41


class Lit(NamedEvent[bool], type=Kitchen.STOVE): ...


OVEN: Final = 42


class Baked(NamedEvent[str], type=OVEN): ...


def enum_keys() -> None:
    """Members of enums and constants are keys."""
    nexus = AsyncEventNexus()
    assert_type(Lit(id=1, payload=True).payload, bool)

    @nexus.on(Kitchen.SINK)
    async def wash(event: Event[str]) -> None: ...

    @nexus.on(Lit)
    async def light(event: Lit) -> None: ...

    assert_type(Event(1, Kitchen.SINK, 0, Cup(3)), Event[Cup])


class Changed(NamedEvent[list[T]], Generic[T]): ...


class Tally(Changed[float]): ...


def generic_named_event() -> None:
    """A named event may leave a part of its payload open."""
    event = Changed[int](id=1, payload=[1, 2])
    assert_type(event.payload, list[int])


class Signed(Event[str]):
    signature: bytes = b""


class Sealed(NamedEvent[str], type="sealed"):
    seal: str


def further_fields() -> None:
    """Event classes may add fields."""
    sealed = Sealed(id=1, payload="letter", seal="wax")
    assert_type(sealed.seal, str)
    signed = Signed(id=1, type="letter", priority=0, payload="Dear …", signature=b"x")
    assert_type(signed.signature, bytes)


class Whisper(Treacle, type="whisper"): ...


def subclass_of_a_named_event() -> None:
    """A subclass fits where its base is wanted."""
    nexus = AsyncEventNexus[Treacle]()

    @nexus.on(Whisper)
    async def hear(event: Treacle) -> None: ...

    assert_type(Whisper(id=1, payload="psst").payload, str)


def factory() -> None:
    """An event factory makes events of keys and of classes."""
    factory = EventFactory()
    assert_type(factory.create_event(Teapot(name="Betty"), event_type=99), Event[Teapot])
    assert_type(factory.create_event("golden", event_type=Treacle), Treacle)
    assert_type(factory.create_event(3, event_type=Tick, id=5, priority=2), Tick)
    pot = Samovar(name="Tula")
    assert_type(factory.create_event(pot, event_type="n", id=EventFactory.RANDOM), Event[Samovar])
    assert_type(factory.create_event(pot, event_type="n", id=factory.AUTO), Event[Samovar])
    assert_type(factory.create_event(Samovar(name="Tula"), event_type=TeapotEvent), TeapotEvent)
    assert_type(factory.next_id() + factory.random_id(), int)


def factory_with_typed_dict() -> None:
    """What has a type of its own; a display gets its type from `create`, see `typed_dict_payload`."""
    nexus = AsyncEventNexus[Delivery | Names]()
    address: Address = {"street": "Baker Street", "number": 221}
    assert_type(nexus.create_event(address, event_type=Delivery), Delivery)
    assert_type(nexus.create_event(["Betty"], event_type=Names), Names)


async def displays_of_payloads() -> None:
    """`emit` reads a display, or a literal, by the payload of the class."""
    nexus = AsyncEventNexus[Delivery | Names | Maybe | Point | Size | Series | Extras | Temperature | Tally | Nothing]()
    await nexus.emit(Delivery, {"street": "Baker Street", "number": 221})
    await nexus.emit(Names, [])
    await nexus.emit(Size, "small", priority=3)
    await nexus.emit(Series, [20, None])
    await nexus.emit(Series, payload=[20, 60], id=4)
    await nexus.emit(Extras, {"milk": 1, "sugar": "brown"}, id=EventFactory.RANDOM)
    await nexus.emit(Point, (1, 2))
    await nexus.emit(Maybe, None)
    await nexus.emit(Nothing, None)
    await nexus.emit(Temperature, 95)
    await nexus.emit(Tally, [1])
    await AsyncEventNexus[Any]().emit(Changed[float], [1])


async def emit_by_keyword() -> None:
    """The event class and its payload by their names."""
    nexus = AsyncEventNexus[Names]()
    await nexus.emit(event_type=Names, payload=["Betty"])
    await nexus.emit(payload=["Betty"], event_type="Names", priority=1)


def models_as_payload() -> None:
    """Any model is a payload, without an event class."""

    class Spoon(BaseModel):
        length: int

    nexus = AsyncEventNexus()
    nexus.declare(17, Spoon)
    nexus.declare("names", list[str])

    @nexus.on(17)
    async def stir(event: Event[Spoon]) -> None:
        assert_type(event.payload.length, int)
