"""The nexus misused: its life, its catalog, its domain."""

from typing import Any

from teahouse import Stray, Tea, Teapot, TeapotEvent, Tick, Treacle

from async_nexus import (
    AsyncEventNexus,
    Event,
    EventFactory,
    EventSpec,
    InvalidPayload,
    NamedEvent,
    State,
    format_event_type,
)


def construction() -> None:
    AsyncEventNexus(True)  # E
    AsyncEventNexus(multiple="yes")  # E
    AsyncEventNexus[int]()  # E
    AsyncEventNexus[Teapot]()  # E


def serial(event: TeapotEvent) -> str:
    return event.payload.name


def side_by_side() -> None:
    AsyncEventNexus(concurrency="8")  # E
    AsyncEventNexus(key=3)  # E
    AsyncEventNexus[Tea](key=serial)  # E
    AsyncEventNexus[TeapotEvent](key=lambda event: event.payload.nme)  # E


async def life() -> None:
    nexus = AsyncEventNexus[Tea]()
    await nexus.stop()  # E
    nexus.stop(grace="2")  # E
    nexus.stop(now=True)  # E
    nexus.start(1)  # E
    state: int = nexus.state  # E
    print(state)
    nexus.state = State.STOPPED  # E
    nexus.catalog = {}  # E
    nexus.loop_for_ever()  # E
    async with nexus as entered:
        entered.ingst  # E
    with Treacle:  # E
        print()


def declare() -> None:
    nexus = AsyncEventNexus[Tea]()
    nexus.declare(Stray)  # E
    nexus.declare(TeapotEvent, Stray)  # E
    nexus.declare(Teapot)  # E
    nexus.declare(1.5, Teapot)  # E
    nexus.declare(99)  # E
    nexus.declare(99, Teapot, str)  # E


def catalog() -> None:
    nexus = AsyncEventNexus[Tea]()
    nexus.catalog[99] = Teapot  # E
    del nexus.catalog[99]  # E
    nexus.catalog[1.5]  # E
    spec: EventSpec[str] = nexus.catalog[TeapotEvent]  # E
    print(spec)
    nexus.catalog[99].titel  # E
    nexus.catalog.ranges.append(spec)  # E
    nexus.catalog["brew"].upper()  # E


def parse_json() -> None:
    nexus = AsyncEventNexus[Tea]()
    nexus.catalog.parse_json(3)  # E
    nexus.catalog.parse_json({"id": 1})  # E
    nexus.catalog.parse_json("{}", Teapot)  # E
    treacle: Treacle = nexus.catalog.parse_json("{}", TeapotEvent)  # E
    print(treacle)
    nexus.catalog.parse_json("{}", TeapotEvent).payload.temprature  # E
    nexus.catalog.parse_json("{}", 99)  # E


def errors() -> None:
    try:
        print()
    except InvalidPayload as error:
        error.errors["loc"]  # E
        error.errors(1)  # E
        error.details  # E
        number: int = error.schema  # E
        print(number)


async def treat(nexus: AsyncEventNexus[Treacle]) -> None:
    await nexus.emit(Treacle, "golden")
    await nexus.emit(Tick, 1)  # E


async def nexuses_as_arguments() -> None:
    await treat(AsyncEventNexus[TeapotEvent]())  # E
    await treat(AsyncEventNexus[Event[Teapot]]())  # E
    await treat(EventFactory())  # E
    wide: AsyncEventNexus[Any] = Treacle(id=1, payload="golden")  # E
    print(wide)


class Kitchen:
    def __init__(self) -> None:
        self.nexus = AsyncEventNexus[TeapotEvent | Treacle]()
        self.nexus.add_handler(Treacle, self.brew)  # E

    async def brew(self, event: TeapotEvent) -> None:
        await self.nexus.emit(Treacle, event.payload)  # E
        await self.nexus.emit(Tick, 3)  # E
        self.nexus.emit(Treacle, event.payload.name)  # E


def keys_as_text() -> None:
    format_event_type(1.5)  # E
    format_event_type(TeapotEvent)  # E


class WrongKey(NamedEvent[str], type=1.5): ...  # E: not mypy, pydantic, pyright, pyrefly (a metaclass of its own)
