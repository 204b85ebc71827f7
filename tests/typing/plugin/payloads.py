"""Payloads of a declared domain: in `emit`, `create_event`, and events passed straight on."""

from typing import Any, Generic, Literal, TypedDict, TypeVar

from pydantic import BaseModel

from async_nexus import AsyncEventNexus, Event, EventFactory, EventQueue, NamedEvent


class Teapot(BaseModel):
    temp: int


class Sizes(TypedDict):
    small: int


P = TypeVar("P")


class TeapotEvent(NamedEvent[Teapot], type=99): ...


class SizesEvent(NamedEvent[Sizes], type=1): ...


class Numbers(NamedEvent[list[float]]): ...


class Boxed(NamedEvent[P], Generic[P], type="boxed"): ...


nexus = AsyncEventNexus[TeapotEvent | SizesEvent | Numbers | Boxed[int]]()
open_nexus = AsyncEventNexus()
pot = Teapot(temp=90)


async def emits(anything: Any, key: Literal[99, "boxed"]) -> None:
    await nexus.emit(99, pot)
    await nexus.emit(1, {"small": 1})
    await nexus.emit("Numbers", [])
    await nexus.emit(SizesEvent, {"small": 1})
    await nexus.emit(Numbers, [1, 2], id=3)
    await nexus.emit(Numbers, ["1"])  # E: call-overload
    await nexus.emit("Numbers", [1, 2.0], priority=3)
    await nexus.emit("boxed", 3)
    await nexus.emit(99, anything)
    await nexus.emit(key, pot)
    await nexus.emit(99, "cold")  # E: nexus-payload
    await nexus.emit(99, {"temp": 1})  # E: nexus-payload
    await nexus.emit("boxed", "3")  # E: nexus-payload
    await nexus.emit(1, {"small": "1"})  # E: typeddict-item
    await nexus.emit("Numbers", ["1"])  # E: list-item
    await nexus.emit(key, "cold")  # E: nexus-payload
    await nexus.emit(payload=1, event_type=99)  # E: nexus-payload


async def creates(factory: EventFactory) -> None:
    made: Event[Teapot] = nexus.create_event(pot, event_type=99)
    await nexus.ingest(nexus.create_event(pot, event_type=99))
    await nexus.ingest(factory.create_event(pot, event_type=99, id=4))
    nexus.create_event({"small": 1}, event_type=1)
    # Not all checkers read a display by a class that comes after it, but mypy does, also without the plugin.
    await nexus.ingest(nexus.create_event({"small": 1}, event_type=SizesEvent))
    await nexus.ingest(nexus.create_event([1, 2], event_type=Numbers))
    nexus.create_event({"small": "1"}, event_type=SizesEvent)  # E: call-overload
    nexus.create_event(["1"], event_type=Numbers)  # E: call-overload
    nexus.create_event(print, event_type=Numbers)  # E: call-overload
    nexus.create_event("cold", event_type=99)  # E: nexus-payload
    nexus.create_event("cold", event_type=TeapotEvent)  # E: call-overload
    await nexus.ingest(factory.create_event("cold", event_type=99))  # E: nexus-payload
    await nexus.ingest(factory.create_event(pot, event_type=98))  # E: nexus-key
    # An event that is only held somewhere is not known to be of the domain.
    await nexus.ingest(made)  # E: arg-type


async def ingests(queue: EventQueue[TeapotEvent | Numbers], args: tuple[int, int, int, Teapot], key: int) -> None:
    await nexus.ingest(Event(1, 99, 0, pot))
    await nexus.ingest(Event(id=1, type=99, priority=0, payload=pot))
    await nexus.ingest(Event(1, "Numbers", 0, []))
    await nexus.ingest(event=Event[Teapot](1, 99, 0, pot))
    await nexus.ingest(TeapotEvent(id=1, payload=pot))
    await nexus.ingest(Event(1, 98, 0, pot))  # E: nexus-key
    await nexus.ingest(Event(1, 99, 0, "cold"))  # E: nexus-payload
    await nexus.ingest(Event(1, type="boxed", priority=0, payload="3"))  # E: nexus-payload
    await nexus.ingest(Event[str](1, 99, 0, "cold"))  # E: nexus-payload
    await nexus.ingest(Event(1, 99, 0))  # E: call-arg
    await nexus.ingest(Event(1, key, 0, pot))  # E: arg-type
    await nexus.ingest(Event(*args))  # E: arg-type
    await open_nexus.ingest(Event(1, 98, 0, "cold"))
    await queue.put(Event(1, 99, 0, pot))
    await queue.put(Event(1, 1, 0, {"small": 1}))  # E: nexus-key
    queue.put_nowait(Event(1, "Numbers", 0, pot))  # E: nexus-payload
