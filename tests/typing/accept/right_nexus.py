"""The nexus: its life, its events, its catalog, its errors."""

import asyncio
from collections.abc import Sequence
from typing import Any, assert_type

from pydantic import ValidationError
from teahouse import Samovar, Tea, Teapot, TeapotEvent, Tick, Treacle

from async_nexus import (
    AsyncEventNexus,
    AsyncNexusError,
    BadCall,
    Event,
    EventFactory,
    EventSpec,
    InvalidPayload,
    SqliteJournal,
    State,
    UnhandledEvent,
    format_event_type,
    parse_event_type,
)


def run_and_block() -> None:
    """A statement without `await` blocks where no loop runs."""
    with AsyncEventNexus() as nexus:
        nexus.stop()
    if nexus.state is not State.STOPPED:
        nexus.loop_forever()
        nexus.run_until_complete()


def keep_a_journal() -> None:
    """A domain of some events may have a journal."""
    AsyncEventNexus[TeapotEvent](journal=SqliteJournal("journal.db", durability="process", retain=None))


def any_key(event: Event) -> int:
    """A key of all events."""
    return event.id


def tea_key(event: Tea) -> str | None:
    """A key of some."""
    return event.payload.name if isinstance(event, TeapotEvent) else None


def side_by_side() -> None:
    """A key takes what the domain accepts, and says what that is where nothing else does."""
    assert_type(AsyncEventNexus(concurrency=8, key=None), AsyncEventNexus)
    AsyncEventNexus[TeapotEvent](concurrency=8, key=lambda event: event.payload.name)
    AsyncEventNexus[TeapotEvent](key=any_key)
    AsyncEventNexus[Tea](key=tea_key)
    AsyncEventNexus[TeapotEvent](key=tea_key)
    assert_type(AsyncEventNexus(key=tea_key), AsyncEventNexus[Tea])


async def run_in_a_loop() -> None:
    """Awaited where one runs."""
    nexus = AsyncEventNexus()
    await nexus.loop_forever()
    await nexus.run_until_complete()
    assert_type(await nexus.loop_forever(), None)


async def start_and_stop() -> None:
    """In the background."""
    async with AsyncEventNexus[Tea](multiple=True) as nexus:
        assert_type(nexus, AsyncEventNexus[Tea])
        task = nexus.start()
        assert_type(task, asyncio.Task[None])
        nexus.stop()
        nexus.stop(grace=2.0)
        nexus.stop(grace=None)
        nexus.cleanup()


def state() -> None:
    """The state is one of four."""
    nexus = AsyncEventNexus()
    if nexus.state is State.READY or nexus.state is State.STOPPED:
        print(nexus.state.name)


async def ingest() -> None:
    """Events of the domain, also of subclasses."""
    nexus = AsyncEventNexus[Tea]()
    await nexus.ingest(Treacle(id=1, payload="golden"))
    await nexus.ingest(nexus.create_event(Teapot(name="Betty"), event_type=TeapotEvent))
    await asyncio.gather(nexus.ingest(Tick(id=1, payload=1)), nexus.ingest(Tick(id=2, payload=2)))


async def ingest_anything() -> None:
    """A nexus of any event takes any."""
    nexus = AsyncEventNexus()
    await nexus.ingest(Event(1, 99, 0, Teapot(name="Betty")))
    await nexus.ingest(Event(1, "brew", 0, {"name": "Betty"}))
    await nexus.ingest(Treacle(id=1, payload="golden"))


async def emit() -> None:
    """Payload of the class, or anything under a plain key."""
    nexus = AsyncEventNexus[Tea]()
    await nexus.emit(Treacle, "golden")
    await nexus.emit(TeapotEvent, Samovar(name="Tula"), priority=3)
    await nexus.emit(Tick, 3, id=EventFactory.RANDOM)
    await nexus.emit(99, {"name": "Betty"}, id=4)
    await nexus.emit("brew", None)


def declare() -> None:
    """Classes of the domain, or a key with its payload."""
    nexus = AsyncEventNexus[Tea]()
    nexus.declare(TeapotEvent, Treacle, Tick)
    nexus.declare("names", list[str])


def catalog() -> None:
    """Indexed by class it knows the payload."""
    nexus = AsyncEventNexus()
    nexus.declare(TeapotEvent)
    nexus.declare(17, int)
    assert_type(nexus.catalog[TeapotEvent], EventSpec[Teapot])
    assert_type(nexus.catalog[17], EventSpec[Any])
    assert_type(nexus.catalog[17].title, str)
    assert_type(nexus.catalog[17].description, str | None)
    assert_type(nexus.catalog.ranges, Sequence[EventSpec[Any]])
    assert_type(list(nexus.catalog), list[int | str])
    assert_type(nexus.catalog.get(3), EventSpec[Any] | None)
    assert_type(nexus.catalog[TeapotEvent].event_class, type[Event[Teapot]] | None)


def parse_json() -> None:
    """Any event, or one of a class."""
    nexus = AsyncEventNexus()
    text = '{"id": 1, "type": 99, "priority": 0, "payload": {"name": "Betty"}}'
    assert_type(nexus.catalog.parse_json(text), Event[Any])
    assert_type(nexus.catalog.parse_json(text.encode(), TeapotEvent), TeapotEvent)
    assert_type(nexus.catalog.parse_json(text, Event[Teapot]), Event[Teapot])


async def errors() -> None:
    """One base; attributes where there are some; the standard errors that they also are."""
    nexus = AsyncEventNexus()
    try:
        await nexus.emit(99, None)
    except UnhandledEvent as error:
        print(error.event.id)
    except InvalidPayload as error:
        print(error.event.id, error.errors()[0]["loc"], error.schema)
        invalid: ValueError = error
        print(invalid)
    except (BadCall, ValidationError):
        raise
    except AsyncNexusError as error:
        print(error)


async def treat(nexus: AsyncEventNexus[Treacle]) -> None:
    await nexus.emit(Treacle, "golden")


def inspect(nexus: AsyncEventNexus[Any]) -> int:
    return len(nexus.catalog)


async def nexuses_as_arguments() -> None:
    """A nexus that takes more can stand for one that takes less."""
    nexus = AsyncEventNexus[Tea]()
    await treat(nexus)
    inspect(nexus)
    factory: EventFactory = nexus
    assert_type(factory.next_id(), int)


class Kitchen:
    """Keeps a nexus."""

    def __init__(self) -> None:
        self.nexus = AsyncEventNexus[TeapotEvent | Treacle]()
        self.nexus.add_handler(TeapotEvent, self.brew)

    async def brew(self, event: TeapotEvent) -> None:
        await self.nexus.emit(Treacle, event.payload.name)


def nexus_of_an_object() -> None:
    """A handler emits into the nexus that it belongs to."""
    Kitchen()


def keys_as_text() -> None:
    """Keys are written and read."""
    assert_type(format_event_type(99), str)
    assert_type(parse_event_type("99"), int | str)
